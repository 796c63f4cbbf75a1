//! What HTTP answers: health, metrics, refusals of vendors; and what a taken port says.

use patchcord::app::{App, Parts, StartError};
use patchcord::config::Config;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::Gateway;
use super::phone::Phone;

/// Sends a GET with further header lines; returns the whole answer, which the server ends.
pub async fn get(address: &str, path: &str, headers: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n{headers}\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn health_readiness_and_metrics_answer_and_calls_are_counted() {
    let gateway = Gateway::named("delhi", "").await;
    let health = get(&gateway.http(), "/health", "").await;
    assert!(health.starts_with("HTTP/1.1 200 ") && health.contains("\"server\":\"delhi\""), "{health}");
    assert!(get(&gateway.http(), "/ready", "").await.starts_with("HTTP/1.1 200 "));
    let phone = Phone::call("echo", &gateway.sip()).await;
    assert!(get(&gateway.http(), "/metrics", "").await.contains("\npatchcord_calls_active 1\n"));
    phone.hang_up().await;
    let records = gateway.stop().await;
    assert_eq!(records.len(), 1);
}

#[tokio::test]
async fn a_vendor_at_the_wrong_address_is_told_so_before_the_upgrade() {
    let gateway = Gateway::start("").await;
    let upgrade = "Upgrade: websocket\r\n";
    for (path, code) in [
        ("/ws/klingon/echo", "unknown_dialect"),
        ("/ws/smartpbx/nobody", "unknown_bot"),
        ("/nothing", "not_found"),
        ("/ws/smartpbx/echo", "no_websocket"),
    ] {
        let answer = get(&gateway.http(), path, upgrade).await;
        assert!(answer.contains("application/problem+json") && answer.contains(code), "{path}: {answer}");
    }
    assert_eq!(gateway.stop().await.len(), 0);
}

#[tokio::test]
async fn a_vendor_without_the_token_is_refused_and_with_it_comes_one_step_further() {
    let folder_key = "[[listeners]]\nlisten = \"127.0.0.1:0\"\ndialect = \"ozonetel\"\nbot = \"echo\"\ntoken = \"s3cret\"\n";
    let gateway = Gateway::start(folder_key).await;
    let listener = gateway.app.places().listeners[0].to_string();
    let refused = get(&listener, "/any/path", "").await;
    assert!(
        refused.starts_with("HTTP/1.1 401 ") && refused.contains("www-authenticate: Bearer"),
        "{refused}"
    );
    let wrong = get(&listener, "/?token=s3cre", "").await;
    assert!(wrong.starts_with("HTTP/1.1 401 "), "{wrong}");
    for (path, header) in [("/?token=s3cret", ""), ("/", "Authorization: Bearer s3cret\r\n")] {
        let admitted = get(&listener, path, header).await;
        assert!(admitted.starts_with("HTTP/1.1 426 "), "{admitted}");
    }
    gateway.stop().await;
}

#[tokio::test]
async fn a_taken_port_is_an_error_that_names_its_key() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let folder = std::env::temp_dir().join(format!("patchcord-taken-{}", std::process::id()));
    for (section, key) in [
        (format!("[http]\nlisten = \"{address}\"\n"), "http.listen"),
        (format!("[http]\nlisten = \"127.0.0.1:0\"\n[sip]\nlisten = [\"tcp:{address}\"]\n"), "sip.listen"),
    ] {
        let config = Config::parse(&format!("[server]\ndata_dir = {folder:?}\n{section}")).unwrap();
        match App::start(config, Parts::All).await {
            Err(StartError::Listen { key: named, problem }) => {
                assert_eq!(named, key);
                assert!(problem.contains(&address.port().to_string()), "{problem}");
            }
            Err(other) => panic!("{other}"),
            Ok(_) => panic!("{key} was opened twice"),
        }
    }
}
