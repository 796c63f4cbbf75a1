//! The file of ended calls: one JSON line each, appended by one thread, durable, never in a call's way.
//!
//! The thread writes what waits in one go and syncs once. When the disk refuses, records are counted as lost,
//! one line is logged, and the file never keeps half a line.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use patchcord_core::vocabulary::{CallRecord, Direction, Moment};
use serde::Serialize;
use tracing::{error, info};

use super::quality_fields::QualityFields;
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

#[derive(Debug)]
enum Entry {
    Line(String),
    Stop,
}

#[derive(Debug, Default)]
struct Health {
    written: AtomicU64,
    lost: AtomicU64,
    failing: AtomicBool,
}

impl Records {
    /// Opens (or creates) `calls.jsonl` in `data_dir` and starts its thread; every line gets `labels`.
    ///
    /// # Errors
    /// The system's, with the path in its text.
    pub fn open(data_dir: &Path, labels: Labels) -> io::Result<(Self, RecordsThread)> {
        let path = data_dir.join(FILE_NAME);
        let file = open_file(data_dir, &path)
            .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))?;
        let (queue, entries) = sync_channel(RECORDS_WAITING_MAX);
        let health = Arc::<Health>::default();
        let writer = Writer { path, file, health: health.clone() };
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
        if self.queue.try_send(Entry::Line(line)).is_err() {
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

    /// Records that could not be written.
    pub fn lost(&self) -> u64 {
        self.health.lost.load(Ordering::Relaxed)
    }

    /// Whether the disk refused the last record, or is so slow that the last one found no room to wait.
    pub fn is_failing(&self) -> bool {
        self.health.failing.load(Ordering::Relaxed)
    }
}

impl RecordsThread {
    /// Writes what still waits and ends.
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

struct Writer {
    path: PathBuf,
    file: File,
    health: Arc<Health>,
}

impl Writer {
    fn run(mut self, entries: &Receiver<Entry>) {
        let mut lines = Vec::new();
        while let Ok(first) = entries.recv() {
            let mut count = 0;
            let mut stop = false;
            lines.clear();
            for entry in std::iter::once(first).chain(entries.try_iter().take(RECORDS_WAITING_MAX)) {
                match entry {
                    Entry::Line(line) => {
                        lines.extend_from_slice(line.as_bytes());
                        lines.push(b'\n');
                        count += 1;
                    }
                    Entry::Stop => stop = true,
                }
            }
            if count > 0 {
                self.append(&lines, count);
            }
            if stop {
                return;
            }
        }
    }

    fn append(&mut self, lines: &[u8], count: u64) {
        match self.try_append(lines) {
            Ok(()) => {
                self.health.written.fetch_add(count, Ordering::Relaxed);
                if self.health.failing.swap(false, Ordering::Relaxed) {
                    info!(path = %self.path.display(), "call records are written again");
                }
            }
            Err(error) => {
                self.health.lost.fetch_add(count, Ordering::Relaxed);
                if !self.health.failing.swap(true, Ordering::Relaxed) {
                    error!(path = %self.path.display(), %error, "call records cannot be written");
                }
            }
        }
    }

    fn try_append(&mut self, lines: &[u8]) -> io::Result<()> {
        let before = self.file.seek(SeekFrom::End(0))?;
        let written = self.file.write_all(lines).and_then(|()| self.file.sync_data());
        if written.is_err() {
            // Half a line would spoil the next one too.
            self.file.set_len(before)?;
        }
        written
    }
}

fn open_file(data_dir: &Path, path: &Path) -> io::Result<File> {
    std::fs::create_dir_all(data_dir)?;
    let mut file = OpenOptions::new().create(true).read(true).append(true).open(path)?;
    // A line that a crash cut short gets its end, so that it spoils nothing but itself.
    if !ends_with_newline(&mut file)? {
        file.write_all(b"\n")?;
    }
    Ok(file)
}

fn ends_with_newline(file: &mut File) -> io::Result<bool> {
    use std::io::Read;
    if file.seek(SeekFrom::End(0))? == 0 {
        return Ok(true);
    }
    file.seek(SeekFrom::End(-1))?;
    let mut last = [0];
    file.read_exact(&mut last)?;
    Ok(last == *b"\n")
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

/// Records that may wait for the disk.
const RECORDS_WAITING_MAX: usize = 1_024;

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

    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("patchcord-records-{name}-{}", std::process::id()));
            let _ = std::fs::remove_dir_all(&path);
            Self(path)
        }

        fn lines(&self) -> Vec<String> {
            std::fs::read_to_string(self.0.join(FILE_NAME)).unwrap().lines().map(str::to_owned).collect()
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn every_record_is_one_line_of_json_on_the_disk_when_the_thread_has_ended() {
        let folder = Folder::new("lines");
        let (records, thread) = Records::open(&folder.0, labels()).unwrap();
        for n in 0..20 {
            records.append(records.line(&record(n)));
        }
        thread.join();
        let lines = folder.lines();
        assert_eq!((lines.len(), records.written(), records.lost()), (20, 20, 0));
        let first: serde_json::Value = serde_json::from_str(&lines[0]).unwrap();
        assert_eq!(first["call_id"], "call_1707204900000_000000000000000000000000");
        assert_eq!(first["phone_leg_id"], "leg\n\"1\"");
        assert_eq!(first["cause"], serde_json::json!({"class": "caller", "reason": "canceled", "q850": 16}));
        assert_eq!(first["answered_at"], serde_json::Value::Null);
        assert_eq!(first["ended_at"], "2024-02-06T07:35:01.500Z");
        assert_eq!(first["counters"]["rtp_received"], 7);
    }

    #[test]
    fn a_line_that_a_crash_cut_short_spoils_only_itself() {
        let folder = Folder::new("torn");
        std::fs::create_dir_all(&folder.0).unwrap();
        std::fs::write(folder.0.join(FILE_NAME), "{\"call_id\":\"ca").unwrap();
        let (records, thread) = Records::open(&folder.0, labels()).unwrap();
        records.append(records.line(&record(1)));
        thread.join();
        let lines = folder.lines();
        assert_eq!((lines.len(), lines[0].as_str()), (2, "{\"call_id\":\"ca"));
        assert!(serde_json::from_str::<serde_json::Value>(&lines[1]).is_ok());
    }

    #[test]
    fn a_disk_that_stands_still_is_told_when_no_more_records_can_wait_and_recovers_by_itself() {
        let folder = Folder::new("slow");
        std::fs::create_dir_all(&folder.0).unwrap();
        let (queue, entries) = sync_channel(RECORDS_WAITING_MAX);
        let health = Arc::<Health>::default();
        let records = Records { queue, health: health.clone(), labels: Arc::default() };
        for _ in 0..RECORDS_WAITING_MAX {
            records.append(records.line(&record(1)));
        }
        assert!(!records.is_failing());
        records.append(records.line(&record(1)));
        assert_eq!((records.is_failing(), records.lost()), (true, 1));
        let path = folder.0.join(FILE_NAME);
        let file = open_file(&folder.0, &path).unwrap();
        drop(records);
        Writer { path, file, health: health.clone() }.run(&entries);
        let written = health.written.load(Ordering::Relaxed);
        assert_eq!((written, health.failing.load(Ordering::Relaxed)), (RECORDS_WAITING_MAX as u64, false));
    }

    #[test]
    fn a_disk_that_refuses_is_counted_and_recovers_by_itself() {
        let folder = Folder::new("full");
        std::fs::create_dir_all(&folder.0).unwrap();
        let path = folder.0.join(FILE_NAME);
        let health = Arc::<Health>::default();
        let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
        let mut writer = Writer { path: path.clone(), file: full, health: health.clone() };
        writer.append(b"{}\n", 1);
        assert!(health.failing.load(Ordering::Relaxed));
        writer.file = open_file(&folder.0, &path).unwrap();
        writer.append(b"{}\n", 1);
        let health = (health.lost.load(Ordering::Relaxed), health.failing.load(Ordering::Relaxed));
        assert_eq!((health, folder.lines().len()), ((1, false), 1));
    }
}
