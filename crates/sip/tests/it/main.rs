//! The agent over real sockets on 127.0.0.1, against raw octets, itself, and sipp.

mod calls;
mod floods;
mod sdp;
mod sipp;
mod streams;
mod support;
mod torture;
