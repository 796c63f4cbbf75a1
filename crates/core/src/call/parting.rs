//! A bot's part of a call ends while the call goes on: somebody else has it, or is on the way to it. Then a hang-up of the
//! bot's is what its close is, and ends nothing.

use crate::vocabulary::{CallEvent, Direction, EndedStream, HangUpWhen, Moment, Reason};

use super::bot_leg::BotLink;
use super::state::State;
use super::{BotPlace, Call, OnTransfer};

impl Call {
    /// The bot wants to hang up.
    pub(super) fn bot_hangs_up(&mut self, when: HangUpWhen, now: Moment) {
        if self.is_given_away() {
            // Should it turn out that nobody else can have the call, it counts all the same.
            self.bot.hung_up = Some(when);
            if self.bot_waits() {
                self.part_from_bot(now);
            }
            return;
        }
        if self.answered_at.is_none()
            && let Some(reason) = self.untaken.take()
        {
            // A bot whose part was over with its transfer has no say in what follows.
            return match self.bot.on_transfer {
                OnTransfer::End => self.fall_back(reason, now),
                OnTransfer::Hold => self.end(reason, now),
            };
        }
        match when {
            HangUpWhen::AfterPlayout => self.end_after_playout(Reason::BotHungUp, now),
            HangUpWhen::Now => self.end(Reason::BotHungUp, now),
        }
    }

    /// The call goes on without the bot. What it said may play on; its marks among it come back as cleared.
    pub(super) fn part_from_bot(&mut self, now: Moment) {
        self.speaker.abandon_marks();
        if self.bot.link == BotLink::Open {
            self.bot_part_ends(now);
        }
        self.report_marks(now);
        self.tell_bot(&CallEvent::Ended(EndedStream::Handed), now);
        self.forget_marks();
        self.let_bot_go(1000);
        self.bot.hung_up = None;
        self.no_more_words(now);
    }

    /// The bot is not there any more: the caller gets what the number has for that; a callee is let go.
    pub(super) fn fall_back(&mut self, reason: Reason, now: Moment) {
        if self.names.direction == Direction::Outbound {
            return self.end(reason, now);
        }
        if self.answered_at.is_some() {
            self.play_fallback(reason, now);
        } else {
            self.fall_back_unanswered(reason, now);
        }
    }

    /// Whether somebody is on the way to take the call from a bot that lives elsewhere. What a bot of ours does meanwhile
    /// is part of its own course.
    fn is_given_away(&self) -> bool {
        let is_given = match &self.state {
            State::Transferring(_) => true,
            State::Talking(_) => self.is_handing_over() && !self.renews_session(),
            State::Inviting(_)
            | State::Dialling(_)
            | State::FindingBot(_)
            | State::ConnectingBot(_)
            | State::Ringing(_)
            | State::Bridged(_)
            | State::Ending(_)
            | State::Ended => false,
        };
        is_given && self.bot.place != BotPlace::BuiltIn
    }
}
