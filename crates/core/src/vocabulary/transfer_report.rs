//! What became of a transfer: its legs, who answered, how it ended. Sources: seed 000 §7 and its `transfer_legs`.

use super::{DialOrder, Moment};

/// One transfer of a call, as it stands; complete once its status is final.
#[derive(Debug, Clone, PartialEq)]
pub struct TransferReport {
    /// The how-manieth of its call, from 1.
    pub sequence: u32,
    /// How its destinations are tried.
    pub order: DialOrder,
    /// How it stands.
    pub status: TransferStatus,
    /// All destinations, those not tried yet as well: numbers, extensions, a flow's name.
    pub destinations: Vec<Box<str>>,
    /// The index in `legs` of the one that answered and was joined to the caller.
    pub answered_by: Option<usize>,
    /// When it began.
    pub started_at: Moment,
    /// When the caller was joined to the one that answered.
    pub answered_at: Option<Moment>,
    /// When it was over.
    pub ended_at: Option<Moment>,
    /// Q.850 cause of its end.
    pub q850: Option<u8>,
    /// Every leg that was dialled, in order.
    pub legs: Vec<LegReport>,
}

/// One destination of a transfer.
#[derive(Debug, Clone, PartialEq)]
pub struct LegReport {
    /// The number or extension that is called.
    pub destination: Box<str>,
    /// How it stands.
    pub status: LegStatus,
    /// Q.850 cause of its end.
    pub q850: Option<u8>,
    /// When it was dialled.
    pub started_at: Moment,
    /// When it answered; where it is asked to accept, when it did.
    pub answered_at: Option<Moment>,
    /// When it was over.
    pub ended_at: Option<Moment>,
    /// Its own id at the carrier: the SIP Call-ID; empty before it is known.
    pub leg_id: Box<str>,
}

/// How a transfer stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TransferStatus {
    /// Destinations are being tried.
    Initiating,
    /// One of them talks to the caller.
    Answered,
    /// They have talked.
    Completed,
    /// Nobody answered.
    Failed,
    /// The caller hung up while destinations were being tried.
    CallerAbandoned,
    /// Given to a flow or an extension.
    HandedOff,
}

/// How a leg of a transfer stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LegStatus {
    /// It rings, or is about to.
    Ringing,
    /// It talks to the caller.
    Answered,
    /// It has talked.
    Completed,
    /// Another one answered first, or nobody waits for it any more.
    Canceled,
    /// Q.850 17.
    Busy,
    /// Q.850 21.
    Rejected,
    /// Q.850 18, 19.
    NoAnswer,
    /// It rang as long as it may.
    Timeout,
    /// Anything else.
    Failed,
}

impl TransferStatus {
    /// The word on the wire.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Initiating => "initiating",
            Self::Answered => "answered",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::CallerAbandoned => "caller_abandoned",
            Self::HandedOff => "handed_off",
        }
    }

    /// Whether nothing can change any more.
    pub const fn is_final(self) -> bool {
        match self {
            Self::Initiating | Self::Answered => false,
            Self::Completed | Self::Failed | Self::CallerAbandoned | Self::HandedOff => true,
        }
    }
}

impl LegStatus {
    /// The word on the wire.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Ringing => "ringing",
            Self::Answered => "answered",
            Self::Completed => "completed",
            Self::Canceled => "canceled",
            Self::Busy => "busy",
            Self::Rejected => "rejected",
            Self::NoAnswer => "no_answer",
            Self::Timeout => "timeout",
            Self::Failed => "failed",
        }
    }

    /// Whether nothing can change any more.
    pub const fn is_final(self) -> bool {
        !matches!(self, Self::Ringing | Self::Answered)
    }

    /// How a leg stands that ended before its answer with that Q.850 cause.
    pub const fn of_q850(cause: u8) -> Self {
        match cause {
            17 => Self::Busy,
            18 | 19 => Self::NoAnswer,
            21 => Self::Rejected,
            _ => Self::Failed,
        }
    }
}

impl DialOrder {
    /// The word on the wire, `strategy`.
    pub const fn word(self) -> &'static str {
        match self {
            Self::AllAtOnce => "simultaneous",
            Self::OneByOne => "sequential",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transfer_that_is_tried_or_talked_to_can_still_change() {
        let open = [TransferStatus::Initiating, TransferStatus::Answered];
        assert!(open.iter().all(|status| !status.is_final()));
        assert!(TransferStatus::HandedOff.is_final() && TransferStatus::CallerAbandoned.is_final());
        assert!(!LegStatus::Ringing.is_final() && LegStatus::Canceled.is_final());
    }
}
