//! Where a case of the store's suite stands: a database of its own, opened as often as it likes.

use std::collections::BTreeMap;
use std::path::PathBuf;

use patchcord::config::Database;
use patchcord::store::{
    CallStatus, CallbackAddress, EndedCall, EventName, Fact, NewCall, Store, StoreThread, StoredCall,
    StoredCause, StoredParties,
};
use patchcord_core::vocabulary::{CallOutcome, Direction};

/// An empty database.
pub struct Ground {
    /// Where it is.
    pub database: Database,
    folder: Option<PathBuf>,
}

/// An open store.
pub struct Open {
    /// The store.
    pub store: Store,
    thread: StoreThread,
}

impl Ground {
    /// A file in a folder of its own.
    pub fn sqlite(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("patchcord-store-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        Self { database: Database::in_folder(&folder), folder: Some(folder) }
    }

    /// A database of a server.
    pub fn at(database: Database) -> Self {
        Self { database, folder: None }
    }

    /// Opens it for the server `here`.
    pub async fn open(&self) -> Open {
        self.open_as("here").await
    }

    /// Opens it for another server.
    pub async fn open_as(&self, server: &str) -> Open {
        let (store, thread) = Store::open(&self.database, server, body).await.unwrap();
        Open { store, thread }
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        if let Some(folder) = &self.folder {
            let _ = std::fs::remove_dir_all(folder);
        }
    }
}

impl Open {
    /// Writes what waits and closes.
    pub async fn close(self) {
        self.store.close_readers().await;
        tokio::task::spawn_blocking(|| self.thread.join()).await.unwrap();
    }

    /// Tells a fact and waits until it is stored.
    pub async fn tell(&self, call_id: &str, fact: Fact, at_ms: u64) {
        assert!(self.store.tell_acknowledged(call_id, fact, at_ms).await.unwrap(), "there is no {call_id}");
    }

    /// Begins a call and waits until it is stored.
    pub async fn begin(&self, new: NewCall) {
        let at_ms = new.started_ms;
        self.store.begin_call(new, at_ms).await.unwrap();
    }

    /// The words of a call's events.
    pub async fn words(&self, call_id: &str) -> Vec<&'static str> {
        let events = self.store.events_of(call_id).await.unwrap();
        events.iter().map(|event| event.name.word()).collect()
    }
}

/// A body that shows what it was made of.
pub fn body(call: &StoredCall, event: EventName, at_ms: u64) -> String {
    let status = match event {
        EventName::Ended(outcome) => CallStatus::Ended(outcome),
        _ => call.status,
    };
    format!("{{\"event\":\"{}\",\"status\":\"{}\",\"at_ms\":{at_ms}}}", event.word(), status.word())
}

/// A call whose events go nowhere.
pub fn new_call(call_id: &str, started_ms: u64) -> NewCall {
    NewCall {
        call_id: call_id.into(),
        stream_id: "1707204900.001".into(),
        parties: Some(parties()),
        direction: Direction::Inbound,
        bot: "echo".into(),
        phone_dialect: "sip".into(),
        bot_dialect: "built-in".into(),
        started_ms,
        callback: CallbackAddress::Known(None),
        custom_params: BTreeMap::from([("order".to_owned(), "7\"7".to_owned())]),
        leaves_files: false,
    }
}

/// A call whose events go to `url`.
pub fn told_call(call_id: &str, started_ms: u64, url: &str) -> NewCall {
    NewCall { callback: CallbackAddress::Known(Some(url.into())), ..new_call(call_id, started_ms) }
}

/// Who is who in these calls.
pub fn parties() -> StoredParties {
    StoredParties { from: "9876543210".into(), to: "18001234567".into(), phone_leg_id: "leg\n\"1\"".into() }
}

/// The end of an answered call.
pub fn ended() -> Fact {
    ended_as(CallOutcome::Completed)
}

/// The end of an answered call with this line of `calls.jsonl`.
pub fn ended_with(record: String) -> Fact {
    Fact::Ended(Box::new(EndedCall { record: Some(record), ..end(CallOutcome::Completed) }))
}

/// The end of a call that this bot had at last, with this line of `calls.jsonl`.
pub fn ended_with_bot(bot: &str, record: Option<String>) -> Fact {
    Fact::Ended(Box::new(EndedCall { bot: bot.into(), record, ..end(CallOutcome::Completed) }))
}

/// An end.
pub fn ended_as(outcome: CallOutcome) -> Fact {
    Fact::Ended(Box::new(end(outcome)))
}

fn end(outcome: CallOutcome) -> EndedCall {
    EndedCall {
        outcome,
        cause: StoredCause {
            class: "completed".into(),
            reason: "caller_hung_up".into(),
            q850: 16,
            hung_up_by: "caller".into(),
        },
        parties: parties(),
        stream_id: "1707204900.002".into(),
        bot: "parrot".into(),
        bot_dialect: "built-in".into(),
        answered_ms: None,
        transfers: Vec::new(),
        record: Some("{\"call_id\":\"x\"}".into()),
    }
}
