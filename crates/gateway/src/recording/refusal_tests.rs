//! Recordings on disks that refuse, and what a killed process could still say of them.

use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::time::{Duration, UNIX_EPOCH};

use patchcord_core::call::{TapeKind, TapePiece};

use super::catalogue::Part;
use super::recorder_tests::{CALL, Desk, channels, record, started};
use super::tape::{growing_path, parse_growing_path};
use crate::config::RecordingFormat;

/// Puts a file where the folder of the day belongs: until it is gone nothing can be written there.
fn block(desk: &Desk, folder: &str) -> PathBuf {
    let day = desk.root.join(folder).join("2024-02-06");
    std::fs::write(&day, "in the way").unwrap();
    day
}

fn is_failing(desk: &Desk) -> bool {
    desk.recorder.figures().failing.load(Ordering::Relaxed)
}

#[test]
fn two_seconds_wait_for_a_disk_that_refuses_and_what_comes_beyond_is_silence_and_said() {
    let desk = Desk::open("slow");
    let mut sink = desk.sink(RecordingFormat::Wav);
    let day = block(&desk, "recordings");
    sink.take(TapeKind::Call, started());
    record(&mut sink, 3);
    desk.until(|| is_failing(&desk));
    std::fs::remove_file(&day).unwrap();
    desk.until(|| !is_failing(&desk));
    record(&mut sink, 1);
    sink.take(TapeKind::Call, TapePiece::Stopped);
    let ready = desk.ready();
    assert_eq!((ready.note.duration_ms, ready.note.lost_ms), (4_000, 1_000));
    let (_, sides) = channels(&desk.path(&ready));
    assert_eq!(
        (sides[0].len(), sides[0][7_999], sides[0][15_999], sides[0][31_999]),
        (32_000, 7_999, 7_999, 7_999)
    );
    assert!(sides.iter().all(|side| side[16_000..24_000].iter().all(|sample| *sample == 0)));
    let figures = desk.recorder.figures();
    assert_eq!(
        (figures.damaged.load(Ordering::Relaxed), figures.lost_ms.load(Ordering::Relaxed)),
        (1, 1_000)
    );
}

#[test]
fn a_recording_that_ended_while_the_disk_refused_is_finished_and_told_once_it_takes_it() {
    for format in [RecordingFormat::Wav, RecordingFormat::Opus] {
        let desk = Desk::open(&format!("ended-{}", format.word()));
        let mut sink = desk.sink(format);
        let day = block(&desk, "recordings");
        sink.take(TapeKind::Call, started());
        record(&mut sink, 1);
        sink.take(TapeKind::Call, TapePiece::BotPartEnds(9_600));
        // Of the last forty seconds one finds room.
        record(&mut sink, 41);
        sink.take(TapeKind::Call, TapePiece::Stopped);
        desk.until(|| is_failing(&desk));
        std::fs::remove_file(&day).unwrap();
        let (bot, whole) = (desk.ready(), desk.ready());
        assert_eq!((bot.note.part, bot.note.duration_ms), (Part::Bot, 1_200), "{format:?}");
        assert_eq!(
            (whole.note.part, whole.note.duration_ms, whole.note.lost_ms),
            (Part::Whole, 42_000, 40_000)
        );
        assert!(whole.is_second_part && desk.growing().is_empty());
        if format == RecordingFormat::Opus {
            let bytes = std::fs::read(desk.path(&whole)).unwrap();
            let (_, end, granule) = super::ogg::last_whole_page(&bytes).unwrap();
            assert_eq!((end, granule), (bytes.len(), 312 + 42 * 48_000));
        }
    }
}

#[test]
fn the_bots_part_ends_where_it_did_though_all_that_followed_was_lost() {
    let desk = Desk::open("lost-end");
    let mut sink = desk.sink(RecordingFormat::Wav);
    let day = block(&desk, "recordings");
    sink.take(TapeKind::Call, started());
    record(&mut sink, 3);
    sink.take(TapeKind::Call, TapePiece::BotPartEnds(24_800));
    record(&mut sink, 2);
    sink.take(TapeKind::Call, TapePiece::Stopped);
    std::fs::remove_file(&day).unwrap();
    let (bot, whole) = (desk.ready(), desk.ready());
    assert_eq!((bot.note.part, bot.note.duration_ms), (Part::Bot, 3_100));
    assert_eq!((whole.note.part, whole.note.duration_ms, whole.note.lost_ms), (Part::Whole, 5_000, 3_000));
}

#[test]
fn a_recording_that_could_not_be_noted_is_noted_and_told_later() {
    let desk = Desk::open("unnoted");
    let day = block(&desk, "recorded-calls");
    let mut sink = desk.sink(RecordingFormat::Wav);
    sink.take(TapeKind::Call, started());
    record(&mut sink, 1);
    sink.take(TapeKind::Call, TapePiece::Stopped);
    desk.until(|| is_failing(&desk));
    assert_eq!(desk.growing().len(), 1, "without a note it has no name for good");
    std::fs::remove_file(&day).unwrap();
    let ready = desk.ready();
    assert_eq!(desk.catalogue().find(CALL).unwrap().unwrap().files, std::slice::from_ref(&ready.note));
    assert!(desk.path(&ready).exists() && desk.growing().is_empty());
    desk.until(|| !is_failing(&desk));
}

#[test]
fn what_a_killed_process_left_is_put_right_once_the_disk_takes_it() {
    let desk = Desk::open("late-repair");
    let mut sink = desk.sink(RecordingFormat::Wav);
    sink.take(TapeKind::Call, started());
    record(&mut sink, 1);
    desk.until(|| !desk.growing().is_empty());
    // The copy of the folder has it too.
    let day = block(&desk, "recorded-calls");
    let restarted = desk.killed();
    restarted.until(|| is_failing(&restarted));
    std::fs::remove_file(restarted.root.join("recorded-calls/2024-02-06")).unwrap();
    assert!(restarted.ready().note.is_cut);
    std::fs::remove_file(day).unwrap();
}

#[test]
fn a_killed_process_leaves_word_of_when_a_recording_began_and_what_of_it_was_lost() {
    let desk = Desk::open("word");
    let mut sink = desk.sink(RecordingFormat::Wav);
    sink.take(TapeKind::Call, started());
    // More at once than may wait.
    record(&mut sink, 60);
    let tells_lost = |path: &PathBuf| {
        path.file_stem().unwrap().to_str().unwrap().rsplit('.').next().unwrap().contains('-')
    };
    desk.until(|| desk.growing().iter().any(tells_lost));
    let restarted = desk.killed();
    let cut = restarted.ready().note;
    sink.take(TapeKind::Call, TapePiece::Stopped);
    let whole = desk.ready().note;
    assert_eq!((cut.started_ms, cut.file), (whole.started_ms, whole.file));
    assert!(
        cut.is_cut && cut.lost_ms > 0 && cut.lost_ms == whole.lost_ms,
        "{} {}",
        cut.lost_ms,
        whole.lost_ms
    );
}

#[test]
fn the_name_of_a_growing_file_tells_what_it_was_told() {
    let path = PathBuf::from("2024-02-06/call.wav");
    for lost_ms in [0, 1_200] {
        let growing = growing_path(&path, 1_707_204_900_000, lost_ms);
        assert_eq!(parse_growing_path(&growing), Some((path.clone(), Some(1_707_204_900_000), lost_ms)));
    }
    assert_eq!(parse_growing_path(&path.with_added_extension("part")), Some((path.clone(), None, 0)));
    assert_eq!(parse_growing_path(&path), None);
}

#[test]
fn a_file_whose_name_does_not_say_when_it_began_is_as_old_as_its_last_change_tells() {
    let desk = Desk::open("old-name");
    let folder = desk.root.join("recordings/2024-02-06");
    std::fs::create_dir_all(&folder).unwrap();
    let old = folder.join(format!("{CALL}-1-call-{}.wav.part", "0a".repeat(16)));
    let mut bytes = super::wav::header(8_000, 2, 0).to_vec();
    bytes.extend([0; 32_000 * 3]);
    std::fs::write(&old, bytes).unwrap();
    let changed = UNIX_EPOCH + Duration::from_millis(1_707_204_905_000);
    std::fs::File::options().write(true).open(&old).unwrap().set_modified(changed).unwrap();
    let desk = desk.restarted();
    let note = desk.ready().note;
    assert_eq!(
        (note.started_ms, note.duration_ms, note.lost_ms, note.is_cut),
        (1_707_204_902_000, 3_000, 0, true)
    );
}
