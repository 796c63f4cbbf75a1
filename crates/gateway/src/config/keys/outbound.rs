//! The keys of `[outbound]`.

use super::super::declaration::Default::Is;
use super::super::declaration::{Declaration, Kind, key};

pub(super) const KEYS: &[Declaration] = &[
    key("outbound.calls", Kind::Whole, Is("200"), "Calls that we placed at a time, by all trunks together."),
    key(
        "outbound.per_minute",
        Kind::Whole,
        Is("600"),
        "Calls that we place in a minute, by all trunks together.",
    ),
    key(
        "outbound.ring",
        Kind::Duration,
        Is("\"30s\""),
        "How long a phone that we call may ring where nobody says otherwise; at most `3m`.",
    ),
    key(
        "outbound.fallback",
        Kind::Text,
        Is("\"hang-up\""),
        "What a phone that we called gets when the bot fails: `hang-up` at once, or `sorry` (a clip first).",
    )
    .one_of(&["hang-up", "sorry"]),
];
