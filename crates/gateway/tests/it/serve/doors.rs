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
async fn a_page_of_the_web_opens_no_vendors_socket_where_no_token_is_asked_for() {
    let listeners = "[[listeners]]\nlisten = \"127.0.0.1:0\"\ndialect = \"ozonetel\"\nbot = \"echo\"\n";
    let gateway = Gateway::start(listeners).await;
    let listener = gateway.app.places().listeners[0].to_string();
    for (address, path) in [(gateway.http(), "/ws"), (gateway.http(), "/ws/ozonetel/echo"), (listener, "/")] {
        for origin in ["https://page.example", "null", "http://127.0.0.1:1"] {
            let page = get(&address, path, &format!("Origin: {origin}\r\n")).await;
            assert!(page.starts_with("HTTP/1.1 403 ") && page.contains("foreign_origin"), "{page}");
        }
        for own in ["", &format!("Origin: http://{address}\r\n")] {
            let admitted = get(&address, path, own).await;
            assert!(admitted.starts_with("HTTP/1.1 426 "), "{admitted}");
        }
    }
    gateway.stop().await;
}

#[tokio::test]
async fn behind_a_proxy_a_vendor_is_judged_by_the_address_that_the_proxy_tells() {
    let guard = "accept_from = [\"203.0.113.0/24\"]\n";
    let http = format!(
        "behind_proxy = true\n{guard}keys = [{{ name = \"a\", key = \"0123456789abcdef\", role = \"admin\" }}]\n"
    );
    let listener = "[[listeners]]\nlisten = \"127.0.0.1:0\"\ndialect = \"ozonetel\"\nbot = \"echo\"\n";
    let listener = format!("{listener}{guard}");
    let gateway = Gateway::start(&listener).await;
    let head = gateway.head.replace("[http]\n", &format!("[http]\n{http}"));
    gateway.app.exchange().reconfigure(Config::parse(&format!("{head}{listener}")).unwrap());
    let listener = gateway.app.places().listeners[0].to_string();
    for (address, path) in [(gateway.http(), "/ws/ozonetel/echo"), (listener, "/")] {
        for (told, status) in [
            ("", 403),
            ("X-Forwarded-For: 127.0.0.1\r\n", 403),
            ("X-Forwarded-For: 203.0.113.7, 198.51.100.1\r\n", 403),
            ("X-Forwarded-For: 198.51.100.1, 203.0.113.7\r\n", 426),
        ] {
            let answer = get(&address, path, told).await;
            assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{told}: {answer}");
        }
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
