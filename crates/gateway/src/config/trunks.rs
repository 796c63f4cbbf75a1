//! `[[trunks]]`: the carriers, for calls that come in (known by the networks that they call from) and for calls
//! that go out (by number, with the caller that may be shown). Deny by default: without `accept_from` nobody
//! calls, without `allow` nothing is dialled.

mod read;

use std::net::IpAddr;
use std::time::Duration;

use patchcord_sip::sdp::Protection;

use super::country::CountryCode;
use super::network::Network;
use super::numbers::NumberPattern;
use super::secret::Secret;
use super::sip::{PhoneCodec, SipTransport};

pub(super) use read::{check_order, check_sockets};

/// One of `[[trunks]]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trunk {
    /// What it is called in logs, the API and metrics.
    pub name: String,
    /// The networks that it calls from; none: nobody calls by it.
    pub accept_from: Vec<Network>,
    /// The country whose national numbers it sends, if it does.
    pub country: Option<CountryCode>,
    /// Whether audio is encrypted, where that is not as everywhere.
    pub srtp: Option<Protection>,
    /// The codecs, where they are not those of everywhere.
    pub codecs: Option<Vec<PhoneCodec>>,
    /// Whether transfers go by REFER with it, both ways.
    pub refer: bool,
    /// Where the carrier is; `None`: calls come in only.
    pub carrier: Option<Carrier>,
    /// What may be dialled, and who may be shown.
    pub rules: DialRules,
    /// Bounds of what goes out.
    pub limits: TrunkLimits,
}

/// Where the carrier is, and who we are there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Carrier {
    /// Its name or address, IPv6 without brackets: the domain of our account and of the numbers that are dialled.
    pub host: String,
    /// Its port; `None` is found by DNS.
    pub port: Option<u16>,
    /// How SIP travels; `None` is found by DNS.
    pub transport: Option<SipTransport>,
    /// Where everything is sent first.
    pub outbound_proxy: Option<OutboundProxy>,
    /// Our account.
    pub account: Option<Account>,
    /// How long a registration is asked to hold, where we register.
    pub registration: Option<Duration>,
    /// How often it is asked whether it is there; `None` is never.
    pub options_interval: Option<Duration>,
}

/// Our account at a carrier.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// The user part of our address there.
    pub username: String,
    /// The name that the password belongs to.
    pub auth_username: String,
    /// The password; without it challenges are not answered.
    pub password: Option<Secret>,
}

/// A proxy that everything is sent to first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboundProxy {
    /// Its name or address, IPv6 without brackets.
    pub host: String,
    /// Its port; `None` is found by DNS.
    pub port: Option<u16>,
    /// How SIP travels to it; `None` is found by DNS.
    pub transport: Option<SipTransport>,
}

/// What may be dialled by a trunk, how a number is sent, and who may be shown as the caller.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DialRules {
    /// The numbers that may be dialled.
    pub allow: Vec<NumberPattern>,
    /// Characters that are taken from the front of a number.
    pub strip: usize,
    /// What is put in front of it then.
    pub prefix: String,
    /// The numbers that may be shown.
    pub caller_ids: Vec<NumberPattern>,
    /// Whether the caller is hidden from whoever is called.
    pub privacy: bool,
}

/// Bounds of what goes out by a trunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TrunkLimits {
    /// Calls at a time.
    pub calls: usize,
    /// Calls in a minute.
    pub per_minute: u32,
    /// How long a call may last.
    pub max_duration: Duration,
}

impl Trunk {
    /// Whether a call from `address` is one of this trunk.
    pub fn owns(&self, address: IpAddr) -> bool {
        self.accept_from.iter().any(|network| network.contains(address))
    }

    /// Whether `number` may be dialled by this trunk: it is one of `allow`, and what would be sent is a number.
    pub fn may_dial(&self, number: &str) -> bool {
        self.carrier.is_some() && self.dialled(number).is_some()
    }

    /// The number as the carrier gets it: as `allow` has it, after `strip` and `prefix`; `None` when `allow` does not
    /// have it, or what would be sent is no number, or too long.
    pub fn dialled(&self, number: &str) -> Option<String> {
        let rest = self.allowed_form(number)?.get(self.rules.strip..).filter(|rest| !rest.is_empty())?;
        let dialled = format!("{}{rest}", self.rules.prefix);
        is_number(&dialled).then_some(dialled)
    }

    /// The number in the form that `allow` has it in: as it was given, else without its `+` where that is a number of
    /// the trunk's country. What is allowed and what is sent are one form, so that no rule for national numbers lets
    /// another country's out.
    fn allowed_form<'a>(&self, number: &'a str) -> Option<&'a str> {
        let as_given = is_number(number).then_some(number)?;
        let of_the_country = self.country.as_ref().and_then(|country| {
            let bare = as_given.strip_prefix('+')?;
            bare.starts_with(country.as_str()).then_some(bare)
        });
        let is_allowed = |form: &&str| self.rules.allow.iter().any(|pattern| pattern.matches(form));
        [Some(as_given), of_the_country].into_iter().flatten().find(is_allowed)
    }

    /// Whether `caller_id` may be shown as the caller: it is one of `caller_ids`, or the account itself.
    pub fn shows(&self, caller_id: &str) -> bool {
        let is_account = self.username().is_some_and(|username| username == caller_id);
        is_account || (is_number(caller_id) && is_listed(&self.rules.caller_ids, caller_id))
    }

    /// Who is shown where nobody is asked for, or somebody who may not be shown: the first of `caller_ids` that is
    /// a whole number, else the account; `None` is anonymous.
    pub fn usual_caller(&self) -> Option<&str> {
        let whole = self.rules.caller_ids.iter().find_map(|pattern| match pattern {
            NumberPattern::Exact(number) => Some(number.as_str()),
            NumberPattern::Any | NumberPattern::Prefix(_) => None,
        });
        whole.or_else(|| self.username())
    }

    fn username(&self) -> Option<&str> {
        Some(self.carrier.as_ref()?.account.as_ref()?.username.as_str())
    }
}

fn is_listed(patterns: &[NumberPattern], number: &str) -> bool {
    let bare = number.strip_prefix('+').unwrap_or(number);
    patterns.iter().any(|pattern| pattern.matches(number) || pattern.matches(bare))
}

/// Whether a text can be sent as the user part of a URI that is a number: what a phone can dial, and names of
/// extensions. Nothing that means something in a URI or a header field passes.
fn is_number(text: &str) -> bool {
    (1..=NUMBER_CHARS_MAX).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+*#-._".contains(&byte))
}

/// The longest number that is dialled or shown.
const NUMBER_CHARS_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::super::Config;
    use super::*;

    fn trunk(keys: &str) -> Trunk {
        let text = format!("[[trunks]]\nname = \"c\"\nhost = \"sip.example.com\"\n{keys}");
        Config::parse(&text).unwrap().trunks.remove(0)
    }

    #[test]
    fn without_allow_nothing_is_dialled_and_with_it_what_it_names_alone() {
        assert!(!trunk("").may_dial("919876543210"));
        let some = trunk("allow = [\"91*\", \"1800\"]");
        for (number, may) in [
            ("919876543210", true),
            ("1800", true),
            ("18001", false),
            ("0091", false),
            ("", false),
            ("91;user=phone", false),
            ("91@evil.example", false),
            ("91\r\nX: y", false),
            ("91>", false),
        ] {
            assert_eq!(some.may_dial(number), may, "{number:?}");
        }
        let any = trunk("allow = [\"*\"]");
        assert!(any.may_dial("+1") && !any.may_dial("+1 2") && !any.may_dial(&"1".repeat(65)));
        let inbound = Config::parse("[[trunks]]\nname = \"c\"\naccept_from = [\"10.0.0.1\"]").unwrap();
        assert!(!inbound.trunks[0].may_dial("1"));
    }

    #[test]
    fn a_number_is_sent_as_the_carrier_wants_it() {
        let rewriting = trunk("allow = [\"*\"]\nstrip = 3\nprefix = \"0\"");
        assert_eq!(rewriting.dialled("+919876543210").as_deref(), Some("09876543210"));
        assert_eq!(rewriting.dialled("+91"), None);
        assert!(!rewriting.may_dial("123") && rewriting.may_dial("1234"));
        assert_eq!(trunk("allow = [\"+91\"]").dialled("+91").as_deref(), Some("+91"));
    }

    #[test]
    fn what_is_sent_is_the_form_that_was_allowed_and_a_plus_is_no_national_number() {
        let national = "allow = [\"98*\", \"1800\"]";
        let bare = "allow = [\"91*\"]\nstrip = 2\nprefix = \"0\"";
        let plus = "allow = [\"+91*\"]\nstrip = 3\nprefix = \"0\"";
        let both = "allow = [\"+91*\", \"91*\"]\nstrip = 3";
        let any = "allow = [\"*\"]\nstrip = 2";
        for (rules, country, number, sent) in [
            (national, "", "9876543210", Some("9876543210")),
            (national, "", "+989121234567", None),
            (national, "91", "+989121234567", None),
            (national, "91", "+919876543210", None),
            (national, "98", "+989121234567", Some("989121234567")),
            (national, "", "+1800", None),
            (national, "1", "+1800", Some("1800")),
            (national, "1", "+18001", None),
            (bare, "", "919876543210", Some("09876543210")),
            (bare, "", "+919876543210", None),
            (bare, "91", "919876543210", Some("09876543210")),
            (bare, "91", "+919876543210", Some("09876543210")),
            (bare, "91", "++919876543210", None),
            (bare, "44", "+919876543210", None),
            (bare, "9", "+919876543210", Some("09876543210")),
            (bare, "91", "+91", None),
            (plus, "", "+919876543210", Some("09876543210")),
            (plus, "91", "+919876543210", Some("09876543210")),
            (plus, "", "919876543210", None),
            (plus, "91", "919876543210", None),
            (plus, "", "+989121234567", None),
            (both, "91", "+919876543210", Some("9876543210")),
            (any, "", "+4412", Some("412")),
            (any, "44", "+4412", Some("412")),
        ] {
            let country_key =
                if country.is_empty() { String::new() } else { format!("\ncountry = \"{country}\"") };
            let trunk = trunk(&format!("{rules}{country_key}"));
            assert_eq!(trunk.dialled(number).as_deref(), sent, "{rules} country {country:?}: {number}");
            assert_eq!(trunk.may_dial(number), sent.is_some(), "{rules} country {country:?}: {number}");
        }
    }

    #[test]
    fn only_listed_callers_and_the_account_are_shown() {
        let listed = trunk("username = \"me\"\ncaller_ids = [\"91741*\", \"7415100898\"]");
        for (caller, shown) in
            [("7415100898", true), ("917415", true), ("me", true), ("100", false), ("", false)]
        {
            assert_eq!(listed.shows(caller), shown, "{caller}");
        }
        assert_eq!(listed.usual_caller(), Some("7415100898"));
        assert_eq!(trunk("username = \"me\"").usual_caller(), Some("me"));
        assert_eq!(trunk("caller_ids = [\"*\"]").usual_caller(), None);
        assert!(!trunk("caller_ids = [\"*\"]").shows("1\" <sip:evil>"));
    }

    #[test]
    fn a_trunk_without_accept_from_lets_nobody_in() {
        let quiet = trunk("register = true\nusername = \"me\"\npassword = \"p\"");
        assert!(!quiet.owns("203.0.113.1".parse().unwrap()));
        let carrier = quiet.carrier.unwrap();
        assert_eq!(carrier.registration, Some(Duration::from_secs(600)));
        assert_eq!(carrier.options_interval, Some(Duration::from_secs(30)));
        assert_eq!(carrier.account.unwrap().auth_username, "me");
    }

    #[test]
    fn an_outbound_proxy_is_a_host_or_a_uri() {
        let proxy =
            |text: &str| trunk(&format!("outbound_proxy = \"{text}\"")).carrier.unwrap().outbound_proxy;
        for (text, host, port, transport) in [
            ("edge.example.com", "edge.example.com", None, None),
            ("192.0.2.1:5080", "192.0.2.1", Some(5080), None),
            ("sip:[2001:db8::1]:5062;transport=tcp;lr", "2001:db8::1", Some(5062), Some(SipTransport::Tcp)),
            ("sips:edge.example.com", "edge.example.com", None, Some(SipTransport::Tls)),
        ] {
            let found = proxy(text).unwrap();
            assert_eq!((found.host.as_str(), found.port, found.transport), (host, port, transport), "{text}");
        }
    }
}
