//! An engine that gives the ids of what was said to what is said later.

use super::agent::utterances;
use super::agent_tools::silence;
use super::agent_turns::{engine, session_begins};
use super::*;
use crate::dialect::EngineSettings;
use crate::dialect::json::write_base64;
use crate::vocabulary::{HeardPart, Role};

/// Tells the desk of an event; `doubled` as an engine does that tells everything twice.
fn says(desk: &mut Desk, doubled: bool, text: &str) {
    desk.bot_says(text);
    if doubled {
        desk.bot_says(text);
    }
}

/// The engine answers with so many bytes of audio.
fn answer(desk: &mut Desk, doubled: bool, (response, item, words): (&str, &str, &str), bytes: usize) {
    let mut audio = Vec::new();
    write_base64(&mut audio, &vec![0x10; bytes]);
    let audio = String::from_utf8(audio).unwrap();
    let names = format!(r#""response_id":"{response}","item_id":"{item}""#);
    says(desk, doubled, &format!(r#"{{"type":"response.created","response":{{"id":"{response}"}}}}"#));
    desk.bot_says(&format!(
        r#"{{"type":"response.output_audio_transcript.delta",{names},"delta":"{words}"}}"#
    ));
    desk.bot_says(&format!(r#"{{"type":"response.output_audio.delta",{names},"delta":"{audio}"}}"#));
    says(
        desk,
        doubled,
        &format!(r#"{{"type":"response.output_audio_transcript.done",{names},"transcript":"{words}"}}"#),
    );
    says(
        desk,
        doubled,
        &format!(r#"{{"type":"response.done","response":{{"id":"{response}","status":"completed"}}}}"#),
    );
}

/// The caller says something, which the engine writes down.
fn turn(desk: &mut Desk, doubled: bool, item: &str, words: &str) {
    let edge = |kind: &str| format!(r#"{{"type":"input_audio_buffer.{kind}","item_id":"{item}"}}"#);
    desk.talk(Duration::from_millis(60));
    says(desk, doubled, &edge("speech_started"));
    desk.talk(Duration::from_millis(600));
    silence(desk, 400);
    says(desk, doubled, &edge("speech_stopped"));
    says(desk, doubled, &edge("committed"));
    silence(desk, 100);
    let kind = "conversation.item.input_audio_transcription.completed";
    says(desk, doubled, &format!(r#"{{"type":"{kind}","item_id":"{item}","transcript":"{words}"}}"#));
}

#[test]
fn an_engine_that_gives_ids_again_or_tells_all_twice_loses_no_words_and_no_sound() {
    let fresh = |kind: &'static str| move |at: usize| format!("{kind}_{at}");
    let same = |kind: &'static str| move |_: usize| format!("{kind}_same");
    type Id = Box<dyn Fn(usize) -> String>;
    let table: [(&str, Id, Id, bool); 5] = [
        ("fresh", Box::new(fresh("resp")), Box::new(fresh("item")), false),
        ("items", Box::new(fresh("resp")), Box::new(same("item")), false),
        ("responses", Box::new(same("resp")), Box::new(fresh("item")), false),
        ("both", Box::new(same("resp")), Box::new(same("item")), false),
        ("twice", Box::new(fresh("resp")), Box::new(fresh("item")), true),
    ];
    for (case, response, item, doubled) in table {
        let mut desk = Desk::sip(engine(EngineSettings::default()), Fallback::Sorry);
        desk.input(Input::BotConnected);
        session_begins(&mut desk);
        answer(&mut desk, doubled, (&response(0), &item(0), "good day"), 8_000);
        silence(&mut desk, 1_500);
        for (at, words) in [(1, ("a car", "which one")), (2, ("the blue one", "a good choice"))] {
            turn(&mut desk, doubled, &format!("u{}", item(at)), words.0);
            answer(&mut desk, doubled, (&response(at), &item(at), words.1), 8_000);
            silence(&mut desk, 2_000);
        }
        let all = utterances(&desk);
        let words: Vec<_> = all.iter().map(|one| &*one.text).collect();
        assert_eq!(words, ["good day", "a car", "which one", "the blue one", "a good choice"], "{case}");
        for bot in all.iter().filter(|one| one.role == Role::Bot) {
            assert_eq!(bot.heard, HeardPart::All, "{case}");
            let lasted = (bot.end - bot.start).as_millis();
            assert!((980..=1_040).contains(&lasted), "{case}: {lasted} ms");
        }
        assert_eq!(all.iter().filter(|one| one.response.is_some()).count(), 2, "{case}");
    }
}

#[test]
fn an_engine_that_is_cut_off_and_gives_the_id_again_is_heard_and_cut_off_again_by_that_id() {
    let mut desk = Desk::sip(engine(EngineSettings::default()), Fallback::Sorry);
    desk.input(Input::BotConnected);
    session_begins(&mut desk);
    for at in 0..3 {
        answer(&mut desk, false, ("resp", "item", "one two three four"), 16_000);
        silence(&mut desk, 500);
        turn(&mut desk, false, "u", &format!("wait {at}"));
    }
    let told: Vec<_> = desk.to_bot().into_iter().filter(|text| text.contains("truncate")).collect();
    assert_eq!(told.len(), 3, "{told:?}");
    assert!(told.iter().all(|text| text.contains(r#""item_id":"item","#)), "{told:?}");
    let all = utterances(&desk);
    let cut = all.iter().filter(|one| one.role == Role::Bot && matches!(one.heard, HeardPart::First { .. }));
    assert_eq!((all.len(), cut.count()), (6, 3));
}
