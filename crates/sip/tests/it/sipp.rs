//! sipp as a foreign caller and callee (Debian: sip-tester).

use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use patchcord_sip::LegEvent;
use tokio::process::Command;

use crate::support::*;

/// Runs sipp against the agent; every call must succeed.
pub async fn sipp(arguments: &[&str], to: SocketAddr) {
    let folder = tempdir();
    let mut command = Command::new("sipp");
    command.args(arguments).args(["-i", "127.0.0.1", "-nostdin", "-trace_err", "-timeout", "60"]);
    command.arg(to.to_string()).current_dir(&folder).env("TERM", "dumb");
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true);
    let run = command.output().await.unwrap_or_else(|error| {
        panic!("cannot run sipp ({error}): install it, on Debian with `apt-get install sip-tester`")
    });
    let errors: String = std::fs::read_dir(&folder)
        .unwrap()
        .filter_map(|entry| std::fs::read_to_string(entry.unwrap().path()).ok())
        .collect();
    std::fs::remove_dir_all(&folder).unwrap();
    let stderr = String::from_utf8_lossy(&run.stderr);
    let shown: String = errors.chars().take(3000).collect();
    assert!(run.status.success(), "sipp {arguments:?}: {}\n{stderr}\n{shown}", run.status);
}

pub fn tempdir() -> std::path::PathBuf {
    let unique = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos();
    let folder = std::env::temp_dir().join(format!("patchcord-sipp-{}-{unique}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

/// A port that nobody has at the moment.
pub fn free_port() -> u16 {
    std::net::UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

pub fn scenario(name: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sipp").join(name).display().to_string()
}

#[tokio::test]
async fn two_hundred_calls_at_twenty_a_second_all_succeed() {
    let here = Fixture::start().await;
    sipp(&["-sn", "uac", "-s", "echo", "-m", "200", "-r", "20", "-d", "1000"], here.udp).await;
    let counters = here.agent.counters();
    assert_eq!(counters.machine.calls_in, 200);
    assert_eq!((counters.machine.refused_full, counters.machine.ack_timeouts), (0, 0));
    assert_eq!(counters.machine.legs, 0, "every leg is gone");
}

#[tokio::test]
async fn calls_over_tcp_succeed() {
    let here = Fixture::start().await;
    sipp(&["-sn", "uac", "-s", "echo", "-m", "40", "-r", "20", "-d", "200", "-t", "t1"], here.tcp).await;
    assert_eq!(here.agent.counters().machine.calls_in, 40);
}

#[tokio::test]
async fn calls_are_cancelled_while_they_ring() {
    let here = Fixture::start().await;
    sipp(&["-sf", &scenario("cancel.xml"), "-s", "ring", "-m", "20", "-r", "20"], here.udp).await;
    assert_eq!(here.agent.counters().machine.legs, 0);
}

#[tokio::test]
async fn calls_are_held_and_resumed() {
    let here = Fixture::start().await;
    sipp(&["-sf", &scenario("hold.xml"), "-s", "echo", "-m", "20", "-r", "20"], here.udp).await;
    sipp(&["-sf", &scenario("hold.xml"), "-s", "echo", "-m", "10", "-r", "20", "-t", "t1"], here.tcp).await;
    assert_eq!(here.agent.counters().machine.legs, 0);
}

#[tokio::test]
async fn early_media_is_confirmed_and_changed_before_the_answer() {
    let here = Fixture::start().await;
    sipp(&["-sf", &scenario("early.xml"), "-s", "early", "-m", "20", "-r", "20"], here.udp).await;
    sipp(&["-sf", &scenario("early.xml"), "-s", "early", "-m", "10", "-r", "20", "-t", "t1"], here.tcp).await;
    assert_eq!(here.agent.counters().machine.legs, 0);
}

#[tokio::test]
async fn sessions_are_timed_and_refreshed() {
    let here = Fixture::start().await;
    sipp(&["-sf", &scenario("timer.xml"), "-s", "echo", "-m", "20", "-r", "20"], here.udp).await;
    sipp(&["-sf", &scenario("timer.xml"), "-s", "echo", "-m", "10", "-r", "20", "-t", "t1"], here.tcp).await;
    assert_eq!(here.agent.counters().machine.legs, 0);
}

#[tokio::test]
async fn our_calls_are_taken_by_a_foreign_callee() {
    let here = Fixture::start().await;
    let port = free_port().to_string();
    let arguments = ["-sn", "uas", "-m", "50", "-p", &port];
    let target = format!("sip:service@127.0.0.1:{port}");
    let callee = sipp(&arguments, here.udp);
    let calls = async {
        for _ in 0..50 {
            let mut call = here.agent.invite(request_to(&target)).await.unwrap();
            while !matches!(next(&mut call.events).await, LegEvent::Answered { .. }) {}
            call.leg.hang_up(None).await.unwrap();
            assert!(next(&mut call.events).await.is_terminal());
        }
    };
    let both = async { tokio::join!(callee, calls) };
    tokio::time::timeout(Duration::from_secs(60), both).await.unwrap();
}
