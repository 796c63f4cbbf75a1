//! A call's transfers as JSON, and on a clock that outlives the process.

use patchcord_core::vocabulary::{
    DialOrder, LegReport, LegStatus, Moment, TransferReport, TransferStatus, WallClock,
};
use serde::{Deserialize, Serialize};

use super::{StoreError, call};

/// The clock of stored moments: milliseconds since 1970, UTC.
pub const UNIX_CLOCK: WallClock = WallClock::new(0, Moment::START);

#[derive(Serialize, Deserialize)]
struct Transfer {
    sequence: u32,
    strategy: String,
    status: String,
    destinations: Vec<Box<str>>,
    answered_by: Option<usize>,
    started_ms: u64,
    answered_ms: Option<u64>,
    ended_ms: Option<u64>,
    q850: Option<u8>,
    legs: Vec<Leg>,
}

#[derive(Serialize, Deserialize)]
struct Leg {
    destination: Box<str>,
    status: String,
    q850: Option<u8>,
    started_ms: u64,
    answered_ms: Option<u64>,
    ended_ms: Option<u64>,
    leg_id: Box<str>,
}

/// The same transfer on [`UNIX_CLOCK`], of one on `clock`.
pub fn since_1970(transfer: &TransferReport, clock: WallClock) -> TransferReport {
    let unix = |moment: Moment| Moment::from_millis(clock.unix_ms(moment));
    let legs = transfer.legs.iter().map(|leg| LegReport {
        started_at: unix(leg.started_at),
        answered_at: leg.answered_at.map(unix),
        ended_at: leg.ended_at.map(unix),
        ..leg.clone()
    });
    TransferReport {
        started_at: unix(transfer.started_at),
        answered_at: transfer.answered_at.map(unix),
        ended_at: transfer.ended_at.map(unix),
        legs: legs.collect(),
        ..transfer.clone()
    }
}

pub(super) fn format(transfers: &[TransferReport]) -> String {
    call::json(&transfers.iter().map(Transfer::of).collect::<Vec<_>>())
}

pub(super) fn parse(text: &str) -> Result<Vec<TransferReport>, StoreError> {
    call::parse::<Vec<Transfer>>(text)?.into_iter().map(Transfer::report).collect()
}

impl Transfer {
    fn of(report: &TransferReport) -> Self {
        Self {
            sequence: report.sequence,
            strategy: report.order.word().to_owned(),
            status: report.status.word().to_owned(),
            destinations: report.destinations.clone(),
            answered_by: report.answered_by,
            started_ms: report.started_at.as_millis(),
            answered_ms: report.answered_at.map(Moment::as_millis),
            ended_ms: report.ended_at.map(Moment::as_millis),
            q850: report.q850,
            legs: report.legs.iter().map(Leg::of).collect(),
        }
    }

    fn report(self) -> Result<TransferReport, StoreError> {
        let unreadable = StoreError::Unreadable("a transfer's word");
        let order = ORDERS.into_iter().find(|order| order.word() == self.strategy);
        let status = STATUSES.into_iter().find(|status| status.word() == self.status);
        let (Some(order), Some(status)) = (order, status) else { return Err(unreadable) };
        Ok(TransferReport {
            sequence: self.sequence,
            order,
            status,
            destinations: self.destinations,
            answered_by: self.answered_by,
            started_at: Moment::from_millis(self.started_ms),
            answered_at: self.answered_ms.map(Moment::from_millis),
            ended_at: self.ended_ms.map(Moment::from_millis),
            q850: self.q850,
            legs: self.legs.into_iter().map(Leg::report).collect::<Result<_, _>>()?,
        })
    }
}

impl Leg {
    fn of(report: &LegReport) -> Self {
        Self {
            destination: report.destination.clone(),
            status: report.status.word().to_owned(),
            q850: report.q850,
            started_ms: report.started_at.as_millis(),
            answered_ms: report.answered_at.map(Moment::as_millis),
            ended_ms: report.ended_at.map(Moment::as_millis),
            leg_id: report.leg_id.clone(),
        }
    }

    fn report(self) -> Result<LegReport, StoreError> {
        let status = LEG_STATUSES.into_iter().find(|status| status.word() == self.status);
        Ok(LegReport {
            destination: self.destination,
            status: status.ok_or(StoreError::Unreadable("a leg's status"))?,
            q850: self.q850,
            started_at: Moment::from_millis(self.started_ms),
            answered_at: self.answered_ms.map(Moment::from_millis),
            ended_at: self.ended_ms.map(Moment::from_millis),
            leg_id: self.leg_id,
        })
    }
}

const ORDERS: [DialOrder; 2] = [DialOrder::AllAtOnce, DialOrder::OneByOne];

const STATUSES: [TransferStatus; 6] = [
    TransferStatus::Initiating,
    TransferStatus::Answered,
    TransferStatus::Completed,
    TransferStatus::Failed,
    TransferStatus::CallerAbandoned,
    TransferStatus::HandedOff,
];

const LEG_STATUSES: [LegStatus; 9] = [
    LegStatus::Ringing,
    LegStatus::Answered,
    LegStatus::Completed,
    LegStatus::Canceled,
    LegStatus::Busy,
    LegStatus::Rejected,
    LegStatus::NoAnswer,
    LegStatus::Timeout,
    LegStatus::Failed,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transfer_reads_back_as_it_was_written_whatever_its_words_are() {
        for (index, (status, leg_status)) in STATUSES.into_iter().cycle().zip(LEG_STATUSES).enumerate() {
            let at = |ms: u64| Some(Moment::from_millis(ms));
            let leg = LegReport {
                destination: "09876543210".into(),
                status: leg_status,
                q850: Some(17),
                started_at: Moment::from_millis(500),
                answered_at: at(600),
                ended_at: None,
                leg_id: "b@carrier".into(),
            };
            let report = TransferReport {
                sequence: 1,
                order: ORDERS[index % 2],
                status,
                destinations: vec!["09876543210".into()],
                answered_by: Some(0),
                started_at: Moment::from_millis(500),
                answered_at: at(600),
                ended_at: at(9_000),
                q850: Some(16),
                legs: vec![leg],
            };
            let stored = since_1970(&report, WallClock::new(1_707_204_900_000, Moment::START));
            assert_eq!(stored.started_at.as_millis(), 1_707_204_900_500);
            assert_eq!(parse(&format(std::slice::from_ref(&stored))).unwrap(), [stored]);
        }
        assert!(parse("[{}]").is_err() && parse("{").is_err());
    }
}
