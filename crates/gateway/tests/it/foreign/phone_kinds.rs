//! Phones of every kind that is out there: each dials `echo` and hears itself.

use std::net::UdpSocket;
use std::time::Duration;

use futures_util::future::join_all;

use super::course::{Course, End};
use super::folder::Folder;
use super::gateway::Gateway;
use super::phone::{self, Dial};
use super::program::Program;
use super::report::{Row, conclude};
use super::{is_wanted, sound};

/// A phone, and how well it has to hear itself.
struct Kind {
    name: &'static str,
    codec: &'static str,
    /// The socket that it dials.
    socket: &'static str,
    options: &'static [&'static str],
    correlation: f64,
}

#[tokio::test]
async fn every_kind_of_phone_hears_itself() {
    let folder = Folder::new("kinds");
    let course = Course::new();
    let seconds = course.caller_seconds(End::Caller);
    let has_ipv6 = UdpSocket::bind("[::1]:0").is_ok();
    let more: &[&str] = if has_ipv6 { &["tls:127.0.0.1:0", "udp:[::1]:0"] } else { &["tls:127.0.0.1:0"] };
    let settings = certificate(&folder).await;
    let gateway = Gateway::start_on(folder.path(), more, &settings).await;
    let kinds =
        KINDS.iter().filter(|kind| is_wanted(kind.name) && (has_ipv6 || !kind.socket.contains("::1")));
    let calls = kinds.map(|kind| kind.call(&gateway, &folder, seconds));
    let rows = join_all(calls).await;
    conclude("phones", &["hears itself", "delay", "cause"], &rows, &gateway.log());
    assert!(gateway.stop().await.success());
}

/// Makes a certificate, `cert.pem`, that is its own authority; the settings that have it shown.
async fn certificate(folder: &Folder) -> String {
    let arguments = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout key.pem -out cert.pem \
                     -days 2 -subj /CN=127.0.0.1 -addext subjectAltName=IP:127.0.0.1";
    let openssl = Program::start("openssl", "openssl", arguments.split_whitespace(), folder.path());
    assert!(openssl.finish(CERTIFICATE_MAX).await.1.success());
    format!("tls = {{ cert = \"{}\", key = \"{}\" }}\n", folder.file("cert.pem"), folder.file("key.pem"))
}

impl Kind {
    async fn call(&self, gateway: &Gateway, folder: &Folder, seconds: f64) -> Row {
        let mut row = Row::new(self.name);
        let heard = folder.file(&format!("{}.wav", self.name));
        let dial = Dial {
            from: self.name,
            codec: self.codec,
            options: self
                .options
                .iter()
                .map(|option| option.replace(CERTIFICATE, &folder.file(CERTIFICATE)))
                .collect(),
            ..Dial::new(gateway.sip_uri_on(self.socket, "echo"), seconds, &heard)
        };
        let call = phone::call(self.name, &dial, folder.path()).await;
        row.expect(call.summary["ok"] == true, format!("the phone: {} {:?}", call.summary, call.events));
        let sound = sound::judge(&heard, 0.0, None).await;
        row.cell(format!("{:.4} {:.2} %", sound.correlation(), sound.silent()));
        let good = sound.correlation() >= self.correlation && sound.silent() <= 0.5;
        row.expect(good, format!("did not hear itself well: {sound:?}"));
        row.cell(format!("{:.0} ms", sound.delay_ms()));
        row.cause(gateway.record("from", self.name).await, End::Caller.cause());
        row
    }
}

const CERTIFICATE: &str = "cert.pem";
const CERTIFICATE_MAX: Duration = Duration::from_secs(30);

const fn kind(name: &'static str, codec: &'static str) -> Kind {
    Kind { name, codec, socket: "udp:127.0.0.1:", options: &[], correlation: 0.99 }
}

const KINDS: &[Kind] = &[
    kind("pcmu", "PCMU"),
    kind("pcma", "PCMA"),
    Kind { socket: "tcp:127.0.0.1:", ..kind("tcp", "PCMU") },
    Kind { socket: "tls:127.0.0.1:", options: &["--tls", CERTIFICATE], ..kind("tls", "PCMU") },
    Kind {
        socket: "tls:127.0.0.1:",
        options: &["--tls", CERTIFICATE, "--srtp", "needed"],
        ..kind("tls-and-srtp", "PCMA")
    },
    Kind { socket: "udp:[::1]:", options: &["--ipv6"], ..kind("ipv6", "PCMU") },
];
