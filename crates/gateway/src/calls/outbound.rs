//! Calls that we place: whether they may go out, and their beginning.
//!
//! Deny by default. A number is dialled if a trunk allows it, may show the caller that was asked for, and has room; within
//! the house, if it is an extension. Whoever asks is told what is in the way before anything leaves.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use patchcord_core::call::{BotJoins, CallSettings, Fallback, PhoneSettings};
use patchcord_core::media::MediaFormat;
use patchcord_core::vocabulary::{CallId, Direction, PhoneNumber, Reason};
use tokio::sync::{mpsc, oneshot};
use tracing::{Instrument, info, info_span};

use super::bot_end::BotEnd;
use super::call_task::CallTask;
use super::dial_routes::{Destination, DialWish, Shown, rounds};
use super::dialled_end::DialledEnd;
use super::exchange::{CallNames, Exchange, Parties, draw_rtp_identity, recording_plan};
use super::phone_end::PhoneEnd;
use super::registry::{CallOrder, Seat};
use super::toll_guard::{ALL, TollLimits, TollPasses, TollRefusal};
use crate::config::{
    Bot, Config, Outbound, OutboundFallback, RING_MAX, RecordingFormat, RecordingWish, is_dialable,
};
use crate::net::Trust;
use crate::store::CallbackAddress;

/// A call to place.
#[derive(Debug, Clone)]
pub struct PlaceCall {
    /// The number that is shown; nobody in particular is the trunk's usual one.
    pub from: Option<String>,
    /// The number or the extension to call.
    pub to: String,
    /// Who talks.
    pub bot: PlacedBot,
    /// Names and values that go along, to the bot and in callbacks.
    pub custom_params: BTreeMap<String, String>,
    /// Where its status is posted; by default where the configuration says.
    pub callback: Option<Box<str>>,
    /// When the bot joins.
    pub joins: BotJoins,
    /// How long it may ring; at most [`RING_MAX`].
    pub ring: Option<Duration>,
    /// How long it may last from the answer on, where that is less than the trunk allows.
    pub max_duration: Option<Duration>,
    /// How it is recorded from its answer on; without, only when somebody asks for it.
    pub recording: Option<RecordingWish>,
}

/// Who talks on a call that we place.
#[derive(Debug, Clone)]
pub enum PlacedBot {
    /// One of the configuration, by its name.
    Named(String),
    /// One that came along with the wish: its address is held to `[egress]`.
    Described(Box<Bot>),
}

/// Why a call is not placed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PlaceError {
    /// The number to call is none: digits, `+`, `*`, `#`, at most 32.
    #[error("the number to call is not a telephone number")]
    BadNumber,
    /// The number to show is none.
    #[error("the number to show is not a telephone number")]
    BadCaller,
    /// There is no bot of that name.
    #[error("there is no such bot")]
    UnknownBot,
    /// No trunk may dial the number, and it is no extension.
    #[error("no trunk may dial this number")]
    NotAllowed,
    /// No trunk that may dial the number may show that caller.
    #[error("this number may not be shown as the caller's")]
    CallerNotAllowed,
    /// It is an extension, and no phone is registered there.
    #[error("no phone is registered under this extension")]
    NotRegistered,
    /// As many calls are up as may be, in all or by the trunks that may carry this one.
    #[error("as many calls are up as may be")]
    TooManyCalls,
    /// As many calls began in the last minute as may.
    #[error("as many calls began in the last minute as may")]
    TooFast {
        /// When the next one may begin.
        retry_after: Duration,
    },
    /// The process stops.
    #[error("this server is being stopped")]
    Draining,
    /// The database does not keep up.
    #[error("the database does not keep up")]
    StorageBehind,
    /// Something of ours failed.
    #[error("an internal error")]
    Internal,
}

impl PlaceError {
    /// The stable word.
    pub const fn code(self) -> &'static str {
        match self {
            Self::BadNumber => "bad_number",
            Self::BadCaller => "bad_caller",
            Self::UnknownBot => "unknown_bot",
            Self::NotAllowed => "not_allowed",
            Self::CallerNotAllowed => "caller_not_allowed",
            Self::NotRegistered => "not_registered",
            Self::TooManyCalls => "too_many_calls",
            Self::TooFast { .. } => "too_fast",
            Self::Draining => "draining",
            Self::StorageBehind => "storage_behind",
            Self::Internal => "internal",
        }
    }

    /// The HTTP status.
    pub const fn status(self) -> u16 {
        match self {
            Self::BadNumber | Self::BadCaller | Self::UnknownBot => 400,
            Self::NotAllowed | Self::CallerNotAllowed => 403,
            Self::NotRegistered => 404,
            Self::TooManyCalls | Self::TooFast { .. } => 429,
            Self::Draining | Self::StorageBehind => 503,
            Self::Internal => 500,
        }
    }

    /// After how many seconds it is worth asking again.
    pub fn retry_after_s(self) -> Option<u64> {
        match self {
            Self::TooFast { retry_after } => Some(retry_after.as_secs().max(1)),
            Self::TooManyCalls | Self::Draining | Self::StorageBehind => Some(super::RETRY_AFTER_S.into()),
            _ => None,
        }
    }
}

impl Exchange {
    /// Places a call. It is stored and under way when this returns; what becomes of it stands in its record.
    ///
    /// # Errors
    /// [`PlaceError`]; nothing has left then.
    pub async fn place_call(self: &Arc<Self>, order: PlaceCall) -> Result<CallId, PlaceError> {
        let config = self.config();
        let is_ours = config.find_extension(&order.to).is_some();
        let to = if is_ours { Some(PhoneNumber::new(&order.to)) } else { checked(&order.to) };
        let to = to.ok_or(PlaceError::BadNumber)?;
        let from =
            order.from.as_deref().map(|from| checked(from).ok_or(PlaceError::BadCaller)).transpose()?;
        let destination = self.destination(&config, to)?;
        let names = self.draw_names().map_err(|_| PlaceError::Internal)?;
        let wish = DialWish {
            call_id: names.call_id.clone(),
            destination,
            shown: match &from {
                Some(from) => Shown::Exactly(from.clone()),
                None => Shown::IfAllowed(PhoneNumber::default()),
            },
        };
        let recording = order.recording.as_ref().map(|wish| config.recording.settings.with(wish));
        let (mut settings, bot_end) = self.settings_of(&config, &order, names.clone(), from, &wish)?;
        let format = recording.as_ref().unwrap_or(&config.recording.settings).format;
        if let Some(recording) = &recording {
            settings.recording = recording_plan(recording, true);
        }
        let passes = self.take_passes(&config, &wish)?;
        let (seat, orders) = self.admit(&names.call_id).map_err(|reason| match reason {
            Reason::Drained => PlaceError::Draining,
            Reason::StorageBehind => PlaceError::StorageBehind,
            _ => PlaceError::TooManyCalls,
        })?;
        let span = info_span!("call", call_id = %names.call_id);
        let call_id = names.call_id;
        let usual = || config.callbacks.url.as_ref().map(|url| url.as_uri().to_string().into());
        let callback = CallbackAddress::Known(order.callback.or_else(usual));
        let (begun, beginning) = oneshot::channel();
        let beginning_of = Beginning { callback, custom_params: order.custom_params, format, begun };
        let run = run(self.clone(), (settings, beginning_of), bot_end, (wish, passes), (seat, orders));
        // A task of its own: whoever asked may leave, a stored call has its course.
        self.tasks.spawn_call(run.instrument(span));
        beginning.await.unwrap_or(Err(PlaceError::Internal)).map(|()| call_id)
    }

    /// An extension comes first: within the house nobody needs a trunk.
    fn destination(&self, config: &Config, to: PhoneNumber) -> Result<Destination, PlaceError> {
        if config.find_extension(to.as_str()).is_none() {
            return Ok(Destination::Phone(to));
        }
        if self.locations.is_registered(to.as_str()) {
            Ok(Destination::Extension(to.as_str().into()))
        } else {
            Err(PlaceError::NotRegistered)
        }
    }

    /// The leave to go out, of all calls and of the first trunk that has room.
    fn take_passes(&self, config: &Config, wish: &DialWish) -> Result<TollPasses, PlaceError> {
        let now = self.clock.now();
        let trunks: Vec<_> = rounds(self, wish).into_iter().flatten().map(|target| target.trunk).collect();
        if trunks.is_empty() {
            let allowed = match &wish.destination {
                Destination::Phone(to) => config.trunks.iter().any(|trunk| trunk.may_dial(to.as_str())),
                Destination::Extension(_) => return Err(PlaceError::NotRegistered),
            };
            return Err(if allowed { PlaceError::CallerNotAllowed } else { PlaceError::NotAllowed });
        }
        let of_all = self.toll.take(ALL, limits_of_all(&config.outbound), now).map_err(refused)?;
        let mut refusal = None;
        for trunk in trunks {
            let Some(trunk) = trunk else { return Ok(TollPasses { of_all: Some(of_all), of_trunk: None }) };
            match self.toll.take(&trunk.name, trunk.limits, now) {
                Ok(pass) => return Ok(TollPasses { of_all: Some(of_all), of_trunk: Some(pass) }),
                Err(reason) => refusal = Some(reason),
            }
        }
        of_all.take_back();
        Err(refusal.map_or(PlaceError::NotAllowed, refused))
    }

    fn settings_of(
        self: &Arc<Self>,
        config: &Config,
        order: &PlaceCall,
        names: CallNames,
        from: Option<PhoneNumber>,
        wish: &DialWish,
    ) -> Result<(CallSettings, BotEnd), PlaceError> {
        let (bot, bot_end) = match &order.bot {
            PlacedBot::Named(name) => {
                let choice = config.find_bot(name).ok_or(PlaceError::UnknownBot)?;
                self.bot(choice, MediaFormat::PCMU_8K)
            }
            PlacedBot::Described(bot) => {
                self.remote_bot((**bot).clone(), Trust::Outside(config.egress.clone()))
            }
        };
        let trunk = match &wish.destination {
            Destination::Phone(to) => config.trunks.iter().find(|trunk| trunk.may_dial(to.as_str())),
            Destination::Extension(_) => None,
        };
        let usual = || trunk.and_then(|trunk| trunk.usual_caller()).map(PhoneNumber::new);
        let parties = Parties {
            phone_leg_id: "".into(),
            from: from.or_else(usual).unwrap_or_default(),
            to: PhoneNumber::new(&order.to),
            country: trunk.and_then(|trunk| trunk.country.as_ref()).map(|code| code.as_str().into()),
            custom: order.custom_params.clone().into_iter().collect(),
        };
        let rtp = draw_rtp_identity().map_err(|_| PlaceError::Internal)?;
        let phone = PhoneSettings::Dialled { rtp, joins: order.joins };
        let mut settings = self.settings(names, parties, phone, bot, fallback(config.outbound.fallback));
        settings.direction = Direction::Outbound;
        let deadlines = &mut settings.deadlines;
        deadlines.phone_answer = order.ring.unwrap_or(config.outbound.ring).min(RING_MAX);
        if let Some(longest) = order.max_duration {
            deadlines.max_duration = deadlines.max_duration.min(longest);
        }
        Ok((settings, bot_end))
    }
}

/// What a call is stored with, and whom that is told.
struct Beginning {
    callback: CallbackAddress,
    custom_params: BTreeMap<String, String>,
    format: RecordingFormat,
    begun: oneshot::Sender<Result<(), PlaceError>>,
}

/// The whole life of a call, on its media worker.
async fn run(
    exchange: Arc<Exchange>,
    (settings, Beginning { callback, custom_params, format, begun }): (CallSettings, Beginning),
    bot_end: BotEnd,
    (wish, passes): (DialWish, TollPasses),
    (seat, orders): (Seat, mpsc::Receiver<CallOrder>),
) {
    let (page, stored) = exchange.chronicle().begin(&settings, callback, custom_params).await;
    if let Err(error) = stored {
        page.give_up(&settings, seat, &error, exchange.clock.now());
        // Whoever asked may have left.
        let _ = begun.send(Err(PlaceError::StorageBehind));
        return;
    }
    let _ = begun.send(Ok(()));
    info!(bot = %settings.bot.name, dialect = settings.bot.dialect, "call goes out");
    let end = DialledEnd::new(wish, passes);
    let phone = PhoneEnd::Dialled(Box::new(end));
    let task = CallTask::new(&exchange, (settings, page), phone, bot_end, (seat, orders));
    task.recorded_as(format).run().await;
}

/// A number that can be dialled or shown, and nothing that means something in a URI or a header field.
fn checked(number: &str) -> Option<PhoneNumber> {
    is_dialable(number).then(|| PhoneNumber::new(number))
}

/// The bounds of all calls that go out.
pub fn limits_of_all(outbound: &Outbound) -> TollLimits {
    TollLimits { calls: outbound.calls, per_minute: outbound.per_minute }
}

fn fallback(configured: OutboundFallback) -> Fallback {
    match configured {
        OutboundFallback::HangUp => Fallback::HangUp,
        OutboundFallback::Sorry => Fallback::Sorry,
    }
}

fn refused(refusal: TollRefusal) -> PlaceError {
    match refusal {
        TollRefusal::Calls => PlaceError::TooManyCalls,
        TollRefusal::PerMinute(retry_after) => PlaceError::TooFast { retry_after },
    }
}
