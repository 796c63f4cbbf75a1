//! Whole calls: our caller against our callee, and raw peers that race, repeat and come out of order.

use std::net::SocketAddr;
use std::time::Duration;

use patchcord_sip::sdp::{Direction, LocalSession};
use patchcord_sip::{BindError, LegEvent, ListenAddr, SipAgent, SipConfig};

use crate::support::*;

#[tokio::test]
async fn a_call_is_placed_and_taken_over_udp_and_tcp() {
    let mut here = Fixture::start().await;
    for target in [format!("sip:echo@{}", here.udp), format!("sip:echo@{};transport=tcp", here.tcp)] {
        call_works(&here.agent, &target).await;
        here.logged("acked false").await;
        here.logged("digit Some('5')").await;
        here.logged("ended remote Some(16)").await;
    }
}

#[tokio::test]
async fn refusals_carry_their_reason() {
    let here = Fixture::start().await;
    for (user, wanted, cause) in [("busy", 486, 17), ("stranger", 404, 1)] {
        let mut call = here.agent.invite(request_to(&format!("sip:{user}@{}", here.udp))).await.unwrap();
        match next(&mut call.events).await {
            LegEvent::Failed { code, q850, .. } => assert_eq!((code, q850), (wanted, Some(cause))),
            other => panic!("unexpected {other:?}"),
        }
    }
    let mut nothing_in_common = request_to(&format!("sip:echo@{}", here.udp));
    nothing_in_common.offer = nothing_in_common.offer.replace("RTP/AVP 0 8 101", "RTP/AVP 18");
    let mut call = here.agent.invite(nothing_in_common).await.unwrap();
    loop {
        match next(&mut call.events).await {
            LegEvent::Ringing { .. } => {}
            LegEvent::Failed { code, .. } => break assert_eq!(code, 488),
            other => panic!("unexpected {other:?}"),
        }
    }
}

#[tokio::test]
async fn a_cancelled_call_ends_once_on_both_sides() {
    let mut here = Fixture::start().await;
    let mut call = here.agent.invite(request_to(&format!("sip:ring@{}", here.udp))).await.unwrap();
    assert!(matches!(next(&mut call.events).await, LegEvent::Ringing { code: 180, .. }));
    call.leg.hang_up(None).await.unwrap();
    assert!(matches!(next(&mut call.events).await, LegEvent::Failed { code: 487, .. }));
    assert!(call.events.next().await.is_none());
    here.logged("cancelled").await;
}

#[tokio::test]
async fn a_cancel_that_races_the_answer_has_exactly_one_outcome() {
    let mut here = Fixture::start().await;
    for round in 0..50 {
        let mut call = here.agent.invite(request_to(&format!("sip:echo@{}", here.udp))).await.unwrap();
        if round % 2 == 0 {
            next(&mut call.events).await;
        }
        call.leg.hang_up(None).await.ok();
        let mut terminal = 0;
        while let Some(event) = call.events.next().await {
            terminal += usize::from(event.is_terminal());
        }
        assert_eq!(terminal, 1);
        let end = loop {
            let line = tokio::time::timeout(DEADLINE, here.log.recv()).await.unwrap().unwrap();
            if line.starts_with("ended remote") || line == "cancelled" {
                break line;
            }
        };
        assert!(!end.is_empty());
    }
}

#[tokio::test]
async fn hold_and_resume_change_the_direction_both_ways() {
    let mut here = Fixture::start().await;
    let mut call = here.agent.invite(request_to(&format!("sip:echo@{}", here.udp))).await.unwrap();
    while !matches!(next(&mut call.events).await, LegEvent::Answered { .. }) {}
    let mut session = LocalSession::new(3 << 8, "127.0.0.1:40002".parse().unwrap());
    let directions = [Direction::SendRecv, Direction::SendOnly, Direction::SendRecv, Direction::Inactive];
    let mut versions = Vec::new();
    for direction in directions {
        call.leg.reoffer(session.offer(&codecs(), 20, direction)).await.unwrap();
        let LegEvent::ReofferAnswered { sdp } = next(&mut call.events).await else { panic!("no answer") };
        let answer = patchcord_sip::sdp::parse(&sdp.unwrap()).unwrap();
        assert_eq!(answer.audio().unwrap().direction, direction.mirrored());
        versions.push(answer.version);
        here.logged(&format!("reoffer Some({direction:?})")).await;
        here.logged("reoffer acked false").await;
    }
    assert_eq!(versions[1] - versions[0], 1, "a changed answer has a new version");
}

#[tokio::test]
async fn a_delayed_offer_is_answered_in_the_ack_and_a_reinvite_without_sdp_too() {
    let mut here = Fixture::start().await;
    let raw = RawUdp::to(here.udp).await;
    raw.send(request("INVITE", "echo", "delayed", 1, None, "", "").as_bytes()).await;
    raw.expect("100 Trying").await;
    let ringing = raw.expect("180 Ringing").await;
    let ok = raw.expect("200 OK").await;
    assert!(ok.contains("m=audio 40000 RTP/AVP 0 8 101"));
    let tag = to_tag(&ok);
    assert_eq!(to_tag(&ringing), tag);
    raw.send(request("ACK", "echo", "delayed", 1, Some(&tag), SDP, &offer()).as_bytes()).await;
    here.logged("acked true").await;
    raw.send(request("INVITE", "echo", "delayed", 2, Some(&tag), "", "").as_bytes()).await;
    let ok = raw.expect("200 OK").await;
    assert!(ok.contains("m=audio"));
    raw.send(request("ACK", "echo", "delayed", 2, Some(&tag), SDP, &offer()).as_bytes()).await;
    here.logged("reoffer acked true").await;
    raw.send(request("BYE", "echo", "delayed", 3, Some(&tag), "Reason: Q.850;cause=31\r\n", "").as_bytes())
        .await;
    raw.expect("200 OK").await;
    here.logged("ended remote Some(31)").await;
}

#[tokio::test]
async fn in_dialog_requests_get_the_answer_that_the_rfc_names() {
    let mut here = Fixture::start().await;
    let raw = RawUdp::to(here.udp).await;
    let invite = request("INVITE", "echo", "dialog", 1, None, SDP, &offer());
    raw.send(invite.as_bytes()).await;
    let ok = raw.expect("200 OK").await;
    let tag = to_tag(&ok);
    let ask = |method: &'static str, cseq: u32, extra: &'static str, body: &'static str| {
        request(method, "echo", "dialog", cseq, Some(&tag), extra, body)
    };
    // Before the ACK: served all the same.
    let dtmf = "Content-Type: application/dtmf-relay\r\n";
    raw.send(ask("INFO", 2, dtmf, "Signal=1\r\nDuration=100\r\n").as_bytes()).await;
    raw.expect("200 OK").await;
    here.logged("digit Some('1')").await;
    // A re-INVITE that overtakes the ACK waits for it.
    raw.send(request("INVITE", "echo", "dialog", 3, Some(&tag), SDP, &offer()).as_bytes()).await;
    raw.send(ask("ACK", 1, "", "").as_bytes()).await;
    here.logged("acked").await;
    let ok = raw.expect("200 OK").await;
    assert_eq!(header(&ok, "CSeq"), Some("3 INVITE"));
    raw.send(ask("ACK", 3, "", "").as_bytes()).await;
    here.logged("reoffer acked").await;
    for (message, wanted) in [
        (ask("OPTIONS", 4, "", ""), 200),
        (ask("UPDATE", 5, "", ""), 200),
        (ask("INFO", 6, "Content-Type: text/plain\r\n", "x"), 415),
        (ask("INFO", 7, "Content-Type: application/dtmf\r\n", "#"), 200),
        (ask("MESSAGE", 8, "", ""), 405),
        (ask("INFO", 4, "Content-Type: application/dtmf\r\n", "2"), 500),
        (request("BYE", "echo", "dialog", 9, Some("forged"), "", ""), 481),
        (request("BYE", "echo", "elsewhere", 9, Some(&tag), "", ""), 481),
        (ask("BYE", 900, "", ""), 200),
        (ask("BYE", 900, "", ""), 200),
        (ask("BYE", 901, "", ""), 481),
    ] {
        raw.send(message.as_bytes()).await;
        let reply = raw.receive(DEADLINE).await.unwrap();
        assert_eq!(code(&reply), wanted, "{message}");
    }
    here.logged("digit Some('#')").await;
    here.logged("ended remote").await;
}

#[tokio::test]
async fn requests_outside_dialogs_get_the_answer_that_the_rfc_names() {
    let here = Fixture::start().await;
    let raw = RawUdp::to(here.udp).await;
    for (method, extra, wanted) in [
        ("OPTIONS", "", 200),
        ("REGISTER", "", 405),
        ("BYE", "", 481),
        ("CANCEL", "", 481),
        ("UPDATE", "", 481),
        ("PRACK", "", 481),
        ("FLY", "", 501),
        ("INVITE", "Require: 100rel, timer, path\r\n", 420),
        ("INVITE", "Supported: timer\r\nSession-Expires: 60\r\n", 422),
        ("INVITE", "Accept: text/plain\r\n", 406),
        ("INVITE", "Content-Encoding: gzip\r\n", 415),
    ] {
        raw.send(request(method, "echo", &format!("out{wanted}{method}"), 1, None, extra, "").as_bytes())
            .await;
        let reply = raw.receive(DEADLINE).await.unwrap();
        assert_eq!(code(&reply), wanted, "{method}: {reply}");
        match wanted {
            405 => assert!(header(&reply, "Allow").unwrap().contains("INVITE")),
            420 => assert_eq!(header(&reply, "Unsupported"), Some("path")),
            422 => assert_eq!(header(&reply, "Min-SE"), Some("90")),
            _ => {}
        }
    }
}

#[tokio::test]
async fn merged_requests_are_refused_and_retransmissions_absorbed() {
    let mut here = Fixture::start().await;
    let raw = RawUdp::to(here.udp).await;
    let invite = request("INVITE", "ring", "merge", 1, None, SDP, &offer());
    raw.send(invite.as_bytes()).await;
    raw.expect("180").await;
    raw.send(invite.as_bytes()).await;
    raw.expect("180").await;
    raw.send(invite.replace("z9hG4bKmerge1INVITE", "z9hG4bKotherpath").as_bytes()).await;
    raw.expect("482").await;
    here.logged("call ring").await;
    raw.send(request("CANCEL", "ring", "merge", 1, None, "", "").replace("1CANCEL;", "1INVITE;").as_bytes())
        .await;
    raw.expect("200 OK").await;
    let refused = raw.expect("487").await;
    // Not acknowledged: it comes again.
    raw.expect("487").await;
    let ack = request("ACK", "ring", "merge", 1, Some(&to_tag(&refused)), "", "");
    raw.send(ack.replace("1ACK;", "1INVITE;").as_bytes()).await;
    here.logged("cancelled").await;
    assert_eq!(here.agent.counters().machine.calls_in, 1);
}

#[tokio::test]
async fn a_taken_port_is_an_error_that_names_it() {
    let here = Fixture::start().await;
    for listen in [ListenAddr::Udp(here.udp), ListenAddr::Tcp(here.tcp)] {
        let config = SipConfig { listen: vec![listen], ..SipConfig::default() };
        match SipAgent::bind(config).await {
            Err(BindError::InUse(addr)) => assert_eq!(addr, listen),
            Err(other) => panic!("unexpected {other}"),
            Ok(_) => panic!("bound twice"),
        }
    }
    assert_eq!("udp:127.0.0.1:5060".parse(), Ok(ListenAddr::Udp(SocketAddr::from(([127, 0, 0, 1], 5060)))));
}

#[tokio::test]
async fn shutdown_ends_calls_and_frees_the_ports() {
    let mut there = Fixture::start().await;
    let here = Fixture::start().await;
    let mut call = here.agent.invite(request_to(&format!("sip:echo@{}", there.udp))).await.unwrap();
    while !matches!(next(&mut call.events).await, LegEvent::Answered { .. }) {}
    let port = here.udp;
    tokio::time::timeout(Duration::from_secs(3), here.agent.shutdown()).await.unwrap();
    there.logged("ended remote").await;
    assert!(matches!(next(&mut call.events).await, LegEvent::Ended { .. }));
    drop(here.agent);
    assert!(std::net::UdpSocket::bind(port).is_ok());
}

#[tokio::test]
async fn calls_work_over_ipv6() {
    let any: SocketAddr = "[::1]:0".parse().unwrap();
    let config =
        SipConfig { listen: vec![ListenAddr::Udp(any), ListenAddr::Tcp(any)], ..SipConfig::default() };
    let here = Fixture::with_config(config).await;
    for target in [format!("sip:echo@{}", here.udp), format!("sip:echo@{};transport=tcp", here.tcp)] {
        assert_eq!(here.agent.local_ip_towards(&target).await.unwrap(), any.ip());
        call_works(&here.agent, &target).await;
    }
}

#[tokio::test]
async fn a_dropped_handle_ends_the_call() {
    let mut there = Fixture::start().await;
    let mut call = there.agent.invite(request_to(&format!("sip:echo@{}", there.udp))).await.unwrap();
    while !matches!(next(&mut call.events).await, LegEvent::Answered { .. }) {}
    drop(call.leg);
    there.logged("ended remote").await;
    assert!(matches!(next(&mut call.events).await, LegEvent::Ended { .. }));
}

#[tokio::test]
async fn a_wildcard_socket_shows_each_peer_the_address_that_it_reaches() {
    let any: SocketAddr = "0.0.0.0:0".parse().unwrap();
    let config =
        SipConfig { listen: vec![ListenAddr::Udp(any), ListenAddr::Tcp(any)], ..SipConfig::default() };
    let here = Fixture::with_config(config).await;
    let port = here.udp.port();
    let raw = RawUdp::to(SocketAddr::from(([127, 0, 0, 1], port))).await;
    raw.send(request("INVITE", "echo", "wild", 1, None, SDP, &offer()).as_bytes()).await;
    let ok = raw.expect("200 OK").await;
    assert_eq!(header(&ok, "Contact"), Some(format!("<sip:127.0.0.1:{port}>").as_str()));
    call_works(&here.agent, &format!("sip:echo@127.0.0.1:{port}")).await;

    let advertise = Some("203.0.113.9".parse().unwrap());
    let config = SipConfig {
        listen: vec![ListenAddr::Udp(any), ListenAddr::Tcp(any)],
        advertise,
        ..SipConfig::default()
    };
    let there = Fixture::with_config(config).await;
    let raw = RawUdp::to(SocketAddr::from(([127, 0, 0, 1], there.udp.port()))).await;
    raw.send(request("INVITE", "echo", "wild", 1, None, SDP, &offer()).as_bytes()).await;
    let ok = raw.expect("200 OK").await;
    let own = format!("<sip:127.0.0.1:{}", there.udp.port());
    assert!(header(&ok, "Contact").unwrap().starts_with(&own), "an outside address leads nowhere here: {ok}");
    let mut stream = RawTcp::to(SocketAddr::from(([127, 0, 0, 1], there.tcp.port()))).await;
    stream.send(request("INVITE", "ring", "wild-tcp", 1, None, SDP, &offer()).as_bytes()).await;
    let ringing = loop {
        let reply = stream.receive(DEADLINE).await.unwrap();
        if code(&reply) == 180 {
            break reply;
        }
    };
    let own = format!("<sip:127.0.0.1:{}", there.tcp.port());
    assert!(header(&ringing, "Contact").unwrap().starts_with(&own), "{ringing}");
    let near = there.agent.local_ip_towards("sip:echo@127.0.0.1:5060").await.unwrap();
    assert!(near.is_loopback(), "{near}");
}

#[tokio::test]
async fn a_target_that_cannot_be_reached_is_told() {
    let here = Fixture::start().await;
    for (target, wanted) in [
        ("not a uri", "not a SIP URI"),
        ("sip:a@127.0.0.1;transport=tls", "no socket"),
        ("sip:a@[::1]:5060", "no socket"),
        ("sip:a@name.invalid", "cannot be reached"),
        ("sip:a@127.0.0.1:1;transport=tcp", "cannot be reached"),
    ] {
        let error = here.agent.invite(request_to(target)).await.expect_err(target);
        assert!(error.to_string().contains(wanted), "{target}: {error}");
    }
}
