//! What is left of a call when it is over: one record, whatever happened.

use super::{
    CallId, CallOutcome, Cause, Direction, FarEnd, HungUpBy, Moment, PhoneNumber, Quality, Reason, StreamId,
    TransferReport, WallClock,
};

/// The record of one ended call (CDR).
#[derive(Debug, Clone, PartialEq)]
pub struct CallRecord {
    /// Our id of the call.
    pub call_id: CallId,
    /// Our id of its stream with the last bot.
    pub stream_id: StreamId,
    /// The vendor's or SIP's own id of the phone leg.
    pub phone_leg_id: Box<str>,
    /// Who called.
    pub from: PhoneNumber,
    /// Who was called.
    pub to: PhoneNumber,
    /// Who began it.
    pub direction: Direction,
    /// The bot's name in the configuration; after a hand-over, the last one's.
    pub bot: Box<str>,
    /// The bots that had the call before it, in order.
    pub earlier_bots: Vec<BotSession>,
    /// The phone leg's language: `sip` or a dialect's name.
    pub phone_dialect: Box<str>,
    /// The bot leg's language: `built-in` or a dialect's name.
    pub bot_dialect: Box<str>,
    /// Wall time of the moments below.
    pub clock: WallClock,
    /// First sign of the call.
    pub started_at: Moment,
    /// When it was answered.
    pub answered_at: Option<Moment>,
    /// When the bot was found to have failed, if it did.
    pub bot_failed_at: Option<Moment>,
    /// When it was over.
    pub ended_at: Moment,
    /// Why it ended.
    pub cause: Cause,
    /// Who ended it.
    pub hung_up_by: HungUpBy,
    /// What the network of the phone that we dialled said of the end, if it did.
    pub far_end: Option<FarEnd>,
    /// What was counted.
    pub counters: Counters,
    /// How it sounded.
    pub quality: Quality,
    /// Its transfers to people, in order.
    pub transfers: Vec<TransferReport>,
}

/// A bot's part of a call that went on without it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BotSession {
    /// Its name in the configuration.
    pub bot: Box<str>,
    /// Our id of the stream.
    pub stream_id: StreamId,
}

impl CallRecord {
    /// Seed 002's disposition: `ANSWERED`, or what the cause says of an unanswered call.
    pub fn disposition(&self) -> &'static str {
        if self.answered_at.is_some() { "ANSWERED" } else { self.cause.row().disposition }
    }

    /// How it ended, in seed 000's words.
    pub fn outcome(&self) -> CallOutcome {
        let was_answered = self.answered_at.is_some();
        match (self.direction, self.cause.reason()) {
            // Of a call of ours the bot is the one who gives it up.
            (Direction::Outbound, Reason::BotHungUp) if !was_answered => CallOutcome::Canceled,
            _ => self.cause.outcome(was_answered),
        }
    }

    /// The Q.850 cause: the far end's where it said one, else the one of our reason.
    pub fn q850(&self) -> u8 {
        self.far_end.map_or(self.cause.row().q850, |far_end| far_end.q850)
    }

    /// Milliseconds from the first sign to the end.
    pub fn duration_ms(&self) -> u64 {
        u64::try_from((self.ended_at - self.started_at).as_millis()).unwrap_or(u64::MAX)
    }

    /// Whole seconds from the first sign to the end, rounded down.
    pub fn duration_s(&self) -> u64 {
        (self.ended_at - self.started_at).as_secs()
    }

    /// Whole seconds from the answer to the end, rounded down; 0 if it was never answered.
    pub fn billable_s(&self) -> u64 {
        self.answered_at.map_or(0, |answered| (self.ended_at - answered).as_secs())
    }
}

macro_rules! counters {
    ($($(#[doc = $doc:literal])+ $name:ident),+ $(,)?) => {
        /// What was counted during a call. Counts are of events, `_ms` are milliseconds of audio.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
        pub struct Counters { $($(#[doc = $doc])+ pub $name: u64),+ }

        impl Counters {
            /// Every counter with its name, in the order of the record.
            pub fn named(&self) -> impl Iterator<Item = (&'static str, u64)> {
                [$((stringify!($name), self.$name)),+].into_iter()
            }

            /// Adds what another call counted.
            pub fn add(&mut self, other: &Self) {
                $(self.$name = self.$name.saturating_add(other.$name);)+
            }
        }
    };
}

counters! {
    /// RTP packets from the phone that were heard.
    rtp_received,
    /// RTP packets to the phone.
    rtp_sent,
    /// RTP packets that never came.
    rtp_lost,
    /// RTP packets that came too late.
    rtp_late,
    /// RTP packets that came twice.
    rtp_duplicate,
    /// RTP packets that came out of order and were put right.
    rtp_reordered,
    /// Packets from addresses that are no part of the call.
    rtp_strangers,
    /// Packets that are no RTP.
    rtp_malformed,
    /// Packets on a protected call that were not authentic: forged, damaged, or without protection.
    srtp_auth_failed,
    /// Packets on a protected call that came again, or too late to tell.
    srtp_replayed,
    /// Audio of the caller given to the bot.
    heard_ms,
    /// Of it: concealed loss.
    concealed_ms,
    /// Of it: silence of our own clock while nothing came.
    clock_silence_ms,
    /// Audio of the bot taken for playout.
    pushed_ms,
    /// Of it: played to the caller.
    played_ms,
    /// Of it: dropped by clear.
    cleared_ms,
    /// Of it: silence trimmed.
    trimmed_ms,
    /// Audio of the bot that found the playout full.
    refused_ms,
    /// Marks that were played.
    marks_played,
    /// Marks that were cleared.
    marks_cleared,
    /// Clears carried out.
    clears,
    /// Keys that the caller pressed.
    digits_in,
    /// Keys sent to the caller.
    digits_out,
    /// Messages from the bot.
    bot_messages_in,
    /// Messages to the bot.
    bot_messages_out,
    /// Messages from the vendor.
    vendor_messages_in,
    /// Messages to the vendor.
    vendor_messages_out,
    /// Messages that were understood by nobody.
    unknown_messages,
    /// Messages that broke their protocol.
    malformed_messages,
    /// Commands that were refused.
    refused_commands,
    /// Bytes of the phone's audio that came far ahead of real time and were not heard.
    phone_flood_bytes,
    /// Audio messages to the bot or the vendor dropped because that end read too slowly.
    outbox_dropped,
    /// Times that somebody began to listen to the call.
    listened_in,
    /// Sessions with a speech engine that began.
    engine_sessions,
    /// Engines that were lost and called again.
    engine_reconnects,
    /// Tools that an agent called.
    tool_calls,
}
