//! Calls that we place, by a carrier in the same process.

use std::collections::BTreeMap;
use std::time::Duration;

use patchcord::calls::{PlaceCall, PlaceError, PlacedBot};
use patchcord::config::Config;
use patchcord_core::call::BotJoins;
use patchcord_core::vocabulary::Reason;
use patchcord_sip::sdp::Direction;
use patchcord_sip::{EndedBy, LegEvent};
use tokio::time::interval;

use super::carrier::{Carrier, silent_trunk};
use super::{Gateway, cause};

const RULES: &str = "allow = [\"91*\"]\ncaller_ids = [\"7415100898\"]";

pub fn order(to: &str) -> PlaceCall {
    PlaceCall {
        from: Some("7415100898".to_owned()),
        to: to.to_owned(),
        bot: PlacedBot::Named("echo".to_owned()),
        custom_params: BTreeMap::new(),
        callback: None,
        joins: BotJoins::AtTheAnswer,
        ring: None,
        max_duration: None,
        recording: None,
    }
}

fn ends(record: &serde_json::Value) -> (&str, u64, Option<u64>) {
    (
        record["status"].as_str().unwrap(),
        record["cause"]["q850"].as_u64().unwrap(),
        record["sip_status"].as_u64(),
    )
}

#[tokio::test]
async fn a_call_rings_is_answered_meets_its_bot_and_leaves_one_completed_record() {
    let mut carrier = Carrier::start().await;
    let gateway = Gateway::start(&carrier.trunk("carrier", RULES)).await;
    let call_id = gateway.exchange().place_call(order("919876543210")).await.unwrap();
    let mut course = carrier.next().await;
    assert_eq!(course.invitation.request_user, "919876543210");
    assert_eq!(course.invitation.from_user, "7415100898");
    course.ring().await;
    assert!(course.answer().await);
    let mut clock = interval(Duration::from_millis(20));
    for sequence in 0..50 {
        clock.tick().await;
        course.speak(sequence, 0x21).await;
    }
    course.hear(|payload| payload == [0x21; 160]).await;
    assert!(
        matches!(course.reoffer(Direction::SendOnly).await, LegEvent::ReofferAnswered { sdp: Some(sdp) } if sdp.contains("a=recvonly"))
    );
    let sip_id = course.invitation.call_id.clone();
    course.leg.hang_up(None).await.unwrap();
    let (records, calls) = gateway.stop_and_see().await;
    let [record] = records.as_slice() else { panic!("{records:?}") };
    assert_eq!(calls[0].phone_leg_id, sip_id);
    assert_eq!(cause(record), "completed/caller_hung_up");
    assert_eq!(ends(record), ("completed", 16, None));
    assert_eq!(record["call_id"], call_id.as_str());
    assert_eq!(record["phone_leg_id"], sip_id.as_str());
    assert_eq!(
        (&record["direction"], &record["from"], &record["to"]),
        (&"outbound".into(), &"7415100898".into(), &"919876543210".into())
    );
    carrier.stop().await;
}

#[tokio::test]
async fn each_refusal_of_the_carrier_is_one_end_with_its_causes() {
    let carrier = Carrier::start().await;
    let gateway = Gateway::start(&carrier.trunk("carrier", RULES)).await;
    let wanted = [
        ("91486", "busy", 17),
        ("91600", "busy", 17),
        ("91603", "busy", 21),
        ("91480", "no-answer", 18),
        ("91408", "no-answer", 18),
        ("91404", "failed", 1),
        ("91403", "failed", 21),
        ("91503", "failed", 41),
    ];
    for (number, ..) in wanted {
        gateway.exchange().place_call(order(number)).await.unwrap();
    }
    let records = gateway.stop().await;
    assert_eq!(records.len(), wanted.len());
    for (number, status, q850) in wanted {
        let record = records.iter().find(|record| record["to"] == number).unwrap();
        assert_eq!(ends(record), (status, q850, number[2..].parse().ok()), "{number}");
    }
    carrier.stop().await;
}

#[tokio::test]
async fn a_phone_that_is_not_answered_is_given_up_and_so_is_one_that_the_api_hangs_up() {
    let mut carrier = Carrier::start().await;
    let gateway = Gateway::start(&carrier.trunk("carrier", RULES)).await;
    let patience = Some(Duration::from_millis(300));
    gateway.exchange().place_call(PlaceCall { ring: patience, ..order("911") }).await.unwrap();
    let mut unanswered = carrier.next().await;
    unanswered.ring().await;
    assert!(
        matches!(unanswered.end().await, LegEvent::Cancelled { reason: Some(why) } if why.contains("cause=19"))
    );
    let call_id = gateway.exchange().place_call(order("912")).await.unwrap();
    let mut hung_up = carrier.next().await;
    hung_up.ring().await;
    gateway.hang_up(&call_id, Reason::Asked);
    assert!(matches!(hung_up.end().await, LegEvent::Cancelled { .. }));
    let records = gateway.stop().await;
    let of = |number: &str| ends(records.iter().find(|record| record["to"] == number).unwrap());
    assert_eq!((of("911"), of("912")), (("no-answer", 19, None), ("canceled", 16, None)));
    assert_eq!(records.len(), 2);
    carrier.stop().await;
}

#[tokio::test]
async fn an_answer_that_crosses_the_cancel_is_ended_by_bye_and_changes_nothing() {
    let mut carrier = Carrier::start().await;
    let gateway = Gateway::start(&carrier.trunk("carrier", RULES)).await;
    for round in 0..20 {
        let call_id = gateway.exchange().place_call(order(&format!("91{round}"))).await.unwrap();
        let mut course = carrier.next().await;
        course.ring().await;
        gateway.hang_up(&call_id, Reason::Asked);
        course.answer().await;
        let end = course.end().await;
        assert!(
            matches!(end, LegEvent::Cancelled { .. } | LegEvent::Ended { by: EndedBy::Remote, .. }),
            "{end:?}"
        );
    }
    let records = gateway.stop().await;
    assert_eq!(records.len(), 20);
    for record in &records {
        // The hang-up may have been later than the answer.
        assert!(["canceled", "completed"].contains(&ends(record).0), "{record}");
    }
    carrier.stop().await;
}

#[tokio::test]
async fn the_next_trunk_is_tried_where_the_first_fails_and_not_where_the_phone_said_no() {
    let (first, mut second) = (Carrier::start().await, Carrier::start().await);
    let (_silent, nobody) = silent_trunk("9155*").await;
    let rewriting = "allow = [\"91*\"]\ncaller_ids = [\"*\"]\nstrip = 5\nprefix = \"0\"";
    let file = [nobody, first.trunk("first", RULES), second.trunk("second", rewriting)].concat();
    let gateway = Gateway::start(&file).await;
    // The first trunk refuses by the number's end; the second one sends another number.
    gateway.exchange().place_call(order("911503")).await.unwrap();
    let mut taken = second.next().await;
    assert_eq!(taken.invitation.request_user, "03");
    assert!(taken.answer().await);
    taken.leg.hang_up(None).await.unwrap();
    gateway.exchange().place_call(order("911486")).await.unwrap();
    // Nobody answers on the first port: after five seconds the next one is tried.
    gateway.exchange().place_call(order("9155503")).await.unwrap();
    let mut late = second.next().await;
    assert!(late.answer().await);
    late.leg.hang_up(None).await.unwrap();
    let records = gateway.stop().await;
    let of = |number: &str| ends(records.iter().find(|record| record["to"] == number).unwrap()).0;
    assert_eq!((of("911503"), of("911486"), of("9155503")), ("completed", "busy", "completed"));
    assert_eq!((first.calls(), second.calls()), (3, 2));
    first.stop().await;
    second.stop().await;
}

#[tokio::test]
async fn a_carrier_whose_first_word_is_408_has_said_that_nobody_answers() {
    let (blunt, trunk) = silent_trunk("44*").await;
    let gateway = Gateway::start(&trunk).await;
    gateway.exchange().place_call(order("441")).await.unwrap();
    let refuse = async {
        let mut datagram = vec![0; 4_096];
        loop {
            let (length, from) = blunt.recv_from(&mut datagram).await.unwrap();
            let request = String::from_utf8_lossy(&datagram[..length]).into_owned();
            if !request.starts_with("INVITE") {
                break;
            }
            let kept = ["Via:", "From:", "To:", "Call-ID:", "CSeq:"];
            let lines = request.lines().filter(|line| kept.iter().any(|name| line.starts_with(name)));
            let lines = lines
                .map(|line| if line.starts_with("To:") { format!("{line};tag=b") } else { line.to_owned() });
            let head = lines.collect::<Vec<_>>().join("\r\n");
            let answer = format!("SIP/2.0 408 Request Timeout\r\n{head}\r\nContent-Length: 0\r\n\r\n");
            blunt.send_to(answer.as_bytes(), from).await.unwrap();
        }
    };
    tokio::time::timeout(Duration::from_secs(10), refuse).await.expect("the refusal is acknowledged");
    let records = gateway.stop().await;
    assert_eq!(cause(&records[0]), "caller/unanswered");
    assert_eq!(ends(&records[0]), ("no-answer", 18, Some(408)));
}

#[tokio::test]
async fn a_carrier_that_says_nothing_is_unreachable_and_a_phone_that_it_tries_in_vain_is_not_answered() {
    let mut carrier = Carrier::start().await;
    let (_silent, silent) = silent_trunk("44*").await;
    let gateway = Gateway::start(&format!("{silent}{}", carrier.trunk("carrier", RULES))).await;
    let ring = Some(Duration::from_secs(2));
    for number in ["441", "911"] {
        gateway.exchange().place_call(PlaceCall { ring, ..order(number) }).await.unwrap();
    }
    // The carrier says 100, and no more.
    assert!(matches!(carrier.next().await.end().await, LegEvent::Cancelled { .. }));
    let records = gateway.stop().await;
    let of = |number: &str| {
        let record = records.iter().find(|record| record["to"] == number).unwrap();
        (cause(record), ends(record))
    };
    assert_eq!(of("441"), ("upstream/carrier_unreachable".to_owned(), ("failed", 38, None)));
    assert_eq!(of("911"), ("caller/unanswered".to_owned(), ("no-answer", 18, None)));
    carrier.stop().await;
}

#[tokio::test]
async fn a_call_that_finds_the_first_trunk_full_counts_once_by_the_second() {
    let (mut first, mut second) = (Carrier::start().await, Carrier::start().await);
    let full = first.trunk("first", &format!("{RULES}\n[trunks.limits]\ncalls = 1"));
    let other = second.trunk("second", &format!("{RULES}\n[trunks.limits]\nper_minute = 2"));
    let gateway = Gateway::start(&format!("{full}{other}")).await;
    gateway.exchange().place_call(order("911")).await.unwrap();
    let mut ringing = vec![first.next().await];
    for number in ["912", "913"] {
        gateway.exchange().place_call(order(number)).await.unwrap();
        ringing.push(second.next().await);
    }
    let third = gateway.exchange().place_call(order("914")).await;
    assert!(third.is_err(), "{third:?}");
    assert_eq!((first.calls(), second.calls(), ringing.len()), (1, 2, 3));
    gateway.stop_at_once().await;
    first.stop().await;
    second.stop().await;
}

#[tokio::test]
async fn a_bot_that_joins_early_hears_the_phones_network_and_is_heard_from_the_answer_on() {
    let mut carrier = Carrier::start().await;
    let gateway = Gateway::start(&carrier.trunk("carrier", RULES)).await;
    let early = PlaceCall { joins: BotJoins::WhileItRings, ..order("913") };
    gateway.exchange().place_call(early).await.unwrap();
    let mut course = carrier.next().await;
    course.progress().await;
    let mut clock = interval(Duration::from_millis(20));
    for sequence in 0..25 {
        clock.tick().await;
        course.speak(sequence, 0x33).await;
    }
    assert!(course.answer().await);
    // The echo has heard it before the answer; what it said waited.
    course.hear(|payload| payload == [0x33; 160]).await;
    course.leg.hang_up(None).await.unwrap();
    assert_eq!(ends(&gateway.stop().await[0]).0, "completed");
    carrier.stop().await;
}

#[tokio::test]
async fn nothing_leaves_on_bad_input_nor_without_leave() {
    let carrier = Carrier::start().await;
    let file = format!(
        "{}{}[outbound]\nper_minute = 3\n",
        carrier.trunk("some", RULES),
        carrier.trunk("few", "allow = [\"44*\"]\ncaller_ids = [\"*\"]\n[trunks.limits]\ncalls = 1")
    );
    let gateway = Gateway::start(&file).await;
    let refused = async |order: PlaceCall| gateway.exchange().place_call(order).await.unwrap_err();
    for number in
        ["", "91\r\nX-Evil: 1", "91>", "91;user=phone", "91@evil.example", "sip:91@h", "9 1", &"9".repeat(33)]
    {
        assert_eq!(refused(order(number)).await, PlaceError::BadNumber, "{number:?}");
        let from = PlaceCall { from: Some(number.to_owned()), ..order("911") };
        assert_eq!(refused(from).await, PlaceError::BadCaller, "{number:?}");
    }
    assert_eq!(refused(order("4912345")).await, PlaceError::NotAllowed);
    let shown = PlaceCall { from: Some("100".to_owned()), ..order("911") };
    assert_eq!(refused(shown).await, PlaceError::CallerNotAllowed);
    let bot = PlaceCall { bot: PlacedBot::Named("nobody".to_owned()), ..order("911") };
    assert_eq!(refused(bot).await, PlaceError::UnknownBot);
    assert_eq!(carrier.calls(), 0);
    let ringing = PlaceCall { ring: Some(Duration::from_millis(300)), ..order("44111") };
    gateway.exchange().place_call(ringing).await.unwrap();
    let full = refused(order("44111")).await;
    assert!(matches!(full, PlaceError::TooManyCalls), "{full:?}");
    // What was refused counts for nothing.
    for _ in 0..2 {
        gateway.exchange().place_call(order("91480")).await.unwrap();
    }
    let fast = refused(order("91480")).await;
    assert!(matches!(fast, PlaceError::TooFast { .. }) && fast.retry_after_s() > Some(0), "{fast:?}");
    gateway.stop().await;
    carrier.stop().await;
    assert!(Config::parse("[outbound]\ncalls = \"many\"").is_err());
}
