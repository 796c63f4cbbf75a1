//! Recordings of foreign phones' calls, judged by foreign ears on both channels, and what kill -9 leaves of one.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::folder::Folder;
use super::gateway::Gateway;
use super::phone::{self, Dial};
use super::program::Program;
use super::{ask, peer, sound};

const NUMBERS: &str = "\
[[numbers]]\nnumber = \"1\"\nbot = \"echo\"\nrecording = true\n\
[[numbers]]\nnumber = \"2\"\nbot = \"echo\"\nrecording = { format = \"opus\" }\n";

#[tokio::test]
async fn both_channels_of_a_foreign_phones_recording_hold_what_was_said_and_what_was_heard() {
    let folder = Folder::new("recordings");
    let gateway = Gateway::start(folder.path(), NUMBERS).await;
    for (number, ending) in [("1", "wav"), ("2", "ogg")] {
        let heard = folder.file(&format!("heard-{number}.wav"));
        let dial = Dial::new(gateway.sip_uri(number), 6.0, &heard);
        let call = phone::call(number, &dial, folder.path()).await;
        assert_eq!(call.summary["ok"], true, "{} {:?}", call.summary, call.events);
        let recording = ask::until(PATIENCE, || recordings(folder.path(), ending).pop()).await;
        let recording = recording.unwrap_or_else(|| panic!("no {ending}: {}", gateway.log()));
        let [caller, played] = split(&recording, &folder).await;
        let said = sound::judge(&caller, 0.0, None).await;
        assert!(said.correlation() > 0.9 && said.silent() < 5.0, "{ending}: the caller: {said:?}");
        assert!(said.delay_ms().abs() <= 20.0, "{ending}: {said:?}");
        // The phone's own ears are the measure of what it was sent.
        let by_phone = sound::judge(&heard, 0.0, None).await;
        let on_tape = sound::judge(&played, 0.0, None).await;
        let good_enough = (by_phone.correlation() - 0.1).min(0.9);
        assert!(on_tape.correlation() > good_enough, "{ending}: {on_tape:?}, the phone heard {by_phone:?}");
    }
    assert!(gateway.stop().await.success());
}

#[tokio::test]
async fn a_recording_that_kill_9_cuts_off_plays_to_within_a_second_of_it() {
    let folder = Folder::new("recording-kill");
    let gateway = Gateway::start(folder.path(), NUMBERS).await;
    let heard = folder.file("heard.wav");
    let dial = Dial::new(gateway.sip_uri("1"), 8.0, &heard);
    let mut talking = Box::pin(phone::call("killed", &dial, folder.path()));
    let enough = |path: &PathBuf| std::fs::metadata(path).is_ok_and(|file| file.len() > 100_000);
    let grown = ask::until(PATIENCE, || recordings(folder.path(), "part").into_iter().find(&enough));
    let growing = tokio::select! {
        grown = grown => grown.expect("a recording that grows"),
        call = &mut talking => panic!("the call ended first: {}", call.summary),
    };
    let created = std::fs::metadata(&growing).unwrap().created().unwrap();
    let lasted = created.elapsed().unwrap();
    gateway.kill().await;
    let gateway = Gateway::start(folder.path(), NUMBERS).await;
    let saved = recordings(folder.path(), "wav").pop().expect("the recording has its name");
    let file = hound::WavReader::open(&saved).unwrap();
    let plays = Duration::from_millis(u64::from(file.duration()) / 8);
    assert!(plays + Duration::from_secs(1) >= lasted, "{plays:?} of {lasted:?}");
    assert!(recordings(folder.path(), "part").is_empty());
    drop(talking);
    assert!(gateway.stop().await.success());
}

/// The recordings with that ending.
pub fn recordings(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let days = std::fs::read_dir(folder.join("patchcord-data/recordings")).into_iter().flatten().flatten();
    let files = days.flat_map(|day| std::fs::read_dir(day.path()).into_iter().flatten().flatten());
    let paths = files.map(|file| file.path());
    paths.filter(|path| path.extension().is_some_and(|end| end == ending)).collect()
}

/// Each channel as a file of its own, decoded by FFmpeg.
pub async fn split(recording: &Path, folder: &Folder) -> [String; 2] {
    let sides = ["left.wav", "right.wav"].map(|name| folder.file(name));
    let (script, from) = (peer("python/channels.py").display().to_string(), recording.display().to_string());
    let arguments = [script.as_str(), &from, &sides[0], &sides[1]];
    let splitter = Program::start("channels", peer(".venv/bin/python"), arguments, folder.path());
    assert!(splitter.finish(PATIENCE).await.1.success());
    sides
}

const PATIENCE: Duration = Duration::from_secs(30);
