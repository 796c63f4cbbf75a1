//! What a call tells the store while it lives. That it began, the shell knows first; how it ended stands in its record.

use super::{Timeline, TransferReport, Utterance};

/// One thing that became of a call and that outlives it.
#[derive(Debug, Clone, PartialEq)]
pub enum CallFact {
    /// It rings: at us, or at the phone that we dialled.
    Ringing,
    /// It was answered.
    InProgress,
    /// The vendor said in its own words that the call is over; a socket that ends says it without any.
    StopReceived,
    /// The first message of an end, `vendor` or `bot`, that could not be understood, and why; the others are counted.
    Misread(&'static str, Box<str>),
    /// A transfer to people began, or changed.
    Transfer(Box<TransferReport>),
    /// The speech engine can be talked to.
    EngineConnected,
    /// Somebody said something, and it is over.
    Utterance(Box<Utterance>),
    /// The bot noted what it learned: a JSON object as text.
    Fields(Box<str>),
    /// Its history; told once, at its end.
    Timeline(Box<Timeline>),
}
