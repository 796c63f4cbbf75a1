//! What every dialect's two ends must hold when they meet: the laws behind the dialects' property tests.
//!
//! Decoding what was encoded gives the dialect's canonical form of it (each dialect's tests say which); audio is
//! compared as one stream between the items around it; no bytes from outside panic.

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;

use super::registry::{
    self, AudioWish, BotSideSettings, DialectRow, PhoneSideSettings, RecordWish, RefusalWish,
};
use super::{BotSide, Dialect, Heard, Malformed, Mapping, Out, PhoneSide, Wire, WireAudio};
use crate::media::MediaFormat;
use crate::vocabulary::{
    CallCommand, CallEvent, CallId, CallStart, Cause, CommandRefusal, DialDigits, DialOrder, Digit,
    DigitPress, Direction, EndedStream, HangUpWhen, MarkOutcome, Moment, PhoneNumber, REASONS, RawMessage,
    StreamId, Transfer, TransferTo, WallClock,
};

/// What one end says or hears: an item, or audio.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Part<T> {
    Item(T),
    Audio(Vec<u8>),
}

/// Both ends of a dialect with the same settings.
pub(super) fn ends(row: &DialectRow, audio: WireAudio) -> (Box<BotSide>, Box<PhoneSide>) {
    let clock = WallClock::new(1_707_204_900_000, Moment::START);
    let mapping = Some(Arc::new(Mapping::example()));
    let phone_side = PhoneSideSettings { audio, seed: 1, clock, mapping: mapping.clone() };
    let bot_side = BotSideSettings {
        audio,
        record: RecordWish::Send,
        refusals: RefusalWish::Tell,
        mapping,
        engine: None,
    };
    ((row.bot_side)(&bot_side), (row.phone_side)(&phone_side))
}

/// Says everything at one end and gives what the other end hears, with audio joined between items.
pub(super) fn carry<Say, Hear>(
    from: &mut dyn Dialect<Say = Say, Hear = Hear>,
    to: &mut dyn Dialect<Say = Hear, Hear = Say>,
    said: &[Part<Say>],
) -> Vec<Part<Say>>
where
    Say: Clone,
{
    let mut heard = Vec::new();
    for (at, part) in said.iter().enumerate() {
        let now = Moment::from_millis(20 * at as u64);
        let (mut wire, mut ear) = (Out::new(), Out::new());
        match part {
            Part::Item(item) => from.encode(item, now, &mut wire),
            Part::Audio(audio) => from.encode_audio(audio, now, &mut wire),
        }
        for (_, message) in wire.messages() {
            assert_eq!(to.decode(message, now, &mut ear), Ok(()), "{message:?}");
        }
        for item in ear.heard() {
            match (item, heard.last_mut()) {
                (Heard::Audio(span), Some(Part::Audio(joined))) => joined.extend_from_slice(ear.audio(span)),
                (Heard::Audio(span), _) => heard.push(Part::Audio(ear.audio(span).to_vec())),
                (Heard::Item(item), _) => heard.push(Part::Item(item.clone())),
            }
        }
    }
    heard
}

/// What should be heard: the canonical form of each item, audio joined between what is left.
pub(super) fn canonical<T: Clone>(said: &[Part<T>], of: impl Fn(&T) -> Vec<T>) -> Vec<Part<T>> {
    let mut parts = Vec::new();
    for part in said {
        match (part, parts.last_mut()) {
            (Part::Audio(audio), _) if audio.is_empty() => {}
            (Part::Audio(audio), Some(Part::Audio(joined))) => joined.extend_from_slice(audio),
            (Part::Audio(audio), _) => parts.push(Part::Audio(audio.clone())),
            (Part::Item(item), _) => parts.extend(of(item).into_iter().map(Part::Item)),
        }
    }
    parts
}

#[test]
fn no_dialect_takes_a_message_nested_deeper_than_thirty_two_levels() {
    for row in registry::DIALECTS {
        for message in [
            r#"{"event":"media","media":{"payload":"AAAA"},"x":DEEP}"#,
            r#"{"type":"response.audio.delta","delta":"AAAA","x":DEEP}"#,
            r#"{"event":"media","ucid":"1","data":{"samples":[1]},"x":DEEP}"#,
            r#"{"event":"dtmf","x":DEEP}"#,
            r#"{"event":"start","x":DEEP}"#,
        ] {
            let deep = format!("{}{}", "[".repeat(32), "]".repeat(32));
            let text = message.replace("DEEP", &deep);
            let (mut bot_side, mut phone_side) = ends(row, row.default_audio);
            let wire = Wire::Text(&text);
            let now = Moment::START;
            let heard =
                (bot_side.decode(wire, now, &mut Out::new()), phone_side.decode(wire, now, &mut Out::new()));
            assert_eq!(heard, (Err(Malformed::TooDeep), Err(Malformed::TooDeep)), "{}: {text}", row.name);
        }
    }
}

/// Feeds one message to both ends, before and after the start; none may panic.
pub(super) fn feed_both_ends(row: &DialectRow, wire: Wire<'_>) {
    let audio = (row.audio)(&AudioWish::default()).unwrap();
    for started in [false, true] {
        let (mut bot_side, mut phone_side) = ends(row, audio);
        if started {
            let start = CallEvent::Started(Box::new(start(audio.format)));
            carry(&mut *bot_side, &mut *phone_side, &[Part::Item(start)]);
        }
        let _: Result<(), Malformed> = bot_side.decode(wire, Moment::START, &mut Out::new());
        let _: Result<(), Malformed> = phone_side.decode(wire, Moment::START, &mut Out::new());
    }
}

/// A start with everything that a wire could carry.
pub(super) fn start(format: MediaFormat) -> CallStart {
    CallStart {
        call_id: CallId::from_wire("call_1707204900000_a1b2c3"),
        stream_id: StreamId::from_wire("1707204900.123"),
        other_leg_id: "leg_1".to_owned(),
        account: "patchcord".to_owned(),
        from: PhoneNumber::new("+919876543210"),
        to: PhoneNumber::new("18001234567"),
        country: None,
        direction: Direction::Inbound,
        format,
        custom: vec![("plan".to_owned(), "gold \"1\"".to_owned())],
        raw: None,
        clock: WallClock::new(1_707_204_900_000, Moment::START),
    }
}

/// Anything that is said to a bot between the start and the end.
pub(super) fn any_event() -> impl Strategy<Value = Part<CallEvent>> {
    let outcome = prop_oneof![Just(MarkOutcome::Played), Just(MarkOutcome::Cleared)];
    prop_oneof![
        any_audio(),
        (any_digit(), proptest::option::of(0..2_000_u64)).prop_map(|(digit, ms)| {
            Part::Item(CallEvent::Digit(DigitPress { digit, duration: ms.map(Duration::from_millis) }))
        }),
        (".{0,40}", outcome)
            .prop_map(|(name, outcome)| Part::Item(CallEvent::Mark { name: name.into(), outcome })),
        Just(Part::Item(CallEvent::Cleared)),
        (".{0,40}", "[a-z._]{0,20}").prop_map(|(message, command)| {
            Part::Item(CallEvent::Refused(CommandRefusal {
                code: "not_supported",
                message,
                command: command.into(),
            }))
        }),
        Just(Part::Item(CallEvent::Unknown(RawMessage::new("{\"event\":\"else\"}")))),
    ]
}

/// Any end of a stream.
pub(super) fn any_end() -> impl Strategy<Value = EndedStream> {
    prop_oneof![
        Just(EndedStream::Handed),
        (0..REASONS.len()).prop_map(|at| EndedStream::CallEnded(Cause::new(REASONS[at].reason))),
    ]
}

/// Anything that is asked of a phone.
pub(super) fn any_command() -> impl Strategy<Value = Part<CallCommand>> {
    prop_oneof![
        any_audio(),
        Just(Part::Item(CallCommand::Answer)),
        "[0-9*#A-D,]{1,64}".prop_map(|keys| {
            Part::Item(CallCommand::Digits(DialDigits::parse(&keys, Duration::from_millis(100)).unwrap()))
        }),
        ".{0,40}".prop_map(|name| Part::Item(CallCommand::Mark { name: name.into() })),
        Just(Part::Item(CallCommand::Clear)),
        any_transfer().prop_map(|to| Part::Item(CallCommand::Transfer(Transfer { to, command: "transfer" }))),
        prop_oneof![Just(HangUpWhen::AfterPlayout), Just(HangUpWhen::Now)]
            .prop_map(|when| Part::Item(CallCommand::HangUp(when))),
        Just(Part::Item(CallCommand::Unknown(RawMessage::new("{\"type\":\"else\"}")))),
    ]
}

/// Text near a message: pieces of real ones in any order, some bytes gone wrong.
pub(super) fn any_near_message(pieces: &'static [&'static str]) -> impl Strategy<Value = String> {
    let piece =
        prop_oneof![4 => (0..pieces.len()).prop_map(|at| pieces[at].to_owned()), 1 => any::<String>()];
    (proptest::collection::vec(piece, 0..6), any::<proptest::sample::Index>()).prop_map(|(pieces, cut)| {
        let text: String = pieces.concat();
        let mut end = cut.index(text.len() + 1);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        if end % 3 == 0 { text[..end].to_owned() } else { text }
    })
}

fn any_audio<T: std::fmt::Debug>() -> impl Strategy<Value = Part<T>> {
    proptest::collection::vec(any::<u8>(), 0..400).prop_map(Part::Audio)
}

fn any_digit() -> impl Strategy<Value = Digit> {
    (0..16_usize).prop_map(|event| Digit::ALL[event])
}

fn any_transfer() -> impl Strategy<Value = TransferTo> {
    let order = prop_oneof![Just(DialOrder::AllAtOnce), Just(DialOrder::OneByOne)];
    prop_oneof![
        (proptest::collection::vec("\\+?[0-9]{1,15}", 1..5), order).prop_map(|(numbers, order)| {
            TransferTo::Phones(numbers.iter().map(|number| PhoneNumber::new(number)).collect(), order)
        }),
        "[0-9a-z]{1,20}".prop_map(|name| TransferTo::Extension(name.into())),
        "[a-z_]{1,20}".prop_map(|name| TransferTo::Flow(name.into())),
        "wss://[a-z]{1,20}/[a-z\"\\\\]{0,9}".prop_map(|url| TransferTo::Bot(url.into())),
        "[a-z]{1,9}".prop_map(|name| TransferTo::NamedBot(name.into())),
    ]
}
