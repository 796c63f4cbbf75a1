//! The contacts of one number, and which REGISTER may change them (RFC 3261 §10.3, steps 6 to 8).

use std::time::{Duration, Instant};

use super::Contact;
use crate::machine::Flow;
use crate::message::SipUri;

/// The contacts of one number, the one that was refreshed last at the end.
#[derive(Default)]
pub(super) struct Bindings(Vec<Binding>);

struct Binding {
    contact: Contact,
    call_id: String,
    cseq: u32,
}

/// What a REGISTER that was let in wants.
#[derive(Clone)]
pub struct Change {
    /// The Call-ID of the registration.
    pub call_id: String,
    /// Its CSeq number, which rises.
    pub cseq: u32,
    /// What it is about.
    pub wish: Wish,
}

/// What a REGISTER asks of the contacts of its number.
#[derive(Clone)]
pub enum Wish {
    /// To be told the contacts.
    Fetch,
    /// To have none: `Contact: *`.
    Clear,
    /// To change these.
    Update(Vec<Asked>),
}

/// One Contact of a REGISTER.
#[derive(Clone)]
pub struct Asked {
    /// As a request may be sent to it: without header fields.
    pub uri: String,
    /// Its preference, per mille.
    pub q: u16,
    /// For how long; zero takes the contact away.
    pub expires: Duration,
    /// Where requests to it go.
    pub flow: Flow,
}

/// An older REGISTER of the same registration came late.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an older REGISTER came late")]
pub struct OutOfOrder;

impl Bindings {
    /// Carries out a REGISTER, wholly or not at all. Beyond `contacts_max` the contact that was refreshed longest
    /// ago makes room: a phone that came back at another address is not locked out by what it was.
    pub(super) fn apply(
        &mut self,
        now: Instant,
        change: Change,
        contacts_max: usize,
    ) -> Result<(), OutOfOrder> {
        self.0.retain(|binding| binding.contact.until > now);
        let is_late = |binding: &Binding| binding.call_id == change.call_id && change.cseq <= binding.cseq;
        match change.wish {
            Wish::Fetch => {}
            Wish::Clear if self.0.iter().any(is_late) => return Err(OutOfOrder),
            Wish::Clear => self.0.clear(),
            Wish::Update(asked) => {
                let meant = |binding: &Binding| {
                    asked.iter().any(|asked| is_same_contact(&asked.uri, &binding.contact.uri))
                };
                if self.0.iter().any(|binding| meant(binding) && is_late(binding)) {
                    return Err(OutOfOrder);
                }
                self.0.retain(|binding| !meant(binding));
                let kept = asked.into_iter().filter(|asked| !asked.expires.is_zero());
                self.0.extend(kept.map(|Asked { uri, q, expires, flow }| Binding {
                    contact: Contact { uri, q, flow, until: now + expires },
                    call_id: change.call_id.clone(),
                    cseq: change.cseq,
                }));
                let surplus = self.0.len().saturating_sub(contacts_max);
                self.0.drain(..surplus);
            }
        }
        Ok(())
    }

    /// The contacts at this moment, in the order of their refreshing.
    pub(super) fn contacts(&self, now: Instant) -> impl Iterator<Item = &Contact> {
        self.all().filter(move |contact| contact.until > now)
    }

    /// The REGISTERs that would make these contacts at `now`, each with what is left of its time.
    pub(super) fn renewals(&self, now: Instant) -> impl Iterator<Item = Change> {
        let left = move |binding: &Binding| binding.contact.until.saturating_duration_since(now);
        self.0.iter().filter(move |binding| !left(binding).is_zero()).map(move |binding| {
            let Contact { uri, q, flow, .. } = binding.contact.clone();
            let asked = Asked { uri, q, expires: left(binding), flow };
            let wish = Wish::Update(vec![asked]);
            Change { call_id: binding.call_id.clone(), cseq: binding.cseq, wish }
        })
    }

    /// Every contact, those included that have expired since the last change.
    pub(super) fn all(&self) -> impl Iterator<Item = &Contact> {
        self.0.iter().map(|binding| &binding.contact)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Whether two URIs are one contact (§19.1.4, of the parameters the transport alone).
fn is_same_contact(one: &str, other: &str) -> bool {
    let (Ok(one), Ok(other)) = (SipUri::parse(one), SipUri::parse(other)) else { return one == other };
    let transport = |uri: &SipUri| uri.param("transport").map(str::to_ascii_lowercase);
    let place = |uri: &SipUri| (uri.scheme.clone(), uri.user_decoded(), uri.host.clone(), uri.port);
    place(&one) == place(&other) && transport(&one) == transport(&other)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::Transport;

    fn flow() -> Flow {
        let (local, peer) = ("192.0.2.1:5060".parse().unwrap(), "198.51.100.7:40000".parse().unwrap());
        Flow { transport: Transport::Udp, link: 0, local, peer }
    }

    fn update(call_id: &str, cseq: u32, contacts: &[(&str, u64)]) -> Change {
        let asked = contacts.iter().map(|(uri, expires)| Asked {
            uri: (*uri).to_owned(),
            q: 1_000,
            expires: Duration::from_secs(*expires),
            flow: flow(),
        });
        Change { call_id: call_id.to_owned(), cseq, wish: Wish::Update(asked.collect()) }
    }

    fn uris(bindings: &Bindings, now: Instant) -> Vec<&str> {
        bindings.contacts(now).map(|contact| contact.uri.as_str()).collect()
    }

    const A: &str = "sip:101@10.0.0.1:5060";
    const B: &str = "sip:101@10.0.0.2:5060;transport=tcp";

    #[test]
    fn contacts_come_are_refreshed_expire_and_go() {
        let (mut bindings, now) = (Bindings::default(), Instant::now());
        bindings.apply(now, update("x", 1, &[(A, 60), (B, 120)]), 8).unwrap();
        assert_eq!(uris(&bindings, now), [A, B]);
        assert_eq!(uris(&bindings, now + Duration::from_secs(60)), [B]);
        bindings.apply(now, update("x", 2, &[("SIP:101@10.0.0.1:5060;ob", 90)]), 8).unwrap();
        assert_eq!(uris(&bindings, now + Duration::from_secs(80)), [B, "SIP:101@10.0.0.1:5060;ob"]);
        bindings.apply(now, update("y", 1, &[(B, 0)]), 8).unwrap();
        assert_eq!(uris(&bindings, now).len(), 1);
    }

    #[test]
    fn an_older_register_of_the_same_call_id_changes_nothing_at_all() {
        let (mut bindings, now) = (Bindings::default(), Instant::now());
        bindings.apply(now, update("x", 7, &[(A, 60)]), 8).unwrap();
        assert_eq!(bindings.apply(now, update("x", 7, &[(B, 60), (A, 0)]), 8), Err(OutOfOrder));
        let clear = |cseq| Change { call_id: "x".to_owned(), cseq, wish: Wish::Clear };
        assert_eq!(bindings.apply(now, clear(6), 8), Err(OutOfOrder));
        assert_eq!(uris(&bindings, now), [A]);
        // Another Call-ID is another registration: a phone that was restarted counts anew.
        bindings.apply(now, update("z", 1, &[(A, 90)]), 8).unwrap();
        bindings.apply(now, Change { call_id: "z".to_owned(), cseq: 1, wish: Wish::Fetch }, 8).unwrap();
        assert_eq!(uris(&bindings, now), [A]);
        bindings.apply(now, clear(8), 8).unwrap();
        assert!(bindings.is_empty());
    }

    #[test]
    fn the_contact_that_was_refreshed_longest_ago_makes_room() {
        let (mut bindings, now) = (Bindings::default(), Instant::now());
        for (cseq, uri) in [(1, "sip:a@h"), (2, "sip:b@h"), (3, "sip:a@h"), (4, "sip:c@h")] {
            bindings.apply(now, update("x", cseq, &[(uri, 60)]), 2).unwrap();
        }
        assert_eq!(uris(&bindings, now), ["sip:a@h", "sip:c@h"]);
    }

    #[test]
    fn one_contact_is_told_from_another_by_user_host_port_and_transport() {
        for (one, other, same) in [
            ("sip:101@h", "sip:101@H;ob", true),
            ("sip:101@h", "sip:101@h:5060", false),
            ("sip:101@h", "sip:102@h", false),
            ("sip:10%31@h", "sip:101@h", true),
            ("sip:101@h;transport=TCP", "sip:101@h;transport=tcp", true),
            ("sip:101@h;transport=tcp", "sip:101@h", false),
            ("sips:101@h", "sip:101@h", false),
        ] {
            assert_eq!(is_same_contact(one, other), same, "{one} {other}");
        }
    }
}
