//! Flows that call people: before the answer, from a menu, out of a queue.

use super::flows::{flow, heard_ms, next, saying};
use super::transfer::sip_phone;
use super::*;
use crate::flow::{Clip, Queue, Step, Target};
use crate::vocabulary::{Callee, DialOrder, FlowDial, FlowEvent, TransferStatus};

fn dial(to: &[&str], order: DialOrder) -> Step {
    let to = to.iter().map(|number| Callee::Extension((*number).into())).collect();
    Step::Dial(FlowDial { to, order, ring: Duration::from_secs(15) })
}

fn play(byte: u8) -> Step {
    Step::Play(Clip::new(vec![byte; 8_000], MediaFormat::PCMU_8K))
}

fn extension(number: &str) -> Destination {
    Destination::Extension(number.into())
}

#[test]
fn a_flow_that_dials_first_rings_and_is_answered_by_whoever_takes_the_call() {
    let mut desk = Desk::sip(flow(vec![dial(&["101", "102"], DialOrder::AllAtOnce)]), Fallback::Sorry);
    assert_eq!(desk.dialled(), [extension("101"), extension("102")]);
    desk.leg_rings(0);
    desk.leg_rings(1);
    desk.pass(Duration::from_secs(3));
    assert!(desk.saw(&Seen::Ring) && !desk.saw(&Seen::Answer));
    desk.leg_answers(1);
    assert!(desk.saw(&Seen::Answer) && desk.saw(&Seen::CancelLeg(LegNo(0))));
    assert_eq!(desk.call.state(), StateName::Bridged);
    let from = desk.now;
    desk.both_talk(1, 0x41, Duration::from_millis(400));
    assert!(desk.heard_since(from).iter().filter(|(_, audio)| audio[0] == 0x41).count() >= 15);
    assert!(desk.leg_heard_since(1, from).iter().filter(|(_, audio)| audio[0] == 0x20).count() >= 15);
    desk.input(Input::PhoneGone(Reason::CallerHungUp));
    assert_eq!(cause_of(&desk).reason(), Reason::CallerHungUp);
}

#[test]
fn the_next_step_follows_when_nobody_answers_and_answers_the_call_itself() {
    let steps = vec![dial(&["101", "102"], DialOrder::OneByOne), play(0x21)];
    let mut desk = Desk::sip(flow(steps), Fallback::Sorry);
    desk.leg_rings(0);
    desk.pass(Duration::from_millis(15_100));
    assert!(desk.saw(&Seen::CancelLeg(LegNo(0))), "as long as the flow lets it ring");
    desk.leg(1, LegNews::Failed(17));
    assert!(desk.saw(&Seen::Answer));
    desk.pass(Duration::from_millis(1_500));
    assert_eq!(heard_ms(&desk, 0x21), 1_000);
    assert_eq!(cause_of(&desk).reason(), Reason::BotHungUp);
    assert_eq!(desk.ended().transfers.len(), 1);
    assert_eq!(desk.ended().transfers[0].status, TransferStatus::Failed);
}

#[test]
fn nobody_who_can_be_called_is_no_answer_either() {
    for refusal in [LegRefusal::Unknown, LegRefusal::NotAllowed, LegRefusal::NoLine, LegRefusal::TooMany] {
        let steps = vec![dial(&["101"], DialOrder::AllAtOnce), play(0x21)];
        let mut desk = Desk::sip(flow(steps), Fallback::Sorry);
        desk.leg(0, LegNews::Refused(refusal));
        assert!(desk.saw(&Seen::Answer), "{refusal:?}");
    }
}

#[test]
fn a_caller_who_hangs_up_while_it_rings_ends_the_call_unanswered() {
    let mut desk = Desk::sip(flow(vec![dial(&["101"], DialOrder::AllAtOnce)]), Fallback::Sorry);
    desk.leg_rings(0);
    desk.input(Input::PhoneGone(Reason::Canceled));
    assert!(desk.saw(&Seen::CancelLeg(LegNo(0))));
    assert_eq!(cause_of(&desk).reason(), Reason::Canceled);
    assert_eq!(desk.ended().answered_at, None);
}

/// A queue with a second of music.
fn queue() -> BotSettings {
    let clip = |byte| Clip::new(vec![byte; 8_000], MediaFormat::PCMU_8K);
    let queue = Queue {
        name: "sales".into(),
        greeting: clip(0x31),
        music: clip(0x33),
        announce: None,
        ring: Duration::from_secs(10),
        max_wait: Duration::from_secs(60),
        overflow: Target::Next,
    };
    flow(vec![Step::Queue(queue), play(0x21)])
}

#[test]
fn the_music_plays_on_while_those_whose_turn_it_is_ring_and_ends_with_the_answer() {
    let mut desk = Desk::sip(queue(), Fallback::Sorry);
    desk.talk(Duration::from_secs(3));
    desk.input(Input::Queue(FlowEvent::Turn(vec!["101".into(), "102".into()])));
    assert_eq!(desk.dialled(), [extension("101"), extension("102")]);
    desk.leg_rings(0);
    let before = heard_ms(&desk, 0x33);
    desk.talk(Duration::from_secs(4));
    assert!(heard_ms(&desk, 0x33) >= before + 3_800, "{} ms of music", heard_ms(&desk, 0x33) - before);
    desk.leg_answers(0);
    assert!(desk.saw(&Seen::Queue(QueueOrder::Leave)));
    let from = desk.now;
    desk.both_talk(0, 0x41, Duration::from_millis(400));
    let heard = desk.heard_since(from);
    assert!(heard.iter().skip(3).all(|(_, audio)| audio[0] != 0x33), "the music ends");
    desk.leg(0, LegNews::Gone(16));
    desk.pass(Duration::from_secs(1));
    assert_eq!(desk.ended().transfers.len(), 1);
}

#[test]
fn an_agent_who_does_not_answer_leaves_the_caller_in_line() {
    let mut desk = Desk::sip(queue(), Fallback::Sorry);
    desk.talk(Duration::from_secs(1));
    desk.input(Input::Queue(FlowEvent::Turn(vec!["101".into()])));
    desk.leg_rings(0);
    desk.talk(Duration::from_millis(10_200));
    assert!(desk.saw(&Seen::Queue(QueueOrder::Stay)));
    assert_eq!(desk.call.state(), StateName::Talking);
    desk.input(Input::Queue(FlowEvent::Turn(vec!["102".into()])));
    desk.leg_rings(1);
    desk.leg_answers(1);
    assert_eq!(desk.call.state(), StateName::Bridged);
}

#[test]
fn a_call_that_a_bot_gives_to_a_flow_is_told_as_handed_off() {
    let mut desk = Desk::sip(remote("ivr-solutions"), Fallback::Sorry);
    desk.input(Input::BotConnected);
    desk.bot_says(r#"{"type":"session.flow_transfer","flow_id":"night"}"#);
    desk.pass(Duration::from_millis(20));
    desk.input(next(saying(0x21)));
    let [report] = desk.reports()[..] else { panic!("{:?}", desk.reports()) };
    assert_eq!(
        (report.status, report.destinations.as_slice()),
        (TransferStatus::HandedOff, ["night".into()].as_slice())
    );
    assert!(report.status.is_final() && report.legs.is_empty());
    desk.pass(Duration::from_secs(2));
    assert_eq!(desk.ended().transfers.len(), 1);
}

#[test]
fn a_caller_whom_nobody_takes_is_refused_as_the_last_one_that_was_called_refused() {
    let refused = |news: LegNews<'_>| {
        let mut desk = Desk::sip(flow(vec![dial(&["101"], DialOrder::AllAtOnce)]), Fallback::Sorry);
        desk.leg(0, news);
        let cause = cause_of(&desk);
        assert!(!desk.saw(&Seen::Answer) && desk.saw(&Seen::Reject(cause.row().sip_status)));
        cause.row().sip_status
    };
    let table = [(17, 486), (21, 603), (18, 480), (19, 480), (1, 404), (20, 480), (41, 503), (42, 503)];
    for (q850, status) in table {
        assert_eq!(refused(LegNews::Failed(q850)), status, "{q850}");
    }
    for (refusal, status) in
        [(LegRefusal::Unknown, 480), (LegRefusal::NotAllowed, 404), (LegRefusal::TooMany, 503)]
    {
        assert_eq!(refused(LegNews::Refused(refusal)), status, "{refusal:?}");
    }
}

#[test]
fn a_flow_that_leaves_with_its_call_gives_a_caller_whom_nobody_takes_the_fallback() {
    for news in [LegNews::Failed(17), LegNews::Refused(LegRefusal::Unknown)] {
        let bot =
            BotSettings { on_transfer: OnTransfer::End, ..flow(vec![dial(&["101"], DialOrder::AllAtOnce)]) };
        let mut desk = Desk::sip(bot, Fallback::Flow("night".into()));
        desk.leg(0, news);
        desk.input(next(saying(0x21)));
        desk.pass(Duration::from_millis(1_500));
        assert!(heard_ms(&desk, 0x21) > 0, "the fallback is heard");
    }
}

#[test]
fn who_is_shown_outside_is_not_shown_within_the_house() {
    let phone = Callee::Phone(PhoneNumber::new("919876543210"));
    let to = vec![Callee::Extension("101".into()), phone];
    let steps = vec![Step::Dial(FlowDial { to, order: DialOrder::AllAtOnce, ring: Duration::from_secs(15) })];
    let transfers = TransferSettings {
        shown_outside: Some(PhoneNumber::new("18001234567")),
        ..TransferSettings::default()
    };
    let settings = settings(sip_phone(), flow(steps), Fallback::Sorry);
    let desk = Desk::of(CallSettings { transfers, ..settings });
    assert_eq!(desk.shown(), [PhoneNumber::new("9876543210"), PhoneNumber::new("18001234567")]);
}
