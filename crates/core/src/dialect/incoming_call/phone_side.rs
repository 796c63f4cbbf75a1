//! The end that is the bot and answers a vendor's calls.

use std::collections::VecDeque;
use std::time::Duration;

use super::wire::Message;
use super::{CAPABILITIES, FORMAT, TONE_MAX, cdr, length, parse, text};
use crate::dialect::json::{Text, write_string, write_u64};
use crate::dialect::registry::PhoneSideSettings;
use crate::dialect::{Capability, Dialect, Malformed, Out, Wire, WireClass};
use crate::media::MediaFormat;
use crate::vocabulary::{
    CallCommand, CallEvent, CallId, CallStart, Cause, DialDigits, Digit, DigitPress, Direction, EndedStream,
    Moment, PhoneNumber, RawMessage, Reason, StreamId, WallClock,
};

/// The vendor holds the phone.
#[derive(Debug)]
pub struct IncomingCallPhoneSide {
    clock: WallClock,
    state: State,
    start: Option<Box<CallStart>>,
    dialling: Dialling,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    BeforeCall,
    Up,
    /// We hung up; the vendor's record, or its close, is still to come.
    HungUpByUs,
    Ended,
}

impl IncomingCallPhoneSide {
    /// Waits for the vendor's `incoming_call`.
    pub fn new(settings: &PhoneSideSettings) -> Self {
        Self { clock: settings.clock, state: State::BeforeCall, start: None, dialling: Dialling::default() }
    }

    fn hear_call(
        &mut self,
        message: &Message<'_>,
        wire: &str,
        out: &mut Out<CallEvent>,
    ) -> Result<(), Malformed> {
        if self.state != State::BeforeCall {
            return Err(Malformed::Unexpected("incoming_call"));
        }
        let session = text(&message.session_id);
        if session.is_empty() {
            return Err(Malformed::Missing("sessionId"));
        }
        let call_id = CallId::from_wire(session);
        let start = CallStart {
            stream_id: StreamId::from_wire(session),
            other_leg_id: call_id.as_str().to_owned(),
            call_id,
            account: String::new(),
            from: PhoneNumber::new(text(&message.caller_id)),
            to: PhoneNumber::new(text(&message.did_number)),
            country: None,
            direction: Direction::Inbound,
            format: FORMAT,
            custom: Vec::new(),
            raw: Some(wire.into()),
            clock: self.clock,
        };
        self.state = State::Up;
        self.start = Some(Box::new(start.clone()));
        out.hear(CallEvent::Started(Box::new(start)));
        Ok(())
    }

    fn hear_digit(&self, message: &Message<'_>, out: &mut Out<CallEvent>) -> Result<(), Malformed> {
        if self.state == State::BeforeCall {
            return Err(Malformed::Unexpected("dtmf"));
        }
        let digit = message.digit.as_ref().ok_or(Malformed::Missing("digit"))?;
        let digit = Digit::try_from(digit.as_str()).map_err(|_| Malformed::Field("digit"))?;
        let duration = length(message.duration).map(Duration::from_millis);
        out.hear(CallEvent::Digit(DigitPress { digit, duration }));
        Ok(())
    }

    fn hear_end(&mut self, message: &'static str, out: &mut Out<CallEvent>) -> Result<(), Malformed> {
        let reason = match self.state {
            State::Up => Reason::CallerHungUp,
            State::HungUpByUs => Reason::BotHungUp,
            State::BeforeCall | State::Ended => return Err(Malformed::Unexpected(message)),
        };
        self.state = State::Ended;
        self.dialling = Dialling::default();
        out.hear(CallEvent::Ended(EndedStream::CallEnded(Cause::new(reason))));
        Ok(())
    }

    /// A record, which is also the end when no `hangup` came before it.
    fn hear_record(&mut self, wire: &str, now: Moment, out: &mut Out<CallEvent>) -> Result<(), Malformed> {
        let start = self.start.as_deref().ok_or(Malformed::Unexpected("cdr"))?;
        let record = cdr::read(wire, start, now)?;
        if self.state != State::Ended {
            self.hear_end("cdr", out)?;
        }
        // Only one record follows a call.
        self.start = None;
        out.hear(CallEvent::Record(Box::new(record)));
        Ok(())
    }
}

impl Dialect for IncomingCallPhoneSide {
    type Say = CallCommand;
    type Hear = CallEvent;

    fn format(&self) -> MediaFormat {
        FORMAT
    }

    fn encode(&mut self, say: &CallCommand, now: Moment, out: &mut Out<CallEvent>) {
        if self.state != State::Up {
            return;
        }
        match say {
            CallCommand::Answer => {
                out.text(WireClass::Control, |to| to.extend_from_slice(br#"{"event":"answer"}"#))
            }
            CallCommand::Digits(digits) => {
                self.dialling.push(digits, now);
                self.dialling.write_due(now, out);
            }
            CallCommand::HangUp(_) => {
                self.state = State::HungUpByUs;
                self.dialling = Dialling::default();
                out.text(WireClass::Control, |to| to.extend_from_slice(br#"{"event":"hangup"}"#));
            }
            // Not on this wire; `interrupt` is not in the seeds, and a strict vendor would refuse it.
            CallCommand::Mark { .. }
            | CallCommand::Clear
            | CallCommand::Transfer(_)
            | CallCommand::Invalid(_)
            | CallCommand::Flow(_)
            | CallCommand::Speech(_)
            | CallCommand::Unknown(_) => {}
        }
    }

    fn encode_audio(&mut self, audio: &[u8], _now: Moment, out: &mut Out<CallEvent>) {
        if self.state == State::Up && !audio.is_empty() {
            out.binary(WireClass::Audio, |to| to.extend_from_slice(audio));
        }
    }

    fn decode(&mut self, wire: Wire<'_>, now: Moment, out: &mut Out<CallEvent>) -> Result<(), Malformed> {
        let wire_text = match wire {
            Wire::Binary(_) if self.state == State::BeforeCall => return Err(Malformed::Unexpected("audio")),
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
            Some("incoming_call") => self.hear_call(&message, wire_text, out),
            Some("dtmf") => self.hear_digit(&message, out),
            Some("hangup") => self.hear_end("hangup", out),
            Some("cdr") => self.hear_record(wire_text, now, out),
            Some("answer") => Err(Malformed::Unexpected("answer")),
            Some("interrupt") => Err(Malformed::Unexpected("interrupt")),
            _ => {
                out.hear(CallEvent::Unknown(RawMessage::new(wire_text)));
                Ok(())
            }
        }
    }

    fn poll_timeout(&self) -> Option<Moment> {
        self.dialling.next_at()
    }

    fn handle_timeout(&mut self, now: Moment, out: &mut Out<CallEvent>) {
        self.dialling.write_due(now, out);
    }

    fn capabilities(&self) -> &'static [Capability] {
        CAPABILITIES
    }
}

/// Keys on their way: the wire takes one at a time and knows no pauses, so each waits until the one before it has
/// sounded.
#[derive(Debug, Default)]
struct Dialling {
    waiting: VecDeque<(Moment, Digit, Duration)>,
    /// When the last one pushed will have sounded.
    free_at: Moment,
}

impl Dialling {
    /// Plans keys behind those that wait; what is beyond [`WAITING_MAX`] is not sent.
    fn push(&mut self, digits: &DialDigits, now: Moment) {
        let tone = digits.tone().min(TONE_MAX);
        let mut at = self.free_at.max(now);
        for step in digits.steps() {
            match step {
                None => at = at + PAUSE,
                // The wire has no A to D in this direction.
                Some(digit) if digit.is_extended() || self.waiting.len() >= WAITING_MAX => {}
                Some(digit) => {
                    self.waiting.push_back((at, *digit, tone));
                    at = at + tone + GAP;
                }
            }
        }
        self.free_at = at;
    }

    fn next_at(&self) -> Option<Moment> {
        self.waiting.front().map(|(at, ..)| *at)
    }

    fn write_due(&mut self, now: Moment, out: &mut Out<CallEvent>) {
        while let Some((_, digit, tone)) = self.waiting.front().copied().filter(|(at, ..)| *at <= now) {
            self.waiting.pop_front();
            let mut key = [0; 4];
            let key = digit.as_char().encode_utf8(&mut key);
            out.text(WireClass::Control, |to| {
                to.extend_from_slice(br#"{"event":"dtmf","digit":"#);
                write_string(to, key);
                to.extend_from_slice(br#","duration":"#);
                write_u64(to, u64::try_from(tone.as_millis()).unwrap_or(u64::MAX));
                to.push(b'}');
            });
        }
    }
}

/// Silence between two keys.
const GAP: Duration = Duration::from_millis(100);

/// A pause between keys, as in [`DialDigits::parse`].
const PAUSE: Duration = Duration::from_millis(500);

/// Keys that wait at most.
const WAITING_MAX: usize = 256;
