//! A call is given to people: phones and extensions are called, the first that answers is joined to the caller.
//!
//! Who takes it is the [`race`]'s to decide; here stands what the caller hears meanwhile and what becomes of
//! the bot. Source: seed 000 §7. Docs: `docs/transfers.md`.

mod agent_leg;
mod bridge;
mod destination;
mod race;
mod refer;
mod ringback;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::media::MediaFormat;
use crate::vocabulary::{
    CallFact, Cause, CommandRefusal, DESTINATIONS_MAX, DialOrder, HungUpBy, Moment, PhoneNumber, Reason,
};

use self::agent_leg::AgentLeg;
use self::race::{Loss, Move, Race, RaceRules};
use self::ringback::Ringback;
use super::bot_leg::BotLink;
use super::output::PlainOutput;
use super::state::{Ringing, State, Talking};
use super::{BotPlace, Call, Fallback};

pub(super) use self::bridge::Bridged;
pub use self::bridge::LegNews;
pub use self::destination::{Destination, LegNo, LegRefusal};

/// What becomes of the bot that asks for a transfer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnTransfer {
    /// Its session ends as soon as the first destination is called.
    #[default]
    End,
    /// It stays, silent, until somebody answers, and goes on if nobody does.
    Hold,
}

/// How transfers are run.
#[derive(Debug, Clone)]
pub struct TransferSettings {
    /// How long each destination may ring.
    pub ring: Duration,
    /// Whoever answers hears this, linear 16-bit samples at 8 kHz, and has to press 1; `None` joins it at once.
    pub confirm: Option<Arc<[i16]>>,
    /// Who is shown to numbers outside instead of the caller.
    pub shown_outside: Option<PhoneNumber>,
}

/// Destinations are being called.
pub(super) struct Transferring {
    /// Where the call was, and where it goes back to if nobody answers.
    before: State,
    race: Race,
    /// Those whose audio was agreed on: one that is heard before it answers, and those that have to accept.
    legs: Vec<AgentLeg>,
    origin: Origin,
    ringback: Option<Ringback>,
    /// When the ringing tone needs its next piece.
    ringback_due: Option<Moment>,
    /// When somebody else was heard last: a flow's music, a phone before its answer.
    others_heard: Option<Moment>,
}

/// Who wants the transfer.
#[derive(Debug)]
enum Origin {
    /// A bot, by that command.
    Command(Box<str>),
    /// Somebody other than the bot, who was told that it is under way.
    Order,
    /// The number's fallback, after that failure.
    Fallback(Reason),
}

impl Call {
    /// Calls `to`, as a bot wants by `command`.
    pub(super) fn transfer_to(&mut self, to: Vec<Destination>, order: DialOrder, command: &str, now: Moment) {
        self.dial_for(to, (order, self.transfer_settings.ring), command, now);
    }

    /// The same, each ringing that long.
    pub(super) fn dial_for(
        &mut self,
        to: Vec<Destination>,
        (order, ring): (DialOrder, Duration),
        command: &str,
        now: Moment,
    ) {
        let refusal = match &self.state {
            State::Talking(Talking { hand_over: Some(_), .. }) | State::Transferring(_) => PENDING,
            State::Talking(_) | State::Ringing(_)
                if self.transfers_made() >= TRANSFERS_MAX || self.is_vain_order() =>
            {
                ("too_many_transfers", "the call has been transferred too often")
            }
            State::Talking(_) | State::Ringing(_) if !(1..=DESTINATIONS_MAX).contains(&to.len()) => {
                ("invalid_destination", "a transfer has 1 to 10 destinations")
            }
            State::Talking(_) | State::Ringing(_) => {
                let origin = if self.is_ordered { Origin::Order } else { Origin::Command(command.into()) };
                return self.start_race(to, (order, ring), origin, now);
            }
            State::Inviting(_) | State::Dialling(_) | State::FindingBot(_) | State::ConnectingBot(_) => {
                ("not_answered", "the call is not answered yet")
            }
            State::Bridged(_) => ("already_transferred", "the call has been given to somebody already"),
            State::Ending(_) | State::Ended => return,
        };
        self.refuse(&refused(command, refusal), now);
    }

    /// The number of the fallback, once: what comes after it is the apology.
    pub(super) fn take_fallback_number(&mut self) -> Option<Destination> {
        let Fallback::Transfer(number) = &mut self.fallback else { return None };
        let number = std::mem::take(number);
        self.fallback = Fallback::Sorry;
        Some(Destination::Phone(number))
    }

    /// Calls the number of the fallback.
    pub(super) fn transfer_by_fallback(&mut self, to: Destination, reason: Reason, now: Moment) {
        let ring = self.transfer_settings.ring;
        self.start_race(vec![to], (DialOrder::AllAtOnce, ring), Origin::Fallback(reason), now);
    }

    fn start_race(
        &mut self,
        to: Vec<Destination>,
        (order, ring): (DialOrder, Duration),
        origin: Origin,
        now: Moment,
    ) {
        let sequence = u32::try_from(self.transfers.len() + 1).unwrap_or(u32::MAX);
        let rules = RaceRules { ring, confirm: self.transfer_settings.confirm.as_ref().map(|_| ACCEPT_TIME) };
        let race = Race::new((sequence, order), to, self.next_leg, rules, now);
        let before = std::mem::replace(&mut self.state, State::Ended);
        self.state = State::Transferring(Box::new(Transferring {
            before,
            race,
            legs: Vec::new(),
            origin,
            ringback: None,
            ringback_due: None,
            others_heard: None,
        }));
        self.run_race(now);
    }

    /// Does what the race wants, and tells what became of it.
    pub(super) fn run_race(&mut self, now: Moment) {
        while let Some(step) = self.state.race().and_then(Race::poll_move) {
            match step {
                Move::Dial(no, to, until) => {
                    self.next_leg = no.0.saturating_add(1);
                    let outside = matches!(to, Destination::Phone(_));
                    let shown = self.transfer_settings.shown_outside.as_ref().filter(|_| outside);
                    let shown = shown.unwrap_or(&self.names.from).clone();
                    let alone = self.state.race().is_some_and(|race| race.rings_alone(no));
                    self.outputs.dial_leg(no, (to, until), shown, alone);
                }
                Move::Begun => self.transfer_begun(now),
                Move::Confirm(no) => self.ask_to_accept(no, now),
                Move::Cancel(no, q850) => {
                    self.state.drop_leg(no);
                    self.outputs.plain(PlainOutput::CancelLeg(no, q850));
                }
                Move::HangUp(no, q850) => {
                    let cname = self.names.call_id.as_str();
                    if let Some(leg) = self.state.leg(no) {
                        leg.say_goodbye(cname, &mut self.outputs);
                    }
                    self.state.drop_leg(no);
                    self.outputs.plain(PlainOutput::HangUpLeg(no, q850));
                }
                Move::Join(no) => self.join(no, now),
                Move::Lost(loss) => return self.transfer_lost(loss, now),
            }
        }
        self.tell_transfer();
    }

    /// Somebody is being called: the bot's part ends, or rests.
    fn transfer_begun(&mut self, now: Moment) {
        let State::Transferring(transferring) = &mut self.state else { return };
        transferring.ringback_due = Some(now);
        let by_fallback = matches!(transferring.origin, Origin::Fallback(_));
        let is_over = self.bot.on_transfer == OnTransfer::End || self.bot.hung_up.is_some();
        if !by_fallback && is_over {
            self.part_from_bot(now);
        }
        self.speaker.end_of_utterance(now);
    }

    fn ask_to_accept(&mut self, no: LegNo, now: Moment) {
        if let (Some(leg), Some(clip)) = (self.state.leg(no), &self.transfer_settings.confirm) {
            leg.whisper(clip, now);
            leg.detect_digits(true);
        }
    }

    /// Nobody answered, or nobody could be called.
    fn transfer_lost(&mut self, loss: Loss, now: Moment) {
        if let State::Transferring(transferring) = &mut self.state
            && matches!(transferring.origin, Origin::Order)
        {
            // Whoever ordered it finds it among the transfers, also where nobody was dialled.
            self.vain_orders += usize::from(!transferring.race.has_begun());
            transferring.race.tell_in_any_case();
        }
        self.tell_transfer();
        let State::Transferring(transferring) = std::mem::replace(&mut self.state, State::Ended) else {
            return;
        };
        let Transferring { before, race, origin, .. } = *transferring;
        let untaken = race.report.q850.map_or(Reason::TransferFailed, Reason::of_untaken);
        self.keep_report(race);
        self.untaken = self.answered_at.is_none().then_some(untaken);
        self.state = match before {
            // A bot that has to answer gets its time anew.
            State::Ringing(Ringing { early, .. }) => {
                State::Ringing(Ringing { until: now + self.deadlines.ring, early })
            }
            before => before,
        };
        let stays = self.bot.link == BotLink::Open;
        if let (Some(when), Loss::Refused(_)) = (self.bot.hung_up.take(), loss)
            && !matches!(origin, Origin::Fallback(_))
        {
            // There was no transfer: what the bot did meanwhile counts as if it had asked for none.
            return self.bot_hangs_up(when, now);
        }
        match (origin, loss) {
            (Origin::Command(command), Loss::Refused(refusal)) if stays => {
                self.refuse(&refusal.of_command(&command), now);
            }
            (Origin::Command(command), Loss::Failed) if stays => {
                self.refuse(&refused(&command, ("transfer_failed", "nobody answered")), now);
            }
            (Origin::Order, _) if stays => {}
            (Origin::Command(_) | Origin::Order, _) => {
                let reason = self.untaken.take().unwrap_or(Reason::TransferFailed);
                self.fall_back(reason, now);
            }
            (Origin::Fallback(reason), _) => self.fall_back(reason, now),
        }
    }

    /// Tells what changed.
    fn tell_transfer(&mut self) {
        if let Some(report) = self.state.race().and_then(Race::take_news) {
            self.outputs.report(CallFact::Transfer(Box::new(report)));
        }
    }

    fn keep_report(&mut self, race: Race) {
        if race.has_begun() {
            self.transfers.push(race.report);
        }
    }

    /// The call ends: nobody is called any longer, and whoever talks is told.
    pub(super) fn give_up_transfer(&mut self, cause: Cause, now: Moment) {
        let abandoned = cause.by() == HungUpBy::Caller || is_loss_of_caller(cause.reason());
        let Some(race) = self.state.race() else { return };
        race.give_up(abandoned, cause.row().q850, now);
        self.run_race(now);
        match std::mem::replace(&mut self.state, State::Ended) {
            State::Transferring(transferring) => {
                self.state = transferring.before;
                self.keep_report(transferring.race);
            }
            State::Bridged(bridged) => {
                let Bridged { until, race, .. } = *bridged;
                self.state = State::Talking(Talking { until, hand_over: None });
                self.keep_report(race);
            }
            other => self.state = other,
        }
    }

    /// Deadlines of the legs, and of the call while it is given to others.
    pub(super) fn transfer_timed_out(&mut self, now: Moment) {
        let over = match &self.state {
            State::Transferring(transferring) => transferring.call_until(),
            State::Bridged(bridged) => Some(bridged.until),
            State::Inviting(_)
            | State::Dialling(_)
            | State::FindingBot(_)
            | State::ConnectingBot(_)
            | State::Ringing(_)
            | State::Talking(_)
            | State::Ending(_)
            | State::Ended => return,
        };
        if over.is_some_and(|until| until <= now) {
            return self.end(Reason::MaxDuration, now);
        }
        if let Some(race) = self.state.race() {
            race.handle_timeout(now);
        }
        self.run_race(now);
    }

    /// Lets the caller hear that it rings, where nothing else is to be heard.
    pub(super) fn ring_back(&mut self, now: Moment) {
        let State::Transferring(transferring) = &mut self.state else { return };
        let Some(due) = transferring.ringback_due.filter(|due| *due <= now) else { return };
        if !self.speaker.has_started() {
            // A phone that still owes the answer to our offer.
            transferring.ringback_due = Some(now + RINGBACK_PIECE);
            return;
        }
        let depth = self.speaker.depth();
        let others = transferring.others_heard.map(|at| at + OTHERS_PAUSE).filter(|until| *until > now);
        transferring.ringback_due = Some(if let Some(until) = others {
            // Whatever the tone's turn was: it begins anew with sound.
            transferring.ringback = None;
            until
        } else if depth > RINGBACK_LEAD {
            now + (depth - RINGBACK_LEAD)
        } else {
            let format = self.speaker.leg();
            let stale = transferring.ringback.as_ref().is_none_or(|tone| tone.format() != format);
            if stale {
                transferring.ringback = Some(Ringback::new(self.names.country.as_deref(), format));
            }
            if let Some(tone) = &mut transferring.ringback {
                self.speaker.push_tone(tone.next_piece(RINGBACK_PIECE), now);
            }
            due.max(now) + RINGBACK_PIECE
        });
    }

    /// Whether a bot waits, silent, until it is known whether somebody answers.
    pub(super) fn bot_waits(&self) -> bool {
        matches!(&self.state, State::Transferring(transferring) if transferring.race.has_begun())
            && self.bot.place != BotPlace::BuiltIn
    }

    /// Whether the bot has ended its own part by a transfer of which is not known yet whether it can be.
    pub(super) fn leaves_with_transfer(&self) -> bool {
        let State::Transferring(transferring) = &self.state else { return false };
        let is_wish = !transferring.race.has_begun() && matches!(transferring.origin, Origin::Command(_));
        is_wish && self.bot.on_transfer == OnTransfer::End && self.bot.place != BotPlace::BuiltIn
    }

    /// Tells whoever wants something of the caller that somebody else is on the way to it.
    pub(super) fn refuse_pending(&mut self, command: &str, now: Moment) {
        self.refuse(&refused(command, PENDING), now);
    }

    /// A bot of ours is heard while others ring.
    pub(super) fn bot_spoke(&mut self, now: Moment) {
        if let State::Transferring(transferring) = &mut self.state {
            transferring.others_heard = Some(now);
        }
    }
}

impl State {
    fn race(&mut self) -> Option<&mut Race> {
        match self {
            Self::Transferring(transferring) => Some(&mut transferring.race),
            Self::Bridged(bridged) => Some(&mut bridged.race),
            Self::Inviting(_)
            | Self::Dialling(_)
            | Self::FindingBot(_)
            | Self::ConnectingBot(_)
            | Self::Ringing(_)
            | Self::Talking(_)
            | Self::Ending(_)
            | Self::Ended => None,
        }
    }

    /// The legs whose audio was agreed on.
    fn legs(&mut self) -> &mut [AgentLeg] {
        match self {
            Self::Transferring(transferring) => &mut transferring.legs,
            Self::Bridged(bridged) => std::slice::from_mut(&mut bridged.agent),
            Self::Inviting(_)
            | Self::Dialling(_)
            | Self::FindingBot(_)
            | Self::ConnectingBot(_)
            | Self::Ringing(_)
            | Self::Talking(_)
            | Self::Ending(_)
            | Self::Ended => &mut [],
        }
    }

    fn leg(&mut self, no: LegNo) -> Option<&mut AgentLeg> {
        self.legs().iter_mut().find(|leg| leg.no == no)
    }

    fn drop_leg(&mut self, no: LegNo) {
        if let Self::Transferring(transferring) = self {
            transferring.legs.retain(|leg| leg.no != no);
        }
    }
}

impl Transferring {
    /// When something is due by itself.
    pub(super) fn until(&self) -> Option<Moment> {
        [self.call_until(), self.race.poll_timeout()].into_iter().flatten().min()
    }

    /// When the next piece of the ringing tone is due, or a leg wants to be served.
    pub(super) fn poll_timeout(&self) -> Option<Moment> {
        self.legs.iter().filter_map(AgentLeg::poll_timeout).min()
    }

    /// When the ringing tone needs its next piece.
    pub(super) fn ringback_due(&self) -> Option<Moment> {
        self.ringback_due
    }

    /// Whether a caller who was not answered hears us already.
    pub(super) fn is_early(&self) -> bool {
        matches!(self.before, State::Ringing(Ringing { early: true, .. }))
    }

    /// The caller is answered before anybody is joined to it, because the bot wants it.
    pub(super) fn answered(&mut self, talking: Talking) {
        self.before = State::Talking(talking);
    }

    fn call_until(&self) -> Option<Moment> {
        if let State::Talking(Talking { until, .. }) = &self.before { Some(*until) } else { None }
    }
}

impl Default for TransferSettings {
    fn default() -> Self {
        Self { ring: Duration::from_secs(30), confirm: None, shown_outside: None }
    }
}

impl fmt::Debug for Transferring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transferring").field("race", &self.race).finish_non_exhaustive()
    }
}

/// Whether the caller is gone without having said so.
fn is_loss_of_caller(reason: Reason) -> bool {
    matches!(reason, Reason::NoAck | Reason::MediaTimeout | Reason::SessionExpired | Reason::VendorReset)
}

fn refused(command: &str, (code, message): (&'static str, &str)) -> CommandRefusal {
    CommandRefusal { code, message: message.to_owned(), command: command.into() }
}

/// How long a clip lasts.
fn length_of(clip: &[i16]) -> Duration {
    MediaFormat::linear16(8_000).duration_of_samples(clip.len() as u64)
}

const PENDING: (&str, &str) = ("transfer_pending", "another transfer is under way");

/// Transfers of one call that dialled somebody or handed it over; orders that reached nobody, besides.
pub const TRANSFERS_MAX: usize = 16;

/// How long somebody who answered may take to press 1, once the question was heard.
const ACCEPT_TIME: Duration = Duration::from_secs(10);

/// The ringing tone is made in pieces of this length, so far ahead.
const RINGBACK_PIECE: Duration = Duration::from_millis(60);
const RINGBACK_LEAD: Duration = Duration::from_millis(40);

/// How long others may be silent before the ringing tone is heard again.
const OTHERS_PAUSE: Duration = Duration::from_millis(120);
