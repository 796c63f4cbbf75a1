//! The end of `openai-realtime` that holds the phone: configures the session, lets the engine greet, tells it what the
//! caller says and heard.

mod hear;
pub(super) mod item_names;
mod keys;
mod last_words;
mod own_ear;
pub(super) mod progress;
mod session;

use std::sync::Arc;
use std::time::Duration;

use self::keys::Keys;
use self::own_ear::{BEFORE_TURN, OwnEar};
use self::progress::{Progress, Question};
use super::settings::{BargeIn, DigitWish, EngineSettings, Naming, TurnAnswer};
use crate::dialect::json::{write_base64, write_string, write_u64};
use crate::dialect::registry::BotSideSettings;
use crate::dialect::{Capability, Dialect, Malformed, Out, Wire, WireClass};
use crate::media::MediaFormat;
use crate::vocabulary::{
    CallCommand, CallEvent, Moment, Role, SpeechEdge, SpeechEvent, ToolResult, TranscriptLine,
};

/// Translates one call for its engine.
#[derive(Debug)]
pub struct EngineBotSide {
    settings: Arc<EngineSettings>,
    format: MediaFormat,
    phase: Phase,
    /// The engine has said something, whatever it was.
    has_answered: bool,
    /// What was said before this session; told before anything else.
    history: Vec<TranscriptLine>,
    /// Audio of the caller that came before the session was ready, at most [`HELD_AUDIO_MAX`] of it.
    held: Vec<u8>,
    progress: Progress,
    keys: Keys,
    own_ear: OwnEar,
    /// A response failed: whether the engine is asked again, and when.
    retry: Retry,
}

/// How far the session is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// The call has not started; whether the engine has said that the session is there.
    Waiting { created: bool },
    /// The session is to be there by then.
    Creating { until: Moment },
    /// The session is to be as we want it by then.
    Configuring { until: Moment },
    /// Both talk.
    Open,
    /// The caller has left; what it said is being written down.
    LastWords,
    /// The call is over, or the engine has given up.
    Over,
}

/// What follows a response that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Retry {
    /// None has.
    Unneeded,
    /// One has; the engine is asked again then.
    At(Moment),
    /// It was asked again.
    Tried,
}

impl EngineBotSide {
    /// An end that waits for its start.
    pub fn new(settings: &BotSideSettings) -> Self {
        Self {
            settings: settings.engine.clone().unwrap_or_default(),
            format: settings.audio.format,
            phase: Phase::Waiting { created: false },
            has_answered: false,
            history: Vec::new(),
            held: Vec::new(),
            progress: Progress::default(),
            keys: Keys::default(),
            own_ear: OwnEar::default(),
            retry: Retry::Unneeded,
        }
    }

    fn start(&mut self, now: Moment, out: &mut Out<CallCommand>) {
        match self.phase {
            Phase::Waiting { created: true } => self.configure(now, out),
            Phase::Waiting { created: false } => {
                self.phase = Phase::Creating { until: now + SESSION_TIMEOUT }
            }
            Phase::Creating { .. }
            | Phase::Configuring { .. }
            | Phase::Open
            | Phase::LastWords
            | Phase::Over => {}
        }
    }

    fn configure(&mut self, now: Moment, out: &mut Out<CallCommand>) {
        let (settings, format) = (&self.settings, self.format);
        out.text(WireClass::Control, |to| session::write_session_update(to, settings, format));
        self.phase = Phase::Configuring { until: now + SESSION_TIMEOUT };
    }

    /// The session is ready: what was said before is told, then the engine greets, then it hears the caller.
    fn open(&mut self, out: &mut Out<CallCommand>) {
        self.phase = Phase::Open;
        let history = std::mem::take(&mut self.history);
        for line in history.iter().filter(|line| !line.text.is_empty()) {
            self.say_message(line.role, &line.text, out);
        }
        let mut held = std::mem::take(&mut self.held);
        let has_spoken = self.own_ear.take_waiting();
        if has_spoken {
            say_audio(&std::mem::take(&mut held), out);
            commit_turn(out);
        }
        // Whoever was speaking when the session before broke off waits for an answer.
        let waits = has_spoken || history.last().is_some_and(|last| last.role == Role::Caller);
        match &self.settings.greeting {
            Some(greeting) if history.is_empty() => ask(out, |to| write_instructions(to, greeting, "")),
            Some(_) | None if waits => ask(out, |_| ()),
            Some(_) | None => {}
        }
        if !held.is_empty() {
            say_audio(&held, out);
        }
    }

    /// Our own ear found an edge of the caller's speech; an engine that finds them itself needs none.
    fn caller_edge(&mut self, edge: &SpeechEdge, now: Moment, out: &mut Out<CallCommand>) {
        if matches!(self.phase, Phase::LastWords | Phase::Over) || self.engine_finds_turns() {
            return;
        }
        match edge {
            SpeechEdge::Started { .. } => {
                let Some(lately) = self.own_ear.begin() else { return };
                self.progress.caller_began();
                if self.phase == Phase::Open {
                    self.cancel_response(out);
                }
                if !lately.is_empty() {
                    self.give_audio(&lately, out);
                }
            }
            SpeechEdge::Stopped if self.own_ear.end() => {
                self.progress.caller_ceased(now);
                if self.phase != Phase::Open {
                    return self.own_ear.await_session();
                }
                commit_turn(out);
                self.progress.owe_caller();
                self.ask_if_owed(now, out);
            }
            SpeechEdge::Stopped => {}
        }
    }

    /// Gives the engine audio of the caller, as soon as there is a session.
    fn give_audio(&mut self, audio: &[u8], out: &mut Out<CallCommand>) {
        match self.phase {
            Phase::Open => say_audio(audio, out),
            Phase::Waiting { .. } | Phase::Creating { .. } | Phase::Configuring { .. } => {
                if self.held.len() + audio.len() <= self.format.bytes_in(HELD_AUDIO_MAX) {
                    self.held.extend_from_slice(audio);
                }
            }
            Phase::LastWords | Phase::Over => {}
        }
    }

    /// Adds a message of text to the conversation.
    fn say_message(&self, role: Role, text: &str, out: &mut Out<CallCommand>) {
        let (role, content) = match (role, self.settings.naming) {
            (Role::Caller, _) => ("user", "input_text"),
            (Role::Bot, Naming::Ga) => ("assistant", "output_text"),
            (Role::Bot, Naming::Beta) => ("assistant", "text"),
        };
        out.text(WireClass::Control, |to| {
            to.extend_from_slice(br#"{"type":"conversation.item.create","item":{"type":"message","role":"#);
            write_string(to, role);
            to.extend_from_slice(br#","content":[{"type":"#);
            write_string(to, content);
            to.extend_from_slice(br#","text":"#);
            write_string(to, text);
            to.extend_from_slice(b"}]}}");
        });
    }

    /// Tells the engine which keys were pressed.
    fn say_keys(&mut self, keys: &str, now: Moment, out: &mut Out<CallCommand>) {
        self.say_message(Role::Caller, &format!("The caller pressed {keys}"), out);
        if self.settings.digits == DigitWish::Answered {
            self.progress.owe_answer();
            self.ask_if_owed(now, out);
        }
    }

    fn interrupted(&mut self, item: &str, heard: Duration, out: &mut Out<CallCommand>) {
        if self.phase != Phase::Open {
            return;
        }
        // Whoever detects the caller's speech has cancelled by itself; else the response is still being made.
        self.cancel_response(out);
        let Some((item, sent_ms)) = self.progress.cut_item(item, self.format) else { return };
        let heard_ms = u64::try_from(heard.as_millis()).unwrap_or(u64::MAX);
        out.text(WireClass::Control, |to| {
            to.extend_from_slice(br#"{"type":"conversation.item.truncate","item_id":"#);
            write_string(to, item);
            to.extend_from_slice(br#","content_index":0,"audio_end_ms":"#);
            write_u64(to, heard_ms.min(sent_ms));
            to.push(b'}');
        });
    }

    /// Cancels the response that is being made, unless that was done.
    fn cancel_response(&mut self, out: &mut Out<CallCommand>) {
        let Some(response) = self.progress.cut() else { return };
        out.text(WireClass::Control, |to| {
            to.extend_from_slice(br#"{"type":"response.cancel","response_id":"#);
            write_string(to, response);
            to.push(b'}');
        });
    }

    fn tool_done(&mut self, result: &ToolResult, now: Moment, out: &mut Out<CallCommand>) {
        if self.phase != Phase::Open || !self.progress.tool_done(&result.id) {
            return;
        }
        out.text(WireClass::Control, |to| {
            to.extend_from_slice(
                br#"{"type":"conversation.item.create","item":{"type":"function_call_output","call_id":"#,
            );
            write_string(to, &result.id);
            to.extend_from_slice(br#","output":"#);
            write_string(to, &result.output);
            to.extend_from_slice(b"}}");
        });
        self.progress.owe_answer();
        self.ask_if_owed(now, out);
    }

    /// Asks for a response where one is owed, none is being made, and the caller does not speak.
    fn ask_if_owed(&mut self, now: Moment, out: &mut Out<CallCommand>) {
        if self.phase != Phase::Open {
            return;
        }
        match self.progress.take_question(now) {
            // Whoever takes its leave must not call for it once more.
            Some(Question::Words(instructions)) => {
                ask(out, |to| write_instructions(to, &instructions, r#","tool_choice":"none""#));
            }
            Some(Question::Answer) => ask(out, |_| ()),
            None => {}
        }
    }

    /// Whether the engine itself cuts its response short when the caller begins to speak.
    fn engine_interrupts(&self) -> bool {
        self.settings.turn_detection.turns().is_some_and(|turns| turns.barge_in == BargeIn::Interrupts)
    }

    /// Whether the engine hears when the caller begins and ceases to speak.
    fn engine_finds_turns(&self) -> bool {
        self.settings.turn_detection.turns().is_some()
    }

    /// How long the engine may take to answer by itself when the caller has ceased to speak.
    fn answer_patience(&self) -> Duration {
        let turns = self.settings.turn_detection.turns();
        let answers = turns.is_some_and(|turns| turns.answer == TurnAnswer::ByItself);
        if answers { ANSWER_PATIENCE } else { Duration::ZERO }
    }

    /// The engine is of no use to this call any more.
    fn give_up(&mut self, out: &mut Out<CallCommand>) {
        self.phase = Phase::Over;
        self.held = Vec::new();
        out.close(CLOSE_GIVEN_UP);
    }
}

impl Dialect for EngineBotSide {
    type Say = CallEvent;
    type Hear = CallCommand;

    fn format(&self) -> MediaFormat {
        self.format
    }

    fn encode(&mut self, say: &CallEvent, now: Moment, out: &mut Out<CallCommand>) {
        match say {
            CallEvent::Started(_) => self.start(now, out),
            CallEvent::Digit(press) if self.settings.digits != DigitWish::Ignored => {
                if let Some(keys) = self.keys.press(press.digit, now) {
                    self.say_keys(&keys, now, out);
                }
            }
            CallEvent::Speech(SpeechEvent::Interrupted { item, heard }) => {
                self.interrupted(item, *heard, out)
            }
            CallEvent::Speech(SpeechEvent::Caller(edge)) => self.caller_edge(edge, now, out),
            CallEvent::Speech(SpeechEvent::WordsWanted { id, instructions }) => {
                self.progress.want_words(id, instructions);
                self.ask_if_owed(now, out);
            }
            CallEvent::Speech(SpeechEvent::ToolDone(result)) => self.tool_done(result, now, out),
            CallEvent::Ended(_) => self.phase = Phase::Over,
            // Nothing on this wire: what waits at the phone is not the engine's.
            CallEvent::Digit(_)
            | CallEvent::Mark { .. }
            | CallEvent::Cleared
            | CallEvent::Refused(_)
            | CallEvent::Record(_)
            | CallEvent::Flow(_)
            | CallEvent::Unknown(_) => {}
        }
    }

    fn encode_audio(&mut self, audio: &[u8], _now: Moment, out: &mut Out<CallCommand>) {
        if self.engine_finds_turns() || self.own_ear.hears_caller() {
            self.give_audio(audio, out);
        } else {
            self.own_ear.keep(audio, self.format.bytes_in(BEFORE_TURN));
        }
    }

    fn decode(&mut self, wire: Wire<'_>, now: Moment, out: &mut Out<CallCommand>) -> Result<(), Malformed> {
        match wire {
            Wire::Text(text) => self.hear(text, now, out),
            Wire::Binary(_) => Err(Malformed::Unexpected("binary message")),
        }
    }

    fn poll_timeout(&self) -> Option<Moment> {
        match self.phase {
            Phase::Creating { until } | Phase::Configuring { until } => Some(until),
            Phase::Open => {
                let retry = if let Retry::At(at) = self.retry { Some(at) } else { None };
                [retry, self.keys.poll_timeout(), self.progress.question_due()].into_iter().flatten().min()
            }
            Phase::Waiting { .. } | Phase::LastWords | Phase::Over => None,
        }
    }

    fn handle_timeout(&mut self, now: Moment, out: &mut Out<CallCommand>) {
        match self.phase {
            // Engines that merely resemble the first one do not all say that they are ready; one that says nothing
            // at all is none.
            Phase::Creating { until } if until <= now => self.configure(now, out),
            Phase::Configuring { until } if until <= now && !self.has_answered => {
                self.give_up(out);
                out.close_unready(CLOSE_GIVEN_UP);
            }
            Phase::Configuring { until } if until <= now => self.open(out),
            Phase::Open => {
                if matches!(self.retry, Retry::At(at) if at <= now) {
                    self.retry = Retry::Tried;
                    self.progress.owe_answer();
                }
                self.ask_if_owed(now, out);
                if let Some(keys) = self.keys.take_due(now) {
                    self.say_keys(&keys, now, out);
                }
            }
            Phase::Creating { .. }
            | Phase::Configuring { .. }
            | Phase::Waiting { .. }
            | Phase::LastWords
            | Phase::Over => {}
        }
    }

    fn capabilities(&self) -> &'static [Capability] {
        // Keys are told in words, which nobody can take for keys again.
        if self.engine_finds_turns() {
            &[Capability::Clear, Capability::DigitsToBot]
        } else {
            &[Capability::Clear, Capability::DigitsToBot, Capability::TurnsToBot]
        }
    }

    fn remember(&mut self, history: &[TranscriptLine]) {
        if matches!(self.phase, Phase::Waiting { .. } | Phase::Creating { .. } | Phase::Configuring { .. }) {
            self.history = history.to_vec();
        }
    }

    fn ask_last_words(&mut self, is_speaking: bool, out: &mut Out<CallCommand>) -> bool {
        self.begin_last_words(is_speaking, out)
    }
}

/// Asks for a response, which may have settings of its own.
fn ask(out: &mut Out<CallCommand>, settings: impl FnOnce(&mut Vec<u8>)) {
    out.text(WireClass::Control, |to| {
        to.extend_from_slice(br#"{"type":"response.create""#);
        settings(to);
        to.push(b'}');
    });
}

/// Writes a response's own instructions, with more members behind them.
fn write_instructions(to: &mut Vec<u8>, instructions: &str, more: &str) {
    to.extend_from_slice(br#","response":{"instructions":"#);
    write_string(to, instructions);
    to.extend_from_slice(more.as_bytes());
    to.push(b'}');
}

fn say_audio(audio: &[u8], out: &mut Out<CallCommand>) {
    out.text(WireClass::Audio, |to| {
        to.extend_from_slice(br#"{"type":"input_audio_buffer.append","audio":""#);
        write_base64(to, audio);
        to.extend_from_slice(br#""}"#);
    });
}

/// What was given of the caller's audio since the last turn is another one.
fn commit_turn(out: &mut Out<CallCommand>) {
    out.text(WireClass::Control, |to| {
        to.extend_from_slice(br#"{"type":"input_audio_buffer.commit"}"#);
    });
}

/// Audio of the caller that is kept until the session is ready: as long as that may take.
pub const HELD_AUDIO_MAX: Duration = Duration::from_secs(4);

/// From the end of the caller's speech to the answer of an engine that answers by itself, or does not.
const ANSWER_PATIENCE: Duration = Duration::from_secs(1);

/// How long the engine may take to say that the session is there, and once more that it is as we want it.
const SESSION_TIMEOUT: Duration = Duration::from_secs(2);

/// An engine that says why it cannot go on is left with this code; it makes the call fall back.
const CLOSE_GIVEN_UP: u16 = 1011;
