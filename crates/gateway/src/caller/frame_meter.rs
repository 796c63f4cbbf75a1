//! What became of the marked frames of one call: which came back, when, how often and in what state.
//!
//! Pure: it is told when a frame leaves and what is heard when. `bench` and the tests drive it.

use std::time::Duration;

use patchcord_core::vocabulary::Moment;

use super::histogram::Histogram;
use super::watermark::{Found, Watermark, WatermarkDetector};

/// The meter of one call's sound.
#[derive(Debug)]
pub struct FrameMeter {
    call: u16,
    next: u16,
    /// One slot per frame number: what was sent under it last.
    sent: Vec<Sent>,
    /// The newest number that was heard, to see what overtook.
    newest: Option<u16>,
    /// The mark that was found last, and where the next one begins if nothing lies between them.
    last: Option<(u16, u64)>,
    detector: WatermarkDetector,
    tally: FrameTally,
}

/// What was counted, of one call or of many.
#[derive(Debug, Clone, Default)]
pub struct FrameTally {
    /// Frames that were sent to be counted.
    pub sent: u64,
    /// Of these, the ones that were heard.
    pub heard: u64,
    /// Frames that were heard again.
    pub doubled: u64,
    /// Frames that began but could not be read to their end.
    pub damaged: u64,
    /// Frames of another call.
    pub foreign: u64,
    /// Frames that came after one that was sent later.
    pub overtaken: u64,
    /// Times that something was put between two frames that belong together: the path ran dry.
    pub stretched: u64,
    /// Times that two frames that belong together came closer than they were.
    pub squeezed: u64,
    /// From the moment a frame left until a phone without a buffer of its own would play its first sample.
    pub latency: Histogram,
}

#[derive(Debug, Clone, Copy)]
struct Sent {
    at: Moment,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Never sent, or outside the time that is measured.
    Uncounted,
    Underway,
    Heard,
}

impl FrameMeter {
    /// A meter for the call with this number.
    pub fn new(call: u16) -> Self {
        Self {
            call: call % Watermark::CALLS,
            next: 0,
            sent: vec![Sent { at: Moment::START, state: State::Uncounted }; usize::from(Watermark::NUMBERS)],
            newest: None,
            last: None,
            detector: WatermarkDetector::default(),
            tally: FrameTally::default(),
        }
    }

    /// Writes the next frame, which leaves `at`; `counted` if it belongs to the time that is measured.
    pub fn next_frame(&mut self, at: Moment, counted: bool, frame: &mut [i16; Watermark::SAMPLES]) {
        Watermark { number: self.next, call: self.call }.write(frame);
        let state = if counted { State::Underway } else { State::Uncounted };
        if let Some(slot) = self.sent.get_mut(usize::from(self.next)) {
            *slot = Sent { at, state };
        }
        self.tally.sent += u64::from(counted);
        self.next = (self.next + 1) % Watermark::NUMBERS;
    }

    /// Hears the audio of one packet that arrived `at`; `counted` if this is within the time that is measured.
    pub fn hear(&mut self, at: Moment, counted: bool, samples: impl Iterator<Item = i16>) {
        let first = self.detector.position();
        let Self { call, sent, newest, last, detector, tally, .. } = self;
        detector.listen(samples, &mut |found| match found {
            Found::Damaged => tally.damaged += u64::from(counted),
            Found::Mark { mark, .. } if mark.call != *call => tally.foreign += u64::from(counted),
            Found::Mark { mark, at: begins } => {
                // A mark that began in an earlier packet began that much earlier, or later in this one.
                let due = at_sample(at, first, begins);
                if counted {
                    tally.compare(last.replace((mark.number, begins + SAMPLES)), mark.number, begins);
                }
                let overtaken = newest.is_some_and(|newest| is_before(mark.number, newest));
                if !overtaken {
                    *newest = Some(mark.number);
                }
                if let Some(slot) = sent.get_mut(usize::from(mark.number)) {
                    tally.count(slot, due, overtaken);
                }
            }
        });
    }

    /// Audio is missing at this place of the stream.
    pub fn skip(&mut self) {
        self.last = None;
        self.detector.skip();
    }

    /// What was counted so far.
    pub fn tally(&self) -> &FrameTally {
        &self.tally
    }
}

impl FrameTally {
    /// Frames that were not heard.
    pub fn lost(&self) -> u64 {
        self.sent.saturating_sub(self.heard)
    }

    /// Adds what was counted elsewhere.
    pub fn merge(&mut self, other: &Self) {
        self.sent += other.sent;
        self.heard += other.heard;
        self.doubled += other.doubled;
        self.damaged += other.damaged;
        self.foreign += other.foreign;
        self.overtaken += other.overtaken;
        self.stretched += other.stretched;
        self.squeezed += other.squeezed;
        self.latency.merge(&other.latency);
    }

    /// Looks at the seam between a mark and the one before it.
    fn compare(&mut self, last: Option<(u16, u64)>, number: u16, begins: u64) {
        let Some((before, expected)) = last else { return };
        if number == (before + 1) % Watermark::NUMBERS {
            self.stretched += u64::from(begins > expected + SEAM_SLACK);
            self.squeezed += u64::from(begins + SEAM_SLACK < expected);
        }
    }

    fn count(&mut self, slot: &mut Sent, due: Moment, overtaken: bool) {
        match slot.state {
            State::Uncounted => {}
            State::Heard => self.doubled += 1,
            State::Underway => {
                slot.state = State::Heard;
                self.heard += 1;
                self.overtaken += u64::from(overtaken);
                self.latency.add(due - slot.at);
            }
        }
    }
}

/// When sample `wanted` of a stream is due whose sample `first` is due `at`.
fn at_sample(at: Moment, first: u64, wanted: u64) -> Moment {
    let samples = |count: u64| count.saturating_mul(SAMPLE_NANOS);
    if wanted >= first {
        at + Duration::from_nanos(samples(wanted - first))
    } else {
        Moment::from_nanos(at.as_nanos().saturating_sub(samples(first - wanted)))
    }
}

/// Whether frame `one` was sent before frame `other`, both of the last 41 seconds.
fn is_before(one: u16, other: u16) -> bool {
    let ahead = other.wrapping_sub(one) % Watermark::NUMBERS;
    ahead != 0 && ahead < Watermark::NUMBERS / 2
}

/// Of a frame.
const SAMPLES: u64 = Watermark::SAMPLES as u64;

/// A filter may move an edge by a sample.
const SEAM_SLACK: u64 = 2;

/// One sample at 8 kHz.
const SAMPLE_NANOS: u64 = 125_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn at_ms(ms: u64) -> Moment {
        Moment::from_millis(ms)
    }

    #[test]
    fn a_frame_that_is_cut_in_two_packets_is_due_when_its_first_sample_is() {
        let mut meter = FrameMeter::new(9);
        let mut frame = [0; Watermark::SAMPLES];
        meter.next_frame(at_ms(100), true, &mut frame);
        // 40 samples of silence before it: the mark begins 5 ms into the packet that arrives at 107 ms.
        let heard: Vec<i16> = std::iter::repeat_n(0, 40).chain(frame).collect();
        meter.hear(at_ms(107), true, heard[..160].iter().copied());
        assert_eq!(meter.tally().heard, 0);
        meter.hear(at_ms(127), true, heard[160..].iter().copied());
        assert_eq!((meter.tally().heard, meter.tally().lost()), (1, 0));
        assert_eq!(meter.tally().latency.max(), Some(Duration::from_millis(12)));
    }

    #[test]
    fn numbers_that_begin_again_are_not_frames_heard_twice() {
        let mut meter = FrameMeter::new(0);
        let mut frame = [0; Watermark::SAMPLES];
        let frames = u64::from(Watermark::NUMBERS) * 2 + 100;
        for n in 0..frames {
            meter.next_frame(at_ms(n * 20), true, &mut frame);
            meter.hear(at_ms(n * 20 + 3), true, frame.into_iter());
        }
        let tally = meter.tally();
        assert_eq!((tally.heard, tally.doubled, tally.overtaken), (frames, 0, 0));
        assert_eq!(tally.latency.max(), Some(Duration::from_millis(3)));
    }

    #[test]
    fn silence_put_between_two_frames_and_frames_that_are_cut_short_are_seams() {
        let mut meter = FrameMeter::new(3);
        let mut frame = [0; Watermark::SAMPLES];
        let mut path = Vec::new();
        for n in 0..10 {
            meter.next_frame(at_ms(n * 20), true, &mut frame);
            // A mark that lost a little of its beginning is found all the same.
            path.extend_from_slice(if n == 7 { &frame[3..] } else { &frame });
            if n == 4 {
                path.extend([0; 160]);
            }
        }
        meter.hear(at_ms(300), true, path.into_iter());
        let tally = meter.tally();
        assert_eq!((tally.heard, tally.damaged), (10, 0));
        assert_eq!((tally.stretched, tally.squeezed), (1, 1));
    }

    #[test]
    fn frames_outside_the_measured_time_count_neither_as_sent_nor_as_lost() {
        let mut meter = FrameMeter::new(0);
        let mut frame = [0; Watermark::SAMPLES];
        meter.next_frame(at_ms(0), false, &mut frame);
        meter.hear(at_ms(1), true, frame.into_iter());
        meter.next_frame(at_ms(20), false, &mut frame);
        assert_eq!((meter.tally().sent, meter.tally().heard, meter.tally().lost()), (0, 0, 0));
    }
}
