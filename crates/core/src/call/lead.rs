//! How far a phone's audio is ahead of real time. What is far ahead is a flood: nobody could hear it, and a bot would
//! be fed faster than it can follow. Not the playout towards the phone, which the speaker bounds.

use std::time::Duration;

use crate::media::MediaFormat;
use crate::vocabulary::Moment;

/// What one phone gave, against the time that passed; counted in samples of the phone.
#[derive(Debug, Default)]
pub(super) struct Lead {
    began: Option<Moment>,
    given: u64,
    /// So many are allowed, or more: reckoned anew only when they were given.
    given_max: u64,
    flood_bytes: u64,
}

impl Lead {
    /// Time counts from here on; a second beginning changes nothing.
    pub(super) fn begin(&mut self, now: Moment) {
        self.began.get_or_insert(now);
    }

    /// So many samples were heard, lost or skipped.
    pub(super) fn give(&mut self, samples: u64) {
        self.given = self.given.saturating_add(samples);
    }

    /// Whether more may be heard; the bytes that may not are counted.
    pub(super) fn admits(&mut self, phone: MediaFormat, bytes: usize, now: Moment) -> bool {
        let admits = self.given <= self.given_max || self.is_allowed(phone, now);
        self.flood_bytes += if admits { 0 } else { bytes as u64 };
        admits
    }

    /// Samples of another rate from here on.
    pub(super) fn set_rate(&mut self, from: u64, to: u64) {
        (self.given, self.given_max) = (self.given.saturating_mul(to) / from, 0);
    }

    /// Bytes that were not admitted.
    pub(super) const fn flood_bytes(&self) -> u64 {
        self.flood_bytes
    }

    fn is_allowed(&mut self, phone: MediaFormat, now: Moment) -> bool {
        let Some(began) = self.began else { return true };
        self.given_max = phone.samples_in(now - began + PHONE_LEAD_MAX);
        self.given <= self.given_max
    }
}

/// Audio of a phone ahead of real time; what comes beyond it is not heard.
pub const PHONE_LEAD_MAX: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    const PHONE: MediaFormat = MediaFormat::PCMU_8K;

    #[test]
    fn a_phone_in_real_time_is_heard_for_hours_and_one_that_is_a_minute_ahead_only_as_time_passes() {
        let (mut lead, began) = (Lead::default(), Moment::from_millis(5_000));
        assert!(lead.admits(PHONE, 160, began), "before the answer nothing is reckoned");
        lead.begin(began);
        let hours = 4 * 3_600 * 50;
        assert!((0..hours).all(|at| {
            let now = began + Duration::from_millis(at * 20);
            lead.give(160);
            lead.admits(PHONE, 160, now)
        }));
        let now = began + Duration::from_millis(hours * 20);
        lead.give(60 * 8_000);
        assert!(lead.admits(PHONE, 160, now));
        lead.give(160);
        assert!(!lead.admits(PHONE, 160, now) && !lead.admits(PHONE, 80, now + Duration::from_millis(19)));
        assert!(lead.admits(PHONE, 160, now + Duration::from_millis(20)));
        assert_eq!(lead.flood_bytes(), 240);
    }

    #[test]
    fn another_rate_changes_no_lead() {
        let mut lead = Lead::default();
        lead.begin(Moment::START);
        lead.give(60 * 8_000 + 1);
        assert!(!lead.admits(PHONE, 1, Moment::START));
        lead.set_rate(8_000, 48_000);
        let opus = MediaFormat::linear16(48_000);
        assert!(!lead.admits(opus, 1, Moment::START));
        assert!(lead.admits(opus, 1, Moment::from_millis(1)));
    }
}
