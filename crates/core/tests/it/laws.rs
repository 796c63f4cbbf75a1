//! Laws that every dialect of the registry keeps, whatever its wire: what each one's canonical form is stands with the
//! dialect.

use std::time::Duration;

use patchcord_core::dialect::registry::{DIALECTS, DialectRow};
use patchcord_core::dialect::{Capability, Out, Wire};
use patchcord_core::vocabulary::{
    CallCommand, CallEvent, Cause, DialDigits, Digit, DigitPress, EndedStream, HangUpWhen, MarkOutcome,
    Moment, REASONS,
};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use crate::ends::{Part, Sent, bot_side, carry, phone_side, sent, started, talking};

/// Two seconds of whole frames, the last one cut at a whole sample.
fn any_audio(row: &DialectRow) -> impl Strategy<Value = Vec<Vec<u8>>> {
    let frame = row.default_audio.format.bytes_in(row.default_audio.frame);
    let size = row.default_audio.format.bytes_per_sample();
    let last = (0..=frame / size).prop_map(move |samples| samples * size);
    (vec(vec(any::<u8>(), frame), 0..100), last).prop_map(|(mut frames, last)| {
        frames.iter_mut().rev().take(1).for_each(|frame| frame.truncate(last));
        frames
    })
}

fn any_dialect_and_audio() -> impl Strategy<Value = (usize, Vec<Vec<u8>>)> {
    (0..DIALECTS.len()).prop_flat_map(|row| (Just(row), any_audio(DIALECTS[row])))
}

fn any_event() -> impl Strategy<Value = CallEvent> {
    prop_oneof![
        (0..16_usize, proptest::option::of(1..2_000_u64)).prop_map(|(key, ms)| {
            CallEvent::Digit(DigitPress { digit: Digit::ALL[key], duration: ms.map(Duration::from_millis) })
        }),
        "[a-z_ \"\\\\é]{1,12}"
            .prop_map(|name| CallEvent::Mark { name: name.into(), outcome: MarkOutcome::Played }),
        Just(CallEvent::Cleared),
    ]
}

fn any_command() -> impl Strategy<Value = CallCommand> {
    prop_oneof![
        "[0-9*#]{1,8}".prop_map(|keys| {
            CallCommand::Digits(DialDigits::parse(&keys, Duration::from_millis(100)).unwrap())
        }),
        "[a-z_ \"\\\\é]{1,12}".prop_map(|name| CallCommand::Mark { name: name.into() }),
        Just(CallCommand::Clear),
    ]
}

/// What is written when both ends say all they can: the messages to be damaged.
fn all_messages(row: &DialectRow) -> Vec<Sent> {
    let audio = vec![0x5a; row.default_audio.format.bytes_in(row.default_audio.frame)];
    let (mut bot, mut phone) = talking(row);
    let end = EndedStream::CallEnded(Cause::new(REASONS[0].reason));
    let digit =
        CallEvent::Digit(DigitPress { digit: Digit::ALL[5], duration: Some(Duration::from_millis(120)) });
    let mark = CallEvent::Mark { name: "m".into(), outcome: MarkOutcome::Played };
    let dial = CallCommand::Digits(DialDigits::one(Digit::ALL[1], Duration::from_millis(200)));
    let mut messages = sent(&mut *bot_side(row), &Part::Item(started(row)), Moment::START);
    for part in
        [Part::Audio(audio.clone()), Part::Item(digit), Part::Item(mark), Part::Item(CallEvent::Ended(end))]
    {
        messages.extend(sent(&mut *bot, &part, Moment::START));
    }
    let commands = [
        CallCommand::Answer,
        dial,
        CallCommand::Mark { name: "m".into() },
        CallCommand::Clear,
        CallCommand::HangUp(HangUpWhen::Now),
    ];
    messages.extend(sent(&mut *phone, &Part::Audio(audio), Moment::START));
    messages.extend(
        commands.into_iter().flat_map(|command| sent(&mut *phone, &Part::Item(command), Moment::START)),
    );
    messages
}

/// One message with some bytes changed, cut out, or repeated.
fn damaged(message: &Sent, faults: &[(u8, Index, u8)]) -> Sent {
    let mut bytes = match message {
        Sent::Text(text) => text.as_bytes().to_vec(),
        Sent::Binary(bytes) => bytes.clone(),
    };
    for (kind, at, byte) in faults.iter().filter(|_| !matches!(message, Sent::Text(text) if text.is_empty()))
    {
        let at = at.index(bytes.len().max(1)).min(bytes.len().saturating_sub(1));
        match kind % 4 {
            0 => bytes.iter_mut().skip(at).take(1).for_each(|hit| *hit = *byte),
            1 => bytes.truncate(at),
            2 => drop(bytes.drain(at..(at + usize::from(*byte)).min(bytes.len()))),
            _ => bytes.extend_from_within(at..),
        }
    }
    match message {
        Sent::Text(_) => Sent::Text(String::from_utf8_lossy(&bytes).into_owned()),
        Sent::Binary(_) => Sent::Binary(bytes),
    }
}

/// Gives a message to both ends, before the start, in the call and after its end.
fn feed(row: &DialectRow, wire: Wire<'_>) {
    let end = Part::Item(CallEvent::Ended(EndedStream::CallEnded(Cause::new(REASONS[0].reason))));
    let (bot, phone) = talking(row);
    let (mut bot_ended, mut phone_ended) = talking(row);
    carry(&mut *bot_ended, &mut *phone_ended, &[end]);
    for mut bot in [bot_side(row), bot, bot_ended] {
        let mut out = Out::new();
        let broken = bot.decode(wire, Moment::START, &mut out).is_err();
        let heard_max = if broken { 0 } else { HEARD_MAX };
        assert!(out.heard().len() <= heard_max, "{}: {wire:?}", row.name);
        bot.handle_timeout(Moment::from_millis(1), &mut out);
    }
    for mut phone in [phone_side(row), phone, phone_ended] {
        let mut out = Out::new();
        let broken = phone.decode(wire, Moment::START, &mut out).is_err();
        let heard_max = if broken { 0 } else { HEARD_MAX };
        assert!(out.heard().len() <= heard_max, "{}: {wire:?}", row.name);
        phone.handle_timeout(Moment::from_millis(1), &mut out);
    }
}

/// What may be heard of one message.
const HEARD_MAX: usize = 3;

/// The joined audio among what was heard.
fn joined<T>(heard: &[Part<T>]) -> Vec<u8> {
    let audio = heard.iter().filter_map(|part| match part {
        Part::Audio(audio) => Some(audio.as_slice()),
        Part::Item(_) => None,
    });
    audio.collect::<Vec<_>>().concat()
}

/// The sound that was said, with nothing behind it but the silence that fills a message.
fn assert_same_sound(row: &DialectRow, frames: &[Vec<u8>], heard: &[u8]) {
    let sent = frames.concat();
    let (same, rest) = heard.split_at(sent.len().min(heard.len()));
    let frame = row.default_audio.format.bytes_in(row.default_audio.frame);
    let silence = row.default_audio.format.silence_byte();
    assert!(same == sent, "{}: {} bytes became {}", row.name, sent.len(), heard.len());
    assert!(rest.len() < frame && rest.iter().all(|byte| *byte == silence), "{}: {rest:?}", row.name);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn audio_is_one_stream_in_both_directions((row, frames) in any_dialect_and_audio()) {
        let row = DIALECTS[row];
        let (mut bot, mut phone) = talking(row);
        let to_bot: Vec<_> = frames.iter().cloned().map(Part::Audio).collect();
        assert_same_sound(row, &frames, &joined(&carry(&mut *bot, &mut *phone, &to_bot)));
        let to_phone: Vec<_> = frames.iter().cloned().map(Part::Audio).collect();
        assert_same_sound(row, &frames, &joined(&carry(&mut *phone, &mut *bot, &to_phone)));
    }

    #[test]
    fn what_was_heard_is_heard_alike_when_it_is_said_again(
        row in 0..DIALECTS.len(), events in vec(any_event(), 0..8), commands in vec(any_command(), 0..8)
    ) {
        let row = DIALECTS[row];
        let events: Vec<_> = events.into_iter().map(Part::Item).collect();
        let (mut bot, mut phone) = talking(row);
        let heard = carry(&mut *bot, &mut *phone, &events);
        let (mut bot, mut phone) = talking(row);
        prop_assert_eq!(carry(&mut *bot, &mut *phone, &heard), heard, "{}", row.name);

        let commands: Vec<_> = commands.into_iter().map(Part::Item).collect();
        let (mut bot, mut phone) = talking(row);
        let heard = carry(&mut *phone, &mut *bot, &commands);
        let (mut bot, mut phone) = talking(row);
        prop_assert_eq!(carry(&mut *phone, &mut *bot, &heard), heard, "{}", row.name);
    }

    #[test]
    fn damaged_messages_neither_panic_nor_loop_and_what_is_malformed_is_not_heard(
        row in 0..DIALECTS.len(), which in any::<Index>(), faults in vec((any::<u8>(), any::<Index>(), any::<u8>()), 0..4)
    ) {
        let messages = all_messages(DIALECTS[row]);
        feed(DIALECTS[row], damaged(which.get(&messages), &faults).wire());
    }

    #[test]
    fn any_bytes_neither_panic_nor_loop(
        row in 0..DIALECTS.len(), bytes in vec(any::<u8>(), 0..600), text in "(\\PC|[\\[\\]{}\":,0-9]){0,200}"
    ) {
        feed(DIALECTS[row], Wire::Binary(&bytes));
        feed(DIALECTS[row], Wire::Text(&text));
    }
}

#[test]
fn deep_and_long_messages_are_borne() {
    for row in DIALECTS {
        for text in [
            "[".repeat(1 << 20),
            "{\"a\":".repeat(1 << 18),
            format!("{{\"event\":\"media\",\"data\":{{\"samples\":[{}1]}}}}", "-32768,".repeat(100_000)),
            format!("{{\"event\":\"{}\"}}", "x".repeat(1 << 20)),
        ] {
            feed(row, Wire::Text(&text));
        }
        feed(row, Wire::Binary(&vec![0x1f; 1 << 20]));
    }
}

#[test]
fn what_a_dialect_says_that_it_carries_arrives() {
    for row in DIALECTS {
        let carries = |capability| row.capabilities.contains(&capability);
        let digit =
            CallEvent::Digit(DigitPress { digit: Digit::ALL[7], duration: Some(Duration::from_millis(120)) });
        let mark = CallEvent::Mark { name: "m".into(), outcome: MarkOutcome::Played };
        let (mut bot, mut phone) = talking(row);
        let heard = carry(&mut *bot, &mut *phone, &[Part::Item(digit), Part::Item(mark.clone())]);
        let pressed = heard.iter().filter(
            |part| matches!(part, Part::Item(CallEvent::Digit(press)) if press.digit == Digit::ALL[7]),
        );
        assert_eq!(pressed.count() == 1, carries(Capability::DigitsToBot), "{}: digits to the bot", row.name);
        assert!(!carries(Capability::Marks) || heard.contains(&Part::Item(mark)), "{}: marks", row.name);

        let dial = CallCommand::Digits(DialDigits::parse("12#", Duration::from_millis(100)).unwrap());
        let (mut bot, mut phone) = talking(row);
        let said = [dial, CallCommand::Clear, CallCommand::HangUp(HangUpWhen::AfterPlayout)].map(Part::Item);
        let heard = carry(&mut *phone, &mut *bot, &said);
        let keys: String = heard
            .iter()
            .filter_map(
                |part| if let Part::Item(CallCommand::Digits(dial)) = part { Some(dial) } else { None },
            )
            .flat_map(|dial| dial.steps().iter().flatten().map(|digit| digit.as_char()))
            .collect();
        assert_eq!(
            keys == "12#",
            carries(Capability::DigitsToPhone),
            "{}: digits to the phone {keys:?}",
            row.name
        );
        let has = |wanted: &dyn Fn(&CallCommand) -> bool| {
            heard.iter().any(|part| matches!(part, Part::Item(item) if wanted(item)))
        };
        let cleared = has(&|command| *command == CallCommand::Clear);
        assert_eq!(cleared, carries(Capability::Clear), "{}: clear", row.name);
        let hung_up = has(&|command| matches!(command, CallCommand::HangUp(_)));
        assert_eq!(hung_up, carries(Capability::HangUp), "{}: hang-up", row.name);
    }
}

#[test]
fn a_dialect_says_the_same_of_itself_in_its_row_and_at_both_ends() {
    for row in DIALECTS {
        // From bots more may be taken than is ever said to a vendor.
        let bot = bot_side(row);
        let of_bots = bot.capabilities();
        assert!(row.capabilities.iter().all(|capability| of_bots.contains(capability)), "{}", row.name);
        assert_eq!(phone_side(row).capabilities(), row.capabilities, "{}", row.name);
        assert_eq!(bot_side(row).format(), row.default_audio.format, "{}", row.name);
        assert_eq!((row.audio)(&Default::default()), Ok(row.default_audio), "{}", row.name);
        assert!(!row.messages.is_empty() && !row.summary.is_empty(), "{}", row.name);
    }
}
