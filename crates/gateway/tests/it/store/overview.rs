//! Counting calls and deliveries for an overview.

use patchcord::store::{
    AttemptOutcome, BotTally, CallStatus, CallTally, DeliveryState, Fact, NewCall, OpenDeliveries,
};
use patchcord_core::vocabulary::CallOutcome;

use super::ground::{Ground, ended_as, ended_with, ended_with_bot, new_call, told_call};

super::cases![
    calls_are_counted_by_slot_and_status_and_by_bot_and_cause,
    the_median_answer_of_a_call_is_kept_from_its_record,
    what_nobody_took_is_counted_by_its_state,
    the_calls_of_agents_are_added_up_by_the_day_on_which_they_ended,
];

async fn calls_are_counted_by_slot_and_status_and_by_bot_and_cause(ground: Ground) {
    let open = ground.open().await;
    for (call, started_ms) in [("call_0", 500), ("call_1", 60_000), ("call_2", 119_999), ("call_3", 120_000)]
    {
        open.begin(new_call(call, started_ms)).await;
    }
    open.tell("call_1", ended_as(CallOutcome::Completed), 61_000).await;
    open.tell("call_2", ended_as(CallOutcome::Completed), 121_000).await;
    let tally =
        |at_ms, status: &str, calls| CallTally { at_ms, status: CallStatus::find(status).unwrap(), calls };
    assert_eq!(
        open.store.tally_calls(60_000, 60_000).await.unwrap(),
        [tally(60_000, "completed", 2), tally(120_000, "initiated", 1)]
    );
    let mut bots = open.store.tally_bots(60_000).await.unwrap();
    bots.sort_by(|a, b| a.bot.cmp(&b.bot));
    let cause = Some(("completed".to_owned(), "caller_hung_up".to_owned()));
    let bot = |bot: &str, status: &str, cause, calls, last_ms| BotTally {
        bot: bot.to_owned(),
        status: CallStatus::find(status).unwrap(),
        cause,
        calls,
        last_ms,
    };
    assert_eq!(
        bots,
        [bot("echo", "initiated", None, 1, 120_000), bot("parrot", "completed", cause, 2, 119_999)]
    );
    open.close().await;
}

async fn the_median_answer_of_a_call_is_kept_from_its_record(ground: Ground) {
    let open = ground.open().await;
    let records = [
        ("call_1", r#"{"quality":{"bot_response_ms":{"count":3,"p50":640.4,"p95":900.0}}}"#),
        ("call_2", r#"{"quality":{"bot_response_ms":null}}"#),
        ("call_3", r#"{"cause":{}}"#),
        ("call_4", r#"{"quality":{"bot_response_ms":{"p50":5.0}}}"#),
    ];
    for (at, (call, record)) in records.into_iter().enumerate() {
        open.begin(new_call(call, 1_000 + at as u64)).await;
        open.tell(call, ended_with(record.to_owned()), 9_000).await;
    }
    let times = open.store.response_times(1_000).await.unwrap();
    assert_eq!(times, [("parrot".to_owned(), 5), ("parrot".to_owned(), 640)]);
    assert_eq!(open.store.response_times(1_001).await.unwrap().len(), 1);
    let call = open.store.find_call("call_1").await.unwrap().unwrap();
    assert_eq!(call.response_ms, Some(640));
    open.close().await;
}

async fn what_nobody_took_is_counted_by_its_state(ground: Ground) {
    let open = ground.open().await;
    assert_eq!(open.store.open_deliveries().await.unwrap(), OpenDeliveries::default());
    for (call, state) in
        [("call_1", None), ("call_2", Some(DeliveryState::Dead)), ("call_3", Some(DeliveryState::Delivered))]
    {
        open.begin(told_call(call, 1_000, "https://crm.example.com/status")).await;
        let event = open.store.events_of(call).await.unwrap().remove(0);
        let Some(state) = state else { continue };
        let outcome = AttemptOutcome { state, status: Some(200), error: None };
        assert!(open.store.delivery_attempted(&event.event_id, outcome, None, 2_000).await.unwrap());
    }
    assert_eq!(open.store.open_deliveries().await.unwrap(), OpenDeliveries { pending: 1, dead: 1 });
    open.close().await;
}

async fn the_calls_of_agents_are_added_up_by_the_day_on_which_they_ended(ground: Ground) {
    let open = ground.open().await;
    assert_eq!(open.store.talked_since(0).await.unwrap(), []);
    // When each was answered and ended; one of them never was.
    for (call, bot, leaves_files, answered_ms, ended_ms) in [
        ("yesterday", "dealer", true, Some(2_000), 9_999),
        ("over_midnight", "dealer", true, Some(9_000), 12_000),
        ("today", "dealer", true, Some(20_000), 25_500),
        ("unanswered", "dealer", true, None, 26_000),
        ("other", "clinic", true, Some(20_000), 20_001),
        ("plain", "echo", false, Some(20_000), 30_000),
    ] {
        open.begin(NewCall { leaves_files, ..new_call(call, 1_000) }).await;
        if let Some(answered_ms) = answered_ms {
            open.tell(call, Fact::InProgress, answered_ms).await;
        }
        open.tell(call, ended_with_bot(bot, None), ended_ms).await;
    }
    open.begin(NewCall { leaves_files: true, ..new_call("up", 1_000) }).await;
    open.tell("up", Fact::InProgress, 20_000).await;
    open.close().await;
    let other = ground.open_as("there").await;
    assert_eq!(other.store.talked_since(0).await.unwrap(), []);
    other.close().await;
    let open = ground.open().await;
    let talked = open.store.talked_since(10_000).await.unwrap();
    assert_eq!(talked, [("clinic".to_owned(), 1), ("dealer".to_owned(), 8_500)]);
    open.close().await;
}
