//! Both sides of a call on one stereo WAV: left what the caller said, right what it heard, in the same time.

use std::collections::VecDeque;
use std::fs::File;
use std::io::BufWriter;
use std::path::Path;

use hound::{SampleFormat, WavSpec, WavWriter};

/// A recording under way. Sample 0 is the moment of the answer; 8 kHz, 16-bit.
pub struct StereoTape {
    writer: WavWriter<BufWriter<File>>,
    /// What may still be filled: pairs from number `written` on.
    open: VecDeque<[i16; 2]>,
    written: u64,
    heard: Option<HeardUntil>,
}

/// Where the next packet belongs if nothing is missing.
#[derive(Debug, Clone, Copy)]
struct HeardUntil {
    position: u64,
    timestamp: u32,
}

impl StereoTape {
    /// Begins a file, overwriting one of that name.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn create(path: &Path) -> Result<Self, hound::Error> {
        let spec = WavSpec {
            channels: 2,
            sample_rate: 8_000,
            bits_per_sample: 16,
            sample_format: SampleFormat::Int,
        };
        Ok(Self { writer: WavWriter::create(path, spec)?, open: VecDeque::new(), written: 0, heard: None })
    }

    /// What was said at sample `position`.
    pub fn said(&mut self, position: u64, samples: &[i16]) {
        self.place(LEFT, position, samples);
    }

    /// What was heard: a packet that arrived at sample `position`, with its RTP timestamp.
    ///
    /// Packets that follow each other by their timestamps are joined without a seam, however unevenly they
    /// arrive; one that is far from its place (a new stream, a jump) begins anew where it arrived.
    pub fn heard(&mut self, position: u64, timestamp: u32, samples: &[i16]) {
        let expected = self.heard.and_then(|until| {
            let ahead = i64::from(timestamp.wrapping_sub(until.timestamp) as i32);
            until.position.checked_add_signed(ahead).filter(|place| place.abs_diff(position) <= SLIP_MAX)
        });
        let place = expected.unwrap_or(position);
        self.place(RIGHT, place, samples);
        let count = u32::try_from(samples.len()).unwrap_or(u32::MAX);
        self.heard = Some(HeardUntil {
            position: place.saturating_add(count.into()),
            timestamp: timestamp.wrapping_add(count),
        });
    }

    /// Writes what lies more than [`OPEN_MAX`] samples before `position`: nothing will be placed there.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn flush_before(&mut self, position: u64) -> Result<(), hound::Error> {
        while self.written + OPEN_MAX < position {
            let pair = self.open.pop_front().unwrap_or_default();
            self.write(pair)?;
        }
        Ok(())
    }

    /// Writes the rest and closes the file.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn finish(mut self) -> Result<(), hound::Error> {
        while let Some(pair) = self.open.pop_front() {
            self.write(pair)?;
        }
        self.writer.finalize()
    }

    fn write(&mut self, [left, right]: [i16; 2]) -> Result<(), hound::Error> {
        self.written += 1;
        self.writer.write_sample(left)?;
        self.writer.write_sample(right)
    }

    fn place(&mut self, side: usize, position: u64, samples: &[i16]) {
        for (offset, sample) in (0u64..).zip(samples) {
            // Before what is open it is too late, and nobody is far ahead.
            let number = position.saturating_add(offset);
            let Some(at) = number.checked_sub(self.written).filter(|at| *at < 2 * OPEN_MAX) else { continue };
            let at = usize::try_from(at).unwrap_or(usize::MAX);
            if self.open.len() <= at {
                self.open.resize(at + 1, [0, 0]);
            }
            if let Some(slot) = self.open.get_mut(at).and_then(|pair| pair.get_mut(side)) {
                *slot = *sample;
            }
        }
    }
}

const LEFT: usize = 0;
const RIGHT: usize = 1;

/// Samples that stay open for late packets: two seconds.
const OPEN_MAX: u64 = 16_000;

/// A packet that arrives this far (200 ms) from its place belongs to a new stretch.
const SLIP_MAX: u64 = 1_600;

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    struct Scratch(PathBuf);

    impl Scratch {
        fn new(name: &str) -> Self {
            Self(std::env::temp_dir().join(format!("patchcord-tape-{}-{name}.wav", std::process::id())))
        }

        fn read(&self) -> Vec<[i16; 2]> {
            let mut reader = hound::WavReader::open(&self.0).unwrap();
            let samples: Vec<i16> = reader.samples().map(Result::unwrap).collect();
            samples.chunks_exact(2).map(|pair| [pair[0], pair[1]]).collect()
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = std::fs::remove_file(&self.0);
        }
    }

    #[test]
    fn both_sides_lie_where_they_were_said_and_heard() {
        let file = Scratch::new("sides");
        let mut tape = StereoTape::create(&file.0).unwrap();
        for n in 0..500u64 {
            tape.said(n * 160, &[1; 160]);
            // Heard from the tenth frame on, up to 3 ms early or late; one packet is missing.
            if n >= 10 && n != 20 {
                let timestamp = (u32::MAX - 4_000).wrapping_add(n as u32 * 160);
                tape.heard(n * 160 + 24 * (n % 2), timestamp, &[2; 160]);
            }
            tape.flush_before(n * 160).unwrap();
            assert!(tape.open.len() <= 20_000);
        }
        tape.finish().unwrap();
        let pairs = file.read();
        assert_eq!(pairs.len(), 80_000);
        for (at, pair) in pairs.iter().enumerate() {
            let heard = (1_600..80_000).contains(&at) && !(3_200..3_360).contains(&at);
            assert_eq!(*pair, [1, if heard { 2 } else { 0 }], "sample {at}");
        }
    }

    #[test]
    fn a_stream_that_jumps_goes_on_where_it_arrives() {
        let file = Scratch::new("jump");
        let mut tape = StereoTape::create(&file.0).unwrap();
        tape.heard(0, 100, &[1; 160]);
        tape.heard(4_000, 9_999_999, &[2; 160]);
        // Absurd places neither grow the tape nor end it.
        tape.said(u64::MAX, &[3; 160]);
        tape.finish().unwrap();
        let pairs = file.read();
        assert_eq!(pairs.len(), 4_160);
        assert_eq!((pairs[159], pairs[160], pairs[4_000]), ([0, 1], [0, 0], [0, 2]));
    }
}
