//! SIGHUP at the real program: what is right takes effect for new calls, what is wrong changes nothing.

use std::time::Duration;

use patchcord::caller::scratch_folder::ScratchFolder;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::TcpStream;
use tokio::process::{Child, ChildStderr, Command};
use tokio::time::timeout;

/// A gateway of its own process, with its log.
struct Program {
    folder: ScratchFolder,
    process: Child,
    log: Lines<BufReader<ChildStderr>>,
    http: String,
    listener: String,
}

impl Program {
    async fn start(file: &str) -> Self {
        let folder = ScratchFolder::new().unwrap();
        std::fs::write(folder.path().join("patchcord.toml"), file).unwrap();
        let mut process = Command::new(env!("CARGO_BIN_EXE_patchcord"))
            .args(["serve", "--json"])
            .current_dir(folder.path())
            .stdin(std::process::Stdio::null())
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut said = BufReader::new(process.stdout.take().unwrap()).lines();
        let line = timeout(PATIENCE, said.next_line()).await.expect("no start in time").unwrap().unwrap();
        let places: Value = serde_json::from_str(&line).unwrap();
        let log = BufReader::new(process.stderr.take().unwrap()).lines();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let (http, listener) = (text(&places["http"]), text(&places["listeners"][0]));
        Self { folder, process, log, http, listener }
    }

    /// Writes `file`, asks for a reload, and returns the lines of the log up to the one that tells of it.
    async fn reload(&mut self, file: &str) -> Vec<String> {
        std::fs::write(self.folder.path().join("patchcord.toml"), file).unwrap();
        self.hang_up().await
    }

    /// Asks for a reload, and returns the lines of the log up to the one that tells of it.
    async fn hang_up(&mut self) -> Vec<String> {
        let pid = rustix::process::Pid::from_raw(self.process.id().unwrap().try_into().unwrap()).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::HUP).unwrap();
        let mut lines = Vec::new();
        loop {
            let next = timeout(PATIENCE, self.log.next_line()).await;
            lines.push(next.expect("the reload is not told").unwrap().expect("the log ended"));
            if lines.last().is_some_and(|line| line.contains("reloaded:")) {
                return lines;
            }
        }
    }

    /// The status and the body of a GET at `address`.
    async fn get(&self, address: &str, path: &str) -> String {
        self.ask(address, &format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"))
            .await
    }

    /// What comes back for `request` until the server closes.
    async fn ask(&self, address: &str, request: &str) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        timeout(PATIENCE, stream.read_to_string(&mut answer)).await.expect("no answer").unwrap();
        answer
    }
}

/// A file with a listener that asks for `token`, and what else there is to say.
fn file(token: &str, more: &str) -> String {
    format!(
        "[http]\nlisten = \"127.0.0.1:0\"\n[sip]\nlisten = [\"udp:127.0.0.1:0\"]\n[[listeners]]\n\
         listen = \"127.0.0.1:0\"\ndialect = \"ozonetel\"\nbot = \"echo\"\ntoken = \"{token}\"\n{more}"
    )
}

#[tokio::test]
async fn a_reload_takes_effect_for_what_begins_after_it_and_says_what_changed() {
    let mut program = Program::start(&file("first-token", "")).await;
    assert!(program.get(&program.http, "/health").await.contains("\"reloads\":0"));
    assert!(program.get(&program.listener, "/?token=first-token").await.starts_with("HTTP/1.1 426 "));

    let bots = "[server]\nid = \"delhi\"\n[bots.a]\nurl = \"ws://127.0.0.1:1/\"\ndialect = \"smartpbx\"\n\
                [[numbers]]\nnumber = \"18005550199\"\nbot = \"a\"\n";
    let lines = program.reload(&file("second-token", bots)).await;
    let told = lines.last().unwrap();
    assert!(told.contains("server.id changed, 1 bot added, 1 listener changed, 1 number added\""), "{told}");
    let secrets = ["first-token", "second-token", "18005550199", "delhi"];
    assert!(!secrets.iter().any(|word| lines.concat().contains(word)), "{lines:?}");

    let health = program.get(&program.http, "/health").await;
    assert!(health.contains("\"reloads\":1") && health.contains("\"server\":\"delhi\""), "{health}");
    assert!(program.get(&program.listener, "/?token=first-token").await.starts_with("HTTP/1.1 401 "));
    assert!(program.get(&program.listener, "/?token=second-token").await.starts_with("HTTP/1.1 426 "));
    let known = program.get(&program.http, "/ws/smartpbx/a").await;
    assert!(known.contains("no_websocket"), "the bot is known: {known}");
}

#[tokio::test]
async fn a_wrong_file_changes_nothing_and_every_problem_is_told() {
    let mut program = Program::start(&file("first-token", "")).await;
    let wrong = file("second-token", "[bots.a]\nurl = \"http://h/\"\ndialect = \"smartpxb\"\n");
    let lines = program.reload(&wrong).await.concat();
    for word in
        ["patchcord.toml:11:7", "bots.a.url", "did you mean \\\"smartpbx\\\"?", "what was in effect stays"]
    {
        assert!(lines.contains(word), "{word} is not in {lines}");
    }
    assert!(program.get(&program.listener, "/?token=first-token").await.starts_with("HTTP/1.1 426 "));
    assert!(program.get(&program.listener, "/?token=second-token").await.starts_with("HTTP/1.1 401 "));
    let metrics = program.get(&program.http, "/metrics").await;
    assert!(metrics.contains("patchcord_config_reloads_total{outcome=\"applied\"} 0\n"), "{metrics}");
    assert!(metrics.contains("patchcord_config_reloads_total{outcome=\"refused\"} 1\n"), "{metrics}");
}

#[tokio::test]
async fn a_file_that_is_gone_takes_nothing_along() {
    let mut program = Program::start(&file("first-token", "")).await;
    std::fs::remove_file(program.folder.path().join("patchcord.toml")).unwrap();
    let lines = program.hang_up().await.concat();
    assert!(lines.contains("cannot be read") && lines.contains("what was in effect stays"), "{lines}");
    assert!(program.get(&program.listener, "/?token=first-token").await.starts_with("HTTP/1.1 426 "));
}

#[tokio::test]
async fn what_needs_a_restart_is_told_each_time_and_the_rest_takes_effect() {
    let mut program = Program::start(&file("first-token", "")).await;
    let moved = file("second-token", "").replace("udp:127.0.0.1:0", "tcp:127.0.0.1:0");
    let told = program.reload(&moved).await.concat();
    assert!(told.contains("1 listener changed; needs a restart: sip.listen\""), "{told}");
    let told = program.reload(&moved).await.concat();
    assert!(told.contains("nothing changed; needs a restart: sip.listen\""), "{told}");
    assert!(program.get(&program.listener, "/?token=second-token").await.starts_with("HTTP/1.1 426 "));
}

#[tokio::test]
async fn a_port_that_stays_open_keeps_its_guard_until_the_restart_that_closes_it() {
    let remote = |listen: &str, token: &str| {
        format!("[http]\nlisten = \"{listen}\"\n{token}[sip]\nlisten = [\"udp:127.0.0.1:0\"]\n")
    };
    let key = "keys = [{ name = \"ops\", key = \"0123456789abcdef\", role = \"admin\" }]\n";
    let guarded = format!("{key}behind_proxy = true\nws_token = \"first-token\"\n");
    let mut program = Program::start(&remote("0.0.0.0:0", &guarded)).await;
    let lines = program.reload(&remote("127.0.0.1:0", key)).await.concat();
    assert!(lines.contains("http.listen changes at a restart only"), "{lines}");
    let port = program.http.rsplit_once(':').unwrap().1;
    let address = format!("127.0.0.1:{port}");
    assert!(program.get(&address, "/ws").await.starts_with("HTTP/1.1 401 "), "the port is open to others");
}

#[tokio::test]
async fn the_level_of_the_log_follows_the_file() {
    let mut program = Program::start(&file("t", "")).await;
    let told = program.reload(&file("t", "[log]\nlevel = \"debug\"\n")).await.concat();
    assert!(told.contains("log.level changed"), "{told}");
    // What is no HTTP is a line at this level.
    program.ask(&program.http, "no HTTP at all\r\n\r\n").await;
    let more = program.reload(&file("t", "")).await.concat();
    assert!(more.contains("\"level\":\"DEBUG\""), "{more}");
    program.ask(&program.http, "no HTTP at all\r\n\r\n").await;
    let less = program.reload(&file("t", "")).await.concat();
    assert!(!less.contains("\"level\":\"DEBUG\""), "{less}");
}

const PATIENCE: Duration = Duration::from_secs(20);
