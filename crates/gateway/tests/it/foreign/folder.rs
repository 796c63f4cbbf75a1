//! A test's own folder. A test that fails leaves it behind and says where.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// A folder that goes with its test.
pub struct Folder(PathBuf);

impl Folder {
    /// A new empty folder.
    pub fn new(name: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("patchcord-foreign-{name}-{}-{count}", std::process::id());
        let path = std::env::temp_dir().join(name);
        // Numbers of processes come again, and what one that was killed left behind is not ours.
        std::fs::remove_dir_all(&path).ok();
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The path of a file in it, as text.
    pub fn file(&self, name: &str) -> String {
        self.0.join(name).display().to_string()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let keep = std::env::var_os("PATCHCORD_KEEP").is_some();
        if std::thread::panicking() || keep {
            eprintln!("the test's files are in {}", self.0.display());
        } else {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }
}
