//! The HTTP API, asked by a program that makes its requests out of the description: schemathesis.

use std::time::Duration;

use super::folder::Folder;
use super::gateway::Gateway;
use super::program::Program;
use super::{is_long, peer};

#[tokio::test]
async fn every_request_that_the_description_allows_or_forbids_is_answered_as_it_says() {
    let folder = Folder::new("api");
    let gateway = Gateway::start(folder.path(), SETTINGS).await;
    let url = format!("http://{}/openapi.json", gateway.http);
    let examples = if is_long() { "200" } else { "25" };
    let arguments = [
        "run",
        &url,
        "--header",
        "Authorization: Bearer admin-0123456789",
        // A stream has no end that could be checked.
        "--exclude-path",
        "/events",
        "--phases",
        "examples,coverage,fuzzing",
        "--checks",
        CHECKS,
        "--max-examples",
        examples,
        "--rate-limit",
        "150/s",
        "--request-timeout",
        "5",
        "--seed",
        "1",
        "--no-color",
    ];
    let asker = Program::start("schemathesis", peer(".venv/bin/schemathesis"), arguments, folder.path());
    let patience = if is_long() { 600 } else { 90 };
    let (lines, status) = asker.finish(Duration::from_secs(patience)).await;
    let told = lines.join("\n");
    let generated =
        lines.iter().find_map(|line| line.trim().split_once(" generated, ")?.0.parse::<u32>().ok());
    eprintln!("{generated:?} requests, {status}");
    assert!(status.success(), "{told}\nthe gateway's last words:\n{}", gateway.log());
    assert!(generated.is_some_and(|count| count >= 500), "{told}");
    assert!(gateway.stop().await.success());
}

/// No status, type, header or body but what the description says; wrong requests are refused.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,\
                      response_headers_conformance,response_schema_conformance,negative_data_rejection,\
                      unsupported_method";

/// Calls go out to a port where nobody is.
const SETTINGS: &str = "\
[[http.keys]]\nname = \"ops\"\nkey = \"admin-0123456789\"\nrole = \"admin\"\n\
[[trunks]]\nname = \"nobody\"\nhost = \"127.0.0.1\"\nport = 9\ntransport = \"udp\"\nallow = [\"*\"]\ncaller_ids = [\"*\"]\n\
[outbound]\ncalls = 20\n";
