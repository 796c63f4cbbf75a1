//! SIP and SDP: our own sockets and admission in front of the SIP library.
