//! Errors of engines by their codes: which are known, which end a session, and what follows a failed response.

use std::time::Duration;

/// The code as a word of ours; a stranger's is [`OTHER`], because errors may repeat what was said.
pub fn known(code: &str) -> &'static str {
    let all = FATAL.iter().chain(HARMLESS);
    all.copied().find(|known| *known == code).unwrap_or(OTHER)
}

/// Whether nothing more can come of the session.
pub fn is_fatal(code: &str) -> bool {
    FATAL.contains(&code)
}

/// A response was asked for while one was being made.
pub const ALREADY_RESPONDING: &str = "conversation_already_has_active_response";

/// Any code that is not known.
pub const OTHER: &str = "another error";

/// How long after a failed response the engine is asked again.
pub const RETRY_AFTER: Duration = Duration::from_secs(1);

const FATAL: &[&str] = &[
    "account_deactivated",
    "authentication_error",
    "billing_hard_limit_reached",
    "billing_not_active",
    "insufficient_quota",
    "invalid_api_key",
    "invalid_model",
    "model_not_found",
    "permission_denied",
    "permission_error",
    "quota_exceeded",
    "session_expired",
    "unsupported_country_region_territory",
];

const HARMLESS: &[&str] = &[
    ALREADY_RESPONDING,
    "input_audio_buffer_commit_empty",
    "invalid_request_error",
    "invalid_value",
    "item_not_found",
    "item_truncate_invalid_item_id",
    "missing_required_parameter",
    "rate_limit_exceeded",
    "response_cancel_not_active",
    "server_error",
    "unknown_parameter",
];
