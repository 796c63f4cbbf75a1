//! The end that holds the phone and lets a bot answer it.

use std::time::Duration;

use super::{BOT_CAPABILITIES, FORMAT, TONE, TONE_MAX, cdr, length, parse, text};
use crate::dialect::json::{Text, write_string};
use crate::dialect::registry::{BotSideSettings, RecordWish};
use crate::dialect::{Capability, Dialect, Malformed, Out, Wire, WireClass};
use crate::media::MediaFormat;
use crate::vocabulary::{
    CallCommand, CallEvent, CallStart, CommandRefusal, DialDigits, Digit, Direction, HangUpWhen, Moment,
    RawMessage,
};

use super::wire::Message;

/// We hold the phone.
#[derive(Debug)]
pub struct IncomingCallBotSide {
    record: RecordWish,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    BeforeStart,
    Ringing,
    Answered,
    /// We called the phone: the call was answered without the bot, which may say so all the same.
    AnsweredByPhone,
    /// The bot ended it, so that it is not told.
    HungUpByBot,
    Ended,
}

impl IncomingCallBotSide {
    /// `settings.record` decides whether a `cdr` follows the end.
    pub fn new(settings: &BotSideSettings) -> Self {
        Self { record: settings.record, state: State::BeforeStart }
    }

    fn is_up(&self) -> bool {
        matches!(self.state, State::Ringing | State::Answered | State::AnsweredByPhone)
    }

    fn hear_answer(&mut self, out: &mut Out<CallCommand>) -> Result<(), Malformed> {
        match self.state {
            State::Ringing => out.hear(CallCommand::Answer),
            State::AnsweredByPhone => {}
            State::BeforeStart | State::Answered | State::HungUpByBot | State::Ended => {
                return Err(Malformed::Unexpected("answer"));
            }
        }
        self.state = State::Answered;
        Ok(())
    }

    fn hear_hangup(&mut self, out: &mut Out<CallCommand>) -> Result<(), Malformed> {
        if !self.is_up() {
            return Err(Malformed::Unexpected("hangup"));
        }
        self.state = State::HungUpByBot;
        out.hear(CallCommand::HangUp(HangUpWhen::AfterPlayout));
        Ok(())
    }
}

impl Dialect for IncomingCallBotSide {
    type Say = CallEvent;
    type Hear = CallCommand;

    fn format(&self) -> MediaFormat {
        FORMAT
    }

    fn encode(&mut self, say: &CallEvent, _now: Moment, out: &mut Out<CallCommand>) {
        match say {
            CallEvent::Started(start) => {
                self.state = match start.direction {
                    Direction::Inbound => State::Ringing,
                    Direction::Outbound => State::AnsweredByPhone,
                };
                out.text(WireClass::Control, |to| write_incoming_call(to, start));
            }
            CallEvent::Digit(press) => {
                let mut key = [0; 4];
                let key = press.digit.as_char().encode_utf8(&mut key);
                out.text(WireClass::Control, |to| {
                    to.extend_from_slice(br#"{"event":"dtmf","digit":"#);
                    write_string(to, key);
                    to.push(b'}');
                });
            }
            CallEvent::Ended(_) => {
                if self.is_up() {
                    out.text(WireClass::Control, |to| to.extend_from_slice(br#"{"event":"hangup"}"#));
                }
                self.state = State::Ended;
            }
            CallEvent::Record(record) => {
                if self.record == RecordWish::Send {
                    out.text(WireClass::Control, |to| cdr::write(to, record));
                }
            }
            // Not on this wire.
            CallEvent::Mark { .. }
            | CallEvent::Cleared
            | CallEvent::Refused(_)
            | CallEvent::Flow(_)
            | CallEvent::Speech(_)
            | CallEvent::Unknown(_) => {}
        }
    }

    fn encode_audio(&mut self, audio: &[u8], _now: Moment, out: &mut Out<CallCommand>) {
        let is_answered = matches!(self.state, State::Answered | State::AnsweredByPhone);
        if is_answered && !audio.is_empty() {
            out.binary(WireClass::Audio, |to| to.extend_from_slice(audio));
        }
    }

    fn decode(&mut self, wire: Wire<'_>, _now: Moment, out: &mut Out<CallCommand>) -> Result<(), Malformed> {
        let wire_text = match wire {
            Wire::Binary(audio) => {
                return out.hear_audio(|to| {
                    to.extend_from_slice(audio);
                    Ok(())
                });
            }
            Wire::Text(text) => text,
        };
        let message = parse(wire_text)?;
        match message.event.as_ref().map(Text::as_str) {
            Some("answer") => self.hear_answer(out)?,
            Some("dtmf") => out.hear(dial(&message)?),
            Some("interrupt") => out.hear(CallCommand::Clear),
            Some("hangup") => self.hear_hangup(out)?,
            Some("incoming_call") => return Err(Malformed::Unexpected("incoming_call")),
            Some("cdr") => return Err(Malformed::Unexpected("cdr")),
            _ => out.hear(CallCommand::Unknown(RawMessage::new(wire_text))),
        }
        Ok(())
    }

    fn capabilities(&self) -> &'static [Capability] {
        BOT_CAPABILITIES
    }
}

/// A key that the bot wants sent; the wire has `0-9`, `*` and `#` in this direction.
fn dial(message: &Message<'_>) -> Result<CallCommand, Malformed> {
    let asked = length(message.duration);
    if asked.is_none() && message.duration.is_some() {
        return Err(Malformed::Field("duration"));
    }
    let tone = match asked {
        None | Some(0) => TONE,
        Some(ms) => Duration::from_millis(ms).min(TONE_MAX),
    };
    if message.digit.is_none() {
        return Err(Malformed::Missing("digit"));
    }
    Ok(match Digit::try_from(text(&message.digit)).ok().filter(|digit| !digit.is_extended()) {
        Some(digit) => CallCommand::Digits(DialDigits::one(digit, tone)),
        None => CallCommand::Invalid(CommandRefusal {
            code: "invalid_digits",
            message: "the digit is not one of 0-9, *, #".to_owned(),
            command: "dtmf".into(),
        }),
    })
}

fn write_incoming_call(to: &mut Vec<u8>, start: &CallStart) {
    to.extend_from_slice(br#"{"event":"incoming_call","callerId":"#);
    write_string(to, start.from.as_str());
    to.extend_from_slice(br#","didNumber":"#);
    write_string(to, start.to.as_str());
    to.extend_from_slice(br#","sessionId":"#);
    write_string(to, start.call_id.as_str());
    to.push(b'}');
}
