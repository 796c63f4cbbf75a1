//! How long an agent's call may go on, and be silent; and what the caller hears while a tool takes long.

use std::time::Duration;

use crate::vocabulary::{Moment, Reason};

use super::Call;
use super::state::State;
use super::voice::VoiceEdge;

/// Signs of life of a talk.
#[derive(Debug)]
pub(super) struct Patience {
    /// When somebody was heard last.
    last_sign: Moment,
    /// Until when the sound of thinking goes on, while it is to be heard.
    thinking_until: Option<Moment>,
}

impl Patience {
    pub(super) fn new(origin: Moment) -> Self {
        Self { last_sign: origin, thinking_until: None }
    }

    /// Somebody began or ceased to speak.
    pub(super) fn sign(&mut self, edge: VoiceEdge) {
        let (VoiceEdge::Started(at) | VoiceEdge::Stopped(at)) = edge;
        self.last_sign = self.last_sign.max(at);
    }
}

impl Call {
    /// When patience ends with something.
    pub(super) fn patience_due(&self) -> Option<Moment> {
        let terms = self.bot.agent.as_ref()?;
        let (State::Talking(_), Some(answered)) = (&self.state, self.answered_at) else { return None };
        let duration = terms.duration.map(|longest| answered + longest);
        [duration, self.silence_due(), self.thinking_due()].into_iter().flatten().min()
    }

    /// Ends a call that has lasted, or been silent, long enough; lets the caller hear that a tool takes long.
    pub(super) fn serve_patience(&mut self, now: Moment) {
        if self.patience_due().is_none_or(|due| due > now) {
            return;
        }
        let longest = self.bot.agent.as_ref().and_then(|terms| terms.duration);
        let due = |at: Option<Moment>| at.is_some_and(|at| at <= now);
        if due(longest.and_then(|longest| Some(self.answered_at? + longest))) {
            return self.end_after_playout(Reason::MaxDuration, now);
        }
        if due(self.silence_due()) {
            return self.end(Reason::NobodySpoke, now);
        }
        if due(self.thinking_due())
            && let Some(terms) = self.bot.agent.clone()
        {
            self.speaker.push_backdrop(&terms.thinking, now);
            let length = Duration::from_millis(terms.thinking.len() as u64 / 8);
            self.dialogue().patience.thinking_until = Some(now + length);
        }
    }

    /// The bot has something to say: the sound of thinking is over.
    pub(super) fn stop_thinking(&mut self, now: Moment) {
        let Some(dialogue) = &mut self.dialogue else { return };
        if dialogue.patience.thinking_until.take().is_some_and(|until| until > now) {
            self.speaker.clear();
        }
    }

    fn silence_due(&self) -> Option<Moment> {
        let limit = self.bot.agent.as_ref()?.silence?;
        let dialogue = self.dialogue.as_ref()?;
        if dialogue.caller_speaks() || !dialogue.running.is_empty() || self.renews_session() {
            return None;
        }
        let drained = self.speaker.drained_since()?;
        Some(dialogue.patience.last_sign.max(drained).max(self.answered_at?) + limit)
    }

    /// When the sound of thinking begins, or begins again.
    fn thinking_due(&self) -> Option<Moment> {
        let terms = self.bot.agent.as_ref().filter(|terms| !terms.thinking.is_empty())?;
        let dialogue = self.dialogue.as_ref()?;
        let since = dialogue.running.iter().filter(|tool| tool.thinking).map(|tool| tool.since).min()?;
        if dialogue.caller_speaks() || terms.thinking.len() < LOOP_SAMPLES_MIN {
            return None;
        }
        let drained = self.speaker.drained_since()?;
        let begins = (since + THINKING_AFTER).max(drained);
        Some(dialogue.patience.thinking_until.map_or(begins, |until| until.max(begins)))
    }
}

/// What a tool may take before the caller hears something.
const THINKING_AFTER: Duration = Duration::from_millis(700);
/// A shorter clip is none that could be repeated.
const LOOP_SAMPLES_MIN: usize = 800;
