//! The voice agent: what is decided about a conversation with a speech engine. No IO; a dialect carries the words.

pub mod analytics;

/// Whether bots of this dialect are agents of ours: speech engines that we give a character, and whose calls leave a
/// transcript and call data (seed 001).
pub fn is_agent(dialect: &str) -> bool {
    dialect == "openai-realtime"
}
