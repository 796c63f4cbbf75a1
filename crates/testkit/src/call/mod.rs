//! One call and everything around it, for tests of the call machine: legs of every kind, steps that can happen, and a
//! shell in virtual time that checks the laws of all calls after each.

mod laws;
mod legs;
mod parts;
mod shell;
mod step;

pub use legs::LegStep;
pub use parts::{Echo, bot, call_settings, media, phone, phone_address, stranger_address};
pub use shell::LawfulCall;
pub use step::Step;
