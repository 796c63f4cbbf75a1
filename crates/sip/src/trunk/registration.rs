//! When to register, again, later or not at all (RFC 3261 §10.2): a machine without IO. It is told the time and what
//! came back, and says what to ask next.
//!
//! A binding is renewed well before it ends, at a moment that differs from line to line, so that a carrier that
//! restarted is not asked by all at once; failures are repeated ever more slowly.

use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, Instant};

/// Our registration with one carrier.
#[derive(Debug)]
pub struct Registration {
    /// How long it is asked to hold.
    asked: Duration,
    /// Until when the carrier keeps us, if it does.
    held_until: Option<Instant>,
    /// When to ask next; `None` while an answer is awaited, and at the end.
    next: Option<Instant>,
    failures: u32,
    /// The carrier had us ask for longer in this attempt.
    raised: bool,
    state: RegistrationState,
    since: Instant,
    leaving: bool,
    jitter: RandomState,
    drawn: u64,
}

/// How a registration stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RegistrationState {
    /// It was asked for, and nothing came back so far.
    Asked,
    /// The carrier knows where we are.
    Registered,
    /// It was refused with this status, or nobody answered.
    Failed(Option<u16>),
    /// It was given up.
    Left,
}

/// The final answer to a REGISTER.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RegisterAnswer {
    /// The status; `None`: nobody answered.
    pub code: Option<u16>,
    /// For how long we are known, where it says so.
    pub expires: Option<Duration>,
    /// The shortest time that it takes (Min-Expires, 423).
    pub min_expires: Option<Duration>,
    /// When to come again.
    pub retry_after: Option<Duration>,
}

impl Registration {
    /// One that is asked for at once, to hold for `asked`.
    pub fn new(now: Instant, asked: Duration) -> Self {
        Self {
            asked,
            held_until: None,
            next: Some(now),
            failures: 0,
            raised: false,
            state: RegistrationState::Asked,
            since: now,
            leaving: false,
            jitter: RandomState::new(),
            drawn: 0,
        }
    }

    /// The expiry to ask for, when it is time to send a REGISTER; its answer comes by
    /// [`Registration::handle_answer`].
    pub fn poll(&mut self, now: Instant) -> Option<Duration> {
        self.lapse(now);
        self.next.take_if(|at| *at <= now)?;
        Some(if self.leaving { Duration::ZERO } else { self.asked })
    }

    /// When [`Registration::poll`] is due.
    pub fn deadline(&self) -> Option<Instant> {
        let lapses = self.held_until.filter(|_| self.state == RegistrationState::Registered);
        [self.next, lapses].into_iter().flatten().min()
    }

    /// What came back.
    pub fn handle_answer(&mut self, now: Instant, answer: &RegisterAnswer) {
        if self.leaving {
            return self.enter(now, RegistrationState::Left);
        }
        match answer.code {
            Some(200..300) => self.succeed(now, answer.expires.unwrap_or(self.asked)),
            Some(423) if self.raise(answer.min_expires) => self.next = Some(now),
            code => self.fail(now, code, answer.retry_after),
        }
    }

    /// Gives the registration up: what the carrier keeps of us is taken back, which [`Registration::poll`] asks for.
    pub fn leave(&mut self, now: Instant) {
        self.leaving = true;
        // An answer under way may still bind us: a second request undoes both.
        self.next = (self.held_until.is_some() || self.next.is_none()).then_some(now);
        if self.next.is_none() {
            self.enter(now, RegistrationState::Left);
        }
    }

    /// How it stands.
    pub fn state(&self) -> RegistrationState {
        self.state
    }

    /// Since when.
    pub fn since(&self) -> Instant {
        self.since
    }

    fn succeed(&mut self, now: Instant, granted: Duration) {
        (self.failures, self.raised) = (0, false);
        if granted.is_zero() {
            return self.fail(now, Some(200), None);
        }
        let granted = granted.min(EXPIRES_MAX);
        self.held_until = Some(now + granted);
        // Between half and four fifths of the time.
        let early = granted / 2 + granted.mul_f64(0.3 * self.draw());
        self.next = Some(now + early.max(RENEWAL_MIN));
        self.enter(now, RegistrationState::Registered);
    }

    /// Asks for longer, once in a row.
    fn raise(&mut self, min: Option<Duration>) -> bool {
        let longer = min.filter(|min| *min > self.asked && *min <= EXPIRES_MAX && !self.raised);
        self.raised = longer.is_some();
        self.asked = longer.unwrap_or(self.asked);
        self.raised
    }

    fn fail(&mut self, now: Instant, code: Option<u16>, retry_after: Option<Duration>) {
        self.raised = false;
        let first = match code {
            // Asking with the same words will not help, and may lock the account.
            Some(401 | 403 | 404 | 407) => REFUSED_BACK_OFF,
            _ => FAILED_BACK_OFF,
        };
        let back_off = first.saturating_mul(1 << self.failures.min(16)).min(BACK_OFF_MAX);
        self.failures = self.failures.saturating_add(1);
        let wait = back_off.mul_f64(0.75 + 0.5 * self.draw());
        self.next = Some(now + wait.max(retry_after.unwrap_or_default().min(RETRY_AFTER_MAX)));
        if self.held_until.is_none_or(|until| until <= now) {
            self.held_until = None;
            self.enter(now, RegistrationState::Failed(code));
        }
    }

    /// A binding that could not be renewed ends.
    fn lapse(&mut self, now: Instant) {
        if self.held_until.take_if(|until| *until <= now).is_some() && !self.leaving {
            self.enter(now, RegistrationState::Failed(None));
        }
    }

    fn enter(&mut self, now: Instant, state: RegistrationState) {
        if state == RegistrationState::Left {
            (self.next, self.held_until) = (None, None);
        }
        if self.state != state {
            (self.state, self.since) = (state, now);
        }
    }

    /// A number from 0 to 1.
    fn draw(&mut self) -> f64 {
        self.drawn += 1;
        (self.jitter.hash_one(self.drawn) >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// The longest that a binding counts as held.
const EXPIRES_MAX: Duration = Duration::from_secs(24 * 3600);
/// The shortest time between two renewals.
const RENEWAL_MIN: Duration = Duration::from_secs(5);
/// After the first failure; it doubles.
const FAILED_BACK_OFF: Duration = Duration::from_secs(5);
/// After the first refusal of who we are; it doubles.
const REFUSED_BACK_OFF: Duration = Duration::from_secs(60);
/// The longest time between two attempts.
const BACK_OFF_MAX: Duration = Duration::from_secs(600);
/// The longest Retry-After that is kept to.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(3600);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ASKED: Duration = Duration::from_secs(600);

    fn code(code: u16) -> RegisterAnswer {
        RegisterAnswer { code: Some(code), ..RegisterAnswer::default() }
    }

    fn granted(seconds: u64) -> RegisterAnswer {
        RegisterAnswer { expires: Some(Duration::from_secs(seconds)), ..code(200) }
    }

    fn start() -> (Registration, Instant) {
        let now = Instant::now();
        let mut registration = Registration::new(now, ASKED);
        assert_eq!(registration.poll(now), Some(ASKED));
        assert_eq!(registration.poll(now), None, "one request at a time");
        (registration, now)
    }

    #[test]
    fn a_binding_is_renewed_between_half_and_four_fifths_of_its_time() {
        let mut moments = Vec::new();
        for _ in 0..32 {
            let (mut registration, now) = start();
            registration.handle_answer(now, &granted(100));
            assert_eq!(registration.state(), RegistrationState::Registered);
            let next = registration.deadline().unwrap() - now;
            assert!((50..=80).contains(&next.as_secs()), "{next:?}");
            assert_eq!(registration.poll(now + next), Some(ASKED));
            moments.push(next);
        }
        moments.dedup();
        assert!(moments.len() > 16, "lines do not renew in step");
    }

    #[test]
    fn a_carrier_that_wants_longer_gets_it_once() {
        let (mut registration, now) = start();
        let too_brief =
            |seconds| RegisterAnswer { min_expires: Some(Duration::from_secs(seconds)), ..code(423) };
        registration.handle_answer(now, &too_brief(1800));
        assert_eq!(registration.poll(now), Some(Duration::from_secs(1800)));
        registration.handle_answer(now, &too_brief(3600));
        assert_eq!(registration.state(), RegistrationState::Failed(Some(423)));
        assert_eq!(registration.poll(now), None);
    }

    #[test]
    fn failures_are_repeated_ever_more_slowly_and_retry_after_is_kept() {
        let (mut registration, mut now) = start();
        let mut waits = Vec::new();
        for _ in 0..10 {
            registration.handle_answer(now, &RegisterAnswer::default());
            let next = registration.deadline().unwrap();
            waits.push((next - now).as_secs_f64());
            now = next;
            assert!(registration.poll(now).is_some());
        }
        assert!((3.7..=6.3).contains(&waits[0]) && waits[9] >= 450.0 && waits[9] <= 750.0, "{waits:?}");
        assert_eq!(registration.state(), RegistrationState::Failed(None));
        let patient = RegisterAnswer { retry_after: Some(Duration::from_secs(1_200)), ..code(503) };
        registration.handle_answer(now, &patient);
        assert!(registration.deadline().unwrap() - now >= Duration::from_secs(1_200));
    }

    #[test]
    fn a_refused_account_waits_a_minute_and_a_failed_renewal_keeps_the_binding_until_it_ends() {
        let (mut registration, now) = start();
        registration.handle_answer(now, &code(403));
        assert!(registration.deadline().unwrap() - now >= Duration::from_secs(45));
        let (mut registration, now) = start();
        registration.handle_answer(now, &granted(100));
        let renewal = registration.deadline().unwrap();
        registration.poll(renewal).unwrap();
        registration.handle_answer(renewal, &RegisterAnswer::default());
        assert_eq!(registration.state(), RegistrationState::Registered);
        let end = now + Duration::from_secs(100);
        while registration.deadline().unwrap() < end {
            let at = registration.deadline().unwrap();
            if registration.poll(at).is_some() {
                registration.handle_answer(at, &RegisterAnswer::default());
            }
        }
        registration.poll(end);
        assert_eq!(registration.state(), RegistrationState::Failed(None));
    }

    #[test]
    fn a_stop_takes_the_binding_back_and_one_that_never_was_needs_nothing() {
        let (mut registration, now) = start();
        registration.handle_answer(now, &granted(100));
        registration.leave(now);
        assert_eq!(registration.poll(now), Some(Duration::ZERO));
        registration.handle_answer(now, &code(200));
        assert_eq!((registration.state(), registration.deadline()), (RegistrationState::Left, None));
        let (mut refused, now) = start();
        refused.handle_answer(now, &code(403));
        refused.leave(now);
        assert_eq!((refused.poll(now), refused.state()), (None, RegistrationState::Left));
    }

    proptest! {
        #[test]
        fn whatever_comes_back_one_request_is_open_and_none_follows_within_three_seconds(
            answers in prop::collection::vec((0u16..8, 0u64..5_000, 0u64..5_000), 1..60),
        ) {
            let mut now = Instant::now();
            let mut registration = Registration::new(now, ASKED);
            let mut last: Option<Instant> = None;
            let mut raised = false;
            for (kind, expires, other) in answers {
                while registration.poll(now).is_none() {
                    now = registration.deadline().expect("somebody always asks again");
                }
                prop_assert!(raised || last.is_none_or(|last| now - last >= Duration::from_secs(3)));
                prop_assert_eq!(registration.poll(now), None);
                let answer = RegisterAnswer {
                    code: [None, Some(200), Some(423), Some(403), Some(503), Some(302), Some(200), Some(423)]
                        [usize::from(kind)],
                    expires: (kind == 1).then_some(Duration::from_secs(expires)),
                    min_expires: Some(Duration::from_secs(other)),
                    retry_after: (kind == 4).then_some(Duration::from_secs(other)),
                };
                registration.handle_answer(now, &answer);
                raised = answer.code == Some(423) && registration.deadline() == Some(now);
                last = Some(now);
                if registration.state() == RegistrationState::Registered {
                    prop_assert!(registration.held_until.is_some_and(|until| until > now));
                }
            }
        }
    }
}
