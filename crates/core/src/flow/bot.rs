//! A flow on one call: walks from step to step, asks, waits, and gives the call to whom the flow leads.
//!
//! It has an answer gate, so that a step which needs no voice can be taken while the phone still rings.

use std::fmt;
use std::sync::Arc;

use crate::dialect::{Capability, Dialect, Malformed, Out, Wire};
use crate::media::MediaFormat;
use crate::vocabulary::{
    CallCommand, CallEvent, Digit, FlowCommand, HangUpWhen, Moment, Transfer, TransferTo, WallClock,
};

use super::keypad::{Question, Reply};
use super::teller::Teller;
use super::{Clip, FlowBook, Spot, Step, Target};

/// The flow of one call.
pub struct FlowBot {
    format: MediaFormat,
    book: Arc<FlowBook>,
    /// The step that is being taken.
    spot: Spot,
    phase: Phase,
    teller: Teller,
    /// Steps taken so far.
    steps: u32,
    is_answered: bool,
    clock: Option<WallClock>,
}

/// What a flow is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Phase {
    /// The call has not begun.
    Waiting,
    /// A clip is heard, the next step follows.
    Playing,
    /// Something is asked; the question is heard, or an answer may come until then.
    Asking { tries: u32, keyed: String, until: Option<Moment> },
    /// Somebody else is to take the call.
    HandingOver(OnRefusal),
    /// The last word was said, or the call has another bot.
    Left,
}

/// What follows when somebody else cannot take the call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum OnRefusal {
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
    fn go(&mut self, target: &Target, now: Moment, out: &mut Out<CallCommand>) {
        let book = self.book.clone();
        let mut next = self.follow(target, out);
        while let Some(spot) = next {
            self.steps += 1;
            if self.steps > STEPS_MAX {
                return self.take_leave(out);
            }
            self.spot = spot;
            next = match book.step(spot) {
                Some(step) => self.begin(step, now, out),
                None => self.hang_up(out),
            };
        }
    }

    /// The step that `target` means; none if the call goes elsewhere.
    fn follow(&mut self, target: &Target, out: &mut Out<CallCommand>) -> Option<Spot> {
        match target {
            Target::Next => Some(self.spot.next()),
            Target::Again => Some(self.spot),
            Target::Step(spot) => Some(*spot),
            Target::Bot(name) => self.hand_to_bot(name, OnRefusal::AskAgain, out),
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
            Step::Bot(name) => self.hand_to_bot(name, OnRefusal::Next, out),
            Step::Hours { hours, open, closed } => {
                let is_open = self.clock.is_some_and(|clock| hours.is_open(clock.unix_ms(now)));
                self.follow(if is_open { open } else { closed }, out)
            }
            Step::HangUp => self.hang_up(out),
        }
    }

    /// Asks, after `first` if something is to be said before; `tries` times it was asked in vain.
    fn ask(
        &mut self,
        question: Question<'_>,
        tries: u32,
        first: Option<&Clip>,
        out: &mut Out<CallCommand>,
    ) -> Option<Spot> {
        self.phase = Phase::Asking { tries, keyed: String::new(), until: None };
        self.say(first.into_iter().chain([&question.ask().prompt]).cloned(), out);
        None
    }

    /// The caller pressed a key.
    fn press(&mut self, key: Digit, now: Moment, out: &mut Out<CallCommand>) {
        let book = self.book.clone();
        let Some(question) = book.step(self.spot).and_then(question) else { return };
        let Phase::Asking { keyed, until, .. } = &mut self.phase else { return };
        let reply = question.press(key, keyed);
        *until = Some(now + question.ask().timeout);
        self.teller.stop(out);
        self.take_reply(question, reply, Some(&question.ask().invalid), now, out);
    }

    /// Goes where the answer leads; after a wrong one it is asked again, and `wrong` said before.
    fn take_reply(
        &mut self,
        question: Question<'_>,
        reply: Reply<'_>,
        wrong: Option<&Clip>,
        now: Moment,
        out: &mut Out<CallCommand>,
    ) {
        let Phase::Asking { tries, keyed, .. } = &mut self.phase else { return };
        match reply {
            Reply::More => {}
            Reply::Chosen(target) => self.go(target, now, out),
            Reply::Complete => {
                if let Question::Digits(gather) = question {
                    let value = std::mem::take(keyed).into();
                    out.hear(CallCommand::Flow(FlowCommand::Keep { name: gather.name.clone(), value }));
                }
                self.go(&Target::Next, now, out);
            }
            Reply::Wrong if *tries >= question.ask().retries => self.go(question.otherwise(), now, out),
            Reply::Wrong => {
                let tries = *tries + 1;
                self.ask(question, tries, wrong, out);
            }
        }
    }

    /// The call was not taken by the one it was to be given to.
    fn refused(&mut self, now: Moment, out: &mut Out<CallCommand>) {
        let Phase::HandingOver(on_refusal) = self.phase else { return };
        let book = self.book.clone();
        match (on_refusal, book.step(self.spot).and_then(question)) {
            (OnRefusal::AskAgain, Some(question)) => {
                self.steps += 1;
                if self.steps > STEPS_MAX {
                    return self.take_leave(out);
                }
                self.ask(question, 0, Some(&book.house.unavailable), out);
            }
            (OnRefusal::AskAgain, None) | (OnRefusal::Next, _) => self.go(&Target::Next, now, out),
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

    fn hang_up(&mut self, out: &mut Out<CallCommand>) -> Option<Spot> {
        self.teller.forget();
        self.phase = Phase::Left;
        out.hear(CallCommand::HangUp(HangUpWhen::AfterPlayout));
        None
    }

    /// Says goodbye to a caller who walks in circles.
    fn take_leave(&mut self, out: &mut Out<CallCommand>) {
        let goodbye = self.book.house.goodbye.clone();
        self.say([goodbye], out);
        self.hang_up(out);
    }

    fn say(&mut self, clips: impl IntoIterator<Item = Clip>, out: &mut Out<CallCommand>) {
        self.answer(out);
        self.teller.say(clips, out);
    }

    fn answer(&mut self, out: &mut Out<CallCommand>) {
        if !std::mem::replace(&mut self.is_answered, true) {
            out.hear(CallCommand::Answer);
        }
    }

    /// What was said has been heard.
    fn told(&mut self, now: Moment, out: &mut Out<CallCommand>) {
        match &mut self.phase {
            Phase::Playing => self.go(&Target::Next, now, out),
            Phase::Asking { until, .. } => {
                let book = self.book.clone();
                if let Some(question) = book.step(self.spot).and_then(question) {
                    *until = Some(now + question.ask().timeout);
                }
            }
            Phase::Waiting | Phase::HandingOver(_) | Phase::Left => {}
        }
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
            CallEvent::Started(start) if self.phase == Phase::Waiting => {
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
            CallEvent::Ended(_) => {
                self.teller.forget();
                self.phase = Phase::Left;
            }
            CallEvent::Started(_) | CallEvent::Cleared | CallEvent::Record(_) | CallEvent::Unknown(_) => {}
        }
    }

    fn encode_audio(&mut self, _audio: &[u8], _now: Moment, _out: &mut Out<CallCommand>) {}

    fn decode(&mut self, _: Wire<'_>, _: Moment, _: &mut Out<CallCommand>) -> Result<(), Malformed> {
        Err(Malformed::Unexpected("a message"))
    }

    fn poll_timeout(&self) -> Option<Moment> {
        match self.phase {
            Phase::Asking { until, .. } => until,
            Phase::Waiting | Phase::Playing | Phase::HandingOver(_) | Phase::Left => None,
        }
    }

    fn handle_timeout(&mut self, now: Moment, out: &mut Out<CallCommand>) {
        if self.poll_timeout().is_none_or(|until| until > now) {
            return;
        }
        let book = self.book.clone();
        let Some(question) = book.step(self.spot).and_then(question) else { return };
        let Phase::Asking { keyed, until, .. } = &mut self.phase else { return };
        *until = None;
        let reply = question.wait_in_vain(keyed);
        self.take_reply(question, reply, None, now, out);
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

/// What a step asks for, if it does.
fn question(step: &Step) -> Option<Question<'_>> {
    match step {
        Step::Menu(menu) => Some(Question::Key(menu)),
        Step::Gather(gather) => Some(Question::Digits(gather)),
        Step::Play(_) | Step::Bot(_) | Step::Hours { .. } | Step::HangUp => None,
    }
}

/// Steps of flows that one call can take.
pub const STEPS_MAX: u32 = 64;

/// The command's name towards the call.
const COMMAND: &str = "flow";
