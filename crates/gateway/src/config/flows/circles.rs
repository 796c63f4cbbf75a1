//! Finds steps that lead to each other for ever without waiting for the caller.

use patchcord_core::flow::{Script, Spot, Step, Target};

use super::super::problem::Refusal;

/// Every circle once, at a step of it.
pub(super) fn find(scripts: &[Script]) -> Vec<(Spot, Refusal)> {
    let mut walk = Walk { scripts, done: Vec::new(), circles: Vec::new() };
    for (flow, script) in scripts.iter().enumerate() {
        for step in 0..script.steps.len() {
            walk.from(Spot { flow, step });
        }
    }
    walk.circles
}

struct Walk<'a> {
    scripts: &'a [Script],
    done: Vec<Spot>,
    circles: Vec<(Spot, Refusal)>,
}

impl Walk<'_> {
    /// Follows every way from `start`, depth first.
    fn from(&mut self, start: Spot) {
        // The way to here, each step with the ways from it that were not tried.
        let mut way: Vec<(Spot, Vec<Spot>)> = Vec::new();
        let mut enter = Some(start);
        loop {
            if let Some(spot) = enter.take().filter(|spot| !self.done.contains(spot)) {
                match way.iter().position(|(earlier, _)| *earlier == spot) {
                    Some(begin) => self.note(way.get(begin..).unwrap_or_default()),
                    None => way.push((spot, self.ways(spot))),
                }
            }
            match way.last_mut() {
                Some((spot, ways)) => match ways.pop() {
                    Some(next) => enter = Some(next),
                    None => {
                        self.done.push(*spot);
                        way.pop();
                    }
                },
                None => return,
            }
        }
    }

    /// Where a call goes from `spot` by itself.
    fn ways(&self, spot: Spot) -> Vec<Spot> {
        let next = Spot { step: spot.step + 1, ..spot };
        let lead = |target: &Target| match target {
            Target::Next => Some(next),
            Target::Again => Some(spot),
            Target::Step(spot) => Some(*spot),
            Target::Bot(_) | Target::Dial(_) | Target::HangUp => None,
        };
        let Some(step) = self.scripts.get(spot.flow).and_then(|script| script.steps.get(spot.step)) else {
            return Vec::new();
        };
        match step {
            Step::Play(_) | Step::Dial(_) | Step::Bot(_) => vec![next],
            Step::Hours { open, closed, .. } => [lead(open), lead(closed)].into_iter().flatten().collect(),
            // These wait for the caller.
            Step::Menu(_) | Step::Gather(_) | Step::Queue(_) | Step::Voicemail(_) | Step::HangUp => {
                Vec::new()
            }
        }
    }

    fn note(&mut self, circle: &[(Spot, Vec<Spot>)]) {
        let Some((first, _)) = circle.first() else { return };
        let name = |spot: &Spot| {
            let script = self.scripts.get(spot.flow);
            format!("{}[{}]", script.map_or("", |script| &script.name), spot.step)
        };
        let steps: Vec<String> = circle.iter().map(|(spot, _)| name(spot)).chain([name(first)]).collect();
        let refusal = Refusal::new(
            format!("these steps lead to each other without waiting for the caller: {}", steps.join(" → ")),
            "put a menu or a hangup between them",
        );
        self.circles.push((*first, refusal));
    }
}
