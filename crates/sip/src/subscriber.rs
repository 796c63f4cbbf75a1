//! Who we are at a carrier: what the requests of its calls and registrations are made with.

use crate::digest::Account;
use crate::message::SipUri;

/// Our identity at a carrier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscriber {
    /// The carrier's domain: the host of our address there, and the one whose challenges are answered.
    pub domain: String,
    /// What challenges are answered with; without it none is.
    pub account: Option<Account>,
    /// The user part of our address there; empty where there is no account.
    pub user: String,
}

impl Subscriber {
    /// Our address there, `sip:user@domain`.
    pub fn address(&self) -> String {
        SipUri::format("sip", &self.user, &self.domain)
    }
}
