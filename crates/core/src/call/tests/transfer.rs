//! A call is given to people: who is called, who wins, what the caller hears, what becomes of the bot.

use super::*;
use crate::vocabulary::{
    DESTINATIONS_MAX, DialOrder, HungUpBy, LegStatus, Transfer, TransferReport, TransferStatus, TransferTo,
};

pub(super) const ONE: &str = r#"{"type":"session.transfer","destination":"09876543210"}"#;
pub(super) const ALL: &str =
    r#"{"type":"session.transfer","destination":["09876543210","09876543211","09876543212"]}"#;
const IN_TURN: &str = r#"{"type":"session.transfer","destination":["09876543210","09876543211","09876543212"],"strategy":"sequential"}"#;

/// A call that talks to a bot of `ivr-solutions`.
pub(super) fn talking(on_transfer: OnTransfer) -> Desk {
    with(on_transfer, Fallback::Sorry, TransferSettings::default())
}

fn with(on_transfer: OnTransfer, fallback: Fallback, transfers: TransferSettings) -> Desk {
    let bot = BotSettings { on_transfer, ..remote("ivr-solutions") };
    let mut desk = Desk::of(CallSettings { transfers, ..settings(sip_phone(), bot, fallback) });
    desk.input(Input::BotConnected);
    desk.talk(Duration::from_millis(200));
    desk
}

pub(super) fn sip_phone() -> PhoneSettings {
    let rtp = RtpIdentity { ssrc: 7, sequence: 1, timestamp: 0 };
    PhoneSettings::Sip { rtp, media: Some(media()), early_media: false }
}

pub(super) fn number(text: &str) -> Destination {
    Destination::Phone(PhoneNumber::new(text))
}

pub(super) fn leg_address(no: u32) -> SocketAddr {
    format!("127.0.0.1:{}", 41_000 + no).parse().unwrap()
}

pub(super) fn identity(no: u32) -> RtpIdentity {
    RtpIdentity { ssrc: 100 + no, sequence: 1, timestamp: 0 }
}

impl Desk {
    pub(super) fn leg(&mut self, no: u32, news: LegNews<'_>) {
        self.input(Input::Leg(LegNo(no), news));
    }

    pub(super) fn leg_rings(&mut self, no: u32) {
        self.leg(no, LegNews::Dialled(format!("leg-{no}").into()));
        self.leg(no, LegNews::Ringing);
    }

    pub(super) fn leg_answers(&mut self, no: u32) {
        let media = PhoneMedia { remote: leg_address(no), ..media() };
        self.leg(no, LegNews::Answered(Box::new(media), identity(no)));
    }

    /// Both speak for that long: the caller 0x20, the leg `byte`.
    pub(super) fn both_talk(&mut self, no: u32, byte: u8, duration: Duration) {
        for at in 0..u16::try_from(duration.as_millis() / 20).unwrap() {
            self.phone_speaks(0x20);
            self.leg_speaks(no, at, byte);
            self.pass(FRAME);
        }
    }

    pub(super) fn leg_speaks(&mut self, no: u32, sequence: u16, byte: u8) {
        let mut packet = vec![0x80, 0];
        packet.extend_from_slice(&sequence.to_be_bytes());
        packet.extend_from_slice(&(u32::from(sequence) * 160).to_be_bytes());
        packet.extend_from_slice(&no.to_be_bytes());
        packet.extend_from_slice(&[byte; 160]);
        self.leg(no, LegNews::Rtp { source: leg_address(no), packet: &packet });
    }

    pub(super) fn dialled(&self) -> Vec<Destination> {
        let dials = self.seen.iter().filter_map(|(_, seen)| match seen {
            Seen::Dial(_, to, _) => Some(to.clone()),
            _ => None,
        });
        dials.collect()
    }

    /// Who is shown to whom was dialled.
    pub(super) fn shown(&self) -> Vec<PhoneNumber> {
        let dials = self.seen.iter().filter_map(|(_, seen)| match seen {
            Seen::Dial(_, _, shown) => Some(shown.clone()),
            _ => None,
        });
        dials.collect()
    }

    pub(super) fn reports(&self) -> Vec<&TransferReport> {
        let facts = self.seen.iter().filter_map(|(_, seen)| match seen {
            Seen::Report(CallFact::Transfer(report)) => Some(&**report),
            _ => None,
        });
        facts.collect()
    }

    /// Payloads to a leg since `from`.
    pub(super) fn leg_heard_since(&self, no: u32, from: Moment) -> Vec<(Moment, &[u8])> {
        let packets = self.seen.iter().filter_map(|(at, seen)| match seen {
            Seen::LegRtp(leg, packet) if *leg == LegNo(no) && *at >= from && packet[1] & 0x7F == 0 => {
                Some((*at, &packet[12..]))
            }
            _ => None,
        });
        packets.collect()
    }

    /// The longest silence that the caller was sent since `from`, in milliseconds.
    pub(super) fn longest_silence(&self, from: Moment) -> usize {
        let heard = self.heard_since(from);
        let silent = heard.iter().map(|(_, audio)| audio.iter().all(|byte| *byte == 0xFF));
        let (mut longest, mut current) = (0, 0);
        for silent in silent {
            current = if silent { current + 20 } else { 0 };
            longest = longest.max(current);
        }
        longest
    }

    /// Whether everybody was let go of exactly once: cancelled or hung up, or told to have ended itself (`gone`).
    pub(super) fn let_go(&self, no: u32) -> usize {
        let is_end = |seen: &Seen| match seen {
            Seen::CancelLeg(leg) | Seen::HangUpLeg(leg, _) => *leg == LegNo(no),
            _ => false,
        };
        self.seen.iter().filter(|(_, seen)| is_end(seen)).count()
    }
}

fn statuses(report: &TransferReport) -> Vec<(LegStatus, Option<u8>)> {
    report.legs.iter().map(|leg| (leg.status, leg.q850)).collect()
}

#[test]
fn one_destination_is_called_rings_answers_and_talks_and_the_report_has_every_number() {
    let mut desk = talking(OnTransfer::End);
    desk.bot_says(ONE);
    assert_eq!(desk.dialled(), [number("09876543210")]);
    assert_eq!(desk.call.state(), StateName::Transferring);
    desk.leg_rings(0);
    desk.talk(Duration::from_secs(4));
    desk.leg_answers(0);
    assert_eq!(desk.call.state(), StateName::Bridged);
    desk.both_talk(0, 0x30, Duration::from_secs(6));
    desk.leg(0, LegNews::Gone(16));
    let record = desk.ended();
    assert_eq!((record.cause.reason(), record.hung_up_by), (Reason::AgentHungUp, HungUpBy::Agent));
    assert!(desk.saw(&Seen::HangUpPhone(Reason::AgentHungUp)));
    let [report] = record.transfers.as_slice() else { panic!("{:?}", record.transfers) };
    assert_eq!(
        (report.status, report.answered_by, report.q850),
        (TransferStatus::Completed, Some(0), Some(16))
    );
    let leg = &report.legs[0];
    assert_eq!((leg.status, &*leg.leg_id, leg.q850), (LegStatus::Completed, "leg-0", Some(16)));
    let (answered, ended) = (leg.answered_at.unwrap(), leg.ended_at.unwrap());
    assert_eq!(
        (answered - leg.started_at, ended - answered),
        (Duration::from_secs(4), Duration::from_secs(6))
    );
    let told: Vec<_> = desk.reports().iter().map(|report| report.status).collect();
    assert_eq!(told.first(), Some(&TransferStatus::Initiating));
    assert_eq!(told.last(), Some(&TransferStatus::Completed));
    assert!(told.contains(&TransferStatus::Answered), "{told:?}");
}

#[test]
fn the_bot_is_stopped_when_the_first_leg_is_on_its_way_or_when_one_answers() {
    for (on_transfer, stops_at_once) in [(OnTransfer::End, true), (OnTransfer::Hold, false)] {
        let mut desk = talking(on_transfer);
        desk.bot_says(ONE);
        let stopped = |desk: &Desk| {
            desk.to_bot().iter().any(|text| text.contains(r#""reason":"stopped""#))
                && desk.saw(&Seen::CloseBot(1000))
        };
        assert!(!stopped(&desk), "it may still be refused");
        desk.leg_rings(0);
        assert_eq!(stopped(&desk), stops_at_once, "{on_transfer:?}");
        desk.leg_answers(0);
        assert!(stopped(&desk), "{on_transfer:?}");
    }
}

#[test]
fn all_ring_at_once_the_second_wins_the_others_are_cancelled_and_a_late_answer_is_hung_up() {
    let mut desk = talking(OnTransfer::End);
    desk.bot_says(ALL);
    assert_eq!(desk.dialled().len(), 3);
    (0..3).for_each(|no| desk.leg_rings(no));
    desk.pass(Duration::from_secs(2));
    desk.leg_answers(1);
    assert!(desk.saw(&Seen::CancelLeg(LegNo(0))) && desk.saw(&Seen::CancelLeg(LegNo(2))));
    desk.leg_answers(2);
    assert!(desk.saw(&Seen::HangUpLeg(LegNo(2), 26)), "the answer was on its way");
    desk.both_talk(1, 0x30, Duration::from_secs(1));
    desk.input(Input::PhoneGone(Reason::CallerHungUp));
    assert!(desk.saw(&Seen::HangUpLeg(LegNo(1), 16)));
    let record = desk.ended();
    assert_eq!(record.cause.reason(), Reason::CallerHungUp);
    let report = &record.transfers[0];
    assert_eq!((report.status, report.answered_by), (TransferStatus::Completed, Some(1)));
    let expected =
        [(LegStatus::Canceled, Some(26)), (LegStatus::Completed, Some(16)), (LegStatus::Canceled, Some(26))];
    assert_eq!(statuses(report), expected);
}

#[test]
fn in_turn_each_is_called_when_the_one_before_has_failed_until_one_answers() {
    let mut desk = talking(OnTransfer::End);
    desk.bot_says(IN_TURN);
    assert_eq!(desk.dialled().len(), 1);
    desk.leg_rings(0);
    desk.leg(0, LegNews::Failed(17));
    assert_eq!(desk.dialled().len(), 2);
    desk.leg_rings(1);
    let rings_since = desk.now;
    desk.talk(Duration::from_secs(31));
    assert_eq!(desk.when(&Seen::CancelLeg(LegNo(1))) - rings_since, Duration::from_secs(30));
    assert_eq!(desk.dialled().len(), 3);
    desk.leg_answers(2);
    desk.input(Input::HangUp(Reason::Asked));
    let report = &desk.ended().transfers[0];
    assert_eq!(report.order, DialOrder::OneByOne);
    let expected =
        [(LegStatus::Busy, Some(17)), (LegStatus::Timeout, Some(19)), (LegStatus::Completed, Some(16))];
    assert_eq!(statuses(report), expected);
}

#[test]
fn each_q850_cause_has_its_status_and_the_caller_gets_the_apology_when_all_have_failed() {
    for (q850, status) in [
        (17, LegStatus::Busy),
        (21, LegStatus::Rejected),
        (18, LegStatus::NoAnswer),
        (19, LegStatus::NoAnswer),
        (1, LegStatus::Failed),
    ] {
        let mut desk = talking(OnTransfer::End);
        desk.bot_says(ONE);
        desk.leg(0, LegNews::Dialled("x".into()));
        desk.leg(0, LegNews::Failed(q850));
        desk.pass(Duration::from_secs(5));
        let record = desk.ended();
        assert_eq!(record.cause.reason(), Reason::TransferFailed);
        assert_eq!(record.bot_failed_at, None, "the bot did nothing wrong");
        assert_eq!(statuses(&record.transfers[0]), [(status, Some(q850))]);
        assert_eq!(
            (record.transfers[0].status, record.transfers[0].q850),
            (TransferStatus::Failed, Some(q850))
        );
    }
}

#[test]
fn a_call_of_ours_is_hung_up_when_nobody_answers_the_transfer() {
    let bot = remote("ivr-solutions");
    let outbound =
        CallSettings { direction: Direction::Outbound, ..settings(sip_phone(), bot, Fallback::Sorry) };
    let mut desk = Desk::of(outbound);
    desk.input(Input::BotConnected);
    desk.bot_says(ONE);
    desk.leg_rings(0);
    desk.leg(0, LegNews::Failed(19));
    let record = desk.ended();
    assert_eq!(record.cause.reason(), Reason::TransferFailed);
    assert_eq!(record.transfers[0].status, TransferStatus::Failed);
}

#[test]
fn a_bot_on_hold_is_told_of_the_failure_and_talks_on() {
    let mut desk = talking(OnTransfer::Hold);
    desk.bot_says(ALL);
    (0..3).for_each(|no| desk.leg_rings(no));
    desk.pass(Duration::from_secs(1));
    let from = desk.now;
    desk.bot_sends(&[0x10; 32_000]);
    desk.talk(Duration::from_millis(500));
    let ringing: Vec<_> = desk.heard_since(from).iter().map(|(_, audio)| audio.to_vec()).collect();
    assert!(!ringing.iter().any(|audio| audio.contains(&0xC8)), "it waits in silence");
    (0..3).for_each(|no| desk.leg(no, LegNews::Failed(17)));
    let told = desk.to_bot().last().unwrap().to_string();
    assert!(told.contains("transfer_failed") && told.contains(r#""command":"session.transfer""#), "{told}");
    assert_eq!(desk.call.state(), StateName::Talking);
    desk.bot_says(ONE);
    assert_eq!(desk.dialled().len(), 4, "it may ask again");
    assert!(desk.saw(&Seen::Dial(LegNo(3), number("09876543210"), PhoneNumber::new("9876543210"))));
    desk.input(Input::PhoneGone(Reason::CallerHungUp));
    let record = desk.ended();
    assert_eq!(record.transfers.len(), 2, "the second may have been on its way");
    assert_eq!(desk.let_go(3), 1);
}

#[test]
fn a_refused_number_leaves_the_bot_where_it_was_and_told() {
    for on_transfer in [OnTransfer::End, OnTransfer::Hold] {
        for (refusal, code) in [
            (LegRefusal::NotAllowed, "not_allowed"),
            (LegRefusal::NoLine, "no_trunk"),
            (LegRefusal::Unknown, "unknown_extension"),
            (LegRefusal::TooMany, "too_many_calls"),
        ] {
            let mut desk = talking(on_transfer);
            desk.bot_says(ALL);
            (0..3).for_each(|no| desk.leg(no, LegNews::Refused(refusal)));
            assert!(desk.to_bot().last().unwrap().contains(code), "{:?}", desk.to_bot().last());
            assert_eq!(desk.call.state(), StateName::Talking);
            assert!(desk.reports().is_empty(), "a wish is no transfer");
            let from = desk.now;
            desk.bot_sends(&[0x10; 3_200]);
            desk.pass(Duration::from_millis(300));
            assert!(desk.heard_since(from).iter().any(|(_, audio)| audio.iter().any(|byte| *byte != 0xFF)));
        }
    }
}

#[test]
fn one_refused_number_among_others_is_a_failed_leg() {
    let mut desk = talking(OnTransfer::End);
    desk.bot_says(ALL);
    desk.leg(0, LegNews::Refused(LegRefusal::NotAllowed));
    desk.leg_rings(1);
    desk.leg_rings(2);
    desk.leg_answers(2);
    desk.input(Input::HangUp(Reason::Asked));
    let report = &desk.ended().transfers[0];
    assert_eq!(report.legs[0].status, LegStatus::Failed);
    assert_eq!(report.answered_by, Some(2));
}

#[test]
fn a_second_transfer_is_refused_while_one_is_under_way_and_too_many_destinations_always() {
    let mut desk = talking(OnTransfer::Hold);
    desk.bot_says(ONE);
    desk.bot_says(ALL);
    assert!(desk.to_bot().last().unwrap().contains("transfer_pending"));
    desk.bot_says(r#"{"type":"session.transfer_ws","url":"wss://next.example.com/voice"}"#);
    assert!(desk.to_bot().last().unwrap().contains("transfer_pending"));
    assert_eq!(desk.dialled().len(), 1);
    let mut desk = talking(OnTransfer::Hold);
    let numbers = vec![PhoneNumber::new("1234"); DESTINATIONS_MAX + 1];
    let to = TransferTo::Phones(numbers, DialOrder::AllAtOnce);
    desk.input(Input::Order(Order::Transfer(Transfer { to, command: "transfer" })));
    assert_eq!(desk.call.take_refusal().map(|refusal| refusal.code), Some("invalid_destination"));
    assert!(desk.dialled().is_empty());
}

#[test]
fn a_caller_who_does_not_wait_leaves_nobody_ringing() {
    let mut desk = talking(OnTransfer::End);
    desk.bot_says(ALL);
    (0..3).for_each(|no| desk.leg_rings(no));
    desk.talk(Duration::from_secs(1));
    desk.input(Input::PhoneGone(Reason::CallerHungUp));
    assert!((0..3).all(|no| desk.saw(&Seen::CancelLeg(LegNo(no))) && desk.let_go(no) == 1));
    let record = desk.ended();
    let report = &record.transfers[0];
    assert_eq!(report.status, TransferStatus::CallerAbandoned);
    assert!(statuses(report).iter().all(|(status, _)| *status == LegStatus::Canceled));
}

#[test]
fn a_drain_or_an_order_ends_a_transfer_as_failed_and_a_bridge_as_completed() {
    for bridged in [false, true] {
        let mut desk = talking(OnTransfer::End);
        desk.bot_says(ONE);
        desk.leg_rings(0);
        if bridged {
            desk.leg_answers(0);
        }
        desk.input(Input::HangUp(Reason::Drained));
        assert_eq!(desk.let_go(0), 1);
        let status = desk.ended().transfers[0].status;
        let expected = if bridged { TransferStatus::Completed } else { TransferStatus::Failed };
        assert_eq!(status, expected);
    }
}

fn confirming() -> TransferSettings {
    TransferSettings { confirm: Some(vec![9_000; 8_000].into()), ..TransferSettings::default() }
}

#[test]
fn whoever_answers_hears_the_question_and_wins_only_by_pressing_one() {
    let mut desk = with(OnTransfer::End, Fallback::Sorry, confirming());
    desk.bot_says(ALL);
    (0..3).for_each(|no| desk.leg_rings(no));
    desk.leg_answers(0);
    let from = desk.now;
    assert_eq!(desk.call.state(), StateName::Transferring, "a mailbox answers as well");
    desk.talk(Duration::from_millis(500));
    let asked = desk.leg_heard_since(0, from);
    assert!(asked.iter().filter(|(_, audio)| audio.iter().any(|byte| *byte != 0xFF)).count() > 20);
    assert!(desk.longest_silence(from) <= 40, "the caller hears that it rings");
    desk.leg_answers(1);
    let press =
        |key: &str| crate::vocabulary::DigitPress { digit: Digit::try_from(key).unwrap(), duration: None };
    desk.leg(1, LegNews::Digit(press("5")));
    assert_eq!(desk.call.state(), StateName::Transferring);
    desk.talk(Duration::from_millis(100));
    desk.leg(1, LegNews::Digit(press("1")));
    assert_eq!(desk.call.state(), StateName::Bridged);
    assert!(desk.saw(&Seen::HangUpLeg(LegNo(0), 26)) && desk.saw(&Seen::CancelLeg(LegNo(2))));
    let accepted = desk.now;
    desk.leg(1, LegNews::Gone(16));
    let report = &desk.ended().transfers[0];
    assert_eq!((report.answered_by, report.answered_at), (Some(1), Some(accepted)));
    let answered: Vec<_> = report.legs.iter().map(|leg| leg.answered_at).collect();
    assert_eq!(answered, [None, Some(accepted), None], "a leg is answered when it is accepted");
}

#[test]
fn an_answer_that_nobody_accepts_is_none_and_the_race_goes_on() {
    let mut desk = with(OnTransfer::End, Fallback::Sorry, confirming());
    desk.bot_says(IN_TURN);
    desk.leg_rings(0);
    desk.leg_answers(0);
    let from = desk.now;
    desk.talk(Duration::from_secs(12));
    let hung_up = desk.when(&Seen::HangUpLeg(LegNo(0), 19));
    assert_eq!(hung_up - from, Duration::from_secs(11), "a second of question and ten to accept");
    assert_eq!(desk.dialled().len(), 2);
    desk.input(Input::PhoneGone(Reason::CallerHungUp));
    let report = &desk.ended().transfers[0];
    assert_eq!((report.legs[0].status, report.legs[0].answered_at), (LegStatus::NoAnswer, None));
    assert!(
        desk.reports().iter().all(|report| report.legs[0].answered_at.is_none()),
        "not while it waits either"
    );
}

#[test]
fn a_bot_that_leaves_while_others_ring_changes_nothing_unless_nobody_answers() {
    for answers in [true, false] {
        let mut desk = talking(OnTransfer::Hold);
        desk.bot_says(ONE);
        desk.leg_rings(0);
        desk.input(Input::BotClosed(SocketEnd::Closed(1000)));
        assert_eq!(desk.call.state(), StateName::Transferring);
        if answers {
            desk.leg_answers(0);
            assert_eq!(desk.call.state(), StateName::Bridged);
        } else {
            desk.leg(0, LegNews::Failed(19));
            desk.pass(Duration::from_secs(4));
            assert_eq!(cause_of(&desk).reason(), Reason::TransferFailed);
        }
    }
}

#[test]
fn marks_that_wait_are_cleared_before_the_stop() {
    for on_transfer in [OnTransfer::End, OnTransfer::Hold] {
        let mut desk = talking(on_transfer);
        desk.bot_sends(&[0x10; 16_000]);
        desk.bot_says(r#"{"event":"mark","mark":{"name":"end"}}"#);
        desk.bot_says(ONE);
        desk.leg_rings(0);
        desk.leg_answers(0);
        let told = desk.to_bot();
        let mark = told.iter().position(|text| text.contains(r#""mark":{"name":"end"}"#)).expect("the mark");
        let stop = told.iter().position(|text| text.contains(r#""reason":"stopped""#)).expect("the stop");
        assert!(mark < stop);
        desk.leg(0, LegNews::Gone(16));
        assert_eq!(desk.ended().counters.marks_cleared, 1);
    }
}
