//! The legs of transfers: what a driver may tell of them, and what must hold for them.
//!
//! Every leg that was dialled ends once; nobody is sent anything who was let go; the last report of a transfer is the one
//! in the record.

use patchcord_core::call::{LegNews, LegNo, LegOrder, LegRefusal, PhoneMedia, RtpIdentity};
use patchcord_core::vocabulary::{
    CallRecord, Digit, DigitPress, HungUpBy, LegStatus, TransferReport, TransferStatus,
};

use super::parts::{leg_address, media};

/// What a leg does.
#[derive(Debug, Clone)]
pub enum LegStep {
    /// It cannot be dialled.
    Refused,
    /// It is on its way.
    Dialled,
    /// It rings.
    Rings,
    /// Its audio is agreed on, as [`media`] numbers it.
    Media(u16),
    /// It answers.
    Answers(u16),
    /// It does not answer, for that cause.
    Fails(u8),
    /// It hangs up.
    HangsUp,
    /// It presses a key.
    Key(Digit),
    /// It sends the next packet of its stream, filled with that byte.
    Speaks(u8),
}

/// The legs of one call, as far as the driver knows.
#[derive(Debug, Default)]
pub(super) struct Legs {
    legs: Vec<Leg>,
    reports: Vec<TransferReport>,
}

#[derive(Debug)]
struct Leg {
    stage: Stage,
    has_media: bool,
    sequence: u16,
    packet: Vec<u8>,
}

/// How far a leg is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Fresh,
    Ringing,
    Answered,
    /// An answer may be on its way.
    Cancelled,
    /// It answered after the cancel and has to be hung up.
    LateAnswer,
    Over,
}

impl Legs {
    /// What the driver tells when leg number `at` takes `step`; nothing where it cannot.
    pub(super) fn tell(&mut self, at: usize, step: &LegStep) -> Option<(LegNo, LegNews<'_>)> {
        let at = at.checked_rem(self.legs.len())?;
        let no = LegNo(u32::try_from(at).ok()?);
        let leg = self.legs.get_mut(at)?;
        let media = |kind: u16| {
            let remote = leg_address(at);
            Box::new(PhoneMedia { remote, rtcp: None, signalling: None, ..media(kind) })
        };
        let identity = RtpIdentity { ssrc: 1_000 + no.0, sequence: 1, timestamp: 0 };
        let is_calling = matches!(leg.stage, Stage::Fresh | Stage::Ringing);
        let news = match step {
            LegStep::Refused if leg.stage == Stage::Fresh => {
                leg.stage = Stage::Over;
                LegNews::Refused(LegRefusal::NotAllowed)
            }
            LegStep::Dialled if is_calling => {
                leg.stage = Stage::Ringing;
                LegNews::Dialled("leg".into())
            }
            LegStep::Rings if is_calling => {
                leg.stage = Stage::Ringing;
                LegNews::Ringing
            }
            LegStep::Media(kind) if matches!(leg.stage, Stage::Ringing | Stage::Answered) => {
                leg.has_media = true;
                LegNews::Media(media(*kind), identity)
            }
            LegStep::Answers(kind) if is_calling || leg.stage == Stage::Cancelled => {
                leg.stage = if is_calling { Stage::Answered } else { Stage::LateAnswer };
                leg.has_media = true;
                LegNews::Answered(media(*kind), identity)
            }
            LegStep::Fails(q850) if is_calling || leg.stage == Stage::Cancelled => {
                leg.stage = Stage::Over;
                LegNews::Failed(*q850)
            }
            LegStep::HangsUp if leg.stage == Stage::Answered => {
                leg.stage = Stage::Over;
                LegNews::Gone(16)
            }
            LegStep::Key(digit) if leg.stage == Stage::Answered => {
                LegNews::Digit(DigitPress { digit: *digit, duration: None })
            }
            LegStep::Speaks(byte) if leg.has_media && leg.stage != Stage::Over => {
                leg.sequence = leg.sequence.wrapping_add(1);
                leg.packet = vec![0x80, 0];
                leg.packet.extend_from_slice(&leg.sequence.to_be_bytes());
                leg.packet.extend_from_slice(&(u32::from(leg.sequence) * 160).to_be_bytes());
                leg.packet.extend_from_slice(&no.0.to_be_bytes());
                leg.packet.extend_from_slice(&[*byte; 160]);
                LegNews::Rtp { source: leg_address(at), packet: &leg.packet }
            }
            _ => return None,
        };
        Some((no, news))
    }

    /// Sees what the call wants of a leg.
    pub(super) fn see(&mut self, no: LegNo, order: &LegOrder<'_>) {
        let at = usize::try_from(no.0).unwrap_or(usize::MAX);
        if let LegOrder::Dial { .. } = order {
            assert_eq!(at, self.legs.len(), "legs are numbered in order, each once");
            let (stage, packet) = (Stage::Fresh, Vec::new());
            return self.legs.push(Leg { stage, has_media: false, sequence: 0, packet });
        }
        let Some(leg) = self.legs.get_mut(at) else { panic!("nobody dialled {no:?}") };
        match order {
            LegOrder::Dial { .. } => {}
            LegOrder::Cancel(_) => {
                let is_calling = matches!(leg.stage, Stage::Fresh | Stage::Ringing);
                assert!(is_calling, "{no:?} is cancelled while {:?}", leg.stage);
                leg.stage = Stage::Cancelled;
            }
            LegOrder::HangUp(_) => {
                let has_answered = matches!(leg.stage, Stage::Answered | Stage::LateAnswer);
                assert!(has_answered, "{no:?} is hung up while {:?}", leg.stage);
                leg.stage = Stage::Over;
            }
            LegOrder::Rtp { to, .. } | LegOrder::Rtcp { to, .. } => {
                assert_eq!(to.ip(), leg_address(at).ip(), "a stranger is sent to");
                let hears = leg.has_media && matches!(leg.stage, Stage::Ringing | Stage::Answered);
                assert!(hears, "{no:?} is sent audio while {:?}", leg.stage);
            }
        }
    }

    /// Sees what the call reports.
    pub(super) fn hear(&mut self, report: TransferReport) {
        let late = self.reports.iter().find(|earlier| {
            earlier.sequence > report.sequence
                || (earlier.sequence == report.sequence && earlier.ended_at.is_some())
        });
        assert_eq!(late, None, "a transfer that is over changes no more");
        self.reports.retain(|earlier| earlier.sequence != report.sequence);
        self.reports.push(report);
    }

    /// Sees the end of the call.
    pub(super) fn see_end(&self, record: &CallRecord) {
        let is_let_go = |leg: &Leg| matches!(leg.stage, Stage::Cancelled | Stage::Over);
        assert!(self.legs.iter().all(is_let_go), "somebody was forgotten: {:?}", self.legs);
        assert_eq!(self.reports, record.transfers, "the record tells what was reported");
        for report in &record.transfers {
            assert!(report.status.is_final() && report.ended_at.is_some(), "{report:?}");
            assert!(report.legs.iter().all(|leg| leg.status.is_final() && leg.q850.is_some()), "{report:?}");
            let winners = report.legs.iter().filter(|leg| leg.status == LegStatus::Completed).count();
            assert_eq!(winners, usize::from(report.answered_by.is_some()), "one winner: {report:?}");
            let talked = matches!(report.status, TransferStatus::Completed | TransferStatus::HandedOff);
            assert_eq!(talked, report.answered_at.is_some(), "{report:?}");
        }
        let is_joined = record.transfers.iter().any(|report| report.answered_at.is_some());
        assert!(record.hung_up_by != HungUpBy::Agent || is_joined, "an agent whom nobody called");
        let reported: usize = record.transfers.iter().map(|report| report.legs.len()).sum();
        assert!(reported <= self.legs.len());
    }
}
