//! Flows: what a caller meets who is not given to a bot at once. Menus, numbers to key in, opening hours, and where
//! they lead.
//!
//! A flow is a built-in bot: it hears [`CallEvent`]s and says [`CallCommand`]s, without IO, clock or wire. All flows
//! of a configuration make one [`FlowBook`], checked and linked before the first call; a [`FlowBot`] walks through it
//! for one call. Docs: `docs/flows.md`.
//!
//! [`CallEvent`]: crate::vocabulary::CallEvent
//! [`CallCommand`]: crate::vocabulary::CallCommand

mod asking;
mod book;
mod bot;
mod clip;
mod hours;
mod keypad;
mod message;
mod queueing;
mod teller;

#[cfg(test)]
mod tests;

pub use book::{Ask, FlowBook, Gather, HouseClips, Menu, Queue, Script, Spot, Step, Target, Voicemail};
pub use bot::{FlowBot, STEPS_MAX};
pub use clip::Clip;
pub use hours::{Holiday, Opening, OpeningHours};
pub use queueing::TURNS_MAX;
