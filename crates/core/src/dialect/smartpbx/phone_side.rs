//! The end of `smartpbx` that is the AI provider and faces the PBX: says media, hears start, media, dtmf, hangup.

use super::payload::Payload;
use super::wire::{HangupMessage, MediaFormat as WireFormat, MediaMessage, StartMessage};
use super::{CAPABILITIES, format_of, text_of};
use crate::dialect::envelope::digit;
use crate::dialect::json::expect_object;
use crate::dialect::registry::PhoneSideSettings;
use crate::dialect::{Capability, Dialect, Malformed, Out, Wire};
use crate::media::MediaFormat;
use crate::vocabulary::{
    CallCommand, CallEvent, CallId, CallStart, Cause, Direction, EndedStream, Moment, PhoneNumber,
    RawMessage, Reason, StreamId, WallClock,
};

/// Translates one call for its PBX.
#[derive(Debug)]
pub struct SmartPbxPhoneSide {
    format: MediaFormat,
    payload: Payload,
    clock: WallClock,
    stream: Stream,
}

/// How far the PBX's stream is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stream {
    /// No start came.
    Waiting,
    /// The call is on.
    Open,
    /// The hangup came.
    HungUp,
}

impl SmartPbxPhoneSide {
    /// An end that waits for the PBX's start.
    pub fn new(settings: &PhoneSideSettings) -> Self {
        let format = settings.audio.format;
        Self { format, payload: Payload::of(format), clock: settings.clock, stream: Stream::Waiting }
    }

    fn hear_start(&mut self, text: &str, out: &mut Out<CallEvent>) -> Result<(), Malformed> {
        if self.stream != Stream::Waiting {
            return Err(Malformed::Unexpected("start"));
        }
        let message: StartMessage<'_> = serde_json::from_str(text).map_err(|_| Malformed::Field("start"))?;
        let start = message.start.ok_or(Malformed::Missing("start"))?;
        let id = text_of(&start.call_id);
        if id.is_empty() {
            return Err(Malformed::Missing("start.callId"));
        }
        let format = self.format_in(start.media_format.as_ref())?;
        let other_leg_id = match text_of(&start.other_leg_call_id) {
            "" => id,
            other => other,
        };
        self.stream = Stream::Open;
        if format != self.format {
            (self.format, self.payload) = (format, Payload::of(format));
        }
        out.hear(CallEvent::Started(Box::new(CallStart {
            call_id: CallId::from_wire(id),
            stream_id: StreamId::from_wire(id),
            other_leg_id: CallId::from_wire(other_leg_id).as_str().to_owned(),
            account: CallId::from_wire(text_of(&start.account_id)).as_str().to_owned(),
            from: PhoneNumber::new(text_of(&start.caller_id_number)),
            to: PhoneNumber::new(text_of(&start.callee_id_number)),
            country: None,
            direction: Direction::Inbound,
            format,
            custom: Vec::new(),
            raw: Some(text.into()),
            clock: self.clock,
        })));
        Ok(())
    }

    /// The format that the start names; without one the configured format holds.
    fn format_in(&self, named: Option<&WireFormat<'_>>) -> Result<MediaFormat, Malformed> {
        let Some(named) = named else { return Ok(self.format) };
        let format = match text_of(&named.encoding) {
            "" => self.format,
            "opus" if !cfg!(feature = "opus") => return Err(Malformed::Audio("opus")),
            word => format_of(word).ok_or(Malformed::Field("start.mediaFormat.encoding"))?,
        };
        let rate_fits = named.sample_rate.is_none_or(|rate| rate.0 == u64::from(format.sample_rate));
        rate_fits.then_some(format).ok_or(Malformed::Field("start.mediaFormat.sampleRate"))
    }

    fn hear_event(&mut self, text: &str, out: &mut Out<CallEvent>) -> Result<(), Malformed> {
        match super::event_name(text)?.as_str() {
            "start" => self.hear_start(text, out),
            "media" => Err(Malformed::Field("media")),
            "dtmf" => {
                self.if_open("dtmf")?;
                out.hear(digit(text)?);
                Ok(())
            }
            // Seen at real consumers of this protocol, which bear both of these: `connected` and `stop`.
            "connected" => Ok(()),
            "hangup" | "stop" => {
                self.if_open("hangup")?;
                let cause = hangup(text)?;
                self.stream = Stream::HungUp;
                out.hear(CallEvent::Ended(EndedStream::CallEnded(cause)));
                Ok(())
            }
            _ => {
                out.hear(CallEvent::Unknown(RawMessage::new(text)));
                Ok(())
            }
        }
    }

    fn if_open(&self, name: &'static str) -> Result<(), Malformed> {
        match self.stream {
            Stream::Open => Ok(()),
            Stream::Waiting | Stream::HungUp => Err(Malformed::Unexpected(name)),
        }
    }
}

impl Dialect for SmartPbxPhoneSide {
    type Say = CallCommand;
    type Hear = CallEvent;

    fn format(&self) -> MediaFormat {
        self.format
    }

    fn encode(&mut self, say: &CallCommand, _now: Moment, out: &mut Out<CallEvent>) {
        match say {
            // The provider has no message to hang up with: it closes the connection.
            CallCommand::HangUp(_) => out.close(1000),
            CallCommand::Answer
            | CallCommand::Digits(_)
            | CallCommand::Mark { .. }
            | CallCommand::Clear
            | CallCommand::Transfer(_)
            | CallCommand::Invalid(_)
            | CallCommand::Flow(_)
            | CallCommand::Speech(_)
            | CallCommand::Unknown(_) => {}
        }
    }

    fn encode_audio(&mut self, audio: &[u8], _now: Moment, out: &mut Out<CallEvent>) {
        if self.stream == Stream::Open {
            self.payload.write(audio, out);
        }
    }

    fn decode(&mut self, wire: Wire<'_>, _now: Moment, out: &mut Out<CallEvent>) -> Result<(), Malformed> {
        let Wire::Text(text) = wire else { return Err(super::BINARY) };
        expect_object(text)?;
        match serde_json::from_str::<MediaMessage<'_>>(text) {
            Ok(message) if text_of(&message.event) == "media" => {
                self.if_open("media")?;
                self.payload.hear(message.media, out)
            }
            _ => self.hear_event(text, out),
        }
    }

    fn capabilities(&self) -> &'static [Capability] {
        CAPABILITIES
    }
}

/// The cause behind a reason. Whatever kept the call from being answered lies at the PBX: for us it was called off.
fn hangup(text: &str) -> Result<Cause, Malformed> {
    let message: HangupMessage<'_> = serde_json::from_str(text).map_err(|_| Malformed::Field("hangup"))?;
    let reason = message.hangup.and_then(|hangup| hangup.reason);
    Ok(Cause::new(match text_of(&reason) {
        "ORIGINATOR_CANCEL" | "USER_BUSY" | "NO_ANSWER" | "CALL_REJECTED" => Reason::Canceled,
        _ => Reason::CallerHungUp,
    }))
}
