//! Recordings from a call's end to the disk, with the threads that write them.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use patchcord_core::call::{TapeKind, TapePiece};

use super::catalogue::{Catalogue, FileNote, Part, Place};
use super::recorder::{Ready, Recorder, RecorderThreads};
use super::retention::{delete_before, delete_call};
use super::studio::fact;
use super::{Folders, Sink};
use crate::config::RecordingFormat;

pub(super) const CALL: &str = "call_1707204900000_070707070707070707070707";

/// A recorder in a folder of its own.
pub(super) struct Desk {
    pub(super) root: PathBuf,
    pub(super) recorder: Recorder,
    threads: Option<RecorderThreads>,
    ready: Receiver<Ready>,
}

impl Desk {
    pub(super) fn open(name: &str) -> Self {
        let root = std::env::temp_dir().join(format!("patchcord-recording-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&root);
        Self::open_in(root)
    }

    pub(super) fn open_in(root: PathBuf) -> Self {
        let (told, ready) = channel();
        let tell = move |recording| told.send(recording).unwrap();
        let (recorder, threads) = Recorder::open(&folders(&root), tell).unwrap();
        Self { root, recorder, threads: Some(threads), ready }
    }

    pub(super) fn sink(&self, format: RecordingFormat) -> Sink {
        self.recorder.sink(CALL, format)
    }

    pub(super) fn ready(&self) -> Ready {
        self.ready.recv_timeout(PATIENCE).expect("a recording that is durable")
    }

    pub(super) fn catalogue(&self) -> &Arc<Catalogue> {
        self.recorder.catalogue()
    }

    pub(super) fn path(&self, ready: &Ready) -> PathBuf {
        self.catalogue().path_of(&ready.note)
    }

    /// Waits until `done`, in steps of the recorder's own.
    pub(super) fn until(&self, done: impl Fn() -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !done() {
            assert!(Instant::now() < deadline, "it never came to that");
            assert!(matches!(
                self.ready.recv_timeout(Duration::from_millis(20)),
                Err(RecvTimeoutError::Timeout)
            ));
        }
    }

    /// What grows.
    pub(super) fn growing(&self) -> Vec<PathBuf> {
        let days = std::fs::read_dir(self.root.join("recordings")).unwrap();
        let files = days.flat_map(|day| std::fs::read_dir(day.unwrap().path()).unwrap());
        let paths = files.map(|file| file.unwrap().path());
        paths.filter(|path| path.extension().is_some_and(|end| end == "part")).collect()
    }

    /// Starts anew in the same folder.
    pub(super) fn restarted(mut self) -> Self {
        self.threads.take().into_iter().for_each(RecorderThreads::join);
        Self::open_in(std::mem::take(&mut self.root))
    }

    /// The same folder as a killed process would leave it, in another place.
    pub(super) fn killed(&self) -> Self {
        let root = self.root.with_extension("killed");
        let _ = std::fs::remove_dir_all(&root);
        copy(&self.root, &root);
        Self::open_in(root)
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        let Some(threads) = self.threads.take() else { return };
        threads.join();
        let _ = std::fs::remove_dir_all(&self.root);
    }
}

fn folders(root: &Path) -> Folders {
    Folders::of(root, &root.join("recordings"))
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() { copy(&path, &target) } else { std::fs::copy(&path, &target).map(drop).unwrap() }
    }
}

/// A second of both sides: the caller climbs, the other falls.
pub(super) fn second() -> Vec<i16> {
    (0..8_000i16).flat_map(|at| [at, -at]).collect()
}

pub(super) fn record(sink: &mut Sink, seconds: usize) {
    for _ in 0..seconds {
        for piece in second().chunks(4_000) {
            sink.take(TapeKind::Call, TapePiece::Sound(piece));
        }
    }
}

pub(super) fn started() -> TapePiece<'static> {
    TapePiece::Started { sample_rate: 8_000 }
}

/// The samples of a WAV file, channel by channel.
pub(super) fn channels(path: &Path) -> (hound::WavSpec, Vec<Vec<i16>>) {
    let mut file = hound::WavReader::open(path).unwrap();
    let spec = file.spec();
    let samples: Vec<i16> = file.samples::<i16>().map(Result::unwrap).collect();
    let count = usize::from(spec.channels);
    (spec, (0..count).map(|channel| samples.iter().skip(channel).step_by(count).copied().collect()).collect())
}

#[test]
fn a_recording_is_a_file_of_both_sides_under_a_name_that_nobody_guesses_and_is_noted_and_told() {
    let desk = Desk::open("wav");
    let mut sink = desk.sink(RecordingFormat::Wav);
    sink.take(TapeKind::Call, started());
    record(&mut sink, 2);
    sink.take(TapeKind::Call, TapePiece::Silence(800));
    sink.take(TapeKind::Call, TapePiece::Stopped);
    let ready = desk.ready();
    let (spec, sides) = channels(&desk.path(&ready));
    assert_eq!((spec.channels, spec.sample_rate, spec.bits_per_sample), (2, 8_000, 16));
    assert_eq!((sides[0].len(), sides[1].len()), (16_800, 16_800));
    assert!(sides[0][..16_000].iter().zip(&sides[1]).all(|(left, right)| *left == -right));
    assert_eq!((sides[0][7_999], sides[0][16_500]), (7_999, 0));
    let name = ready.note.file.strip_prefix("2024-02-06/").unwrap();
    let random = name.rsplit('-').next().unwrap().strip_suffix(".wav").unwrap();
    assert!(name.starts_with(CALL) && random.len() == 32, "{name}");
    assert_eq!((ready.note.duration_ms, ready.note.lost_ms, ready.note.part), (2_100, 0, Part::Whole));
    let noted = desk.catalogue().find(CALL).unwrap().unwrap();
    assert_eq!(noted.files, std::slice::from_ref(&ready.note));
    assert_eq!(noted.bot_part(), noted.whole());
    assert!(desk.growing().is_empty());
}

#[test]
fn the_bots_part_is_a_file_of_its_own_as_soon_as_it_ends() {
    for format in [RecordingFormat::Wav, RecordingFormat::Opus] {
        let desk = Desk::open(format.word());
        let mut sink = desk.sink(format);
        sink.take(TapeKind::Call, started());
        record(&mut sink, 1);
        sink.take(TapeKind::Call, TapePiece::BotPartEnds(9_600));
        record(&mut sink, 1);
        let bot = desk.ready();
        assert_eq!((bot.note.part, bot.note.duration_ms), (Part::Bot, 1_200), "{format:?}");
        record(&mut sink, 1);
        sink.take(TapeKind::Call, TapePiece::Stopped);
        let whole = desk.ready();
        assert_eq!((whole.note.part, whole.note.duration_ms), (Part::Whole, 3_000));
        let noted = desk.catalogue().find(CALL).unwrap().unwrap();
        assert_eq!((noted.bot_part(), noted.whole()), (Some(&bot.note), Some(&whole.note)));
        if format == RecordingFormat::Wav {
            let (_, of_bot) = channels(&desk.path(&bot));
            let (_, of_call) = channels(&desk.path(&whole));
            assert_eq!(of_bot[0], of_call[0][..9_600]);
        } else {
            let bytes = std::fs::read(desk.path(&bot)).unwrap();
            let (at, end, _) = super::ogg::last_whole_page(&bytes).unwrap();
            assert_eq!((end, bytes[at + 5]), (bytes.len(), super::ogg::LAST));
        }
    }
}

#[test]
fn what_a_killed_process_was_recording_is_a_whole_file_after_the_next_start() {
    for format in [RecordingFormat::Wav, RecordingFormat::Opus] {
        let desk = Desk::open(&format!("kill-{}", format.word()));
        let mut sink = desk.sink(format);
        sink.take(TapeKind::Call, started());
        record(&mut sink, 2);
        // Two seconds are on the disk, of Opus some of them behind its 120 bytes of heading.
        let enough = if format == RecordingFormat::Wav { 64_000 } else { 500 };
        desk.until(|| desk.growing().iter().any(|path| std::fs::metadata(path).unwrap().len() >= enough));
        let restarted = desk.killed();
        let ready = restarted.ready();
        assert!(ready.note.is_cut && ready.note.duration_ms >= 250, "{:?}", ready.note);
        assert_eq!((&*ready.call_id, ready.note.take, ready.note.part), (CALL, 1, Part::Whole));
        assert!(restarted.growing().is_empty());
        if format == RecordingFormat::Wav {
            let (_, sides) = channels(&restarted.path(&ready));
            assert_eq!(sides[0].len() as u64, ready.note.duration_ms * 8);
            assert_eq!(sides[0][7_999], 7_999);
        }
        sink.take(TapeKind::Call, TapePiece::Stopped);
        desk.ready();
    }
}

#[test]
fn beyond_two_seconds_a_call_hands_nothing_over_and_does_not_wait() {
    let desk = Desk::open("backlog");
    let mut sink = desk.sink(RecordingFormat::Wav);
    sink.take(TapeKind::Call, started());
    let began = Instant::now();
    // A minute at once: what the recorder does not take meanwhile has no room.
    record(&mut sink, 60);
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    sink.take(TapeKind::Call, TapePiece::Stopped);
    let ready = desk.ready();
    assert_eq!(ready.note.duration_ms, 60_000, "the time stays");
}

#[test]
fn a_voicemail_is_one_channel() {
    let desk = Desk::open("voicemail");
    let mut sink = desk.sink(RecordingFormat::Wav);
    sink.take(TapeKind::Voicemail, started());
    sink.take(TapeKind::Voicemail, TapePiece::Sound(&[100; 8_000]));
    sink.take(TapeKind::Voicemail, TapePiece::Stopped);
    let ready = desk.ready();
    let (spec, sides) = channels(&desk.path(&ready));
    assert_eq!((spec.channels, sides[0].len(), ready.note.part), (1, 8_000, Part::Voicemail));
}

#[test]
fn a_message_that_was_dropped_leaves_no_file_and_no_note() {
    let desk = Desk::open("dropped");
    let mut sink = desk.sink(RecordingFormat::Wav);
    for last in [TapePiece::Dropped, TapePiece::Stopped] {
        sink.take(TapeKind::Voicemail, started());
        sink.take(TapeKind::Voicemail, TapePiece::Sound(&[100; 8_000]));
        sink.take(TapeKind::Voicemail, last);
    }
    let kept = desk.path(&desk.ready());
    let day = kept.parent().unwrap();
    desk.until(|| std::fs::read_dir(day).unwrap().count() == 1);
    assert!(kept.exists());
    assert_eq!(desk.catalogue().find(CALL).unwrap().unwrap().files.len(), 1);
}

#[test]
fn the_curve_of_a_call_is_kept_where_it_was_loud() {
    let desk = Desk::open("curve");
    let sink = desk.sink(RecordingFormat::Wav);
    sink.take_levels(0, &[1, 2, 3, 4]);
    sink.take_levels(4, &[5, 6]);
    desk.until(|| desk.recorder.curves().read(CALL).unwrap().is_some_and(|levels| levels.len() == 10));
    assert_eq!(desk.recorder.curves().read(CALL).unwrap().unwrap(), [1, 2, 3, 4, 0, 0, 0, 0, 5, 6]);
    assert_eq!(desk.recorder.curves().read("call_2_none").unwrap(), None);
}

#[tokio::test]
async fn what_is_old_or_not_wanted_is_deleted_and_its_note_says_when_and_why() {
    let desk = Desk::open("retention");
    for why in ["retention", "asked"] {
        let mut sink = desk.sink(RecordingFormat::Wav);
        sink.take(TapeKind::Call, started());
        record(&mut sink, 1);
        sink.take(TapeKind::Call, TapePiece::Stopped);
        let ready = desk.ready();
        let (catalogue, curves) = (desk.catalogue(), desk.recorder.curves());
        let ended = ready.note.started_ms + ready.note.duration_ms;
        assert_eq!(delete_before(catalogue, curves, None, ended).await.unwrap(), 0, "not yet");
        let deleted = match why {
            "retention" => delete_before(catalogue, curves, None, ended + 1).await.unwrap(),
            _ => delete_call(catalogue, None, CALL).await.unwrap().unwrap(),
        };
        assert_eq!(deleted, 1);
        assert!(!desk.path(&ready).exists());
        let noted = catalogue.find(CALL).unwrap().unwrap();
        let note = noted.files.iter().find(|note| note.file == ready.note.file).unwrap();
        let deletion = note.deletion.as_ref().unwrap();
        assert_eq!(deletion.why, why);
        assert!(deletion.at_ms >= ready.note.started_ms);
    }
    assert_eq!(delete_call(desk.catalogue(), None, "call_1_none").await.unwrap(), None);
}

#[tokio::test]
async fn a_recording_that_cannot_be_deleted_does_not_keep_the_others() {
    let desk = Desk::open("stuck");
    let lost = FileNote { file: "1970-01-01/lost.wav".into(), place: Place::Bucket, ..FileNote::default() };
    desk.catalogue().add("call_1_lost", lost).unwrap();
    let mut sink = desk.sink(RecordingFormat::Wav);
    sink.take(TapeKind::Call, started());
    record(&mut sink, 1);
    sink.take(TapeKind::Call, TapePiece::Stopped);
    let ready = desk.ready();
    // The bucket of the older one is not configured.
    let before_ms = ready.note.started_ms + ready.note.duration_ms + 1;
    let deleted = delete_before(desk.catalogue(), desk.recorder.curves(), None, before_ms).await.unwrap();
    assert_eq!(deleted, 1);
    assert!(!desk.path(&ready).exists());
    assert_eq!(desk.catalogue().find("call_1_lost").unwrap().unwrap().files[0].deletion, None);
}

#[test]
fn a_message_on_a_recorded_call_is_told_beside_the_call_and_a_recording_that_goes_on_is_not() {
    let desk = Desk::open("message");
    let mut sink = desk.sink(RecordingFormat::Wav);
    for (kind, is_told) in [(TapeKind::Call, true), (TapeKind::Voicemail, true), (TapeKind::Call, false)] {
        sink.take(kind, started());
        sink.take(kind, TapePiece::Sound(&[100; 8_000]));
        sink.take(kind, TapePiece::Stopped);
        let ready = desk.ready();
        assert_eq!(fact(&ready).is_some(), is_told, "{:?}", ready.note);
    }
}

#[test]
fn a_start_leaves_files_alone_that_are_not_ours() {
    let desk = Desk::open("foreign");
    let ours = |part: &str| format!("{CALL}-1-{part}-{}.wav.part", "0a".repeat(16));
    let names = [
        "2024-02-06/film.mkv.part".to_owned(),
        format!("2024-02-06/{CALL}-1-call-copy.wav.part"),
        format!("copies/{}", ours("call")),
    ];
    let cut_short = format!("2024-02-06/{}", ours("bot"));
    for name in names.iter().chain([&cut_short]) {
        let path = desk.root.join("recordings").join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, super::wav::header(8_000, 2, 0)).unwrap();
    }
    let restarted = desk.killed();
    let is_here = |name: &String| restarted.root.join("recordings").join(name).exists();
    assert!(names.iter().all(is_here), "{:?}", restarted.growing());
    assert!(!is_here(&cut_short), "the copy that never ended is gone");
}

/// How long a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(20);
