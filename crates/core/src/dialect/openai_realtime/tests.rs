//! What `openai-realtime` must hold beyond its talks: both ends meet, bad input is borne, nothing is told twice.

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;

use super::{BargeIn, EngineSettings, ROW, ServerVad, TurnAnswer, TurnDetection, Turns};
use crate::dialect::laws::{self, any_near_message, feed_both_ends, start};
use crate::dialect::registry::{AudioWish, BotSideSettings, RecordWish, RefusalWish};
use crate::dialect::{BotSide, Heard, Out, PhoneSide, Wire, WireAudio};
use crate::media::MediaFormat;
use crate::vocabulary::{
    CallCommand, CallEvent, EndedStream, LineStage, Moment, Role, SpeechCommand, SpeechEdge, SpeechEvent,
    ToolCall, ToolResult, TranscriptLine,
};

/// Both ends on one wire without delay: what each of them heard, audio as its length.
struct Wired {
    bot_side: Box<BotSide>,
    phone_side: Box<PhoneSide>,
    now: Moment,
    commands: Vec<CallCommand>,
    events: Vec<CallEvent>,
    /// Bytes of audio that the engine's end heard, and that the phone's end heard.
    heard: (usize, usize),
    closed: Option<u16>,
}

impl Wired {
    fn new(format: MediaFormat, settings: EngineSettings) -> Self {
        let audio = WireAudio { format, ..ROW.default_audio };
        let (_, phone_side) = laws::ends(&ROW, ROW.default_audio);
        let (record, refusals) = (RecordWish::Send, RefusalWish::Tell);
        let engine = Some(Arc::new(settings));
        let settings = BotSideSettings { audio, record, refusals, mapping: None, engine };
        let bot_side = (ROW.bot_side)(&settings);
        let now = Moment::from_millis(1);
        let (commands, events) = (Vec::new(), Vec::new());
        let mut wired = Self { bot_side, phone_side, now, commands, events, heard: (0, 0), closed: None };
        wired.wake();
        wired.tell(&CallEvent::Started(Box::new(start(format))));
        wired
    }

    fn tell(&mut self, event: &CallEvent) {
        let mut out = Out::new();
        self.bot_side.encode(event, self.now, &mut out);
        self.give_engine(&out);
    }

    fn ask(&mut self, command: &CallCommand) {
        let mut out = Out::new();
        self.phone_side.encode(command, self.now, &mut out);
        self.give_phone(&out);
    }

    fn caller(&mut self, audio: &[u8]) {
        let mut out = Out::new();
        self.bot_side.encode_audio(audio, self.now, &mut out);
        self.give_engine(&out);
    }

    fn bot(&mut self, audio: &[u8]) {
        let mut out = Out::new();
        self.phone_side.encode_audio(audio, self.now, &mut out);
        self.give_phone(&out);
    }

    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            self.now = self.now + Duration::from_millis(20);
            self.wake();
        }
    }

    fn wake(&mut self) {
        if self.phone_side.poll_timeout().is_some_and(|due| due <= self.now) {
            let mut out = Out::new();
            self.phone_side.handle_timeout(self.now, &mut out);
            self.give_phone(&out);
        }
        if self.bot_side.poll_timeout().is_some_and(|due| due <= self.now) {
            let mut out = Out::new();
            self.bot_side.handle_timeout(self.now, &mut out);
            self.give_engine(&out);
        }
    }

    fn give_engine(&mut self, from: &Out<CallCommand>) {
        self.closed = self.closed.or(from.close_code());
        for (_, wire) in from.messages() {
            let mut out = Out::new();
            assert_eq!(self.phone_side.decode(wire, self.now, &mut out), Ok(()), "{wire:?}");
            for heard in out.heard() {
                match heard {
                    Heard::Audio(span) => self.heard.0 += out.audio(span).len(),
                    Heard::Item(event) => self.events.push(event.clone()),
                }
            }
            self.give_phone(&out);
        }
    }

    fn give_phone(&mut self, from: &Out<CallEvent>) {
        for (_, wire) in from.messages() {
            let mut out = Out::new();
            assert_eq!(self.bot_side.decode(wire, self.now, &mut out), Ok(()), "{wire:?}");
            for heard in out.heard() {
                match heard {
                    Heard::Audio(span) => self.heard.1 += out.audio(span).len(),
                    Heard::Item(command) => self.commands.push(command.clone()),
                }
            }
            self.give_engine(&out);
        }
    }

    /// What the phone's end was told of the conversation.
    fn said(&self) -> Vec<&SpeechCommand> {
        let said = self.commands.iter();
        said.filter_map(|command| if let CallCommand::Speech(said) = command { Some(said) } else { None })
            .collect()
    }

    fn spoken(&self) -> Vec<&SpeechEvent> {
        let told = self.events.iter();
        told.filter_map(|event| if let CallEvent::Speech(told) = event { Some(told) } else { None }).collect()
    }
}

fn line(role: Role, item: &str, text: &str, stage: LineStage) -> TranscriptLine {
    TranscriptLine { role, item: item.into(), text: text.into(), stage }
}

#[test]
fn both_ends_agree_on_the_format_of_the_phone_and_the_first_words_of_the_caller_arrive() {
    for format in [MediaFormat::PCMU_8K, MediaFormat::PCMA_8K, MediaFormat::linear16(24_000)] {
        let settings = EngineSettings { greeting: Some("Say hello.".into()), ..EngineSettings::default() };
        let mut wired = Wired::new(format, settings);
        let frame = vec![7; format.bytes_in(Duration::from_millis(20))];
        wired.caller(&frame);
        assert_eq!(wired.phone_side.format(), format);
        assert_eq!(wired.heard.0, frame.len());
        let [CallEvent::Started(start), ..] = wired.events.as_slice() else { panic!("{:?}", wired.events) };
        assert_eq!(start.format, format);
        wired.bot(&frame);
        assert_eq!(wired.heard.1, frame.len());
    }
}

#[test]
fn a_conversation_crosses_the_wire_with_its_items_lines_tools_and_barge_ins() {
    let format = MediaFormat::PCMU_8K;
    let mut wired = Wired::new(format, EngineSettings::default());
    let said = [
        SpeechCommand::Item("one".into()),
        SpeechCommand::Line(line(Role::Bot, "one", "Good ", LineStage::Delta)),
        SpeechCommand::Line(line(Role::Bot, "one", "Good morning", LineStage::Final)),
    ];
    for said in &said {
        wired.ask(&CallCommand::Speech(said.clone()));
    }
    wired.bot(&[0x10; 160]);
    wired.ask(&CallCommand::Speech(SpeechCommand::Caller(SpeechEdge::Started { item: None })));
    wired.tell(&CallEvent::Speech(SpeechEvent::Interrupted {
        item: "one".into(),
        heard: Duration::from_millis(15),
    }));
    wired.ask(&CallCommand::Clear);
    wired.bot(&[0x10; 160]);
    wired.ask(&CallCommand::Speech(SpeechCommand::Caller(SpeechEdge::Stopped)));
    let tool = ToolCall { id: "t1".into(), name: "stock".into(), arguments: "{}".into() };
    wired.ask(&CallCommand::Speech(SpeechCommand::Tool(tool.clone())));
    let result = ToolResult { id: "t1".into(), output: "[]".into() };
    wired.tell(&CallEvent::Speech(SpeechEvent::ToolDone(result.clone())));
    let interrupted = SpeechEvent::Interrupted { item: "one".into(), heard: Duration::from_millis(15) };
    assert_eq!(wired.spoken(), [&interrupted, &SpeechEvent::ToolDone(result)]);
    let said = wired.said();
    assert_eq!(said[0], &SpeechCommand::Line(line(Role::Bot, "one", "Good ", LineStage::Delta)));
    assert_eq!(said[1], &SpeechCommand::Item("one".into()));
    assert!(matches!(said[2], SpeechCommand::Caller(SpeechEdge::Started { item: Some(_) })), "{:?}", said[2]);
    assert!(said.contains(&&SpeechCommand::Line(line(Role::Bot, "one", "Good morning", LineStage::Final))));
    assert_eq!(said.iter().filter(|said| ***said == SpeechCommand::Tool(tool.clone())).count(), 1);
    assert!(wired.commands.contains(&CallCommand::Clear));
}

#[test]
fn a_turn_of_the_caller_is_found_by_its_loudness_and_told() {
    let mut wired = Wired::new(MediaFormat::PCMU_8K, EngineSettings::default());
    for at in 0..150 {
        wired.caller(&if (25..75).contains(&at) { [0x10; 160] } else { [0xFF; 160] });
        wired.pass(Duration::from_millis(20));
    }
    let edges = wired.said();
    let [SpeechCommand::Caller(SpeechEdge::Started { item }), SpeechCommand::Caller(SpeechEdge::Stopped)] =
        edges.as_slice()
    else {
        panic!("{edges:?}")
    };
    assert!(item.as_ref().is_some_and(|item| item.starts_with("item_")), "{item:?}");
}

#[test]
fn nobody_clears_what_the_bot_says_when_barge_in_is_off() {
    let turns = Turns { answer: TurnAnswer::ByItself, barge_in: BargeIn::Ignored };
    let turn_detection = TurnDetection::Server(ServerVad::default(), turns);
    let mut wired =
        Wired::new(MediaFormat::PCMU_8K, EngineSettings { turn_detection, ..EngineSettings::default() });
    wired.ask(&CallCommand::Speech(SpeechCommand::Caller(SpeechEdge::Started { item: None })));
    assert!(matches!(wired.said()[..], [SpeechCommand::Caller(SpeechEdge::Started { .. })]));
    assert!(!wired.commands.contains(&CallCommand::Clear));
}

#[test]
fn keys_are_told_together_and_in_words() {
    let mut wired = Wired::new(MediaFormat::PCMU_8K, EngineSettings::default());
    for key in "12".chars() {
        let digit = crate::vocabulary::Digit::try_from(key).unwrap();
        wired.tell(&CallEvent::Digit(crate::vocabulary::DigitPress { digit, duration: None }));
        wired.pass(Duration::from_millis(100));
    }
    assert_eq!(wired.bot_side.poll_timeout(), Some(Moment::from_millis(101) + Duration::from_secs(1)));
    wired.pass(Duration::from_secs(2));
    assert_eq!(wired.bot_side.poll_timeout(), None);
}

#[test]
fn an_engine_that_repeats_an_id_calls_one_tool_once_and_one_that_floods_waits() {
    let mut bot_side = open();
    let mut out = Out::new();
    let call = |id: usize| {
        format!(
            r#"{{"type":"response.function_call_arguments.done","call_id":"c{id}","name":"x","arguments":"{{}}"}}"#
        )
    };
    for id in 0..100 {
        for _ in 0..3 {
            bot_side.decode(Wire::Text(&call(id)), Moment::START, &mut out).unwrap();
        }
    }
    assert_eq!(out.heard().len(), super::bot_side::progress::TOOLS_WAITING_MAX);
}

#[test]
fn an_answer_is_asked_for_when_the_response_before_it_is_over_however_the_engine_names_it() {
    for (created, done, asks) in [
        (r#"{"id":"r1"}"#, r#"{"id":"r1","status":"completed"}"#, true),
        (r#"{}"#, r#"{"id":"r1","status":"completed"}"#, true),
        (r#"{"id":"r1"}"#, r#"{"status":"completed"}"#, true),
        // The end of the one before it, which was cut off.
        (r#"{"id":"r2"}"#, r#"{"id":"r1","status":"cancelled"}"#, false),
    ] {
        let mut bot_side = open();
        let mut out = Out::new();
        let call =
            r#"{"type":"response.function_call_arguments.done","call_id":"c","name":"x","arguments":"{}"}"#;
        let created = format!(r#"{{"type":"response.created","response":{created}}}"#);
        for text in [created.as_str(), call] {
            bot_side.decode(Wire::Text(text), Moment::START, &mut out).unwrap();
        }
        let result = ToolResult { id: "c".into(), output: "[]".into() };
        bot_side.encode(&CallEvent::Speech(SpeechEvent::ToolDone(result)), Moment::START, &mut out);
        assert_eq!(out.messages().count(), 1, "only the result");
        let done = format!(r#"{{"type":"response.done","response":{done}}}"#);
        bot_side.decode(Wire::Text(&done), Moment::START, &mut out).unwrap();
        assert_eq!(out.messages().count(), 1 + usize::from(asks), "{done}");
    }
}

#[test]
fn endless_ids_are_malformed_and_many_items_are_forgotten() {
    let mut bot_side = open();
    let long = "x".repeat(257);
    for text in [
        format!(r#"{{"type":"response.output_audio.delta","item_id":"{long}","delta":"AAAA"}}"#),
        format!(r#"{{"type":"response.created","response":{{"id":"{long}"}}}}"#),
        format!(r#"{{"type":"response.output_audio_transcript.done","item_id":"{long}","transcript":""}}"#),
        format!(r#"{{"type":"response.function_call_arguments.done","call_id":"{long}","name":"x"}}"#),
    ] {
        assert!(bot_side.decode(Wire::Text(&text), Moment::START, &mut Out::new()).is_err());
    }
    for item in 0..1_000 {
        let text = format!(r#"{{"type":"response.output_audio.delta","item_id":"i{item}","delta":"AAAA"}}"#);
        bot_side.decode(Wire::Text(&text), Moment::START, &mut Out::new()).unwrap();
    }
    let told = |item: &str| {
        let heard = Duration::from_secs(9);
        CallEvent::Speech(SpeechEvent::Interrupted { item: item.into(), heard })
    };
    for (item, messages) in [("i0", 0), ("i999", 1)] {
        let mut out = Out::new();
        bot_side.encode(&told(item), Moment::START, &mut out);
        assert_eq!(out.messages().count(), messages, "{item}");
    }
}

#[test]
fn an_item_of_a_client_that_is_too_long_without_its_content_is_kept_as_what_it_is() {
    let long = "x".repeat(4_100);
    let (short, kept) = (r#""x":"1""#, r#""type":"message","role":"system","content":[]"#);
    let written = |members: &str| {
        let (_, mut phone_side) = laws::ends(&ROW, ROW.default_audio);
        let mut out = Out::new();
        let text = format!(r#"{{"type":"conversation.item.create","item":{{"type":"message",{members}}}}}"#);
        phone_side.decode(Wire::Text(&text), Moment::START, &mut out).unwrap();
        let Some((_, Wire::Text(said))) = out.messages().last() else { panic!("the item is not told") };
        said.to_owned()
    };
    let content = r#""content":[{"type":"input_text","text":"hello"}]"#;
    let role = r#""role":"user""#;
    assert!(written(&format!("{role},{short},{content}")).contains("hello"));
    let without_content = written(&format!(r#"{role},{short},"content":["{long}"]"#));
    assert!(without_content.contains(r#""content":[]"#) && without_content.contains(short));
    for members in [
        format!(r#"{role},"x":"{long}","content":[]"#),
        format!(r#"{role},"x":"{long}",{content}"#),
        format!(r#""role":"{long}",{content}"#),
    ] {
        assert!(written(&members).contains(kept), "{} bytes", members.len());
    }
}

#[test]
fn what_the_caller_says_before_the_session_is_bounded() {
    let (mut bot_side, _) = laws::ends(&ROW, ROW.default_audio);
    let mut out = Out::new();
    bot_side.encode(&CallEvent::Started(Box::new(start(ROW.default_audio.format))), Moment::START, &mut out);
    for _ in 0..1_000 {
        bot_side.encode_audio(&[1; 960], Moment::START, &mut out);
    }
    assert_eq!(out.messages().count(), 0);
    bot_side.handle_timeout(Moment::from_millis(2_000), &mut out);
    assert_eq!(
        bot_side.decode(Wire::Text(r#"{"type":"hello"}"#), Moment::from_millis(2_000), &mut out),
        Ok(())
    );
    bot_side.handle_timeout(Moment::from_millis(4_000), &mut out);
    let held =
        out.messages().last().map(|(_, wire)| if let Wire::Text(text) = wire { text.len() } else { 0 });
    let expected = ROW.default_audio.format.bytes_in(super::bot_side::HELD_AUDIO_MAX) / 3 * 4;
    assert!(held.is_some_and(|held| held.abs_diff(expected) < 100), "{held:?} {expected}");
}

#[test]
fn the_phones_format_is_the_wires_where_the_wire_has_it() {
    let choose = ROW.audio_for_phone.unwrap();
    assert_eq!(choose(MediaFormat::PCMU_8K), MediaFormat::PCMU_8K);
    assert_eq!(choose(MediaFormat::PCMA_8K), MediaFormat::PCMA_8K);
    for linear in [8_000, 16_000, 48_000] {
        assert_eq!(choose(MediaFormat::linear16(linear)), MediaFormat::linear16(24_000));
    }
    let wish = |encoding: &str, rate| AudioWish {
        encoding: Some(encoding.to_owned()),
        sample_rate: rate,
        frame: None,
    };
    for (wish, format) in [
        (wish("audio/pcmu", None), MediaFormat::PCMU_8K),
        (wish("g711_alaw", Some(8_000)), MediaFormat::PCMA_8K),
        (wish("pcm16", Some(24_000)), MediaFormat::linear16(24_000)),
    ] {
        assert_eq!((ROW.audio)(&wish).map(|audio| audio.format), Ok(format), "{wish:?}");
    }
    assert!((ROW.audio)(&wish("pcm16", Some(16_000))).is_err_and(|error| error.contains("24000")));
    assert!((ROW.audio)(&wish("opus", None)).is_err());
}

#[test]
fn after_the_end_nothing_is_written_whatever_comes() {
    let mut bot_side = open();
    let mut out = Out::new();
    bot_side.encode(&CallEvent::Ended(EndedStream::Handed), Moment::START, &mut out);
    bot_side.encode_audio(&[0; 960], Moment::START, &mut out);
    bot_side.handle_timeout(Moment::from_millis(9_000), &mut out);
    for text in [
        r#"{"type":"session.created"}"#,
        r#"{"type":"session.updated"}"#,
        r#"{"type":"response.output_audio.delta","item_id":"i","delta":"AAAA"}"#,
        r#"{"type":"error","error":{"code":"session_expired"}}"#,
    ] {
        bot_side.decode(Wire::Text(text), Moment::START, &mut out).unwrap();
    }
    assert_eq!((out.messages().count(), out.heard().len(), out.close_code()), (0, 0, None));
}

#[test]
fn a_caller_who_has_left_has_its_speech_ended_and_nothing_but_its_words_is_heard() {
    for is_speaking in [true, false] {
        let mut bot_side = open();
        let mut out = Out::new();
        let created = |id: &str| format!(r#"{{"type":"response.created","response":{{"id":"{id}"}}}}"#);
        bot_side.decode(Wire::Text(&created("r1")), Moment::START, &mut out).unwrap();
        assert!(bot_side.ask_last_words(is_speaking, &mut out));
        for text in [
            r#"{"type":"response.output_audio.delta","response_id":"r1","item_id":"i","delta":"AAAA"}"#,
            r#"{"type":"response.output_audio_transcript.done","item_id":"i","transcript":"never"}"#,
            r#"{"type":"response.function_call_arguments.done","call_id":"c","name":"x","arguments":"{}"}"#,
            r#"{"type":"conversation.item.input_audio_transcription.completed","item_id":"u","transcript":"bye"}"#,
            &created("r2"),
        ] {
            bot_side.decode(Wire::Text(text), Moment::START, &mut out).unwrap();
        }
        bot_side.encode_audio(&[0; 960], Moment::START, &mut out);
        let said = CallCommand::Speech(SpeechCommand::Line(line(Role::Caller, "u", "bye", LineStage::Final)));
        assert!(matches!(out.heard(), [Heard::Item(heard)] if *heard == said), "{:?}", out.heard());
        let cancel = |id: &str| format!(r#"{{"type":"response.cancel","response_id":"{id}"}}"#);
        let commit = is_speaking.then(|| r#"{"type":"input_audio_buffer.commit"}"#.to_owned());
        let expected = [Some(cancel("r1")), commit, Some(cancel("r2"))];
        let told: Vec<_> = out
            .messages()
            .map(|(_, wire)| if let Wire::Text(text) = wire { text.to_owned() } else { panic!("{wire:?}") })
            .collect();
        assert_eq!(told, expected.into_iter().flatten().collect::<Vec<_>>());
        assert_eq!(bot_side.poll_timeout(), None);
    }
}

#[test]
fn an_engine_that_writes_nothing_down_is_asked_for_no_last_words() {
    let settings = EngineSettings { transcription: None, ..EngineSettings::default() };
    let mut wired = Wired::new(MediaFormat::PCMU_8K, settings);
    assert!(!wired.bot_side.ask_last_words(true, &mut Out::new()));
}

/// An end whose session is ready.
fn open() -> Box<BotSide> {
    let (mut bot_side, _) = laws::ends(&ROW, ROW.default_audio);
    let mut out = Out::new();
    bot_side.encode(&CallEvent::Started(Box::new(start(ROW.default_audio.format))), Moment::START, &mut out);
    for text in [r#"{"type":"session.created"}"#, r#"{"type":"session.updated"}"#] {
        bot_side.decode(Wire::Text(text), Moment::START, &mut out).unwrap();
    }
    bot_side
}

const PIECES: &[&str] = &[
    r#"{"type":"session.created","session":{}}"#,
    r#"{"type":"session.update","session":{"type":"realtime","audio":{"output":{"format":"#,
    r#"{"type":"audio/pcm","rate":24000}"#,
    r#"}}}}"#,
    r#"{"type":"response.output_audio.delta","item_id":"i","delta":"AAA="}"#,
    r#"{"type":"response.done","response":{"status":"failed","output":["#,
    r#"{"type":"function_call","call_id":"c","name":"n","arguments":"{}"}"#,
    r#"]}}"#,
    r#"{"type":"conversation.item.truncate","item_id":"i","audio_end_ms":"#,
    r#"-1}"#,
    r#"{"type":"input_audio_buffer.append","audio":"AAAA"}"#,
    "[[[[",
    "{\"\\ud800\":",
];

proptest! {
    #[test]
    fn any_text_or_bytes_are_borne(text in any_near_message(PIECES), bytes in any::<Vec<u8>>()) {
        feed_both_ends(&ROW, Wire::Text(&text));
        feed_both_ends(&ROW, Wire::Binary(&bytes));
    }

    #[test]
    fn audio_of_the_bot_is_one_stream_however_it_is_cut(cuts in proptest::collection::vec(1..700_usize, 1..20)) {
        let mut wired = Wired::new(MediaFormat::PCMU_8K, EngineSettings::default());
        let mut sum = 0;
        for cut in cuts {
            wired.bot(&vec![0x21; cut]);
            wired.caller(&vec![0xFF; cut]);
            sum += cut;
        }
        prop_assert_eq!(wired.heard, (sum, sum));
    }
}
