//! What the API orders of a call that is up.

use super::*;
use crate::vocabulary::{DialDigits, Transfer, TransferStatus, TransferTo};

fn talking() -> Desk {
    let mut desk = Desk::sip(remote("ivr-solutions"), Fallback::Sorry);
    desk.input(Input::BotConnected);
    desk.talk(Duration::from_millis(200));
    desk
}

fn digits(text: &str) -> Input<'static> {
    Input::Order(Order::Digits(DialDigits::parse(text, Duration::from_millis(100)).unwrap()))
}

#[test]
fn ordered_digits_reach_the_phone_and_are_counted() {
    let mut desk = talking();
    desk.input(digits("12#"));
    assert_eq!(desk.call.take_refusal(), None);
    desk.talk(Duration::from_secs(2));
    assert_eq!(desk.call.counters().digits_out, 3);
}

#[test]
fn an_ordered_clear_drops_what_waits_and_the_bot_is_told_as_of_its_own() {
    let mut desk = talking();
    desk.bot_sends(&[0x10; 160_000]);
    desk.talk(Duration::from_millis(200));
    assert!(desk.call.waiting() > Duration::from_secs(5));
    desk.input(Input::Order(Order::Clear));
    assert_eq!((desk.call.take_refusal(), desk.call.waiting()), (None, Duration::ZERO));
    assert!(desk.to_bot().last().unwrap().contains(r#""event":"clear""#));
}

#[test]
fn an_ordered_transfer_reaches_the_next_bot_and_a_second_one_is_refused_behind_the_bots_back() {
    let mut desk = talking();
    let to = TransferTo::NamedBot("second".into());
    let order = || Input::Order(Order::Transfer(Transfer { to: to.clone(), command: "transfer" }));
    desk.input(order());
    assert_eq!(desk.call.take_refusal(), None);
    assert!(desk.saw(&Seen::ReachNextBot(BotWish::Named("second".into()))));
    let told = desk.to_bot().len();
    desk.input(order());
    assert_eq!(desk.call.take_refusal().map(|refusal| refusal.code), Some("transfer_pending"));
    assert_eq!(desk.to_bot().len(), told, "the bot asked for nothing");
}

#[test]
fn an_ordered_transfer_that_cannot_be_is_told_among_the_transfers_and_not_to_the_bot() {
    let mut desk = talking();
    let told = desk.to_bot().len();
    let order = |to| Input::Order(Order::Transfer(Transfer { to, command: "transfer" }));
    desk.input(order(TransferTo::NamedBot("nobody".into())));
    desk.input(Input::NextBotFailed(NextBotError::Unknown));
    desk.input(order(TransferTo::Extension("999".into())));
    desk.input(Input::Leg(LegNo(0), LegNews::Refused(LegRefusal::Unknown)));
    assert_eq!(desk.to_bot().len(), told, "the bot asked for nothing");
    desk.talk(Duration::from_millis(100));
    desk.input(Input::PhoneGone(Reason::CallerHungUp));
    let transfers = &desk.ended().transfers;
    let seen: Vec<_> = transfers.iter().map(|report| (&*report.destinations[0], report.status)).collect();
    assert_eq!(seen, [("nobody", TransferStatus::Failed), ("999", TransferStatus::Failed)]);
    assert_eq!(transfers[1].legs[0].q850, Some(20));
}

#[test]
fn what_needs_a_talk_is_refused_before_it_and_nothing_is_kept_of_it() {
    let mut desk = Desk::sip(remote("ivr-solutions"), Fallback::Sorry);
    for order in [digits("1"), Input::Order(Order::Clear)] {
        desk.input(order);
        assert_eq!(desk.call.take_refusal().map(|refusal| refusal.code), Some("not_talking"));
        assert_eq!(desk.call.take_refusal(), None);
    }
}

#[test]
fn orders_that_reach_nobody_have_a_bound_and_leave_the_bot_its_own_transfers() {
    type Refuse = fn(u32) -> Input<'static>;
    let cases: [(TransferTo, Refuse); 3] = [
        (TransferTo::Flow("typo".into()), |_| Input::NextBotFailed(NextBotError::UnknownFlow)),
        (TransferTo::NamedBot("typo".into()), |_| Input::NextBotFailed(NextBotError::Unknown)),
        (TransferTo::Extension("999".into()), |no| {
            Input::Leg(LegNo(no), LegNews::Refused(LegRefusal::Unknown))
        }),
    ];
    for (to, refuse) in cases {
        let mut desk = talking();
        let order = || Input::Order(Order::Transfer(Transfer { to: to.clone(), command: "transfer" }));
        for no in 0..TRANSFERS_MAX {
            desk.input(order());
            assert_eq!(desk.call.take_refusal(), None, "{to:?}, {no}");
            desk.input(refuse(u32::try_from(no).unwrap()));
        }
        let told = reports(&desk);
        for _ in 0..100 {
            desk.input(order());
            assert_eq!(desk.call.take_refusal().map(|refusal| refusal.code), Some("too_many_transfers"));
        }
        assert_eq!((told, reports(&desk)), (TRANSFERS_MAX, TRANSFERS_MAX), "{to:?}");
        // The bot's own are another matter.
        desk.bot_says(super::transfer::ONE);
        let dialled = desk.seen.iter().any(|(_, seen)| {
            matches!(seen, Seen::Dial(_, Destination::Phone(number), _) if number.as_str() == "09876543210")
        });
        assert!(dialled, "{to:?}: {:?}", desk.to_bot().last());
    }
}

fn reports(desk: &Desk) -> usize {
    let is_transfer = |seen: &Seen| matches!(seen, Seen::Report(CallFact::Transfer(_)));
    desk.seen.iter().filter(|(_, seen)| is_transfer(seen)).count()
}
