//! A call is given to people before its caller was answered, or because its bot failed.

use super::transfer::number;
use super::*;
use crate::vocabulary::{CallCommand, Transfer, TransferStatus, TransferTo};

#[test]
fn the_caller_is_answered_when_the_number_of_the_fallback_answers() {
    let fallback = Fallback::Transfer(PhoneNumber::new("555"));
    let mut desk = Desk::sip(remote("ivr-solutions"), fallback);
    desk.input(Input::BotFailed(Reason::BotRefused));
    assert_eq!(desk.dialled(), [number("555")]);
    desk.leg_rings(0);
    desk.pass(Duration::from_secs(3));
    assert!(!desk.saw(&Seen::Answer) && desk.heard_since(Moment::START).is_empty());
    desk.leg_answers(0);
    assert!(desk.saw(&Seen::Answer) && desk.saw(&Seen::Answered));
    desk.both_talk(0, 0x30, Duration::from_millis(500));
    desk.leg(0, LegNews::Gone(16));
    let record = desk.ended();
    assert_eq!(record.cause.reason(), Reason::AgentHungUp);
    assert!(record.bot_failed_at.is_some());
}

#[test]
fn a_fallback_that_does_not_answer_ends_in_the_apology_with_the_first_cause() {
    for (talked, news) in [
        (false, LegNews::Failed(17)),
        (true, LegNews::Failed(17)),
        (false, LegNews::Refused(LegRefusal::NoLine)),
    ] {
        let fallback = Fallback::Transfer(PhoneNumber::new("555"));
        let mut desk = Desk::sip(remote("ivr-solutions"), fallback);
        if talked {
            desk.input(Input::BotConnected);
            desk.talk(Duration::from_millis(100));
        }
        desk.input(Input::BotFailed(Reason::BotStalled));
        desk.leg(0, news);
        let from = desk.now;
        desk.pass(Duration::from_secs(4));
        let spoken =
            desk.heard_since(from).iter().filter(|(_, audio)| audio.iter().any(|b| *b != 0xFF)).count();
        assert!((48..=56).contains(&spoken), "{spoken} frames of the apology");
        assert_eq!(cause_of(&desk).reason(), Reason::BotStalled);
        assert_eq!(desk.dialled().len(), 1, "once");
    }
}

#[test]
fn a_caller_who_cancels_before_the_answer_leaves_nobody_ringing() {
    let mut desk = Desk::sip(remote("ivr-solutions"), Fallback::Transfer(PhoneNumber::new("555")));
    desk.input(Input::BotFailed(Reason::BotRefused));
    desk.leg_rings(0);
    desk.input(Input::PhoneGone(Reason::Canceled));
    assert!(desk.saw(&Seen::CancelLeg(LegNo(0))));
    let record = desk.ended();
    assert_eq!(record.cause.reason(), Reason::Canceled);
    assert_eq!(record.transfers[0].status, TransferStatus::CallerAbandoned);
}

#[test]
fn a_bot_of_ours_that_has_to_answer_may_transfer_while_the_caller_still_hears_ringing() {
    let mut desk = Desk::sip(built_in(Box::new(Doorman)), Fallback::Sorry);
    assert_eq!(desk.dialled(), [Destination::Extension("101".into())]);
    assert!(!desk.saw(&Seen::Answer));
    desk.leg_rings(0);
    desk.leg(0, LegNews::Failed(17));
    assert_eq!(desk.dialled().len(), 2, "it was told, and tries again");
    desk.leg_rings(1);
    desk.leg_answers(1);
    assert!(desk.saw(&Seen::Answer));
    desk.leg(1, LegNews::Gone(16));
    let record = desk.ended();
    let statuses: Vec<_> = record.transfers.iter().map(|report| report.status).collect();
    assert_eq!(statuses, [TransferStatus::Failed, TransferStatus::HandedOff]);
}

/// Calls an extension before it answers, and again when it is told of a failure.
struct Doorman;

impl crate::dialect::Dialect for Doorman {
    type Say = crate::vocabulary::CallEvent;
    type Hear = CallCommand;

    fn format(&self) -> MediaFormat {
        MediaFormat::PCMU_8K
    }

    fn encode(
        &mut self,
        event: &crate::vocabulary::CallEvent,
        _: Moment,
        out: &mut crate::dialect::Out<CallCommand>,
    ) {
        use crate::vocabulary::CallEvent::{Refused, Started};
        if let Started(_) | Refused(_) = event {
            let to = TransferTo::Extension("101".into());
            out.hear(CallCommand::Transfer(Transfer { to, command: "dial" }));
        }
    }

    fn encode_audio(&mut self, _: &[u8], _: Moment, _: &mut crate::dialect::Out<CallCommand>) {}

    fn decode(
        &mut self,
        _: Wire<'_>,
        _: Moment,
        _: &mut crate::dialect::Out<CallCommand>,
    ) -> Result<(), crate::dialect::Malformed> {
        Err(crate::dialect::Malformed::NotJson)
    }

    fn capabilities(&self) -> &'static [crate::dialect::Capability] {
        &[crate::dialect::Capability::AnswerGate]
    }
}
