//! The machine in virtual time: timers, races, routes.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails by panicking")]

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::*;
use crate::call::EndedBy;
use crate::message::parse;

/// One machine, a clock that stands still until told, and what came out of it.
pub(super) struct Bench {
    pub(super) machine: Machine,
    pub(super) now: Instant,
    pub(super) start: Instant,
    pub(super) sent: Vec<(Flow, Message, Duration)>,
    pub(super) events: Vec<(LegId, LegEvent)>,
    pub(super) incoming: Vec<LegId>,
    pub(super) lone: Vec<(LoneId, LoneAnswer)>,
    pub(super) closed: usize,
}

const PEER: &str = "198.51.100.7:5062";

impl Bench {
    pub(super) fn new() -> Self {
        Self::with_limits(Limits::default())
    }

    fn with_limits(limits: Limits) -> Self {
        let settings = Settings {
            user_agent: "bench".to_owned(),
            t1: Duration::from_millis(500),
            t2: Duration::from_secs(4),
            t4: Duration::from_secs(5),
            session: SessionTimes::default(),
            accept_source: None,
            directory: None,
            locations: Locations::default(),
            strangers: Strangers::default(),
            limits,
        };
        let now = Instant::now();
        Self {
            machine: Machine::new(settings),
            now,
            start: now,
            sent: Vec::new(),
            events: Vec::new(),
            incoming: Vec::new(),
            lone: Vec::new(),
            closed: 0,
        }
    }

    pub(super) fn drain(&mut self) {
        while let Some(output) = self.machine.poll_output() {
            match output {
                Output::Send { flow, octets, .. } => {
                    let parsed = parse(&octets, 256);
                    assert_eq!(parsed.fault, None, "we send what we would refuse");
                    self.sent.push((flow, parsed.message, self.now - self.start));
                }
                Output::Incoming(leg, _) => self.incoming.push(leg),
                Output::Event(leg, event) => self.events.push((leg, event)),
                Output::Closed(_) => self.closed += 1,
                Output::Lone(id, answer) => self.lone.push((id, *answer)),
            }
        }
    }

    pub(super) fn receive(&mut self, text: &str) {
        self.receive_over(flow(Transport::Udp), text);
    }

    pub(super) fn receive_over(&mut self, flow: Flow, text: &str) {
        let parsed = parse(&Bytes::copy_from_slice(text.as_bytes()), 256);
        assert_eq!(parsed.fault, None, "{text}");
        self.machine.handle_message(self.now, flow, parsed.message);
        self.drain();
    }

    pub(super) fn command(&mut self, leg: LegId, command: Command) -> Result<(), CommandError> {
        let done = self.machine.handle_command(self.now, leg, command);
        self.drain();
        done
    }

    /// Lets time pass, stopping at every deadline.
    pub(super) fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(at) = self.machine.poll_timeout().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.machine.handle_timeout(self.now);
            self.drain();
        }
        self.now = end;
    }

    pub(super) fn sent_codes(&self) -> Vec<u16> {
        self.sent.iter().filter_map(|(_, m, _)| m.code()).collect()
    }

    pub(super) fn last(&self) -> &Message {
        &self.sent.last().unwrap().1
    }

    pub(super) fn is_empty(&self) -> bool {
        let counts = self.machine.counts();
        let timers = self.machine.timers.of_legs();
        counts.legs == 0 && counts.transactions == 0 && self.machine.dialogs.is_empty() && timers == 0
    }

    /// An answered inbound call, acknowledged.
    pub(super) fn answered(&mut self) -> (LegId, String) {
        self.receive(&inbound("INVITE", 1, "", "", SDP));
        let leg = self.incoming[0];
        self.command(leg, Command::Answer(SDP.to_owned())).unwrap();
        let tag = self.last().tag("To").unwrap();
        self.receive(&inbound("ACK", 1, &tag, "", ""));
        (leg, tag)
    }
}

pub(super) fn flow(transport: Transport) -> Flow {
    let local: SocketAddr = "192.0.2.1:5060".parse().unwrap();
    Flow { transport, link: 0, local, peer: PEER.parse().unwrap() }
}

pub(super) fn inbound(method: &str, cseq: u32, to_tag: &str, extra: &str, body: &str) -> String {
    let tag = if to_tag.is_empty() { String::new() } else { format!(";tag={to_tag}") };
    let content = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
    let branch = if method == "CANCEL" { "INVITE" } else { method };
    format!(
        "{method} sip:bob@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.9;branch=z9hG4bK{branch}{cseq}\r\n\
         From: <sip:alice@10.0.0.9>;tag=a\r\nTo: <sip:bob@192.0.2.1>{tag}\r\nCall-ID: c1\r\n\
         CSeq: {cseq} {method}\r\nContact: <sip:alice@10.0.0.9:5099>\r\n{extra}{content}Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

pub(super) const SDP: &str = "v=0\r\n";

#[test]
fn a_200_without_ack_is_repeated_and_then_the_call_is_ended() {
    let mut bench = Bench::new();
    bench.receive(&inbound("INVITE", 1, "", "", SDP));
    let leg = bench.incoming[0];
    bench.command(leg, Command::Answer(SDP.to_owned())).unwrap();
    bench.pass(Duration::from_secs(33));
    let times: Vec<u128> =
        bench.sent.iter().filter(|(_, m, _)| m.code() == Some(200)).map(|(.., at)| at.as_millis()).collect();
    assert_eq!(times[..6], [0, 500, 1500, 3500, 7500, 11_500]);
    assert!(
        matches!(bench.events[..], [(_, LegEvent::Ended { by: EndedBy::Timeout, .. })]),
        "{:?}",
        bench.events
    );
    assert!(bench.sent.iter().any(|(_, m, _)| m.method() == Some("BYE")));
    bench.pass(Duration::from_secs(100));
    assert!(bench.is_empty());
}

#[test]
fn cancel_and_answer_have_one_winner_in_either_order() {
    let mut first = Bench::new();
    first.receive(&inbound("INVITE", 1, "", "", SDP));
    let leg = first.incoming[0];
    first.receive(&inbound("CANCEL", 1, "", "Reason: SIP;cause=200\r\n", ""));
    assert_eq!(first.command(leg, Command::Answer(SDP.to_owned())), Err(CommandError::Ended));
    assert_eq!(first.sent_codes(), [100, 200, 487]);
    assert!(matches!(first.events[..], [(_, LegEvent::Cancelled { .. })]));

    let mut second = Bench::new();
    second.receive(&inbound("INVITE", 1, "", "", SDP));
    let leg = second.incoming[0];
    second.command(leg, Command::Answer(SDP.to_owned())).unwrap();
    second.receive(&inbound("CANCEL", 1, "", "", ""));
    assert_eq!(second.sent_codes(), [100, 200, 200]);
    assert!(second.events.is_empty());
}

#[test]
fn a_bye_before_the_answer_is_a_cancel_and_the_answer_comes_too_late() {
    let mut bench = Bench::new();
    bench.receive(&inbound("INVITE", 1, "", "", SDP));
    let leg = bench.incoming[0];
    bench.command(leg, Command::Ringing).unwrap();
    let tag = bench.last().tag("To").unwrap();
    bench.receive(&inbound("BYE", 2, &tag, "", ""));
    assert_eq!(bench.command(leg, Command::Answer(SDP.to_owned())), Err(CommandError::Ended));
    assert_eq!(bench.sent_codes(), [100, 180, 200, 487]);
    assert!(matches!(bench.events[..], [(_, LegEvent::Cancelled { .. })]), "{:?}", bench.events);
}

#[test]
fn a_leg_has_one_timer_however_often_its_session_changes() {
    let mut bench = Bench::new();
    let (leg, tag) = bench.answered();
    for cseq in 2..200 {
        bench.receive(&inbound("INVITE", cseq, &tag, "", SDP));
        let Some((_, LegEvent::Reoffer { id, .. })) = bench.events.last() else { panic!("no offer") };
        let id = *id;
        bench.command(leg, Command::AnswerReoffer(id, SDP.to_owned())).unwrap();
        assert_eq!(bench.machine.timers.of_legs(), 1);
        bench.pass(Duration::from_millis(u64::from(cseq % 7) * 200));
        bench.receive(&inbound("ACK", cseq, &tag, "", ""));
        bench.pass(Duration::from_millis(10));
        assert!(bench.machine.timers.of_legs() <= 1);
    }
    bench.command(leg, Command::Hangup(None)).unwrap();
    bench.pass(Duration::from_secs(60));
    assert!(bench.is_empty());
}

#[test]
fn a_cancel_from_another_address_is_refused() {
    let mut bench = Bench::new();
    bench.receive(&inbound("INVITE", 1, "", "", SDP));
    let stranger = Flow { peer: "203.0.113.66:5060".parse().unwrap(), ..flow(Transport::Udp) };
    bench.receive_over(stranger, &inbound("CANCEL", 1, "", "", ""));
    assert_eq!(bench.sent_codes(), [100, 481]);
    assert!(bench.events.is_empty());
}

#[test]
fn a_reinvite_before_the_ack_waits_200_ms_for_it() {
    for ack_comes in [true, false] {
        let mut bench = Bench::new();
        bench.receive(&inbound("INVITE", 1, "", "", SDP));
        let leg = bench.incoming[0];
        bench.command(leg, Command::Answer(SDP.to_owned())).unwrap();
        let tag = bench.last().tag("To").unwrap();
        bench.receive(&inbound("INVITE", 2, &tag, "", SDP));
        bench.pass(Duration::from_millis(100));
        if ack_comes {
            bench.receive(&inbound("ACK", 1, &tag, "", ""));
            assert!(matches!(bench.events.last(), Some((_, LegEvent::Reoffer { .. }))));
        }
        bench.pass(Duration::from_millis(150));
        assert_eq!(bench.sent_codes().contains(&500), !ack_comes);
    }
}

#[test]
fn an_unanswered_reoffer_is_refused_and_the_call_lives() {
    let mut bench = Bench::new();
    let (leg, tag) = bench.answered();
    bench.receive(&inbound("INVITE", 2, &tag, "", SDP));
    bench.receive(&inbound("INVITE", 3, &tag, "", SDP));
    assert_eq!(bench.last().code(), Some(500), "one offer at a time");
    assert!(bench.last().headers.first("Retry-After").is_some());
    assert_eq!(bench.command(leg, Command::Reoffer(SDP.to_owned())), Err(CommandError::WrongState));
    bench.pass(Duration::from_secs(11));
    assert!(bench.sent_codes().iter().filter(|c| **c == 500).count() >= 2);
    bench.command(leg, Command::Hangup(None)).unwrap();
    assert!(matches!(bench.events.last(), Some((_, LegEvent::Ended { by: EndedBy::Local, .. }))));
}

#[test]
fn a_bye_to_a_phone_behind_nat_goes_to_its_source_and_along_the_route_behind_a_proxy() {
    let mut direct = Bench::new();
    let (leg, _) = direct.answered();
    direct.command(leg, Command::Hangup(None)).unwrap();
    let (flow, bye, _) = direct.sent.last().unwrap();
    assert_eq!(flow.peer, PEER.parse().unwrap());
    assert!(bye.encode().starts_with(b"BYE sip:alice@10.0.0.9:5099 SIP/2.0"));

    let mut proxied = Bench::new();
    let routes = "Record-Route: <sip:203.0.113.5:5070;lr>, <sip:p2.example.com;lr>\r\n";
    proxied.receive(&inbound("INVITE", 1, "", routes, SDP));
    let leg = proxied.incoming[0];
    proxied.command(leg, Command::Answer(SDP.to_owned())).unwrap();
    assert_eq!(proxied.last().headers.list("Record-Route").count(), 2);
    let tag = proxied.last().tag("To").unwrap();
    proxied.receive(&inbound("ACK", 1, &tag, "", ""));
    proxied.command(leg, Command::Hangup(None)).unwrap();
    let (flow, bye, _) = proxied.sent.last().unwrap();
    assert_eq!(flow.peer, "203.0.113.5:5070".parse().unwrap());
    let routes: Vec<&str> = bye.headers.list("Route").collect();
    assert_eq!(routes, ["<sip:203.0.113.5:5070;lr>", "<sip:p2.example.com;lr>"]);

    let mut strict = Bench::new();
    strict.receive(&inbound("INVITE", 1, "", "Record-Route: <sip:203.0.113.5>\r\n", SDP));
    let leg = strict.incoming[0];
    strict.command(leg, Command::Answer(SDP.to_owned())).unwrap();
    let tag = strict.last().tag("To").unwrap();
    strict.receive(&inbound("ACK", 1, &tag, "", ""));
    strict.command(leg, Command::Hangup(None)).unwrap();
    assert!(strict.last().encode().starts_with(b"BYE sip:203.0.113.5 SIP/2.0"));
    assert_eq!(strict.last().headers.first("Route"), Some("<sip:alice@10.0.0.9:5099>"));
}

pub(super) fn place(bench: &mut Bench) -> LegId {
    let request = InviteRequest {
        target: "sip:bob@198.51.100.7:5062".to_owned(),
        from_user: "a b".to_owned(),
        from_display: String::new(),
        offer: SDP.to_owned(),
        headers: Vec::new(),
    };
    let leg = bench.machine.invite(bench.now, (flow(Transport::Udp), Way::ToTarget), &request).unwrap();
    bench.drain();
    leg
}

/// The peer's response to the last request of this method.
pub(super) fn response(bench: &Bench, method: &str, code: u16, tag: &str) -> String {
    let request =
        bench.sent.iter().rev().find(|(_, m, _)| m.method() == Some(method)).map(|(_, m, _)| m).unwrap();
    let header = |name| request.headers.first(name).unwrap();
    let to = header("To");
    let to = if to.contains("tag=") { to.to_owned() } else { format!("{to};tag={tag}") };
    format!(
        "SIP/2.0 {code} X\r\nVia: {}\r\nFrom: {}\r\nTo: {to}\r\nCall-ID: {}\r\nCSeq: {}\r\n\
         Contact: <sip:bob@198.51.100.7:5062>\r\nContent-Length: 0\r\n\r\n",
        header("Via"),
        header("From"),
        header("Call-ID"),
        header("CSeq")
    )
}

#[test]
fn an_invite_that_nobody_answers_times_out_and_one_that_rings_for_ever_is_cancelled() {
    let mut bench = Bench::new();
    place(&mut bench);
    bench.pass(Duration::from_secs(33));
    assert_eq!(bench.sent.len(), 7, "timer A");
    assert!(matches!(bench.events[..], [(_, LegEvent::Failed { code: 408, .. })]));
    assert!(bench.is_empty());

    let mut ringing = Bench::new();
    place(&mut ringing);
    let text = response(&ringing, "INVITE", 180, "b");
    ringing.receive(&text);
    ringing.pass(Duration::from_secs(300));
    assert!(ringing.sent.iter().any(|(_, m, _)| m.method() == Some("CANCEL")));
    assert!(matches!(ringing.events.last(), Some((_, LegEvent::Failed { code: 408, .. }))));
    assert!(ringing.is_empty());
}

#[test]
fn a_cancel_waits_for_a_provisional_response_and_a_200_that_crosses_it_is_ended() {
    let mut bench = Bench::new();
    let leg = place(&mut bench);
    bench.command(leg, Command::Hangup(None)).unwrap();
    assert_eq!(bench.sent.len(), 1);
    let text = response(&bench, "INVITE", 180, "b");
    bench.receive(&text);
    assert_eq!(bench.last().method(), Some("CANCEL"));
    let text = response(&bench, "INVITE", 200, "b");
    bench.receive(&text);
    let methods: Vec<_> = bench.sent.iter().filter_map(|(_, m, _)| m.method()).collect();
    assert_eq!(methods, ["INVITE", "CANCEL", "ACK", "BYE"]);
    assert!(matches!(bench.events[..], [(_, LegEvent::Failed { code: 487, .. })]));
    let text = response(&bench, "BYE", 200, "b");
    bench.receive(&text);
    bench.pass(Duration::from_secs(100));
    assert!(bench.is_empty());
}

#[test]
fn a_second_fork_is_ended_and_a_repeated_200_gets_its_ack_again() {
    let mut bench = Bench::new();
    place(&mut bench);
    let text = response(&bench, "INVITE", 200, "b");
    bench.receive(&text);
    bench.receive(&text);
    let acks = bench.sent.iter().filter(|(_, m, _)| m.method() == Some("ACK")).count();
    assert_eq!(acks, 2);
    let text = response(&bench, "INVITE", 200, "other");
    bench.receive(&text);
    assert_eq!(bench.last().method(), Some("BYE"));
    assert_eq!(bench.last().tag("To").as_deref(), Some("other"));
    assert!(matches!(bench.events[..], [(_, LegEvent::Answered { .. })]));
    assert_eq!(bench.machine.counts().legs, 1);
}

#[test]
fn a_second_fork_is_ended_also_when_the_call_is_over_by_then() {
    let mut bench = Bench::new();
    let leg = place(&mut bench);
    let text = response(&bench, "INVITE", 200, "b");
    let late = response(&bench, "INVITE", 200, "other");
    bench.receive(&text);
    bench.command(leg, Command::Hangup(None)).unwrap();
    let bye = response(&bench, "BYE", 200, "b");
    bench.receive(&bye);
    assert_eq!(bench.machine.counts().legs, 0);
    let sent = bench.sent.len();
    bench.receive(&text);
    assert_eq!(bench.sent.len(), sent, "who answered first has had its BYE");
    bench.receive(&late);
    let methods: Vec<_> = bench.sent[sent..].iter().map(|(_, message, _)| message.method()).collect();
    assert_eq!(methods, [Some("ACK"), Some("BYE")]);
    assert_eq!(bench.last().tag("To").as_deref(), Some("other"));
}

#[test]
fn a_caller_cannot_forge_header_fields() {
    let bench = &mut Bench::new();
    for (name, value) in
        [("X-A", "b\r\nVia: x"), ("Via", "x"), ("v", "x"), ("X A", "x"), ("Route", "<sip:x>")]
    {
        let request = InviteRequest {
            target: "sip:bob@198.51.100.7".to_owned(),
            from_user: "a".to_owned(),
            from_display: "x\r\ny".to_owned(),
            offer: SDP.to_owned(),
            headers: vec![(name.to_owned(), value.to_owned())],
        };
        let refused = bench.machine.invite(bench.now, (flow(Transport::Udp), Way::ToTarget), &request);
        assert_eq!(refused.err(), Some(CommandError::BadTarget), "{name}");
    }
}

/// Where the BYE to an answered caller goes who came through two proxies and gave that Contact.
fn bye_of(accepts: Option<&str>, source: &str, contact: &str) -> (Flow, Message) {
    let mut bench = Bench::new();
    let friend: Option<std::net::IpAddr> = accepts.map(|ip| ip.parse().unwrap());
    bench.machine.settings.accept_source =
        friend.map(|friend| Arc::new(move |ip| ip == friend) as SourceFilter);
    let flow = Flow { peer: source.parse().unwrap(), ..flow(Transport::Udp) };
    let proxied = |text: String| {
        let text = text.replace("<sip:alice@10.0.0.9:5099>", contact);
        text.replacen("\r\nFrom:", "\r\nVia: SIP/2.0/UDP 10.9.9.9;branch=z9hG4bKp\r\nFrom:", 1)
    };
    bench.receive_over(flow, &proxied(inbound("INVITE", 1, "", "", SDP)));
    let leg = bench.incoming[0];
    bench.command(leg, Command::Answer(SDP.to_owned())).unwrap();
    let tag = bench.last().tag("To").unwrap();
    bench.receive_over(flow, &proxied(inbound("ACK", 1, &tag, "", "")));
    bench.command(leg, Command::Hangup(None)).unwrap();
    let (flow, bye, _) = bench.sent.pop().unwrap();
    (flow, bye)
}

const LOCAL_ROUTE: &str = "<sip:a@b>\r\nRecord-Route: <sip:127.0.0.1:6379;lr>";

#[test]
fn no_contact_makes_us_send_to_a_third_party_that_could_not_call_us_itself() {
    for (accepts, source, contact, reached) in [
        (Some("198.51.100.9"), "198.51.100.7:5062", "<sip:a@198.51.100.9:5070>", "198.51.100.9:5070"),
        (Some("198.51.100.9"), "198.51.100.7:5062", "<sip:a@203.0.113.66:53>", "198.51.100.7:5062"),
        (Some("198.51.100.9"), "198.51.100.7:5062", "<sip:a@198.51.100.7:5090>", "198.51.100.7:5090"),
        (None, "198.51.100.7:5062", "<sip:a@203.0.113.66:5070>", "203.0.113.66:5070"),
        (None, "198.51.100.7:5062", "<sip:a@victim.example.com>", "198.51.100.7:5062"),
        (None, "198.51.100.7:5062", "<sip:a@192.168.1.9:5070>", "198.51.100.7:5062"),
        (None, "198.51.100.7:5062", "<sip:a@[2001:db8::1]:5070>", "198.51.100.7:5062"),
        (Some("127.0.0.1"), "198.51.100.7:5062", "<sip:a@127.0.0.1:6379>", "198.51.100.7:5062"),
        (Some("127.0.0.1"), "10.0.0.7:5062", "<sip:a@127.0.0.1:6379>", "10.0.0.7:5062"),
        (Some("127.0.0.1"), "10.0.0.7:5062", LOCAL_ROUTE, "10.0.0.7:5062"),
        (None, "198.51.100.7:5062", "<sip:a@b>\r\nRecord-Route: <sip:0.0.0.0:22;lr>", "198.51.100.7:5062"),
        (None, "[2001:db8::7]:5062", "<sip:a@[::ffff:127.0.0.1]:22>", "[2001:db8::7]:5062"),
        (None, "127.0.0.7:5062", LOCAL_ROUTE, "127.0.0.1:6379"),
        (None, "[fe80::7%3]:5062", "<sip:a@[fe80::9]:5070>", "[fe80::9%3]:5070"),
    ] {
        let (flow, bye) = bye_of(accepts, source, contact);
        assert_eq!((bye.method(), flow.peer), (Some("BYE"), reached.parse().unwrap()), "{source} {contact}");
    }
}

#[test]
fn a_request_of_ours_carries_no_header_fields_of_the_peers_contact() {
    let (_, bye) =
        bye_of(None, "198.51.100.7:5062", "<sip:a@198.51.100.9;method=INVITE;lr?Route=%3Csip:x%3E>");
    assert_eq!(bye.uri(), Some("sip:a@198.51.100.9;lr"));
}
