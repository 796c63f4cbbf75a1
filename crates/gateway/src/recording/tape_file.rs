//! One recording on the disk while it grows: under a temporary name, playable at every step.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use super::opus_file::OpusTape;
use super::wav;
use crate::config::RecordingFormat;

/// A growing recording.
pub(super) struct TapeFile {
    file: Arc<File>,
    form: Form,
    channels: u16,
    sample_rate: u32,
    /// Bytes that are written for good.
    length: u64,
    /// Samples of each channel that are written, or wait in the coder.
    frames: u64,
    bytes: Vec<u8>,
    /// Pages that are made and not written.
    pages: Vec<u8>,
    is_changed: bool,
    is_ended: bool,
}

enum Form {
    Wav,
    Opus(Box<OpusTape>),
}

impl TapeFile {
    /// Makes the file.
    ///
    /// # Errors
    /// The system's; [`io::ErrorKind::Unsupported`] for a rate that the form does not know.
    pub(super) fn create(
        path: &Path,
        format: RecordingFormat,
        sample_rate: u32,
        channels: u16,
    ) -> io::Result<Self> {
        let (form, head) = match format {
            RecordingFormat::Wav => (Form::Wav, wav::header(sample_rate, channels, 0).to_vec()),
            RecordingFormat::Opus => {
                let name = path.as_os_str().as_encoded_bytes();
                let serial =
                    name.iter().fold(0u32, |sum, byte| sum.wrapping_mul(31).wrapping_add((*byte).into()));
                let (tape, pages) = OpusTape::begin(sample_rate, usize::from(channels), serial)
                    .ok_or(io::ErrorKind::Unsupported)?;
                (Form::Opus(Box::new(tape)), pages)
            }
        };
        let file = OpenOptions::new().read(true).write(true).create_new(true).open(path)?;
        if let Err(error) = file.write_all_at(&head, 0) {
            // The next attempt has another name.
            let _ = std::fs::remove_file(path);
            return Err(error);
        }
        Ok(Self {
            file: Arc::new(file),
            form,
            channels,
            sample_rate,
            length: head.len() as u64,
            frames: 0,
            bytes: Vec::new(),
            pages: Vec::new(),
            is_changed: true,
            is_ended: false,
        })
    }

    /// Appends interleaved samples.
    ///
    /// # Errors
    /// The system's; nothing of the samples is in the file then, and they may be tried again.
    pub(super) fn write(&mut self, samples: &[i16]) -> io::Result<()> {
        match self.form {
            Form::Wav => {
                self.bytes.clear();
                self.bytes.extend(samples.iter().flat_map(|sample| sample.to_le_bytes()));
                self.file.write_all_at(&self.bytes, self.length)?;
                self.length += self.bytes.len() as u64;
            }
            // While the disk takes no pages, no more are made.
            Form::Opus(_) => self.append_pages()?,
        }
        if let Form::Opus(tape) = &mut self.form {
            tape.push(samples);
        }
        self.frames += samples.len() as u64 / u64::from(self.channels);
        self.is_changed = true;
        Ok(())
    }

    /// Appends silence on every channel, up to as much as fits into a step, and says how much is left.
    ///
    /// # Errors
    /// The system's; `frames` is what is left then.
    pub(super) fn write_silence(&mut self, frames: &mut u64) -> io::Result<()> {
        for _ in 0..SILENCE_SECONDS_MAX {
            let now = u64::from(self.sample_rate).min(*frames);
            if now == 0 {
                break;
            }
            let count = usize::try_from(now).unwrap_or(0) * usize::from(self.channels);
            self.write(&vec![0; count])?;
            *frames -= now;
        }
        Ok(())
    }

    /// Has the file say what it holds: with the next sync it can be played to here.
    ///
    /// # Errors
    /// The system's.
    pub(super) fn settle(&mut self) -> io::Result<Option<Arc<File>>> {
        if !self.is_changed {
            return Ok(None);
        }
        match &mut self.form {
            Form::Wav => {
                let header = wav::header(self.sample_rate, self.channels, self.length - wav::HEADER_BYTES);
                self.file.write_all_at(&header, 0)?;
            }
            Form::Opus(tape) => {
                self.pages.extend(tape.flush());
                self.append_pages()?;
            }
        }
        self.is_changed = false;
        Ok(Some(self.file.clone()))
    }

    /// Ends the recording.
    ///
    /// # Errors
    /// The system's; it may be tried again.
    pub(super) fn finish(&mut self) -> io::Result<Arc<File>> {
        if let Form::Opus(tape) = &mut self.form
            && !std::mem::replace(&mut self.is_ended, true)
        {
            self.pages.extend(tape.finish(self.frames));
        }
        self.is_changed = true;
        self.settle()?;
        Ok(self.file.clone())
    }

    /// Samples of each channel.
    pub(super) fn frames(&self) -> u64 {
        self.frames
    }

    /// Bytes of the file.
    pub(super) fn length(&self) -> u64 {
        self.length
    }

    fn append_pages(&mut self) -> io::Result<()> {
        self.file.write_all_at(&self.pages, self.length)?;
        self.length += self.pages.len() as u64;
        self.pages.clear();
        Ok(())
    }
}

/// Silence that is written in one go, in seconds: other recordings wait meanwhile.
const SILENCE_SECONDS_MAX: u64 = 30;

#[cfg(test)]
mod tests {
    use super::super::ogg;
    use super::*;

    /// Has the file refuse every write, or none.
    fn refuse(tape: &mut TapeFile, path: &Path, refuses: bool) {
        tape.file = Arc::new(OpenOptions::new().read(true).write(!refuses).open(path).unwrap());
    }

    #[test]
    fn a_file_that_was_refused_for_a_while_holds_everything_once() {
        for format in [RecordingFormat::Wav, RecordingFormat::Opus] {
            let name = format!("patchcord-tape-{}-{}", format.word(), std::process::id());
            let path = std::env::temp_dir().join(name);
            let _ = std::fs::remove_file(&path);
            let mut tape = TapeFile::create(&path, format, 8_000, 2).unwrap();
            let second: Vec<i16> = (0..16_000).collect();
            tape.write(&second).unwrap();
            refuse(&mut tape, &path, true);
            assert!(tape.settle().is_err() && tape.settle().is_err());
            assert!(tape.write(&second).is_err(), "there is nowhere to put it");
            let mut silence = 70 * 8_000;
            assert!(tape.write_silence(&mut silence).is_err());
            refuse(&mut tape, &path, false);
            tape.write(&second).unwrap();
            while silence > 0 {
                tape.write_silence(&mut silence).unwrap();
            }
            refuse(&mut tape, &path, true);
            assert!(tape.settle().is_err() && tape.finish().is_err() && tape.finish().is_err());
            refuse(&mut tape, &path, false);
            tape.finish().unwrap();
            let bytes = std::fs::read(&path).unwrap();
            assert_eq!((tape.frames(), tape.length()), (72 * 8_000, bytes.len() as u64));
            if format == RecordingFormat::Wav {
                assert_eq!((bytes.len(), &bytes[44..48]), (44 + 72 * 32_000, &[0, 0, 1, 0][..]));
                assert_eq!(bytes[44..32_044], bytes[32_044..64_044]);
            } else {
                // Pages that were lost, or too long for their packets, would end it early.
                let (at, end, granule) = ogg::last_whole_page(&bytes).unwrap();
                assert_eq!((end, granule, bytes[at + 5]), (bytes.len(), 312 + 72 * 48_000, ogg::LAST));
            }
            std::fs::remove_file(&path).unwrap();
        }
    }
}
