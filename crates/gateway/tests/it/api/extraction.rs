//! What was taken from conversations as the API and the command line show it, and had looked for once more.

use serde_json::{Value, json};

use super::client::{Answer as Said, Ask, ask, get, until};
use super::command_line::run;
use crate::callbacks::receiver::{Answer, Receiver};
use crate::extraction::{begin, end, named, says, settings};
use crate::serve::Gateway;

async fn post(address: &str, path: &str, key: &str) -> Said {
    let headers = format!("Authorization: Bearer {key}\r\n");
    ask(address, Ask { method: "POST", path, headers: &headers, body: "" }).await
}

#[tokio::test]
async fn what_is_known_of_a_call_is_shown_while_it_goes_on_and_after_and_looked_for_once_more() {
    let service =
        Receiver::start(|seen, _| if seen == 1 { Answer::Status(401) } else { named("Gulshan") }).await;
    let mut hook = Receiver::start(|_, _| Answer::Status(200)).await;
    let settings = format!("{}{}", super::keys::KEYS, settings(Some(&service), &hook, ""));
    let gateway = Gateway::start(&settings).await;
    let (address, store) = (gateway.http(), gateway.exchange().store.clone());
    let (reader, operator) = ("Authorization: Bearer reader-0123456789\r\n", "operator-0123456789");
    let shown = async || get(&address, "/calls/call_1/fields", reader).await.json();
    let in_state =
        async |state: &str| until(async || Some(shown().await).filter(|shown| shown["state"] == state)).await;
    assert_eq!(
        get(&address, "/calls/call_1/fields", reader).await.problem(),
        (404, "unknown_call".to_owned())
    );
    begin(&store, "call_1").await;
    let nothing = shown().await;
    assert_eq!(
        (&nothing["state"], &nothing["fields"], &nothing["attempts"]),
        (&json!("none"), &json!({}), &json!(0))
    );
    says(&store, "call_1", 1, "Gulshan").await;
    let live = until(async || Some(shown().await).filter(|shown| shown["fields"]["name"] == "Gulshan")).await;
    assert_eq!((&live["state"], &live["reasons"]), (&json!("live"), &json!({"budget": "not said"})));
    let refused = post(&address, "/calls/call_1/extraction", operator).await;
    assert_eq!(refused.problem(), (409, "call_up".to_owned()));
    end(&store, "call_1").await;
    let dead = in_state("dead").await;
    assert_eq!((&dead["attempts"], &dead["last_error"]), (&json!(1), &json!("the service answered 401")));
    // What was found during the call stays; the rest says why it is missing.
    let reasons = json!({"budget": "extraction failed: the service answered 401"});
    assert_eq!((&dead["fields"]["name"], &dead["reasons"]), (&json!("Gulshan"), &reasons));
    hook.take(1).await;
    let page = get(&address, "/extractions?state=dead", reader).await.json();
    assert_eq!((&page["data"][0]["call_id"], &page["next_cursor"]), (&json!("call_1"), &Value::Null));
    assert!(!page.to_string().contains("Gulshan"));
    assert_eq!(post(&address, "/calls/call_1/extraction", "reader-0123456789").await.status, 403);
    let again = post(&address, "/calls/call_1/extraction", operator).await;
    assert_eq!((again.status, &again.json()["state"]), (202, &json!("pending")), "{again:?}");
    let done = in_state("done").await;
    assert_eq!((&done["reasons"], &done["last_error"]), (&json!({"budget": "not said"}), &Value::Null));
    hook.take(1).await;
    let webhooks = get(&address, "/callbacks?kind=webhook", reader).await.json();
    let told: Vec<_> = webhooks["data"].as_array().unwrap().iter().map(|one| &one["event"]).collect();
    assert_eq!(told, ["call.result", "call.result"]);
    assert_eq!(get(&address, "/extractions?state=lost", reader).await.status, 400);
    gateway.stop().await;
}

#[tokio::test]
async fn extractions_are_listed_shown_and_made_again_by_command() {
    let service =
        Receiver::start(|seen, _| if seen == 0 { Answer::Status(400) } else { named("Gulshan") }).await;
    let mut hook = Receiver::start(|_, _| Answer::Status(200)).await;
    let settings = format!("{}{}", super::keys::KEYS, settings(Some(&service), &hook, ", live = false"));
    let gateway = Gateway::start(&settings).await;
    let store = gateway.exchange().store.clone();
    begin(&store, "call_1").await;
    says(&store, "call_1", 1, "Gulshan").await;
    end(&store, "call_1").await;
    hook.take(1).await;
    let operator = "operator-0123456789";
    let listed = until(async || {
        let (code, data, talk) = run(&gateway, "calls", &["extractions", "--state", "dead"], operator).await;
        assert_eq!(code, 0, "{talk}");
        Some(data).filter(|data| data.contains("call_1"))
    })
    .await;
    assert!(listed.lines().nth(1).unwrap().contains("the service answered 400"), "{listed}");
    let (code, data, talk) = run(&gateway, "calls", &["extract", "call_1"], operator).await;
    assert_eq!((code, data.as_str()), (0, "call_1  accepted\n"), "{talk}");
    assert_eq!(hook.take(1).await[0].json()["fields"]["name"], "Gulshan");
    let (code, data, _) = run(&gateway, "calls", &["fields", "call_1"], "reader-0123456789").await;
    assert!(code == 0 && data.contains("Gulshan"), "{data}");
    let (code, _, talk) = run(&gateway, "calls", &["extract", "call_9"], operator).await;
    assert_eq!((code, talk.trim()), (1, "404: no call has this id"));
    gateway.stop().await;
}
