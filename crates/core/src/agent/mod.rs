//! Our own voice agent, the pure half: its terms, what its tools do, who said what, heard how far, and what can be told of a
//! conversation afterwards.
//!
//! The engine that talks is a bot like any other ([`crate::dialect`]); the call machine puts these parts between it and
//! the phone.

pub mod analytics;
mod conversation;
mod settings;
mod tools;

pub use conversation::{Conversation, HISTORY_BYTES_MAX, UTTERANCE_BYTES_MAX, UTTERANCES_OPEN_MAX};
pub use settings::{Abilities, AgentTerms, RemoteTool};
pub use tools::{ARGUMENTS_BYTES_MAX, ToolWish, own_tools, wish_of};
pub(crate) use tools::{done, error};

/// Whether bots of this dialect are agents of ours: speech engines that we give a character, and whose calls leave a
/// transcript and call data (seed 001).
pub fn is_agent(dialect: &str) -> bool {
    dialect == "openai-realtime"
}
