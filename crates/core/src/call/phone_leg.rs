//! The phone leg: a SIP phone's RTP, or a vendor's WebSocket.

use std::time::Duration;

use crate::dialect::{Out, PhoneSide};
use crate::vocabulary::{CallEvent, Counters, Moment};

use super::BotJoins;
use super::arrivals::Arrivals;
use super::rtp_leg::RtpLeg;

/// The phone of one call.
pub(super) enum PhoneLeg {
    /// A SIP phone.
    Rtp(Box<RtpLeg>),
    /// A vendor.
    Vendor(Box<VendorLeg>),
}

/// Who called whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    /// The phone called us; whether it may hear the bot before the answer.
    CalledUs { early_media: bool },
    /// We called the phone.
    Dialled(BotJoins),
}

/// A vendor that streams the call to us.
pub(super) struct VendorLeg {
    pub(super) dialect: &'static str,
    pub(super) side: Box<PhoneSide>,
    pub(super) frame: Duration,
    /// The vendor's own id of the call, once it said one.
    pub(super) id: Box<str>,
    pub(super) presence: Presence,
    pub(super) arrivals: Arrivals,
    /// It sent its own record.
    pub(super) recorded: bool,
    /// Reused for every message.
    pub(super) out: Out<CallEvent>,
}

/// How much of a vendor is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Presence {
    /// The call is up.
    Here,
    /// It said that the call is over.
    Ended,
    /// Its socket is gone, or closed by us.
    Gone,
}

impl Origin {
    /// Whether we called it.
    pub(super) fn is_dialled(self) -> bool {
        matches!(self, Self::Dialled(_))
    }

    /// When the bot joins.
    fn bot_joins(self) -> BotJoins {
        match self {
            Self::Dialled(joins) => joins,
            Self::CalledUs { .. } => BotJoins::AtTheAnswer,
        }
    }
}

impl VendorLeg {
    pub(super) fn new(dialect: &'static str, side: Box<PhoneSide>, frame: Duration) -> Self {
        let (id, presence, recorded, out) = ("".into(), Presence::Here, false, Out::new());
        let arrivals = Arrivals::default();
        Self { dialect, side, frame, id, presence, arrivals, recorded, out }
    }

    /// When its dialect wants to be woken; one whose socket is gone has nothing to say.
    pub(super) fn poll_timeout(&self) -> Option<Moment> {
        self.side.poll_timeout().filter(|_| self.presence < Presence::Gone)
    }
}

impl PhoneLeg {
    pub(super) fn poll_timeout(&self) -> Option<Moment> {
        match self {
            Self::Rtp(leg) => leg.poll_timeout(),
            Self::Vendor(leg) => leg.poll_timeout(),
        }
    }

    /// Whether what leaves for it is heard.
    pub(super) fn is_listening(&self) -> bool {
        match self {
            Self::Rtp(leg) => leg.is_listening(),
            Self::Vendor(_) => true,
        }
    }

    /// When the bot joins a call that we placed.
    pub(super) fn bot_joins(&self) -> BotJoins {
        match self {
            Self::Rtp(leg) => leg.origin.bot_joins(),
            Self::Vendor(_) => BotJoins::AtTheAnswer,
        }
    }

    pub(super) fn is_dialled(&self) -> bool {
        matches!(self, Self::Rtp(leg) if leg.origin.is_dialled())
    }

    pub(super) fn count(&self, counters: &mut Counters) {
        if let Self::Rtp(leg) = self {
            leg.count(counters);
        }
    }
}
