//! TCP as a stream: any cut, many messages, limits, and peers that are slow or never read.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use patchcord_sip::{ListenAddr, SipConfig, SipLimits, SourceFilter};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::*;

fn options(id: &str) -> String {
    request("OPTIONS", "echo", id, 1, None, "", "abc")
}

#[tokio::test]
async fn a_message_may_be_cut_at_every_octet() {
    let here = Fixture::start().await;
    let message = options("cut");
    let mut raw = RawTcp::to(here.tcp).await;
    raw.stream.set_nodelay(true).unwrap();
    for cut in 1..message.len() {
        let message = message.replace("Call-ID: cut", &format!("Call-ID: cut{cut}"));
        raw.send(&message.as_bytes()[..cut]).await;
        tokio::task::yield_now().await;
        raw.send(&message.as_bytes()[cut..]).await;
        let reply = raw.receive(DEADLINE).await.unwrap();
        assert_eq!((code(&reply), header(&reply, "Call-ID").unwrap()), (200, format!("cut{cut}").as_str()));
    }
}

#[tokio::test]
async fn pipelined_messages_and_keep_alives_are_served_in_order() {
    let here = Fixture::start().await;
    let mut raw = RawTcp::to(here.tcp).await;
    raw.send(format!("{}\r\n{}", options("one"), options("two")).as_bytes()).await;
    for id in ["one", "two"] {
        let reply = raw.receive(DEADLINE).await.unwrap();
        assert_eq!(header(&reply, "Call-ID"), Some(id));
    }
    raw.send(b"\r\n\r\n").await;
    let mut pong = [0; 2];
    raw.stream.read_exact(&mut pong).await.unwrap();
    assert_eq!(&pong, b"\r\n");
}

#[tokio::test]
async fn too_large_a_message_is_refused_and_the_stream_closed() {
    let here = Fixture::start().await;
    let mut raw = RawTcp::to(here.tcp).await;
    let large = options("large").replace("Content-Length: 3", "Content-Length: 70000");
    raw.send(large.as_bytes()).await;
    assert_eq!(code(&raw.receive(DEADLINE).await.unwrap()), 513);
    assert!(raw.is_closed_within(DEADLINE).await);
    let mut endless = RawTcp::to(here.tcp).await;
    let head = options("endless");
    let head = head.split("Max-Forwards").next().unwrap();
    endless.send(head.as_bytes()).await;
    let filler = format!("X-Fill: {}\r\n", "x".repeat(1000));
    for _ in 0..80 {
        if endless.stream.write_all(filler.as_bytes()).await.is_err() {
            break;
        }
    }
    assert_eq!(code(&endless.receive(DEADLINE).await.unwrap()), 513);
    let mut many = RawTcp::to(here.tcp).await;
    let fields = "A: b\r\n".repeat(300);
    many.send(request("OPTIONS", "echo", "many", 1, None, &fields, "").as_bytes()).await;
    assert_eq!(code(&many.receive(DEADLINE).await.unwrap()), 400);
}

#[tokio::test]
async fn a_peer_that_never_reads_is_cut_off_and_holds_up_nobody() {
    let limits = SipLimits { tcp_outbox_octets_max: 8192, ..SipLimits::default() };
    let here = Fixture::with_limits(limits).await;
    let mut deaf = TcpStream::connect(here.tcp).await.unwrap();
    let flood = options("deaf").repeat(50);
    let started = std::time::Instant::now();
    // Until its own socket is closed under it: our answers pile up and are bounded.
    while deaf.write_all(flood.as_bytes()).await.is_ok() {
        assert!(started.elapsed() < DEADLINE, "never cut off");
    }
    assert!(here.agent.counters().connections_refused >= 1);
    call_works(&here.agent, &format!("sip:echo@{}", here.udp)).await;
    call_works(&here.agent, &format!("sip:echo@{};transport=tcp", here.tcp)).await;
}

#[tokio::test]
async fn slow_peers_lose_their_connection_and_idle_ones_keep_it() {
    let limits = SipLimits { tcp_message_timeout: Duration::from_millis(300), ..SipLimits::default() };
    let here = Fixture::with_limits(limits).await;
    let mut silent = RawTcp::to(here.tcp).await;
    let mut slow = RawTcp::to(here.tcp).await;
    let mut idle = RawTcp::to(here.tcp).await;
    idle.send(options("idle").as_bytes()).await;
    assert_eq!(code(&idle.receive(DEADLINE).await.unwrap()), 200);
    let message = options("slow");
    let feeding = async {
        let mut cut_off = false;
        for octet in message.as_bytes().chunks(1) {
            cut_off |= slow.stream.write_all(octet).await.is_err();
            if cut_off {
                break;
            }
            tokio::select! {
                end = slow.stream.readable() => { end.unwrap(); cut_off = true; break; }
                () = tokio::task::yield_now() => {}
            }
            let mut interval = tokio::time::interval(Duration::from_millis(20));
            interval.tick().await;
            interval.tick().await;
        }
        cut_off
    };
    assert!(tokio::time::timeout(DEADLINE, feeding).await.unwrap(), "a message may not take for ever");
    assert!(silent.is_closed_within(DEADLINE).await);
    idle.send(options("again").as_bytes()).await;
    assert_eq!(code(&idle.receive(DEADLINE).await.unwrap()), 200);
}

/// An agent that lets sources in as the filter says, and closes no connection for its slowness.
async fn guarded(accept_source: SourceFilter) -> Fixture {
    let any = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
    let limits = SipLimits { tcp_message_timeout: DEADLINE * 6, ..SipLimits::default() };
    let config = SipConfig {
        listen: vec![ListenAddr::Udp(any), ListenAddr::Tcp(any)],
        limits,
        accept_source: Some(accept_source),
        ..SipConfig::default()
    };
    Fixture::with_config(config).await
}

#[tokio::test]
async fn a_source_that_is_not_accepted_gets_no_connection() {
    let here = guarded(Arc::new(|source| !source.is_loopback())).await;
    let mut stranger = RawTcp::to(here.tcp).await;
    assert!(stranger.is_closed_within(DEADLINE).await);
    let counters = here.agent.counters();
    assert_eq!((counters.connections, counters.connections_refused), (0, 1));
}

#[tokio::test]
async fn a_stranger_hears_403_once_and_loses_its_connection() {
    let asked = AtomicUsize::new(0);
    let here = guarded(Arc::new(move |_| asked.fetch_add(1, Relaxed) == 0)).await;
    let mut stranger = RawTcp::to(here.tcp).await;
    stranger.send(format!("{}{}", options("first"), options("second")).as_bytes()).await;
    let reply = stranger.receive(DEADLINE).await.unwrap();
    assert_eq!((code(&reply), header(&reply, "Call-ID")), (403, Some("first")));
    assert!(stranger.receive(DEADLINE).await.is_none(), "one answer is enough");
    assert_eq!(here.agent.counters().refused.iter().find(|(code, _)| *code == 403), Some(&(403, 1)));
}

#[tokio::test]
async fn neither_keep_alives_nor_refused_messages_keep_a_place_that_no_accepted_message_has_earned() {
    let limits = SipLimits { tcp_message_timeout: Duration::from_millis(400), ..SipLimits::default() };
    let here = Fixture::with_limits(limits).await;
    let refused = options("refused").replace("SIP/2.0\r\nVia", "SIP/7.0\r\nVia");
    for octets in ["\r\n\r\n", refused.as_str()] {
        let mut peer = TcpStream::connect(here.tcp).await.unwrap();
        let mut interval = tokio::time::interval(Duration::from_millis(50));
        let mut answers = [0; 4096];
        let held = async {
            while peer.write_all(octets.as_bytes()).await.is_ok()
                && peer.read(&mut answers).await.is_ok_and(|length| length > 0)
            {
                interval.tick().await;
            }
        };
        assert!(tokio::time::timeout(DEADLINE, held).await.is_ok(), "kept by {octets:?}");
    }
}

#[tokio::test]
async fn connections_of_one_source_are_bounded() {
    let limits = SipLimits { tcp_connections_per_source_max: 4, ..SipLimits::default() };
    let here = Fixture::with_limits(limits).await;
    let mut kept = Vec::new();
    for n in 0..4 {
        let mut raw = RawTcp::to(here.tcp).await;
        raw.send(options(&format!("kept{n}")).as_bytes()).await;
        assert_eq!(code(&raw.receive(DEADLINE).await.unwrap()), 200);
        kept.push(raw);
    }
    let mut refused = RawTcp::to(here.tcp).await;
    assert!(refused.is_closed_within(DEADLINE).await);
    drop(kept);
    let freed = async {
        while here.agent.counters().connections_open > 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(DEADLINE, freed).await.unwrap();
    call_works(&here.agent, &format!("sip:echo@{};transport=tcp", here.tcp)).await;
}

#[tokio::test]
async fn a_bye_dials_the_contact_when_the_connection_of_the_call_is_gone() {
    let here = Fixture::start().await;
    let home = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let contact = format!("<sip:raw@{};transport=tcp>", home.local_addr().unwrap());
    let mut raw = RawTcp::to(here.tcp).await;
    let invite = request("INVITE", "echo", "moved", 1, None, SDP, &offer());
    raw.send(invite.replace("<sip:raw@127.0.0.1:9>", &contact).as_bytes()).await;
    let ok = loop {
        let reply = raw.receive(DEADLINE).await.unwrap();
        if code(&reply) == 200 {
            break reply;
        }
    };
    raw.send(request("ACK", "echo", "moved", 1, Some(&to_tag(&ok)), "", "").as_bytes()).await;
    drop(raw);
    let gone = async {
        while here.agent.counters().connections_open > 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(DEADLINE, gone).await.unwrap();
    let agent = here.agent;
    let ending = tokio::spawn(async move { agent.shutdown().await });
    let (mut stream, _) = tokio::time::timeout(DEADLINE, home.accept()).await.unwrap().unwrap();
    let mut buffer = [0; 4];
    stream.read_exact(&mut buffer).await.unwrap();
    assert_eq!(&buffer, b"BYE ");
    ending.await.unwrap();
}

#[tokio::test]
async fn an_answer_dials_the_port_of_the_via_when_the_connection_of_the_invite_is_gone() {
    let mut here = Fixture::start().await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut raw = RawTcp::to(here.tcp).await;
    let invite = request("INVITE", "ring", "gone", 1, None, SDP, &offer());
    raw.send(invite.replace("127.0.0.1:9;branch", &format!("127.0.0.1:{port};branch")).as_bytes()).await;
    raw.receive(DEADLINE).await.unwrap();
    here.logged("call ring").await;
    drop(raw);
    while here.agent.counters().connections_open > 0 {
        tokio::task::yield_now().await;
    }
    let mut again = RawTcp::to(here.tcp).await;
    let cancel = request("CANCEL", "ring", "gone", 1, None, "", "").replace("1CANCEL;", "1INVITE;");
    again.send(cancel.replace("127.0.0.1:9;branch", &format!("127.0.0.1:{port};branch")).as_bytes()).await;
    let (mut stream, _) = tokio::time::timeout(DEADLINE, listener.accept()).await.unwrap().unwrap();
    let mut buffer = [0; 4096];
    let length = stream.read(&mut buffer).await.unwrap();
    let refused = String::from_utf8_lossy(&buffer[..length]).into_owned();
    assert_eq!((code(&refused), header(&refused, "Call-ID")), (487, Some("gone")));
}
