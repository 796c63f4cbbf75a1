//! The sessions of an engine on one call: a new one is prepared beside the old before that grows too old, and when it is
//! lost; it goes on with the conversation, and the caller hears nothing of it.

use std::time::Duration;

use crate::vocabulary::{CallEvent, CallFact, EndedStream, Moment};

use super::bot_leg::{BotLeg, BotLink};
use super::output::PlainOutput;
use super::patience::Patience;
use super::state::State;
use super::{BotWish, Call, NextBot, NextBotError};

/// Where the engine's session stands.
#[derive(Debug)]
pub(super) struct EngineSession {
    /// When the next one is to be prepared.
    renew_at: Option<Moment>,
    /// One that is ready and waits for a pause, until then at the longest.
    ready: Option<(Box<NextBot>, Moment)>,
    reconnects: u32,
}

impl EngineSession {
    pub(super) const fn new() -> Self {
        Self { renew_at: None, ready: None, reconnects: 0 }
    }
}

impl Call {
    /// Messages can be exchanged with the engine.
    pub(super) fn session_begins(&mut self, now: Moment) {
        let Some(terms) = self.bot.agent.clone() else { return };
        self.dialogue().session.renew_at = Some(now + terms.session);
        self.counters.engine_sessions += 1;
        self.outputs.report(CallFact::EngineConnected);
    }

    /// Another bot has the call: what the last one wanted, and the age of its session, are none of its business.
    pub(super) fn forget_last_bot(&mut self, now: Moment) {
        self.stop_thinking(now);
        if self.dialogue.is_none() && self.bot.agent.is_none() {
            return;
        }
        let dialogue = self.dialogue();
        dialogue.begin_session(now);
        dialogue.farewell = None;
        dialogue.session.renew_at = None;
        dialogue.patience = Patience::new(now);
    }

    /// The engine is lost: says whether it is reached anew, which the caller does not notice if it succeeds.
    pub(super) fn reconnects(&mut self, now: Moment) -> bool {
        if !matches!(self.state, State::Talking(_)) || self.bot.agent.is_none() || self.takes_leave() {
            return false;
        }
        let until = now + RECONNECT_PATIENCE;
        if self.is_handing_over() {
            if !self.renews_session() {
                return false;
            }
            // The next session is on its way, or waits for a pause that nobody needs any more.
            if let Some((next, _)) = self.dialogue().session.ready.take() {
                self.continue_with(*next, now);
            } else if let State::Talking(talking) = &mut self.state {
                talking.await_session(until);
            }
            return true;
        }
        let session = &mut self.dialogue().session;
        if session.reconnects >= RECONNECTS_MAX {
            return false;
        }
        session.reconnects += 1;
        self.counters.engine_reconnects += 1;
        self.reach_session(until);
        true
    }

    /// When something is due of the sessions.
    pub(super) fn session_due(&self) -> Option<Moment> {
        let session = &self.dialogue.as_ref()?.session;
        let State::Talking(talking) = &self.state else { return None };
        if let Some((_, until)) = &session.ready {
            let pause = self.speaker.drained_since().filter(|_| self.is_quiet());
            return Some(pause.map_or(*until, |since| (since + PAUSE).min(*until)));
        }
        session.renew_at.filter(|_| talking.hand_over.is_none() && self.bot.link == BotLink::Open)
    }

    /// Prepares a new session when the old one is old, and lets it take over in a pause.
    pub(super) fn serve_session(&mut self, now: Moment) {
        if self.session_due().is_none_or(|due| due > now) {
            return;
        }
        let ready = self.dialogue.as_mut().and_then(|dialogue| dialogue.session.ready.take());
        match ready {
            Some((next, _)) => self.continue_with(*next, now),
            None => self.reach_session(now + self.deadlines.bot_connect),
        }
    }

    /// A new session can be used.
    pub(super) fn next_session_connected(&mut self, next: NextBot, now: Moment) {
        if self.bot.link != BotLink::Open {
            return self.continue_with(next, now);
        }
        if let State::Talking(talking) = &mut self.state {
            talking.await_session(now + PAUSE_PATIENCE + RECONNECT_PATIENCE);
        }
        self.dialogue().session.ready = Some((Box::new(next), now + PAUSE_PATIENCE));
    }

    /// There is no new session: the old one goes on, or the caller gets the fallback.
    pub(super) fn next_session_failed(&mut self, error: NextBotError, now: Moment) {
        self.forget_next_session();
        if self.bot.link == BotLink::Open {
            self.dialogue().session.renew_at = Some(now + RENEW_AGAIN);
            return;
        }
        self.dialogue().session.reconnects = RECONNECTS_MAX;
        self.bot_failed(error.reason(), now);
    }

    /// Nobody needs the session that waits for a pause.
    pub(super) fn forget_next_session(&mut self) {
        if let Some(dialogue) = &mut self.dialogue {
            dialogue.session.ready = None;
        }
    }

    fn reach_session(&mut self, until: Moment) {
        if let State::Talking(talking) = &mut self.state {
            talking.await_session(until);
            self.outputs.reach_next_bot(BotWish::SameAgain, self.speaker.leg());
        }
    }

    /// Goes on with a new session, which learns what was said.
    fn continue_with(&mut self, next: NextBot, now: Moment) {
        self.take_hand_over();
        self.tell_bot(&CallEvent::Ended(EndedStream::Handed), now);
        self.let_bot_go(1000);
        let NextBot { mut settings, stream_id } = next;
        let dialogue = self.dialogue();
        settings.side.remember(&dialogue.conversation.history());
        dialogue.begin_session(now);
        self.speaker.end_of_utterance(now);
        self.speaker.set_bot(settings.audio.format);
        self.listener.set_bot(settings.audio);
        self.names.stream_id = stream_id;
        self.bot = BotLeg::new(settings);
        self.outputs.plain(PlainOutput::NextBotTakesOver);
        self.bot.link = BotLink::Open;
        self.choose_digits();
        self.session_begins(now);
        self.tell_bot(&CallEvent::Started(Box::new(self.start_for_bot())), now);
        self.tell_turn_under_way(now);
        self.pace_bot();
    }

    /// Whether neither of both speaks, and nothing is being done for the bot.
    fn is_quiet(&self) -> bool {
        let Some(dialogue) = &self.dialogue else { return true };
        let is_at_work = dialogue.farewell.is_some() || !dialogue.running.is_empty();
        !is_at_work && !dialogue.caller_speaks() && dialogue.has_said_all()
    }
}

/// How often a lost engine is reached anew on one call.
pub const RECONNECTS_MAX: u32 = 3;

/// How long a lost engine may take to be reached anew before the caller gets the fallback.
const RECONNECT_PATIENCE: Duration = Duration::from_millis(500);
/// How long a session that is ready waits for a pause.
const PAUSE_PATIENCE: Duration = Duration::from_secs(30);
/// Silence of both that is a pause.
const PAUSE: Duration = Duration::from_millis(800);
/// After a new session was not to be had.
const RENEW_AGAIN: Duration = Duration::from_secs(30);
