//! The audio oracle of the foreign peers, `peers/wavcheck.py`: was what was said heard, whole and in time?

use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::Semaphore;

use super::program::Program;
use super::{is_long, peer};

/// What the oracle says of a recording.
#[derive(Debug, Clone, Default)]
pub struct Hearing(Value);

impl Hearing {
    /// Median correlation of half-second windows.
    pub fn correlation(&self) -> f64 {
        self.0["median_corr"].as_f64().unwrap_or(0.0)
    }

    /// Share of silent frames, in percent.
    pub fn silent(&self) -> f64 {
        self.0["silent_percent"].as_f64().unwrap_or(100.0)
    }

    /// By how much the recording lies behind what was played.
    pub fn delay_ms(&self) -> f64 {
        self.0["delay_ms"].as_f64().unwrap_or(0.0)
    }

    /// Whether the pass line was reached.
    pub fn is_good(&self) -> bool {
        self.0["ok"] == true
    }

    /// DTMF digits in the recording.
    pub fn digits(&self) -> &str {
        self.0["digits"].as_str().unwrap_or_default()
    }

    /// Milliseconds of a pure tone of that frequency.
    pub fn tone_ms(&self, hertz: &str) -> u64 {
        self.0["tone_ms"][hertz].as_u64().unwrap_or(0)
    }
}

/// Judges `heard` against the sound that callers play, between two seconds of it.
pub async fn judge(heard: &str, from: f64, to: Option<f64>) -> Hearing {
    judge_against(&peer("sounds/aperiodic.wav"), heard, from, to).await
}

/// Judges `heard` against `reference`.
pub async fn judge_against(reference: &Path, heard: &str, from: f64, to: Option<f64>) -> Hearing {
    // The oracle is heavy: judging many recordings at once would disturb the calls that are still up.
    static ORACLES: Semaphore = Semaphore::const_new(1);
    let _turn = ORACLES.acquire().await.unwrap();
    let script = peer("wavcheck.py").display().to_string();
    let (reference, from) = (reference.display().to_string(), from.to_string());
    let to = to.map(|to| to.to_string());
    // Below the calls that are up: a judgement may take its time, a frame may not.
    let python = peer(".venv/bin/python").display().to_string();
    let mut arguments =
        vec!["-n", "19", &python, script.as_str(), &reference, heard, "--json", "--from", &from];
    if !is_long() {
        arguments.extend(SHORT);
    }
    if to.is_none() && from.parse::<f64>() != Ok(0.0) {
        arguments.extend(RESUMED);
    }
    if let Some(to) = &to {
        arguments.extend(["--to", to]);
    }
    let folder = std::env::temp_dir();
    let name = format!("patchcord-wavcheck-{}", std::process::id());
    let one_thread = [("OPENBLAS_NUM_THREADS", "1".to_owned())];
    let oracle = Program::start_with(&name, "nice", arguments, &folder, &one_thread);
    let (lines, _) = oracle.finish(JUDGE_MAX).await;
    let _ = std::fs::remove_file(folder.join(format!("{name}.err")));
    Hearing(lines.first().and_then(|line| serde_json::from_str(line).ok()).unwrap_or_default())
}

/// Short calls run beside builds and other tests, where a frame of the bot's may come too late once: what follows it
/// then lies one frame behind. Long calls are held to the oracle's own 5 ms.
const SHORT: [&str; 2] = ["--slack-ms", "25"];

/// A stretch of some seconds after a pause: the one frame that may be late when the echo resumes is a larger share of
/// it than the pass line for half a minute allows (one of seven windows, one frame of 175).
const RESUMED: [&str; 4] = ["--min-good", "85", "--max-silent", "0.6"];

const JUDGE_MAX: Duration = Duration::from_secs(60);
