//! Calls by a carrier: who we are there, and where an INVITE goes when nobody is where it went first (RFC 3263 §4.3).

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::leg::{Calling, Cancel, Leg, Phase};
use super::login::Pass;
use super::uac::from_value;
use super::{Flow, Hop, LegId, Machine, TxId};
use crate::call::InviteRequest;
use crate::subscriber::Subscriber;

/// How a call goes by a carrier.
#[derive(Clone, Debug)]
pub struct CallLine {
    /// Who we are there.
    pub subscriber: Arc<Subscriber>,
    /// Proxies on the way, as values of Route.
    pub routes: Vec<String>,
    /// What a TLS certificate there has to prove.
    pub server_name: Option<Arc<str>>,
    /// Where the INVITE goes when the first place is silent or answers 503, in order.
    pub alternatives: Vec<Flow>,
}

impl CallLine {
    /// From: the caller at the carrier's domain, or nobody (RFC 3323 §4.1.1.3).
    pub(super) fn caller(&self, request: &InviteRequest) -> String {
        if request.from_user.is_empty() {
            return "\"Anonymous\" <sip:anonymous@anonymous.invalid>".to_owned();
        }
        from_value(request, &self.subscriber.domain)
    }

    pub(super) fn hop(&self, flow: Flow) -> Option<Hop> {
        flow.transport.is_stream().then(|| Hop { addr: flow.peer, server_name: self.server_name.clone() })
    }
}

impl Machine {
    /// Makes a call that was just placed one of a carrier.
    pub(super) fn enter_line(&mut self, now: Instant, id: LegId, tx: TxId, (flow, line): (Flow, &CallLine)) {
        let home = std::iter::once(flow).chain(line.alternatives.iter().copied()).map(|flow| flow.peer.ip());
        let pass = Pass::new(line.subscriber.clone(), home.collect());
        if let Some(leg) = self.legs.get_mut(&id) {
            leg.pass = Some(pass.clone());
            if let Phase::Calling(calling) = &mut leg.phase {
                calling.alternatives = line.alternatives.iter().copied().collect();
            }
        }
        if let Some(client) = self.clients.get_mut(&tx) {
            client.pass = Some(pass);
        }
        if !line.alternatives.is_empty() {
            self.set_patience(tx, now + SILENCE_MAX);
        }
    }

    /// Sends an INVITE to the next place, if there is one.
    pub(super) fn try_elsewhere(&mut self, now: Instant, id: LegId, tx: TxId) -> bool {
        let Some(Leg { phase: Phase::Calling(calling), dialog, .. }) = self.legs.get_mut(&id) else {
            return false;
        };
        let Calling { cancel: Cancel::No, alternatives, .. } = calling else { return false };
        let (Some(flow), Some(client)) = (alternatives.pop_front(), self.clients.get(&tx)) else {
            return false;
        };
        let is_last = alternatives.is_empty();
        let left = dialog.clone();
        dialog.flow = flow;
        let mut invite = client.request.clone();
        // A nonce is a word between us and the place that gave it.
        invite.headers.remove("Authorization");
        invite.headers.remove("Proxy-Authorization");
        invite.headers.set("Contact", dialog.contact());
        let Some(again) = self.send_again(now, tx, invite, flow) else { return false };
        self.abandon_invite(now, tx, left);
        if !is_last {
            self.set_patience(again, now + SILENCE_MAX);
        }
        true
    }
}

/// How long a place may say nothing at all where there is another one.
const SILENCE_MAX: Duration = Duration::from_secs(4);
