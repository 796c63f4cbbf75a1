//! Whom we called: they may speak in the dialogs of those calls, whoever else may not call us.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use crate::machine::LegId;

/// The addresses that calls of ours went to, while those calls are up; bounded by the calls.
#[derive(Debug, Default)]
pub(crate) struct Peers(Mutex<HashMap<LegId, Vec<IpAddr>>>);

impl Peers {
    /// A call went to one of these.
    pub(crate) fn enter(&self, leg: LegId, addresses: impl Iterator<Item = IpAddr>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(leg, addresses.collect());
    }

    /// The call is over.
    pub(crate) fn leave(&self, leg: LegId) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&leg);
    }

    /// Whether a call of ours that is up went there.
    pub(crate) fn knows(&self, address: IpAddr) -> bool {
        let table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        table.values().any(|addresses| addresses.contains(&address))
    }
}
