//! SRTP between its two halves: keys that SDP agrees on become keys that protect packets.

use std::sync::Arc;

use patchcord_core::rtp::{MasterKey, Mki, SrtpKeys, SrtpSuite};
use patchcord_sip::sdp::{AgreedKeys, Protection, Sdes, SuiteSpec};

/// The agreement on keys of one call, about the suites that we have.
pub fn sdes(protection: Protection) -> Sdes {
    Sdes::new(protection, SUITES, |key| getrandom::fill(key).is_ok())
}

/// The keys of an agreement; `None` where there is none.
pub fn srtp_keys(agreed: Option<&AgreedKeys>) -> Option<Arc<SrtpKeys>> {
    let AgreedKeys { ours, theirs } = agreed?;
    let suite = SrtpSuite::from_name(&ours.suite)?;
    Some(Arc::new(SrtpKeys {
        ours: MasterKey::new(suite, &ours.key)?,
        theirs: MasterKey::new(suite, &theirs.key)?,
        their_mki: theirs.mki.map(|(value, length)| Mki { value, length }),
    }))
}

const SUITES: &[SuiteSpec] = &{
    const ALL: [SrtpSuite; 6] = SrtpSuite::ALL;
    let mut suites = [SuiteSpec { name: "", key_octets: 0 }; ALL.len()];
    let mut at = 0;
    while at < ALL.len() {
        suites[at] = SuiteSpec { name: ALL[at].name(), key_octets: ALL[at].master_bytes() };
        at += 1;
    }
    suites
};
