//! Trunks: whether their names lead somewhere, and what a running server says of their carriers.

use std::net::IpAddr;

use patchcord_sip::trunk::{NameServer, locate};

use super::Check;
use crate::calls::line_settings;
use crate::config::{Config, SipTransport, Trunk};
use crate::net::Dns;

/// Every check of trunks; `metrics` is the page of the server that runs, if one does.
pub async fn all(config: &Config, metrics: Option<&str>) -> Vec<Check> {
    let names = Dns::system();
    let mut checks = Vec::new();
    for trunk in &config.trunks {
        let Some(settings) = line_settings(trunk) else { continue };
        let place = settings.proxy.as_ref().unwrap_or(&settings.carrier);
        checks.push(lookup(config, trunk, &names, place).await);
        checks.extend(metrics.and_then(|page| line(trunk, page)));
    }
    checks
}

/// Where the carrier is.
async fn lookup(
    config: &Config,
    trunk: &Trunk,
    names: &dyn NameServer,
    place: &patchcord_sip::trunk::Place,
) -> Check {
    use patchcord_sip::Transport::{Tcp, Tls, Udp};
    let subject = format!("{} at {}", trunk.name, place.host);
    let has_udp = config.sip.listen.iter().any(|socket| socket.transport == SipTransport::Udp);
    let usable = if has_udp { vec![Udp, Tcp, Tls] } else { vec![Tcp, Tls] };
    match locate(names, place, &usable, &mut |_| 0).await {
        Err(error) => {
            Check::fail("trunks", subject, error.to_string(), "set the trunk's host, or the DNS of it")
        }
        Ok(targets) => {
            let is_remote = |ip: IpAddr| !ip.to_canonical().is_loopback();
            let leaves = targets.iter().any(|target| target.transport == Udp && is_remote(target.addr.ip()));
            let udp = config.sip.listen.iter().filter(|socket| socket.transport == SipTransport::Udp);
            let stays = udp.clone().count() > 0 && !udp.clone().any(|socket| is_remote(socket.address.ip()));
            let ways: Vec<String> = targets.iter().map(ToString::to_string).collect();
            if leaves && stays {
                let found = format!("{}, but the UDP sockets of sip.listen are on loopback", ways.join(", "));
                return Check::fail("trunks", subject, found, "listen on \"udp:0.0.0.0:5060\"");
            }
            Check::ok("trunks", subject, ways.join(", "))
        }
    }
}

/// What the server says of the carrier.
fn line(trunk: &Trunk, page: &str) -> Option<Check> {
    let name = crate::calls::metric_label(&trunk.name);
    let is = |key: &str, labels: &str, value: &str| {
        page.lines().any(|line| line == format!("patchcord_trunk_{key}{{trunk=\"{name}\"{labels}}} {value}"))
    };
    let subject = trunk.name.as_str();
    let see = "see the server's log, and \"If it does not work\" in docs/trunks.md";
    if is("reach", ",reach=\"down\"", "1") {
        Some(Check::fail("trunks", subject, "the carrier does not answer", see))
    } else if is("registered", "", "0") {
        Some(Check::fail("trunks", subject, "the carrier did not take our registration", see))
    } else if is("registered", "", "1") {
        Some(Check::ok("trunks", subject, "the carrier answers and knows where we are"))
    } else if is("reach", ",reach=\"up\"", "1") {
        Some(Check::ok("trunks", subject, "the carrier answers"))
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;

    #[tokio::test]
    async fn a_trunk_by_address_is_found_and_one_that_loopback_cannot_reach_is_told() {
        let of = |listen: &str, host: &str| {
            let text = format!(
                "[sip]\nlisten = [\"{listen}\"]\naccept_from = []\n[[trunks]]\nname = \"c\"\nhost = \"{host}\"\n"
            );
            Config::parse(&text).unwrap()
        };
        for (listen, host, verdict) in [
            ("udp:0.0.0.0:5060", "203.0.113.7", Verdict::Ok),
            ("udp:127.0.0.1:5060", "127.0.0.1", Verdict::Ok),
            ("udp:127.0.0.1:5060", "203.0.113.7", Verdict::Fail),
            ("tcp:127.0.0.1:5060", "203.0.113.7", Verdict::Ok),
        ] {
            let checks = all(&of(listen, host), None).await;
            assert_eq!(
                checks.iter().map(|check| check.verdict).collect::<Vec<_>>(),
                [verdict],
                "{listen} {host}"
            );
        }
    }

    #[test]
    fn what_the_server_says_of_a_carrier_is_told() {
        let text = "[[trunks]]\nname = \"a \\\"b\\\"\"\nhost = \"h\"\n";
        let trunk = Config::parse(text).unwrap().trunks.remove(0);
        let page = |reach: &str, registered: &str| {
            let name = r#"a \"b\""#;
            format!(
                "patchcord_trunk_reach{{trunk=\"{name}\",reach=\"{reach}\"}} 1\n\
                 patchcord_trunk_registered{{trunk=\"{name}\"}} {registered}\n"
            )
        };
        let verdict = |page: &str| line(&trunk, page).map(|check| check.verdict);
        assert_eq!(verdict(&page("up", "1")), Some(Verdict::Ok));
        assert_eq!(verdict(&page("up", "0")), Some(Verdict::Fail));
        assert_eq!(verdict(&page("down", "1")), Some(Verdict::Fail));
        assert_eq!(verdict("patchcord_trunk_reach{trunk=\"other\",reach=\"down\"} 1\n"), None);
    }
}
