//! Phones that call us by SIP: each INVITE finds its bot and its session, or is refused with a reason.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::{Arc, Once};

use patchcord_core::call::{BotSettings, Fallback, PhoneMedia, PhoneSettings, RtpIdentity};
use patchcord_core::media::MediaFormat;
use patchcord_core::vocabulary::{Cause, PhoneNumber, Reason};
use patchcord_sip::{CallLeg, IncomingCall, Invitation, Transport};
use tokio::sync::mpsc;
use tracing::{Instrument, error, info, info_span, warn};

use super::RETRY_AFTER_S;
use super::bot_end::BotEnd;
use super::call_task::CallTask;
use super::config_api::{Asked, Inquiry};
use super::exchange::recording_plan;
use super::exchange::{CallNames, Exchange, Parties, SIP, draw_rtp_identity};
use super::occupied::Occupation;
use super::phone_end::PhoneEnd;
use super::referral::Referrals;
use super::registry::{CallOrder, Seat};
use super::routing::{Caller, Dialled, Route, RouteTaker, route};
use super::session::Session;
use super::sip_end::SipEnd;
use super::sip_leg::rejection;
use crate::config::{CONFIG_API_BOT, Config, Extension, RecordingSettings};
use crate::net::{RtpSocket, local_address_towards};
use crate::store::CallbackAddress;

/// Takes calls until the SIP agent stops.
pub async fn serve(exchange: Arc<Exchange>, mut calls: mpsc::Receiver<IncomingCall>) {
    while let Some(call) = calls.recv().await {
        take(&exchange, call);
    }
}

fn take(exchange: &Arc<Exchange>, call: IncomingCall) {
    let Ok(names) = exchange.draw_names() else {
        // Without randomness there is no id to record it under; the dropped leg refuses the call.
        error!("the system gives no random numbers: a call was refused");
        return;
    };
    exchange.sip_ladders.claim(&names.call_id, &call.invitation.call_id);
    if let Some(log) = &exchange.wire_log {
        log.claim(&names.call_id, &call.invitation.call_id);
    }
    let span = info_span!("call", call_id = %names.call_id);
    match exchange.admit(&names.call_id) {
        Ok(place) => exchange.tasks.spawn_call(run(exchange.clone(), names, call, place).instrument(span)),
        Err(reason) => {
            span.in_scope(|| exchange.refuse(names, parties(&call.invitation), SIP, reason));
            exchange.tasks.spawn("refuse", refuse(call.leg, reason).instrument(span));
        }
    }
}

/// The whole life of a call, on its media worker.
async fn run(
    exchange: Arc<Exchange>,
    names: CallNames,
    call: IncomingCall,
    (seat, orders): (Seat, mpsc::Receiver<CallOrder>),
) {
    let IncomingCall { invitation, leg, events } = call;
    let config = exchange.config();
    let mut parties = parties(&invitation);
    parties.custom = sip_headers(&config, &invitation);
    let prepared = match prepare(&exchange, &config, &invitation, (&names, &parties)) {
        Ok(prepared) => prepared,
        Err(reason) => {
            seat.dismiss();
            exchange.refuse(names, parties, SIP, reason);
            return refuse(leg, reason).await;
        }
    };
    let Prepared { bot, bot_end, fallback, country, trunk, rtp, session, description, .. } = prepared;
    let Prepared { identity, media, early_media, callback, recording, mut own, .. } = prepared;
    let trunk = trunk.as_deref();
    info!(source = %invitation.source, trunk, bot = %bot.name, dialect = bot.dialect, "call came in");
    if media.as_ref().is_some_and(|media| media.srtp.is_some()) {
        warn_of_readable_keys(invitation.transport);
    }
    drop(invitation);
    parties.country = country;
    let phone = PhoneSettings::Sip { rtp: identity, media: media.clone(), early_media };
    let mut settings = exchange.settings(names, parties, phone, bot, fallback);
    settings.recording =
        recording_plan(recording.as_ref().unwrap_or(&config.recording.settings), recording.is_some());
    settings.transfers.shown_outside = own.shown_outside.take();
    if own.is_direct {
        // Who is called as on any telephone has nothing to press.
        settings.transfers.confirm = None;
    }
    let format = recording.map_or(config.recording.settings.format, |recording| recording.format);
    let (page, stored) = exchange.chronicle().begin(&settings, callback, BTreeMap::new()).await;
    if let Err(error) = stored {
        page.give_up(&settings, seat, &error, exchange.clock.now());
        return refuse(leg, Reason::StorageBehind).await;
    }
    let end = SipEnd::new((leg, events), rtp, session, description, media).with(Referrals::by(trunk));
    let task =
        CallTask::new(&exchange, (settings, page), PhoneEnd::Sip(Box::new(end)), bot_end, (seat, orders));
    task.recorded_as(format).run().await;
    drop(own);
}

/// What a SIP call begins with.
struct Prepared {
    bot: BotSettings,
    bot_end: BotEnd,
    fallback: Fallback,
    country: Option<Box<str>>,
    /// The name of the trunk that it came by.
    trunk: Option<String>,
    callback: CallbackAddress,
    rtp: RtpSocket,
    identity: RtpIdentity,
    session: Session,
    description: String,
    media: Option<PhoneMedia>,
    early_media: bool,
    recording: Option<RecordingSettings>,
    own: OwnCall,
}

fn prepare(
    exchange: &Arc<Exchange>,
    config: &Arc<Config>,
    invitation: &Invitation,
    (names, parties): (&CallNames, &Parties),
) -> Result<Prepared, Reason> {
    let source = invitation.source.ip().to_canonical();
    let caller = caller(config, invitation, source);
    let dialled = Dialled { request_user: &invitation.request_user, to_user: &invitation.to_user, caller };
    let route = route(config, dialled).ok_or(Reason::UnknownNumber)?;
    let sip = &config.sip;
    let rtp = exchange.rtp_ports.bind(media_address(source)).map_err(|error| {
        error!(%error, "no RTP port could be opened");
        if error.kind() == io::ErrorKind::AddrInUse { Reason::OverCapacity } else { Reason::Internal }
    })?;
    let shown = match sip.shown_to(source) {
        Some(shown) => shown,
        None => local_address_towards(invitation.source).map_err(|_| Reason::Internal)?,
    };
    let mut session =
        Session::new((shown, rtp.address().port()).into(), Some(invitation.source), &sip.codecs, sip.srtp)?;
    let (description, media) = match &invitation.offer {
        Some(offer) => {
            let (media, answer) = session.answer(offer).map_err(|error| error.reason())?;
            (answer, Some(media))
        }
        None => (session.offer().map_err(|error| error.reason())?, None),
    };
    let format = media.as_ref().map_or(MediaFormat::PCMU_8K, |media| media.codec.widest_format());
    let own = OwnCall::of(exchange, caller.extension(), &route.taker);
    let callback = callback_address(&route);
    let (bot, bot_end) = match route.taker {
        RouteTaker::Bot(choice) => exchange.bot(choice, format),
        RouteTaker::Flow(name) => exchange.flow(name, format).ok_or(Reason::Internal)?,
        RouteTaker::Callee(callee) => exchange.dial_only(callee, format),
        RouteTaker::ConfigApi(api) => {
            let asked = Asked {
                call_id: &names.call_id,
                from: &parties.from,
                to: &parties.to,
                stream_id: &names.stream_id,
                sip_headers: &parties.custom,
            };
            let inquiry = Inquiry::new(exchange.clone(), config.clone(), api.clone(), asked, format);
            (BotSettings::unknown(CONFIG_API_BOT), BotEnd::unknown(inquiry))
        }
    };
    let identity = draw_rtp_identity()?;
    let trunk = config.find_trunk(source);
    let country = route.country.or_else(|| trunk?.country.as_ref()).map(|code| code.as_str().into());
    let (fallback, trunk) = (route.fallback, trunk.map(|trunk| trunk.name.clone()));
    let (early_media, recording) = (route.early_media, route.recording);
    Ok(Prepared {
        bot,
        bot_end,
        fallback,
        country,
        trunk,
        callback,
        rtp,
        identity,
        session,
        description,
        media,
        early_media,
        recording,
        own,
    })
}

/// What a call of an extension, or to one, has beside others, and holds as long as it lasts.
struct OwnCall {
    /// It goes to whom the caller dialled, and no bot stands between.
    is_direct: bool,
    /// Who is shown to numbers outside instead of the extension.
    shown_outside: Option<PhoneNumber>,
    /// Its phone has a call.
    _occupation: Option<Occupation>,
}

impl OwnCall {
    /// That of a call by that extension, if it is one, to that taker.
    fn of(exchange: &Exchange, extension: Option<&Extension>, taker: &RouteTaker<'_>) -> Self {
        Self {
            is_direct: matches!(taker, RouteTaker::Callee(_)),
            shown_outside: extension
                .and_then(|extension| extension.caller_id.as_deref().map(PhoneNumber::new)),
            _occupation: extension.map(|extension| exchange.occupied.begin(&extension.number)),
        }
    }
}

/// Where a call of that route is told of; who is asked for its bot may name another address.
fn callback_address(route: &Route<'_>) -> CallbackAddress {
    match route.taker {
        RouteTaker::ConfigApi(_) => CallbackAddress::asked(route.callbacks),
        RouteTaker::Bot(_) | RouteTaker::Flow(_) | RouteTaker::Callee(_) => {
            CallbackAddress::known(route.callbacks)
        }
    }
}

fn caller<'a>(config: &'a Config, invitation: &Invitation, source: IpAddr) -> Caller<'a> {
    match &invitation.extension {
        // One that a reload took away while it was calling is nobody.
        Some(number) => config.find_extension(number).map_or(Caller::Outside, Caller::Extension),
        None if source.is_loopback() => Caller::ThisMachine,
        None => Caller::Outside,
    }
}

/// Keys in SDP are as secret as the signalling that carries them (RFC 4568 §8.1): said once, not for every call.
fn warn_of_readable_keys(transport: Transport) {
    static SAID: Once = Once::new();
    match transport {
        Transport::Udp | Transport::Tcp => SAID.call_once(|| {
            warn!("audio is encrypted, but its keys came over SIP without TLS: who reads that can read the audio");
        }),
        Transport::Tls => {}
    }
}

/// Where RTP is bound: media may take another way than signalling, but what is local stays local.
fn media_address(source: IpAddr) -> IpAddr {
    match source {
        source if source.is_loopback() => source,
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    }
}

fn parties(invitation: &Invitation) -> Parties {
    let dialled =
        if invitation.request_user.is_empty() { &invitation.to_user } else { &invitation.request_user };
    Parties {
        phone_leg_id: invitation.call_id.chars().take(LEG_ID_CHARS_MAX).collect::<String>().into(),
        from: PhoneNumber::new(&invitation.from_user),
        to: PhoneNumber::new(dialled),
        country: None,
        custom: Vec::new(),
    }
}

/// The caller's own header fields that may leave, each name once; values of the same name are joined.
fn sip_headers(config: &Config, invitation: &Invitation) -> Vec<(String, String)> {
    let allowed = |name: &str| config.sip.headers.iter().any(|pattern| pattern.matches(name));
    let mut told: Vec<(String, String)> = Vec::new();
    for (name, value) in invitation.headers.iter().filter(|(name, _)| allowed(name)) {
        match told.iter_mut().find(|(earlier, _)| earlier.eq_ignore_ascii_case(name)) {
            Some((_, values)) => {
                values.push_str(", ");
                values.push_str(value);
            }
            None => told.push((name.to_string(), value.to_string())),
        }
    }
    told
}

async fn refuse(leg: CallLeg, reason: Reason) {
    let cause = Cause::new(reason);
    let status = cause.row().sip_status;
    let mut rejection = rejection(status, cause);
    if status == 503 {
        rejection = rejection.with_retry_after(RETRY_AFTER_S);
    }
    // A caller that has gone needs no refusal.
    let _ = leg.reject(rejection).await;
}

/// Characters of the phone's Call-ID that are kept.
const LEG_ID_CHARS_MAX: usize = 128;
