//! What became of a call's transfers, in the words of seed 000: its callbacks, its API and the store have them.

use patchcord_core::vocabulary::{
    LegReport, LegStatus, Moment, TransferReport, TransferStatus, WallClock, q850_text,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The transfers of one call as they stand; fields without a value are left out.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct TransferFields {
    /// The destinations of all transfers, comma-separated; of one that is decided, those that were called.
    pub transfer_to: String,
    /// How the last transfer stands.
    pub transfer_status: String,
    /// Who answered and was joined to the caller.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transfer_answered_by: Option<String>,
    /// When, RFC 3339 in UTC with milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transfer_answered_at: Option<String>,
    /// Whole seconds that they have talked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transfer_duration: Option<u64>,
    /// Q.850 cause of the end of the last transfer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transfer_hangup_cause: Option<String>,
    /// The own id of the leg that answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answered_telephony_call_id: Option<String>,
    /// Every leg of every transfer, in order.
    #[serde(default)]
    pub transfer_legs: Vec<LegFields>,
}

/// One leg of a transfer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = TransferLeg)]
pub struct LegFields {
    /// The how-manieth transfer of the call, from 1.
    pub transfer_seq: u32,
    /// `simultaneous` or `sequential`.
    pub strategy: String,
    /// The how-manieth leg of its transfer, from 1.
    pub leg_no: usize,
    /// Destinations of its transfer.
    pub legs_total: usize,
    /// The number or extension.
    pub destination: String,
    /// Whether it answered; with `[transfers] confirm`, whether it accepted.
    pub answered: bool,
    /// `ringing`, `answered`, `completed`, `canceled`, `busy`, `rejected`, `no_answer`, `timeout` or `failed`.
    pub status: String,
    /// Q.850 cause of its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hangup_cause: Option<String>,
    /// The cause's text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hangup_cause_txt: Option<String>,
    /// Whole seconds until it answered or was given up.
    pub ring_seconds: u64,
    /// Whole seconds from its answer to its end.
    pub talk_seconds: u64,
    /// When it answered, RFC 3339 in UTC with milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answered_at: Option<String>,
    /// Its own id at the carrier.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub telephony_call_id: Option<String>,
}

impl TransferFields {
    /// The transfers of a call at the moment `now`; `None` when it had none.
    pub fn of(transfers: &[TransferReport], clock: WallClock, now: Moment) -> Option<Self> {
        let last = transfers.last()?;
        let destinations = transfers.iter().flat_map(attempted);
        let winner = last.answered_by.and_then(|index| last.legs.get(index));
        let seconds = |from: Moment| (last.ended_at.unwrap_or(now) - from).as_secs();
        Some(Self {
            transfer_to: destinations.collect::<Vec<_>>().join(","),
            transfer_status: last.status.word().to_owned(),
            transfer_answered_by: winner.map(|leg| leg.destination.to_string()),
            transfer_answered_at: last.answered_at.map(|at| clock.iso8601(at)),
            transfer_duration: last.answered_at.map(seconds),
            transfer_hangup_cause: last.q850.map(|cause| cause.to_string()),
            answered_telephony_call_id: winner.and_then(carrier_id),
            transfer_legs: transfers
                .iter()
                .flat_map(|transfer| LegFields::all_of(transfer, clock, now))
                .collect(),
        })
    }
}

impl LegFields {
    fn all_of(transfer: &TransferReport, clock: WallClock, now: Moment) -> impl Iterator<Item = Self> {
        transfer.legs.iter().enumerate().map(move |(index, leg)| {
            let over = leg.ended_at.unwrap_or(now);
            let (answered, rang_until) = match (leg.answered_at, leg.status) {
                (Some(at), _) => (true, at),
                (None, LegStatus::Answered | LegStatus::Completed) => (true, over),
                (None, _) => (false, over),
            };
            Self {
                transfer_seq: transfer.sequence,
                strategy: transfer.order.word().to_owned(),
                leg_no: index + 1,
                legs_total: transfer.destinations.len(),
                destination: leg.destination.to_string(),
                answered,
                status: leg.status.word().to_owned(),
                hangup_cause: leg.q850.map(|cause| cause.to_string()),
                hangup_cause_txt: leg.q850.map(|cause| q850_text(cause).to_owned()),
                ring_seconds: (rang_until - leg.started_at).as_secs(),
                talk_seconds: leg.answered_at.map_or(0, |at| (over - at).as_secs()),
                answered_at: leg.answered_at.map(|at| clock.iso8601(at)),
                telephony_call_id: carrier_id(leg),
            }
        })
    }
}

/// The destinations of a transfer; once it is decided, without those that were never called.
fn attempted(transfer: &TransferReport) -> impl Iterator<Item = &str> {
    let is_open = transfer.status == TransferStatus::Initiating || transfer.legs.is_empty();
    let called = |to: &str| transfer.legs.iter().any(|leg| &*leg.destination == to);
    transfer.destinations.iter().map(|to| &**to).filter(move |to| is_open || called(to))
}

fn carrier_id(leg: &LegReport) -> Option<String> {
    (!leg.leg_id.is_empty()).then(|| leg.leg_id.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use patchcord_core::vocabulary::DialOrder;
    use serde_json::json;

    const CLOCK: WallClock = WallClock::new(1_707_204_900_000, Moment::START);

    fn at(seconds: u64) -> Moment {
        Moment::from_millis(seconds * 1_000)
    }

    fn leg(to: &str, status: LegStatus) -> LegReport {
        LegReport {
            destination: to.into(),
            status,
            q850: None,
            started_at: at(10),
            answered_at: None,
            ended_at: None,
            leg_id: "".into(),
        }
    }

    fn transfer(legs: Vec<LegReport>) -> TransferReport {
        TransferReport {
            sequence: 1,
            order: DialOrder::AllAtOnce,
            status: TransferStatus::Initiating,
            destinations: ["101", "102", "103"].map(Into::into).into(),
            answered_by: None,
            started_at: at(10),
            answered_at: None,
            ended_at: None,
            q850: None,
            legs,
        }
    }

    #[test]
    fn a_call_without_a_transfer_has_none_of_the_fields() {
        assert_eq!(TransferFields::of(&[], CLOCK, at(1)), None);
    }

    #[test]
    fn a_transfer_that_goes_on_is_told_without_what_is_not_known_yet() {
        let legs = vec![leg("101", LegStatus::Ringing)];
        let fields = TransferFields::of(&[transfer(legs)], CLOCK, at(17)).unwrap();
        assert_eq!(
            serde_json::to_value(&fields).unwrap(),
            json!({
                "transfer_to": "101,102,103", "transfer_status": "initiating",
                "transfer_legs": [{
                    "transfer_seq": 1, "strategy": "simultaneous", "leg_no": 1, "legs_total": 3,
                    "destination": "101", "answered": false, "status": "ringing",
                    "ring_seconds": 7, "talk_seconds": 0,
                }],
            })
        );
    }

    #[test]
    fn who_was_never_called_is_not_told_once_a_transfer_is_decided() {
        let tried = |status, legs: &[&str]| {
            let legs = legs.iter().map(|to| leg(to, LegStatus::Canceled)).collect();
            let transfer = TransferReport { order: DialOrder::OneByOne, status, ..transfer(legs) };
            TransferFields::of(&[transfer], CLOCK, at(500)).unwrap().transfer_to
        };
        assert_eq!(tried(TransferStatus::Initiating, &["101"]), "101,102,103");
        assert_eq!(tried(TransferStatus::CallerAbandoned, &["101", "102"]), "101,102");
        assert_eq!(tried(TransferStatus::Failed, &[]), "101,102,103");
    }

    #[test]
    fn a_completed_transfer_tells_who_answered_and_how_every_leg_ended() {
        let busy = LegReport { q850: Some(17), ended_at: Some(at(11)), ..leg("101", LegStatus::Busy) };
        let winner = LegReport {
            q850: Some(16),
            answered_at: Some(at(14)),
            ended_at: Some(at(24)),
            leg_id: "b2@carrier".into(),
            ..leg("102", LegStatus::Completed)
        };
        let late = LegReport { q850: Some(26), ended_at: Some(at(14)), ..leg("103", LegStatus::Canceled) };
        let done = TransferReport {
            status: TransferStatus::Completed,
            answered_by: Some(1),
            answered_at: Some(at(14)),
            ended_at: Some(at(24)),
            q850: Some(16),
            ..transfer(vec![busy, winner, late])
        };
        let fields = TransferFields::of(&[done], CLOCK, at(500)).unwrap();
        assert_eq!(fields.transfer_answered_by.as_deref(), Some("102"));
        assert_eq!(fields.transfer_answered_at.as_deref(), Some("2024-02-06T07:35:14.000Z"));
        assert_eq!(fields.transfer_duration, Some(10));
        assert_eq!(fields.answered_telephony_call_id.as_deref(), Some("b2@carrier"));
        let legs: Vec<_> = fields
            .transfer_legs
            .iter()
            .map(|leg| (leg.leg_no, &*leg.status, leg.hangup_cause_txt.as_deref(), leg.talk_seconds))
            .collect();
        assert_eq!(
            legs,
            [
                (1, "busy", Some("User Busy"), 0),
                (2, "completed", Some("Normal Clearing"), 10),
                (3, "canceled", Some("Non-Selected User Clearing"), 0),
            ]
        );
        let text = serde_json::to_string(&fields).unwrap();
        assert_eq!(serde_json::from_str::<TransferFields>(&text).unwrap(), fields);
    }
}
