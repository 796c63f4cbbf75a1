//! Many calls at once from one thread, each full of watermarks: what a path does to audio under load.
//!
//! All calls are futures of one task; the runtime's timer is the one wheel that paces them, their sockets share
//! its event queue. Nothing is spawned, so the meter costs the machine little and disturbs what it measures less.

use std::cell::Cell;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use patchcord_core::media::g711::Law;
use patchcord_core::rtp::RtpPacket;
use patchcord_core::vocabulary::Moment;

use super::call_log::Ending;
use super::frame_meter::{FrameMeter, FrameTally};
use super::histogram::Histogram;
use super::line::{DATAGRAM_MAX, Dial, FromLine, Line, Phone, PhoneError, RING_TIMEOUT};
use super::pace::{FRAME, Pace};
use super::reception::{Place, Reception, ReceptionTally};
use super::watermark::Watermark;
use crate::clock::Clock;

/// How much load, and for how long.
#[derive(Debug, Clone)]
pub struct LoadPlan {
    /// Whom every call calls.
    pub dial: Dial,
    /// Calls at once.
    pub calls: u32,
    /// Calls that are placed per second.
    pub per_second: f64,
    /// From the last answer to the beginning of the measurement.
    pub warm_up: Duration,
    /// How long is measured.
    pub window: Duration,
    /// How long frames may be under way after the last that counts.
    pub drain: Duration,
}

/// Where a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Calls are being placed.
    Ramp,
    /// All are up; everything settles.
    WarmUp,
    /// Frames are counted.
    Window,
    /// No more frames are counted, those under way arrive.
    Drain,
    /// Everybody hangs up.
    HangUp,
}

/// What is told about a run while it goes on.
#[derive(Debug, Clone, Copy)]
pub struct Progress {
    /// Where it is.
    pub stage: Stage,
    /// For how long it has been there.
    pub since: Duration,
    /// Calls that are answered.
    pub up: u32,
    /// Calls that failed or broke off.
    pub failed: u32,
}

/// What was measured.
#[derive(Debug, Clone, Default)]
pub struct LoadReport {
    /// Calls that were placed.
    pub calls: u32,
    /// Calls that were up during the whole window.
    pub held: u32,
    /// Calls that were refused, never answered or broke off, and how the first of them ended.
    pub failed: u32,
    /// See above.
    pub first_failure: Option<Ending>,
    /// How long the window really was.
    pub window: Duration,
    /// The marked frames of all calls.
    pub frames: FrameTally,
    /// The streams of all calls.
    pub reception: ReceptionTally,
    /// From the INVITE to the answer.
    pub set_up: Histogram,
    /// From the answer to the first packet.
    pub first_audio: Histogram,
    /// How late the meter's own frames left, within the window.
    pub lateness: Histogram,
    /// Frames that the meter could not send because the machine stood still.
    pub skipped: u64,
}

/// Runs the plan; `watch` is told about its progress ten times a second and at every change of stage.
///
/// # Errors
/// [`PhoneError`] when not even the first call could be placed.
pub async fn run(
    phone: &Phone,
    plan: &LoadPlan,
    watch: &mut dyn FnMut(Progress),
) -> Result<LoadReport, PhoneError> {
    let run = Run::new(plan, phone.clock());
    let mut calls: FuturesUnordered<_> = (0..plan.calls).map(|number| run.call(phone, number)).collect();
    let mut outcomes = Vec::new();
    let mut tick = tokio::time::interval(WATCH_EVERY);
    run.tell(watch);
    loop {
        tokio::select! {
            outcome = calls.next() => match outcome {
                Some(outcome) => outcomes.push(outcome),
                None => break,
            },
            _ = tick.tick() => {
                run.advance(watch);
                run.tell(watch);
            }
            () = run.stage_end() => run.advance(watch),
        }
    }
    run.report(outcomes)
}

/// What the calls of a run share; all of them live in one task.
struct Run<'a> {
    plan: &'a LoadPlan,
    clock: Clock,
    start: Moment,
    stage: Cell<(Stage, Moment)>,
    /// How long the window really was.
    window: Cell<Duration>,
    up: Cell<u32>,
    settled: Cell<u32>,
    failed: Cell<u32>,
}

/// What one call measured.
struct Outcome {
    ending: Result<Ending, PhoneError>,
    set_up: Option<Duration>,
    first_audio: Option<Duration>,
    held: bool,
    frames: FrameTally,
    reception: ReceptionTally,
    lateness: Histogram,
    skipped: u64,
}

impl<'a> Run<'a> {
    fn new(plan: &'a LoadPlan, clock: Clock) -> Self {
        let start = clock.now();
        Self {
            plan,
            clock,
            start,
            stage: Cell::new((Stage::Ramp, start)),
            window: Cell::default(),
            up: Cell::default(),
            settled: Cell::default(),
            failed: Cell::default(),
        }
    }

    /// One call, from its place in the ramp to its end.
    async fn call(&self, phone: &Phone, number: u32) -> Outcome {
        let placed_at =
            self.start + Duration::from_secs_f64(f64::from(number) / self.plan.per_second.max(0.1));
        tokio::time::sleep_until(self.clock.instant(placed_at)).await;
        let line = match self.place(phone).await {
            Ok(line) => line,
            Err(ending) => {
                self.settled.set(self.settled.get() + 1);
                self.failed.set(self.failed.get() + 1);
                return Outcome::without_call(ending);
            }
        };
        self.settled.set(self.settled.get() + 1);
        self.up.set(self.up.get() + 1);
        let outcome = self.talk(line, number).await;
        self.up.set(self.up.get() - 1);
        if !outcome.held {
            self.failed.set(self.failed.get() + 1);
        }
        outcome
    }

    async fn place(&self, phone: &Phone) -> Result<Line, Result<Ending, PhoneError>> {
        let placed = phone.place(&self.plan.dial).await.map_err(Err)?;
        let mut ringing = |_, _| {};
        match tokio::time::timeout(RING_TIMEOUT, placed.answered(&mut ringing)).await {
            Ok(answered) => answered.map_err(Ok),
            Err(_) => Err(Ok(Ending::Refused { status: 408, q850: None })),
        }
    }

    async fn talk(&self, line: Line, number: u32) -> Outcome {
        let call = u16::try_from(number % u32::from(Watermark::CALLS)).unwrap_or_default();
        // Calls are spread over the grid, so that they neither march in step nor drift into it.
        let slot = FRAME * number / self.plan.calls.max(1);
        let mut talk = Talk {
            meter: FrameMeter::new(call),
            reception: Reception::default(),
            pace: Pace::new(line.answered + slot),
            lateness: Histogram::new(),
            first_audio: None,
            line,
        };
        let mut buffer = [0; DATAGRAM_MAX];
        let ending = loop {
            tokio::select! {
                biased;
                out = talk.line.next(&mut buffer) => match out {
                    FromLine::Datagram(length) => {
                        let datagram = buffer.get(..length).unwrap_or_default();
                        talk.hear(self.clock.now(), self.stage.get().0, datagram);
                    }
                    FromLine::Renegotiated => {}
                    FromLine::Over(ending) => break ending,
                },
                () = tokio::time::sleep_until(self.clock.instant(talk.pace.due())) => {
                    let stage = self.stage.get().0;
                    if stage == Stage::HangUp {
                        break Ending::CallerHungUp;
                    }
                    talk.speak(self.clock, stage == Stage::Window);
                }
            }
        };
        talk.line.hang_up().await;
        talk.outcome(ending)
    }

    /// Goes on to the next stage when this one is over.
    fn advance(&self, watch: &mut dyn FnMut(Progress)) {
        let now = self.clock.now();
        let (stage, since) = self.stage.get();
        let next = match stage {
            Stage::Ramp if self.settled.get() < self.plan.calls => return,
            Stage::Ramp if self.up.get() == 0 => Stage::HangUp,
            Stage::Ramp => Stage::WarmUp,
            Stage::WarmUp | Stage::Window | Stage::Drain if now - since < self.length(stage) => return,
            Stage::WarmUp => Stage::Window,
            Stage::Window => Stage::Drain,
            Stage::Drain => Stage::HangUp,
            Stage::HangUp => return,
        };
        if stage == Stage::Window {
            self.window.set(now - since);
        }
        self.stage.set((next, now));
        self.tell(watch);
    }

    /// Resolves when the stage is over by its own time; a ramp is over by its calls.
    async fn stage_end(&self) {
        let (stage, since) = self.stage.get();
        match stage {
            Stage::Ramp | Stage::HangUp => std::future::pending().await,
            Stage::WarmUp | Stage::Window | Stage::Drain => {
                tokio::time::sleep_until(self.clock.instant(since + self.length(stage))).await;
            }
        }
    }

    fn length(&self, stage: Stage) -> Duration {
        match stage {
            Stage::WarmUp => self.plan.warm_up,
            Stage::Window => self.plan.window,
            Stage::Drain => self.plan.drain,
            Stage::Ramp | Stage::HangUp => Duration::ZERO,
        }
    }

    fn tell(&self, watch: &mut dyn FnMut(Progress)) {
        let (stage, since) = self.stage.get();
        let since = self.clock.now() - since;
        watch(Progress { stage, since, up: self.up.get(), failed: self.failed.get() });
    }

    fn report(&self, outcomes: Vec<Outcome>) -> Result<LoadReport, PhoneError> {
        let mut report =
            LoadReport { calls: self.plan.calls, window: self.window.get(), ..Default::default() };
        let mut no_phone = None;
        for outcome in outcomes {
            report.held += u32::from(outcome.held);
            report.failed += u32::from(!outcome.held);
            report.frames.merge(&outcome.frames);
            report.reception.merge(&outcome.reception);
            report.lateness.merge(&outcome.lateness);
            report.skipped += outcome.skipped;
            outcome.set_up.into_iter().for_each(|time| report.set_up.add(time));
            outcome.first_audio.into_iter().for_each(|time| report.first_audio.add(time));
            match outcome.ending {
                Ok(ending) if !outcome.held => {
                    report.first_failure.get_or_insert(ending);
                }
                Ok(_) => {}
                Err(error) => {
                    no_phone.get_or_insert(error);
                }
            }
        }
        match no_phone {
            Some(error) if report.held == 0 => Err(error),
            Some(_) | None => Ok(report),
        }
    }
}

/// One answered call.
struct Talk {
    line: Line,
    meter: FrameMeter,
    reception: Reception,
    pace: Pace,
    lateness: Histogram,
    first_audio: Option<Moment>,
}

impl Talk {
    fn speak(&mut self, clock: Clock, counted: bool) {
        let mut frame = [0; Watermark::SAMPLES];
        loop {
            let (now, due, before) = (clock.now(), self.pace.due(), self.pace.position());
            if !self.pace.take(now) {
                return;
            }
            if counted {
                self.lateness.add(now - due);
            }
            self.line.skip(self.pace.position() - 1 - before);
            self.meter.next_frame(now, counted, &mut frame);
            self.line.send_audio(&frame);
        }
    }

    fn hear(&mut self, now: Moment, stage: Stage, datagram: &[u8]) {
        let Ok(packet) = RtpPacket::parse(datagram) else { return };
        let media = self.line.media();
        if packet.header.payload_type != media.payload_type {
            return;
        }
        self.first_audio.get_or_insert(now);
        // Frames of the window may arrive after it; the stream is judged by what arrives within.
        let counted = matches!(stage, Stage::Window | Stage::Drain);
        match self.reception.packet(packet.header, now, stage == Stage::Window) {
            Place::First | Place::After(_) => self.meter.skip(),
            Place::Next => {}
            Place::Late | Place::Doubled => return,
        }
        let law: Law = media.law;
        self.meter.hear(now, counted, packet.payload.iter().map(|byte| law.decode_sample(*byte)));
    }

    fn outcome(self, ending: Ending) -> Outcome {
        Outcome {
            ending: Ok(ending),
            set_up: Some(self.line.answered - self.line.placed),
            first_audio: self.first_audio.map(|at| at - self.line.answered),
            held: ending == Ending::CallerHungUp,
            frames: self.meter.tally().clone(),
            reception: self.reception.tally().clone(),
            lateness: self.lateness,
            skipped: self.pace.skipped(),
        }
    }
}

impl Outcome {
    fn without_call(ending: Result<Ending, PhoneError>) -> Self {
        Self {
            ending,
            set_up: None,
            first_audio: None,
            held: false,
            frames: FrameTally::default(),
            reception: ReceptionTally::default(),
            lateness: Histogram::new(),
            skipped: 0,
        }
    }
}

const WATCH_EVERY: Duration = Duration::from_millis(100);
