//! A browser that shows a key once: what its cookie opens, what it does not, and how it ends.

use serde_json::json;

use super::client::{Answer, Ask, ask, get};
use super::keys::KEYS;
use crate::serve::Gateway;

/// Logs in from a page of `origin`.
pub async fn log_in(address: &str, origin: &str, key: &str) -> Answer {
    let headers = format!("Origin: {origin}\r\nContent-Type: application/json\r\n");
    let body = json!({ "key": key }).to_string();
    ask(address, Ask { method: "POST", path: "/session", headers: &headers, body: &body }).await
}

/// The header line with the cookie of an answer.
pub fn cookie(answer: &Answer) -> String {
    let pair = answer.header("set-cookie").and_then(|line| line.split(';').next());
    format!("Cookie: {}\r\n", pair.expect("no cookie is set"))
}

/// Logs out from a page of this server.
pub async fn log_out(address: &str, session: &str) -> Answer {
    let headers = format!("{session}Origin: http://{address}\r\n");
    ask(address, Ask { method: "DELETE", path: "/session", headers: &headers, body: "" }).await
}

async fn order(address: &str, headers: &str) -> Answer {
    ask(address, Ask { method: "POST", path: "/calls/call_1_0/hangup", headers, body: "" }).await
}

#[tokio::test]
async fn a_session_opens_what_its_key_opens_until_it_is_ended() {
    let gateway = Gateway::start(KEYS).await;
    let address = gateway.http();
    let own = format!("http://{address}");
    let stranger = get(&address, "/session", "").await.json();
    assert_eq!((&stranger["keys"], stranger.get("role")), (&json!(true), None));

    let wrong = log_in(&address, &own, "reader-0123456788").await;
    assert_eq!(wrong.problem(), (401, "key_required".to_owned()));
    assert_eq!(wrong.header("set-cookie"), None);

    let entered = log_in(&address, &own, "reader-0123456789").await;
    assert_eq!((entered.status, &entered.json()["role"]), (200, &json!("reader")));
    let line = entered.header("set-cookie").unwrap();
    for word in ["HttpOnly", "SameSite=Strict", "Path=/", "Max-Age=43200"] {
        assert!(line.contains(word), "{line}");
    }
    assert!(!line.contains("Secure") && !line.contains("reader"), "plain loopback, and no key: {line}");

    let session = cookie(&entered);
    assert_eq!(get(&address, "/bots", &session).await.status, 200);
    assert_eq!(get(&address, "/session", &session).await.json()["name"], "board");
    let from_page = format!("{session}Origin: {own}\r\n");
    assert_eq!(order(&address, &from_page).await.problem(), (403, "role_too_low".to_owned()));

    assert_eq!(log_out(&address, &session).await.status, 204);
    assert_eq!(get(&address, "/bots", &session).await.problem(), (401, "key_required".to_owned()));
    gateway.stop().await;
}

#[tokio::test]
async fn what_a_session_changes_comes_from_a_page_of_this_server_and_a_key_needs_none() {
    let gateway = Gateway::start(KEYS).await;
    let address = gateway.http();
    let own = format!("http://{address}");
    assert_eq!(
        log_in(&address, "https://evil.example", "operator-0123456789").await.problem(),
        (403, "foreign_origin".to_owned())
    );
    let session = cookie(&log_in(&address, &own, "operator-0123456789").await);
    for foreign in
        ["", "Origin: https://evil.example\r\n", "Origin: null\r\n", "Sec-Fetch-Site: same-site\r\n"]
    {
        let answer = order(&address, &format!("{session}{foreign}")).await;
        assert_eq!(answer.problem(), (403, "foreign_origin".to_owned()), "{foreign:?}");
    }
    // A WebSocket begins with a GET, and does more than look.
    let upgrade = format!("{session}Origin: https://evil.example\r\nUpgrade: websocket\r\n");
    assert_eq!(get(&address, "/bots", &upgrade).await.problem(), (403, "foreign_origin".to_owned()));
    let unknown = (404, "unknown_call".to_owned());
    assert_eq!(order(&address, &format!("{session}Origin: {own}\r\n")).await.problem(), unknown);
    assert_eq!(order(&address, "Authorization: Bearer operator-0123456789\r\n").await.problem(), unknown);
    gateway.stop().await;
}

#[tokio::test]
async fn whoever_guesses_at_the_door_is_told_to_wait_whatever_comes_next() {
    let gateway = Gateway::start(KEYS).await;
    let address = gateway.http();
    let own = format!("http://{address}");
    let mut slowed = None;
    for guess in 0..60 {
        let answer = log_in(&address, &own, &format!("guess-{guess:016}")).await;
        if answer.status == 429 {
            slowed = Some(answer);
            break;
        }
    }
    let slowed = slowed.expect("sixty guesses were let through");
    assert_eq!(slowed.problem().1, "too_many_requests");
    // A right guess is told no sooner than a wrong one.
    assert_eq!(log_in(&address, &own, "admin-0123456789").await.status, 429);
    gateway.stop().await;
}

#[tokio::test]
async fn without_keys_everybody_on_this_machine_is_an_administrator_and_needs_no_cookie() {
    let gateway = Gateway::start("").await;
    let address = gateway.http();
    let session = get(&address, "/session", "").await;
    assert_eq!((&session.json()["keys"], &session.json()["role"]), (&json!(false), &json!("admin")));
    assert_eq!(session.header("set-cookie"), None);
    let foreign = get(&address, "/session", "Origin: https://page.example\r\n").await;
    assert_eq!(foreign.problem(), (403, "foreign_origin".to_owned()));
    gateway.stop().await;
}

#[tokio::test]
async fn a_browser_gets_a_page_under_a_strict_policy_and_a_program_gets_text() {
    let gateway = Gateway::start("").await;
    let address = gateway.http();
    let text = get(&address, "/", "").await;
    assert_eq!(text.header("content-type"), Some("text/plain; charset=utf-8"));
    assert!(text.text().contains("dashboard") && text.text().contains("/docs"), "{}", text.text());
    let page = get(&address, "/talk", "Accept: text/html,application/xhtml+xml\r\n").await;
    assert_eq!((page.status, page.header("vary")), (200, Some("Accept, Accept-Encoding")));
    if page.header("content-type") == Some("text/html; charset=utf-8") {
        let policy = page.header("content-security-policy").unwrap();
        assert!(policy.starts_with("default-src 'none'; script-src 'self';") && !policy.contains("unsafe"));
        assert!(policy.contains("frame-ancestors 'none'"), "{policy}");
        assert_eq!(page.header("x-content-type-options"), Some("nosniff"));
        assert!(!page.text().contains("<style") && !page.text().contains("style="), "{}", page.text());
    } else {
        assert!(page.text().contains("make build"), "{}", page.text());
    }
    gateway.stop().await;
}
