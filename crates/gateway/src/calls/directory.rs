//! Who is known to the SIP agent: the extensions and carriers of the configuration in effect.

use std::net::IpAddr;

use patchcord_sip::digest::Algorithm;
use patchcord_sip::{Directory, Extension};

use crate::config::CurrentConfig;

/// The configuration, asked anew for every request.
#[derive(Debug, Clone)]
pub struct Phonebook(pub CurrentConfig);

impl Directory for Phonebook {
    fn find(&self, number: &str, source: IpAddr) -> Option<Extension> {
        let config = self.0.snapshot();
        let extension = config.find_extension(number).filter(|extension| extension.may_be_at(source))?;
        let password = extension.password.expose().to_owned();
        Some(Extension { password, contacts_max: extension.max_contacts })
    }

    fn is_extension(&self, number: &str) -> bool {
        self.0.snapshot().find_extension(number).is_some()
    }

    fn may_be_at(&self, source: IpAddr) -> bool {
        self.0.snapshot().extensions.iter().any(|extension| extension.may_be_at(source))
    }

    fn algorithms(&self) -> Vec<Algorithm> {
        self.0.snapshot().sip.digest.clone()
    }

    fn carrier_of(&self, source: IpAddr) -> Option<usize> {
        self.0.snapshot().trunks.iter().position(|trunk| trunk.owns(source))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    #[test]
    fn extensions_and_carriers_are_those_of_the_configuration_in_effect() {
        let file = "[[extensions]]\nnumber = \"101\"\npassword = \"a\"\naccept_from = [\"10.0.0.0/8\"]\n\
                    [[trunks]]\nname = \"one\"\naccept_from = [\"203.0.113.0/24\"]\n";
        let current = CurrentConfig::new(Config::parse(file).unwrap());
        let book = Phonebook(current.clone());
        let at = |address: &str| address.parse::<IpAddr>().unwrap();
        assert_eq!(book.find("101", at("10.0.0.7")).unwrap().password, "a");
        assert!(book.find("101", at("192.0.2.7")).is_none() && book.find("102", at("10.0.0.7")).is_none());
        assert!(book.is_extension("101") && !book.is_extension("one"));
        assert!(book.may_be_at(at("10.0.0.7")) && !book.may_be_at(at("192.0.2.7")));
        assert_eq!([book.carrier_of(at("203.0.113.9")), book.carrier_of(at("10.0.0.7"))], [Some(0), None]);
        current.replace(Config::default_serve());
        assert!(!book.is_extension("101") && !book.may_be_at(at("127.0.0.1")));
    }
}
