//! A foreign bot: a WebSocket server that judges the gateway's calls.

use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use super::peer;
use super::program::Program;

/// A foreign bot that takes one call.
pub struct Bot {
    program: Program,
    /// Its WebSocket address.
    pub url: String,
}

impl Bot {
    /// Starts a bot of `dialect` for one call; `heard` is the WAV of what its caller says.
    pub async fn start(name: &str, dialect: &str, options: &[&str], heard: &str, folder: &Path) -> Self {
        let log = folder.join(format!("{name}.jsonl")).display().to_string();
        let first = ["bot", dialect, "--calls", "1", "--record", heard, "--log", &log];
        let arguments = first.iter().chain(options);
        let mut program = Program::start(name, peer("run"), arguments, folder);
        let port = program.line_after("LISTENING ", START_MAX).await;
        Self { program, url: format!("ws://127.0.0.1:{port}/{name}") }
    }

    /// What it thinks of its call.
    pub async fn verdict(&mut self, patience: Duration) -> Value {
        self.program.json_after("VERDICT ", patience).await
    }
}

/// Python needs its time on a busy machine.
pub const START_MAX: Duration = Duration::from_secs(30);
