//! Kamailio in front of us, with the configuration that `deploy/` offers: a server that is away is passed over.

use std::net::UdpSocket;
use std::path::Path;
use std::time::Duration;

use tokio::process::Command;

use super::folder::Folder;
use super::gateway::Gateway;
use super::phone::{self, Dial};
use super::program::Program;

#[tokio::test]
async fn kamailio_in_front_passes_a_dead_server_over_and_every_call_is_heard() {
    let folder = Folder::new("front-proxy");
    let gateway = Gateway::start(folder.path(), "").await;
    // A port that somebody holds and nobody reads, and one for the proxy, free at this moment.
    let dead = UdpSocket::bind("127.0.0.1:0").unwrap();
    let proxy = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let servers = folder.file("servers.list");
    let dead_at = dead.local_addr().unwrap();
    std::fs::write(&servers, format!("1 sip:{dead_at}\n1 sip:{}\n", gateway.sip)).unwrap();
    let offered = include_str!("../../../../../deploy/kamailio.cfg");
    let config = offered.replace("192.0.2.1:5060", &proxy.to_string());
    let config = config.replace("/etc/kamailio/servers.list", &servers);
    std::fs::write(folder.path().join("kamailio.cfg"), config).unwrap();
    let words = ["-DD", "-E", "-m", "32", "-M", "4", "-f", "kamailio.cfg", "-P", "kamailio.pid"];
    let runtime = folder.path().display().to_string();
    let _proxy = Program::start(
        "kamailio",
        kamailio(),
        words.into_iter().chain(["-Y", runtime.as_str()]),
        folder.path(),
    );
    answers(proxy).await;
    for call in 0..3 {
        let heard = folder.file(&format!("heard-{call}.wav"));
        let dial = Dial::new(format!("sip:echo@{proxy}"), 2.0, &heard);
        let call = phone::call(&format!("phone-{call}"), &dial, folder.path()).await;
        assert!(call.summary["ok"] == true, "{} {:?}\n{}", call.summary, call.events, gateway.log());
    }
    assert!(gateway.stop().await.success());
}

/// Waits until the proxy answers OPTIONS.
async fn answers(proxy: std::net::SocketAddr) {
    let socket = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let here = socket.local_addr().unwrap();
    let options = format!(
        "OPTIONS sip:{proxy} SIP/2.0\r\nVia: SIP/2.0/UDP {here};branch=z9hG4bKfront\r\nMax-Forwards: 70\r\n\
         From: <sip:test@{here}>;tag=1\r\nTo: <sip:{proxy}>\r\nCall-ID: front@test\r\nCSeq: 1 OPTIONS\r\n\
         Content-Length: 0\r\n\r\n"
    );
    let mut answer = [0; 2_048];
    for _ in 0..100 {
        // Refused while nobody listens yet: the next one is sent all the same.
        let _ = socket.send_to(options.as_bytes(), proxy).await;
        let heard = tokio::time::timeout(Duration::from_millis(200), socket.recv_from(&mut answer)).await;
        if let Ok(Ok((length, _))) = heard
            && answer[..length].starts_with(b"SIP/2.0 200")
        {
            return;
        }
    }
    panic!("kamailio does not answer");
}

#[tokio::test]
async fn the_unit_of_systemd_is_one_that_systemd_understands() {
    let unit = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/patchcord.service");
    let folder = Folder::new("unit");
    // The program and its user are not on this machine.
    let here = std::fs::read_to_string(unit).unwrap().replace("/usr/local/bin/patchcord", "/bin/true");
    let file = folder.path().join("patchcord.service");
    std::fs::write(&file, here).unwrap();
    let Ok(verified) = Command::new("systemd-analyze").arg("verify").arg(&file).output().await else {
        return;
    };
    let said = String::from_utf8_lossy(&verified.stderr);
    assert!(verified.status.success() && !said.contains("patchcord.service:"), "{said}");
}

/// Debian puts it where only root looks.
fn kamailio() -> &'static str {
    if Path::new("/usr/sbin/kamailio").exists() { "/usr/sbin/kamailio" } else { "kamailio" }
}
