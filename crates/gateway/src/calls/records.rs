//! The file of ended calls: one JSON line each, appended by one thread, durable, never in a call's way.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;

use patchcord_core::vocabulary::{CallRecord, Direction, Moment};
use serde::Serialize;
use tracing::error;

use super::quality_fields::QualityFields;
use super::records_writer::{Entry, Health, RECORDS_WAITING_MAX, Writer};
use crate::config::Config;
use crate::tasks::spawn_thread;

/// Where a call's record goes.
#[derive(Debug, Clone)]
pub struct Records {
    queue: SyncSender<Entry>,
    health: Arc<Health>,
    labels: Arc<Labels>,
}

/// What the configuration adds to every record.
#[derive(Debug, Clone, Default)]
pub struct Labels {
    server: Box<str>,
    bot_names: BTreeMap<Box<str>, Box<str>>,
}

/// The thread that writes, joined at the very end.
#[derive(Debug)]
pub struct RecordsThread {
    queue: SyncSender<Entry>,
    thread: JoinHandle<()>,
}

impl Records {
    /// Opens (or creates) `calls.jsonl` in `data_dir` and starts its thread; every line gets `labels`.
    ///
    /// # Errors
    /// The system's, with the path in its text.
    pub fn open(data_dir: &Path, labels: Labels) -> io::Result<(Self, RecordsThread)> {
        let path = data_dir.join(FILE_NAME);
        let health = Arc::<Health>::default();
        let writer = Writer::open(&path, health.clone())
            .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))?;
        // One place more, for the word that it is over.
        let (queue, entries) = sync_channel(RECORDS_WAITING_MAX + 1);
        let thread = spawn_thread("records", move || writer.run(&entries))?;
        Ok((Self { queue: queue.clone(), health, labels: labels.into() }, RecordsThread { queue, thread }))
    }

    /// A record as it stands in the file, without the end of the line.
    pub fn line(&self, record: &CallRecord) -> String {
        // Strings and numbers only: serialisation into memory has nothing to fail at.
        serde_json::to_string(&Line::of(record, &self.labels)).unwrap_or_default()
    }

    /// Hands a line over; if too many wait, it is counted as lost and logged once.
    pub fn append(&self, line: String) {
        let has_room = self.health.take_place();
        if !has_room || self.queue.try_send(Entry::Line(line)).is_err() {
            self.health.lost.fetch_add(1, Ordering::Relaxed);
            // The writer says when it is over: with its next line on the disk there is room again.
            if !self.health.failing.swap(true, Ordering::Relaxed) {
                error!(waiting = RECORDS_WAITING_MAX, "call records are lost: too many wait for the disk");
            }
        }
    }

    /// Gives the records that are handed over here, and by clones made from here on, other labels.
    pub fn relabel(&mut self, labels: Labels) {
        self.labels = labels.into();
    }

    /// Records on the disk.
    pub fn written(&self) -> u64 {
        self.health.written.load(Ordering::Relaxed)
    }

    /// Records for which there was no room while the disk took none.
    pub fn lost(&self) -> u64 {
        self.health.lost.load(Ordering::Relaxed)
    }

    /// Whether the disk refused the last record, or is so slow that the last one found no room to wait.
    pub fn is_failing(&self) -> bool {
        self.health.is_failing()
    }
}

impl RecordsThread {
    /// Writes what still waits, as far as the disk takes it, and ends.
    pub fn join(self) {
        let _ = self.queue.send(Entry::Stop);
        let _ = self.thread.join();
    }
}

impl Labels {
    /// The server's name, and the names that people see of those bots that have one.
    pub fn of(config: &Config) -> Self {
        let named = |bot: &crate::config::Bot| {
            bot.display_name.as_deref().map(|shown| (bot.name.as_str().into(), shown.into()))
        };
        Self {
            server: config.server.id.as_str().into(),
            bot_names: config.bots.iter().filter_map(named).collect(),
        }
    }
}

/// A record as it stands in the file.
#[derive(Serialize)]
struct Line<'a> {
    server: &'a str,
    call_id: &'a str,
    stream_id: &'a str,
    phone_leg_id: &'a str,
    from: &'a str,
    to: &'a str,
    direction: &'static str,
    bot: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    bot_name: Option<&'a str>,
    phone_dialect: &'a str,
    bot_dialect: &'a str,
    bots: Vec<&'a str>,
    stream_ids: Vec<&'a str>,
    started_at: String,
    answered_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bot_failed_at: Option<String>,
    ended_at: String,
    duration_s: u64,
    billable_s: u64,
    disposition: &'static str,
    hung_up_by: &'static str,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    sip_status: Option<u16>,
    cause: CauseFields,
    counters: BTreeMap<&'static str, u64>,
    quality: QualityFields,
}

#[derive(Serialize)]
struct CauseFields {
    class: &'static str,
    reason: &'static str,
    q850: u8,
}

impl<'a> Line<'a> {
    fn of(record: &'a CallRecord, labels: &'a Labels) -> Self {
        let time = |at: Moment| record.clock.iso8601(at);
        let row = record.cause.row();
        Self {
            server: &labels.server,
            call_id: record.call_id.as_str(),
            stream_id: record.stream_id.as_str(),
            phone_leg_id: &record.phone_leg_id,
            from: record.from.as_str(),
            to: record.to.as_str(),
            direction: match record.direction {
                Direction::Inbound => "inbound",
                Direction::Outbound => "outbound",
            },
            bot: &record.bot,
            bot_name: labels.bot_names.get(&*record.bot).map(|name| &**name),
            phone_dialect: &record.phone_dialect,
            bot_dialect: &record.bot_dialect,
            bots: record
                .earlier_bots
                .iter()
                .map(|session| &*session.bot)
                .chain([&*record.bot])
                .filter(|bot| !bot.is_empty())
                .collect(),
            stream_ids: record
                .earlier_bots
                .iter()
                .map(|session| session.stream_id.as_str())
                .chain([record.stream_id.as_str()])
                .collect(),
            started_at: time(record.started_at),
            answered_at: record.answered_at.map(time),
            bot_failed_at: record.bot_failed_at.map(time),
            ended_at: time(record.ended_at),
            duration_s: record.duration_s(),
            billable_s: record.billable_s(),
            disposition: record.disposition(),
            hung_up_by: record.hung_up_by.word(),
            status: record.outcome().word(),
            sip_status: record.far_end.and_then(|far_end| far_end.sip_status),
            cause: CauseFields { class: row.class.word(), reason: row.word, q850: record.q850() },
            counters: record.counters.named().collect(),
            quality: QualityFields::of(&record.quality, &record.counters),
        }
    }
}

/// The file's name in the data folder.
pub(super) const FILE_NAME: &str = "calls.jsonl";

#[cfg(test)]
mod tests {
    use super::*;
    use patchcord_core::vocabulary::{
        CallId, Cause, Counters, FromPhone, HungUpBy, PacketFigures, PhoneNumber, Quality, Reason, StreamId,
        ToPhone, WallClock,
    };

    fn record(n: u8) -> Box<CallRecord> {
        Box::new(CallRecord {
            call_id: CallId::new(1_707_204_900_000, [n; 12]),
            stream_id: StreamId::new(1_707_204_900, n.into()),
            phone_leg_id: "leg\n\"1\"".into(),
            from: PhoneNumber::new("1001"),
            to: PhoneNumber::new("echo"),
            direction: Direction::Inbound,
            bot: "echo".into(),
            phone_dialect: "sip".into(),
            bot_dialect: "built-in".into(),
            clock: WallClock::new(1_707_204_900_000, Moment::START),
            started_at: Moment::START,
            answered_at: None,
            earlier_bots: Vec::new(),
            bot_failed_at: None,
            ended_at: Moment::from_millis(1_500),
            cause: Cause::new(Reason::Canceled),
            hung_up_by: HungUpBy::Caller,
            far_end: None,
            counters: Counters { rtp_received: 7, ..Counters::default() },
            quality: Quality::default(),
            transfers: Vec::new(),
        })
    }

    fn line(record: &CallRecord) -> String {
        serde_json::to_string(&Line::of(record, &labels())).unwrap()
    }

    fn labels() -> Labels {
        let file = "[server]\nid = \"delhi\"\n[bots.sales]\nname = \"Sales desk\"\nurl = \"ws://h/\"\n\
                    dialect = \"smartpbx\"\n[bots.plain]\nurl = \"ws://h/\"\ndialect = \"smartpbx\"\n";
        Labels::of(&Config::parse(file).unwrap())
    }

    #[test]
    fn a_line_names_the_server_and_the_bot_as_people_know_it_where_that_is_configured() {
        let of_bot = |bot: &str| {
            let text = line(&CallRecord { bot: bot.into(), ..*record(1) });
            serde_json::from_str::<serde_json::Value>(&text).unwrap()
        };
        assert_eq!(
            (&of_bot("sales")["server"], &of_bot("sales")["bot_name"]),
            (&"delhi".into(), &"Sales desk".into())
        );
        assert_eq!((&of_bot("plain")["bot"], of_bot("plain").get("bot_name")), (&"plain".into(), None));
    }

    #[test]
    fn every_field_of_a_line_is_explained() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/records.md");
        let page = std::fs::read_to_string(path).unwrap();
        let full = Quality {
            from_phone: Some(FromPhone { packets: Some(PacketFigures::default()), ..FromPhone::default() }),
            to_phone: Some(ToPhone { discarded: Some(0.0), ..ToPhone::default() }),
            ..Quality::default()
        };
        let text = line(&CallRecord { quality: full, ..*record(1) });
        let mut waiting = vec![serde_json::from_str::<serde_json::Value>(&text).unwrap()];
        while let Some(value) = waiting.pop() {
            for (name, value) in value.as_object().into_iter().flatten() {
                assert!(page.contains(&format!("`{name}`")), "docs/records.md does not explain {name}");
                waiting.push(value.clone());
            }
        }
    }

    #[test]
    fn every_field_of_a_line_is_written_as_its_readers_expect_it() {
        let text = line(&record(0));
        let first: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert!(!text.contains('\n'));
        assert_eq!(first["call_id"], "call_1707204900000_000000000000000000000000");
        assert_eq!(first["phone_leg_id"], "leg\n\"1\"");
        assert_eq!(first["cause"], serde_json::json!({"class": "caller", "reason": "canceled", "q850": 16}));
        assert_eq!(first["answered_at"], serde_json::Value::Null);
        assert_eq!(first["ended_at"], "2024-02-06T07:35:01.500Z");
        assert_eq!(first["counters"]["rtp_received"], 7);
    }
}
