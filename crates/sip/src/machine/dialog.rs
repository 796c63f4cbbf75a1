//! One dialog's identity, route and sequence numbers (RFC 3261 §12), and the requests that follow from them.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use super::session_timer::has_option;
use super::{Flow, Hop, Settings, Transport, Way};
use crate::message::{Message, NameAddr, SipUri};

/// How a request of the peer finds its dialog. Its From tag is compared as well.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct DialogKey {
    pub(super) call_id: String,
    pub(super) local_tag: String,
}

#[derive(Clone, Debug)]
pub(super) struct Dialog {
    pub(super) call_id: String,
    pub(super) local_tag: String,
    pub(super) remote_tag: Option<String>,
    /// Our From (as caller) or To (as callee), tag included.
    pub(super) local: String,
    /// The peer's To or From, tag included once known.
    pub(super) remote: String,
    /// The peer's Contact: the request URI of what we send.
    pub(super) target: String,
    pub(super) routes: Vec<String>,
    pub(super) local_cseq: u32,
    pub(super) remote_cseq: Option<u32>,
    pub(super) flow: Flow,
    /// The peer takes UPDATE (RFC 3311), by its newest Allow.
    pub(super) peer_updates: bool,
    /// We called.
    pub(super) is_ours: bool,
    /// The call is one of `sips:` all along, and our Contact says so too (§12.1.1).
    secure: bool,
    /// No proxy stood between: what we send goes where the peer's requests come from (NAT).
    direct: bool,
    /// What a TLS connection to the peer has to prove; the host of its own URI when there is none.
    server_name: Option<Arc<str>>,
}

impl Dialog {
    /// The dialog of a received INVITE (§12.1.1).
    pub(super) fn of_invite(request: &Message, flow: Flow, local_tag: String) -> Self {
        let header = |name| request.headers.first(name).unwrap_or("").to_owned();
        let from = header("From");
        // RFC 2543 peers send no Contact; From is the best address there is.
        let target = contact_uri(request).or_else(|| SipUri::as_target(&NameAddr::parse(&from)?.uri));
        let secure =
            request.uri().and_then(|uri| uri.get(..5)).is_some_and(|s| s.eq_ignore_ascii_case("sips:"));
        Self {
            call_id: header("Call-ID"),
            local: format!("{};tag={local_tag}", header("To")),
            local_tag,
            remote_tag: request.tag("From"),
            remote: from,
            target: target.unwrap_or_else(|| format!("sip:{}", flow.peer)),
            routes: request.headers.list("Record-Route").map(str::to_owned).collect(),
            local_cseq: 0,
            remote_cseq: request.cseq().map(|(number, _)| number),
            flow,
            peer_updates: has_option(request, "Allow", "UPDATE"),
            is_ours: false,
            secure,
            direct: request.headers.list("Via").count() <= 1,
            server_name: None,
        }
    }

    /// The dialog of an INVITE that we are about to send.
    pub(super) fn outgoing(
        call_id: String,
        tag: String,
        local: String,
        target: &str,
        (flow, way): (Flow, Way),
    ) -> Self {
        let uri = SipUri::parse(target).ok();
        let secure = uri.as_ref().is_some_and(|uri| uri.scheme == "sips");
        let server_name = uri.map(|uri| uri.host.into());
        let target = SipUri::as_target(target).unwrap_or_default();
        Self {
            call_id,
            local: format!("{local};tag={tag}"),
            local_tag: tag,
            remote_tag: None,
            remote: format!("<{target}>"),
            target,
            routes: Vec::new(),
            local_cseq: 0,
            remote_cseq: None,
            flow,
            peer_updates: false,
            is_ours: true,
            secure,
            direct: way == Way::ByFlow,
            server_name,
        }
    }

    /// Sends by these proxies until the peer has named its own route, under that name in TLS.
    pub(super) fn go_by(&mut self, routes: Vec<String>, server_name: Option<Arc<str>>) {
        self.routes = routes;
        self.server_name = server_name.or_else(|| self.server_name.take());
    }

    /// Takes the peer's half from a response to our INVITE (§12.1.2).
    pub(super) fn establish(&mut self, response: &Message) {
        let tag = response.tag("To");
        if self.remote_tag != tag {
            self.remote_cseq = None;
        }
        self.remote_tag = tag;
        if let Some(to) = response.headers.first("To") {
            self.remote = to.to_owned();
        }
        self.refresh_target(response);
        let readable = |route: &&str| NameAddr::parse(route).is_some();
        let mut routes: Vec<String> =
            response.headers.list("Record-Route").filter(readable).map(str::to_owned).collect();
        routes.reverse();
        self.routes = routes;
    }

    /// Target refresh (§12.2): re-INVITE, UPDATE and their 2xx may move the peer.
    pub(super) fn refresh_target(&mut self, message: &Message) {
        if let Some(target) = contact_uri(message) {
            self.target = target;
        }
        if message.headers.first("Allow").is_some() {
            self.peer_updates = has_option(message, "Allow", "UPDATE");
        }
    }

    /// Our Contact.
    pub(super) fn contact(&self) -> String {
        contact_of(self.flow, "", self.secure)
    }

    pub(super) fn key(&self) -> DialogKey {
        DialogKey { call_id: self.call_id.clone(), local_tag: self.local_tag.clone() }
    }

    /// A request within the dialog, with the next CSeq (§12.2.1.1).
    pub(super) fn request(&mut self, method: &str, branch: &str, user_agent: &str) -> Message {
        self.local_cseq = self.local_cseq.wrapping_add(1);
        self.request_numbered(method, self.local_cseq, branch, user_agent)
    }

    /// A request with a given CSeq number: ACK.
    pub(super) fn request_numbered(
        &self,
        method: &str,
        cseq: u32,
        branch: &str,
        user_agent: &str,
    ) -> Message {
        let mut routes = self.routes.clone();
        let mut uri = self.target.clone();
        let first = routes.first().and_then(|r| NameAddr::parse(r)).map(|r| r.uri);
        if let Some(first) = first.filter(|f| SipUri::parse(f).is_ok_and(|u| u.param("lr").is_none())) {
            // A strict router (RFC 2543) wants itself as request URI and the target last.
            routes.remove(0);
            routes.push(format!("<{uri}>"));
            uri = SipUri::as_target(&first).unwrap_or(uri);
        }
        let mut request = Message::request(method, &uri);
        let headers = &mut request.headers;
        headers.push("Via", via(self.flow, branch));
        headers.push("Max-Forwards", "70");
        for route in routes {
            headers.push("Route", route);
        }
        headers.push("From", self.local.clone());
        headers.push("To", self.remote.clone());
        headers.push("Call-ID", self.call_id.clone());
        headers.push("CSeq", format!("{cseq} {method}"));
        if method == "INVITE" || method == "UPDATE" {
            headers.push("Contact", self.contact());
            headers.push("Allow", crate::validate::allow());
            headers.push("Supported", crate::validate::supported());
        }
        headers.push("User-Agent", user_agent);
        request
    }

    /// Where the next request goes, and where to connect if that connection is gone. Names are never
    /// resolved here, and no stranger makes us send to a third party that could not call us itself: whoever
    /// gives such an address is reached where it came from.
    pub(super) fn next_hop(&self, settings: &Settings) -> (Flow, Option<Hop>) {
        let source = self.flow.peer;
        let route =
            self.routes.first().and_then(|r| NameAddr::parse(r)).and_then(|r| SipUri::parse(&r.uri).ok());
        let target = SipUri::parse(&self.target).ok();
        let may_have = |to: &SocketAddr| {
            let chosen = self.is_ours || to.ip() == source.ip() || settings.admits(to.ip());
            chosen && to.is_ipv4() == source.is_ipv4()
        };
        let known = match (&route, &target) {
            (Some(route), _) => route.socket_addr(),
            (None, Some(target)) => target.socket_addr(),
            (None, None) => None,
        };
        let known =
            known.filter(|to| is_reachable(*to, source)).filter(may_have).map(|to| with_scope_of(to, source));
        let mut flow = self.flow;
        if !flow.transport.is_stream() {
            if route.is_some() || !self.direct {
                flow.peer = known.unwrap_or(source);
            }
            return (flow, None);
        }
        let uri = route.or(target);
        // Whoever gives a name listens where it came from, if anywhere; whom we called, where we did.
        let port = uri.as_ref().and_then(|uri| uri.port).unwrap_or(flow.transport.default_port());
        let guess = if self.is_ours { source } else { SocketAddr::new(source.ip(), port) };
        let host = uri.map(|uri| uri.host).filter(|host| !host.is_empty());
        let server_name = self.server_name.clone().or_else(|| host.map(Into::into));
        (flow, Some(Hop { addr: known.unwrap_or(guess), server_name }))
    }
}

/// A link-local address means something on the link that the peer came by.
fn with_scope_of(to: SocketAddr, source: SocketAddr) -> SocketAddr {
    match (to, source) {
        (SocketAddr::V6(mut to), SocketAddr::V6(source)) if to.ip().is_unicast_link_local() => {
            to.set_scope_id(source.scope_id());
            to.into()
        }
        (to, _) => to,
    }
}

/// A private or empty address behind a public source is a phone or proxy behind NAT, and one of this host alone
/// means something to whoever is on this host.
fn is_reachable(target: SocketAddr, source: SocketAddr) -> bool {
    let private = |ip: IpAddr| match ip {
        IpAddr::V4(ip) => ip.is_private() || ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_unique_local() || ip.is_unicast_link_local(),
    };
    let (to, from) = (target.ip().to_canonical(), source.ip().to_canonical());
    let empty = to.is_unspecified() || to.is_multicast() || target.port() == 0;
    let near = from.is_loopback() || !to.is_loopback() && (private(from) || !private(to));
    !empty && target.is_ipv4() == source.is_ipv4() && near
}

fn contact_uri(message: &Message) -> Option<String> {
    SipUri::as_target(&NameAddr::parse(message.headers.list("Contact").next()?)?.uri)
}

/// Our Contact on a flow.
pub(super) fn contact_of(flow: Flow, user: &str, secure: bool) -> String {
    let scheme = if secure && flow.transport == Transport::Tls { "sips" } else { "sip" };
    let host = SipUri::format(scheme, user, &flow.local.ip().to_string());
    let transport = match flow.transport {
        Transport::Tcp => ";transport=tcp",
        Transport::Tls if !secure => ";transport=tls",
        Transport::Udp | Transport::Tls => "",
    };
    format!("<{host}:{}{transport}>", flow.local.port())
}

/// Our Via for a new transaction.
pub(super) fn via(flow: Flow, branch: &str) -> String {
    format!("SIP/2.0/{} {};branch={branch};rport", flow.transport.name(), flow.local)
}
