//! Which parts of the waiting and played audio belong to which item of the bot.

use std::collections::VecDeque;

/// Stretches of audio in the order they were pushed; played ones are kept for a while.
#[derive(Debug, Default)]
pub(super) struct Items {
    stretches: VecDeque<Stretch>,
    /// Stretches at the front with nothing waiting.
    done: usize,
    /// How often a named stretch began to be played, or was over.
    steps: u64,
}

#[derive(Debug)]
struct Stretch {
    item: Option<Box<str>>,
    pushed: u64,
    waiting: u64,
    played: u64,
}

impl Items {
    pub(super) fn push(&mut self, item: Option<&str>, bytes: u64) {
        if bytes == 0 {
            return;
        }
        let full = self.stretches.len() - self.done >= STRETCHES_MAX;
        match self.stretches.back_mut() {
            Some(last) if last.item.as_deref() == item || full => {
                // A bot that names more items than anybody could hear has the last ones told as one.
                self.done = self.done.min(self.stretches.len() - 1);
                if let Some(last) = self.stretches.back_mut() {
                    last.pushed += bytes;
                    last.waiting += bytes;
                }
            }
            _ => self.stretches.push_back(Stretch {
                item: item.map(Box::from),
                pushed: bytes,
                waiting: bytes,
                played: 0,
            }),
        }
        while self.done > REMEMBERED {
            self.stretches.pop_front();
            self.done -= 1;
        }
    }

    /// Takes the next `bytes` as played or, for a clear, as not played.
    pub(super) fn take(&mut self, mut bytes: u64, played: bool) {
        while bytes > 0 {
            let Some(stretch) = self.stretches.get_mut(self.done) else { return };
            let now = bytes.min(stretch.waiting);
            let begins = played && stretch.played == 0 && now > 0;
            stretch.waiting -= now;
            stretch.played += if played { now } else { 0 };
            bytes -= now;
            if stretch.item.is_some() && (begins || stretch.waiting == 0) {
                self.steps += 1;
            }
            if stretch.waiting == 0 {
                self.done += 1;
            }
        }
    }

    /// Takes `bytes` out of the waiting audio, `at` bytes behind its front.
    pub(super) fn trim(&mut self, mut at: u64, mut bytes: u64) {
        for stretch in self.stretches.iter_mut().skip(self.done) {
            let before = stretch.waiting;
            let now = bytes.min(before.saturating_sub(at));
            stretch.waiting -= now;
            bytes -= now;
            at = at.saturating_sub(before);
        }
        while self.stretches.get(self.done).is_some_and(|stretch| stretch.waiting == 0) {
            self.done += 1;
        }
    }

    /// Bytes of waiting audio up to the end of the last stretch of `item`.
    pub(super) fn waiting_through(&self, item: &str) -> u64 {
        let (mut sum, mut through) = (0, 0);
        for stretch in self.stretches.iter().skip(self.done) {
            sum += stretch.waiting;
            if stretch.item.as_deref() == Some(item) {
                through = sum;
            }
        }
        through
    }

    /// (pushed, waiting, played) bytes of an item that is known.
    pub(super) fn of(&self, item: &str) -> Option<(u64, u64, u64)> {
        self.stretches
            .iter()
            .filter(|stretch| stretch.item.as_deref() == Some(item))
            .map(|stretch| (stretch.pushed, stretch.waiting, stretch.played))
            .reduce(|a, b| (a.0 + b.0, a.1 + b.1, a.2 + b.2))
    }

    /// The named items of which something waits, in order, each once.
    pub(super) fn unheard(&self) -> Vec<Box<str>> {
        let mut names: Vec<Box<str>> = Vec::new();
        for stretch in self.stretches.iter().skip(self.done) {
            if let Some(item) =
                stretch.item.as_ref().filter(|item| stretch.waiting > 0 && !names.contains(item))
            {
                names.push(item.clone());
            }
        }
        names
    }

    /// How often a named stretch began to be played, or was over.
    pub(super) fn steps(&self) -> u64 {
        self.steps
    }

    /// All that waits.
    #[cfg(test)]
    pub(super) fn waiting(&self) -> u64 {
        self.stretches.iter().map(|stretch| stretch.waiting).sum()
    }

    /// The item whose audio is next, or was last.
    pub(super) fn current(&self) -> Option<&str> {
        let at = self.done.min(self.stretches.len().checked_sub(1)?);
        self.stretches.get(at)?.item.as_deref()
    }
}

/// Stretches that may wait.
const STRETCHES_MAX: usize = 1_024;
/// Stretches that are remembered after they were played or cleared.
const REMEMBERED: usize = 32;
