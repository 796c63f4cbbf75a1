//! A foreign phone: baresip, which dials, plays, types, hears and records.

use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use super::peer;
use super::program::Program;

/// One call to make.
pub struct Dial<'a> {
    /// `sip:NAME@HOST:PORT`.
    pub target: String,
    /// The caller's number.
    pub from: &'a str,
    /// PCMU, PCMA, G722 or opus.
    pub codec: &'a str,
    /// What else `baresip.py` is told, as `--ipv6`.
    pub options: Vec<String>,
    /// Seconds until it hangs up, or the longest that the other end may take to.
    pub seconds: f64,
    /// `512@4s`.
    pub digits: Option<String>,
    /// Whether the other end is expected to hang up.
    pub hung_up_by_them: bool,
    /// Where to record what was heard.
    pub record: &'a str,
}

impl<'a> Dial<'a> {
    /// A call of so many seconds without digits that the phone ends.
    pub fn new(target: String, seconds: f64, record: &'a str) -> Self {
        let (from, codec) = ("+919876543210", "PCMU");
        let (options, digits) = (Vec::new(), None);
        Self { target, from, codec, options, seconds, digits, hung_up_by_them: false, record }
    }
}

/// What the phone tells of its call.
pub struct PhoneCall {
    /// Every event, in order.
    pub events: Vec<Value>,
    /// The last line.
    pub summary: Value,
}

impl PhoneCall {
    /// The wall clock at the first event of that name.
    pub fn unix_ms(&self, event: &str) -> Option<i64> {
        self.events.iter().find(|row| row["event"] == event)?["unix_ms"].as_i64()
    }
}

/// Makes the call to its end.
pub async fn call(name: &str, dial: &Dial<'_>, folder: &Path) -> PhoneCall {
    let seconds = dial.seconds.to_string();
    let work = folder.join(format!("{name}-baresip")).display().to_string();
    let by = if dial.hung_up_by_them { "them" } else { "us" };
    let mut arguments = vec![
        dial.target.as_str(),
        "--seconds",
        &seconds,
        "--record",
        dial.record,
        "--workdir",
        &work,
        "--codec",
        dial.codec,
        "--from",
        dial.from,
        "--hangup-by",
        by,
    ];
    arguments.extend(dial.options.iter().map(String::as_str));
    if let Some(digits) = &dial.digits {
        arguments.extend(["--digits", digits]);
    }
    let phone = Program::start(name, peer("baresip.py"), arguments, folder);
    let patience = Duration::from_secs_f64(dial.seconds) + SETUP_MAX;
    let (lines, _) = phone.finish(patience).await;
    let mut events: Vec<Value> = lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    let summary = events.pop().unwrap_or_default();
    PhoneCall { events, summary }
}

/// Start of the phone, ringing, the end, and a busy machine.
const SETUP_MAX: Duration = Duration::from_secs(60);
