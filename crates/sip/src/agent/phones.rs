//! Calls to phones that registered here, and the way to one that registered before a restart.

use std::net::SocketAddr;

use super::SipAgent;
use crate::call::InviteRequest;
use crate::handle::{OutgoingCall, SipError};
use crate::machine::{Flow, Transport, Way};
use crate::message::SipUri;
use crate::registrar::Contact;

impl SipAgent {
    /// Places a call to a phone that registered here, by the way that its REGISTER came; `request.target` counts
    /// for nothing. What becomes of it comes as events.
    ///
    /// # Errors
    /// [`SipError::Unreachable`] when its connection is gone and none can be made, or no call is free.
    pub async fn invite_contact(
        &self,
        contact: &Contact,
        request: InviteRequest,
    ) -> Result<OutgoingCall, SipError> {
        let flow = match contact.flow.transport {
            Transport::Tcp | Transport::Tls if !self.tcp.links.is_open(contact.flow.link) => {
                self.dial_contact(contact).await?
            }
            Transport::Udp | Transport::Tcp | Transport::Tls => contact.flow,
        };
        let request = InviteRequest { target: contact.uri.clone(), ..request };
        self.start((flow, Way::ByFlow), request).await
    }

    /// A phone that closed its connection may listen at the address that it named, if that is its own.
    async fn dial_contact(&self, contact: &Contact) -> Result<Flow, SipError> {
        let target = SipUri::parse(&contact.uri).map_err(|_| SipError::BadTarget)?;
        let its_own = target.socket_addr().filter(|named| named.ip() == contact.flow.peer.ip());
        let gone = || SipError::Unreachable(std::io::ErrorKind::NotConnected.into());
        self.dial(contact.flow.transport, its_own.ok_or_else(gone)?, &target).await
    }

    /// The way to a phone at `peer` over the UDP socket that it sees as `local`; `None` where there is none. What a NAT
    /// lets in to it has to come from there.
    pub fn datagrams_between(&self, local: SocketAddr, peer: SocketAddr) -> Option<Flow> {
        let at = self.udp.iter().position(|port| port.seen_by(peer) == local)?;
        Some(Flow { transport: Transport::Udp, link: at as u64, local, peer })
    }
}
