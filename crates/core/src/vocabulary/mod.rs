//! The words that every part speaks: what can happen on a call, what can be wanted of it, and why it ended.
//!
//! Dialects translate wires to and from these words; the call machine, the record and the built-in bots know
//! nothing else.

mod call_command;
mod call_event;
mod call_fact;
mod call_start;
mod cause;
mod dial_refusal;
mod flow;
mod ids;
mod moment;
mod phone;
mod q850;
mod quality;
mod record;
mod speech;
mod timeline;
mod transfer_report;

pub use crate::media::{Digit, DigitError};

pub use call_command::{
    CallCommand, DESTINATIONS_MAX, DIAL_DIGITS_MAX, DIAL_PAUSE, DialDigits, DialOrder, HangUpWhen, Transfer,
    TransferTo,
};
pub use call_event::{CallEvent, CommandRefusal, DigitPress, EndedStream, MarkOutcome, RawMessage};
pub use call_fact::CallFact;
pub use call_start::{CallStart, Direction};
pub use cause::{CallOutcome, Cause, CauseClass, HungUpBy, REASONS, Reason};
pub use dial_refusal::{DialRefusal, FarEnd};
pub use flow::{Callee, FlowCommand, FlowDial, FlowEvent};
pub use ids::{CallId, StreamId};
pub use moment::{Moment, WallClock, civil_date, iso8601};
pub use phone::PhoneNumber;
pub use q850::{q850_of_status, q850_text};
pub use quality::{
    AudioVerdict, FromPhone, PacketFigures, PlayoutFigures, Quality, RESPONSES_KEPT, Range, ResponseTimes,
    ToPhone, UNDERRUN_MAX,
};
pub use record::{BotSession, CallRecord, Counters};
pub use speech::{
    HeardPart, LineStage, Role, SpeechCommand, SpeechEdge, SpeechEvent, ToolCall, ToolResult, TranscriptLine,
    Utterance,
};
pub use timeline::{Happening, TIMELINE_MAX, TIMELINE_NAME_BYTES_MAX, Timeline, TimelineEntry};
pub use transfer_report::{LegReport, LegStatus, TransferReport, TransferStatus};
