//! What a process that was killed leaves behind, and what the next one makes of it.

use std::path::PathBuf;

use patchcord::app::{App, Parts};
use patchcord::config::{Config, Database};
use patchcord::store::{DeliveryFilter, Fact};
use serde_json::{Value, json};

use super::ground::{Ground, ended_with, new_call, told_call};

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
        let file = format!(
            "[server]\nid = \"here\"\ndata_dir = {:?}\n[http]\nlisten = \"127.0.0.1:0\"\n\
             [sip]\nlisten = [\"udp:127.0.0.1:0\"]\n",
            self.0
        );
        let app = App::start(Config::parse(&file).unwrap(), Parts::All).await.unwrap();
        app.stop(std::time::Duration::ZERO, std::future::pending()).await;
    }

    fn lines(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.0.join("calls.jsonl")).unwrap_or_default();
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
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
