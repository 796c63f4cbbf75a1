//! What must hold for the outputs of every call, whatever came in: a witness that panics at the first break.

use std::collections::VecDeque;

use patchcord_core::call::{Output, TapeKind, TapePiece};
use patchcord_core::dialect::{Wire, WireClass};
use patchcord_core::vocabulary::{CallFact, CallRecord, Direction};
use serde_json::Value;

use super::legs::Legs;
use super::parts::phone_address;

/// Sees every output of one call.
#[derive(Debug, Default)]
pub(super) struct Witness {
    phone: PhoneEnd,
    bot: BotEnd,
    answered: bool,
    /// What was reported last.
    told: Option<CallFact>,
    /// A bot that is to take over was asked for and neither came nor was given up.
    next_is_asked_for: bool,
    bots: usize,
    /// The recordings that run.
    tapes: Vec<Option<TapeKind>>,
    /// The legs of its transfers.
    pub(super) legs: Legs,
    record: Option<Box<CallRecord>>,
}

/// How far the phone is, as far as we told it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum PhoneEnd {
    #[default]
    Silent,
    /// We call it; whether it lets us hear something.
    Dialled {
        early: bool,
    },
    Ringing,
    /// It hears us before the answer.
    EarlyMedia,
    Answered,
    Released,
}

/// The shell's end of the bot's connection.
#[derive(Debug, Default)]
struct BotEnd {
    dialled: bool,
    open: bool,
    paused: bool,
    /// Whether its marks are followed: their form is this dialect's.
    marks: Option<VecDeque<String>>,
}

impl Witness {
    /// The bot at the beginning, or the one that was found, speaks this dialect.
    pub(super) fn bot_speaks(&mut self, dialect: &str) {
        self.bot.marks = (dialect == "ivr-solutions").then(VecDeque::new);
    }

    /// The shell tells that the bot is connected.
    pub(super) fn bot_connects(&mut self) {
        self.bot.open = self.bot.dialled;
    }

    /// The shell tells that the bot's connection is over, if there was one.
    pub(super) fn bot_leaves(&mut self) {
        self.bot.dialled &= !self.bot.open;
        self.bot.open = false;
    }

    /// The bot says something.
    pub(super) fn bot_says(&mut self, text: &str) {
        if let (true, Some(marks)) = (self.bot.open, &mut self.bot.marks)
            && let Ok(message) = serde_json::from_str::<Value>(text)
            && message["event"] == "mark"
            && let Some(name) = message["mark"]["name"].as_str()
        {
            marks.push_back(name.to_owned());
        }
    }

    /// The bot that was asked for can be talked to, or not.
    pub(super) fn next_bot_answers(&mut self, dialect: Option<&str>) -> Option<NextDialect> {
        self.next_is_asked_for = false;
        dialect.map(|dialect| NextDialect(dialect.to_owned()))
    }

    /// The phone that we call lets us hear something before it answers.
    pub(super) fn phone_progresses(&mut self) {
        if let PhoneEnd::Dialled { early } = &mut self.phone {
            *early = true;
        }
    }

    /// The phone that we call answers.
    pub(super) fn phone_answers(&mut self) {
        if let PhoneEnd::Dialled { .. } = self.phone {
            self.phone = PhoneEnd::Answered;
        }
    }

    /// The phone that we call is not reached.
    pub(super) fn phone_refuses(&mut self) {
        if let PhoneEnd::Dialled { .. } = self.phone {
            self.phone = PhoneEnd::Released;
        }
    }

    pub(super) fn record(&self) -> Option<&CallRecord> {
        self.record.as_deref()
    }

    /// Sees one output; `next` is the bot that may take over.
    pub(super) fn see(&mut self, output: Output<'_>, next: Option<&NextDialect>) {
        assert!(self.record.is_none(), "after the end: {output:?}");
        match output {
            Output::DialPhone(_) => self.phone_goes(&[PhoneEnd::Silent], PhoneEnd::Dialled { early: false }),
            Output::CancelPhone(_) => self.phone_goes(&DIALLED, PhoneEnd::Released),
            Output::Ring => self.phone_goes(&[PhoneEnd::Silent], PhoneEnd::Ringing),
            Output::Progress => self.phone_goes(&[PhoneEnd::Ringing], PhoneEnd::EarlyMedia),
            Output::Answer => self.phone_goes(UNANSWERED, PhoneEnd::Answered),
            Output::Reject { .. } => self.phone_goes(UNANSWERED, PhoneEnd::Released),
            Output::HangUpPhone(_) => self.phone_goes(&[PhoneEnd::Answered], PhoneEnd::Released),
            Output::ClosePhone(_) => {
                assert_ne!(self.phone, PhoneEnd::Released, "the vendor is closed twice");
                self.phone = PhoneEnd::Released;
            }
            Output::Answered => {
                assert!(!std::mem::replace(&mut self.answered, true), "answered twice");
            }
            Output::Rtp { to, .. } | Output::Rtcp { to, .. } => {
                assert_eq!(to.ip(), phone_address().ip(), "a stranger is sent to");
                let hears = matches!(
                    self.phone,
                    PhoneEnd::EarlyMedia | PhoneEnd::Answered | PhoneEnd::Dialled { early: true }
                );
                assert!(hears, "a phone that has no call is sent to");
            }
            Output::PhoneWire(class, wire) => {
                assert_ne!(self.phone, PhoneEnd::Released, "a closed vendor is sent to");
                read(class, wire);
            }
            Output::FindBot => {}
            Output::ConnectBot => {
                assert!(!std::mem::replace(&mut self.bot.dialled, true), "the bot is dialled twice");
            }
            Output::BotWire(class, wire) => {
                assert!(self.bot.open, "a bot that is not connected is sent {wire:?}");
                if let Some(message) = read(class, wire) {
                    self.bot.hears(&message);
                }
            }
            Output::CloseBot(_) => (self.bot.open, self.bot.dialled) = (false, false),
            Output::PauseBot => assert!(!std::mem::replace(&mut self.bot.paused, true), "paused twice"),
            Output::ResumeBot => assert!(std::mem::take(&mut self.bot.paused), "resumed unasked"),
            Output::ReachNextBot { .. } => {
                assert!(!std::mem::replace(&mut self.next_is_asked_for, true), "two bots are to take over");
            }
            Output::NextBotTakesOver => self.takes_over(next),
            Output::DropNextBot => self.next_is_asked_for = false,
            Output::Queue(_) | Output::RunTool(_) => {}
            Output::Tape(kind, piece) => self.tapes(Some(kind), piece),
            Output::Overheard(piece) => self.tapes(None, piece),
            Output::Loudness { levels, .. } => assert!(!levels.is_empty() && levels.len() % 2 == 0),
            Output::Leg(leg, order) => self.legs.see(leg, &order),
            Output::Report(CallFact::Transfer(report)) => self.legs.hear(*report),
            Output::Report(fact) => self.is_told(&fact),
            Output::Ended(record) => {
                assert!(self.tapes.is_empty(), "recordings of a call that is over: {:?}", self.tapes);
                self.legs.see_end(&record);
                assert_eq!(record.earlier_bots.len(), self.bots, "bots of the record");
                assert!(record.answered_at.is_none() || self.answered, "an answer that nobody gave");
                let is_up = record.answered_at.is_some();
                let was_up = self.told == Some(CallFact::InProgress);
                // A caller may cancel what we have answered; whom we call cannot.
                assert!(is_up == was_up || (was_up && record.direction == Direction::Inbound));
                assert!(record.started_at <= record.ended_at);
                assert!(!self.next_is_asked_for, "a bot is still on its way to a call that is over");
                assert!(!self.bot.open, "the bot was not told that the call is over");
                self.record = Some(record);
            }
        }
    }

    /// It rings at most once, and before the answer, which comes at most once.
    fn is_told(&mut self, fact: &CallFact) {
        let earlier: &[Option<CallFact>] = match fact {
            CallFact::Ringing => &[None],
            CallFact::InProgress => &[None, Some(CallFact::Ringing)],
            CallFact::Transfer(_)
            | CallFact::EngineConnected
            | CallFact::StopReceived
            | CallFact::Misread(..)
            | CallFact::Utterance(_)
            | CallFact::Fields(_)
            | CallFact::Timeline(_) => return,
        };
        assert!(earlier.contains(&self.told), "{fact:?} after {:?}", self.told);
        self.told = Some(fact.clone());
    }

    fn takes_over(&mut self, next: Option<&NextDialect>) {
        let Some(NextDialect(dialect)) = next else { panic!("nobody can take over") };
        assert!(!self.bot.open, "the first bot is not let go");
        self.bots += 1;
        let is_remote = dialect != "built-in";
        self.bot = BotEnd { dialled: is_remote, open: is_remote, ..BotEnd::default() };
        self.bot_speaks(dialect);
    }

    /// A recording, or without a kind what listeners hear.
    fn tapes(&mut self, kind: Option<TapeKind>, piece: TapePiece<'_>) {
        let runs = self.tapes.contains(&kind);
        match piece {
            TapePiece::Started { sample_rate } => {
                assert!(!runs && sample_rate >= 8_000, "{kind:?} begins twice");
                self.tapes.push(kind);
            }
            TapePiece::Sound(samples) => {
                assert!(
                    runs && samples.len() % kind.unwrap_or(TapeKind::Call).channels() == 0,
                    "{kind:?} has no beginning"
                );
            }
            TapePiece::Silence(_) | TapePiece::BotPartEnds(_) => assert!(runs, "{kind:?} has no beginning"),
            TapePiece::Stopped | TapePiece::Dropped => {
                assert!(runs, "{kind:?} has no beginning");
                self.tapes.retain(|other| *other != kind);
            }
        }
    }

    fn phone_goes(&mut self, from: &[PhoneEnd], to: PhoneEnd) {
        assert!(from.contains(&self.phone), "the phone cannot go from {:?} to {to:?}", self.phone);
        self.phone = to;
    }
}

impl BotEnd {
    /// Marks come back in order, each once, and all of them before a clear and before the end of a bot that stays.
    fn hears(&mut self, message: &Value) {
        let Some(marks) = &mut self.marks else { return };
        let stops = message["event"] == "stop" && message["stop"]["reason"] == "stopped";
        if message["event"] == "mark" {
            let answered = message["mark"]["name"].as_str();
            assert_eq!(answered, marks.pop_front().as_deref(), "a mark out of turn");
        } else if message["event"] == "clear" || stops {
            assert!(marks.is_empty(), "marks are left unanswered: {marks:?}");
        } else if message["error"]["code"] == "too_many_marks" {
            marks.pop_back();
        }
    }
}

/// A phone that we call and that has not answered.
const DIALLED: [PhoneEnd; 2] = [PhoneEnd::Dialled { early: false }, PhoneEnd::Dialled { early: true }];

/// A phone that can still be answered or refused.
const UNANSWERED: &[PhoneEnd] = &[PhoneEnd::Ringing, PhoneEnd::EarlyMedia];

/// The dialect of a bot that may take over.
#[derive(Debug)]
pub(super) struct NextDialect(String);

/// What we write is JSON.
fn read(class: WireClass, wire: Wire<'_>) -> Option<Value> {
    let (WireClass::Control, Wire::Text(text)) = (class, wire) else { return None };
    Some(serde_json::from_str(text).unwrap_or_else(|error| panic!("we wrote {text}: {error}")))
}
