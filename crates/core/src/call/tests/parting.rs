//! A bot gives the call away and leaves: by its hang-up or by its close, at once or later.

use super::transfer::{ALL, ONE, talking};
use super::*;
use crate::vocabulary::{Transfer, TransferStatus, TransferTo};

const EXTENSION: &str = r#"{"type":"session.transfer_extension","extension":"101"}"#;
const NEXT: &str = r#"{"type":"session.transfer_ws","url":"wss://next.example.com/voice"}"#;
const FLOW: &str = r#"{"type":"session.flow_transfer","flow_id":"night"}"#;

/// The ways in which a bot leaves.
#[derive(Debug, Clone, Copy)]
enum Leaves {
    ByHangUp,
    ByClose,
}

const WAYS: [Leaves; 2] = [Leaves::ByHangUp, Leaves::ByClose];
const BOTH: [OnTransfer; 2] = [OnTransfer::End, OnTransfer::Hold];

impl Desk {
    fn bot_leaves(&mut self, how: Leaves) {
        match how {
            Leaves::ByHangUp => self.bot_says(r#"{"type":"session.hangup"}"#),
            Leaves::ByClose => self.input(Input::BotClosed(SocketEnd::Closed(1000))),
        }
    }

    fn loud_ms_since(&self, from: Moment) -> usize {
        let is_loud = |audio: &[u8]| audio.iter().any(|byte| *byte != 0xFF);
        self.heard_since(from).iter().filter(|(_, audio)| is_loud(audio)).count() * 20
    }
}

fn next(settings: BotSettings) -> Input<'static> {
    let settings = BotSettings { name: "second".into(), ..settings };
    Input::NextBot(Box::new(NextBot { settings, stream_id: StreamId::new(1_707_204_900, 124) }))
}

#[test]
fn a_bot_that_gives_the_call_to_people_and_leaves_at_once_ends_nothing() {
    for (on_transfer, how) in BOTH.into_iter().flat_map(|on| WAYS.map(|how| (on, how))) {
        for order in [ONE, ALL, EXTENSION] {
            let mut desk = talking(on_transfer);
            desk.bot_says(order);
            desk.bot_leaves(how);
            assert_eq!(desk.call.state(), StateName::Transferring, "{on_transfer:?} {how:?}");
            desk.leg_rings(0);
            assert!(desk.saw(&Seen::CloseBot(1000)));
            desk.talk(Duration::from_secs(1));
            desk.leg_answers(0);
            assert_eq!(desk.call.state(), StateName::Bridged, "{on_transfer:?} {how:?}");
            desk.leg(0, LegNews::Gone(16));
            assert_eq!(cause_of(&desk).reason(), Reason::AgentHungUp);
        }
    }
}

#[test]
fn a_bot_that_hung_up_while_others_ring_is_told_its_stop_and_closed() {
    let mut desk = talking(OnTransfer::Hold);
    desk.bot_says(ONE);
    desk.leg_rings(0);
    assert!(!desk.saw(&Seen::CloseBot(1000)), "it waits");
    desk.bot_leaves(Leaves::ByHangUp);
    assert!(desk.to_bot().last().unwrap().contains(r#""reason":"stopped""#));
    assert!(desk.saw(&Seen::CloseBot(1000)) && desk.let_go(0) == 0);
    desk.leg_answers(0);
    assert_eq!(desk.call.state(), StateName::Bridged);
}

#[test]
fn the_hang_up_of_a_bot_whose_transfer_is_refused_counts_as_if_it_had_asked_for_none() {
    for (on_transfer, how) in BOTH.into_iter().flat_map(|on| WAYS.map(|how| (on, how))) {
        let mut desk = talking(on_transfer);
        desk.bot_sends(&[0x10; 16_000]);
        desk.bot_says(ONE);
        desk.bot_leaves(how);
        let from = desk.now;
        desk.leg(0, LegNews::Refused(LegRefusal::NotAllowed));
        desk.pass(Duration::from_secs(3));
        assert_eq!(desk.loud_ms_since(from), 1_000, "its own words to their end, and no apology");
        let record = desk.ended();
        assert_eq!(record.cause.reason(), Reason::BotHungUp, "{on_transfer:?} {how:?}");
        assert!(record.transfers.is_empty() && desk.reports().is_empty());
    }
}

#[test]
fn the_caller_gets_the_fallback_when_nobody_answers_and_the_bot_has_left() {
    for (on_transfer, how) in BOTH.into_iter().flat_map(|on| WAYS.map(|how| (on, how))) {
        let mut desk = talking(on_transfer);
        desk.bot_says(ONE);
        desk.bot_leaves(how);
        desk.leg_rings(0);
        desk.leg(0, LegNews::Failed(17));
        desk.pass(Duration::from_secs(5));
        let record = desk.ended();
        assert_eq!(record.cause.reason(), Reason::TransferFailed, "{on_transfer:?} {how:?}");
        assert_eq!(record.transfers[0].status, TransferStatus::Failed);
    }
}

#[test]
fn a_bot_that_hung_up_has_no_say_in_the_fallback_that_follows() {
    let bot = BotSettings { on_transfer: OnTransfer::Hold, ..remote("ivr-solutions") };
    let mut desk = Desk::sip(bot, Fallback::Flow("night".into()));
    desk.input(Input::BotConnected);
    desk.bot_says(ONE);
    desk.leg_rings(0);
    desk.bot_leaves(Leaves::ByClose);
    desk.leg(0, LegNews::Failed(17));
    desk.input(Input::NextBotFailed(NextBotError::UnknownFlow));
    let from = desk.now;
    desk.pass(Duration::from_secs(4));
    assert_eq!(desk.loud_ms_since(from), 1_000, "the apology");
}

#[test]
fn what_a_bot_wants_of_the_caller_behind_a_transfer_that_ends_its_part_is_refused() {
    for (on_transfer, is_void) in [(OnTransfer::End, true), (OnTransfer::Hold, false)] {
        let mut desk = talking(on_transfer);
        desk.bot_sends(&[0x10; 16_000]);
        desk.bot_says(ONE);
        desk.bot_says(r#"{"type":"session.dtmf","dtmf":"1"}"#);
        desk.bot_says(r#"{"type":"audio.clear"}"#);
        assert_eq!(desk.call.counters().digits_out, u64::from(!is_void));
        assert_eq!(desk.call.waiting().is_zero(), !is_void);
        let pending = desk.to_bot().iter().filter(|text| text.contains("transfer_pending")).count();
        assert_eq!(pending, if is_void { 2 } else { 0 });
        desk.leg(0, LegNews::Refused(LegRefusal::NotAllowed));
        desk.bot_says(r#"{"type":"audio.clear"}"#);
        assert!(desk.call.waiting().is_zero(), "it stays, and is obeyed again");
    }
}

#[test]
fn a_bot_that_gives_the_call_to_another_bot_and_leaves_at_once_ends_nothing() {
    for (on_transfer, how) in BOTH.into_iter().flat_map(|on| WAYS.map(|how| (on, how))) {
        for order in [NEXT, FLOW] {
            let mut desk = talking(on_transfer);
            desk.bot_says(order);
            desk.bot_leaves(how);
            desk.input(next(remote("ivr-solutions")));
            assert!(desk.saw(&Seen::NextBotTakesOver), "{on_transfer:?} {how:?}");
            assert_eq!(desk.call.state(), StateName::Talking);
            desk.bot_says(r#"{"type":"session.hangup"}"#);
            desk.pass(Duration::from_secs(1));
            assert_eq!(cause_of(&desk).reason(), Reason::BotHungUp, "the next one's counts");
        }
    }
}

#[test]
fn a_next_bot_that_may_not_be_has_the_hang_up_carried_out_and_one_out_of_reach_the_fallback() {
    let cases = [
        (NextBotError::Unknown, Reason::BotHungUp),
        (NextBotError::UnknownFlow, Reason::BotHungUp),
        (NextBotError::Unreached(Reason::BotForbidden), Reason::BotHungUp),
        (NextBotError::Unreached(Reason::BotRefused), Reason::BotRefused),
    ];
    for (error, reason) in cases {
        for how in WAYS {
            let mut desk = talking(OnTransfer::End);
            desk.bot_says(NEXT);
            desk.bot_leaves(how);
            desk.input(Input::NextBotFailed(error));
            desk.pass(Duration::from_secs(3));
            assert_eq!(cause_of(&desk).reason(), reason, "{error:?} {how:?}");
            assert!(desk.saw(&Seen::CloseBot(1000)));
        }
    }
}

#[test]
fn an_order_for_a_bot_by_address_that_is_not_reached_names_its_server_and_no_secret() {
    for (address, name) in [
        ("ws://next.example.com:8080/voice?token=hidden", "ws://next.example.com:8080"),
        ("wss://user:hidden@next.example.com?key=hidden", "wss://next.example.com"),
        ("wss://next.example.com#hidden", "wss://next.example.com"),
    ] {
        let mut desk = talking(OnTransfer::End);
        let to = TransferTo::Bot(address.into());
        desk.input(Input::Order(Order::Transfer(Transfer { to, command: "transfer" })));
        desk.input(Input::NextBotFailed(NextBotError::Unreached(Reason::BotRefused)));
        let [report] = desk.reports()[..] else { panic!("{:?}", desk.reports()) };
        assert_eq!((&*report.destinations[0], report.status), (name, TransferStatus::Failed));
        assert_eq!(desk.call.state(), StateName::Talking, "the bot asked for nothing");
    }
}
