//! One dialog's identity, route and sequence numbers (RFC 3261 §12), and the requests that follow from them.

use std::net::{IpAddr, SocketAddr};

use super::Flow;
use crate::machine::Transport;
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
    /// No proxy stood between: what we send goes where the peer's requests come from (NAT).
    direct: bool,
}

impl Dialog {
    /// The dialog of a received INVITE (§12.1.1).
    pub(super) fn of_invite(request: &Message, flow: Flow, local_tag: String) -> Self {
        let header = |name| request.headers.first(name).unwrap_or("").to_owned();
        let from = header("From");
        // RFC 2543 peers send no Contact; From is the best address there is.
        let target = contact_uri(request).or_else(|| NameAddr::parse(&from).map(|f| f.uri));
        Self {
            call_id: header("Call-ID"),
            local: format!("{};tag={local_tag}", header("To")),
            local_tag,
            remote_tag: request.tag("From"),
            remote: from,
            target: target.unwrap_or_default(),
            routes: request.headers.list("Record-Route").map(str::to_owned).collect(),
            local_cseq: 0,
            remote_cseq: request.cseq().map(|(number, _)| number),
            flow,
            direct: request.headers.list("Via").count() <= 1,
        }
    }

    /// The dialog of an INVITE that we are about to send.
    pub(super) fn outgoing(call_id: String, tag: String, local: String, target: &str, flow: Flow) -> Self {
        Self {
            call_id,
            local: format!("{local};tag={tag}"),
            local_tag: tag,
            remote_tag: None,
            remote: format!("<{target}>"),
            target: target.to_owned(),
            routes: Vec::new(),
            local_cseq: 0,
            remote_cseq: None,
            flow,
            direct: false,
        }
    }

    /// Takes the peer's half from a response to our INVITE (§12.1.2).
    pub(super) fn establish(&mut self, response: &Message) {
        self.remote_tag = response.tag("To");
        if let Some(to) = response.headers.first("To") {
            self.remote = to.to_owned();
        }
        self.refresh_target(response);
        let mut routes: Vec<String> = response.headers.list("Record-Route").map(str::to_owned).collect();
        routes.reverse();
        self.routes = routes;
    }

    /// Target refresh (§12.2): re-INVITE, UPDATE and their 2xx may move the peer.
    pub(super) fn refresh_target(&mut self, message: &Message) {
        if let Some(target) = contact_uri(message) {
            self.target = target;
        }
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
            uri = first;
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
            headers.push("Contact", contact(self.flow));
        }
        headers.push("User-Agent", user_agent);
        request
    }

    /// Where the next request goes, and where to connect if that connection is gone. Names are never
    /// resolved here: a peer that gives one is reached where it came from.
    pub(super) fn next_hop(&self) -> (Flow, Option<SocketAddr>) {
        let route = self.routes.first().and_then(|r| NameAddr::parse(r)).map(|r| r.uri);
        let address = |uri: &str| SipUri::parse(uri).ok().and_then(|u| u.socket_addr());
        let known = match &route {
            Some(route) => address(route),
            None => address(&self.target).filter(|to| is_reachable(*to, self.flow.peer)),
        };
        let mut flow = self.flow;
        if flow.transport == Transport::Udp && (route.is_some() || !self.direct) {
            flow.peer = known.unwrap_or(flow.peer);
        }
        (flow, known)
    }
}

/// A private or empty Contact behind a public source is a phone behind NAT.
fn is_reachable(target: SocketAddr, source: SocketAddr) -> bool {
    let private = |ip: IpAddr| match ip {
        IpAddr::V4(ip) => ip.is_private() || ip.is_loopback() || ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_loopback() || (ip.segments()[0] & 0xfe00) == 0xfc00,
    };
    let empty = target.ip().is_unspecified() || target.port() == 0;
    !empty && (target.is_ipv4() == source.is_ipv4()) && (!private(target.ip()) || private(source.ip()))
}

fn contact_uri(message: &Message) -> Option<String> {
    let contact = NameAddr::parse(message.headers.list("Contact").next()?)?;
    SipUri::parse(&contact.uri).ok().map(|_| contact.uri)
}

/// Our Via for a new transaction.
pub(super) fn via(flow: Flow, branch: &str) -> String {
    format!("SIP/2.0/{} {};branch={branch};rport", flow.transport.name(), flow.local)
}

/// Our Contact on this flow.
pub(super) fn contact(flow: Flow) -> String {
    match flow.transport {
        Transport::Udp => format!("<sip:{}>", flow.local),
        Transport::Tcp => format!("<sip:{};transport=tcp>", flow.local),
    }
}
