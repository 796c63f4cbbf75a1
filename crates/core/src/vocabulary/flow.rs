//! What a flow asks of its call beyond what any bot may ask, and what it is told: no wire carries either.

use std::fmt;
use std::time::Duration;

use super::{DialOrder, PhoneNumber};

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
    /// Call these and join the first that answers to the caller; the flow is heard meanwhile.
    Dial(FlowDial),
    /// Begin a message of the caller's.
    StartMessage,
    /// The message is over and kept.
    KeepMessage,
    /// The message is over and was none.
    DropMessage,
    /// Stand in a queue, behind those who came before.
    JoinQueue(Box<str>),
    /// Nobody of those whose turn it was has answered: stand where one stood.
    StayInQueue,
    /// Stand in it no more.
    LeaveQueue,
}

/// What a flow is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FlowEvent {
    /// The caller's place in the queue, from 1.
    Place(u32),
    /// It is the caller's turn: these extensions are free.
    Turn(Vec<Box<str>>),
    /// There is no such queue, or no room in it.
    NoRoom,
}

/// Whom to call, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FlowDial {
    /// Whom, at least one.
    pub to: Vec<Callee>,
    /// All at once, or one after the other.
    pub order: DialOrder,
    /// How long each may ring.
    pub ring: Duration,
}

/// Somebody who can be called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Callee {
    /// A number outside.
    Phone(PhoneNumber),
    /// An extension of ours.
    Extension(Box<str>),
}

impl fmt::Debug for FlowCommand {
    /// Leaves out what a caller keyed in.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Keep { name, .. } => write!(f, "Keep({name})"),
            Self::Dial(dial) => write!(f, "Dial({dial:?})"),
            Self::StartMessage => f.write_str("StartMessage"),
            Self::KeepMessage => f.write_str("KeepMessage"),
            Self::DropMessage => f.write_str("DropMessage"),
            Self::JoinQueue(name) => write!(f, "JoinQueue({name})"),
            Self::StayInQueue => f.write_str("StayInQueue"),
            Self::LeaveQueue => f.write_str("LeaveQueue"),
        }
    }
}
