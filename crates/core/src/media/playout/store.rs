//! Bytes first in, first out, in small chunks: memory follows the content, and a burst is given back.

use std::collections::VecDeque;

/// A byte queue whose chunks are reused while it runs steadily.
#[derive(Debug, Default)]
pub(super) struct ByteQueue {
    chunks: VecDeque<Box<[u8; CHUNK]>>,
    spare: Option<Box<[u8; CHUNK]>>,
    /// Bytes of the first chunk that are gone.
    head: usize,
    len: usize,
}

impl ByteQueue {
    pub(super) const fn len(&self) -> usize {
        self.len
    }

    pub(super) fn push(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let end = self.head + self.len;
            if end == self.chunks.len() * CHUNK {
                self.chunks.push_back(self.spare.take().unwrap_or_else(|| Box::new([0; CHUNK])));
            }
            let Some(room) = self.chunks.back_mut().and_then(|chunk| chunk.get_mut(end % CHUNK..)) else {
                return;
            };
            let (now, later) = bytes.split_at(bytes.len().min(room.len()));
            room.iter_mut().zip(now).for_each(|(to, from)| *to = *from);
            self.len += now.len();
            bytes = later;
        }
    }

    /// Fills as much of `to` as there is; returns how much.
    pub(super) fn pull(&mut self, to: &mut [u8]) -> usize {
        let count = self.read(0, to);
        self.drop_front(count);
        count
    }

    /// Copies what stands from `at` on into `to`; returns how much there was.
    pub(super) fn read(&self, at: usize, to: &mut [u8]) -> usize {
        let count = to.len().min(self.len.saturating_sub(at));
        let mut done = 0;
        while done < count {
            let from = self.head + at + done;
            let rest = to.get_mut(done..count).unwrap_or_default();
            let piece = self.chunks.get(from / CHUNK).and_then(|chunk| chunk.get(from % CHUNK..));
            let Some(piece) = piece else { break };
            rest.iter_mut().zip(piece).for_each(|(to, from)| *to = *from);
            done += rest.len().min(piece.len());
        }
        count
    }

    /// Overwrites what stands from `at` on with `bytes`, within the length.
    pub(super) fn write(&mut self, at: usize, bytes: &[u8]) {
        for (offset, byte) in bytes.iter().enumerate().take(self.len.saturating_sub(at)) {
            let to = self.head + at + offset;
            if let Some(slot) = self.chunks.get_mut(to / CHUNK).and_then(|chunk| chunk.get_mut(to % CHUNK)) {
                *slot = *byte;
            }
        }
    }

    pub(super) fn drop_front(&mut self, count: usize) {
        let count = count.min(self.len);
        self.head += count;
        self.len -= count;
        while self.head >= CHUNK {
            self.head -= CHUNK;
            self.spare = self.chunks.pop_front();
        }
        if self.len == 0 {
            self.truncate(0);
        }
        self.give_back();
    }

    /// Keeps the first `len` bytes.
    pub(super) fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
        if self.len == 0 {
            self.head = 0;
        }
        let needed = (self.head + self.len).div_ceil(CHUNK);
        while self.chunks.len() > needed {
            self.spare = self.chunks.pop_back();
        }
        self.give_back();
    }

    /// Bytes of memory that the queue holds.
    pub(super) fn memory(&self) -> usize {
        let chunks = self.chunks.len() + usize::from(self.spare.is_some());
        chunks * CHUNK + self.chunks.capacity() * size_of::<Box<[u8; CHUNK]>>()
    }

    fn give_back(&mut self) {
        if self.chunks.capacity() > 64 && self.chunks.len() < self.chunks.capacity() / 4 {
            self.chunks.shrink_to(self.chunks.len() * 2);
        }
    }
}

/// A quarter of a second of G.711.
const CHUNK: usize = 2_048;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn memory_follows_the_content_and_is_given_back() {
        let mut queue = ByteQueue::default();
        queue.push(&vec![7; 2_400_000]);
        assert!(queue.memory() > 2_400_000);
        let mut frame = [0; 160];
        while queue.pull(&mut frame) > 0 {}
        assert!(queue.memory() < 8_192, "{}", queue.memory());
    }

    proptest! {
        #[test]
        fn it_is_a_queue(steps in proptest::collection::vec((0usize..6_000, 0usize..6_000), 1..20)) {
            let (mut queue, mut model, mut next) = (ByteQueue::default(), VecDeque::new(), 0u8);
            for (push, pull) in steps {
                let bytes: Vec<u8> = (0..push).map(|_| { next = next.wrapping_add(1); next }).collect();
                queue.push(&bytes);
                model.extend(bytes);
                let mut out = vec![0; pull];
                let count = queue.pull(&mut out);
                let expected: Vec<u8> = model.drain(..pull.min(model.len())).collect();
                prop_assert_eq!(&out[..count], &expected[..]);
                prop_assert_eq!(queue.len(), model.len());
                let keep = model.len() - model.len() / 3;
                queue.truncate(keep);
                model.truncate(keep);
            }
        }
    }
}
