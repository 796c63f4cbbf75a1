//! Kamailio as the proxy of a carrier: we register with it by SHA-256, call through it, and are called through it.

use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use patchcord_sip::trunk::{LineSettings, Reach, RegistrationState};
use patchcord_sip::{Transport, TrunkLine};
use tokio::time::timeout;

use crate::sipp::{free_port, scenario, sipp, tempdir};
use crate::support::*;
use crate::trunks::{Names, Running, call_by, settings_of};

/// The proxy in the foreground, with its children; ended by its own signal.
struct Kamailio {
    process: Child,
    folder: std::path::PathBuf,
}

impl Kamailio {
    /// Listens on `port`, and sends what is dialled to the phone on the other one.
    fn start(port: u16, phone: u16) -> Self {
        let folder = tempdir();
        let template = include_str!("../kamailio/carrier.cfg");
        let config = template.replace("@PORT@", &port.to_string()).replace("@PHONE@", &phone.to_string());
        let file = folder.join("carrier.cfg");
        std::fs::write(&file, config).unwrap();
        let mut command = Command::new("kamailio");
        command.args(["-DD", "-E", "-m", "32", "-M", "4", "-f"]).arg(&file).arg("-Y").arg(&folder);
        command.arg("-P").arg(folder.join("kamailio.pid"));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let process = command.spawn().unwrap_or_else(|error| {
            panic!("cannot run kamailio ({error}): install it, on Debian with `apt-get install kamailio`")
        });
        Self { process, folder }
    }
}

impl Drop for Kamailio {
    fn drop(&mut self) {
        // By SIGTERM it takes its children along.
        Command::new("kill").arg(self.process.id().to_string()).status().ok();
        self.process.wait().ok();
        std::fs::remove_dir_all(&self.folder).ok();
    }
}

#[tokio::test]
async fn we_register_with_a_foreign_proxy_call_through_it_and_are_called_through_it() {
    for (transport, name, mode) in [(Transport::Udp, "_sip._udp", "u1"), (Transport::Tcp, "_sip._tcp", "t1")]
    {
        let (port, phone) = (free_port(), free_port());
        let _proxy = Kamailio::start(port, phone);
        let here = Fixture::start().await;
        let settings = LineSettings {
            registration: Some(Duration::from_secs(600)),
            options_interval: Some(Duration::from_secs(5)),
            ..settings_of("echo", transport, "hunter2")
        };
        let (udp, agent) = (here.udp, Arc::new(here.agent));
        let line = Arc::new(TrunkLine::new(agent, Names::at(name, &[port]), settings));
        let running = Running::begin(line.clone());
        running
            .status(|status| {
                let is_registered =
                    status.registration.is_some_and(|(state, _)| state == RegistrationState::Registered);
                is_registered && status.reach == Reach::Up
            })
            .await;
        // Out: the proxy challenges the INVITE and stays in the dialog.
        let number = phone.to_string();
        let phone = scenario("phone.xml");
        let taking = ["-sf", phone.as_str(), "-m", "2", "-p", &number];
        let calls = async {
            call_by(&line).await;
            call_by(&line).await;
        };
        timeout(Duration::from_secs(60), async { tokio::join!(sipp(&taking, udp), calls) }).await.unwrap();
        // In: to the contact that we registered.
        let file = scenario("call-by-proxy.xml");
        let calling = ["-sf", file.as_str(), "-s", "echo", "-m", "3", "-t", mode];
        sipp(&calling, ([127, 0, 0, 1], port).into()).await;
        running.stop().await;
    }
}
