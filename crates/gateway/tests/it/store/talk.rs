//! What calls with an agent leave: utterances, fields, and the names of their files.

use std::time::Duration;

use patchcord::store::{
    Beside, CallFileNames, ExtractedFields, FieldsState, NewCall, PlacedUtterance, StoredCallFiles,
};
use patchcord_core::vocabulary::{HeardPart, Role, Utterance};
use serde_json::{Map, Value, json};

use super::ground::{Ground, Open, ended, new_call};

super::cases![
    utterances_come_back_in_their_places_and_one_that_is_told_twice_stands_once,
    what_the_bot_notes_is_merged_and_an_extraction_replaces_the_one_before,
    a_call_with_an_agent_is_due_for_its_files_from_its_end_until_they_are_written,
    a_call_file_is_stale_from_what_came_of_the_call_until_it_is_written_anew,
    an_agent_that_comes_later_leaves_files_too,
    nothing_stands_beside_a_call_that_nobody_began,
    beginning_words_and_end_of_a_call_may_share_one_commit,
];

fn utterance(role: Role, text: &str, heard: HeardPart) -> Utterance {
    Utterance {
        role,
        item: "item_1".into(),
        text: text.into(),
        start: Duration::from_millis(1_200),
        end: Duration::from_millis(2_345),
        heard,
        played: (heard == HeardPart::All).then(|| Duration::from_millis(410)),
        response: (role == Role::Bot).then(|| Duration::from_millis(420)),
    }
}

fn said(position: u32, utterance: &Utterance) -> Beside {
    Beside::Utterance(PlacedUtterance { position, utterance: utterance.clone() })
}

fn object(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

fn with_agent(call_id: &str) -> NewCall {
    NewCall { leaves_files: true, bot_dialect: "openai-realtime".into(), ..new_call(call_id, 1_000) }
}

async fn add(open: &Open, call_id: &str, beside: Beside) {
    assert!(open.store.add_acknowledged(call_id, beside, 5_000).await.unwrap(), "there is no {call_id}");
}

async fn utterances_come_back_in_their_places_and_one_that_is_told_twice_stands_once(ground: Ground) {
    let open = ground.open().await;
    open.begin(with_agent("call_1")).await;
    let partly = HeardPart::First { audio: Duration::from_millis(700), text_bytes: 5 };
    let talk = [
        utterance(Role::Bot, "Namaskar \u{928}\u{92e} \"quoted\" \0 <b>", HeardPart::All),
        utterance(Role::Caller, "", HeardPart::All),
        utterance(Role::Bot, "unheard words", partly),
        utterance(Role::Bot, "nobody heard this", HeardPart::Nothing),
    ];
    for place in [1, 0, 3, 2, 1] {
        add(&open, "call_1", said(place, &talk[place as usize])).await;
    }
    // The first of a place counts.
    add(&open, "call_1", said(0, &talk[3])).await;
    open.close().await;
    let open = ground.open().await;
    assert_eq!(open.store.utterances_of("call_1").await.unwrap(), talk);
    assert_eq!(open.store.utterances_of("call_2").await.unwrap(), []);
    open.close().await;
}

async fn what_the_bot_notes_is_merged_and_an_extraction_replaces_the_one_before(ground: Ground) {
    let open = ground.open().await;
    open.begin(with_agent("call_1")).await;
    assert_eq!(open.store.fields_of("call_1").await.unwrap(), None);
    for json in [r#"{"name":"Gulshan","city":"Pune"}"#, r#"{"city":"Delhi"}"#, "no object", "[1]"] {
        add(&open, "call_1", Beside::Saved(json.into())).await;
    }
    let known = open.store.fields_of("call_1").await.unwrap().unwrap();
    assert_eq!(known.saved, object(json!({"name": "Gulshan", "city": "Delhi"})));
    assert_eq!((known.state, known.fields.len()), (FieldsState::Absent, 0));
    let found = |model: Value, state| {
        Beside::Extracted(Box::new(ExtractedFields {
            fields: object(json!({"model": model})),
            reasons: object(json!({"model": "not said"})),
            state,
        }))
    };
    add(&open, "call_1", found(Value::Null, FieldsState::Live)).await;
    add(&open, "call_1", found(json!("XUV"), FieldsState::Final)).await;
    let known = open.store.fields_of("call_1").await.unwrap().unwrap();
    assert_eq!((known.fields["model"].as_str(), known.state), (Some("XUV"), FieldsState::Final));
    assert_eq!((known.saved.len(), known.updated_ms), (2, 5_000));
    assert_eq!(known.reasons["model"], "not said");
    open.close().await;
}

async fn a_call_with_an_agent_is_due_for_its_files_from_its_end_until_they_are_written(ground: Ground) {
    let open = ground.open().await;
    open.begin(with_agent("call_1")).await;
    open.begin(new_call("call_2", 1_000)).await;
    let unnamed = StoredCallFiles { names: None, written_ms: None, changes: 0, changes_written: 0 };
    assert_eq!(open.store.files_of("call_1").await.unwrap(), Some(unnamed));
    assert_eq!(open.store.files_of("call_2").await.unwrap(), None);
    assert!(open.store.files_due(10).await.unwrap().is_empty());
    open.tell("call_1", ended(), 9_000).await;
    open.tell("call_2", ended(), 9_000).await;
    assert_eq!(open.store.files_due(10).await.unwrap(), ["call_1"]);
    let names = |name: &str| CallFileNames { transcript: format!("{name}_t").into(), record: name.into() };
    add(&open, "call_1", Beside::FilesNamed(names("first"))).await;
    add(&open, "call_1", Beside::FilesNamed(names("second"))).await;
    assert_eq!(open.store.files_due(10).await.unwrap(), ["call_1"]);
    add(&open, "call_1", Beside::FilesWritten(0)).await;
    open.close().await;
    let open = ground.open().await;
    let written = StoredCallFiles {
        names: Some(names("first")),
        written_ms: Some(5_000),
        changes: 0,
        changes_written: 0,
    };
    assert_eq!(open.store.files_of("call_1").await.unwrap(), Some(written));
    assert!(open.store.files_due(10).await.unwrap().is_empty());
    open.close().await;
    // Another server writes its own.
    let other = ground.open_as("there").await;
    other.begin(with_agent("call_3")).await;
    other.tell("call_3", ended(), 9_000).await;
    other.close().await;
    let open = ground.open().await;
    assert!(open.store.files_due(10).await.unwrap().is_empty());
    open.close().await;
}

async fn a_call_file_is_stale_from_what_came_of_the_call_until_it_is_written_anew(ground: Ground) {
    let open = ground.open().await;
    let found = |state| {
        let (fields, reasons) = (object(json!({"model": "XUV"})), Map::new());
        Beside::Extracted(Box::new(ExtractedFields { fields, reasons, state }))
    };
    let changes = async |open: &Open, call_id: &str| {
        let files = open.store.files_of(call_id).await.unwrap().unwrap();
        (files.changes, files.changes_written)
    };
    open.begin(with_agent("call_1")).await;
    add(&open, "call_1", found(FieldsState::Live)).await;
    open.tell("call_1", ended(), 9_000).await;
    add(&open, "call_1", found(FieldsState::Final)).await;
    assert_eq!(changes(&open, "call_1").await, (1, 0));
    assert!(
        open.store.files_stale(10).await.unwrap().is_empty(),
        "they are to be written for the first time"
    );
    add(&open, "call_1", Beside::FilesWritten(1)).await;
    assert!(open.store.files_stale(10).await.unwrap().is_empty());
    // Something changes while it is written anew.
    add(&open, "call_1", found(FieldsState::Failed)).await;
    add(&open, "call_1", found(FieldsState::Final)).await;
    add(&open, "call_1", Beside::FileRewritten(2)).await;
    open.close().await;
    let open = ground.open().await;
    assert_eq!(open.store.files_stale(10).await.unwrap(), ["call_1"]);
    add(&open, "call_1", Beside::FileRewritten(3)).await;
    add(&open, "call_1", Beside::FileRewritten(2)).await;
    assert!(open.store.files_stale(10).await.unwrap().is_empty());
    assert_eq!(changes(&open, "call_1").await, (3, 3));
    open.close().await;
    // Another server writes its own.
    let other = ground.open_as("there").await;
    other.begin(with_agent("call_2")).await;
    other.tell("call_2", ended(), 9_000).await;
    add(&other, "call_2", Beside::FilesWritten(0)).await;
    add(&other, "call_2", found(FieldsState::Final)).await;
    assert_eq!(other.store.files_stale(10).await.unwrap(), ["call_2"]);
    other.close().await;
    let open = ground.open().await;
    assert!(open.store.files_stale(10).await.unwrap().is_empty());
    open.close().await;
}

async fn an_agent_that_comes_later_leaves_files_too(ground: Ground) {
    let open = ground.open().await;
    open.begin(new_call("call_1", 1_000)).await;
    add(&open, "call_1", Beside::LeavesFiles).await;
    add(&open, "call_1", Beside::LeavesFiles).await;
    open.tell("call_1", ended(), 9_000).await;
    assert_eq!(open.store.files_due(10).await.unwrap(), ["call_1"]);
    open.close().await;
}

async fn nothing_stands_beside_a_call_that_nobody_began(ground: Ground) {
    let open = ground.open().await;
    let words = said(0, &utterance(Role::Caller, "hello", HeardPart::All));
    for beside in [words, Beside::Saved("{}".into()), Beside::LeavesFiles, Beside::FilesWritten(0)] {
        assert!(!open.store.add_acknowledged("call_9", beside, 1).await.unwrap());
    }
    assert_eq!(open.store.utterances_of("call_9").await.unwrap(), []);
    open.close().await;
}

async fn beginning_words_and_end_of_a_call_may_share_one_commit(ground: Ground) {
    let open = ground.open().await;
    for n in 0..40 {
        let call_id = format!("call_{n}");
        open.store.begin_call_unawaited(with_agent(&call_id), 1_000);
        for place in 0..3 {
            let words = utterance(Role::Caller, &format!("{n} {place}"), HeardPart::All);
            open.store.add(&call_id, said(place, &words), 1_100);
        }
        open.store.tell(&call_id, ended(), 1_200);
    }
    // Behind all of them in the line.
    open.store.set_setting("last", "1", 2_000).await.unwrap();
    assert_eq!(open.store.files_due(100).await.unwrap().len(), 40);
    let words = open.store.utterances_of("call_39").await.unwrap();
    assert_eq!(words.iter().map(|line| &*line.text).collect::<Vec<_>>(), ["39 0", "39 1", "39 2"]);
    assert_eq!(open.words("call_39").await, ["call.initiated", "call.completed"]);
    open.close().await;
}
