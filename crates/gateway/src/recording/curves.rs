//! The loudness curves of all calls: one file each, a pair of bytes for every 20 ms, silence where nothing is told.

use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use super::{day_of, is_call_id};

/// The folder of curves.
#[derive(Debug, Clone)]
pub struct Curves {
    folder: PathBuf,
}

impl Curves {
    pub(super) fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// Writes the pairs from step `at` on; what is beyond [`STEPS_MAX`] is left out.
    pub(super) fn write(&self, call_id: &str, at: u64, levels: &[u8]) -> io::Result<()> {
        let Some(path) = self.path(call_id).filter(|_| at < STEPS_MAX) else { return Ok(()) };
        let open = || OpenOptions::new().create(true).write(true).truncate(false).open(&path);
        let file = match open() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                std::fs::create_dir_all(self.folder.join(day_of(call_id)))?;
                open()?
            }
            opened => opened?,
        };
        file.write_all_at(levels, 2 * at)
    }

    /// The curve of a call: pairs of caller and heard, 0 silence, 127 full scale.
    ///
    /// # Errors
    /// The system's.
    pub fn read(&self, call_id: &str) -> io::Result<Option<Vec<u8>>> {
        let Some(path) = self.path(call_id) else { return Ok(None) };
        match std::fs::read(path) {
            Ok(levels) => Ok(Some(levels)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Deletes the curves of days before `day` (`2026-11-20`).
    ///
    /// # Errors
    /// The system's.
    pub(super) fn delete_before(&self, day: &str) -> io::Result<()> {
        for folder in super::catalogue::sorted(&self.folder)? {
            let name = folder.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            if name.starts_with(|c: char| c.is_ascii_digit()) && name < day {
                std::fs::remove_dir_all(folder)?;
            }
        }
        Ok(())
    }

    fn path(&self, call_id: &str) -> Option<PathBuf> {
        is_call_id(call_id).then(|| self.folder.join(day_of(call_id)).join(format!("{call_id}.levels")))
    }
}

/// Steps of 20 ms of one curve: five hours.
pub const STEPS_MAX: u64 = 900_000;
