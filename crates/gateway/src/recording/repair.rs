//! What an earlier process left behind when it was killed: recordings that had not ended become whole files.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use tracing::{info, warn};

use super::catalogue::{Catalogue, FileNote, Part, sorted};
use super::disk::{close_ogg, rename_noted};
use super::opus_file::PRE_SKIP;
use super::recorder::Ready;
use super::tape::{RANDOM_CHARS, parse_growing_path};
use super::{day_of, wav};

/// Puts every growing file right, names it, notes it and tells of it; nobody may be recording meanwhile. Files that have
/// no name of ours, or stand in another folder than their call's day, are somebody else's. Returns those that wait for the
/// disk.
pub(super) fn repair(catalogue: &Catalogue, tell: &dyn Fn(Ready)) -> io::Result<Vec<PathBuf>> {
    let mut refused = Vec::new();
    for day in sorted(catalogue.recordings())? {
        for path in sorted(&day).unwrap_or_default() {
            if let Err(error) = repair_file(catalogue, &path, tell) {
                warn!(path = %path.display(), %error, "a recording that was cut off cannot be saved yet");
                refused.push(path);
            }
        }
    }
    Ok(refused)
}

/// Does so with one file, if it is one of ours.
pub(super) fn repair_file(catalogue: &Catalogue, path: &Path, tell: &dyn Fn(Ready)) -> io::Result<()> {
    let Some(found) = Found::at(path) else { return Ok(()) };
    match put_right(path, &found) {
        Ok(Some(note)) => {
            let call_id = &found.call_id;
            rename_noted((path, &found.whole), || {
                catalogue.add(call_id, note.clone()).map_err(io::Error::other)
            })?;
            info!(call_id, duration_ms = note.duration_ms, "a recording that was cut off is saved");
            tell(Ready::of(catalogue, call_id, note));
            Ok(())
        }
        // A copy of which the whole still stands beside it, or a file without a sound.
        Ok(None) => std::fs::remove_file(path),
        Err(error) if matches!(error.kind(), io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof) => {
            warn!(path = %path.display(), %error, "a recording that was cut off is left as it is");
            Ok(())
        }
        Err(error) => Err(error),
    }
}

/// What the path of a growing file tells.
struct Found {
    whole: PathBuf,
    name: String,
    call_id: String,
    take: u32,
    part: Part,
    /// Earlier versions did not say it.
    started_ms: Option<u64>,
    lost_ms: u64,
}

impl Found {
    fn at(path: &Path) -> Option<Self> {
        let (whole, started_ms, lost_ms) = parse_growing_path(path)?;
        let name = whole.file_name()?.to_str()?.to_owned();
        let (call_id, take, part) = parse_name(&name)?;
        let is_of_its_day = whole.parent()?.file_name()? == day_of(&call_id).as_str();
        is_of_its_day.then_some(Self { whole, name, call_id, take, part, started_ms, lost_ms })
    }
}

fn put_right(path: &Path, found: &Found) -> io::Result<Option<FileNote>> {
    let Found { name, part, .. } = found;
    let file = File::options().read(true).write(true).open(path)?;
    // The best that is known of files whose name does not say when they began; putting right changes it.
    let modified = file.metadata()?.modified()?.duration_since(std::time::UNIX_EPOCH);
    let modified_ms = modified.map_or(0, |time| u64::try_from(time.as_millis()).unwrap_or(0));
    let is_opus = name.ends_with(".ogg");
    let (sample_rate, channels, duration_ms) = if file.metadata()?.len() == 0 {
        return Ok(None);
    } else if is_opus {
        let played = close_ogg(&file)?.saturating_sub(PRE_SKIP);
        (48_000, if *part == Part::Voicemail { 1 } else { 2 }, played / 48)
    } else {
        let sound = wav::put_right(&file)?;
        let (sample_rate, channels) = wav::form(&file)?;
        (sample_rate, channels, sound * 1_000 / (u64::from(sample_rate) * u64::from(channels) * 2))
    };
    if duration_ms == 0 || *part == Part::Bot {
        return Ok(None);
    }
    file.sync_all()?;
    Ok(Some(FileNote {
        file: format!("{}/{name}", day_of(&found.call_id)),
        take: found.take,
        part: *part,
        format: if is_opus { "opus" } else { "wav" }.to_owned(),
        sample_rate,
        channels,
        bytes: file.metadata()?.len(),
        started_ms: found.started_ms.unwrap_or(modified_ms.saturating_sub(duration_ms)),
        duration_ms,
        lost_ms: found.lost_ms,
        is_cut: true,
        ..FileNote::default()
    }))
}

/// The call, the take and the part of a name.
pub(super) fn parse_name(name: &str) -> Option<(String, u32, Part)> {
    let (name, format) = name.rsplit_once('.')?;
    let mut words = name.split('-');
    let (call_id, take, part) = (words.next()?, words.next()?, words.next()?);
    let random = words.next()?;
    let is_ours = super::is_call_id(call_id)
        && matches!(format, "wav" | "ogg")
        && random.len() == RANDOM_CHARS
        && random.bytes().all(|byte| byte.is_ascii_hexdigit())
        && words.next().is_none();
    is_ours.then_some(())?;
    Some((call_id.to_owned(), take.parse().ok()?, Part::parse(part)?))
}
