//! A flow on one call: walks from step to step, asks, waits, and gives the call to whom the flow leads.
//!
//! It has an answer gate, so that a step which needs no voice can be taken while the phone still rings.

use std::fmt;
use std::sync::Arc;

use crate::dialect::{Capability, Dialect, Malformed, Out, Wire};
use crate::media::MediaFormat;
use crate::vocabulary::{
    CallCommand, CallEvent, Digit, FlowCommand, FlowDial, HangUpWhen, Moment, Transfer, TransferTo, WallClock,
};

use super::asking::Asking;
use super::keypad::Question;
use super::message::Message;
use super::queueing::Queued;
use super::teller::Teller;
use super::{Clip, FlowBook, Spot, Step, Target};

/// The flow of one call.
pub struct FlowBot {
    pub(super) format: MediaFormat,
    pub(super) book: Arc<FlowBook>,
    /// The step that is being taken.
    pub(super) spot: Spot,
    pub(super) phase: Phase,
    pub(super) teller: Teller,
    /// Steps taken so far.
    steps: u32,
    is_answered: bool,
    clock: Option<WallClock>,
}

/// What a flow is doing.
pub(super) enum Phase {
    /// The call has not begun.
    Waiting,
    /// A clip is heard, the next step follows.
    Playing,
    /// Something is asked.
    Asking(Asking),
    /// Somebody else is to take the call.
    HandingOver(OnRefusal),
    /// The caller stands in a line.
    Queued(Queued),
    /// The greeting of a voicemail is heard.
    BeforeMessage,
    /// The caller leaves a message.
    Message(Box<Message>),
    /// The last word was said, or the call has another bot.
    Left,
}

/// What follows when somebody else cannot take the call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OnRefusal {
    /// The next step.
    Next,
    /// The question that led there, after an apology.
    AskAgain,
}

impl FlowBot {
    /// The flow of `book` that begins at `spot`, in the audio `format`.
    pub fn new(book: Arc<FlowBook>, spot: Spot, format: MediaFormat) -> Self {
        Self {
            format,
            book,
            spot,
            phase: Phase::Waiting,
            teller: Teller::new(format),
            steps: 0,
            is_answered: false,
            clock: None,
        }
    }

    /// Goes on at `target`, through every step that takes no time.
    pub(super) fn go(&mut self, target: &Target, now: Moment, out: &mut Out<CallCommand>) {
        let book = self.book.clone();
        let mut next = self.follow(target, OnRefusal::AskAgain, out);
        while let Some(spot) = next {
            if !self.may_go_on() {
                return self.take_leave(out);
            }
            self.spot = spot;
            next = match book.step(spot) {
                Some(step) => self.begin(step, now, out),
                None => self.hang_up(out),
            };
        }
    }

    /// Counts a step; says whether another one may be taken.
    pub(super) fn may_go_on(&mut self) -> bool {
        self.steps += 1;
        self.steps <= STEPS_MAX
    }

    /// Says goodbye to a caller who walks in circles.
    pub(super) fn take_leave(&mut self, out: &mut Out<CallCommand>) {
        let goodbye = self.book.house.goodbye.clone();
        self.say([goodbye], out);
        self.hang_up(out);
    }

    pub(super) fn say(&mut self, clips: impl IntoIterator<Item = Clip>, out: &mut Out<CallCommand>) {
        self.answer(out);
        self.teller.say(clips, out);
    }

    pub(super) fn answer(&mut self, out: &mut Out<CallCommand>) {
        if !std::mem::replace(&mut self.is_answered, true) {
            out.hear(CallCommand::Answer);
        }
    }

    /// The step that `target` means; none if the call goes elsewhere.
    fn follow(&mut self, target: &Target, refused: OnRefusal, out: &mut Out<CallCommand>) -> Option<Spot> {
        match target {
            Target::Next => Some(self.spot.next()),
            Target::Again => Some(self.spot),
            Target::Step(spot) => Some(*spot),
            Target::Bot(name) => self.hand_to_bot(name, refused, out),
            Target::Dial(dial) => self.dial(dial, refused, out),
            Target::HangUp => self.hang_up(out),
        }
    }

    /// Begins a step; gives the one to go on with if it takes no time.
    fn begin(&mut self, step: &Step, now: Moment, out: &mut Out<CallCommand>) -> Option<Spot> {
        match step {
            Step::Play(clip) => {
                self.phase = Phase::Playing;
                self.say([clip.clone()], out);
                None
            }
            Step::Menu(menu) => self.ask(Question::Key(menu), 0, None, out),
            Step::Gather(gather) => self.ask(Question::Digits(gather), 0, None, out),
            Step::Dial(dial) => self.dial(dial, OnRefusal::Next, out),
            Step::Bot(name) => self.hand_to_bot(name, OnRefusal::Next, out),
            Step::Queue(queue) => self.join_queue(queue, now, out),
            Step::Voicemail(voicemail) => self.greet_for_message(voicemail, out),
            Step::Hours { hours, open, closed } => {
                let is_open = self.clock.is_some_and(|clock| hours.is_open(clock.unix_ms(now)));
                self.follow(if is_open { open } else { closed }, OnRefusal::Next, out)
            }
            Step::HangUp => self.hang_up(out),
        }
    }

    fn hand_to_bot(&mut self, name: &str, then: OnRefusal, out: &mut Out<CallCommand>) -> Option<Spot> {
        self.answer(out);
        self.teller.forget();
        self.phase = Phase::HandingOver(then);
        let to = TransferTo::NamedBot(name.into());
        out.hear(CallCommand::Transfer(Transfer { to, command: COMMAND }));
        None
    }

    /// Calls people; a phone that still rings goes on ringing until one of them answers.
    fn dial(&mut self, dial: &FlowDial, then: OnRefusal, out: &mut Out<CallCommand>) -> Option<Spot> {
        self.teller.forget();
        self.phase = Phase::HandingOver(then);
        out.hear(CallCommand::Flow(FlowCommand::Dial(dial.clone())));
        None
    }

    fn hang_up(&mut self, out: &mut Out<CallCommand>) -> Option<Spot> {
        self.teller.forget();
        self.phase = Phase::Left;
        out.hear(CallCommand::HangUp(HangUpWhen::AfterPlayout));
        None
    }

    fn press(&mut self, key: Digit, now: Moment, out: &mut Out<CallCommand>) {
        match &self.phase {
            Phase::Asking(_) => self.key_in(key, now, out),
            Phase::Message(_) => self.press_in_message(key, now, out),
            Phase::Waiting
            | Phase::Playing
            | Phase::HandingOver(_)
            | Phase::Queued(_)
            | Phase::BeforeMessage
            | Phase::Left => {}
        }
    }

    /// The call was not taken by the one it was to be given to.
    fn refused(&mut self, now: Moment, out: &mut Out<CallCommand>) {
        match &self.phase {
            Phase::HandingOver(OnRefusal::Next) => self.go(&Target::Next, now, out),
            Phase::HandingOver(OnRefusal::AskAgain) => self.ask_again(now, out),
            Phase::Queued(_) => self.turn_in_vain(now, out),
            Phase::Waiting
            | Phase::Playing
            | Phase::Asking(_)
            | Phase::BeforeMessage
            | Phase::Message(_)
            | Phase::Left => {}
        }
    }

    /// What was said has been heard.
    fn told(&mut self, now: Moment, out: &mut Out<CallCommand>) {
        match &self.phase {
            Phase::Playing => self.go(&Target::Next, now, out),
            Phase::Asking(_) => self.was_asked(now),
            Phase::BeforeMessage => self.begin_message(now, out),
            Phase::Waiting | Phase::HandingOver(_) | Phase::Queued(_) | Phase::Message(_) | Phase::Left => {}
        }
    }

    /// The call is over, or has another bot.
    fn part(&mut self, now: Moment, out: &mut Out<CallCommand>) {
        self.teller.forget();
        self.close_message(now, out);
        if let Phase::Queued(_) = self.phase {
            out.hear(CallCommand::Flow(FlowCommand::LeaveQueue));
        }
        self.phase = Phase::Left;
    }
}

impl Dialect for FlowBot {
    type Say = CallEvent;
    type Hear = CallCommand;

    fn format(&self) -> MediaFormat {
        self.format
    }

    fn encode(&mut self, say: &CallEvent, now: Moment, out: &mut Out<CallCommand>) {
        match say {
            CallEvent::Started(start) if matches!(self.phase, Phase::Waiting) => {
                self.clock = Some(start.clock);
                let first = Target::Step(self.spot);
                self.go(&first, now, out);
            }
            CallEvent::Digit(press) => self.press(press.digit, now, out),
            CallEvent::Mark { name, outcome } => {
                if self.teller.heard(name, *outcome, out) {
                    self.told(now, out);
                }
            }
            CallEvent::Refused(_) => self.refused(now, out),
            CallEvent::Flow(event) => self.hear_of_queue(event, now, out),
            CallEvent::Ended(_) => self.part(now, out),
            CallEvent::Started(_)
            | CallEvent::Cleared
            | CallEvent::Record(_)
            | CallEvent::Speech(_)
            | CallEvent::Unknown(_) => {}
        }
    }

    fn encode_audio(&mut self, audio: &[u8], now: Moment, _out: &mut Out<CallCommand>) {
        self.hear_message(audio, now);
    }

    fn decode(&mut self, _: Wire<'_>, _: Moment, _: &mut Out<CallCommand>) -> Result<(), Malformed> {
        Err(Malformed::Unexpected("a message"))
    }

    fn poll_timeout(&self) -> Option<Moment> {
        match &self.phase {
            Phase::Asking(asking) => asking.until,
            Phase::Queued(queued) => queued.timeout(),
            Phase::Message(message) => Some(message.until()),
            Phase::Waiting | Phase::Playing | Phase::HandingOver(_) | Phase::BeforeMessage | Phase::Left => {
                None
            }
        }
    }

    fn handle_timeout(&mut self, now: Moment, out: &mut Out<CallCommand>) {
        if self.poll_timeout().is_none_or(|until| until > now) {
            return;
        }
        match &self.phase {
            Phase::Asking(_) => self.asked_in_vain(now, out),
            Phase::Queued(_) => self.queue_timed_out(now, out),
            Phase::Message(_) => self.end_message(now, out),
            Phase::Waiting | Phase::Playing | Phase::HandingOver(_) | Phase::BeforeMessage | Phase::Left => {}
        }
    }

    fn capabilities(&self) -> &'static [Capability] {
        &[
            Capability::AnswerGate,
            Capability::Marks,
            Capability::Clear,
            Capability::DigitsToBot,
            Capability::HangUp,
            Capability::Transfer,
        ]
    }
}

impl fmt::Debug for FlowBot {
    /// Leaves out what the caller keyed in.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FlowBot")
            .field("spot", &self.spot)
            .field("steps", &self.steps)
            .finish_non_exhaustive()
    }
}

/// Steps of flows that one call can take.
pub const STEPS_MAX: u32 = 64;

/// The command's name towards the call.
const COMMAND: &str = "flow";
