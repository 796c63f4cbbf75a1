//! The real program with every door open, and what the system says of it.

use std::net::{SocketAddr, TcpListener};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use patchcord::caller::process_figures::ProcessFigures;
use patchcord::caller::scratch_folder::ScratchFolder;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::time::{Instant, interval, timeout};

/// A serving gateway; dropped, it is killed.
pub struct Victim {
    child: Child,
    folder: ScratchFolder,
    doors: Doors,
}

/// Where it can be reached.
#[derive(Clone)]
pub struct Doors {
    pub http: SocketAddr,
    pub sip: SocketAddr,
    pub sip_tcp: SocketAddr,
    /// Ports for vendors, with the dialect of each.
    pub listeners: Vec<(String, SocketAddr)>,
    /// Where the bots `bad-DIALECT` are dialled.
    pub bots: Arc<TcpListener>,
    /// Where calls have their RTP.
    pub rtp: Range<u16>,
}

/// What it uses.
#[derive(Debug, Clone, Copy)]
pub struct Figures {
    pub rss_kb: u64,
    pub descriptors: usize,
}

impl Victim {
    pub async fn start() -> Self {
        let folder = ScratchFolder::new().unwrap();
        let first = 20_000 + (std::process::id() % 200) as u16 * 40;
        let mut file = format!(
            "[server]\ndata_dir = \"data\"\ndrain = \"1s\"\n[log]\nformat = \"human\"\n\
             [http]\nlisten = \"127.0.0.1:0\"\n\
             [sip]\nlisten = [\"udp:127.0.0.1:0\", \"tcp:127.0.0.1:0\"]\nrtp_ports = \"{first}-{}\"\n",
            first + 39
        );
        let bots = Arc::new(TcpListener::bind("127.0.0.2:0").unwrap());
        let url = format!("ws://{}/", bots.local_addr().unwrap());
        for dialect in DIALECTS {
            file += &format!("[bots.bad-{dialect}]\nurl = \"{url}\"\ndialect = \"{dialect}\"\n");
            file += &format!(
                "[[listeners]]\nlisten = \"127.0.0.1:0\"\ndialect = \"{dialect}\"\nbot = \"echo\"\n"
            );
        }
        std::fs::write(folder.path().join("patchcord.toml"), file).unwrap();
        let talk = std::fs::File::create(folder.path().join(TALK)).unwrap();
        let mut child = Command::new(binary())
            .args(["serve", "--json", "--config", "patchcord.toml"])
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(talk)
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let line = timeout(PATIENCE, lines.next_line()).await.expect("no start in time").unwrap();
        let doors =
            Doors::read(&line.unwrap_or_else(|| panic!("no start: {}", log(folder.path()))), bots, first);
        Self { child, folder, doors }
    }

    pub fn doors(&self) -> &Doors {
        &self.doors
    }

    pub fn id(&self) -> u32 {
        self.child.id().unwrap()
    }

    /// The last of what it said.
    pub fn log(&self) -> String {
        let talk = log(self.folder.path());
        let from = talk.char_indices().rev().nth(3_000).map_or(0, |(at, _)| at);
        talk[from..].to_owned()
    }

    /// Waits until no call is up and what the attackers had open is closed.
    pub async fn settled(&self, descriptors: usize) {
        let deadline = Instant::now() + PATIENCE;
        let mut ticks = interval(Duration::from_millis(100));
        loop {
            ticks.tick().await;
            let (idle, figures) =
                (self.metrics().await.contains("\npatchcord_calls_active 0\n"), measure(self.id()));
            // Two calls were up when they were counted.
            if idle && figures.descriptors <= descriptors + 4 {
                return;
            }
            let late = Instant::now() > deadline;
            assert!(!late, "idle: {idle}; {figures:?} after {descriptors} descriptors; {}", self.log());
        }
    }

    /// Stops it, and gives the causes of all calls. Panics if it panicked, or does not stop well.
    pub async fn stop(mut self) -> Vec<String> {
        let id = self.id().to_string();
        std::process::Command::new("kill").args(["-TERM", &id]).status().unwrap();
        let ended = timeout(PATIENCE, self.child.wait()).await.expect("it does not stop").unwrap();
        let talk = log(self.folder.path());
        assert!(ended.success() && !talk.contains("panicked"), "{ended}: {}", self.log());
        let records = std::fs::read_to_string(self.folder.path().join("data/calls.jsonl")).unwrap();
        let cause = |record: Value| {
            let word = |name: &str| record["cause"][name].as_str().unwrap().to_owned();
            format!("{}/{}", word("class"), word("reason"))
        };
        records.lines().map(|line| cause(serde_json::from_str(line).unwrap())).collect()
    }

    async fn metrics(&self) -> String {
        let ask = async {
            let mut stream = TcpStream::connect(self.doors.http).await.unwrap();
            stream
                .write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                .await
                .unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.unwrap();
            answer
        };
        timeout(PATIENCE, ask).await.expect("HTTP does not answer")
    }
}

impl Doors {
    fn read(line: &str, bots: Arc<TcpListener>, first_rtp: u16) -> Self {
        let places: Value = serde_json::from_str(line).unwrap();
        let address = |place: &Value| {
            let place = place.as_str().unwrap();
            place.trim_start_matches("udp:").trim_start_matches("tcp:").parse::<SocketAddr>().unwrap()
        };
        let listeners = places["listeners"].as_array().unwrap().iter().map(address);
        Self {
            http: address(&places["http"]),
            sip: address(&places["sip"][0]),
            sip_tcp: address(&places["sip"][1]),
            listeners: DIALECTS.iter().map(|dialect| (*dialect).to_owned()).zip(listeners).collect(),
            bots,
            rtp: first_rtp..first_rtp + 40,
        }
    }
}

/// What a process uses.
pub fn measure(id: u32) -> Figures {
    let rss_kb = ProcessFigures::read(id).unwrap().rss_kb;
    Figures { rss_kb, descriptors: std::fs::read_dir(format!("/proc/{id}/fd")).unwrap().count() }
}

fn log(folder: &Path) -> String {
    String::from_utf8_lossy(&std::fs::read(folder.join(TALK)).unwrap_or_default()).into_owned()
}

fn binary() -> PathBuf {
    std::env::var_os("PATCHCORD_BINARY").map_or_else(|| env!("CARGO_BIN_EXE_patchcord").into(), PathBuf::from)
}

pub const DIALECTS: [&str; 4] = ["ivr-solutions", "smartpbx", "incoming-call", "ozonetel"];
const TALK: &str = "gateway.err";
const PATIENCE: Duration = Duration::from_secs(15);
