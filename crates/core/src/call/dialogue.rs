//! The talk between a caller and a bot that tells of it (an engine): items and how far they were heard, barge-ins, the
//! words of both, and what the bot's tools do with the call.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::time::Duration;

use crate::agent::Conversation;
use crate::dialect::Capability;
use crate::vocabulary::{
    CallEvent, CallFact, Moment, Role, SpeechCommand, SpeechEdge, SpeechEvent, TranscriptLine,
};

use super::Call;
use super::patience::Patience;
use super::session::EngineSession;
use super::state::State;
use super::tool_calls::{Farewell, RunningTool};
use super::turns::Answer;
use super::voice::VoiceEdge;

/// What is known of the talk on one call.
#[derive(Debug)]
pub(super) struct Dialogue {
    pub(super) conversation: Conversation,
    /// Items whose audio came and is not over, in order.
    playing: VecDeque<Box<str>>,
    /// How much of the first of them has come, and since when nothing of that waits.
    dry: Option<(Duration, Moment)>,
    /// The caller's voice, by our own ear.
    caller: Voices,
    /// What the bot wants to be done when its last word was heard.
    pub(super) farewell: Option<Farewell>,
    /// Tools that the shell carries out.
    pub(super) running: Vec<RunningTool>,
    /// The tool call that asked for a transfer under way.
    pub(super) transfer: Option<Box<str>>,
    pub(super) session: EngineSession,
    /// Sessions, and bots, before this one: each names its items anew.
    earlier: u32,
    pub(super) patience: Patience,
}

/// The last edges of somebody's speech.
#[derive(Debug, Clone, Copy, Default)]
struct Voices {
    began: Option<Moment>,
    ended: Option<Moment>,
    /// The bot's ear has found an edge since it began.
    is_found: bool,
}

/// An item that was cut off: its name, what was heard of it, and what had come.
pub(super) type CutItem = (Box<str>, Duration);

impl Dialogue {
    fn new(origin: Moment) -> Self {
        Self {
            conversation: Conversation::new(origin),
            playing: VecDeque::new(),
            dry: None,
            caller: Voices::default(),
            farewell: None,
            running: Vec::new(),
            transfer: None,
            session: EngineSession::new(),
            earlier: 0,
            patience: Patience::new(origin),
        }
    }

    /// Another session, or another bot, takes over: it knows nothing of what the last one asked for.
    pub(super) fn begin_session(&mut self, now: Moment) {
        self.running.clear();
        self.transfer = None;
        self.earlier += 1;
        self.conversation.writer_left(now);
    }

    /// The name within the call of what this session calls `item`.
    fn name<'a>(&self, item: &'a str) -> Cow<'a, str> {
        match self.earlier {
            0 => item.into(),
            _ if item.is_empty() => item.into(),
            earlier => format!("{item}#{}", earlier + 1).into(),
        }
    }

    /// What this session calls the item of that name; `None` if it is of an earlier one.
    fn own_name<'a>(&self, name: &'a str) -> Option<&'a str> {
        match self.earlier {
            0 => Some(name),
            earlier => name.strip_suffix(&format!("#{}", earlier + 1)),
        }
    }

    /// Whether the caller speaks, as far as our ear can tell.
    pub(super) fn caller_speaks(&self) -> bool {
        self.caller.began.is_some() && self.caller.ended.is_none()
    }

    /// The caller has left; says whether it was speaking, by the bot's ear or by ours.
    pub(super) fn caller_left(&mut self, now: Moment) -> bool {
        let Voices { began, ended, is_found } = self.caller;
        let is_ours = ended.is_none() && !is_found;
        if let Some(began) = began.filter(|began| is_ours && now - *began >= WORD) {
            self.conversation.caller_began(None, began);
        }
        self.conversation.caller_speaks()
    }

    /// Whether all that the bot has begun to say is known to have come.
    pub(super) fn has_said_all(&self) -> bool {
        self.playing.iter().all(|item| self.conversation.is_final(item))
    }

    fn comes(&mut self, item: &str) {
        if self.playing.back().is_some_and(|last| **last == *item) {
            return;
        }
        if self.playing.len() >= ITEMS_PLAYING_MAX {
            self.playing.pop_front();
        }
        self.playing.push_back(item.into());
    }
}

impl Call {
    /// The dialogue, which begins with the first word of it.
    pub(super) fn dialogue(&mut self) -> &mut Dialogue {
        let origin = self.started_at;
        self.dialogue.get_or_insert_with(|| Box::new(Dialogue::new(origin)))
    }

    /// Takes what the bot says of the conversation.
    pub(super) fn obey_speech(&mut self, command: &SpeechCommand, now: Moment) {
        if matches!(self.state, State::Ended) {
            return;
        }
        match command {
            SpeechCommand::Item(item) => {
                if matches!(self.state, State::Ending(_)) || self.bot_waits() {
                    return;
                }
                let dialogue = self.dialogue();
                let name = dialogue.name(item);
                dialogue.comes(&name);
                self.speaker.set_item(&name);
            }
            SpeechCommand::Caller(edge) => self.bot_hears_caller(edge, now),
            SpeechCommand::Line(line) => self.note_line(line, now),
            SpeechCommand::Tool(call) => self.call_tool(call, now),
        }
        self.report_utterances();
    }

    /// The bot's ear finds an edge of the caller's speech. Ours is nearer: where it found the same, that counts.
    pub(super) fn bot_hears_caller(&mut self, edge: &SpeechEdge, now: Moment) {
        let dialogue = self.dialogue();
        dialogue.caller.is_found = true;
        let near = |at: Option<Moment>, reach: Duration| at.filter(|at| now - *at <= reach);
        match edge {
            SpeechEdge::Started { item } => {
                let own = near(dialogue.caller.began, BEGINNING_REACH);
                let name = item.as_deref().map(|item| dialogue.name(item));
                dialogue.conversation.caller_began(name.as_deref(), own.unwrap_or(now));
            }
            SpeechEdge::Stopped => {
                let own = near(dialogue.caller.ended, ENDING_REACH);
                dialogue.conversation.caller_ended(own.unwrap_or(now));
            }
        }
    }

    fn note_line(&mut self, line: &TranscriptLine, now: Moment) {
        // What was said after the end of the call was said before it.
        let now = if self.awaits_last_words() { self.ended_at } else { now };
        let dialogue = self.dialogue();
        match dialogue.name(&line.item) {
            Cow::Borrowed(_) => dialogue.conversation.line(line, now),
            Cow::Owned(name) => {
                let named = TranscriptLine { item: name.into(), ..line.clone() };
                dialogue.conversation.line(&named, now);
            }
        }
        if line.role == Role::Bot {
            self.follow_items(now);
        }
    }

    /// Our ear found an edge of the caller's speech, and perhaps how long the bot's answer took.
    pub(super) fn caller_voice(&mut self, edge: VoiceEdge, answer: Option<Answer>) {
        let Some(dialogue) = &mut self.dialogue else { return };
        match edge {
            VoiceEdge::Started(at) => {
                dialogue.caller = Voices { began: Some(at), ended: None, is_found: false };
            }
            VoiceEdge::Stopped(at) => dialogue.caller.ended = Some(at),
        }
        dialogue.patience.sign(edge);
        self.note_answer(answer);
    }

    /// Tells a bot that does not hear it itself when the caller begins and ceases to speak; the first cuts it off.
    pub(super) fn tell_turn(&mut self, edge: VoiceEdge, now: Moment) {
        if !self.bot.can(Capability::TurnsToBot) {
            return;
        }
        let edge = match edge {
            VoiceEdge::Started(_) if matches!(self.state, State::Talking(_)) => {
                SpeechEdge::Started { item: None }
            }
            VoiceEdge::Started(_) => return,
            VoiceEdge::Stopped(_) => SpeechEdge::Stopped,
        };
        self.bot_hears_caller(&edge, now);
        let is_barge_in = matches!(edge, SpeechEdge::Started { .. });
        self.tell_bot(&CallEvent::Speech(SpeechEvent::Caller(edge)), now);
        if is_barge_in {
            self.clear(now);
        }
        self.report_utterances();
    }

    /// Tells a bot that is new to the talk that the caller speaks, if it cannot hear it and the caller does.
    pub(super) fn tell_turn_under_way(&mut self, now: Moment) {
        let speaks = self.dialogue.as_ref().is_some_and(|dialogue| dialogue.caller_speaks());
        if speaks && self.bot.can(Capability::TurnsToBot) {
            let edge = SpeechEdge::Started { item: None };
            self.tell_bot(&CallEvent::Speech(SpeechEvent::Caller(edge)), now);
        }
    }

    /// The bot is heard to begin, which may be an answer, or to end.
    pub(super) fn bot_voice(&mut self, edge: VoiceEdge, answer: Option<Answer>) {
        if let Some(dialogue) = &mut self.dialogue {
            dialogue.patience.sign(edge);
        }
        self.note_answer(answer);
    }

    fn note_answer(&mut self, answer: Option<Answer>) {
        if let (Some(dialogue), Some(Answer { began, after })) = (&mut self.dialogue, answer) {
            dialogue.conversation.answered(began, after);
        }
    }

    /// Looks which items began to be heard, and which were heard to their end.
    pub(super) fn follow_items(&mut self, now: Moment) {
        let frame = self.speaker.frame();
        let Some(dialogue) = &mut self.dialogue else { return };
        while let Some(item) = dialogue.playing.front() {
            let is_last = dialogue.playing.len() == 1;
            let Some((heard, pushed)) = self.speaker.heard(item) else {
                if is_last {
                    break;
                }
                // Nothing of it came before the next one did.
                dialogue.playing.pop_front();
                continue;
            };
            if heard.is_zero() {
                break;
            }
            dialogue.conversation.bot_began(item, now);
            if heard < pushed {
                dialogue.dry = None;
                break;
            }
            // Of a bot that speaks no faster than it is heard nothing waits; as long as more comes it is not over.
            let (_, dry_since) = *dialogue.dry.insert(match dialogue.dry {
                Some((all, since)) if all == pushed => (all, since),
                _ => (pushed, now + frame),
            });
            if is_last && !dialogue.conversation.is_final(item) {
                break;
            }
            dialogue.conversation.bot_heard(item, heard, dry_since);
            dialogue.dry = None;
            dialogue.playing.pop_front();
        }
        self.report_utterances();
    }

    /// What waits is about to be dropped: notes of each item how much of it was heard, and says so.
    pub(super) fn cut_items(&mut self, now: Moment) -> Vec<CutItem> {
        let Some(dialogue) = &mut self.dialogue else { return Vec::new() };
        let mut items = self.speaker.unheard_items();
        // Of the last one more may be on its way.
        if let Some(first) = dialogue.playing.front().filter(|first| !items.contains(first)) {
            items.insert(0, first.clone());
        }
        let mut cut = Vec::with_capacity(items.len());
        for item in items {
            let Some((heard, pushed)) = self.speaker.heard(&item) else { continue };
            if heard >= pushed && dialogue.conversation.is_final(&item) {
                let since = dialogue.dry.map_or(now, |(_, since)| since);
                dialogue.conversation.bot_heard(&item, heard, since);
            } else if !dialogue.conversation.is_over(&item) {
                dialogue.conversation.bot_was_cut(&item, heard, pushed, now);
                cut.push((item, heard));
            }
        }
        dialogue.playing.clear();
        dialogue.dry = None;
        cut
    }

    /// Tells the bot how much was heard of what was cut off, if it was its own.
    pub(super) fn tell_cut(&mut self, cut: Vec<CutItem>, now: Moment) {
        for (name, heard) in cut {
            let own = self.dialogue.as_ref().and_then(|dialogue| dialogue.own_name(&name));
            let Some(item) = own.map(Box::from) else { continue };
            self.tell_bot(&CallEvent::Speech(SpeechEvent::Interrupted { item, heard }), now);
        }
        self.keep_the_caller(now);
        self.report_utterances();
    }

    /// The bot is gone: what it has not written by now stays unwritten, and what is over is told at once.
    pub(super) fn no_more_words(&mut self, now: Moment) {
        let Some(dialogue) = &mut self.dialogue else { return };
        dialogue.conversation.writer_left(now);
        self.report_utterances();
    }

    /// The call is over: what was not finished is told as far as it came.
    pub(super) fn end_dialogue(&mut self, now: Moment) {
        let Some(dialogue) = &mut self.dialogue else { return };
        let speaker = &self.speaker;
        if self.state.awaits_last_words() {
            dialogue.conversation.end_before_last_words(now, |item| speaker.heard(item));
        } else {
            dialogue.conversation.end(now, |item| speaker.heard(item));
        }
        self.report_utterances();
    }

    /// When [`Call::serve_dialogue`] is due.
    pub(super) fn dialogue_due(&self) -> Option<Moment> {
        let dialogue = self.dialogue.as_ref()?;
        let words = dialogue.conversation.poll_timeout();
        [words, self.farewell_due(), self.session_due(), self.patience_due()].into_iter().flatten().min()
    }

    /// Does what is due of the dialogue.
    pub(super) fn serve_dialogue(&mut self, now: Moment) {
        let Some(dialogue) = &mut self.dialogue else { return };
        dialogue.conversation.handle_timeout(now);
        self.report_utterances();
        self.take_leave(now);
        self.serve_session(now);
        self.serve_patience(now);
    }

    fn report_utterances(&mut self) {
        let Some(dialogue) = &mut self.dialogue else { return };
        while let Some(utterance) = dialogue.conversation.poll() {
            self.outputs.report(CallFact::Utterance(Box::new(utterance)));
        }
    }
}

/// Items of a bot whose audio waits or is on its way; the first ones are forgotten.
pub const ITEMS_PLAYING_MAX: usize = 64;

/// Sound shorter than that is no word which only our ear has found.
const WORD: Duration = Duration::from_millis(300);
/// How long after our own ear the bot's may find that the caller began to speak.
const BEGINNING_REACH: Duration = Duration::from_millis(1_500);
/// How long after our own ear the bot's may find that the caller ceased.
const ENDING_REACH: Duration = Duration::from_millis(5_000);
