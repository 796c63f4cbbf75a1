//! The registrar, who calls, and who may speak within a call, in virtual time.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails by panicking")]

use std::net::IpAddr;
use std::time::Duration;

use super::tests::{Bench, SDP, flow, inbound};
use super::*;
use crate::digest::{Account, Algorithm, Challenge, Credentials, Use};
use crate::gate::Extension;
use crate::message::parse;

/// Extensions 101 and 102 anywhere; 203.0.113.0/24 is one carrier.
struct House;

impl Directory for House {
    fn find(&self, number: &str, _: IpAddr) -> Option<Extension> {
        self.is_extension(number).then(|| Extension { password: format!("pw-{number}"), contacts_max: 2 })
    }

    fn is_extension(&self, number: &str) -> bool {
        ["101", "102"].contains(&number)
    }

    fn may_be_at(&self, _: IpAddr) -> bool {
        true
    }

    fn algorithms(&self) -> Vec<Algorithm> {
        Algorithm::ALL.to_vec()
    }

    fn carrier_of(&self, source: IpAddr) -> Option<usize> {
        is_carrier(source).then_some(0)
    }
}

fn is_carrier(source: IpAddr) -> bool {
    matches!(source, IpAddr::V4(ip) if ip.octets()[..3] == [203, 0, 113])
}

/// A registrar that loopback and the carrier may call, everybody else as an extension.
fn registrar() -> Bench {
    let mut bench = Bench::new();
    bench.machine.settings.directory = Some(Arc::new(House));
    bench.machine.settings.accept_source = Some(Arc::new(|ip| ip.is_loopback() || is_carrier(ip)));
    bench
}

fn from(peer: &str) -> Flow {
    Flow { peer: peer.parse().unwrap(), ..flow(Transport::Udp) }
}

/// A request of `user` with its own branch by `cseq`.
fn request(method: &str, user: &str, cseq: u32, extra: &str) -> String {
    let body = if method == "INVITE" { SDP } else { "" };
    let content = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
    let to = if method == "REGISTER" { user } else { "echo" };
    format!(
        "{method} sip:192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.9;branch=z9hG4bKr{cseq};rport\r\n\
         From: <sip:{user}@192.0.2.1>;tag=a\r\nTo: <sip:{to}@192.0.2.1>\r\nCall-ID: r-{user}\r\n\
         CSeq: {cseq} {method}\r\n{extra}{content}Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

impl Bench {
    /// Sends a request, answers its challenge, and returns the final answer.
    fn prove(&mut self, over: Flow, number: &str, (method, cseq, extra): (&str, u32, &str)) -> Message {
        self.receive_over(over, &request(method, number, cseq, extra));
        let challenge = self.challenge();
        let authorization = credentials(&challenge, number, method, 1);
        self.receive_over(over, &request(method, number, cseq + 1, &format!("{authorization}{extra}")));
        self.last().clone()
    }

    /// The challenge that was sent last.
    fn challenge(&self) -> Challenge {
        assert_eq!(self.last().code(), Some(401));
        let challenge = Challenge::strongest(self.last().headers.all("WWW-Authenticate")).unwrap();
        assert_eq!(challenge.algorithm, Algorithm::Sha256);
        challenge
    }

    fn contacts(&self, number: &str) -> Vec<String> {
        let contacts = self.machine.settings.locations.contacts(number, self.now);
        contacts.iter().map(|contact| format!("{} {}", contact.uri(), contact.address())).collect()
    }
}

fn credentials(challenge: &Challenge, number: &str, method: &str, count: u32) -> String {
    let account = Account { username: number.to_owned(), password: format!("pw-{number}") };
    let used = Use::new(count, "c".to_owned());
    format!(
        "Authorization: {}\r\n",
        Credentials::answer(challenge, &account, (method, "sip:192.0.2.1"), used)
    )
}

const PHONE: &str = "198.51.100.7:40001";
const CONTACT: &str = "Contact: <sip:101@10.0.0.9:5060>;q=0.5\r\n";

#[test]
fn a_phone_registers_by_digest_and_is_reached_where_it_came_from() {
    let mut bench = registrar();
    let done = bench.prove(from(PHONE), "101", ("REGISTER", 1, CONTACT));
    assert_eq!(done.code(), Some(200));
    assert_eq!(done.headers.first("Contact"), Some("<sip:101@10.0.0.9:5060>;expires=3600;q=0.5"));
    assert_eq!(bench.contacts("101"), ["sip:101@10.0.0.9:5060 198.51.100.7:40001"]);
    bench.pass(Duration::from_secs(3600));
    assert!(bench.contacts("101").is_empty() && bench.is_empty());
}

#[test]
fn several_contacts_are_told_refreshed_and_taken_away() {
    let mut bench = registrar();
    let both =
        "Contact: <sip:101@a.example;transport=tcp>;expires=90, <sip:101@b.example>\r\nExpires: 120\r\n";
    let done = bench.prove(from(PHONE), "101", ("REGISTER", 1, both));
    let told: Vec<&str> = done.headers.all("Contact").collect();
    assert_eq!(
        told,
        ["<sip:101@a.example;transport=tcp>;expires=90;q=1", "<sip:101@b.example>;expires=120;q=1"]
    );
    bench.pass(Duration::from_secs(30));
    let fetched = bench.prove(from(PHONE), "101", ("REGISTER", 3, ""));
    assert_eq!(fetched.headers.all("Contact").nth(1), Some("<sip:101@b.example>;expires=90;q=1"));
    let third = bench.prove(from(PHONE), "101", ("REGISTER", 5, "Contact: <sip:101@c.example>\r\n"));
    assert_eq!(third.headers.all("Contact").count(), 2, "the oldest made room");
    let cleared = bench.prove(from(PHONE), "101", ("REGISTER", 7, "Contact: *\r\nExpires: 0\r\n"));
    assert_eq!((cleared.code(), cleared.headers.first("Contact")), (Some(200), None));
    assert!(bench.contacts("101").is_empty());
}

#[test]
fn what_a_register_may_not_ask_is_refused_and_changes_nothing() {
    let mut bench = registrar();
    bench.prove(from(PHONE), "101", ("REGISTER", 1, CONTACT));
    let mut cseq = 10;
    let many = (0..33).map(|n| format!("Contact: <sip:{n}@h>\r\n")).collect::<String>();
    let long = format!("Contact: <sip:{}@h>\r\n", "1".repeat(600));
    for (extra, code) in [
        ("Contact: <sip:101@h>;expires=59\r\n", 423),
        ("Contact: <sip:101@h>\r\nExpires: 1\r\n", 423),
        ("Contact: *\r\n", 400),
        ("Contact: *\r\nExpires: 60\r\n", 400),
        ("Contact: *, <sip:101@h>\r\nExpires: 0\r\n", 400),
        ("Contact: <tel:101>\r\n", 400),
        ("Contact: <sip:101@h>;q=1.1\r\n", 400),
        ("Contact: <sip:101@h>;q=0.1234\r\n", 400),
        (many.as_str(), 403),
        (long.as_str(), 400),
    ] {
        let done = bench.prove(from(PHONE), "101", ("REGISTER", cseq, extra));
        assert_eq!(done.code(), Some(code), "{extra}");
        assert_eq!(done.headers.first("Min-Expires"), (code == 423).then_some("60"));
        cseq += 2;
    }
    let late = bench.prove(from(PHONE), "101", ("REGISTER", 0, "Contact: <sip:101@10.0.0.9:5060>\r\n"));
    assert_eq!(late.code(), Some(500), "an older CSeq");
    assert_eq!(bench.contacts("101").len(), 1);
    let (capped, odd) = ("Contact: <sip:c@h>\r\nExpires: 999999\r\n", "Contact: <sip:c@h>;expires=soon\r\n");
    for extra in [capped, odd] {
        let done = bench.prove(from(PHONE), "101", ("REGISTER", cseq, extra));
        assert_eq!(done.headers.all("Contact").last(), Some("<sip:c@h>;expires=3600;q=1"), "{extra}");
        cseq += 2;
    }
}

#[test]
fn a_replayed_register_and_a_lower_count_prove_nothing() {
    let mut bench = registrar();
    bench.receive_over(from(PHONE), &request("REGISTER", "101", 1, CONTACT));
    let challenge = bench.challenge();
    let mut cseq = 2;
    let mut code = |bench: &mut Bench, count| {
        let authorization = credentials(&challenge, "101", "REGISTER", count);
        bench.receive_over(
            from(PHONE),
            &request("REGISTER", "101", cseq, &format!("{authorization}{CONTACT}")),
        );
        cseq += 1;
        bench.last().code().unwrap()
    };
    let codes = [9, 10, 10, 9, 16, 15].map(|count| code(&mut bench, count));
    assert_eq!(codes, [200, 200, 401, 401, 200, 401]);
    assert!(bench.challenge().is_stale, "the password was right");
    bench.pass(Duration::from_secs(300));
    assert_eq!(code(&mut bench, 17), 401);
    assert!(bench.challenge().is_stale);
}

#[test]
fn nobody_registers_or_calls_as_another() {
    let mut bench = registrar();
    bench.receive_over(from(PHONE), &request("REGISTER", "102", 1, CONTACT));
    let as_101 = credentials(&bench.challenge(), "101", "REGISTER", 1);
    bench.receive_over(from(PHONE), &request("REGISTER", "102", 2, &format!("{as_101}{CONTACT}")));
    assert_eq!(bench.last().code(), Some(403));
    bench.receive_over(from(PHONE), &request("INVITE", "102", 3, ""));
    let as_101 = credentials(&bench.challenge(), "101", "INVITE", 1);
    bench.receive_over(from(PHONE), &request("INVITE", "102", 4, &as_101));
    assert_eq!(bench.last().code(), Some(403));
    assert!(bench.incoming.is_empty() && bench.contacts("102").is_empty());
}

#[test]
fn an_unknown_number_gets_the_answer_of_a_wrong_password_octet_for_octet() {
    let answer = |number: &str| {
        let mut bench = registrar();
        let text = |bench: &Bench, nonce: &str| {
            let text = String::from_utf8(bench.last().encode().to_vec()).unwrap();
            // Each machine has its own key, so nonce and tag differ.
            let tag = bench.last().tag("To").unwrap();
            text.replace(nonce, "NONCE").replace(&tag, "TAG").replace(number, "NUMBER")
        };
        bench.receive_over(from(PHONE), &request("REGISTER", number, 1, CONTACT));
        let nonce = bench.challenge().nonce;
        let first = text(&bench, &nonce);
        let wrong =
            credentials(&bench.challenge(), number, "REGISTER", 1).replace("response=\"", "response=\"0");
        bench.receive_over(from(PHONE), &request("REGISTER", number, 2, &format!("{wrong}{CONTACT}")));
        assert_eq!(bench.last().code(), Some(403));
        (first, text(&bench, &nonce))
    };
    assert_eq!(answer("101"), answer("999"));
}

#[test]
fn calls_of_extensions_are_challenged_and_those_of_carriers_and_of_this_machine_are_not() {
    let mut bench = registrar();
    for (peer, user, code) in [
        (PHONE, "101", 401),
        (PHONE, "nobody", 401),
        ("127.0.0.1:5070", "101", 401),
        ("127.0.0.1:5070", "alice", 100),
        ("203.0.113.9:5060", "101", 100),
    ] {
        let mut fresh = registrar();
        fresh.receive_over(from(peer), &request("INVITE", user, 1, ""));
        assert_eq!(fresh.last().code(), Some(code), "{user} at {peer}");
    }
    let invitation = bench.prove(from(PHONE), "101", ("INVITE", 1, ""));
    assert_eq!((invitation.code(), bench.incoming.len()), (Some(100), 1));
    assert_eq!(bench.machine.counts().challenged, 1);
}

#[test]
fn whoever_guesses_too_often_is_told_to_wait_and_a_flood_gets_no_answer() {
    let mut bench = registrar();
    bench.receive_over(from(PHONE), &request("REGISTER", "101", 1, CONTACT));
    let wrong = credentials(&bench.challenge(), "999", "REGISTER", 1);
    for cseq in 2..23 {
        bench.receive_over(from(PHONE), &request("REGISTER", "999", cseq, &format!("{wrong}{CONTACT}")));
    }
    assert_eq!(bench.last().code(), Some(503));
    assert_eq!(bench.last().headers.first("Retry-After"), Some("60"));
    let counts = bench.machine.counts();
    assert_eq!((counts.unproven, counts.guessing), (20, 1));
    for cseq in 23..1_000 {
        bench.receive_over(from(PHONE), &request("REGISTER", "101", cseq, CONTACT));
    }
    assert_eq!(bench.sent.len(), 200);
    let elsewhere = from("198.51.100.8:5060");
    assert_eq!(bench.prove(elsewhere, "101", ("REGISTER", 1_001, CONTACT)).code(), Some(200));
}

#[test]
fn a_phone_that_asks_for_no_rport_is_reached_at_the_port_that_it_names() {
    for (peer, rport, reached) in [
        ("10.0.0.9:40001", ";rport", "10.0.0.9:40001"),
        ("10.0.0.9:40001", "", "10.0.0.9:5060"),
        (PHONE, "", PHONE),
    ] {
        let mut bench = registrar();
        let text = |cseq, extra: &str| request("REGISTER", "101", cseq, extra).replace(";rport", rport);
        bench.receive_over(from(peer), &text(1, CONTACT));
        let authorization = credentials(&bench.challenge(), "101", "REGISTER", 1);
        bench.receive_over(from(peer), &text(2, &format!("{authorization}{CONTACT}")));
        assert_eq!(bench.contacts("101"), [format!("sip:101@10.0.0.9:5060 {reached}")]);
    }
}

#[test]
fn a_call_to_a_phone_goes_the_way_it_registered_to_the_last_bye() {
    let mut bench = registrar();
    bench.prove(from(PHONE), "101", ("REGISTER", 1, CONTACT));
    let contact = bench.machine.settings.locations.contacts("101", bench.now).remove(0);
    let request = InviteRequest {
        target: contact.uri.clone(),
        from_user: "102".to_owned(),
        from_display: String::new(),
        offer: SDP.to_owned(),
        headers: Vec::new(),
    };
    let leg = bench.machine.invite(bench.now, (contact.flow, Way::ByFlow), &request).unwrap();
    bench.drain();
    assert_eq!(bench.last().uri(), Some("sip:101@10.0.0.9:5060"));
    let text =
        super::tests::response(&bench, "INVITE", 200, "b").replace("198.51.100.7:5062", "10.0.0.9:5060");
    bench.receive_over(from(PHONE), &text);
    bench.command(leg, Command::Hangup(None)).unwrap();
    assert!(bench.sent.iter().skip(2).all(|(flow, ..)| flow.peer == PHONE.parse().unwrap()));
    assert_eq!((bench.last().method(), bench.last().uri()), (Some("BYE"), Some("sip:bob@10.0.0.9:5060")));
}

#[test]
fn a_request_within_a_call_has_to_come_from_who_is_in_it() {
    for (caller, source, is_heard) in [
        ("127.0.0.1:5070", "127.0.0.1:6000", true),
        ("127.0.0.1:5070", "127.0.0.2:5070", false),
        ("127.0.0.1:5070", "203.0.113.9:5060", false),
        ("127.0.0.1:5070", "10.0.0.9:5099", true),
        ("203.0.113.9:5060", "203.0.113.10:5060", true),
        ("203.0.113.9:5060", "127.0.0.1:5070", false),
    ] {
        for method in ["BYE", "INVITE", "INFO", "ACK"] {
            let mut bench = registrar();
            // The Contact names 10.0.0.9: where our own requests would go, if it could call us.
            bench.machine.settings.accept_source = None;
            let proxied = |text: String| {
                text.replacen("\r\nFrom:", "\r\nVia: SIP/2.0/UDP 10.9.9.9;branch=z9hG4bKp\r\nFrom:", 1)
            };
            bench.receive_over(from(caller), &proxied(inbound("INVITE", 1, "", "", SDP)));
            let leg = bench.incoming[0];
            bench.command(leg, Command::Answer(SDP.to_owned())).unwrap();
            let tag = bench.last().tag("To").unwrap();
            let events = bench.events.len();
            if method != "ACK" {
                bench.receive_over(from(caller), &proxied(inbound("ACK", 1, &tag, "", "")));
            }
            let events = if method == "ACK" { events } else { events + 1 };
            let cseq = if method == "ACK" { 1 } else { 2 };
            let extra = if method == "INFO" { "Content-Type: application/dtmf\r\n" } else { "" };
            let body = if method == "INFO" {
                "5"
            } else if method == "INVITE" {
                SDP
            } else {
                ""
            };
            let text = inbound(method, cseq, &tag, extra, body);
            let text =
                if method == "INFO" { text.replace("Content-Type: application/sdp\r\n", "") } else { text };
            bench.receive_over(from(source), &text);
            let happened = bench.events.len() > events;
            assert_eq!(happened, is_heard, "{method} of {source} in a call of {caller}");
            assert_eq!(bench.machine.counts().intruders, u64::from(!is_heard));
            if !is_heard && method != "ACK" {
                assert_eq!(bench.last().code(), Some(481));
            }
        }
    }
}

#[test]
fn where_strangers_are_ignored_a_call_that_is_none_is_not_denied() {
    for (strangers, answers) in [(Strangers::Refuse, 1), (Strangers::Silence, 0)] {
        let mut bench = registrar();
        bench.machine.settings.strangers = strangers;
        bench.receive_over(from(PHONE), &inbound("BYE", 2, "guess", "", ""));
        assert_eq!(bench.sent.len(), answers);
        bench.receive_over(from("127.0.0.1:5070"), &inbound("BYE", 3, "guess", "", ""));
        assert_eq!(bench.last().code(), Some(481));
    }
}

#[test]
fn without_a_registrar_a_register_is_refused() {
    let mut bench = Bench::new();
    bench.receive(&request("REGISTER", "101", 1, CONTACT));
    assert_eq!(bench.last().code(), Some(405));
    let whole = parse(&bench.last().encode(), 256);
    assert!(whole.message.headers.first("Allow").is_some());
}
