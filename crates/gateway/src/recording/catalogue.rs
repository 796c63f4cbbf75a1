//! What is known of recordings: one small JSON file a call, beside nothing that could be lost with a database.
//!
//! Every change is durable when it returns. A file that was deleted keeps its note, which says when and why.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use super::{Folders, day_of, is_call_id};
use crate::config::RecordingFormat;
use crate::durable::replace;

/// The notes of all recorded calls.
#[derive(Debug)]
pub struct Catalogue {
    folders: Folders,
    /// Held while a note changes: reading and writing are two steps.
    changing: Mutex<()>,
}

/// What is known of one call's recordings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct RecordedCall {
    /// Whose they are.
    pub call_id: String,
    /// Each file, in the order in which they were finished.
    pub files: Vec<FileNote>,
}

/// One file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct FileNote {
    /// Its name below the place of recordings.
    pub file: String,
    /// Which recording of the call it belongs to, from 1.
    pub take: u32,
    /// What it holds.
    pub part: Part,
    /// `wav` or `opus`.
    pub format: String,
    /// Samples per second of each channel.
    pub sample_rate: u32,
    /// One, the caller; or two: the caller left, what the caller heard right.
    pub channels: u16,
    /// Its length in bytes.
    pub bytes: u64,
    /// When it began, ms since 1970.
    pub started_ms: u64,
    /// How long it plays.
    pub duration_ms: u64,
    /// What of it is silence, or missing at the end of one that is cut, because the disk was too slow.
    pub lost_ms: u64,
    /// The process that wrote it was killed; its last moment may be missing.
    #[serde(default)]
    pub is_cut: bool,
    /// Where it is.
    #[serde(default)]
    pub place: Place,
    /// That it was deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deletion: Option<Deletion>,
}

/// What a file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "lowercase")]
pub enum Part {
    /// The call to its end.
    #[default]
    Whole,
    /// The call until an agent had it.
    Bot,
    /// The caller's message.
    Voicemail,
}

/// Where a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "lowercase")]
pub enum Place {
    /// In the folder of recordings.
    #[default]
    Folder,
    /// In the bucket alone.
    Bucket,
    /// Deleted here while it was on its way to the bucket: what arrived there is to be deleted as well.
    Leftover,
}

/// That a file was deleted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deletion {
    /// When, ms since 1970.
    pub at_ms: u64,
    /// `retention`, `asked`, or `vanished` where somebody took the file away by hand.
    pub why: String,
}

/// Why the catalogue could not be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum CatalogueError {
    /// The system's.
    #[error("the notes of a recorded call: {0}")]
    Io(#[from] io::Error),
    /// A note that is none of ours.
    #[error("the notes of a recorded call are damaged: {0}")]
    Damaged(serde_json::Error),
    /// This is no call's id.
    #[error("this is no call's id")]
    NoCall,
}

impl Catalogue {
    pub(super) fn new(folders: &Folders) -> Self {
        Self { folders: folders.clone(), changing: Mutex::new(()) }
    }

    /// The notes of a call.
    ///
    /// # Errors
    /// [`CatalogueError`].
    pub fn find(&self, call_id: &str) -> Result<Option<RecordedCall>, CatalogueError> {
        let path = self.path(call_id).ok_or(CatalogueError::NoCall)?;
        read(&path)
    }

    /// Where a file is when it is in the folder.
    pub fn path_of(&self, note: &FileNote) -> PathBuf {
        self.folders.recordings.join(&note.file)
    }

    /// The folder of recordings.
    pub fn recordings(&self) -> &Path {
        &self.folders.recordings
    }

    /// Notes a file, in the place of an earlier note of it.
    ///
    /// # Errors
    /// [`CatalogueError`].
    pub fn add(&self, call_id: &str, note: FileNote) -> Result<(), CatalogueError> {
        self.change(call_id, |call| match call.files.iter_mut().find(|known| known.file == note.file) {
            Some(known) => *known = note,
            None => call.files.push(note),
        })
    }

    /// Changes the note of one file.
    ///
    /// # Errors
    /// [`CatalogueError`].
    pub fn change_file(
        &self,
        call_id: &str,
        file: &str,
        change: impl FnOnce(&mut FileNote),
    ) -> Result<(), CatalogueError> {
        self.change(call_id, |call| {
            if let Some(note) = call.files.iter_mut().find(|note| note.file == file) {
                change(note);
            }
        })
    }

    /// The ids of all recorded calls, oldest day first.
    ///
    /// # Errors
    /// The system's.
    pub fn calls(&self) -> io::Result<Vec<String>> {
        let mut calls = Vec::new();
        for day in sorted(&self.folders.catalogue)? {
            let names = sorted(&day).unwrap_or_default();
            let ids = names.iter().filter(|path| path.extension().is_some_and(|end| end == "json"));
            calls.extend(ids.filter_map(|path| path.file_stem()?.to_str().map(str::to_owned)));
        }
        Ok(calls)
    }

    fn change(&self, call_id: &str, change: impl FnOnce(&mut RecordedCall)) -> Result<(), CatalogueError> {
        let path = self.path(call_id).ok_or(CatalogueError::NoCall)?;
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut call = read(&path)?.unwrap_or_default();
        call_id.clone_into(&mut call.call_id);
        change(&mut call);
        let text = serde_json::to_vec_pretty(&call).map_err(CatalogueError::Damaged)?;
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        replace(&path.with_extension("json.part"), &path, &text)?;
        Ok(())
    }

    fn path(&self, call_id: &str) -> Option<PathBuf> {
        let folder = self.folders.catalogue.join(day_of(call_id));
        is_call_id(call_id).then(|| folder.join(format!("{call_id}.json")))
    }
}

impl RecordedCall {
    /// The file that `GET /calls/{id}/recording` gives: the bot's part, or the call if that was all of it.
    pub fn bot_part(&self) -> Option<&FileNote> {
        self.of(Part::Bot).or_else(|| self.of(Part::Whole)).or_else(|| self.of(Part::Voicemail))
    }

    /// The file of the whole call.
    pub fn whole(&self) -> Option<&FileNote> {
        self.of(Part::Whole).or_else(|| self.of(Part::Voicemail))
    }

    /// One file, by its take and the word of its part.
    pub fn piece(&self, take: &str, part: &str) -> Option<&FileNote> {
        self.files.iter().find(|note| note.take.to_string() == take && note.part.word() == part)
    }

    /// Whether an agent had the call as well, so that the two files differ.
    pub fn has_agent_part(&self) -> bool {
        self.of(Part::Bot).is_some()
    }

    /// The first file of that part that is there, else the first that was.
    fn of(&self, part: Part) -> Option<&FileNote> {
        let mut of_part = self.files.iter().filter(|note| note.part == part);
        of_part.clone().find(|note| note.deletion.is_none()).or_else(|| of_part.next())
    }
}

impl Part {
    /// The word in names and notes.
    pub fn word(self) -> &'static str {
        match self {
            Self::Whole => "call",
            Self::Bot => "bot",
            Self::Voicemail => "voicemail",
        }
    }

    /// The part of that word.
    pub(super) fn parse(word: &str) -> Option<Self> {
        [Self::Whole, Self::Bot, Self::Voicemail].into_iter().find(|part| part.word() == word)
    }
}

impl RecordingFormat {
    /// The word in the configuration and in notes.
    pub fn word(self) -> &'static str {
        match self {
            Self::Wav => "wav",
            Self::Opus => "opus",
        }
    }

    /// The ending of its files.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Wav => "wav",
            Self::Opus => "ogg",
        }
    }
}

fn read(path: &Path) -> Result<Option<RecordedCall>, CatalogueError> {
    match std::fs::read(path) {
        Ok(text) => serde_json::from_slice(&text).map(Some).map_err(CatalogueError::Damaged),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// What stands in a folder, by name.
pub(super) fn sorted(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut paths: Vec<PathBuf> =
        std::fs::read_dir(folder)?.filter_map(|entry| entry.ok().map(|entry| entry.path())).collect();
    paths.sort();
    Ok(paths)
}
