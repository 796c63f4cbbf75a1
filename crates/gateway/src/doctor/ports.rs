//! Ports: free for a start, or held by the server that runs.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket as StdUdpSocket};
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::time::timeout;

use super::Check;
use crate::calls::CALLS_MAX;
use crate::config::{Config, RtpPorts, SipListen, SipTransport};

/// Every port of the configuration; `is_running` when a server answers at its HTTP port.
pub async fn all(config: &Config, is_running: bool) -> Vec<Check> {
    let mut checks = vec![tcp("http.listen".to_owned(), config.http.listen, is_running)];
    for socket in &config.sip.listen {
        checks.push(match socket.transport {
            SipTransport::Udp => sip_udp(socket, is_running).await,
            _ => tcp("sip.listen".to_owned(), socket.address, is_running),
        });
    }
    for (index, listener) in config.listeners.iter().enumerate() {
        checks.push(tcp(format!("listeners[{index}].listen"), listener.listen, is_running));
    }
    checks.extend(rtp(&config.sip.rtp_ports));
    checks
}

fn tcp(key: String, address: SocketAddr, is_running: bool) -> Check {
    judge(key, format!("tcp {address}"), TcpListener::bind(address).map(drop), is_running)
}

async fn sip_udp(socket: &SipListen, is_running: bool) -> Check {
    let address = socket.address;
    let shown = format!("udp {address}");
    let bound = StdUdpSocket::bind(address).map(drop);
    let is_taken = bound.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::AddrInUse);
    if is_taken && let Some(server) = ask_sip(address).await {
        return if server.starts_with("Patchcord/") {
            Check::ok("ports", "sip.listen", format!("{shown}: {server} answers"))
        } else {
            taken("sip.listen".to_owned(), format!("{shown} is held by another SIP program"))
        };
    }
    judge("sip.listen".to_owned(), shown, bound, is_running)
}

fn judge(key: String, shown: String, bound: io::Result<()>, is_running: bool) -> Check {
    match bound {
        Ok(()) if shown.ends_with(":0") => Check::ok("ports", key, format!("{shown}: any free port")),
        Ok(()) if is_running => {
            let cure = format!("restart the server, or take {key} back in the file");
            Check::warn(
                "ports",
                key,
                format!("{shown} is free, but the server that runs should hold it"),
                cure,
            )
        }
        Ok(()) => Check::ok("ports", key, format!("{shown} is free")),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse && is_running => {
            Check::ok("ports", key, format!("{shown} is taken, as it should be while the server runs"))
        }
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            taken(key, format!("{shown} is held by another program"))
        }
        Err(error) => {
            let cure = match error.kind() {
                io::ErrorKind::PermissionDenied => format!("set {key} to a port from 1024"),
                io::ErrorKind::AddrNotAvailable => format!("set {key} to an address that this machine has"),
                _ => format!("change {key}"),
            };
            Check::fail("ports", key, format!("{shown} cannot be opened: {error}"), cure)
        }
    }
}

fn taken(key: String, found: String) -> Check {
    let cure = format!("stop that program, or set {key} to another port");
    Check::fail("ports", key, found, cure)
}

/// What the SIP program at `address` calls itself, if one answers OPTIONS (RFC 3261 §11).
async fn ask_sip(address: SocketAddr) -> Option<String> {
    let local = if address.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let socket = UdpSocket::bind(local).await.ok()?;
    let target = match address.ip() {
        ip if ip.is_unspecified() => SocketAddr::new(Ipv4Addr::LOCALHOST.into(), address.port()),
        _ => address,
    };
    socket.connect(target).await.ok()?;
    let own = socket.local_addr().ok()?;
    let mut mark = [0; 8];
    getrandom::fill(&mut mark).ok()?;
    let mark = u64::from_be_bytes(mark);
    let request = format!(
        "OPTIONS sip:{target} SIP/2.0\r\nVia: SIP/2.0/UDP {own};branch=z9hG4bK{mark:x};rport\r\n\
         Max-Forwards: 1\r\nFrom: <sip:doctor@{own}>;tag={mark:x}\r\nTo: <sip:{target}>\r\n\
         Call-ID: {mark:x}\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
    );
    socket.send(request.as_bytes()).await.ok()?;
    let mut answer = [0; ANSWER_BYTES_MAX];
    let length = timeout(SIP_PATIENCE, socket.recv(&mut answer)).await.ok()?.ok()?;
    let text = String::from_utf8_lossy(answer.get(..length)?).into_owned();
    let named = text.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        ["server", "user-agent"].contains(&name.trim().to_ascii_lowercase().as_str()).then(|| value.trim())
    });
    text.starts_with("SIP/2.0 ").then(|| named.unwrap_or("a SIP program").to_owned())
}

fn rtp(ports: &RtpPorts) -> Vec<Check> {
    let pairs: Vec<u16> = ports.pairs().collect();
    let shown = format!("{}-{}", ports.first, ports.last);
    let calls = pairs.len();
    let found = format!("{shown}: room for {calls} calls at a time");
    let mut checks = vec![if calls < CALLS_MAX {
        let cure = format!("widen sip.rtp_ports to {} ports for {CALLS_MAX} calls", CALLS_MAX * 2);
        Check::warn("ports", "sip.rtp_ports", found, cure)
    } else {
        Check::ok("ports", "sip.rtp_ports", found)
    }];
    let step = pairs.len().div_ceil(RTP_TRIED).max(1);
    let tried: Vec<u16> = pairs.iter().copied().step_by(step).collect();
    let busy =
        tried.iter().filter(|port| StdUdpSocket::bind((Ipv4Addr::UNSPECIFIED, **port)).is_err()).count();
    if busy * 2 > tried.len() {
        let found = format!("{busy} of {} ports of the range that were tried are taken", tried.len());
        let cure = "set sip.rtp_ports to a range that no other program uses";
        checks.push(Check::warn("ports", "sip.rtp_ports", found, cure));
    }
    checks.extend(drawn_ports().filter(|drawn| drawn.0 <= ports.last && ports.first <= drawn.1).map(
        |drawn| {
            let found = format!(
                "{shown} overlaps {}-{}, from which the system gives ports to any program",
                drawn.0, drawn.1
            );
            let cure = format!(
                "sysctl -w net.ipv4.ip_local_reserved_ports={shown}, or set sip.rtp_ports to a range outside"
            );
            Check::warn("ports", "sip.rtp_ports", found, cure)
        },
    ));
    checks
}

/// The ports from which the system draws; `None` where it does not say.
fn drawn_ports() -> Option<(u16, u16)> {
    let text = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").ok()?;
    let mut words = text.split_whitespace().map(str::parse);
    Some((words.next()?.ok()?, words.next()?.ok()?))
}

/// How long a SIP program of this machine may take to answer.
const SIP_PATIENCE: Duration = Duration::from_millis(500);

/// Bytes of a SIP answer that are read.
const ANSWER_BYTES_MAX: usize = 4_096;

/// Ports of the range that are tried.
const RTP_TRIED: usize = 64;

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;

    #[test]
    fn a_taken_port_is_ours_while_the_server_runs_and_anothers_otherwise() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap();
        assert_eq!(tcp("http.listen".to_owned(), address, true).verdict, Verdict::Ok);
        let check = tcp("http.listen".to_owned(), address, false);
        assert_eq!(check.verdict, Verdict::Fail);
        assert!(check.cure.unwrap().contains("http.listen"));
        drop(taken);
        assert_eq!(tcp("http.listen".to_owned(), address, false).verdict, Verdict::Ok);
        assert_eq!(tcp("http.listen".to_owned(), address, true).verdict, Verdict::Warn);
    }

    #[test]
    fn an_address_of_another_machine_is_told_as_such() {
        let check = tcp("http.listen".to_owned(), "192.0.2.1:8080".parse().unwrap(), false);
        assert_eq!(check.verdict, Verdict::Fail);
        assert!(check.cure.unwrap().contains("an address that this machine has"));
    }

    #[test]
    fn a_range_with_less_room_than_calls_is_a_warning() {
        let few = rtp(&RtpPorts { first: 20_000, last: 20_019 });
        assert_eq!((few[0].verdict, few[0].found.contains("10 calls")), (Verdict::Warn, true), "{few:?}");
        let many = rtp(&RtpPorts { first: 20_000, last: 29_999 });
        assert_eq!(many[0].verdict, Verdict::Ok, "{many:?}");
    }
}
