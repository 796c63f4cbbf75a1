//! What all calls of the process share, and the settings that a call begins with.

use std::io::Cursor;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Context;
use patchcord_core::call::{
    BotPlace, BotSettings, CallSettings, Deadlines, Fallback, OnTransfer, PhoneSettings, RecordingBegin,
    RecordingPlan, RefusedCall, RtpIdentity, TransferSettings, refused_record,
};
use patchcord_core::dialect::registry::{BotSideSettings, RecordWish, RefusalWish};
use patchcord_core::flow::{FlowBook, FlowBot, Spot};
use patchcord_core::media::MediaFormat;
use patchcord_core::vocabulary::{
    CallId, Callee, DialOrder, Direction, FlowDial, PhoneNumber, Reason, StreamId,
};
use patchcord_sip::SipAgent;
use tokio::sync::{mpsc, watch};

use super::agent_hours::AgentHours;
use super::bot_end::BotEnd;
use super::chronicle::Chronicle;
use super::config_api::ANSWER_TIMEOUT;
use super::config_api_meter::ConfigApiMeter;
use super::locations::Locations;
use super::occupied::Occupied;
use super::queues::Queues;
use super::records::{Labels, Records};
use super::registry::{CallOrder, Registry, Seat};
use super::sip_ladder::SipLadders;
use super::toll_guard::TollGuard;
use super::trunk_lines::TrunkLines;
use super::wire_log::WireLog;
use crate::bots;
use crate::clock::{Clock, unix_ms};
use crate::config::{Bot, BotChoice, Config, CurrentConfig, RecordingSettings};
use crate::jobs::{CallbackMeter, ExtractionMeter};
use crate::leavings::Leavings;
use crate::net::{CONNECT_TIMEOUT, Dns, Egress, RtpPortRange, Trust};
use crate::recording::Studio;
use crate::store::{CallbackAddress, Store};
use crate::tasks::Tasks;

/// What all calls share.
#[derive(Debug)]
pub struct Exchange {
    /// The settings in effect.
    pub current: CurrentConfig,
    /// The process's clock.
    pub clock: Clock,
    /// Where tasks are started.
    pub tasks: Tasks,
    /// Who is up.
    pub registry: Arc<Registry>,
    /// The way out.
    pub egress: Egress,
    /// The lines to our carriers.
    pub trunk_lines: Arc<TrunkLines>,
    /// How much goes out.
    pub toll: TollGuard,
    /// Who speaks SIP for us, where phones are served at all.
    pub sip: Option<Arc<SipAgent>>,
    /// What became of the questions to CONFIG_APIs.
    pub config_api: Arc<ConfigApiMeter>,
    /// Where calls leave what traces are made of.
    #[cfg(feature = "otel")]
    pub traces: Arc<crate::jobs::Traces>,
    /// What became of the deliveries of callbacks.
    pub callbacks: Arc<CallbackMeter>,
    /// What became of the attempts at extractions.
    pub extractions: Arc<ExtractionMeter>,
    /// Where the phones of extensions are.
    pub locations: Locations,
    /// Which extensions have a call.
    pub occupied: Occupied,
    /// Who waits in which queue.
    pub queues: Queues,
    /// How long the calls of agents have lasted today.
    pub agent_hours: AgentHours,
    /// Recordings and loudness curves.
    pub studio: Studio,
    /// RTP ports.
    pub rtp_ports: RtpPortRange,
    /// Where the messages of wires are left, if they are logged.
    pub wire_log: Option<WireLog>,
    /// The SIP messages of calls that are up.
    pub sip_ladders: SipLadders,
    /// What is stored.
    pub store: Store,
    /// Where calls hand over the files that they leave.
    pub leavings: Leavings,
    records: watch::Sender<Records>,
    sorry_clip: Arc<[i16]>,
    began_s: u64,
    streams: AtomicU64,
}

/// The names of a call, drawn before anything is known of it.
#[derive(Debug, Clone)]
pub struct CallNames {
    /// Our id of the call.
    pub call_id: CallId,
    /// Our id of its stream.
    pub stream_id: StreamId,
}

/// Who calls whom, as the phone leg says it, and what the configuration adds to it.
#[derive(Debug, Clone, Default)]
pub struct Parties {
    /// The phone leg's own id.
    pub phone_leg_id: Box<str>,
    /// Who calls.
    pub from: PhoneNumber,
    /// Who is called.
    pub to: PhoneNumber,
    /// The calling code that their national numbers lack, where the configuration tells it.
    pub country: Option<Box<str>>,
    /// What the caller itself sends along for the bot.
    pub custom: Vec<(String, String)>,
}

impl Exchange {
    /// What calls under `current` share.
    ///
    /// # Errors
    /// When the built-in clip cannot be read, which a test rules out.
    pub fn new(
        current: CurrentConfig,
        clock: Clock,
        tasks: Tasks,
        registry: Arc<Registry>,
        (locations, sip): (Locations, Option<Arc<SipAgent>>),
        (store, records, wire_log, sip_ladders, studio, leavings): (
            Store,
            Records,
            Option<WireLog>,
            SipLadders,
            Studio,
            Leavings,
        ),
    ) -> anyhow::Result<Arc<Self>> {
        Ok(Arc::new(Self {
            rtp_ports: RtpPortRange::new(&current.snapshot().sip.rtp_ports),
            locations,
            occupied: Occupied::default(),
            queues: Queues::default(),
            agent_hours: AgentHours::default(),
            current,
            clock,
            egress: Egress::new(tasks.clone()),
            trunk_lines: Arc::new(TrunkLines::new(Arc::new(Dns::system()))),
            sip,
            toll: TollGuard::default(),
            config_api: Arc::default(),
            #[cfg(feature = "otel")]
            traces: Arc::default(),
            callbacks: Arc::default(),
            extractions: Arc::default(),
            tasks,
            registry,
            studio,
            wire_log,
            sip_ladders,
            store,
            leavings,
            records: watch::Sender::new(records),
            sorry_clip: sorry_clip()?,
            began_s: unix_ms() / 1_000,
            streams: AtomicU64::new(0),
        }))
    }

    /// The settings for what begins at this moment; take them once and keep to them.
    pub fn config(&self) -> Arc<Config> {
        self.current.snapshot()
    }

    /// Where the records of calls that begin at this moment go.
    pub fn records(&self) -> Records {
        self.records.borrow().clone()
    }

    /// Where calls that begin at this moment are told of.
    pub fn chronicle(&self) -> Chronicle {
        Chronicle::new(self.store.clone(), self.records())
    }

    /// Gives a call its seat and its mailbox.
    ///
    /// # Errors
    /// [`Reason::StorageBehind`] when the database does not keep up, and those of [`Registry::admit`].
    pub fn admit(&self, id: &CallId) -> Result<(Seat, mpsc::Receiver<CallOrder>), Reason> {
        if self.store.takes_calls() { self.registry.admit(id) } else { Err(Reason::StorageBehind) }
    }

    /// Puts `config` into effect for calls that begin from here on.
    pub fn reconfigure(&self, config: Config) {
        self.records.send_modify(|records| records.relabel(Labels::of(&config)));
        let before = self.current.snapshot();
        self.current.replace(config);
        self.locations.reconfigured(&before, &self.current.snapshot());
    }

    /// Names for a new call.
    ///
    /// # Errors
    /// [`Reason::Internal`] when the system has no randomness to give.
    pub fn draw_names(&self) -> Result<CallNames, Reason> {
        Ok(CallNames { call_id: CallId::new(unix_ms(), random()?), stream_id: self.next_stream_id() })
    }

    /// The id of a new stream.
    pub fn next_stream_id(&self) -> StreamId {
        StreamId::new(self.began_s, self.streams.fetch_add(1, Ordering::Relaxed) + 1)
    }

    /// Writes the record of a call that was refused at the door; call it inside the call's span.
    pub fn refuse(&self, names: CallNames, parties: Parties, phone_dialect: &'static str, reason: Reason) {
        let at = self.clock.now();
        let call = RefusedCall {
            call_id: names.call_id,
            stream_id: names.stream_id,
            phone_leg_id: parties.phone_leg_id,
            from: parties.from,
            to: parties.to,
            direction: Direction::Inbound,
            phone_dialect,
            clock: self.clock.wall(),
            at,
        };
        let record = refused_record(call, reason);
        tracing::info!(cause = %record.cause, "call refused");
        self.registry.refused(&record);
        let config = self.config();
        let callback = config.callbacks_of(record.to.as_str());
        self.chronicle().refuse(&record, CallbackAddress::known(callback));
    }

    /// The settings of a call.
    pub fn settings(
        &self,
        names: CallNames,
        parties: Parties,
        phone: PhoneSettings,
        bot: BotSettings,
        fallback: Fallback,
    ) -> CallSettings {
        CallSettings {
            call_id: names.call_id,
            stream_id: names.stream_id,
            phone_leg_id: parties.phone_leg_id,
            account: self.config().server.account.as_str().into(),
            from: parties.from,
            to: parties.to,
            country: parties.country,
            direction: Direction::Inbound,
            clock: self.clock.wall(),
            custom: parties.custom,
            phone,
            bot,
            fallback,
            sorry_clip: self.sorry_clip.clone(),
            recording: recording_plan(&self.config().recording.settings, false),
            deadlines: Deadlines {
                // Who asks or dials has the exact reason at the own deadline; the call's stands behind it.
                find_bot: ANSWER_TIMEOUT + DEADLINE_LAG,
                bot_connect: CONNECT_TIMEOUT + DEADLINE_LAG,
                ..Deadlines::default()
            },
            transfers: TransferSettings {
                ring: self.config().transfers.ring,
                confirm: self.config().transfers.confirm.clone(),
                shown_outside: None,
            },
        }
    }

    /// The bot's settings and its end of the call, for a phone that speaks `phone_format`.
    pub fn bot(self: &Arc<Self>, choice: BotChoice<'_>, phone_format: MediaFormat) -> (BotSettings, BotEnd) {
        match choice {
            BotChoice::BuiltIn(bot) => {
                let settings = BotSettings {
                    name: bot.as_str().into(),
                    dialect: bots::BUILT_IN,
                    side: bots::built_in(bot, phone_format, &self.config().ivr),
                    audio: bots::audio(phone_format),
                    place: BotPlace::BuiltIn,
                    on_transfer: OnTransfer::Hold,
                    agent: None,
                };
                (settings, BotEnd::BuiltIn)
            }
            BotChoice::Remote(bot) => self.remote_bot(fitted(bot, phone_format), Trust::Operator),
        }
    }

    /// The flow of that name as a bot, if there is one.
    pub fn flow(&self, name: &str, phone_format: MediaFormat) -> Option<(BotSettings, BotEnd)> {
        let book = self.config().flows.clone();
        let spot = book.find(name)?;
        Some(flow_bot(&format!("flow:{name}"), (book, spot), phone_format, OnTransfer::Hold))
    }

    /// A flow that does nothing but call somebody, and leaves the call to its fallback if that is in vain.
    pub fn dial_only(&self, callee: Callee, phone_format: MediaFormat) -> (BotSettings, BotEnd) {
        let config = self.config();
        let name = match callee {
            Callee::Phone(_) => "dial:phone",
            Callee::Extension(_) => "dial:extension",
        };
        let dial = FlowDial { to: vec![callee], order: DialOrder::AllAtOnce, ring: config.outbound.ring };
        let book = FlowBook::dial_only(name, dial, config.flows.house.clone());
        flow_bot(name, (Arc::new(book), Spot::default()), phone_format, OnTransfer::End)
    }

    /// Looks whose turn it is in the queues.
    pub fn serve_queues(&self) {
        let config = self.config();
        let is_free = |agent: &str| self.locations.is_registered(agent) && !self.occupied.is_busy(agent);
        self.queues.serve(&config.queues, self.clock.now(), is_free);
    }

    /// The same of a bot at an address that somebody of `trust` wrote.
    pub fn remote_bot(self: &Arc<Self>, bot: Bot, trust: Trust) -> (BotSettings, BotEnd) {
        let (row, audio) = (bot.dialect.row(), bot.audio);
        let side = (row.bot_side)(&BotSideSettings {
            audio,
            record: if bot.cdr { RecordWish::Send } else { RecordWish::Omit },
            refusals: if bot.quiet { RefusalWish::Quiet } else { RefusalWish::Tell },
            mapping: bot.mapping.clone(),
            engine: bot.agent.as_ref().map(|agent| agent.engine.clone()),
        });
        let name = bot.name.as_str().into();
        let (place, on_transfer) = (BotPlace::Remote, bot.on_transfer);
        let agent = bot.agent.as_ref().map(|agent| agent.terms.clone());
        let settings = BotSettings { name, dialect: row.name, side, audio, place, on_transfer, agent };
        (settings, BotEnd::remote(self.clone(), bot, trust))
    }
}

/// The bot with the audio that makes the least of a phone's, where the configuration leaves that open.
fn fitted(bot: &Bot, phone_format: MediaFormat) -> Bot {
    let mut bot = bot.clone();
    if let (Some(choose), true) =
        (bot.dialect.row().audio_for_phone, bot.agent.as_ref().is_some_and(|agent| agent.follows_phone))
    {
        bot.audio.format = choose(phone_format);
    }
    bot
}

fn flow_bot(
    name: &str,
    (book, spot): (Arc<FlowBook>, Spot),
    phone_format: MediaFormat,
    on_transfer: OnTransfer,
) -> (BotSettings, BotEnd) {
    let settings = BotSettings {
        name: name.into(),
        dialect: bots::BUILT_IN,
        side: Box::new(FlowBot::new(book, spot, phone_format)),
        audio: bots::audio(phone_format),
        place: BotPlace::BuiltIn,
        on_transfer,
        agent: None,
    };
    (settings, BotEnd::BuiltIn)
}

/// What a call has to know of `settings`; it is recorded from its answer on if that is `wanted`.
pub fn recording_plan(settings: &RecordingSettings, wanted: bool) -> RecordingPlan {
    RecordingPlan {
        begin: if wanted { RecordingBegin::AtAnswer } else { RecordingBegin::OnRequest },
        consent: settings.consent.as_ref().map(|clip| clip.0.clone()),
        mask_digits: settings.mask_digits,
    }
}

/// Random beginnings of an RTP stream.
///
/// # Errors
/// [`Reason::Internal`] when the system has no randomness to give.
pub fn draw_rtp_identity() -> Result<RtpIdentity, Reason> {
    let [a, b, c, d, e, f, g, h, i, j] = random()?;
    Ok(RtpIdentity {
        ssrc: u32::from_be_bytes([a, b, c, d]),
        // Below half the range: RFC 3711 §3.3.1, where packets are protected.
        sequence: u16::from_be_bytes([e, f]) >> 1,
        timestamp: u32::from_be_bytes([g, h, i, j]),
    })
}

/// Bytes that nobody can guess.
///
/// # Errors
/// [`Reason::Internal`] when the system has none to give.
pub fn random<const N: usize>() -> Result<[u8; N], Reason> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|_| Reason::Internal)?;
    Ok(bytes)
}

fn sorry_clip() -> anyhow::Result<Arc<[i16]>> {
    let mut clip = hound::WavReader::new(Cursor::new(SORRY_WAV)).context("the built-in clip")?;
    let samples = clip.samples::<i16>().collect::<Result<Vec<_>, _>>().context("the built-in clip")?;
    Ok(samples.into())
}

/// How far the call's deadlines stand behind those of what it waits for.
const DEADLINE_LAG: Duration = Duration::from_millis(250);

/// What stands in the place of a dialect's name where the phone leg is a SIP call.
pub const SIP: &str = "sip";

/// "We are sorry, this call cannot be taken at the moment. Please try again later." at 8 kHz.
const SORRY_WAV: &[u8] = include_bytes!("../../assets/sorry.wav");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_apology_is_eight_kilohertz_mono_and_at_most_five_seconds_long() {
        let clip = hound::WavReader::new(Cursor::new(SORRY_WAV)).unwrap();
        let spec = clip.spec();
        assert_eq!((spec.sample_rate, spec.channels, spec.bits_per_sample), (8_000, 1, 16));
        let samples = sorry_clip().unwrap();
        assert!((8_000..=40_000).contains(&samples.len()));
        assert!(samples.iter().any(|sample| sample.unsigned_abs() > 4_000));
    }
}
