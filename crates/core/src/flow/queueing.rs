//! Waiting in a line: music, now and then the place, and the extensions that are free when it is the caller's turn.
//!
//! Who stands where, and who is free, the shell knows: it serves all calls. Here is what one caller meets.

use crate::dialect::Out;
use crate::vocabulary::{CallCommand, Callee, DialOrder, FlowCommand, FlowDial, FlowEvent, Moment};

use super::bot::{FlowBot, Phase};
use super::{Clip, Queue, Spot, Step};

/// A caller in a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Queued {
    /// When waiting is over.
    until: Moment,
    /// When the place is told next.
    announce_at: Option<Moment>,
    /// The place in the line; 0 as long as nobody told it.
    place: u32,
    /// Those whose turn it was are being called.
    is_ringing: bool,
    /// How often that was in vain.
    turns: u32,
}

impl Queued {
    /// What is waited for, while nobody is being called.
    pub(super) fn timeout(&self) -> Option<Moment> {
        let announce = self.announce_at.map_or(self.until, |at| at.min(self.until));
        (!self.is_ringing).then_some(announce)
    }
}

impl FlowBot {
    pub(super) fn join_queue(
        &mut self,
        queue: &Queue,
        now: Moment,
        out: &mut Out<CallCommand>,
    ) -> Option<Spot> {
        self.answer(out);
        self.teller.repeat([queue.greeting.clone(), queue.music.clone()], out);
        self.phase = Phase::Queued(Queued {
            until: now + queue.max_wait,
            announce_at: queue.announce.map(|every| now + every),
            place: 0,
            is_ringing: false,
            turns: 0,
        });
        out.hear(CallCommand::Flow(FlowCommand::JoinQueue(queue.name.clone())));
        None
    }

    /// The line moves.
    pub(super) fn hear_of_queue(&mut self, event: &FlowEvent, now: Moment, out: &mut Out<CallCommand>) {
        let book = self.book.clone();
        let Phase::Queued(queued) = &mut self.phase else { return };
        let Some(Step::Queue(queue)) = book.step(self.spot) else { return };
        match event {
            FlowEvent::Place(place) => queued.place = *place,
            FlowEvent::Turn(agents) if !queued.is_ringing && !agents.is_empty() => {
                queued.is_ringing = true;
                let to = agents.iter().cloned().map(Callee::Extension).collect();
                let dial = FlowDial { to, order: DialOrder::AllAtOnce, ring: queue.ring };
                out.hear(CallCommand::Flow(FlowCommand::Dial(dial)));
            }
            FlowEvent::Turn(_) => {}
            FlowEvent::NoRoom => self.leave_queue(queue, now, out),
        }
    }

    /// Nobody of those who were called took the caller.
    pub(super) fn turn_in_vain(&mut self, now: Moment, out: &mut Out<CallCommand>) {
        let book = self.book.clone();
        let Phase::Queued(queued) = &mut self.phase else { return };
        let Some(Step::Queue(queue)) = book.step(self.spot) else { return };
        queued.is_ringing = false;
        queued.turns += 1;
        if queued.turns >= TURNS_MAX {
            return self.leave_queue(queue, now, out);
        }
        out.hear(CallCommand::Flow(FlowCommand::StayInQueue));
    }

    /// A moment of [`Queued::timeout`] has come.
    pub(super) fn queue_timed_out(&mut self, now: Moment, out: &mut Out<CallCommand>) {
        let book = self.book.clone();
        let Phase::Queued(queued) = &mut self.phase else { return };
        let Some(Step::Queue(queue)) = book.step(self.spot) else { return };
        if queued.until <= now {
            return self.leave_queue(queue, now, out);
        }
        queued.announce_at = queue.announce.map(|every| now + every);
        let number = usize::try_from(queued.place).unwrap_or(usize::MAX);
        let clips = match (number.checked_sub(1), &book.house) {
            // Nobody has told it yet.
            (None, _) => return,
            (Some(index), house) => match house.places.get(index) {
                Some(number) => vec![house.place.clone(), number.clone()],
                None => vec![house.further.clone()],
            },
        };
        self.teller.stop(out);
        self.teller.repeat(clips.into_iter().chain([queue.music.clone()]).collect::<Vec<Clip>>(), out);
    }

    fn leave_queue(&mut self, queue: &Queue, now: Moment, out: &mut Out<CallCommand>) {
        out.hear(CallCommand::Flow(FlowCommand::LeaveQueue));
        self.teller.stop(out);
        self.go(&queue.overflow, now, out);
    }
}

/// How often those whose turn it is may be called in vain for one caller.
pub const TURNS_MAX: u32 = 10;
