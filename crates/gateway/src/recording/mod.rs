//! Recordings: what calls tell of their sound becomes files, beside the media path and never in its way.
//!
//! A call's task hands its stretches over and goes on; one thread writes them, a second one waits for the disk:
//! it makes files durable twice a second, gives them their names, and notes them in the catalogue. What a disk refuses is
//! tried again; what that costs is silence in the file, counted and said. See `docs/recordings.md`.

mod catalogue;
mod curves;
mod disk;
mod links;
mod ogg;
mod opus_file;
mod recorder;
#[cfg(test)]
#[path = "tests.rs"]
mod recorder_tests;
#[cfg(test)]
mod refusal_tests;
mod repair;
mod retention;
mod s3_client;
mod sink;
mod studio;
mod tape;
mod tape_file;
mod uploads;
mod wav;

use std::path::{Path, PathBuf};

pub use catalogue::{Catalogue, CatalogueError, Deletion, FileNote, Part, Place, RecordedCall};
pub use curves::Curves;
pub use links::{CallLinks, LinkError, Links};
pub use recorder::{Ready, Recorder, RecorderFigures, RecorderThreads};
pub use retention::{DeleteError, delete_call, retain};
pub use s3_client::{Bucket, S3Error};
pub use sink::Sink;
pub use studio::Studio;
pub use uploads::upload;

/// The folders of everything that is recorded.
#[derive(Debug, Clone)]
pub struct Folders {
    /// Recordings.
    pub recordings: PathBuf,
    /// Notes of them.
    pub catalogue: PathBuf,
    /// Loudness curves.
    pub curves: PathBuf,
}

impl Folders {
    /// Those of a data folder; recordings may have another place.
    pub fn of(data_dir: &Path, recordings: &Path) -> Self {
        Self {
            recordings: recordings.to_owned(),
            catalogue: data_dir.join("recorded-calls"),
            curves: data_dir.join("curves"),
        }
    }
}

/// The folder of the day on which a call began (UTC), told by its id; calls of other ids share one.
pub(crate) fn day_of(call_id: &str) -> String {
    let ms = call_id.split('_').nth(1).and_then(|ms| ms.parse::<u64>().ok());
    ms.map_or_else(|| "undated".to_owned(), day_of_ms)
}

/// The day of that many milliseconds since 1970.
fn day_of_ms(ms: u64) -> String {
    let clock = patchcord_core::vocabulary::WallClock::new(ms, patchcord_core::vocabulary::Moment::START);
    clock.iso8601(patchcord_core::vocabulary::Moment::START).chars().take(10).collect()
}

/// Whether a text can be a call's id and part of a file's name.
pub(crate) fn is_call_id(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    text.starts_with("call_") && text.len() <= CALL_ID_BYTES_MAX && text.bytes().all(fits)
}

/// The longest id of a call.
const CALL_ID_BYTES_MAX: usize = 128;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_has_the_folder_of_its_day_and_an_id_is_never_a_path() {
        assert_eq!(day_of("call_1707204900000_abc"), "2024-02-06");
        assert_eq!(day_of("call_x_abc"), "undated");
        assert!(is_call_id("call_1707204900000_0707"));
        for wrong in ["", "call", "../call_1", "call_1/2", "call_1.json", "call_\0"] {
            assert!(!is_call_id(wrong), "{wrong}");
        }
    }
}
