//! What an earlier process left behind when it was killed: recordings that had not ended become whole files.

use std::fs::File;
use std::io;
use std::path::Path;

use tracing::{info, warn};

use super::catalogue::{Catalogue, FileNote, Part, sorted};
use super::disk::close_ogg;
use super::opus_file::PRE_SKIP;
use super::recorder::{GROWING, RANDOM_CHARS, Ready};
use super::{day_of, wav};
use crate::durable::rename;

/// Puts every growing file right, names it, notes it and tells of it; nobody may be recording meanwhile. Files that have
/// no name of ours, or stand in another folder than their call's day, are somebody else's.
pub(super) fn repair(catalogue: &Catalogue, tell: &dyn Fn(Ready)) -> io::Result<()> {
    for day in sorted(catalogue.recordings())? {
        for path in sorted(&day).unwrap_or_default() {
            if path.extension().is_none_or(|end| end != GROWING) {
                continue;
            }
            let whole = path.with_extension("");
            let Some(name) = whole.file_name().and_then(|name| name.to_str()) else { continue };
            let Some(parsed) = parse_name(name) else { continue };
            if day.file_name().is_none_or(|folder| folder != day_of(&parsed.0).as_str()) {
                continue;
            }
            match repair_file(&path, name, parsed) {
                Ok(Some((call_id, note))) => {
                    catalogue.add(&call_id, note.clone()).map_err(io::Error::other)?;
                    info!(call_id, duration_ms = note.duration_ms, "a recording that was cut off is saved");
                    tell(Ready::of(catalogue, &call_id, note));
                }
                // A copy of which the whole still stands beside it, or a file without a sound.
                Ok(None) => std::fs::remove_file(&path)?,
                Err(error) => {
                    warn!(path = %path.display(), %error, "a recording that was cut off is left as it is")
                }
            }
        }
    }
    Ok(())
}

fn repair_file(
    path: &Path,
    name: &str,
    (call_id, take, part): (String, u32, Part),
) -> io::Result<Option<(String, FileNote)>> {
    let file = File::options().read(true).write(true).open(path)?;
    let is_opus = name.ends_with(".ogg");
    let (sample_rate, channels, duration_ms) = if is_opus {
        let played = close_ogg(&file)?.saturating_sub(PRE_SKIP);
        (48_000, if part == Part::Voicemail { 1 } else { 2 }, played / 48)
    } else {
        let sound = wav::put_right(&file)?;
        let (sample_rate, channels) = wav::form(&file)?;
        (sample_rate, channels, sound * 1_000 / (u64::from(sample_rate) * u64::from(channels) * 2))
    };
    if duration_ms == 0 || part == Part::Bot {
        return Ok(None);
    }
    file.sync_all()?;
    let metadata = file.metadata()?;
    let ended_ms =
        metadata.modified()?.duration_since(std::time::UNIX_EPOCH).map_or(0, |time| time.as_millis());
    let ended_ms = u64::try_from(ended_ms).unwrap_or(0);
    rename(path, &path.with_extension(""))?;
    let note = FileNote {
        file: format!("{}/{name}", day_of(&call_id)),
        take,
        part,
        format: if is_opus { "opus" } else { "wav" }.to_owned(),
        sample_rate,
        channels,
        bytes: metadata.len(),
        started_ms: ended_ms.saturating_sub(duration_ms),
        duration_ms,
        is_cut: true,
        ..FileNote::default()
    };
    Ok(Some((call_id, note)))
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
