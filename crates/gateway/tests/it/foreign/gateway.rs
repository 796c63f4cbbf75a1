//! The real binary, serving a configuration of the test on free ports.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;

use serde_json::Value;

use super::ask;
use super::program::Program;

/// A serving gateway.
pub struct Gateway {
    program: Program,
    /// The HTTP port.
    pub http: SocketAddr,
    /// All SIP sockets as they are told, `udp:127.0.0.1:5060`.
    pub sip_sockets: Vec<String>,
    /// The SIP socket on UDP.
    pub sip: SocketAddr,
    /// The SIP socket on TCP.
    pub sip_tcp: SocketAddr,
    /// Ports for vendors, in the order of the file.
    pub listeners: Vec<SocketAddr>,
    records: PathBuf,
}

impl Gateway {
    /// Serves `settings` (TOML without `[server]`, `[log]`, `[http]`; keys of `[sip]` may come first) from `folder`,
    /// ready when this returns.
    pub async fn start(folder: &Path, settings: &str) -> Self {
        Self::start_on(folder, &[], settings).await
    }

    /// The same with more SIP sockets, each as in `sip.listen`.
    pub async fn start_on(folder: &Path, more: &[&str], settings: &str) -> Self {
        Self::start_with(folder, more, settings, &[]).await
    }

    /// The same with environment variables.
    pub async fn start_with(
        folder: &Path,
        more: &[&str],
        settings: &str,
        environment: &[(&str, String)],
    ) -> Self {
        let file = folder.join("patchcord.toml");
        let more: String = more.iter().map(|socket| format!(", \"{socket}\"")).collect();
        let listen = format!("listen = [\"udp:127.0.0.1:0\", \"tcp:127.0.0.1:0\"{more}]\n");
        std::fs::write(&file, format!("{OWN}{}{listen}{settings}", rtp_ports_line())).unwrap();
        let arguments = ["serve", "--json", "--config", "patchcord.toml"];
        let mut program = Program::start_with("gateway", binary(), arguments, folder, environment);
        let places = program.json_after("", START_MAX).await;
        let sip_sockets = places["sip"].as_array().unwrap().iter();
        let address = |place: &Value| {
            place.as_str().unwrap().trim_start_matches("udp:").trim_start_matches("tcp:").parse().unwrap()
        };
        Self {
            http: address(&places["http"]),
            sip_sockets: sip_sockets.map(|place| place.as_str().unwrap().to_owned()).collect(),
            sip: address(&places["sip"][0]),
            sip_tcp: address(&places["sip"][1]),
            listeners: places["listeners"].as_array().unwrap().iter().map(address).collect(),
            records: folder.join("patchcord-data/calls.jsonl"),
            program,
        }
    }

    /// The address of a number or name here.
    pub fn sip_uri(&self, user: &str) -> String {
        format!("sip:{user}@{}", self.sip)
    }

    /// The address of a number or name on the first socket that begins with `beginning`, such as `udp:[::1]:`.
    pub fn sip_uri_on(&self, beginning: &str, user: &str) -> String {
        let socket = self.sip_sockets.iter().find(|socket| socket.starts_with(beginning)).unwrap();
        let (transport, address) = socket.split_once(':').unwrap();
        let parameter = if transport == "udp" { String::new() } else { format!(";transport={transport}") };
        format!("sip:{user}@{address}{parameter}")
    }

    /// The address of a path here.
    pub fn ws_url(&self, path: &str) -> String {
        format!("ws://{}{path}", self.http)
    }

    /// The one record whose `key` is `value`, waited for.
    pub async fn record(&self, key: &str, value: &str) -> Result<Value, String> {
        let found = || {
            let rows: Vec<_> = self.records().into_iter().filter(|row| row[key] == value).collect();
            (!rows.is_empty()).then_some(rows)
        };
        match ask::until(RECORD_MAX, found).await.as_deref() {
            Some([one]) => Ok(one.clone()),
            Some(many) => Err(format!("{} records have {key} {value}", many.len())),
            None => Err(format!("no record has {key} {value}")),
        }
    }

    /// All records, once there are `count` of them. Panics when they stay fewer, or are more.
    pub async fn records_when(&self, count: usize) -> Vec<Value> {
        let enough = || Some(self.records()).filter(|records| records.len() >= count);
        let records = ask::until(RECORD_MAX, enough).await.unwrap_or_else(|| self.records());
        assert_eq!(records.len(), count, "records; the gateway's last words:\n{}", self.log());
        records
    }

    /// All records on the disk.
    pub fn records(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(&self.records).unwrap_or_default();
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// The ports for RTP and RTCP that it holds, as the system knows them.
    pub fn rtp_ports(&self) -> Vec<u16> {
        let process = format!("/proc/{}", self.program.id());
        let links = std::fs::read_dir(format!("{process}/fd")).unwrap().flatten();
        let held: BTreeSet<_> = links
            .filter_map(|link| Some(std::fs::read_link(link.path()).ok()?.display().to_string()))
            .filter_map(|name| Some(name.strip_prefix("socket:[")?.trim_end_matches(']').to_owned()))
            .collect();
        let table = std::fs::read_to_string(format!("{process}/net/udp")).unwrap();
        let sockets = table.lines().skip(1).map(|line| line.split_whitespace().collect::<Vec<_>>());
        sockets
            .filter(|columns| held.contains(columns[9]))
            .map(|columns| u16::from_str_radix(columns[1].split_once(':').unwrap().1, 16).unwrap())
            // The system's choice for SIP may lie among them.
            .filter(|port| RTP_PORTS.contains(port) && *port != self.sip.port())
            .collect()
    }

    /// The value of a metric without labels.
    pub fn metric(&self, name: &str) -> f64 {
        let page = ask::get(self.http, "/metrics");
        let line = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("no {name}: {page}")).parse().unwrap()
    }

    /// Sends SIGTERM.
    pub fn terminate(&self) {
        self.program.terminate();
    }

    /// Kills it where it stands, and waits until it is gone.
    pub async fn kill(self) {
        self.program.kill();
        self.program.finish(STOP_MAX).await;
    }

    /// Ends it and waits for that.
    pub async fn stop(self) -> ExitStatus {
        self.program.terminate();
        self.program.finish(STOP_MAX).await.1
    }

    /// What it logged, the last of it.
    pub fn log(&self) -> String {
        self.program.talk()
    }
}

/// The program under test: what was built with the test, or what `PATCHCORD_BINARY` names.
pub fn binary() -> PathBuf {
    std::env::var_os("PATCHCORD_BINARY").map_or_else(|| env!("CARGO_BIN_EXE_patchcord").into(), PathBuf::from)
}

/// The ports for RTP of whichever test runs in this place: what a phone of another one still sends meets nobody here.
fn rtp_ports_line() -> String {
    let place = std::env::var("NEXTEST_TEST_GLOBAL_SLOT").ok().and_then(|place| place.parse::<u16>().ok());
    let each = (RTP_PORTS.end() - RTP_PORTS.start()) / PLACES;
    let first = RTP_PORTS.start() + place.unwrap_or_default() % PLACES * each;
    format!("rtp_ports = \"{first}-{}\"\n", first + each - 1)
}

/// Free ports, and RTP beyond the ports that the foreign phones take.
const OWN: &str = "\
[server]\ndrain = \"3s\"\n\
[log]\nformat = \"human\"\n\
[http]\nlisten = \"127.0.0.1:0\"\n\
[sip]\n";

const RTP_PORTS: RangeInclusive<u16> = 30_000..=39_999;
/// How many tests beside each other have ports of their own.
const PLACES: u16 = 4;
const START_MAX: Duration = Duration::from_secs(20);
const STOP_MAX: Duration = Duration::from_secs(20);
const RECORD_MAX: Duration = Duration::from_secs(10);
