//! Callbacks on their way: in order per call, under one id, to receivers that fail in their own ways.

pub mod receiver;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use patchcord::calls::PlaceCall;
use patchcord::config::{Config, CurrentConfig};
use patchcord::jobs::{CallbackMeter, Courier};
use patchcord::net::Egress;
use patchcord::store::{DeliveryFilter, DeliveryState, Fact, Store};
use patchcord::tasks::Tasks;
use serde_json::json;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use self::receiver::{Answer, Receiver};
use crate::serve::Gateway;
use crate::serve::carrier::Carrier;
use crate::serve::outbound::order;
use crate::serve::phone::Phone;
use crate::store::ground::{Ground, Open, ended, told_call};

/// A courier at work for a store.
struct Delivering {
    stop: CancellationToken,
    task: JoinHandle<()>,
    meter: Arc<CallbackMeter>,
}

impl Delivering {
    fn start(store: &Store, settings: &str) -> Self {
        let config = Config::parse(&format!("{settings}\n[egress]\nallow_private = true\n")).unwrap();
        let (tasks, _threads) = Tasks::start(1).unwrap();
        let (stop, meter) = (CancellationToken::new(), Arc::<CallbackMeter>::default());
        let courier = Courier {
            store: store.clone(),
            current: CurrentConfig::new(config),
            egress: Egress::new(tasks),
            meter: meter.clone(),
            end_told: Arc::new(|_| {}),
        };
        Self { task: tokio::spawn(courier.run(stop.clone())), stop, meter }
    }

    async fn stop(self) {
        self.stop.cancel();
        self.task.await.unwrap();
    }

    fn count(&self, outcome: &str) -> u64 {
        self.meter.outcomes().find(|(word, _)| *word == outcome).unwrap().1
    }
}

/// A call that begins, rings, is answered and ends.
async fn whole_call(open: &Open, call_id: &str, url: &str) {
    open.begin(told_call(call_id, 1_000, url)).await;
    open.tell(call_id, Fact::Ringing, 2_000).await;
    open.tell(call_id, Fact::InProgress, 3_000).await;
    open.tell(call_id, ended(), 9_000).await;
}

const COURSE: [&str; 4] = ["call.initiated", "call.ringing", "call.in-progress", "call.completed"];

#[tokio::test]
async fn a_receiver_that_fails_twice_gets_every_event_in_order_under_one_id_each() {
    let ground = Ground::sqlite("callbacks-order");
    let open = ground.open().await;
    let mut receiver =
        Receiver::start(|seen, _| if seen < 2 { Answer::Status(503) } else { Answer::Status(200) }).await;
    whole_call(&open, "call_1", &receiver.url("/cb")).await;
    let delivering = Delivering::start(&open.store, "[callbacks]\nsecret = \"0123456789abcdef\"");
    let got = receiver.take(6).await;
    let events: Vec<_> = got.iter().map(|request| request.event()).collect();
    assert_eq!(events, [COURSE[0], COURSE[0], COURSE[0], COURSE[1], COURSE[2], COURSE[3]]);
    let ids: BTreeSet<_> = got.iter().map(|request| request.header("webhook-id")).collect();
    assert_eq!(ids.len(), 4, "{ids:?}");
    assert!(got[..3].iter().all(|request| request.body == got[0].body), "a repeat has the same bytes");
    assert!(got.iter().all(|request| request.header("x-signature").len() == 64));
    receiver.until(|| delivering.count("delivered") == 4 && delivering.count("refused") == 2).await;
    delivering.stop().await;
    assert_eq!(deliveries(&open, DeliveryState::Delivered).await, 4);
    open.close().await;
}

#[tokio::test]
async fn a_receiver_that_stalls_delays_nobody_else() {
    let ground = Ground::sqlite("callbacks-stall");
    let open = ground.open().await;
    let stalls = Receiver::start(|_, _| Answer::Silence).await;
    let mut takes = Receiver::start(|_, _| Answer::Status(204)).await;
    for call in 0..40 {
        open.begin(told_call(&format!("call_stalled_{call}"), 1_000, &stalls.url("/"))).await;
    }
    for call in 0..10 {
        whole_call(&open, &format!("call_taken_{call}"), &takes.url("/")).await;
    }
    let began = std::time::Instant::now();
    let delivering = Delivering::start(&open.store, "");
    let got = takes.take(40).await;
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    for call in 0..10 {
        let of_call =
            got.iter().filter(|request| request.header("x-call-id") == format!("call_taken_{call}"));
        assert_eq!(of_call.map(|request| request.event()).collect::<Vec<_>>(), COURSE);
    }
    delivering.stop().await;
    open.close().await;
}

#[tokio::test]
async fn who_is_gone_is_a_dead_letter_at_once_and_the_next_events_follow_and_a_replay_is_sent_again() {
    let ground = Ground::sqlite("callbacks-gone");
    let open = ground.open().await;
    let mut receiver =
        Receiver::start(|seen, _| if seen == 0 { Answer::Status(410) } else { Answer::Status(200) }).await;
    whole_call(&open, "call_1", &receiver.url("/")).await;
    let delivering = Delivering::start(&open.store, "");
    let got = receiver.take(4).await;
    assert_eq!(got.iter().map(|request| request.event()).collect::<Vec<_>>(), COURSE);
    receiver.until(|| delivering.count("delivered") == 3).await;
    assert_eq!((delivering.meter.dead(), deliveries(&open, DeliveryState::Dead).await), (1, 1));
    let dead = got[0].header("webhook-id");
    assert!(open.store.replay_delivery(&dead, 1).await.unwrap());
    let again = receiver.take(1).await;
    assert_eq!((again[0].header("webhook-id"), &*again[0].event()), (dead, COURSE[0]));
    delivering.stop().await;
    open.close().await;
}

#[tokio::test]
async fn a_redirect_is_not_followed_and_a_body_without_end_is_not_read() {
    let ground = Ground::sqlite("callbacks-redirect");
    let open = ground.open().await;
    let mut elsewhere = Receiver::start(|_, _| Answer::Status(200)).await;
    let target = elsewhere.url("/elsewhere");
    let mut redirects = Receiver::start(move |_, _| Answer::Redirect(target.clone())).await;
    let mut huge = Receiver::start(|_, _| Answer::Endless).await;
    open.begin(told_call("call_1", 1_000, &redirects.url("/"))).await;
    open.begin(told_call("call_2", 1_000, &huge.url("/"))).await;
    let delivering = Delivering::start(&open.store, "");
    redirects.take(2).await;
    huge.take(1).await;
    huge.until(|| delivering.count("delivered") == 1 && delivering.count("refused") >= 1).await;
    assert!(elsewhere.try_take().is_none());
    delivering.stop().await;
    open.close().await;
}

#[tokio::test]
async fn what_was_under_way_at_a_stop_is_sent_again_under_the_same_id() {
    let ground = Ground::sqlite("callbacks-restart");
    let open = ground.open().await;
    let mut receiver =
        Receiver::start(|seen, _| if seen == 0 { Answer::Silence } else { Answer::Status(200) }).await;
    open.begin(told_call("call_1", 1_000, &receiver.url("/"))).await;
    let first = Delivering::start(&open.store, "");
    let before = receiver.take(1).await;
    first.stop().await;
    let second = Delivering::start(&open.store, "");
    let after = receiver.take(1).await;
    assert_eq!(before[0].header("webhook-id"), after[0].header("webhook-id"));
    second.stop().await;
    open.close().await;
}

#[tokio::test]
async fn a_call_tells_its_number_s_receiver_what_becomes_of_it() {
    let mut receiver = Receiver::start(|_, _| Answer::Status(200)).await;
    let settings = format!(
        "[callbacks]\nsecret = \"0123456789abcdef\"\n[[numbers]]\nnumber = \"1800\"\nbot = \"echo\"\ncallbacks = \"{}\"\n",
        receiver.url("/number")
    );
    let gateway = Gateway::start(&settings).await;
    let phone = Phone::call("1800", &gateway.sip()).await;
    let early = receiver.take(3).await;
    phone.hang_up().await;
    let last = receiver.take(1).await.remove(0);
    let names: Vec<_> = early.iter().chain([&last]).map(|request| request.event()).collect();
    assert_eq!(names, COURSE);
    let body = last.json();
    assert_eq!(
        (&body["from"], &body["to"], &body["direction"], &body["status"]),
        (&json!("1001"), &json!("1800"), &json!("inbound"), &json!("completed"))
    );
    assert_eq!(
        (&body["hangup_cause"], &body["hangup_cause_txt"], &body["disconnected_by"]),
        (&json!("16"), &json!("Normal Clearing"), &json!("caller"))
    );
    assert_eq!(last.header("x-timestamp"), body["timestamp"].as_str().unwrap());
    let records = gateway.stop().await;
    assert_eq!(records[0]["call_id"], body["call_id"]);
}

#[tokio::test]
async fn each_way_not_to_be_answered_is_told_by_its_own_event_and_no_second_one() {
    let carrier = Carrier::start().await;
    let rules = "allow = [\"91*\"]\ncaller_ids = [\"7415100898\"]";
    let settings = format!("{}[egress]\nallow_private = true\n", carrier.trunk("carrier", rules));
    let gateway = Gateway::start(&settings).await;
    for (number, last) in [
        ("91486", "call.busy"),
        ("91480", "call.no-answer"),
        ("91404", "call.failed"),
        ("91603", "call.busy"),
    ] {
        let mut receiver = Receiver::start(|_, _| Answer::Status(200)).await;
        let callback = Some(receiver.url("/request").into());
        gateway.exchange().place_call(PlaceCall { callback, ..order(number) }).await.unwrap();
        let got = receiver.take(2).await;
        assert_eq!([got[0].event(), got[1].event()], ["call.initiated", last], "{number}");
        let body = got[1].json();
        assert_eq!(body["status"], last.trim_start_matches("call."), "{number}");
        assert_eq!((&body["direction"], &body["to"]), (&json!("outbound"), &json!(number)));
        assert!(receiver.try_take().is_none(), "{number} has one end");
    }
    gateway.stop().await;
}

async fn deliveries(open: &Open, state: DeliveryState) -> usize {
    let filter = DeliveryFilter { state: Some(state), ..DeliveryFilter::default() };
    open.store.list_deliveries(&filter, None, 100).await.unwrap().len()
}
