//! A folder of our own under the system's temporary one, closed to others, gone with everything in it when it is
//! dropped.

use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// The folder.
#[derive(Debug)]
pub struct ScratchFolder(PathBuf);

impl ScratchFolder {
    /// Makes a folder that nobody else has.
    ///
    /// # Errors
    /// The system's.
    pub fn new() -> io::Result<Self> {
        let number = getrandom::u64().map_err(|error| io::Error::other(error.to_string()))?;
        let path = std::env::temp_dir().join(format!("patchcord-{number:016x}"));
        DirBuilder::new().mode(0o700).create(&path)?;
        Ok(Self(path))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for ScratchFolder {
    fn drop(&mut self) {
        // What cannot be removed is left to the system, which empties the place above it.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
