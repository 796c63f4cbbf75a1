//! The registrar: REGISTER, and who a caller proves to be (RFC 3261 §10.3, §22.2).

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::server::ServerKey;
use super::{Flow, Machine, Transport};
use crate::gate::{Directory, Proof};
use crate::message::{Message, NameAddr, SipUri};
use crate::registrar::{Asked, Change, Contact, Wish};

/// The request was answered already: it proves nothing, or not what it has to.
pub(super) struct Unproven;

/// Why a REGISTER is not carried out.
enum Fault {
    Malformed(&'static str),
    TooMany,
    TooBrief,
}

impl Machine {
    pub(super) fn handle_register(&mut self, now: Instant, flow: Flow, key: ServerKey, request: &Message) {
        let has_phones = |directory: &Arc<dyn Directory>| directory.may_be_at(flow.peer.ip());
        if !self.settings.directory.as_ref().is_some_and(has_phones) {
            return self.refuse_method(flow, request);
        }
        let Ok(number) = self.prove(now, flow, request) else { return };
        if user_of(request, "To") != number {
            return self.refuse_unproven(flow, request);
        }
        let change = match change_of(request, flow) {
            Ok(change) => change,
            Err(Fault::Malformed(reason)) => return self.refuse(flow, request, 400, reason),
            Err(Fault::TooMany) => return self.refuse(flow, request, 403, "Too Many Contacts"),
            Err(Fault::TooBrief) => {
                let least = EXPIRES_MIN.as_secs().to_string();
                return self.refuse_with(flow, request, 423, "Interval Too Brief", |r| {
                    r.headers.push("Min-Expires", least);
                });
            }
        };
        let directory = self.settings.directory.as_ref();
        let extension = directory.and_then(|directory| directory.find(&number, flow.peer.ip()));
        let Some(extension) = extension else { return self.refuse(flow, request, 404, "Not Found") };
        match self.settings.locations.apply(now, &number, change, extension.contacts_max) {
            Ok(contacts) => {
                self.counts.registers += 1;
                self.answer_once(now, flow, key, request, (200, "OK"), |r| add_contacts(r, &contacts, now));
            }
            Err(_) => self.answer_once(now, flow, key, request, (500, "CSeq Out Of Order"), |_| {}),
        }
    }

    /// Who calls: an extension that proved it, or nobody of ours. A carrier's callers prove nothing; whoever else
    /// names an extension as its number has to be it, and whoever may not call at all has to be one.
    pub(super) fn caller_of(
        &mut self,
        now: Instant,
        flow: Flow,
        request: &Message,
    ) -> Result<Option<String>, Unproven> {
        let source = flow.peer.ip();
        let Some(directory) = self.settings.directory.as_ref() else { return Ok(None) };
        let named = user_of(request, "From");
        let may_call = self.settings.admits(source) && !directory.is_extension(&named);
        if may_call || directory.carrier_of(source).is_some() {
            return Ok(None);
        }
        let proven = self.prove(now, flow, request)?;
        if proven == named {
            return Ok(Some(proven));
        }
        self.refuse_unproven(flow, request);
        Err(Unproven)
    }

    /// The extension that a request proves to come from; otherwise it is answered.
    fn prove(&mut self, now: Instant, flow: Flow, request: &Message) -> Result<String, Unproven> {
        let source = flow.peer.ip();
        let Some(directory) = self.settings.directory.clone() else { return Err(Unproven) };
        let proof = self.admission.verifier.judge(now, source, request, directory.as_ref());
        if let Proof::Is(number) = proof {
            return Ok(number);
        }
        if !self.admission.allow_challenge(now, source) {
            self.counts.unanswered += 1;
            return Err(Unproven);
        }
        match proof {
            Proof::Is(number) => return Ok(number),
            Proof::Malformed(reason) => self.refuse(flow, request, 400, reason),
            Proof::TooManyGuesses => {
                self.counts.guessing += 1;
                self.refuse_with(flow, request, 503, "Too Many Attempts", |r| {
                    r.headers.push("Retry-After", GUESSER_WAITS_S.to_string());
                });
            }
            // A second challenge would have many phones try the same again at once, without end.
            Proof::Wrong => self.refuse_unproven(flow, request),
            Proof::Nothing { stale } => {
                self.counts.challenged += 1;
                let algorithms = directory.algorithms();
                let challenges =
                    self.admission.verifier.challenges((now, source), request, algorithms, stale);
                self.refuse_with(flow, request, 401, "Unauthorized", |r| {
                    challenges.into_iter().for_each(|value| r.headers.push("WWW-Authenticate", value));
                });
            }
        }
        Err(Unproven)
    }

    /// Not an extension, not by this password, or not the one that is named: the same to whoever asks.
    fn refuse_unproven(&mut self, flow: Flow, request: &Message) {
        self.counts.unproven += 1;
        self.refuse(flow, request, 403, "Forbidden");
    }
}

fn user_of(request: &Message, header: &str) -> String {
    let address = request.headers.first(header).and_then(NameAddr::parse);
    address
        .and_then(|address| SipUri::parse(&address.uri).ok())
        .map(|uri| uri.user_decoded())
        .unwrap_or_default()
}

/// What a REGISTER wants (§10.3, steps 6 and 7).
fn change_of(request: &Message, flow: Flow) -> Result<Change, Fault> {
    let call_id = request.headers.first("Call-ID").unwrap_or("").to_owned();
    let (cseq, _) = request.cseq().ok_or(Fault::Malformed("Malformed CSeq"))?;
    let contacts: Vec<&str> = request.headers.list("Contact").take(CONTACTS_NAMED_MAX + 1).collect();
    let expires = request.headers.first("Expires").map(seconds);
    let wish = match contacts.as_slice() {
        [] => Wish::Fetch,
        ["*"] if expires == Some(0) => Wish::Clear,
        contacts if contacts.contains(&"*") => return Err(Fault::Malformed("Malformed Contact")),
        contacts if contacts.len() > CONTACTS_NAMED_MAX => return Err(Fault::TooMany),
        contacts => {
            let asked = contacts.iter().map(|contact| asked_of(request, contact, expires, flow));
            Wish::Update(asked.collect::<Result<_, _>>()?)
        }
    };
    Ok(Change { call_id, cseq, wish })
}

fn asked_of(request: &Message, contact: &str, expires: Option<u64>, flow: Flow) -> Result<Asked, Fault> {
    let malformed = Fault::Malformed("Malformed Contact");
    let Some(contact) = NameAddr::parse(contact) else { return Err(malformed) };
    let uri = SipUri::as_target(&contact.uri).filter(|uri| uri.len() <= CONTACT_BYTES_MAX);
    let parsed = uri.as_deref().and_then(|uri| SipUri::parse(uri).ok()).filter(|uri| uri.scheme != "tel");
    let (Some(uri), Some(parsed)) = (uri, parsed) else { return Err(malformed) };
    let expires = contact.param("expires").map(seconds).or(expires).unwrap_or(EXPIRES_MAX.as_secs());
    let expires = Duration::from_secs(expires).min(EXPIRES_MAX);
    if !expires.is_zero() && expires < EXPIRES_MIN {
        return Err(Fault::TooBrief);
    }
    let q = contact.param("q").map_or(Some(1_000), per_mille).ok_or(malformed)?;
    Ok(Asked { uri, q, expires, flow: way_to(request, &parsed, flow) })
}

/// Where requests to a contact go: where its REGISTER came from, which leads through a NAT and along a connection.
/// A phone that asks for no `rport` may send from another port than it listens on: without a NAT between, its own
/// word counts.
fn way_to(request: &Message, contact: &SipUri, flow: Flow) -> Flow {
    let is_symmetric = request.top_via().is_none_or(|via| via.param("rport").is_some());
    let named: Option<SocketAddr> = contact.socket_addr().filter(|named| named.ip() == flow.peer.ip());
    match (flow.transport, named) {
        (Transport::Udp, Some(named)) if !is_symmetric && named.port() != 0 => Flow { peer: named, ..flow },
        (Transport::Udp | Transport::Tcp | Transport::Tls, _) => flow,
    }
}

/// A number of seconds; what is none counts as the longest (§10.2.1.1).
fn seconds(text: &str) -> u64 {
    text.trim().parse().unwrap_or(EXPIRES_MAX.as_secs())
}

/// `0` to `1` with up to three decimals, per mille (§25.1 qvalue).
fn per_mille(text: &str) -> Option<u16> {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
    let is_decimal = decimals.len() <= 3 && decimals.bytes().all(|byte| byte.is_ascii_digit());
    let decimals: u16 = if is_decimal { format!("{decimals:0<3}").parse().ok()? } else { return None };
    match (whole, decimals) {
        ("0", decimals) => Some(decimals),
        ("1", 0) => Some(1_000),
        _ => None,
    }
}

/// The contacts of the number with what is left of each (§10.3, step 8).
fn add_contacts(response: &mut Message, contacts: &[Contact], now: Instant) {
    for Contact { uri, q, until, .. } in contacts {
        let left = until.saturating_duration_since(now).as_secs_f64().ceil();
        let q = f64::from(*q) / 1_000.0;
        response.headers.push("Contact", format!("<{uri}>;expires={left};q={q}"));
    }
}

/// The shortest registration (§10.2.8).
const EXPIRES_MIN: Duration = Duration::from_secs(60);

/// The longest, and what a phone gets that asks for none.
const EXPIRES_MAX: Duration = Duration::from_secs(3600);

/// Contacts in one REGISTER.
const CONTACTS_NAMED_MAX: usize = 32;

/// Bytes of a contact's URI.
const CONTACT_BYTES_MAX: usize = 512;

/// What somebody is told to wait who guessed too often.
const GUESSER_WAITS_S: u32 = 60;
