//! The end that is the bot and hears Ozonetel, which holds the phone.

use serde_json::value::RawValue;

use super::media::Media;
use super::wire::Message;
use super::{CAPABILITIES, FORMAT, Sound, parse};
use crate::dialect::json::{Text, expect_object};
use crate::dialect::registry::PhoneSideSettings;
use crate::dialect::{Capability, Dialect, Malformed, Out, Wire, WireClass};
use crate::media::MediaFormat;
use crate::vocabulary::{
    CallCommand, CallEvent, CallId, CallStart, Cause, Direction, EndedStream, MarkOutcome, Moment,
    PhoneNumber, RawMessage, Reason, StreamId, WallClock,
};

/// The vendor holds the phone.
#[derive(Debug)]
pub struct OzonetelPhoneSide {
    clock: WallClock,
    sound: Sound,
    state: State,
    first_packet: FirstPacket,
    /// Why the vendor's `stop` comes, if we asked for it.
    ended_by_us: Option<Reason>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    BeforeStart,
    Up,
    Stopped,
}

/// The first packet is not of the call if it has 16 kHz.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FirstPacket {
    ToCome,
    Came,
}

impl OzonetelPhoneSide {
    /// Waits for the vendor's `start`.
    pub fn new(settings: &PhoneSideSettings) -> Self {
        Self {
            clock: settings.clock,
            sound: Sound::default(),
            state: State::BeforeStart,
            first_packet: FirstPacket::ToCome,
            ended_by_us: None,
        }
    }

    fn hear_media(&mut self, media: &Media<'_>, out: &mut Out<CallEvent>) -> Result<(), Malformed> {
        self.require_up("media")?;
        let before = std::mem::replace(&mut self.first_packet, FirstPacket::Came);
        if before == FirstPacket::ToCome && media.sample_rate == IGNORED_FIRST_RATE {
            return Ok(());
        }
        self.sound.decode(media, out)
    }

    fn hear_start(
        &mut self,
        message: &Message<'_>,
        text: &str,
        out: &mut Out<CallEvent>,
    ) -> Result<(), Malformed> {
        if self.state != State::BeforeStart {
            return Err(Malformed::Unexpected("start"));
        }
        let ucid = message.ucid.as_ref().map(Text::as_str).filter(|ucid| !ucid.is_empty());
        let ucid = ucid.ok_or(Malformed::Missing("ucid"))?;
        let given = |field: &Option<Text<'_>>| {
            field.as_ref().map(|text| text.as_str().to_owned()).unwrap_or_default()
        };
        self.state = State::Up;
        let call_id = CallId::from_wire(ucid);
        self.sound.begin(call_id.as_str());
        out.hear(CallEvent::Started(Box::new(CallStart {
            stream_id: StreamId::from_wire(ucid),
            other_leg_id: call_id.as_str().to_owned(),
            call_id,
            account: given(&message.x_account),
            from: PhoneNumber::new(&given(&message.call_id)),
            to: PhoneNumber::new(&given(&message.did)),
            country: None,
            direction: Direction::Inbound,
            format: FORMAT,
            custom: custom(message.x_headers),
            raw: Some(text.into()),
            clock: self.clock,
        })));
        Ok(())
    }

    fn require_up(&self, message: &'static str) -> Result<(), Malformed> {
        match self.state {
            State::Up => Ok(()),
            State::BeforeStart | State::Stopped => Err(Malformed::Unexpected(message)),
        }
    }
}

impl Dialect for OzonetelPhoneSide {
    type Say = CallCommand;
    type Hear = CallEvent;

    fn format(&self) -> MediaFormat {
        FORMAT
    }

    fn encode(&mut self, say: &CallCommand, _now: Moment, out: &mut Out<CallEvent>) {
        let command: &[u8] = match say {
            CallCommand::Clear => br#"{"command":"clearBuffer"}"#,
            CallCommand::HangUp(_) => {
                self.ended_by_us = Some(Reason::BotHungUp);
                br#"{"command":"callDisconnect"}"#
            }
            // Not on this wire.
            CallCommand::Answer
            | CallCommand::Digits(_)
            | CallCommand::Mark { .. }
            | CallCommand::Transfer(_)
            | CallCommand::Invalid(_)
            | CallCommand::Flow(_)
            | CallCommand::Speech(_)
            | CallCommand::Unknown(_) => return,
        };
        out.text(WireClass::Control, |to| to.extend_from_slice(command));
    }

    fn encode_audio(&mut self, audio: &[u8], _now: Moment, out: &mut Out<CallEvent>) {
        if self.state == State::Up {
            self.sound.encode(audio, out);
        }
    }

    fn decode(&mut self, wire: Wire<'_>, _now: Moment, out: &mut Out<CallEvent>) -> Result<(), Malformed> {
        let Wire::Text(text) = wire else { return Err(Malformed::Unexpected("binary message")) };
        if let Some(media) = Media::scan(text) {
            return self.hear_media(&media, out);
        }
        let message = parse(text)?;
        match message.event.as_ref().or(message.kind.as_ref()).map(Text::as_str) {
            Some("start") => return self.hear_start(&message, text, out),
            Some("media") => {
                self.hear_media(&Media::parse(message.data, message.seqid.as_ref().map(Text::as_str))?, out)?;
            }
            Some("mark") => {
                self.require_up("mark")?;
                let seqid = message.seqid.as_ref().ok_or(Malformed::Missing("seqid"))?;
                out.hear(CallEvent::Mark { name: seqid.as_str().into(), outcome: MarkOutcome::Played });
            }
            // The socket is the call: whatever its ucid, a stop ends it.
            Some("stop") => {
                self.require_up("stop")?;
                self.state = State::Stopped;
                let reason = self.ended_by_us.unwrap_or(Reason::CallerHungUp);
                out.hear(CallEvent::Ended(EndedStream::CallEnded(Cause::new(reason))));
            }
            _ => out.hear(CallEvent::Unknown(RawMessage::new(text))),
        }
        Ok(())
    }

    fn capabilities(&self) -> &'static [Capability] {
        CAPABILITIES
    }
}

/// The names and values of `x_headers`: an object, usually written into a string. What is no such thing is
/// still kept in the raw start.
fn custom(headers: Option<&RawValue>) -> Vec<(String, String)> {
    let Some(raw) = headers.map(RawValue::get) else { return Vec::new() };
    let inner: Option<String> = serde_json::from_str(raw).ok();
    let json = inner.as_deref().unwrap_or(raw);
    if expect_object(json).is_err() {
        return Vec::new();
    }
    let object: serde_json::Map<String, serde_json::Value> = serde_json::from_str(json).unwrap_or_default();
    let text = |value: serde_json::Value| match value {
        serde_json::Value::String(text) => text,
        other => other.to_string(),
    };
    object.into_iter().take(CUSTOM_MAX).map(|(name, value)| (name, text(value))).collect()
}

/// The rate that makes the first packet one to be ignored.
const IGNORED_FIRST_RATE: u64 = 16_000;

/// Names that are kept of `x_headers`.
const CUSTOM_MAX: usize = 64;
