//! The messages of the OpenAI Realtime API as they stand on the wire, to read; writing is done by hand.
//!
//! Both namings are read alike. Every field may be missing: what must be there is decided by the ends, which name it.

use serde::Deserialize;

use crate::dialect::json::Text;

/// Where every message says its kind, and where audio and its names stand in `response.output_audio.delta`.
pub const SERVER_MESSAGE: [&[&str]; 4] = [&["type"], &["delta"], &["item_id"], &["response_id"]];

/// The same of `input_audio_buffer.append`, and the name that an error repeats.
pub const CLIENT_MESSAGE: [&[&str]; 3] = [&["type"], &["audio"], &["event_id"]];

/// What an event of the server stands for, whichever naming it comes in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServerEvent {
    SessionCreated,
    SessionUpdated,
    SpeechStarted,
    SpeechStopped,
    TurnCommitted,
    ResponseCreated,
    ResponseDone,
    AudioDelta,
    BotDelta,
    BotDone,
    CallerDelta,
    CallerDone,
    CallerFailed,
    ToolArguments,
    OutputItemDone,
    Error,
    /// Known, and nothing to us.
    Unneeded,
}

impl ServerEvent {
    /// The event of that name, if there is one.
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "session.created" => Self::SessionCreated,
            "session.updated" => Self::SessionUpdated,
            "input_audio_buffer.speech_started" => Self::SpeechStarted,
            "input_audio_buffer.speech_stopped" => Self::SpeechStopped,
            "input_audio_buffer.committed" => Self::TurnCommitted,
            "response.created" => Self::ResponseCreated,
            "response.done" => Self::ResponseDone,
            "response.output_audio.delta" | "response.audio.delta" => Self::AudioDelta,
            "response.output_audio_transcript.delta"
            | "response.audio_transcript.delta"
            | "response.output_text.delta"
            | "response.text.delta" => Self::BotDelta,
            "response.output_audio_transcript.done"
            | "response.audio_transcript.done"
            | "response.output_text.done"
            | "response.text.done" => Self::BotDone,
            "conversation.item.input_audio_transcription.delta" => Self::CallerDelta,
            "conversation.item.input_audio_transcription.completed" => Self::CallerDone,
            "conversation.item.input_audio_transcription.failed" => Self::CallerFailed,
            "response.function_call_arguments.done" => Self::ToolArguments,
            "response.output_item.done" => Self::OutputItemDone,
            "error" => Self::Error,
            known if UNNEEDED.contains(&known) || known.starts_with("mcp_list_tools.") => Self::Unneeded,
            known if known.starts_with("response.mcp_call") => Self::Unneeded,
            _ => return None,
        })
    }
}

/// A piece of a transcript, or a whole one.
#[derive(Debug, Deserialize)]
pub struct LineMessage<'a> {
    #[serde(borrow)]
    pub item_id: Option<Text<'a>>,
    #[serde(borrow)]
    pub response_id: Option<Text<'a>>,
    #[serde(borrow)]
    pub delta: Option<Text<'a>>,
    #[serde(borrow)]
    pub transcript: Option<Text<'a>>,
    #[serde(borrow)]
    pub text: Option<Text<'a>>,
}

/// `response.created` and `response.done`.
#[derive(Debug, Deserialize)]
pub struct ResponseMessage<'a> {
    #[serde(borrow)]
    pub response: Option<Response<'a>>,
}

#[derive(Debug, Deserialize)]
pub struct Response<'a> {
    #[serde(borrow)]
    pub id: Option<Text<'a>>,
    #[serde(borrow)]
    pub status: Option<Text<'a>>,
    #[serde(borrow)]
    pub status_details: Option<StatusDetails<'a>>,
    #[serde(borrow)]
    pub output: Option<Vec<Item<'a>>>,
}

#[derive(Debug, Deserialize)]
pub struct StatusDetails<'a> {
    #[serde(borrow)]
    pub error: Option<ErrorDetail<'a>>,
}

/// `error`.
#[derive(Debug, Deserialize)]
pub struct ErrorMessage<'a> {
    #[serde(borrow)]
    pub error: Option<ErrorDetail<'a>>,
}

#[derive(Debug, Deserialize)]
pub struct ErrorDetail<'a> {
    #[serde(borrow, rename = "type")]
    pub kind: Option<Text<'a>>,
    #[serde(borrow)]
    pub code: Option<Text<'a>>,
    #[serde(borrow)]
    pub event_id: Option<Text<'a>>,
}

/// `response.function_call_arguments.done`.
#[derive(Debug, Deserialize)]
pub struct ToolMessage<'a> {
    #[serde(borrow)]
    pub call_id: Option<Text<'a>>,
    #[serde(borrow)]
    pub name: Option<Text<'a>>,
    #[serde(borrow)]
    pub arguments: Option<Text<'a>>,
}

/// A message with an item in it.
#[derive(Debug, Deserialize)]
pub struct ItemMessage<'a> {
    #[serde(borrow)]
    pub item: Option<Item<'a>>,
}

#[derive(Debug, Deserialize)]
pub struct Item<'a> {
    #[serde(borrow, rename = "type")]
    pub kind: Option<Text<'a>>,
    #[serde(borrow)]
    pub call_id: Option<Text<'a>>,
    #[serde(borrow)]
    pub name: Option<Text<'a>>,
    #[serde(borrow)]
    pub arguments: Option<Text<'a>>,
}

const UNNEEDED: &[&str] = &[
    "conversation.created",
    "conversation.item.added",
    "conversation.item.created",
    "conversation.item.deleted",
    "conversation.item.done",
    "conversation.item.input_audio_transcription.segment",
    "conversation.item.retrieved",
    "conversation.item.truncated",
    "input_audio_buffer.cleared",
    "input_audio_buffer.dtmf_event_received",
    "input_audio_buffer.timeout_triggered",
    "output_audio_buffer.cleared",
    "output_audio_buffer.started",
    "output_audio_buffer.stopped",
    "rate_limits.updated",
    "response.audio.done",
    "response.content_part.added",
    "response.content_part.done",
    "response.function_call_arguments.delta",
    "response.output_audio.done",
    "response.output_item.added",
];
