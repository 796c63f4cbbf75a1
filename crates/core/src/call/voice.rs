//! Whose voice is to be heard on one way of a call, and when it begins and ends in the call's time.

use crate::media::{MediaFormat, SpeechEdge, VoiceActivity};
use crate::vocabulary::Moment;

/// The voice on one way of a call.
#[derive(Debug)]
pub(super) struct Voice {
    format: MediaFormat,
    activity: VoiceActivity,
    edge: Option<VoiceEdge>,
    /// In formats before this one.
    was_audible: bool,
}

/// An edge of somebody's speech.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum VoiceEdge {
    /// Speech began.
    Started(Moment),
    /// Speech ended.
    Stopped(Moment),
}

impl Voice {
    pub(super) fn new(format: MediaFormat) -> Self {
        Self { format, activity: VoiceActivity::new(format), edge: None, was_audible: false }
    }

    /// The audio has another format from here on.
    pub(super) fn set_format(&mut self, format: MediaFormat) {
        if format != self.format {
            self.was_audible = self.was_audible();
            (self.format, self.activity) = (format, VoiceActivity::new(format));
        }
    }

    /// Hears audio that ends at `end`.
    pub(super) fn hear(&mut self, audio: &[u8], end: Moment) {
        let mut found = None;
        self.activity.hear(audio, |edge| found = Some(edge));
        self.note(found, end);
    }

    /// So many samples without a sound end at `end`.
    pub(super) fn skip(&mut self, samples: u64, end: Moment) {
        let mut found = None;
        self.activity.skip(samples, |edge| found = Some(edge));
        self.note(found, end);
    }

    /// The last edge that was not taken yet: of two in one piece of audio the first is past.
    pub(super) fn take_edge(&mut self) -> Option<VoiceEdge> {
        self.edge.take()
    }

    /// Whether somebody speaks, or has paused for less than the detector's patience.
    pub(super) fn is_speaking(&self) -> bool {
        self.activity.is_speaking()
    }

    /// Whether anything but digital silence was heard.
    pub(super) fn was_audible(&self) -> bool {
        self.was_audible || self.activity.is_audible()
    }

    fn note(&mut self, found: Option<SpeechEdge>, end: Moment) {
        let Some(found) = found else { return };
        let moment = |at| {
            let before = self.activity.duration_of(self.activity.position().saturating_sub(at));
            Moment::START + (end - Moment::START).saturating_sub(before)
        };
        self.edge = Some(match found {
            SpeechEdge::Started { at } => VoiceEdge::Started(moment(at)),
            SpeechEdge::Stopped { at } => VoiceEdge::Stopped(moment(at)),
        });
    }
}

/// The time of a frame in which somebody speaks loudly, for tests.
#[cfg(test)]
pub(super) const LOUD: [u8; 160] = [0x10; 160];

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn edges_stand_where_the_sound_was_not_where_they_became_certain() {
        let frame = Duration::from_millis(20);
        let mut voice = Voice::new(MediaFormat::PCMU_8K);
        let mut edges = Vec::new();
        for at in (0..2_000).step_by(20) {
            let end = Moment::from_millis(at) + frame;
            match at {
                500..1_000 => voice.hear(&LOUD, end),
                0..1_200 => voice.hear(&[0xFF; 160], end),
                _ => voice.skip(160, end),
            }
            edges.extend(voice.take_edge());
        }
        let ms = Moment::from_millis;
        assert_eq!(edges, [VoiceEdge::Started(ms(500)), VoiceEdge::Stopped(ms(1_000))]);
        assert!(voice.was_audible() && !voice.is_speaking());
        voice.set_format(MediaFormat::PCMA_8K);
        assert!(voice.was_audible());
    }
}
