//! Who said what, from when to when, and how much of it the other one heard.
//!
//! The call tells what happened: edges of the caller's speech, lines of the bot's transcript, items that began to be
//! heard, were heard, or were cut off. Out come utterances, each once, when it is over and its words are known.

use std::collections::VecDeque;
use std::time::Duration;

use crate::vocabulary::{HeardPart, LineStage, Moment, Role, TranscriptLine, Utterance};

/// The conversation of one call.
#[derive(Debug)]
pub struct Conversation {
    origin: Moment,
    /// What is not over, in the order in which it was first heard of.
    open: VecDeque<Entry>,
    /// What was told lately, so that nothing is told twice.
    told: VecDeque<(Role, Box<str>)>,
    finished: VecDeque<Utterance>,
    history: VecDeque<TranscriptLine>,
    history_bytes: usize,
}

#[derive(Debug)]
struct Entry {
    role: Role,
    /// Empty while nobody has named the caller's speech.
    item: Box<str>,
    text: String,
    is_final: bool,
    /// Edges of speech bound it, rather than its lines.
    has_edges: bool,
    began: Option<Moment>,
    ended: Option<Moment>,
    fate: Fate,
    response: Option<Duration>,
}

/// What became of an entry's audio.
#[derive(Debug, Clone, Copy)]
enum Fate {
    /// It is being said, or will be.
    Open,
    /// All of it was heard: so much audio.
    Heard(Duration),
    /// It was cut off.
    Cut(Cut),
}

#[derive(Debug, Clone, Copy)]
struct Cut {
    heard: Duration,
    pushed: Duration,
    /// The heard part of the words, where they were known by then.
    text_bytes: Option<usize>,
}

impl Conversation {
    /// A conversation of a call that began at `origin`.
    pub fn new(origin: Moment) -> Self {
        Self {
            origin,
            open: VecDeque::new(),
            told: VecDeque::new(),
            finished: VecDeque::new(),
            history: VecDeque::new(),
            history_bytes: 0,
        }
    }

    /// The caller began to say what becomes `item`, where its bot says so.
    pub fn caller_began(&mut self, item: Option<&str>, at: Moment) {
        let item = item.filter(|item| item.len() <= ITEM_BYTES_MAX && !self.was_told(Role::Caller, item));
        let item = item.unwrap_or_default();
        if !item.is_empty() && self.find(Role::Caller, item).is_some() {
            return;
        }
        if let Some(speaking) = self.speaking_caller() {
            if speaking.item.is_empty() || item.is_empty() {
                if !item.is_empty() {
                    speaking.item = item.into();
                }
                return;
            }
            // Its end was not told.
            speaking.ended = Some(at.max(speaking.began.unwrap_or(at)));
        }
        let entry = self.begin(Role::Caller, item);
        (entry.began, entry.has_edges) = (Some(at), true);
    }

    /// The caller ceased to speak.
    pub fn caller_ended(&mut self, at: Moment) {
        if let Some(entry) = self.speaking_caller() {
            entry.ended = Some(at.max(entry.began.unwrap_or(at)));
        }
        self.settle(at);
    }

    /// Words were written down.
    pub fn line(&mut self, line: &TranscriptLine, now: Moment) {
        if line.item.len() > ITEM_BYTES_MAX || self.was_told(line.role, &line.item) {
            return;
        }
        let entry = self.entry(line.role, &line.item);
        if entry.is_final {
            return;
        }
        match line.stage {
            LineStage::Delta => push_within(&mut entry.text, &line.text),
            LineStage::Final => {
                if !line.text.is_empty() {
                    entry.text.clear();
                    push_within(&mut entry.text, &line.text);
                }
                entry.is_final = true;
            }
        }
        if entry.role == Role::Caller && !entry.has_edges {
            entry.began.get_or_insert(now);
            entry.ended = Some(now);
        }
        self.settle(now);
    }

    /// The first audio of the bot's `item` leaves.
    pub fn bot_began(&mut self, item: &str, at: Moment) {
        if !self.was_told(Role::Bot, item) {
            self.entry(Role::Bot, item).began.get_or_insert(at);
        }
    }

    /// All `audio` of the bot's `item` was heard, and nothing in its holes.
    pub fn bot_heard(&mut self, item: &str, audio: Duration, at: Moment) {
        self.bot_is_over(item, Fate::Heard(audio), at);
    }

    /// The bot's `item` was cut off: of what was pushed so much was heard.
    pub fn bot_was_cut(&mut self, item: &str, heard: Duration, pushed: Duration, at: Moment) {
        self.bot_is_over(item, Fate::Cut(Cut { heard, pushed, text_bytes: None }), at);
    }

    /// The bot was heard to answer at `began`, so long after the caller's last word.
    pub fn answered(&mut self, began: Moment, after: Duration) {
        let begins_with = |entry: &&mut Entry| {
            let is_begun = entry.began.is_some_and(|at| at <= began + SOUND_BEFORE_SPEECH);
            entry.role == Role::Bot && is_begun && entry.ended.is_none_or(|ended| ended >= began)
        };
        if let Some(entry) = self.open.iter_mut().rev().find(begins_with) {
            entry.response.get_or_insert(after);
        }
    }

    /// Whoever writes down what both say is gone: what it has not written stays unwritten. What the bot said may still be
    /// heard.
    pub fn writer_left(&mut self, now: Moment) {
        for entry in &mut self.open {
            if entry.role == Role::Caller {
                entry.ended.get_or_insert(now);
            }
            entry.is_final = true;
        }
        self.settle(now);
    }

    /// Whether all words of the bot's `item` are known.
    pub fn is_final(&self, item: &str) -> bool {
        self.was_told(Role::Bot, item) || self.find(Role::Bot, item).is_some_and(|entry| entry.is_final)
    }

    /// Whether the bot's `item` is known to have been heard, or cut off.
    pub fn is_over(&self, item: &str) -> bool {
        self.was_told(Role::Bot, item)
            || self.find(Role::Bot, item).is_some_and(|entry| !matches!(entry.fate, Fate::Open))
    }

    /// Whether the caller has begun to say something and has not ceased.
    pub fn caller_speaks(&self) -> bool {
        self.open.iter().any(Entry::is_being_said)
    }

    /// Whether words of the caller's may still be written down.
    pub fn awaits_callers_words(&self) -> bool {
        self.open.iter().any(Entry::awaits_callers_words)
    }

    /// The call is over: what is not is told as far as it came. `heard` says of an item how much was heard and pushed.
    pub fn end(&mut self, now: Moment, heard: impl Fn(&str) -> Option<(Duration, Duration)>) {
        self.end_those(now, heard, |_| true);
    }

    /// The same but for what the caller said whose words may still come.
    pub fn end_before_last_words(
        &mut self,
        now: Moment,
        heard: impl Fn(&str) -> Option<(Duration, Duration)>,
    ) {
        self.end_those(now, heard, |entry| !entry.awaits_callers_words());
    }

    fn end_those(
        &mut self,
        now: Moment,
        heard: impl Fn(&str) -> Option<(Duration, Duration)>,
        those: impl Fn(&Entry) -> bool,
    ) {
        for mut entry in std::mem::take(&mut self.open) {
            if !those(&entry) {
                self.open.push_back(entry);
                continue;
            }
            if let (Role::Bot, Fate::Open) = (entry.role, entry.fate) {
                entry.fate = match heard(&entry.item) {
                    Some((heard, pushed)) if heard >= pushed => Fate::Heard(heard),
                    Some((heard, pushed)) => Fate::Cut(entry.cut(heard, pushed)),
                    None => Fate::Cut(entry.cut(Duration::ZERO, Duration::ZERO)),
                };
            }
            entry.ended.get_or_insert(now);
            self.tell(entry);
        }
    }

    /// Until when words that are missing are waited for.
    pub fn poll_timeout(&self) -> Option<Moment> {
        self.open.iter().filter_map(Entry::words_due).min()
    }

    /// The moment of [`Conversation::poll_timeout`] has come.
    pub fn handle_timeout(&mut self, now: Moment) {
        self.settle(now);
    }

    /// The next utterance that is over.
    pub fn poll(&mut self) -> Option<Utterance> {
        self.finished.pop_front()
    }

    /// What was said so far and heard, for a bot that takes the conversation over.
    pub fn history(&self) -> Vec<TranscriptLine> {
        let open = self.open.iter().filter(|entry| !entry.text.is_empty()).map(|entry| TranscriptLine {
            role: entry.role,
            item: entry.item.clone(),
            text: entry.text.as_str().into(),
            stage: LineStage::Final,
        });
        self.history.iter().cloned().chain(open).collect()
    }

    fn bot_is_over(&mut self, item: &str, fate: Fate, at: Moment) {
        if self.was_told(Role::Bot, item) {
            return;
        }
        let entry = self.entry(Role::Bot, item);
        if let Fate::Open = entry.fate {
            entry.fate = match fate {
                Fate::Cut(cut) => Fate::Cut(entry.cut(cut.heard, cut.pushed)),
                fate => fate,
            };
            let began = *entry.began.get_or_insert(at);
            entry.ended = Some(at.max(began));
        }
        self.settle(at);
    }

    fn speaking_caller(&mut self) -> Option<&mut Entry> {
        self.open.iter_mut().find(|entry| entry.is_being_said())
    }

    fn find(&self, role: Role, item: &str) -> Option<&Entry> {
        self.open.iter().find(|entry| entry.role == role && *entry.item == *item)
    }

    /// The entry of an item; the caller's speech that nobody has named yet is the first one's, and words without a name
    /// are those of the first speech that has none.
    fn entry(&mut self, role: Role, item: &str) -> &mut Entry {
        let named = |entry: &Entry| entry.role == role && *entry.item == *item;
        let fits = |entry: &Entry| entry.item.is_empty() || (item.is_empty() && !entry.is_final);
        let nameless = |entry: &Entry| role == Role::Caller && entry.role == role && fits(entry);
        let known = self.open.iter().position(named).or_else(|| self.open.iter().position(nameless));
        match known.filter(|at| *at < self.open.len()) {
            Some(at) => {
                let entry = &mut self.open[at];
                if entry.item.is_empty() {
                    entry.item = item.into();
                }
                entry
            }
            None => self.begin(role, item),
        }
    }

    fn begin(&mut self, role: Role, item: &str) -> &mut Entry {
        if self.open.len() >= UTTERANCES_OPEN_MAX
            && let Some(mut oldest) = self.open.pop_front()
        {
            if let Fate::Open = oldest.fate {
                oldest.fate = Fate::Cut(oldest.cut(Duration::ZERO, Duration::ZERO));
            }
            self.tell(oldest);
        }
        self.open.push_back(Entry {
            role,
            item: item.into(),
            text: String::new(),
            is_final: false,
            has_edges: false,
            began: None,
            ended: None,
            fate: Fate::Open,
            response: None,
        });
        let last = self.open.len() - 1;
        &mut self.open[last]
    }

    /// Tells what is over.
    fn settle(&mut self, now: Moment) {
        while let Some(at) = self.open.iter().position(|entry| entry.is_over(now)) {
            if let Some(entry) = self.open.remove(at) {
                self.tell(entry);
            }
        }
    }

    fn tell(&mut self, entry: Entry) {
        if !entry.item.is_empty() {
            if self.told.len() >= TOLD_KEPT {
                self.told.pop_front();
            }
            self.told.push_back((entry.role, entry.item.clone()));
        }
        let utterance = entry.utterance(self.origin);
        self.remember(&utterance);
        self.finished.push_back(utterance);
    }

    fn remember(&mut self, utterance: &Utterance) {
        let heard = match utterance.heard {
            HeardPart::All => &*utterance.text,
            HeardPart::Nothing => "",
            HeardPart::First { text_bytes, .. } => utterance.text.get(..text_bytes).unwrap_or_default(),
        };
        if heard.is_empty() {
            return;
        }
        self.history_bytes += heard.len();
        self.history.push_back(TranscriptLine {
            role: utterance.role,
            item: utterance.item.clone(),
            text: heard.into(),
            stage: LineStage::Final,
        });
        while self.history_bytes > HISTORY_BYTES_MAX
            && let Some(oldest) = self.history.pop_front()
        {
            self.history_bytes -= oldest.text.len();
        }
    }

    fn was_told(&self, role: Role, item: &str) -> bool {
        !item.is_empty() && self.told.iter().any(|(of, told)| *of == role && **told == *item)
    }
}

impl Entry {
    fn is_over(&self, now: Moment) -> bool {
        let has_ended = match self.role {
            Role::Caller => self.ended.is_some(),
            Role::Bot => !matches!(self.fate, Fate::Open),
        };
        has_ended && (self.is_final || self.words_due().is_some_and(|due| due <= now))
    }

    /// Whether it is the caller's, and its end is not known.
    fn is_being_said(&self) -> bool {
        self.role == Role::Caller && self.has_edges && self.ended.is_none()
    }

    fn awaits_callers_words(&self) -> bool {
        self.role == Role::Caller && !self.is_final
    }

    /// Until when words are waited for.
    fn words_due(&self) -> Option<Moment> {
        let ended = self.ended.filter(|_| !self.is_final)?;
        match (self.role, self.fate) {
            (Role::Caller, _) => Some(ended + CALLERS_WORDS_PATIENCE),
            (Role::Bot, Fate::Open) => None,
            (Role::Bot, Fate::Heard(_) | Fate::Cut(_)) => Some(ended + BOTS_WORDS_PATIENCE),
        }
    }

    fn cut(&self, heard: Duration, pushed: Duration) -> Cut {
        let is_known = !self.text.is_empty();
        let text_bytes = is_known.then(|| words_within(&self.text, heard, pushed));
        Cut { heard, pushed, text_bytes }
    }

    fn utterance(self, origin: Moment) -> Utterance {
        let heard = match (self.role, self.fate) {
            (Role::Caller, _) | (Role::Bot, Fate::Heard(_) | Fate::Open) => HeardPart::All,
            (Role::Bot, Fate::Cut(cut)) if cut.heard.is_zero() => HeardPart::Nothing,
            (Role::Bot, Fate::Cut(Cut { heard, pushed, text_bytes })) => {
                let known = text_bytes.unwrap_or_else(|| words_within(&self.text, heard, pushed));
                HeardPart::First { audio: heard, text_bytes: floor_boundary(&self.text, known) }
            }
        };
        let played = if let Fate::Heard(audio) = self.fate { Some(audio) } else { None };
        let end = self.ended.or(self.began).unwrap_or(origin);
        Utterance {
            role: self.role,
            item: self.item,
            text: self.text.into(),
            start: self.began.unwrap_or(end) - origin,
            end: end - origin,
            heard,
            played,
            response: self.response,
        }
    }
}

/// The bytes of the words that are whole within the first `heard` of audio that takes `pushed`.
fn words_within(text: &str, heard: Duration, pushed: Duration) -> usize {
    if heard >= pushed {
        return if heard.is_zero() { 0 } else { text.len() };
    }
    let share = text.len() as u128 * heard.as_micros() / pushed.as_micros().max(1);
    let at = floor_boundary(text, usize::try_from(share).unwrap_or(usize::MAX));
    let (before, after) = text.split_at(at);
    if after.starts_with(char::is_whitespace) {
        return at;
    }
    before.rfind(char::is_whitespace).unwrap_or(0)
}

fn floor_boundary(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

fn push_within(text: &mut String, more: &str) {
    let room = UTTERANCE_BYTES_MAX.saturating_sub(text.len());
    text.push_str(&more[..floor_boundary(more, room)]);
}

/// Utterances of one call that are not over; the oldest gives way.
pub const UTTERANCES_OPEN_MAX: usize = 64;

/// Bytes of the words of one utterance; what exceeds them is left out.
pub const UTTERANCE_BYTES_MAX: usize = 16 << 10;

/// Bytes of words that a new session is told.
pub const HISTORY_BYTES_MAX: usize = 32 << 10;

/// Names of utterances that are remembered.
const TOLD_KEPT: usize = 64;
/// The longest name of an item.
const ITEM_BYTES_MAX: usize = 288;
/// The bot's words come before its audio, or never.
const BOTS_WORDS_PATIENCE: Duration = Duration::from_secs(2);
/// Writing down what a caller said takes an engine a moment.
const CALLERS_WORDS_PATIENCE: Duration = Duration::from_secs(15);
/// Sound that is found a moment after the audio that it is in.
const SOUND_BEFORE_SPEECH: Duration = Duration::from_millis(60);

#[cfg(test)]
#[path = "conversation_tests.rs"]
mod tests;
