//! What `ozonetel` must hold beyond its talks: the law of both ends, rates, formats, bad input.

use proptest::prelude::*;

use super::{FORMAT, ROW, audio};
use crate::dialect::laws::{
    self, Part, any_command, any_end, any_event, any_near_message, canonical, carry, feed_both_ends, start,
};
use crate::dialect::registry::AudioWish;
use crate::dialect::{BotSide, Heard, Out, PhoneSide, Wire};
use crate::vocabulary::{
    CallCommand, CallEvent, Cause, EndedStream, HangUpWhen, MarkOutcome, Moment, PhoneNumber, Reason,
    StreamId,
};

/// Both ends after the start.
fn started() -> (Box<BotSide>, Box<PhoneSide>) {
    let (mut bot_side, mut phone_side) = laws::ends(&ROW, ROW.default_audio);
    let start = CallEvent::Started(Box::new(start(FORMAT)));
    carry(&mut *bot_side, &mut *phone_side, &[Part::Item(start)]);
    (bot_side, phone_side)
}

/// Whole samples in packets of 80, the last one filled up with silence.
fn padded<T: Clone>(said: &[Part<T>]) -> Vec<Part<T>> {
    let pad = |part: &Part<T>| match part {
        Part::Audio(audio) => {
            let mut audio = audio[..audio.len() / 2 * 2].to_vec();
            audio.resize(audio.len().div_ceil(160) * 160, 0);
            Part::Audio(audio)
        }
        Part::Item(item) => Part::Item(item.clone()),
    };
    said.iter().map(pad).collect()
}

fn canonical_event(event: &CallEvent) -> Vec<CallEvent> {
    match event {
        CallEvent::Mark { outcome: MarkOutcome::Played, .. } => vec![event.clone()],
        CallEvent::Ended(_) => {
            vec![CallEvent::Ended(EndedStream::CallEnded(Cause::new(Reason::CallerHungUp)))]
        }
        _ => vec![],
    }
}

fn canonical_command(command: &CallCommand) -> Vec<CallCommand> {
    match command {
        CallCommand::Clear => vec![CallCommand::Clear],
        CallCommand::HangUp(_) => vec![CallCommand::HangUp(HangUpWhen::AfterPlayout)],
        _ => vec![],
    }
}

/// What a phone side hears of messages after the minimal start, as joined audio.
fn heard_audio(messages: &[&str]) -> Vec<u8> {
    let (_, mut phone_side) = started();
    let mut joined = Vec::new();
    for message in messages {
        let mut out = Out::new();
        phone_side.decode(Wire::Text(message), Moment::START, &mut out).unwrap();
        for heard in out.heard() {
            let Heard::Audio(span) = heard else { panic!("{heard:?}") };
            joined.extend_from_slice(out.audio(span));
        }
    }
    joined
}

fn packet(samples: &[i16], rate: u32) -> String {
    format!(r#"{{"event":"media","ucid":"u","data":{{"samples":{samples:?},"sampleRate":{rate}}}}}"#)
}

const PIECES: &[&str] = &[
    r#"{"event":"start","ucid":"u","x_headers":"{\"a\":1}"}"#,
    r#"{"event":"media","type":"media","ucid":"u","data":{"samples":[1,-2,"#,
    r#"{"event":"media","data":{"sampleRate":24000,"samples":["#,
    "32767,-32768",
    r#"],"bitsPerSample":16,"sampleRate":8000,"channelCount":1}}"#,
    r#"{"event":"mark","seqid":"s"}"#,
    r#"{"command":"clearBuffer"}"#,
    "[[[[",
    "{\"\\ud800\":",
];

proptest! {
    #[test]
    fn events_said_to_a_bot_are_heard_in_their_canonical_form(
        mut said in proptest::collection::vec(any_event(), 0..12), end in any_end()
    ) {
        let (mut bot_side, mut phone_side) = started();
        said.push(Part::Item(CallEvent::Ended(end)));
        let heard = carry(&mut *bot_side, &mut *phone_side, &said);
        prop_assert_eq!(heard, canonical(&padded(&said), canonical_event));
    }

    #[test]
    fn commands_said_to_the_vendor_are_heard_in_their_canonical_form(
        said in proptest::collection::vec(any_command(), 0..12)
    ) {
        let (mut bot_side, mut phone_side) = started();
        let heard = carry(&mut *phone_side, &mut *bot_side, &said);
        prop_assert_eq!(heard, canonical(&padded(&said), canonical_command));
    }

    #[test]
    fn any_text_or_bytes_are_borne(text in any_near_message(PIECES), bytes in any::<Vec<u8>>()) {
        feed_both_ends(&ROW, Wire::Text(&text));
        feed_both_ends(&ROW, Wire::Binary(&bytes));
    }
}

#[test]
fn a_start_is_heard_with_all_that_the_seed_carries() {
    let (mut bot_side, mut phone_side) = laws::ends(&ROW, ROW.default_audio);
    let said = start(FORMAT);
    let heard =
        carry(&mut *bot_side, &mut *phone_side, &[Part::Item(CallEvent::Started(said.clone().into()))]);
    let [Part::Item(CallEvent::Started(heard))] = heard.as_slice() else { panic!("{heard:?}") };
    let mut expected = said;
    expected.raw = heard.raw.clone();
    expected.stream_id = StreamId::from_wire(expected.call_id.as_str());
    expected.other_leg_id = expected.call_id.as_str().to_owned();
    // The seed's start has the ucid alone.
    (expected.from, expected.to) = (PhoneNumber::default(), PhoneNumber::default());
    expected.account.clear();
    expected.custom.clear();
    assert_eq!(**heard, expected);
}

#[test]
fn a_first_packet_of_16_khz_is_ignored_and_a_later_one_becomes_half_as_long() {
    let first = packet(&[9; 160], 16_000);
    let eight = packet(&[7; 80], 8_000);
    let sixteen = packet(&[1_000; 1_600], 16_000);
    assert!(heard_audio(&[&first]).is_empty());
    assert_eq!(heard_audio(&[&first, &eight]), [7_i16; 80].map(i16::to_le_bytes).concat());
    let converted = heard_audio(&[&first, &eight, &sixteen]);
    assert!((1_600..=1_760).contains(&converted.len()), "{} bytes", converted.len());
    let last = converted.last_chunk().map(|last| i16::from_le_bytes(*last)).unwrap();
    assert!((980..=1_020).contains(&last), "{last}");
}

#[test]
fn only_8_khz_linear_in_steps_of_ten_milliseconds_can_be_configured() {
    let wish = |encoding: Option<&str>, sample_rate, ms: Option<u64>| {
        let frame = ms.map(std::time::Duration::from_millis);
        audio(&AudioWish { encoding: encoding.map(str::to_owned), sample_rate, frame })
    };
    assert_eq!(wish(None, None, None), Ok(ROW.default_audio));
    assert_eq!(wish(Some("pcm"), Some(8_000), Some(20)).unwrap().frame.as_millis(), 20);
    for (encoding, rate, ms) in [
        (Some("mulaw"), None, None),
        (None, Some(16_000), None),
        (None, None, Some(15)),
        (None, None, Some(0)),
        (None, None, Some(2_000)),
    ] {
        assert!(wish(encoding, rate, ms).unwrap_err().contains("ozonetel"));
    }
}
