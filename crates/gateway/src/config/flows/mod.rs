//! `[flows.NAME]`: what callers meet besides bots. Reads the steps, finds their clips, and checks where they lead.
//!
//! What the steps do is decided in core (`patchcord_core::flow`); their keys are told in `docs/flows.md`.

mod circles;
mod clips;
mod fields;
mod hours;
mod people;
mod steps;
mod targets;

#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::Arc;

use patchcord_core::flow::{FlowBook, Script};

use super::extensions::Extension;
use super::problem::Refusal;
use super::section::Section;
use super::tree::{Node, Value};
use super::trunks::Trunk;
use clips::Clips;
use fields::Fields;
use targets::Names;

pub(super) use clips::wav;
pub use people::CallQueue;
pub(super) use steps::STEP_KEYS;

/// What flows may lead to outside of them.
pub(super) struct Around<'a> {
    pub(super) bots: &'a [&'a str],
    pub(super) extensions: &'a [Option<Extension>],
    pub(super) trunks: &'a [Option<Trunk>],
}

/// Reads all flows and their queues; `folder` is where the paths of clips start.
pub(super) fn read(
    root: &Section<'_>,
    around: &Around<'_>,
    folder: &Path,
) -> Option<(Arc<FlowBook>, Vec<CallQueue>)> {
    let sections = root.named_sections("flows");
    let steps: Vec<Vec<Node>> = sections.iter().map(|(_, section)| nodes(section)).collect();
    let flows = sections.iter().zip(&steps).map(|((name, _), steps)| (*name, labels(steps)));
    let extensions = around.extensions.iter().flatten().map(|extension| extension.number.as_str());
    let names = Names {
        flows: flows.collect(),
        bots: around.bots,
        extensions: extensions.collect(),
        trunks: around.trunks.iter().flatten().collect(),
    };
    let mut queues = Vec::new();
    let mut clips = Clips::new(folder);
    let mut scripts = Vec::with_capacity(sections.len());
    for (flow, ((name, section), steps)) in sections.iter().zip(&steps).enumerate() {
        check_name(name, section);
        let read: Vec<_> = steps
            .iter()
            .enumerate()
            .map(|(index, node)| {
                let path = format!("{}[{index}]", section.path_of("steps"));
                let fields = Fields::of(node, path, section.report)?;
                steps::read(&fields, &names, flow, (&mut clips, &mut queues))
            })
            .collect();
        let steps: Option<Vec<_>> = read.into_iter().collect();
        scripts.push(steps.map(|steps| Script { name: (*name).into(), steps }));
    }
    let scripts: Vec<Script> = scripts.into_iter().collect::<Option<_>>()?;
    for (spot, what) in circles::find(&scripts) {
        let Some(((_, section), node)) =
            sections.get(spot.flow).zip(steps.get(spot.flow).and_then(|steps| steps.get(spot.step)))
        else {
            continue;
        };
        let path = format!("{}[{}]", section.path_of("steps"), spot.step);
        section.report.refuse(&path, &node.place, what);
    }
    Some((Arc::new(FlowBook { scripts, house: clips.house() }), queues))
}

/// The steps of a flow, of which there must be some.
fn nodes(section: &Section<'_>) -> Vec<Node> {
    let steps = section.nodes("steps").unwrap_or_default();
    if section.has("steps") && steps.is_empty() {
        section.refuse(
            "steps",
            Refusal::new("a flow without steps", "write at least one: { play = \"clip:closed\" }"),
        );
    }
    steps
}

/// The label of each step, where it has one.
fn labels(steps: &[Node]) -> Vec<Option<String>> {
    let label = |step: &Node| match &step.value {
        Value::Table(table) => match table.find("label").map(|node| &node.value) {
            Some(Value::Text(label)) => Some(label.clone()),
            _ => None,
        },
        _ => None,
    };
    steps.iter().map(label).collect()
}

fn check_name(name: &str, section: &Section<'_>) {
    if let Err(refusal) = targets::check_word(name) {
        section.report.refuse(&section.path, &section.place, refusal);
    }
}
