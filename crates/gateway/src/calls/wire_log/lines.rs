//! The lines of a call's wire log: their form in the file, and reading them back.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One message as it stands in the file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WireLine {
    /// When, in milliseconds since 1970 (UTC).
    pub unix_ms: u64,
    /// On which wire.
    pub wire: WireName,
    /// Which way.
    pub flow: Flow,
    /// The other end: transport and address for SIP, else the dialect.
    pub peer: String,
    /// Length on the wire.
    pub bytes: usize,
    /// Whether it carried audio.
    pub audio: bool,
    /// What may be shown of it.
    pub message: Value,
}

/// The wires of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WireName {
    /// SIP to and from the phone.
    Sip,
    /// The WebSocket of a vendor.
    Vendor,
    /// The WebSocket to the bot.
    Bot,
}

/// Which way a message went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Flow {
    /// Towards us.
    In,
    /// From us.
    Out,
}

/// The lines of a call, oldest first; a line that a crash cut short is left out.
///
/// # Errors
/// [`io::ErrorKind::NotFound`] where the call left none: the wire log was off, or newer calls took its place.
pub fn read(data_dir: &Path, call_id: &str) -> io::Result<Vec<WireLine>> {
    let path = file_of(data_dir, call_id).ok_or(io::ErrorKind::NotFound)?;
    let mut lines = Vec::new();
    for line in BufReader::new(File::open(path)?).lines() {
        lines.extend(serde_json::from_str(&line?).ok());
    }
    Ok(lines)
}

/// The file of a call; `None` where the id cannot be one.
pub fn file_of(data_dir: &Path, call_id: &str) -> Option<PathBuf> {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    let is_name = !call_id.is_empty() && call_id.len() <= 128 && call_id.chars().all(plain);
    is_name.then(|| folder(data_dir).join(format!("{call_id}.{EXTENSION}")))
}

/// The folder of all calls.
pub fn folder(data_dir: &Path) -> PathBuf {
    data_dir.join("wire")
}

/// Of the files of calls.
pub const EXTENSION: &str = "jsonl";
