//! One call from the INVITE to the report: speaks, presses keys, listens, records and hangs up.

use std::future::Future;
use std::time::Duration;

use patchcord_core::media::DtmfTones;
use patchcord_core::vocabulary::Moment;

use super::call_log::{CallLog, CallReport, Ending, Happening, Logged};
use super::ear::Ear;
use super::line::{DATAGRAM_MAX, Dial, FromLine, Line, Phone, PhoneError, RING_TIMEOUT};
use super::mouth::{KeyWay, Mouth, Press, Said};
use super::pace::Pace;
use super::reception::ReceptionTally;
use super::stereo_tape::StereoTape;
use super::voice::Voice;
use super::watermark::Watermark;

/// What to do once the call is answered.
pub struct Plan {
    /// What to say.
    pub voice: Voice,
    /// Keys to press.
    pub presses: Vec<Press>,
    /// When to hang up, from the answer.
    pub duration: Duration,
    /// Where to record.
    pub tape: Option<StereoTape>,
}

/// Why a call gave no report.
#[derive(Debug, thiserror::Error)]
pub enum ConverseError {
    /// It could not be placed.
    #[error(transparent)]
    Phone(#[from] PhoneError),
    /// The recording could not be written.
    #[error("the recording cannot be written: {0}")]
    Tape(#[from] hound::Error),
}

/// Places a call and follows it to its end; `stop` ends it early, `watch` hears what happens while it does.
///
/// # Errors
/// [`ConverseError`]; a call that was refused or broken off is a report.
pub async fn converse(
    phone: &Phone,
    dial: &Dial,
    plan: Plan,
    watch: &mut dyn FnMut(&Logged),
    stop: impl Future<Output = ()>,
) -> Result<CallReport, ConverseError> {
    let clock = phone.clock();
    let placed = phone.place(dial).await?;
    let mut log = CallLog::new(placed.placed(), watch);
    tokio::pin!(stop);
    let answered = {
        let mut ringing = |at, status| log.note(at, Happening::Ringing { status });
        tokio::select! {
            answered = placed.answered(&mut ringing) => answered,
            error = phone.refused() => return Err(PhoneError::Unreachable(error).into()),
            () = tokio::time::sleep(RING_TIMEOUT) => Err(Ending::Refused { status: 408, q850: None }),
            () = &mut stop => Err(Ending::CallerHungUp),
        }
    };
    let line = match answered {
        Ok(line) => line,
        Err(ending) => {
            if let Some(tape) = plan.tape {
                tape.finish()?;
            }
            log.note(clock.now(), Happening::Ended(ending));
            return Ok(unanswered(log, ending));
        }
    };
    Talk::new(line, plan, log).run(phone, stop).await
}

/// An answered call under way.
struct Talk<'a> {
    line: Line,
    mouth: Mouth,
    ear: Ear,
    pace: Pace,
    tape: Option<StereoTape>,
    log: CallLog<'a>,
    end: Moment,
    first_audio: Option<Moment>,
}

impl<'a> Talk<'a> {
    fn new(line: Line, plan: Plan, mut log: CallLog<'a>) -> Self {
        let media = line.media();
        let keys = match media.events {
            Some(_) => KeyWay::Events,
            None => KeyWay::Tones(DtmfTones::new(8_000)),
        };
        let events = media.events.is_some();
        log.note(line.answered, Happening::Answered { format: line.format(), events });
        Self {
            mouth: Mouth::new(plan.voice, plan.presses, keys),
            ear: Ear::new(media.law, media.payload_type, media.events),
            pace: Pace::new(line.answered),
            end: line.answered + plan.duration,
            tape: plan.tape,
            first_audio: None,
            line,
            log,
        }
    }

    async fn run(
        mut self,
        phone: &Phone,
        mut stop: std::pin::Pin<&mut impl Future<Output = ()>>,
    ) -> Result<CallReport, ConverseError> {
        let clock = phone.clock();
        let mut buffer = [0; DATAGRAM_MAX];
        let ending = loop {
            tokio::select! {
                biased;
                () = &mut stop => break Ending::CallerHungUp,
                () = tokio::time::sleep_until(clock.instant(self.pace.due())) => {
                    let now = clock.now();
                    if now >= self.end {
                        break Ending::CallerHungUp;
                    }
                    self.speak(now)?;
                }
                out = self.line.next(&mut buffer) => match out {
                    FromLine::Datagram(length) => {
                        self.hear(clock.now(), buffer.get(..length).unwrap_or_default());
                    }
                    FromLine::Renegotiated => {
                        let held = self.line.media().held;
                        self.log.note(clock.now(), Happening::Held { held });
                    }
                    FromLine::Over(ending) => break ending,
                },
            }
        };
        let ended = clock.now();
        self.line.hang_up().await;
        self.log.note(ended, Happening::Ended(ending));
        self.report(ended, ending)
    }

    fn speak(&mut self, now: Moment) -> Result<(), ConverseError> {
        let mut frame = [0; Watermark::SAMPLES];
        loop {
            let before = self.pace.position();
            if !self.pace.take(now) {
                break;
            }
            let position = self.pace.position() - 1;
            self.line.skip(position - before);
            match self.mouth.next(position, &mut frame) {
                Said::Audio(key) => {
                    self.line.send_audio(&frame);
                    self.ear.said(now, &frame, &mut self.log);
                    if let Some(digit) = key {
                        self.log.note(now, Happening::KeyPressed(digit));
                    }
                }
                Said::Key(event) => {
                    self.line.send_event(event);
                    self.ear.said(now, &frame, &mut self.log);
                    if event.first {
                        self.log.note(now, Happening::KeyPressed(event.digit));
                    }
                }
            }
            if let Some(tape) = &mut self.tape {
                let samples = position.saturating_mul(Watermark::SAMPLES as u64);
                tape.said(samples, &frame);
                tape.flush_before(samples)?;
            }
        }
        self.ear.tick(now, &mut self.log);
        Ok(())
    }

    fn hear(&mut self, now: Moment, datagram: &[u8]) {
        let Some(audio) = self.ear.datagram(now, datagram, &mut self.log) else { return };
        self.first_audio.get_or_insert(now);
        if let Some(tape) = &mut self.tape {
            let nanos = (now - self.line.answered).as_nanos();
            let position = u64::try_from(nanos / SAMPLE_NANOS).unwrap_or(u64::MAX);
            tape.heard(position, audio.timestamp, audio.samples);
        }
    }

    fn report(self, ended: Moment, ending: Ending) -> Result<CallReport, ConverseError> {
        if let Some(tape) = self.tape {
            tape.finish()?;
        }
        let (heard, heard_silent) = self.ear.heard();
        let (entries, entries_left_out) = self.log.into_entries();
        Ok(CallReport {
            entries,
            entries_left_out,
            ending,
            set_up: Some(self.line.answered - self.line.placed),
            first_audio: self.first_audio.map(|at| at - self.line.answered),
            talk: ended - self.line.answered,
            turns: self.ear.turns(),
            packets_sent: self.line.sent(),
            frames_skipped: self.pace.skipped(),
            reception: self.ear.reception().clone(),
            heard,
            heard_silent,
        })
    }
}

fn unanswered(log: CallLog<'_>, ending: Ending) -> CallReport {
    let (entries, entries_left_out) = log.into_entries();
    CallReport {
        entries,
        entries_left_out,
        ending,
        set_up: None,
        first_audio: None,
        talk: Duration::ZERO,
        turns: Vec::new(),
        packets_sent: 0,
        frames_skipped: 0,
        reception: ReceptionTally::default(),
        heard: Duration::ZERO,
        heard_silent: Duration::ZERO,
    }
}

/// One sample at 8 kHz.
const SAMPLE_NANOS: u128 = 125_000;
