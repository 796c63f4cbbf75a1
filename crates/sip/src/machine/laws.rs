//! Laws of the machine: every call ends once on each side and leaves nothing, whatever is lost or sent.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails by panicking")]

use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::tests::{Bench, SDP, flow, inbound, place, response};
use super::*;

/// Two machines; each message is lost, or arrives after 5–45 ms, by the seed.
fn lossy_call(seed: u64, loss: u64, script: &[(u64, u8)]) {
    let (mut caller, mut callee) = (Bench::new(), Bench::new());
    callee.now = caller.now;
    callee.start = caller.start;
    let mut random = seed | 1;
    let mut draw = move |bound: u64| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random % bound
    };
    let mut wire: Vec<(Instant, bool, Message)> = Vec::new();
    let mut script: Vec<(Instant, u8)> =
        script.iter().map(|(ms, act)| (caller.now + Duration::from_millis(*ms), *act)).collect();
    script.sort();
    let out = place(&mut caller);
    let end = caller.now + Duration::from_secs(600);
    let mut now = caller.now;
    while now < end {
        for (bench, to_callee) in [(&mut caller, true), (&mut callee, false)] {
            for (_, message, _) in bench.sent.drain(..) {
                if draw(100) >= loss {
                    wire.push((now + Duration::from_millis(5 + draw(40)), to_callee, message));
                }
            }
        }
        answer_offers(&mut callee);
        answer_offers(&mut caller);
        if !caller.sent.is_empty() || !callee.sent.is_empty() {
            continue;
        }
        let wire_next = wire.iter().map(|(at, ..)| *at).min();
        let script_next = script.first().map(|(at, _)| *at);
        let timers = [caller.machine.poll_timeout(), callee.machine.poll_timeout()];
        let Some(next) = [wire_next, script_next].into_iter().chain(timers).flatten().min() else { break };
        now = now.max(next);
        (caller.now, callee.now) = (now, now);
        caller.pass(Duration::ZERO);
        callee.pass(Duration::ZERO);
        while let Some(at) = wire.iter().position(|(at, ..)| *at <= now) {
            let (_, to_callee, message) = wire.swap_remove(at);
            let bench = if to_callee { &mut callee } else { &mut caller };
            bench.machine.handle_message(now, flow(Transport::Udp), message);
            bench.drain();
        }
        while script.first().is_some_and(|(at, _)| *at <= now) {
            act(script.remove(0).1, out, &mut caller, &mut callee);
        }
    }
    let terminal = |bench: &Bench| bench.events.iter().filter(|(_, e)| e.is_terminal()).count();
    assert_eq!(terminal(&caller), 1, "caller {:?}", caller.events);
    assert_eq!(terminal(&callee), callee.incoming.len(), "callee {:?}", callee.events);
    assert!(callee.incoming.len() <= 1, "one INVITE, one call");
    assert!(caller.is_empty() && callee.is_empty(), "nothing is left");
}

fn answer_offers(bench: &mut Bench) {
    let open: Vec<(LegId, TxId)> = bench
        .events
        .iter()
        .filter_map(|(leg, event)| match event {
            LegEvent::Reoffer { id, .. } => Some((*leg, *id)),
            _ => None,
        })
        .collect();
    for (leg, id) in open {
        bench.command(leg, Command::AnswerReoffer(id, SDP.to_owned())).ok();
    }
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
        _ => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn every_call_ends_once_on_both_sides_and_leaves_nothing_whatever_is_lost(
        seed in any::<u64>(),
        loss in prop::sample::select(vec![0u64, 5, 20, 50, 90]),
        mut script in prop::collection::vec((0u64..40_000, 0u8..9), 0..12),
    ) {
        // Somebody always hangs up at last, on both ends, in case no message gets through.
        script.push((200_000, 0));
        script.push((200_000, 1));
        lossy_call(seed, loss, &script);
    }

    #[test]
    fn whatever_a_peer_sends_in_whatever_order_nothing_is_left_at_the_end(
        steps in prop::collection::vec((0u8..17, 1u32..6, 0u8..4), 0..60),
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
