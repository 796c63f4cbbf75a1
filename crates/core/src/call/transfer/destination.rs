//! Whom a transfer calls, and why a leg was not dialled.

use crate::vocabulary::{CommandRefusal, PhoneNumber};

/// A leg of a call beside the caller's; counted over all transfers of the call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LegNo(pub u32);

/// Whom a leg calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Destination {
    /// A telephone number, by a trunk.
    Phone(PhoneNumber),
    /// An extension of ours.
    Extension(Box<str>),
}

/// Why a leg was not dialled at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LegRefusal {
    /// The number may not be dialled from here.
    NotAllowed,
    /// No trunk carries it.
    NoLine,
    /// There is no such extension, or no phone is registered under it.
    Unknown,
    /// As many calls are up, or were placed, as may be.
    TooMany,
}

impl Destination {
    pub(super) fn text(&self) -> &str {
        match self {
            Self::Phone(number) => number.as_str(),
            Self::Extension(name) => name,
        }
    }
}

impl LegRefusal {
    /// What whoever asked for a transfer by `command` is told when nobody could be dialled.
    pub fn of_command(self, command: &str) -> CommandRefusal {
        let (code, message) = match self {
            Self::NotAllowed => ("not_allowed", "this number may not be dialled from here"),
            Self::NoLine => ("no_trunk", "no trunk carries calls to this number"),
            Self::Unknown => ("unknown_extension", "no phone is registered under this extension"),
            Self::TooMany => ("too_many_calls", "no further call may be placed at this moment"),
        };
        CommandRefusal { code, message: message.to_owned(), command: command.into() }
    }

    /// The Q.850 cause of a leg that was never dialled.
    pub(super) const fn q850(self) -> u8 {
        match self {
            Self::NotAllowed => 57,
            Self::NoLine => 3,
            Self::Unknown => 20,
            Self::TooMany => 42,
        }
    }
}
