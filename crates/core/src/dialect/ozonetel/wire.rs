//! Ozonetel's messages as they stand on the wire: types to read them, nothing else.
//!
//! Media, which comes a hundred times a second, is read by [`super::media`]; these types read everything else, and
//! media that is written in an unusual way.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::dialect::json::Text;

/// Any message of either side; which one it is stands in `event`, else in `type`, else in `command`.
#[derive(Debug, Deserialize)]
pub(super) struct Message<'a> {
    #[serde(borrow, default)]
    pub(super) event: Option<Text<'a>>,
    #[serde(borrow, default, rename = "type")]
    pub(super) kind: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub(super) command: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub(super) ucid: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub(super) did: Option<Text<'a>>,
    /// The caller's number, in spite of its name.
    #[serde(borrow, default)]
    pub(super) call_id: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub(super) x_account: Option<Text<'a>>,
    /// An object written into a string.
    #[serde(borrow, default)]
    pub(super) x_headers: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(super) seqid: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub(super) data: Option<&'a RawValue>,
}

/// `data` of a media message.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Packet<'a> {
    #[serde(borrow, default)]
    pub(super) samples: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(super) bits_per_sample: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(super) sample_rate: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(super) channel_count: Option<&'a RawValue>,
}
