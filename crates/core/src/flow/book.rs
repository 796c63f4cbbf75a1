//! The flows of a configuration: scripts of steps, and where each leads. Whoever builds it has checked that every
//! target exists; one that does not ends the call politely.

use std::time::Duration;

use crate::vocabulary::{Digit, FlowDial};

use super::{Clip, OpeningHours};

/// All flows, and the sounds that they share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FlowBook {
    /// The flows.
    pub scripts: Vec<Script>,
    /// What is said of itself.
    pub house: HouseClips,
}

/// One flow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Script {
    /// Its name.
    pub name: Box<str>,
    /// What happens, one after the other; at the end the call is hung up.
    pub steps: Vec<Step>,
}

/// One thing that happens to a caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// A clip is heard.
    Play(Clip),
    /// One key decides where to go on.
    Menu(Menu),
    /// Digits are asked for and kept.
    Gather(Gather),
    /// People are called; the first that answers takes the call.
    Dial(FlowDial),
    /// The bot of that name takes the call.
    Bot(Box<str>),
    /// The caller waits until somebody is free.
    Queue(Queue),
    /// The caller leaves a message.
    Voicemail(Voicemail),
    /// The time of day and the day decide where to go on.
    Hours {
        /// When somebody is there.
        hours: OpeningHours,
        /// Where to, if so.
        open: Target,
        /// Where to, if not.
        closed: Target,
    },
    /// The call is over when what was said has been heard.
    HangUp,
}

/// How something is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ask {
    /// The question.
    pub prompt: Clip,
    /// What follows a wrong key, before the question is asked again.
    pub invalid: Clip,
    /// How long a key may take after the question, and after the key before it.
    pub timeout: Duration,
    /// How often it is asked again.
    pub retries: u32,
}

/// A choice by one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Menu {
    /// How it is asked.
    pub ask: Ask,
    /// Keys and where they lead.
    pub keys: Vec<(Digit, Target)>,
    /// Where to go on when no key of the menu came.
    pub otherwise: Target,
}

/// Digits that a caller keys in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gather {
    /// How they are asked for.
    pub ask: Ask,
    /// The custom parameter that they become.
    pub name: Box<str>,
    /// How many there must be.
    pub min: usize,
    /// How many there may be; the last one ends the asking.
    pub max: usize,
    /// The key behind the last digit.
    pub terminator: Option<Digit>,
    /// Where to go on when they did not come.
    pub otherwise: Target,
}

/// A line in which callers wait for whoever is free.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Queue {
    /// Its name, the same for every call that waits in it.
    pub name: Box<str>,
    /// What is said at the beginning.
    pub greeting: Clip,
    /// What is heard while waiting, over and over.
    pub music: Clip,
    /// How often the place in the line is told.
    pub announce: Option<Duration>,
    /// How long those whose turn it is may ring.
    pub ring: Duration,
    /// How long anybody waits.
    pub max_wait: Duration,
    /// Where to go on after that, or when there is no room.
    pub overflow: Target,
}

/// A message that a caller leaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Voicemail {
    /// What is said before the tone.
    pub greeting: Clip,
    /// How long a message may be.
    pub max: Duration,
    /// How long a message must be to be kept.
    pub min: Duration,
    /// How long the caller may be silent before the message counts as over.
    pub silence: Duration,
}

/// Where a flow goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// With the step behind this one.
    Next,
    /// With this step once more.
    Again,
    /// With a step of this or another flow.
    Step(Spot),
    /// The bot of that name takes the call.
    Bot(Box<str>),
    /// People are called; the first that answers takes the call.
    Dial(FlowDial),
    /// The call is over.
    HangUp,
}

/// A step of a flow, both counted from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Spot {
    /// The flow.
    pub flow: usize,
    /// The step.
    pub step: usize,
}

/// What flows say of themselves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HouseClips {
    /// "That is not available."
    pub unavailable: Clip,
    /// "Goodbye."
    pub goodbye: Clip,
    /// The tone behind which a message begins.
    pub tone: Clip,
    /// "Your message has been kept."
    pub thanks: Clip,
    /// "You are number", and "one" to "nine" behind it.
    pub place: Clip,
    /// The numbers from 1.
    pub places: Vec<Clip>,
    /// "You are in the queue", for those further behind.
    pub further: Clip,
}

impl FlowBook {
    /// The beginning of the flow of that name.
    pub fn find(&self, name: &str) -> Option<Spot> {
        let flow = self.scripts.iter().position(|script| *script.name == *name)?;
        Some(Spot { flow, step: 0 })
    }

    /// A book of one flow, `name`, which does nothing but call `dial`.
    pub fn dial_only(name: &str, dial: FlowDial, house: HouseClips) -> Self {
        Self { scripts: vec![Script { name: name.into(), steps: vec![Step::Dial(dial)] }], house }
    }

    pub(super) fn step(&self, spot: Spot) -> Option<&Step> {
        self.scripts.get(spot.flow)?.steps.get(spot.step)
    }
}

impl Spot {
    pub(super) const fn next(self) -> Self {
        Self { step: self.step.saturating_add(1), ..self }
    }
}
