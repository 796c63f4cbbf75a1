//! A foreign vendor: a WebSocket client that holds the phone and dials the gateway.

use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use super::peer;
use super::program::Program;

/// Makes one call of `dialect` to `url` and returns the vendor's verdict.
pub async fn call(name: &str, dialect: &str, url: &str, options: &[&str], folder: &Path) -> Value {
    let sound = peer("sounds/aperiodic.wav").display().to_string();
    let first = ["vendor", dialect, "--url", url, "--play", &sound];
    let mut vendor = Program::start(name, peer("run"), first.iter().chain(options), folder);
    vendor.json_after("VERDICT ", CALL_MAX).await
}

/// The call's own id in what a vendor said first.
pub fn call_id(verdict: &Value) -> &str {
    let start = &verdict["start"];
    let places = [
        &start["ucid"],
        &start["sessionId"],
        &start["start"]["call_sid"],
        &start["start"]["callId"],
        &start["start"]["callSid"],
    ];
    places.into_iter().find_map(Value::as_str).unwrap_or_default()
}

const CALL_MAX: Duration = Duration::from_secs(120);
