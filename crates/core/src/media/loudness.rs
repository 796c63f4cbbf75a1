//! How loud a stretch of audio is at its loudest, on the scale of the loudness curve.
//!
//! The scale is that of RFC 6464 turned round: decibels above -127 dBov, so that silence is 0 and full scale 127.

use super::format::{Encoding, MediaFormat};
use super::g711::Law;

/// The largest magnitude among the whole samples of `audio`, 0 to 32,768.
pub fn peak(format: MediaFormat, audio: &[u8]) -> u16 {
    // In both laws the seven bits beside the sign rise with the magnitude: one sample in all is decoded.
    match format.encoding {
        Encoding::Pcmu => {
            let loudest = audio.iter().fold(0, |most, byte| (!byte & 0x7F).max(most));
            Law::Mu.decode_sample(!loudest).unsigned_abs()
        }
        Encoding::Pcma => {
            let loudest = audio.iter().fold(0, |most, byte| ((byte ^ 0x55) & 0x7F).max(most));
            // A-law knows no zero: its quietest value stands for it.
            if loudest == 0 { 0 } else { Law::A.decode_sample((loudest | 0x80) ^ 0x55).unsigned_abs() }
        }
        Encoding::Linear16 => {
            let (samples, _) = audio.as_chunks::<2>();
            samples.iter().fold(0, |most, two| i16::from_le_bytes(*two).unsigned_abs().max(most))
        }
    }
}

/// The loudness of a peak: 0 is digital silence, 127 full scale, a decibel a step.
pub fn loudness(peak: u16) -> u8 {
    if peak == 0 {
        return 0;
    }
    let dbov = 20.0 * (f32::from(peak) / 32_768.0).log10();
    (127.0 + dbov).round().clamp(1.0, 127.0) as u8
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::Level;

    #[test]
    fn every_law_has_the_peak_of_its_decoded_samples() {
        for format in [MediaFormat::PCMU_8K, MediaFormat::PCMA_8K, MediaFormat::linear16(8_000)] {
            for byte in 0..=255u8 {
                let audio = [format.silence_byte(), byte, format.silence_byte(), byte];
                let decoded = Level::of_frame(format, &audio).peak;
                let found = peak(format, &audio);
                assert!(
                    found == decoded || (found == 0 && decoded == 8),
                    "{format} {byte}: {found} {decoded}"
                );
            }
        }
    }

    #[test]
    fn silence_is_nothing_and_full_scale_is_the_top() {
        assert_eq!([loudness(0), loudness(1), loudness(32_767), loudness(32_768)], [0, 37, 127, 127]);
        assert_eq!(loudness(3_277), 107);
        for format in [MediaFormat::PCMU_8K, MediaFormat::PCMA_8K, MediaFormat::linear16(8_000)] {
            assert_eq!(peak(format, &[format.silence_byte(); 160]), 0, "{format}");
        }
    }
}
