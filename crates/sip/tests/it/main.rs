//! The agent over real sockets on 127.0.0.1, against raw octets, itself, and sipp.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails by panicking")]

mod calls;
mod corpus;
mod floods;
mod kamailio;
mod octets;
mod sdp;
mod sipp;
mod streams;
mod support;
mod tls;
mod torture;
mod trunks;
