//! Our answers to challenges (RFC 3261 §22, RFC 7616, RFC 8760): 401 and 407 to requests that we sent to a carrier.
//!
//! A challenge is answered for the realm that the carrier named first, on a request that went to one of its own
//! addresses, once, and once more for a stale nonce. A carrier that renamed its realm says so to a REGISTER, which goes
//! no further than to itself. So whoever stands behind the carrier (the phone that it
//! reached, a proxy of somebody else's) gets no sum of our password to guess at, and a wrong password is not
//! tried over and over.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use super::client::ClientTx;
use super::leg::{Cancel, Phase};
use super::{Machine, TxId};
use crate::digest::{Challenge, Credentials, Use};
use crate::message::Message;
use crate::subscriber::Subscriber;

/// What a request may answer challenges with.
#[derive(Clone, Debug)]
pub(super) struct Pass {
    subscriber: Arc<Subscriber>,
    /// The carrier's own addresses, as far as this call or request concerns them.
    home: Vec<IpAddr>,
    /// What was answered on this request already, by [`Asker`].
    answered: [Option<Answered>; 2],
}

#[derive(Clone, Debug)]
struct Answered {
    challenge: Challenge,
    /// It took the place of one that had become stale.
    is_second: bool,
}

/// Who challenges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asker {
    /// 401.
    Server,
    /// 407.
    Proxy,
}

/// What is known of each account's carrier.
#[derive(Debug, Default)]
pub(super) struct Logins(HashMap<(String, String), Login>);

#[derive(Debug, Default)]
struct Login {
    /// The realm that each asker named first.
    realms: [Option<String>; 2],
    /// The newest nonce and how often it was used, by asker.
    nonces: [(String, u32); 2],
}

impl Pass {
    pub(super) fn new(subscriber: Arc<Subscriber>, home: Vec<IpAddr>) -> Self {
        Self { subscriber, home, answered: [None, None] }
    }
}

impl Asker {
    const BOTH: [Self; 2] = [Self::Server, Self::Proxy];

    fn of(code: u16) -> Option<Self> {
        match code {
            401 => Some(Self::Server),
            407 => Some(Self::Proxy),
            _ => None,
        }
    }

    fn at(self) -> usize {
        match self {
            Self::Server => 0,
            Self::Proxy => 1,
        }
    }

    fn challenge_field(self) -> &'static str {
        match self {
            Self::Server => "WWW-Authenticate",
            Self::Proxy => "Proxy-Authenticate",
        }
    }

    fn answer_field(self) -> &'static str {
        match self {
            Self::Server => "Authorization",
            Self::Proxy => "Proxy-Authorization",
        }
    }
}

impl Logins {
    fn of(&mut self, subscriber: &Subscriber) -> Option<&mut Login> {
        let account = subscriber.account.as_ref()?;
        let key = (subscriber.domain.clone(), account.username.clone());
        if self.0.len() >= LOGINS_MAX && !self.0.contains_key(&key) {
            return None;
        }
        Some(self.0.entry(key).or_default())
    }
}

impl Login {
    /// The challenge to answer: of the pinned realm, which the first one pins, the strongest.
    fn choose(&mut self, asker: Asker, response: &Message, is_register: bool) -> Option<Challenge> {
        let offered = || response.headers.all(asker.challenge_field());
        let realm = self.realms.get_mut(asker.at())?;
        let is_named = |realm: &String| {
            offered().any(|value| Challenge::parse(value).is_some_and(|c| c.realm == *realm))
        };
        if is_register && !realm.as_ref().is_some_and(is_named) {
            *realm = None;
        }
        let offered = offered();
        let chosen = match realm {
            Some(realm) => {
                let is_pinned = |value: &&str| Challenge::parse(value).is_some_and(|c| c.realm == *realm);
                Challenge::strongest(offered.filter(is_pinned))?
            }
            None => Challenge::strongest(offered)?,
        };
        realm.get_or_insert_with(|| chosen.realm.clone());
        Some(chosen)
    }

    /// Counts a use of a nonce.
    fn count(&mut self, asker: Asker, nonce: &str) -> u32 {
        let Some((newest, count)) = self.nonces.get_mut(asker.at()) else { return 1 };
        if newest != nonce {
            (*newest, *count) = (nonce.to_owned(), 0);
        }
        *count = count.saturating_add(1);
        *count
    }
}

impl Machine {
    /// Answers a challenge by sending the request again; whether it did.
    pub(super) fn answer_challenge(&mut self, now: Instant, id: TxId, response: &Message) -> bool {
        self.try_answer(now, id, response).is_some()
    }

    fn try_answer(&mut self, now: Instant, id: TxId, response: &Message) -> Option<TxId> {
        let asker = Asker::of(response.code()?)?;
        let client = self.clients.get(&id)?;
        let (mut pass, flow) = (client.pass.clone()?, client.flow);
        let has_room = self.transactions_open() < self.admission.limits().transactions_max;
        if !pass.home.contains(&flow.peer.ip()) || !has_room || !self.is_wanted(id, client) {
            return None;
        }
        let login = self.logins.of(&pass.subscriber)?;
        let challenge = login.choose(asker, response, client.method() == "REGISTER")?;
        let before = pass.answered.get_mut(asker.at())?;
        let is_second = match before {
            None => false,
            Some(Answered { challenge: old, is_second: false })
                if challenge.is_stale && old.nonce != challenge.nonce =>
            {
                true
            }
            Some(_) => return None,
        };
        *before = Some(Answered { challenge, is_second });
        let mut request = client.request.clone();
        let fields = self.credentials(&pass, &request)?;
        for asker in Asker::BOTH {
            request.headers.remove(asker.answer_field());
        }
        fields.iter().for_each(|(name, value)| request.headers.push(name, value.clone()));
        let leg = client_leg(&self.clients, id);
        let again = self.send_again(now, id, request, flow)?;
        let is_invite = self.clients.get_mut(&again).is_some_and(|client| {
            client.pass = Some(pass);
            client.method() == "INVITE"
        });
        if let Some(leg) = leg.filter(|_| is_invite).and_then(|leg| self.legs.get_mut(&leg)) {
            leg.credentials = fields;
        }
        Some(again)
    }

    /// Every answer that the request carries, each with a use of its nonce of its own.
    fn credentials(&mut self, pass: &Pass, request: &Message) -> Option<Vec<(&'static str, String)>> {
        let account = pass.subscriber.account.as_ref()?;
        let asked = (request.method()?, request.uri()?);
        let mut fields = Vec::new();
        for asker in Asker::BOTH {
            let Some(Some(Answered { challenge, .. })) = pass.answered.get(asker.at()) else { continue };
            let cnonce = self.ids.word();
            let count = self.logins.of(&pass.subscriber)?.count(asker, &challenge.nonce);
            let credentials = Credentials::answer(challenge, account, asked, Use::new(count, cnonce));
            fields.push((asker.answer_field(), credentials.to_string()));
        }
        Some(fields)
    }

    /// Whether somebody still waits for what the request asks.
    fn is_wanted(&self, id: TxId, client: &ClientTx) -> bool {
        let leg = client.leg.map(|leg| self.legs.get(&leg));
        match (client.method(), leg) {
            ("CANCEL", _) | (_, Some(None)) => false,
            ("INVITE", Some(Some(leg))) => match &leg.phase {
                Phase::Calling(calling) => calling.invite == id && calling.cancel == Cancel::No,
                Phase::Up => {
                    let refresh = leg.session.as_ref().and_then(|session| session.open);
                    leg.offers.ours == Some(id) || refresh == Some(id)
                }
                Phase::Ringing(_) | Phase::Leaving(_) => false,
            },
            (_, Some(Some(_)) | None) => true,
        }
    }
}

fn client_leg(clients: &HashMap<TxId, ClientTx>, id: TxId) -> Option<super::LegId> {
    clients.get(&id)?.leg
}

/// Accounts whose carriers are remembered.
const LOGINS_MAX: usize = 1_024;
