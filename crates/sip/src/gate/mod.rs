//! Who may come in: extensions prove who they are, strangers are refused or met with silence (RFC 3261 §22).
//!
//! Pure: addresses, credentials and the time come in, verdicts go out. What extensions there are is the user's to
//! say ([`Directory`]); the machine and the socket readers ask.

mod allowance;
mod nonces;
mod verifier;

use std::fmt;
use std::net::IpAddr;

use crate::digest::Algorithm;

pub(crate) use allowance::Allowance;
pub(crate) use verifier::{Proof, Verifier};

/// Who is known: the extensions and the carriers in effect.
pub trait Directory: Send + Sync {
    /// The extension of this number, if its phones may be at this address. Takes the same time for a number that
    /// is none.
    fn find(&self, number: &str, source: IpAddr) -> Option<Extension>;

    /// Whether this is the number of an extension.
    fn is_extension(&self, number: &str) -> bool;

    /// Whether any extension's phone may be at this address.
    fn may_be_at(&self, source: IpAddr) -> bool;

    /// The digests that prove who somebody is, the first one offered first; at least one.
    fn algorithms(&self) -> Vec<Algorithm>;

    /// The number of the carrier that an address belongs to. A carrier calls in the name of its callers, so it proves
    /// nothing, and its addresses are one party.
    fn carrier_of(&self, source: IpAddr) -> Option<usize>;
}

/// What the registrar needs to know of an extension. Its `Debug` shows no password.
#[derive(Clone)]
pub struct Extension {
    /// What its phones prove that they know.
    pub password: String,
    /// Phones that may be registered at a time.
    pub contacts_max: usize,
}

impl fmt::Debug for Extension {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Extension").field("contacts_max", &self.contacts_max).finish_non_exhaustive()
    }
}

/// What a stranger gets: an address that may not call and where no phone can be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Strangers {
    /// 403, within bounds.
    #[default]
    Refuse,
    /// Nothing.
    Silence,
}
