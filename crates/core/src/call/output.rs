//! What a call wants the shell to do. Drain completely after every input.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::ops::Range;

use crate::dialect::{Wire, WireClass};
use crate::media::MediaFormat;
use crate::vocabulary::{CallFact, CallRecord, Cause, Moment, PhoneNumber, ToolCall};

use super::{BotWish, Destination, LegNo};

/// One thing to do outside.
#[derive(Debug)]
pub enum Output<'a> {
    /// Dial the phone, which may ring until then; answer by `PhoneRinging`, `PhoneProgress`, and `PhoneAnswered` or
    /// `PhoneFailed`.
    DialPhone(Moment),
    /// Give up the phone that was dialled and has not answered (CANCEL).
    CancelPhone(Cause),
    /// Tell the SIP phone that it rings (180).
    Ring,
    /// Let the SIP phone hear us before the answer (183 with our SDP).
    Progress,
    /// Answer the SIP phone (200 with our SDP).
    Answer,
    /// Refuse the unanswered SIP call with that status.
    Reject {
        /// SIP status code.
        status: u16,
        /// Why, for the `Reason` header.
        cause: Cause,
    },
    /// End the answered SIP call (BYE).
    HangUpPhone(Cause),
    /// Send a datagram from our RTP port.
    Rtp {
        /// Where to.
        to: SocketAddr,
        /// The packet.
        packet: &'a [u8],
    },
    /// Send a datagram from our RTCP port.
    Rtcp {
        /// Where to.
        to: SocketAddr,
        /// The compound packet.
        packet: &'a [u8],
    },
    /// Send a message to the vendor.
    PhoneWire(WireClass, Wire<'a>),
    /// Close the vendor's WebSocket with that code, after what was sent.
    ClosePhone(u16),
    /// Find out which bot takes the call; answer by `BotFound` or `BotFailed`.
    FindBot,
    /// Dial the bot; answer by `BotConnected` or `BotFailed`.
    ConnectBot,
    /// Send a message to the bot.
    BotWire(WireClass, Wire<'a>),
    /// Close the bot's WebSocket with that code, after what was sent; give up what was asked of it before.
    CloseBot(u16),
    /// Reach another bot, which is to take the call over, for a phone that speaks `phone`; answer by `NextBot` or
    /// `NextBotFailed`.
    ReachNextBot {
        /// Which one.
        wish: BotWish,
        /// The phone's audio.
        phone: MediaFormat,
    },
    /// The bot that was reached is the call's bot from now on; the one before it was told and closed.
    NextBotTakesOver,
    /// Give up the bot that is being reached, or was.
    DropNextBot,
    /// Stop reading the bot's socket until [`Output::ResumeBot`]: its dialect has no clear, so what waits is kept short.
    PauseBot,
    /// Read the bot's socket again.
    ResumeBot,
    /// The call was answered: what the media path is, for the log.
    Answered,
    /// A recording began, goes on, or is over.
    Tape(TapeKind, TapePiece<'a>),
    /// What the caller says and hears, for those who listen to the call at this moment: two channels, as of a recording.
    Overheard(TapePiece<'a>),
    /// A stretch of the loudness curve: pairs of caller and heard, from step `at` of 20 ms since audio first flowed;
    /// 0 is silence, 127 full scale, and steps that are never told are silence.
    Loudness {
        /// The step of the first pair.
        at: u64,
        /// The pairs.
        levels: &'a [u8],
    },
    /// Something for a leg beside the caller's.
    Leg(LegNo, LegOrder<'a>),
    /// Something that outlives the call, for the store.
    Report(CallFact),
    /// Put the caller into a queue, or take it out; answer by `Queue`.
    Queue(QueueOrder),
    /// Carry out a tool of the bot's; answer by `ToolDone`.
    RunTool(ToolCall),
    /// The call is over; nothing follows.
    Ended(Box<CallRecord>),
}

/// What is wanted of the queues.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum QueueOrder {
    /// A place behind those who came before, in the queue of that name.
    Join(Box<str>),
    /// Nobody of those whose turn it was has answered: the place is kept.
    Stay,
    /// The place is given up, or somebody has the call.
    Leave,
}

/// What a leg is to do.
#[derive(Debug)]
pub enum LegOrder<'a> {
    /// Call; answer by [`LegNews`](super::LegNews).
    Dial {
        /// Whom.
        to: Destination,
        /// Whose number is shown, where that may be.
        shown: PhoneNumber,
        /// Until when it may ring.
        until: Moment,
        /// Whether nobody else rings at the same time.
        alone: bool,
    },
    /// Stop ringing, for that Q.850 cause; one that answers all the same is hung up.
    Cancel(u8),
    /// End it, for that Q.850 cause.
    HangUp(u8),
    /// Send a datagram from its RTP port.
    Rtp {
        /// Where to.
        to: SocketAddr,
        /// The packet.
        packet: &'a [u8],
    },
    /// Send a datagram from its RTCP port.
    Rtcp {
        /// Where to.
        to: SocketAddr,
        /// The compound packet.
        packet: &'a [u8],
    },
}

/// What is recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TapeKind {
    /// The call: the caller left, what the caller hears right.
    Call,
    /// The caller alone.
    Voicemail,
}

/// One piece of a recording. Samples are linear, those of the two channels in turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TapePiece<'a> {
    /// It begins.
    Started {
        /// Samples per second of each channel, to its end.
        sample_rate: u32,
    },
    /// So it sounds on.
    Sound(&'a [i16]),
    /// So many samples of each channel are silence.
    Silence(u64),
    /// The bot's part is that many samples of each channel; what follows is an agent's.
    BotPartEnds(u64),
    /// It is over.
    Stopped,
    /// It is over and was nothing that anybody wants to keep.
    Dropped,
}

/// For whom a reel runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ReelFor {
    /// A recording.
    Tape(TapeKind),
    /// Those who listen at this moment.
    Listeners,
}

impl ReelFor {
    pub(super) const fn channels(self) -> usize {
        match self {
            Self::Tape(kind) => kind.channels(),
            Self::Listeners => TapeKind::Call.channels(),
        }
    }

    const fn output(self, piece: TapePiece<'_>) -> Output<'_> {
        match self {
            Self::Tape(kind) => Output::Tape(kind, piece),
            Self::Listeners => Output::Overheard(piece),
        }
    }
}

impl TapeKind {
    /// How many channels it has.
    pub const fn channels(self) -> usize {
        match self {
            Self::Call => 2,
            Self::Voicemail => 1,
        }
    }
}

/// Waiting outputs, with their bytes in one reused buffer.
#[derive(Debug, Default)]
pub(super) struct Outputs {
    waiting: VecDeque<Waiting>,
    bytes: Vec<u8>,
    samples: Vec<i16>,
}

#[derive(Debug)]
enum Waiting {
    Plain(PlainOutput),
    Datagram(Party, Port, SocketAddr, Range<usize>),
    Wire { to: Leg, class: WireClass, binary: bool, span: Range<usize> },
    ReachNextBot(BotWish, MediaFormat),
    Tape(ReelFor, TapePiece<'static>),
    TapeSound(ReelFor, Range<usize>),
    Loudness(u64, Range<usize>),
    Dial { leg: LegNo, to: Destination, shown: PhoneNumber, until: Moment, alone: bool },
    Report(CallFact),
    Queue(QueueOrder),
    RunTool(ToolCall),
    Ended(Box<CallRecord>),
}

/// Outputs without bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PlainOutput {
    DialPhone(Moment),
    CancelPhone(Cause),
    Ring,
    Progress,
    Answer,
    Reject(u16, Cause),
    HangUpPhone(Cause),
    ClosePhone(u16),
    FindBot,
    ConnectBot,
    CloseBot(u16),
    NextBotTakesOver,
    DropNextBot,
    PauseBot,
    ResumeBot,
    Answered,
    CancelLeg(LegNo, u8),
    HangUpLeg(LegNo, u8),
}

/// Whose datagrams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Party {
    Caller,
    Agent(LegNo),
}

/// One of the two ports of an RTP leg.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Port {
    Rtp,
    Rtcp,
}

/// One of the two ends of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Leg {
    Phone,
    Bot,
}

impl Outputs {
    pub(super) fn plain(&mut self, output: PlainOutput) {
        self.waiting.push_back(Waiting::Plain(output));
    }

    pub(super) fn reach_next_bot(&mut self, wish: BotWish, phone: MediaFormat) {
        self.waiting.push_back(Waiting::ReachNextBot(wish, phone));
    }

    pub(super) fn dial_leg(
        &mut self,
        leg: LegNo,
        (to, until): (Destination, Moment),
        shown: PhoneNumber,
        alone: bool,
    ) {
        self.waiting.push_back(Waiting::Dial { leg, to, shown, until, alone });
    }

    pub(super) fn report(&mut self, fact: CallFact) {
        self.waiting.push_back(Waiting::Report(fact));
    }

    pub(super) fn queue(&mut self, order: QueueOrder) {
        self.waiting.push_back(Waiting::Queue(order));
    }

    pub(super) fn run_tool(&mut self, call: ToolCall) {
        self.waiting.push_back(Waiting::RunTool(call));
    }

    pub(super) fn ended(&mut self, record: Box<CallRecord>) {
        self.waiting.push_back(Waiting::Ended(record));
    }

    pub(super) fn tape_started(&mut self, reel: ReelFor, sample_rate: u32) {
        self.waiting.push_back(Waiting::Tape(reel, TapePiece::Started { sample_rate }));
    }

    pub(super) fn tape_sound(&mut self, reel: ReelFor, samples: &[i16]) {
        let start = self.samples.len();
        self.samples.extend_from_slice(samples);
        self.waiting.push_back(Waiting::TapeSound(reel, start..self.samples.len()));
    }

    pub(super) fn tape_silence(&mut self, reel: ReelFor, frames: u64) {
        self.waiting.push_back(Waiting::Tape(reel, TapePiece::Silence(frames)));
    }

    pub(super) fn bot_part_ends(&mut self, frames: u64) {
        self.waiting.push_back(Waiting::Tape(ReelFor::Tape(TapeKind::Call), TapePiece::BotPartEnds(frames)));
    }

    pub(super) fn tape_dropped(&mut self, kind: TapeKind) {
        self.waiting.push_back(Waiting::Tape(ReelFor::Tape(kind), TapePiece::Dropped));
    }

    pub(super) fn tape_stopped(&mut self, reel: ReelFor) {
        self.waiting.push_back(Waiting::Tape(reel, TapePiece::Stopped));
    }

    pub(super) fn loudness(&mut self, at: u64, levels: &[u8]) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(levels);
        self.waiting.push_back(Waiting::Loudness(at, start..self.bytes.len()));
    }

    /// Queues one datagram; `write` appends it.
    pub(super) fn datagram(
        &mut self,
        party: Party,
        port: Port,
        to: SocketAddr,
        write: impl FnOnce(&mut Vec<u8>),
    ) {
        let start = self.bytes.len();
        write(&mut self.bytes);
        self.waiting.push_back(Waiting::Datagram(party, port, to, start..self.bytes.len()));
    }

    pub(super) fn wire(&mut self, to: Leg, class: WireClass, wire: Wire<'_>) {
        let (binary, bytes) = match wire {
            Wire::Text(text) => (false, text.as_bytes()),
            Wire::Binary(bytes) => (true, bytes),
        };
        let start = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        self.waiting.push_back(Waiting::Wire { to, class, binary, span: start..self.bytes.len() });
    }

    pub(super) fn poll(&mut self) -> Option<Output<'_>> {
        let Some(next) = self.waiting.pop_front() else {
            self.bytes.clear();
            self.samples.clear();
            self.bytes.shrink_to(OUTPUT_BYTES_KEPT_MAX);
            return None;
        };
        Some(match next {
            Waiting::Plain(plain) => plain.into(),
            Waiting::ReachNextBot(wish, phone) => Output::ReachNextBot { wish, phone },
            Waiting::Tape(reel, piece) => reel.output(piece),
            Waiting::TapeSound(reel, span) => reel.output(TapePiece::Sound(&self.samples[span])),
            Waiting::Loudness(at, span) => Output::Loudness { at, levels: &self.bytes[span] },
            Waiting::Queue(order) => Output::Queue(order),
            Waiting::RunTool(call) => Output::RunTool(call),
            Waiting::Ended(record) => Output::Ended(record),
            Waiting::Dial { leg, to, shown, until, alone } => {
                Output::Leg(leg, LegOrder::Dial { to, shown, until, alone })
            }
            Waiting::Report(fact) => Output::Report(fact),
            Waiting::Datagram(party, port, to, span) => {
                let packet = &self.bytes[span];
                match (party, port) {
                    (Party::Caller, Port::Rtp) => Output::Rtp { to, packet },
                    (Party::Caller, Port::Rtcp) => Output::Rtcp { to, packet },
                    (Party::Agent(leg), Port::Rtp) => Output::Leg(leg, LegOrder::Rtp { to, packet }),
                    (Party::Agent(leg), Port::Rtcp) => Output::Leg(leg, LegOrder::Rtcp { to, packet }),
                }
            }
            Waiting::Wire { to, class, binary, span } => {
                let bytes = &self.bytes[span];
                let wire = match std::str::from_utf8(bytes) {
                    Ok(text) if !binary => Wire::Text(text),
                    _ => Wire::Binary(bytes),
                };
                match to {
                    Leg::Phone => Output::PhoneWire(class, wire),
                    Leg::Bot => Output::BotWire(class, wire),
                }
            }
        })
    }
}

impl From<PlainOutput> for Output<'_> {
    fn from(plain: PlainOutput) -> Self {
        match plain {
            PlainOutput::DialPhone(until) => Self::DialPhone(until),
            PlainOutput::CancelPhone(cause) => Self::CancelPhone(cause),
            PlainOutput::Ring => Self::Ring,
            PlainOutput::Progress => Self::Progress,
            PlainOutput::Answer => Self::Answer,
            PlainOutput::Reject(status, cause) => Self::Reject { status, cause },
            PlainOutput::HangUpPhone(cause) => Self::HangUpPhone(cause),
            PlainOutput::ClosePhone(code) => Self::ClosePhone(code),
            PlainOutput::FindBot => Self::FindBot,
            PlainOutput::ConnectBot => Self::ConnectBot,
            PlainOutput::CloseBot(code) => Self::CloseBot(code),
            PlainOutput::NextBotTakesOver => Self::NextBotTakesOver,
            PlainOutput::DropNextBot => Self::DropNextBot,
            PlainOutput::PauseBot => Self::PauseBot,
            PlainOutput::ResumeBot => Self::ResumeBot,
            PlainOutput::Answered => Self::Answered,
            PlainOutput::CancelLeg(leg, q850) => Self::Leg(leg, LegOrder::Cancel(q850)),
            PlainOutput::HangUpLeg(leg, q850) => Self::Leg(leg, LegOrder::HangUp(q850)),
        }
    }
}

/// Bytes that the reused buffer keeps when it is drained.
const OUTPUT_BYTES_KEPT_MAX: usize = 8_192;
