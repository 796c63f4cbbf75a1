//! `patchcord` in an empty folder, on a taken port, and at SIGTERM.

use std::net::{TcpListener, UdpSocket};
use std::time::{Duration, Instant};

use super::folder::Folder;
use super::gateway::{Gateway, binary};
use super::phone::{self, Dial};
use super::program::Program;
use super::{ask, sipp, sound};

#[tokio::test]
async fn an_empty_folder_and_no_file_are_enough_for_a_phone_to_hear_itself() {
    let folder = Folder::new("empty");
    let work = Folder::new("empty-phone");
    // Free ports: those of the defaults may be taken on the machine of the test.
    let environment = [
        ("PATCHCORD_HTTP__LISTEN", "127.0.0.1:0".to_owned()),
        ("PATCHCORD_SIP__LISTEN", "udp:127.0.0.1:0".to_owned()),
    ];
    let nothing: [&str; 0] = [];
    let began = Instant::now();
    let program = Program::start_with("serve", binary(), nothing, folder.path(), &environment);
    let target = ask::until(Duration::from_secs(10), || {
        let talk = program.talk();
        // The line is whole once its end is there.
        let line =
            talk.split_inclusive('\n').find(|line| line.contains("sip:echo@") && line.ends_with('\n'))?;
        line.split_whitespace().find(|word| word.starts_with("sip:echo@")).map(str::to_owned)
    });
    let target = target.await.unwrap_or_else(|| panic!("no banner: {}", program.talk()));
    let ready = began.elapsed();
    eprintln!("ready after {ready:?}, says\n{}", program.talk());
    assert!(ready <= Duration::from_secs(1), "ready after {ready:?}");

    let heard = work.file("heard.wav");
    let call = phone::call("phone", &Dial::new(target, 6.0, &heard), work.path()).await;
    assert_eq!(call.summary["ok"], true, "{}", call.summary);
    let hearing = sound::judge(&heard, 0.0, None).await;
    assert!(hearing.is_good(), "{hearing:?}");

    let lines = program.talk().lines().filter(|line| !line.starts_with('{')).count();
    assert!(lines <= 10, "the banner has {lines} lines");
    let made: Vec<_> =
        std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(made.len(), 2, "the data folder and what the test wrote: {made:?}");
    program.terminate();
    assert!(program.finish(Duration::from_secs(10)).await.1.success());
}

#[tokio::test]
async fn a_taken_port_ends_the_start_with_three_and_the_key_that_changes_it() {
    let folder = Folder::new("taken");
    let (taken_http, taken_sip) =
        (TcpListener::bind("127.0.0.1:0").unwrap(), UdpSocket::bind("127.0.0.1:0").unwrap());
    let (http, sip) = (taken_http.local_addr().unwrap(), taken_sip.local_addr().unwrap());
    let cases = [
        (
            "http.listen",
            "PATCHCORD_HTTP__LISTEN",
            [
                ("PATCHCORD_HTTP__LISTEN", http.to_string()),
                ("PATCHCORD_SIP__LISTEN", "udp:127.0.0.1:0".to_owned()),
            ],
        ),
        (
            "sip.listen",
            "PATCHCORD_SIP__LISTEN",
            [
                ("PATCHCORD_HTTP__LISTEN", "127.0.0.1:0".to_owned()),
                ("PATCHCORD_SIP__LISTEN", format!("udp:{sip}")),
            ],
        ),
    ];
    for (key, variable, environment) in cases {
        let program = Program::start_with(key, binary(), ["serve"], folder.path(), &environment);
        let file = folder.file(&format!("{key}.err"));
        let (lines, status) = program.finish(Duration::from_secs(10)).await;
        let talk = std::fs::read_to_string(file).unwrap();
        assert_eq!((status.code(), lines.len()), (Some(3), 0), "{talk}");
        let port = if key == "http.listen" { http.port() } else { sip.port() };
        for word in [key, variable, &port.to_string()] {
            assert!(talk.contains(word), "{word} is not in:\n{talk}");
        }
    }
}

#[tokio::test]
async fn at_sigterm_new_calls_are_refused_and_running_ones_end_with_a_record() {
    let folder = Folder::new("drain");
    let gateway = Gateway::start(folder.path(), "").await;
    let heard = folder.file("heard.wav");
    let dial = Dial { hung_up_by_them: true, ..Dial::new(gateway.sip_uri("echo"), 40.0, &heard) };
    let call = phone::call("phone", &dial, folder.path());
    let end = async {
        let talking =
            ask::until(Duration::from_secs(30), || gateway.log().contains("call answered").then_some(()));
        talking.await.unwrap_or_else(|| panic!("no call: {}", gateway.log()));
        gateway.terminate();
        let stopping =
            ask::until(Duration::from_secs(5), || gateway.log().contains("stopping").then_some(()));
        stopping.await.unwrap_or_else(|| panic!("no end: {}", gateway.log()));
        sipp::run("full", "echo", gateway.sip, &["5", "10"], folder.path()).await;
    };
    let (call, ()) = tokio::join!(call, end);
    assert_eq!(call.summary["ok"], true, "{}", call.summary);
    let records = gateway.records_when(6).await;
    let reasons = |class: &str, reason: &str| {
        records
            .iter()
            .filter(|row| row["cause"]["class"] == class && row["cause"]["reason"] == reason)
            .count()
    };
    assert_eq!(reasons("us", "drained"), 6, "{records:?}");
    let answered = records.iter().filter(|row| row["disposition"] == "ANSWERED").count();
    assert_eq!(answered, 1, "the call that was up is recorded as answered");
    assert!(gateway.stop().await.success());
}
