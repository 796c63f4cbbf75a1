//! Every curl command of docs/api.md, typed as it stands, against a server with a call that is up.

use std::path::Path;
use std::time::Duration;

use super::ask::until;
use super::folder::Folder;
use super::gateway::{Gateway, binary};
use super::program::Program;

#[tokio::test]
async fn every_curl_command_of_the_documentation_works() {
    let folder = Folder::new("curl");
    let gateway = Gateway::start(folder.path(), SETTINGS).await;
    let words = ["call", &gateway.sip_uri("echo"), "--duration", "60s"];
    let _caller = Program::start("caller", binary(), words, folder.path());
    let list = format!("curl -s 'http://{}/calls?status=in-progress'", gateway.http);
    let call = until(Duration::from_secs(10), || {
        let page: serde_json::Value = serde_json::from_str(&typed(&list)).unwrap_or_default();
        page["data"][0]["call_id"].as_str().map(str::to_owned)
    });
    let call = call.await.expect("no call is up");
    let text =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/api.md")).unwrap();
    let text = text.replace("\\\n", " ");
    let commands: Vec<&str> = text.lines().filter(|line| line.starts_with("curl ")).collect();
    assert!(commands.len() >= 15, "{commands:?}");
    for command in commands {
        let command = command.replace("127.0.0.1:8080", &gateway.http.to_string()).replace("$CALL", &call);
        let status = typed(&format!("{command} -o '{}' -w '%{{http_code}}'", folder.file("answer")));
        // A call that is up has no record yet, a built-in bot leaves no transcript, and the wire log is off.
        let missing = ["/record", "/transcript", "/ladder"];
        let expected = if missing.iter().any(|end| command.ends_with(end)) { "404" } else { "2" };
        let answer = std::fs::read_to_string(folder.file("answer")).unwrap_or_default();
        assert!(status.starts_with(expected), "{status} for {command}: {answer}");
    }
    assert!(gateway.stop().await.success());
}

/// What a command line prints.
fn typed(command: &str) -> String {
    let done =
        std::process::Command::new("sh").args(["-c", command]).env("PATCHCORD_KEY", "none").output().unwrap();
    String::from_utf8(done.stdout).unwrap()
}

/// The number of the example may be dialled, at a port where nobody is.
const SETTINGS: &str = "\
[[trunks]]\nname = \"nobody\"\nhost = \"127.0.0.1\"\nport = 9\ntransport = \"udp\"\nallow = [\"98*\"]\ncaller_ids = [\"7415100898\"]\n";
