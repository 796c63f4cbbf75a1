//! A bot gives the call to another one: the next is reached while the first stays, then takes its place between two
//! frames. Docs: `docs/call-states.md`, "From bot to bot".

use std::fmt;

use crate::vocabulary::{
    BotSession, CallEvent, Cause, CommandRefusal, EndedStream, Moment, Reason, StreamId,
};

use super::bot_leg::{BotLeg, BotLink};
use super::output::PlainOutput;
use super::state::{State, Talking};
use super::{BotSettings, Call};

/// Which bot is to take a call over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BotWish {
    /// One of ours by its name.
    Named(Box<str>),
    /// A flow of ours by its name.
    Flow(Box<str>),
    /// The same bot by a new connection: its session is too old, or was lost.
    SameAgain,
    /// Any by its address, which came from outside; it speaks the dialect and the format of the bot that asks.
    At(Box<str>),
}

/// A bot that can be talked to and takes a call over.
pub struct NextBot {
    /// What a call has to know of it.
    pub settings: BotSettings,
    /// Our id of the stream with it: every bot has a stream of its own.
    pub stream_id: StreamId,
}

/// Why a call cannot be handed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NextBotError {
    /// There is no flow of that name.
    UnknownFlow,
    /// There is no bot of that name, or the bot that asks has no address to stand for.
    Unknown,
    /// It could not be reached, for that reason.
    Unreached(Reason),
}

/// A hand-over under way.
#[derive(Debug)]
pub(super) struct HandOver {
    /// Until when the next bot must be there.
    pub(super) until: Moment,
    /// The command that asked for it.
    command: Box<str>,
    /// The flow that is to have the call, and since when.
    flow: Option<(Box<str>, Moment)>,
    /// Where somebody other than the bot ordered the call to go, and when.
    ordered: Option<(Box<str>, Moment)>,
    /// The same bot by a new session.
    is_same: bool,
}

impl Call {
    /// The bot asks for another one in its place.
    pub(super) fn hand_over(&mut self, wish: BotWish, command: &str, now: Moment) {
        let too_many = self.earlier_bots.len() >= EARLIER_BOTS_MAX || self.is_vain_order();
        let refusal = match &mut self.state {
            State::Talking(Talking { hand_over: Some(_), .. }) | State::Transferring(_) => {
                ("transfer_pending", "another transfer is under way")
            }
            State::Talking(_) if too_many => {
                ("too_many_transfers", "the call has been handed over too often")
            }
            State::Talking(talking) => {
                let until = now + self.deadlines.bot_connect;
                talking.await_next(until, command);
                if let Some(wanted) = &mut talking.hand_over {
                    if let BotWish::Flow(name) = &wish {
                        wanted.flow = Some((name.clone(), now));
                    }
                    wanted.ordered = self.is_ordered.then(|| (wish.place(), now));
                }
                return self.outputs.reach_next_bot(wish, self.speaker.leg());
            }
            State::Inviting(_)
            | State::Dialling(_)
            | State::FindingBot(_)
            | State::ConnectingBot(_)
            | State::Ringing(_) => ("not_answered", "the call is not answered yet"),
            State::Bridged(_) => ("already_transferred", "the call has been given to somebody already"),
            State::Ending(_) | State::Ended => return,
        };
        self.refuse(&refused(command, refusal.0, refusal.1.to_owned()), now);
    }

    /// The next bot can be talked to: it takes the place of the other, which is told and closed.
    ///
    /// What the first one said is played to its end; its marks among it are reported as cleared before its stop.
    pub(super) fn next_bot_connected(&mut self, next: NextBot, now: Moment) {
        if self.renews_session() {
            return self.next_session_connected(next, now);
        }
        let wanted = self.take_hand_over();
        if wanted.is_none() && !self.awaits_fallback_flow() {
            self.outputs.plain(PlainOutput::DropNextBot);
            return;
        }
        if let Some((flow, since)) = wanted.and_then(|wanted| wanted.flow) {
            self.report_handed_off(flow, since, now);
        }
        self.speaker.abandon_marks();
        self.report_marks(now);
        self.tell_bot(&CallEvent::Ended(EndedStream::Handed), now);
        // Those with which a bot of this process has answered its last ones.
        self.speaker.abandon_marks();
        self.forget_marks();
        self.let_bot_go(1000);
        let NextBot { settings, stream_id } = next;
        self.speaker.end_of_utterance(now);
        self.speaker.set_bot(settings.audio.format);
        self.listener.set_bot(settings.audio);
        let stream_id = std::mem::replace(&mut self.names.stream_id, stream_id);
        let bot = std::mem::replace(&mut self.bot, BotLeg::new(settings)).name;
        self.earlier_bots.push(BotSession { bot, stream_id });
        self.outputs.plain(PlainOutput::NextBotTakesOver);
        self.bot.link = BotLink::Open;
        self.history.bot_connected(now);
        self.choose_digits();
        self.forget_last_bot(now);
        if self.answered_at.is_none() {
            return self.connect_bot(now);
        }
        self.session_begins(now);
        self.tell_bot(&CallEvent::Started(Box::new(self.start_for_bot())), now);
        self.tell_turn_under_way(now);
        self.pace_bot();
    }

    /// The next bot was not reached: the first one is told and talks on; if it has left, the caller gets the fallback.
    pub(super) fn next_bot_failed(&mut self, error: NextBotError, now: Moment) {
        let Some(HandOver { command, ordered, is_same, .. }) = self.take_hand_over() else {
            return self.fallback_flow_failed(error, now);
        };
        if is_same {
            return self.next_session_failed(error, now);
        }
        let is_ordered = ordered.is_some();
        if let Some(place) = ordered {
            self.report_not_given(place, error.reason(), now);
        }
        let is_there = self.bot.link == BotLink::Open;
        match self.bot.hung_up.take() {
            // It asked for what cannot be: its hang-up counts as if it had not.
            Some(when) if error.is_refusal() => self.bot_hangs_up(when, now),
            None if is_there && is_ordered => {} // The bot asked for nothing: it talks on.
            None if is_there => self.refuse(&error.refusal(&command), now),
            Some(_) | None => {
                if is_there {
                    self.part_from_bot(now);
                }
                self.bot_failed(error.reason(), now);
            }
        }
    }

    /// The next bot took too long.
    pub(super) fn next_bot_timed_out(&mut self, now: Moment) {
        self.outputs.plain(PlainOutput::DropNextBot);
        self.next_bot_failed(NextBotError::Unreached(Reason::BotNoHandshake), now);
    }

    /// The call ends: nobody needs the next bot.
    pub(super) fn give_up_next_bot(&mut self) {
        if self.take_hand_over().is_some() {
            self.forget_next_session();
            self.outputs.plain(PlainOutput::DropNextBot);
        }
    }

    /// Whether the same bot is being reached by a new session.
    pub(super) fn renews_session(&self) -> bool {
        matches!(&self.state, State::Talking(Talking { hand_over: Some(wanted), .. }) if wanted.is_same)
    }

    pub(super) fn is_handing_over(&self) -> bool {
        matches!(self.state, State::Talking(Talking { hand_over: Some(_), .. }))
    }

    pub(super) fn take_hand_over(&mut self) -> Option<HandOver> {
        match &mut self.state {
            State::Talking(talking) => talking.hand_over.take(),
            State::Inviting(_)
            | State::Dialling(_)
            | State::FindingBot(_)
            | State::ConnectingBot(_)
            | State::Ringing(_)
            | State::Transferring(_)
            | State::Bridged(_)
            | State::Ending(_)
            | State::Ended => None,
        }
    }
}

impl Talking {
    /// Waits until then for the bot that `command` asked for.
    pub(super) fn await_next(&mut self, until: Moment, command: &str) {
        self.hand_over =
            Some(HandOver { until, command: command.into(), flow: None, ordered: None, is_same: false });
    }

    /// Waits until then for a new session with the same bot.
    pub(super) fn await_session(&mut self, until: Moment) {
        let (flow, ordered, command) = (None, None, "".into());
        self.hand_over = Some(HandOver { until, command, flow, ordered, is_same: true });
    }
}

impl BotWish {
    /// What a report calls it.
    fn place(&self) -> Box<str> {
        match self {
            Self::Named(name) | Self::Flow(name) => name.clone(),
            Self::At(address) => origin_of(address).unwrap_or_else(|| "bot".into()),
            Self::SameAgain => "bot".into(),
        }
    }
}

impl NextBotError {
    fn refusal(self, command: &str) -> CommandRefusal {
        match self {
            Self::UnknownFlow => refused(command, "unknown_flow", "there is no such flow".to_owned()),
            Self::Unknown => refused(command, "unknown_bot", "there is no such bot".to_owned()),
            Self::Unreached(Reason::BotForbidden) => {
                refused(command, "not_allowed", "this address may not be dialled from here".to_owned())
            }
            Self::Unreached(reason) => {
                let word = Cause::new(reason).row().word;
                refused(command, "not_reached", format!("the bot could not be reached: {word}"))
            }
        }
    }

    /// Whether nobody was even asked.
    fn is_refusal(self) -> bool {
        match self {
            Self::Unknown | Self::UnknownFlow | Self::Unreached(Reason::BotForbidden) => true,
            Self::Unreached(_) => false,
        }
    }

    pub(super) fn reason(self) -> Reason {
        match self {
            Self::Unknown | Self::UnknownFlow => Reason::BotRefused,
            Self::Unreached(reason) => reason,
        }
    }
}

impl fmt::Debug for NextBot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NextBot").field("bot", &self.settings.name).finish_non_exhaustive()
    }
}

/// Scheme, host and port of an address: a user, a path or a query may hold secrets of the bot's.
fn origin_of(address: &str) -> Option<Box<str>> {
    let (scheme, rest) = address.split_once("://")?;
    let authority = rest.split(['/', '?', '#', '\\']).next()?;
    let server = authority.rsplit('@').next().filter(|server| !server.is_empty())?;
    Some(format!("{scheme}://{server}").into())
}

fn refused(command: &str, code: &'static str, message: String) -> CommandRefusal {
    CommandRefusal { code, message, command: command.into() }
}

/// Bots that a call can have before its last one.
pub const EARLIER_BOTS_MAX: usize = 16;
