//! A browser that nobody here wrote talks to bots by a microphone that hears a file: what comes back is judged at both
//! ends, the server's recording and what the page gives to its loudspeaker.

use std::path::Path;

use super::dashboard::{has_dashboard, pictures, run};
use super::folder::Folder;
use super::gateway::Gateway;
use super::peer;
use super::recordings::split;
use super::sound::judge;

#[tokio::test]
async fn a_browser_hears_itself_through_the_echo_and_its_keys_tones_and_troubles_are_told() {
    let folder = Folder::new("talk-page");
    let gateway = Gateway::start(folder.path(), "").await;
    if !has_dashboard(&gateway) {
        assert!(gateway.stop().await.success());
        return;
    }
    let (url, out) = (format!("http://{}", gateway.http), pictures(&folder));
    let sound = peer("sounds/aperiodic.wav").display().to_string();
    let arguments = ["--url", &url, "--out", &out, "--microphone", &sound, "--seconds", "14"];
    let verdict = run("talk", &arguments, &folder).await;
    assert_eq!(verdict["violations"], serde_json::json!([]), "{}", gateway.log());
    let record = gateway.record("call_id", verdict["call_id"].as_str().unwrap()).await.unwrap();
    assert_eq!((&record["from"], &record["bot"]), (&"browser".into(), &"echo".into()), "{record}");

    let [caller, heard] = split(&Path::new(&out).join("recorded.wav"), &folder).await;
    for side in [caller, heard] {
        let hearing = judge(&side, SETTLED, Some(13.5)).await;
        assert!(hearing.is_good(), "{side}: {hearing:?}");
    }
    let [played, _] = split(&Path::new(&out).join("played.wav"), &folder).await;
    let hearing = judge(&played, SETTLED, Some(13.5)).await;
    assert!(hearing.correlation() > 0.95, "the loudspeaker: {hearing:?}");
    assert!(gateway.stop().await.success());
}

/// Seconds after which what piled up while the page opened is worked off, a millisecond a frame.
const SETTLED: f64 = 3.0;
