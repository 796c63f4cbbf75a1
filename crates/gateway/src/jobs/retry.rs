//! When a delivery that failed is tried again, and when it is given up. Sources: seed 000 §8, the retry schedule of
//! the Standard Webhooks specification, RFC 9110 §10.2.3 for `Retry-After`.

use std::time::{Duration, SystemTime};

use http::HeaderMap;
use http::header::RETRY_AFTER;

use crate::config::RetryProfile;
use crate::net::{EgressError, HttpError};

/// What one attempt led to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attempt {
    /// The receiver has it.
    Delivered {
        /// The HTTP status, 200 to 299.
        status: u16,
    },
    /// The receiver wants nothing any more (410).
    Gone,
    /// The receiver answered something else, and may have named a time to come back.
    Refused {
        /// The HTTP status.
        status: u16,
        /// Its `Retry-After`.
        after: Option<Duration>,
    },
    /// There was no whole answer.
    Unanswered(Obstacle),
}

/// Why there was no whole answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Obstacle {
    /// The address leads where it may not.
    Forbidden,
    /// The name cannot be resolved.
    Dns,
    /// There was no connection.
    Unreachable,
    /// There was no secure connection.
    Tls,
    /// The time was over.
    Timeout,
    /// The connection broke, or what came is no answer.
    Broken,
}

/// What follows an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Nothing: it is delivered.
    Delivered,
    /// Another attempt after that time.
    Again(Duration),
    /// Nothing: it is a dead letter.
    Dead,
}

impl RetryProfile {
    /// The waits before the second attempt, the third, and so on.
    pub const fn waits(self) -> &'static [Duration] {
        match self {
            Self::Seed => &SEED,
            Self::Days => &DAYS,
        }
    }

    /// What follows the attempt number `attempts`, counted from 1.
    pub fn next(self, attempts: u32, attempt: Attempt) -> Next {
        let asked = match attempt {
            Attempt::Delivered { .. } => return Next::Delivered,
            Attempt::Gone | Attempt::Unanswered(Obstacle::Forbidden) => return Next::Dead,
            Attempt::Refused { after, .. } => after.unwrap_or_default().min(RETRY_AFTER_MAX),
            Attempt::Unanswered(_) => Duration::ZERO,
        };
        let index = usize::try_from(attempts.saturating_sub(1)).unwrap_or(usize::MAX);
        self.waits().get(index).map_or(Next::Dead, |wait| Next::Again(asked.max(*wait)))
    }
}

impl Attempt {
    /// The word in metrics and lists.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Delivered { .. } => "delivered",
            Self::Gone => "gone",
            Self::Refused { .. } => "refused",
            Self::Unanswered(obstacle) => obstacle.word(),
        }
    }

    /// The HTTP status, if one came.
    pub const fn status(self) -> Option<u16> {
        match self {
            Self::Gone => Some(410),
            Self::Delivered { status } | Self::Refused { status, .. } => Some(status),
            Self::Unanswered(_) => None,
        }
    }

    /// Every word.
    pub const WORDS: [&'static str; 9] = [
        "delivered",
        "gone",
        "refused",
        "forbidden_address",
        "dns",
        "unreachable",
        "tls",
        "timeout",
        "broken",
    ];
}

impl Obstacle {
    /// What kept a request from its answer.
    pub(super) fn of(error: &HttpError) -> Self {
        match error {
            HttpError::Unconnected(EgressError::Forbidden(..)) => Self::Forbidden,
            HttpError::Unconnected(EgressError::Unresolved(_)) => Self::Dns,
            HttpError::Unconnected(EgressError::Tls(_)) => Self::Tls,
            HttpError::Unconnected(
                EgressError::Refused(..)
                | EgressError::NoAnswer(_)
                | EgressError::ResolvedTooLate
                | EgressError::TlsTooLate,
            ) => Self::Unreachable,
            HttpError::TooLate => Self::Timeout,
            HttpError::Unanswered(_) | HttpError::TooLarge(_) | HttpError::Broken(_) => Self::Broken,
        }
    }

    /// The word in metrics.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Forbidden => "forbidden_address",
            Self::Dns => "dns",
            Self::Unreachable => "unreachable",
            Self::Tls => "tls",
            Self::Timeout => "timeout",
            Self::Broken => "broken",
        }
    }
}

/// The time that an answer asks for: seconds, or a date (RFC 9110 §10.2.3).
pub(super) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    match text.parse() {
        Ok(seconds) => Some(Duration::from_secs(seconds)),
        Err(_) => httpdate::parse_http_date(text).ok()?.duration_since(SystemTime::now()).ok(),
    }
}

const SEED: [Duration; 5] = [secs(1), secs(2), secs(4), secs(8), secs(16)];

const DAYS: [Duration; 9] =
    [secs(5), minutes(5), minutes(30), hours(2), hours(5), hours(10), hours(14), hours(20), hours(24)];

const fn secs(count: u64) -> Duration {
    Duration::from_secs(count)
}

const fn minutes(count: u64) -> Duration {
    secs(60 * count)
}

const fn hours(count: u64) -> Duration {
    minutes(60 * count)
}

/// The longest `Retry-After` that is waited for.
pub const RETRY_AFTER_MAX: Duration = hours(24);

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(value: &str) -> HeaderMap {
        HeaderMap::from_iter([(RETRY_AFTER, value.parse().unwrap())])
    }

    #[test]
    fn retry_after_is_read_as_seconds_or_as_a_date_and_anything_else_says_nothing() {
        assert_eq!(retry_after(&headers("120")), Some(Duration::from_secs(120)));
        let soon = httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(60));
        assert!(retry_after(&headers(&soon)).is_some_and(|wait| (58..=60).contains(&wait.as_secs())));
        for said in ["Wed, 21 Oct 2015 07:28:00 GMT", "soon", "-1", ""] {
            assert_eq!(retry_after(&headers(said)), None, "{said}");
        }
    }

    const REFUSED: Attempt = Attempt::Refused { status: 503, after: None };

    #[test]
    fn a_receiver_that_fails_gets_six_attempts_within_31_seconds_and_then_a_dead_letter() {
        let waits: Vec<_> = (1..=6).map(|n| RetryProfile::Seed.next(n, REFUSED)).collect();
        let again = |count| Next::Again(secs(count));
        assert_eq!(waits, [again(1), again(2), again(4), again(8), again(16), Next::Dead]);
        assert_eq!(RetryProfile::Seed.next(u32::MAX, REFUSED), Next::Dead);
    }

    #[test]
    fn the_long_profile_tries_ten_times_over_three_days() {
        assert_eq!(RetryProfile::Days.next(1, REFUSED), Next::Again(secs(5)));
        assert_eq!(RetryProfile::Days.next(9, REFUSED), Next::Again(hours(24)));
        assert_eq!(RetryProfile::Days.next(10, REFUSED), Next::Dead);
        let total: Duration = RetryProfile::Days.waits().iter().sum();
        assert!(total > hours(72) && total < hours(96));
    }

    #[test]
    fn retry_after_makes_a_wait_longer_and_never_shorter() {
        let after = |count| Attempt::Refused { status: 429, after: Some(secs(count)) };
        assert_eq!(RetryProfile::Seed.next(1, after(30)), Next::Again(secs(30)));
        assert_eq!(RetryProfile::Seed.next(5, after(3)), Next::Again(secs(16)));
        assert_eq!(RetryProfile::Seed.next(1, after(u64::MAX)), Next::Again(RETRY_AFTER_MAX));
        assert_eq!(RetryProfile::Seed.next(6, after(30)), Next::Dead);
    }

    #[test]
    fn who_is_gone_or_may_not_be_reached_is_not_tried_again() {
        assert_eq!(RetryProfile::Days.next(1, Attempt::Gone), Next::Dead);
        assert_eq!(RetryProfile::Days.next(1, Attempt::Unanswered(Obstacle::Forbidden)), Next::Dead);
        assert_eq!(RetryProfile::Days.next(3, Attempt::Delivered { status: 200 }), Next::Delivered);
    }
}
