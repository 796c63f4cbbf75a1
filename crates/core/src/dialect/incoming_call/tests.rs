//! What `incoming-call` must hold beyond its talks: the law of both ends, the gate, keys in turn, records, bad input.

use std::time::Duration;

use proptest::prelude::*;

use super::{FORMAT, ROW, audio};
use crate::dialect::laws::{
    self, Part, any_command, any_end, any_event, any_near_message, canonical, carry, feed_both_ends, start,
};
use crate::dialect::registry::AudioWish;
use crate::dialect::{BotSide, Capability, Heard, Out, PhoneSide, Wire};
use crate::vocabulary::{
    CallCommand, CallEvent, CallRecord, Cause, Counters, DialDigits, DigitPress, Direction, EndedStream,
    HangUpWhen, HungUpBy, Moment, Quality, REASONS, Reason, StreamId, WallClock,
};

/// Both ends of an answered call.
fn answered() -> (Box<BotSide>, Box<PhoneSide>) {
    let (mut bot_side, mut phone_side) = laws::ends(&ROW, ROW.default_audio);
    let start = CallEvent::Started(Box::new(start(FORMAT)));
    carry(&mut *bot_side, &mut *phone_side, &[Part::Item(start)]);
    carry(&mut *phone_side, &mut *bot_side, &[Part::Item(CallCommand::Answer)]);
    (bot_side, phone_side)
}

fn canonical_event(event: &CallEvent) -> Vec<CallEvent> {
    match event {
        CallEvent::Digit(press) => vec![CallEvent::Digit(DigitPress { duration: None, ..*press })],
        CallEvent::Ended(_) => {
            vec![CallEvent::Ended(EndedStream::CallEnded(Cause::new(Reason::CallerHungUp)))]
        }
        _ => vec![],
    }
}

#[test]
fn a_bot_can_clear_by_its_interrupt_and_a_vendor_is_never_asked_to() {
    let (bot_side, phone_side) = answered();
    assert!(bot_side.capabilities().contains(&Capability::Clear));
    assert!(!phone_side.capabilities().contains(&Capability::Clear));
}

const PIECES: &[&str] = &[
    r#"{"event":"incoming_call","callerId":"1","didNumber":"2","sessionId":"s"}"#,
    r#"{"event":"dtmf","digit":"#,
    r#""1","duration":200}"#,
    r#"{"event":"cdr","startTime":"2026-01-07T06:15:49.000Z","endTime":"1970-01-01T00:00:00Z","duration":"#,
    "18446744073709551615",
    r#","billableSeconds":1e3,"disposition":"ANSWERED"}"#,
    r#"{"event":"hangup"}"#,
    "[[[[",
    "{\"\\ud800\":",
];

proptest! {
    #[test]
    fn events_said_to_a_bot_are_heard_in_their_canonical_form(
        mut said in proptest::collection::vec(any_event(), 0..12), end in any_end()
    ) {
        let (mut bot_side, mut phone_side) = answered();
        said.push(Part::Item(CallEvent::Ended(end)));
        let heard = carry(&mut *bot_side, &mut *phone_side, &said);
        prop_assert_eq!(heard, canonical(&said, canonical_event));
    }

    #[test]
    fn of_commands_audio_and_one_hang_up_reach_the_vendor(
        said in proptest::collection::vec(any_command(), 0..12)
    ) {
        let (mut bot_side, mut phone_side) = answered();
        // Keys go out in their own time, and an answer comes once: tests of their own.
        let mut said: Vec<_> = said
            .into_iter()
            .filter(|part| !matches!(part, Part::Item(CallCommand::Digits(_) | CallCommand::Answer)))
            .collect();
        let heard = carry(&mut *phone_side, &mut *bot_side, &said);
        // Nothing is said after the hang-up.
        let hang_up = |part: &Part<CallCommand>| matches!(part, Part::Item(CallCommand::HangUp(_)));
        said.truncate(said.iter().position(hang_up).map_or(said.len(), |at| at + 1));
        prop_assert_eq!(heard, canonical(&said, |command| match command {
            CallCommand::HangUp(_) => vec![CallCommand::HangUp(HangUpWhen::AfterPlayout)],
            _ => vec![],
        }));
    }

    #[test]
    fn keys_reach_the_vendor_one_at_a_time_in_order(keys in "[0-9*#A-D,]{1,64}", tone in 40..2_000_u64) {
        let (mut bot_side, mut phone_side) = answered();
        let tone = Duration::from_millis(tone);
        let digits = CallCommand::Digits(DialDigits::parse(&keys, tone).unwrap());
        let mut out = Out::new();
        phone_side.encode(&digits, Moment::START, &mut out);
        let mut last = None;
        let mut heard = String::new();
        loop {
            let now = phone_side.poll_timeout();
            for (_, message) in out.messages() {
                let mut ear = Out::new();
                bot_side.decode(message, Moment::START, &mut ear).unwrap();
                let [Heard::Item(CallCommand::Digits(one))] = ear.heard() else { panic!("{:?}", ear.heard()) };
                prop_assert_eq!(one.tone(), tone.min(Duration::from_secs(1)));
                heard.extend(one.steps().iter().flatten().map(|digit| digit.as_char()));
            }
            out.clear();
            let Some(now) = now else { break };
            prop_assert!(last.is_none_or(|last| now > last));
            last = Some(now);
            phone_side.handle_timeout(now, &mut out);
        }
        let expected: String = keys.chars().filter(|key| !"ABCD,".contains(*key)).collect();
        prop_assert_eq!(heard, expected);
    }

    #[test]
    fn a_record_is_heard_with_its_times_its_end_and_who_ended_it(
        reason in 0..REASONS.len(), rang in proptest::option::of(0..30_000_u64), talked in 0..600_000_u64
    ) {
        let (mut bot_side, mut phone_side) = answered();
        let said = record(reason, rang, talked);
        let heard = carry(&mut *bot_side, &mut *phone_side, &[Part::Item(CallEvent::Record(said.clone().into()))]);
        let [Part::Item(CallEvent::Ended(_)), Part::Item(CallEvent::Record(heard))] = heard.as_slice() else {
            panic!("{heard:?}");
        };
        prop_assert_eq!((heard.duration_s(), heard.billable_s()), (said.duration_s(), said.billable_s()));
        // Whoever talks to the caller is the callee on this wire, be it a bot or a person.
        let by = if said.hung_up_by == HungUpBy::Agent { HungUpBy::Bot } else { said.hung_up_by };
        prop_assert_eq!((heard.disposition(), heard.hung_up_by), (said.disposition(), by));
        prop_assert_eq!(heard.cause.row().q850, said.cause.row().q850);
        prop_assert_eq!(heard.clock.iso8601(heard.started_at), said.clock.iso8601(said.started_at));
        prop_assert_eq!((&heard.call_id, &heard.from, &heard.to), (&said.call_id, &said.from, &said.to));
    }

    #[test]
    fn any_text_or_bytes_are_borne(text in any_near_message(PIECES), bytes in any::<Vec<u8>>()) {
        feed_both_ends(&ROW, Wire::Text(&text));
        feed_both_ends(&ROW, Wire::Binary(&bytes));
    }
}

fn record(reason: usize, rang: Option<u64>, talked: u64) -> CallRecord {
    let (start, cause) = (start(FORMAT), Cause::new(REASONS[reason].reason));
    let started_at = Moment::from_millis(5_000);
    let answered_at = rang.map(|ms| started_at + Duration::from_millis(ms));
    CallRecord {
        call_id: start.call_id,
        stream_id: start.stream_id,
        phone_leg_id: "leg".into(),
        from: start.from,
        to: start.to,
        direction: Direction::Inbound,
        bot: "bot".into(),
        phone_dialect: "sip".into(),
        bot_dialect: "incoming-call".into(),
        clock: WallClock::new(1_767_766_549_000, Moment::START),
        started_at,
        answered_at,
        earlier_bots: Vec::new(),
        bot_failed_at: None,
        ended_at: answered_at.unwrap_or(started_at) + Duration::from_millis(talked),
        cause,
        hung_up_by: cause.by(),
        far_end: None,
        counters: Counters::default(),
        quality: Quality::default(),
        transfers: Vec::new(),
    }
}

#[test]
fn a_start_is_heard_with_all_that_the_wire_carries() {
    let (mut bot_side, mut phone_side) = laws::ends(&ROW, ROW.default_audio);
    let said = start(FORMAT);
    let heard =
        carry(&mut *bot_side, &mut *phone_side, &[Part::Item(CallEvent::Started(said.clone().into()))]);
    let [Part::Item(CallEvent::Started(heard))] = heard.as_slice() else { panic!("{heard:?}") };
    let mut expected = said;
    expected.raw = heard.raw.clone();
    expected.stream_id = StreamId::from_wire(expected.call_id.as_str());
    expected.other_leg_id = expected.call_id.as_str().to_owned();
    expected.account.clear();
    expected.custom.clear();
    assert_eq!(**heard, expected);
}

#[test]
fn no_audio_goes_to_a_bot_that_has_not_answered() {
    let (mut bot_side, mut phone_side) = laws::ends(&ROW, ROW.default_audio);
    let audio = || Part::Audio(vec![1; 320]);
    let ringing = [Part::Item(CallEvent::Started(Box::new(start(FORMAT)))), audio()];
    assert_eq!(carry(&mut *bot_side, &mut *phone_side, &ringing).len(), 1);
    carry(&mut *phone_side, &mut *bot_side, &[Part::Item(CallCommand::Answer)]);
    assert_eq!(carry(&mut *bot_side, &mut *phone_side, &[audio()]), [audio()]);
}

#[test]
fn only_8_khz_linear_in_steps_of_ten_milliseconds_can_be_configured() {
    let wish = |encoding: Option<&str>, sample_rate, ms: Option<u64>| {
        let frame = ms.map(Duration::from_millis);
        audio(&AudioWish { encoding: encoding.map(str::to_owned), sample_rate, frame })
    };
    assert_eq!(wish(Some("linear16"), Some(8_000), None), Ok(ROW.default_audio));
    for (encoding, rate, ms) in [
        (Some("opus"), None, None),
        (None, Some(24_000), None),
        (None, None, Some(25)),
        (None, None, Some(120)),
    ] {
        assert!(wish(encoding, rate, ms).unwrap_err().contains("incoming-call"));
    }
}
