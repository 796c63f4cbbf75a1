//! The machine of one call: whatever comes in whatever order, it ends in exactly one record and then stays silent.
//!
//! The first byte chooses the phone, the second the bot. Then a line is one thing that happens, by its first byte:
//! `b` text of the bot, `B` a binary message of it, `v` and `V` the vendor's, `r` a datagram of the phone, `R` one of a
//! stranger, `c` RTCP, `s` a spoken frame, `+NUMBER` milliseconds, and what [`Desk::step`] says of the others.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use patchcord_core::call::{
    BotPlace, BotSettings, Call, CallSettings, Deadlines, Fallback, Input, MediaDirection, Output,
    PhoneMedia, PhoneSettings, RtpIdentity, SocketEnd, StateName,
};
use patchcord_core::dialect::registry::{
    BotSideSettings, DIALECTS, DialectRow, PhoneSideSettings, RecordWish, RefusalWish,
};
use patchcord_core::dialect::{
    BotSide, Capability, Dialect, Malformed, Mapping, Out, Wire, WireAudio, WireClass,
};
use patchcord_core::media::{LineCodec, MediaFormat};
use patchcord_core::vocabulary::{
    CallCommand, CallEvent, CallId, Counters, Digit, DigitPress, Direction, Moment, PhoneNumber, Reason,
    StreamId, WallClock,
};

use super::steps::{lines, masked, number};

/// Plays the input to a call, hangs it up, and plays it again to what is left.
pub fn exercise(input: &[u8]) {
    let [phone, bot, steps @ ..] = input else { return };
    let mut desk = Desk::new(usize::from(*phone), usize::from(*bot));
    for line in lines(steps) {
        desk.step(line);
    }
    desk.input(Input::HangUp(Reason::Drained));
    desk.pass(Duration::from_secs(10));
    assert_eq!((desk.call.state(), desk.call.poll_timeout()), (StateName::Ended, None));
    let Some(counters) = desk.ended else { panic!("a call without a record") };
    let gone = counters.played_ms + counters.cleared_ms + counters.trimmed_ms;
    assert!(gone <= counters.pushed_ms + 2, "more was played than came: {counters:?}");
    for line in lines(steps) {
        desk.step(line);
    }
}

/// The shell of one call, in virtual time.
struct Desk {
    call: Call,
    now: Moment,
    passed: Duration,
    sequence: u16,
    ended: Option<Counters>,
}

impl Desk {
    fn new(phone: usize, bot: usize) -> Self {
        let now = Moment::from_millis(1_000);
        let settings = CallSettings {
            call_id: CallId::new(1_707_204_900_000, [7; 12]),
            stream_id: StreamId::new(1_707_204_900, 123),
            phone_leg_id: "leg".into(),
            account: "patchcord".into(),
            from: PhoneNumber::new("9876543210"),
            to: PhoneNumber::new("18001234567"),
            country: None,
            direction: Direction::Inbound,
            clock: WallClock::new(1_707_204_900_000, now),
            custom: Vec::new(),
            phone: phone_settings(phone),
            bot: bot_settings(bot),
            fallback: [Fallback::Sorry, Fallback::Busy, Fallback::Unavailable][phone / 8 % 3],
            sorry_clip: sorry_clip(),
            deadlines: DEADLINES,
        };
        let mut desk =
            Self { call: Call::new(settings, now), now, passed: Duration::ZERO, sequence: 0, ended: None };
        desk.drain();
        desk
    }

    fn step(&mut self, line: &[u8]) {
        let Some((what, rest)) = line.split_first() else { return };
        let code = u16::try_from(number(rest)).unwrap_or(1_000);
        match what {
            b'b' => self.input(Input::BotWire(Wire::Text(&String::from_utf8_lossy(rest)))),
            b'B' => self.input(Input::BotWire(Wire::Binary(&masked(rest)))),
            b'v' => self.input(Input::PhoneWire(Wire::Text(&String::from_utf8_lossy(rest)))),
            b'V' => self.input(Input::PhoneWire(Wire::Binary(&masked(rest)))),
            b'r' => self.input(Input::Rtp { source: phone(), packet: &masked(rest) }),
            b'R' => self.input(Input::Rtp { source: stranger(), packet: &masked(rest) }),
            b'c' => self.input(Input::Rtcp { source: phone(), packet: &masked(rest) }),
            b's' => self.speak(rest),
            b'+' => self.pass(Duration::from_millis(number(rest).min(4_000))),
            b'C' => self.input(Input::BotConnected),
            b'F' => self.input(Input::BotFailed(Reason::BotRefused)),
            b'X' => self.input(Input::BotClosed(SocketEnd::Closed(code))),
            b'Z' => self.input(Input::BotClosed(SocketEnd::Reset)),
            b'Y' => self.input(Input::PhoneClosed(SocketEnd::Closed(code))),
            b'G' => self.input(Input::PhoneGone(Reason::CallerHungUp)),
            b'D' => self.input(Input::AudioDropped),
            b'k' => {
                let digit = Digit::ALL[usize::from(code % 16)];
                self.input(Input::PhoneDigit(DigitPress { digit, duration: None }));
            }
            b'm' => self.input(Input::PhoneMedia(media(code))),
            b'H' => self.input(Input::HangUp(Reason::Asked)),
            _ => {}
        }
    }

    /// A well-formed packet of the phone, its sound out of the line.
    fn speak(&mut self, sound: &[u8]) {
        self.sequence = self.sequence.wrapping_add(1);
        let mut packet = vec![0x80, 0];
        packet.extend_from_slice(&self.sequence.to_be_bytes());
        packet.extend_from_slice(&(u32::from(self.sequence) * 160).to_be_bytes());
        packet.extend_from_slice(&99_u32.to_be_bytes());
        packet.extend(sound.iter().cycle().take(if sound.is_empty() { 0 } else { 160 }));
        self.input(Input::Rtp { source: phone(), packet: &packet });
    }

    fn input(&mut self, input: Input<'_>) {
        self.call.handle(self.now, input);
        self.drain();
    }

    /// Lets time pass and serves every deadline on the way; one input gets [`TIME_MAX`] of it.
    fn pass(&mut self, time: Duration) {
        let time = if self.ended.is_some() { time } else { time.min(TIME_MAX.saturating_sub(self.passed)) };
        let time = time.max(Duration::from_millis(1));
        self.passed += time;
        let end = self.now + time;
        let mut served = 0;
        while let Some(due) = self.call.poll_timeout().filter(|due| *due <= end) {
            served = if due > self.now { 0 } else { served + 1 };
            assert!(served < 10, "a deadline that serving does not move");
            self.now = self.now.max(due);
            self.call.handle_timeout(self.now);
            self.drain();
        }
        self.now = end;
    }

    fn drain(&mut self) {
        let mut outputs = 0;
        while let Some(output) = self.call.poll_output() {
            outputs += 1;
            assert!(outputs <= OUTPUTS_MAX, "{outputs} outputs of one input");
            assert!(self.ended.is_none(), "after the end: {output:?}");
            match output {
                Output::PhoneWire(WireClass::Control, Wire::Text(text))
                | Output::BotWire(WireClass::Control, Wire::Text(text)) => {
                    let json = serde_json::from_str::<serde::de::IgnoredAny>(text);
                    assert!(json.is_ok(), "we wrote {text}, which is {json:?}");
                }
                Output::Rtp { to, .. } | Output::Rtcp { to, .. } => {
                    assert_eq!(to.ip(), phone().ip(), "a stranger is sent to");
                }
                Output::Ended(record) => self.ended = Some(record.counters),
                Output::PhoneWire(..) | Output::BotWire(..) => {}
                Output::Ring | Output::Progress | Output::Answer | Output::Answered => {}
                Output::FindBot | Output::ConnectBot => {}
                Output::Reject { .. } | Output::HangUpPhone(_) | Output::ClosePhone(_) => {}
                Output::ReachNextBot { .. } | Output::NextBotTakesOver | Output::DropNextBot => {}
                Output::CloseBot(_) | Output::PauseBot | Output::ResumeBot => {}
            }
        }
    }
}

fn phone_settings(kind: usize) -> PhoneSettings {
    let row: &DialectRow = match kind % 8 {
        0..=2 => {
            let rtp = RtpIdentity { ssrc: 7, sequence: 1, timestamp: 0 };
            return PhoneSettings::Sip { rtp, media: Some(media(0)), early_media: kind % 2 == 1 };
        }
        3 => {
            let rtp = RtpIdentity { ssrc: 7, sequence: 65_535, timestamp: u32::MAX - 99 };
            return PhoneSettings::Sip { rtp, media: None, early_media: false };
        }
        vendor => DIALECTS[vendor % DIALECTS.len()],
    };
    let clock = WallClock::new(1_700_000_000_000, Moment::START);
    let settings = PhoneSideSettings {
        audio: row.default_audio,
        seed: 1,
        clock,
        mapping: Some(Arc::new(Mapping::example())),
    };
    let side = (row.phone_side)(&settings);
    PhoneSettings::Vendor { dialect: row.name, side, audio: row.default_audio }
}

fn bot_settings(kind: usize) -> BotSettings {
    let Some(row) = DIALECTS.get(kind % (DIALECTS.len() + 1)) else {
        let side: Box<BotSide> = Box::new(Echo);
        let audio = WireAudio { format: side.format(), frame: FRAME };
        return BotSettings { name: "b".into(), dialect: "built-in", side, audio, place: BotPlace::BuiltIn };
    };
    let audio = row.default_audio;
    let settings = BotSideSettings {
        audio,
        record: RecordWish::Send,
        refusals: RefusalWish::Tell,
        mapping: Some(Arc::new(Mapping::example())),
    };
    let side = (row.bot_side)(&settings);
    BotSettings { name: "b".into(), dialect: row.name, side, audio, place: BotPlace::Remote }
}

/// What was agreed on with the phone, in some of its varieties.
fn media(kind: u16) -> PhoneMedia {
    let directions = [
        MediaDirection::SendReceive,
        MediaDirection::SendOnly,
        MediaDirection::ReceiveOnly,
        MediaDirection::Inactive,
    ];
    PhoneMedia {
        remote: phone(),
        rtcp: (kind & 32 != 0).then(phone),
        signalling: (kind & 64 != 0).then(|| phone().ip()),
        codec: if kind & 4 == 0 { LineCodec::Pcmu } else { LineCodec::Pcma },
        payload_type: if kind & 4 == 0 { 0 } else { 8 },
        telephone_event: (kind & 8 == 0).then_some((101, 8_000)),
        ptime: Duration::from_millis(10 * u64::from(1 + (kind / 16 + 1) % 6)),
        direction: directions[usize::from(kind % 4)],
        srtp: None,
    }
}

fn phone() -> SocketAddr {
    ([203, 0, 113, 5], 40_000).into()
}

fn stranger() -> SocketAddr {
    ([198, 51, 100, 9], 40_000).into()
}

fn sorry_clip() -> Arc<[i16]> {
    static CLIP: OnceLock<Arc<[i16]>> = OnceLock::new();
    CLIP.get_or_init(|| vec![3_000; 8_000].into()).clone()
}

/// A bot in this process that returns what it hears.
struct Echo;

impl Dialect for Echo {
    type Say = CallEvent;
    type Hear = CallCommand;

    fn format(&self) -> MediaFormat {
        MediaFormat::PCMU_8K
    }

    fn encode(&mut self, _: &CallEvent, _: Moment, _: &mut Out<CallCommand>) {}

    fn encode_audio(&mut self, audio: &[u8], _: Moment, out: &mut Out<CallCommand>) {
        let heard = out.hear_audio(|to| {
            to.extend_from_slice(audio);
            Ok::<_, Malformed>(())
        });
        assert_eq!(heard, Ok(()));
    }

    fn decode(&mut self, _: Wire<'_>, _: Moment, _: &mut Out<CallCommand>) -> Result<(), Malformed> {
        Err(Malformed::NotJson)
    }

    fn capabilities(&self) -> &'static [Capability] {
        &[Capability::Clear, Capability::DigitsToBot]
    }
}

const FRAME: Duration = Duration::from_millis(20);
/// So short that an input meets them all.
const DEADLINES: Deadlines = Deadlines {
    find_bot: Duration::from_secs(1),
    bot_connect: Duration::from_secs(1),
    ring: Duration::from_secs(2),
    vendor_start: Duration::from_millis(1_500),
    vendor_end: Duration::from_millis(500),
    media_timeout: Duration::from_secs(2),
    max_duration: Duration::from_secs(6),
};
/// Virtual time of one input.
const TIME_MAX: Duration = Duration::from_secs(8);
/// What one input may cause: a control message, the marks of a step and the frames that are due.
const OUTPUTS_MAX: usize = 512;
