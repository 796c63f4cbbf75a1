//! How a command ends, as scripts see it.

use std::process::ExitCode;

/// The exit codes of every command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Done (0).
    Ok,
    /// Failed: a call that was refused, a configuration with problems (1).
    Failed,
    /// The command line makes no sense (2).
    Usage,
    /// Nobody there, or an address that we cannot listen on (3).
    Unreachable,
    /// Not allowed (4).
    Denied,
}

impl Exit {
    /// The number.
    pub fn code(self) -> u8 {
        match self {
            Exit::Ok => 0,
            Exit::Failed => 1,
            Exit::Usage => 2,
            Exit::Unreachable => 3,
            Exit::Denied => 4,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit.code())
    }
}
