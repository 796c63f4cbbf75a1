//! An archive of texts: `tar`, compressed by gzip, readable for its owner only.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::clock::unix_ms;

/// A file of the archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text {
    /// Its name.
    pub name: &'static str,
    /// What it is, for the list of files.
    pub about: &'static str,
    /// What stands in it.
    pub text: String,
}

/// Writes `texts` into the new archive `path`, all in `folder`.
///
/// # Errors
/// The system's; a file that exists is not overwritten.
pub fn write(path: &Path, folder: &str, texts: &[Text]) -> io::Result<()> {
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    let mut archive = tar::Builder::new(GzEncoder::new(file, Compression::default()));
    for Text { name, text, .. } in texts {
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        header.set_mode(0o600);
        header.set_mtime(unix_ms() / 1_000);
        archive.append_data(&mut header, Path::new(folder).join(name), text.as_bytes())?;
    }
    let file: File = archive.into_inner()?.finish()?;
    file.sync_all()
}
