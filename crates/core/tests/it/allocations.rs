//! Counts allocations: audio passes through every dialect without any, once its buffers have grown.
//!
//! The counter is per thread, so that tests beside it do not disturb.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::time::Duration;

use patchcord_core::dialect::registry::{DIALECTS, DialectRow};
use patchcord_core::dialect::{Dialect, Out};
use patchcord_core::media::{LineCodec, LineCoding};
use patchcord_core::vocabulary::Moment;

use crate::ends::{Part, Sent, sent, talking};
use crate::line_codecs::{lines, speech};

struct CountingAllocator;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
    /// Blocks that were taken and not given back.
    static HELD: Cell<i64> = const { Cell::new(0) };
}

// SAFETY: every call goes to the system's allocator unchanged; counting allocates nothing.
#[allow(unsafe_code, reason = "a global allocator cannot be written otherwise; tests only")]
unsafe impl GlobalAlloc for CountingAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        hold(1);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        hold(-1);
        unsafe { System.dealloc(block, layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        unsafe { System.realloc(block, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

fn count() {
    // A thread that is ending has no counter.
    let _ = ALLOCATIONS.try_with(|count| count.set(count.get() + 1));
}

fn hold(blocks: i64) {
    let _ = HELD.try_with(|held| held.set(held.get() + blocks));
}

fn allocations_during(work: impl FnOnce()) -> u64 {
    let before = ALLOCATIONS.get();
    work();
    ALLOCATIONS.get() - before
}

/// Allocations of 1 000 frames that one end sends and the other hears, after 10 that fill the buffers.
fn allocations<Say, Hear>(
    row: &DialectRow,
    from: &mut dyn Dialect<Say = Say, Hear = Hear>,
    to: &mut dyn Dialect<Say = Hear, Hear = Say>,
) -> (u64, u64) {
    let frame: Vec<u8> = (0..row.default_audio.format.bytes_in(row.default_audio.frame))
        .map(|at| (at * 37 % 251) as u8)
        .collect();
    let (mut mouth, mut ear) = (Out::new(), Out::new());
    let mut speak = |times: u64| {
        for at in 0..times {
            mouth.clear();
            from.encode_audio(&frame, Moment::from_millis(20 * at), &mut mouth);
        }
        assert!(mouth.messages().count() >= 1, "{} sends no audio", row.name);
    };
    speak(10);
    let sending = allocations_during(|| speak(1_000));
    let messages: Vec<Sent> = sent(from, &Part::Audio(frame.clone()), Moment::from_millis(30_000));
    let mut listen = |times: u64| {
        for at in 0..times {
            ear.clear();
            for message in &messages {
                assert_eq!(to.decode(message.wire(), Moment::from_millis(20 * at), &mut ear), Ok(()));
            }
        }
        assert!(!ear.heard().is_empty(), "{} hears no audio", row.name);
    };
    listen(10);
    (sending, allocations_during(|| listen(1_000)))
}

#[test]
fn the_counter_counts() {
    assert_eq!(allocations_during(|| drop(std::hint::black_box(vec![1_u8; 100]))), 1);
}

#[test]
fn audio_passes_through_every_dialect_without_an_allocation() {
    for row in DIALECTS {
        let (mut bot, mut phone) = talking(row);
        assert_eq!(
            allocations(row, &mut *bot, &mut *phone),
            (0, 0),
            "{}: from the phone to the bot",
            row.name
        );
        assert_eq!(
            allocations(row, &mut *phone, &mut *bot),
            (0, 0),
            "{}: from the bot to the phone",
            row.name
        );
    }
}

#[test]
fn g722_allocates_nothing_per_frame_and_opus_only_what_its_codec_gives_back_with_the_frame() {
    for (codec, format) in lines() {
        let mut line = LineCoding::new(codec, format).unwrap();
        let speech = speech(format.sample_rate);
        let mut frames = speech.chunks_exact(format.bytes_in(Duration::from_millis(20)));
        let mut payloads: Vec<Vec<u8>> = (0..110).map(|_| Vec::with_capacity(1_500)).collect();
        let mut pass = |line: &mut LineCoding, payloads: &mut [Vec<u8>]| {
            for (frame, payload) in frames.by_ref().zip(payloads) {
                payload.extend_from_slice(line.encode(frame));
                line.decode(payload);
            }
        };
        let (first, then) = payloads.split_at_mut(10);
        pass(&mut line, first);
        let most = if codec == LineCodec::Opus { OPUS_ALLOCATIONS_PER_FRAME * 100 } else { 0 };
        let held = HELD.get();
        let allocations = allocations_during(|| pass(&mut line, then));
        assert!(allocations <= most, "{codec} at {format}: {allocations} in 100 frames");
        assert_eq!(HELD.get(), held, "{codec} at {format} keeps what it allocates");
    }
}

/// Pieces of memory that `ropus` takes and gives back within one frame, both ways.
const OPUS_ALLOCATIONS_PER_FRAME: u64 = 400;
