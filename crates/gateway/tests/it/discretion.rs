//! The log of the real program, asked for everything: no secret, number or digit of a call stands in it.

use std::path::PathBuf;
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
         [log]\nformat = \"json\"\nlevel = \"trace,tungstenite=trace,tungstenite::protocol=trace,hyper=trace\"\n\
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

async fn call(target: &[&str]) -> Output {
    let call = Command::new(binary())
        .arg("call")
        .args(target)
        .args(["--from", FROM, "--dtmf", "86@500ms", "--duration", "2s", "--json"])
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
const PATIENCE: Duration = Duration::from_secs(20);
