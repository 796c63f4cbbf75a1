//! Session timers as numbers (RFC 4028): what two user agents agree on, and when to refresh and to give up.
//!
//! Pure: which requests follow is in `refresh`.

use std::time::{Duration, Instant};

use super::TxId;
use crate::message::Message;

/// How long a session may go without a refresh.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionTimes {
    /// What we ask for, at least [`SessionTimes::min`].
    pub expires: Duration,
    /// The shortest that we take; never below 90 s (§5).
    pub min: Duration,
}

impl Default for SessionTimes {
    fn default() -> Self {
        Self { expires: Duration::from_secs(1800), min: SHORTEST }
    }
}

/// Who refreshes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refresher {
    Us,
    Them,
}

/// What a request settled, for its 2xx.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Agreed {
    pub(super) interval: Duration,
    pub(super) refresher: Refresher,
    /// The peer knows session timers.
    known: bool,
}

/// The interval is below our minimum: 422.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooShort;

/// The running timer of an answered leg.
#[derive(Debug)]
pub(super) struct SessionTimer {
    pub(super) interval: Duration,
    pub(super) refresher: Refresher,
    /// When we refresh next; `None` when the peer does, or ours is under way.
    pub(super) refresh_at: Option<Instant>,
    /// When the session counts as lost.
    pub(super) bye_at: Instant,
    /// An interval was agreed on: without it nothing expires (§7.2), and only a peer that is silent is lost.
    agreed: bool,
    /// Our refresh that is under way.
    pub(super) open: Option<TxId>,
}

impl SessionTimes {
    /// Times that keep the bounds of §5.
    pub(super) fn checked(self) -> Self {
        let min = self.min.max(SHORTEST);
        Self { expires: self.expires.max(min), min }
    }

    /// What becomes of a request's wish (§9, table 2). `now_refreshing` is who did so far.
    pub(super) fn settle(
        self,
        request: &Message,
        now_refreshing: Option<Refresher>,
    ) -> Result<Agreed, TooShort> {
        let known = has_option(request, "Supported", "timer") || has_option(request, "Require", "timer");
        let wish = session_expires(request);
        let floor = min_se(request).max(SHORTEST);
        let interval = match wish {
            Some((wanted, _)) if known && wanted < self.min => return Err(TooShort),
            // The peer's wish may be shortened, never made longer; below 90 s it is none.
            Some((wanted, _)) => wanted.min(self.expires.max(floor)).max(SHORTEST),
            None => self.expires.max(floor),
        };
        let refresher = match (known, wish.and_then(|(_, role)| role)) {
            (false, _) | (true, Some(Role::Uas)) => Refresher::Us,
            (true, Some(Role::Uac)) => Refresher::Them,
            // The choice is ours (§9): a peer that named nobody may well never refresh.
            (true, None) => now_refreshing.unwrap_or(Refresher::Us),
        };
        Ok(Agreed { interval, refresher, known })
    }

    /// What the peer's 2xx to a request of ours settled (§7.2). Without Session-Expires nothing ends the
    /// session, and we refresh it all the same: that is how the loss of a peer is found.
    pub(super) fn settled(response: &Message, asked: Duration) -> Agreed {
        match session_expires(response) {
            Some((interval, role)) => {
                let refresher = if role == Some(Role::Uas) { Refresher::Them } else { Refresher::Us };
                Agreed { interval: interval.max(SHORTEST), refresher, known: true }
            }
            None => Agreed { interval: asked, refresher: Refresher::Us, known: false },
        }
    }

    /// The fields of an INVITE that opens a call.
    pub(super) fn ask(self, request: &mut Message, interval: Duration) {
        request.headers.push("Session-Expires", interval.as_secs().to_string());
        self.add_min(request, interval);
    }

    /// The fields of a re-INVITE or UPDATE: the refresher stays who it is (§7.4).
    pub(super) fn ask_again(self, request: &mut Message, timer: &SessionTimer) {
        let role = match timer.refresher {
            Refresher::Us => "uac",
            Refresher::Them => "uas",
        };
        let value = format!("{};refresher={role}", timer.interval.as_secs());
        request.headers.push("Session-Expires", value);
        self.add_min(request, timer.interval);
    }

    /// Nobody on the way may shorten what a 422 had us raise (§7.3), nor go below our minimum.
    fn add_min(self, request: &mut Message, interval: Duration) {
        let min = if interval > self.expires { interval } else { self.min };
        if min > SHORTEST {
            request.headers.push("Min-SE", min.as_secs().to_string());
        }
    }
}

impl Agreed {
    /// The fields of our 2xx.
    pub(super) fn tell(self, response: &mut Message) {
        let role = match self.refresher {
            Refresher::Us => "uas",
            Refresher::Them => "uac",
        };
        let value = format!("{};refresher={role}", self.interval.as_secs());
        response.headers.push("Session-Expires", value);
        if self.known {
            response.headers.push("Require", "timer");
        }
    }

    /// The timer from the moment of the 2xx.
    pub(super) fn start(self, now: Instant) -> SessionTimer {
        let Self { interval, refresher, known } = self;
        let refresh_at = match refresher {
            Refresher::Us => Some(now + interval / 2),
            Refresher::Them => None,
        };
        SessionTimer {
            interval,
            refresher,
            refresh_at,
            bye_at: end_of(interval, now),
            agreed: known,
            open: None,
        }
    }
}

impl SessionTimer {
    pub(super) fn deadline(&self) -> Instant {
        self.refresh_at.map_or(self.bye_at, |at| at.min(self.bye_at))
    }

    /// The peer answered, if only to refuse.
    pub(super) fn heard_refusal(&mut self, now: Instant) {
        if !self.agreed {
            self.bye_at = end_of(self.interval, now);
        }
    }
}

/// When a session whose interval begins at that moment is given up: a little before its end (§10).
fn end_of(interval: Duration, begins: Instant) -> Instant {
    begins + (interval - (interval / 3).min(BYE_EARLIER))
}

/// Who refreshes, as the wire names it: by the role in this transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Uac,
    Uas,
}

/// `1800;refresher=uac`; what cannot be read is as good as absent.
fn session_expires(message: &Message) -> Option<(Duration, Option<Role>)> {
    let (seconds, params) = split(message.headers.first("Session-Expires")?);
    let role = params.split(';').find_map(|param| {
        let (name, value) = param.split_once('=')?;
        let is_ours = name.trim().eq_ignore_ascii_case("refresher");
        match value.trim().to_ascii_lowercase().as_str() {
            "uac" if is_ours => Some(Role::Uac),
            "uas" if is_ours => Some(Role::Uas),
            _ => None,
        }
    });
    Some((read_seconds(seconds)?, role))
}

/// Min-SE, 0 when absent.
pub(super) fn min_se(message: &Message) -> Duration {
    message.headers.first("Min-SE").and_then(|value| read_seconds(split(value).0)).unwrap_or_default()
}

fn split(value: &str) -> (&str, &str) {
    value.split_once(';').unwrap_or((value, ""))
}

fn read_seconds(text: &str) -> Option<Duration> {
    let text = text.trim();
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    // More than a day is for ever.
    digits.then(|| Duration::from_secs(text.parse().unwrap_or(u64::MAX)).min(INTERVAL_MAX))
}

/// Whether a list of option tags or methods names this one.
pub(super) fn has_option(message: &Message, header: &str, option: &str) -> bool {
    message.headers.list(header).any(|named| named.eq_ignore_ascii_case(option))
}

/// The shortest interval that the protocol knows (§5).
pub const SHORTEST: Duration = Duration::from_secs(90);
const BYE_EARLIER: Duration = Duration::from_secs(32);
const INTERVAL_MAX: Duration = Duration::from_secs(24 * 3600);

#[cfg(test)]
mod tests {
    use super::*;

    fn request(supported: &str, expires: &str, min: &str) -> Message {
        let mut message = Message::request("INVITE", "sip:a@b");
        for (name, value) in [("Supported", supported), ("x", expires), ("Min-SE", min)] {
            if !value.is_empty() {
                message.headers.push(name, value);
            }
        }
        message
    }

    #[test]
    fn the_refresher_of_an_answer_follows_the_table_of_the_rfc() {
        let times = SessionTimes { expires: Duration::from_secs(600), min: Duration::from_secs(120) };
        for (supported, expires, min, wanted) in [
            ("", "", "", Ok((600, Refresher::Us))),
            ("", "300", "", Ok((300, Refresher::Us))),
            ("", "1", "", Ok((90, Refresher::Us))),
            ("timer", "", "", Ok((600, Refresher::Us))),
            ("timer", "", "900", Ok((900, Refresher::Us))),
            ("100rel, Timer", "1800", "", Ok((600, Refresher::Us))),
            ("timer", "1800;refresher=UAC", "700", Ok((700, Refresher::Them))),
            ("timer", "200 ; refresher = uas", "", Ok((200, Refresher::Us))),
            ("timer", "99999999999999999999999", "", Ok((600, Refresher::Us))),
            ("timer", "soon", "", Ok((600, Refresher::Us))),
            ("timer", "119", "", Err(TooShort)),
        ] {
            let settled = times.settle(&request(supported, expires, min), None);
            let got = settled.map(|agreed| (agreed.interval.as_secs(), agreed.refresher));
            assert_eq!(got, wanted, "{supported} {expires} {min}");
        }
    }

    #[test]
    fn a_session_is_given_up_a_third_or_32_seconds_before_its_end() {
        let now = Instant::now();
        for (interval, refresh, bye) in [(90, 45, 60), (1800, 900, 1768)] {
            let interval = Duration::from_secs(interval);
            let timer = Agreed { interval, refresher: Refresher::Us, known: true }.start(now);
            assert_eq!(timer.refresh_at, Some(now + Duration::from_secs(refresh)));
            assert_eq!(timer.bye_at, now + Duration::from_secs(bye));
        }
    }
}
