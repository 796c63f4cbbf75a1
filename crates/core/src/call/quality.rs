//! The figures of a call put together for its record, and what they say about who heard whom.

use std::time::Duration;

use crate::media::{Impairment, LineCodec, mean_opinion_score, rating};
use crate::rtp::{RemoteReports, RtpReceiver};
use crate::vocabulary::{AudioVerdict, FromPhone, Moment, PacketFigures, Quality, ToPhone};

use super::Call;
use super::phone_leg::PhoneLeg;
use super::playout_gauge::range_of_us;

impl Call {
    /// How the call sounded so far.
    pub fn quality(&self) -> Quality {
        let (from_phone, to_phone) = match &self.phone {
            PhoneLeg::Rtp(leg) => leg.figures().unzip(),
            PhoneLeg::Vendor(leg) => {
                let jitter = range_of_us(&leg.arrivals.jitter_us());
                let longest_gap = leg.arrivals.longest_gap();
                (Some(FromPhone { jitter, longest_gap, ..FromPhone::default() }), None)
            }
        };
        let from_phone = from_phone.map(|figures| self.listener.complete(figures));
        Quality {
            audio: self.verdict(to_phone.as_ref()),
            from_phone,
            to_phone,
            playout: self.speaker.figures(),
            response: self.turns.times(),
        }
    }

    /// How long the caller waited for the bot's last answer.
    pub fn last_response(&self) -> Option<Duration> {
        self.turns.last()
    }

    /// Who heard whom, by what came and what was sent; nothing of a call that hardly began.
    fn verdict(&self, to_phone: Option<&ToPhone>) -> Option<AudioVerdict> {
        let talked = self.answered_at.map(|answered| self.last_moment() - answered)?;
        if talked < VERDICT_AFTER {
            return None;
        }
        let expected = match &self.phone {
            PhoneLeg::Rtp(leg) => leg.expects_media(),
            PhoneLeg::Vendor(_) => true,
        };
        let is_missing = !self.listener.has_heard() && expected;
        let is_silent = self.listener.has_heard() && !self.listener.was_audible();
        let is_deaf = to_phone.is_some_and(|_| self.phone_hears_nothing());
        let bot_silent = !self.speaker.was_audible();
        Some(match (is_missing, is_silent, is_deaf, bot_silent) {
            (true, _, true, _) | (true, _, _, true) => AudioVerdict::NoMedia,
            (true, ..) => AudioVerdict::CallerMissing,
            (_, true, ..) => AudioVerdict::CallerSilent,
            (_, _, true, _) => AudioVerdict::CallerDeaf,
            (_, _, _, true) => AudioVerdict::BotSilent,
            (false, false, false, false) => AudioVerdict::Ok,
        })
    }

    fn phone_hears_nothing(&self) -> bool {
        match &self.phone {
            PhoneLeg::Rtp(leg) => leg.phone_hears_nothing(),
            PhoneLeg::Vendor(_) => false,
        }
    }
}

/// The figures of an RTP session, both ways.
pub(super) fn session_figures(
    codec: LineCodec,
    ptime: Duration,
    receiver: &RtpReceiver,
    reports: &RemoteReports,
) -> (FromPhone, ToPhone) {
    let counts = receiver.counts();
    let packets = PacketFigures {
        expected: (counts.received + counts.lost).saturating_sub(counts.duplicates + counts.late),
        received: counts.received,
        lost: counts.lost,
        late: counts.late,
        duplicate: counts.duplicates,
    };
    let round_trip = range_of_us(&reports.round_trips_us());
    let half = round_trip.map_or(Duration::ZERO, |trip| trip.mean / 2);
    let score = |loss, delay| mean_opinion_score(rating(Impairment::of(codec), loss, delay));
    let (jitter_us, longest_gap) = receiver.arrivals();
    let from_phone = FromPhone {
        jitter: range_of_us(&jitter_us),
        longest_gap,
        mos: (packets.received > 0).then(|| score(packets.loss(), half + ptime)),
        packets: Some(packets),
        ..FromPhone::default()
    };
    let jitter = range_of_us(&reports.jitter_us());
    let voip = reports.voip();
    // A phone that does not tell the depth of its buffer is taken to hold twice the jitter.
    let buffer = voip.map(|voip| Duration::from_millis(voip.jitter_buffer_ms.into()));
    let buffered = buffer.unwrap_or(jitter.map_or(Duration::ZERO, |jitter| jitter.mean * 2));
    let discarded = voip.map(|voip| f64::from(voip.discard_rate) / 256.0);
    let to_phone = ToPhone {
        reports: reports.count(),
        loss: reports.loss(),
        jitter,
        round_trip,
        last_round_trip: reports.last_round_trip(),
        discarded,
        jitter_buffer: buffer,
        listening_score: voip.and_then(|voip| voip.listening_score).map(|score| f64::from(score) / 10.0),
        mos: reports.loss().map(|loss| score(loss + discarded.unwrap_or(0.0), half + ptime + buffered)),
    };
    (from_phone, to_phone)
}

impl Call {
    fn last_moment(&self) -> Moment {
        self.ended_at.max(self.last_media)
    }
}

/// What is shorter is not judged: phones and bots need a moment to be heard.
const VERDICT_AFTER: Duration = Duration::from_secs(3);
