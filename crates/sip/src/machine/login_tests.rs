//! Challenges, other places and requests outside of dialogs, in virtual time.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails by panicking")]

use std::time::Duration;

use proptest::prelude::*;

use super::tests::{Bench, SDP, flow, response};
use super::*;
use crate::call::EndedBy;
use crate::digest::{Account, Algorithm, Credentials};
use crate::subscriber::Subscriber;

const REALM: &str = "carrier.example";

fn subscriber() -> Arc<Subscriber> {
    let account = Account { username: "me".to_owned(), password: "hunter2".to_owned() };
    Arc::new(Subscriber { domain: REALM.to_owned(), account: Some(account), user: "me".to_owned() })
}

fn place_by(bench: &mut Bench, subscriber: Arc<Subscriber>, alternatives: Vec<Flow>) -> LegId {
    let request = InviteRequest {
        target: format!("sip:+911@{REALM}"),
        from_user: "917".to_owned(),
        from_display: String::new(),
        offer: SDP.to_owned(),
        headers: vec![("Privacy".to_owned(), "id".to_owned())],
    };
    let routes = vec!["<sip:198.51.100.7:5062;lr>".to_owned()];
    let line = CallLine { subscriber, routes, server_name: None, alternatives };
    let leg = bench.machine.invite_by(bench.now, flow(Transport::Udp), &line, &request).unwrap();
    bench.drain();
    leg
}

fn place(bench: &mut Bench) -> LegId {
    place_by(bench, subscriber(), Vec::new())
}

/// The peer's challenge to the last request of this method.
fn challenge(bench: &mut Bench, method: &str, code: u16, value: &str) {
    let field = if code == 401 { "WWW-Authenticate" } else { "Proxy-Authenticate" };
    let text = response(bench, method, code, "challenger");
    bench.receive(&text.replace("\r\nContent-Length", &format!("\r\n{field}: {value}\r\nContent-Length")));
}

fn digest(realm: &str, nonce: &str, more: &str) -> String {
    format!("Digest realm=\"{realm}\", nonce=\"{nonce}\", qop=\"auth\"{more}")
}

fn answer(bench: &mut Bench, method: &str, code: u16) {
    let text = response(bench, method, code, "b");
    bench.receive(&text);
}

/// The requests that were sent, by method.
fn methods(bench: &Bench) -> Vec<String> {
    bench.sent.iter().filter_map(|(_, m, _)| m.method().map(str::to_owned)).collect()
}

fn credentials(message: &Message, field: &str) -> Credentials {
    Credentials::parse(message.headers.first(field).unwrap()).unwrap()
}

fn assert_right(message: &Message, field: &str) {
    let credentials = credentials(message, field);
    let secret = credentials.algorithm.secret("me", &credentials.realm, "hunter2");
    assert_eq!(credentials.expected(&secret, message.method().unwrap()), credentials.response);
    assert_eq!(Some(credentials.uri.as_str()), message.uri());
}

#[test]
fn a_challenged_invite_is_sent_again_within_the_same_call_and_its_ack_says_who_we_are() {
    let mut bench = Bench::new();
    place(&mut bench);
    let first = bench.last().clone();
    assert_eq!(first.headers.first("Route"), Some("<sip:198.51.100.7:5062;lr>"));
    assert!(first.headers.first("From").unwrap().starts_with("<sip:917@carrier.example>;tag="));
    challenge(&mut bench, "INVITE", 401, &digest(REALM, "n1", ", algorithm=SHA-256"));
    assert_eq!(methods(&bench), ["INVITE", "ACK", "INVITE"]);
    let again = bench.last().clone();
    assert_right(&again, "Authorization");
    assert_eq!(credentials(&again, "Authorization").algorithm, Algorithm::Sha256);
    for name in ["Call-ID", "From", "To", "Contact", "Route", "Privacy"] {
        assert_eq!(again.headers.first(name), first.headers.first(name), "{name}");
    }
    assert_eq!(again.cseq().unwrap().0, first.cseq().unwrap().0 + 1);
    assert_ne!(again.headers.first("Via"), first.headers.first("Via"));
    answer(&mut bench, "INVITE", 200);
    assert_eq!(bench.last().method(), Some("ACK"));
    assert_eq!(bench.last().cseq().unwrap().0, again.cseq().unwrap().0);
    assert!(bench.last().headers.first("Authorization").is_some());
    assert!(matches!(bench.events[..], [(_, LegEvent::Answered { .. })]));
}

#[test]
fn a_wrong_password_is_not_tried_again() {
    let mut bench = Bench::new();
    place(&mut bench);
    challenge(&mut bench, "INVITE", 401, &digest(REALM, "n1", ""));
    challenge(&mut bench, "INVITE", 401, &digest(REALM, "n2", ""));
    assert_eq!(methods(&bench), ["INVITE", "ACK", "INVITE", "ACK"]);
    assert!(matches!(bench.events[..], [(_, LegEvent::Failed { code: 401, .. })]));
    bench.pass(Duration::from_secs(100));
    assert!(bench.is_empty());
}

#[test]
fn a_stale_nonce_is_replaced_once() {
    let mut bench = Bench::new();
    place(&mut bench);
    challenge(&mut bench, "INVITE", 401, &digest(REALM, "n1", ""));
    challenge(&mut bench, "INVITE", 401, &digest(REALM, "n2", ", stale=true"));
    assert_eq!(credentials(bench.last(), "Authorization").nonce, "n2");
    challenge(&mut bench, "INVITE", 401, &digest(REALM, "n3", ", stale=true"));
    assert!(matches!(bench.events[..], [(_, LegEvent::Failed { code: 401, .. })]));
}

#[test]
fn the_realm_that_the_carrier_named_first_is_the_only_one_that_is_answered() {
    let mut bench = Bench::new();
    place(&mut bench);
    challenge(&mut bench, "INVITE", 407, &digest(REALM, "n1", ""));
    answer(&mut bench, "INVITE", 200);
    place(&mut bench);
    let sent = bench.sent.len();
    challenge(&mut bench, "INVITE", 407, &digest("evil.example", "n2", ""));
    assert_eq!(bench.sent.len(), sent + 1, "the ACK alone");
    assert!(matches!(bench.events.last(), Some((_, LegEvent::Failed { code: 407, .. }))));
}

#[test]
fn a_carrier_that_renamed_its_realm_says_so_to_a_register() {
    let mut bench = Bench::new();
    place(&mut bench);
    challenge(&mut bench, "INVITE", 401, &digest("old.example", "n1", ""));
    answer(&mut bench, "INVITE", 200);
    bench.machine.request(bench.now, flow(Transport::Udp), &register(1)).unwrap();
    bench.drain();
    challenge(&mut bench, "REGISTER", 401, &digest(REALM, "n2", ""));
    assert_right(bench.last(), "Authorization");
    assert_eq!(credentials(bench.last(), "Authorization").realm, REALM);
    place(&mut bench);
    challenge(&mut bench, "INVITE", 401, &digest(REALM, "n3", ""));
    assert_eq!(credentials(bench.last(), "Authorization").realm, REALM);
}

#[test]
fn of_several_challenges_the_strongest_is_answered() {
    let mut bench = Bench::new();
    place(&mut bench);
    let two = format!(
        "{}\r\nWWW-Authenticate: {}",
        digest(REALM, "weak", ", algorithm=MD5"),
        digest(REALM, "strong", ", algorithm=SHA-256")
    );
    challenge(&mut bench, "INVITE", 401, &two);
    assert_eq!(credentials(bench.last(), "Authorization").nonce, "strong");
}

#[test]
fn a_proxy_and_a_server_are_both_answered_and_uses_of_a_nonce_are_counted() {
    let mut bench = Bench::new();
    place(&mut bench);
    challenge(&mut bench, "INVITE", 407, &digest("edge", "p", ""));
    challenge(&mut bench, "INVITE", 401, &digest(REALM, "s", ""));
    let last = bench.last().clone();
    assert_right(&last, "Authorization");
    assert_right(&last, "Proxy-Authorization");
    let count = |field| credentials(&last, field).counted.unwrap().count;
    assert_eq!((count("Proxy-Authorization"), count("Authorization")), (2, 1));
    assert_eq!(last.headers.all("Proxy-Authorization").count(), 1);
}

#[test]
fn requests_within_the_call_are_answered_too() {
    let mut bench = Bench::new();
    let leg = place(&mut bench);
    answer(&mut bench, "INVITE", 200);
    bench.command(leg, Command::Info('5', Duration::from_millis(100))).unwrap();
    challenge(&mut bench, "INFO", 401, &digest(REALM, "n1", ""));
    assert_right(bench.last(), "Authorization");
    answer(&mut bench, "INFO", 200);
    bench.command(leg, Command::Reoffer(SDP.to_owned())).unwrap();
    challenge(&mut bench, "INVITE", 401, &digest(REALM, "n2", ""));
    assert_right(bench.last(), "Authorization");
    answer(&mut bench, "INVITE", 200);
    assert!(matches!(bench.events.last(), Some((_, LegEvent::ReofferAnswered { .. }))));
    bench.command(leg, Command::Hangup(None)).unwrap();
    challenge(&mut bench, "BYE", 407, &digest(REALM, "n3", ""));
    assert_right(bench.last(), "Proxy-Authorization");
    answer(&mut bench, "BYE", 200);
    assert!(matches!(bench.events.last(), Some((_, LegEvent::Ended { by: EndedBy::Local, .. }))));
    bench.pass(Duration::from_secs(100));
    assert!(bench.is_empty());
}

#[test]
fn a_refresh_is_answered_and_the_session_goes_on() {
    let mut bench = Bench::new();
    place(&mut bench);
    answer(&mut bench, "INVITE", 200);
    bench.pass(Duration::from_secs(900));
    assert_eq!(bench.last().method(), Some("INVITE"), "half of the interval");
    challenge(&mut bench, "INVITE", 401, &digest(REALM, "n1", ""));
    answer(&mut bench, "INVITE", 200);
    bench.pass(Duration::from_secs(890));
    assert!(!bench.events.iter().any(|(_, event)| event.is_terminal()), "{:?}", bench.events);
}

#[test]
fn whoever_stands_behind_the_carrier_is_not_answered() {
    let mut bench = Bench::new();
    let leg = place(&mut bench);
    let text = response(&bench, "INVITE", 200, "b");
    bench.receive(&text.replace("<sip:bob@198.51.100.7:5062>", "<sip:bob@203.0.113.66:5060>"));
    bench.command(leg, Command::Hangup(None)).unwrap();
    let (flow, bye, _) = bench.sent.last().unwrap();
    assert_eq!((flow.peer.to_string().as_str(), bye.method()), ("203.0.113.66:5060", Some("BYE")));
    let sent = bench.sent.len();
    challenge(&mut bench, "BYE", 401, &digest(REALM, "n1", ""));
    assert_eq!(bench.sent.len(), sent);
}

#[test]
fn without_an_account_and_for_a_call_of_no_carrier_nothing_is_answered() {
    let mut bench = Bench::new();
    let bare = Subscriber { account: None, ..(*subscriber()).clone() };
    place_by(&mut bench, Arc::new(bare), Vec::new());
    challenge(&mut bench, "INVITE", 401, &digest(REALM, "n1", ""));
    super::tests::place(&mut bench);
    challenge(&mut bench, "INVITE", 401, &digest(REALM, "n1", ""));
    assert_eq!(methods(&bench), ["INVITE", "ACK", "INVITE", "ACK"]);
}

#[test]
fn a_call_that_was_given_up_while_it_was_challenged_is_not_sent_again() {
    let mut bench = Bench::new();
    let leg = place(&mut bench);
    bench.command(leg, Command::Hangup(None)).unwrap();
    challenge(&mut bench, "INVITE", 407, &digest(REALM, "n1", ""));
    assert_eq!(methods(&bench), ["INVITE", "ACK"]);
    assert!(matches!(bench.events[..], [(_, LegEvent::Failed { code: 487, .. })]));
}

fn elsewhere(last: u8) -> Flow {
    Flow { peer: SocketAddr::from(([198, 51, 100, last], 5062)), ..flow(Transport::Udp) }
}

#[test]
fn an_invite_goes_to_the_next_place_at_once_after_503_and_after_four_seconds_of_silence() {
    let mut bench = Bench::new();
    place_by(&mut bench, subscriber(), vec![elsewhere(8), elsewhere(9)]);
    answer(&mut bench, "INVITE", 503);
    assert_eq!(bench.sent.last().unwrap().0.peer, elsewhere(8).peer);
    bench.pass(Duration::from_millis(4_100));
    assert_eq!(bench.sent.last().unwrap().0.peer, elsewhere(9).peer);
    challenge(&mut bench, "INVITE", 401, &digest(REALM, "n1", ""));
    assert_eq!(bench.sent.last().unwrap().0.peer, elsewhere(9).peer);
    answer(&mut bench, "INVITE", 200);
    assert!(matches!(bench.events[..], [(_, LegEvent::Answered { .. })]));
}

#[test]
fn the_last_place_has_all_the_time_and_its_503_is_the_end() {
    let mut bench = Bench::new();
    place_by(&mut bench, subscriber(), vec![elsewhere(8)]);
    answer(&mut bench, "INVITE", 503);
    bench.pass(Duration::from_secs(30));
    assert!(bench.events.is_empty());
    answer(&mut bench, "INVITE", 503);
    assert!(matches!(bench.events[..], [(_, LegEvent::Failed { code: 503, .. })]));
    bench.pass(Duration::from_secs(100));
    assert!(bench.is_empty());
}

#[test]
fn a_place_that_answers_after_it_was_left_is_hung_up() {
    let mut bench = Bench::new();
    place_by(&mut bench, subscriber(), vec![elsewhere(8)]);
    let late = response(&bench, "INVITE", 200, "late");
    bench.pass(Duration::from_secs(5));
    bench.receive(&late);
    assert_eq!(bench.last().method(), Some("BYE"));
    assert_eq!(bench.last().tag("To").as_deref(), Some("late"));
    answer(&mut bench, "INVITE", 200);
    assert!(matches!(bench.events[..], [(_, LegEvent::Answered { .. })]));
}

#[test]
fn a_place_that_rings_after_it_was_left_is_cancelled_and_hung_up_even_after_the_call() {
    let mut bench = Bench::new();
    place_by(&mut bench, subscriber(), vec![elsewhere(8)]);
    let (rings, answers) = (response(&bench, "INVITE", 180, "late"), response(&bench, "INVITE", 200, "late"));
    let branch = bench.last().top_via().unwrap().rfc3261_branch().unwrap().to_owned();
    bench.pass(Duration::from_secs(5));
    bench.receive(&rings);
    bench.receive(&rings);
    assert_eq!(methods(&bench).iter().filter(|method| *method == "CANCEL").count(), 1);
    let (at, cancel, _) = bench.sent.last().unwrap();
    assert_eq!((at.peer, cancel.method()), (flow(Transport::Udp).peer, Some("CANCEL")));
    assert_eq!(cancel.top_via().unwrap().rfc3261_branch(), Some(branch.as_str()));
    answer(&mut bench, "CANCEL", 200);
    assert!(bench.events.is_empty(), "the call goes on elsewhere");
    answer(&mut bench, "INVITE", 486);
    assert!(matches!(bench.events[..], [(_, LegEvent::Failed { code: 486, .. })]));
    bench.receive(&answers);
    assert_eq!(methods(&bench)[methods(&bench).len() - 2..], ["ACK", "BYE"]);
    assert_eq!(bench.last().tag("To").as_deref(), Some("late"));
    bench.pass(Duration::from_secs(100));
    assert!(bench.is_empty());
}

#[test]
fn the_refusal_of_a_place_that_was_left_is_acknowledged_and_changes_nothing() {
    let mut bench = Bench::new();
    place_by(&mut bench, subscriber(), vec![elsewhere(8)]);
    let refuses = response(&bench, "INVITE", 486, "late");
    bench.pass(Duration::from_secs(5));
    for _ in 0..2 {
        bench.receive(&refuses);
        assert_eq!(bench.last().method(), Some("ACK"));
    }
    answer(&mut bench, "INVITE", 200);
    assert!(matches!(bench.events[..], [(_, LegEvent::Answered { .. })]));
}

#[test]
fn a_call_that_was_given_up_goes_nowhere_else() {
    let mut bench = Bench::new();
    let leg = place_by(&mut bench, subscriber(), vec![elsewhere(8)]);
    bench.command(leg, Command::Hangup(None)).unwrap();
    bench.pass(Duration::from_secs(40));
    assert!(bench.sent.iter().all(|(flow, ..)| flow.peer != elsewhere(8).peer));
    assert!(bench.is_empty());
}

fn register(cseq: u32) -> LoneRequest {
    LoneRequest {
        method: "REGISTER",
        uri: format!("sip:{REALM}"),
        subscriber: subscriber(),
        routes: Vec::new(),
        server_name: None,
        call_id: Some("reg".to_owned()),
        cseq,
        headers: vec![("Expires", "600".to_owned())],
        patience: Duration::from_secs(8),
    }
}

#[test]
fn a_challenged_register_is_answered_and_tells_its_last_number() {
    let mut bench = Bench::new();
    let id = bench.machine.request(bench.now, flow(Transport::Udp), &register(7)).unwrap();
    bench.drain();
    assert_eq!(bench.last().headers.first("To"), Some("<sip:me@carrier.example>"));
    assert_eq!(bench.last().headers.first("Contact"), Some("<sip:me@192.0.2.1:5060>"));
    challenge(&mut bench, "REGISTER", 401, &digest(REALM, "n1", ""));
    assert_right(bench.last(), "Authorization");
    answer(&mut bench, "REGISTER", 200);
    let [(answered, answer)] = &bench.lone[..] else { panic!("{:?}", bench.lone) };
    assert_eq!((*answered, answer.code, answer.cseq), (id, Some(200), 8));
    assert_eq!(answer.call_id, "reg");
    bench.pass(Duration::from_secs(100));
    assert!(bench.is_empty() && bench.lone.len() == 1);
}

#[test]
fn nobody_answers_a_lone_request_within_its_patience_and_a_broken_one_is_not_sent() {
    let mut bench = Bench::new();
    bench.machine.request(bench.now, flow(Transport::Udp), &register(1)).unwrap();
    bench.pass(Duration::from_millis(8_100));
    assert_eq!(bench.lone.iter().map(|(_, answer)| answer.code).collect::<Vec<_>>(), [None]);
    let broken = LoneRequest { headers: vec![("Expires", "1\r\nVia: x".to_owned())], ..register(1) };
    let refused = bench.machine.request(bench.now, flow(Transport::Udp), &broken);
    assert_eq!(refused.err(), Some(CommandError::BadTarget));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn whatever_a_carrier_answers_a_call_by_it_ends_once_and_leaves_nothing(
        places in 0usize..3,
        steps in prop::collection::vec((0u8..12, 0u8..3, 0u64..6_000), 0..24),
    ) {
        let mut bench = Bench::new();
        let alternatives = (0..places).map(|place| elsewhere(20 + place as u8)).collect();
        let leg = place_by(&mut bench, subscriber(), alternatives);
        for (act, which, millis) in steps {
            let realm = [REALM, "evil.example", REALM][usize::from(which)];
            let stale = if which == 2 { ", stale=true" } else { "" };
            let value = digest(realm, &format!("n{millis}"), stale);
            let method = ["INVITE", "BYE", "INFO"][usize::from(which)];
            let is_sent = bench.sent.iter().any(|(_, m, _)| m.method() == Some(method));
            match act {
                0 if is_sent => challenge(&mut bench, method, 401, &value),
                1 if is_sent => challenge(&mut bench, method, 407, &value),
                2 if is_sent => answer(&mut bench, method, 503),
                3 => answer(&mut bench, "INVITE", 180),
                4 => answer(&mut bench, "INVITE", 200),
                5 if is_sent => answer(&mut bench, method, 486),
                6 => drop(bench.command(leg, Command::Reoffer(SDP.to_owned()))),
                7 => drop(bench.command(leg, Command::Info('1', Duration::from_millis(80)))),
                8 => drop(bench.command(leg, Command::Hangup(None))),
                9 => challenge(&mut bench, "INVITE", 401, "Digest nonsense"),
                _ => bench.pass(Duration::from_millis(millis)),
            }
        }
        bench.command(leg, Command::Hangup(None)).ok();
        bench.pass(Duration::from_secs(400));
        let terminal = bench.events.iter().filter(|(_, event)| event.is_terminal()).count();
        prop_assert_eq!(terminal, 1);
        prop_assert!(bench.is_empty());
    }
}
