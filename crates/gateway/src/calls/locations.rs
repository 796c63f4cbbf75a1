//! Where the phones of the extensions in effect are.

use std::sync::Arc;

use patchcord_sip::{Contact, Locations as Registrations};
use tokio::time::Instant;

use crate::config::{Config, CurrentConfig};

/// The registered phones; clones show the same.
#[derive(Debug, Clone)]
pub struct Locations {
    registrations: Registrations,
    current: CurrentConfig,
}

impl Locations {
    /// Where nobody is registered yet.
    pub fn new(current: CurrentConfig) -> Self {
        Self { registrations: Registrations::default(), current }
    }

    /// The table itself, for the SIP agent to write.
    pub fn registrations(&self) -> Registrations {
        self.registrations.clone()
    }

    /// The phones of the extension `number` at this moment, the preferred first; none where there is no such
    /// extension.
    pub fn contacts(&self, number: &str) -> Vec<Contact> {
        match self.current.snapshot().find_extension(number) {
            Some(_) => self.registrations.contacts(number, Instant::now().into_std()),
            None => Vec::new(),
        }
    }

    /// Whether a call to the extension `number` would ring anywhere.
    pub fn is_registered(&self, number: &str) -> bool {
        let is_extension = self.current.snapshot().find_extension(number).is_some();
        is_extension && self.registrations.is_registered(number, Instant::now().into_std())
    }

    /// How many phones are registered.
    pub fn count(&self) -> usize {
        self.registrations.count(Instant::now().into_std())
    }

    /// Forgets the phones of extensions that `after` has no more, or with other keys: they register anew.
    pub fn reconfigured(&self, before: &Arc<Config>, after: &Arc<Config>) {
        let extension = |config: &Config, number: &str| config.find_extension(number).cloned();
        self.registrations.retain(|number| extension(before, number) == extension(after, number));
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use patchcord_sip::registrar::{Asked, Change, Wish};
    use patchcord_sip::{Flow, Transport};

    use super::*;

    fn config(extensions: &[(&str, &str)]) -> Config {
        let tables = extensions.iter().map(|(number, password)| {
            format!("[[extensions]]\nnumber = \"{number}\"\npassword = \"{password}\"\n")
        });
        Config::parse(&tables.collect::<String>()).unwrap()
    }

    fn register(locations: &Locations, number: &str) {
        let flow = Flow {
            transport: Transport::Udp,
            link: 0,
            local: "127.0.0.1:5060".parse().unwrap(),
            peer: "127.0.0.1:40000".parse().unwrap(),
        };
        let uri = format!("sip:{number}@10.0.0.1");
        let asked = Asked { uri, q: 1_000, expires: Duration::from_secs(60), flow };
        let change = Change { call_id: "x".to_owned(), cseq: 1, wish: Wish::Update(vec![asked]) };
        locations.registrations().apply(Instant::now().into_std(), number, change, 8).unwrap();
    }

    #[tokio::test]
    async fn a_reload_that_removes_or_changes_an_extension_takes_its_phones_away() {
        let current = CurrentConfig::new(config(&[("101", "a"), ("102", "b"), ("103", "c")]));
        let locations = Locations::new(current.clone());
        for number in ["101", "102", "103"] {
            register(&locations, number);
        }
        assert_eq!(locations.contacts("101").len(), 1);
        let before = current.snapshot();
        current.replace(config(&[("101", "a"), ("102", "changed")]));
        assert_eq!(locations.contacts("103").len(), 0);
        locations.reconfigured(&before, &current.snapshot());
        assert_eq!(["101", "102", "103"].map(|number| locations.is_registered(number)), [true, false, false]);
        assert_eq!(locations.contacts("102").len(), 0);
    }
}
