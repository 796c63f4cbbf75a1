//! `[outbound]`: what holds for all calls that we place, by whatever trunk.

use std::time::Duration;

use super::problem::Refusal;
use super::section::{Section, Setting};

/// The settings of `[outbound]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outbound {
    /// Calls at a time.
    pub calls: usize,
    /// Calls in a minute.
    pub per_minute: usize,
    /// How long a phone may ring where nobody says otherwise.
    pub ring: Duration,
    /// What the phone gets when the bot fails.
    pub fallback: OutboundFallback,
}

/// What a phone that we called gets when the bot fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutboundFallback {
    /// We hang up.
    HangUp,
    /// A clip says sorry, and we hang up.
    Sorry,
}

impl Outbound {
    pub(super) fn read(section: &Section<'_>) -> Option<Outbound> {
        let (calls, per_minute) = (section.value::<u32>("calls"), section.value::<u32>("per_minute"));
        let (ring, fallback) = (section.value::<Duration>("ring"), section.value("fallback"));
        if ring.is_some_and(|ring| ring.is_zero() || ring > RING_MAX) {
            let cure = "write a time between 1s and 3m, such as \"30s\"";
            section.refuse("ring", Refusal::new("a phone cannot ring that long", cure));
        }
        Some(Outbound {
            calls: usize::try_from(calls?).unwrap_or(usize::MAX),
            per_minute: usize::try_from(per_minute?).unwrap_or(usize::MAX),
            ring: ring?,
            fallback: fallback?,
        })
    }
}

impl Setting for OutboundFallback {
    fn from_text(text: &str) -> Result<OutboundFallback, Refusal> {
        match text {
            "hang-up" => Ok(OutboundFallback::HangUp),
            "sorry" => Ok(OutboundFallback::Sorry),
            _ => Err(Refusal::unknown("fallback", text, &["hang-up", "sorry"])),
        }
    }
}

/// Whether a text is a telephone number that may be dialled or shown: digits, `*` and `#`, with a `+` in front of them
/// or not.
pub fn is_dialable(text: &str) -> bool {
    let keys = text.strip_prefix('+').unwrap_or(text);
    text.len() <= DIALABLE_CHARS_MAX
        && keys.bytes().any(|key| key.is_ascii_digit())
        && keys.bytes().all(|key| key.is_ascii_digit() || key == b'*' || key == b'#')
}

/// The longest time that a phone may ring: networks give up after it (RFC 3261 §16.6, timer C).
pub const RING_MAX: Duration = Duration::from_secs(180);

/// Characters of a telephone number; ITU-T E.164 has 15 digits, access codes come in front.
const DIALABLE_CHARS_MAX: usize = 32;

#[cfg(test)]
mod tests {
    use super::super::Config;
    use super::*;

    #[test]
    fn a_telephone_number_is_digits_and_nothing_that_means_something_elsewhere() {
        for number in ["919876543210", "+919876543210", "0", "*31#0123", "112"] {
            assert!(is_dialable(number), "{number}");
        }
        let long = "1".repeat(33);
        for text in
            ["", "+", "*#", "1 2", "12a", "1+2", "++1", "1;x=y", "1@h", "1\r\n", "<1>", "1%23", "١٢", &long]
        {
            assert!(!is_dialable(text), "{text:?}");
        }
    }

    #[test]
    fn bounds_ring_time_and_fallback_have_their_defaults() {
        let outbound = Config::parse("").unwrap().outbound;
        assert_eq!((outbound.calls, outbound.per_minute), (200, 600));
        assert_eq!((outbound.ring, outbound.fallback), (Duration::from_secs(30), OutboundFallback::HangUp));
        assert!(Config::parse("[outbound]\nring = \"4m\"").is_err());
        assert!(Config::parse("[outbound]\nfallback = \"busy\"").is_err());
    }
}
