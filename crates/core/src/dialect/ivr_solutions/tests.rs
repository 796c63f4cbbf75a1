//! What `ivr-solutions` must hold beyond its talks: the law of both ends, refusals, leniency, bad input.

use std::time::Duration;

use proptest::prelude::*;

use super::ROW;
use crate::dialect::laws::{
    self, Part, any_command, any_end, any_event, any_near_message, canonical, carry, feed_both_ends, start,
};
use crate::dialect::registry::{AudioWish, BotSideSettings, RecordWish, RefusalWish};
use crate::dialect::{BotSide, Heard, Malformed, Out, PhoneSide, Wire, WireAudio};
use crate::media::MediaFormat;
use crate::vocabulary::{
    CallCommand, CallEvent, Cause, CommandRefusal, DialOrder, Digit, DigitPress, EndedStream, HangUpWhen,
    MarkOutcome, Moment, Reason, Transfer, TransferTo,
};

/// Both ends after the start.
fn started(audio: WireAudio) -> (Box<BotSide>, Box<PhoneSide>) {
    let (mut bot_side, mut phone_side) = laws::ends(&ROW, audio);
    let start = CallEvent::Started(Box::new(start(audio.format)));
    carry(&mut *bot_side, &mut *phone_side, &[Part::Item(start)]);
    (bot_side, phone_side)
}

/// What a bot side hears of one text message.
fn command(text: &str) -> Result<CallCommand, Malformed> {
    let (mut bot_side, _) = started(ROW.default_audio);
    let mut out = Out::new();
    bot_side.decode(Wire::Text(text), Moment::START, &mut out)?;
    let [Heard::Item(command)] = out.heard() else { panic!("{:?}", out.heard()) };
    Ok(command.clone())
}

/// What a phone side hears of one text message after the start.
fn event(text: &str) -> Result<CallEvent, Malformed> {
    let (_, mut phone_side) = started(ROW.default_audio);
    let mut out = Out::new();
    phone_side.decode(Wire::Text(text), Moment::START, &mut out)?;
    let [Heard::Item(event)] = out.heard() else { panic!("{:?}", out.heard()) };
    Ok(event.clone())
}

fn refusal(text: &str) -> (&'static str, String) {
    match command(text) {
        Ok(CallCommand::Invalid(refusal)) => (refusal.code, refusal.message),
        other => panic!("{text}: {other:?}"),
    }
}

fn canonical_event(event: &CallEvent) -> Vec<CallEvent> {
    match event.clone() {
        // The field is never left out: an unknown length is the usual one.
        CallEvent::Digit(DigitPress { digit, duration }) => {
            let usual = Duration::from_millis(100);
            let duration = duration.filter(|duration| !duration.is_zero()).or(Some(usual));
            vec![CallEvent::Digit(DigitPress { digit, duration })]
        }
        CallEvent::Mark { name, outcome: _ } => vec![CallEvent::Mark { name, outcome: MarkOutcome::Played }],
        CallEvent::Ended(EndedStream::CallEnded(_)) => {
            vec![CallEvent::Ended(EndedStream::CallEnded(Cause::new(Reason::CallerHungUp)))]
        }
        CallEvent::Flow(_) | CallEvent::Unknown(_) | CallEvent::Record(_) => vec![],
        kept => vec![kept],
    }
}

fn canonical_command(command: &CallCommand) -> Vec<CallCommand> {
    match command.clone() {
        CallCommand::HangUp(HangUpWhen::Now) => {
            vec![CallCommand::Clear, CallCommand::HangUp(HangUpWhen::AfterPlayout)]
        }
        CallCommand::Transfer(Transfer { to, command: _ }) => {
            let (to, command) = match to {
                // The order of one phone says nothing.
                TransferTo::Phones(one, _) if one.len() == 1 => {
                    (TransferTo::Phones(one, DialOrder::AllAtOnce), "session.transfer")
                }
                to @ TransferTo::Phones(..) => (to, "session.transfer"),
                to @ TransferTo::Extension(_) => (to, "session.transfer_extension"),
                to @ TransferTo::Flow(_) => (to, "session.flow_transfer"),
                to @ TransferTo::Bot(_) => (to, "session.transfer_ws"),
                TransferTo::NamedBot(_) => return vec![],
            };
            vec![CallCommand::Transfer(Transfer { to, command })]
        }
        CallCommand::Answer | CallCommand::Flow(_) | CallCommand::Invalid(_) | CallCommand::Unknown(_) => {
            vec![]
        }
        kept => vec![kept],
    }
}

const PIECES: &[&str] = &[
    r#"{"event":"start","start":{"stream_sid":"1.2","call_sid":"c","media_format":{"encoding":"raw/slin"}}}"#,
    r#"{"event":"media","media":{"payload":""#,
    r#""}}"#,
    r#"{"type":"response.audio.delta","delta":"AAA="}"#,
    r#"{"type":"session.transfer","destination":["#,
    r#""09876543210","#,
    r#"]}"#,
    r#"{"type":"session.dtmf","dtmf":"1w2"}"#,
    r#"{"event":"stop","stop":{"reason":"stopped"}}"#,
    "[[[[",
    "{\"\\ud800\":",
];

proptest! {
    #[test]
    fn events_said_to_a_bot_are_heard_in_their_canonical_form(
        mut said in proptest::collection::vec(any_event(), 0..12), end in any_end()
    ) {
        let (mut bot_side, mut phone_side) = started(ROW.default_audio);
        said.push(Part::Item(CallEvent::Ended(end)));
        let heard = carry(&mut *bot_side, &mut *phone_side, &said);
        prop_assert_eq!(heard, canonical(&said, canonical_event));
    }

    #[test]
    fn commands_said_to_a_platform_are_heard_in_their_canonical_form(
        said in proptest::collection::vec(any_command(), 0..12)
    ) {
        let (mut bot_side, mut phone_side) = started(ROW.default_audio);
        let heard = carry(&mut *phone_side, &mut *bot_side, &said);
        prop_assert_eq!(heard, canonical(&said, canonical_command));
    }

    #[test]
    fn any_text_or_bytes_are_borne(text in any_near_message(PIECES), bytes in any::<Vec<u8>>()) {
        feed_both_ends(&ROW, Wire::Text(&text));
        feed_both_ends(&ROW, Wire::Binary(&bytes));
    }
}

#[test]
fn a_start_is_heard_with_all_that_was_said_and_word_for_word() {
    for format in [MediaFormat::linear16(16_000), MediaFormat::PCMU_8K, MediaFormat::PCMA_8K] {
        let audio = WireAudio { format, ..ROW.default_audio };
        let (mut bot_side, mut phone_side) = laws::ends(&ROW, audio);
        let said = start(format);
        let heard =
            carry(&mut *bot_side, &mut *phone_side, &[Part::Item(CallEvent::Started(said.clone().into()))]);
        let [Part::Item(CallEvent::Started(heard))] = heard.as_slice() else { panic!("{heard:?}") };
        assert!(heard.raw.as_ref().unwrap().starts_with(r#"{"event":"start","sequence_number":1,"#));
        let mut expected = said;
        expected.raw = heard.raw.clone();
        expected.other_leg_id = heard.call_id.as_str().to_owned();
        assert_eq!(**heard, expected);
        assert_eq!(phone_side.format(), format);
    }
}

#[test]
fn nothing_is_written_before_the_start_or_after_the_stop() {
    let (mut bot_side, _) = laws::ends(&ROW, ROW.default_audio);
    let mut out = Out::new();
    bot_side.encode(&CallEvent::Cleared, Moment::START, &mut out);
    bot_side.encode_audio(&[0; 320], Moment::START, &mut out);
    assert_eq!(out.messages().count(), 0);
    let (mut bot_side, _) = started(ROW.default_audio);
    bot_side.encode(&CallEvent::Ended(EndedStream::Handed), Moment::START, &mut out);
    assert_eq!(out.messages().count(), 1);
    bot_side.encode(&CallEvent::Ended(EndedStream::Handed), Moment::START, &mut out);
    bot_side.encode_audio(&[0; 320], Moment::START, &mut out);
    assert_eq!(out.messages().count(), 1);
}

#[test]
fn a_bot_that_wants_quiet_is_not_told_of_refusals() {
    let settings = BotSideSettings {
        audio: ROW.default_audio,
        record: RecordWish::Send,
        refusals: RefusalWish::Quiet,
        mapping: None,
        engine: None,
    };
    let mut bot_side = (ROW.bot_side)(&settings);
    let mut out = Out::new();
    bot_side.encode(&CallEvent::Started(start(ROW.default_audio.format).into()), Moment::START, &mut out);
    let before = out.messages().count();
    let refusal = CommandRefusal {
        code: "not_supported",
        message: "no".to_owned(),
        command: "session.transfer".into(),
    };
    bot_side.encode(&CallEvent::Refused(refusal), Moment::START, &mut out);
    assert_eq!(out.messages().count(), before);
}

#[test]
fn a_command_with_an_impossible_argument_is_refused_with_a_reason_that_hides_it() {
    let cases = [
        (r#"{"type":"session.dtmf","dtmf":"12x4"}"#, "invalid_digits"),
        (r#"{"type":"session.dtmf","dtmf":""}"#, "invalid_digits"),
        (r#"{"type":"session.transfer","destination":[]}"#, "invalid_destination"),
        (r#"{"type":"session.transfer","destination":["0987654321","sip:x@y"]}"#, "invalid_destination"),
        (r#"{"type":"session.transfer","destination":"0987654321","strategy":"random"}"#, "invalid_strategy"),
        (r#"{"type":"session.transfer_ws","url":"http://bot.example.com"}"#, "invalid_url"),
        (r#"{"type":"session.transfer_ws","url":"wss://a b"}"#, "invalid_url"),
        (r#"{"type":"session.flow_transfer","flow_id":""}"#, "invalid_flow"),
        (r#"{"type":"session.transfer_extension","extension":"\n"}"#, "invalid_extension"),
    ];
    for (text, code) in cases {
        let (refused, message) = refusal(text);
        assert_eq!(refused, code, "{text}");
        assert!(!message.contains("987"), "{message}");
    }
    let many = format!(r#"{{"type":"session.transfer","destination":[{}"1"]}}"#, r#""1","#.repeat(16));
    assert_eq!(refusal(&many).1, "destination: expected 1 to 10 telephone numbers");
}

#[test]
fn numbers_to_dial_may_be_written_as_people_write_them() {
    let text = r#"{"type":"session.transfer","destination":["+91 (98765) 432-10",9876543211]}"#;
    let Ok(CallCommand::Transfer(transfer)) = command(text) else { panic!("not a transfer") };
    let TransferTo::Phones(phones, DialOrder::AllAtOnce) = transfer.to else {
        panic!("not to phones at once")
    };
    let phones: Vec<_> = phones.iter().map(|phone| phone.as_str().to_owned()).collect();
    assert_eq!(phones, ["+919876543210", "9876543211"]);
}

#[test]
fn a_command_without_its_argument_is_refused_in_words() {
    for (text, code, sentence) in [
        (r#"{"type":"session.dtmf"}"#, "invalid_digits", "field `dtmf` is missing"),
        (r#"{"type":"session.transfer"}"#, "invalid_destination", "field `destination` is missing"),
        (
            r#"{"type":"session.transfer","destination":{}}"#,
            "invalid_destination",
            "field `destination` has a wrong type or value",
        ),
        (r#"{"type":"session.transfer_ws","url":null}"#, "invalid_url", "field `url` is missing"),
        (r#"{"type":"session.flow_transfer"}"#, "invalid_flow", "field `flow_id` is missing"),
        (r#"{"type":"session.transfer_extension"}"#, "invalid_extension", "field `extension` is missing"),
    ] {
        let Ok(CallCommand::Invalid(refusal)) = command(text) else { panic!("{text}") };
        assert_eq!((refusal.code, refusal.message.as_str()), (code, sentence), "{text}");
    }
}

#[test]
fn broken_messages_say_what_is_broken_and_unknown_ones_are_kept() {
    let long = "x".repeat(super::MARK_NAME_BYTES_MAX + 1);
    let long = format!(r#"{{"event":"mark","mark":{{"name":"{long}"}}}}"#);
    let cases = [
        ("", Malformed::NotJson),
        ("[]", Malformed::NotJson),
        (r#"["media",null,null,["AAAA"]]"#, Malformed::NotJson),
        (r#"{"type":"session.hangup""#, Malformed::NotJson),
        (r#"{"type":"session.hangup"} x"#, Malformed::NotJson),
        ("{}", Malformed::Missing("event")),
        (r#"{"event":{}}"#, Malformed::Field("event or type")),
        (r#"{"event":"media"}"#, Malformed::Missing("media.payload")),
        (r#"{"event":"media","media":7}"#, Malformed::Missing("media.payload")),
        (r#"{"event":"media","media":{"payload":"AA*="}}"#, Malformed::Base64("media.payload")),
        (r#"{"type":"response.audio.delta"}"#, Malformed::Missing("delta")),
        (r#"{"type":"response.audio.delta","delta":"A"}"#, Malformed::Base64("delta")),
        (r#"{"type":"response.audio.delta","delta":[]}"#, Malformed::Field("delta")),
        (r#"{"event":"mark","mark":{}}"#, Malformed::Missing("mark.name")),
        (long.as_str(), Malformed::Field("mark.name")),
    ];
    for (text, malformed) in cases {
        assert_eq!(command(text), Err(malformed), "{text}");
    }
    for text in [r#"{"type":"response.done"}"#, r#"{"event":"hello","media":7,"delta":[]}"#] {
        let Ok(CallCommand::Unknown(raw)) = command(text) else { panic!("{text}") };
        assert_eq!(raw.as_str(), text);
    }
}

#[test]
fn the_answer_to_our_clear_drops_nothing_and_the_platforms_own_clear_does() {
    let (_, mut phone_side) = laws::ends(&ROW, ROW.default_audio);
    let mut out = Out::new();
    let start = r#"{"event":"start","stream_sid":"1.2","start":{"call_sid":"c"}}"#;
    phone_side.decode(Wire::Text(start), Moment::START, &mut out).unwrap();
    let clears = |phone_side: &mut PhoneSide, ms| {
        let mut out = Out::new();
        let text = r#"{"event":"clear","stream_sid":"1.2"}"#;
        phone_side.decode(Wire::Text(text), Moment::from_millis(ms), &mut out).unwrap();
        out.heard().len()
    };
    for ms in [100, 200] {
        phone_side.encode(&CallCommand::Clear, Moment::from_millis(ms), &mut out);
    }
    assert_eq!((clears(&mut *phone_side, 300), clears(&mut *phone_side, 310)), (0, 0));
    assert_eq!(clears(&mut *phone_side, 320), 1, "nobody asked for a third");
    phone_side.encode(&CallCommand::Clear, Moment::from_millis(400), &mut out);
    assert_eq!(clears(&mut *phone_side, 2_401), 1, "an answer does not take so long");
}

#[test]
fn a_platform_that_breaks_the_order_is_told_apart_and_ends_nothing() {
    let (_, mut phone_side) = laws::ends(&ROW, ROW.default_audio);
    let mut out = Out::new();
    let mut hear = |text: &str| phone_side.decode(Wire::Text(text), Moment::START, &mut out);
    let media = r#"{"event":"media","media":{"payload":"AAA="}}"#;
    let start = r#"{"event":"start","stream_sid":"1.2","start":{"call_sid":"c"}}"#;
    assert_eq!(hear(media), Err(Malformed::Unexpected("media")));
    assert_eq!(hear(r#"{"event":"clear"}"#), Err(Malformed::Unexpected("clear")));
    assert_eq!(hear(r#"{"event":"start"}"#), Err(Malformed::Missing("start")));
    assert_eq!(hear(r#"{"event":"start","start":{}}"#), Err(Malformed::Missing("stream_sid")));
    let opus = r#"{"event":"start","start":{"stream_sid":"1","media_format":{"encoding":"opus"}}}"#;
    assert_eq!(hear(opus), Err(Malformed::Field("start.media_format.encoding")));
    let rate = r#"{"event":"start","start":{"stream_sid":"1","media_format":{"sample_rate":11025}}}"#;
    assert_eq!(hear(rate), Err(Malformed::Field("start.media_format.sample_rate")));
    assert_eq!(hear(start), Ok(()));
    assert_eq!(hear(start), Err(Malformed::Unexpected("start")));
    assert_eq!(hear(media), Ok(()));
    assert_eq!(hear(r#"{"event":"stop","stop":{"call_sid":"another"}}"#), Ok(()));
    assert_eq!(hear(r#"{"event":"stop"}"#), Err(Malformed::Unexpected("stop")));
    assert_eq!(hear(media), Err(Malformed::Unexpected("media")));
}

#[test]
fn an_exotel_start_with_its_rate_in_quotes_is_understood() {
    let (_, mut phone_side) = laws::ends(&ROW, ROW.default_audio);
    let text = r#"{"event":"start","sequence_number":"1","stream_sid":"s","start":{"stream_sid":"s","call_sid":"c",
        "account_sid":"a","from":9876543210,"to":"18001234567","custom_parameters":{"a":"b","n":7},
        "media_format":{"encoding":"base64","sample_rate":"16000","bit_rate":"128kbps"}}}"#;
    let mut out = Out::new();
    phone_side.decode(Wire::Text(text), Moment::START, &mut out).unwrap();
    let [Heard::Item(CallEvent::Started(start))] = out.heard() else { panic!("{:?}", out.heard()) };
    assert_eq!(start.format, MediaFormat::linear16(16_000));
    assert_eq!((start.from.as_str(), start.account.as_str()), ("9876543210", "a"));
    assert_eq!(start.custom, [("a".to_owned(), "b".to_owned()), ("n".to_owned(), "7".to_owned())]);
}

#[test]
fn refusals_and_digits_of_a_platform_are_heard_in_our_words() {
    let text = r#"{"event":"error","stream_sid":"s","error":{"code":"E42","message":"busy","command":"x"}}"#;
    let Ok(CallEvent::Refused(refusal)) = event(text) else { panic!("not a refusal") };
    assert_eq!((refusal.code, refusal.message.as_str(), &*refusal.command), ("refused", "busy", "x"));
    let unknown = CallEvent::Digit(DigitPress { digit: Digit::ALL[1], duration: None });
    for text in
        [r#"{"event":"dtmf","dtmf":{"digit":"1","duration":0}}"#, r#"{"event":"dtmf","dtmf":{"digit":1}}"#]
    {
        assert_eq!(event(text).as_ref(), Ok(&unknown), "{text}");
    }
    assert_eq!(event(r#"{"event":"dtmf","dtmf":{"digit":"12"}}"#), Err(Malformed::Field("dtmf.digit")));
    assert_eq!(event(r#"{"event":"dtmf","dtmf":{}}"#), Err(Malformed::Missing("dtmf.digit")));
}

#[test]
fn every_documented_audio_wish_is_granted_and_others_name_what_is_possible() {
    let wish = |encoding: &str, rate, frame_ms: u64| {
        (ROW.audio)(&AudioWish {
            encoding: Some(encoding.to_owned()),
            sample_rate: rate,
            frame: Some(Duration::from_millis(frame_ms)),
        })
    };
    for (word, rate, format) in [
        ("pcm", Some(8_000), MediaFormat::linear16(8_000)),
        ("linear16", Some(16_000), MediaFormat::linear16(16_000)),
        ("slin", Some(24_000), MediaFormat::linear16(24_000)),
        ("pcm", None, MediaFormat::linear16(8_000)),
        ("mulaw", None, MediaFormat::PCMU_8K),
        ("ulaw", None, MediaFormat::PCMU_8K),
        ("g711_ulaw", Some(8_000), MediaFormat::PCMU_8K),
        ("alaw", Some(8_000), MediaFormat::PCMA_8K),
    ] {
        assert_eq!(
            wish(word, rate, 10),
            Ok(WireAudio { format, frame: Duration::from_millis(10) }),
            "{word}"
        );
    }
    assert_eq!((ROW.audio)(&AudioWish::default()), Ok(ROW.default_audio));
    assert_eq!(
        wish("opus", Some(48_000), 20).unwrap_err(),
        "audio encoding \"opus\": possible are pcm (or linear16, slin) at 8000, 16000 or 24000, \
         mulaw (or ulaw, g711_ulaw) at 8000, alaw at 8000"
    );
    // What vendors write on the wire is no configuration.
    for word in
        ["base64", "audio/x-l16", "raw/slin", "pcm16", "pcmu", "pcma", "g711_alaw", "audio/x-mulaw", "PCM"]
    {
        assert!(wish(word, None, 20).is_err(), "{word}");
    }
    assert!(
        wish("mulaw", Some(16_000), 20)
            .unwrap_err()
            .starts_with("audio at 16000 samples per second: possible")
    );
    for frame_ms in [0, 5, 25, 210] {
        assert_eq!(
            wish("pcm", None, frame_ms).unwrap_err(),
            "audio frame: possible are 10ms to 200ms in steps of 10ms"
        );
    }
}
