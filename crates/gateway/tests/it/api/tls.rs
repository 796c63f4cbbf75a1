//! The HTTP port with TLS: the API, a vendor's WebSocket, and another certificate without a restart.

use std::path::PathBuf;
use std::sync::Arc;

use futures_util::{SinkExt, StreamExt};
use patchcord::config::Config;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::tungstenite::Message;

use super::client::{Ask, talk};
use crate::serve::Gateway;

/// Certificate and key in files of their own, gone with it.
struct Files {
    folder: PathBuf,
    certificate: CertificateDer<'static>,
}

impl Files {
    fn draw(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("patchcord-https-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let own = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        std::fs::write(folder.join("cert.pem"), own.cert.pem()).unwrap();
        std::fs::write(folder.join("key.pem"), own.signing_key.serialize_pem()).unwrap();
        Self { folder, certificate: own.cert.der().clone() }
    }

    fn settings(&self) -> String {
        let file = |name| self.folder.join(name);
        format!("[http.tls]\ncert = {:?}\nkey = {:?}\n", file("cert.pem"), file("key.pem"))
    }

    async fn connect(&self, address: &str) -> std::io::Result<TlsStream<TcpStream>> {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.clone()).unwrap();
        let config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        let stream = TcpStream::connect(address).await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        TlsConnector::from(Arc::new(config)).connect(name, stream).await
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

const HEALTH: Ask<'_> = Ask { method: "GET", path: "/health", headers: "", body: "" };

#[tokio::test]
async fn the_api_speaks_tls_and_a_new_certificate_takes_effect_without_a_restart() {
    patchcord::net::install_crypto();
    let (first, second) = (Files::draw("first"), Files::draw("second"));
    let gateway = Gateway::start(&first.settings()).await;
    let address = gateway.http();
    let answer = talk(first.connect(&address).await.unwrap(), "localhost", HEALTH).await;
    assert_eq!(answer.status, 200);
    assert!(second.connect(&address).await.is_err(), "any certificate will do");
    gateway.reload(&second.settings());
    assert!(first.connect(&address).await.is_err(), "the former certificate is shown");
    let answer = talk(second.connect(&address).await.unwrap(), "localhost", HEALTH).await;
    assert_eq!(answer.status, 200);
    let broken = "[http.tls]\ncert = \"nowhere.pem\"\nkey = \"nowhere.pem\"\n";
    gateway.reload(broken);
    assert!(second.connect(&address).await.is_ok(), "a file that is gone takes the port along");
    gateway.stop().await;
}

#[tokio::test]
async fn a_vendors_call_goes_through_tls() {
    patchcord::net::install_crypto();
    let files = Files::draw("vendor");
    let gateway = Gateway::start(&files.settings()).await;
    let stream = files.connect(&gateway.http()).await.unwrap();
    let request = "wss://localhost/ws/smartpbx/echo";
    let (mut socket, _) = tokio_tungstenite::client_async(request, stream).await.unwrap();
    socket.send(Message::text(START)).await.unwrap();
    let audio = format!(
        "{{\"event\":\"media\",\"media\":{{\"payload\":\"{}\"}}}}",
        base64_simd::STANDARD.encode_to_string([0x21; 640])
    );
    let heard = async {
        loop {
            socket.send(Message::text(audio.as_str())).await.unwrap();
            match socket.next().await.unwrap().unwrap() {
                Message::Text(text) if text.contains("\"media\"") => return,
                _ => {}
            }
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(10), heard).await.unwrap();
    socket.close(None).await.unwrap();
    assert_eq!(gateway.stop().await.len(), 1);
}

#[tokio::test]
async fn a_certificate_that_is_not_there_stops_the_start_and_names_its_key() {
    let folder = std::env::temp_dir().join(format!("patchcord-no-cert-{}", std::process::id()));
    let text = format!(
        "[server]\ndata_dir = {folder:?}\n[http]\nlisten = \"127.0.0.1:0\"\ntls = {{ cert = \"nowhere.pem\", key = \"k.pem\" }}\n\
         [sip]\nlisten = [\"udp:127.0.0.1:0\"]\n"
    );
    let config = Config::parse(&text).unwrap();
    match patchcord::app::App::start(config, patchcord::app::Parts::All).await {
        Err(error) => assert!(error.to_string().starts_with("http.tls.cert: nowhere.pem "), "{error}"),
        Ok(_) => panic!("it started without a certificate"),
    }
}

/// The beginning of a call in smartpbx.
const START: &str = r#"{"event":"start","start":{"callId":"call_1","otherLegCallId":"call_2","callerIdNumber":"+1234567890","calleeIdNumber":"+1234567891","accountId":"a","mediaFormat":{"encoding":"pcm16","sampleRate":24000}}}"#;
