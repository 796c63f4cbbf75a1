//! The end that holds the phone and speaks to a bot as Ozonetel does.

use super::media::Media;
use super::{CAPABILITIES, FORMAT, Sound, parse};
use crate::dialect::json::{write_string, write_u64};
use crate::dialect::registry::BotSideSettings;
use crate::dialect::{Capability, Dialect, Malformed, Out, Wire, WireClass};
use crate::media::MediaFormat;
use crate::vocabulary::{CallCommand, CallEvent, HangUpWhen, MarkOutcome, Moment, RawMessage, WallClock};

/// We hold the phone.
#[derive(Debug)]
pub struct OzonetelBotSide {
    sound: Sound,
    call: Option<Call>,
}

/// What is known once the call was told.
#[derive(Debug)]
struct Call {
    ucid: Box<str>,
    clock: WallClock,
}

impl OzonetelBotSide {
    /// This wire leaves nothing to choose.
    pub fn new(_settings: &BotSideSettings) -> Self {
        Self { sound: Sound::default(), call: None }
    }

    fn hear_media(&mut self, media: &Media<'_>, out: &mut Out<CallCommand>) -> Result<(), Malformed> {
        let seqid = media.seqid.filter(|seqid| !seqid.is_empty());
        if seqid.is_some_and(|seqid| seqid.len() > SEQID_BYTES_MAX) {
            return Err(Malformed::Field("seqid"));
        }
        self.sound.decode(media, out)?;
        if let Some(seqid) = seqid {
            out.hear(CallCommand::Mark { name: seqid.into() });
        }
        Ok(())
    }
}

impl Dialect for OzonetelBotSide {
    type Say = CallEvent;
    type Hear = CallCommand;

    fn format(&self) -> MediaFormat {
        FORMAT
    }

    fn encode(&mut self, say: &CallEvent, now: Moment, out: &mut Out<CallCommand>) {
        match say {
            CallEvent::Started(start) => {
                let ucid = start.call_id.as_str();
                self.sound.begin(ucid);
                self.call = Some(Call { ucid: ucid.into(), clock: start.clock });
                out.text(WireClass::Control, |to| write_text(to, "start", ucid));
            }
            CallEvent::Ended(_) => {
                if let Some(call) = self.call.take() {
                    out.text(WireClass::Control, |to| write_text(to, "stop", &call.ucid));
                }
            }
            CallEvent::Mark { name, outcome: MarkOutcome::Played } => {
                if let Some(call) = &self.call {
                    out.text(WireClass::Control, |to| write_ack(to, call, name, now));
                }
            }
            // Not on this wire.
            CallEvent::Mark { outcome: MarkOutcome::Cleared, .. }
            | CallEvent::Digit(_)
            | CallEvent::Cleared
            | CallEvent::Refused(_)
            | CallEvent::Record(_)
            | CallEvent::Flow(_)
            | CallEvent::Speech(_)
            | CallEvent::Unknown(_) => {}
        }
    }

    fn encode_audio(&mut self, audio: &[u8], _now: Moment, out: &mut Out<CallCommand>) {
        if self.call.is_some() {
            self.sound.encode(audio, out);
        }
    }

    fn decode(&mut self, wire: Wire<'_>, _now: Moment, out: &mut Out<CallCommand>) -> Result<(), Malformed> {
        let Wire::Text(text) = wire else { return Err(Malformed::Unexpected("binary message")) };
        if let Some(media) = Media::scan(text) {
            return self.hear_media(&media, out);
        }
        let message = parse(text)?;
        match message.event.as_ref().or(message.kind.as_ref()).map(|name| name.as_str()) {
            Some("media") => {
                let seqid = message.seqid.as_ref().map(|seqid| seqid.as_str());
                return self.hear_media(&Media::parse(message.data, seqid)?, out);
            }
            Some("start") => return Err(Malformed::Unexpected("start")),
            Some("stop") => return Err(Malformed::Unexpected("stop")),
            _ => {}
        }
        out.hear(match message.command.as_ref().map(|name| name.as_str()) {
            Some("clearBuffer") => CallCommand::Clear,
            Some("callDisconnect") => CallCommand::HangUp(HangUpWhen::AfterPlayout),
            _ => CallCommand::Unknown(RawMessage::new(text)),
        });
        Ok(())
    }

    fn capabilities(&self) -> &'static [Capability] {
        CAPABILITIES
    }
}

/// Writes `start` or `stop` (seed 001 §1 and §3).
fn write_text(to: &mut Vec<u8>, event: &str, ucid: &str) {
    to.extend_from_slice(br#"{"event":"#);
    write_string(to, event);
    to.extend_from_slice(br#","ucid":"#);
    write_string(to, ucid);
    to.extend_from_slice(br#","type":"text"}"#);
}

/// Writes that a packet was played.
fn write_ack(to: &mut Vec<u8>, call: &Call, seqid: &str, now: Moment) {
    to.extend_from_slice(br#"{"event":"mark","type":"ack","ucid":"#);
    write_string(to, &call.ucid);
    to.extend_from_slice(br#","seqid":"#);
    write_string(to, seqid);
    to.extend_from_slice(br#","timestamp":"#);
    write_u64(to, call.clock.unix_ms(now));
    to.push(b'}');
}

/// Bytes of a packet's `seqid`; a UUID has 36.
pub const SEQID_BYTES_MAX: usize = 128;
