//! Where a call of ours goes: the places that a destination stands for, in the order in which they are tried.
//!
//! Deny by default: a telephone number goes out by trunks that allow it and may show the caller, or not at all.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use patchcord_core::call::LegRefusal;
use patchcord_core::vocabulary::{CallId, PhoneNumber, TransferTo};
use patchcord_sip::sdp::Protection;
use patchcord_sip::{Contact, InviteRequest, OutgoingCall, SipAgent, SipError, TrunkCall, TrunkLine};

use super::exchange::Exchange;
use super::toll_guard::TollLimits;
use crate::config::{Carrier, Config, PhoneCodec, SipTransport, Trunk};

/// Whom to call, and as whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DialWish {
    /// The call that the leg belongs to.
    pub call_id: CallId,
    /// Whom.
    pub destination: Destination,
    /// As whom.
    pub shown: Shown,
}

/// Whom to call.
#[derive(Clone, PartialEq, Eq)]
pub enum Destination {
    /// A telephone number, by the trunks that may carry it, in their order.
    Phone(PhoneNumber),
    /// Every phone that is registered under a number of ours, all at once.
    Extension(Box<str>),
}

/// Who is shown as the caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shown {
    /// This number; trunks that may not show it are not taken.
    Exactly(PhoneNumber),
    /// This number where a trunk may show it, else the trunk's usual one.
    IfAllowed(PhoneNumber),
}

/// One place that an INVITE goes to.
#[derive(Clone)]
pub struct DialTarget {
    /// The INVITE, without its offer.
    pub request: InviteRequest,
    /// The registered phone that it goes to.
    pub contact: Option<Contact>,
    /// The line to the carrier, and the number as that wants it. While the line is only being opened, the INVITE goes
    /// to the carrier's address by itself.
    pub line: Option<(Arc<TrunkLine>, String)>,
    /// The codecs that are offered, preferred first.
    pub codecs: Vec<PhoneCodec>,
    /// Whether audio is encrypted.
    pub protection: Protection,
    /// The trunk that carries it.
    pub trunk: Option<TrunkTerms>,
    /// Its Call-ID, once it is sent.
    pub call_id: Box<str>,
}

impl DialTarget {
    /// Our address as it is seen there.
    ///
    /// # Errors
    /// [`SipError`] when there is no way to it.
    pub async fn local_ip(&self, agent: &SipAgent) -> Result<IpAddr, SipError> {
        match (&self.contact, &self.line) {
            (Some(contact), _) => Ok(contact.local_ip()),
            (None, Some((line, _))) => line.local_ip().await,
            (None, None) => agent.local_ip_towards(&self.request.target).await,
        }
    }

    /// Sends the INVITE.
    ///
    /// # Errors
    /// [`SipError`] when it cannot be sent.
    pub async fn invite(self, agent: Arc<SipAgent>) -> Result<OutgoingCall, SipError> {
        let request = self.request;
        match (self.contact, self.line) {
            (Some(contact), _) => agent.invite_contact(&contact, request).await,
            (None, None) => agent.invite(request).await,
            (None, Some((line, number))) => {
                let InviteRequest { from_user, offer, headers, .. } = request;
                // Nobody is shown by a name that means so.
                let caller = if from_user == ANONYMOUS { String::new() } else { from_user };
                line.invite(TrunkCall { number, caller, offer, headers }).await
            }
        }
    }
}

/// On what terms a trunk carries a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrunkTerms {
    /// Its name.
    pub name: Box<str>,
    /// How much may go out by it.
    pub limits: TollLimits,
    /// How long the call may last.
    pub max_duration: Duration,
}

/// The places in rounds: within one all at once, the next one when nobody of it could be reached.
pub fn rounds(exchange: &Exchange, wish: &DialWish) -> Vec<Vec<DialTarget>> {
    let config = exchange.config();
    match &wish.destination {
        Destination::Phone(number) => {
            let trunks = config.trunks.iter();
            trunks
                .filter_map(|trunk| by_trunk(exchange, &config, trunk, (number, wish)))
                .map(|target| vec![target])
                .collect()
        }
        Destination::Extension(number) => {
            let contacts = exchange.locations.contacts(number).into_iter();
            let phones: Vec<_> = contacts.map(|contact| to_contact(&config, contact, wish)).collect();
            if phones.is_empty() { Vec::new() } else { vec![phones] }
        }
    }
}

/// Why nobody of those to whom a call is to be given can be dialled, as far as that is known beforehand; `None` where
/// somebody can.
pub fn refusal(exchange: &Exchange, to: &TransferTo) -> Option<LegRefusal> {
    let config = exchange.config();
    let registered = |number: &str| {
        if exchange.locations.is_registered(number) { None } else { Some(LegRefusal::Unknown) }
    };
    let of_number = |number: &PhoneNumber| {
        let number = number.as_str();
        if config.find_extension(number).is_some() {
            return registered(number);
        }
        let may_go = config.trunks.iter().any(|trunk| trunk.may_dial(number));
        if may_go { None } else { Some(LegRefusal::NotAllowed) }
    };
    match to {
        TransferTo::Phones(numbers, _) => {
            let refusals: Option<Vec<_>> = numbers.iter().map(of_number).collect();
            refusals?.first().copied()
        }
        TransferTo::Extension(number) => registered(number),
        TransferTo::Bot(_) | TransferTo::NamedBot(_) | TransferTo::Flow(_) => None,
    }
}

fn by_trunk(
    exchange: &Exchange,
    config: &Config,
    trunk: &Trunk,
    (number, wish): (&PhoneNumber, &DialWish),
) -> Option<DialTarget> {
    let number = number.as_str();
    let (carrier, dialled) = (trunk.carrier.as_ref()?, trunk.dialled(number)?);
    let shown = match &wish.shown {
        Shown::Exactly(caller) | Shown::IfAllowed(caller) if trunk.shows(caller.as_str()) => caller.as_str(),
        Shown::Exactly(_) => return None,
        Shown::IfAllowed(_) => trunk.usual_caller().unwrap_or(ANONYMOUS),
    };
    Some(DialTarget {
        request: request(address(carrier, &dialled), shown),
        contact: None,
        line: exchange.trunk_lines.line(&trunk.name).map(|line| (line, dialled)),
        codecs: trunk.codecs.as_ref().unwrap_or(&config.sip.codecs).clone(),
        protection: trunk.srtp.unwrap_or(config.sip.srtp),
        trunk: Some(TrunkTerms {
            name: trunk.name.as_str().into(),
            limits: TollLimits {
                calls: trunk.limits.calls,
                per_minute: usize::try_from(trunk.limits.per_minute).unwrap_or(usize::MAX),
            },
            max_duration: trunk.limits.max_duration,
        }),
        call_id: "".into(),
    })
}

fn to_contact(config: &Config, contact: Contact, wish: &DialWish) -> DialTarget {
    // Within the house everybody may be shown.
    let (Shown::Exactly(caller) | Shown::IfAllowed(caller)) = &wish.shown;
    DialTarget {
        request: request(String::new(), caller.as_str()),
        contact: Some(contact),
        line: None,
        codecs: config.sip.codecs.clone(),
        protection: config.sip.srtp,
        trunk: None,
        call_id: "".into(),
    }
}

fn request(target: String, shown: &str) -> InviteRequest {
    InviteRequest {
        target,
        from_user: shown.to_owned(),
        from_display: String::new(),
        offer: String::new(),
        headers: Vec::new(),
    }
}

/// The address of a number at its carrier.
fn address(carrier: &Carrier, number: &str) -> String {
    let host = if carrier.host.contains(':') { format!("[{}]", carrier.host) } else { carrier.host.clone() };
    let port = carrier.port.map(|port| format!(":{port}")).unwrap_or_default();
    let transport = match carrier.transport {
        None => "",
        Some(SipTransport::Udp) => ";transport=udp",
        Some(SipTransport::Tcp) => ";transport=tcp",
        Some(SipTransport::Tls) => ";transport=tls",
    };
    // The one key of a phone that a URI means something by (RFC 3261 §25.1).
    let number = number.replace('#', "%23");
    format!("sip:{number}@{host}{port}{transport}")
}

impl fmt::Debug for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Phone(_) => "Phone",
            Self::Extension(_) => "Extension",
        })
    }
}

/// Who is shown where nobody may be (RFC 3323 §4.1.1.3).
const ANONYMOUS: &str = "anonymous";
