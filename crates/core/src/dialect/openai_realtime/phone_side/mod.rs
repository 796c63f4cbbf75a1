//! The end of `openai-realtime` that is the engine: clients of the service talk to whatever bot stands behind us.
//!
//! Whoever connects is told of its session at once. The call begins with the first `session.update`, which says the
//! format; a client that sends audio or asks for a response without one gets the service's own format.

mod events;
mod hearing;
mod items;
mod requests;
mod session;
mod speaking;

use std::time::Duration;

use self::events::{Events, Fault};
use self::hearing::Hearing;
use self::items::{ItemId, Items};
use self::session::Session;
use self::speaking::{ResponseEnd, Speaking};
use super::CAPABILITIES;
use crate::dialect::registry::PhoneSideSettings;
use crate::dialect::{Capability, Dialect, Malformed, Out, Wire, WireClass};
use crate::media::MediaFormat;
use crate::vocabulary::{
    CallCommand, CallEvent, CallId, CallStart, Direction, HangUpWhen, LineStage, Moment, PhoneNumber, Role,
    SpeechCommand, SpeechEdge, StreamId, WallClock,
};

/// Translates one call for its client.
#[derive(Debug)]
pub struct EnginePhoneSide {
    format: MediaFormat,
    clock: WallClock,
    stage: Stage,
    session: Session,
    events: Events,
    items: Items,
    hearing: Hearing,
    /// Audio that came before the format was known, at most [`HELD_BYTES_MAX`].
    held: Vec<u8>,
    speaking: Option<Speaking>,
    /// The name of what is said next, where the bot gave one.
    next_item: Option<ItemId>,
    /// Tools that were called and have no result.
    tools: Vec<Box<str>>,
}

/// How far the client is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// It has only connected.
    New,
    /// It knows its session; if it has sent audio, the call begins at that moment at the latest.
    Greeted { until: Option<Moment> },
    /// The call is on.
    Open,
    /// The call is over.
    Over,
}

impl EnginePhoneSide {
    /// An end that waits for its client.
    pub fn new(settings: &PhoneSideSettings) -> Self {
        let (format, events) = (settings.audio.format, Events::new(settings.seed));
        let mut id = Vec::new();
        events.write_id(&mut id, "sess_", 1);
        let id = String::from_utf8(id).unwrap_or_default();
        Self {
            format,
            clock: settings.clock,
            stage: Stage::New,
            session: Session::new(&id, format),
            events,
            items: Items::new(),
            hearing: Hearing::new(format),
            held: Vec::new(),
            speaking: None,
            next_item: None,
            tools: Vec::new(),
        }
    }

    fn greet(&mut self, out: &mut Out<CallEvent>) {
        if self.stage == Stage::New {
            self.stage = Stage::Greeted { until: None };
            self.tell_session("session.created", out);
        }
    }

    fn tell_session(&mut self, kind: &str, out: &mut Out<CallEvent>) {
        let session = self.session.to_json();
        self.events.write(WireClass::Control, kind, out, |_, to| {
            to.extend_from_slice(br#","session":"#);
            to.extend_from_slice(session.as_bytes());
        });
    }

    /// Begins the call in the session's format; `raw` is the message that began it.
    fn begin(&mut self, raw: Option<&str>, out: &mut Out<CallEvent>) {
        if !matches!(self.stage, Stage::Greeted { .. }) {
            return;
        }
        self.stage = Stage::Open;
        self.format = self.session.format();
        self.hearing = Hearing::new(self.format);
        let mut id = Vec::new();
        self.events.write_id(&mut id, "sess_", 1);
        let id = String::from_utf8(id).unwrap_or_default();
        out.hear(CallEvent::Started(Box::new(CallStart {
            call_id: CallId::from_wire(&id),
            stream_id: StreamId::from_wire(&id),
            other_leg_id: id,
            account: String::new(),
            from: PhoneNumber::new(""),
            to: PhoneNumber::new(""),
            country: None,
            direction: Direction::Inbound,
            format: self.format,
            custom: Vec::new(),
            raw: raw.map(Into::into),
            clock: self.clock,
        })));
        let held = std::mem::take(&mut self.held);
        if !held.is_empty() {
            self.hear_caller(&held, out);
        }
    }

    /// Takes audio of the caller, which may come before the format is known.
    fn take_audio(&mut self, audio: &[u8], now: Moment, out: &mut Out<CallEvent>) {
        match &mut self.stage {
            Stage::Greeted { until } => {
                until.get_or_insert(now + FORMAT_TIMEOUT);
                if self.held.len() + audio.len() <= HELD_BYTES_MAX {
                    self.held.extend_from_slice(audio);
                } else {
                    self.begin(None, out);
                    self.hear_caller(audio, out);
                }
            }
            Stage::Open => self.hear_caller(audio, out),
            Stage::New | Stage::Over => {}
        }
    }

    /// Drops what waits at the client: it does so when the caller speaks.
    fn clear(&mut self, out: &mut Out<CallEvent>) {
        if self.session.detects_turns() && !self.hearing.is_speaking() {
            self.tell_speech_started(out);
            self.tell_speech_stopped(out);
            self.hearing.end_turn();
        }
        self.end_response(ResponseEnd::TurnDetected, out);
    }

    fn say(&mut self, said: &SpeechCommand, now: Moment, out: &mut Out<CallEvent>) {
        match said {
            SpeechCommand::Item(id) => self.say_item(id, now, out),
            SpeechCommand::Caller(SpeechEdge::Started { .. }) if !self.hearing.is_speaking() => {
                self.tell_speech_started(out)
            }
            SpeechCommand::Caller(SpeechEdge::Stopped) if self.hearing.is_speaking() => {
                self.tell_speech_stopped(out);
                self.commit(out);
            }
            SpeechCommand::Caller(_) => {}
            SpeechCommand::Line(line) if line.role == Role::Bot => {
                if self.next_item.is_none() {
                    self.say_item(&line.item, now, out);
                }
                self.say_words(&line.text, line.stage == LineStage::Final, now, out);
            }
            SpeechCommand::Line(line) => self.tell_caller_words(line, out),
            SpeechCommand::Tool(call) => {
                if self.tools.len() < TOOLS_WAITING_MAX {
                    self.tools.push(call.id.clone());
                    self.say_tool(call, now, out);
                }
            }
        }
    }

    fn refuse(&mut self, fault: &Fault, event_id: Option<&str>, out: &mut Out<CallEvent>) {
        self.events.refuse(fault, event_id, out);
    }
}

impl Dialect for EnginePhoneSide {
    type Say = CallCommand;
    type Hear = CallEvent;

    fn format(&self) -> MediaFormat {
        self.format
    }

    fn encode(&mut self, say: &CallCommand, now: Moment, out: &mut Out<CallEvent>) {
        if self.stage != Stage::Open {
            if let CallCommand::HangUp(_) = say {
                out.close(CLOSE_NORMAL);
            }
            return;
        }
        match say {
            CallCommand::Clear => self.clear(out),
            CallCommand::Speech(said) => self.say(said, now, out),
            CallCommand::HangUp(when) => {
                if *when == HangUpWhen::Now {
                    self.clear(out);
                }
                self.end_response(ResponseEnd::Completed, out);
                self.stage = Stage::Over;
                out.close(CLOSE_NORMAL);
            }
            // Not on this wire.
            CallCommand::Answer
            | CallCommand::Digits(_)
            | CallCommand::Mark { .. }
            | CallCommand::Transfer(_)
            | CallCommand::Flow(_)
            | CallCommand::Invalid(_)
            | CallCommand::Unknown(_) => {}
        }
    }

    fn encode_audio(&mut self, audio: &[u8], now: Moment, out: &mut Out<CallEvent>) {
        if self.stage == Stage::Open && !audio.is_empty() {
            self.say_audio(audio, now, out);
        }
    }

    fn decode(&mut self, wire: Wire<'_>, now: Moment, out: &mut Out<CallEvent>) -> Result<(), Malformed> {
        self.greet(out);
        match wire {
            Wire::Text(text) => self.hear(text, now, out),
            Wire::Binary(_) => {
                self.refuse(&Fault::new("invalid_json", "Messages are JSON text."), None, out);
                Err(Malformed::Unexpected("binary message"))
            }
        }
    }

    fn poll_timeout(&self) -> Option<Moment> {
        match self.stage {
            Stage::New => Some(Moment::START),
            Stage::Greeted { until } => until,
            Stage::Open => self.speaking.as_ref().map(|speaking| speaking.until),
            Stage::Over => None,
        }
    }

    fn handle_timeout(&mut self, now: Moment, out: &mut Out<CallEvent>) {
        match self.stage {
            Stage::New => self.greet(out),
            Stage::Greeted { until } if until.is_some_and(|until| until <= now) => self.begin(None, out),
            Stage::Open if self.speaking.as_ref().is_some_and(|speaking| speaking.until <= now) => {
                self.end_response(ResponseEnd::Completed, out);
            }
            Stage::Greeted { .. } | Stage::Open | Stage::Over => {}
        }
    }

    fn capabilities(&self) -> &'static [Capability] {
        CAPABILITIES
    }
}

/// Audio of a client that has not said its format, in bytes: two seconds of the service's own.
pub const HELD_BYTES_MAX: usize = 96_000;

/// How long a client that sends audio may take to say in which format.
const FORMAT_TIMEOUT: Duration = Duration::from_millis(500);

/// Tools that may wait for their results.
pub const TOOLS_WAITING_MAX: usize = 32;

const CLOSE_NORMAL: u16 = 1000;
