//! The phone side's line: trunks by network, early media, TLS, IPv6, ports that rest.

use std::net::SocketAddr;
use std::sync::Arc;

use futures_util::{SinkExt, StreamExt};
use patchcord_sip::sdp::{self, Direction, LocalSession};
use patchcord_sip::{InviteRequest, LegEvent, ListenAddr, OutgoingCall, SipAgent, SipConfig, SipTls};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{WebSocketStream, accept_async};

use super::phone::{PATIENCE, Phone, pcmu};
use super::{Gateway, cause};

type Socket = WebSocketStream<TcpStream>;

/// A bot's side of a call to it.
async fn called(bot: &TcpListener) -> Socket {
    accept_async(bot.accept().await.unwrap().0).await.unwrap()
}

/// The next text message of the gateway.
async fn message(socket: &mut Socket) -> Value {
    loop {
        if let Message::Text(text) = socket.next().await.expect("the gateway left").unwrap() {
            return serde_json::from_str(&text).unwrap();
        }
    }
}

#[tokio::test]
async fn a_trunk_gives_its_country_unless_the_number_has_one() {
    let trunk = "[[trunks]]\nname = \"carrier\"\naccept_from = [\"127.0.0.0/8\"]\ncountry = \"91\"\n";
    for (country, caller) in [("", "+911001"), ("country = \"44\"\n", "+441001")] {
        let bot = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = bot.local_addr().unwrap();
        let gateway = Gateway::start(&format!(
            "{trunk}[[numbers]]\nnumber = \"*\"\nbot = \"far\"\n{country}[bots.far]\nurl = \"ws://{url}/\"\ndialect = \"smartpbx\"\n"
        ))
        .await;
        let sip = gateway.sip();
        let codecs = [pcmu()];
        let (phone, mut socket) = tokio::join!(Phone::dial("07415100898", &sip, &codecs), called(&bot));
        let start = message(&mut socket).await;
        assert_eq!(start["start"]["callerIdNumber"], caller, "{start}");
        drop((phone, socket));
        gateway.stop_at_once().await;
    }
}

#[tokio::test]
async fn with_early_media_the_caller_hears_the_bot_before_the_call_is_answered() {
    let bot = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = bot.local_addr().unwrap();
    let gateway = Gateway::start(&format!(
        "[[numbers]]\nnumber = \"*\"\nbot = \"desk\"\nearly_media = true\n\
         [bots.desk]\nurl = \"ws://{url}/\"\ndialect = \"incoming-call\"\n"
    ))
    .await;
    let sip = gateway.sip();
    let codecs = [pcmu()];
    let (mut phone, mut socket) = tokio::join!(Phone::dial("1", &sip, &codecs), called(&bot));
    assert_eq!(message(&mut socket).await["event"], "incoming_call");
    let LegEvent::Ringing { sdp: Some(answer), .. } =
        phone.event(|event| matches!(event, LegEvent::Ringing { code: 183, .. })).await
    else {
        panic!("no description in the 183");
    };
    phone.remote = Some(sdp::parse(&answer).unwrap().audio().unwrap().media);
    socket.send(Message::Binary(vec![0x20; 16_000].into())).await.unwrap();
    let mut heard = Vec::new();
    phone
        .listen_until(&mut heard, |heard| {
            heard.iter().flatten().filter(|byte| **byte != 0xFF).count() > 4_000
        })
        .await;
    socket.send(Message::Text(json!({"event": "answer"}).to_string().into())).await.unwrap();
    let answered = phone.event(|event| matches!(event, LegEvent::Answered { .. })).await;
    assert!(matches!(answered, LegEvent::Answered { sdp: Some(sdp) } if sdp == answer));
    phone.hang_up().await;
    let records = gateway.stop().await;
    assert_eq!(cause(&records[0]), "completed/caller_hung_up");
}

/// Calls the echo at `target` and hears it.
async fn echo_answers(target: &str, config: SipConfig) {
    let (agent, _calls) = SipAgent::bind(config).await.unwrap();
    let ip = agent.local_ip_towards(target).await.unwrap();
    let rtp = UdpSocket::bind(SocketAddr::new(ip, 0)).await.unwrap();
    let offer = LocalSession::new(7, rtp.local_addr().unwrap()).offer(&[pcmu()], 20, Direction::SendRecv);
    let request = InviteRequest {
        target: target.to_owned(),
        from_user: "1001".to_owned(),
        from_display: String::new(),
        offer,
        headers: Vec::new(),
    };
    let OutgoingCall { leg, mut events, .. } = agent.invite(request).await.unwrap();
    let answer = loop {
        match timeout(PATIENCE, events.next()).await.unwrap() {
            Some(LegEvent::Answered { sdp: Some(answer) }) => break answer,
            Some(LegEvent::Trying | LegEvent::Ringing { .. }) => {}
            other => panic!("not answered: {other:?}"),
        }
    };
    let media = sdp::parse(&answer).unwrap().audio().unwrap().media;
    assert_eq!(media.ip(), ip, "what answers is where we called");
    let mut packet = [0x55; 172];
    packet[..12].copy_from_slice(&[0x80, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 7]);
    rtp.send_to(&packet, media).await.unwrap();
    let heard = async {
        let mut buffer = [0; 2_048];
        while rtp.recv(&mut buffer).await.unwrap() < 172 || !buffer[12..172].contains(&0x55) {}
    };
    timeout(PATIENCE, heard).await.expect("no echo");
    leg.hang_up(None).await.unwrap();
    agent.shutdown().await;
}

#[tokio::test]
async fn a_phone_calls_over_tls_and_trusts_the_certificate() {
    patchcord::net::install_crypto();
    let own = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
    let folder = std::env::temp_dir().join(format!("patchcord-tls-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let (cert, key) = (folder.join("cert.pem"), folder.join("key.pem"));
    std::fs::write(&cert, own.cert.pem()).unwrap();
    std::fs::write(&key, own.signing_key.serialize_pem()).unwrap();
    let tls = format!("tls = {{ cert = {cert:?}, key = {key:?} }}\n");
    let listen = r#"["udp:127.0.0.1:0", "tls:127.0.0.1:0"]"#;
    let gateway = Gateway::listening("patchcord", listen, &tls).await;
    let at = gateway.app.places().sip[1];
    assert!(matches!(at, ListenAddr::Tls(_)));
    let mut roots = rustls::RootCertStore::empty();
    roots.add(own.cert.der().clone()).unwrap();
    let client = rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    let tls = Some(SipTls { server: None, client: Arc::new(client) });
    echo_answers(
        &format!("sips:echo@{}", at.addr()),
        SipConfig { listen: Vec::new(), tls, ..SipConfig::default() },
    )
    .await;
    let records = gateway.stop().await;
    assert_eq!(cause(&records[0]), "completed/caller_hung_up");
    std::fs::remove_dir_all(&folder).unwrap();
}

#[tokio::test]
async fn a_phone_calls_over_ipv6_by_udp_and_tcp() {
    let gateway = Gateway::listening("patchcord", r#"["udp:[::1]:0", "tcp:[::1]:0"]"#, "").await;
    for place in gateway.app.places().sip.clone() {
        let (suffix, any) = match place {
            ListenAddr::Udp(_) => ("", ListenAddr::Udp("[::1]:0".parse().unwrap())),
            _ => (";transport=tcp", ListenAddr::Tcp("[::1]:0".parse().unwrap())),
        };
        let config = SipConfig { listen: vec![any], ..SipConfig::default() };
        echo_answers(&format!("sip:echo@{}{suffix}", place.addr()), config).await;
    }
    assert_eq!(gateway.stop().await.len(), 2);
}

#[tokio::test]
async fn a_certificate_that_cannot_be_read_is_named_by_its_key() {
    let file = "[sip]\nlisten = [\"tls:127.0.0.1:0\"]\ntls = { cert = \"/nonexistent.pem\", key = \"/nonexistent.key\" }\n\
                [http]\nlisten = \"127.0.0.1:0\"\n";
    let config = patchcord::config::Config::parse(file).unwrap();
    let refused = patchcord::app::App::start(config, patchcord::app::Parts::All).await.err().unwrap();
    assert!(refused.to_string().starts_with("sip.tls.cert: /nonexistent.pem"), "{refused}");
}
