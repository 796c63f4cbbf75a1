//! The states of a call. A state holds what exists only in it; a transition makes the next one.

use crate::vocabulary::{Cause, Moment};

use super::hand_over::HandOver;
use super::transfer::{Bridged, Transferring};

/// Where a call stands.
#[derive(Debug)]
pub(super) enum State {
    /// A vendor is connected and has not said whose call it is.
    Inviting(Inviting),
    /// The phone that we call rings, or is about to.
    Dialling(Dialling),
    /// The phone rings and it is being found out which bot takes the call.
    FindingBot(FindingBot),
    /// The phone rings and the bot is being reached.
    ConnectingBot(ConnectingBot),
    /// The phone rings and the bot has to answer.
    Ringing(Ringing),
    /// Both hear each other.
    Talking(Talking),
    /// People are being called to take the call.
    Transferring(Box<Transferring>),
    /// The caller talks to one of them.
    Bridged(Box<Bridged>),
    /// The cause is known; what was said is played out, the last words are exchanged.
    Ending(Ending),
    /// The record is written.
    Ended,
}

/// A vendor is connected.
#[derive(Debug)]
pub(super) struct Inviting {
    /// Until when its start must have come.
    pub(super) until: Moment,
}

/// The phone that we call has not answered.
#[derive(Debug)]
pub(super) struct Dialling {
    /// Until when it must have answered.
    pub(super) until: Moment,
    /// Until when a bot that hears it ring must be found and connected.
    pub(super) bot_until: Option<Moment>,
    /// It is known to ring.
    pub(super) rang: bool,
}

/// It is being found out which bot takes the call.
#[derive(Debug)]
pub(super) struct FindingBot {
    /// Until when it must be known.
    pub(super) until: Moment,
    /// The bot that the call had has failed, and the flow that is its fallback comes in its place.
    pub(super) for_fallback: bool,
}

/// The bot is being reached.
#[derive(Debug)]
pub(super) struct ConnectingBot {
    /// Until when it must be connected.
    pub(super) until: Moment,
}

/// The bot has to answer.
#[derive(Debug)]
pub(super) struct Ringing {
    /// Until when it must have answered.
    pub(super) until: Moment,
    /// The caller hears the bot already.
    pub(super) early: bool,
}

/// Both hear each other.
#[derive(Debug)]
pub(super) struct Talking {
    /// Until when it must be over.
    pub(super) until: Moment,
    /// The bot wants another one in its place.
    pub(super) hand_over: Option<HandOver>,
}

/// The call is being ended.
#[derive(Debug)]
pub(super) struct Ending {
    /// Why.
    pub(super) cause: Cause,
    /// What is still waited for.
    pub(super) step: EndingStep,
    /// When waiting is over, whatever is missing.
    pub(super) until: Moment,
    /// Until when the caller's last words may be written down.
    pub(super) words_until: Option<Moment>,
}

/// What an ending call waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum EndingStep {
    /// The bot's last words, or the fallback, are being played.
    PlayingOut,
    /// The vendor was told; its last message or its close is missing.
    VendorLeaving,
}

/// The name of a state, for logs and snapshots.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StateName {
    /// A vendor is connected and has not said whose call it is.
    Inviting,
    /// The phone that we call rings, or is about to.
    Dialling,
    /// The phone rings and it is being found out which bot takes the call.
    FindingBot,
    /// The phone rings and the bot is being reached.
    ConnectingBot,
    /// The phone rings and the bot has to answer.
    Ringing,
    /// Both hear each other.
    Talking,
    /// People are being called to take the call.
    Transferring,
    /// The caller talks to one of them.
    Bridged,
    /// The call is being ended.
    Ending,
    /// The call is over.
    Ended,
}

impl State {
    pub(super) fn name(&self) -> StateName {
        match self {
            Self::Inviting(_) => StateName::Inviting,
            Self::Dialling(_) => StateName::Dialling,
            Self::FindingBot(_) => StateName::FindingBot,
            Self::ConnectingBot(_) => StateName::ConnectingBot,
            Self::Ringing(_) => StateName::Ringing,
            Self::Talking(_) => StateName::Talking,
            Self::Transferring(_) => StateName::Transferring,
            Self::Bridged(_) => StateName::Bridged,
            Self::Ending(_) => StateName::Ending,
            Self::Ended => StateName::Ended,
        }
    }

    /// Whether the engine may still write down what the caller said.
    pub(super) fn awaits_last_words(&self) -> bool {
        matches!(self, Self::Ending(Ending { words_until: Some(_), .. }))
    }

    /// When this state ends by itself.
    pub(super) fn until(&self) -> Option<Moment> {
        match self {
            Self::Inviting(state) => Some(state.until),
            Self::Dialling(state) => Some(state.bot_until.map_or(state.until, |bot| bot.min(state.until))),
            Self::FindingBot(state) => Some(state.until),
            Self::ConnectingBot(state) => Some(state.until),
            Self::Ringing(state) => Some(state.until),
            Self::Talking(state) => {
                Some(state.hand_over.as_ref().map_or(state.until, |wanted| wanted.until.min(state.until)))
            }
            Self::Transferring(state) => state.until(),
            Self::Bridged(state) => state.until(),
            Self::Ending(state) => {
                Some(state.words_until.map_or(state.until, |words| words.min(state.until)))
            }
            Self::Ended => None,
        }
    }
}

impl StateName {
    /// The word in logs and in the API.
    pub fn word(self) -> &'static str {
        match self {
            Self::Inviting => "inviting",
            Self::Dialling => "dialling",
            Self::FindingBot => "finding_bot",
            Self::ConnectingBot => "connecting_bot",
            Self::Ringing => "ringing",
            Self::Talking => "talking",
            Self::Transferring => "transferring",
            Self::Bridged => "bridged",
            Self::Ending => "ending",
            Self::Ended => "ended",
        }
    }
}
