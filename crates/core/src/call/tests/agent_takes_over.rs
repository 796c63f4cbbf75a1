//! An agent gets a call that another bot had, or gives one away.

use super::agent::{agent, talking};
use super::agent_tools::silence;
use super::*;
use crate::agent::{Abilities, AgentTerms};
use crate::vocabulary::{Transfer, TransferTo};

fn next(settings: BotSettings) -> Input<'static> {
    Input::NextBot(Box::new(NextBot { settings, stream_id: StreamId::new(1, 2) }))
}

/// A call that another bot had for ten seconds before an agent got it.
fn taken_over(terms: AgentTerms) -> Desk {
    let mut desk = Desk::sip(remote("ivr-solutions"), Fallback::Sorry);
    desk.input(Input::BotConnected);
    silence(&mut desk, 10_000);
    desk.bot_says(r#"{"type":"session.transfer_ws","url":"wss://next.example.com/voice"}"#);
    desk.input(next(agent(MediaFormat::PCMU_8K, terms)));
    desk
}

#[test]
fn an_agent_that_gets_a_call_from_another_bot_has_a_session_that_is_renewed() {
    let terms = AgentTerms { session: Duration::from_secs(60), ..AgentTerms::default() };
    let mut desk = taken_over(terms);
    assert!(desk.saw(&Seen::Report(CallFact::EngineConnected)));
    silence(&mut desk, 59_900);
    assert!(!desk.saw(&Seen::ReachNextBot(BotWish::SameAgain)));
    silence(&mut desk, 200);
    assert!(desk.saw(&Seen::ReachNextBot(BotWish::SameAgain)));
}

#[test]
fn an_agent_that_gets_a_call_is_as_patient_as_if_it_had_begun_then() {
    let mut desk = taken_over(AgentTerms { silence: Some(Duration::from_secs(8)), ..AgentTerms::default() });
    silence(&mut desk, 7_900);
    assert_eq!(desk.call.state(), StateName::Talking);
    silence(&mut desk, 200);
    assert_eq!(cause_of(&desk).reason(), Reason::NobodySpoke);
    let mut desk =
        taken_over(AgentTerms { duration: Some(Duration::from_secs(20)), ..AgentTerms::default() });
    silence(&mut desk, 11_000);
    assert_eq!(cause_of(&desk).reason(), Reason::MaxDuration);
}

#[test]
fn a_goodbye_of_an_agent_that_has_lost_the_call_does_not_end_it() {
    let mut desk = talking(AgentTerms::default());
    silence(&mut desk, 2_000);
    desk.bot_says("tool c1 hang_up {}");
    let to = TransferTo::NamedBot("sales".into());
    desk.input(Input::Order(Order::Transfer(Transfer { to, command: "transfer" })));
    desk.input(next(agent(MediaFormat::PCMU_8K, AgentTerms::default())));
    assert!(desk.saw(&Seen::NextBotTakesOver));
    silence(&mut desk, 12_000);
    assert_eq!(desk.call.state(), StateName::Talking);
}

#[test]
fn a_bot_that_gets_a_call_by_a_tool_learns_of_its_own_refusals() {
    let transfer = vec![("sales".into(), TransferTo::NamedBot("sales".into()))];
    let may = Abilities { transfer, ..Abilities::default() };
    let mut desk = talking(AgentTerms { may, ..AgentTerms::default() });
    desk.bot_says("item bye");
    desk.bot_sends(&[0x10; 800]);
    desk.bot_says("line bot final bye|goodbye");
    desk.bot_says(r#"tool c1 transfer {"to":"sales"}"#);
    silence(&mut desk, 1_000);
    assert!(desk.saw(&Seen::ReachNextBot(BotWish::Named("sales".into()))));
    desk.input(next(remote("ivr-solutions")));
    desk.bot_says(r#"{"type":"session.transfer_ws","url":"wss://a.example.com/voice"}"#);
    desk.bot_says(r#"{"type":"session.transfer_ws","url":"wss://b.example.com/voice"}"#);
    assert!(desk.to_bot().last().unwrap().contains("transfer_pending"), "{:?}", desk.to_bot().last());
}

#[test]
fn a_bot_that_is_no_agent_has_no_session_that_grows_old() {
    let mut desk = talking(AgentTerms { session: Duration::from_secs(20), ..AgentTerms::default() });
    silence(&mut desk, 2_000);
    let to = TransferTo::NamedBot("menu".into());
    desk.input(Input::Order(Order::Transfer(Transfer { to, command: "transfer" })));
    desk.input(next(remote("ivr-solutions")));
    silence(&mut desk, 30_000);
    assert!(!desk.saw(&Seen::ReachNextBot(BotWish::SameAgain)));
}
