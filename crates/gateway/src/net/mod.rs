//! Sockets: WebSocket links with a bounded outbox, the guard of outbound URLs, the dialler of bots, the HTTP client, RTP ports, TLS.
//!
//! Nothing here knows a call; `calls` owns one of each per leg.

mod address_kind;
mod dns;
mod egress;
mod http_client;
mod outbox;
mod own_server;
mod rtp_socket;
mod server_stream;
mod sip_tls;
mod srtp;
mod tls;
mod transport;
mod ws_dial;
mod ws_link;

pub use address_kind::AddressKind;
pub use dns::Dns;
pub use egress::{Destination, Egress, EgressError, Resolver, Resolving, Trust, Turn};
pub use http_client::{HttpAnswer, HttpError, HttpRequest, HttpTerms, send, send_for_head, send_stream};
pub use outbox::{Outbox, Pushed, Weighed};
pub use own_server::OwnServer;
pub use rtp_socket::{RtpPort, RtpPortRange, RtpSocket, local_address_towards};
pub use server_stream::{Movable, ServerStream};
pub use sip_tls::{read_sip_tls, sip_tls_of_caller};
pub use srtp::{sdes, srtp_keys};
pub use tls::{install_crypto, read_http_tls};
pub use transport::Transport;
pub use ws_dial::{CONNECT_TIMEOUT, DialError, Knock, dial, knock};
pub use ws_link::{Received, WsLink, WsSocket, ws_config};
