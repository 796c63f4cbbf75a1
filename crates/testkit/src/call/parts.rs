//! What calls are made of: phones, bots and settings of every kind, by number.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use patchcord_core::call::{
    BotJoins, BotPlace, BotSettings, CallSettings, Deadlines, Fallback, MediaDirection, OnTransfer,
    PhoneMedia, PhoneSettings, RecordingPlan, RtpIdentity, TransferSettings,
};
use patchcord_core::dialect::registry::{
    BotSideSettings, DIALECTS, DialectRow, PhoneSideSettings, RecordWish, RefusalWish,
};
use patchcord_core::dialect::{BotSide, Capability, Dialect, Malformed, Mapping, Out, Wire, WireAudio};
use patchcord_core::media::{LineCodec, MediaFormat};
use patchcord_core::vocabulary::{
    CallCommand, CallEvent, CallId, Direction, HangUpWhen, Moment, PhoneNumber, StreamId, Transfer,
    TransferTo, WallClock,
};

/// Settings of an inbound call with deadlines so short that a test meets them all.
pub fn call_settings(
    phone: PhoneSettings,
    bot: BotSettings,
    fallback: Fallback,
    now: Moment,
) -> CallSettings {
    CallSettings {
        call_id: CallId::new(1_707_204_900_000, [7; 12]),
        stream_id: StreamId::new(1_707_204_900, 123),
        phone_leg_id: "leg".into(),
        account: "patchcord".into(),
        from: PhoneNumber::new("9876543210"),
        to: PhoneNumber::new("18001234567"),
        country: None,
        direction: match &phone {
            PhoneSettings::Dialled { .. } => Direction::Outbound,
            PhoneSettings::Sip { .. } | PhoneSettings::Vendor { .. } => Direction::Inbound,
        },
        clock: WallClock::new(1_707_204_900_000, now),
        custom: Vec::new(),
        phone,
        bot,
        fallback,
        sorry_clip: sorry_clip(),
        recording: RecordingPlan::default(),
        deadlines: DEADLINES,
        transfers: TransferSettings { ring: Duration::from_secs(1), confirm: None, shown_outside: None },
    }
}

/// A SIP phone that has agreed on its audio (0 to 2), one that has not (3), a vendor of one of the first four dialects
/// (4 to 7), beyond [`LATER`] one of a later dialect, or beyond [`DIALLED`] a phone that we call, whose bot joins at its
/// answer or while it rings. Checked-in inputs name these numbers: they stay.
pub fn phone(kind: usize) -> PhoneSettings {
    if kind >= DIALLED {
        let rtp = RtpIdentity { ssrc: 7, sequence: 1, timestamp: 0 };
        let joins = if kind.is_multiple_of(2) { BotJoins::AtTheAnswer } else { BotJoins::WhileItRings };
        return PhoneSettings::Dialled { rtp, joins };
    }
    let row = match kind % 8 {
        _ if kind >= LATER => later(kind),
        0..=2 => {
            let rtp = RtpIdentity { ssrc: 7, sequence: 1, timestamp: 0 };
            return PhoneSettings::Sip { rtp, media: Some(media(0)), early_media: kind % 2 == 1 };
        }
        3 => {
            let rtp = RtpIdentity { ssrc: 7, sequence: 65_535, timestamp: u32::MAX - 99 };
            return PhoneSettings::Sip { rtp, media: None, early_media: false };
        }
        vendor => DIALECTS[vendor - 4],
    };
    let clock = WallClock::new(1_700_000_000_000, Moment::START);
    let mapping = Some(Arc::new(Mapping::example()));
    let settings = PhoneSideSettings { audio: row.default_audio, seed: 1, clock, mapping };
    let side = (row.phone_side)(&settings);
    PhoneSettings::Vendor { dialect: row.name, side, audio: row.default_audio }
}

/// A bot of one of the first four dialects (0 to 3), an echo (4), a menu that hands the call over (5), one that has to be
/// found (6), or one of a later dialect. Every other eight wait while a transfer is tried.
pub fn bot(kind: usize) -> BotSettings {
    let bot = match kind % 8 {
        kind @ 0..=3 => remote(DIALECTS[kind]),
        4 => built_in(Box::new(Echo)),
        5 => built_in(Box::new(Menu)),
        6 => BotSettings::unknown("config_api"),
        _ => remote(later(kind / 8)),
    };
    if kind / 8 % 2 == 1 { BotSettings { on_transfer: OnTransfer::Hold, ..bot } } else { bot }
}

/// One of the dialects beyond the first four.
fn later(kind: usize) -> &'static DialectRow {
    DIALECTS[4 + kind % (DIALECTS.len() - 4)]
}

/// What was agreed on with the phone, in some of its varieties.
pub fn media(kind: u16) -> PhoneMedia {
    let directions = [
        MediaDirection::SendReceive,
        MediaDirection::SendOnly,
        MediaDirection::ReceiveOnly,
        MediaDirection::Inactive,
    ];
    PhoneMedia {
        remote: phone_address(),
        rtcp: (kind & 32 != 0).then(phone_address),
        signalling: (kind & 64 != 0).then(|| phone_address().ip()),
        codec: if kind & 4 == 0 { LineCodec::Pcmu } else { LineCodec::Pcma },
        payload_type: if kind & 4 == 0 { 0 } else { 8 },
        telephone_event: (kind & 8 == 0).then_some((101, 8_000)),
        ptime: Duration::from_millis(10 * u64::from(1 + (kind / 16 + 1) % 6)),
        direction: directions[usize::from(kind % 4)],
        srtp: None,
    }
}

/// Where the phone sends from.
pub fn phone_address() -> SocketAddr {
    ([203, 0, 113, 5], 40_000).into()
}

/// Where the `at`th leg of a transfer sends from.
pub(super) fn leg_address(at: usize) -> SocketAddr {
    ([192, 0, 2, 1 + u8::try_from(at % 200).unwrap_or(0)], 41_000).into()
}

/// Where somebody else sends from.
pub fn stranger_address() -> SocketAddr {
    ([198, 51, 100, 9], 40_000).into()
}

fn remote(row: &DialectRow) -> BotSettings {
    let audio = row.default_audio;
    let mapping = Some(Arc::new(Mapping::example()));
    let settings = BotSideSettings {
        audio,
        record: RecordWish::Send,
        refusals: RefusalWish::Tell,
        mapping,
        engine: None,
    };
    let side = (row.bot_side)(&settings);
    let (place, on_transfer) = (BotPlace::Remote, OnTransfer::End);
    BotSettings { name: row.name.into(), dialect: row.name, side, audio, place, on_transfer, agent: None }
}

fn built_in(side: Box<BotSide>) -> BotSettings {
    let audio = WireAudio { format: side.format(), frame: FRAME };
    let (place, on_transfer) = (BotPlace::BuiltIn, OnTransfer::Hold);
    BotSettings { name: "built-in".into(), dialect: "built-in", side, audio, place, on_transfer, agent: None }
}

fn sorry_clip() -> Arc<[i16]> {
    static CLIP: OnceLock<Arc<[i16]>> = OnceLock::new();
    CLIP.get_or_init(|| vec![3_000; 2_000].into()).clone()
}

/// A bot in this process that returns what it hears.
#[derive(Debug)]
pub struct Echo;

impl Dialect for Echo {
    type Say = CallEvent;
    type Hear = CallCommand;

    fn format(&self) -> MediaFormat {
        MediaFormat::PCMU_8K
    }

    fn encode(&mut self, _: &CallEvent, _: Moment, _: &mut Out<CallCommand>) {}

    fn encode_audio(&mut self, audio: &[u8], _: Moment, out: &mut Out<CallCommand>) {
        say(audio, out);
    }

    fn decode(&mut self, _: Wire<'_>, _: Moment, _: &mut Out<CallCommand>) -> Result<(), Malformed> {
        Err(Malformed::NotJson)
    }

    fn capabilities(&self) -> &'static [Capability] {
        &[Capability::Clear, Capability::DigitsToBot]
    }
}

/// A bot in this process that speaks, marks, clears, hands the call over and hangs up, by the caller's keys.
#[derive(Debug)]
struct Menu;

impl Dialect for Menu {
    type Say = CallEvent;
    type Hear = CallCommand;

    fn format(&self) -> MediaFormat {
        MediaFormat::linear16(16_000)
    }

    fn encode(&mut self, event: &CallEvent, _: Moment, out: &mut Out<CallCommand>) {
        match event {
            CallEvent::Started(_) | CallEvent::Refused(_) => say(&[0x11; 8_000], out),
            // It answers every mark by the next one.
            CallEvent::Mark { .. } => out.hear(CallCommand::Mark { name: "menu".into() }),
            CallEvent::Digit(press) => match press.digit.as_char() {
                '0' => out.hear(CallCommand::Mark { name: "menu".into() }),
                '*' => out.hear(CallCommand::Clear),
                '#' => out.hear(CallCommand::HangUp(HangUpWhen::AfterPlayout)),
                _ => {
                    out.hear(CallCommand::Clear);
                    let to = TransferTo::NamedBot("next".into());
                    out.hear(CallCommand::Transfer(Transfer { to, command: "menu" }));
                }
            },
            CallEvent::Cleared
            | CallEvent::Ended(_)
            | CallEvent::Record(_)
            | CallEvent::Flow(_)
            | CallEvent::Speech(_)
            | CallEvent::Unknown(_) => {}
        }
    }

    fn encode_audio(&mut self, _: &[u8], _: Moment, _: &mut Out<CallCommand>) {}

    fn decode(&mut self, _: Wire<'_>, _: Moment, _: &mut Out<CallCommand>) -> Result<(), Malformed> {
        Err(Malformed::NotJson)
    }

    fn capabilities(&self) -> &'static [Capability] {
        &[Capability::DigitsToBot]
    }
}

fn say(audio: &[u8], out: &mut Out<CallCommand>) {
    let heard = out.hear_audio(|to| {
        to.extend_from_slice(audio);
        Ok::<_, Malformed>(())
    });
    assert_eq!(heard, Ok(()));
}

/// From this number on, phones speak later dialects.
pub(super) const LATER: usize = 64;
/// From this number on, we call the phone.
const DIALLED: usize = 128;
const FRAME: Duration = Duration::from_millis(20);
const DEADLINES: Deadlines = Deadlines {
    find_bot: Duration::from_secs(1),
    bot_connect: Duration::from_secs(1),
    ring: Duration::from_secs(2),
    phone_answer: Duration::from_secs(3),
    vendor_start: Duration::from_millis(1_500),
    vendor_end: Duration::from_millis(500),
    media_timeout: Duration::from_secs(2),
    max_duration: Duration::from_secs(6),
};
