//! Whose words are whose: turns that are written down late, or in another order.

use super::agent::{agent, talking, utterances};
use super::agent_tools::silence;
use super::*;
use crate::agent::AgentTerms;
use crate::agent::analytics::{Analytics, heard};
use crate::vocabulary::{HeardPart, Transfer, TransferTo};

/// The caller speaks for so long, which the engine notices.
fn turn(desk: &mut Desk, item: &str, ms: u64) {
    desk.bot_says(&format!("caller started {item}"));
    desk.talk(Duration::from_millis(ms));
    silence(desk, 500);
    desk.bot_says("caller stopped");
}

/// The words of all that was said, by its beginning.
fn words(desk: &Desk) -> Vec<String> {
    utterances(desk).iter().map(|one| one.text.to_string()).collect()
}

#[test]
fn two_turns_in_quick_succession_keep_their_words_whichever_are_known_first() {
    let mut desk = talking(AgentTerms::default());
    turn(&mut desk, "u1", 4_000);
    turn(&mut desk, "u2", 400);
    desk.bot_says("line caller final u2|yes");
    desk.bot_says("line caller final u1|I would like to buy a car");
    assert_eq!(words(&desk), ["I would like to buy a car", "yes"]);
    let [long, short] = utterances(&desk).try_into().unwrap();
    assert!(
        long.end - long.start > Duration::from_secs(3) && short.end - short.start < Duration::from_secs(1)
    );
}

/// The engine is lost and there again.
fn reconnect(desk: &mut Desk) {
    desk.input(Input::BotClosed(SocketEnd::Reset));
    let settings = agent(MediaFormat::PCMU_8K, AgentTerms::default());
    desk.input(Input::NextBot(Box::new(NextBot { settings, stream_id: StreamId::new(1, 2) })));
}

#[test]
fn an_engine_that_counts_its_items_anew_in_every_session_loses_no_words() {
    let mut desk = talking(AgentTerms::default());
    for (caller, bot) in [("hello", "good day"), ("a car", "which one"), ("the blue one", "a good choice")] {
        turn(&mut desk, "item_1", 400);
        desk.bot_says(&format!("line caller final item_1|{caller}"));
        desk.bot_says("item item_2");
        desk.bot_sends(&[0x10; 4_000]);
        desk.bot_says(&format!("line bot final item_2|{bot}"));
        silence(&mut desk, 800);
        reconnect(&mut desk);
    }
    assert_eq!(words(&desk), ["hello", "good day", "a car", "which one", "the blue one", "a good choice"]);
    let started = desk.to_bot().into_iter().rfind(|text| text.starts_with("started")).unwrap();
    assert!(started.ends_with("Caller:the blue one|Bot:a good choice"), "{started}");
}

#[test]
fn a_new_session_is_told_of_its_own_items_only_and_of_them_what_was_heard() {
    let mut desk = talking(AgentTerms::default());
    desk.bot_says("item item_1");
    desk.bot_sends(&[0x10; 8_000]);
    silence(&mut desk, 300);
    reconnect(&mut desk);
    desk.bot_says("item item_1");
    desk.bot_sends(&[0x11; 8_000]);
    silence(&mut desk, 1_000);
    desk.bot_says("caller started");
    desk.bot_says("clear");
    let cut: Vec<_> = desk.to_bot().into_iter().filter(|text| text.starts_with("interrupted")).collect();
    let [told] = cut.as_slice() else { panic!("{cut:?}") };
    let heard: u64 = told.strip_prefix("interrupted item_1 ").unwrap().parse().unwrap();
    assert!((280..=320).contains(&heard), "{heard}");
}

#[test]
fn what_an_engine_had_not_written_down_when_it_was_lost_gets_no_words_of_the_next_one() {
    let mut desk = talking(AgentTerms::default());
    desk.bot_says("caller started");
    desk.talk(Duration::from_millis(600));
    reconnect(&mut desk);
    desk.bot_says("line caller final x|after it");
    assert_eq!(words(&desk), ["", "after it"]);
}

#[test]
fn what_an_engine_says_no_faster_than_it_is_heard_lasts_as_long_as_it_was_heard() {
    let mut desk = talking(AgentTerms::default());
    desk.bot_says("item a");
    for _ in 0..50 {
        desk.bot_sends(&[0x10; 160]);
        silence(&mut desk, 20);
    }
    desk.bot_says("line bot final a|good day");
    silence(&mut desk, 500);
    let [said] = utterances(&desk).try_into().unwrap();
    assert_eq!(said.heard, HeardPart::All);
    let lasted = (said.end - said.start).as_millis();
    assert!((980..=1_040).contains(&lasted), "{lasted} ms");
}

#[test]
fn holes_in_what_an_engine_says_are_not_counted_as_heard() {
    for says_more in [false, true] {
        let mut desk = talking(AgentTerms::default());
        desk.bot_says("item a");
        desk.bot_sends(&[0x10; 8_000]);
        silence(&mut desk, 4_000);
        desk.bot_sends(&[0x10; 16_000]);
        desk.bot_says("line bot final a|one two three");
        silence(&mut desk, 2_500);
        if says_more {
            desk.bot_says("item b");
            desk.bot_sends(&[0x10; 8_000]);
            desk.bot_says("line bot final b|four");
        }
        silence(&mut desk, 1_500);
        let all = utterances(&desk);
        let said = &all[0];
        assert_eq!(said.heard, HeardPart::All);
        let lasted = (said.end - said.start).as_millis();
        assert!((5_980..=6_040).contains(&lasted), "{lasted} ms");
        let sum = if says_more { 4_000 } else { 3_000 };
        assert_eq!(heard(said).as_millis(), 3_000);
        assert_eq!(Analytics::of(&all).bot_talk.as_millis(), sum);
    }
}

#[test]
fn what_a_transfer_cuts_off_is_told_when_the_agents_part_is_over_and_not_at_the_end_of_the_call() {
    for on_transfer in [OnTransfer::End, OnTransfer::Hold] {
        for stage in ["final", "delta"] {
            let bot = BotSettings { on_transfer, ..agent(MediaFormat::PCMU_8K, AgentTerms::default()) };
            let mut desk = Desk::sip(bot, Fallback::Sorry);
            desk.input(Input::BotConnected);
            desk.bot_says("caller started u1");
            desk.talk(Duration::from_millis(400));
            desk.bot_says("item a");
            desk.bot_sends(&[0x10; 32_000]);
            desk.bot_says(&format!("line bot {stage} a|welcome to the car dealer how can I help you"));
            silence(&mut desk, 1_000);
            let to = TransferTo::Extension("101".into());
            desk.input(Input::Order(Order::Transfer(Transfer { to, command: "transfer" })));
            desk.leg_rings(0);
            silence(&mut desk, 500);
            desk.leg_answers(0);
            assert_eq!(desk.call.state(), StateName::Bridged);
            let told = utterances(&desk);
            let [caller, cut] = told.as_slice() else { panic!("{on_transfer:?} {stage} {told:?}") };
            assert_eq!((&*caller.text, &*cut.item), ("", "a"), "{told:?}");
            let HeardPart::First { audio, text_bytes } = cut.heard else { panic!("{cut:?}") };
            assert!((1_400..=1_600).contains(&audio.as_millis()), "{audio:?}");
            assert!((10..25).contains(&text_bytes), "{cut:?}");
            desk.leg(0, LegNews::Gone(16));
            assert_eq!(utterances(&desk).len(), 2, "once");
        }
    }
}

#[test]
fn what_is_said_to_its_end_while_others_ring_is_told_as_heard_although_its_words_were_not_finished() {
    let bot =
        BotSettings { on_transfer: OnTransfer::End, ..agent(MediaFormat::PCMU_8K, AgentTerms::default()) };
    let mut desk = Desk::sip(bot, Fallback::Sorry);
    desk.input(Input::BotConnected);
    desk.bot_says("item a");
    desk.bot_sends(&[0x10; 8_000]);
    desk.bot_says("line bot delta a|one moment please");
    silence(&mut desk, 200);
    let to = TransferTo::Extension("101".into());
    desk.input(Input::Order(Order::Transfer(Transfer { to, command: "transfer" })));
    desk.leg_rings(0);
    assert!(utterances(&desk).is_empty(), "it is still being heard");
    silence(&mut desk, 1_500);
    let told = utterances(&desk);
    let [all] = told.as_slice() else { panic!("{told:?}") };
    assert_eq!((&*all.text, &all.heard), ("one moment please", &HeardPart::All));
}
