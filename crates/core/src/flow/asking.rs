//! Menus and numbers to key in: a question, the keys that come, and what follows none or a wrong one.

use crate::dialect::Out;
use crate::vocabulary::{CallCommand, Digit, FlowCommand, Moment};

use super::bot::{FlowBot, Phase};
use super::keypad::{Question, Reply};
use super::{Clip, Spot, Step, Target};

/// Something that is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Asking {
    /// How often it was asked in vain.
    tries: u32,
    keyed: String,
    /// Until when a key may come; none while the question is heard.
    pub(super) until: Option<Moment>,
}

impl FlowBot {
    /// Asks, after `first` if something is to be said before; `tries` times it was asked in vain.
    pub(super) fn ask(
        &mut self,
        question: Question<'_>,
        tries: u32,
        first: Option<&Clip>,
        out: &mut Out<CallCommand>,
    ) -> Option<Spot> {
        self.phase = Phase::Asking(Asking { tries, keyed: String::new(), until: None });
        self.say(first.into_iter().chain([&question.ask().prompt]).cloned(), out);
        None
    }

    /// The question was heard.
    pub(super) fn was_asked(&mut self, now: Moment) {
        let book = self.book.clone();
        if let (Some(question), Phase::Asking(asking)) =
            (book.step(self.spot).and_then(question), &mut self.phase)
        {
            asking.until = Some(now + question.ask().timeout);
        }
    }

    /// The caller pressed a key where something is asked.
    pub(super) fn key_in(&mut self, key: Digit, now: Moment, out: &mut Out<CallCommand>) {
        let book = self.book.clone();
        let Some(question) = book.step(self.spot).and_then(question) else { return };
        let Phase::Asking(asking) = &mut self.phase else { return };
        let reply = question.press(key, &mut asking.keyed);
        asking.until = Some(now + question.ask().timeout);
        self.teller.stop(out);
        self.take_reply(question, reply, Some(&question.ask().invalid), now, out);
    }

    /// No key came in time.
    pub(super) fn asked_in_vain(&mut self, now: Moment, out: &mut Out<CallCommand>) {
        let book = self.book.clone();
        let Some(question) = book.step(self.spot).and_then(question) else { return };
        let Phase::Asking(asking) = &mut self.phase else { return };
        asking.until = None;
        let reply = question.wait_in_vain(&asking.keyed);
        self.take_reply(question, reply, None, now, out);
    }

    /// Nobody took the call to whom a key led: it is said, and the question asked again.
    pub(super) fn ask_again(&mut self, now: Moment, out: &mut Out<CallCommand>) {
        let book = self.book.clone();
        match book.step(self.spot).and_then(question) {
            Some(question) if self.may_go_on() => {
                self.ask(question, 0, Some(&book.house.unavailable), out);
            }
            Some(_) => self.take_leave(out),
            None => self.go(&Target::Next, now, out),
        }
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
        let Phase::Asking(asking) = &mut self.phase else { return };
        match reply {
            Reply::More => {}
            Reply::Chosen(target) => self.go(target, now, out),
            Reply::Complete => {
                if let Question::Digits(gather) = question {
                    let value = std::mem::take(&mut asking.keyed).into();
                    out.hear(CallCommand::Flow(FlowCommand::Keep { name: gather.name.clone(), value }));
                }
                self.go(&Target::Next, now, out);
            }
            Reply::Wrong if asking.tries >= question.ask().retries => {
                self.go(question.otherwise(), now, out);
            }
            Reply::Wrong => {
                let tries = asking.tries + 1;
                self.ask(question, tries, wrong, out);
            }
        }
    }
}

/// What a step asks for, if it does.
fn question(step: &Step) -> Option<Question<'_>> {
    match step {
        Step::Menu(menu) => Some(Question::Key(menu)),
        Step::Gather(gather) => Some(Question::Digits(gather)),
        Step::Play(_)
        | Step::Dial(_)
        | Step::Bot(_)
        | Step::Queue(_)
        | Step::Voicemail(_)
        | Step::Hours { .. }
        | Step::HangUp => None,
    }
}
