//! Who speaks when: stretches of speech on each side of a call, and how long the bot takes to answer.
//!
//! It judges by loudness alone, in frames, so it takes a cough for speech; for measuring bots, not for
//! deciding when they may talk.

use std::time::Duration;

use patchcord_core::vocabulary::Moment;

/// Follows one side, frame by frame.
#[derive(Debug, Default)]
pub struct SpeechTracker {
    state: State,
}

/// A change on one side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It began to speak at this moment, a little before it was noticed.
    Started(Moment),
    /// It was quiet for a moment and speaks on.
    Resumed,
    /// It stopped speaking at this moment, [`PAUSE`] before it was noticed.
    Stopped(Moment),
}

#[derive(Debug, Clone, Copy, Default)]
enum State {
    #[default]
    Quiet,
    /// Loud since then, too short to be speech so far.
    Rising {
        since: Moment,
    },
    Speaking,
    /// Quiet since then, too short to be a stop so far.
    Falling {
        since: Moment,
    },
}

impl SpeechTracker {
    /// Hears a frame that began at `at` and lasts `length`.
    pub fn frame(&mut self, at: Moment, length: Duration, is_silent: bool) -> Option<Change> {
        let end = at + length;
        let (state, change) = match (self.state, is_silent) {
            (State::Quiet | State::Rising { .. }, true) => (State::Quiet, None),
            (State::Quiet, false) => (State::Rising { since: at }, None),
            (State::Rising { since }, false) if end - since >= ONSET => {
                (State::Speaking, Some(Change::Started(since)))
            }
            (State::Rising { since }, false) => (State::Rising { since }, None),
            (State::Speaking, false) => (State::Speaking, None),
            (State::Speaking, true) => (State::Falling { since: at }, None),
            (State::Falling { .. }, false) => (State::Speaking, Some(Change::Resumed)),
            (State::Falling { since }, true) if end - since >= PAUSE => {
                (State::Quiet, Some(Change::Stopped(since)))
            }
            (State::Falling { since }, true) => (State::Falling { since }, None),
        };
        self.state = state;
        change
    }

    /// Whether it speaks, or has only just paused.
    pub fn is_speaking(&self) -> bool {
        matches!(self.state, State::Speaking | State::Falling { .. })
    }

    /// Since when it is quiet after speech, even if it may go on.
    fn paused_since(&self) -> Option<Moment> {
        match self.state {
            State::Falling { since } => Some(since),
            State::Quiet | State::Rising { .. } | State::Speaking => None,
        }
    }
}

/// Both sides of a call and the turns between them.
#[derive(Debug, Default)]
pub struct Conversation {
    caller: SpeechTracker,
    bot: SpeechTracker,
    /// The caller's last stop that no bot has answered.
    open_stop: Option<Moment>,
    /// The bot spoke into a pause that may not be the caller's end.
    early: Option<Turn>,
    turns: Vec<Turn>,
}

/// The caller stopped, and later the bot began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Turn {
    /// When the caller's last sound left.
    pub caller_stopped: Moment,
    /// When the bot's first sound arrived.
    pub bot_started: Moment,
}

impl Turn {
    /// How long the caller waited.
    pub fn time(&self) -> Duration {
        self.bot_started - self.caller_stopped
    }
}

impl Conversation {
    /// The caller says a frame.
    pub fn caller_frame(&mut self, at: Moment, length: Duration, is_silent: bool) -> Option<Change> {
        let change = self.caller.frame(at, length, is_silent);
        match change {
            Some(Change::Started(_)) => self.open_stop = None,
            Some(Change::Resumed) => self.early = None,
            Some(Change::Stopped(stopped)) => match self.early.take() {
                Some(turn) => self.finish(turn),
                None => self.open_stop = Some(stopped),
            },
            None => {}
        }
        change
    }

    /// A frame of the bot's arrives.
    pub fn bot_frame(&mut self, at: Moment, length: Duration, is_silent: bool) -> Option<Change> {
        let change = self.bot.frame(at, length, is_silent);
        if let Some(Change::Started(bot_started)) = change {
            let answers = |stopped: Moment| stopped <= bot_started;
            if let Some(caller_stopped) = self.open_stop.take_if(|stopped| answers(*stopped)) {
                self.finish(Turn { caller_stopped, bot_started });
            } else if let Some(caller_stopped) = self.caller.paused_since().filter(|since| answers(*since)) {
                self.early = Some(Turn { caller_stopped, bot_started });
            }
        }
        change
    }

    /// The turns so far, at most [`TURNS_MAX`].
    pub fn turns(&self) -> &[Turn] {
        &self.turns
    }

    /// The wait that ended when the bot started at this moment, if it answered somebody.
    pub fn turn_of(&self, bot_started: Moment) -> Option<Duration> {
        let turn = self.early.or_else(|| self.turns.last().copied())?;
        (turn.bot_started == bot_started).then(|| turn.time())
    }

    fn finish(&mut self, turn: Turn) {
        if self.turns.len() < TURNS_MAX {
            self.turns.push(turn);
        }
    }
}

/// Sound shorter than this is a click.
pub const ONSET: Duration = Duration::from_millis(40);

/// Silence shorter than this is a pause between words.
pub const PAUSE: Duration = Duration::from_millis(300);

/// Turns that are kept; a call of four hours has fewer.
pub const TURNS_MAX: usize = 4_096;

#[cfg(test)]
mod tests {
    use super::*;

    const FRAME: Duration = Duration::from_millis(20);

    fn ms(ms: u64) -> Moment {
        Moment::from_millis(ms)
    }

    /// Plays both sides, given as stretches of speech in ms, for `length` ms.
    fn converse(caller: &[(u64, u64)], bot: &[(u64, u64)], length: u64) -> Conversation {
        let speaks = |parts: &[(u64, u64)], at| parts.iter().any(|(from, to)| (*from..*to).contains(&at));
        let mut conversation = Conversation::default();
        for at in (0..length).step_by(20) {
            conversation.caller_frame(ms(at), FRAME, !speaks(caller, at));
            conversation.bot_frame(ms(at), FRAME, !speaks(bot, at));
        }
        conversation
    }

    #[test]
    fn a_turn_lasts_from_the_callers_last_sound_to_the_bots_first() {
        let conversation =
            converse(&[(1_000, 2_000), (5_000, 6_000)], &[(2_800, 4_000), (6_400, 7_000)], 9_000);
        let times: Vec<_> = conversation.turns().iter().map(|turn| turn.time().as_millis()).collect();
        assert_eq!(times, [800, 400]);
    }

    #[test]
    fn a_bot_that_answers_before_the_pause_is_certain_has_its_turn_time_all_the_same() {
        let conversation = converse(&[(1_000, 2_000)], &[(2_100, 3_000)], 4_000);
        assert_eq!(conversation.turns(), [Turn { caller_stopped: ms(2_000), bot_started: ms(2_100) }]);
    }

    #[test]
    fn a_bot_that_speaks_between_two_words_has_not_taken_a_turn() {
        let conversation = converse(&[(1_000, 2_000), (2_200, 3_000)], &[(2_100, 2_900)], 6_000);
        assert_eq!(conversation.turns(), []);
    }

    #[test]
    fn an_echo_and_a_greeting_are_no_turns() {
        let spoken = [(1_000, 2_000), (3_000, 4_000)];
        let echoed = [(1_040, 2_040), (3_040, 4_040)];
        assert_eq!(converse(&spoken, &echoed, 6_000).turns(), []);
        assert_eq!(converse(&[], &[(500, 2_000)], 6_000).turns(), []);
    }

    #[test]
    fn only_the_first_answer_to_a_stop_counts() {
        let conversation = converse(&[(1_000, 2_000)], &[(2_500, 3_000), (4_000, 5_000)], 7_000);
        assert_eq!(conversation.turns().len(), 1);
    }

    #[test]
    fn a_click_is_no_speech_and_a_pause_no_stop() {
        let mut tracker = SpeechTracker::default();
        assert_eq!(tracker.frame(ms(0), FRAME, false), None);
        assert_eq!(tracker.frame(ms(20), FRAME, true), None);
        assert!(!tracker.is_speaking());
        assert_eq!(tracker.frame(ms(40), FRAME, false), None);
        assert_eq!(tracker.frame(ms(60), FRAME, false), Some(Change::Started(ms(40))));
        assert_eq!(tracker.frame(ms(80), FRAME, true), None);
        assert_eq!(tracker.frame(ms(100), FRAME, false), Some(Change::Resumed));
        let changes: Vec<_> = (6..22).filter_map(|n| tracker.frame(ms(n * 20), FRAME, true)).collect();
        assert_eq!(changes, [Change::Stopped(ms(120))]);
    }
}
