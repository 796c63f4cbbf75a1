//! Who listens to a call at this moment: each gets what both sides sound like through a bounded queue, and one that does
//! not keep up misses some of it. The call never waits, and does nothing where nobody listens.

use bytes::Bytes;
use patchcord_core::call::TapePiece;
use tokio::sync::mpsc;

/// What somebody who listens is given; the queue ends with the call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Overheard {
    /// It begins: two channels of linear 16-bit samples.
    Began {
        /// Samples per second of each.
        sample_rate: u32,
    },
    /// So it sounds on: little-endian, caller and heard in turn.
    Sound(Bytes),
}

/// Those who listen to one call.
#[derive(Debug, Default)]
pub(super) struct Listeners {
    ears: Vec<mpsc::Sender<Overheard>>,
    sample_rate: Option<u32>,
    /// The last one has left since somebody asked.
    is_left_alone: bool,
}

impl Listeners {
    /// Takes in one more; returns whether there was room.
    pub(super) fn join(&mut self, ear: mpsc::Sender<Overheard>) -> bool {
        self.ears.retain(|ear| !ear.is_closed());
        if self.ears.len() >= LISTENERS_PER_CALL_MAX {
            return false;
        }
        if let Some(sample_rate) = self.sample_rate {
            let _ = ear.try_send(Overheard::Began { sample_rate });
        }
        self.ears.push(ear);
        true
    }

    /// Passes on what the call sounds like.
    pub(super) fn take(&mut self, piece: TapePiece<'_>) {
        match piece {
            TapePiece::Started { sample_rate } => {
                self.sample_rate = Some(sample_rate);
                self.tell(&Overheard::Began { sample_rate });
            }
            TapePiece::Sound(samples) => {
                let bytes: Vec<u8> = samples.iter().flat_map(|sample| sample.to_le_bytes()).collect();
                self.tell(&Overheard::Sound(bytes.into()));
            }
            // Who listens is at the present: time that stood still is not waited for.
            TapePiece::Silence(_) | TapePiece::BotPartEnds(_) => {}
            TapePiece::Stopped | TapePiece::Dropped => *self = Self::default(),
        }
    }

    /// Whether nobody listens any more, once.
    pub(super) fn were_left_alone(&mut self) -> bool {
        std::mem::take(&mut self.is_left_alone) && self.ears.is_empty()
    }

    fn tell(&mut self, overheard: &Overheard) {
        // One that does not keep up misses this piece; one that left is forgotten.
        self.ears.retain(|ear| {
            !matches!(ear.try_send(overheard.clone()), Err(mpsc::error::TrySendError::Closed(_)))
        });
        self.is_left_alone |= self.ears.is_empty();
    }
}

/// Those who may listen to one call at a time.
const LISTENERS_PER_CALL_MAX: usize = 4;
/// Pieces of 80 ms that may wait for one of them.
pub(super) const OVERHEARD_PIECES_MAX: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_that_does_not_keep_up_misses_some_and_the_others_hear_all() {
        let mut listeners = Listeners::default();
        let (slow, mut slowly) = mpsc::channel(OVERHEARD_PIECES_MAX);
        let (quick, mut quickly) = mpsc::channel(OVERHEARD_PIECES_MAX);
        assert!(listeners.join(slow) && listeners.join(quick));
        listeners.take(TapePiece::Started { sample_rate: 8_000 });
        let mut heard = Vec::new();
        for piece in 0..40i16 {
            listeners.take(TapePiece::Sound(&[piece, -piece]));
            while let Ok(Overheard::Sound(bytes)) = quickly.try_recv() {
                heard.push(bytes[0]);
            }
            if piece == 0 {
                assert!(quickly.try_recv().is_ok_and(|piece| matches!(piece, Overheard::Sound(_))));
                heard.push(0);
            }
        }
        assert_eq!(heard, (0..40).collect::<Vec<u8>>());
        let waiting = std::iter::from_fn(|| slowly.try_recv().ok()).count();
        assert_eq!(waiting, OVERHEARD_PIECES_MAX);
    }

    #[test]
    fn when_the_last_has_left_that_is_told_once_and_who_comes_late_knows_the_rate() {
        let mut listeners = Listeners::default();
        let (first, gone) = mpsc::channel(4);
        listeners.join(first);
        listeners.take(TapePiece::Started { sample_rate: 16_000 });
        assert!(!listeners.were_left_alone());
        let (second, mut late) = mpsc::channel(4);
        listeners.join(second);
        assert_eq!(late.try_recv(), Ok(Overheard::Began { sample_rate: 16_000 }));
        drop((gone, late));
        listeners.take(TapePiece::Sound(&[1, 2]));
        assert!(listeners.were_left_alone() && !listeners.were_left_alone());
    }

    #[test]
    fn one_more_than_may_listen_is_refused_until_somebody_leaves() {
        let mut listeners = Listeners::default();
        let mut ears: Vec<_> = (0..LISTENERS_PER_CALL_MAX).map(|_| mpsc::channel(1)).collect();
        assert!(ears.iter().all(|(ear, _)| listeners.join(ear.clone())));
        assert!(!listeners.join(mpsc::channel(1).0));
        ears.pop();
        let (ear, _hears) = mpsc::channel(1);
        assert!(listeners.join(ear));
    }
}
