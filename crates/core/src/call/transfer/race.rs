//! Who of the called takes a transfer: the legs, their deadlines, the one winner, and the report of it all.
//!
//! It knows neither sound nor the caller; what it wants done stands in line as [`Move`]s. Every leg that was dialled ends
//! exactly once: it failed, was cancelled, was hung up, or hung up itself.

use std::collections::VecDeque;
use std::time::Duration;

use super::destination::{Destination, LegNo, LegRefusal};
use crate::vocabulary::{DialOrder, LegReport, LegStatus, Moment, TransferReport, TransferStatus};

/// What the race wants done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Move {
    /// Dial; it may ring until then.
    Dial(LegNo, Destination, Moment),
    /// The first leg is on its way: what was a wish is a transfer.
    Begun,
    /// Ask whoever answered to accept.
    Confirm(LegNo),
    /// Stop ringing, for that Q.850 cause.
    Cancel(LegNo, u8),
    /// Let go of one that answered, with that Q.850 cause.
    HangUp(LegNo, u8),
    /// Join it to the caller.
    Join(LegNo),
    /// Nobody is left.
    Lost(Loss),
}

/// How a race was lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Loss {
    /// Nobody was dialled at all.
    Refused(LegRefusal),
    /// Nobody answered.
    Failed,
}

/// The legs of one transfer.
#[derive(Debug)]
pub(super) struct Race {
    pub(super) report: TransferReport,
    /// Those not tried yet, in order.
    waiting: VecDeque<Destination>,
    /// In the order of the report's legs.
    legs: Vec<Entrant>,
    first: u32,
    rules: RaceRules,
    refusal: Option<LegRefusal>,
    stage: RaceStage,
    moves: VecDeque<Move>,
    /// Something changed in the report since it was told.
    changed: bool,
}

/// How a race is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RaceRules {
    /// How long each leg may ring.
    pub(super) ring: Duration,
    /// How long whoever answers has to accept; `None` where the answer is enough.
    pub(super) confirm: Option<Duration>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RaceStage {
    /// Nobody is on the way yet.
    Wish,
    /// Somebody is.
    Running,
    /// One was joined to the caller; the index of its leg.
    Won(usize),
    /// Nobody is left, or nobody waits any more.
    Over,
}

#[derive(Debug, Clone, Copy)]
struct Entrant {
    no: LegNo,
    stage: LegStage,
    is_extension: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LegStage {
    /// It was dialled; until when it may ring.
    Calling { until: Moment, rang: bool },
    /// It answered and has to accept.
    Confirming { until: Moment },
    /// It talks to the caller.
    Joined,
    /// It was cancelled; an answer may be on its way all the same.
    Cancelled,
    /// It is over.
    Over,
}

impl Race {
    /// A race to `to`, whose legs are numbered from `first` on.
    pub(super) fn new(
        (sequence, order): (u32, DialOrder),
        to: Vec<Destination>,
        first: u32,
        rules: RaceRules,
        now: Moment,
    ) -> Self {
        let mut race = Self {
            report: TransferReport {
                sequence,
                order,
                status: TransferStatus::Initiating,
                destinations: to.iter().map(|to| to.text().into()).collect(),
                answered_by: None,
                started_at: now,
                answered_at: None,
                ended_at: None,
                q850: None,
                legs: Vec::new(),
            },
            waiting: to.into(),
            legs: Vec::new(),
            first,
            rules,
            refusal: None,
            stage: RaceStage::Wish,
            moves: VecDeque::new(),
            changed: true,
        };
        match order {
            DialOrder::AllAtOnce => while race.dial_next(now) {},
            DialOrder::OneByOne => {
                race.dial_next(now);
            }
        }
        race
    }

    /// The next thing to do.
    pub(super) fn poll_move(&mut self) -> Option<Move> {
        self.moves.pop_front()
    }

    /// The report, if it changed since it was asked for and the transfer has begun.
    pub(super) fn take_news(&mut self) -> Option<TransferReport> {
        let news = self.stage != RaceStage::Wish && std::mem::take(&mut self.changed);
        news.then(|| self.report.clone())
    }

    /// Has it count as a transfer, although nobody was dialled.
    pub(super) fn tell_in_any_case(&mut self) {
        if self.stage == RaceStage::Wish {
            (self.stage, self.changed) = (RaceStage::Over, true);
        }
    }

    /// The number after those of its legs.
    pub(super) fn next_no(&self) -> u32 {
        self.first + u32::try_from(self.legs.len()).unwrap_or(0)
    }

    /// Whether the leg is one of its.
    pub(super) fn knows(&self, no: LegNo) -> bool {
        self.find(no).is_some()
    }

    pub(super) fn has_begun(&self) -> bool {
        self.stage != RaceStage::Wish
    }

    /// Whether that leg is the only one that the caller could hear before the answer.
    pub(super) fn rings_alone(&self, no: LegNo) -> bool {
        let alone = self.report.order == DialOrder::OneByOne || self.report.destinations.len() == 1;
        alone && matches!(self.stage_of(no), Some(LegStage::Calling { .. }))
    }

    /// When [`Race::handle_timeout`] is due.
    pub(super) fn poll_timeout(&self) -> Option<Moment> {
        self.legs.iter().filter_map(|leg| leg.stage.until()).min()
    }

    /// The leg could not be dialled.
    pub(super) fn refused(&mut self, no: LegNo, refusal: LegRefusal, now: Moment) {
        let Some(at) = self.find(no) else { return };
        if let LegStage::Calling { rang: false, .. } = self.legs[at].stage {
            self.refusal.get_or_insert(refusal);
            self.leave(at, LegStatus::Failed, refusal.q850(), now);
            self.go_on(now);
        }
    }

    /// The leg is on its way under that id.
    pub(super) fn dialled(&mut self, no: LegNo, id: &str) {
        if let Some(at) = self.find(no) {
            self.report.legs[at].leg_id = id.into();
            self.changed = true;
            self.begin();
        }
    }

    /// The leg rings.
    pub(super) fn ringing(&mut self, no: LegNo) {
        let Some(at) = self.find(no) else { return };
        if let LegStage::Calling { rang, .. } = &mut self.legs[at].stage {
            *rang = true;
            self.begin();
        }
    }

    /// The leg answered; `grace` is what it is told before it can accept. Says whether its audio is wanted.
    pub(super) fn answered(&mut self, no: LegNo, grace: Duration, now: Moment) -> bool {
        let Some(at) = self.find(no) else { return false };
        match self.legs[at].stage {
            LegStage::Calling { .. } => {
                self.begin();
                match self.rules.confirm {
                    Some(patience) => {
                        self.legs[at].stage = LegStage::Confirming { until: now + grace + patience };
                        self.moves.push_back(Move::Confirm(no));
                    }
                    None => self.win(at, now),
                }
                true
            }
            // The answer was faster than the CANCEL.
            LegStage::Cancelled => {
                self.legs[at].stage = LegStage::Over;
                self.moves.push_back(Move::HangUp(no, NOT_SELECTED));
                false
            }
            LegStage::Confirming { .. } | LegStage::Joined | LegStage::Over => false,
        }
    }

    /// The leg accepts, if it was asked.
    pub(super) fn accepted(&mut self, no: LegNo, now: Moment) {
        if let Some(at) = self.find(no)
            && let LegStage::Confirming { .. } = self.legs[at].stage
        {
            self.win(at, now);
        }
    }

    /// The leg ended before or after its answer, with that Q.850 cause. Says whether it talked to the caller.
    pub(super) fn gone(&mut self, no: LegNo, q850: u8, now: Moment) -> bool {
        let Some(at) = self.find(no) else { return false };
        match self.legs[at].stage {
            LegStage::Calling { .. } => {
                self.begin();
                self.leave(at, LegStatus::of_q850(q850), q850, now);
                self.go_on(now);
            }
            LegStage::Confirming { .. } => {
                self.leave(at, LegStatus::NoAnswer, q850, now);
                self.go_on(now);
            }
            LegStage::Joined => {
                self.complete(at, q850, now);
                return true;
            }
            LegStage::Cancelled => self.legs[at].stage = LegStage::Over,
            LegStage::Over => {}
        }
        false
    }

    /// The caller's own carrier has connected it with that leg's destination. Says whether that was still wanted.
    pub(super) fn taken_over(&mut self, no: LegNo, now: Moment) -> bool {
        let calling = |leg: &Entrant| leg.no == no && matches!(leg.stage, LegStage::Calling { .. });
        let Some(at) = self.legs.iter().position(calling) else { return false };
        self.begin();
        self.leave(at, LegStatus::Completed, NORMAL, now);
        self.release(Some(at), NOT_SELECTED, now);
        self.waiting.clear();
        self.report.legs[at].answered_at = Some(now);
        (self.report.answered_by, self.report.answered_at) = (Some(at), Some(now));
        self.finish(TransferStatus::HandedOff, NORMAL, now);
        true
    }

    /// Whether that leg talks to the caller.
    pub(super) fn is_joined(&self, no: LegNo) -> bool {
        matches!(self.stage_of(no), Some(LegStage::Joined))
    }

    /// Deadlines that have come.
    pub(super) fn handle_timeout(&mut self, now: Moment) {
        for at in 0..self.legs.len() {
            let Entrant { no, stage, .. } = self.legs[at];
            match stage {
                LegStage::Calling { until, rang } if until <= now => {
                    self.begin();
                    self.legs[at].stage = LegStage::Cancelled;
                    let q850 = if rang { NO_ANSWER } else { NO_USER };
                    self.close(at, LegStatus::Timeout, q850, now);
                    self.moves.push_back(Move::Cancel(no, q850));
                    self.go_on(now);
                }
                LegStage::Confirming { until } if until <= now => {
                    self.leave(at, LegStatus::NoAnswer, NO_ANSWER, now);
                    self.moves.push_back(Move::HangUp(no, NO_ANSWER));
                    self.go_on(now);
                }
                _ => {}
            }
        }
    }

    /// The call ends: nobody is needed any more. `abandoned` says that the caller did not wait.
    pub(super) fn give_up(&mut self, abandoned: bool, q850: u8, now: Moment) {
        match self.stage {
            RaceStage::Won(at) => {
                if let Some(Entrant { no, stage: LegStage::Joined, .. }) = self.legs.get(at) {
                    self.moves.push_back(Move::HangUp(*no, q850));
                    self.complete(at, q850, now);
                }
            }
            RaceStage::Wish | RaceStage::Running => {
                if self.legs.iter().any(|leg| leg.stage.until().is_some()) {
                    // What was asked to be dialled may be on its way without having said so.
                    self.stage = RaceStage::Running;
                }
                self.release(None, q850, now);
                let status = if abandoned { TransferStatus::CallerAbandoned } else { TransferStatus::Failed };
                self.finish(status, q850, now);
            }
            RaceStage::Over => {}
        }
    }

    fn dial_next(&mut self, now: Moment) -> bool {
        let Some(to) = self.waiting.pop_front() else { return false };
        let no = LegNo(self.next_no());
        let until = now + self.rules.ring;
        let stage = LegStage::Calling { until, rang: false };
        self.legs.push(Entrant { no, stage, is_extension: matches!(to, Destination::Extension(_)) });
        self.report.legs.push(LegReport {
            destination: to.text().into(),
            status: LegStatus::Ringing,
            q850: None,
            started_at: now,
            answered_at: None,
            ended_at: None,
            leg_id: "".into(),
        });
        self.changed = true;
        self.moves.push_back(Move::Dial(no, to, until));
        true
    }

    fn begin(&mut self) {
        if self.stage == RaceStage::Wish {
            self.stage = RaceStage::Running;
            self.moves.push_back(Move::Begun);
        }
    }

    fn win(&mut self, at: usize, now: Moment) {
        let no = self.legs[at].no;
        self.legs[at].stage = LegStage::Joined;
        self.stage = RaceStage::Won(at);
        self.release(Some(at), NOT_SELECTED, now);
        self.waiting.clear();
        // A mailbox that answers and never accepts has answered nobody, so that it has no talk time.
        (self.report.legs[at].status, self.report.legs[at].answered_at) = (LegStatus::Answered, Some(now));
        // Seed 000's reports call a transfer to an extension handed off, and no more.
        let is_extension = self.legs[at].is_extension;
        self.report.status = if is_extension { TransferStatus::HandedOff } else { TransferStatus::Answered };
        self.report.answered_by = Some(at);
        self.report.answered_at = Some(now);
        self.changed = true;
        self.moves.push_back(Move::Join(no));
    }

    /// Lets go of all legs but one.
    fn release(&mut self, but: Option<usize>, q850: u8, now: Moment) {
        for at in 0..self.legs.len() {
            let Entrant { no, stage, .. } = self.legs[at];
            match stage {
                LegStage::Calling { .. } if Some(at) != but => {
                    self.legs[at].stage = LegStage::Cancelled;
                    self.close(at, LegStatus::Canceled, q850, now);
                    self.moves.push_back(Move::Cancel(no, q850));
                }
                LegStage::Confirming { .. } if Some(at) != but => {
                    self.leave(at, LegStatus::Canceled, q850, now);
                    self.moves.push_back(Move::HangUp(no, q850));
                }
                _ => {}
            }
        }
    }

    /// A leg is over: others may still come, or nobody is left.
    fn go_on(&mut self, now: Moment) {
        let open = |leg: &Entrant| leg.stage.until().is_some();
        if !matches!(self.stage, RaceStage::Wish | RaceStage::Running) || self.legs.iter().any(open) {
            return;
        }
        if self.dial_next(now) {
            return;
        }
        let loss = match (self.stage, self.refusal) {
            (RaceStage::Wish, Some(refusal)) => Loss::Refused(refusal),
            _ => Loss::Failed,
        };
        let q850 = self.report.legs.iter().rev().find_map(|leg| leg.q850).unwrap_or(NO_ANSWER);
        self.finish(TransferStatus::Failed, q850, now);
        self.moves.push_back(Move::Lost(loss));
    }

    /// The joined leg and the caller have talked.
    fn complete(&mut self, at: usize, q850: u8, now: Moment) {
        self.leave(at, LegStatus::Completed, q850, now);
        let status =
            if self.legs[at].is_extension { TransferStatus::HandedOff } else { TransferStatus::Completed };
        self.finish(status, q850, now);
    }

    fn leave(&mut self, at: usize, status: LegStatus, q850: u8, now: Moment) {
        self.legs[at].stage = LegStage::Over;
        self.close(at, status, q850, now);
    }

    fn close(&mut self, at: usize, status: LegStatus, q850: u8, now: Moment) {
        let report = &mut self.report.legs[at];
        (report.status, report.q850, report.ended_at) = (status, Some(q850), Some(now));
        self.changed = true;
    }

    fn finish(&mut self, status: TransferStatus, q850: u8, now: Moment) {
        if self.stage != RaceStage::Wish {
            self.stage = RaceStage::Over;
        }
        (self.report.status, self.report.q850, self.report.ended_at) = (status, Some(q850), Some(now));
        self.changed = true;
    }

    fn find(&self, no: LegNo) -> Option<usize> {
        self.legs.iter().position(|leg| leg.no == no)
    }

    fn stage_of(&self, no: LegNo) -> Option<LegStage> {
        self.find(no).map(|at| self.legs[at].stage)
    }
}

impl LegStage {
    /// Until when the leg may still win; `None` where it cannot.
    fn until(self) -> Option<Moment> {
        match self {
            Self::Calling { until, .. } | Self::Confirming { until } => Some(until),
            Self::Joined | Self::Cancelled | Self::Over => None,
        }
    }
}

/// Q.850 "Non-selected user clearing": somebody else answered first.
pub(super) const NOT_SELECTED: u8 = 26;
/// Q.850 "Normal call clearing".
pub(super) const NORMAL: u8 = 16;
/// Q.850 "No user responding", and "No answer from user (user alerted)".
const NO_USER: u8 = 18;
const NO_ANSWER: u8 = 19;
