//! Says clips to the caller, a portion at a time: the next portion follows the mark behind an earlier one, so that a
//! long clip neither fills the playout nor costs its whole conversion in one step.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::time::Duration;

use crate::dialect::Out;
use crate::media::{Converter, MediaFormat};
use crate::vocabulary::{CallCommand, MarkOutcome};

use super::Clip;

/// What is being said.
#[derive(Debug)]
pub(super) struct Teller {
    format: MediaFormat,
    /// The clips that are not said to their end, the first one from `position` on.
    clips: VecDeque<Clip>,
    position: usize,
    /// Whether the last clip begins anew at its end.
    repeats: bool,
    converter: Option<Converter>,
    /// The number of the next portion, which is its mark's name.
    next: u64,
    /// The first portion of what is being said, and the number of those not yet heard.
    first: u64,
    under_way: u64,
}

impl Teller {
    pub(super) fn new(format: MediaFormat) -> Self {
        Self {
            format,
            clips: VecDeque::new(),
            position: 0,
            repeats: false,
            converter: None,
            next: 0,
            first: 0,
            under_way: 0,
        }
    }

    /// Says `clips`, one after the other, behind what was said before.
    pub(super) fn say(&mut self, clips: impl IntoIterator<Item = Clip>, out: &mut Out<CallCommand>) {
        self.begin(clips, false, out);
    }

    /// Says `clips`, and the last of them over and over.
    pub(super) fn repeat(&mut self, clips: impl IntoIterator<Item = Clip>, out: &mut Out<CallCommand>) {
        self.begin(clips, true, out);
    }

    /// Says no more; what the caller has not heard is dropped.
    pub(super) fn stop(&mut self, out: &mut Out<CallCommand>) {
        if self.is_saying() {
            out.hear(CallCommand::Clear);
        }
        self.forget();
    }

    /// Somebody else speaks to the caller: nothing follows.
    pub(super) fn forget(&mut self) {
        self.clips.clear();
        self.position = 0;
        self.converter = None;
        self.first = self.next;
        self.under_way = 0;
    }

    /// A mark came back; says whether all was heard with it.
    pub(super) fn heard(&mut self, name: &str, outcome: MarkOutcome, out: &mut Out<CallCommand>) -> bool {
        let is_ours = name.parse::<u64>().is_ok_and(|number| number >= self.first && number < self.next);
        if !is_ours || outcome == MarkOutcome::Cleared {
            return false;
        }
        self.under_way = self.under_way.saturating_sub(1);
        self.portion(out);
        self.under_way == 0
    }

    pub(super) const fn is_saying(&self) -> bool {
        self.under_way > 0
    }

    fn begin(&mut self, clips: impl IntoIterator<Item = Clip>, repeats: bool, out: &mut Out<CallCommand>) {
        self.forget();
        self.repeats = repeats;
        self.clips.extend(clips.into_iter().filter(|clip| !clip.audio().is_empty()));
        for _ in 0..PORTIONS_AHEAD {
            self.portion(out);
        }
    }

    /// Says the next portion, if there is one.
    fn portion(&mut self, out: &mut Out<CallCommand>) {
        while let Some(clip) = self.clips.front() {
            if self.converter.is_none() {
                self.converter = Converter::new(clip.format(), self.format).ok();
            }
            let end = (self.position + clip.format().bytes_in(PORTION)).min(clip.audio().len());
            let Some((converter, audio)) = self.converter.as_mut().zip(clip.audio().get(self.position..end))
            else {
                // A rate that has no way to the call's: the configuration takes none.
                self.clips.pop_front();
                continue;
            };
            let is_last = end == clip.audio().len();
            let Ok(()) = out.hear_audio(|to| {
                converter.convert(audio, to);
                if is_last {
                    converter.finish(to);
                }
                Ok::<_, Infallible>(())
            });
            out.hear(CallCommand::Mark { name: self.next.to_string().into() });
            self.next += 1;
            self.under_way += 1;
            self.position = end;
            if is_last {
                self.next_clip();
            }
            return;
        }
    }

    fn next_clip(&mut self) {
        self.position = 0;
        self.converter = None;
        if !(self.repeats && self.clips.len() == 1) {
            self.clips.pop_front();
        }
    }
}

/// The audio of one portion.
const PORTION: Duration = Duration::from_secs(1);
/// Portions at the caller's side that are not heard yet.
const PORTIONS_AHEAD: usize = 2;
