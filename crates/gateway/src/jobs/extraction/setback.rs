//! Why an attempt at an extraction came to nothing, and whether there is another one. No word of the call is in it.

use std::fmt;
use std::time::Duration;

use http::StatusCode;

use crate::jobs::retry::Obstacle;
use crate::net::HttpError;

/// What went wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Setback {
    /// The service answered with another status than 2xx, and may have named a time to come back.
    Status {
        /// The status.
        status: StatusCode,
        /// Its `Retry-After`.
        after: Option<Duration>,
    },
    /// There was no whole answer.
    Unanswered(Obstacle),
    /// The answer is larger than it may be.
    TooLarge,
    /// More was said than can be asked about.
    TooLong,
    /// The answer is no chat completion.
    NoCompletion,
    /// The model declined.
    Declined,
    /// The model's answer was cut off, by its length or by a filter.
    CutOff,
    /// What the model wrote is not JSON.
    NotJson,
    /// What the model wrote is not what the schema wants, in that field.
    Misfit(Option<String>),
}

impl Setback {
    /// A request without a whole answer.
    pub(super) fn of(error: &HttpError) -> Self {
        match error {
            HttpError::TooLarge(_) => Self::TooLarge,
            other => Self::Unanswered(Obstacle::of(other)),
        }
    }

    /// How long to wait before the next attempt, after `attempts` of them; `None` when there is none.
    pub fn wait(&self, attempts: u32) -> Option<Duration> {
        let index = usize::try_from(attempts.saturating_sub(1)).unwrap_or(usize::MAX);
        let wait = *WAITS.get(index)?;
        match self {
            Self::Status { status, after } if may_pass(*status) => {
                Some(after.unwrap_or_default().min(ASKED_WAIT_MAX).max(wait))
            }
            Self::Status { .. } | Self::Unanswered(Obstacle::Forbidden) | Self::TooLong => None,
            Self::Unanswered(_) => Some(wait),
            // A model that errs may err no more, but each time costs money.
            Self::TooLarge
            | Self::NoCompletion
            | Self::Declined
            | Self::CutOff
            | Self::NotJson
            | Self::Misfit(_) => (attempts < WRONG_ANSWERS_MAX).then_some(wait),
        }
    }

    /// The word in metrics: one of [`Setback::WORDS`].
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Status { status, .. } if status.as_u16() == 429 => "rate_limited",
            Self::Status { status, .. } if status.as_u16() >= 500 => "server_error",
            Self::Status { .. } => "refused",
            Self::Unanswered(obstacle) => obstacle.word(),
            Self::TooLarge => "too_large",
            Self::TooLong => "too_long",
            Self::NoCompletion => "no_completion",
            Self::Declined => "declined",
            Self::CutOff => "cut_off",
            Self::NotJson => "not_json",
            Self::Misfit(_) => "misfit",
        }
    }

    /// Every word.
    pub const WORDS: [&'static str; 16] = [
        "rate_limited",
        "server_error",
        "refused",
        "forbidden_address",
        "dns",
        "unreachable",
        "tls",
        "timeout",
        "broken",
        "too_large",
        "too_long",
        "no_completion",
        "declined",
        "cut_off",
        "not_json",
        "misfit",
    ];
}

impl fmt::Display for Setback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Status { status, .. } => return write!(f, "the service answered {}", status.as_u16()),
            Self::Misfit(Some(field)) => {
                return write!(f, "the answer does not fit the schema in the field {field}");
            }
            Self::Misfit(None) => "the answer does not fit the schema",
            Self::Unanswered(Obstacle::Forbidden) => "the service's address leads where it may not",
            Self::Unanswered(Obstacle::Dns) => "the service's name cannot be resolved",
            Self::Unanswered(Obstacle::Unreachable) => "the service cannot be reached",
            Self::Unanswered(Obstacle::Tls) => "there is no secure connection to the service",
            Self::Unanswered(Obstacle::Timeout) => "the service did not answer in time",
            Self::Unanswered(Obstacle::Broken) => "the service's answer broke off",
            Self::TooLarge => "the service's answer is too large",
            Self::TooLong => "the transcript is too long",
            Self::NoCompletion => "the service's answer is no chat completion",
            Self::Declined => "the model declined to answer",
            Self::CutOff => "the model's answer was cut off",
            Self::NotJson => "the model's answer is not JSON",
        })
    }
}

/// Whether the same request may meet with more favour later (RFC 9110 §15.5.9, RFC 6585 §4).
fn may_pass(status: StatusCode) -> bool {
    status.is_server_error() || matches!(status.as_u16(), 408 | 409 | 425 | 429)
}

/// The waits before the second attempt, the third, and so on: two minutes in all, for a webhook waits for the end.
const WAITS: [Duration; 7] = {
    const fn secs(count: u64) -> Duration {
        Duration::from_secs(count)
    }
    [secs(1), secs(2), secs(4), secs(8), secs(16), secs(32), secs(64)]
};

/// Answers of a model that are wrong before it is asked no more.
const WRONG_ANSWERS_MAX: u32 = 3;

/// The longest `Retry-After` that is waited for.
const ASKED_WAIT_MAX: Duration = Duration::from_secs(300);

#[cfg(test)]
mod tests {
    use super::*;

    fn status(status: u16, after: Option<u64>) -> Setback {
        let status = StatusCode::from_u16(status).unwrap();
        Setback::Status { status, after: after.map(Duration::from_secs) }
    }

    fn wait(setback: &Setback, attempts: u32) -> Option<u64> {
        setback.wait(attempts).map(|wait| wait.as_secs())
    }

    #[test]
    fn what_may_pass_is_tried_eight_times_over_two_minutes_and_then_given_up() {
        for setback in [status(500, None), status(429, None), Setback::Unanswered(Obstacle::Timeout)] {
            let waits: Vec<_> = (1..=8).map(|attempts| wait(&setback, attempts)).collect();
            let expected = [1, 2, 4, 8, 16, 32, 64].map(Some);
            assert_eq!(waits, [&expected[..], &[None]].concat(), "{setback}");
        }
    }

    #[test]
    fn what_is_refused_for_good_is_given_up_at_once_and_a_wrong_answer_after_three() {
        let forbidden = Setback::Unanswered(Obstacle::Forbidden);
        for setback in
            [status(400, Some(1)), status(401, None), status(404, None), status(302, None), forbidden]
        {
            assert_eq!(wait(&setback, 1), None, "{setback}");
        }
        for setback in [Setback::Declined, Setback::NotJson, Setback::Misfit(None), Setback::CutOff] {
            assert_eq!([1, 2, 3].map(|attempts| wait(&setback, attempts)), [Some(1), Some(2), None]);
        }
    }

    #[test]
    fn retry_after_makes_a_wait_longer_within_bounds_and_never_shorter() {
        assert_eq!(wait(&status(429, Some(20)), 1), Some(20));
        assert_eq!(wait(&status(503, Some(1)), 5), Some(16));
        assert_eq!(wait(&status(429, Some(86_400)), 1), Some(300));
    }

    #[test]
    fn every_word_is_listed() {
        let all = [
            status(429, None),
            status(500, None),
            status(404, None),
            Setback::Unanswered(Obstacle::Forbidden),
            Setback::Unanswered(Obstacle::Dns),
            Setback::Unanswered(Obstacle::Unreachable),
            Setback::Unanswered(Obstacle::Tls),
            Setback::Unanswered(Obstacle::Timeout),
            Setback::Unanswered(Obstacle::Broken),
            Setback::TooLarge,
            Setback::TooLong,
            Setback::NoCompletion,
            Setback::Declined,
            Setback::CutOff,
            Setback::NotJson,
            Setback::Misfit(None),
        ];
        assert_eq!(all.map(|setback| setback.word()), Setback::WORDS);
    }
}
