//! The whole gateway in one process: real SIP calls over loopback, vendors, refusals, records, a taken port.

mod bad_answers;
mod bursts;
mod calls;
pub mod carrier;
mod config_api;
mod config_server;
mod countries;
mod doors;
mod encryption;
mod extensions;
mod flows;
mod hand_over;
mod line;
mod menu;
pub mod outbound;
pub mod phone;
mod reloads;
mod sound;
mod stored;
mod transfer;
mod trunks;
mod wires;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use patchcord::app::{App, Parts};
use patchcord::calls::CallOrder;
use patchcord::config::{Config, Database};
use patchcord::store::{CallFilter, StoredCall};
use patchcord_core::vocabulary::{CallId, Reason};

use crate::store::ground::Ground;

/// A running gateway in a folder of its own.
pub struct Gateway {
    app: App,
    folder: PathBuf,
    /// What stands in front of the settings of the test.
    head: String,
}

impl Gateway {
    /// Starts every part on free ports, with `more` in its configuration.
    pub async fn start(more: &str) -> Self {
        Self::named("patchcord", more).await
    }

    /// The same under the name `id`.
    pub async fn named(id: &str, more: &str) -> Self {
        Self::listening(id, r#"["udp:127.0.0.1:0", "tcp:127.0.0.1:0"]"#, more).await
    }

    /// The same with these SIP sockets.
    pub async fn listening(id: &str, listen: &str, more: &str) -> Self {
        static NUMBER: AtomicU16 = AtomicU16::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("patchcord-serve-{}-{number}", std::process::id()));
        // Numbers of processes come again, and what one that was killed left behind is not ours.
        std::fs::remove_dir_all(&folder).ok();
        Self::in_folder(folder, (id, number), listen, more).await
    }

    /// The same in a folder that another one has left, on the socket that it had for UDP.
    pub async fn after(folder: PathBuf, sip: &str, more: &str) -> Self {
        Self::in_folder(folder, ("patchcord", 0), &format!("[\"udp:{sip}\"]"), more).await
    }

    async fn in_folder(folder: PathBuf, (id, number): (&str, u16), listen: &str, more: &str) -> Self {
        // Each process has a stretch of the range, each gateway a part of it.
        let first = 30_000 + (std::process::id() % 100) as u16 * 200 + number % 10 * 20;
        let head = format!(
            "[server]\nid = \"{id}\"\ndata_dir = {folder:?}\ndrain = \"1s\"\n[http]\nlisten = \"127.0.0.1:0\"\n\
             [sip]\nlisten = {listen}\nrtp_ports = \"{first}-{last}\"\n",
            last = first + 19,
        );
        let config = Config::parse(&format!("{head}{more}")).unwrap();
        Self { app: App::start(config, Parts::All).await.unwrap(), folder, head }
    }

    /// Puts other settings into effect, as SIGHUP does.
    pub fn reload(&self, more: &str) {
        self.app.exchange().reconfigure(Config::parse(&format!("{}{more}", self.head)).unwrap());
    }

    /// `host:port` of the SIP socket for UDP.
    pub fn sip(&self) -> String {
        self.app.places().sip.first().unwrap().addr().to_string()
    }

    /// `host:port` of the HTTP port.
    pub fn http(&self) -> String {
        self.app.places().http.unwrap().to_string()
    }

    /// Its data folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Stops the gateway when its calls have ended, and gives its folder to whoever asked.
    pub async fn stop_and_leave(self) -> PathBuf {
        self.app.stop(Duration::from_secs(5), std::future::pending()).await;
        self.folder
    }

    /// Stops the gateway when its calls have ended, and returns their records and what is stored of them.
    pub async fn stop_and_see(self) -> (Vec<serde_json::Value>, Vec<StoredCall>) {
        self.app.stop(Duration::from_secs(5), std::future::pending()).await;
        let records = records(&self.folder);
        let ground = Ground::at(Database::in_folder(&self.folder));
        let open = ground.open().await;
        let calls = open.store.list_calls(&CallFilter::default(), None, 10_000).await.unwrap();
        open.close().await;
        let _ = std::fs::remove_dir_all(&self.folder);
        (records, calls)
    }

    /// What all calls share.
    pub fn exchange(&self) -> &std::sync::Arc<patchcord::calls::Exchange> {
        self.app.exchange()
    }

    /// Asks a call to end.
    pub fn hang_up(&self, call: &CallId, reason: Reason) {
        let handles = self.exchange().registry.handles();
        let handle = handles.iter().find(|handle| handle.id == *call).unwrap();
        handle.mailbox.try_send(CallOrder::HangUp(reason)).unwrap();
    }

    /// Stops the gateway when its calls have ended, and returns their records.
    pub async fn stop(self) -> Vec<serde_json::Value> {
        self.stop_after(Duration::from_secs(5)).await
    }

    /// Stops the gateway and its calls.
    pub async fn stop_at_once(self) -> Vec<serde_json::Value> {
        self.stop_after(Duration::ZERO).await
    }

    /// Stops the gateway when its calls have ended, and looks at its folder before it is gone.
    pub async fn stop_and_look<T>(self, look: impl FnOnce(&Path) -> T) -> T {
        self.app.stop(Duration::from_secs(5), std::future::pending()).await;
        let seen = look(&self.folder);
        let _ = std::fs::remove_dir_all(&self.folder);
        seen
    }

    async fn stop_after(self, drain: Duration) -> Vec<serde_json::Value> {
        self.app.stop(drain, std::future::pending()).await;
        let records = records(&self.folder);
        let _ = std::fs::remove_dir_all(&self.folder);
        records
    }
}

/// The records in a gateway's folder.
pub fn records(folder: &Path) -> Vec<serde_json::Value> {
    let text = std::fs::read_to_string(folder.join("calls.jsonl")).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// `class/reason` of a record.
pub fn cause(record: &serde_json::Value) -> String {
    let word = |name: &str| record["cause"][name].as_str().unwrap().to_owned();
    format!("{}/{}", word("class"), word("reason"))
}
