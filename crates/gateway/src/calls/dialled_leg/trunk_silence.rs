//! How long a trunk may say nothing at all, not even 100, before it is given up.
//!
//! Always less than the phone may ring: a carrier that is silent to the end is unreachable, while a phone that is not
//! answered was reached. Docs: `docs/outbound.md`.

use std::time::Duration;

/// How long a trunk may be silent when the phone may ring that long from now on.
pub(super) fn patience(left: Duration, is_last: bool) -> Duration {
    let longest = if is_last { LAST_TRUNK_SILENCE_MAX } else { TRUNK_SILENCE_MAX };
    longest.min(left - left / 10)
}

/// A trunk after which there is another one.
const TRUNK_SILENCE_MAX: Duration = Duration::from_secs(5);

/// The only trunk, or the last one.
const LAST_TRUNK_SILENCE_MAX: Duration = Duration::from_secs(20);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trunk_is_given_up_for_its_silence_before_the_phone_is_for_not_being_answered() {
        let ms = Duration::from_millis;
        for (left, first, last) in [
            (300_000, 5_000, 20_000),
            (30_000, 5_000, 20_000),
            (25_000, 5_000, 20_000),
            (20_000, 5_000, 18_000),
            (5_000, 4_500, 4_500),
            (1_000, 900, 900),
            (0, 0, 0),
        ] {
            assert_eq!(patience(ms(left), false), ms(first), "{left} ms, another one follows");
            assert_eq!(patience(ms(left), true), ms(last), "{left} ms, the last one");
        }
    }
}
