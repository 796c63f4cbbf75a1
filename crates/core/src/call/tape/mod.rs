//! What both sides of a call sound like, for those who listen later: recordings, and the loudness curve.
//!
//! Fed where frames pass anyway: the caller's after decoding, the other side's as they leave for the phone, so that a
//! clear or a trim is on the tape as it was heard. Both channels stand on the call's own time; what nobody said is
//! silence. Nothing here knows a file: stretches are given to the shell.

mod curve;
mod key_mask;
mod reel;
mod track;

use std::sync::Arc;
use std::time::Duration;

use crate::media::MediaFormat;
use crate::vocabulary::Moment;

use self::curve::Curve;
use self::reel::{Reel, ReelSettings};
use super::Call;
use super::ending::CLIP_FORMAT;
use super::output::{Outputs, ReelFor, TapeKind};
use super::phone_leg::PhoneLeg;

pub use self::curve::CELL as LOUDNESS_STEP;

/// Whether and how a call is recorded.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RecordingPlan {
    /// When it begins.
    pub begin: RecordingBegin,
    /// What the caller is told before, linear 16-bit samples at 8 kHz; the recording begins when it was heard.
    pub consent: Option<Arc<[i16]>>,
    /// Whether keys that sound in the caller's audio are erased.
    pub mask_digits: bool,
}

/// When a recording begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RecordingBegin {
    /// When somebody asks for it.
    #[default]
    OnRequest,
    /// With the answer.
    AtAnswer,
}

/// What can be asked of a call's recordings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecordingOrder {
    /// Record the call; nothing while it is recorded already.
    Start,
    /// The recording is over; another one may follow.
    Stop,
    /// Silence instead of both sides until it is resumed.
    Pause,
    /// Both sides again.
    Resume,
    /// Record the caller alone.
    StartVoicemail,
    /// The caller's message is over.
    StopVoicemail,
    /// The caller's message is over, and nothing of it is kept.
    DropVoicemail,
    /// Somebody listens from here on, perhaps beside others. What a recording would not keep, they do not hear.
    StartListening,
    /// Nobody listens any more.
    StopListening,
}

/// How the recording of a call stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RecordingState {
    /// There is none.
    #[default]
    Off,
    /// The caller hears that there will be one.
    Announced,
    /// It runs.
    Running,
    /// It runs and keeps silence.
    Paused,
}

/// One side of a call; its number is the channel's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    /// What the caller says.
    Caller = 0,
    /// What the caller hears.
    Heard = 1,
}

/// Everything of one call that is kept of its sound.
pub(super) struct Tape {
    plan: RecordingPlan,
    curve: Curve,
    /// What the caller has still to hear of the consent clip, and of what waits before it.
    consent_left: Option<Duration>,
    call: Option<Box<Reel>>,
    voicemail: Option<Box<Reel>>,
    listening: Option<Box<Reel>>,
    /// A pause that was asked for before there was a recording.
    pause_first: bool,
}

impl Tape {
    pub(super) fn new(plan: RecordingPlan) -> Self {
        let (curve, pause_first) = (Curve::default(), false);
        Self { plan, curve, consent_left: None, call: None, voicemail: None, listening: None, pause_first }
    }

    /// Audio flows from here on.
    pub(super) fn begin_curve(&mut self, now: Moment) {
        self.curve.begin(now);
    }

    /// Audio of the caller came.
    pub(super) fn caller(&mut self, format: MediaFormat, audio: &[u8], now: Moment) {
        self.take(Side::Caller, format, audio, now);
    }

    /// Audio leaves for the caller.
    pub(super) fn heard(&mut self, format: MediaFormat, audio: &[u8], now: Moment) {
        self.take(Side::Heard, format, audio, now);
        if let Some(left) = &mut self.consent_left {
            *left = left.saturating_sub(format.duration_of(audio.len()));
        }
    }

    /// So much of the caller's stream is missing, or was silence.
    pub(super) fn caller_missed(&mut self, missing: Duration) {
        self.reels().for_each(|reel| reel.skip(Side::Caller, missing));
    }

    /// So long something else than audio left for the caller.
    pub(super) fn nothing_heard(&mut self, lasting: Duration) {
        self.reels().for_each(|reel| reel.skip(Side::Heard, lasting));
    }

    /// How the recording of the call stands.
    pub(super) fn state(&self) -> RecordingState {
        match &self.call {
            Some(reel) => reel.state(),
            None if self.consent_left.is_some() => RecordingState::Announced,
            None => RecordingState::Off,
        }
    }

    /// What the caller has not yet heard of the consent clip.
    fn consent_rest(&self) -> Option<&[i16]> {
        let (left, clip) = (self.consent_left?, self.plan.consent.as_deref()?);
        let left = usize::try_from(CLIP_FORMAT.samples_in(left)).unwrap_or(usize::MAX);
        clip.get(clip.len().saturating_sub(left)..)
    }

    fn pause(&mut self, pause: bool) {
        self.pause_first = pause;
        self.call.iter_mut().chain(&mut self.listening).for_each(|reel| reel.pause(pause));
    }

    fn begin(&mut self, mut settings: ReelSettings, now: Moment, outputs: &mut Outputs) {
        let is_voicemail = settings.whose == ReelFor::Tape(TapeKind::Voicemail);
        settings.mask_digits = self.plan.mask_digits && !is_voicemail;
        let place = match settings.whose {
            ReelFor::Tape(TapeKind::Call) => {
                self.consent_left = None;
                &mut self.call
            }
            ReelFor::Tape(TapeKind::Voicemail) => &mut self.voicemail,
            ReelFor::Listeners => &mut self.listening,
        };
        let reel = place.get_or_insert_with(|| Box::new(Reel::new(settings, now, outputs)));
        if !is_voicemail {
            reel.pause(self.pause_first);
        }
    }

    fn stop(&mut self, whose: ReelFor, now: Moment, outputs: &mut Outputs) {
        let reel = match whose {
            ReelFor::Tape(TapeKind::Call) => {
                self.consent_left = None;
                self.pause_first = false;
                self.listening.iter_mut().for_each(|reel| reel.pause(false));
                self.call.take()
            }
            ReelFor::Tape(TapeKind::Voicemail) => self.voicemail.take(),
            ReelFor::Listeners => self.listening.take(),
        };
        if let Some(mut reel) = reel {
            reel.end(now, outputs);
        }
    }

    fn take(&mut self, side: Side, format: MediaFormat, audio: &[u8], now: Moment) {
        let peak = self.curve.add(side, format, audio, now);
        self.reels().for_each(|reel| reel.write(side, format, audio, peak, now));
    }

    fn reels(&mut self) -> impl Iterator<Item = &mut Box<Reel>> {
        self.call.iter_mut().chain(&mut self.voicemail).chain(&mut self.listening)
    }
}

impl Call {
    /// How the recording of the call stands.
    pub fn recording(&self) -> RecordingState {
        self.tape.state()
    }

    /// Does what is asked of the recordings; what the call is not in a state for changes nothing.
    pub(super) fn record_sound(&mut self, order: RecordingOrder, now: Moment) {
        let (call, voicemail) = (ReelFor::Tape(TapeKind::Call), ReelFor::Tape(TapeKind::Voicemail));
        match order {
            RecordingOrder::Start if self.answered_at.is_some() && self.is_audible() => {
                self.announce_recording(now);
            }
            RecordingOrder::Start => self.tape.plan.begin = RecordingBegin::AtAnswer,
            RecordingOrder::Stop => {
                self.tape.plan.begin = RecordingBegin::OnRequest;
                self.tape.stop(call, now, &mut self.outputs);
            }
            RecordingOrder::Pause => self.tape.pause(true),
            RecordingOrder::Resume => self.tape.pause(false),
            RecordingOrder::StartVoicemail if self.is_audible() => self.begin_tape(voicemail, now),
            RecordingOrder::StartVoicemail => {}
            RecordingOrder::DropVoicemail => {
                if self.tape.voicemail.take().is_some() {
                    self.outputs.tape_dropped(TapeKind::Voicemail);
                }
            }
            RecordingOrder::StopVoicemail => self.tape.stop(voicemail, now, &mut self.outputs),
            // Of a call that is over there is nothing to hear.
            RecordingOrder::StartListening if self.is_over() => {}
            RecordingOrder::StartListening => {
                self.counters.listened_in += 1;
                self.begin_tape(ReelFor::Listeners, now);
            }
            RecordingOrder::StopListening => self.tape.stop(ReelFor::Listeners, now, &mut self.outputs),
        }
    }

    /// The bot's part of a recorded call is over: an agent has the call from here on.
    pub(super) fn bot_part_ends(&mut self, now: Moment) {
        if let Some(reel) = &self.tape.call {
            self.outputs.bot_part_ends(reel.frame_at(now));
        }
    }

    /// The call was answered: what is to be recorded is, once the caller knows.
    pub(super) fn record_from_answer(&mut self, now: Moment) {
        if self.tape.plan.begin == RecordingBegin::AtAnswer {
            self.announce_recording(now);
        }
    }

    /// What waited for the caller was dropped: what it has to know before a recording is said all the same.
    pub(super) fn repeat_consent(&mut self, now: Moment) {
        if let Some(rest) = self.tape.consent_rest() {
            self.speaker.push_clip(rest, now);
            self.tape.consent_left = Some(self.speaker.depth());
        }
    }

    /// Serves the recordings: begins the one that the caller has been told of, gives away what is ready.
    pub(super) fn wake_tape(&mut self, now: Moment) {
        if self.tape.consent_left.is_some_and(|left| left.is_zero()) {
            self.begin_tape(ReelFor::Tape(TapeKind::Call), now);
        }
        let Self { tape, outputs, .. } = self;
        for reel in tape.reels().filter(|reel| reel.is_ripe(now)) {
            reel.advance(now, outputs);
        }
        tape.curve.advance(now, outputs);
    }

    /// The call is over.
    pub(super) fn end_tape(&mut self, now: Moment) {
        for whose in [ReelFor::Tape(TapeKind::Call), ReelFor::Tape(TapeKind::Voicemail), ReelFor::Listeners] {
            self.tape.stop(whose, now, &mut self.outputs);
        }
        self.tape.curve.end(&mut self.outputs);
    }

    fn announce_recording(&mut self, now: Moment) {
        if self.tape.state() != RecordingState::Off {
            return;
        }
        match self.tape.plan.consent.clone() {
            Some(clip) => {
                self.speaker.push_clip(&clip, now);
                self.tape.consent_left = Some(self.speaker.depth());
            }
            None => self.begin_tape(ReelFor::Tape(TapeKind::Call), now),
        }
    }

    fn begin_tape(&mut self, whose: ReelFor, now: Moment) {
        let late_max = match &self.phone {
            // RTP tells its own gaps; a WebSocket knows only that something came.
            PhoneLeg::Rtp(_) => [Duration::from_secs(1), LATE_AFTER_STANDSTILL],
            PhoneLeg::Vendor(_) => [LATE_AFTER_STANDSTILL, Duration::from_millis(20)],
        };
        let sample_rate = self.speaker.leg().sample_rate;
        let settings = ReelSettings { whose, sample_rate, mask_digits: false, late_max };
        self.tape.begin(settings, now, &mut self.outputs);
    }
}

/// Frames that were late because the process or a TCP connection stood still follow each other all the same.
const LATE_AFTER_STANDSTILL: Duration = Duration::from_millis(120);
