//! REFER and NOTIFY within a call.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails by panicking")]

use super::tests::{Bench, inbound, place, response};
use super::*;

fn notify(cseq: u32, tag: &str, state: &str, frag: &str) -> String {
    let fields = format!("Event: refer\r\nSubscription-State: {state}\r\n");
    inbound("NOTIFY", cseq, tag, &fields, frag).replace("application/sdp", "message/sipfrag;version=2.0")
}

fn refer(cseq: u32, tag: &str, to: &str) -> String {
    inbound("REFER", cseq, tag, &format!("Refer-To: {to}\r\n"), "")
}

fn codes(bench: &Bench) -> Vec<u16> {
    let progress = bench.events.iter().filter_map(|(_, event)| match event {
        LegEvent::ReferProgress { code } | LegEvent::ReferAnswered { code } => Some(*code),
        _ => None,
    });
    progress.collect()
}

#[test]
fn a_refer_of_ours_is_answered_and_its_progress_told_until_its_end() {
    let mut bench = Bench::new();
    let (leg, tag) = bench.answered();
    bench.receive(&notify(2, &tag, "active", "SIP/2.0 100 Trying\r\n"));
    assert_eq!(bench.last().code(), Some(481), "nobody asked");
    let missing = Command::Refer("http://h/".to_owned());
    assert_eq!(bench.command(leg, missing), Err(CommandError::BadTarget));
    bench.command(leg, Command::Refer("sip:917@carrier.example".to_owned())).unwrap();
    let sent = bench.last().clone();
    assert_eq!(sent.method(), Some("REFER"));
    assert_eq!(sent.headers.first("Refer-To"), Some("<sip:917@carrier.example>"));
    assert!(sent.headers.first("Referred-By").is_some());
    let text = response(&bench, "REFER", 202, "a");
    bench.receive(&text);
    for (cseq, frag) in [(3, "SIP/2.0 100 Trying"), (4, "SIP/2.0 180 Ringing"), (5, "no SIP at all")] {
        bench.receive(&notify(cseq, &tag, "active;expires=60", frag));
        assert_eq!(bench.last().code(), Some(200));
    }
    bench.receive(&notify(6, &tag, "terminated;reason=noresource", "SIP/2.0 486 Busy Here\r\n"));
    bench.receive(&notify(7, &tag, "terminated", "SIP/2.0 100 Trying\r\n"));
    assert_eq!(codes(&bench), [202, 100, 180, 486, 200]);
    bench.receive(&notify(8, &tag, "active", "").replace("Event: refer", "Event: presence"));
    assert_eq!(bench.last().code(), Some(489));
}

#[test]
fn a_refused_refer_is_told_and_so_is_one_that_nobody_answers() {
    for (code, told) in [(Some(603), 603), (None, 408)] {
        let mut bench = Bench::new();
        let (leg, tag) = bench.answered();
        bench.command(leg, Command::Refer("sip:917@carrier.example".to_owned())).unwrap();
        match code {
            Some(code) => {
                let text = response(&bench, "REFER", code, "a");
                bench.receive(&text);
            }
            None => bench.pass(Duration::from_secs(40)),
        }
        assert_eq!(codes(&bench), [told]);
        bench.receive(&notify(2, &tag, "active", "SIP/2.0 180 Ringing"));
        assert_eq!(bench.last().code(), Some(481), "it has refused");
        assert_eq!(bench.machine.counts().legs, 1);
    }
}

#[test]
fn a_refer_of_the_peers_is_taken_with_one_notify_or_declined() {
    for is_taken in [true, false] {
        let mut bench = Bench::new();
        let (leg, tag) = bench.answered();
        bench.receive(&refer(2, &tag, "\"Bob\" <sip:1%302@192.0.2.1>"));
        let Some((_, LegEvent::Refer { id, target })) = bench.events.last().cloned() else { panic!() };
        assert_eq!((target.user.as_str(), target.host.as_str()), ("102", "192.0.2.1"));
        bench.receive(&refer(3, &tag, "<sip:103@192.0.2.1>"));
        assert_eq!(bench.last().code(), Some(491), "one at a time");
        bench.command(leg, Command::AnswerRefer(id, is_taken)).unwrap();
        assert_eq!(bench.command(leg, Command::AnswerRefer(id, true)), Err(CommandError::WrongState));
        if is_taken {
            let (answer, notify) = (&bench.sent[bench.sent.len() - 2].1, bench.last());
            assert_eq!((answer.code(), notify.method()), (Some(202), Some("NOTIFY")));
            assert_eq!(notify.headers.first("Event"), Some("refer"));
            assert_eq!(notify.body.as_ref(), b"SIP/2.0 100 Trying\r\n");
        } else {
            assert_eq!(bench.last().code(), Some(603));
        }
    }
}

#[test]
fn what_is_no_plain_wish_within_a_call_that_is_up_is_refused() {
    let mut bench = Bench::new();
    let (leg, tag) = bench.answered();
    for (cseq, to, code) in [
        (2, "<sip:1@h?Replaces=x>", 501),
        (3, "<sip:1@h;method=BYE>", 501),
        (4, "<http://h/>", 416),
        (5, "<sip:1@h>\r\nRefer-To: <sip:2@h>", 400),
    ] {
        bench.receive(&refer(cseq, &tag, to));
        assert_eq!(bench.last().code(), Some(code), "{to}");
    }
    bench.receive(&refer(6, "", "<sip:1@h>").replace("Call-ID: c1", "Call-ID: c2"));
    assert_eq!(bench.last().code(), Some(481));
    bench.receive(&refer(7, &tag, "<sip:1@h>"));
    bench.command(leg, Command::Hangup(None)).unwrap();
    let bye = response(&bench, "BYE", 200, "a");
    bench.receive(&bye);
    assert_eq!(bench.last().code(), Some(481), "nobody will answer it");
    bench.pass(Duration::from_secs(100));
    assert!(bench.is_empty());

    let mut calling = Bench::new();
    let leg = place(&mut calling);
    let early = Command::Refer("sip:917@h".to_owned());
    assert_eq!(calling.command(leg, early), Err(CommandError::WrongState));
}
