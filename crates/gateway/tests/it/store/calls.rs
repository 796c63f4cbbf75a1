//! Calls and their events: stored, read, listed, and kept over restarts.

use std::collections::BTreeSet;
use std::time::Duration;

use patchcord::config::Database;
use patchcord::store::{
    Beside, CallCursor, CallFilter, CallMarks, CallStatus, ExtractedFields, Fact, FieldsState, KeyClaim,
    NewCall, PlacedUtterance, RecordedPart, Store, StoreError, StoredParties, StoredRecording, Trace,
};
use patchcord_core::vocabulary::{CallOutcome, Direction, HeardPart, Role, Utterance};
use serde_json::Map;
use sqlx::{ConnectOptions, Connection};

use super::ground::{Ground, body, ended, ended_as, new_call, parties};

super::cases![
    what_was_acknowledged_is_there_when_the_store_is_opened_anew,
    every_step_of_a_call_is_one_event_and_it_has_one_end,
    a_fact_about_a_call_that_nobody_began_is_told_apart,
    the_same_write_made_twice_leaves_one_row_and_one_event,
    lists_are_newest_first_and_their_pages_neither_repeat_nor_skip,
    a_list_shows_what_its_filter_asks_for,
    calls_are_found_by_what_was_said_and_by_what_nobody_heard,
    events_are_read_on_from_where_a_reader_was,
    a_commit_wakes_those_who_watch,
    calls_that_were_up_are_found_by_the_server_that_had_them,
    characters_that_a_database_cannot_hold_spoil_no_other_write,
    a_key_is_claimed_once_and_keeps_its_answer,
    a_setting_stays,
    a_document_of_a_call_takes_the_place_of_the_one_before_and_none_stays_without_its_call,
    a_burst_of_calls_shares_its_commits,
    a_newer_schema_is_not_touched,
    a_second_process_is_turned_away,
];

async fn what_was_acknowledged_is_there_when_the_store_is_opened_anew(ground: Ground) {
    let open = ground.open().await;
    open.begin(new_call("call_1", 1_000)).await;
    open.tell("call_1", Fact::Ringing, 1_010).await;
    open.tell("call_1", Fact::InProgress, 2_000).await;
    let before = open.store.find_call("call_1").await.unwrap().unwrap();
    open.close().await;

    let open = ground.open().await;
    let call = open.store.find_call("call_1").await.unwrap().unwrap();
    assert_eq!(call, before);
    assert_eq!((call.from.as_str(), call.to.as_str()), ("9876543210", "18001234567"));
    assert_eq!((call.phone_leg_id.as_str(), call.custom_params["order"].as_str()), ("leg\n\"1\"", "7\"7"));
    assert_eq!((call.status, call.answered_ms, call.ended_ms), (CallStatus::InProgress, Some(2_000), None));
    open.tell("call_1", ended(), 9_500).await;
    let call = open.store.find_call("call_1").await.unwrap().unwrap();
    assert_eq!((call.status.word(), call.ended_ms, call.duration_s(0)), ("completed", Some(9_500), 8));
    assert_eq!((call.bot.as_str(), call.cause.unwrap().q850), ("parrot", 16));
    assert_eq!(open.store.find_call("call_2").await.unwrap(), None);
    open.close().await;
}

async fn every_step_of_a_call_is_one_event_and_it_has_one_end(ground: Ground) {
    let open = ground.open().await;
    open.begin(new_call("call_1", 1_000)).await;
    let recording = |part, file: &str| Fact::Recording(StoredRecording { part, file: file.into() });
    for (at_ms, fact) in [
        (1_010, Fact::Ringing),
        (1_011, Fact::Ringing),
        (2_000, Fact::InProgress),
        (9_000, ended()),
        (9_001, ended_as(CallOutcome::Failed)),
        (9_002, Fact::InProgress),
        (9_100, recording(RecordedPart::Bot, "bot.wav")),
        (9_200, recording(RecordedPart::Whole, "whole.wav")),
    ] {
        open.tell("call_1", fact, at_ms).await;
    }
    let events = open.store.events_of("call_1").await.unwrap();
    let words: Vec<_> = events.iter().map(|event| (event.name.word(), event.at_ms)).collect();
    let expected = [
        ("call.initiated", 1_000),
        ("call.ringing", 1_010),
        ("call.in-progress", 2_000),
        ("call.completed", 9_000),
        ("call.recording", 9_100),
        ("call.recording", 9_200),
    ];
    assert_eq!(words, expected);
    let ids: BTreeSet<_> = events.iter().map(|event| event.event_id.as_str()).collect();
    assert_eq!(ids.len(), events.len());
    assert!(ids.iter().all(|id| id.starts_with("evt_") && id.len() == 36));
    assert_eq!(events[3].body, r#"{"event":"call.completed","status":"completed","at_ms":9000}"#);
    let call = open.store.find_call("call_1").await.unwrap().unwrap();
    assert_eq!(call.bot_recording.as_deref(), Some("bot.wav"));
    assert_eq!(call.full_recording.as_deref(), Some("whole.wav"));
    open.close().await;
}

async fn a_fact_about_a_call_that_nobody_began_is_told_apart(ground: Ground) {
    let open = ground.open().await;
    assert!(!open.store.tell_acknowledged("call_9", Fact::Ringing, 1).await.unwrap());
    assert_eq!(open.store.last_seq().await.unwrap(), 0);
    open.close().await;
}

async fn the_same_write_made_twice_leaves_one_row_and_one_event(ground: Ground) {
    let open = ground.open().await;
    open.begin(new_call("call_1", 1_000)).await;
    open.begin(new_call("call_1", 1_000)).await;
    assert_eq!(open.words("call_1").await, ["call.initiated"]);
    assert_eq!(open.store.list_calls(&CallFilter::default(), None, 10).await.unwrap().len(), 1);
    open.close().await;
}

async fn lists_are_newest_first_and_their_pages_neither_repeat_nor_skip(ground: Ground) {
    let open = ground.open().await;
    // Three calls begin in each millisecond: the cursor must tell them apart.
    for n in 0..20u64 {
        open.begin(new_call(&format!("call_{n:02}"), 1_000 + n / 3)).await;
    }
    let mut seen = Vec::new();
    let mut cursor: Option<CallCursor> = None;
    loop {
        let page = open.store.list_calls(&CallFilter::default(), cursor.as_ref(), 7).await.unwrap();
        let Some(last) = page.last() else { break };
        cursor = Some(CallCursor::behind(last));
        seen.extend(page.into_iter().map(|call| call.call_id));
    }
    let expected: Vec<_> = (0..20).rev().map(|n| format!("call_{n:02}")).collect();
    assert_eq!(seen, expected);
    open.close().await;
}

async fn a_list_shows_what_its_filter_asks_for(ground: Ground) {
    let open = ground.open().await;
    let from = |from: &str| Some(StoredParties { from: from.into(), ..parties() });
    open.begin(NewCall { parties: from("1001"), ..new_call("call_1", 1_000) }).await;
    open.begin(NewCall { parties: from("1002"), bot: "tone".into(), ..new_call("call_2", 2_000) }).await;
    open.begin(NewCall { parties: from("1002"), ..new_call("call_3", 3_000) }).await;
    open.tell("call_3", ended_as(CallOutcome::Busy), 3_500).await;
    let found = async |filter: CallFilter| -> Vec<String> {
        let calls = open.store.list_calls(&filter, None, 10).await.unwrap();
        calls.into_iter().map(|call| call.call_id).collect()
    };
    let all = CallFilter::default;
    assert_eq!(found(CallFilter { from: Some("1001".into()), ..all() }).await, ["call_1"]);
    assert_eq!(found(CallFilter { bot: Some("tone".into()), ..all() }).await, ["call_2"]);
    assert_eq!(found(CallFilter { since_ms: Some(2_000), ..all() }).await, ["call_3", "call_2"]);
    let busy = CallStatus::find("busy");
    assert_eq!(found(CallFilter { status: busy, ..all() }).await, ["call_3"]);
    let both = CallFilter { status: Some(CallStatus::Initiated), to: Some("18001234567".into()), ..all() };
    assert_eq!(found(both).await, ["call_2", "call_1"]);
    assert!(found(CallFilter { from: Some("' OR 1=1 --".into()), ..all() }).await.is_empty());
    assert_eq!(found(CallFilter { until_ms: Some(2_000), ..all() }).await, ["call_1"]);
    let of = |direction| CallFilter { direction: Some(direction), ..all() };
    assert_eq!(found(of(Direction::Inbound)).await.len() + found(of(Direction::Outbound)).await.len(), 3);
    open.tell("call_2", ended(), 2_500).await;
    let file = StoredRecording { part: RecordedPart::Bot, file: "bot.wav".into() };
    open.tell("call_2", Fact::Recording(file), 2_600).await;
    assert_eq!(found(CallFilter { recorded: Some(true), ..all() }).await, ["call_2"]);
    assert_eq!(found(CallFilter { recorded: Some(false), ..all() }).await, ["call_3", "call_1"]);
    let caused = CallFilter { cause_class: Some("completed".into()), ..all() };
    assert!(found(caused).await.contains(&"call_2".to_owned()));
    open.close().await;
}

async fn calls_are_found_by_what_was_said_and_by_what_nobody_heard(ground: Ground) {
    let open = ground.open().await;
    let words = |text: &str, role, heard| Utterance {
        role,
        item: "item".into(),
        text: text.into(),
        start: Duration::from_millis(100),
        end: Duration::from_millis(900),
        heard,
        played: None,
        response: None,
    };
    for (number, utterance) in [
        words("Price: 50% of \"x\" \\ y", Role::Caller, HeardPart::Nothing),
        words("Ihre STRASSE, please", Role::Bot, HeardPart::All),
        words("one moment", Role::Bot, HeardPart::Nothing),
    ]
    .into_iter()
    .enumerate()
    {
        let call_id = format!("call_{number}");
        open.begin(new_call(&call_id, 1_000 + number as u64)).await;
        let said = Beside::Utterance(PlacedUtterance { position: 0, utterance });
        assert!(open.store.add_acknowledged(&call_id, said, 5_000).await.unwrap());
    }
    let found = async |filter: CallFilter| -> Vec<String> {
        let calls = open.store.list_calls(&filter, None, 10).await.unwrap();
        calls.into_iter().map(|call| call.call_id).collect()
    };
    let all = CallFilter::default;
    for (text, expected) in [
        ("50% OF", vec!["call_0"]),
        ("50_", vec![]),
        ("\"x\" \\ y", vec!["call_0"]),
        ("strasse", vec!["call_1"]),
        ("CALL_2", vec!["call_2"]),
        ("8001234", vec!["call_2", "call_1", "call_0"]),
        ("nobody said this", vec![]),
    ] {
        assert_eq!(found(CallFilter { text: Some(text.into()), ..all() }).await, expected, "{text}");
    }
    assert_eq!(found(CallFilter { unheard: Some(true), ..all() }).await, ["call_2"]);
    assert_eq!(found(CallFilter { unheard: Some(false), ..all() }).await, ["call_1", "call_0"]);
    let extracted = ExtractedFields { fields: Map::new(), reasons: Map::new(), state: FieldsState::Failed };
    let extracted = Beside::Extracted(Box::new(extracted));
    assert!(open.store.add_acknowledged("call_1", extracted, 5_000).await.unwrap());
    assert_eq!(found(CallFilter { fields: Some(FieldsState::Failed), ..all() }).await, ["call_1"]);
    assert!(found(CallFilter { fields: Some(FieldsState::Final), ..all() }).await.is_empty());
    let marks = open.store.marks_of(&["call_0", "call_1", "call_2"]).await.unwrap();
    assert_eq!(marks["call_1"], CallMarks { fields: Some(FieldsState::Failed), has_unheard: false });
    assert_eq!(marks["call_2"], CallMarks { fields: None, has_unheard: true });
    assert_eq!(marks.get("call_0"), None);
    open.close().await;
}

async fn events_are_read_on_from_where_a_reader_was(ground: Ground) {
    let open = ground.open().await;
    for n in 0..5 {
        open.begin(new_call(&format!("call_{n}"), 1_000)).await;
    }
    let first = open.store.events_after(0, 3).await.unwrap();
    assert_eq!(
        first.iter().map(|event| event.call_id.as_str()).collect::<Vec<_>>(),
        ["call_0", "call_1", "call_2"]
    );
    assert!(first.windows(2).all(|pair| pair[0].seq < pair[1].seq));
    let rest = open.store.events_after(first[2].seq, 10).await.unwrap();
    assert_eq!(rest.iter().map(|event| event.call_id.as_str()).collect::<Vec<_>>(), ["call_3", "call_4"]);
    assert_eq!(open.store.last_seq().await.unwrap(), rest[1].seq);
    open.close().await;
}

async fn a_commit_wakes_those_who_watch(ground: Ground) {
    let open = ground.open().await;
    let mut commits = open.store.commits();
    commits.borrow_and_update();
    open.store.begin_call_unawaited(new_call("call_1", 1_000), 1_000);
    tokio::time::timeout(std::time::Duration::from_secs(5), commits.changed()).await.unwrap().unwrap();
    assert!(open.store.find_call("call_1").await.unwrap().is_some());
    open.close().await;
}

async fn calls_that_were_up_are_found_by_the_server_that_had_them(ground: Ground) {
    let other = ground.open_as("there").await;
    other.begin(new_call("call_there", 1_000)).await;
    other.close().await;
    let open = ground.open().await;
    open.begin(new_call("call_1", 2_000)).await;
    open.begin(new_call("call_2", 3_000)).await;
    open.tell("call_1", ended(), 4_000).await;
    let up = open.store.calls_up().await.unwrap();
    assert_eq!(up.iter().map(|call| call.call_id.as_str()).collect::<Vec<_>>(), ["call_2"]);
    let over = open.store.calls_ended_since(4_000).await.unwrap();
    assert_eq!(over.iter().map(|call| call.call_id.as_str()).collect::<Vec<_>>(), ["call_1"]);
    assert_eq!(open.store.last_event_ms().await.unwrap(), Some(4_000));
    open.close().await;
}

async fn characters_that_a_database_cannot_hold_spoil_no_other_write(ground: Ground) {
    let open = ground.open().await;
    let strange = StoredParties { from: "1\0'\"\u{1f4de}\\".into(), ..parties() };
    open.begin(NewCall { parties: Some(strange), ..new_call("call_1", 1_000) }).await;
    open.begin(new_call("call_2", 1_000)).await;
    let call = open.store.find_call("call_1").await.unwrap().unwrap();
    assert_eq!(call.from, "1'\"\u{1f4de}\\");
    open.close().await;
}

async fn a_key_is_claimed_once_and_keeps_its_answer(ground: Ground) {
    let open = ground.open().await;
    let key = ("ops", "order-77");
    let claim = async |print: &str| open.store.claim_key(key, print, 1_000).await.unwrap();
    assert_eq!(claim("a").await, KeyClaim::Fresh);
    assert_eq!(claim("b").await, KeyClaim::Known { fingerprint: "a".into(), answer: None });
    assert!(open.store.answer_key(key, (201, "{}"), 1_001).await.unwrap());
    let answered = KeyClaim::Known { fingerprint: "a".into(), answer: Some((201, "{}".into())) };
    assert_eq!(claim("a").await, answered);
    assert!(!open.store.release_key(key, 1_002).await.unwrap(), "an answered key is not given free");
    assert_eq!(open.store.claim_key(("other", "order-77"), "a", 2_000).await.unwrap(), KeyClaim::Fresh);
    assert!(open.store.release_key(("other", "order-77"), 2_001).await.unwrap());
    assert!(open.store.forget_keys(1_500, 3_000).await.unwrap());
    assert_eq!(claim("c").await, KeyClaim::Fresh);
    open.close().await;
}

async fn a_setting_stays(ground: Ground) {
    let open = ground.open().await;
    assert_eq!(open.store.setting("colour").await.unwrap(), None);
    open.store.set_setting("colour", "red", 1).await.unwrap();
    open.store.set_setting("colour", "green", 2).await.unwrap();
    open.close().await;
    let open = ground.open().await;
    assert_eq!(open.store.setting("colour").await.unwrap().as_deref(), Some("green"));
    open.close().await;
}

async fn a_burst_of_calls_shares_its_commits(ground: Ground) {
    let open = ground.open().await;
    let before = open.store.figures();
    for n in 0..200 {
        let call_id = format!("call_{n}");
        open.store.begin_call_unawaited(new_call(&call_id, 1_000), 1_000);
        open.store.tell(&call_id, Fact::Ringing, 1_010);
        open.store.tell(&call_id, Fact::InProgress, 1_020);
        open.store.tell(&call_id, ended(), 1_030);
    }
    // Behind all of them in the line.
    open.store.set_setting("last", "1", 2_000).await.unwrap();
    let after = open.store.figures();
    assert_eq!((after.written - before.written, after.waiting), (801, 0));
    assert!(after.commits - before.commits <= 20, "{} commits", after.commits - before.commits);
    assert_eq!(open.words("call_199").await.len(), 4);
    open.close().await;
}

async fn a_newer_schema_is_not_touched(ground: Ground) {
    ground.open().await.close().await;
    set_schema_version(&ground.database).await;
    match Store::open(&ground.database, "here", body).await {
        Err(error @ StoreError::Newer { .. }) => {
            let told = error.to_string();
            assert!(told.contains("99") && told.contains("newer patchcord"), "{told}");
        }
        other => panic!("{:?}", other.err()),
    }
}

async fn a_document_of_a_call_takes_the_place_of_the_one_before_and_none_stays_without_its_call(
    ground: Ground,
) {
    let open = ground.open().await;
    let find = async |call: &str, trace| open.store.find_trace(call, trace).await.unwrap();
    open.store.begin_call_unawaited(new_call("call_1", 1_000), 1_000);
    for (call, trace, document) in [
        ("call_1", Trace::History, "[1]"),
        ("call_2", Trace::History, "[2]"),
        ("call_1", Trace::History, "[3]"),
        ("call_1", Trace::Ladder, "[4]"),
    ] {
        open.store.keep_trace(call, trace, document.to_owned());
    }
    open.tell("call_1", ended(), 9_000).await;
    assert_eq!(find("call_1", Trace::History).await.as_deref(), Some("[3]"));
    assert_eq!(find("call_1", Trace::Ladder).await.as_deref(), Some("[4]"));
    assert_eq!(find("call_2", Trace::History).await, None);
    assert_eq!(open.store.figures().refused, 0);
    open.close().await;
}

async fn set_schema_version(database: &Database) {
    let update = "UPDATE patchcord_schema SET version = 99";
    match database {
        Database::Sqlite(file) => {
            let options = sqlx::sqlite::SqliteConnectOptions::new().filename(file);
            let mut link = options.connect().await.unwrap();
            sqlx::query(update).execute(&mut link).await.unwrap();
            link.close().await.unwrap();
        }
        Database::Postgres(url) => {
            let mut link = sqlx::PgConnection::connect(url.expose()).await.unwrap();
            sqlx::query(update).execute(&mut link).await.unwrap();
            link.close().await.unwrap();
        }
    }
}

async fn a_second_process_is_turned_away(ground: Ground) {
    let open = ground.open().await;
    let refused = Store::open(&ground.database, "here", body).await.err();
    assert!(matches!(refused, Some(StoreError::Taken(_))), "{refused:?}");
    open.close().await;
    ground.open().await.close().await;
}
