//! What an agent's tools do with a call, and how patient it is.

use super::agent::{talking, utterances};
use super::*;
use crate::agent::{Abilities, AgentTerms, RemoteTool};
use crate::vocabulary::{DialOrder, ToolResult, TransferTo};

fn terms() -> AgentTerms {
    let desk = TransferTo::Phones(vec![PhoneNumber::new("101")], DialOrder::AllAtOnce);
    AgentTerms {
        may: Abilities {
            hang_up: true,
            transfer: vec![("desk".into(), desk)],
            send_digits: true,
            save_fields: true,
        },
        tools: vec![RemoteTool { name: "stock".into(), thinking: true }],
        thinking: vec![2_000; 8_000].into(),
        ..AgentTerms::default()
    }
}

/// The results that a tool had.
fn told(desk: &Desk, id: &str) -> Vec<String> {
    behind(desk, &format!("done {id} "))
}

/// What the bot was to say before a tool has its result.
fn wanted(desk: &Desk, id: &str) -> Vec<String> {
    behind(desk, &format!("wanted {id} "))
}

fn behind(desk: &Desk, prefix: &str) -> Vec<String> {
    desk.to_bot().iter().filter_map(|text| text.strip_prefix(prefix)).map(str::to_owned).collect()
}

pub(super) fn silence(desk: &mut Desk, ms: u64) {
    for _ in 0..ms / 20 {
        desk.phone_speaks(0xFF);
        desk.pass(FRAME);
    }
}

fn says_goodbye(desk: &mut Desk) {
    desk.bot_says("item bye");
    desk.bot_sends(&[0x10; 8_000]);
    desk.bot_says("line bot final bye|goodbye");
}

#[test]
fn a_hang_up_waits_until_the_goodbye_was_heard() {
    let mut desk = talking(terms());
    says_goodbye(&mut desk);
    desk.bot_says("tool c1 hang_up {}");
    let asked = desk.now;
    silence(&mut desk, 3_000);
    assert_eq!(cause_of(&desk).reason(), Reason::BotHungUp);
    let ended = desk.when(&Seen::HangUpPhone(Reason::BotHungUp)) - asked;
    assert!((1_200..=1_700).contains(&ended.as_millis()), "{ended:?}");
    let heard = desk.heard_since(asked).iter().filter(|(_, audio)| audio[0] == 0x10).count();
    assert_eq!(heard, 50, "all of the goodbye");
    assert!(told(&desk, "c1").is_empty());
    assert_eq!(desk.ended().counters.tool_calls, 1);
}

#[test]
fn a_hang_up_without_a_goodbye_asks_for_one_and_waits_for_it() {
    let mut desk = talking(terms());
    silence(&mut desk, 2_000);
    desk.bot_says("tool c1 hang_up {}");
    assert!(wanted(&desk, "c1")[0].contains("goodbye"));
    silence(&mut desk, 1_000);
    assert_eq!(desk.call.state(), StateName::Talking);
    says_goodbye(&mut desk);
    silence(&mut desk, 2_000);
    assert_eq!(cause_of(&desk).reason(), Reason::BotHungUp);
    assert!(told(&desk, "c1").is_empty());
}

#[test]
fn a_bot_that_says_no_goodbye_is_not_waited_for_for_ever() {
    let mut desk = talking(terms());
    silence(&mut desk, 2_000);
    desk.bot_says("tool c1 hang_up {}");
    silence(&mut desk, 11_000);
    assert_eq!(cause_of(&desk).reason(), Reason::BotHungUp);
}

#[test]
fn a_caller_who_speaks_into_the_goodbye_keeps_the_call() {
    let mut desk = talking(terms());
    says_goodbye(&mut desk);
    desk.bot_says("tool c1 hang_up {}");
    silence(&mut desk, 300);
    desk.bot_says("caller started");
    desk.bot_says("clear");
    silence(&mut desk, 3_000);
    assert_eq!(desk.call.state(), StateName::Talking);
    assert!(told(&desk, "c1")[0].contains("listen"));
}

#[test]
fn a_caller_who_speaks_while_a_goodbye_is_waited_for_keeps_the_call_and_the_model_learns_of_it() {
    let mut desk = talking(terms());
    silence(&mut desk, 2_000);
    desk.bot_says("tool c1 hang_up {}");
    silence(&mut desk, 300);
    desk.bot_says("caller started");
    desk.bot_says("clear");
    silence(&mut desk, 12_000);
    assert_eq!(desk.call.state(), StateName::Talking);
    let [result] = told(&desk, "c1").try_into().unwrap();
    assert!(result.contains("listen"), "{result}");
}

#[test]
fn a_transfer_without_a_word_before_it_asks_for_one_and_its_failure_is_told_as_the_tools() {
    let mut desk = talking(terms());
    silence(&mut desk, 2_000);
    desk.bot_says(r#"tool c1 transfer {"to":"desk"}"#);
    assert!(wanted(&desk, "c1")[0].contains("connect") && told(&desk, "c1").is_empty());
    says_goodbye(&mut desk);
    silence(&mut desk, 2_000);
    refuse_desk(&mut desk);
    silence(&mut desk, 500);
    assert_eq!(desk.call.state(), StateName::Talking);
    let [result] = told(&desk, "c1").try_into().unwrap();
    assert!(result.contains("error"), "{result}");
    assert_eq!(wanted(&desk, "c1").len(), 1);
}

/// The desk cannot be reached; gives the moment of the attempt.
fn refuse_desk(desk: &mut Desk) -> Moment {
    let dialled = desk.seen.iter().find_map(|(at, seen)| match seen {
        Seen::Dial(leg, ..) => Some((*at, *leg)),
        _ => None,
    });
    let (dialled, leg) = dialled.expect("the desk is called");
    desk.input(Input::Leg(leg, LegNews::Refused(LegRefusal::NoLine)));
    dialled
}

#[test]
fn a_transfer_begins_when_what_was_said_has_been_heard_and_its_failure_is_told_as_the_tools() {
    let mut desk = talking(terms());
    says_goodbye(&mut desk);
    desk.bot_says(r#"tool c1 transfer {"to":"desk"}"#);
    let asked = desk.now;
    silence(&mut desk, 2_000);
    let dialled = refuse_desk(&mut desk);
    assert!(dialled - asked >= Duration::from_secs(1));
    silence(&mut desk, 500);
    assert_eq!(told(&desk, "c1").len(), 1, "{:?}", desk.to_bot());
}

#[test]
fn keys_are_sent_and_fields_are_noted_at_once() {
    let mut desk = talking(terms());
    desk.bot_says(r#"tool c1 send_digits {"digits":"12#"}"#);
    desk.bot_says(r#"tool c2 save_fields {"name":"Asha"}"#);
    desk.bot_says("tool c3 launch {}");
    assert!(told(&desk, "c1")[0].contains("pressed"));
    assert!(told(&desk, "c2")[0].contains("noted"));
    assert!(told(&desk, "c3")[0].contains("error"));
    assert!(desk.saw(&Seen::Report(CallFact::Fields(r#"{"name":"Asha"}"#.into()))));
    silence(&mut desk, 1_000);
    assert_eq!(desk.call.counters().digits_out, 3);
}

#[test]
fn a_tool_of_the_shell_is_run_its_result_told_and_a_sound_is_heard_while_it_takes_long() {
    let mut desk = talking(terms());
    silence(&mut desk, 200);
    desk.bot_says(r#"tool c1 stock {"car":"blue"}"#);
    assert!(desk.seen.iter().any(|(_, seen)| matches!(seen, Seen::RunTool(call) if &*call.name == "stock")));
    let asked = desk.now;
    silence(&mut desk, 3_500);
    let sounds: Vec<_> = desk
        .heard_since(asked)
        .into_iter()
        .filter(|(_, audio)| audio[80] != 0xFF)
        .map(|(at, _)| at)
        .collect();
    let first = sounds[0] - asked;
    assert!((700..=760).contains(&first.as_millis()), "{first:?}");
    assert!(sounds.len() >= 130, "it is repeated: {}", sounds.len());
    desk.input(Input::ToolDone(Box::new(ToolResult { id: "c1".into(), output: "3".into() })));
    assert_eq!(told(&desk, "c1"), ["3"]);
    desk.bot_says("item a");
    let from = desk.now;
    desk.bot_sends(&[0x10; 1_600]);
    silence(&mut desk, 1_000);
    let after: Vec<_> =
        desk.heard_since(from + FRAME).into_iter().filter(|(_, audio)| audio[80] != 0xFF).collect();
    assert!(after.iter().all(|(_, audio)| audio[80] == 0x10), "the sound stops when the bot speaks");
    desk.input(Input::ToolDone(Box::new(ToolResult { id: "c1".into(), output: "again".into() })));
    assert_eq!(told(&desk, "c1").len(), 1);
}

#[test]
fn an_answer_after_the_sound_of_thinking_is_measured_to_its_own_first_word() {
    // Between words there is silence, by which speech is told from noise.
    let words = |bytes: usize| -> Vec<u8> {
        (0..bytes).map(|at| if at % 2_000 < 1_600 { 0x10 } else { 0xFF }).collect()
    };
    // The tool takes less, and more, than the sound lasts.
    for took in [1_200, 2_200] {
        let mut desk = talking(terms());
        desk.bot_says("item hello");
        desk.bot_sends(&words(4_000));
        desk.bot_says("line bot final hello|good day");
        silence(&mut desk, 1_000);
        desk.bot_says("caller started u");
        desk.talk(Duration::from_millis(500));
        let ceased = desk.now;
        silence(&mut desk, 400);
        desk.bot_says("caller stopped");
        desk.bot_says("line caller final u|do you have it");
        desk.bot_says("tool c1 stock {}");
        let from = desk.now;
        silence(&mut desk, took);
        let sounds = desk.heard_since(from).iter().filter(|(_, audio)| audio[0] != 0xFF).count();
        assert!(sounds > 20, "the sound is heard");
        let result = Box::new(ToolResult { id: "c1".into(), output: "two".into() });
        desk.input(Input::ToolDone(result));
        silence(&mut desk, 300);
        let answered = desk.now;
        desk.bot_says("item answer");
        desk.bot_sends(&words(8_000));
        desk.bot_says("line bot final answer|there are two");
        silence(&mut desk, 2_000);
        desk.input(Input::PhoneGone(Reason::CallerHungUp));
        let measured = answered - ceased;
        let all = utterances(&desk);
        let told: Vec<_> = all.iter().filter_map(|one| one.response).collect();
        let [told] = told.as_slice() else { panic!("{took}: {all:?}") };
        let near = |one: Duration| one.abs_diff(measured) <= Duration::from_millis(40);
        assert!(near(*told), "{told:?} for {measured:?}");
        assert_eq!(&*all.iter().find(|one| one.response.is_some()).unwrap().item, "answer");
        let times = &desk.ended().quality.response;
        assert_eq!(times.count, 1);
        assert!(near(times.mean), "{:?} for {measured:?}", times.mean);
    }
}

#[test]
fn more_tools_at_a_time_than_may_be_are_refused_to_the_model() {
    let mut desk = talking(terms());
    for id in 0..=TOOLS_RUNNING_MAX {
        desk.bot_says(&format!("tool t{id} stock {{}}"));
    }
    assert!(told(&desk, &format!("t{TOOLS_RUNNING_MAX}"))[0].contains("too many"));
    assert_eq!(
        desk.seen.iter().filter(|(_, seen)| matches!(seen, Seen::RunTool(_))).count(),
        TOOLS_RUNNING_MAX
    );
}

#[test]
fn a_call_in_which_nobody_speaks_ends_at_the_limit_and_one_in_which_somebody_does_goes_on() {
    let silent = AgentTerms { silence: Some(Duration::from_secs(10)), ..terms() };
    let mut desk = talking(silent.clone());
    silence(&mut desk, 11_000);
    assert_eq!(cause_of(&desk).reason(), Reason::NobodySpoke);
    let mut desk = talking(silent);
    silence(&mut desk, 9_000);
    desk.talk(Duration::from_secs(4));
    silence(&mut desk, 9_000);
    says_goodbye(&mut desk);
    silence(&mut desk, 9_000);
    assert_eq!(desk.call.state(), StateName::Talking);
    silence(&mut desk, 3_000);
    assert_eq!(cause_of(&desk).reason(), Reason::NobodySpoke);
}

#[test]
fn a_call_ends_at_the_agents_own_limit_when_the_last_word_was_heard() {
    let mut desk = talking(AgentTerms { duration: Some(Duration::from_secs(5)), ..terms() });
    silence(&mut desk, 4_800);
    says_goodbye(&mut desk);
    silence(&mut desk, 3_000);
    assert_eq!(cause_of(&desk).reason(), Reason::MaxDuration);
    assert_eq!(desk.ended().counters.cleared_ms, 0);
}
