//! The queue between a bot, which speaks in bursts, and a phone, which hears in real time.
//!
//! Bytes go in as they come and leave in frames; marks fire when the audio before them has left. Counted at every
//! moment: pushed = played + cleared + trimmed + waiting. Not a clock: the call's driver pulls one frame per ptime.

mod items;
mod store;

use std::collections::VecDeque;
use std::time::Duration;

use self::items::Items;
use self::store::ByteQueue;
use super::format::MediaFormat;
use super::level::{Level, SilenceGate};

/// Paced playout of one leg, in that leg's format.
#[derive(Debug)]
pub struct Playout {
    format: MediaFormat,
    capacity: usize,
    queue: ByteQueue,
    /// Position of the first waiting byte: what was played and cleared before it.
    head: u64,
    marks: VecDeque<Mark>,
    /// Bytes of the waiting marks' names.
    mark_bytes: usize,
    items: Items,
    counts: PlayoutCounts,
    /// The tail is the end of an utterance: a short last frame need not wait for more.
    ended: bool,
    /// The last frame was silence: nothing is lost by waiting for a whole one.
    idle: bool,
    /// What had been pushed when a short frame was held back.
    held_at: Option<u64>,
    /// The rest of a sample whose beginning was refused comes next.
    refusing: bool,
    trim: TrimProgress,
}

/// What became of pushed bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pushed {
    /// Bytes that wait to be played.
    pub accepted_bytes: usize,
    /// Bytes for which there was no room.
    pub refused_bytes: usize,
}

/// What a pulled frame is made of; the two add up to its length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pulled {
    /// Bytes of audio at its front.
    pub audio_bytes: usize,
    /// Bytes of silence behind them.
    pub padded: usize,
}

/// A mark that is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MarkDone {
    /// As given to [`Playout::mark`].
    pub name: String,
    /// How it ended.
    pub outcome: MarkOutcome,
}

/// How a mark ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MarkOutcome {
    /// All audio before it was played.
    Played,
    /// Audio before it was cleared.
    Cleared,
}

/// There is no room for another mark: [`MARKS_MAX`] wait already, or [`MARK_BYTES_MAX`] of names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no room for another mark: {MARKS_MAX} marks or {MARK_BYTES_MAX} bytes of names may wait")]
pub struct PlayoutFull;

/// How much of an item left, in samples of the leg's rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heard {
    /// Samples that were pulled.
    pub samples: u64,
    /// Samples that wait.
    pub waiting: u64,
    /// Samples that were pushed.
    pub pushed: u64,
}

/// Bytes by what became of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PlayoutCounts {
    /// Accepted by [`Playout::push`].
    pub pushed: u64,
    /// Pulled.
    pub played: u64,
    /// Dropped by a clear, or half a sample at the end of an utterance.
    pub cleared: u64,
    /// Silence taken out to win time back.
    pub trimmed: u64,
    /// Never accepted.
    pub refused: u64,
    /// Silence added to frames; no part of the law.
    pub padded: u64,
}

#[derive(Debug)]
struct Mark {
    name: String,
    at: u64,
    cleared: bool,
}

/// Where the search for silence stands, so that no byte is measured again and again.
#[derive(Debug, Default)]
struct TrimProgress {
    at: u64,
    in_silence: bool,
    piece: Vec<u8>,
}

impl Playout {
    /// An empty queue that refuses what would play longer than `capacity`.
    pub fn new(format: MediaFormat, capacity: Duration) -> Self {
        Self {
            format,
            capacity: format.bytes_in(capacity),
            queue: ByteQueue::default(),
            head: 0,
            marks: VecDeque::new(),
            mark_bytes: 0,
            items: Items::default(),
            counts: PlayoutCounts::default(),
            ended: false,
            idle: true,
            held_at: None,
            refusing: false,
            trim: TrimProgress::default(),
        }
    }

    /// Appends audio, any number of bytes, as part of `item` if the bot names one. What exceeds the capacity is
    /// refused from the end, in whole samples.
    pub fn push(&mut self, audio: &[u8], item: Option<&str>) -> Pushed {
        let sample = self.format.bytes_per_sample();
        let skipped = usize::from(self.refusing && !audio.is_empty());
        let audio_after = audio.get(skipped..).unwrap_or_default();
        let mut accepted = audio_after.len();
        if accepted > self.capacity.saturating_sub(self.queue.len()) {
            // The last accepted sample is whole, counted with what waits already.
            let end = self.capacity - self.capacity % sample;
            accepted = end.saturating_sub(self.queue.len());
        }
        let (now, refused) = audio_after.split_at(accepted.min(audio_after.len()));
        if !audio.is_empty() {
            self.refusing = refused.len() % sample != 0;
        }
        self.queue.push(now);
        self.items.push(item, now.len() as u64);
        self.counts.pushed += now.len() as u64;
        self.counts.refused += (skipped + refused.len()) as u64;
        self.ended &= now.is_empty();
        Pushed { accepted_bytes: now.len(), refused_bytes: skipped + refused.len() }
    }

    /// Sets a mark behind everything pushed so far; names may repeat. With nothing before it, it is done at once.
    pub fn mark(&mut self, name: impl Into<String>) -> Result<(), PlayoutFull> {
        let name = name.into();
        if self.marks.len() >= MARKS_MAX || self.mark_bytes + name.len() > MARK_BYTES_MAX {
            return Err(PlayoutFull);
        }
        let at = self.head + self.queue.len() as u64;
        self.mark_bytes += name.len();
        self.marks.push_back(Mark { name, at, cleared: false });
        Ok(())
    }

    /// Reports every waiting mark as cleared; the audio before it is played all the same.
    pub fn abandon_marks(&mut self) {
        self.marks.iter_mut().for_each(|mark| mark.cleared = true);
    }

    /// Drops everything that waits; marks among it are reported as cleared. Returns the bytes dropped.
    pub fn clear(&mut self) -> usize {
        self.drop_waiting(self.queue.len())
    }

    /// Drops what waits up to the end of `item`, with its marks; what follows it stays. Returns the bytes dropped.
    pub fn clear_through(&mut self, item: &str) -> usize {
        let through = usize::try_from(self.items.waiting_through(item)).unwrap_or(usize::MAX);
        // What follows must begin on a sample.
        let through = through.next_multiple_of(self.format.bytes_per_sample());
        self.drop_waiting(through.min(self.queue.len()))
    }

    /// Says that the bot is done speaking for now: a last frame that is short is padded rather than held back.
    pub fn end_of_utterance(&mut self) {
        self.ended = true;
        self.refusing = false;
        self.drop_half_sample();
    }

    /// Fills `frame` (whole samples) with audio and silence behind it.
    ///
    /// A stream that runs dry ends in a padded frame. One that begins with less than a frame is held back while
    /// more comes, unless the utterance has ended: bots may send a byte at a time.
    pub fn pull(&mut self, frame: &mut [u8]) -> Pulled {
        let sample = self.format.bytes_per_sample();
        let waiting = self.queue.len() - self.queue.len() % sample;
        let mut audio_bytes = waiting.min(frame.len() - frame.len() % sample);
        if self.idle && !self.ended && audio_bytes < frame.len() && self.queue.len() > 0 {
            let stalled = self.held_at.replace(self.counts.pushed) == Some(self.counts.pushed);
            if !stalled {
                audio_bytes = 0;
            } else if audio_bytes == 0 {
                self.drop_half_sample();
            }
        }
        self.idle = audio_bytes == 0;
        let (audio, silence) = frame.split_at_mut(audio_bytes);
        self.queue.pull(audio);
        self.format.fill_silence(silence);
        self.head += audio_bytes as u64;
        self.items.take(audio_bytes as u64, true);
        self.counts.played += audio_bytes as u64;
        self.counts.padded += silence.len() as u64;
        Pulled { audio_bytes, padded: silence.len() }
    }

    /// Whether the next [`Playout::pull`] of so many bytes will end in silence, rather than be held back for more.
    pub fn runs_short(&self, frame: usize) -> bool {
        let is_held = self.idle && !self.ended && self.held_at != Some(self.counts.pushed);
        self.queue.len() < frame && !is_held
    }

    /// The next mark that is over, in the order they were set.
    pub fn poll_mark(&mut self) -> Option<MarkDone> {
        let next = self.marks.front()?;
        if !next.cleared && next.at > self.head {
            return None;
        }
        let mark = self.marks.pop_front()?;
        self.mark_bytes -= mark.name.len();
        if self.marks.is_empty() && self.marks.capacity() > 64 {
            self.marks.shrink_to(0);
        }
        let outcome = if mark.cleared { MarkOutcome::Cleared } else { MarkOutcome::Played };
        Some(MarkDone { name: mark.name, outcome })
    }

    /// Takes silence out of what waits until no more than `target` waits; never speech, and at least 20 ms of
    /// every silence stay. Returns the samples taken out.
    pub fn trim_silence(&mut self, target: Duration, gate: SilenceGate) -> u64 {
        let piece = self.format.bytes_in(TRIM_PIECE);
        let target = self.format.bytes_in(target);
        if self.queue.len() < target.saturating_add(piece) || piece == 0 {
            return 0;
        }
        if self.trim.at < self.head {
            (self.trim.at, self.trim.in_silence) = (self.head, false);
        }
        let start = usize::try_from(self.trim.at - self.head).unwrap_or(usize::MAX);
        let (mut read, mut write) = (start, start);
        let mut silent_next = self.is_silent(read, piece, gate);
        while let Some(silent) = silent_next {
            if self.queue.len() - (read - write) < target + piece {
                break;
            }
            silent_next = self.is_silent(read + piece, piece, gate);
            // Whether the silence goes on is not known yet at the end of the queue.
            if silent && self.trim.in_silence && silent_next.is_none() {
                break;
            }
            if silent && self.trim.in_silence && silent_next == Some(true) {
                self.items.trim(write as u64, piece as u64);
                self.pull_marks_forward(self.head + write as u64, piece as u64);
            } else {
                self.move_down(read, write, piece);
                write += piece;
            }
            self.trim.in_silence = silent;
            read += piece;
        }
        self.trim.at = self.head + write as u64;
        let removed = read - write;
        if removed > 0 {
            while read < self.queue.len() {
                self.move_down(read, write, piece);
                (read, write) = (read + piece, write + piece);
            }
            self.queue.truncate(self.queue.len() - removed);
            self.counts.trimmed += removed as u64;
        }
        self.format.samples_of(removed)
    }

    /// The time that waiting audio will play.
    pub fn depth(&self) -> Duration {
        self.format.duration_of(self.queue.len())
    }

    /// Bytes that wait.
    pub const fn waiting(&self) -> usize {
        self.queue.len()
    }

    /// Bytes that a push would accept.
    pub const fn room(&self) -> usize {
        self.capacity.saturating_sub(self.queue.len())
    }

    /// Whether nothing waits.
    pub const fn is_empty(&self) -> bool {
        self.queue.len() == 0
    }

    /// Marks that were set and not yet reported.
    pub fn marks_waiting(&self) -> usize {
        self.marks.len()
    }

    /// The leg's format.
    pub const fn format(&self) -> MediaFormat {
        self.format
    }

    /// Samples of bot audio that were pulled since the beginning.
    pub const fn played_samples(&self) -> u64 {
        self.counts.played / self.format.bytes_per_sample() as u64
    }

    /// What was heard of an item; `None` if none of it was pushed or it is long over.
    pub fn heard_position(&self, item: &str) -> Option<Heard> {
        let sample = self.format.bytes_per_sample() as u64;
        let (pushed, waiting, played) = self.items.of(item)?;
        Some(Heard { samples: played / sample, waiting: waiting / sample, pushed: pushed / sample })
    }

    /// The item that is being played, or was last; `None` where the bot named none.
    pub fn current_item(&self) -> Option<&str> {
        self.items.current()
    }

    /// The items of which something waits, in order, each once.
    pub fn unheard_items(&self) -> Vec<Box<str>> {
        self.items.unheard()
    }

    /// Grows whenever an item begins to be played or nothing more of it waits.
    pub fn item_steps(&self) -> u64 {
        self.items.steps()
    }

    /// Bytes by what became of them.
    pub const fn counts(&self) -> PlayoutCounts {
        self.counts
    }

    /// Bytes of memory that the audio takes.
    pub fn memory(&self) -> usize {
        self.queue.memory()
    }

    fn drop_waiting(&mut self, bytes: usize) -> usize {
        let cut = self.head + bytes as u64;
        // A mark behind everything pushed is cleared with it, one that was reached is not.
        let head = self.head;
        for mark in self.marks.iter_mut().filter(|mark| mark.at > head && mark.at <= cut) {
            mark.cleared = true;
        }
        self.queue.drop_front(bytes);
        self.items.take(bytes as u64, false);
        self.head = cut;
        self.counts.cleared += bytes as u64;
        if self.queue.len() == 0 {
            (self.held_at, self.refusing) = (None, false);
        }
        bytes
    }

    fn drop_half_sample(&mut self) {
        self.take_half_sample();
    }

    /// Takes out the half sample at the end, whose other half has not come; it counts as cleared.
    pub fn take_half_sample(&mut self) -> Option<u8> {
        let half = self.queue.len() % self.format.bytes_per_sample();
        let mut last = [0];
        if half == 0 || self.queue.read(self.queue.len() - 1, &mut last) == 0 {
            return None;
        }
        self.items.trim((self.queue.len() - half) as u64, half as u64);
        self.queue.truncate(self.queue.len() - half);
        self.counts.cleared += half as u64;
        let tail = self.head + self.queue.len() as u64;
        self.marks.iter_mut().for_each(|mark| mark.at = mark.at.min(tail));
        Some(last[0])
    }

    /// Whether the piece at `at` is silence; `None` if it has not come whole.
    fn is_silent(&mut self, at: usize, piece: usize, gate: SilenceGate) -> Option<bool> {
        self.trim.piece.resize(piece, 0);
        let whole = at + piece <= self.queue.len() && self.queue.read(at, &mut self.trim.piece) == piece;
        whole.then(|| gate.is_silent(Level::of_frame(self.format, &self.trim.piece)))
    }

    fn move_down(&mut self, from: usize, to: usize, piece: usize) {
        if from == to {
            return;
        }
        self.trim.piece.resize(piece, 0);
        let count = self.queue.read(from, &mut self.trim.piece);
        self.queue.write(to, self.trim.piece.get(..count).unwrap_or_default());
    }

    /// Audio of that length was taken out at `at`: marks behind it come that much earlier.
    fn pull_marks_forward(&mut self, at: u64, length: u64) {
        for mark in self.marks.iter_mut().filter(|mark| mark.at > at) {
            mark.at = at.max(mark.at.saturating_sub(length));
        }
    }
}

/// Marks that may wait: one for each 10 ms of five minutes, for bots that want every packet confirmed.
pub const MARKS_MAX: usize = 32_768;
/// Bytes of names of the marks that may wait.
pub const MARK_BYTES_MAX: usize = 2 << 20;
/// Silence is found and taken out in pieces of this length; the first and the last piece of it stay.
const TRIM_PIECE: Duration = Duration::from_millis(10);

#[cfg(test)]
#[path = "playout/tests.rs"]
mod tests;
