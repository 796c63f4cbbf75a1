//! The OpenAPI document and the page that shows it.

use insta::assert_snapshot;

use super::client::get;
use crate::serve::Gateway;

#[tokio::test]
async fn the_description_is_openapi_and_changes_on_purpose_only() {
    let gateway = Gateway::start("").await;
    let answer = get(&gateway.http(), "/openapi.json", "").await;
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let document = answer.json();
    assert_eq!(document["openapi"], "3.1.0");
    // The version of the program is not one of the description.
    let version = document["info"]["version"].as_str().unwrap();
    assert_eq!(version, env!("CARGO_PKG_VERSION"));
    let operations =
        document["paths"].as_object().unwrap().values().flat_map(|path| path.as_object().unwrap().values());
    let mut names: Vec<&str> =
        operations.map(|operation| operation["operationId"].as_str().unwrap()).collect();
    names.sort_unstable();
    assert!(names.windows(2).all(|pair| pair[0] != pair[1]), "{names:?}");
    let text = answer.text();
    for reference in text.split("\"$ref\": \"").skip(1).map(|rest| rest.split('"').next().unwrap()) {
        assert!(document.pointer(reference.trim_start_matches('#')).is_some(), "{reference} leads nowhere");
    }
    assert_snapshot!("openapi", text.replace(&format!("\"version\": \"{version}\""), "\"version\": \"*\""));
    gateway.stop().await;
}

#[tokio::test]
async fn the_explorer_comes_whole_out_of_the_binary_and_is_a_list_for_programs() {
    let gateway = Gateway::start("").await;
    let address = gateway.http();
    for path in ["/docs", "/docs/"] {
        let list = get(&address, path, "").await;
        assert_eq!((list.status, list.header("content-type")), (200, Some("text/plain; charset=utf-8")));
        let text = list.text();
        assert!(text.contains("POST   /calls ") && text.contains("Place a call"), "{text}");
        let page = get(&address, path, "Accept: text/html\r\n").await;
        // A build without npm has no pages.
        if page.header("content-type") == Some("text/html; charset=utf-8") {
            let policy = page.header("content-security-policy").unwrap();
            assert!(policy.starts_with("default-src 'none'; script-src 'self';"), "{policy}");
            assert!(!policy.contains("unsafe") && !policy.contains("http"), "{policy}");
        } else {
            assert_eq!(page.text(), text);
        }
    }
    assert_eq!(get(&address, "/docs/nothing.js", "").await.problem().0, 404);
    gateway.stop().await;
}
