//! Refusals of a phone that is dialled: whose they are, and which of several says the most. Source: RFC 3261 §16.7.

use patchcord_core::vocabulary::{DialRefusal, Reason};
use patchcord_sip::{CommandError, SipError};
use tracing::info;

/// How much a refusal says, beside others.
pub(super) fn weight(refusal: &DialRefusal) -> u8 {
    match refusal.reason {
        Reason::Declined => 5,
        Reason::Busy => 4,
        Reason::Unanswered => 3,
        Reason::NotConnected => 2,
        Reason::CarrierUnreachable => 0,
        _ => 1,
    }
}

/// Whether it was this carrier that failed, so that another one may do better: not the phone's own word.
pub(super) fn is_the_carriers_own(refusal: &DialRefusal) -> bool {
    let status = refusal.far_end.and_then(|far_end| far_end.sip_status);
    match refusal.reason {
        Reason::CarrierUnreachable | Reason::OverCapacity => true,
        Reason::NotConnected => status.is_some_and(|status| (500..600).contains(&status)),
        _ => false,
    }
}

/// What it is to the call that an INVITE did not leave.
pub(super) fn unsent(error: &SipError) -> DialRefusal {
    info!(%error, "an INVITE could not be sent");
    DialRefusal::of_reason(match error {
        SipError::Call(CommandError::Full) => Reason::OverCapacity,
        SipError::Stopped => Reason::Drained,
        SipError::Call(_) | SipError::BadTarget | SipError::NoTransport | SipError::Unreachable(_) => {
            Reason::CarrierUnreachable
        }
    })
}
