//! Flows on a call: what one asks for, and the one that is a call's fallback.
//!
//! The flow that takes over from a bot which failed comes like any next bot ([`super::hand_over`]); before the answer
//! the phone rings on meanwhile, and the flow decides when to answer.

use crate::vocabulary::{
    CallEvent, CallFact, Callee, Cause, DialOrder, FlowCommand, FlowDial, FlowEvent, Moment, Reason,
    TransferReport, TransferStatus,
};

use super::state::{FindingBot, State};
use super::{BotWish, Call, Destination, Fallback, NextBotError, QueueOrder, RecordingOrder, setup};

impl Call {
    /// Does what a flow asks.
    pub(super) fn obey_flow(&mut self, command: &FlowCommand, now: Moment) {
        match command {
            FlowCommand::Keep { name, value } => self.keep(name, value),
            FlowCommand::Dial(dial) => self.dial_for_flow(dial, now),
            FlowCommand::StartMessage => self.record_sound(RecordingOrder::StartVoicemail, now),
            FlowCommand::KeepMessage => self.record_sound(RecordingOrder::StopVoicemail, now),
            FlowCommand::DropMessage => self.record_sound(RecordingOrder::DropVoicemail, now),
            FlowCommand::JoinQueue(name) => self.outputs.queue(QueueOrder::Join(name.clone())),
            FlowCommand::StayInQueue => self.outputs.queue(QueueOrder::Stay),
            FlowCommand::LeaveQueue => self.outputs.queue(QueueOrder::Leave),
        }
    }

    /// The line in which the caller stands moves.
    pub(super) fn queue_moved(&mut self, event: FlowEvent, now: Moment) {
        self.tell_bot(&CallEvent::Flow(event), now);
    }

    fn dial_for_flow(&mut self, dial: &FlowDial, now: Moment) {
        let to = dial.to.iter().map(|callee| match callee {
            Callee::Phone(number) => Destination::Phone(number.clone()),
            Callee::Extension(number) => Destination::Extension(number.clone()),
        });
        self.dial_for(to.collect(), (dial.order, dial.ring), DIAL_COMMAND, now);
    }

    /// The call was given to the flow of that name: told as a transfer (seed 000 §7, `handed_off`).
    pub(super) fn report_handed_off(&mut self, flow: Box<str>, since: Moment, now: Moment) {
        let answered_at = Some(now);
        let given = self.given_to(flow, TransferStatus::HandedOff, since, now);
        self.report_given(TransferReport { answered_at, ..given });
    }

    /// Somebody ordered the call to be given to `place`, which cannot have it.
    pub(super) fn report_not_given(
        &mut self,
        (place, since): (Box<str>, Moment),
        reason: Reason,
        now: Moment,
    ) {
        let q850 = Some(Cause::new(reason).row().q850);
        let given = self.given_to(place, TransferStatus::Failed, since, now);
        self.vain_orders += 1;
        self.report_given(TransferReport { q850, ..given });
    }

    fn given_to(
        &self,
        place: Box<str>,
        status: TransferStatus,
        started_at: Moment,
        now: Moment,
    ) -> TransferReport {
        TransferReport {
            sequence: u32::try_from(self.transfers.len() + 1).unwrap_or(u32::MAX),
            order: DialOrder::AllAtOnce,
            status,
            destinations: vec![place],
            answered_by: None,
            started_at,
            answered_at: None,
            ended_at: Some(now),
            q850: None,
            legs: Vec::new(),
        }
    }

    fn report_given(&mut self, report: TransferReport) {
        self.outputs.report(CallFact::Transfer(Box::new(report.clone())));
        self.transfers.push(report);
    }

    fn keep(&mut self, name: &str, value: &str) {
        let pair = (name.to_owned(), value.to_owned());
        let custom = &mut self.names.custom;
        custom.retain(|(older, _)| *older != pair.0);
        if custom.len() < setup::CUSTOM_MAX && setup::fits(&pair) {
            custom.push(pair);
        }
    }

    /// The flow that is the fallback, once: should it fail as well, the caller hears an apology.
    pub(super) fn take_fallback_flow(&mut self) -> Option<Box<str>> {
        match std::mem::take(&mut self.fallback) {
            Fallback::Flow(name) => Some(name),
            other => {
                self.fallback = other;
                None
            }
        }
    }

    /// Lets the phone ring on and waits for the flow that takes the bot's place.
    pub(super) fn await_fallback_flow(&mut self, flow: Box<str>, now: Moment) {
        let until = now + self.deadlines.find_bot;
        self.state = State::FindingBot(FindingBot { until, for_fallback: true });
        self.outputs.reach_next_bot(BotWish::Flow(flow), self.speaker.leg());
    }

    /// Gives an answered call to the flow, however often it was handed over before.
    pub(super) fn hand_to_fallback_flow(&mut self, flow: Box<str>, now: Moment) {
        let State::Talking(talking) = &mut self.state else { return };
        talking.await_next(now + self.deadlines.bot_connect, FALLBACK_COMMAND);
        self.outputs.reach_next_bot(BotWish::Flow(flow), self.speaker.leg());
    }

    pub(super) fn awaits_fallback_flow(&self) -> bool {
        matches!(self.state, State::FindingBot(FindingBot { for_fallback: true, .. }))
    }

    /// There is no such flow, or it cannot be had.
    pub(super) fn fallback_flow_failed(&mut self, error: NextBotError, now: Moment) {
        if self.awaits_fallback_flow() {
            self.bot_failed(error.reason(), now);
        }
    }
}

/// What calls people, towards a flow that is told of a failure.
const DIAL_COMMAND: &str = "dial";

/// What asks for the flow that is a fallback, towards nobody: the bot that could be told has failed.
const FALLBACK_COMMAND: &str = "fallback";
