//! A foreign phone and the built-in bots: the parrot says what it heard, the menu leads to the bot behind a key.

use std::path::Path;

use futures_util::future::join_all;
use serde_json::json;

use super::folder::Folder;
use super::gateway::Gateway;
use super::phone::{self, Dial};
use super::{peer, sound};

/// When the caller speaks, in seconds; the rest is silence.
const UTTERANCES: [(f64, f64); 2] = [(0.5, 2.5), (6.0, 8.0)];
/// How long the call lasts.
const SECONDS: f64 = 11.0;
/// A parrot waits for 0.4 s before it speaks; what it says is judged a little inside of its ends.
const REPEATS: [(f64, f64); 2] = [(3.5, 4.5), (9.0, 10.0)];
const RATE: f64 = 8_000.0;

#[tokio::test]
async fn a_parrot_is_silent_while_the_caller_speaks_and_repeats_each_utterance_after_its_pause() {
    let folder = Folder::new("parrot");
    let said = folder.file("said.wav");
    write_utterances(&said);
    let gateway = Gateway::start(folder.path(), "").await;
    let calls = ["PCMU", "PCMA"].map(|codec| {
        let (gateway, folder, said) = (&gateway, &folder, &said);
        async move {
            let heard = folder.file(&format!("{codec}.wav"));
            let options = vec!["--play".to_owned(), said.clone()];
            let dial = Dial { codec, options, ..Dial::new(gateway.sip_uri("parrot"), SECONDS, &heard) };
            let call = phone::call(&format!("parrot-{codec}"), &dial, folder.path()).await;
            assert_eq!(call.summary["ok"], true, "{codec}: {} {:?}", call.summary, call.events);
            for (from, to) in UTTERANCES {
                let loudest = peak(&heard, from + 0.3, to);
                assert!(loudest < 0.02, "{codec}: it spoke at {from} s, as loud as {loudest}");
            }
            for (from, to) in REPEATS {
                let heard = sound::judge_against(Path::new(said), &heard, from, Some(to)).await;
                assert!(heard.correlation() >= 0.99, "{codec}: at {from} s {heard:?}");
            }
        }
    });
    join_all(calls).await;
    for record in gateway.records_when(2).await {
        assert_eq!((&record["bots"], &record["counters"]["clears"]), (&json!(["parrot"]), &json!(0)));
    }
    assert!(gateway.stop().await.success());
}

#[tokio::test]
async fn a_key_typed_on_a_phone_leads_from_the_menu_to_the_echo() {
    let folder = Folder::new("menu");
    let gateway = Gateway::start(folder.path(), "").await;
    let heard = folder.file("heard.wav");
    let dial = Dial { digits: Some("1@2s".to_owned()), ..Dial::new(gateway.sip_uri("ivr"), 8.0, &heard) };
    let call = phone::call("menu", &dial, folder.path()).await;
    assert_eq!(call.summary["ok"], true, "{} {:?}", call.summary, call.events);
    assert!(peak(&heard, 0.5, 2.0) > 0.2, "the menu was not heard");
    let echo = sound::judge(&heard, 3.5, None).await;
    assert!(echo.is_good(), "{echo:?}");
    let record = gateway.record("to", "ivr").await.unwrap();
    assert_eq!((&record["bots"], &record["bot"]), (&json!(["ivr", "echo"]), &json!("echo")));
    assert_eq!(record["counters"]["digits_in"], 1);
    assert!(gateway.stop().await.success());
}

/// The sound of the peers, at [`UTTERANCES`] only.
fn write_utterances(path: &str) {
    let mut wav = hound::WavReader::open(peer("sounds/aperiodic.wav")).unwrap();
    let spec = wav.spec();
    let mut out = hound::WavWriter::create(path, spec).unwrap();
    for (at, sample) in wav.samples::<i16>().take((RATE * (SECONDS + 4.0)) as usize).enumerate() {
        let seconds = at as f64 / RATE;
        let speaks = UTTERANCES.iter().any(|(from, to)| (*from..*to).contains(&seconds));
        out.write_sample(if speaks { sample.unwrap() } else { 0 }).unwrap();
    }
    out.finalize().unwrap();
}

/// The loudest sample between two seconds, 1 for full scale.
fn peak(path: &str, from: f64, to: f64) -> f64 {
    let mut wav = hound::WavReader::open(path).unwrap();
    let rate = f64::from(wav.spec().sample_rate) * f64::from(wav.spec().channels);
    let samples = wav.samples::<i16>().skip((from * rate) as usize).take(((to - from) * rate) as usize);
    samples.map(|sample| f64::from(sample.unwrap().unsigned_abs()) / 32_768.0).fold(0.0, f64::max)
}
