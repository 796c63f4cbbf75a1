//! When somebody speaks: edges of speech found by energy against a floor that follows the line's noise.
//!
//! Not a recogniser: whatever stands out of the noise for a while is speech, and what goes on evenly for longer than
//! the floor remembers is noise. A few operations a sample, no memory beyond itself.

use std::time::Duration;

use super::format::MediaFormat;
use super::g711::Law;
use super::pcm::law_of;

/// Finds the edges of speech in one stream.
#[derive(Debug, Clone)]
pub struct VoiceActivity {
    format: MediaFormat,
    /// Samples heard so far.
    position: u64,
    piece: Piece,
    floor: Floor,
    /// Mean square of the loudest piece, 1 for a full-scale square wave.
    loudest: f32,
    state: State,
}

/// An edge of speech. Positions are samples since the beginning of the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SpeechEdge {
    /// Somebody began to speak; told [`SPEECH_MIN`] later.
    Started {
        /// The first sample of the speech.
        at: u64,
    },
    /// Nobody has spoken for [`SPEECH_PAUSE_MAX`].
    Stopped {
        /// The first sample behind the speech.
        at: u64,
    },
}

/// The stretch of samples that is being measured.
#[derive(Debug, Clone, Copy)]
struct Piece {
    length: u64,
    count: u64,
    squares: u64,
}

#[derive(Debug, Clone, Copy)]
enum State {
    /// Nobody speaks; `loud` of the last pieces were loud, the first of them at `since`.
    Quiet { loud: u32, since: u64 },
    /// Somebody speaks, or did until `until`.
    Speaking { until: u64 },
}

/// The least energy among the pieces of the last seconds.
#[derive(Debug, Clone, Copy)]
struct Floor {
    blocks: [f32; FLOOR_BLOCKS],
    block: usize,
    pieces: u32,
}

impl VoiceActivity {
    /// Listens to a stream of `format`.
    pub fn new(format: MediaFormat) -> Self {
        Self {
            format,
            position: 0,
            piece: Piece { length: format.samples_in(PIECE).max(1), count: 0, squares: 0 },
            floor: Floor { blocks: [f32::MAX; FLOOR_BLOCKS], block: 0, pieces: 0 },
            loudest: 0.0,
            state: State::Quiet { loud: 0, since: 0 },
        }
    }

    /// Hears whole samples as bytes of the stream's format; tells the edges found in them, oldest first.
    pub fn hear(&mut self, audio: &[u8], mut tell: impl FnMut(SpeechEdge)) {
        match law_of(self.format) {
            Some(Law::Mu) => self.take(audio, |byte| Law::Mu.decode_sample(*byte), &mut tell),
            Some(Law::A) => self.take(audio, |byte| Law::A.decode_sample(*byte), &mut tell),
            None => self.take(audio.as_chunks::<2>().0, |two| i16::from_le_bytes(*two), &mut tell),
        }
    }

    /// Hears linear samples at the stream's rate.
    pub fn hear_samples(&mut self, samples: &[i16], mut tell: impl FnMut(SpeechEdge)) {
        self.take(samples, |sample| *sample, &mut tell);
    }

    /// Lets the time of `samples` pass in which nothing came: nobody spoke, and the line's noise is as it was.
    pub fn skip(&mut self, samples: u64, mut tell: impl FnMut(SpeechEdge)) {
        let Piece { length, count, .. } = self.piece;
        let begun = samples.min(length - count);
        self.position += begun;
        self.piece.count += begun;
        if self.piece.count == length {
            let energy = self.close_piece();
            self.judge(energy, &mut tell);
            // Of a long silence no piece is looked at by itself.
            let (whole, rest) = ((samples - begun) / length, (samples - begun) % length);
            self.position += whole * length;
            self.pass(whole, &mut tell);
            self.position += rest;
            self.piece.count = rest;
        }
    }

    /// Whether somebody speaks, or has paused for less than [`SPEECH_PAUSE_MAX`].
    pub const fn is_speaking(&self) -> bool {
        matches!(self.state, State::Speaking { .. })
    }

    /// Samples heard so far.
    pub const fn position(&self) -> u64 {
        self.position
    }

    /// The time that `samples` of this stream last.
    pub fn duration_of(&self, samples: u64) -> Duration {
        self.format.duration_of_samples(samples)
    }

    /// Whether anything but digital silence was heard: the idle codes of G.711 are silence too.
    pub fn is_audible(&self) -> bool {
        self.loudest > INAUDIBLE
    }

    /// The level of the loudest 10 ms so far in dB below a full-scale square wave; -∞ for digital silence.
    pub fn loudest_dbfs(&self) -> f32 {
        10.0 * self.loudest.log10()
    }

    fn take<T>(&mut self, mut audio: &[T], linear: impl Fn(&T) -> i16, tell: &mut impl FnMut(SpeechEdge)) {
        while !audio.is_empty() {
            let room = usize::try_from(self.piece.length - self.piece.count).unwrap_or(usize::MAX);
            let (now, later) = audio.split_at(room.min(audio.len()));
            let mut squares = 0u64;
            for sample in now {
                let magnitude = u32::from(linear(sample).unsigned_abs());
                squares += u64::from(magnitude * magnitude);
            }
            self.piece.squares += squares;
            self.piece.count += now.len() as u64;
            self.position += now.len() as u64;
            audio = later;
            if self.piece.count == self.piece.length {
                let energy = self.close_piece();
                self.loudest = self.loudest.max(energy);
                self.floor.take(energy);
                self.judge(energy, tell);
            }
        }
    }

    /// The energy of the piece that is full.
    fn close_piece(&mut self) -> f32 {
        let energy = self.piece.squares as f32 / self.piece.length as f32 / FULL_SCALE_SQUARED;
        (self.piece.count, self.piece.squares) = (0, 0);
        energy
    }

    /// Decides on what was heard up to this position.
    fn judge(&mut self, energy: f32, tell: &mut impl FnMut(SpeechEdge)) {
        let floor = self.floor.energy();
        match &mut self.state {
            State::Quiet { loud, since } if energy > floor * STARTS_ABOVE => {
                if *loud == 0 {
                    *since = self.position - self.piece.length;
                }
                *loud += 1;
                if *loud >= LOUD_PIECES {
                    tell(SpeechEdge::Started { at: *since });
                    self.state = State::Speaking { until: self.position };
                }
            }
            State::Speaking { until } if energy > floor * GOES_ON_ABOVE => *until = self.position,
            State::Quiet { .. } | State::Speaking { .. } => self.pass(1, tell),
        }
    }

    /// So many pieces up to this position were quiet.
    fn pass(&mut self, pieces: u64, tell: &mut impl FnMut(SpeechEdge)) {
        match &mut self.state {
            State::Quiet { loud, .. } => {
                *loud = loud.saturating_sub(u32::try_from(pieces).unwrap_or(u32::MAX));
            }
            State::Speaking { until } => {
                let until = *until;
                if self.position - until >= self.format.samples_in(SPEECH_PAUSE_MAX) {
                    self.state = State::Quiet { loud: 0, since: 0 };
                    tell(SpeechEdge::Stopped { at: until });
                }
            }
        }
    }
}

impl Floor {
    fn take(&mut self, energy: f32) {
        if self.pieces == FLOOR_BLOCK_PIECES {
            self.pieces = 0;
            self.block = (self.block + 1) % FLOOR_BLOCKS;
            if let Some(block) = self.blocks.get_mut(self.block) {
                *block = f32::MAX;
            }
        }
        self.pieces += 1;
        if let Some(block) = self.blocks.get_mut(self.block) {
            *block = block.min(energy);
        }
    }

    fn energy(&self) -> f32 {
        self.blocks.iter().copied().fold(f32::MAX, f32::min).clamp(FLOOR_MIN, FLOOR_MAX)
    }
}

/// Sound of less than this is a click; how much later than its beginning speech is told.
pub const SPEECH_MIN: Duration = Duration::from_millis(40);
/// A pause of more than this ends speech: words have shorter ones.
pub const SPEECH_PAUSE_MAX: Duration = Duration::from_millis(400);

/// What is measured at once.
const PIECE: Duration = Duration::from_millis(10);
/// [`SPEECH_MIN`] in pieces.
const LOUD_PIECES: u32 = 4;
/// The floor remembers three seconds: between two of a talker's breaths the line's noise is heard.
const FLOOR_BLOCKS: usize = 6;
const FLOOR_BLOCK_PIECES: u32 = 50;
/// -61 and -36 dBFS: beyond them noise is not believed.
const FLOOR_MIN: f32 = 7.943e-7;
const FLOOR_MAX: f32 = 2.512e-4;
/// 9 and 6 dB above the floor: pieces of even noise lie within 5 of each other.
const STARTS_ABOVE: f32 = 7.943;
const GOES_ON_ABOVE: f32 = 3.981;
/// -70 dBFS: the idle code of A-law is at -72.
const INAUDIBLE: f32 = 1e-7;
const FULL_SCALE_SQUARED: f32 = 32_768.0 * 32_768.0;

#[cfg(test)]
#[path = "voice_activity_tests.rs"]
mod tests;
