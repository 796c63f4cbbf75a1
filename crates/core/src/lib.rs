//! The logic of Patchcord without IO: vocabulary, media, RTP, dialects and the call machine.
//!
//! Nothing here opens a socket, reads a clock, spawns or draws a random number: bytes, moments and ids come
//! in through inputs, decisions go out as outputs. The shell (`patchcord`) drives it.

pub mod agent;
pub mod call;
pub mod dialect;
pub mod flow;
pub mod media;
pub mod rtp;
pub mod vocabulary;
