//! Callbacks as the API shows them, and what was given up sent again.

use serde_json::{Value, json};

use super::client::{Ask, ask, get, until};
use crate::callbacks::receiver::{Answer, Receiver};
use crate::serve::Gateway;
use crate::serve::phone::Phone;

async fn listed(address: &str, query: &str) -> Vec<Value> {
    let page = get(address, &format!("/callbacks{query}"), "").await;
    assert_eq!(page.status, 200, "{page:?}");
    page.json()["data"].as_array().unwrap().clone()
}

#[tokio::test]
async fn what_a_receiver_refused_for_good_is_listed_as_dead_and_sent_again_on_demand() {
    let mut receiver =
        Receiver::start(|seen, _| if seen == 0 { Answer::Status(410) } else { Answer::Status(200) }).await;
    let origin = receiver.url("");
    let settings = format!("[callbacks]\nurl = \"{}\"\n", receiver.url("/with/a-secret"));
    let gateway = Gateway::start(&settings).await;
    let address = gateway.http();
    Phone::call("echo", &gateway.sip()).await.hang_up().await;
    receiver.take(4).await;
    let all = until(async || {
        let all = listed(&address, "").await;
        all.iter().all(|callback| callback["state"] != "pending").then_some(all).filter(|all| all.len() == 4)
    })
    .await;
    assert!(!all.iter().any(|callback| callback.to_string().contains("a-secret")), "{all:?}");
    let dead = listed(&address, "?state=dead").await;
    let [dead] = dead.as_slice() else { panic!("{dead:?}") };
    let expected = json!(["call.initiated", origin, "dead", 1, 410, "gone"]);
    let fields = ["event", "receiver", "state", "attempts", "last_status", "last_error"];
    assert_eq!(Value::Array(fields.map(|field| dead[field].clone()).to_vec()), expected);
    let path = format!("/callbacks/{}", dead["event_id"].as_str().unwrap());
    let replay = format!("{path}/replay");
    let replayed = ask(&address, Ask { method: "POST", path: &replay, headers: "", body: "" }).await;
    assert_eq!((replayed.status, &replayed.json()["event_id"]), (202, &dead["event_id"]));
    assert_eq!(receiver.take(1).await[0].header("webhook-id"), dead["event_id"].as_str().unwrap());
    until(async || (get(&address, &path, "").await.json()["state"] == "delivered").then_some(())).await;
}

#[tokio::test]
async fn callbacks_come_a_page_at_a_time_and_an_unknown_one_is_told() {
    let mut receiver = Receiver::start(|_, _| Answer::Status(200)).await;
    let gateway = Gateway::start(&format!("[callbacks]\nurl = \"{}\"\n", receiver.url("/"))).await;
    let address = gateway.http();
    Phone::call("echo", &gateway.sip()).await.hang_up().await;
    receiver.take(4).await;
    let (mut events, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = get(&address, &format!("/callbacks?limit=3{cursor}"), "").await.json();
        events.extend(page["data"].as_array().unwrap().iter().map(|callback| callback["event"].clone()));
        let Some(next) = page["next_cursor"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    assert_eq!(events, ["call.completed", "call.in-progress", "call.ringing", "call.initiated"]);
    for unknown in ["/callbacks/evt_0", "/callbacks/%00", "/callbacks/a'b", "/callbacks/%ff"] {
        let answer = get(&address, unknown, "").await;
        assert_eq!((answer.status, &answer.json()["code"]), (404, &json!("unknown_callback")), "{unknown}");
    }
    for wrong in ["?state=lost", "?limit=0", "?cursor=x", "?cal_id=1", "?call_id="] {
        assert_eq!(get(&address, &format!("/callbacks{wrong}"), "").await.status, 400, "{wrong}");
    }
}
