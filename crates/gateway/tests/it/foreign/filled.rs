//! A gateway's folder with many calls in it, as a server that has run for a day leaves it.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use patchcord::config::Database;
use patchcord::store::{
    AttemptOutcome, CallbackAddress, DeliveryState, EndedCall, Fact, NewCall, Store, StoredCause,
    StoredParties,
};
use patchcord_core::vocabulary::{CallOutcome, Direction};
use serde_json::json;

use super::whole_call::store_whole_call;

/// Writes `count` calls that began in the last 24 hours, in the folder of a gateway that does not run. One in fifty
/// has callbacks that were given up.
pub async fn fill(folder: &Path, count: u64) {
    let data = folder.join("patchcord-data");
    std::fs::create_dir_all(&data).unwrap();
    let body = |call: &patchcord::store::StoredCall, event: patchcord::store::EventName, _| {
        json!({"event": event.word(), "call_id": call.call_id, "from": call.from, "to": call.to}).to_string()
    };
    // Another server's: what it left is neither ended nor sent by the one that is tested.
    let (store, thread) = Store::open(&Database::in_folder(&data), "elsewhere", body).await.unwrap();
    let now_ms = u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap();
    for number in 0..count {
        let call = MadeUp { number, started_ms: now_ms - DAY_MS + (number * DAY_MS / count) };
        store.begin_call_unawaited(call.beginning(), call.started_ms);
        if call.is_answered() {
            store.tell(&call.id(), Fact::Ringing, call.started_ms + 500);
            store.tell(&call.id(), Fact::InProgress, call.started_ms + 2_000);
        }
        let ended = Fact::Ended(Box::new(call.end()));
        // The line of writes is bounded: every so often one is waited for.
        if number % 200 == 199 || number + 1 == count {
            assert!(store.tell_acknowledged(&call.id(), ended, call.ended_ms()).await.unwrap());
        } else {
            store.tell(&call.id(), ended, call.ended_ms());
        }
    }
    store_whole_call(&store, &data, now_ms - 600_000).await;
    give_up(&store).await;
    store.close_readers().await;
    drop(store);
    tokio::task::spawn_blocking(|| thread.join()).await.unwrap();
}

/// Gives up what is to be delivered.
async fn give_up(store: &Store) {
    let outcome = || AttemptOutcome { state: DeliveryState::Dead, status: Some(503), error: None };
    let mut before = None;
    loop {
        let page = store.list_deliveries(&Default::default(), before, 200).await.unwrap();
        for delivery in &page {
            store.delivery_attempted(&delivery.event_id, outcome(), None, delivery.at_ms).await.unwrap();
        }
        before = page.last().map(|last| last.seq);
        if before.is_none() {
            return;
        }
    }
}

/// A call that never was.
struct MadeUp {
    number: u64,
    started_ms: u64,
}

impl MadeUp {
    fn id(&self) -> String {
        format!("call_{}_{:024x}", self.started_ms, self.number)
    }

    /// How it ended, class and reason, Q.850 cause, by whom.
    fn ending(&self) -> (CallOutcome, &'static str, &'static str, u8, &'static str) {
        match self.number % 20 {
            0 => (CallOutcome::Busy, "caller", "busy", 17, "caller"),
            1 | 2 => (CallOutcome::NoAnswer, "caller", "unanswered", 19, "system"),
            3 => (CallOutcome::Failed, "bot", "bot_unreachable", 41, "bot"),
            4..=8 => (CallOutcome::Completed, "completed", "bot_hung_up", 16, "bot"),
            _ => (CallOutcome::Completed, "completed", "caller_hung_up", 16, "caller"),
        }
    }

    fn is_answered(&self) -> bool {
        self.ending().0 == CallOutcome::Completed
    }

    fn ended_ms(&self) -> u64 {
        self.started_ms + 3_000 + self.number * 7_919 % 180_000
    }

    fn bot(&self) -> (&'static str, &'static str) {
        BOTS[usize::try_from(self.number % 3).unwrap()]
    }

    fn parties(&self) -> StoredParties {
        // Some callers hope that somebody looks at them with a browser.
        let from = match self.number % 100 {
            99 => "<img src=x onerror=alert(1)>".to_owned(),
            _ => format!("98{:08}", self.number * 104_729 % 100_000_000),
        };
        StoredParties {
            from: from.into(),
            to: "18001234567".into(),
            phone_leg_id: format!("leg-{}", self.number).into(),
        }
    }

    fn beginning(&self) -> NewCall {
        let url = (self.number % 50 == 49).then(|| "https://crm.example.com/status".into());
        NewCall {
            call_id: self.id().into(),
            stream_id: format!("{}.001", self.started_ms / 1_000).into(),
            parties: Some(self.parties()),
            direction: if self.number % 5 == 4 { Direction::Outbound } else { Direction::Inbound },
            bot: self.bot().0.into(),
            phone_dialect: "sip".into(),
            bot_dialect: self.bot().1.into(),
            started_ms: self.started_ms,
            callback: CallbackAddress::Known(url),
            leaves_files: false,
            custom_params: BTreeMap::from([("campaign".to_owned(), "<b>spring</b>".to_owned())]),
        }
    }

    fn end(&self) -> EndedCall {
        let (outcome, class, reason, q850, hung_up_by) = self.ending();
        let times = self.is_answered().then(|| json!({"p50": 400 + self.number * 31 % 900}));
        let record = json!({
            "call_id": self.id(),
            "cause": {"class": class, "reason": reason, "q850": q850},
            "quality": {"bot_response_ms": times},
            // As long as a record is.
            "counters": {"made_up": "x".repeat(2_000)},
        });
        EndedCall {
            outcome,
            cause: StoredCause {
                class: class.to_owned(),
                reason: reason.to_owned(),
                q850,
                hung_up_by: hung_up_by.to_owned(),
            },
            parties: self.parties(),
            stream_id: "1.001".into(),
            bot: self.bot().0.into(),
            bot_dialect: self.bot().1.into(),
            answered_ms: self.is_answered().then_some(self.started_ms + 2_000),
            transfers: Vec::new(),
            record: Some(record.to_string()),
        }
    }
}

const BOTS: [(&str, &str); 3] =
    [("sales", "ivr-solutions"), ("dealer", "openai-realtime"), ("echo", "built-in")];
const DAY_MS: u64 = 24 * 3_600_000;
