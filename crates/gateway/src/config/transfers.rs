//! `[transfers]`: how calls are given to people.

use std::sync::Arc;
use std::time::Duration;

use patchcord_core::media::SineTone;

use super::outbound::RING_MAX;
use super::problem::Refusal;
use super::recording::ConsentClip;
use super::section::Section;

/// The settings of `[transfers]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transfers {
    /// How long each destination may ring.
    pub ring: Duration,
    /// What whoever answers hears before it presses 1, linear 16-bit at 8 kHz; `None` joins it at once.
    pub confirm: Option<Arc<[i16]>>,
}

impl Transfers {
    pub(super) fn read(section: &Section<'_>) -> Option<Transfers> {
        let (ring, confirm) = (section.value::<Duration>("ring"), section.value::<bool>("confirm"));
        if ring.is_some_and(|ring| ring.is_zero() || ring > RING_MAX) {
            let cure = "write a time between 1s and 3m, such as \"30s\"";
            section.refuse("ring", Refusal::new("a phone cannot ring that long", cure));
        }
        let whisper = section.has("whisper").then(|| section.value::<ConsentClip>("whisper"));
        let clip = match whisper {
            Some(clip) => clip?.0,
            None => beeps(),
        };
        Some(Transfers { ring: ring?, confirm: confirm?.then_some(clip) })
    }
}

/// Two beeps: what is heard where no words are configured.
fn beeps() -> Arc<[i16]> {
    let mut clip = vec![0; 8_000];
    let mut tone = SineTone::new(8_000, 1_000.0, 8_000);
    clip.chunks_mut(1_600).skip(1).step_by(2).take(2).for_each(|beep| tone.fill(beep));
    clip.into()
}
