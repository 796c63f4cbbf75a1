//! A call's end of its recordings: takes what the call tells, hands it to the recorder, and never waits.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use patchcord_core::call::{TapeKind, TapePiece};

use super::recorder::{Entry, Recorder};
use crate::clock::unix_ms;
use crate::config::RecordingFormat;

/// The recordings of one call.
#[derive(Debug)]
pub struct Sink {
    recorder: Recorder,
    call_id: Arc<str>,
    format: RecordingFormat,
    takes: u32,
    call: Option<Slot>,
    voicemail: Option<Slot>,
}

/// One recording as its call and the recorder share it.
#[derive(Debug)]
pub(super) struct Take {
    pub(super) call_id: Arc<str>,
    /// Counts from 1.
    pub(super) number: u32,
    pub(super) kind: TapeKind,
    pub(super) format: RecordingFormat,
    pub(super) sample_rate: u32,
    pub(super) started_ms: u64,
    /// Samples that wait for the recorder.
    pub(super) waiting: AtomicU64,
    /// Samples of each channel that became silence because they could not be written in time.
    pub(super) lost: AtomicU64,
    /// Silence at the very end.
    pub(super) tail: AtomicU64,
    /// Where the bot's part ends; [`NO_END`] while it goes on.
    pub(super) bot_part: AtomicU64,
    pub(super) is_over: AtomicBool,
    /// Nobody wants to keep it.
    pub(super) is_dropped: AtomicBool,
}

#[derive(Debug)]
struct Slot {
    take: Arc<Take>,
    /// Silence before what comes next.
    gap: u64,
}

impl Sink {
    pub(super) fn new(recorder: Recorder, call_id: &str, format: RecordingFormat) -> Self {
        Self { recorder, call_id: call_id.into(), format, takes: 0, call: None, voicemail: None }
    }

    /// Recordings that begin from here on have this form.
    pub fn record_as(&mut self, format: RecordingFormat) {
        self.format = format;
    }

    /// Takes a piece of a recording.
    pub fn take(&mut self, kind: TapeKind, piece: TapePiece<'_>) {
        if let TapePiece::Started { sample_rate } = piece {
            let slot = self.begin(kind, sample_rate);
            *self.slot(kind) = slot;
            return;
        }
        let recorder = self.recorder.clone();
        let Some(slot) = self.slot(kind) else { return };
        match piece {
            TapePiece::Started { .. } => {}
            TapePiece::Sound(samples) => slot.push(samples, &recorder),
            TapePiece::Silence(frames) => slot.gap += frames,
            TapePiece::BotPartEnds(frames) => slot.take.bot_part.store(frames, Ordering::Relaxed),
            TapePiece::Stopped => *self.slot(kind) = None,
            TapePiece::Dropped => {
                slot.take.is_dropped.store(true, Ordering::Release);
                *self.slot(kind) = None;
            }
        }
    }

    /// Takes a stretch of the loudness curve.
    pub fn take_levels(&self, at: u64, levels: &[u8]) {
        let (call_id, levels) = (self.call_id.clone(), levels.to_vec());
        if self.recorder.offer(Entry::Levels { call_id, at, levels }).is_err() {
            self.recorder.figures.levels_lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn begin(&mut self, kind: TapeKind, sample_rate: u32) -> Option<Slot> {
        if self.takes >= TAKES_MAX {
            self.recorder.figures.refused.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        self.takes += 1;
        let take = Take {
            call_id: self.call_id.clone(),
            number: self.takes,
            kind,
            format: self.format,
            sample_rate,
            started_ms: unix_ms(),
            waiting: AtomicU64::new(0),
            lost: AtomicU64::new(0),
            tail: AtomicU64::new(0),
            bot_part: AtomicU64::new(NO_END),
            is_over: AtomicBool::new(false),
            is_dropped: AtomicBool::new(false),
        };
        Some(Slot { take: Arc::new(take), gap: 0 })
    }

    fn slot(&mut self, kind: TapeKind) -> &mut Option<Slot> {
        match kind {
            TapeKind::Call => &mut self.call,
            TapeKind::Voicemail => &mut self.voicemail,
        }
    }
}

impl Slot {
    fn push(&mut self, samples: &[i16], recorder: &Recorder) {
        let take = &self.take;
        let (count, channels) = (samples.len() as u64, take.kind.channels() as u64);
        let room = u64::from(take.sample_rate) * channels * BACKLOG_SECONDS_MAX;
        if count == 0 {
            return;
        }
        if take.waiting.load(Ordering::Relaxed) + count <= room {
            let entry = Entry::Sound { take: take.clone(), gap: self.gap, samples: samples.to_vec() };
            take.waiting.fetch_add(count, Ordering::Relaxed);
            if recorder.offer(entry).is_ok() {
                self.gap = 0;
                return;
            }
            take.waiting.fetch_sub(count, Ordering::Relaxed);
        }
        // The time stays: what is lost is silence, and said.
        self.gap += count / channels;
        take.lost.fetch_add(count / channels, Ordering::Relaxed);
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.take.tail.store(self.gap, Ordering::Relaxed);
        self.take.is_over.store(true, Ordering::Release);
    }
}

/// The bot's part goes on.
pub(super) const NO_END: u64 = u64::MAX;

/// Recordings of one call.
pub const TAKES_MAX: u32 = 32;

/// Sound of one recording that may wait for the recorder, in seconds; what comes beyond it is silence in the file.
pub const BACKLOG_SECONDS_MAX: u64 = 2;
