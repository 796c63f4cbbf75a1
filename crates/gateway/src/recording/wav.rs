//! WAV (RIFF, linear 16-bit) as a file that can be played at any moment: its header is put right at every step.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// Bytes before the samples.
pub(super) const HEADER_BYTES: u64 = 44;

/// The header of `sound_bytes` of sound; a file cannot say more than 4 GiB.
pub(super) fn header(sample_rate: u32, channels: u16, sound_bytes: u64) -> [u8; 44] {
    let block = channels * 2;
    let sound = u32::try_from(sound_bytes).unwrap_or(u32::MAX - 36);
    let mut header = [0; 44];
    let fields: [&[u8]; 13] = [
        b"RIFF",
        &sound.saturating_add(36).to_le_bytes(),
        b"WAVE",
        b"fmt ",
        &16u32.to_le_bytes(),
        &1u16.to_le_bytes(),
        &channels.to_le_bytes(),
        &sample_rate.to_le_bytes(),
        &(sample_rate * u32::from(block)).to_le_bytes(),
        &block.to_le_bytes(),
        &16u16.to_le_bytes(),
        b"data",
        &sound.to_le_bytes(),
    ];
    header.iter_mut().zip(fields.concat()).for_each(|(to, from)| *to = from);
    header
}

/// The rate and the channels that the header of `file` tells.
///
/// # Errors
/// The system's, and that of a file that is no WAV of ours.
pub(super) fn form(file: &File) -> io::Result<(u32, u16)> {
    let mut found = [0; 44];
    file.read_exact_at(&mut found, 0)?;
    let word = found.get(24..28).and_then(|four| four.try_into().ok()).map_or(0, u32::from_le_bytes);
    let half = found.get(22..24).and_then(|two| two.try_into().ok()).map_or(0, u16::from_le_bytes);
    if !found.starts_with(b"RIFF") || !(1..=2).contains(&half) || word == 0 {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "no WAV file of ours"));
    }
    Ok((word, half))
}

/// Has the header of `file` say how much sound there is, up to whole samples of all channels. Returns the bytes of sound.
///
/// # Errors
/// The system's, and that of a file that is no WAV of ours.
pub(super) fn put_right(file: &File) -> io::Result<u64> {
    let (rate, channels) = form(file)?;
    let block = u64::from(channels) * 2;
    let sound = (file.metadata()?.len().saturating_sub(HEADER_BYTES)) / block * block;
    file.set_len(HEADER_BYTES + sound)?;
    file.write_all_at(&header(rate, channels, sound), 0)?;
    Ok(sound)
}
