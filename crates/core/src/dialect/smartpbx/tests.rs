//! What `smartpbx` must hold beyond its talks: the law of both ends, containers, numbers, reasons, bad input.

use std::time::Duration;

use proptest::prelude::*;

use super::{PCM16, ROW, audio};
use crate::dialect::json::write_base64;
use crate::dialect::laws::{
    self, Part, any_command, any_end, any_event, any_near_message, canonical, carry, feed_both_ends, start,
};
use crate::dialect::registry::AudioWish;
use crate::dialect::{BotSide, Heard, Malformed, Out, PhoneSide, Wire, WireAudio};
use crate::media::{Level, MediaFormat, SineTone};
use crate::vocabulary::{
    CallCommand, CallEvent, CallStart, Cause, DigitPress, EndedStream, HangUpWhen, Moment, PhoneNumber,
    REASONS, Reason,
};

/// Both ends after the start.
fn started(audio: WireAudio) -> (Box<BotSide>, Box<PhoneSide>) {
    let (mut bot_side, mut phone_side) = laws::ends(&ROW, audio);
    let start = CallEvent::Started(Box::new(start(audio.format)));
    carry(&mut *bot_side, &mut *phone_side, &[Part::Item(start)]);
    (bot_side, phone_side)
}

/// The messages that one event becomes after `start`.
fn written(start: CallStart, event: Option<CallEvent>) -> Vec<String> {
    let (mut bot_side, _) = laws::ends(&ROW, ROW.default_audio);
    let mut out = Out::new();
    bot_side.encode(&CallEvent::Started(Box::new(start)), Moment::START, &mut out);
    if let Some(event) = event {
        bot_side.encode(&event, Moment::START, &mut out);
    }
    let text = |wire| if let Wire::Text(text) = wire { text } else { "binary" }.to_owned();
    out.messages().map(|(_, wire)| text(wire)).collect()
}

/// What a phone side makes of one message after the start.
fn event(text: &str) -> Result<CallEvent, Malformed> {
    let (_, mut phone_side) = started(ROW.default_audio);
    let mut out = Out::new();
    phone_side.decode(Wire::Text(text), Moment::START, &mut out)?;
    let [Heard::Item(event)] = out.heard() else { panic!("{:?}", out.heard()) };
    Ok(event.clone())
}

/// Reasons whose words are the same on this wire are one reason when heard.
fn canonical_cause(cause: Cause) -> Cause {
    Cause::new(match cause.row().smartpbx {
        "NORMAL_CLEARING" => Reason::CallerHungUp,
        _ => Reason::Canceled,
    })
}

fn canonical_event(event: &CallEvent) -> Vec<CallEvent> {
    match event {
        CallEvent::Digit(DigitPress { digit, duration }) => {
            let duration = duration.filter(|duration| !duration.is_zero());
            vec![CallEvent::Digit(DigitPress { digit: *digit, duration })]
        }
        CallEvent::Ended(EndedStream::CallEnded(cause)) => {
            vec![CallEvent::Ended(EndedStream::CallEnded(canonical_cause(*cause)))]
        }
        CallEvent::Ended(EndedStream::Handed) => {
            vec![CallEvent::Ended(EndedStream::CallEnded(Cause::new(Reason::CallerHungUp)))]
        }
        _ => vec![],
    }
}

const PIECES: &[&str] = &[
    r#"{"event":"start","start":{"callId":"c","mediaFormat":{"encoding":"pcm16","sampleRate":24000}}}"#,
    r#"{"event":"media","media":{"payload":""#,
    "GkXfo5ChoEBQveBAULygQRC",
    r#""}}"#,
    r#"{"event":"dtmf","dtmf":{"digit":"5","duration":"100"}}"#,
    r#"{"event":"hangup","hangup":{"reason":"USER_BUSY"}}"#,
    "[[[[",
    "{\"\\ud800\":",
];

proptest! {
    #[test]
    fn events_said_to_a_provider_are_heard_in_their_canonical_form(
        mut said in proptest::collection::vec(any_event(), 0..12), end in any_end()
    ) {
        let (mut bot_side, mut phone_side) = started(ROW.default_audio);
        said.push(Part::Item(CallEvent::Ended(end)));
        let heard = carry(&mut *bot_side, &mut *phone_side, &said);
        prop_assert_eq!(heard, canonical(&said, canonical_event));
    }

    #[test]
    fn of_commands_only_audio_reaches_the_pbx(said in proptest::collection::vec(any_command(), 0..12)) {
        let (mut bot_side, mut phone_side) = started(ROW.default_audio);
        let heard = carry(&mut *phone_side, &mut *bot_side, &said);
        prop_assert_eq!(heard, canonical(&said, |_: &CallCommand| vec![]));
    }

    #[test]
    fn any_text_or_bytes_are_borne(text in any_near_message(PIECES), bytes in any::<Vec<u8>>()) {
        feed_both_ends(&ROW, Wire::Text(&text));
        feed_both_ends(&ROW, Wire::Binary(&bytes));
    }
}

#[test]
fn a_start_is_heard_with_all_that_the_wire_carries() {
    for format in [PCM16, MediaFormat::PCMU_8K] {
        let (mut bot_side, mut phone_side) = laws::ends(&ROW, WireAudio { format, ..ROW.default_audio });
        let said = start(format);
        let heard =
            carry(&mut *bot_side, &mut *phone_side, &[Part::Item(CallEvent::Started(said.clone().into()))]);
        let [Part::Item(CallEvent::Started(heard))] = heard.as_slice() else { panic!("{heard:?}") };
        let mut expected = said;
        expected.raw = heard.raw.clone();
        expected.custom.clear();
        // The wire has one id for the call and its stream.
        expected.stream_id = crate::vocabulary::StreamId::from_wire(expected.call_id.as_str());
        assert_eq!(**heard, expected);
        assert_eq!(phone_side.format(), format);
    }
}

#[test]
fn numbers_are_e164_where_they_can_be_and_as_received_where_not() {
    let numbers = |from: &str, to: &str, country: Option<&str>| {
        let start = CallStart {
            from: PhoneNumber::new(from),
            to: PhoneNumber::new(to),
            country: country.map(str::to_owned),
            ..start(PCM16)
        };
        let text = written(start, None).remove(0);
        let json: serde_json::Value = serde_json::from_str(&text).unwrap();
        let number = |key: &str| json["start"][key].as_str().unwrap().to_owned();
        (number("callerIdNumber"), number("calleeIdNumber"))
    };
    let pair = |from: &str, to: &str| (from.to_owned(), to.to_owned());
    assert_eq!(numbers("09876543210", "alice", Some("91")), pair("+919876543210", "alice"));
    assert_eq!(numbers("9876543210", "+1234567891", None), pair("9876543210", "+1234567891"));
}

#[test]
fn the_other_leg_is_never_empty() {
    let text = written(CallStart { other_leg_id: String::new(), ..start(PCM16) }, None).remove(0);
    assert!(text.contains(r#""otherLegCallId":"call_1707204900000_a1b2c3""#), "{text}");
    let (_, mut phone_side) = laws::ends(&ROW, ROW.default_audio);
    let mut out = Out::new();
    let start = r#"{"event":"start","start":{"callId":"c","otherLegCallId":""}}"#;
    phone_side.decode(Wire::Text(start), Moment::START, &mut out).unwrap();
    let [Heard::Item(CallEvent::Started(start))] = out.heard() else { panic!("{:?}", out.heard()) };
    assert_eq!(start.other_leg_id, "c");
}

#[test]
fn every_cause_hangs_up_with_its_word_and_the_account() {
    for row in &REASONS {
        let ended = CallEvent::Ended(EndedStream::CallEnded(Cause::new(row.reason)));
        let text = written(start(PCM16), Some(ended)).remove(1);
        let expected = format!(
            "{}{}\"}}}}",
            r#"{"event":"hangup","hangup":{"callId":"call_1707204900000_a1b2c3","otherLegCallId":"leg_1","accountId":"patchcord","reason":""#,
            row.smartpbx
        );
        assert_eq!(text, expected);
    }
}

#[test]
fn reasons_of_a_pbx_become_causes() {
    let cause = |body: &str| event(&format!(r#"{{"event":"hangup"{body}}}"#));
    let ended = |reason| Ok(CallEvent::Ended(EndedStream::CallEnded(Cause::new(reason))));
    assert_eq!(cause(r#","hangup":{"reason":"NORMAL_CLEARING"}"#), ended(Reason::CallerHungUp));
    assert_eq!(cause(r#","hangup":{"reason":"ORIGINATOR_CANCEL"}"#), ended(Reason::Canceled));
    assert_eq!(cause(r#","hangup":{"reason":"USER_BUSY"}"#), ended(Reason::Canceled));
    assert_eq!(cause(r#","hangup":{"reason":"else"}"#), ended(Reason::CallerHungUp));
    assert_eq!(cause(""), ended(Reason::CallerHungUp));
}

#[test]
fn audio_that_begins_like_a_file_is_refused_by_name_and_raw_audio_is_not() {
    let payload = |bytes: &[u8]| {
        let mut text = br#"{"event":"media","media":{"payload":""#.to_vec();
        write_base64(&mut text, bytes);
        text.extend_from_slice(br#""}}"#);
        let (mut bot_side, mut phone_side) = started(ROW.default_audio);
        let wire = Wire::Text(std::str::from_utf8(&text).unwrap());
        let at_bot_side = bot_side.decode(wire, Moment::START, &mut Out::new());
        assert_eq!(phone_side.decode(wire, Moment::START, &mut Out::new()), at_bot_side);
        at_bot_side
    };
    assert_eq!(payload(&[0x1a, 0x45, 0xdf, 0xa3]), Err(Malformed::Audio("WebM (EBML)")));
    assert_eq!(payload(b"\x1a\x45\xdf\xa3\x9f\x42\x86"), Err(Malformed::Audio("WebM (EBML)")));
    assert_eq!(payload(b"OggS\0\x02"), Err(Malformed::Audio("Ogg")));
    assert_eq!(payload(b"OggR\0\x02"), Ok(()));
    assert_eq!(payload(&[0x1a, 0x45, 0xdf, 0x3f]), Ok(()));
    // The seed's own example is cut short by dots and has to be known all the same.
    let (mut bot_side, _) = started(ROW.default_audio);
    let example =
        r#"{"event":"media","media":{"payload":"GkXfo59ChoEBQveBAULygQRC84EIQoKEd2VibUKHgQCh..."}}"#;
    let refused = bot_side.decode(Wire::Text(example), Moment::START, &mut Out::new());
    assert_eq!(refused.unwrap_err().to_string(), "audio in WebM (EBML), which was not agreed on");
    let binary = bot_side.decode(Wire::Binary(&[0; 960]), Moment::START, &mut Out::new());
    assert_eq!(binary, Err(Malformed::Audio("a binary message")));
}

#[test]
fn a_provider_hangs_up_by_closing_the_connection() {
    let (_, mut phone_side) = started(ROW.default_audio);
    let mut out = Out::new();
    for command in [CallCommand::Answer, CallCommand::Clear, CallCommand::Mark { name: "m".into() }] {
        phone_side.encode(&command, Moment::START, &mut out);
    }
    assert_eq!((out.messages().count(), out.close_code()), (0, None));
    phone_side.encode(&CallCommand::HangUp(HangUpWhen::AfterPlayout), Moment::START, &mut out);
    assert_eq!((out.messages().count(), out.close_code()), (0, Some(1000)));
}

#[test]
fn broken_messages_say_what_is_broken_and_the_order_is_kept() {
    let (_, mut phone_side) = laws::ends(&ROW, ROW.default_audio);
    let mut out = Out::new();
    let mut hear = |text: &str| phone_side.decode(Wire::Text(text), Moment::START, &mut out);
    let media = r#"{"event":"media","media":{"payload":"AAA="}}"#;
    let start =
        |format: &str| format!(r#"{{"event":"start","start":{{"callId":"c","mediaFormat":{format}}}}}"#);
    for (text, malformed) in [
        ("null", Malformed::NotJson),
        (r#"["media",["AAAA"]]"#, Malformed::NotJson),
        ("{", Malformed::NotJson),
        (r#"{"type":"media"}"#, Malformed::Missing("event")),
        (r#"{"event":[]}"#, Malformed::Field("event")),
        (media, Malformed::Unexpected("media")),
        (r#"{"event":"media","media":"AAA="}"#, Malformed::Field("media")),
        (r#"{"event":"dtmf","dtmf":{"digit":"1"}}"#, Malformed::Unexpected("dtmf")),
        (r#"{"event":"hangup"}"#, Malformed::Unexpected("hangup")),
        (r#"{"event":"start"}"#, Malformed::Missing("start")),
        (r#"{"event":"start","start":{}}"#, Malformed::Missing("start.callId")),
        (
            &start(r#"{"encoding":"opus","sampleRate":8000}"#),
            Malformed::Field("start.mediaFormat.sampleRate"),
        ),
        (&start(r#"{"encoding":"mp3"}"#), Malformed::Field("start.mediaFormat.encoding")),
        (
            &start(r#"{"encoding":"pcm16","sampleRate":8000}"#),
            Malformed::Field("start.mediaFormat.sampleRate"),
        ),
    ] {
        assert_eq!(hear(text), Err(malformed), "{text}");
    }
    assert_eq!(hear(r#"{"event":"connected"}"#), Ok(()));
    assert_eq!(hear(&start(r#"{"encoding":"g711_ulaw","sampleRate":"8000"}"#)), Ok(()));
    assert_eq!(hear(&start("null")), Err(Malformed::Unexpected("start")));
    assert_eq!(hear(media), Ok(()));
    assert_eq!(hear(r#"{"event":"dtmf","dtmf":{"digit":"55"}}"#), Err(Malformed::Field("dtmf.digit")));
    assert_eq!(hear(r#"{"event":"transfer"}"#), Ok(()));
    assert_eq!(hear(r#"{"event":"stop"}"#), Ok(()));
    assert_eq!(hear(media), Err(Malformed::Unexpected("media")));
    assert_eq!(phone_side.format(), MediaFormat::PCMU_8K);
}

#[test]
fn every_documented_audio_wish_is_granted_and_others_are_told_what_is_possible() {
    let wish = |encoding: Option<&str>, sample_rate| {
        let wish = AudioWish { encoding: encoding.map(str::to_owned), sample_rate, frame: None };
        audio(&wish).map(|audio| audio.format)
    };
    assert_eq!(wish(Some("pcm16"), Some(24_000)), Ok(PCM16));
    assert_eq!(wish(Some("pcm16"), None), Ok(PCM16));
    assert_eq!(wish(Some("g711_ulaw"), Some(8_000)), Ok(MediaFormat::PCMU_8K));
    assert_eq!(wish(None, Some(8_000)), Ok(MediaFormat::PCMU_8K));
    assert_eq!(wish(None, None), Ok(PCM16));
    assert_eq!(wish(Some("opus"), Some(48_000)), Ok(MediaFormat::linear16(48_000)));
    assert_eq!(wish(Some("opus"), None), Ok(MediaFormat::linear16(48_000)));
    let possible = "possible are pcm16 at 24000, g711_ulaw at 8000 and opus at 48000";
    assert_eq!(wish(Some("mp3"), None), Err(format!("audio encoding \"mp3\": {possible}")));
    assert_eq!(
        wish(Some("pcm16"), Some(8_000)),
        Err(format!("audio encoding pcm16 at 8000 samples per second: {possible}"))
    );
    let frame = AudioWish { frame: Some(Duration::from_millis(15)), ..AudioWish::default() };
    assert_eq!(audio(&frame).unwrap_err(), "audio frame: possible are 10ms to 200ms in steps of 10ms");
    let packets = AudioWish {
        encoding: Some("opus".into()),
        frame: Some(Duration::from_millis(40)),
        sample_rate: None,
    };
    assert_eq!(audio(&packets).unwrap_err(), "audio frame: opus has packets of 20ms");
}

/// Frames of a tone at 48 kHz, each said on its own.
fn opus_frames() -> Vec<Vec<u8>> {
    let mut tone = SineTone::new(48_000, 440.0, 8_000);
    let frame = |_| {
        let mut samples = [0; 960];
        tone.fill(&mut samples);
        samples.iter().flat_map(|sample| sample.to_le_bytes()).collect()
    };
    (0..20).map(frame).collect()
}

#[test]
fn each_frame_of_opus_is_one_packet_and_is_heard_at_the_other_end() {
    let audio = audio(&AudioWish { encoding: Some("opus".into()), ..AudioWish::default() }).unwrap();
    let (mut bot_side, mut phone_side) = laws::ends(&ROW, audio);
    let (mut says, mut hears) = (Out::new(), Out::new());
    bot_side.encode(&CallEvent::Started(Box::new(start(audio.format))), Moment::START, &mut says);
    let text = |out: &Out<CallCommand>| match out.messages().next() {
        Some((_, Wire::Text(text))) => text.to_owned(),
        other => panic!("{other:?}"),
    };
    assert!(text(&says).contains(r#""mediaFormat":{"encoding":"opus","sampleRate":48000}"#));
    phone_side.decode(Wire::Text(&text(&says)), Moment::START, &mut hears).unwrap();
    assert_eq!(phone_side.format(), MediaFormat::linear16(48_000));
    let mut power = 0.0;
    for frame in opus_frames() {
        says.clear();
        bot_side.encode_audio(&frame, Moment::START, &mut says);
        let message = text(&says);
        assert!(message.len() < 500, "{} bytes are no packet of speech", message.len());
        hears.clear();
        phone_side.decode(Wire::Text(&message), Moment::START, &mut hears).unwrap();
        let heard = hears.heard().first().unwrap();
        let Heard::Audio(span) = heard else { panic!("{heard:?}") };
        let heard = hears.audio(span);
        assert_eq!(heard.len(), frame.len());
        power = Level::of_frame(MediaFormat::linear16(48_000), heard).mean_square;
    }
    let said = Level::of_frame(MediaFormat::linear16(48_000), &opus_frames()[19]).mean_square;
    assert!((0.8..1.25).contains(&(power / said)), "{power} of {said}");
}

#[test]
fn what_is_no_packet_of_opus_is_refused_and_frames_of_any_length_become_packets_of_20_ms() {
    let (_, mut phone_side) = laws::ends(&ROW, ROW.default_audio);
    let mut out = Out::new();
    let start =
        r#"{"event":"start","start":{"callId":"c","mediaFormat":{"encoding":"opus","sampleRate":48000}}}"#;
    phone_side.decode(Wire::Text(start), Moment::START, &mut out).unwrap();
    for (payload, malformed) in [
        ("GkXfo59ChoEBQveBAULygQRC84EIQoKEd2VibUKHgQCh", Malformed::Audio("WebM (EBML)")),
        ("T2dnUwACAAAAAAAA", Malformed::Audio("Ogg")),
        // 63 frames of 20 ms in one packet.
        ("Cz8A", Malformed::Audio("no packet of opus")),
        ("A*A=", Malformed::Base64("media.payload")),
    ] {
        let media = format!(r#"{{"event":"media","media":{{"payload":"{payload}"}}}}"#);
        assert_eq!(
            phone_side.decode(Wire::Text(&media), Moment::START, &mut out),
            Err(malformed),
            "{payload}"
        );
    }
    for (bytes, packets) in [(960, 0), (960, 1), (3_840, 2), (2_880, 1), (2_880, 2)] {
        out.clear();
        phone_side.encode_audio(&vec![1; bytes], Moment::START, &mut out);
        assert_eq!(out.messages().count(), packets, "{bytes}");
    }
}
