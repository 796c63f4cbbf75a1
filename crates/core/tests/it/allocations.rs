//! Counts allocations: audio passes through every dialect without any, once its buffers have grown.
//!
//! The counter is per thread, so that tests beside it do not disturb.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use patchcord_core::dialect::registry::{DIALECTS, DialectRow};
use patchcord_core::dialect::{Dialect, Out};
use patchcord_core::vocabulary::Moment;

use crate::ends::{Part, Sent, sent, talking};

struct CountingAllocator;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

// SAFETY: every call goes to the system's allocator unchanged; counting allocates nothing.
#[allow(unsafe_code, reason = "a global allocator cannot be written otherwise; tests only")]
unsafe impl GlobalAlloc for CountingAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
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
