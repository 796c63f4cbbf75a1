//! What a bot that understands speech says of a conversation beside its audio, and what it is told of it: items,
//! barge-ins, lines of the transcript, tools. Engines carry all of it; wires without words for it leave it out.

use std::fmt;
use std::time::Duration;

/// What a bot says of the conversation.
#[derive(Debug, Clone, PartialEq)]
pub enum SpeechCommand {
    /// The audio that follows belongs to the item of this name, until another one is named.
    Item(Box<str>),
    /// The bot's own ear found that the caller began or ceased to speak; a beginning is a barge-in.
    Caller(SpeechEdge),
    /// Words that were said.
    Line(TranscriptLine),
    /// The bot wants something done; answered by [`SpeechEvent::ToolDone`].
    Tool(ToolCall),
}

/// What a bot is told of the conversation.
#[derive(Debug, Clone, PartialEq)]
pub enum SpeechEvent {
    /// The caller cut the bot off: what waited was dropped.
    Interrupted {
        /// The item that was being heard, or that would have been next.
        item: Box<str>,
        /// How much of it the caller heard, never more than was sent.
        heard: Duration,
    },
    /// Our own ear found that the caller began or ceased to speak, for a bot whose ear finds neither; a beginning is a
    /// barge-in.
    Caller(SpeechEdge),
    /// A [`SpeechCommand::Tool`] waits until the bot has said something; its result follows, unless the bot's part ends.
    WordsWanted {
        /// [`ToolCall::id`].
        id: Box<str>,
        /// What the bot is to say, as instructions to a model.
        instructions: Box<str>,
    },
    /// What became of a [`SpeechCommand::Tool`].
    ToolDone(ToolResult),
}

/// The beginning or the end of the caller's speech.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SpeechEdge {
    /// It began.
    Started {
        /// What [`TranscriptLine::item`] will be of its words, where the bot says so.
        item: Option<Box<str>>,
    },
    /// It ended.
    Stopped,
}

/// Who speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// The caller.
    Caller,
    /// The bot.
    Bot,
}

/// Words of a conversation.
#[derive(Clone, PartialEq, Eq)]
pub struct TranscriptLine {
    /// Who said them.
    pub role: Role,
    /// The item that they belong to.
    pub item: Box<str>,
    /// The words: those that are new, or all of the item.
    pub text: Box<str>,
    /// Which of both.
    pub stage: LineStage,
}

/// How much of an item a line holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LineStage {
    /// What was added to the item.
    Delta,
    /// All of the item; nothing follows.
    Final,
}

/// Something that a bot wants done.
#[derive(Clone, PartialEq, Eq)]
pub struct ToolCall {
    /// The bot's name of this wish, returned with its result.
    pub id: Box<str>,
    /// The tool.
    pub name: Box<str>,
    /// Its arguments, a JSON object as text, as the bot wrote it.
    pub arguments: Box<str>,
}

/// What became of a [`ToolCall`].
#[derive(Clone, PartialEq, Eq)]
pub struct ToolResult {
    /// [`ToolCall::id`].
    pub id: Box<str>,
    /// What the bot is to know, JSON or a sentence.
    pub output: Box<str>,
}

/// What one of both said in one piece, when it was over.
#[derive(Clone, PartialEq, Eq)]
pub struct Utterance {
    /// Who.
    pub role: Role,
    /// The item of the bot's wire; the second one of an id ends with `~2`, one of a second session with `#2`, and so on.
    pub item: Box<str>,
    /// The words.
    pub text: Box<str>,
    /// When it began, since the call's first sign.
    pub start: Duration,
    /// When it ended, or was cut off.
    pub end: Duration,
    /// How much of it the other one heard.
    pub heard: HeardPart,
    /// Of [`HeardPart::All`] how much audio that was, where that is known: less than from start to end where the bot
    /// paused for what it said.
    pub played: Option<Duration>,
    /// From the end of the caller's speech to the beginning of this answer of the bot.
    pub response: Option<Duration>,
}

/// How much of an utterance was heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeardPart {
    /// All.
    All,
    /// Nothing.
    Nothing,
    /// The first so much.
    First {
        /// Of the audio.
        audio: Duration,
        /// Of the words: bytes of [`Utterance::text`] at a character's border.
        text_bytes: usize,
    },
}

/// Shows lengths only: words are the caller's business.
macro_rules! debug_without_words {
    ($($kind:ident { $($shown:ident),*; $($hidden:ident),+ })+) => {
        $(impl fmt::Debug for $kind {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($kind))
                    $(.field(stringify!($shown), &self.$shown))*
                    $(.field(concat!(stringify!($hidden), "_bytes"), &self.$hidden.len()))+
                    .finish()
            }
        })+
    };
}

debug_without_words! {
    TranscriptLine { role, stage; item, text }
    ToolCall { name; id, arguments }
    ToolResult { ; id, output }
    Utterance { role, start, end, heard, played, response; item, text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_never_shown_only_how_many() {
        let line = TranscriptLine {
            role: Role::Caller,
            item: "item_1".into(),
            text: "my secret".into(),
            stage: LineStage::Final,
        };
        let shown = format!("{line:?}");
        assert!(shown.contains("text_bytes: 9") && !shown.contains("secret"), "{shown}");
        let call = ToolCall { id: "c".into(), name: "transfer".into(), arguments: "{\"to\":1}".into() };
        assert!(!format!("{call:?}").contains("to"), "{call:?}");
    }
}
