//! What the JSON dialects of the start / media / stop family share: picking values out of a message by their paths,
//! and events that two of their seeds write alike.

pub(super) mod audio;
pub(super) mod destination;
pub(super) mod path;
pub(super) mod pick;

use std::time::Duration;

use serde::Deserialize;

use super::json::Text;
use super::length::Length;
use super::{Malformed, Out};
use crate::vocabulary::{CallEvent, Digit, DigitPress};
use pick::Picked;

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
    duration: Option<Length>,
}

/// Hears the base64 audio that stood at a path; `name` is blamed where it is missing or wrong.
pub(super) fn hear_payload<T>(
    payload: Picked<'_>,
    name: &'static str,
    out: &mut Out<T>,
) -> Result<(), Malformed> {
    let payload = payload.base64(name)?.ok_or(Malformed::Missing(name))?;
    out.hear_audio(|to| payload.decode(to)).map_err(|_| Malformed::Base64(name))
}

/// Hears a binary message of audio.
pub(super) fn hear_binary<T>(audio: &[u8], out: &mut Out<T>) -> Result<(), Malformed> {
    out.hear_audio(|to| {
        to.extend_from_slice(audio);
        Ok(())
    })
}

/// Reads a pressed key; a length of nothing is no length.
pub(super) fn digit(text: &str) -> Result<CallEvent, Malformed> {
    let message: DtmfMessage<'_> = serde_json::from_str(text).map_err(|_| Malformed::Field("dtmf"))?;
    let dtmf = message.dtmf.ok_or(Malformed::Missing("dtmf"))?;
    let key = dtmf.digit.ok_or(Malformed::Missing("dtmf.digit"))?;
    let digit = Digit::try_from(key.as_str()).map_err(|_| Malformed::Field("dtmf.digit"))?;
    let duration = dtmf.duration.and_then(|length| length.0).filter(|ms| *ms > 0).map(Duration::from_millis);
    Ok(CallEvent::Digit(DigitPress { digit, duration }))
}
