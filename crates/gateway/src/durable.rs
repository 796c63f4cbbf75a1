//! Files that are whole or not there: written under another name, made durable, and given their name in one step.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Puts a file of these bytes in the place of `path`, by way of `growing` in the same folder; durable when it returns.
///
/// # Errors
/// The system's; whatever stood at `path` is untouched then.
pub fn replace(growing: &Path, path: &Path, bytes: &[u8]) -> io::Result<()> {
    finish(File::create(growing)?, (growing, path), bytes)
}

/// The same for nobody's eyes but this user's.
///
/// # Errors
/// The system's.
pub fn replace_private(growing: &Path, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let file = OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(growing)?;
    finish(file, (growing, path), bytes)
}

fn finish(mut file: File, (growing, path): (&Path, &Path), bytes: &[u8]) -> io::Result<()> {
    file.write_all(bytes)?;
    file.sync_all()?;
    rename(growing, path)
}

/// Gives a file its name, durably.
///
/// # Errors
/// The system's.
pub fn rename(from: &Path, to: &Path) -> io::Result<()> {
    std::fs::rename(from, to)?;
    sync_folder_of(to)
}

/// Makes the names in a file's folder durable, and the folder's own.
///
/// # Errors
/// The system's.
pub fn sync_folder_of(path: &Path) -> io::Result<()> {
    for folder in path.ancestors().skip(1).take(2) {
        // The parent of a bare name is where the process stands.
        let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        File::open(folder)?.sync_all()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_made_durable_wherever_the_folder_stands() {
        for path in ["a", "src/a", "./src/a", "/usr/a", "/a"] {
            assert!(sync_folder_of(Path::new(path)).is_ok(), "{path}");
        }
        assert!(sync_folder_of(Path::new("nowhere/a")).is_err());
    }
}
