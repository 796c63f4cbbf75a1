//! Calls in virtual time: a scripted shell drives the machine and keeps what it put out.

mod addresses;
mod agent;
mod agent_ids;
mod agent_laws;
mod agent_takes_over;
mod agent_tools;
mod agent_turns;
mod agent_words;
mod bots;
mod bridge;
mod codecs;
mod ending;
mod finding;
mod flow_people;
mod flows;
mod hand_over;
mod history;
mod last_words;
mod legs;
mod orders;
mod outbound;
mod parting;
mod protection;
mod quality;
mod recording;
mod refer;
mod setup;
mod talking;
mod transfer;
mod unanswered;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::dialect::registry::{self, BotSideSettings, PhoneSideSettings, RecordWish, RefusalWish};
use crate::dialect::{BotSide, Wire, WireAudio};
use crate::media::LineCodec;
use crate::vocabulary::{CallFact, CallRecord, Cause, Reason, ToolCall};

/// One output, kept.
#[derive(Debug, Clone, PartialEq)]
enum Seen {
    DialPhone,
    CancelPhone(Reason),
    Ring,
    Progress,
    Answer,
    Answered,
    Reject(u16),
    HangUpPhone(Reason),
    Rtp(Vec<u8>),
    Rtcp(Vec<u8>),
    ToPhone(String),
    ToPhoneBinary(usize),
    ClosePhone(u16),
    FindBot,
    ConnectBot,
    ToBot(String),
    ToBotBinary(usize),
    CloseBot(u16),
    ReachNextBot(BotWish),
    NextBotTakesOver,
    DropNextBot,
    PauseBot,
    ResumeBot,
    Dial(LegNo, Destination, PhoneNumber),
    CancelLeg(LegNo),
    HangUpLeg(LegNo, u8),
    LegRtp(LegNo, Vec<u8>),
    LegRtcp(LegNo),
    Report(CallFact),
    Queue(QueueOrder),
    RunTool(ToolCall),
    Ended(Reason),
}

/// A shell in virtual time.
struct Desk {
    call: Call,
    now: Moment,
    seen: Vec<(Moment, Seen)>,
    records: Vec<CallRecord>,
    sequence: u16,
    /// The stream's clock when the sequence began anew.
    epoch: u32,
    taped: Taped,
    /// What somebody who listens heard.
    overheard: Taped,
}

/// What came onto tapes.
#[derive(Debug, Default)]
struct Taped {
    /// The rates of the recordings that began, and how many ended.
    began: Vec<(TapeKind, u32)>,
    ended: usize,
    dropped: usize,
    /// Interleaved, of the call and of the voicemail.
    call: Vec<i16>,
    voicemail: Vec<i16>,
    bot_part: Option<u64>,
    /// The curve, pair by pair.
    curve: Vec<u8>,
}

const PHONE: &str = "127.0.0.1:40000";
const FRAME: Duration = Duration::from_millis(20);

impl Desk {
    /// A SIP phone with PCMU and a bot.
    fn sip(bot: BotSettings, fallback: Fallback) -> Self {
        let media = Some(media());
        Self::new(
            PhoneSettings::Sip {
                rtp: RtpIdentity { ssrc: 7, sequence: 1, timestamp: 0 },
                media,
                early_media: false,
            },
            bot,
            fallback,
        )
    }

    /// A vendor that speaks `dialect`, and a bot.
    fn vendor(dialect: &'static str, bot: BotSettings) -> Self {
        Self::new(vendor_phone(dialect), bot, Fallback::Sorry)
    }

    fn new(phone: PhoneSettings, bot: BotSettings, fallback: Fallback) -> Self {
        Self::with_custom(phone, bot, fallback, Vec::new())
    }

    fn with_custom(
        phone: PhoneSettings,
        bot: BotSettings,
        fallback: Fallback,
        custom: Vec<(String, String)>,
    ) -> Self {
        Self::recorded(phone, bot, fallback, custom, RecordingPlan::default())
    }

    fn recorded(
        phone: PhoneSettings,
        bot: BotSettings,
        fallback: Fallback,
        custom: Vec<(String, String)>,
        recording: RecordingPlan,
    ) -> Self {
        let settings = settings(phone, bot, fallback);
        Self::of(CallSettings { custom, recording, ..settings })
    }

    fn of(settings: CallSettings) -> Self {
        let now = settings_moment();
        let call = Call::new(settings, now);
        let mut desk = Self {
            call,
            now,
            seen: Vec::new(),
            records: Vec::new(),
            sequence: 0,
            epoch: 0,
            taped: Taped::default(),
            overheard: Taped::default(),
        };
        desk.drain();
        desk
    }

    fn input(&mut self, input: Input<'_>) {
        self.call.handle(self.now, input);
        self.drain();
    }

    fn bot_says(&mut self, text: &str) {
        self.input(Input::BotWire(Wire::Text(text)));
    }

    fn bot_sends(&mut self, audio: &[u8]) {
        self.input(Input::BotWire(Wire::Binary(audio)));
    }

    fn vendor_says(&mut self, text: &str) {
        self.input(Input::PhoneWire(Wire::Text(text)));
    }

    /// The phone sends one packet of `byte`s; time stands still.
    fn phone_speaks(&mut self, byte: u8) {
        self.sequence = self.sequence.wrapping_add(1);
        self.epoch += if self.sequence == 0 { 65_536 * 160 } else { 0 };
        let mut packet = vec![0x80, 0];
        packet.extend_from_slice(&self.sequence.to_be_bytes());
        packet.extend_from_slice(&(self.epoch + u32::from(self.sequence) * 160).to_be_bytes());
        packet.extend_from_slice(&99u32.to_be_bytes());
        packet.extend_from_slice(&[byte; 160]);
        self.input(Input::Rtp { source: phone(), packet: &packet });
    }

    /// Lets time pass, serving every deadline on the way.
    fn pass(&mut self, duration: Duration) {
        let end = self.now + duration;
        let mut at_this_moment = 0;
        while let Some(due) = self.call.poll_timeout().filter(|due| *due <= end) {
            at_this_moment = if due > self.now { 0 } else { at_this_moment + 1 };
            assert!(at_this_moment < 10, "a deadline that serving does not move");
            self.now = self.now.max(due);
            self.call.handle_timeout(self.now);
            self.drain();
        }
        self.now = end;
    }

    /// A phone that speaks for that long, 20 ms at a time.
    fn talk(&mut self, duration: Duration) {
        for _ in 0..duration.as_millis() / 20 {
            self.phone_speaks(0x20);
            self.pass(FRAME);
        }
    }

    fn drain(&mut self) {
        while let Some(output) = self.call.poll_output() {
            let seen = match output {
                Output::DialPhone(_) => Seen::DialPhone,
                Output::CancelPhone(cause) => Seen::CancelPhone(cause.reason()),
                Output::Ring => Seen::Ring,
                Output::Progress => Seen::Progress,
                Output::Answer => Seen::Answer,
                Output::Answered => Seen::Answered,
                Output::Reject { status, .. } => Seen::Reject(status),
                Output::HangUpPhone(cause) => Seen::HangUpPhone(cause.reason()),
                Output::Rtp { packet, .. } => Seen::Rtp(packet.to_vec()),
                Output::Rtcp { packet, .. } => Seen::Rtcp(packet.to_vec()),
                Output::PhoneWire(_, Wire::Text(text)) => Seen::ToPhone(text.to_owned()),
                Output::PhoneWire(_, Wire::Binary(bytes)) => Seen::ToPhoneBinary(bytes.len()),
                Output::ClosePhone(code) => Seen::ClosePhone(code),
                Output::FindBot => Seen::FindBot,
                Output::ConnectBot => Seen::ConnectBot,
                Output::BotWire(_, Wire::Text(text)) => Seen::ToBot(text.to_owned()),
                Output::BotWire(_, Wire::Binary(bytes)) => Seen::ToBotBinary(bytes.len()),
                Output::CloseBot(code) => Seen::CloseBot(code),
                Output::ReachNextBot { wish, .. } => Seen::ReachNextBot(wish),
                Output::NextBotTakesOver => Seen::NextBotTakesOver,
                Output::DropNextBot => Seen::DropNextBot,
                Output::PauseBot => Seen::PauseBot,
                Output::ResumeBot => Seen::ResumeBot,
                Output::Queue(order) => Seen::Queue(order),
                Output::RunTool(call) => Seen::RunTool(call),
                Output::Tape(kind, piece) => {
                    self.taped.take(kind, piece);
                    continue;
                }
                Output::Overheard(piece) => {
                    self.overheard.take(TapeKind::Call, piece);
                    continue;
                }
                Output::Loudness { at, levels } => {
                    self.taped.curve.resize(at as usize * 2, 0);
                    self.taped.curve.extend_from_slice(levels);
                    continue;
                }
                Output::Leg(leg, LegOrder::Dial { to, shown, .. }) => Seen::Dial(leg, to, shown),
                Output::Leg(leg, LegOrder::Cancel(_)) => Seen::CancelLeg(leg),
                Output::Leg(leg, LegOrder::HangUp(q850)) => Seen::HangUpLeg(leg, q850),
                Output::Leg(leg, LegOrder::Rtp { packet, .. }) => Seen::LegRtp(leg, packet.to_vec()),
                Output::Leg(leg, LegOrder::Rtcp { .. }) => Seen::LegRtcp(leg),
                Output::Report(fact) => Seen::Report(fact),
                Output::Ended(record) => {
                    let reason = record.cause.reason();
                    self.records.push(*record);
                    Seen::Ended(reason)
                }
            };
            self.seen.push((self.now, seen));
        }
    }

    fn saw(&self, wanted: &Seen) -> bool {
        self.seen.iter().any(|(_, seen)| seen == wanted)
    }

    fn when(&self, wanted: &Seen) -> Moment {
        self.seen
            .iter()
            .find(|(_, seen)| seen == wanted)
            .map(|(at, _)| *at)
            .unwrap_or_else(|| panic!("{wanted:?}"))
    }

    fn to_bot(&self) -> Vec<&str> {
        self.seen
            .iter()
            .filter_map(|(_, seen)| if let Seen::ToBot(text) = seen { Some(text.as_str()) } else { None })
            .collect()
    }

    fn to_phone(&self) -> Vec<&str> {
        self.seen
            .iter()
            .filter_map(|(_, seen)| if let Seen::ToPhone(text) = seen { Some(text.as_str()) } else { None })
            .collect()
    }

    /// The payloads of the RTP sent since `from`, with their moments.
    fn heard_since(&self, from: Moment) -> Vec<(Moment, &[u8])> {
        self.seen
            .iter()
            .filter_map(|(at, seen)| match seen {
                Seen::Rtp(packet) if *at >= from && packet[1] & 0x7F == 0 => Some((*at, &packet[12..])),
                _ => None,
            })
            .collect()
    }

    fn ended(&self) -> &CallRecord {
        assert_eq!(self.records.len(), 1, "records: {:?}", self.records);
        &self.records[0]
    }
}

impl Taped {
    fn take(&mut self, kind: TapeKind, piece: TapePiece<'_>) {
        let tape = match kind {
            TapeKind::Call => &mut self.call,
            TapeKind::Voicemail => &mut self.voicemail,
        };
        match piece {
            TapePiece::Started { sample_rate } => self.began.push((kind, sample_rate)),
            TapePiece::Sound(samples) => tape.extend_from_slice(samples),
            TapePiece::Silence(frames) => tape.resize(tape.len() + frames as usize * kind.channels(), 0),
            TapePiece::BotPartEnds(frames) => self.bot_part = Some(frames),
            TapePiece::Stopped => self.ended += 1,
            TapePiece::Dropped => self.dropped += 1,
        }
    }
}

fn vendor_phone(dialect: &'static str) -> PhoneSettings {
    let row = registry::find(dialect).unwrap();
    let clock = WallClock::new(1_700_000_000_000, Moment::START);
    let settings = PhoneSideSettings { audio: row.default_audio, seed: 1, clock, mapping: None };
    PhoneSettings::Vendor { dialect: row.name, side: (row.phone_side)(&settings), audio: row.default_audio }
}

fn settings_moment() -> Moment {
    Moment::from_millis(1_000)
}

/// A call.
fn settings(phone: PhoneSettings, bot: BotSettings, fallback: Fallback) -> CallSettings {
    CallSettings {
        call_id: CallId::new(1_707_204_900_000, [7; 12]),
        stream_id: StreamId::new(1_707_204_900, 123),
        phone_leg_id: "sip-1".into(),
        account: "patchcord".into(),
        from: PhoneNumber::new("9876543210"),
        to: PhoneNumber::new("18001234567"),
        country: None,
        direction: match &phone {
            PhoneSettings::Dialled { .. } => Direction::Outbound,
            PhoneSettings::Sip { .. } | PhoneSettings::Vendor { .. } => Direction::Inbound,
        },
        clock: WallClock::new(1_707_204_900_000, settings_moment()),
        custom: Vec::new(),
        phone,
        bot,
        fallback,
        sorry_clip: vec![3_000; 8_000].into(),
        recording: RecordingPlan::default(),
        deadlines: Deadlines::default(),
        transfers: TransferSettings::default(),
    }
}

fn phone() -> SocketAddr {
    PHONE.parse().unwrap()
}

fn media() -> PhoneMedia {
    PhoneMedia {
        remote: phone(),
        rtcp: None,
        signalling: None,
        codec: LineCodec::Pcmu,
        payload_type: 0,
        telephone_event: Some((101, 8_000)),
        ptime: FRAME,
        direction: MediaDirection::SendReceive,
        srtp: None,
    }
}

/// A bot behind a WebSocket.
fn remote(dialect: &str) -> BotSettings {
    let row = registry::find(dialect).unwrap();
    let audio = row.default_audio;
    let settings = BotSideSettings {
        audio,
        record: RecordWish::Send,
        refusals: RefusalWish::Tell,
        mapping: None,
        engine: None,
    };
    BotSettings {
        name: "bot".into(),
        dialect: row.name,
        side: (row.bot_side)(&settings),
        audio,
        place: BotPlace::Remote,
        on_transfer: OnTransfer::End,
        agent: None,
    }
}

/// A bot in this process.
fn built_in(side: Box<BotSide>) -> BotSettings {
    let audio = WireAudio { format: side.format(), frame: FRAME };
    let (place, on_transfer) = (BotPlace::BuiltIn, OnTransfer::Hold);
    BotSettings { name: "bot".into(), dialect: "built-in", side, audio, place, on_transfer, agent: None }
}

fn cause_of(desk: &Desk) -> Cause {
    desk.ended().cause
}
