//! What a caller sends, frame by frame: its voice, and keys that are pressed at their times.
//!
//! Keys go as telephone events (RFC 4733) where the other end takes them, else as tones in the audio.

use std::collections::VecDeque;
use std::time::Duration;

use patchcord_core::media::DtmfTones;
use patchcord_core::rtp::EventFrame;
use patchcord_core::vocabulary::Digit;

use super::pace::FRAME;
use super::voice::Voice;

/// The sending half of a call.
pub struct Mouth {
    voice: Voice,
    /// Presses in order of their frames.
    presses: VecDeque<Press>,
    /// The key that is down, and for how many frames it was.
    down: Option<(Digit, u64)>,
    keys: KeyWay,
}

/// A key and the frame at which it goes down.
#[derive(Debug, Clone, Copy)]
pub struct Press {
    /// The key.
    pub digit: Digit,
    /// When, from the answer; an earlier key is let go first.
    pub at: Duration,
}

/// How keys travel.
pub enum KeyWay {
    /// As telephone events.
    Events,
    /// As tones in the audio.
    Tones(DtmfTones),
}

/// What one frame consists of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Said {
    /// The audio that was filled in; a key whose tone begins with it.
    Audio(Option<Digit>),
    /// A telephone event instead of audio.
    Key(EventFrame),
}

impl Mouth {
    /// Says `voice` and presses keys.
    pub fn new(voice: Voice, mut presses: Vec<Press>, keys: KeyWay) -> Self {
        presses.sort_by_key(|press| press.at);
        Self { voice, presses: presses.into(), down: None, keys }
    }

    /// Fills the frame at `position` of the call; the voice goes on silently while an event is sent.
    pub fn next(&mut self, position: u64, frame: &mut [i16]) -> Said {
        self.voice.fill(frame);
        if let Some((digit, frames)) = self.down {
            return self.hold(digit, frames, frame);
        }
        let elapsed = Duration::from_nanos(
            u64::try_from(FRAME.as_nanos()).unwrap_or(u64::MAX).saturating_mul(position),
        );
        match self.presses.front().copied().filter(|press| press.at <= elapsed) {
            Some(press) => {
                self.presses.pop_front();
                if let KeyWay::Tones(tones) = &mut self.keys {
                    tones.start(press.digit, FRAME * TONE_FRAMES);
                }
                self.hold(press.digit, 0, frame)
            }
            None => Said::Audio(None),
        }
    }

    /// The key's frame number `frames`: its tone, then the pause after it.
    fn hold(&mut self, digit: Digit, frames: u64, frame: &mut [i16]) -> Said {
        let (tone, whole) = (u64::from(TONE_FRAMES), u64::from(TONE_FRAMES + GAP_FRAMES));
        let next = frames + 1;
        self.down = (next < whole).then_some((digit, next));
        match &mut self.keys {
            KeyWay::Tones(tones) => {
                tones.fill(frame);
                Said::Audio((frames == 0).then_some(digit))
            }
            KeyWay::Events if frames < tone => {
                let elapsed = FRAME * u32::try_from(next).unwrap_or(u32::MAX);
                Said::Key(EventFrame { digit, elapsed, first: frames == 0, last: next == tone })
            }
            KeyWay::Events => Said::Audio(None),
        }
    }
}

/// Keys pressed one after the other, the first at `at`.
pub fn presses(digits: &str, at: Duration) -> impl Iterator<Item = Press> + '_ {
    digits.chars().filter_map(move |key| Digit::try_from(key).ok().map(|digit| Press { digit, at }))
}

/// 100 ms of tone and 100 ms of pause.
const TONE_FRAMES: u32 = 5;
const GAP_FRAMES: u32 = 5;

#[cfg(test)]
mod tests {
    use super::*;
    use patchcord_core::media::DtmfDetector;

    fn say(keys: KeyWay, frames: u64) -> (Vec<Said>, Vec<i16>) {
        let plan = presses("51", Duration::from_secs(1)).chain(presses("#", Duration::ZERO)).collect();
        let mut mouth = Mouth::new(Voice::tone(), plan, keys);
        let mut audio = Vec::new();
        let said = (0..frames)
            .map(|position| {
                let mut frame = [0; 160];
                let said = mouth.next(position, &mut frame);
                audio.extend(frame);
                said
            })
            .collect();
        (said, audio)
    }

    #[test]
    fn keys_go_out_as_events_of_100_ms_in_order_at_their_times() {
        let (said, _) = say(KeyWay::Events, 100);
        let events: Vec<_> = said
            .iter()
            .enumerate()
            .filter_map(|(at, said)| match said {
                Said::Key(event) if event.first || event.last => {
                    Some((at, event.digit.as_char(), event.elapsed.as_millis(), event.last))
                }
                Said::Key(_) | Said::Audio(_) => None,
            })
            .collect();
        assert_eq!(
            events,
            [
                (0, '#', 20, false),
                (4, '#', 100, true),
                (50, '5', 20, false),
                (54, '5', 100, true),
                (60, '1', 20, false),
                (64, '1', 100, true)
            ]
        );
    }

    #[test]
    fn without_events_the_same_keys_are_heard_in_the_audio() {
        let (said, audio) = say(KeyWay::Tones(DtmfTones::new(8_000)), 100);
        let told: Vec<_> = said.iter().filter(|said| matches!(said, Said::Audio(Some(_)))).collect();
        assert_eq!(told.len(), 3);
        let mut heard = String::new();
        DtmfDetector::new().listen(&audio, &mut |key| {
            heard.push(key.digit.as_char());
        });
        assert_eq!(heard, "#51");
    }
}
