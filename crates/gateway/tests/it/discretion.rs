//! The log and the support archives of the real program, asked for everything: no secret, number or digit of a call
//! stands in them.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use patchcord::caller::scratch_folder::ScratchFolder;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::TcpListener;
use tokio::process::Command;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};

/// What a remote bot was shown.
type Seen = Arc<Mutex<Vec<String>>>;

#[tokio::test]
async fn nothing_that_is_said_or_secret_stands_in_the_log_whatever_level_is_asked_for() {
    let folder = ScratchFolder::new().unwrap();
    let (bot, seen) = echoing_bot().await;
    let first = 58_000 + std::process::id() % 300 * 20;
    let file = format!(
        "[server]\ndata_dir = \"data\"\ndrain = \"1s\"\n\
         [log]\nwire = true\nformat = \"json\"\nlevel = \"trace,tungstenite=trace,tungstenite::protocol=trace,hyper=trace\"\n\
         [http]\nlisten = \"127.0.0.1:0\"\n\
         [sip]\nlisten = [\"udp:127.0.0.1:0\"]\nrtp_ports = \"{first}-{}\"\n\
         [[listeners]]\nlisten = \"127.0.0.1:0\"\ndialect = \"ivr-solutions\"\nbot = \"seed\"\ntoken = \"{TOKEN}\"\n\
         [[numbers]]\nnumber = \"{TO}\"\nbot = \"seed\"\n\
         [bots.seed]\nurl = \"ws://{bot}/ivr\"\ndialect = \"ivr-solutions\"\n\
         headers = {{ Authorization = \"Bearer {SECRET}\" }}\n",
        first + 19
    );
    std::fs::write(folder.path().join("patchcord.toml"), file).unwrap();
    let log_file = std::fs::File::create(folder.path().join("log")).unwrap();
    let mut gateway = Command::new(binary())
        .args(["serve", "--json", "--config", "patchcord.toml"])
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(log_file)
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(gateway.stdout.take().unwrap()).lines();
    let line = timeout(PATIENCE, lines.next_line()).await.expect("no start in time").unwrap().unwrap();
    let places: Value = serde_json::from_str(&line).unwrap();
    let place = |value: &Value| value.as_str().unwrap().trim_start_matches("udp:").to_owned();

    let sip = format!("sip:{TO}@{}", place(&places["sip"][0]));
    let vendor = format!("ws://{}/?token={TOKEN}", place(&places["listeners"][0]));
    for words in [vec![sip.as_str()], vec![vendor.as_str(), "--dialect", "ivr-solutions", "--to", TO]] {
        let made = call(&words).await;
        assert!(made.status.success(), "{words:?}: {}", String::from_utf8_lossy(&made.stderr));
    }

    let calls = recorded(folder.path(), 2).await;
    for (call, is_sip) in [(calls[0].as_str(), true), ("last", false)] {
        check_archive(folder.path(), call, is_sip).await;
    }

    let id = gateway.id().unwrap().to_string();
    std::process::Command::new("kill").args(["-TERM", &id]).status().unwrap();
    assert!(timeout(PATIENCE, gateway.wait()).await.expect("it does not stop").unwrap().success());
    let log = std::fs::read_to_string(folder.path().join("log")).unwrap();
    assert_eq!(log.matches("call ended").count(), 2, "{log}");
    for line in log.lines() {
        let lower = line.to_lowercase();
        let told =
            [SECRET, TOKEN, FROM, TO, "authorization", "dtmf", "digit", "payload", "\"media\":{"].into_iter();
        for word in told {
            assert!(!lower.contains(word), "{word} is in the log: {line}");
        }
    }
    // The bot got all of it, so it was there to be told.
    let seen = seen.lock().unwrap().concat();
    for word in [SECRET, FROM, TO, "dtmf", "payload"] {
        assert!(seen.contains(word), "the bot has not seen {word}");
    }
}

/// The ids of `count` calls, once their records are on the disk.
async fn recorded(folder: &Path, count: usize) -> Vec<String> {
    let mut look = tokio::time::interval(Duration::from_millis(20));
    let found = async {
        loop {
            look.tick().await;
            let text = std::fs::read_to_string(folder.join("data/calls.jsonl")).unwrap_or_default();
            let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
            let ids: Vec<_> = lines.map(|line| line["call_id"].as_str().unwrap().to_owned()).collect();
            if ids.len() == count {
                return ids;
            }
        }
    };
    timeout(PATIENCE, found).await.expect("the records do not come")
}

/// Packs a call for support, and looks for anything of anybody in what was packed.
async fn check_archive(folder: &Path, call: &str, is_sip: bool) {
    let name = format!("{call}.tar.gz");
    let doctor = Command::new(binary())
        .args(["doctor", "--config", "patchcord.toml", "--bundle", call, "--out", &name, "--json"])
        .current_dir(folder)
        .kill_on_drop(true)
        .output();
    let packed = timeout(PATIENCE, doctor).await.expect("packing takes too long").unwrap();
    assert!(packed.status.success(), "{}", String::from_utf8_lossy(&packed.stderr));
    let said: Value = serde_json::from_slice(&packed.stdout).unwrap();
    let archive = flate2::read::GzDecoder::new(std::fs::File::open(folder.join(&name)).unwrap());
    let mut names = Vec::new();
    for entry in tar::Archive::new(archive).entries().unwrap() {
        let mut entry = entry.unwrap();
        let path = entry.path().unwrap().into_owned();
        let mut text = String::new();
        entry.read_to_string(&mut text).unwrap();
        for word in [SECRET, TOKEN, FROM, TO, DIGITS] {
            assert!(!text.contains(word), "{word} is in {}:\n{text}", path.display());
        }
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let expected = match name.as_str() {
            "README.txt" => said["call_id"].as_str().unwrap(),
            "call.json" => "\"cause\"",
            "ladder.txt" if is_sip => "- INVITE +sdp -",
            "ladder.txt" => "(ivr-solutions)",
            "wire.jsonl" => "\"event\":\"start\"",
            "config.toml" => "[bots.seed]",
            "doctor.json" => "\"sip.listen\"",
            "media.txt" => "seed speaks ivr-solutions",
            other => panic!("{other} was packed too"),
        };
        assert!(text.contains(expected), "{expected} is not in {name}:\n{text}");
        names.push(name);
    }
    assert_eq!(names.len(), said["files"].as_array().unwrap().len(), "{names:?}");
    assert_eq!(names.len(), 7, "{names:?}");
}

async fn call(target: &[&str]) -> Output {
    let call = Command::new(binary())
        .arg("call")
        .args(target)
        .args(["--from", FROM, "--dtmf", &format!("{DIGITS}@300ms"), "--duration", "3s", "--json"])
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    timeout(PATIENCE, call).await.expect("the call takes too long").unwrap()
}

/// A bot that keeps what it is shown and returns every message.
async fn echoing_bot() -> (std::net::SocketAddr, Seen) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let seen = Seen::default();
    let kept = seen.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let kept = kept.clone();
            tokio::spawn(async move {
                #[expect(clippy::result_large_err, reason = "the library's own signature")]
                let keep_header = |request: &Request, response: Response| {
                    kept.lock().unwrap().push(format!("{:?}", request.headers().get("authorization")));
                    Ok(response)
                };
                let mut socket = tokio_tungstenite::accept_hdr_async(stream, keep_header).await.unwrap();
                while let Some(Ok(Message::Text(text))) = socket.next().await {
                    kept.lock().unwrap().push(text.to_string());
                    if socket.send(Message::Text(text)).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    (address, seen)
}

fn binary() -> PathBuf {
    std::env::var_os("PATCHCORD_BINARY").map_or_else(|| env!("CARGO_BIN_EXE_patchcord").into(), PathBuf::from)
}

const SECRET: &str = "sekret-of-the-bot";
const TOKEN: &str = "sekret-of-the-vendor";
const FROM: &str = "9876543210";
const TO: &str = "18005550199";
const DIGITS: &str = "86421975";
const PATIENCE: Duration = Duration::from_secs(20);
