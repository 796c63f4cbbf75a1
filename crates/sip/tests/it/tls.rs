//! SIP over TLS: calls both ways, whom we trust, and peers that never finish a handshake.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use patchcord_sip::{ListenAddr, SipAgent, SipConfig, SipError, SipLimits, SipTls};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore, ServerConfig};

use crate::support::*;

/// An authority that certifies these names, and what its holder and its friends use.
pub fn tls_for(names: &[&str]) -> SipTls {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let own = rcgen::generate_simple_self_signed(names).unwrap();
    let certificate = CertificateDer::from(own.cert.der().to_vec());
    let key = PrivateKeyDer::try_from(own.signing_key.serialize_der()).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(certificate.clone()).unwrap();
    let provider = || Arc::new(rustls::crypto::ring::default_provider());
    let server =
        ServerConfig::builder_with_provider(provider()).with_safe_default_protocol_versions().unwrap();
    let client =
        ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions().unwrap();
    SipTls {
        server: Some(Arc::new(
            server.with_no_client_auth().with_single_cert(vec![certificate], key).unwrap(),
        )),
        client: Arc::new(client.with_root_certificates(roots).with_no_client_auth()),
    }
}

pub async fn secured(tls: &SipTls, host: &str, limits: SipLimits) -> (Fixture, SocketAddr) {
    let any: SocketAddr = format!("{host}:0").parse().unwrap();
    let config = SipConfig {
        listen: vec![ListenAddr::Udp(any), ListenAddr::Tcp(any), ListenAddr::Tls(any)],
        limits,
        tls: Some(tls.clone()),
        ..SipConfig::default()
    };
    let here = Fixture::with_config(config).await;
    let bound = here.agent.local_addrs();
    (here, bound[2].addr())
}

#[tokio::test]
async fn calls_work_over_tls_by_both_spellings_and_over_ipv6() {
    let tls = tls_for(&["127.0.0.1", "::1", "localhost"]);
    for host in ["127.0.0.1", "[::1]"] {
        let (mut here, at) = secured(&tls, host, SipLimits::default()).await;
        call_works(&here.agent, &format!("sips:echo@{at}")).await;
        call_works(&here.agent, &format!("sip:echo@{at};transport=tls")).await;
        here.logged("ended remote").await;
    }
}

#[tokio::test]
async fn a_peer_that_cannot_prove_its_name_is_not_called() {
    let (other, friend) = (tls_for(&["other.example.com"]), tls_for(&["127.0.0.1"]));
    for (holder, caller) in [(&other, &other), (&friend, &other)] {
        let (_here, at) = secured(holder, "127.0.0.1", SipLimits::default()).await;
        let (there, _) = secured(caller, "127.0.0.1", SipLimits::default()).await;
        let refused = there.agent.invite(request_to(&format!("sips:echo@{at}"))).await;
        assert!(matches!(refused, Err(SipError::Unreachable(_))), "{:?}", refused.err());
        assert_eq!(there.agent.counters().machine.calls_out, 0);
    }
}

#[tokio::test]
async fn without_a_certificate_there_is_no_tls_port_and_without_tls_no_tls_call() {
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let listen = vec![ListenAddr::Tls(any)];
    let refused = SipAgent::bind(SipConfig { listen, ..SipConfig::default() }).await.err().unwrap();
    assert!(refused.to_string().contains("needs a certificate"), "{refused}");
    let here = Fixture::start().await;
    let refused = here.agent.invite(request_to("sips:echo@127.0.0.1:1")).await;
    assert!(matches!(refused, Err(SipError::NoTransport)));
}

#[tokio::test]
async fn a_peer_that_never_shakes_hands_or_speaks_plainly_loses_its_place() {
    let limits = SipLimits { tcp_message_timeout: Duration::from_millis(300), ..SipLimits::default() };
    let (here, at) = secured(&tls_for(&["127.0.0.1"]), "127.0.0.1", limits).await;
    let mut silent = RawTcp::to(at).await;
    let mut plain = RawTcp::to(at).await;
    plain.send(request("OPTIONS", "echo", "plain", 1, None, "", "").as_bytes()).await;
    assert!(plain.is_closed_within(DEADLINE).await && silent.is_closed_within(DEADLINE).await);
    let counters = here.agent.counters();
    assert_eq!((counters.connections_refused, counters.stream_messages), (2, 0));
    call_works(&here.agent, &format!("sips:echo@{at}")).await;
}
