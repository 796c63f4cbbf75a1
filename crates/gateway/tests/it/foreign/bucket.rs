//! Recordings go to a store that nobody here wrote, which reckons every signature anew, refuses at first, and gives them back.

use std::time::Duration;

use serde_json::{Value, json};

use super::folder::Folder;
use super::gateway::Gateway;
use super::program::Program;
use super::recordings::recordings;
use super::{ask, peer, sipp};

#[tokio::test]
async fn recordings_move_to_a_foreign_bucket_are_linked_to_and_are_deleted_there() {
    let folder = Folder::new("bucket");
    let (script, objects) = (peer("python/bucket.py").display().to_string(), folder.file("objects"));
    std::fs::create_dir(&objects).unwrap();
    let keys = ["--access-key", "planted-access", "--secret-key", SECRET];
    let own = [&*script, "--folder", &objects, "--refuse", "1"];
    let arguments = own.iter().chain(keys.iter());
    let mut store = Program::start("bucket", peer(".venv/bin/python"), arguments, folder.path());
    let port = store.line_after("LISTENING ", Duration::from_secs(20)).await;
    let settings = format!(
        "[[numbers]]\nnumber = \"1\"\nbot = \"echo\"\nrecording = true\n\
         [storage]\nrecordings = \"s3://calls/kept-here\"\n\
         [storage.s3]\nendpoint = \"http://127.0.0.1:{port}\"\nregion = \"eu-west-1\"\n\
         access_key = \"planted-access\"\nsecret_key = \"{SECRET}\"\n"
    );
    let gateway = Gateway::start(folder.path(), &settings).await;
    sipp::run("call", "1", gateway.sip, &["2", "2", "1500"], folder.path()).await;
    let records = gateway.records_when(2).await;
    let mut puts = Vec::new();
    while puts.len() < 3 {
        let got = store.json_after("GOT ", Duration::from_secs(30)).await;
        assert_eq!(got["bad"], json!([]), "{got}");
        puts.extend((got["method"] == "PUT").then(|| got["status"].clone()));
    }
    assert_eq!(puts, [503, 200, 200], "what was refused came again");

    let path = format!("/calls/{}/recording", records[0]["call_id"].as_str().unwrap());
    let moved = || Some(ask::get(gateway.http, &path)).filter(|answer| answer.starts_with("HTTP/1.1 307"));
    let answer = ask::until(Duration::from_secs(20), moved).await.expect("a link into the bucket");
    let link = answer.lines().find_map(|line| line.strip_prefix("location: ")).unwrap();
    let (host, object) = link.strip_prefix("http://").unwrap().split_once('/').unwrap();
    assert_eq!(ask::status(host.parse().unwrap(), &format!("/{object}")), 200, "{link}");
    assert!(!answer.contains(SECRET) && recordings(folder.path(), "wav").is_empty(), "{answer}");

    let (status, told) = ask::delete(gateway.http, &path);
    assert_eq!((status, &told["deleted"]), (200, &json!(1)), "{told}");
    assert_eq!(std::fs::read_dir(&objects).unwrap().count(), 1, "the other call's alone is left");
    assert_eq!(ask::status(gateway.http, &path), 410);
    let shown: Value = ask::json(gateway.http, path.trim_end_matches("/recording"));
    assert!(shown["deleted_at"].is_string(), "{shown}");
    assert!(!gateway.log().contains(SECRET));
    assert!(gateway.stop().await.success());
}

const SECRET: &str = "planted-secret-of-the-bucket";
