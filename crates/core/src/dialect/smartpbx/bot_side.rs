//! The end of `smartpbx` that holds the phone and faces an AI provider: says start, media, dtmf, hangup; hears media.

use super::payload::Payload;
use super::wire::MediaMessage;
use super::{CAPABILITIES, encoding_word};
use crate::dialect::json::{expect_object, write_string, write_u64};
use crate::dialect::registry::BotSideSettings;
use crate::dialect::{Capability, Dialect, Malformed, Out, Wire, WireClass};
use crate::media::MediaFormat;
use crate::vocabulary::{
    CallCommand, CallEvent, CallStart, Cause, DigitPress, EndedStream, Moment, PhoneNumber, RawMessage,
    Reason,
};

/// Translates one call for its AI provider.
#[derive(Debug)]
pub struct SmartPbxBotSide {
    format: MediaFormat,
    payload: Payload,
    stream: Stream,
}

/// Whether events may be written, and under which ids.
#[derive(Debug)]
enum Stream {
    /// No start was said: nothing else can be.
    Waiting,
    /// Events go out.
    Open(Ids),
    /// The hangup went out: nothing follows.
    HungUp,
}

/// The ids of a call as ready-made pieces of JSON.
#[derive(Debug)]
struct Ids {
    /// `"callId":…,"otherLegCallId":…`
    legs: Vec<u8>,
    /// `"accountId":…`
    account: Vec<u8>,
}

impl SmartPbxBotSide {
    /// An end that waits for its start.
    pub fn new(settings: &BotSideSettings) -> Self {
        let format = settings.audio.format;
        Self { format, payload: Payload::of(format), stream: Stream::Waiting }
    }

    fn start(&mut self, start: &CallStart, out: &mut Out<CallCommand>) {
        if !matches!(self.stream, Stream::Waiting) {
            return;
        }
        let (ids, format) = (Ids::of(start), self.format);
        out.text(WireClass::Control, |to| {
            to.extend_from_slice(br#"{"event":"start","start":{"#);
            to.extend_from_slice(&ids.legs);
            to.extend_from_slice(br#","callerIdNumber":"#);
            write_number(to, &start.from, start.country.as_deref());
            to.extend_from_slice(br#","calleeIdNumber":"#);
            write_number(to, &start.to, start.country.as_deref());
            to.push(b',');
            to.extend_from_slice(&ids.account);
            to.extend_from_slice(br#","mediaFormat":{"encoding":"#);
            write_string(to, encoding_word(format));
            to.extend_from_slice(br#","sampleRate":"#);
            write_u64(to, u64::from(format.sample_rate));
            to.extend_from_slice(b"}}}");
        });
        self.stream = Stream::Open(ids);
    }

    fn digit(&self, press: DigitPress, out: &mut Out<CallCommand>) {
        let Stream::Open(ids) = &self.stream else { return };
        out.text(WireClass::Control, |to| {
            to.extend_from_slice(br#"{"event":"dtmf","dtmf":{"#);
            to.extend_from_slice(&ids.legs);
            to.extend_from_slice(br#","digit":""#);
            to.push(press.digit.as_char() as u8);
            to.push(b'"');
            if let Some(duration) = press.duration.filter(|duration| duration.as_millis() > 0) {
                to.extend_from_slice(br#","duration":"#);
                write_u64(to, u64::try_from(duration.as_millis()).unwrap_or(u64::MAX));
            }
            to.extend_from_slice(b"}}");
        });
    }

    fn hangup(&mut self, ended: EndedStream, out: &mut Out<CallCommand>) {
        let Stream::Open(ids) = &self.stream else { return };
        let cause = match ended {
            EndedStream::CallEnded(cause) => cause,
            // The wire has no word for a call that goes on elsewhere: for this provider it is cleared.
            EndedStream::Handed => Cause::new(Reason::BotHungUp),
        };
        out.text(WireClass::Control, |to| {
            to.extend_from_slice(br#"{"event":"hangup","hangup":{"#);
            to.extend_from_slice(&ids.legs);
            to.push(b',');
            to.extend_from_slice(&ids.account);
            to.extend_from_slice(br#","reason":"#);
            write_string(to, cause.row().smartpbx);
            to.extend_from_slice(b"}}");
        });
        self.stream = Stream::HungUp;
    }
}

impl Dialect for SmartPbxBotSide {
    type Say = CallEvent;
    type Hear = CallCommand;

    fn format(&self) -> MediaFormat {
        self.format
    }

    fn encode(&mut self, say: &CallEvent, _now: Moment, out: &mut Out<CallCommand>) {
        match say {
            CallEvent::Started(start) => self.start(start, out),
            CallEvent::Digit(press) => self.digit(*press, out),
            CallEvent::Ended(ended) => self.hangup(*ended, out),
            CallEvent::Mark { .. }
            | CallEvent::Cleared
            | CallEvent::Refused(_)
            | CallEvent::Record(_)
            | CallEvent::Flow(_)
            | CallEvent::Speech(_)
            | CallEvent::Unknown(_) => {}
        }
    }

    fn encode_audio(&mut self, audio: &[u8], _now: Moment, out: &mut Out<CallCommand>) {
        if matches!(self.stream, Stream::Open(_)) {
            self.payload.write(audio, out);
        }
    }

    fn decode(&mut self, wire: Wire<'_>, _now: Moment, out: &mut Out<CallCommand>) -> Result<(), Malformed> {
        let Wire::Text(text) = wire else { return Err(super::BINARY) };
        expect_object(text)?;
        match serde_json::from_str::<MediaMessage<'_>>(text) {
            Ok(message) if super::text_of(&message.event) == "media" => self.payload.hear(message.media, out),
            _ => match super::event_name(text)?.as_str() {
                "media" => Err(Malformed::Field("media")),
                _ => {
                    out.hear(CallCommand::Unknown(RawMessage::new(text)));
                    Ok(())
                }
            },
        }
    }

    fn capabilities(&self) -> &'static [Capability] {
        CAPABILITIES
    }
}

impl Ids {
    fn of(start: &CallStart) -> Self {
        let call_id = start.call_id.as_str();
        // Strict consumers refuse an empty other leg.
        let other_leg = if start.other_leg_id.is_empty() { call_id } else { &start.other_leg_id };
        let mut legs = Vec::new();
        legs.extend_from_slice(br#""callId":"#);
        write_string(&mut legs, call_id);
        legs.extend_from_slice(br#","otherLegCallId":"#);
        write_string(&mut legs, other_leg);
        let mut account = Vec::new();
        account.extend_from_slice(br#""accountId":"#);
        write_string(&mut account, &start.account);
        Self { legs, account }
    }
}

/// Writes the E.164 form with its `+`, or the number as received if it has none.
fn write_number(to: &mut Vec<u8>, number: &PhoneNumber, country: Option<&str>) {
    match number.e164(country) {
        Some(e164) => write_string(to, &e164),
        None => write_string(to, number.as_str()),
    }
}
