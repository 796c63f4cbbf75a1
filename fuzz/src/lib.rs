//! What must hold for any bytes, one module a target: `exercise` takes an input and panics where a law is broken.
//!
//! The modules are shared: libFuzzer runs them by `targets/`, and the tests of the crates replay every checked-in
//! input through the same files on a stable compiler.

pub mod call;
pub mod dialect;
pub mod mapping;
pub mod rtp;
pub mod sdp;
pub mod sip;
pub mod srtp;
mod steps;
