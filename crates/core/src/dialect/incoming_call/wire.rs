//! Messages of the incoming-call dialect as they stand on the wire: types to read them, nothing else.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::dialect::json::Text;

/// Any text message of either side; `event` says which one it is.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Message<'a> {
    #[serde(borrow, default)]
    pub(super) event: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub(super) caller_id: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub(super) did_number: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub(super) session_id: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub(super) digit: Option<Text<'a>>,
    /// Milliseconds of a `dtmf`, seconds of a `cdr`.
    #[serde(borrow, default)]
    pub(super) duration: Option<&'a RawValue>,
}

/// A call detail record (seed 002, "cdr").
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Cdr<'a> {
    #[serde(borrow, default)]
    pub(super) destination: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub(super) start_time: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub(super) answer_time: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub(super) end_time: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub(super) duration: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(super) billable_seconds: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(super) disposition: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub(super) hangup_by: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub(super) hangup_cause_code: Option<Text<'a>>,
}
