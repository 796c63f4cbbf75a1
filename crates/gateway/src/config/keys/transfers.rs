//! The keys of `[transfers]`.

use super::super::declaration::Default::{Absent, Is};
use super::super::declaration::{Declaration, Kind, key};

pub(super) const KEYS: &[Declaration] = &[
    key(
        "transfers.ring",
        Kind::Duration,
        Is("\"30s\""),
        "How long each destination of a transfer may ring; at most `3m`.",
    ),
    key(
        "transfers.confirm",
        Kind::Flag,
        Is("false"),
        "Whether whoever answers a transfer has to press 1 within 10 s: a mobile's voicemail presses nothing.",
    ),
    key(
        "transfers.whisper",
        Kind::Text,
        Absent("two beeps"),
        "What whoever answers hears before it presses 1: a WAV file, 16-bit mono at 8 or 16 kHz, up to a minute.",
    ),
];
