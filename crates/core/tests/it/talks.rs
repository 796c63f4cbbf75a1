//! Replays every talk of every dialect; `UPDATE=1` writes what came into the talks instead of comparing.

use std::path::{Path, PathBuf};

use patchcord_core::dialect::registry::DIALECTS;
use patchcord_testkit::talk::{Role, Talk};

fn folder(dialect: &str) -> PathBuf {
    let folder = dialect.replace('-', "_");
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/dialect").join(folder).join("talks")
}

fn talk_files(dialect: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder(dialect)).into_iter().flatten();
    let files = entries.map(|entry| entry.unwrap().path());
    let mut talks: Vec<_> = files.filter(|path| path.extension().is_some_and(|ext| ext == "talk")).collect();
    talks.sort();
    talks
}

#[test]
fn every_talk_of_every_dialect_goes_as_written() {
    let update = std::env::var("UPDATE").is_ok_and(|value| value == "1");
    let mut failures = Vec::new();
    for row in DIALECTS {
        for path in talk_files(row.name) {
            let replayed = Talk::read(&path).and_then(|talk| {
                assert_eq!(talk.dialect(), row.name, "{} stands in another dialect's folder", path.display());
                talk.replay()
            });
            match replayed {
                Ok(replayed) if update => std::fs::write(&path, replayed.rewritten()).unwrap(),
                Ok(replayed) => failures.extend(replayed.failure().map(ToString::to_string)),
                Err(failure) => failures.push(failure.to_string()),
            }
        }
    }
    assert!(failures.is_empty(), "talks that fail: {}\n\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn every_dialect_has_talks_of_both_its_ends() {
    for row in DIALECTS {
        let talks: Vec<_> = talk_files(row.name).iter().filter_map(|path| Talk::read(path).ok()).collect();
        for role in [Role::BotSide, Role::PhoneSide] {
            assert!(talks.iter().any(|talk| talk.role() == role), "{} has no talk of its {role:?}", row.name);
        }
    }
}
