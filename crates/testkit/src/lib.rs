//! What only Patchcord's tests need: talks, audio comparison, a lossy link and a clock that is stepped by hand.
//!
//! Nothing that ships depends on this crate.

pub mod call;
pub mod engine;
pub mod lossy_link;
pub mod sound_comparison;
pub mod step_clock;
pub mod talk;
