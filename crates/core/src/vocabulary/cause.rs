//! Why a call ended: one cause per call, and one table that says it in every language we speak.
//!
//! Sources: Q.850 §2.2.5 for the cause numbers, RFC 3261 §21 for the statuses, RFC 3326 for `Reason`, seed
//! 004 "hangup" for its words, seed 002 "cdr" for the disposition.

use std::fmt;

/// Who has to look into it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CauseClass {
    /// Nothing is wrong.
    Completed,
    /// The phone's side.
    Caller,
    /// The bot.
    Bot,
    /// The carrier, the vendor, or the CONFIG_API.
    Upstream,
    /// This gateway.
    Us,
}

/// Who ended the call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum HungUpBy {
    /// The phone: the party that called us, or that we called.
    Caller,
    /// The bot.
    Bot,
    /// Whoever a transfer reached.
    Agent,
    /// The gateway.
    System,
}

/// How a call ended, in seed 000's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CallOutcome {
    /// It was answered.
    Completed,
    /// The other end is busy or refuses.
    Busy,
    /// The other end did not answer.
    NoAnswer,
    /// Anything else.
    Failed,
    /// Whoever called gave up before the answer.
    Canceled,
}

/// The one reason for which a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reason {
    /// The phone hung up: who called us, or whom we called.
    CallerHungUp,
    /// The bot hung up.
    BotHungUp,
    /// Whoever the call was given to hung up.
    AgentHungUp,
    /// The caller's own carrier connected it with whom the call was given to (REFER).
    Transferred,
    /// Somebody asked for it through the API.
    Asked,
    /// The caller gave up before the answer.
    Canceled,
    /// The caller never confirmed our answer.
    NoAck,
    /// No audio came from the phone for too long.
    MediaTimeout,
    /// The phone neither refreshed its session nor answered our refresh, or lost the call (RFC 4028 §10).
    SessionExpired,
    /// The number leads nowhere.
    UnknownNumber,
    /// The phone and we have no codec in common.
    NoCommonCodec,
    /// The phone's audio is in the clear, and it has to be protected.
    SrtpRequired,
    /// The phone's audio has to be protected, and we cannot, or by no suite of its own.
    NoCommonSrtp,
    /// The phone's messages could not be understood.
    BadOffer,
    /// The phone that we dialled is busy.
    Busy,
    /// The phone that we dialled does not want the call.
    Declined,
    /// The phone that we dialled was not answered in time.
    Unanswered,
    /// The carrier could not or would not connect the call that we placed.
    NotConnected,
    /// The carrier, or the phone that we dialled, answered nothing, or could not be sent to.
    CarrierUnreachable,
    /// No trunk may carry a call to the number, and no phone is registered under it.
    NoRoute,
    /// The vendor's connection broke.
    VendorReset,
    /// The vendor never began a call.
    VendorSilent,
    /// The vendor never began a call that could be understood: the log says what was wrong with its messages.
    VendorBadStart,
    /// The CONFIG_API could not be reached.
    ConfigApiUnreachable,
    /// The CONFIG_API did not answer in time.
    ConfigApiTimeout,
    /// The CONFIG_API answered with another HTTP status than 200.
    ConfigApiStatus,
    /// The CONFIG_API answered more than can be read.
    ConfigApiTooLarge,
    /// The CONFIG_API's answer names no bot that we can reach.
    ConfigApiBadAnswer,
    /// Nobody to whom the call was to be given answered.
    TransferFailed,
    /// No audio came for too long from whoever the call was given to.
    AgentLost,
    /// The bot's address refused the connection.
    BotRefused,
    /// The bot's name could not be resolved.
    BotDns,
    /// The bot answered 401 or 403.
    BotUnauthorized,
    /// The bot answered with another HTTP status than 101.
    BotHttpStatus,
    /// The bot's address came from outside and leads where it may not.
    BotForbidden,
    /// No secure connection to the bot.
    BotTls,
    /// The bot never finished the WebSocket handshake, or an engine said nothing behind it.
    BotNoHandshake,
    /// The bot let the call ring too long.
    BotNoAnswer,
    /// The bot read nothing, or answered no ping, for too long.
    BotStalled,
    /// The bot's connection broke.
    BotReset,
    /// The bot closed with an error code.
    BotClosedWithError,
    /// The bot sent more than anybody can hear.
    BotFlooded,
    /// The call lasted as long as calls may.
    MaxDuration,
    /// Nobody had said a word for as long as the agent's limit allows.
    NobodySpoke,
    /// The calls of the agent have lasted as long as they may within a day.
    AgentSpent,
    /// As many calls are up as may be.
    OverCapacity,
    /// The database does not keep up with the calls.
    StorageBehind,
    /// The gateway was stopped.
    Drained,
    /// The gateway ended unexpectedly while the call was up.
    Restart,
    /// Something of ours failed.
    Internal,
}

/// One row of the table: a reason in every language.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReasonRow {
    /// The reason.
    pub reason: Reason,
    /// The stable word in records, logs and metrics.
    pub word: &'static str,
    /// Who has to look into it.
    pub class: CauseClass,
    /// Who ended the call.
    pub by: HungUpBy,
    /// Q.850 cause number.
    pub q850: u8,
    /// Q.850 cause text.
    pub q850_text: &'static str,
    /// SIP status when the call was not answered.
    pub sip_status: u16,
    /// Seed 004's word.
    pub smartpbx: &'static str,
    /// Seed 002's disposition when the call was not answered.
    pub disposition: &'static str,
}

/// Why a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Cause {
    reason: Reason,
}

impl Cause {
    /// The cause for that reason.
    pub const fn new(reason: Reason) -> Self {
        Self { reason }
    }

    /// The reason.
    pub const fn reason(self) -> Reason {
        self.reason
    }

    /// The reason in every language.
    pub fn row(self) -> &'static ReasonRow {
        &REASONS[self.reason as usize]
    }

    /// Who has to look into it.
    pub fn class(self) -> CauseClass {
        self.row().class
    }

    /// Who ended the call.
    pub fn by(self) -> HungUpBy {
        self.row().by
    }

    /// How a call that ended for it ended, in seed 000's words: an answered call is completed, but not when we
    /// broke down; before the answer Q.850 17 and 21 are busy, 18 and 19 no answer. A bot is no party that could
    /// be busy: what is wrong with it is a failure, unless it let the call ring.
    pub fn outcome(self, answered: bool) -> CallOutcome {
        let row = self.row();
        match (row.class, row.q850) {
            _ if self.reason == Reason::Restart => CallOutcome::Failed,
            _ if answered => CallOutcome::Completed,
            _ if row.disposition == "CANCELED" => CallOutcome::Canceled,
            (CauseClass::Bot, 19) => CallOutcome::NoAnswer,
            (CauseClass::Bot, _) => CallOutcome::Failed,
            (_, 17 | 21) => CallOutcome::Busy,
            (_, 18 | 19) => CallOutcome::NoAnswer,
            _ => CallOutcome::Failed,
        }
    }
}

impl CallOutcome {
    /// The stable word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Busy => "busy",
            Self::NoAnswer => "no-answer",
            Self::Failed => "failed",
            Self::Canceled => "canceled",
        }
    }
}

impl Reason {
    /// The reason of that stable word.
    pub fn find(word: &str) -> Option<Self> {
        REASONS.iter().find(|row| row.word == word).map(|row| row.reason)
    }

    /// Why a call ends that those who were called for it did not take, by the last one's Q.850 cause.
    pub const fn of_untaken(q850: u8) -> Self {
        match q850 {
            17 => Self::Busy,
            18 | 19 => Self::Unanswered,
            21 => Self::Declined,
            1 => Self::UnknownNumber,
            // No trunk goes there, or none may.
            3 | 57 => Self::NoRoute,
            42 => Self::OverCapacity,
            // Nobody is registered there.
            20 => Self::TransferFailed,
            _ => Self::NotConnected,
        }
    }
}

impl CauseClass {
    /// The stable word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Caller => "caller",
            Self::Bot => "bot",
            Self::Upstream => "upstream",
            Self::Us => "us",
        }
    }
}

impl HungUpBy {
    /// The stable word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Caller => "caller",
            Self::Bot => "bot",
            Self::Agent => "agent",
            Self::System => "system",
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.class().word(), self.row().word)
    }
}

const fn row(
    reason: Reason,
    word: &'static str,
    (class, by): (CauseClass, HungUpBy),
    (q850, q850_text): (u8, &'static str),
    sip_status: u16,
    smartpbx: &'static str,
    disposition: &'static str,
) -> ReasonRow {
    ReasonRow { reason, word, class, by, q850, q850_text, sip_status, smartpbx, disposition }
}

const fn config_api(reason: Reason, word: &'static str, q850: (u8, &'static str)) -> ReasonRow {
    row(reason, word, UPSTREAM, q850, 503, "CALL_REJECTED", "FAILED")
}

const NORMAL: (u8, &str) = (16, "Normal Clearing");
const ROUTE: (u8, &str) = (3, "No Route To Destination");
const BUSY: (u8, &str) = (17, "User Busy");
const NO_USER: (u8, &str) = (18, "No User Responding");
const NO_ANSWER: (u8, &str) = (19, "No Answer");
const REJECTED: (u8, &str) = (21, "Call Rejected");
const OUT_OF_ORDER: (u8, &str) = (27, "Destination Out Of Order");
const NETWORK: (u8, &str) = (38, "Network Out Of Order");
const TEMPORARY: (u8, &str) = (41, "Temporary Failure");
const CONGESTION: (u8, &str) = (42, "Switching Equipment Congestion");
const INCOMPATIBLE: (u8, &str) = (88, "Incompatible Destination");
const UNALLOCATED: (u8, &str) = (1, "Unallocated Number");
const TIMER: (u8, &str) = (102, "Recovery On Timer Expiry");
const PROTOCOL: (u8, &str) = (111, "Protocol Error");

const DONE_BY_CALLER: (CauseClass, HungUpBy) = (CauseClass::Completed, HungUpBy::Caller);
const DONE_BY_BOT: (CauseClass, HungUpBy) = (CauseClass::Completed, HungUpBy::Bot);
const DONE_BY_AGENT: (CauseClass, HungUpBy) = (CauseClass::Completed, HungUpBy::Agent);
const DONE_BY_SYSTEM: (CauseClass, HungUpBy) = (CauseClass::Completed, HungUpBy::System);
const CALLER: (CauseClass, HungUpBy) = (CauseClass::Caller, HungUpBy::Caller);
const CALLER_BY_SYSTEM: (CauseClass, HungUpBy) = (CauseClass::Caller, HungUpBy::System);
const UPSTREAM: (CauseClass, HungUpBy) = (CauseClass::Upstream, HungUpBy::System);
const BOT: (CauseClass, HungUpBy) = (CauseClass::Bot, HungUpBy::System);
const US: (CauseClass, HungUpBy) = (CauseClass::Us, HungUpBy::System);

/// Every reason in every language, in the order of [`Reason`].
pub const REASONS: [ReasonRow; 50] = {
    use Reason as R;
    [
        row(R::CallerHungUp, "caller_hung_up", DONE_BY_CALLER, NORMAL, 487, "NORMAL_CLEARING", "CANCELED"),
        row(R::BotHungUp, "bot_hung_up", DONE_BY_BOT, NORMAL, 603, "NORMAL_CLEARING", "FAILED"),
        row(R::AgentHungUp, "agent_hung_up", DONE_BY_AGENT, NORMAL, 480, "NORMAL_CLEARING", "CANCELED"),
        row(R::Transferred, "transferred", DONE_BY_SYSTEM, NORMAL, 480, "NORMAL_CLEARING", "CANCELED"),
        row(R::Asked, "asked", DONE_BY_SYSTEM, NORMAL, 480, "NORMAL_CLEARING", "CANCELED"),
        row(R::Canceled, "canceled", CALLER, NORMAL, 487, "ORIGINATOR_CANCEL", "CANCELED"),
        row(R::NoAck, "no_ack", CALLER_BY_SYSTEM, TIMER, 408, "NORMAL_CLEARING", "FAILED"),
        row(R::MediaTimeout, "media_timeout", CALLER_BY_SYSTEM, TIMER, 408, "NORMAL_CLEARING", "FAILED"),
        row(R::SessionExpired, "session_expired", CALLER_BY_SYSTEM, TIMER, 408, "NORMAL_CLEARING", "FAILED"),
        row(
            R::UnknownNumber,
            "unknown_number",
            CALLER_BY_SYSTEM,
            UNALLOCATED,
            404,
            "CALL_REJECTED",
            "FAILED",
        ),
        row(R::NoCommonCodec, "no_common_codec", UPSTREAM, INCOMPATIBLE, 488, "CALL_REJECTED", "FAILED"),
        row(R::SrtpRequired, "srtp_required", UPSTREAM, INCOMPATIBLE, 488, "CALL_REJECTED", "FAILED"),
        row(R::NoCommonSrtp, "no_common_srtp", UPSTREAM, INCOMPATIBLE, 488, "CALL_REJECTED", "FAILED"),
        row(R::BadOffer, "bad_offer", UPSTREAM, PROTOCOL, 400, "CALL_REJECTED", "FAILED"),
        row(R::Busy, "busy", CALLER, BUSY, 486, "USER_BUSY", "BUSY"),
        row(R::Declined, "declined", CALLER, REJECTED, 603, "CALL_REJECTED", "BUSY"),
        row(R::Unanswered, "unanswered", CALLER_BY_SYSTEM, NO_ANSWER, 480, "NO_ANSWER", "NO ANSWER"),
        row(R::NotConnected, "not_connected", UPSTREAM, TEMPORARY, 503, "CALL_REJECTED", "FAILED"),
        row(R::CarrierUnreachable, "carrier_unreachable", UPSTREAM, NETWORK, 503, "CALL_REJECTED", "FAILED"),
        row(R::NoRoute, "no_route", US, ROUTE, 404, "CALL_REJECTED", "FAILED"),
        row(R::VendorReset, "vendor_reset", UPSTREAM, OUT_OF_ORDER, 480, "NORMAL_CLEARING", "CANCELED"),
        row(R::VendorSilent, "vendor_silent", UPSTREAM, TIMER, 408, "CALL_REJECTED", "FAILED"),
        row(R::VendorBadStart, "bad_start", UPSTREAM, PROTOCOL, 400, "CALL_REJECTED", "FAILED"),
        config_api(R::ConfigApiUnreachable, "config_api_unreachable", OUT_OF_ORDER),
        config_api(R::ConfigApiTimeout, "config_api_timeout", TIMER),
        config_api(R::ConfigApiStatus, "config_api_status", TEMPORARY),
        config_api(R::ConfigApiTooLarge, "config_api_too_large", PROTOCOL),
        config_api(R::ConfigApiBadAnswer, "config_api_bad_answer", PROTOCOL),
        row(R::TransferFailed, "transfer_failed", UPSTREAM, NO_ANSWER, 480, "NO_ANSWER", "NO ANSWER"),
        row(R::AgentLost, "agent_lost", UPSTREAM, TIMER, 480, "NORMAL_CLEARING", "FAILED"),
        row(R::BotRefused, "refused", BOT, OUT_OF_ORDER, 503, "CALL_REJECTED", "FAILED"),
        row(R::BotDns, "dns", BOT, OUT_OF_ORDER, 503, "CALL_REJECTED", "FAILED"),
        row(R::BotUnauthorized, "unauthorized", BOT, REJECTED, 503, "CALL_REJECTED", "FAILED"),
        row(R::BotHttpStatus, "http_status", BOT, OUT_OF_ORDER, 503, "CALL_REJECTED", "FAILED"),
        row(R::BotForbidden, "forbidden_address", BOT, REJECTED, 503, "CALL_REJECTED", "FAILED"),
        row(R::BotTls, "tls", BOT, OUT_OF_ORDER, 503, "CALL_REJECTED", "FAILED"),
        row(R::BotNoHandshake, "no_handshake", BOT, NO_USER, 503, "CALL_REJECTED", "FAILED"),
        row(R::BotNoAnswer, "no_answer", BOT, NO_ANSWER, 480, "NO_ANSWER", "NO ANSWER"),
        row(R::BotStalled, "stalled", BOT, OUT_OF_ORDER, 503, "NORMAL_CLEARING", "FAILED"),
        row(R::BotReset, "reset", BOT, OUT_OF_ORDER, 503, "NORMAL_CLEARING", "FAILED"),
        row(R::BotClosedWithError, "closed_with_error", BOT, TEMPORARY, 503, "NORMAL_CLEARING", "FAILED"),
        row(R::BotFlooded, "flooded", BOT, PROTOCOL, 503, "NORMAL_CLEARING", "FAILED"),
        row(R::MaxDuration, "max_duration", US, NORMAL, 480, "NORMAL_CLEARING", "FAILED"),
        row(R::NobodySpoke, "nobody_spoke", CALLER_BY_SYSTEM, TIMER, 408, "NORMAL_CLEARING", "FAILED"),
        row(R::AgentSpent, "agent_spent", US, TEMPORARY, 503, "CALL_REJECTED", "FAILED"),
        row(R::OverCapacity, "over_capacity", US, CONGESTION, 503, "USER_BUSY", "BUSY"),
        row(R::StorageBehind, "storage_behind", US, CONGESTION, 503, "USER_BUSY", "FAILED"),
        row(R::Drained, "drained", US, NORMAL, 503, "NORMAL_CLEARING", "FAILED"),
        row(R::Restart, "restart", US, TEMPORARY, 503, "NORMAL_CLEARING", "FAILED"),
        row(R::Internal, "internal", US, TEMPORARY, 500, "NORMAL_CLEARING", "FAILED"),
    ]
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_one_row_per_reason_in_order_with_a_word_of_its_own() {
        let mut words = std::collections::BTreeSet::new();
        for (at, row) in REASONS.iter().enumerate() {
            assert_eq!(row.reason as usize, at, "{}", row.word);
            assert_eq!(Cause::new(row.reason).row(), row);
            assert!(words.insert(row.word), "{} stands twice", row.word);
            assert!((400..700).contains(&row.sip_status));
            assert!(row.q850 < 128);
        }
    }

    #[test]
    fn a_cause_reads_as_class_and_reason() {
        assert_eq!(Cause::new(Reason::BotStalled).to_string(), "bot/stalled");
        assert_eq!(Cause::new(Reason::CallerHungUp).to_string(), "completed/caller_hung_up");
    }

    #[test]
    fn every_reason_has_its_outcome_before_and_after_the_answer() {
        use CallOutcome::{Busy, Canceled, Completed, Failed, NoAnswer};
        for row in &REASONS {
            let cause = Cause::new(row.reason);
            let answered = if row.reason == Reason::Restart { Failed } else { Completed };
            assert_eq!(cause.outcome(true), answered, "{}", row.word);
            let unanswered = match row.word {
                "caller_hung_up" | "agent_hung_up" | "transferred" | "canceled" | "asked"
                | "vendor_reset" => Canceled,
                "no_answer" => NoAnswer,
                _ => match (row.class, row.q850) {
                    (CauseClass::Bot, _) => Failed,
                    (_, 17 | 21) => Busy,
                    (_, 18 | 19) => NoAnswer,
                    _ => Failed,
                },
            };
            assert_eq!(cause.outcome(false), unanswered, "{}", row.word);
            assert_eq!(Reason::find(row.word), Some(row.reason));
        }
        assert_eq!(Reason::find("no such word"), None);
    }
}
