//! Flows in virtual time: a caller who hears, waits and presses keys, told as tables of what they do and what follows.

mod laws;
mod people;
mod steps;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::dialect::{Dialect, Heard, Out};
use crate::media::MediaFormat;
use crate::vocabulary::{
    CallCommand, CallEvent, CallId, CallStart, Callee, Cause, CommandRefusal, DialOrder, Digit, DigitPress,
    Direction, EndedStream, FlowCommand, FlowDial, FlowEvent, HangUpWhen, MarkOutcome, Moment, PhoneNumber,
    Reason, StreamId, Transfer, TransferTo, WallClock,
};

/// A phone that plays what a flow says, in virtual time.
struct Caller {
    flow: FlowBot,
    out: Out<CallCommand>,
    now: Moment,
    /// What was said and not yet heard: samples of a clip by its letter, and marks between.
    line: VecDeque<Said>,
    hears: Option<char>,
    /// What happened since it was last asked.
    deeds: Vec<String>,
    hangs_up_after: bool,
}

enum Said {
    Samples(char, usize),
    Mark(Box<str>),
}

/// Monday, 2026-01-05, 10:00 UTC.
const MONDAY_TEN: u64 = 1_767_607_200_000;

impl Caller {
    fn new(book: &FlowBook, name: &str) -> Self {
        let spot = book.find(name).unwrap();
        Self {
            flow: FlowBot::new(Arc::new(book.clone()), spot, MediaFormat::PCMU_8K),
            out: Out::new(),
            now: Moment::from_millis(1_000),
            line: VecDeque::new(),
            hears: None,
            deeds: Vec::new(),
            hangs_up_after: false,
        }
    }

    /// Does what `action` says; gives what followed, joined by commas.
    fn act(&mut self, action: &str) -> String {
        match action.split_once(' ').unwrap_or((action, "")) {
            ("start", "") => self.tell(&CallEvent::Started(Box::new(start(self.now)))),
            ("press", keys) => {
                for key in keys.chars() {
                    let digit = Digit::try_from(key).unwrap();
                    self.tell(&CallEvent::Digit(DigitPress { digit, duration: None }));
                }
            }
            ("wait", text) => {
                let ms = text.strip_suffix("ms").map_or_else(
                    || text.strip_suffix('s').unwrap().parse::<u64>().unwrap() * 1_000,
                    |ms| ms.parse().unwrap(),
                );
                self.wait(Duration::from_millis(ms));
            }
            ("refuse", code) => {
                let code = if code.is_empty() { "not_reached" } else { "other" };
                let refusal = CommandRefusal { code, message: String::new(), command: "flow".into() };
                self.tell(&CallEvent::Refused(refusal));
            }
            ("speak", ms) => self.speak(ms.parse().unwrap()),
            ("place", number) => self.tell(&CallEvent::Flow(FlowEvent::Place(number.parse().unwrap()))),
            ("turn", agents) => {
                let agents = agents.split(' ').map(Box::from).collect();
                self.tell(&CallEvent::Flow(FlowEvent::Turn(agents)));
            }
            ("full", "") => self.tell(&CallEvent::Flow(FlowEvent::NoRoom)),
            ("hand", "over") => self.tell(&CallEvent::Ended(EndedStream::Handed)),
            ("hang", "up") => {
                let cause = Cause::new(Reason::CallerHungUp);
                self.tell(&CallEvent::Ended(EndedStream::CallEnded(cause)));
            }
            _ => panic!("no action: {action}"),
        }
        std::mem::take(&mut self.deeds).join(", ")
    }

    fn tell(&mut self, event: &CallEvent) {
        self.flow.encode(event, self.now, &mut self.out);
        self.take();
    }

    /// Lets time pass in steps of 10 ms: what is said is heard, marks come back, deadlines fire.
    fn wait(&mut self, duration: Duration) {
        let end = self.now + duration;
        while self.now < end {
            if self.line.is_empty() && !self.hangs_up_after && self.flow.poll_timeout().is_none() {
                self.now = end;
                return;
            }
            self.now = self.now + Duration::from_millis(10);
            self.hear(80);
            if self.flow.poll_timeout().is_some_and(|at| at <= self.now) {
                self.flow.handle_timeout(self.now, &mut self.out);
                self.take();
            }
        }
    }

    /// The caller speaks for that long, a word of 200 ms and a pause of 100 in turn.
    fn speak(&mut self, ms: u64) {
        let (loud, quiet) = ([0x10, 0x90].repeat(80), vec![0xFF; 160]);
        for frame in 0..ms / 20 {
            let audio = if frame % 15 < 10 { &loud } else { &quiet };
            self.flow.encode_audio(audio, self.now, &mut self.out);
            self.wait(Duration::from_millis(20));
        }
    }

    fn hear(&mut self, mut samples: usize) {
        loop {
            match self.line.front_mut() {
                Some(Said::Samples(clip, left)) => {
                    if samples == 0 {
                        return;
                    }
                    let clip = *clip;
                    let heard = samples.min(*left);
                    (*left, samples) = (*left - heard, samples - heard);
                    if *left == 0 {
                        self.line.pop_front();
                    }
                    if self.hears.replace(clip) != Some(clip) {
                        self.deeds.push(format!("hears {clip}"));
                    }
                }
                Some(Said::Mark(name)) => {
                    let name = std::mem::take(name);
                    self.line.pop_front();
                    self.tell(&CallEvent::Mark { name, outcome: MarkOutcome::Played });
                }
                None => {
                    self.hears = None;
                    if std::mem::take(&mut self.hangs_up_after) {
                        self.deeds.push("hung up".to_owned());
                    }
                    return;
                }
            }
        }
    }

    /// Takes what the flow said and did.
    fn take(&mut self) {
        let mut out = std::mem::take(&mut self.out);
        for heard in out.take_heard() {
            match heard {
                Heard::Audio(span) => self.take_audio(out.audio(&span)),
                Heard::Item(CallCommand::Mark { name }) => self.line.push_back(Said::Mark(name)),
                Heard::Item(CallCommand::Clear) => self.clear(),
                Heard::Item(CallCommand::Answer) => self.deeds.push("answered".to_owned()),
                Heard::Item(CallCommand::HangUp(HangUpWhen::AfterPlayout)) => self.hangs_up_after = true,
                Heard::Item(CallCommand::Flow(command)) => self.deeds.push(deed(&command)),
                Heard::Item(CallCommand::Transfer(Transfer { to: TransferTo::NamedBot(name), .. })) => {
                    self.deeds.push(format!("bot {name}"));
                }
                Heard::Item(other) => panic!("{other:?}"),
            }
        }
        out.clear();
        self.out = out;
    }

    fn take_audio(&mut self, audio: &[u8]) {
        for run in audio.chunk_by(|one, next| one == next) {
            self.line.push_back(Said::Samples(char::from(run[0]), run.len()));
        }
    }

    fn clear(&mut self) {
        self.deeds.push("cleared".to_owned());
        self.hears = None;
        for said in std::mem::take(&mut self.line) {
            if let Said::Mark(name) = said {
                self.tell(&CallEvent::Mark { name, outcome: MarkOutcome::Cleared });
            }
        }
    }
}

/// What a flow asked for, in words.
fn deed(command: &FlowCommand) -> String {
    match command {
        FlowCommand::Keep { name, value } => format!("{name} = {value}"),
        FlowCommand::Dial(FlowDial { to, order, ring }) => {
            let to: Vec<&str> = to
                .iter()
                .map(|callee| match callee {
                    Callee::Phone(number) => number.as_str(),
                    Callee::Extension(number) => number,
                })
                .collect();
            let order = if *order == DialOrder::AllAtOnce { "" } else { " in turn" };
            format!("dials {}{order} for {} s", to.join(" "), ring.as_secs())
        }
        FlowCommand::StartMessage => "records".to_owned(),
        FlowCommand::KeepMessage => "kept".to_owned(),
        FlowCommand::DropMessage => "dropped".to_owned(),
        FlowCommand::JoinQueue(name) => format!("joins {name}"),
        FlowCommand::StayInQueue => "stays".to_owned(),
        FlowCommand::LeaveQueue => "leaves".to_owned(),
    }
}

/// Walks through a table of actions and what each is followed by.
fn walk(book: &FlowBook, flow: &str, table: &[(&str, &str)]) {
    let mut caller = Caller::new(book, flow);
    for (line, (action, expected)) in table.iter().enumerate() {
        assert_eq!(caller.act(action), *expected, "line {}: {action}", line + 1);
    }
}

fn start(now: Moment) -> CallStart {
    CallStart {
        call_id: CallId::from_wire("call_1"),
        stream_id: StreamId::from_wire("1.1"),
        other_leg_id: "leg".to_owned(),
        account: "patchcord".to_owned(),
        from: PhoneNumber::new("9876543210"),
        to: PhoneNumber::new("18001234567"),
        country: None,
        direction: Direction::Inbound,
        format: MediaFormat::PCMU_8K,
        custom: Vec::new(),
        raw: None,
        clock: WallClock::new(MONDAY_TEN, now),
    }
}

/// A clip of that many milliseconds, µ-law, whose every byte is its letter.
fn clip(letter: char, ms: usize) -> Clip {
    Clip::new(vec![letter as u8; ms * 8], MediaFormat::PCMU_8K)
}

fn ask(letter: char, retries: u32) -> Ask {
    let timeout = Duration::from_secs(5);
    Ask { prompt: clip(letter, 2_500), invalid: clip('i', 500), timeout, retries }
}

fn menu(letter: char, keys: &[(char, Target)]) -> Step {
    let keys = keys.iter().map(|(key, target)| (Digit::try_from(*key).unwrap(), target.clone())).collect();
    Step::Menu(Menu { ask: ask(letter, 2), keys, otherwise: Target::Next })
}

fn gather(min: usize, max: usize, terminator: Option<char>) -> Step {
    let terminator = terminator.map(|key| Digit::try_from(key).unwrap());
    let name = "account".into();
    Step::Gather(Gather { ask: ask('g', 1), name, min, max, terminator, otherwise: Target::Next })
}

fn bot(name: &str) -> Target {
    Target::Bot(name.into())
}

fn at(flow: usize, step: usize) -> Target {
    Target::Step(Spot { flow, step })
}

/// One flow, `main`.
fn book(steps: Vec<Step>) -> FlowBook {
    books(vec![steps])
}

/// Flows named `main`, `second`, `third`.
fn books(flows: Vec<Vec<Step>>) -> FlowBook {
    let names = ["main", "second", "third"];
    let scripts = names.iter().zip(flows).map(|(name, steps)| Script { name: (*name).into(), steps });
    FlowBook { scripts: scripts.collect(), house: house() }
}

fn house() -> HouseClips {
    HouseClips {
        unavailable: clip('u', 500),
        goodbye: clip('x', 500),
        tone: clip('t', 400),
        thanks: clip('k', 500),
        place: clip('#', 500),
        places: ('1'..='9').map(|number| clip(number, 300)).collect(),
        further: clip('f', 700),
    }
}

fn dial(to: &[&str], order: DialOrder) -> FlowDial {
    let to = to.iter().map(|number| match number.strip_prefix("tel:") {
        Some(number) => Callee::Phone(PhoneNumber::new(number)),
        None => Callee::Extension((*number).into()),
    });
    FlowDial { to: to.collect(), order, ring: Duration::from_secs(20) }
}

/// Walks through a talk: lines of `action -> deeds`, `#` before what explains it.
fn replay(book: &FlowBook, talk: &str) {
    let lines = talk.lines().filter(|line| !line.starts_with('#'));
    let table: Vec<(&str, &str)> = lines.map(|line| line.split_once(" ->").unwrap()).collect();
    let table: Vec<(&str, &str)> = table.into_iter().map(|(action, deeds)| (action, deeds.trim())).collect();
    assert!(!table.is_empty());
    walk(book, "main", &table);
}

#[test]
fn the_talk_of_an_office_goes_as_written() {
    let mut hours = OpeningHours::default();
    hours.week[0].push(Opening { from: 9 * 60, to: 18 * 60 });
    let colleague = Target::Dial(dial(&["101"], DialOrder::AllAtOnce));
    let book = books(vec![
        vec![
            Step::Hours { hours, open: Target::Next, closed: at(0, 2) },
            menu('m', &[('1', bot("sales")), ('2', at(1, 0)), ('0', colleague)]),
            people::voicemail(),
        ],
        vec![gather(3, 6, Some('#')), Step::Bot("support".into())],
    ]);
    replay(&book, include_str!("../talks/office.talk"));
}

#[test]
fn the_talk_of_a_line_goes_as_written() {
    let first = Step::Dial(dial(&["101"], DialOrder::AllAtOnce));
    let book = book(vec![first, people::queue(at(0, 2)), people::voicemail()]);
    replay(&book, include_str!("../talks/line.talk"));
}
