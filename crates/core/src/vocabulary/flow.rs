//! What a flow asks of its call beyond what any bot may ask: no wire carries it.

use std::fmt;

/// What a flow asks of its call.
#[derive(Clone, PartialEq, Eq)]
pub enum FlowCommand {
    /// Keep what the caller keyed in: a custom parameter of the bots from here on.
    Keep {
        /// Its name.
        name: Box<str>,
        /// Its value.
        value: Box<str>,
    },
    /// Begin a message of the caller's.
    StartMessage,
    /// The message is over and kept.
    KeepMessage,
    /// The message is over and was none.
    DropMessage,
}

impl fmt::Debug for FlowCommand {
    /// Leaves out what a caller keyed in.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Keep { name, .. } => write!(f, "Keep({name})"),
            Self::StartMessage => f.write_str("StartMessage"),
            Self::KeepMessage => f.write_str("KeepMessage"),
            Self::DropMessage => f.write_str("DropMessage"),
        }
    }
}
