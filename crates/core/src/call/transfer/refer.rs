//! Transfers that somebody else carries out or asks for (RFC 3515): the caller's carrier connects it with the one that was
//! wanted, or an agent gives the caller on.

use crate::vocabulary::{DialOrder, Moment, Reason};

use super::super::Call;
use super::super::output::PlainOutput;
use super::super::state::{State, Talking};
use super::race::NORMAL;
use super::{Bridged, Destination, LegNo, Origin, TRANSFERS_MAX};

impl Call {
    /// The caller's own carrier has connected it with that leg's destination: the call goes on without us.
    pub(super) fn leg_taken_over(&mut self, no: LegNo, now: Moment) {
        if self.state.race().is_some_and(|race| race.taken_over(no, now)) {
            self.end(Reason::Transferred, now);
        }
    }

    /// The agent who has the caller gives it on and leaves. If nobody answers, the caller gets the fallback: whoever
    /// gave it away is gone.
    pub(super) fn leg_refers(&mut self, no: LegNo, to: Destination, now: Moment) {
        let is_joined = self.state.race().is_some_and(|race| race.is_joined(no));
        if !is_joined || self.transfers_made() + 1 >= TRANSFERS_MAX {
            return;
        }
        let cname = self.names.call_id.as_str();
        if let Some(leg) = self.state.leg(no) {
            leg.say_goodbye(cname, &mut self.outputs);
        }
        self.outputs.plain(PlainOutput::HangUpLeg(no, NORMAL));
        if let Some(race) = self.state.race() {
            race.gone(no, NORMAL, now);
        }
        self.tell_transfer();
        match std::mem::replace(&mut self.state, State::Ended) {
            State::Bridged(bridged) => {
                let Bridged { until, race, .. } = *bridged;
                self.keep_report(race);
                self.state = State::Talking(Talking { until, hand_over: None });
                let ring = self.transfer_settings.ring;
                self.start_race(vec![to], (DialOrder::AllAtOnce, ring), Origin::Order, now);
            }
            other => self.state = other,
        }
    }
}
