//! Two phones hear each other: what the legs of a transfer tell, and the sound and keys between caller and agent.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use crate::dialect::Capability;
use crate::vocabulary::{CallCommand, DigitPress, Moment, Reason};

use super::super::output::PlainOutput;
use super::super::phone_leg::PhoneLeg;
use super::super::state::{State, Talking};
use super::super::{Call, PhoneMedia, RtpIdentity};
use super::agent_leg::{AgentLeg, one_key};
use super::race::{NOT_SELECTED, Race};
use super::{Destination, LegNo, LegRefusal, Transferring, length_of};

/// What happened on a leg that [`Output::Leg`](super::super::Output::Leg) dialled. The driver tells nothing of a leg
/// after its end, but for an answer that was on its way when it was cancelled.
#[derive(Debug)]
pub enum LegNews<'a> {
    /// It cannot be dialled; nothing left this machine.
    Refused(LegRefusal),
    /// It is on its way, under that id at the carrier; told again when it changes.
    Dialled(Box<str>),
    /// It rings.
    Ringing,
    /// Its audio was agreed on, before its answer or anew; the identity counts the first time.
    Media(Box<PhoneMedia>, RtpIdentity),
    /// It answered.
    Answered(Box<PhoneMedia>, RtpIdentity),
    /// It did not answer, for that Q.850 cause.
    Failed(u8),
    /// It hung up after its answer, for that Q.850 cause.
    Gone(u8),
    /// Instead of dialling it we asked the caller's carrier to connect the two, and it did: we have no part in it.
    TakenOver,
    /// It gives the caller on to that destination, which it may, and leaves.
    Refers(Destination),
    /// A key outside the audio.
    Digit(DigitPress),
    /// A datagram came to its RTP port.
    Rtp {
        /// Where from.
        source: SocketAddr,
        /// Its bytes.
        packet: &'a [u8],
    },
    /// A datagram came to its RTCP port.
    Rtcp {
        /// Where from.
        source: SocketAddr,
        /// Its bytes.
        packet: &'a [u8],
    },
}

/// The caller and an agent hear each other.
pub(in super::super) struct Bridged {
    /// Until when the call must be over.
    pub(in super::super) until: Moment,
    pub(super) race: Race,
    pub(super) agent: AgentLeg,
}

impl Call {
    /// Takes what happened on a leg.
    pub(in super::super) fn hear_leg(&mut self, no: LegNo, news: LegNews<'_>, now: Moment) {
        match news {
            LegNews::Rtp { source, packet } => return self.hear_leg_rtp(no, source, packet, now),
            LegNews::Rtcp { source, packet } => {
                if let Some(leg) = self.state.leg(no) {
                    leg.hear_rtcp(source, packet, now);
                }
                return;
            }
            LegNews::Media(media, identity) => return self.leg_agreed(no, *media, identity, now),
            LegNews::Digit(press) => {
                let press = self.state.leg(no).and_then(|leg| leg.pressed_by_info(press, now));
                return press.into_iter().for_each(|press| self.leg_pressed(no, press, now));
            }
            LegNews::Answered(media, identity) => return self.leg_answered(no, *media, identity, now),
            LegNews::Gone(q850) | LegNews::Failed(q850) => return self.leg_gone(no, q850, now),
            LegNews::TakenOver => return self.leg_taken_over(no, now),
            LegNews::Refers(to) => return self.leg_refers(no, to, now),
            LegNews::Refused(refusal) => self.with_race(|race| race.refused(no, refusal, now)),
            LegNews::Dialled(id) => self.with_race(|race| race.dialled(no, &id)),
            LegNews::Ringing => self.with_race(|race| race.ringing(no)),
        }
        self.run_race(now);
    }

    fn with_race(&mut self, tell: impl FnOnce(&mut Race)) {
        if let Some(race) = self.state.race() {
            tell(race);
        }
    }

    fn leg_answered(&mut self, no: LegNo, media: PhoneMedia, identity: RtpIdentity, now: Moment) {
        if !self.state.race().is_some_and(|race| race.knows(no)) {
            // Its transfer is over, and the answer was faster than the CANCEL.
            return self.outputs.plain(PlainOutput::HangUpLeg(no, NOT_SELECTED));
        }
        self.take_media(no, media, identity, now);
        let grace = self.transfer_settings.confirm.as_deref().map_or(Duration::ZERO, length_of);
        let Some(race) = self.state.race() else { return };
        if !race.answered(no, grace, now) {
            self.state.drop_leg(no);
        }
        self.run_race(now);
    }

    fn leg_agreed(&mut self, no: LegNo, media: PhoneMedia, identity: RtpIdentity, now: Moment) {
        let known = self.state.leg(no).is_some();
        if known || self.state.race().is_some_and(|race| race.rings_alone(no)) {
            self.take_media(no, media, identity, now);
            self.tune_bridge();
        }
    }

    fn take_media(&mut self, no: LegNo, media: PhoneMedia, identity: RtpIdentity, now: Moment) {
        let caller = self.speaker.leg();
        if let Some(leg) = self.state.leg(no) {
            leg.agree(media, caller, now);
        } else if let State::Transferring(transferring) = &mut self.state {
            transferring.legs.push(AgentLeg::new(no, identity, media, caller, now));
        }
    }

    fn leg_gone(&mut self, no: LegNo, q850: u8, now: Moment) {
        let talked = self.state.race().is_some_and(|race| race.gone(no, q850, now));
        if talked {
            return self.end(Reason::AgentHungUp, now);
        }
        self.state.drop_leg(no);
        self.run_race(now);
    }

    /// Joins a leg to the caller, who is answered by it at the latest.
    pub(super) fn join(&mut self, no: LegNo, now: Moment) {
        let was_audible = self.is_audible();
        let State::Transferring(transferring) = std::mem::replace(&mut self.state, State::Ended) else {
            return;
        };
        let Transferring { before, race, mut legs, .. } = *transferring;
        let Some(at) = legs.iter().position(|leg| leg.no == no) else { return };
        let mut agent = legs.swap_remove(at);
        agent.stop_whisper();
        agent.detect_digits(false);
        self.cut_items(now);
        self.speaker.clear();
        self.repeat_consent(now);
        self.part_from_bot(now);
        let until = match before {
            State::Talking(Talking { until, .. }) => until,
            _ => self.answered_at.unwrap_or(now) + self.deadlines.max_duration,
        };
        self.fit_line_to(agent.wanted().format);
        self.state = State::Bridged(Box::new(Bridged { until, race, agent }));
        if self.answered_at.is_none() {
            self.answer_phone(was_audible, now);
        }
        self.tune_bridge();
        self.choose_digits();
    }

    /// Both hear each other in the formats that their lines have at this moment.
    pub(in super::super) fn tune_bridge(&mut self) {
        let caller = self.speaker.leg();
        for leg in self.state.legs() {
            leg.set_caller(caller);
        }
        if let State::Bridged(bridged) = &self.state {
            self.listener.set_bot(bridged.agent.wanted());
        }
    }

    fn hear_leg_rtp(&mut self, no: LegNo, source: SocketAddr, packet: &[u8], now: Moment) {
        let Some(leg) = self.state.leg(no) else { return };
        leg.hear(source, packet, now);
        self.pass_between(now);
    }

    /// Serves the legs: what they are to hear, what is heard of them.
    pub(in super::super) fn serve_legs(&mut self, now: Moment) {
        let names = (self.names.call_id.as_str(), self.names.clock);
        for leg in self.state.legs() {
            leg.serve(names, now, &mut self.outputs);
        }
        self.pass_between(now);
        let timeout = self.deadlines.media_timeout;
        if let State::Bridged(bridged) = &self.state
            && bridged.agent.media_deadline(timeout).is_some_and(|deadline| deadline <= now)
        {
            self.end(Reason::AgentLost, now);
        }
    }

    /// Gives the caller what the agent said, and each the other's keys.
    fn pass_between(&mut self, now: Moment) {
        let mut at = 0;
        while let Some(leg) = self.state.legs().get_mut(at) {
            let no = leg.no;
            while let Some(press) = self.state.leg(no).and_then(|leg| leg.poll_digit(now)) {
                self.leg_pressed(no, press, now);
            }
            self.hear_agent(no, now);
            at += 1;
        }
    }

    fn hear_agent(&mut self, no: LegNo, now: Moment) {
        let is_wanted = match &self.state {
            State::Transferring(transferring) => self.is_audible() && transferring.race.rings_alone(no),
            _ => true,
        };
        let is_bridged = matches!(self.state, State::Bridged(_));
        let Some(leg) = self.state.leg(no) else { return };
        let is_heard = is_bridged || (is_wanted && leg.spoke_within(EARLY_PAUSE, now));
        let mut heard = false;
        while let Some(piece) = leg.take_piece() {
            if is_heard {
                self.speaker.push_voice(&piece, now);
                heard = true;
            }
            leg.return_piece(piece);
        }
        if let (true, State::Transferring(transferring)) = (heard, &mut self.state) {
            transferring.others_heard = Some(now);
        }
    }

    /// A leg pressed a key: it accepts, or the caller gets it.
    fn leg_pressed(&mut self, no: LegNo, press: DigitPress, now: Moment) {
        match &mut self.state {
            State::Transferring(transferring) if press.digit.as_char() == ACCEPT_KEY => {
                transferring.race.accepted(no, now);
                self.run_race(now);
            }
            State::Bridged(_) => {
                let keys = one_key(press);
                self.counters.digits_out += 1;
                if self.phone_can(Capability::DigitsToPhone) {
                    self.tell_vendor(&CallCommand::Digits(keys), now);
                } else {
                    // Keys faster than they can sound find no room; a person does not press them.
                    let _ = self.speaker.dial(&keys, now);
                }
            }
            _ => {}
        }
    }

    /// Gives the agent what the caller said; says whether there is one.
    pub(in super::super) fn give_agent(&mut self, piece: &[u8], now: Moment) -> bool {
        let State::Bridged(bridged) = &mut self.state else { return false };
        bridged.agent.push(piece, now);
        true
    }

    /// Gives the agent a key of the caller; says whether there is one.
    pub(in super::super) fn give_agent_key(&mut self, press: DigitPress, now: Moment) -> bool {
        let State::Bridged(bridged) = &mut self.state else { return false };
        bridged.agent.dial(press, now);
        true
    }

    /// Answers the phone because somebody is there for it.
    fn answer_phone(&mut self, was_audible: bool, now: Moment) {
        match &self.phone {
            PhoneLeg::Rtp(_) => self.outputs.plain(PlainOutput::Answer),
            PhoneLeg::Vendor(_) => self.tell_vendor(&CallCommand::Answer, now),
        }
        self.answered(was_audible, now);
    }
}

impl Bridged {
    /// When the agent's leg wants to be served.
    pub(in super::super) fn poll_timeout(&self, media_timeout: Duration) -> Option<Moment> {
        let deadlines = [self.agent.poll_timeout(), self.agent.media_deadline(media_timeout)];
        deadlines.into_iter().flatten().min()
    }

    /// When something of it is due by itself.
    pub(in super::super) fn until(&self) -> Option<Moment> {
        self.race.poll_timeout().into_iter().chain([self.until]).min()
    }

    /// The format in which the agent's line works.
    pub(in super::super) fn format(&self) -> crate::media::MediaFormat {
        self.agent.wanted().format
    }
}

impl fmt::Debug for Bridged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bridged").field("race", &self.race).finish_non_exhaustive()
    }
}

/// The key that accepts a call.
const ACCEPT_KEY: char = '1';

/// A phone that sends nothing for so long is not heard before its answer: the ringing tone is.
const EARLY_PAUSE: Duration = Duration::from_millis(200);
