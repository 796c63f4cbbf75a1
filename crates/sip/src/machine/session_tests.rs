//! Session timers in virtual time: long calls with either refresher, and sessions that nobody refreshes.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails by panicking")]

use std::time::Duration;

use super::pair::Pair;
use super::tests::{Bench, SDP, inbound, place, response};
use super::*;
use crate::call::EndedBy;

const MINUTE: Duration = Duration::from_secs(60);

fn without_update(message: &mut Message) {
    if message.headers.first("Allow").is_some() {
        message.headers.set("Allow", "INVITE, ACK, CANCEL, BYE");
    }
}

fn without_timer(message: &mut Message) {
    message.headers.set("Supported", "100rel");
    for name in ["Session-Expires", "Min-SE", "Require"] {
        message.headers.remove(name);
    }
}

/// A first INVITE that wants the caller to refresh; otherwise the callee does.
fn caller_refreshes(message: &mut Message) {
    if message.method() == Some("INVITE") && message.tag("To").is_none() {
        message.headers.set("Session-Expires", "1800;refresher=uac");
    }
}

#[test]
fn a_call_of_65_minutes_lives_with_either_refresher_by_update_and_by_reinvite() {
    type Change = fn(&mut Message, bool);
    let cases: [(&str, Change, &str, bool); 6] = [
        ("caller", |m, _| caller_refreshes(m), "UPDATE", true),
        (
            "caller, no UPDATE",
            |m, _| {
                caller_refreshes(m);
                without_update(m);
            },
            "INVITE",
            true,
        ),
        ("callee", |_, _| {}, "UPDATE", false),
        ("callee, no UPDATE", |m, _| without_update(m), "INVITE", false),
        (
            "a caller without timers",
            |m, to_callee| {
                if to_callee {
                    without_timer(m);
                }
            },
            "UPDATE",
            false,
        ),
        (
            "a callee without timers",
            |m, to_callee| {
                if !to_callee {
                    without_timer(m)
                }
            },
            "UPDATE",
            true,
        ),
    ];
    for (name, change, method, by_caller) in cases {
        let mut pair = Pair::new(7, 0);
        pair.change = change;
        let (out, there) = pair.answered();
        pair.run_for(65 * MINUTE);
        for (bench, leg) in [(&pair.caller, out), (&pair.callee, there)] {
            assert!(matches!(bench.machine.legs[&leg].phase, leg::Phase::Up), "{name}");
            assert!(!bench.events.iter().any(|(_, e)| e.is_terminal()), "{name}: {:?}", bench.events);
        }
        let refreshes: Vec<u64> = pair
            .requests
            .iter()
            .filter(|(m, to_callee, at)| m == method && *to_callee == by_caller && *at > MINUTE)
            .map(|(.., at)| at.as_secs() / 60)
            .collect();
        assert_eq!(refreshes, [15, 30, 45, 60], "{name}");
        pair.caller.command(out, Command::Hangup(None)).unwrap();
        pair.run_for(2 * MINUTE);
        assert!(pair.caller.is_empty() && pair.callee.is_empty(), "{name}");
    }
}

#[test]
fn both_sides_give_up_a_session_whose_refreshes_are_lost() {
    let mut pair = Pair::new(7, 0);
    pair.change = |m, _| caller_refreshes(m);
    pair.answered();
    pair.run_for(10 * MINUTE);
    pair.loss = 100;
    pair.run_for(30 * MINUTE);
    let ended = |bench: &Bench| {
        let lost = |e: &LegEvent| matches!(e, LegEvent::Ended { by: EndedBy::Lost, .. });
        bench.events.iter().filter(|(_, e)| lost(e)).count()
    };
    assert_eq!((ended(&pair.caller), ended(&pair.callee)), (1, 1));
    let byes: Vec<(bool, u64)> = pair
        .requests
        .iter()
        .filter(|(m, ..)| m == "BYE")
        .map(|(_, by_caller, at)| (*by_caller, at.as_secs()))
        .collect();
    // The refresher hears nothing for 32 s after half the time; the other waits until 32 s before the end.
    assert_eq!(byes.iter().find(|(by_caller, _)| *by_caller).unwrap().1, 900 + 32);
    assert_eq!(byes.iter().find(|(by_caller, _)| !*by_caller).unwrap().1, 1800 - 32);
    assert!(pair.caller.is_empty() && pair.callee.is_empty());
}

#[test]
fn refreshes_cross_heavy_loss() {
    for seed in 0..20 {
        let mut pair = Pair::new(seed, 0);
        if seed % 2 == 0 {
            pair.change = |m, _| without_update(m);
        }
        pair.answered();
        pair.loss = 40;
        pair.run_for(65 * MINUTE);
        let alive = |bench: &Bench| !bench.events.iter().any(|(_, e)| e.is_terminal());
        assert!(alive(&pair.caller) && alive(&pair.callee), "seed {seed}");
    }
}

#[test]
fn an_interval_below_our_minimum_is_refused_with_it_and_the_second_invite_is_taken() {
    let mut bench = Bench::new();
    bench.receive(&inbound("INVITE", 1, "", "Supported: timer\r\nSession-Expires: 89\r\n", SDP));
    assert_eq!((bench.last().code(), bench.last().headers.first("Min-SE")), (Some(422), Some("90")));
    assert_eq!(bench.machine.counts().legs, 0);
    bench.receive(&inbound(
        "INVITE",
        2,
        "",
        "Supported: timer\r\nSession-Expires: 90;refresher=uac\r\n",
        SDP,
    ));
    let leg = bench.incoming[0];
    bench.command(leg, Command::Answer(SDP.to_owned())).unwrap();
    let ok = bench.last();
    assert_eq!(ok.headers.first("Session-Expires"), Some("90;refresher=uac"));
    assert_eq!(ok.headers.first("Require"), Some("timer"));
    let tag = ok.tag("To").unwrap();
    bench.receive(&inbound("ACK", 2, &tag, "", ""));
    // Neither an UPDATE nor a re-INVITE makes it shorter than we take.
    for (method, cseq) in [("UPDATE", 3), ("INVITE", 4)] {
        let short = "Supported: timer\r\nSession-Expires: 60\r\n";
        bench.receive(&inbound(method, cseq, &tag, short, if method == "INVITE" { SDP } else { "" }));
        assert_eq!(bench.last().code(), Some(422), "{method}");
    }
    // The peer refreshes once, then no more.
    bench.pass(Duration::from_secs(45));
    bench.receive(&inbound("UPDATE", 5, &tag, "Supported: timer\r\nSession-Expires: 90\r\n", ""));
    assert_eq!(bench.last().headers.first("Session-Expires"), Some("90;refresher=uac"));
    bench.pass(Duration::from_secs(59));
    assert!(bench.events.iter().all(|(_, e)| !e.is_terminal()));
    bench.pass(Duration::from_secs(2));
    assert!(is_lost(&bench));
}

#[test]
fn our_invite_asks_for_longer_once_when_the_peer_demands_it() {
    let mut bench = Bench::new();
    place(&mut bench);
    let first = bench.last().clone();
    assert_eq!(first.headers.first("Session-Expires"), Some("1800"));
    assert!(first.headers.first("Supported").unwrap().contains("timer"));
    for (min, asked) in [(3600, Some("3600")), (7200, None)] {
        let refusal = response(&bench, "INVITE", 422, "b");
        bench.receive(&refusal.replace("Content-Length", &format!("Min-SE: {min}\r\nContent-Length")));
        let again = bench.sent.iter().rev().find(|(_, m, _)| m.method() == Some("INVITE")).unwrap().1.clone();
        match asked {
            Some(asked) => {
                assert_eq!(again.headers.first("Session-Expires"), Some(asked));
                assert_eq!(again.headers.first("Min-SE"), Some(asked));
                assert_eq!((again.cseq(), again.tag("To")), (Some((2, "INVITE")), None));
                assert_eq!(again.headers.first("Call-ID"), first.headers.first("Call-ID"));
                assert_eq!(again.body, first.body);
            }
            None => assert!(matches!(bench.events.last(), Some((_, LegEvent::Failed { code: 422, .. })))),
        }
    }
    bench.pass(MINUTE);
    assert!(bench.is_empty());
}

/// An answered call of ours whose refresh is under way; the peer agreed to no interval.
fn refreshing(allow: &str) -> Bench {
    refreshing_after(&format!("Allow: {allow}\r\n"))
}

/// The same with these fields in the peer's 200.
fn refreshing_after(fields: &str) -> Bench {
    let mut bench = Bench::new();
    place(&mut bench);
    let ok = response(&bench, "INVITE", 200, "b");
    bench.receive(&ok.replace("Content-Length", &format!("{fields}Content-Length")));
    bench.sent.clear();
    bench.pass(Duration::from_secs(900));
    assert_eq!(bench.sent.len(), 1);
    bench
}

/// Refuses every refresh so long, each within 10 s, and says how many there were.
fn refuse_refreshes(bench: &mut Bench, code: u16, time: Duration) -> usize {
    let (mut refused, end) = (std::collections::BTreeSet::new(), bench.now + time);
    while bench.now < end {
        let mut asked = bench.sent.iter().rev().filter_map(|(_, m, _)| m.cseq());
        let asked = asked.find(|(_, method)| matches!(*method, "INVITE" | "UPDATE"));
        if let Some((cseq, method)) = asked.map(|(cseq, method)| (cseq, method.to_owned()))
            && refused.insert(cseq)
        {
            let text = response(bench, &method, code, "b");
            bench.receive(&text);
        }
        bench.pass(Duration::from_secs(10));
    }
    refused.len()
}

fn is_lost(bench: &Bench) -> bool {
    matches!(bench.events.last(), Some((_, LegEvent::Ended { by: EndedBy::Lost, .. })))
}

#[test]
fn what_a_refresh_is_refused_with_decides_when_it_comes_again_or_whether_the_call_ends() {
    // Repetitions do not count.
    let sent = |bench: &Bench, method: &str| {
        let of_method = bench.sent.iter().filter(|(_, m, _)| m.method() == Some(method));
        of_method.map(|(_, m, _)| m.cseq().unwrap().0).collect::<std::collections::BTreeSet<u32>>().len()
    };
    let mut gone = refreshing("UPDATE");
    let text = response(&gone, "UPDATE", 481, "b");
    gone.receive(&text);
    assert!(is_lost(&gone));
    assert_eq!(sent(&gone, "BYE"), 1);

    // Glare: we chose the Call-ID, so we wait 2.1 to 4 s.
    let mut glare = refreshing("UPDATE");
    let text = response(&glare, "UPDATE", 491, "b");
    glare.receive(&text);
    glare.pass(Duration::from_millis(2_099));
    assert_eq!(sent(&glare, "UPDATE"), 1);
    glare.pass(Duration::from_millis(1_901));
    assert_eq!(sent(&glare, "UPDATE"), 2);

    // A peer that does not take UPDATE after all gets a re-INVITE with what we described before.
    for code in [405, 488, 501] {
        let mut older = refreshing("UPDATE");
        let text = response(&older, "UPDATE", code, "b");
        older.receive(&text);
        older.pass(Duration::from_millis(1));
        assert_eq!((sent(&older, "INVITE"), older.last().body.as_ref()), (1, SDP.as_bytes()), "{code}");
        let text = response(&older, "INVITE", 200, "b");
        older.receive(&text);
        assert_eq!(older.last().method(), Some("ACK"));
        assert!(matches!(older.events.last(), Some((_, LegEvent::ReofferAnswered { .. }))));
    }

    // Another refusal by a peer that agreed to an interval: tried again until it is too late.
    let mut stubborn = refreshing_after("Session-Expires: 1800;refresher=uac\r\n");
    let refused = refuse_refreshes(&mut stubborn, 503, Duration::from_secs(1000));
    assert!((5..12).contains(&refused), "{refused}");
    assert!(is_lost(&stubborn));
}

#[test]
fn a_peer_without_session_timers_that_refuses_every_refresh_keeps_its_call_until_it_is_silent() {
    type Up = fn() -> Bench;
    let without: [(&str, Up); 3] = [
        ("callee", || refreshing("INVITE")),
        ("callee with UPDATE", || refreshing("INVITE, UPDATE")),
        ("caller", || {
            let mut bench = Bench::new();
            bench.answered();
            bench.sent.clear();
            bench
        }),
    ];
    for (who, up) in without {
        for code in [403, 405, 488, 500, 501, 503, 603] {
            let mut bench = up();
            let refused = refuse_refreshes(&mut bench, code, 65 * MINUTE);
            assert!(bench.events.iter().all(|(_, e)| !e.is_terminal()), "{who}, {code}: {:?}", bench.events);
            assert!((3..12).contains(&refused), "{who}, {code}: asked {refused} times");
            // From here on it says nothing.
            bench.pass(16 * MINUTE);
            assert!(is_lost(&bench), "{who}, {code}");
        }
    }
}

#[test]
fn a_peer_without_session_timers_that_does_not_know_the_call_any_more_ends_it() {
    for code in [408, 481] {
        let mut bench = refreshing("INVITE");
        refuse_refreshes(&mut bench, 405, 35 * MINUTE);
        refuse_refreshes(&mut bench, code, 15 * MINUTE);
        assert!(is_lost(&bench), "{code}");
    }
}
