//! The judges themselves: each is shown to find what is wrong.

use std::time::Duration;

use super::folder::Folder;
use super::program::Program;
use super::{is_long, peer};

/// The oracle on damage of known size; in long runs also every peer against gateways that are wrong in one way.
#[tokio::test]
async fn the_peers_find_what_is_wrong() {
    let folder = Folder::new("selftest");
    let script = peer("selftest.py").display().to_string();
    let mut arguments = vec![script.as_str()];
    if !is_long() {
        arguments.extend(["--only", "oracle:"]);
    }
    let selftest = Program::start("selftest", peer(".venv/bin/python"), arguments, folder.path());
    let (lines, status) = selftest.finish(Duration::from_secs(240)).await;
    assert!(status.success() && !lines.is_empty(), "{lines:#?}");
}
