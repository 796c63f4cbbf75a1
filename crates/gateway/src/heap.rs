//! The heap: one arena for every two processors, where the C library would take eight for each.
//!
//! Calls are made on one thread and spoken to from others, and what an arena has free no other one can use: with an arena
//! for every thread a call costs three quarters more memory, and not a moment less of a processor.

/// Bounds the heap's arenas; before any other thread is there.
pub fn limit_arenas() {
    let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    set_arenas_max(i32::try_from(processors.div_ceil(2)).unwrap_or(i32::MAX));
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[expect(unsafe_code, reason = "there is no safe way to it but the environment of whoever starts us")]
fn set_arenas_max(arenas: i32) {
    // SAFETY: it takes two numbers and changes a setting of the allocator under its own lock. What it refuses stays as it
    // was, at no harm but memory.
    unsafe { libc::mallopt(libc::M_ARENA_MAX, arenas) };
}

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
fn set_arenas_max(_: i32) {}

#[cfg(all(target_os = "linux", target_env = "gnu", target_pointer_width = "64"))]
#[cfg(test)]
mod tests {
    use std::sync::Barrier;

    use super::*;

    /// The heaps of further arenas: what they have not grown into is reserved up to a multiple of 64 MiB.
    fn further_heaps() -> usize {
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
        let is_heap = |line: &&str| {
            let (range, rest) = line.split_once(' ').unwrap();
            let end = u64::from_str_radix(range.split_once('-').unwrap().1, 16).unwrap();
            rest.starts_with("---p") && end.is_multiple_of(64 << 20)
        };
        maps.lines().filter(is_heap).count()
    }

    #[test]
    fn threads_share_the_arenas_that_there_are() {
        limit_arenas();
        let before = further_heaps();
        let processors = std::thread::available_parallelism().unwrap().get();
        let threads = 6 * processors;
        let all_here = Barrier::new(threads);
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| {
                    let held = std::hint::black_box(vec![1_u8; 10_000]);
                    all_here.wait();
                    drop(held);
                });
            }
        });
        assert!(further_heaps() <= before.max(processors.div_ceil(2)), "{before}, then {}", further_heaps());
    }
}
