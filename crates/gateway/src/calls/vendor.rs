//! Vendors that dial us: a WebSocket that brings a call becomes one, joined to a bot.

use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::io;
use std::sync::Arc;
use std::time::Duration;

use patchcord_core::call::{Fallback, PhoneSettings};
use patchcord_core::dialect::registry::{DialectRow, PhoneSideSettings};
use patchcord_core::dialect::{Mapping, Wire, WireAudio, WireClass};
use patchcord_core::vocabulary::{CallId, Reason};
use tracing::{Instrument, info, info_span, warn};

use super::call_task::CallTask;
use super::ends::CLOSE_TIMEOUT;
use super::exchange::{Exchange, Parties, random};
use super::phone_end::PhoneEnd;
use crate::clock::Clock;
use crate::config::{Bot, BotChoice, CountryCode};
use crate::net::{Trust, WsLink, WsSocket};
use crate::store::CallbackAddress;

/// What leads a vendor's call: the language it speaks, the bot it meets, the country of its numbers.
#[derive(Debug, Clone)]
pub struct VendorRoute<'a> {
    /// The vendor's dialect.
    pub row: &'static DialectRow,
    /// The vendor's audio until its start says otherwise.
    pub audio: WireAudio,
    /// custom: which messages mean what.
    pub mapping: Option<Arc<Mapping>>,
    /// The bot that takes the call.
    pub bot: VendorBot<'a>,
    /// The country whose national numbers the vendor sends, if that is known.
    pub country: Option<&'a CountryCode>,
    /// Whether the vendor is told our id of the call before anything else, by `{"event":"call","call_id":…}`.
    pub is_told_id: bool,
}

/// The bot that meets a vendor.
#[derive(Debug, Clone)]
pub enum VendorBot<'a> {
    /// One that the configuration names.
    Configured(BotChoice<'a>),
    /// One that whoever connects describes.
    Described(Box<Bot>),
}

/// Takes the call that `socket` will bring, where `route` leads; gives our id of it.
///
/// # Errors
/// Why there is no place for it; a record of the refusal is written.
pub fn take(
    exchange: &Arc<Exchange>,
    route: VendorRoute<'_>,
    socket: impl Future<Output = io::Result<WsSocket>> + Send + 'static,
) -> Result<CallId, Reason> {
    let VendorRoute { row, audio, mapping, bot, country, is_told_id } = route;
    let names = exchange.draw_names()?;
    let span = info_span!("call", call_id = %names.call_id);
    let refuse = |reason| {
        span.in_scope(|| exchange.refuse(names.clone(), Parties::default(), row.name, reason));
        reason
    };
    let (seat, orders) = exchange.admit(&names.call_id).map_err(refuse)?;
    let prepared = random().map(u64::from_be_bytes).map(|seed| {
        let clock = exchange.clock.wall();
        let side = (row.phone_side)(&PhoneSideSettings { audio, seed, clock, mapping });
        let bot = match bot {
            VendorBot::Configured(bot) => exchange.bot(bot, audio.format),
            VendorBot::Described(bot) => {
                exchange.remote_bot(*bot, Trust::Outside(exchange.config().egress.clone()))
            }
        };
        (side, bot)
    });
    let (side, (bot, bot_end)) = match prepared {
        Ok(prepared) => prepared,
        Err(reason) => {
            seat.dismiss();
            return Err(refuse(reason));
        }
    };
    info!(parent: &span, dialect = row.name, bot = %bot.name, "vendor connected");
    let parties = Parties { country: country.map(|code| code.as_str().into()), ..Parties::default() };
    let (exchange, taken) = (exchange.clone(), names.call_id.clone());
    let tasks = exchange.tasks.clone();
    let call = async move {
        let socket = match tokio::time::timeout(UPGRADE_TIMEOUT, socket).await {
            Ok(Ok(socket)) => socket,
            Ok(Err(error)) => {
                warn!(%error, "the vendor left during its handshake");
                seat.dismiss();
                return exchange.refuse(names, Parties::default(), row.name, Reason::VendorReset);
            }
            Err(_) => {
                seat.dismiss();
                return exchange.refuse(names, Parties::default(), row.name, Reason::VendorSilent);
            }
        };
        let phone = PhoneSettings::Vendor { dialect: row.name, side, audio };
        let call_id = is_told_id.then(|| names.call_id.clone());
        let settings = exchange.settings(names, parties, phone, bot, Fallback::default());
        let callback = CallbackAddress::known(exchange.config().callbacks.url.as_ref());
        let mut link = WsLink::new(socket, row.message_audio(audio.frame), exchange.clock.now());
        let (page, stored) = exchange.chronicle().begin(&settings, callback, BTreeMap::new()).await;
        if let Err(error) = stored {
            page.give_up(&settings, seat, &error, exchange.clock.now());
            return turn_away(link, &exchange.clock).await;
        }
        if let Some(call_id) = call_id {
            let message = format!(r#"{{"event":"call","call_id":"{call_id}"}}"#);
            link.send(WireClass::Control, Wire::Text(&message));
        }
        CallTask::new(&exchange, (settings, page), PhoneEnd::vendor(link, row.name), bot_end, (seat, orders))
            .run()
            .await;
    };
    tasks.spawn_call(call.instrument(span));
    Ok(taken)
}

/// Closes the socket of a call that cannot be taken at this moment.
async fn turn_away(mut link: WsLink, clock: &Clock) {
    link.close(TRY_AGAIN_LATER);
    let closed = poll_fn(|cx| link.poll_closed(cx, clock.now()));
    // A vendor that does not answer the close frame loses the connection.
    let _ = tokio::time::timeout(CLOSE_TIMEOUT, closed).await;
}

/// The close code of a server that is too busy (IANA's registry of RFC 6455 §11.7).
const TRY_AGAIN_LATER: u16 = 1_013;

/// How long the answer to the handshake may take to leave.
const UPGRADE_TIMEOUT: Duration = Duration::from_secs(5);
