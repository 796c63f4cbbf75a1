//! What the JSON dialects of the start / media / stop family share: picking values out of a message by their paths,
//! and events that two of their seeds write alike.

pub(super) mod audio;
pub(super) mod destination;
pub(super) mod path;
pub(super) mod pick;

use std::time::Duration;

use serde::Deserialize;

use super::Malformed;
use super::json::{Number, Text};
use crate::vocabulary::{CallEvent, Digit, DigitPress};

/// `{"event":"dtmf","dtmf":{"digit":…,"duration":…}}` (seed 000 §5.4, seed 004 "dtmf").
#[derive(Debug, Deserialize)]
struct DtmfMessage<'a> {
    #[serde(borrow)]
    dtmf: Option<Dtmf<'a>>,
}

#[derive(Debug, Deserialize)]
struct Dtmf<'a> {
    #[serde(borrow)]
    digit: Option<Text<'a>>,
    duration: Option<Number>,
}

/// Reads a pressed key; a length of nothing is no length.
pub(super) fn digit(text: &str) -> Result<CallEvent, Malformed> {
    let message: DtmfMessage<'_> = serde_json::from_str(text).map_err(|_| Malformed::Field("dtmf"))?;
    let dtmf = message.dtmf.ok_or(Malformed::Missing("dtmf"))?;
    let key = dtmf.digit.ok_or(Malformed::Missing("dtmf.digit"))?;
    let digit = Digit::try_from(key.as_str()).map_err(|_| Malformed::Field("dtmf.digit"))?;
    let duration = dtmf.duration.filter(|ms| ms.0 > 0).map(|ms| Duration::from_millis(ms.0));
    Ok(CallEvent::Digit(DigitPress { digit, duration }))
}
