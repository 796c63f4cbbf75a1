//! What a session has going: the response that is made, how much audio of which item came, which tools are called.

use std::collections::VecDeque;

use super::item_names::{ItemNames, is_named};
use crate::media::MediaFormat;
use crate::vocabulary::Moment;

/// The responses, items and tools of one session.
#[derive(Debug, Default)]
pub struct Progress {
    active: Option<ActiveResponse>,
    /// The response that was cut short last; what is still on its way is not for the caller.
    last_cut: Box<str>,
    /// What items are called.
    pub names: ItemNames,
    /// Items with audio, newest last.
    items: VecDeque<HeardItem>,
    /// Calls that wait for their result.
    waiting_tools: Vec<Box<str>>,
    /// Calls that were told, newest last.
    told_tools: VecDeque<Box<str>>,
    owes: Owes,
    /// The call that waits for words of the engine before it has its result, and the instructions for them.
    wanted_words: Option<(Box<str>, Box<str>)>,
    turn: CallerTurn,
}

/// Where the caller's turn stands: nothing is asked for in the midst of it.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum CallerTurn {
    /// The engine has the floor.
    #[default]
    Over,
    /// The caller speaks.
    Speaking,
    /// The caller has ceased; the engine may answer by itself until then.
    Ceased { until: Moment },
}

/// Whether something was said to the engine that it has not answered.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Owes {
    #[default]
    Nothing,
    /// What it is told, when nothing more of it is to come.
    Results,
    /// The caller has said something and waits.
    Caller,
}

/// What an engine is asked for.
#[derive(Debug, PartialEq, Eq)]
pub enum Question {
    /// Words by instructions of their own.
    Words(Box<str>),
    /// An answer to all that it was told.
    Answer,
}

#[derive(Debug)]
struct ActiveResponse {
    id: Box<str>,
    cut: bool,
}

/// Audio of one item.
#[derive(Debug)]
struct HeardItem {
    id: Box<str>,
    /// Which one of its id.
    copy: u32,
    bytes: u64,
    cut: bool,
}

impl HeardItem {
    fn is(&self, (id, copy): (&str, u32)) -> bool {
        self.copy == copy && *self.id == *id
    }
}

/// What to do with a piece of audio.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Piece {
    /// It goes on where the last one ended.
    SameItem,
    /// It is the first of its item.
    NewItem,
    /// It comes too late.
    Late,
}

impl Progress {
    /// The engine begins a response; it answers all that was said before.
    pub fn response_created(&mut self, id: &str) {
        if self.active.as_ref().is_none_or(|active| *active.id != *id) {
            self.names.response_created(id);
            // An engine may give the id of one that was cut to the next one.
            self.last_cut =
                if *self.last_cut == *id { Box::default() } else { std::mem::take(&mut self.last_cut) };
        }
        self.active = Some(ActiveResponse { id: id.into(), cut: false });
        self.owes = Owes::Nothing;
        self.wanted_words = None;
        // Not every engine says when the caller ceased.
        self.turn = CallerTurn::Over;
    }

    /// The caller begins to speak.
    pub fn caller_began(&mut self) {
        self.turn = CallerTurn::Speaking;
    }

    /// The caller ceases to speak; until then the engine may answer unasked.
    pub fn caller_ceased(&mut self, until: Moment) {
        self.turn = CallerTurn::Ceased { until };
    }

    /// The response is over.
    pub fn response_done(&mut self, id: Option<&str>) {
        let is_it = |active: &ActiveResponse| active.id.is_empty() || id.is_none_or(|id| *active.id == *id);
        if self.active.as_ref().is_some_and(is_it) {
            self.active = None;
        }
    }

    /// The id of the response that is being made and that nobody has cut short; cuts it.
    pub fn cut(&mut self) -> Option<&str> {
        let active = self.active.as_mut().filter(|active| !active.cut)?;
        active.cut = true;
        self.last_cut = active.id.clone();
        Some(&active.id)
    }

    /// What becomes of audio of that one of the items of the id, in `response`.
    pub fn judge(&self, item: (&str, u32), response: &str) -> Piece {
        let late_response = !response.is_empty() && *response == *self.last_cut;
        if late_response || self.active.as_ref().is_some_and(|active| active.cut && response.is_empty()) {
            return Piece::Late;
        }
        if let Some(last) = self.items.back()
            && last.is(item)
        {
            return if last.cut { Piece::Late } else { Piece::SameItem };
        }
        if self.items.iter().any(|known| known.is(item) && known.cut) {
            return Piece::Late;
        }
        Piece::NewItem
    }

    /// So much audio of an item came.
    pub fn heard(&mut self, item: (&str, u32), bytes: usize) {
        if let Some(last) = self.items.back_mut().filter(|last| last.is(item)) {
            last.bytes += bytes as u64;
            return;
        }
        // An item that comes back after another keeps its count.
        let before = self.items.iter().position(|known| known.is(item));
        let mut known = before.and_then(|at| self.items.remove(at)).unwrap_or_else(|| HeardItem {
            id: item.0.into(),
            copy: item.1,
            bytes: 0,
            cut: false,
        });
        known.bytes += bytes as u64;
        self.items.push_back(known);
        if self.items.len() > ITEMS_KEPT_MAX {
            self.items.pop_front();
        }
    }

    /// Nothing of the item of that name is wanted any more; says its id and how many milliseconds of it came, if it is
    /// known and was not cut before.
    pub fn cut_item(&mut self, name: &str, format: MediaFormat) -> Option<(&str, u64)> {
        let is_it = |known: &&mut HeardItem| is_named(name, &known.id, known.copy) && !known.cut;
        let known = self.items.iter_mut().find(is_it)?;
        known.cut = true;
        let played = format.duration_of_samples(known.bytes / format.bytes_per_sample() as u64);
        Some((&known.id, u64::try_from(played.as_millis()).ok()?))
    }

    /// The engine calls a tool; `false` if that was told before, or too many wait.
    pub fn tool_called(&mut self, call_id: &str) -> bool {
        if self.told_tools.iter().any(|told| **told == *call_id)
            || self.waiting_tools.len() >= TOOLS_WAITING_MAX
        {
            return false;
        }
        if self.told_tools.len() >= TOOLS_TOLD_MAX {
            self.told_tools.pop_front();
        }
        self.told_tools.push_back(call_id.into());
        self.waiting_tools.push(call_id.into());
        true
    }

    /// A tool waits for words of the engine.
    pub fn want_words(&mut self, call_id: &str, instructions: &str) {
        if self.waiting_tools.iter().any(|waiting| **waiting == *call_id) {
            self.wanted_words = Some((call_id.into(), instructions.into()));
        }
    }

    /// A tool has a result; `false` if nobody waits for it.
    pub fn tool_done(&mut self, call_id: &str) -> bool {
        self.wanted_words.take_if(|(waiting, _)| **waiting == *call_id);
        let before = self.waiting_tools.len();
        self.waiting_tools.retain(|waiting| **waiting != *call_id);
        before != self.waiting_tools.len()
    }

    /// The engine is to answer what it was told.
    pub fn owe_answer(&mut self) {
        if self.owes == Owes::Nothing {
            self.owes = Owes::Results;
        }
    }

    /// The engine is to answer the caller, whatever tools are at work.
    pub fn owe_caller(&mut self) {
        self.owes = Owes::Caller;
    }

    /// What the engine is to be asked for at this moment, once.
    pub fn take_question(&mut self, now: Moment) -> Option<Question> {
        let is_free = match self.turn {
            CallerTurn::Over => true,
            CallerTurn::Speaking => false,
            CallerTurn::Ceased { until } => until <= now,
        };
        if !is_free || !self.has_question() {
            return None;
        }
        if let Some((_, instructions)) = self.wanted_words.take() {
            return Some(Question::Words(instructions));
        }
        self.owes = Owes::Nothing;
        Some(Question::Answer)
    }

    /// When a question that waits for the engine to answer the caller unasked will have waited enough.
    pub fn question_due(&self) -> Option<Moment> {
        match self.turn {
            CallerTurn::Ceased { until } if self.has_question() => Some(until),
            CallerTurn::Over | CallerTurn::Speaking | CallerTurn::Ceased { .. } => None,
        }
    }

    fn has_question(&self) -> bool {
        let owes_answer = match self.owes {
            Owes::Nothing => false,
            Owes::Results => self.waiting_tools.is_empty(),
            Owes::Caller => true,
        };
        self.active.is_none() && (owes_answer || self.wanted_words.is_some())
    }
}

/// Items whose audio is remembered.
pub const ITEMS_KEPT_MAX: usize = 32;

/// Tool calls of the engine that wait for their results.
pub const TOOLS_WAITING_MAX: usize = 32;

/// Tool calls that are remembered, so that each is told once.
pub const TOOLS_TOLD_MAX: usize = 128;
