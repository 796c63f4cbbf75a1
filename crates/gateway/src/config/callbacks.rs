//! `[callbacks]`: where a call's owner is told what becomes of it, and how often that is tried.

use super::problem::Refusal;
use super::secret::Secret;
use super::section::{Section, Setting};
use super::url::WebUrl;

/// The settings of `[callbacks]`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Callbacks {
    /// Where calls are told of whose number or request names no address of its own.
    pub url: Option<WebUrl>,
    /// What callbacks are signed with.
    pub secret: Option<Secret>,
    /// How long a receiver that does not take them is tried again.
    pub profile: RetryProfile,
}

/// How long a receiver is tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RetryProfile {
    /// Seed 000's: half a minute.
    #[default]
    Seed,
    /// That of Standard Webhooks: some days.
    Days,
}

impl Callbacks {
    pub(super) fn read(section: &Section<'_>) -> Option<Callbacks> {
        let secret: Option<Secret> = section.value("secret");
        if secret.as_ref().is_some_and(|secret| secret.expose().len() < SECRET_BYTES_MIN) {
            let what = format!("a secret of fewer than {SECRET_BYTES_MIN} bytes can be guessed");
            section.refuse("secret", Refusal::new(what, "draw one: openssl rand -base64 32"));
        }
        Some(Callbacks { url: section.value("url"), secret, profile: section.value("profile")? })
    }
}

impl Setting for RetryProfile {
    fn from_text(text: &str) -> Result<RetryProfile, Refusal> {
        match text {
            "seed" => Ok(RetryProfile::Seed),
            "days" => Ok(RetryProfile::Days),
            _ => Err(Refusal::unknown("profile", text, &["seed", "days"])),
        }
    }
}

/// The shortest secret.
const SECRET_BYTES_MIN: usize = 16;
