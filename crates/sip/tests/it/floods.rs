//! Mutated and unwanted input in quantity: the agent stays bounded, and a call afterwards works.

use std::path::Path;
use std::time::Duration;

use patchcord_sip::{ListenAddr, SipAgent, SipConfig, SipLimits, Strangers};

use crate::support::*;

/// xorshift64*: the same mutations at every run.
pub struct Seeded(pub u64);

impl Seeded {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) as usize % bound.max(1)
    }
}

/// The torture messages and a normal dialogue.
pub fn corpus() -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/rfc4475");
    let mut corpus: Vec<Vec<u8>> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "dat"))
        .map(|path| std::fs::read(path).unwrap())
        .collect();
    corpus.sort();
    for method in ["INVITE", "ACK", "CANCEL", "BYE", "INFO", "UPDATE", "OPTIONS"] {
        corpus.push(request(method, "echo", "seed", 1, None, SDP, &offer()).into_bytes());
        corpus.push(request(method, "ring", "seed", 2, Some("x"), "", "").into_bytes());
    }
    corpus
}

pub fn mutate(random: &mut Seeded, corpus: &[Vec<u8>]) -> Vec<u8> {
    let mut octets = corpus[random.below(corpus.len())].clone();
    for _ in 0..=random.below(6) {
        let at = random.below(octets.len());
        match random.below(6) {
            0 => octets[at] = random.below(256) as u8,
            1 => octets.truncate(at.max(1)),
            2 => octets.insert(at, b"\r\n;,<>\"\\%@:=\0 \xff"[random.below(15)]),
            3 => {
                let end = (at + random.below(40)).min(octets.len());
                octets.drain(at..end);
            }
            4 => {
                let end = (at + random.below(80)).min(octets.len());
                let copy = octets[at..end].to_vec();
                octets.splice(at..at, copy);
            }
            _ => {
                let other = &corpus[random.below(corpus.len())];
                let cut = random.below(other.len());
                octets.truncate(at);
                octets.extend_from_slice(&other[cut..]);
            }
        }
        if octets.is_empty() {
            octets.push(b'x');
        }
    }
    octets.truncate(60_000);
    octets
}

#[tokio::test]
async fn mutated_messages_do_not_hurt_over_udp_or_tcp() {
    let limits = SipLimits { tcp_message_timeout: Duration::from_millis(100), ..SipLimits::default() };
    let here = Fixture::with_limits(limits).await;
    let (corpus, mut random) = (corpus(), Seeded(0x5EED_0001));
    let raw = RawUdp::to(here.udp).await;
    for round in 0..6000 {
        raw.send(&mutate(&mut random, &corpus)).await;
        if round % 50 == 0 {
            tokio::task::yield_now().await;
            while raw.receive(Duration::from_millis(1)).await.is_some() {}
        }
    }
    for _ in 0..300 {
        let mut peer = RawTcp::to(here.tcp).await;
        peer.send(&mutate(&mut random, &corpus)).await;
    }
    assert!(here.agent.counters().datagrams > 5000);
    call_works(&here.agent, &format!("sip:echo@{}", here.udp)).await;
    call_works(&here.agent, &format!("sip:echo@{};transport=tcp", here.tcp)).await;
}

#[tokio::test]
async fn over_capacity_the_refusal_is_503_with_retry_after_and_admitted_calls_live() {
    let limits = SipLimits { calls_max: 10, ..SipLimits::default() };
    let here = Fixture::with_limits(limits).await;
    let raw = RawUdp::to(here.udp).await;
    let mut codes = Vec::new();
    for n in 0..60 {
        raw.send(request("INVITE", "ring", &format!("full{n}"), 1, None, SDP, &offer()).as_bytes()).await;
    }
    while codes.len() < 60 {
        let reply = raw.receive(DEADLINE).await.unwrap();
        match code(&reply) {
            503 => {
                assert_eq!(header(&reply, "Retry-After"), Some("5"));
                codes.push(503);
            }
            180 => codes.push(180),
            _ => {}
        }
    }
    assert_eq!(codes.iter().filter(|c| **c == 180).count(), 10);
    assert_eq!(here.agent.counters().machine.refused_full, 50);
    raw.send(request("CANCEL", "ring", "full0", 1, None, "", "").replace("1CANCEL;", "1INVITE;").as_bytes())
        .await;
    raw.expect("487").await;
}

#[tokio::test]
async fn a_source_that_calls_too_often_is_slowed_down() {
    let limits = SipLimits { invites_per_second: 1, invite_burst: 5, ..SipLimits::default() };
    let here = Fixture::with_limits(limits).await;
    let raw = RawUdp::to(here.udp).await;
    for n in 0..40 {
        raw.send(request("INVITE", "nobody", &format!("rate{n}"), 1, None, SDP, &offer()).as_bytes()).await;
    }
    let mut refused = 0;
    while refused < 34 {
        let reply = raw.receive(DEADLINE).await.unwrap();
        if code(&reply) == 503 {
            assert_eq!(header(&reply, "Retry-After"), Some("1"));
            refused += 1;
        }
    }
    assert!(here.agent.counters().machine.refused_rate >= 34);
    // Other requests are not calls.
    raw.send(request("OPTIONS", "echo", "alive", 1, None, "", "").as_bytes()).await;
    raw.expect("200 OK").await;
}

/// An agent that nobody on this machine may call, and a stranger.
async fn closed(strangers: Strangers) -> (SipAgent, RawUdp) {
    let any = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
    let config = SipConfig {
        listen: vec![ListenAddr::Udp(any)],
        accept_source: Some(std::sync::Arc::new(|source| !source.is_loopback())),
        strangers,
        ..SipConfig::default()
    };
    let (agent, _calls) = SipAgent::bind(config).await.unwrap();
    let raw = RawUdp::to(agent.local_addrs()[0].addr()).await;
    (agent, raw)
}

#[tokio::test]
async fn a_source_that_is_not_accepted_is_forbidden_and_not_without_end() {
    let (agent, raw) = closed(Strangers::Refuse).await;
    raw.send(request("INVITE", "echo", "stranger", 1, None, SDP, &offer()).as_bytes()).await;
    raw.expect("403").await;
    for cseq in 2..=200 {
        raw.send(request("OPTIONS", "echo", "stranger", cseq, None, "", "").as_bytes()).await;
    }
    let mut answers = 1;
    while raw.receive(Duration::from_millis(300)).await.is_some() {
        answers += 1;
    }
    let counters = agent.counters();
    assert_eq!((counters.strangers, counters.machine.calls_in), (200, 0));
    assert!((50..100).contains(&answers), "{answers} answers to 200 requests");
}

#[tokio::test]
async fn a_source_that_is_not_accepted_meets_silence_where_that_is_wanted() {
    let (agent, raw) = closed(Strangers::Silence).await;
    for method in ["INVITE", "REGISTER", "OPTIONS", "BYE"] {
        raw.send(request(method, "echo", method, 1, None, "", "").as_bytes()).await;
    }
    while agent.counters().strangers < 4 {
        assert_eq!(raw.receive(Duration::from_millis(10)).await, None);
    }
    assert_eq!(raw.receive(Duration::from_millis(100)).await, None);
}
