//! The names of a call's two files (seed 001): `call_{ucid}_{timestamp}_transcript.json` and `call_{ucid}_{timestamp}.json`.
//!
//! A ucid comes from outside: it is written so that it can be no path, cut, and never the only thing that tells two
//! calls apart. A name that is taken is left alone: the timestamp moves on by a millisecond.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use crate::store::CallFileNames;

/// The two folders, and the names that were given to calls whose files are not there yet.
#[derive(Debug)]
pub(super) struct Folders {
    pub(super) transcripts: PathBuf,
    pub(super) calls: PathBuf,
    given: Mutex<HashSet<CallFileNames>>,
}

impl Folders {
    pub(super) fn of(data_dir: &Path) -> Self {
        Self {
            transcripts: data_dir.join("transcripts"),
            calls: data_dir.join("calls"),
            given: Mutex::default(),
        }
    }

    /// Names that nobody has, for a call of that ucid that ended at `ended_ms`, ms since 1970. Looks at the disk.
    pub(super) fn choose(&self, ucid: &str, ended_ms: u64) -> CallFileNames {
        let ucid = written(ucid);
        let mut given = self.given();
        let mut at_ms = ended_ms;
        loop {
            let names = CallFileNames {
                transcript: format!("call_{ucid}_{at_ms}_transcript.json").into(),
                record: format!("call_{ucid}_{at_ms}.json").into(),
            };
            let is_free = !self.transcript(&names).exists() && !self.call(&names).exists();
            if is_free && given.insert(names.clone()) {
                return names;
            }
            at_ms += 1;
        }
    }

    /// Keeps names that were chosen by an earlier process from being chosen again.
    pub(super) fn keep(&self, names: &CallFileNames) {
        self.given().insert(names.clone());
    }

    /// The files are there: nothing else keeps their names.
    pub(super) fn filled(&self, names: &CallFileNames) {
        self.given().remove(names);
    }

    pub(super) fn transcript(&self, names: &CallFileNames) -> PathBuf {
        self.transcripts.join(&*names.transcript)
    }

    pub(super) fn call(&self, names: &CallFileNames) -> PathBuf {
        self.calls.join(&*names.record)
    }

    fn given(&self) -> std::sync::MutexGuard<'_, HashSet<CallFileNames>> {
        // A panic elsewhere left a whole set behind.
        self.given.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An id from outside as a part of a file's name: letters, digits and `-._` stay, every other byte is percent-encoded;
/// at most [`WRITTEN_BYTES_MAX`] of it.
pub(super) fn written(ucid: &str) -> String {
    let mut written = String::with_capacity(ucid.len().min(WRITTEN_BYTES_MAX));
    for byte in ucid.bytes() {
        let is_plain = byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
        let length = if is_plain { 1 } else { 3 };
        if written.len() + length > WRITTEN_BYTES_MAX {
            break;
        }
        if is_plain {
            written.push(byte.into());
        } else {
            written.push_str(&format!("%{byte:02X}"));
        }
    }
    written
}

/// Bytes of an id that stand in a file's name: with what stands around it, less than a file system takes.
const WRITTEN_BYTES_MAX: usize = 128;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_from_outside_is_never_a_path_and_never_too_long() {
        for (ucid, expected) in [
            ("CALL-2025-10-07-001", "CALL-2025-10-07-001"),
            ("../../etc/passwd", "..%2F..%2Fetc%2Fpasswd"),
            ("a\0b\n", "a%00b%0A"),
            ("नम", "%E0%A4%A8%E0%A4%AE"),
            ("a%2F", "a%252F"),
            ("", ""),
        ] {
            assert_eq!(written(ucid), expected, "{ucid:?}");
        }
        assert_eq!(written(&"x".repeat(10_000)).len(), WRITTEN_BYTES_MAX);
        // No code is cut in half.
        assert!(written(&"/".repeat(10_000)).ends_with("%2F"));
        let longest = format!(".call_{}_1707204900000_transcript.json.part", written(&"x".repeat(10_000)));
        assert!(longest.len() <= 255, "{} bytes", longest.len());
    }

    #[test]
    fn a_name_is_given_once_whoever_asks_and_whatever_is_there() {
        let folder = std::env::temp_dir().join(format!("patchcord-names-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        let folders = Folders::of(&folder);
        std::fs::create_dir_all(&folders.transcripts).unwrap();
        std::fs::create_dir_all(&folders.calls).unwrap();
        let first = folders.choose("A", 1_000);
        assert_eq!(&*first.transcript, "call_A_1000_transcript.json");
        assert_eq!(&*folders.choose("A", 1_000).record, "call_A_1001.json");
        std::fs::write(folders.call(&first), "{}").unwrap();
        folders.filled(&first);
        assert_eq!(&*folders.choose("A", 1_000).record, "call_A_1002.json");
        let kept =
            CallFileNames { transcript: "call_B_5_transcript.json".into(), record: "call_B_5.json".into() };
        folders.keep(&kept);
        assert_eq!(&*folders.choose("B", 5).record, "call_B_6.json");
        std::fs::remove_dir_all(folder).unwrap();
    }
}
