//! What a call has to know of the agent that is its bot.

use std::sync::Arc;
use std::time::Duration;

use crate::vocabulary::TransferTo;

/// What an agent may do and how long its calls may last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentTerms {
    /// What it may do with the call.
    pub may: Abilities,
    /// Its tools behind the shell.
    pub tools: Vec<RemoteTool>,
    /// What the caller hears while a tool takes long, linear 16-bit samples at 8 kHz; it is repeated.
    pub thinking: Arc<[i16]>,
    /// The longest call, if the agent has a limit of its own.
    pub duration: Option<Duration>,
    /// How long nobody may say a word.
    pub silence: Option<Duration>,
    /// The age at which a session with the engine is replaced by a new one.
    pub session: Duration,
}

/// What an agent may do with a call by the tools that come with Patchcord.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Abilities {
    /// End it.
    pub hang_up: bool,
    /// Give it to one of these, by the name that the model knows.
    pub transfer: Vec<(Box<str>, TransferTo)>,
    /// Press keys.
    pub send_digits: bool,
    /// Note fields of it.
    pub save_fields: bool,
}

/// A tool that the shell carries out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteTool {
    /// Its name.
    pub name: Box<str>,
    /// Whether the caller hears a soft sound while it takes long.
    pub thinking: bool,
}

impl Default for Abilities {
    fn default() -> Self {
        Self { hang_up: true, transfer: Vec::new(), send_digits: false, save_fields: false }
    }
}

impl Default for AgentTerms {
    fn default() -> Self {
        Self {
            may: Abilities::default(),
            tools: Vec::new(),
            thinking: Arc::default(),
            duration: None,
            silence: None,
            session: Duration::from_secs(55 * 60),
        }
    }
}
