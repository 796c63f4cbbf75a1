//! An engine that finds no turns by itself is told of them by our own ear, and its answers are cut off by it.

use super::agent_tools::silence;
use super::*;
use crate::agent::AgentTerms;
use crate::dialect::json::write_base64;
use crate::dialect::registry::find;
use crate::dialect::{EngineSettings, TurnDetection};
use crate::vocabulary::{HeardPart, Role};

/// An agent of the dialect itself whose engine is told not to look for turns.
fn agent() -> BotSettings {
    engine(EngineSettings { turn_detection: TurnDetection::Off, ..EngineSettings::default() })
}

/// An agent of the dialect itself.
pub(super) fn engine(engine: EngineSettings) -> BotSettings {
    let row = find("openai-realtime").unwrap();
    let audio = WireAudio { format: MediaFormat::PCMU_8K, frame: FRAME };
    let mut bot = remote("openai-realtime");
    let settings = BotSideSettings {
        audio,
        record: RecordWish::Send,
        refusals: RefusalWish::Tell,
        mapping: None,
        engine: Some(Arc::new(engine)),
    };
    bot.side = (row.bot_side)(&settings);
    bot.audio = audio;
    bot.agent = Some(Arc::new(AgentTerms::default()));
    bot
}

pub(super) fn session_begins(desk: &mut Desk) {
    desk.bot_says(r#"{"type":"session.created","session":{}}"#);
    desk.bot_says(r#"{"type":"session.updated","session":{}}"#);
}

fn talking() -> Desk {
    let mut desk = Desk::sip(agent(), Fallback::Sorry);
    desk.input(Input::BotConnected);
    session_begins(&mut desk);
    desk
}

/// The engine says `bytes` of audio as an item of a response.
fn engine_speaks(desk: &mut Desk, at: u32, bytes: usize) {
    desk.bot_says(&format!(r#"{{"type":"response.created","response":{{"id":"resp_{at}"}}}}"#));
    let mut audio = Vec::new();
    write_base64(&mut audio, &vec![0x10; bytes]);
    let audio = String::from_utf8(audio).unwrap();
    desk.bot_says(&format!(
        r#"{{"type":"response.output_audio.delta","response_id":"resp_{at}","item_id":"item_{at}","delta":"{audio}"}}"#
    ));
}

fn engine_is_done(desk: &mut Desk, at: u32) {
    desk.bot_says(&format!(
        r#"{{"type":"response.done","response":{{"id":"resp_{at}","status":"completed"}}}}"#
    ));
}

/// What went to the engine, beside audio, and since when.
fn told(desk: &Desk, from: Moment) -> Vec<(Moment, String)> {
    let told = desk.seen.iter().filter_map(|(at, seen)| match seen {
        Seen::ToBot(text) if *at >= from && !text.contains("append") => Some((*at, text.clone())),
        _ => None,
    });
    told.collect()
}

/// Milliseconds of audio that the engine was given.
fn given_ms(desk: &Desk) -> usize {
    let prefix = r#"{"type":"input_audio_buffer.append","audio":""#;
    let audio = desk.to_bot().into_iter().filter_map(|text| text.strip_prefix(prefix)?.strip_suffix(r#""}"#));
    audio.map(|audio| audio.len() / 4 * 3 - audio.matches('=').count()).sum::<usize>() / 8
}

const COMMIT: &str = r#"{"type":"input_audio_buffer.commit"}"#;
const ASK: &str = r#"{"type":"response.create"}"#;

#[test]
fn an_engine_without_turns_of_its_own_is_given_each_turn_and_asked_for_an_answer_at_its_end() {
    let mut desk = talking();
    silence(&mut desk, 2_000);
    assert_eq!(given_ms(&desk), 0, "silence is nothing to say");
    for turn in 0..2 {
        let before = given_ms(&desk);
        desk.talk(Duration::from_millis(800));
        let ceased = desk.now;
        silence(&mut desk, 1_000);
        let told = told(&desk, ceased);
        let [(committed, commit), (_, ask)] = told.as_slice() else { panic!("turn {turn}: {told:?}") };
        assert_eq!((commit.as_str(), ask.as_str()), (COMMIT, ASK));
        let after = (*committed - ceased).as_millis();
        assert!((380..=440).contains(&after), "turn {turn}: committed {after} ms after the last sound");
        let given = given_ms(&desk) - before;
        assert!((1_400..=1_560).contains(&given), "turn {turn}: {given} ms were given");
        engine_speaks(&mut desk, turn, 1_600);
        engine_is_done(&mut desk, turn);
        silence(&mut desk, 1_000);
        assert_eq!(given_ms(&desk) - before, given);
    }
}

#[test]
fn a_caller_who_speaks_over_an_engine_without_turns_cuts_it_off_and_is_answered() {
    let mut desk = talking();
    silence(&mut desk, 1_000);
    engine_speaks(&mut desk, 1, 16_000);
    silence(&mut desk, 500);
    let began = desk.now;
    desk.talk(Duration::from_millis(600));
    let cut = told(&desk, began);
    let [(cancelled, cancel), (_, truncate)] = cut.as_slice() else { panic!("{cut:?}") };
    assert_eq!(cancel, r#"{"type":"response.cancel","response_id":"resp_1"}"#);
    let heard = truncate
        .strip_prefix(
            r#"{"type":"conversation.item.truncate","item_id":"item_1","content_index":0,"audio_end_ms":"#,
        )
        .and_then(|rest| rest.strip_suffix('}')?.parse::<u64>().ok())
        .unwrap();
    assert!((480..=600).contains(&heard), "{heard}");
    assert!((*cancelled - began).as_millis() <= 60);
    let loud = desk.heard_since(*cancelled + FRAME).iter().filter(|(_, audio)| audio[80] == 0x10).count();
    assert_eq!(loud, 0, "the caller hears nothing of what was cut off");
    // The response counts as being made until the engine says that it is over.
    silence(&mut desk, 600);
    let since = told(&desk, *cancelled + FRAME);
    assert_eq!(since.iter().map(|(_, text)| text.as_str()).collect::<Vec<_>>(), [COMMIT]);
    engine_is_done(&mut desk, 1);
    assert_eq!(desk.to_bot().last(), Some(&ASK));
    desk.bot_says(r#"{"type":"conversation.item.input_audio_transcription.completed","item_id":"item_2","transcript":"wait"}"#);
    desk.input(Input::PhoneGone(Reason::CallerHungUp));
    let all = agent::utterances(&desk);
    let caller = all.iter().find(|one| one.role == Role::Caller).unwrap();
    let spoke = (caller.end - caller.start).as_millis();
    assert!(&*caller.text == "wait" && (560..=640).contains(&spoke), "{spoke}");
    assert!(all.iter().any(|one| matches!(one.heard, HeardPart::First { .. }) && one.role == Role::Bot));
}

#[test]
fn a_new_session_with_an_engine_without_turns_knows_that_the_caller_speaks() {
    let mut desk = talking();
    silence(&mut desk, 500);
    desk.talk(Duration::from_millis(300));
    desk.input(Input::BotClosed(SocketEnd::Reset));
    let next = NextBot { settings: agent(), stream_id: StreamId::new(1, 2) };
    desk.input(Input::NextBot(Box::new(next)));
    session_begins(&mut desk);
    let from = desk.now;
    desk.talk(Duration::from_millis(300));
    assert!(desk.to_bot().last().unwrap().contains("append"));
    silence(&mut desk, 600);
    assert_eq!(
        told(&desk, from + FRAME).iter().map(|(_, text)| text.as_str()).collect::<Vec<_>>(),
        [COMMIT, ASK]
    );
}

#[test]
fn an_engine_that_says_nothing_at_all_gives_the_caller_the_fallback_and_a_session_without_words_is_no_fault()
{
    for says_created in [false, true] {
        let mut desk = Desk::sip(agent(), Fallback::Sorry);
        desk.input(Input::BotConnected);
        if says_created {
            desk.bot_says(r#"{"type":"session.created","session":{}}"#);
        }
        let from = desk.now;
        silence(&mut desk, 4_600);
        let first =
            desk.heard_since(from).into_iter().find(|(_, audio)| audio.iter().any(|byte| *byte != 0xFF));
        if says_created {
            assert_eq!((first, desk.call.state()), (None, StateName::Talking));
            continue;
        }
        let after = (first.expect("the apology").0 - from).as_millis();
        assert!((4_000..=4_100).contains(&after), "{after}");
        silence(&mut desk, 5_000);
        assert_eq!(cause_of(&desk).reason(), Reason::BotNoHandshake);
        assert!(!desk.saw(&Seen::ReachNextBot(BotWish::SameAgain)));
    }
}
