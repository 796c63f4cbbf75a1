//! Deliveries: in order per call, one bad receiver in nobody's way, dead letters kept.

use std::collections::HashSet;

use patchcord::store::{
    AttemptOutcome, CallbackAddress, DeliveryFilter, DeliveryState, DueDelivery, Fact, NamedCallback, NewCall,
};

use super::ground::{Ground, Open, ended, new_call, told_call};

super::cases![
    every_event_has_one_delivery_and_only_where_there_is_an_address,
    a_later_delivery_waits_for_an_earlier_one_of_its_call_until_that_is_delivered_or_dead,
    a_delivery_that_failed_comes_again_at_its_time_and_after_a_restart,
    a_receiver_that_is_busy_holds_up_nobody_else,
    a_dead_letter_is_listed_and_can_be_sent_again,
    an_address_that_is_asked_for_gets_the_events_from_before,
    a_server_delivers_what_is_its_own,
];

fn failed() -> AttemptOutcome {
    AttemptOutcome { state: DeliveryState::Pending, status: Some(503), error: Some("status 503".into()) }
}

fn over(state: DeliveryState) -> AttemptOutcome {
    AttemptOutcome { state, status: Some(200), error: None }
}

async fn due(open: &Open, now_ms: u64) -> Vec<DueDelivery> {
    open.store.due_deliveries(now_ms, 100, &HashSet::new()).await.unwrap()
}

/// The words of the deliveries that are due.
async fn due_words(open: &Open, now_ms: u64) -> Vec<(String, &'static str)> {
    due(open, now_ms).await.into_iter().map(|due| (due.call_id, due.name.word())).collect()
}

async fn all_of(open: &Open, call_id: &str) -> Vec<patchcord::store::StoredDelivery> {
    let filter = DeliveryFilter { call_id: Some(call_id.into()), ..DeliveryFilter::default() };
    open.store.list_deliveries(&filter, None, 100).await.unwrap()
}

async fn every_event_has_one_delivery_and_only_where_there_is_an_address(ground: Ground) {
    let open = ground.open().await;
    open.begin(told_call("call_1", 1_000, "http://user:secret@a.example/x?y=1")).await;
    open.begin(new_call("call_2", 1_000)).await;
    for call in ["call_1", "call_2"] {
        open.tell(call, Fact::Ringing, 1_010).await;
        open.tell(call, ended(), 1_020).await;
    }
    let deliveries = all_of(&open, "call_1").await;
    let words: Vec<_> = deliveries.iter().rev().map(|delivery| delivery.name.word()).collect();
    assert_eq!(words, open.words("call_1").await);
    assert!(deliveries.iter().all(|delivery| delivery.url == "http://user:secret@a.example/x?y=1"));
    assert!(all_of(&open, "call_2").await.is_empty());
    let first = due(&open, 2_000).await.remove(0);
    assert_eq!((first.attempts, first.at_ms), (0, 1_000));
    assert!(first.body.contains("call.initiated") && first.event_id.starts_with("evt_"));
    open.close().await;
}

async fn a_later_delivery_waits_for_an_earlier_one_of_its_call_until_that_is_delivered_or_dead(
    ground: Ground,
) {
    let open = ground.open().await;
    for call in ["call_1", "call_2"] {
        open.begin(told_call(call, 1_000, "http://a.example/")).await;
        open.tell(call, Fact::Ringing, 1_010).await;
        open.tell(call, Fact::InProgress, 1_020).await;
    }
    let owned = |call: &str, word| (call.to_owned(), word);
    let initiated = [owned("call_1", "call.initiated"), owned("call_2", "call.initiated")];
    assert_eq!(due_words(&open, 5_000).await, initiated);
    let ids: Vec<_> = due(&open, 5_000).await.into_iter().map(|due| due.event_id).collect();
    assert!(
        open.store.delivery_attempted(&ids[0], over(DeliveryState::Delivered), None, 5_000).await.unwrap()
    );
    assert!(open.store.delivery_attempted(&ids[1], over(DeliveryState::Dead), None, 5_001).await.unwrap());
    let ringing = [owned("call_1", "call.ringing"), owned("call_2", "call.ringing")];
    assert_eq!(due_words(&open, 5_001).await, ringing);
    assert!(
        !open.store.delivery_attempted(&ids[0], failed(), Some(9_000), 5_002).await.unwrap(),
        "it is over"
    );
    // What is told while the call's line is empty is due at once.
    for _ in 0..2 {
        for one in due(&open, 6_000).await {
            open.store
                .delivery_attempted(&one.event_id, over(DeliveryState::Delivered), None, 6_000)
                .await
                .unwrap();
        }
    }
    assert!(due(&open, 9_000).await.is_empty());
    assert_eq!(open.store.next_delivery_ms().await.unwrap(), None);
    open.tell("call_1", ended(), 7_000).await;
    assert_eq!(due_words(&open, 7_000).await, [owned("call_1", "call.completed")]);
    open.close().await;
}

async fn a_delivery_that_failed_comes_again_at_its_time_and_after_a_restart(ground: Ground) {
    let open = ground.open().await;
    open.begin(told_call("call_1", 1_000, "http://a.example/")).await;
    open.tell("call_1", Fact::Ringing, 1_010).await;
    let first = due(&open, 2_000).await.remove(0);
    open.store.delivery_attempted(&first.event_id, failed(), Some(3_000), 2_000).await.unwrap();
    assert!(due(&open, 2_999).await.is_empty());
    assert_eq!(open.store.next_delivery_ms().await.unwrap(), Some(3_000));
    open.close().await;
    let open = ground.open().await;
    let again = due(&open, 3_000).await.remove(0);
    assert_eq!((&again.event_id, &again.body, again.attempts), (&first.event_id, &first.body, 1));
    let listed = open.store.find_delivery(&first.event_id).await.unwrap().unwrap();
    assert_eq!((listed.last_status, listed.last_error.as_deref()), (Some(503), Some("status 503")));
    assert_eq!((listed.last_at_ms, listed.state), (Some(2_000), DeliveryState::Pending));
    open.close().await;
}

async fn a_receiver_that_is_busy_holds_up_nobody_else(ground: Ground) {
    let open = ground.open().await;
    for n in 0..30 {
        open.begin(told_call(&format!("call_bad_{n}"), 1_000, "https://bad.example:8443/x")).await;
    }
    open.begin(told_call("call_good", 2_000, "https://good.example/x")).await;
    let first = open.store.due_deliveries(3_000, 5, &HashSet::new()).await.unwrap();
    assert!(first.iter().all(|due| due.receiver == "https://bad.example:8443"));
    let busy = HashSet::from(["https://bad.example:8443".to_owned()]);
    let rest = open.store.due_deliveries(3_000, 5, &busy).await.unwrap();
    assert_eq!(rest.iter().map(|due| due.call_id.as_str()).collect::<Vec<_>>(), ["call_good"]);
    open.close().await;
}

async fn a_dead_letter_is_listed_and_can_be_sent_again(ground: Ground) {
    let open = ground.open().await;
    open.begin(told_call("call_1", 1_000, "http://a.example/")).await;
    open.begin(told_call("call_2", 1_000, "http://a.example/")).await;
    let dead = due(&open, 2_000).await.remove(0);
    open.store.delivery_attempted(&dead.event_id, over(DeliveryState::Dead), None, 2_000).await.unwrap();
    let filter = DeliveryFilter { state: Some(DeliveryState::Dead), ..DeliveryFilter::default() };
    let listed = open.store.list_deliveries(&filter, None, 10).await.unwrap();
    assert_eq!(listed.iter().map(|one| one.event_id.as_str()).collect::<Vec<_>>(), [dead.event_id.as_str()]);
    assert!(open.store.list_deliveries(&filter, Some(listed[0].seq), 10).await.unwrap().is_empty());
    assert!(open.store.replay_delivery(&dead.event_id, 5_000).await.unwrap());
    assert!(!open.store.replay_delivery(&dead.event_id, 5_000).await.unwrap(), "it is under way");
    assert!(!open.store.replay_delivery("evt_none", 5_000).await.unwrap());
    let again = due(&open, 5_000).await.into_iter().find(|due| due.event_id == dead.event_id).unwrap();
    assert_eq!((again.body, again.attempts), (dead.body, 0));
    open.close().await;
}

async fn an_address_that_is_asked_for_gets_the_events_from_before(ground: Ground) {
    let open = ground.open().await;
    let asked = |url: Option<&str>| CallbackAddress::Asked(url.map(Into::into));
    let named =
        |url: &str| Fact::Callback(NamedCallback { url: Some(url.into()), ..NamedCallback::default() });
    for call in ["call_1", "call_2", "call_3"] {
        open.begin(NewCall { callback: asked(Some("http://number/")), ..new_call(call, 1_000) }).await;
        open.tell(call, Fact::Ringing, 1_010).await;
    }
    assert!(due(&open, 9_000).await.is_empty(), "it is not known where to yet");
    open.tell("call_1", named("http://answer/"), 1_100).await;
    open.tell("call_2", Fact::Callback(NamedCallback::default()), 1_100).await;
    open.tell("call_3", ended(), 1_200).await;
    for (call, url, count) in
        [("call_1", "http://answer/", 2), ("call_2", "http://number/", 2), ("call_3", "http://number/", 3)]
    {
        let deliveries = all_of(&open, call).await;
        assert_eq!((deliveries.len(), deliveries[0].url.as_str()), (count, url), "{call}");
        assert_eq!(deliveries.iter().filter(|one| one.next_at_ms.is_some()).count(), 1, "{call}");
    }
    open.close().await;
}

async fn a_server_delivers_what_is_its_own(ground: Ground) {
    let other = ground.open_as("there").await;
    other.begin(told_call("call_there", 1_000, "http://a.example/")).await;
    other.close().await;
    let open = ground.open().await;
    open.begin(told_call("call_here", 1_000, "http://a.example/")).await;
    assert_eq!(due_words(&open, 2_000).await, [("call_here".to_owned(), "call.initiated")]);
    assert_eq!(open.store.list_deliveries(&DeliveryFilter::default(), None, 10).await.unwrap().len(), 2);
    open.close().await;
}
