//! What a [`crate::TrunkLine`] needs of the agent: ways to its carrier, requests outside of dialogs, calls.

use std::net::{IpAddr, SocketAddr};

use tokio::sync::oneshot;

use super::SipAgent;
use crate::call::InviteRequest;
use crate::handle::{Ask, OutgoingCall, SipError};
use crate::machine::{CallLine, CommandError, Flow, Hop, LoneAnswer, LoneRequest, Transport};
use crate::net::{local_ip_towards, tcp};
use crate::trunk::Target;

impl SipAgent {
    /// The transports that we can send by.
    pub(crate) fn transports(&self) -> Vec<Transport> {
        let all = [Transport::Udp, Transport::Tcp, Transport::Tls];
        let has = |transport: &Transport| match transport {
            Transport::Udp => !self.udp.is_empty(),
            Transport::Tcp => true,
            Transport::Tls => self.tcp.tls.is_some(),
        };
        all.into_iter().filter(has).collect()
    }

    /// Our address as a peer sees it.
    pub(crate) fn ip_towards(&self, peer: SocketAddr) -> Option<IpAddr> {
        self.tcp.advertised.towards(peer.ip()).or_else(|| local_ip_towards(peer))
    }

    /// A way to a target; a connection is made under the name that its certificate has to prove.
    pub(crate) async fn flow_to(&self, target: Target, server_name: &str) -> Result<Flow, SipError> {
        match target.transport {
            Transport::Udp => self.udp_flow(target.addr).ok_or(SipError::NoTransport),
            transport => {
                let hop = Hop { addr: target.addr, server_name: Some(server_name.into()) };
                tcp::connect(&self.tcp, transport, &hop).await.map_err(SipError::Unreachable)
            }
        }
    }

    /// Whether octets can be sent over a flow without another connection.
    pub(crate) fn is_open(&self, flow: &Flow) -> bool {
        !flow.transport.is_stream() || self.tcp.links.is_open(flow.link)
    }

    /// Places a call by a carrier.
    pub(crate) async fn invite_by(
        &self,
        flow: Flow,
        line: CallLine,
        request: InviteRequest,
    ) -> Result<OutgoingCall, SipError> {
        let (line, request) = (Box::new(line), Box::new(request));
        self.place(|reply| Ask::InviteBy { flow, line, request, reply }).await
    }

    /// Asks the agent for a call, and takes it.
    pub(super) async fn place(
        &self,
        ask: impl FnOnce(oneshot::Sender<Result<OutgoingCall, CommandError>>) -> Ask,
    ) -> Result<OutgoingCall, SipError> {
        let (reply, answer) = oneshot::channel();
        self.desk.ask(ask(reply)).await?;
        Ok(answer.await.map_err(|_| SipError::Stopped)??)
    }

    /// Sends a request outside of any dialog and waits for what comes of it.
    pub(crate) async fn request(&self, flow: Flow, request: LoneRequest) -> Result<LoneAnswer, SipError> {
        let (reply, answer) = oneshot::channel();
        self.desk.ask(Ask::Lone { flow, request: Box::new(request), reply }).await?;
        Ok(answer.await.map_err(|_| SipError::Stopped)??)
    }
}
