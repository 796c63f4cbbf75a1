//! Where a step leads, in words: a label of the flow, another flow, `bot:NAME`, `extension:NUMBER`,
//! `transfer:NUMBER`, `next`, `repeat`, `hangup`.

use std::time::Duration;

use patchcord_core::flow::{Spot, Target};
use patchcord_core::vocabulary::{DialOrder, FlowDial};

use super::super::problem::{Refusal, nearest};
use super::super::trunks::Trunk;
use super::super::vendor_port::no_such_bot;

/// Everything that a target can name.
pub(super) struct Names<'a> {
    /// The flows with the labels of their steps.
    pub(super) flows: Vec<(&'a str, Vec<Option<String>>)>,
    /// The bots.
    pub(super) bots: &'a [&'a str],
    /// The extensions.
    pub(super) extensions: Vec<&'a str>,
    /// The trunks.
    pub(super) trunks: Vec<&'a Trunk>,
}

impl Names<'_> {
    /// The target that `text` means in the flow number `flow`.
    pub(super) fn target(&self, text: &str, flow: usize) -> Result<Target, Refusal> {
        match text {
            "next" => return Ok(Target::Next),
            "repeat" => return Ok(Target::Again),
            "hangup" => return Ok(Target::HangUp),
            _ => {}
        }
        match text.split_once(':') {
            Some(("bot", name)) if self.bots.contains(&name) => Ok(Target::Bot(name.into())),
            Some(("bot", name)) => Err(no_such_bot(name, self.bots)),
            Some(("flow", name)) => self.flow(name),
            Some(("extension" | "transfer", _)) => {
                let (order, ring) = (DialOrder::AllAtOnce, Duration::from_secs(20));
                Ok(Target::Dial(FlowDial { to: vec![self.callee(text)?], order, ring }))
            }
            Some(_) | None => self.label(text, flow).map_or_else(|| self.flow(text), Ok),
        }
    }

    /// Refuses a label that another step of the flow has, or that is a word of its own.
    pub(super) fn check_label(&self, label: &str, flow: usize) -> Result<(), Refusal> {
        check_word(label)?;
        let labels = self.labels(flow).filter(|(_, own)| *own == label);
        if labels.count() > 1 {
            return Err(Refusal::new("another step of this flow has this label", "give each its own"));
        }
        Ok(())
    }

    fn label(&self, text: &str, flow: usize) -> Option<Target> {
        let (step, _) = self.labels(flow).find(|(_, label)| *label == text)?;
        Some(Target::Step(Spot { flow, step }))
    }

    fn labels(&self, flow: usize) -> impl Iterator<Item = (usize, &str)> {
        let labels = self.flows.get(flow).map(|(_, labels)| labels.as_slice()).unwrap_or_default();
        labels.iter().enumerate().filter_map(|(step, label)| Some((step, label.as_deref()?)))
    }

    fn flow(&self, name: &str) -> Result<Target, Refusal> {
        let found = self.flows.iter().position(|(own, _)| *own == name);
        found.map(|flow| Target::Step(Spot { flow, step: 0 })).ok_or_else(|| {
            let labels =
                self.flows.iter().flat_map(|(_, labels)| labels.iter().flatten()).map(String::as_str);
            let known = self.flows.iter().map(|(flow, _)| *flow).chain(labels);
            Refusal {
                did_you_mean: nearest(name, known.chain(WORDS)),
                ..Refusal::new(
                    format!("there is no flow and no label of this flow \"{name}\""),
                    "a flow's name, a label, bot:NAME, extension:NUMBER, transfer:NUMBER, next, repeat or hangup",
                )
            }
        })
    }
}

/// Refuses a name of a flow or a label that could not be told from something else.
pub(super) fn check_word(word: &str) -> Result<(), Refusal> {
    let good = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    if word.is_empty() || word.len() > NAME_BYTES_MAX || !word.bytes().all(good) {
        let cure = "letters, digits, dashes, dots; at most 64";
        return Err(Refusal::new("this is not a name for a flow or a label", cure));
    }
    if WORDS.contains(&word) {
        return Err(Refusal::new(format!("\"{word}\" has a meaning of its own"), "choose another name"));
    }
    Ok(())
}

/// Targets that are no names.
const WORDS: [&str; 3] = ["next", "repeat", "hangup"];

/// The longest name of a flow, and the longest label.
const NAME_BYTES_MAX: usize = 64;
