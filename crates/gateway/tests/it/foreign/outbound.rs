//! Calls that we place by a carrier that nobody here wrote (sipp), every ending at once; its counts, ours and those of
//! a foreign receiver of callbacks must agree.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use patchcord::app::{App, Parts};
use patchcord::calls::{PlaceCall, PlacedBot};
use patchcord::config::Config;
use patchcord::store::{DeliveryFilter, DeliveryState, Store};
use patchcord_core::call::BotJoins;
use serde_json::Value;
use tokio::net::UdpSocket;
use tokio::time::{MissedTickBehavior, interval};

use super::callbacks::{SECRET, start_receiver};
use super::folder::Folder;
use super::program::Program;
use super::{is_long, peer};

/// A kind of number, as `peers/sipp/carrier.xml` has them: the carrier's counter, and how such a call has to end here.
struct Kind {
    digits: &'static str,
    counter: &'static str,
    status: &'static str,
    q850: u64,
    sip_status: Option<u64>,
}

const fn kind(
    digits: &'static str,
    counter: &'static str,
    (status, q850, sip_status): (&'static str, u64, Option<u64>),
) -> Kind {
    Kind { digits, counter, status, q850, sip_status }
}

const KINDS: &[Kind] = &[
    kind("01", "answered", ("completed", 16, None)),
    kind("02", "held_up", ("completed", 16, None)),
    kind("03", "busy", ("busy", 17, Some(486))),
    kind("04", "declined", ("busy", 21, Some(603))),
    kind("05", "unavailable", ("failed", 41, Some(503))),
    kind("06", "away", ("no-answer", 18, Some(480))),
    kind("07", "unknown", ("failed", 1, Some(404))),
    kind("08", "early", ("completed", 16, None)),
    kind("09", "ringing", ("no-answer", 19, None)),
    kind("10", "late", ("no-answer", 19, None)),
    kind("11", "changed", ("completed", 16, None)),
    kind("12", "gone", ("completed", 16, None)),
];

/// A hundred calls in every run, a thousand when the run may be long; twenty a second.
#[tokio::test]
async fn calls_with_every_ending_have_one_record_and_one_last_callback_each_and_the_carrier_counts_the_same()
{
    let folder = Folder::new("carrier");
    let rounds = if is_long() { 84 } else { 9 };
    let calls = rounds * KINDS.len();
    let seconds = (calls / 20 + 60).to_string();
    let arguments = [calls.to_string(), seconds.clone()];
    let mut carrier = Program::start("carrier", peer("sipp/carrier.sh"), arguments, folder.path());
    let port: u16 = carrier.line_after("LISTENING", Duration::from_secs(10)).await.trim().parse().unwrap();
    let (receiver, callbacks) = start_receiver(&folder).await;
    // The first trunk takes calls of kind 05 as well and is silent: they come to the carrier by the second.
    let silent = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let data = folder.path().join("data");
    let file = format!(
        "[server]\ndata_dir = {data:?}\n[http]\nlisten = \"127.0.0.1:0\"\n\
         [sip]\nlisten = [\"udp:127.0.0.1:0\"]\nrtp_ports = \"40000-49999\"\n\
         [outbound]\nper_minute = 100000\n\
         [callbacks]\nurl = \"http://127.0.0.1:{callbacks}/ok/cb\"\nsecret = \"{SECRET}\"\n\
         [[trunks]]\nname = \"silent\"\nhost = \"127.0.0.1\"\nport = {}\ntransport = \"udp\"\noptions_interval = \"0s\"\n\
         allow = [\"9105*\"]\ncaller_ids = [\"*\"]\n\
         [[trunks]]\nname = \"carrier\"\nhost = \"127.0.0.1\"\nport = {port}\ntransport = \"udp\"\noptions_interval = \"0s\"\n\
         allow = [\"91*\"]\ncaller_ids = [\"7415100898\"]\n[trunks.limits]\ncalls = 200\nper_minute = 100000\n",
        silent.local_addr().unwrap().port()
    );
    let app = App::start(Config::parse(&file).unwrap(), Parts::All).await.unwrap();
    let told = tokio::spawn(last_callbacks(receiver, calls));
    let mut tick = interval(Duration::from_millis(50));
    tick.set_missed_tick_behavior(MissedTickBehavior::Burst);
    for round in 0..rounds {
        for kind in KINDS {
            tick.tick().await;
            let order = PlaceCall {
                from: Some("7415100898".to_owned()),
                to: format!("91{}{round:05}", kind.digits),
                bot: PlacedBot::Named("echo".to_owned()),
                custom_params: BTreeMap::new(),
                callback: None,
                joins: BotJoins::AtTheAnswer,
                ring: Some(Duration::from_secs(if kind.digits == "05" { 20 } else { 2 })),
                max_duration: (kind.digits == "02").then_some(Duration::from_millis(1_500)),
                recording: None,
            };
            app.exchange().place_call(order).await.unwrap();
        }
    }
    let counts = carrier.json_after("", Duration::from_secs(120)).await;
    // The receiver stays: what it took last it may not have answered yet.
    let (told, _receiver) = told.await.unwrap();
    let stored = stored_endings(&app.exchange().store).await;
    assert_eq!(stored.len(), calls, "calls with one terminal event, delivered");
    assert_eq!(told, stored, "told and stored");
    app.stop(Duration::from_secs(20), std::future::pending()).await;
    let records = super::super::serve::records(&data);
    assert_eq!(records.len(), calls);
    let of_records: BTreeMap<_, _> = records.iter().map(ending_of).collect();
    assert_eq!(of_records, told, "recorded and told");
    let total = |key: &str| counts[key].as_u64().unwrap();
    assert_eq!((total("calls"), total("ok"), total("failed")), (calls as u64, calls as u64, 0), "{counts}");
    let mut ends = BTreeMap::<(&str, String), usize>::new();
    for record in &records {
        *ends.entry((&record["to"].as_str().unwrap()[2..4], end_of(record))).or_default() += 1;
    }
    for Kind { digits, counter, status, q850, sip_status } in KINDS {
        let wanted = format!("{status} {q850} {sip_status:?}");
        assert_eq!(ends.remove(&(*digits, wanted)), Some(rounds), "{counter}: {ends:?}");
        assert_eq!(counts[counter].as_u64(), Some(rounds as u64), "{counter}: {counts}");
    }
    assert!(ends.is_empty(), "{ends:?}");
}

/// What the receiver is told last of each of so many calls, and the receiver; panics when it is told twice.
async fn last_callbacks(mut receiver: Program, calls: usize) -> (BTreeMap<String, String>, Program) {
    let mut told = BTreeMap::new();
    while told.len() < calls {
        let got = receiver.json_after("GOT ", Duration::from_secs(90)).await;
        assert_eq!(got["bad"], Value::Array(Vec::new()), "{got}");
        let (event, body) = (got["event"].as_str().unwrap(), &got["body"]);
        if ["call.initiated", "call.ringing", "call.in-progress"].contains(&event) {
            continue;
        }
        let (call_id, status) = ending_of(body);
        assert_eq!(event, format!("call.{status}"));
        assert_eq!(told.insert(call_id, status), None, "told twice: {got}");
    }
    (told, receiver)
}

fn ending_of(body: &Value) -> (String, String) {
    let text = |field: &str| body[field].as_str().unwrap().to_owned();
    (text("call_id"), text("status"))
}

/// How each call ended by its one terminal event; panics unless every event was delivered.
async fn stored_endings(store: &Store) -> BTreeMap<String, String> {
    let (mut endings, mut ids, mut last) = (BTreeMap::new(), BTreeSet::new(), 0);
    loop {
        let events = store.events_after(last, 500).await.unwrap();
        let Some(event) = events.last() else { break };
        last = event.seq;
        for event in events {
            assert!(ids.insert(event.event_id));
            if event.name.is_terminal() {
                let status = event.name.word().trim_start_matches("call.").to_owned();
                assert_eq!(endings.insert(event.call_id, status), None, "two terminal events of one call");
            }
        }
    }
    for state in [DeliveryState::Pending, DeliveryState::Dead] {
        let filter = DeliveryFilter { state: Some(state), ..DeliveryFilter::default() };
        // What the receiver took a moment ago may not have been written down.
        let mut ticks = interval(Duration::from_millis(50));
        for tick in 0.. {
            ticks.tick().await;
            let left = store.list_deliveries(&filter, None, 10).await.unwrap();
            if left.is_empty() {
                break;
            }
            assert!(tick < 200, "{left:?}");
        }
    }
    endings
}

fn end_of(record: &Value) -> String {
    let status = record["status"].as_str().unwrap();
    format!("{status} {} {:?}", record["cause"]["q850"], record["sip_status"].as_u64())
}
