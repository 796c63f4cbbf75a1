//! Why a phone that we dialled did not answer: its network's word as one of ours.
//!
//! Sources: RFC 3326 for the `Reason` header, which tells more than the status and counts first; seed 000 §8 for what
//! is busy and what is no answer.

use super::{Reason, q850_of_status};

/// How the network of the phone that we dialled ended its leg.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FarEnd {
    /// The Q.850 cause.
    pub q850: u8,
    /// The SIP status, if one came.
    pub sip_status: Option<u16>,
}

/// A call of ours that was not answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DialRefusal {
    /// In our words.
    pub reason: Reason,
    /// In the network's words; nothing, where it was never asked.
    pub far_end: Option<FarEnd>,
}

impl DialRefusal {
    /// A final status, with the Q.850 cause of its `Reason` header if it had one.
    pub fn of_status(status: u16, q850: Option<u8>) -> Self {
        let reason = match (q850, status) {
            (Some(17), _) | (None, 486 | 600) => Reason::Busy,
            (Some(21), _) | (None, 603) => Reason::Declined,
            (Some(18 | 19), _) | (None, 408 | 480) => Reason::Unanswered,
            (Some(_) | None, _) => Reason::NotConnected,
        };
        let q850 = q850.unwrap_or_else(|| q850_of_status(status));
        Self { reason, far_end: Some(FarEnd { q850, sip_status: Some(status) }) }
    }

    /// The phone's network said nothing more until our patience was over.
    pub const fn of_silence() -> Self {
        let far_end = FarEnd { q850: q850_of_status(408), sip_status: None };
        Self { reason: Reason::Unanswered, far_end: Some(far_end) }
    }

    /// Nobody was asked, or nobody answered at all.
    pub const fn of_reason(reason: Reason) -> Self {
        Self { reason, far_end: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(status: u16, q850: Option<u8>) -> (Reason, u8) {
        let refusal = DialRefusal::of_status(status, q850);
        (refusal.reason, refusal.far_end.unwrap().q850)
    }

    #[test]
    fn busy_no_answer_and_the_rest_are_told_apart_by_status() {
        for (status, reason, q850) in [
            (486, Reason::Busy, 17),
            (600, Reason::Busy, 17),
            (603, Reason::Declined, 21),
            (408, Reason::Unanswered, 18),
            (480, Reason::Unanswered, 18),
            (403, Reason::NotConnected, 21),
            (404, Reason::NotConnected, 1),
            // Not what our CANCEL is answered with: that leg is over before.
            (487, Reason::NotConnected, 31),
            (488, Reason::NotConnected, 88),
            (500, Reason::NotConnected, 41),
            (503, Reason::NotConnected, 41),
            (504, Reason::NotConnected, 102),
            (604, Reason::NotConnected, 1),
            (699, Reason::NotConnected, 31),
        ] {
            assert_eq!(heard(status, None), (reason, q850), "{status}");
        }
    }

    #[test]
    fn the_reason_header_of_the_far_end_counts_before_the_status() {
        assert_eq!(heard(503, Some(17)), (Reason::Busy, 17));
        assert_eq!(heard(480, Some(21)), (Reason::Declined, 21));
        assert_eq!(heard(500, Some(19)), (Reason::Unanswered, 19));
        assert_eq!(heard(486, Some(1)), (Reason::NotConnected, 1));
        assert_eq!(heard(480, Some(34)), (Reason::NotConnected, 34));
    }
}
