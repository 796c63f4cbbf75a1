//! What the items of a session are called within the call: by their ids, which an engine may give to a later answer or
//! turn once more. The second one of an id is told as `id~2`.

use std::collections::VecDeque;

use crate::vocabulary::LineStage;

/// The items of one session that were heard of lately, newest last.
#[derive(Debug, Default)]
pub struct ItemNames {
    /// Responses by their ids, each with its number.
    responses: VecDeque<(Box<str>, u32)>,
    /// How many responses there were.
    count: u32,
    bot: VecDeque<BotItem>,
    caller: VecDeque<CallerItem>,
}

/// An item of the engine's, which belongs to one response.
#[derive(Debug)]
struct BotItem {
    id: Box<str>,
    copy: u32,
    response: u32,
}

/// A turn of the caller's.
#[derive(Debug)]
struct CallerItem {
    id: Box<str>,
    copy: u32,
    /// The engine will write down what was said by then: what is said later is another turn.
    is_committed: bool,
    is_written: bool,
}

impl ItemNames {
    /// Another response begins.
    pub fn response_created(&mut self, id: &str) -> u32 {
        self.count += 1;
        if !id.is_empty() {
            push(&mut self.responses, (id.into(), self.count));
        }
        self.count
    }

    /// Which one of its id an item of the engine is: items of different responses are different ones.
    pub fn bot(&mut self, id: &str, response: &str) -> u32 {
        let known = self.responses.iter().rfind(|(known, _)| **known == *response);
        let response = match known {
            Some((_, response)) => Some(*response),
            None if response.is_empty() => None,
            // Not every engine says that a response begins.
            None => Some(self.response_created(response)),
        };
        let mut same = self.bot.iter().rev().filter(|item| *item.id == *id).peekable();
        let last = same.peek().map_or(0, |item| item.copy);
        // Without a response it is the one that is known: what comes late must not become another.
        let is_it = |item: &&BotItem| response.is_none_or(|response| item.response == response);
        if let Some(item) = same.find(is_it) {
            return item.copy;
        }
        let response = response.unwrap_or(self.count);
        push(&mut self.bot, BotItem { id: id.into(), copy: last + 1, response });
        last + 1
    }

    /// The name of a turn that begins.
    pub fn caller_began(&mut self, id: &str) -> Box<str> {
        let copy = self.turn(id, |last| last.is_committed || last.is_written).copy;
        name(id, copy)
    }

    /// The caller's turn is over, and what was said of it is being written down.
    pub fn caller_committed(&mut self, id: &str) {
        self.turn(id, |last| last.is_written).is_committed = true;
    }

    /// The name of a turn whose words come: those that were said first are written down first.
    pub fn caller_line(&mut self, id: &str, stage: LineStage) -> Box<str> {
        let waits = self.caller.iter().position(|item| *item.id == *id && !item.is_written);
        let item = match waits.and_then(|at| self.caller.get_mut(at)) {
            Some(item) => item,
            None => self.turn(id, |_| false),
        };
        item.is_written |= stage == LineStage::Final;
        name(id, item.copy)
    }

    /// The last turn of that id, or another one if that `is_past`.
    fn turn(&mut self, id: &str, is_past: impl Fn(&CallerItem) -> bool) -> &mut CallerItem {
        let last = self.caller.iter().rposition(|item| *item.id == *id);
        let past = last.and_then(|at| self.caller.get(at)).filter(|item| is_past(item)).map(|item| item.copy);
        let at = match (last, past) {
            (Some(at), None) => at,
            _ => {
                let copy = past.unwrap_or(0) + 1;
                push(
                    &mut self.caller,
                    CallerItem { id: id.into(), copy, is_committed: false, is_written: false },
                );
                self.caller.len() - 1
            }
        };
        &mut self.caller[at]
    }
}

/// The name of the item that is the `copy`th of its id.
pub fn name(id: &str, copy: u32) -> Box<str> {
    match copy {
        0 | 1 => id.into(),
        _ => format!("{id}~{copy}").into(),
    }
}

/// Whether `name` is that of the item that is the `copy`th of its id.
pub fn is_named(called: &str, id: &str, copy: u32) -> bool {
    called.strip_prefix(id).is_some_and(|rest| match copy {
        0 | 1 => rest.is_empty(),
        _ => rest.strip_prefix('~').and_then(|rest| rest.parse().ok()) == Some(copy),
    })
}

fn push<T>(list: &mut VecDeque<T>, one: T) {
    if list.len() >= NAMES_KEPT_MAX {
        list.pop_front();
    }
    list.push_back(one);
}

/// Items of the engine, turns of the caller and responses whose ids are remembered, of each kind.
pub const NAMES_KEPT_MAX: usize = 128;
