//! Requests of ours outside of any dialog: REGISTER (RFC 3261 §10.2) and OPTIONS (§11.1).

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::client::ClientTx;
use super::dialog::{contact_of, via};
use super::login::Pass;
use super::uac::is_free_header;
use super::{CommandError, Flow, Hop, LoneId, Machine, Output};
use crate::message::{Headers, Message, SipUri};
use crate::subscriber::Subscriber;

/// A request outside of any dialog.
#[derive(Clone, Debug)]
pub struct LoneRequest {
    /// Its method.
    pub method: &'static str,
    /// Its request URI.
    pub uri: String,
    /// Who we are there: From and To are our address.
    pub subscriber: Arc<Subscriber>,
    /// Proxies on the way, as values of Route.
    pub routes: Vec<String>,
    /// What a TLS certificate there has to prove.
    pub server_name: Option<Arc<str>>,
    /// The Call-ID that the requests of one purpose share; a new one where there is none.
    pub call_id: Option<String>,
    /// The CSeq number.
    pub cseq: u32,
    /// Further header fields.
    pub headers: Vec<(&'static str, String)>,
    /// How long a first response may take.
    pub patience: Duration,
}

/// What came of one. Its `Debug` shows no header field.
#[derive(Clone)]
pub struct LoneAnswer {
    /// The status; `None` where nobody answered.
    pub code: Option<u16>,
    /// The response's header fields.
    pub headers: Headers,
    /// The Call-ID that was used.
    pub call_id: String,
    /// The CSeq number that was used last.
    pub cseq: u32,
    /// Our Contact, as it was sent.
    pub contact: String,
}

impl std::fmt::Debug for LoneAnswer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LoneAnswer").field("code", &self.code).finish_non_exhaustive()
    }
}

impl Machine {
    pub(super) fn send_lone(
        &mut self,
        now: Instant,
        flow: Flow,
        request: &LoneRequest,
    ) -> Result<LoneId, CommandError> {
        if self.transactions_open() >= self.admission.limits().transactions_max {
            return Err(CommandError::Full);
        }
        let is_free = |(name, value): &(&'static str, String)| is_free_header(name, value);
        let address = request.subscriber.address();
        if SipUri::parse(&request.uri).is_err() || !request.headers.iter().all(is_free) {
            return Err(CommandError::BadTarget);
        }
        let (branch, tag) = (self.ids.branch(), self.ids.word());
        let call_id = request.call_id.clone().unwrap_or_else(|| self.ids.word());
        let mut message = Message::request(request.method, &request.uri);
        let headers = &mut message.headers;
        headers.push("Via", via(flow, &branch));
        headers.push("Max-Forwards", "70");
        request.routes.iter().for_each(|route| headers.push("Route", route.clone()));
        headers.push("From", format!("<{address}>;tag={tag}"));
        headers.push("To", format!("<{address}>"));
        headers.push("Call-ID", call_id);
        headers.push("CSeq", format!("{} {}", request.cseq, request.method));
        headers.push("Contact", contact_of(flow, &request.subscriber.user, false));
        request.headers.iter().for_each(|(name, value)| headers.push(name, value.clone()));
        headers.push("User-Agent", &self.settings.user_agent);
        let id = self.ids.lone();
        let hop = Hop { addr: flow.peer, server_name: request.server_name.clone() };
        let reconnect = flow.transport.is_stream().then_some(hop);
        let tx = self.open_client(now, flow, reconnect, branch, message, None);
        if let Some(client) = self.clients.get_mut(&tx) {
            client.lone = Some(id);
            client.pass = Some(Pass::new(request.subscriber.clone(), vec![flow.peer.ip()]));
        }
        self.set_patience(tx, now + request.patience);
        Ok(id)
    }

    pub(super) fn finish_lone(&mut self, id: LoneId, request: &ClientTx, response: Option<&Message>) {
        let field = |name| request.request.headers.first(name).unwrap_or_default().to_owned();
        let answer = LoneAnswer {
            code: response.and_then(Message::code),
            headers: response.map(|response| response.headers.clone()).unwrap_or_default(),
            call_id: field("Call-ID"),
            cseq: request.request.cseq().map_or(0, |(number, _)| number),
            contact: field("Contact"),
        };
        self.outputs.push_back(Output::Lone(id, Box::new(answer)));
    }
}
