//! Extractions: ordered by what is said and by the end of the call, told of once, and kept over a crash.

use std::collections::HashSet;

use patchcord::store::{
    Beside, DeliveryFilter, DeliveryKind, DueExtraction, ExtractedFields, ExtractionKind, ExtractionOutcome,
    ExtractionState, FieldsState, NewCall, NewWebhook, PlacedUtterance, WithoutRoom,
};
use patchcord_core::vocabulary::{HeardPart, Role, Utterance};
use serde_json::{Map, Value, json};

use super::ground::{Ground, Open, ended, ended_with_bot, new_call, told_call};

super::cases![
    what_a_caller_says_orders_a_live_extraction_and_only_the_newest_order_counts,
    an_order_that_waits_for_its_service_waits_on_when_more_is_said,
    the_end_of_a_call_orders_the_final_extraction_and_ends_the_live_one,
    a_settled_extraction_is_told_once_however_often_that_is_tried,
    a_webhook_stands_in_a_line_of_its_own_beside_the_callbacks,
    an_extraction_by_hand_is_a_new_order_and_its_webhook_has_an_id_of_its_own,
    extractions_are_listed_by_their_state,
    a_server_extracts_from_its_own_calls,
    what_is_to_be_told_comes_first_then_whole_calls_and_what_has_no_room_is_left_out,
];

fn with_agent(call_id: &str) -> NewCall {
    NewCall { leaves_files: true, ..new_call(call_id, 1_000) }
}

async fn says(open: &Open, call_id: &str, role: Role, position: u32, at_ms: u64) {
    let utterance = Utterance {
        role,
        item: "item".into(),
        text: "words".into(),
        start: std::time::Duration::ZERO,
        end: std::time::Duration::from_secs(1),
        heard: HeardPart::All,
        played: None,
        response: None,
    };
    let said = Beside::Utterance(PlacedUtterance { position, utterance });
    assert!(open.store.add_acknowledged(call_id, said, at_ms).await.unwrap());
}

async fn due(open: &Open, now_ms: u64) -> Vec<DueExtraction> {
    open.store.due_extractions(now_ms, 100, &WithoutRoom::default()).await.unwrap()
}

async fn one_due(open: &Open, now_ms: u64) -> DueExtraction {
    let mut due = due(open, now_ms).await;
    assert_eq!(due.len(), 1, "{due:?}");
    due.remove(0)
}

fn object(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

fn found(name: &str, state: FieldsState) -> ExtractionOutcome {
    let found = ExtractedFields { fields: object(json!({ "name": name })), reasons: Map::new(), state };
    ExtractionOutcome { state: ExtractionState::Done, error: None, next_at_ms: None, found: Some(found) }
}

fn failed(next_at_ms: u64) -> ExtractionOutcome {
    ExtractionOutcome {
        state: ExtractionState::Pending,
        error: Some("the service answered 503".into()),
        next_at_ms: Some(next_at_ms),
        found: None,
    }
}

async fn name(open: &Open, call_id: &str) -> Option<String> {
    let fields = open.store.fields_of(call_id).await.unwrap()?;
    fields.fields["name"].as_str().map(str::to_owned)
}

fn webhook(body: &str) -> Option<NewWebhook> {
    Some(NewWebhook { url: "http://hook.example/x".into(), body: body.into() })
}

async fn what_a_caller_says_orders_a_live_extraction_and_only_the_newest_order_counts(ground: Ground) {
    let open = ground.open().await;
    open.begin(with_agent("call_1")).await;
    says(&open, "call_1", Role::Bot, 0, 2_000).await;
    assert!(due(&open, 9_000).await.is_empty(), "the bot's words order nothing");
    says(&open, "call_1", Role::Caller, 1, 3_000).await;
    assert!(due(&open, 2_999).await.is_empty());
    assert_eq!(open.store.next_extraction_ms(0).await.unwrap(), Some(3_000));
    let first = one_due(&open, 3_000).await;
    assert_eq!(
        (first.kind, first.state, first.attempts),
        (ExtractionKind::Live, ExtractionState::Pending, 0)
    );
    says(&open, "call_1", Role::Caller, 2, 4_000).await;
    let second = one_due(&open, 4_000).await;
    // What the older one found is better than nothing, but settles nothing.
    let live = |name| found(name, FieldsState::Live);
    assert!(!open.store.extraction_attempted(first, live("older"), 4_100).await.unwrap());
    assert_eq!(name(&open, "call_1").await.as_deref(), Some("older"));
    assert_eq!(one_due(&open, 4_200).await, second);
    assert!(open.store.extraction_attempted(second.clone(), live("newer"), 4_300).await.unwrap());
    assert!(!open.store.extraction_attempted(second, live("late"), 4_400).await.unwrap());
    assert_eq!(name(&open, "call_1").await.as_deref(), Some("newer"));
    assert!(due(&open, 9_000).await.is_empty());
    open.close().await;
}

async fn an_order_that_waits_for_its_service_waits_on_when_more_is_said(ground: Ground) {
    let open = ground.open().await;
    open.begin(with_agent("call_1")).await;
    says(&open, "call_1", Role::Caller, 0, 2_000).await;
    let first = one_due(&open, 2_000).await;
    open.store.extraction_attempted(first, failed(30_000), 2_100).await.unwrap();
    says(&open, "call_1", Role::Caller, 1, 3_000).await;
    assert!(due(&open, 29_999).await.is_empty());
    assert_eq!(one_due(&open, 30_000).await.attempts, 0);
    // A bot without a live extraction is asked about once.
    let off = ExtractionOutcome { state: ExtractionState::Off, error: None, next_at_ms: None, found: None };
    let due_now = one_due(&open, 30_000).await;
    open.store.extraction_attempted(due_now, off, 30_000).await.unwrap();
    says(&open, "call_1", Role::Caller, 2, 31_000).await;
    assert!(due(&open, 99_000).await.is_empty());
    open.close().await;
}

async fn the_end_of_a_call_orders_the_final_extraction_and_ends_the_live_one(ground: Ground) {
    let open = ground.open().await;
    open.begin(with_agent("call_1")).await;
    open.begin(new_call("call_2", 1_000)).await;
    says(&open, "call_1", Role::Caller, 0, 2_000).await;
    let live = one_due(&open, 2_000).await;
    open.tell("call_1", ended(), 5_000).await;
    open.tell("call_2", ended(), 5_000).await;
    open.close().await;
    let open = ground.open().await;
    let whole = one_due(&open, 5_000).await;
    assert_eq!((whole.call_id.as_str(), whole.kind), ("call_1", ExtractionKind::Final));
    assert!(!open.store.extraction_attempted(live, found("live", FieldsState::Live), 5_100).await.unwrap());
    assert_eq!(name(&open, "call_1").await, None, "what comes of the live one counts no more");
    open.store.extraction_attempted(whole.clone(), failed(8_000), 5_200).await.unwrap();
    assert_eq!((due(&open, 7_999).await.len(), one_due(&open, 8_000).await.attempts), (0, 1));
    let shown = open.store.find_extraction("call_1", ExtractionKind::Final).await.unwrap().unwrap();
    assert_eq!(
        (shown.last_error.as_deref(), shown.next_attempt_ms()),
        (Some("the service answered 503"), Some(8_000))
    );
    // The end is told once, and so the extraction is ordered once.
    open.tell("call_1", ended(), 9_000).await;
    assert_eq!(one_due(&open, 9_000).await.round, whole.round);
    assert_eq!(open.store.find_extraction("call_2", ExtractionKind::Final).await.unwrap(), None);
    open.close().await;
}

async fn a_settled_extraction_is_told_once_however_often_that_is_tried(ground: Ground) {
    let open = ground.open().await;
    open.begin(with_agent("call_1")).await;
    open.tell("call_1", ended(), 5_000).await;
    let pending = one_due(&open, 5_000).await;
    assert!(!open.store.tell_extraction(pending.clone(), webhook("{}"), 5_100).await.unwrap(), "not before");
    open.store.extraction_attempted(pending, found("Gulshan", FieldsState::Final), 5_200).await.unwrap();
    // A crash here leaves it to be told.
    open.close().await;
    let open = ground.open().await;
    let settled = one_due(&open, 5_200).await;
    assert_eq!(settled.state, ExtractionState::Done);
    assert!(open.store.tell_extraction(settled.clone(), webhook("{\"n\":1}"), 5_300).await.unwrap());
    assert!(!open.store.tell_extraction(settled, webhook("{\"n\":2}"), 5_400).await.unwrap());
    assert!(due(&open, 99_000).await.is_empty());
    let told = open.store.due_deliveries(9_000, 10, &HashSet::new()).await.unwrap();
    assert_eq!(told.len(), 1);
    assert_eq!((&*told[0].body, told[0].kind, told[0].at_ms), ("{\"n\":1}", DeliveryKind::Webhook, 5_300));
    assert_eq!(open.words("call_1").await, ["call.initiated", "call.completed", "call.result"]);
    open.close().await;
}

async fn a_webhook_stands_in_a_line_of_its_own_beside_the_callbacks(ground: Ground) {
    let open = ground.open().await;
    let new = NewCall { leaves_files: true, ..told_call("call_1", 1_000, "http://owner.example/") };
    open.begin(new).await;
    open.tell("call_1", ended(), 5_000).await;
    let pending = one_due(&open, 5_000).await;
    open.store.extraction_attempted(pending, found("x", FieldsState::Final), 5_100).await.unwrap();
    let settled = one_due(&open, 5_100).await;
    open.store.tell_extraction(settled, webhook("{}"), 5_200).await.unwrap();
    let due = open.store.due_deliveries(9_000, 10, &HashSet::new()).await.unwrap();
    let words: Vec<_> = due.iter().map(|due| (due.name.word(), due.url.as_str())).collect();
    assert_eq!(
        words,
        [("call.initiated", "http://owner.example/"), ("call.result", "http://hook.example/x")],
        "it waits for no callback"
    );
    // A result that was taken changes what the call's file tells.
    let files = async || open.store.files_of("call_1").await.unwrap().unwrap();
    let known = files().await.changes;
    let taken = patchcord::store::AttemptOutcome {
        state: patchcord::store::DeliveryState::Delivered,
        status: Some(200),
        error: None,
    };
    let event_id = due.iter().find(|due| due.kind == DeliveryKind::Webhook).unwrap().event_id.clone();
    assert!(open.store.delivery_attempted(&event_id, taken, None, 5_500).await.unwrap());
    assert_eq!(files().await.changes, known + 1);
    // What comes later of the call goes to its owner, and the result does not.
    let recording =
        patchcord::store::StoredRecording { part: patchcord::store::RecordedPart::Bot, file: "a.wav".into() };
    open.tell("call_1", patchcord::store::Fact::Recording(recording), 6_000).await;
    let of_kind = async |kind| {
        let filter = DeliveryFilter { kind: Some(kind), ..DeliveryFilter::default() };
        let listed = open.store.list_deliveries(&filter, None, 10).await.unwrap();
        listed.iter().rev().map(|delivery| delivery.name.word()).collect::<Vec<_>>()
    };
    assert_eq!(of_kind(DeliveryKind::Webhook).await, ["call.result"]);
    assert_eq!(of_kind(DeliveryKind::Callback).await, ["call.initiated", "call.completed", "call.recording"]);
    open.close().await;
}

async fn an_extraction_by_hand_is_a_new_order_and_its_webhook_has_an_id_of_its_own(ground: Ground) {
    let open = ground.open().await;
    open.begin(with_agent("call_1")).await;
    assert!(!open.store.extract_again("call_1", 1_500).await.unwrap(), "the call is up");
    open.tell("call_1", ended(), 5_000).await;
    assert!(!open.store.extract_again("call_1", 5_000).await.unwrap(), "it is under way");
    let settle = async |at: u64, result: &str| {
        let pending = one_due(&open, at).await;
        open.store.extraction_attempted(pending, found(result, FieldsState::Final), at).await.unwrap();
        assert!(!open.store.extract_again("call_1", at).await.unwrap(), "it is not told yet");
        let settled = one_due(&open, at).await;
        assert!(open.store.tell_extraction(settled, webhook(result), at).await.unwrap());
    };
    settle(5_000, "first").await;
    assert!(open.store.extract_again("call_1", 6_000).await.unwrap());
    assert!(!open.store.extract_again("call_1", 6_000).await.unwrap());
    assert_eq!(one_due(&open, 6_000).await.attempts, 0);
    settle(6_000, "second").await;
    let events = open.store.events_of("call_1").await.unwrap();
    let told: Vec<_> = events.iter().filter(|event| event.name.word() == "call.result").collect();
    assert_eq!(told.iter().map(|event| &*event.body).collect::<Vec<_>>(), ["first", "second"]);
    assert_ne!(told[0].event_id, told[1].event_id);
    assert!(!open.store.extract_again("call_9", 6_000).await.unwrap());
    open.close().await;
}

async fn extractions_are_listed_by_their_state(ground: Ground) {
    let open = ground.open().await;
    for n in 0..4 {
        let call_id = format!("call_{n}");
        open.begin(with_agent(&call_id)).await;
        open.tell(&call_id, ended(), 5_000).await;
    }
    for due in due(&open, 5_000).await.into_iter().take(3) {
        let dead = ExtractionOutcome {
            state: ExtractionState::Dead,
            error: Some("the service answered 401".into()),
            next_at_ms: None,
            found: None,
        };
        open.store.extraction_attempted(due, dead, 5_100).await.unwrap();
    }
    let ids = async |state, behind: Option<&str>| {
        let listed = open.store.list_extractions(state, behind, 2).await.unwrap();
        listed.into_iter().map(|one| one.call_id).collect::<Vec<_>>()
    };
    assert_eq!(ids(Some(ExtractionState::Dead), None).await, ["call_2", "call_1"]);
    assert_eq!(ids(Some(ExtractionState::Dead), Some("call_1")).await, ["call_0"]);
    assert_eq!(ids(None, None).await, ["call_3", "call_2"]);
    assert_eq!(open.store.count_extractions(ExtractionState::Dead).await.unwrap(), 3);
    assert_eq!(open.store.count_extractions(ExtractionState::Pending).await.unwrap(), 1);
    open.close().await;
}

async fn a_server_extracts_from_its_own_calls(ground: Ground) {
    let other = ground.open_as("there").await;
    other.begin(with_agent("call_there")).await;
    other.tell("call_there", ended(), 5_000).await;
    other.close().await;
    let open = ground.open().await;
    assert!(due(&open, 9_000).await.is_empty());
    assert_eq!(open.store.next_extraction_ms(0).await.unwrap(), None);
    open.close().await;
}

async fn what_is_to_be_told_comes_first_then_whole_calls_and_what_has_no_room_is_left_out(ground: Ground) {
    let open = ground.open().await;
    for (call_id, bot) in [("live_a", "a"), ("whole_a", "a"), ("whole_b", "b"), ("told_a", "a")] {
        open.begin(NewCall { bot: bot.into(), ..with_agent(call_id) }).await;
    }
    says(&open, "live_a", Role::Caller, 0, 2_000).await;
    open.tell("told_a", ended_with_bot("a", None), 3_000).await;
    let pending = due(&open, 3_000).await.remove(0);
    open.store.extraction_attempted(pending, found("x", FieldsState::Final), 8_000).await.unwrap();
    open.tell("whole_a", ended_with_bot("a", None), 5_000).await;
    open.tell("whole_b", ended_with_bot("b", None), 6_000).await;
    let ids = async |bots: &[&str], settled| {
        let bots = bots.iter().map(|bot| (*bot).to_owned()).collect();
        let due = open.store.due_extractions(9_000, 10, &WithoutRoom { bots, settled }).await.unwrap();
        due.into_iter().map(|due| (due.call_id, due.bot)).collect::<Vec<_>>()
    };
    let pair = |call_id: &str, bot: &str| (call_id.to_owned(), bot.to_owned());
    let (live, whole, told) = (pair("live_a", "a"), pair("whole_a", "a"), pair("told_a", "a"));
    let other = pair("whole_b", "b");
    assert_eq!(ids(&[], false).await, [told.clone(), whole, other.clone(), live]);
    assert_eq!(ids(&["a", "c"], false).await, [told.clone(), other.clone()]);
    assert_eq!(ids(&["a"], true).await, [other]);
    assert_eq!(ids(&["a", "b"], false).await, [told]);
    let mut ended = open.store.ended_of(&["live_a", "whole_b", "told_a", "nobody"]).await.unwrap();
    ended.sort();
    assert_eq!(ended, ["told_a", "whole_b"]);
    assert!(open.store.ended_of(&[]).await.unwrap().is_empty());
    open.close().await;
}
