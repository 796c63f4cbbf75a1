//! Laws of the machine: every call ends once on each side and leaves nothing, whatever is lost or sent.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails by panicking")]

use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::pair::{Pair, answer_offers};
use super::tests::{Bench, SDP, inbound, response};
use super::*;

/// Two machines, a link that loses messages by the seed, and what their users do when.
fn lossy_call(seed: u64, loss: u64, script: &[(u64, u8)]) {
    let mut pair = Pair::new(seed, loss);
    let start = pair.now;
    let mut script: Vec<(Instant, u8)> =
        script.iter().map(|(ms, act)| (start + Duration::from_millis(*ms), *act)).collect();
    script.sort();
    let out = pair.place();
    for (at, action) in script {
        pair.run_until(at);
        act(action, out, &mut pair.caller, &mut pair.callee);
    }
    pair.run_until(start + Duration::from_secs(600));
    let Pair { caller, callee, .. } = pair;
    let terminal = |bench: &Bench| bench.events.iter().filter(|(_, e)| e.is_terminal()).count();
    assert_eq!(terminal(&caller), 1, "caller {:?}", caller.events);
    assert_eq!(terminal(&callee), callee.incoming.len(), "callee {:?}", callee.events);
    assert!(callee.incoming.len() <= 1, "one INVITE, one call");
    assert!(caller.is_empty() && callee.is_empty(), "nothing is left");
}

fn act(action: u8, out: LegId, caller: &mut Bench, callee: &mut Bench) {
    let there = callee.incoming.first().copied();
    let _any_state = match (action, there) {
        (0, _) => caller.command(out, Command::Hangup(None)),
        (1, Some(leg)) => callee.command(leg, Command::Hangup(None)),
        (2, Some(leg)) => callee.command(leg, Command::Ringing),
        (3 | 4, Some(leg)) => callee.command(leg, Command::Answer(SDP.to_owned())),
        (5, _) => caller.command(out, Command::Reoffer(SDP.to_owned())),
        (6, Some(leg)) => callee.command(leg, Command::Reoffer(SDP.to_owned())),
        (7, _) => caller.command(out, Command::Info('5', Duration::from_millis(100))),
        (9, Some(leg)) => callee.command(leg, Command::Progress(SDP.to_owned())),
        (8, Some(leg)) => callee.command(leg, Command::Reject(Rejection::new(486, "Busy Here"))),
        _ => Ok(()),
    };
}

/// One step of a hostile peer and a fickle user: which message or command, with which CSeq and tag.
fn step(bench: &mut Bench, (act, cseq, tag): (u8, u32, u8)) {
    let known =
        bench.sent.iter().rev().find(|(_, m, _)| m.code().is_some()).and_then(|(_, m, _)| m.tag("To"));
    let tag = match tag {
        0 => String::new(),
        1 => "forged".to_owned(),
        _ => known.unwrap_or_default(),
    };
    let leg = bench.incoming.last().copied();
    let methods = ["INVITE", "ACK", "CANCEL", "BYE", "INFO", "UPDATE", "OPTIONS", "INVITE"];
    match (act, leg) {
        (0..=6, _) => bench.receive(&inbound(methods[usize::from(act)], cseq, &tag, "", SDP)),
        (7, _) => bench.receive(&inbound("INVITE", cseq, &tag, "", "")),
        (8, _) => bench.pass(Duration::from_millis(u64::from(cseq) * 300)),
        (9..=11, _) => {
            let method = ["INVITE", "BYE", "INFO"][usize::from(act) - 9];
            if bench.sent.iter().any(|(_, m, _)| m.method() == Some(method)) {
                let text = response(bench, method, [180, 200, 408, 481, 491][cseq as usize % 5], "a");
                bench.receive(&text);
            }
        }
        (12, Some(leg)) => drop(bench.command(leg, Command::Answer(SDP.to_owned()))),
        (13, Some(leg)) => drop(bench.command(leg, Command::Hangup(None))),
        (14, Some(leg)) => drop(bench.command(leg, Command::Reoffer(SDP.to_owned()))),
        (15, Some(leg)) => drop(bench.command(leg, Command::Info('1', Duration::from_millis(80)))),
        (16, _) => answer_offers(bench),
        (17, Some(leg)) => drop(bench.command(leg, Command::Progress(SDP.to_owned()))),
        (18, Some(leg)) => drop(bench.command(leg, Command::Ringing)),
        (19, _) => {
            let supported = "Supported: 100rel, timer\r\n";
            bench.receive(&inbound("INVITE", cseq, &tag, supported, if cseq % 2 == 0 { SDP } else { "" }));
        }
        (20, _) => {
            let rseq = last_rseq(bench).unwrap_or_default();
            let rack = format!("RAck: {rseq} {} INVITE\r\n", cseq / 2);
            bench.receive(&inbound("PRACK", cseq, &tag, &rack, if cseq % 3 == 0 { SDP } else { "" }));
        }
        _ => {}
    }
}

fn last_rseq(bench: &Bench) -> Option<u32> {
    bench.sent.iter().rev().find_map(|(_, m, _)| m.headers.first("RSeq"))?.parse().ok()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn every_call_ends_once_on_both_sides_and_leaves_nothing_whatever_is_lost(
        seed in any::<u64>(),
        loss in prop::sample::select(vec![0u64, 5, 20, 50, 90]),
        mut script in prop::collection::vec((0u64..40_000, 0u8..10), 0..12),
    ) {
        // Somebody always hangs up at last, on both ends, in case no message gets through.
        script.push((200_000, 0));
        script.push((200_000, 1));
        lossy_call(seed, loss, &script);
    }

    #[test]
    fn whatever_a_peer_sends_in_whatever_order_nothing_is_left_at_the_end(
        steps in prop::collection::vec((0u8..21, 1u32..6, 0u8..4), 0..60),
    ) {
        let mut bench = Bench::new();
        for one in steps {
            step(&mut bench, one);
        }
        for leg in bench.machine.leg_ids() {
            bench.command(leg, Command::Hangup(None)).ok();
        }
        bench.pass(Duration::from_secs(400));
        let terminal = bench.events.iter().filter(|(_, e)| e.is_terminal()).count();
        prop_assert_eq!(terminal, bench.incoming.len());
        prop_assert_eq!(bench.closed, terminal);
        prop_assert!(bench.is_empty());
        prop_assert_eq!(bench.machine.server_octets, 0);
    }
}
