//! The wire log from a message left to the file read: whole, redacted, bounded.

use std::sync::mpsc::Receiver;
use std::time::{Duration, SystemTime};

use super::writer::{CALL_BYTES_MAX, CALLS_KEPT_MAX};
use super::*;
use crate::caller::scratch_folder::ScratchFolder;

fn call(n: u8) -> CallId {
    CallId::new(1, [n; 12])
}

fn trace<'a>(call_id: &'a str, octets: &'a [u8]) -> SipTrace<'a> {
    SipTrace {
        is_incoming: true,
        transport: patchcord_sip::Transport::Udp,
        peer: "192.0.2.9:5062".parse().unwrap(),
        call_id,
        octets,
    }
}

/// A log whose thread has not begun, so that what it is given waits.
fn stuck() -> (WireLog, Receiver<Entry>) {
    let (queue, entries) = sync_channel(LINES_WAITING_MAX);
    (WireLog { queue, tally: Arc::default() }, entries)
}

#[test]
fn messages_of_all_wires_stand_in_the_file_of_their_call_in_order_and_redacted() {
    let folder = ScratchFolder::new().unwrap();
    let (log, thread) = WireLog::open(folder.path()).unwrap();
    log.sip(&trace("a@b", b"INVITE sip:9876543210@192.0.2.1 SIP/2.0\r\nCall-ID: a@b\r\n\r\n"));
    log.sip(&trace("other", b"OPTIONS sip:9876543210@192.0.2.1 SIP/2.0\r\n\r\n"));
    log.claim(&call(1), "a@b");
    let tap = log.tap(&call(1));
    tap.message(WireName::Bot, Flow::Out, "smartpbx", Wire::Text(r#"{"event":"start","from":"9876543210"}"#));
    tap.message(WireName::Bot, Flow::In, "smartpbx", Wire::Binary(&[7; 320]));
    log.tap(&call(2)).message(WireName::Vendor, Flow::In, "ozonetel", Wire::Text("{}"));
    log.sip(&trace("a@b", b"BYE sip:192.0.2.1 SIP/2.0\r\n\r\n"));
    thread.join();

    let lines = read(folder.path(), call(1).as_str()).unwrap();
    let told: Vec<_> = lines.iter().map(|line| (line.wire, line.flow, line.bytes, line.audio)).collect();
    assert_eq!(
        told,
        [
            (WireName::Sip, Flow::In, 57, false),
            (WireName::Bot, Flow::Out, 37, false),
            (WireName::Bot, Flow::In, 320, true),
            (WireName::Sip, Flow::In, 29, false),
        ]
    );
    assert_eq!(lines[0].peer, "udp 192.0.2.9:5062");
    let file = std::fs::read_to_string(file_of(folder.path(), call(1).as_str()).unwrap()).unwrap();
    assert!(!file.contains("9876543210"), "{file}");
    assert_eq!(read(folder.path(), call(2).as_str()).unwrap().len(), 1);
    assert_eq!((log.written(), log.dropped()), (5, 0));
    assert!(ladder(&lines).contains("INVITE"));
}

#[test]
fn a_call_that_left_nothing_and_a_name_that_is_none_are_not_found() {
    let folder = ScratchFolder::new().unwrap();
    for name in ["call_1_00", "../../etc/passwd", "", "a/b", ".."] {
        let error = read(folder.path(), name).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound, "{name}");
    }
}

#[test]
fn what_finds_no_room_is_dropped_and_counted_and_never_waited_for() {
    let (log, entries) = stuck();
    let tap = log.tap(&call(1));
    for _ in 0..LINES_WAITING_MAX + 3 {
        tap.message(WireName::Bot, Flow::In, "custom", Wire::Binary(&[]));
    }
    assert_eq!(log.dropped(), 3);
    drop(entries);
    let (log, _entries) = stuck();
    let large = "x".repeat(1 << 20);
    for _ in 0..9 {
        log.tap(&call(1)).message(WireName::Bot, Flow::In, "custom", Wire::Text(&large));
    }
    assert_eq!(log.dropped(), 2);
}

#[test]
fn what_was_written_makes_room_for_what_comes() {
    let folder = ScratchFolder::new().unwrap();
    let (log, thread) = WireLog::open(folder.path()).unwrap();
    log.claim(&call(1), "a@b");
    let tap = log.tap(&call(1));
    log.sip(&trace("a@b", &[b'x'; 1_000]));
    tap.message(WireName::Bot, Flow::In, "custom", Wire::Text("hello"));
    thread.join();
    assert_eq!(log.tally.waiting_bytes.load(Ordering::Relaxed), 0);
}

#[test]
fn the_oldest_calls_give_way_and_a_call_that_has_had_its_share_gets_no_more() {
    let folder = ScratchFolder::new().unwrap();
    let wire = lines::folder(folder.path());
    std::fs::create_dir_all(&wire).unwrap();
    for age in 0..CALLS_KEPT_MAX as u64 {
        let path = wire.join(format!("call_{age}.jsonl"));
        let file = std::fs::File::create(path).unwrap();
        file.set_modified(SystemTime::now() - Duration::from_secs(1_000 + age)).unwrap();
    }
    let full = std::fs::File::create(wire.join("call_0.jsonl")).unwrap();
    full.set_len(CALL_BYTES_MAX).unwrap();
    let (log, thread) = WireLog::open(folder.path()).unwrap();
    log.tap(&call(1)).message(WireName::Bot, Flow::In, "custom", Wire::Text("{}"));
    let tap = WireTap { log: log.clone(), call: "call_0".into() };
    tap.message(WireName::Bot, Flow::In, "custom", Wire::Text("{}"));
    thread.join();
    assert_eq!(std::fs::read_dir(&wire).unwrap().count(), CALLS_KEPT_MAX);
    assert!(!wire.join(format!("call_{}.jsonl", CALLS_KEPT_MAX - 1)).exists());
    assert_eq!((log.written(), log.dropped()), (1, 1));
}

#[test]
fn calls_that_are_being_written_keep_their_files_and_those_that_find_no_room_are_left_out_whole() {
    let folder = ScratchFolder::new().unwrap();
    let (log, thread) = WireLog::open(folder.path()).unwrap();
    let tap = |n: usize| WireTap { log: log.clone(), call: format!("call_{n}").into() };
    for round in 0..3 {
        for n in 0..CALLS_KEPT_MAX + 20 {
            tap(n).message(WireName::Bot, Flow::In, "custom", Wire::Text("{}"));
        }
        while log.written() + log.dropped() < (round + 1) * (CALLS_KEPT_MAX as u64 + 20) {
            std::thread::yield_now();
        }
    }
    thread.join();
    assert_eq!((log.written(), log.dropped()), (3 * CALLS_KEPT_MAX as u64, 60));
    let kept: Vec<_> =
        (0..CALLS_KEPT_MAX + 20).filter_map(|n| read(folder.path(), &format!("call_{n}")).ok()).collect();
    assert_eq!((kept.len(), kept.iter().all(|lines| lines.len() == 3)), (CALLS_KEPT_MAX, true));
}

#[test]
fn messages_that_no_call_claims_are_forgotten_oldest_first_when_they_are_too_large_together() {
    let folder = ScratchFolder::new().unwrap();
    let (log, thread) = WireLog::open(folder.path()).unwrap();
    let large = [b"OPTIONS sip:a@b SIP/2.0\r\n\r\n".as_slice(), &[b'x'; 60_000]].concat();
    for n in 0..100 {
        log.sip(&trace(&format!("stranger-{n}"), &large));
    }
    for n in 0..100 {
        log.claim(&call(n), &format!("stranger-{n}"));
    }
    thread.join();
    let kept = (0..100).filter(|n| read(folder.path(), call(*n).as_str()).is_ok()).collect::<Vec<_>>();
    assert_eq!(kept, (100 - kept.len() as u8..100).collect::<Vec<_>>());
    assert!((60..=70).contains(&kept.len()), "{kept:?}");
}
