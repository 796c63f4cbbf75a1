//! A call's transfers on its axis of time.

use patchcord_core::vocabulary::{LegReport, Moment, TransferReport, q850_text};
use serde::Serialize;
use utoipa::ToSchema;

use crate::store::StoredCall;

/// A transfer.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TimelineTransfer)]
pub struct TransferView {
    /// The how-manieth of the call, from 1.
    sequence: u32,
    /// `simultaneous` or `sequential`.
    strategy: &'static str,
    /// `initiating`, `answered`, `completed`, `failed`, `caller_abandoned` or `handed_off`.
    status: &'static str,
    at_ms: u64,
    /// When somebody was joined to the caller.
    #[serde(skip_serializing_if = "Option::is_none")]
    answered_at_ms: Option<u64>,
    /// When it was over.
    #[serde(skip_serializing_if = "Option::is_none")]
    ended_at_ms: Option<u64>,
    /// All that were to be called.
    destinations: Vec<String>,
    /// Those that were, in order.
    legs: Vec<LegView>,
}

/// One leg of it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TimelineLeg)]
pub struct LegView {
    /// The number or extension.
    destination: String,
    /// `ringing`, `answered`, `completed`, `canceled`, `busy`, `rejected`, `no_answer`, `timeout` or `failed`.
    status: &'static str,
    /// Whether it was joined to the caller.
    is_winner: bool,
    at_ms: u64,
    /// When it answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    answered_at_ms: Option<u64>,
    /// When it was over.
    #[serde(skip_serializing_if = "Option::is_none")]
    ended_at_ms: Option<u64>,
    /// Q.850 cause of its end.
    #[serde(skip_serializing_if = "Option::is_none")]
    q850: Option<u8>,
    /// The cause's text.
    #[serde(skip_serializing_if = "Option::is_none")]
    q850_text: Option<&'static str>,
    /// Its own id at the carrier.
    #[serde(skip_serializing_if = "Option::is_none")]
    telephony_call_id: Option<String>,
}

impl TransferView {
    /// Those of `call`.
    pub(super) fn all_of(call: &StoredCall) -> Vec<Self> {
        let since = |moment: Moment| moment.as_millis().saturating_sub(call.started_ms);
        call.transfers.iter().map(|transfer| Self::of(transfer, since)).collect()
    }

    fn of(transfer: &TransferReport, since: impl Fn(Moment) -> u64) -> Self {
        let legs = transfer.legs.iter().enumerate();
        Self {
            sequence: transfer.sequence,
            strategy: transfer.order.word(),
            status: transfer.status.word(),
            at_ms: since(transfer.started_at),
            answered_at_ms: transfer.answered_at.map(&since),
            ended_at_ms: transfer.ended_at.map(&since),
            destinations: transfer.destinations.iter().map(ToString::to_string).collect(),
            legs: legs.map(|(at, leg)| LegView::of(leg, transfer.answered_by == Some(at), &since)).collect(),
        }
    }
}

impl LegView {
    fn of(leg: &LegReport, is_winner: bool, since: &impl Fn(Moment) -> u64) -> Self {
        Self {
            destination: leg.destination.to_string(),
            status: leg.status.word(),
            is_winner,
            at_ms: since(leg.started_at),
            answered_at_ms: leg.answered_at.map(since),
            ended_at_ms: leg.ended_at.map(since),
            q850: leg.q850,
            q850_text: leg.q850.map(q850_text),
            telephony_call_id: (!leg.leg_id.is_empty()).then(|| leg.leg_id.to_string()),
        }
    }
}
