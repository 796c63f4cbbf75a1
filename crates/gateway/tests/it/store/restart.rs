//! What a process that was killed leaves behind, and what the next one makes of it.

use std::path::PathBuf;
use std::time::Duration;

use patchcord::app::{App, Parts};
use patchcord::config::{Config, Database};
use patchcord::store::{DeliveryFilter, Fact, KeyClaim, NewCall};
use patchcord_core::vocabulary::{DialOrder, LegReport, LegStatus, Moment, TransferReport, TransferStatus};
use serde_json::{Value, json};

use super::ground::{Ground, ended_with, ended_with_bot, new_call, told_call};
use crate::serve::Gateway;
use crate::serve::phone::Phone;

/// A folder of a gateway that is started more than once.
struct House(PathBuf);

impl House {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("patchcord-restart-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    fn ground(&self) -> Ground {
        Ground::at(Database::in_folder(&self.0))
    }

    /// Starts everything and stops it again.
    async fn live_once(&self) {
        self.live(|_| ()).await;
    }

    /// Starts everything, looks at it and stops it again.
    async fn live<T>(&self, look: impl FnOnce(&App) -> T) -> T {
        let file = format!(
            "[server]\nid = \"here\"\ndata_dir = {:?}\n[http]\nlisten = \"127.0.0.1:0\"\n\
             [sip]\nlisten = [\"udp:127.0.0.1:0\"]\n",
            self.0
        );
        let app = App::start(Config::parse(&file).unwrap(), Parts::All).await.unwrap();
        let seen = look(&app);
        app.stop(std::time::Duration::ZERO, std::future::pending()).await;
        seen
    }

    fn lines(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.0.join("calls.jsonl")).unwrap_or_default();
        text.lines().map(|line| serde_json::from_str(line).expect("no line is torn")).collect()
    }
}

impl Drop for House {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A line of `calls.jsonl`.
fn line(call_id: &str) -> Value {
    json!({
        "server": "here", "call_id": call_id, "stream_id": "1707204900.001", "phone_leg_id": "leg",
        "from": "9876543210", "to": "18001234567", "direction": "inbound", "bot": "parrot", "phone_dialect": "sip",
        "bot_dialect": "built-in", "started_at": "2024-02-06T07:35:00.000Z",
        "answered_at": "2024-02-06T07:35:00.120Z", "ended_at": "2024-02-06T07:35:09.000Z",
        "hung_up_by": "caller", "cause": {"class": "completed", "reason": "caller_hung_up", "q850": 16},
    })
}

const BEGAN_MS: u64 = 1_707_204_900_000;

#[tokio::test]
async fn calls_that_were_up_are_closed_once_with_an_event_a_delivery_and_a_line_each() {
    let house = House::new("closed");
    let open = house.ground().open().await;
    for call in ["call_ringing", "call_talking", "call_in_file"] {
        open.begin(told_call(call, BEGAN_MS, "http://127.0.0.1:9/")).await;
        open.tell(call, Fact::Ringing, BEGAN_MS + 10).await;
    }
    for call in ["call_talking", "call_in_file"] {
        open.tell(call, Fact::InProgress, BEGAN_MS + 120).await;
    }
    open.begin(new_call("call_over", BEGAN_MS)).await;
    open.tell("call_over", ended_with(line("call_over").to_string()), BEGAN_MS + 5_000).await;
    open.begin(new_call("call_lost_line", BEGAN_MS)).await;
    open.tell("call_lost_line", ended_with(line("call_lost_line").to_string()), BEGAN_MS + 9_000).await;
    open.close().await;
    // The file has the end of two of them, and the power went in the midst of the next line.
    let lines = ["call_over", "call_in_file", "call_in_file_only"].map(|call| line(call).to_string());
    let file = format!("{}\n{{\"call_id\":\"call_ta", lines.join("\n"));
    std::fs::write(house.0.join("calls.jsonl"), file).unwrap();

    for _ in 0..2 {
        house.live_once().await;
        let open = house.ground().open().await;
        assert!(open.store.calls_up().await.unwrap().is_empty());
        for (call, status, cause, last) in [
            ("call_ringing", "failed", "us/restart", "call.failed"),
            ("call_talking", "failed", "us/restart", "call.failed"),
            ("call_in_file", "completed", "completed/caller_hung_up", "call.completed"),
            ("call_in_file_only", "completed", "completed/caller_hung_up", "call.completed"),
            ("call_over", "completed", "completed/caller_hung_up", "call.completed"),
            ("call_lost_line", "completed", "completed/caller_hung_up", "call.completed"),
        ] {
            let stored = open.store.find_call(call).await.unwrap().unwrap();
            let told = stored.cause.unwrap();
            assert_eq!(
                (stored.status.word(), format!("{}/{}", told.class, told.reason)),
                (status, cause.to_owned())
            );
            let words = open.words(call).await;
            assert_eq!(words.last(), Some(&last), "{call}");
            let ends = words.iter().filter(|word| **word == last).count();
            let lines = house.lines().into_iter().filter(|line| line["call_id"] == call).count();
            assert_eq!((ends, lines), (1, 1), "{call}: {words:?}");
        }
        // Nobody knows better than the last thing that was heard of any call.
        let talking = open.store.find_call("call_talking").await.unwrap().unwrap();
        assert_eq!((talking.answered_ms, talking.ended_ms), (Some(BEGAN_MS + 120), Some(BEGAN_MS + 9_000)));
        let filter = DeliveryFilter { call_id: Some("call_talking".into()), ..DeliveryFilter::default() };
        assert_eq!(open.store.list_deliveries(&filter, None, 10).await.unwrap().len(), 4);
        open.close().await;
    }
}

#[tokio::test]
async fn a_call_that_said_nothing_for_an_hour_ended_when_its_process_was_last_alive() {
    let house = House::new("alive");
    let open = house.ground().open().await;
    open.begin(told_call("call_quiet", BEGAN_MS, "http://127.0.0.1:9/")).await;
    open.tell("call_quiet", Fact::InProgress, BEGAN_MS + 120).await;
    open.store.give_sign_of_life(BEGAN_MS + 3_600_000);
    // Another server's life says nothing of it.
    open.store.set_setting("sign_of_life:there", "9999999999999", BEGAN_MS).await.unwrap();
    open.close().await;
    house.live_once().await;
    let lines = house.lines();
    assert_eq!(
        (&lines[0]["duration_s"], &lines[0]["ended_at"]),
        (&3_600.into(), &"2024-02-06T08:35:00.000Z".into())
    );
    let open = house.ground().open().await;
    assert_eq!(
        open.store.find_call("call_quiet").await.unwrap().unwrap().ended_ms,
        Some(BEGAN_MS + 3_600_000)
    );
    open.close().await;
}

#[tokio::test]
async fn a_running_server_gives_signs_of_life_while_calls_are_up() {
    let house = Gateway::start("").await;
    let phone = Phone::call("echo", &house.sip()).await;
    let given = async { while house.exchange().store.last_sign_of_life_ms().await.unwrap() == 0 {} };
    tokio::time::timeout(Duration::from_secs(30), given).await.expect("no sign of life");
    phone.hang_up().await;
    house.stop().await;
}

#[tokio::test]
async fn what_agents_have_spent_of_their_day_is_known_after_a_restart() {
    let house = House::new("spent");
    let now_ms =
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis() as u64;
    let open = house.ground().open().await;
    let new = NewCall { leaves_files: true, bot: "dealer".into(), ..new_call("call_1", now_ms - 60_000) };
    open.begin(new).await;
    open.tell("call_1", Fact::InProgress, now_ms - 50_000).await;
    open.tell("call_1", ended_with_bot("dealer", Some(line("call_1").to_string())), now_ms).await;
    open.close().await;
    for _ in 0..2 {
        let spent = house.live(|app| {
            let hours = &app.exchange().agent_hours;
            [("dealer", 50), ("dealer", 51), ("other", 1)].map(|(bot, s)| hours.has_spent(bot, s, now_ms))
        });
        assert_eq!(spent.await, [true, false, false]);
    }
}

#[tokio::test]
async fn a_restart_after_a_restart_that_was_cut_short_completes_it() {
    let house = House::new("twice");
    let open = house.ground().open().await;
    open.begin(new_call("call_1", BEGAN_MS)).await;
    open.close().await;
    house.live_once().await;
    // The row was closed, but the line did not reach the disk.
    std::fs::write(house.0.join("calls.jsonl"), "").unwrap();
    house.live_once().await;
    let lines = house.lines();
    assert_eq!((lines.len(), lines[0]["cause"]["reason"].as_str()), (1, Some("restart")));
    let open = house.ground().open().await;
    assert_eq!(open.words("call_1").await, ["call.initiated", "call.failed"]);
    open.close().await;
}

#[tokio::test]
async fn lines_that_waited_for_a_full_disk_until_the_process_ended_are_written_by_the_next_one() {
    let house = House::new("waited");
    let open = house.ground().open().await;
    // The disk took the first line, and then none for half an hour.
    for (call, ended) in [("call_1", "07:35:09"), ("call_2", "07:36:30"), ("call_3", "08:05:00")] {
        open.begin(new_call(call, BEGAN_MS)).await;
        let mut line = line(call);
        line["ended_at"] = json!(format!("2024-02-06T{ended}.000Z"));
        let minutes = if call == "call_3" { 30 } else { 1 };
        open.tell(call, ended_with(line.to_string()), BEGAN_MS + minutes * 60_000 + 5_000).await;
        if call == "call_1" {
            std::fs::write(house.0.join("calls.jsonl"), format!("{line}\n")).unwrap();
        }
    }
    open.close().await;
    for _ in 0..2 {
        house.live_once().await;
        let mut calls = house.lines().into_iter().map(|line| line["call_id"].clone()).collect::<Vec<_>>();
        calls.sort_by_key(Value::to_string);
        assert_eq!(calls, ["call_1", "call_2", "call_3"]);
    }
}

#[tokio::test]
async fn transfers_that_were_open_are_closed_with_their_call_and_in_what_is_told_of_its_end() {
    let house = House::new("transfers");
    let open = house.ground().open().await;
    for (call, status, leg) in [
        ("call_trying", TransferStatus::Initiating, LegStatus::Ringing),
        ("call_talking", TransferStatus::Answered, LegStatus::Answered),
        ("call_in_file", TransferStatus::Answered, LegStatus::Answered),
    ] {
        open.begin(new_call(call, BEGAN_MS)).await;
        open.tell(call, Fact::InProgress, BEGAN_MS + 120).await;
        open.tell(call, Fact::Transfer(Box::new(transfer(status, leg))), BEGAN_MS + 1_000).await;
    }
    open.close().await;
    std::fs::write(house.0.join("calls.jsonl"), format!("{}\n", line("call_in_file"))).unwrap();
    house.live_once().await;
    let open = house.ground().open().await;
    for (call, status, leg, q850) in [
        ("call_trying", TransferStatus::Failed, LegStatus::Failed, 41),
        ("call_talking", TransferStatus::Completed, LegStatus::Completed, 41),
        ("call_in_file", TransferStatus::Completed, LegStatus::Completed, 16),
    ] {
        let stored = open.store.find_call(call).await.unwrap().unwrap();
        let [known] = stored.transfers.as_slice() else { panic!("{call}: {:?}", stored.transfers) };
        let ended_at = stored.ended_ms.map(Moment::from_millis);
        assert_eq!((known.status, known.q850, known.ended_at), (status, Some(q850), ended_at), "{call}");
        let [busy, last] = known.legs.as_slice() else { panic!("{call}: {:?}", known.legs) };
        assert_eq!((busy.status, busy.q850), (LegStatus::Busy, Some(17)));
        assert_eq!((last.status, last.q850, last.ended_at), (leg, Some(q850), ended_at), "{call}");
        let end = open.store.events_of(call).await.unwrap().pop().unwrap();
        let body: Value = serde_json::from_str(&end.body).unwrap();
        assert!(end.name.is_terminal());
        assert_eq!(body["transfer_status"], status.word(), "{call}: {body}");
    }
    open.close().await;
}

fn transfer(status: TransferStatus, last_leg: LegStatus) -> TransferReport {
    let at = |ms: u64| Moment::from_millis(BEGAN_MS + ms);
    let leg = |destination: &str, status, q850, ended_at| LegReport {
        destination: destination.into(),
        status,
        q850,
        started_at: at(1_000),
        answered_at: None,
        ended_at,
        leg_id: "leg@carrier".into(),
    };
    TransferReport {
        sequence: 1,
        order: DialOrder::OneByOne,
        status,
        destinations: vec!["101".into(), "102".into()],
        answered_by: (status == TransferStatus::Answered).then_some(1),
        started_at: at(1_000),
        answered_at: None,
        ended_at: None,
        q850: None,
        legs: vec![leg("101", LegStatus::Busy, Some(17), Some(at(1_500))), leg("102", last_leg, None, None)],
    }
}

#[tokio::test]
async fn an_end_that_only_its_line_tells_has_the_lines_status_and_cause() {
    let house = House::new("line");
    let open = house.ground().open().await;
    open.begin(new_call("call_given_up", BEGAN_MS)).await;
    open.close().await;
    let mut given_up = line("call_given_up");
    given_up["answered_at"] = Value::Null;
    given_up["status"] = json!("canceled");
    given_up["cause"] = json!({"class": "completed", "reason": "bot_hung_up", "q850": 1});
    std::fs::write(house.0.join("calls.jsonl"), format!("{given_up}\n")).unwrap();
    house.live_once().await;
    let open = house.ground().open().await;
    let stored = open.store.find_call("call_given_up").await.unwrap().unwrap();
    assert_eq!((stored.status.word(), stored.cause.unwrap().q850), ("canceled", 1));
    assert_eq!(open.words("call_given_up").await, ["call.initiated", "call.canceled"]);
    open.close().await;
}

#[tokio::test]
async fn a_key_whose_request_died_with_the_process_is_free_after_the_start_and_others_are_not() {
    let house = House::new("keys");
    let (died, answered, elsewhere) = (("ops", "died"), ("ops", "answered"), ("ops", "elsewhere"));
    let open = house.ground().open().await;
    for key in [died, answered] {
        assert_eq!(open.store.claim_key(key, "a", BEGAN_MS).await.unwrap(), KeyClaim::Fresh);
    }
    assert!(open.store.answer_key(answered, (201, "{}"), BEGAN_MS).await.unwrap());
    open.close().await;
    let there = house.ground().open_as("there").await;
    assert_eq!(there.store.claim_key(elsewhere, "a", BEGAN_MS).await.unwrap(), KeyClaim::Fresh);
    there.close().await;
    house.live_once().await;
    let open = house.ground().open().await;
    let known = |answer| KeyClaim::Known { fingerprint: "a".into(), answer };
    for (key, claim) in
        [(died, KeyClaim::Fresh), (answered, known(Some((201, "{}".to_owned())))), (elsewhere, known(None))]
    {
        assert_eq!(open.store.claim_key(key, "a", BEGAN_MS).await.unwrap(), claim, "{key:?}");
    }
    open.close().await;
}
