//! Who is let in: keys, roles, and without keys nobody's web page.

use super::client::{Ask, ask, get};
use crate::serve::Gateway;

/// Three keys in TOML, in front of other tables.
pub const KEYS: &str = "\
[[http.keys]]\nname = \"board\"\nkey = \"reader-0123456789\"\nrole = \"reader\"\n\
[[http.keys]]\nname = \"dialler\"\nkey = \"operator-0123456789\"\nrole = \"operator\"\n\
[[http.keys]]\nname = \"ops\"\nkey = \"admin-0123456789\"\nrole = \"admin\"\n";

#[tokio::test]
async fn a_missing_and_a_wrong_key_get_the_same_answer_and_a_right_one_is_let_in() {
    let gateway = Gateway::start(KEYS).await;
    let address = gateway.http();
    let missing = get(&address, "/bots", "").await;
    assert_eq!(missing.problem(), (401, "key_required".to_owned()));
    assert_eq!(missing.header("www-authenticate"), Some("Bearer"));
    for wrong in [
        "Authorization: Bearer reader-012345678\r\n",
        "Authorization: Bearer reader-01234567890\r\n",
        "Authorization: Bearer \r\n",
        "Authorization: Basic reader-0123456789\r\n",
        "Authorization: Bearer board\r\n",
    ] {
        let answer = get(&address, "/bots", wrong).await;
        assert_eq!((answer.status, &answer.body), (401, &missing.body), "{wrong}");
    }
    for key in ["reader", "operator", "admin"] {
        let header = format!("Authorization: bearer {key}-0123456789\r\n");
        assert_eq!(get(&address, "/bots", &header).await.status, 200, "{key}");
    }
    gateway.stop().await;
}

#[tokio::test]
async fn only_life_signs_and_the_description_are_open_where_there_are_keys() {
    let gateway = Gateway::start(KEYS).await;
    let address = gateway.http();
    for open in ["/health", "/ready", "/openapi.json", "/docs/", "/"] {
        assert_eq!(get(&address, open, "").await.status, 200, "{open}");
    }
    for closed in ["/bots", "/numbers", "/trunks", "/extensions", "/metrics"] {
        assert_eq!(get(&address, closed, "").await.status, 401, "{closed}");
    }
    gateway.stop().await;
}

#[tokio::test]
async fn whoever_guesses_keys_is_told_to_wait_and_the_right_key_goes_on() {
    let gateway = Gateway::start(KEYS).await;
    let address = gateway.http();
    let mut slowed = None;
    for guess in 0..60 {
        let answer = get(&address, "/bots", &format!("Authorization: Bearer guess-{guess}\r\n")).await;
        if answer.status == 429 {
            slowed = Some(answer);
            break;
        }
    }
    let slowed = slowed.expect("sixty guesses were let through");
    assert_eq!(slowed.problem().1, "too_many_requests");
    assert_eq!(slowed.header("retry-after"), Some("1"));
    assert_eq!(get(&address, "/bots", "Authorization: Bearer admin-0123456789\r\n").await.status, 200);
    gateway.stop().await;
}

#[tokio::test]
async fn without_keys_no_page_of_another_origin_uses_the_api() {
    let gateway = Gateway::start("").await;
    let address = gateway.http();
    assert_eq!(get(&address, "/bots", "").await.status, 200);
    let own = format!("Origin: http://{address}\r\n");
    assert_eq!(get(&address, "/bots", &own).await.status, 200);
    let rebound = get(&address, "/bots", "Host: rebound.example\r\n").await;
    assert_eq!(rebound.problem(), (403, "foreign_host".to_owned()));
    let foreign = get(&address, "/bots", "Origin: https://page.example\r\n").await;
    assert_eq!(foreign.problem(), (403, "foreign_origin".to_owned()));
    gateway.stop().await;
}

#[tokio::test]
async fn a_wrong_address_and_a_wrong_method_are_problems_too() {
    let gateway = Gateway::start("").await;
    let address = gateway.http();
    assert_eq!(get(&address, "/nowhere", "").await.problem(), (404, "not_found".to_owned()));
    for method in ["DELETE", "TRACE", "PATCH"] {
        let answer = ask(&address, Ask { method, path: "/bots", headers: "", body: "" }).await;
        assert_eq!(answer.problem(), (405, "method_not_allowed".to_owned()), "{method}");
        assert_eq!(answer.header("allow"), Some("GET,HEAD"), "{method}");
    }
    let head = ask(&address, Ask { method: "HEAD", path: "/bots", headers: "", body: "" }).await;
    assert_eq!((head.status, head.body.len()), (200, 0));
    let metrics = get(&address, "/metrics", "").await.text();
    for line in ["{route=\"configuration\",status=\"4xx\"} 3\n", "{route=\"other\",status=\"4xx\"} 1\n"] {
        assert!(metrics.contains(&format!("patchcord_http_requests_total{line}")), "{metrics}");
    }
    gateway.stop().await;
}
