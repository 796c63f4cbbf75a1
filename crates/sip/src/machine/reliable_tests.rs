//! Reliable provisional responses and early changes of the session, in virtual time (RFC 3262, RFC 3311).

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails by panicking")]

use std::time::Duration;

use super::pair::Pair;
use super::tests::{Bench, SDP, inbound, place, response};
use super::*;
use crate::call::EndedBy;

const EARLY: &str = "v=0\r\ns=early\r\n";

/// A ringing leg whose INVITE said this about 100rel.
fn ringing(how: &str, offer: &str) -> (Bench, LegId) {
    let mut bench = Bench::new();
    bench.receive(&inbound("INVITE", 1, "", &format!("{how}: 100rel\r\n"), offer));
    let leg = bench.incoming[0];
    (bench, leg)
}

/// The peer confirms the last reliable response, if it is numbered so.
fn prack(bench: &mut Bench, cseq: u32, body: &str) {
    let (rseq, tag) = {
        let last = bench.sent.iter().rev().find(|(_, m, _)| m.headers.first("RSeq").is_some());
        let last = &last.unwrap().1;
        (last.headers.first("RSeq").unwrap().to_owned(), last.tag("To").unwrap())
    };
    bench.receive(&inbound("PRACK", cseq, &tag, &format!("RAck: {rseq} 1 INVITE\r\n"), body));
}

#[test]
fn a_reliable_183_is_repeated_until_its_prack_and_the_answer_waits_for_it() {
    let (mut bench, leg) = ringing("Supported", SDP);
    bench.command(leg, Command::Ringing).unwrap();
    assert_eq!(bench.last().headers.first("RSeq"), None, "mere ringing needs no PRACK");
    bench.command(leg, Command::Progress(EARLY.to_owned())).unwrap();
    assert_eq!(bench.last().headers.first("Require"), Some("100rel"));
    bench.pass(Duration::from_millis(3_600));
    let times: Vec<u128> =
        bench.sent.iter().filter(|(_, m, _)| m.code() == Some(183)).map(|(.., at)| at.as_millis()).collect();
    assert_eq!(times, [0, 500, 1_500, 3_500]);
    bench.command(leg, Command::Answer(EARLY.to_owned())).unwrap();
    assert!(!bench.sent_codes().contains(&200), "the exchange of descriptions is open");
    prack(&mut bench, 2, "");
    let finals: Vec<_> = bench.sent.iter().filter(|(_, m, _)| m.code() == Some(200)).collect();
    assert_eq!(finals.iter().map(|(_, m, _)| m.cseq().unwrap().1).collect::<Vec<_>>(), ["PRACK", "INVITE"]);
    assert_eq!(bench.command(leg, Command::Answer(EARLY.to_owned())), Err(CommandError::WrongState));
    bench.command(leg, Command::Hangup(None)).unwrap();
    bench.pass(Duration::from_secs(100));
    assert!(bench.is_empty());
}

#[test]
fn without_a_prack_the_invite_is_refused_and_a_wrong_one_does_not_count() {
    let (mut bench, leg) = ringing("Require", SDP);
    bench.command(leg, Command::Ringing).unwrap();
    let tag = bench.last().tag("To").unwrap();
    bench.receive(&inbound("PRACK", 2, &tag, "RAck: 1 1 INVITE\r\n", ""));
    assert_eq!(bench.last().code(), Some(481));
    bench.receive(&inbound("PRACK", 3, &tag, "", ""));
    assert_eq!(bench.last().code(), Some(481));
    bench.pass(Duration::from_secs(33));
    assert!(bench.sent_codes().contains(&504));
    assert!(matches!(bench.events[..], [(_, LegEvent::Ended { by: EndedBy::Timeout, .. })]));
    bench.pass(Duration::from_secs(100));
    assert!(bench.is_empty());
}

#[test]
fn what_follows_a_reliable_response_waits_for_its_prack_and_a_cancel_still_wins() {
    let (mut bench, leg) = ringing("Require", SDP);
    bench.command(leg, Command::Ringing).unwrap();
    bench.command(leg, Command::Progress(EARLY.to_owned())).unwrap();
    bench.command(leg, Command::Ringing).unwrap();
    assert_eq!(bench.sent_codes(), [100, 180]);
    let first: u32 = bench.last().headers.first("RSeq").unwrap().parse().unwrap();
    prack(&mut bench, 2, "");
    assert_eq!(bench.sent_codes(), [100, 180, 200, 183]);
    assert_eq!(bench.last().headers.first("RSeq"), Some((first + 1).to_string().as_str()));
    bench.command(leg, Command::Answer(EARLY.to_owned())).unwrap();
    bench.receive(&inbound("CANCEL", 1, "", "", ""));
    assert_eq!(bench.sent_codes(), [100, 180, 200, 183, 200, 487]);
    assert!(matches!(bench.events[..], [(_, LegEvent::Cancelled { .. })]));
    bench.pass(Duration::from_secs(100));
    assert!(bench.is_empty());
}

#[test]
fn a_delayed_offer_goes_out_reliably_and_is_answered_in_the_prack() {
    let (mut bench, leg) = ringing("Supported", "");
    bench.command(leg, Command::Progress(EARLY.to_owned())).unwrap();
    prack(&mut bench, 2, SDP);
    assert!(matches!(&bench.events[..], [(_, LegEvent::ReofferAcked { answer: Some(a) })] if a == SDP));
    bench.command(leg, Command::Answer(EARLY.to_owned())).unwrap();
    assert!(bench.last().body.is_empty(), "another description would be another offer");
    let tag = bench.last().tag("To").unwrap();
    bench.receive(&inbound("ACK", 1, &tag, "", ""));
    assert!(matches!(bench.events.last(), Some((_, LegEvent::Acked { answer: None }))));

    let mut unable = Bench::new();
    unable.receive(&inbound("INVITE", 1, "", "", ""));
    let leg = unable.incoming[0];
    assert_eq!(unable.command(leg, Command::Progress(EARLY.to_owned())), Err(CommandError::WrongState));
}

#[test]
fn a_caller_without_100rel_hears_early_media_by_a_plain_183() {
    let mut bench = Bench::new();
    bench.receive(&inbound("INVITE", 1, "", "", SDP));
    let leg = bench.incoming[0];
    bench.command(leg, Command::Progress(EARLY.to_owned())).unwrap();
    let progress = bench.last();
    assert_eq!((progress.code(), progress.body.as_ref()), (Some(183), EARLY.as_bytes()));
    assert_eq!((progress.headers.first("Require"), progress.headers.first("RSeq")), (None, None));
    bench.command(leg, Command::Answer(EARLY.to_owned())).unwrap();
    assert_eq!(bench.last().code(), Some(200));
}

#[test]
fn the_session_changes_before_the_answer_by_update_in_both_directions() {
    let (mut bench, leg) = ringing("Supported", SDP);
    bench.command(leg, Command::Progress(EARLY.to_owned())).unwrap();
    let tag = bench.last().tag("To").unwrap();
    bench.receive(&inbound("UPDATE", 2, &tag, "", SDP));
    assert_eq!(bench.last().code(), Some(500), "the first exchange is not over");
    prack(&mut bench, 3, "");
    assert_eq!(
        bench.command(leg, Command::Reoffer(SDP.to_owned())),
        Err(CommandError::WrongState),
        "the caller did not say that it takes UPDATE"
    );
    bench.receive(&inbound("UPDATE", 4, &tag, "Allow: UPDATE\r\n", SDP));
    let Some((_, LegEvent::Reoffer { id, .. })) = bench.events.last() else { panic!("{:?}", bench.events) };
    let id = *id;
    bench.command(leg, Command::AnswerReoffer(id, SDP.to_owned())).unwrap();
    assert_eq!((bench.last().code(), bench.last().body.as_ref()), (Some(200), SDP.as_bytes()));
    bench.command(leg, Command::Reoffer(SDP.to_owned())).unwrap();
    assert_eq!(bench.last().method(), Some("UPDATE"));
    bench.receive(&inbound("UPDATE", 5, &tag, "", SDP));
    assert_eq!(bench.last().code(), Some(491), "ours is under way");
    let text = response(&bench, "UPDATE", 200, "a");
    bench.receive(&text);
    assert!(matches!(bench.events.last(), Some((_, LegEvent::ReofferAnswered { .. }))));
}

#[test]
fn the_200_does_not_take_back_what_changed_before_the_answer() {
    let (mut bench, leg) = ringing("Supported", SDP);
    bench.command(leg, Command::Progress(EARLY.to_owned())).unwrap();
    let tag = bench.last().tag("To").unwrap();
    prack(&mut bench, 2, "");
    bench.receive(&inbound("UPDATE", 3, &tag, "", SDP));
    let Some((_, LegEvent::Reoffer { id, .. })) = bench.events.last() else { panic!("{:?}", bench.events) };
    let id = *id;
    let changed = "v=0\r\ns=changed\r\n";
    bench.command(leg, Command::AnswerReoffer(id, changed.to_owned())).unwrap();
    bench.command(leg, Command::Answer(EARLY.to_owned())).unwrap();
    assert_eq!((bench.last().code(), bench.last().body.as_ref()), (Some(200), &b""[..]));
    bench.receive(&inbound("ACK", 1, &tag, "", ""));
    bench.pass(Duration::from_secs(900));
    let refresh = bench.sent.iter().rev().find(|(_, m, _)| m.method() == Some("INVITE")).unwrap();
    assert_eq!(refresh.1.body.as_ref(), changed.as_bytes(), "a refresh changes nothing");
}

/// The peer's reliable 183 to our INVITE, with a description.
fn reliable(bench: &Bench, tag: &str, rseq: u32) -> String {
    let text = response(bench, "INVITE", 183, tag);
    let fields =
        format!("Require: 100rel\r\nRSeq: {rseq}\r\nAllow: UPDATE\r\nContent-Type: application/sdp\r\n");
    text.replace(
        "Content-Length: 0\r\n\r\n",
        &format!("{fields}Content-Length: {}\r\n\r\n{EARLY}", EARLY.len()),
    )
}

#[test]
fn our_calls_confirm_each_reliable_response_once_in_order_and_in_its_own_dialog() {
    let mut bench = Bench::new();
    let leg = place(&mut bench);
    assert!(bench.last().headers.first("Supported").unwrap().contains("100rel"));
    for (tag, rseq) in [("b", 7), ("b", 7), ("b", 9), ("b", 8), ("c", 400), ("c", 401)] {
        let text = reliable(&bench, tag, rseq);
        bench.receive(&text);
    }
    let pracks: Vec<(String, String, u32)> = bench
        .sent
        .iter()
        .filter(|(_, m, _)| m.method() == Some("PRACK"))
        .map(|(_, m, _)| {
            (m.tag("To").unwrap(), m.headers.first("RAck").unwrap().to_owned(), m.cseq().unwrap().0)
        })
        .collect();
    let wanted = [("b", "7", 2), ("b", "8", 3), ("c", "400", 4), ("c", "401", 5)];
    let wanted = wanted.map(|(tag, rseq, cseq)| (tag.to_owned(), format!("{rseq} 1 INVITE"), cseq));
    assert_eq!(pracks, wanted);
    assert_eq!(bench.events.len(), 4, "a repetition tells nothing: {:?}", bench.events);

    // The session can change before the answer, and the answer is the one of before.
    bench.command(leg, Command::Reoffer(SDP.to_owned())).unwrap();
    assert_eq!((bench.last().method(), bench.last().tag("To").as_deref()), (Some("UPDATE"), Some("b")));
    let text = response(&bench, "UPDATE", 200, "b");
    bench.receive(&text);
    let text = response(&bench, "INVITE", 200, "b");
    bench.receive(&text);
    assert!(matches!(bench.events.last(), Some((_, LegEvent::Answered { sdp: Some(s) })) if s == EARLY));
    assert_eq!(bench.last().cseq(), Some((1, "ACK")));
    bench.command(leg, Command::Hangup(None)).unwrap();
    bench.pass(Duration::from_secs(100));
    assert!(bench.is_empty());
}

#[test]
fn early_media_and_its_answer_cross_heavy_loss() {
    for seed in 0..20 {
        let mut pair = Pair::new(seed, 40);
        pair.place();
        pair.run_for(Duration::from_secs(20));
        let Some(&there) = pair.callee.incoming.first() else { continue };
        pair.callee.command(there, Command::Progress(EARLY.to_owned())).unwrap();
        pair.callee.command(there, Command::Answer(EARLY.to_owned())).unwrap();
        pair.run_for(Duration::from_secs(30));
        let answered = pair
            .caller
            .events
            .iter()
            .any(|(_, e)| matches!(e, LegEvent::Answered { sdp: Some(s) } if s == EARLY));
        assert!(answered, "seed {seed}: {:?}", pair.caller.events);
    }
}
