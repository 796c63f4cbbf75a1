//! A look at the messages that come and go, for a log of the wire; free where nobody looks.

use std::net::SocketAddr;
use std::sync::Arc;

use crate::machine::{Flow, Transport};

/// A message on one of our sockets. It carries numbers and credentials: what is kept of it must be redacted.
#[derive(Clone, Copy)]
pub struct SipTrace<'a> {
    /// Whether it came to us.
    pub is_incoming: bool,
    /// Datagram or stream.
    pub transport: Transport,
    /// The other end.
    pub peer: SocketAddr,
    /// Its Call-ID; messages without one are not shown.
    pub call_id: &'a str,
    /// All of it.
    pub octets: &'a [u8],
}

/// Who looks; called on the agent's tasks, so it must not wait.
pub type SipTap = Arc<dyn Fn(&SipTrace<'_>) + Send + Sync>;

/// Shows a message that came.
pub(crate) fn show_incoming(tap: Option<&SipTap>, flow: Flow, call_id: Option<&str>, octets: &[u8]) {
    if let (Some(tap), Some(call_id)) = (tap, call_id) {
        tap(&SipTrace { is_incoming: true, transport: flow.transport, peer: flow.peer, call_id, octets });
    }
}

/// Shows a message of our own.
pub(crate) fn show_outgoing(tap: Option<&SipTap>, flow: Flow, octets: &[u8]) {
    if let Some(tap) = tap
        && let Some(call_id) = call_id_of(octets)
    {
        tap(&SipTrace { is_incoming: false, transport: flow.transport, peer: flow.peer, call_id, octets });
    }
}

/// The Call-ID of a message that we wrote, which has its fields by their long names.
fn call_id_of(octets: &[u8]) -> Option<&str> {
    let mut lines = octets.split(|octet| *octet == b'\n').take_while(|line| line.len() > 1);
    let value = lines.find_map(|line| line.strip_prefix(b"Call-ID: "))?;
    std::str::from_utf8(value).ok().map(str::trim_end)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Message;

    #[test]
    fn the_call_id_of_our_own_message_is_found_and_none_is_found_in_a_body() {
        let mut message = Message::response(200, "OK");
        message.headers.push("CSeq", "1 INVITE");
        assert_eq!(call_id_of(&message.encode()), None);
        message.set_body("text/plain", "Call-ID: of-the-body\r\n");
        assert_eq!(call_id_of(&message.encode()), None);
        message.headers.push("i", "a84b4c76e66710@192.0.2.9");
        assert_eq!(call_id_of(&message.encode()), Some("a84b4c76e66710@192.0.2.9"));
    }
}
