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
    is_changed: bool,
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
        let file = OpenOptions::new().read(true).write(true).create_new(true).open(path)?;
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
        file.write_all_at(&head, 0)?;
        let length = head.len() as u64;
        let (bytes, frames, is_changed) = (Vec::new(), 0, true);
        Ok(Self { file: Arc::new(file), form, channels, sample_rate, length, frames, bytes, is_changed })
    }

    /// Appends interleaved samples.
    ///
    /// # Errors
    /// The system's; the samples are not in the file then, and may be tried again as silence.
    pub(super) fn write(&mut self, samples: &[i16]) -> io::Result<()> {
        match &mut self.form {
            Form::Wav => {
                self.bytes.clear();
                self.bytes.extend(samples.iter().flat_map(|sample| sample.to_le_bytes()));
                self.append()?;
            }
            Form::Opus(tape) => tape.push(samples),
        }
        self.frames += samples.len() as u64 / u64::from(self.channels);
        self.is_changed = true;
        Ok(())
    }

    /// Appends silence on every channel.
    ///
    /// # Errors
    /// The system's.
    pub(super) fn write_silence(&mut self, mut frames: u64) -> io::Result<()> {
        while frames > 0 {
            let now = frames.min(u64::from(self.sample_rate));
            let count = usize::try_from(now).unwrap_or(0) * usize::from(self.channels);
            self.write(&vec![0; count])?;
            frames -= now;
        }
        Ok(())
    }

    /// Has the file say what it holds: with the next sync it can be played to here.
    ///
    /// # Errors
    /// The system's.
    pub(super) fn settle(&mut self) -> io::Result<Option<Arc<File>>> {
        if !std::mem::take(&mut self.is_changed) {
            return Ok(None);
        }
        match &mut self.form {
            Form::Wav => {
                let header = wav::header(self.sample_rate, self.channels, self.length - wav::HEADER_BYTES);
                self.file.write_all_at(&header, 0)?;
            }
            Form::Opus(tape) => {
                if let Some(page) = tape.flush() {
                    self.bytes = page;
                    self.append()?;
                }
            }
        }
        Ok(Some(self.file.clone()))
    }

    /// Ends the recording.
    ///
    /// # Errors
    /// The system's.
    pub(super) fn finish(&mut self) -> io::Result<Arc<File>> {
        if let Form::Opus(tape) = &mut self.form {
            self.bytes = tape.finish(self.frames);
            self.append()?;
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

    fn append(&mut self) -> io::Result<()> {
        self.file.write_all_at(&self.bytes, self.length)?;
        self.length += self.bytes.len() as u64;
        Ok(())
    }
}
