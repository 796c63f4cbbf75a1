//! The call: one machine that owns a phone leg and a bot leg from the first ring to the record.
//!
//! It decides, the shell acts: [`Call::handle`] takes what happened, [`Call::poll_output`] says what to do
//! (drain it completely after every call), [`Call::poll_timeout`] names the next deadline, at which
//! [`Call::handle_timeout`] is due. See `docs/call-states.md` for the states and `ARCHITECTURE.md` for the rule.

mod arrivals;
mod bot_leg;
mod caller_media;
mod dialing;
mod dialogue;
mod ending;
mod fallback;
mod flows;
mod hand_over;
mod input;
mod key_tones;
mod last_words;
mod lead;
mod listener;
mod orders;
mod outbound;
mod output;
mod pace;
mod parting;
mod patience;
mod phone_leg;
mod playout_gauge;
mod quality;
mod refused;
mod rtp_leg;
mod session;
mod settings;
mod setup;
mod source_gauge;
mod speaker;
mod state;
mod talking;
mod tape;
mod timeline;
mod tool_calls;
mod transfer;
mod turns;
mod unknown_bot;

mod voice;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use crate::media::MediaFormat;
use crate::vocabulary::{
    BotSession, CallId, CommandRefusal, Counters, Digit, Direction, FarEnd, Moment, PhoneNumber, Reason,
    StreamId, TransferReport, WallClock,
};

use self::bot_leg::{BotLeg, BotLink};
use self::dialogue::Dialogue;
use self::listener::Listener;
use self::output::{Outputs, Party};
use self::pace::Cadence;
use self::phone_leg::{Origin, PhoneLeg, Presence, VendorLeg};
use self::rtp_leg::RtpLeg;
use self::speaker::Speaker;
use self::state::{EndingStep, Inviting, State};
use self::talking::Misread;
use self::tape::Tape;
use self::timeline::History;
use self::turns::Turns;

pub use bot_leg::{BOT_CONTROLS_PER_SECOND_MAX, BOT_REFUSED_AUDIO_MS_MAX};
pub use dialing::{DIAL_STEPS_MAX, DIGIT_GAP};
pub use dialogue::ITEMS_PLAYING_MAX;
pub use ending::PLAYOUT_LINGER;
pub use hand_over::{BotWish, EARLIER_BOTS_MAX, NextBot, NextBotError};
pub use input::{Input, SocketEnd};
pub use lead::PHONE_LEAD_MAX;
pub use listener::KEYS_FOUND_MAX;
pub use orders::Order;
pub use output::{LegOrder, Output, QueueOrder, TapeKind, TapePiece};
pub use refused::{RefusedCall, refused_record};
pub use rtp_leg::DIGITS_HEARD_MAX;
pub use session::RECONNECTS_MAX;
pub use settings::{
    BotJoins, BotPlace, BotSettings, CallSettings, Deadlines, Fallback, MediaDirection, PhoneMedia,
    PhoneSettings, RtpIdentity,
};
pub use setup::{CUSTOM_BYTES_MAX, CUSTOM_MAX};
pub use speaker::PLAYOUT_MAX;
pub use state::StateName;
pub use talking::{MARKS_PER_STEP_MAX, PAUSE_BOT_DEPTH_MAX};
pub use tape::{LOUDNESS_STEP, RecordingBegin, RecordingOrder, RecordingPlan, RecordingState};
pub use tool_calls::TOOLS_RUNNING_MAX;
pub use transfer::{Destination, LegNews, LegNo, LegRefusal, OnTransfer, TRANSFERS_MAX, TransferSettings};
pub use unknown_bot::FoundBot;

/// One call.
pub struct Call {
    names: Names,
    deadlines: Deadlines,
    fallback: Fallback,
    sorry_clip: Arc<[i16]>,
    state: State,
    phone: PhoneLeg,
    bot: BotLeg,
    /// The bots that had the call before this one, in order.
    earlier_bots: Vec<BotSession>,
    transfer_settings: TransferSettings,
    /// Transfers to people that are over, in order.
    transfers: Vec<TransferReport>,
    /// Why nobody took the call that still rings.
    untaken: Option<Reason>,
    /// The number of the next leg of a transfer.
    next_leg: u32,
    speaker: Speaker,
    listener: Listener,
    tape: Tape,
    counters: Counters,
    misread: Misread,
    outputs: Outputs,
    turns: Turns,
    history: History,
    /// What is known of the talk, where the bot tells of it.
    dialogue: Option<Box<Dialogue>>,
    started_at: Moment,
    answered_at: Option<Moment>,
    /// What the network of the phone that we dialled said of its end.
    far_end: Option<FarEnd>,
    bot_failed_at: Option<Moment>,
    ended_at: Moment,
    /// When audio of the phone came last.
    last_media: Moment,
    /// The last key by SIP INFO, and the last in RTP.
    last_info: Option<(Digit, Moment)>,
    last_event: Option<(Digit, Moment)>,
    /// Marks are being told at this moment.
    reports_marks: bool,
    /// An order of somebody other than the bot is being carried out at this moment, and why the last one was not.
    is_ordered: bool,
    refused_order: Option<CommandRefusal>,
    /// Transfers that were ordered and reached nobody.
    vain_orders: usize,
}

/// Who is who.
struct Names {
    call_id: CallId,
    stream_id: StreamId,
    phone_leg_id: Box<str>,
    account: Box<str>,
    from: PhoneNumber,
    to: PhoneNumber,
    country: Option<Box<str>>,
    direction: Direction,
    clock: WallClock,
    custom: Vec<(String, String)>,
}

impl Call {
    /// Begins a call: a SIP phone rings at once, a vendor has to say whose call it is.
    pub fn new(settings: CallSettings, now: Moment) -> Self {
        let bot = BotLeg::new(settings.bot);
        let mut media = None;
        let (phone, cadence, format, frame) = match settings.phone {
            PhoneSettings::Sip { rtp, media: agreed, early_media } => {
                media = agreed;
                let leg = RtpLeg::new(Party::Caller, rtp, Origin::CalledUs { early_media });
                (PhoneLeg::Rtp(Box::new(leg)), Cadence::Steady, MediaFormat::PCMU_8K, DEFAULT_PTIME)
            }
            PhoneSettings::Dialled { rtp, joins } => {
                let leg = PhoneLeg::Rtp(Box::new(RtpLeg::new(Party::Caller, rtp, Origin::Dialled(joins))));
                (leg, Cadence::Steady, MediaFormat::PCMU_8K, DEFAULT_PTIME)
            }
            PhoneSettings::Vendor { dialect, side, audio } => {
                let leg = VendorLeg::new(dialect, side, audio.frame);
                (PhoneLeg::Vendor(Box::new(leg)), Cadence::OnDemand, audio.format, audio.frame)
            }
        };
        let mut call = Self {
            speaker: Speaker::new(cadence, bot.audio.format, format, frame),
            listener: Listener::new(format, bot.audio),
            tape: Tape::new(settings.recording),
            names: Names {
                call_id: settings.call_id,
                stream_id: settings.stream_id,
                phone_leg_id: settings.phone_leg_id,
                account: settings.account,
                from: settings.from,
                to: settings.to,
                country: settings.country,
                direction: settings.direction,
                clock: settings.clock,
                custom: settings.custom.into_iter().filter(setup::fits).take(CUSTOM_MAX).collect(),
            },
            deadlines: settings.deadlines,
            fallback: settings.fallback,
            sorry_clip: settings.sorry_clip,
            state: State::Inviting(Inviting { until: now + settings.deadlines.vendor_start }),
            phone,
            bot,
            earlier_bots: Vec::new(),
            transfer_settings: settings.transfers,
            transfers: Vec::new(),
            untaken: None,
            next_leg: 0,
            counters: Counters::default(),
            misread: Misread::default(),
            outputs: Outputs::default(),
            turns: Turns::default(),
            history: History::new(now),
            dialogue: None,
            started_at: now,
            answered_at: None,
            far_end: None,
            bot_failed_at: None,
            ended_at: now,
            last_media: now,
            last_info: None,
            last_event: None,
            reports_marks: false,
            is_ordered: false,
            vain_orders: 0,
            refused_order: None,
        };
        call.begin(media, now);
        call
    }

    /// Takes one thing that happened.
    pub fn handle(&mut self, now: Moment, input: Input<'_>) {
        if matches!(self.state, State::Ended) {
            return;
        }
        self.wake_tape(now);
        match input {
            Input::PhoneLegId(id) => self.names.phone_leg_id = id,
            Input::PhoneRinging => self.phone_rings(now),
            Input::PhoneProgress(media) => self.phone_progresses(media, now),
            Input::PhoneAnswered(media) => self.phone_answers(media, now),
            Input::PhoneFailed(refusal) => self.phone_failed(refusal, now),
            Input::PhoneMedia(media) => self.change_media(media, now),
            Input::PhoneDigit(press) => {
                // A phone that sends keys by INFO may let them sound as well: once is enough.
                self.listener.detect_digits(false);
                self.last_info = Some((press.digit, now));
                let repeats = |(digit, at)| digit == press.digit && now - at < rtp_leg::SAME_KEY;
                if !self.last_event.is_some_and(repeats) {
                    self.press(press, now);
                }
            }
            Input::PhoneGone(reason) => self.phone_gone(reason, now),
            Input::Rtp { source, packet } => self.hear_rtp(source, packet, now),
            Input::Rtcp { source, packet } => self.hear_rtcp(source, packet, now),
            Input::PhoneWire(wire) => self.hear_vendor(wire, now),
            Input::PhoneClosed(end) => self.vendor_closed(end, now),
            Input::BotFound(found) => self.bot_found(*found, now),
            Input::BotConnected => self.bot_connected(now),
            Input::BotFailed(reason) => self.bot_failed(reason, now),
            Input::BotWire(wire) => self.hear_bot(wire, now),
            Input::BotClosed(end) => self.bot_closed(end, now),
            Input::NextBot(next) => self.next_bot_connected(*next, now),
            Input::NextBotFailed(error) => self.next_bot_failed(error, now),
            Input::Leg(leg, news) => self.hear_leg(leg, news, now),
            Input::AudioDropped => self.counters.outbox_dropped += 1,
            Input::Recording(order) => self.record_sound(order, now),
            Input::Order(order) => self.obey_order(&order, now),
            Input::Queue(event) => self.queue_moved(event, now),
            Input::ToolDone(result) => self.tool_done(*result, now),
            Input::HangUp(reason) => self.hang_up(reason, now),
        }
    }

    /// A deadline of [`Call::poll_timeout`] has come.
    pub fn handle_timeout(&mut self, now: Moment) {
        self.wake_tape(now);
        if self.is_audible() {
            self.ring_back(now);
            self.speak(now);
            self.wake_rtp(now);
            self.listener.handle_timeout(now);
            self.give_frames(now);
            self.watch_media(now);
            self.watch_playout(now);
        }
        self.serve_dialogue(now);
        self.look_for_last_words(now);
        self.serve_legs(now);
        self.wake_dialects(now);
        if self.state.until().is_some_and(|until| until <= now) {
            self.setup_timed_out(now);
        }
    }

    /// When [`Call::handle_timeout`] is due; `None` once the call is over.
    pub fn poll_timeout(&self) -> Option<Moment> {
        let mut earliest = self.state.until();
        let mut consider = |moment: Option<Moment>| {
            if let Some(moment) = moment {
                earliest = Some(earliest.map_or(moment, |other| other.min(moment)));
            }
        };
        if self.is_audible() {
            consider(self.speaker.poll_timeout());
            consider(self.listener.poll_timeout());
            consider(self.media_deadline());
            consider(self.phone.poll_timeout());
            if self.is_ending() && !self.vendor_is_dialling() {
                consider(self.speaker.drained_since().map(|since| since + PLAYOUT_LINGER));
            }
        }
        match &self.state {
            State::Transferring(transferring) => {
                consider(transferring.poll_timeout());
                consider(transferring.ringback_due().filter(|_| self.is_audible()));
            }
            State::Bridged(bridged) => consider(bridged.poll_timeout(self.deadlines.media_timeout)),
            _ => {}
        }
        if !matches!(self.state, State::Ended) {
            consider(self.bot.poll_timeout());
            consider(self.dialogue_due());
            if let PhoneLeg::Vendor(_) = &self.phone {
                consider(self.phone.poll_timeout());
            }
        }
        earliest
    }

    /// The next thing to do outside.
    pub fn poll_output(&mut self) -> Option<Output<'_>> {
        self.outputs.poll()
    }

    /// Where the call stands.
    pub fn state(&self) -> StateName {
        self.state.name()
    }

    /// The call's id.
    pub fn call_id(&self) -> &CallId {
        &self.names.call_id
    }

    /// Who calls, who is called, and the phone leg's own id; a vendor has to say it first.
    pub fn parties(&self) -> (&PhoneNumber, &PhoneNumber, &str) {
        let leg_id = match &self.phone {
            PhoneLeg::Rtp(_) => &self.names.phone_leg_id,
            PhoneLeg::Vendor(leg) => &leg.id,
        };
        (&self.names.from, &self.names.to, leg_id)
    }

    /// What was counted so far.
    pub fn counters(&self) -> Counters {
        let mut counters = self.counters;
        self.phone.count(&mut counters);
        self.speaker.count(&mut counters);
        self.listener.count(&mut counters);
        counters
    }

    /// Audio of the bot that waits for the caller: pushed = played + cleared + trimmed + waiting.
    pub fn waiting(&self) -> Duration {
        self.speaker.depth()
    }

    /// The phone's and the bot's audio: what the media path is.
    pub fn formats(&self) -> (MediaFormat, MediaFormat) {
        (self.speaker.leg(), self.bot.audio.format)
    }

    fn begin(&mut self, media: Option<PhoneMedia>, now: Moment) {
        match &self.phone {
            PhoneLeg::Rtp(leg) if leg.origin.is_dialled() => self.dial_phone(now),
            PhoneLeg::Rtp(_) => {
                if let Some(media) = media {
                    self.agree_on_media(media, now);
                }
                self.reach_bot(now);
            }
            PhoneLeg::Vendor(_) => self.choose_digits(),
        }
    }

    /// Sends every frame that is due.
    fn speak(&mut self, now: Moment) {
        let (format, frame) = (self.speaker.leg(), self.speaker.frame());
        while let Some(sound) = self.speaker.take_sound(now) {
            match &sound {
                speaker::Sound::Audio(audio) if self.phone.is_listening() => {
                    self.tape.heard(format, audio, now)
                }
                // How long the quiet lasts is known when something leaves again.
                speaker::Sound::Nothing => {}
                _ => self.tape.nothing_heard(frame),
            }
            match &mut self.phone {
                PhoneLeg::Rtp(leg) => leg.send(&sound, &mut self.outputs),
                PhoneLeg::Vendor(leg) => {
                    let speaker::Sound::Audio(audio) = sound else { continue };
                    if leg.presence == Presence::Gone {
                        continue;
                    }
                    let mut out = std::mem::take(&mut leg.out);
                    leg.side.encode_audio(audio, now, &mut out);
                    self.take_from_vendor(out, now);
                }
            }
        }
        if let Some(edge) = self.speaker.take_voice_edge() {
            self.heard_edge(edge);
        }
        self.report_marks(now);
        self.pace_bot();
        if self.speaker.items_moved() {
            self.follow_items(now);
        }
    }

    fn wake_dialects(&mut self, now: Moment) {
        let due = |timeout: Option<Moment>| timeout.is_some_and(|at| at <= now);
        if due(self.bot.poll_timeout()) {
            let mut out = std::mem::take(&mut self.bot.out);
            self.bot.side.handle_timeout(now, &mut out);
            self.carry_out(out, now);
        }
        let PhoneLeg::Vendor(leg) = &mut self.phone else { return };
        if due(leg.poll_timeout()) {
            let mut out = std::mem::take(&mut leg.out);
            leg.side.handle_timeout(now, &mut out);
            self.take_from_vendor(out, now);
        }
    }

    fn media_deadline(&self) -> Option<Moment> {
        let expected = match &self.phone {
            PhoneLeg::Rtp(leg) => leg.expects_media(),
            PhoneLeg::Vendor(_) => true,
        };
        let is_answered = match &self.state {
            State::Talking(_) | State::Bridged(_) => true,
            State::Transferring(_) => self.answered_at.is_some(),
            _ => false,
        };
        (expected && is_answered).then(|| self.last_media + self.deadlines.media_timeout)
    }

    fn watch_media(&mut self, now: Moment) {
        if self.media_deadline().is_some_and(|deadline| deadline <= now) {
            self.end(crate::vocabulary::Reason::MediaTimeout, now);
        }
    }

    /// Whether audio flows, at least from the phone: while both talk, before the answer where media is early, while a
    /// phone that we dialled waits for the bot, and while the last words are played.
    fn is_audible(&self) -> bool {
        match &self.state {
            State::Talking(_) | State::Bridged(_) => true,
            State::Transferring(transferring) => self.answered_at.is_some() || transferring.is_early(),
            State::Ending(ending) => ending.step == EndingStep::PlayingOut,
            State::Ringing(ringing) => ringing.early,
            State::Dialling(_) => self.bot.link == BotLink::Open,
            State::FindingBot(_) | State::ConnectingBot(_) => self.answered_at.is_some(),
            State::Inviting(_) | State::Ended => false,
        }
    }

    /// The format of whoever the caller talks to.
    fn partner_format(&self) -> MediaFormat {
        if let State::Bridged(bridged) = &self.state { bridged.format() } else { self.bot.audio.format }
    }

    /// Whether nothing more will be heard: its end was told.
    fn is_over(&self) -> bool {
        match &self.state {
            State::Ending(ending) => ending.step == EndingStep::VendorLeaving,
            state => matches!(state, State::Ended),
        }
    }

    fn is_ending(&self) -> bool {
        matches!(self.state, State::Ending(_))
    }
}

/// Audio per packet when the phone names none (RFC 3551 §4.2).
const DEFAULT_PTIME: Duration = Duration::from_millis(20);
