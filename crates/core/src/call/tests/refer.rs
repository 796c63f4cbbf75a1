//! Transfers that somebody else carries out, or asks for: REFER.

use super::transfer::{number, talking};
use super::*;
use crate::vocabulary::{LegStatus, TransferStatus};

const ONE: &str = r#"{"type":"session.transfer","destination":"09876543210"}"#;

#[test]
fn a_caller_whose_carrier_connects_it_is_handed_off_and_the_call_ends() {
    let mut desk = talking(OnTransfer::End);
    desk.bot_says(ONE);
    desk.leg(0, LegNews::Dialled("".into()));
    desk.leg(0, LegNews::Ringing);
    desk.talk(Duration::from_secs(2));
    desk.leg(0, LegNews::TakenOver);
    let record = desk.ended();
    assert_eq!(record.cause.to_string(), "completed/transferred");
    assert!(desk.saw(&Seen::HangUpPhone(Reason::Transferred)));
    let [report] = record.transfers.as_slice() else { panic!("{:?}", record.transfers) };
    assert_eq!((report.status, report.answered_by), (TransferStatus::HandedOff, Some(0)));
    assert_eq!((report.legs[0].status, report.legs[0].q850), (LegStatus::Completed, Some(16)));
    assert_eq!(desk.let_go(0), 0, "there was no leg of ours");
}

#[test]
fn who_is_not_reached_by_the_carrier_is_a_leg_that_failed() {
    let mut desk = talking(OnTransfer::Hold);
    desk.bot_says(ONE);
    desk.leg(0, LegNews::Dialled("".into()));
    desk.leg(0, LegNews::Failed(17));
    assert!(desk.to_bot().last().unwrap().contains("transfer_failed"));
    desk.leg(0, LegNews::TakenOver);
    assert_eq!(desk.call.state(), StateName::Talking);
}

#[test]
fn an_agent_gives_the_caller_on_and_the_next_one_talks_to_it() {
    let mut desk = talking(OnTransfer::End);
    desk.bot_says(ONE);
    desk.leg_rings(0);
    desk.leg_answers(0);
    desk.both_talk(0, 0x30, Duration::from_secs(1));
    desk.leg(0, LegNews::Refers(Destination::Extension("102".into())));
    assert!(desk.saw(&Seen::HangUpLeg(LegNo(0), 16)));
    assert_eq!(desk.dialled(), [number("09876543210"), Destination::Extension("102".into())]);
    desk.leg(0, LegNews::Gone(16));
    desk.leg_rings(1);
    desk.talk(Duration::from_secs(1));
    desk.leg_answers(1);
    assert_eq!(desk.call.state(), StateName::Bridged);
    desk.both_talk(1, 0x31, Duration::from_secs(1));
    desk.leg(1, LegNews::Gone(16));
    let transfers = &desk.ended().transfers;
    let statuses: Vec<_> = transfers.iter().map(|report| (report.status, report.sequence)).collect();
    assert_eq!(statuses, [(TransferStatus::Completed, 1), (TransferStatus::HandedOff, 2)]);
}

#[test]
fn when_the_next_one_does_not_answer_the_caller_gets_the_fallback_for_the_agent_has_left() {
    let mut desk = talking(OnTransfer::End);
    desk.bot_says(ONE);
    desk.leg_rings(0);
    desk.leg(0, LegNews::Refers(number("1")));
    assert_eq!(desk.dialled().len(), 1, "who has not answered has nobody to give");
    desk.leg_answers(0);
    desk.both_talk(0, 0x30, Duration::from_secs(1));
    desk.leg(0, LegNews::Refers(number("09876543219")));
    desk.leg_rings(1);
    desk.leg(1, LegNews::Failed(17));
    desk.talk(Duration::from_secs(8));
    assert_eq!(desk.ended().cause.to_string(), "upstream/transfer_failed");
}
