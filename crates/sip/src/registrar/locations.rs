//! The table of all registrations: written by the machine, read by whoever calls an extension.

use std::collections::HashMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::{Bindings, Change, OutOfOrder, Wish};
use crate::machine::{Flow, Transport};

/// Where one phone of an extension is. Its `Debug` shows no URI: that has the number.
#[derive(Clone, PartialEq, Eq)]
pub struct Contact {
    /// The URI that it gave itself: the request URI of what we send.
    pub(crate) uri: String,
    /// Its preference against the extension's other phones, per mille (RFC 3261 §20.10).
    pub(crate) q: u16,
    /// The way that its REGISTER came, which leads through its NAT.
    pub(crate) flow: Flow,
    /// When it expires.
    pub(crate) until: Instant,
}

/// Registrations by number; clones show the same. The numbers are those of accounts, the contacts of each are
/// bounded by its account.
#[derive(Clone, Default)]
pub struct Locations(Arc<Mutex<Table>>);

#[derive(Default)]
struct Table {
    numbers: HashMap<String, Bindings>,
    /// How often anything was changed.
    changes: u64,
    /// The addresses that phones registered from, and until when at the most.
    sources: HashMap<IpAddr, Instant>,
}

impl Contact {
    /// Our address as the phone sees it: what an SDP offer names when nothing else is configured.
    pub fn local_ip(&self) -> IpAddr {
        self.flow.local.ip()
    }

    /// The URI that the phone gave itself.
    pub fn uri(&self) -> &str {
        &self.uri
    }

    /// Its preference against the extension's other phones, 0 to 1000.
    pub fn preference(&self) -> u16 {
        self.q
    }

    /// Where requests to it go: where its REGISTER came from.
    pub fn address(&self) -> SocketAddr {
        self.flow.peer
    }

    /// Over what.
    pub fn transport(&self) -> Transport {
        self.flow.transport
    }

    /// When it expires unless it is refreshed.
    pub fn until(&self) -> Instant {
        self.until
    }
}

impl fmt::Debug for Contact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Contact")
            .field("q", &self.q)
            .field("transport", &self.flow.transport)
            .field("address", &self.flow.peer)
            .finish_non_exhaustive()
    }
}

impl Locations {
    /// The phones of a number at `now`, the preferred first, of equals the one that was refreshed last.
    pub fn contacts(&self, number: &str, now: Instant) -> Vec<Contact> {
        let table = self.table();
        let bindings = table.numbers.get(number);
        let mut contacts: Vec<Contact> =
            bindings.iter().flat_map(|bindings| bindings.contacts(now)).cloned().collect();
        contacts.reverse();
        contacts.sort_by_key(|contact| std::cmp::Reverse(contact.q));
        contacts
    }

    /// Whether a number has a phone at `now`.
    pub fn is_registered(&self, number: &str, now: Instant) -> bool {
        self.table().numbers.get(number).is_some_and(|bindings| bindings.contacts(now).next().is_some())
    }

    /// How many phones all numbers have at `now`.
    pub fn count(&self, now: Instant) -> usize {
        self.table().numbers.values().map(|bindings| bindings.contacts(now).count()).sum()
    }

    /// Forgets the phones of every number that does not satisfy `is_kept`.
    pub fn retain(&self, mut is_kept: impl FnMut(&str) -> bool) {
        let mut table = self.table();
        table.numbers.retain(|number, _| is_kept(number));
        table.changed();
    }

    /// Whether a phone registered from this address is still there at `now`.
    pub fn has_source(&self, address: IpAddr, now: Instant) -> bool {
        self.table().sources.get(&address).is_some_and(|until| *until > now)
    }

    /// Carries out a REGISTER that was let in, and tells the contacts of `number` afterwards.
    ///
    /// # Errors
    /// [`OutOfOrder`] when a newer one was carried out before; nothing is changed then.
    pub fn apply(
        &self,
        now: Instant,
        number: &str,
        change: Change,
        contacts_max: usize,
    ) -> Result<Vec<Contact>, OutOfOrder> {
        let is_question = matches!(change.wish, Wish::Fetch);
        let mut table = self.table();
        let bindings = table.numbers.entry(number.to_owned()).or_default();
        let applied = bindings.apply(now, change, contacts_max);
        let contacts = bindings.contacts(now).cloned().collect();
        if bindings.is_empty() {
            table.numbers.remove(number);
        }
        if !is_question {
            table.changed();
        }
        applied.map(|()| contacts)
    }

    /// How often anything was changed so far, for whoever keeps a copy.
    pub fn changes(&self) -> u64 {
        self.table().changes
    }

    /// Every phone at `now` by its number, as the REGISTER that would make it known again for what is left of its
    /// time; of each number the one that was refreshed longest ago first.
    pub fn renewals(&self, now: Instant) -> Vec<(String, Change)> {
        let table = self.table();
        let of = |(number, bindings): (&String, &Bindings)| {
            let number = number.clone();
            bindings.renewals(now).map(|change| (number.clone(), change)).collect::<Vec<_>>()
        };
        table.numbers.iter().flat_map(of).collect()
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        // The table is whole after every statement, so a panic elsewhere does not spoil it.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    fn changed(&mut self) {
        self.changes += 1;
        self.sources.clear();
        for contact in self.numbers.values().flat_map(Bindings::all) {
            let until = self.sources.entry(contact.flow.peer.ip()).or_insert(contact.until);
            *until = contact.until.max(*until);
        }
    }
}

impl fmt::Debug for Locations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Locations").field("numbers", &self.table().numbers.len()).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::Asked;
    use super::*;

    fn register(locations: &Locations, number: &str, uri: &str, q: u16, peer: &str, now: Instant) {
        let flow = Flow {
            transport: Transport::Udp,
            link: 0,
            local: "192.0.2.1:5060".parse().unwrap(),
            peer: peer.parse().unwrap(),
        };
        let asked = Asked { uri: uri.to_owned(), q, expires: Duration::from_secs(60), flow };
        let change = Change { call_id: uri.to_owned(), cseq: 1, wish: Wish::Update(vec![asked]) };
        locations.apply(now, number, change, 8).unwrap();
    }

    #[test]
    fn the_preferred_phone_comes_first_and_of_equals_the_newest() {
        let (locations, now) = (Locations::default(), Instant::now());
        for (uri, q) in [("sip:a@h", 500), ("sip:b@h", 1_000), ("sip:c@h", 500)] {
            register(&locations, "101", uri, q, "198.51.100.7:40000", now);
        }
        let contacts = locations.contacts("101", now);
        assert_eq!(contacts.iter().map(Contact::uri).collect::<Vec<_>>(), ["sip:b@h", "sip:c@h", "sip:a@h"]);
        assert!(!format!("{contacts:?}").contains("sip:"));
        assert!(locations.contacts("102", now).is_empty());
    }

    #[test]
    fn phones_and_their_addresses_are_known_until_they_expire_or_their_number_is_gone() {
        let (locations, now) = (Locations::default(), Instant::now());
        register(&locations, "101", "sip:a@h", 1_000, "198.51.100.7:40000", now);
        register(&locations, "102", "sip:b@h", 1_000, "198.51.100.8:40000", now);
        let sources = |now| [7, 8].map(|n| locations.has_source(IpAddr::from([198, 51, 100, n]), now));
        assert_eq!((locations.count(now), sources(now)), (2, [true, true]));
        let later = now + Duration::from_secs(60);
        assert_eq!((locations.is_registered("101", later), sources(later)), (false, [false, false]));
        locations.retain(|number| number == "102");
        assert_eq!((locations.count(now), sources(now)), (1, [false, true]));
        assert!(!locations.is_registered("101", now) && locations.is_registered("102", now));
    }

    #[test]
    fn who_takes_the_renewals_over_knows_the_same_phones_for_as_long() {
        let (before, now) = (Locations::default(), Instant::now());
        for uri in ["sip:a@h", "sip:b@h"] {
            register(&before, "101", uri, 1_000, "198.51.100.7:40000", now);
        }
        let (after, later) = (Locations::default(), now + Duration::from_secs(20));
        for (number, change) in before.renewals(later) {
            after.apply(later, &number, change, 8).unwrap();
        }
        assert_eq!(after.contacts("101", later), before.contacts("101", later));
        assert_eq!((before.changes(), after.changes()), (2, 2));
        let question = Change { call_id: "x".to_owned(), cseq: 1, wish: Wish::Fetch };
        before.apply(now, "101", question, 8).unwrap();
        assert_eq!(before.changes(), 2, "who asks changes nothing");
        // A REGISTER that was sent before the change of hands is as late as it was.
        let asked = Change { call_id: "sip:a@h".to_owned(), cseq: 1, wish: Wish::Clear };
        assert!(after.apply(later, "101", asked, 8).is_err());
        assert!(before.renewals(now + Duration::from_secs(60)).is_empty());
    }
}
