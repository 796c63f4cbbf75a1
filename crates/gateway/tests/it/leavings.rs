//! What calls with an agent leave, without the calls: the store is told of them, the desk writes their files.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use patchcord::leavings::Leavings;
use patchcord::store::{
    AttemptOutcome, Beside, DeliveryState, ExtractedFields, Fact, FieldsState, NewCall, PlacedUtterance,
    StoredParties,
};
use patchcord_core::vocabulary::{HeardPart, Role, Utterance};
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::store::ground::{Ground, Open, ended, new_call, told_call};

/// A store, a desk, and the folder where it writes.
struct House {
    open: Open,
    leavings: Leavings,
    desk: JoinHandle<()>,
    stop: CancellationToken,
}

impl House {
    async fn open(ground: &Ground, data_dir: &Path) -> Self {
        let open = ground.open().await;
        let (leavings, desk) = Leavings::new(data_dir, open.store.clone());
        let stop = CancellationToken::new();
        let desk = tokio::spawn(desk.run(stop.clone()));
        Self { open, leavings, desk, stop }
    }

    /// A call of a vendor with that id, which says three things and ends.
    fn call(&self, call_id: &str, ucid: &str) {
        self.begin(ucid, new_call(call_id, 1_707_204_900_000));
    }

    fn begin(&self, ucid: &str, new: NewCall) {
        let (store, call_id) = (&self.open.store, new.call_id.clone());
        let call_id = &*call_id;
        let parties =
            StoredParties { from: "9876543210".into(), to: "18001234567".into(), phone_leg_id: ucid.into() };
        let new = NewCall {
            parties: Some(parties.clone()),
            leaves_files: true,
            phone_dialect: "ozonetel".into(),
            bot_dialect: "openai-realtime".into(),
            ..new
        };
        store.begin_call_unawaited(new, 1_707_204_900_000);
        for (position, (role, text)) in
            [(Role::Bot, "Namaskar"), (Role::Caller, "Gulshan Mehta"), (Role::Bot, "Thank you")]
                .into_iter()
                .enumerate()
        {
            let begins = Duration::from_secs(position as u64);
            let utterance = Utterance {
                role,
                item: format!("item_{position}").into(),
                text: text.into(),
                start: begins,
                end: begins + Duration::from_millis(800),
                heard: HeardPart::All,
                played: None,
                response: (position == 2).then(|| Duration::from_millis(200)),
            };
            let placed = PlacedUtterance { position: position as u32, utterance };
            store.add(call_id, Beside::Utterance(placed), 1_707_204_901_000);
        }
        let Fact::Ended(mut end) = ended() else { unreachable!() };
        end.parties = parties;
        end.record = Some(json!({"call_id": call_id, "from": "9876543210"}).to_string());
        store.tell(call_id, Fact::Ended(end), 1_707_204_965_432);
    }

    async fn leave(&self, call_id: &str) {
        let durable = self.leavings.leave(call_id);
        timeout(Duration::from_secs(20), durable).await.expect("the files do not come").unwrap();
    }

    /// What came of that call is known.
    async fn extracted(&self, call_id: &str, name: &str) {
        let found = ExtractedFields {
            fields: json!({ "name": name }).as_object().unwrap().clone(),
            reasons: serde_json::Map::new(),
            state: FieldsState::Final,
        };
        let found = Beside::Extracted(Box::new(found));
        assert!(self.open.store.add_acknowledged(call_id, found, 2).await.unwrap());
    }

    /// Waits until no file is to be written.
    async fn up_to_date(&self) {
        let store = &self.open.store;
        let written = async {
            let mut ticks = tokio::time::interval(Duration::from_millis(20));
            while !store.files_due(10).await.unwrap().is_empty()
                || !store.files_stale(10).await.unwrap().is_empty()
            {
                ticks.tick().await;
            }
        };
        timeout(Duration::from_secs(30), written).await.expect("it is not tried again");
    }

    async fn close(self) {
        self.stop.cancel();
        self.desk.await.unwrap();
        self.open.close().await;
    }
}

/// A folder of the test's own, empty.
fn folder(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("patchcord-leavings-{name}-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&folder);
    folder
}

/// The names in a folder, sorted, and what is in each.
fn files(folder: &Path) -> Vec<(String, Value)> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut files: Vec<_> = entries
        .map(|entry| {
            let entry = entry.unwrap();
            let text = std::fs::read_to_string(entry.path()).unwrap();
            (entry.file_name().into_string().unwrap(), serde_json::from_str(&text).unwrap())
        })
        .collect();
    files.sort_by(|one, other| one.0.cmp(&other.0));
    files
}

fn names(folder: &Path) -> Vec<String> {
    files(folder).into_iter().map(|(name, _)| name).collect()
}

#[tokio::test]
async fn a_call_leaves_a_transcript_and_a_call_file_that_are_there_when_it_is_told_so() {
    let (ground, data_dir) = (Ground::sqlite("leavings-both"), folder("both"));
    let house = House::open(&ground, &data_dir).await;
    house.call("call_1", "CALL-2025-10-07-001");
    house.leave("call_1").await;
    let transcripts = files(&data_dir.join("transcripts"));
    let calls = files(&data_dir.join("calls"));
    assert_eq!(transcripts[0].0, "call_CALL-2025-10-07-001_1707204965432_transcript.json");
    assert_eq!(calls[0].0, "call_CALL-2025-10-07-001_1707204965432.json");
    assert_eq!((transcripts.len(), calls.len()), (1, 1), "nothing else is left behind");
    let (transcript, call) = (&transcripts[0].1, &calls[0].1);
    assert_eq!(
        (&transcript["ucid"], &transcript["call_id"]),
        (&"CALL-2025-10-07-001".into(), &"call_1".into())
    );
    assert_eq!(transcript["conversation"].as_array().unwrap().len(), 3);
    assert_eq!(transcript["conversation"][1]["text"], "Gulshan Mehta");
    assert_eq!(
        (&call["duration_ms"], &call["analytics"]["question_answer_pairs"]),
        (&65_432.into(), &2.into())
    );
    assert_eq!(call["files"], json!({"transcript": transcripts[0].0, "call": calls[0].0}));
    house.close().await;
    std::fs::remove_dir_all(data_dir).unwrap();
}

#[tokio::test]
async fn calls_of_one_vendors_id_leave_a_set_of_files_each_and_none_leaves_the_folder() {
    let (ground, data_dir) = (Ground::sqlite("leavings-abuse"), folder("abuse"));
    let outside = data_dir.join("data");
    let house = House::open(&ground, &outside).await;
    let ucids =
        ["../../etc/passwd", "/etc/passwd", "..", "", "nul\0l", "same", "same", "same", &"x".repeat(10_000)];
    for (n, ucid) in ucids.iter().enumerate() {
        house.call(&format!("call_{n}"), ucid);
    }
    futures_util::future::join_all((0..ucids.len()).map(|n| {
        let house = &house;
        async move { house.leave(&format!("call_{n}")).await }
    }))
    .await;
    let transcripts = names(&outside.join("transcripts"));
    assert_eq!((transcripts.len(), names(&outside.join("calls")).len()), (ucids.len(), ucids.len()));
    assert!(transcripts.iter().all(|name| name.len() < 200 && !name.contains('/')), "{transcripts:?}");
    let same = transcripts.iter().filter(|name| name.starts_with("call_same_170720496543")).count();
    assert_eq!(same, 3, "{transcripts:?}");
    let beside: Vec<_> =
        std::fs::read_dir(&data_dir).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(beside, ["data"], "something was written outside");
    house.close().await;
    std::fs::remove_dir_all(data_dir).unwrap();
}

#[tokio::test]
async fn what_a_process_that_died_did_not_write_the_next_one_writes_once() {
    let (ground, data_dir) = (Ground::sqlite("leavings-death"), folder("death"));
    // It dies before it has written anything; of one call the names were chosen.
    let house = House::open(&ground, &data_dir).await;
    house.desk.abort();
    house.call("call_1", "A");
    house.call("call_2", "B");
    let names_of_b = patchcord::store::CallFileNames {
        transcript: "call_B_77_transcript.json".into(),
        record: "call_B_77.json".into(),
    };
    house.open.store.add_acknowledged("call_2", Beside::FilesNamed(names_of_b), 1).await.unwrap();
    house.open.close().await;
    let expected = ["call_A_1707204965432_transcript.json", "call_B_77_transcript.json"];
    for _ in 0..3 {
        let house = House::open(&ground, &data_dir).await;
        // Behind what the desk finds at its start.
        house.leave("call_1").await;
        house.leave("call_2").await;
        assert_eq!(names(&data_dir.join("transcripts")), expected);
        assert_eq!(names(&data_dir.join("calls")).len(), 2);
        assert!(house.open.store.files_due(10).await.unwrap().is_empty());
        house.close().await;
    }
    std::fs::remove_dir_all(data_dir).unwrap();
}

#[tokio::test]
async fn a_call_file_is_written_anew_when_an_extraction_is_final_and_a_transcript_is_not() {
    let (ground, data_dir) = (Ground::sqlite("leavings-anew"), folder("anew"));
    let house = House::open(&ground, &data_dir).await;
    house.call("call_1", "A");
    house.leave("call_1").await;
    let before = names(&data_dir.join("calls"));
    assert_eq!(files(&data_dir.join("calls"))[0].1["extraction"], "absent");
    let found = ExtractedFields {
        fields: json!({"name": "Gulshan Mehta", "model": null}).as_object().unwrap().clone(),
        reasons: json!({"model": "not said"}).as_object().unwrap().clone(),
        state: FieldsState::Final,
    };
    house.open.store.add("call_1", Beside::Extracted(Box::new(found)), 2);
    house.open.store.set_setting("behind", "it", 3).await.unwrap();
    for _ in 0..5 {
        house.leavings.rewrite_call_file("call_1");
    }
    house.leavings.idle().await;
    let calls = files(&data_dir.join("calls"));
    assert_eq!(names(&data_dir.join("calls")), before);
    let call = &calls[0].1;
    assert_eq!((&call["extraction"], &call["fields"]["name"]), (&"final".into(), &"Gulshan Mehta".into()));
    assert_eq!(call["field_reasons"]["model"], "not said");
    // A call that is not over, and one that nobody knows, have nothing to be written anew.
    house.leavings.rewrite_call_file("call_9");
    house.leavings.idle().await;
    assert_eq!(names(&data_dir.join("calls")), before);
    house.close().await;
    std::fs::remove_dir_all(data_dir).unwrap();
}

#[tokio::test]
async fn a_call_file_tells_in_the_end_that_every_callback_was_taken() {
    let (ground, data_dir) = (Ground::sqlite("leavings-told"), folder("told"));
    let house = House::open(&ground, &data_dir).await;
    house.begin("A", told_call("call_1", 1_707_204_900_000, "http://crm.example/"));
    house.leave("call_1").await;
    let states = || {
        let call = files(&data_dir.join("calls")).remove(0).1;
        let deliveries = call["deliveries"].as_array().unwrap().clone();
        deliveries.iter().map(|delivery| delivery["state"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert!(states().len() >= 2 && states().iter().all(|state| state == "pending"), "{:?}", states());
    let store = &house.open.store;
    while let Some(due) = store.due_deliveries(u64::MAX / 2, 1, &HashSet::new()).await.unwrap().pop() {
        let taken = AttemptOutcome { state: DeliveryState::Delivered, status: Some(200), error: None };
        assert!(store.delivery_attempted(&due.event_id, taken, None, 1_707_204_970_000).await.unwrap());
    }
    assert_eq!(store.files_stale(10).await.unwrap(), ["call_1"]);
    house.leavings.rewrite_call_file("call_1");
    house.leavings.idle().await;
    assert!(states().iter().all(|state| state == "delivered"), "{:?}", states());
    house.up_to_date().await;
    house.close().await;
    std::fs::remove_dir_all(data_dir).unwrap();
}

#[tokio::test]
async fn a_disk_that_takes_no_files_is_tried_again_and_nothing_is_lost() {
    let (ground, data_dir) = (Ground::sqlite("leavings-full"), folder("full"));
    std::fs::create_dir_all(&data_dir).unwrap();
    // A file stands where the folder should be.
    std::fs::write(data_dir.join("transcripts"), "").unwrap();
    let house = House::open(&ground, &data_dir).await;
    house.call("call_1", "A");
    assert!(timeout(Duration::from_secs(20), house.leavings.leave("call_1")).await.unwrap().is_err());
    assert_eq!(house.open.store.files_due(10).await.unwrap(), ["call_1"]);
    std::fs::remove_file(data_dir.join("transcripts")).unwrap();
    house.up_to_date().await;
    assert_eq!(names(&data_dir.join("transcripts")).len(), 1);
    house.close().await;
    std::fs::remove_dir_all(data_dir).unwrap();
}

#[tokio::test]
async fn a_call_file_that_could_not_be_written_anew_is_so_by_the_next_look_and_by_the_next_process() {
    let (ground, data_dir) = (Ground::sqlite("leavings-stale"), folder("stale"));
    let (calls, away) = (data_dir.join("calls"), data_dir.join("away"));
    let known = || files(&calls)[0].1["fields"]["name"].clone();
    let house = House::open(&ground, &data_dir).await;
    house.call("call_1", "A");
    house.leave("call_1").await;
    let block = || {
        std::fs::rename(&calls, &away).unwrap();
        // A file stands where the folder should be.
        std::fs::write(&calls, "").unwrap();
    };
    let free = || {
        std::fs::remove_file(&calls).unwrap();
        std::fs::rename(&away, &calls).unwrap();
    };
    block();
    house.extracted("call_1", "first").await;
    let anew = timeout(Duration::from_secs(20), house.leavings.rewritten("call_1")).await.unwrap();
    assert!(anew.is_err(), "it was written");
    assert_eq!(house.open.store.files_stale(10).await.unwrap(), ["call_1"]);
    free();
    assert_eq!(known(), Value::Null);
    house.up_to_date().await;
    assert_eq!(known(), "first");
    block();
    house.extracted("call_1", "second").await;
    assert!(timeout(Duration::from_secs(20), house.leavings.rewritten("call_1")).await.unwrap().is_err());
    house.close().await;
    free();
    assert_eq!(known(), "first");
    let house = House::open(&ground, &data_dir).await;
    house.up_to_date().await;
    assert_eq!(known(), "second");
    assert_eq!((names(&calls).len(), names(&data_dir.join("transcripts")).len()), (1, 1));
    house.close().await;
    std::fs::remove_dir_all(data_dir).unwrap();
}

#[tokio::test]
async fn a_call_file_whose_rewriting_found_no_room_is_written_anew_by_the_next_look() {
    let (ground, data_dir) = (Ground::sqlite("leavings-crowd"), folder("crowd"));
    let house = House::open(&ground, &data_dir).await;
    house.call("call_1", "A");
    house.leave("call_1").await;
    house.extracted("call_1", "Gulshan").await;
    // Nothing is taken from the queue until this waits for something.
    for _ in 0..2_000 {
        house.leavings.rewrite_call_file("call_9");
    }
    assert!(house.leavings.rewritten("call_1").await.is_err(), "it found room");
    house.up_to_date().await;
    assert_eq!(files(&data_dir.join("calls"))[0].1["fields"]["name"], "Gulshan");
    house.close().await;
    std::fs::remove_dir_all(data_dir).unwrap();
}
