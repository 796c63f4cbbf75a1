//! The 49 torture messages of RFC 4475, each over UDP and TCP, against the table beside them.

use std::path::Path;
use std::time::Duration;

use patchcord_sip::SipLimits;

use crate::support::*;

struct Row {
    message: String,
    udp: String,
    tcp: String,
    octets: Vec<u8>,
}

fn rows() -> Vec<Row> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/rfc4475");
    let table = std::fs::read_to_string(folder.join("verdicts.tsv")).unwrap();
    let lines = table.lines().filter(|l| !l.starts_with('#'));
    lines
        .map(|line| {
            let fields: Vec<&str> = line.split('\t').collect();
            let [message, udp, tcp, section, why] = fields[..] else { panic!("not five fields: {line}") };
            assert!(section.starts_with("3.") && !why.is_empty(), "{line}");
            let octets = std::fs::read(folder.join(format!("TC_{message}.dat"))).unwrap();
            Row { message: message.to_owned(), udp: udp.to_owned(), tcp: tcp.to_owned(), octets }
        })
        .collect()
}

/// The table's words for what came back: provisional and final joined, finals in order.
fn spell(codes: &[u16], closed: bool) -> String {
    let mut words = Vec::new();
    let mut provisional = String::new();
    for code in codes {
        if *code < 200 {
            provisional = format!("{code}+");
        } else {
            words.push(format!("{provisional}{code}"));
            provisional.clear();
        }
    }
    if closed {
        words.push("close".to_owned());
    }
    if words.is_empty() { "silence".to_owned() } else { words.join(" ") }
}

#[test]
fn the_table_has_every_message_once_and_is_silent_only_to_responses() {
    let rows = rows();
    assert_eq!(rows.len(), 49);
    for row in &rows {
        let is_response = row.octets.starts_with(b"SIP/2.0");
        assert_eq!(row.udp == "silence", is_response, "{}", row.message);
        assert_eq!(row.tcp == "silence", is_response, "{}", row.message);
    }
    let names: std::collections::BTreeSet<&str> = rows.iter().map(|r| r.message.as_str()).collect();
    assert_eq!(names.len(), 49);
}

#[tokio::test]
async fn every_torture_message_gets_its_verdict_over_udp() {
    let here = Fixture::start().await;
    let mut wrong = Vec::new();
    for row in rows() {
        let raw = RawUdp::to(here.udp).await;
        raw.send(&row.octets).await;
        let mut codes = Vec::new();
        let wait = if row.udp == "silence" { QUIET } else { DEADLINE };
        while codes.last().is_none_or(|c| *c < 200) {
            match raw.receive(wait).await {
                Some(reply) => codes.push(code(&reply)),
                None => break,
            }
        }
        if spell(&codes, false) != row.udp {
            wrong.push(format!("{}: {} instead of {}", row.message, spell(&codes, false), row.udp));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    call_works(&here.agent, &format!("sip:echo@{}", here.udp)).await;
}

#[tokio::test]
async fn every_torture_message_gets_its_verdict_over_tcp() {
    let limits = SipLimits { tcp_message_timeout: Duration::from_millis(400), ..SipLimits::default() };
    let here = Fixture::with_limits(limits).await;
    let mut wrong = Vec::new();
    for row in rows() {
        let mut raw = RawTcp::to(here.tcp).await;
        raw.send(&row.octets).await;
        let finals = row.tcp.split(' ').filter(|w| w.ends_with(|c: char| c.is_ascii_digit())).count();
        let mut codes = Vec::new();
        let wait = if row.tcp == "silence" { QUIET } else { DEADLINE };
        while codes.iter().filter(|c| **c >= 200).count() < finals.max(1) {
            match raw.receive(wait).await {
                Some(reply) => codes.push(code(&reply)),
                None => break,
            }
        }
        let closed = row.tcp.ends_with("close") && raw.is_closed_within(DEADLINE).await;
        if spell(&codes, closed) != row.tcp {
            wrong.push(format!("{}: {} instead of {}", row.message, spell(&codes, closed), row.tcp));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    call_works(&here.agent, &format!("sip:echo@{};transport=tcp", here.tcp)).await;
}

/// How long silence is listened to.
const QUIET: Duration = Duration::from_millis(150);
