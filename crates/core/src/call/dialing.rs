//! Digits on their way to the phone: RFC 4733 events where they were negotiated, else tones in the audio.

use std::collections::VecDeque;
use std::time::Duration;

use crate::media::MediaFormat;
use crate::rtp::EventFrame;
use crate::vocabulary::{CommandRefusal, DIAL_PAUSE, DialDigits, Digit};

use super::key_tones::{KeyTone, KeyTones};

/// The digits that wait, and the one that sounds.
pub(super) struct Dialing {
    /// As events: what waits and how long the first of it has lasted.
    steps: VecDeque<Step>,
    elapsed: Duration,
    /// As tones.
    tones: KeyTones,
    sound: Vec<u8>,
    leg: MediaFormat,
    events: bool,
}

/// What leaves instead of the bot's audio.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DialFrame {
    /// The frame's audio was written: a tone, or the silence around it.
    Tone,
    /// A piece of an RFC 4733 event.
    Event(EventFrame),
}

#[derive(Debug, Clone, Copy)]
struct Step {
    digit: Option<Digit>,
    lasts: Duration,
}

impl Dialing {
    pub(super) fn new(leg: MediaFormat) -> Self {
        Self {
            steps: VecDeque::new(),
            elapsed: Duration::ZERO,
            tones: KeyTones::new(leg),
            sound: Vec::new(),
            leg,
            events: false,
        }
    }

    pub(super) fn set_leg(&mut self, leg: MediaFormat) {
        self.leg = leg;
        self.tones = KeyTones::new(leg);
    }

    pub(super) fn send_events(&mut self, events: bool) {
        self.events = events;
    }

    pub(super) fn is_idle(&self) -> bool {
        self.steps.is_empty() && self.tones.is_idle()
    }

    /// How long what waits will sound.
    pub(super) fn remaining(&self) -> Duration {
        let events: Duration = self.steps.iter().map(|step| step.lasts).sum();
        events.saturating_sub(self.elapsed) + self.tones.remaining()
    }

    /// Queues digits, each followed by [`DIGIT_GAP`].
    ///
    /// # Errors
    /// Refuses what comes while more than a command's worth of digits is still being sent.
    pub(super) fn dial(&mut self, digits: &DialDigits) -> Result<(), CommandRefusal> {
        if !self.is_idle() && (!self.events || self.steps.len() + 2 * digits.steps().len() > DIAL_STEPS_MAX) {
            return Err(CommandRefusal {
                code: "digits_busy",
                message: "digits of an earlier command are still being sent; try again when they are"
                    .to_owned(),
                command: "dtmf".into(),
            });
        }
        for step in digits.steps() {
            match (step, self.events) {
                (Some(digit), true) => {
                    self.steps.push_back(Step { digit: Some(*digit), lasts: digits.tone() });
                    self.steps.push_back(Step { digit: None, lasts: DIGIT_GAP });
                }
                (None, true) => self.steps.push_back(Step { digit: None, lasts: DIAL_PAUSE }),
                (digit @ Some(_), false) => {
                    self.tones.push(KeyTone { digit: *digit, tone: digits.tone(), silence: DIGIT_GAP });
                }
                (None, false) => {
                    self.tones.push(KeyTone { digit: None, tone: Duration::ZERO, silence: DIAL_PAUSE });
                }
            }
        }
        Ok(())
    }

    /// The next frame of the digits, written to `sound` where it is audio; `None` when no digit waits.
    pub(super) fn next_frame(&mut self, frame: Duration, sound: &mut [u8]) -> Option<DialFrame> {
        if !self.tones.is_idle() {
            self.write_tones(sound);
            return Some(DialFrame::Tone);
        }
        let step = *self.steps.front()?;
        let first = self.elapsed.is_zero();
        self.elapsed += frame;
        let elapsed = self.elapsed;
        let last = elapsed >= step.lasts;
        if last {
            self.steps.pop_front();
            self.elapsed = Duration::ZERO;
        }
        let Some(digit) = step.digit else {
            self.leg.fill_silence(sound);
            return Some(DialFrame::Tone);
        };
        Some(DialFrame::Event(EventFrame { digit, elapsed, first, last }))
    }

    fn write_tones(&mut self, sound: &mut [u8]) {
        self.sound.clear();
        self.tones.write(sound.len() / self.leg.bytes_per_sample(), &mut self.sound);
        sound.iter_mut().zip(&self.sound).for_each(|(to, from)| *to = *from);
    }
}

/// Silence after each digit.
pub const DIGIT_GAP: Duration = Duration::from_millis(100);

/// Digits, gaps and pauses that may wait on one call as events; as tones one command at a time may.
pub const DIAL_STEPS_MAX: usize = 256;
