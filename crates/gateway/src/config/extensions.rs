//! `[[extensions]]`: the phones that register here, and whom they may call.

use std::net::IpAddr;

use super::network::{Network, admits};
use super::numbers::NumberPattern;
use super::problem::Refusal;
use super::secret::Secret;
use super::section::{Section, Setting};

/// One of `[[extensions]]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Extension {
    /// Its number: what it registers as and is called by.
    pub number: String,
    /// Its name, for people.
    pub name: Option<String>,
    /// What its phones prove that they know.
    pub password: Secret,
    /// The outside numbers that it may call.
    pub allow: Vec<NumberPattern>,
    /// The number that the outside is shown.
    pub caller_id: Option<String>,
    /// Phones that may be registered at a time.
    pub max_contacts: usize,
    /// The networks that its phones may be in; `None`: any.
    pub accept_from: Option<Vec<Network>>,
}

impl Extension {
    /// Whether a phone of this extension may be at `address`.
    pub fn may_be_at(&self, address: IpAddr) -> bool {
        self.accept_from.as_ref().is_none_or(|networks| admits(networks, address))
    }

    /// Whether it may call this number outside.
    pub fn may_dial(&self, number: &str) -> bool {
        self.allow.iter().any(|pattern| pattern.matches(number))
    }

    pub(super) fn read(section: &Section<'_>) -> Option<Extension> {
        let number: Option<String> = section.value::<ExtensionNumber>("number").map(|number| number.0);
        let password = section.value("password");
        let name: Option<String> = section.value("name");
        let allow = if section.has("allow") { section.list("allow") } else { Some(Vec::new()) };
        let caller_id = section.value::<ExtensionNumber>("caller_id").map(|number| number.0);
        let max_contacts: Option<u32> = section.value("max_contacts");
        let accept_from = section.has("accept_from").then(|| section.list("accept_from"));
        if name.as_ref().is_some_and(|name| name.len() > NAME_BYTES_MAX) {
            section.refuse("name", Refusal::new("this is too long for a name", "at most 64 bytes"));
        }
        if max_contacts.is_some_and(|max| !(1..=CONTACTS_MAX).contains(&max)) {
            let cure = format!("a number from 1 to {CONTACTS_MAX}");
            section.refuse("max_contacts", Refusal::new("no phone, or too many", cure));
        }
        Some(Extension {
            number: number?,
            name,
            password: password?,
            allow: allow?,
            caller_id,
            max_contacts: usize::try_from(max_contacts?).ok()?,
            accept_from: match accept_from {
                Some(networks) => Some(networks?),
                None => None,
            },
        })
    }
}

/// Refuses a number that an earlier extension has.
pub(super) fn check_order(sections: &[Section<'_>], extensions: &[Option<Extension>]) {
    for (index, extension) in extensions.iter().enumerate() {
        let Some(extension) = extension else { continue };
        if extensions[..index].iter().flatten().any(|earlier| earlier.number == extension.number) {
            let what = "there is an extension with this number already";
            sections[index].refuse("number", Refusal::new(what, "give each extension a number of its own"));
        }
    }
}

/// A number without a pattern.
struct ExtensionNumber(String);

impl Setting for ExtensionNumber {
    fn from_text(text: &str) -> Result<ExtensionNumber, Refusal> {
        match NumberPattern::from_text(text)? {
            NumberPattern::Exact(number) => Ok(ExtensionNumber(number)),
            NumberPattern::Any | NumberPattern::Prefix(_) => {
                Err(Refusal::new("this means many numbers", "one number, without \"*\": \"101\""))
            }
        }
    }
}

/// The longest name.
const NAME_BYTES_MAX: usize = 64;

/// Phones of one extension.
const CONTACTS_MAX: u32 = 32;

#[cfg(test)]
mod tests {
    use super::super::Config;

    const PLAIN: &str = "[[extensions]]\nnumber = \"101\"\npassword = \"hunter2\"\n";

    #[test]
    fn an_extension_calls_nobody_outside_unless_it_is_allowed_to() {
        let allowed = format!("{PLAIN}allow = [\"91*\", \"18001234567\"]\n");
        for (file, number, may) in [
            (PLAIN, "919876543210", false),
            (allowed.as_str(), "919876543210", true),
            (allowed.as_str(), "18001234567", true),
            (allowed.as_str(), "180012345678", false),
            (allowed.as_str(), "900", false),
        ] {
            assert_eq!(Config::parse(file).unwrap().extensions[0].may_dial(number), may, "{number}");
        }
    }

    #[test]
    fn a_phone_may_be_anywhere_unless_its_networks_are_named() {
        let config = Config::parse(&format!("{PLAIN}accept_from = [\"10.0.0.0/8\"]\n")).unwrap();
        let at = |address: &str| config.extensions[0].may_be_at(address.parse().unwrap());
        assert_eq!([at("10.1.2.3"), at("127.0.0.1"), at("203.0.113.1")], [true, true, false]);
        assert!(Config::parse(PLAIN).unwrap().extensions[0].may_be_at("203.0.113.1".parse().unwrap()));
    }

    #[test]
    fn its_password_is_never_printed() {
        let config = Config::parse(PLAIN).unwrap();
        assert!(!format!("{config:?}").contains("hunter2"));
    }
}
