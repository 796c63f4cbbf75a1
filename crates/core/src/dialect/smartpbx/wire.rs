//! The messages of `smartpbx` as they stand on the wire, to read; writing is done by hand.
//!
//! Every field may be missing: what must be there is decided by the ends, which name it. Source: seed 004.

use serde::Deserialize;

use crate::dialect::json::{Base64Text, Number, Text};

/// A message with audio (seed 004 "media"), or any other without it.
#[derive(Debug, Deserialize)]
pub struct MediaMessage<'a> {
    #[serde(borrow)]
    pub event: Option<Text<'a>>,
    #[serde(borrow)]
    pub media: Option<Media<'a>>,
}

#[derive(Debug, Deserialize)]
pub struct Media<'a> {
    #[serde(borrow)]
    pub payload: Option<Base64Text<'a>>,
}

/// What every message says of its kind.
#[derive(Debug, Deserialize)]
pub struct Head<'a> {
    #[serde(borrow)]
    pub event: Option<Text<'a>>,
}

/// Seed 004 "start".
#[derive(Debug, Deserialize)]
pub struct StartMessage<'a> {
    #[serde(borrow)]
    pub start: Option<Start<'a>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Start<'a> {
    #[serde(borrow)]
    pub call_id: Option<Text<'a>>,
    #[serde(borrow)]
    pub other_leg_call_id: Option<Text<'a>>,
    #[serde(borrow)]
    pub caller_id_number: Option<Text<'a>>,
    #[serde(borrow)]
    pub callee_id_number: Option<Text<'a>>,
    #[serde(borrow)]
    pub account_id: Option<Text<'a>>,
    #[serde(borrow)]
    pub media_format: Option<MediaFormat<'a>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MediaFormat<'a> {
    #[serde(borrow)]
    pub encoding: Option<Text<'a>>,
    pub sample_rate: Option<Number>,
}

/// Seed 004 "hangup".
#[derive(Debug, Deserialize)]
pub struct HangupMessage<'a> {
    #[serde(borrow)]
    pub hangup: Option<Hangup<'a>>,
}

#[derive(Debug, Deserialize)]
pub struct Hangup<'a> {
    #[serde(borrow)]
    pub reason: Option<Text<'a>>,
}
