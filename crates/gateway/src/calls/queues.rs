//! The lines in which callers wait for an extension that is free: who stands where, and whose turn it is.
//!
//! One table for the whole process, held for moments only. What a caller hears meanwhile is its flow's concern
//! (`patchcord_core::flow`); who is free is asked of whoever knows it.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use patchcord_core::vocabulary::{DialOrder, FlowEvent, Moment};
use tokio::sync::mpsc;
use tokio::time::MissedTickBehavior;

use super::exchange::Exchange;
use crate::config::CallQueue;

/// Looks twice a second whether agents have become free, until the process stops.
pub async fn attend(exchange: Arc<Exchange>) {
    let stop = exchange.tasks.stop().clone();
    let mut clock = tokio::time::interval(STEP);
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = clock.tick() => exchange.serve_queues(),
        }
    }
}

/// All lines.
#[derive(Debug, Default)]
pub struct Queues(Mutex<Lines>);

/// A caller's place in a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct PlaceId(u64);

/// How a line stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LineFigures {
    /// Its name.
    pub name: String,
    /// Callers in it, those included for whom somebody rings.
    pub waiting: usize,
    /// How long the first of them has waited.
    pub longest: Duration,
}

#[derive(Debug, Default)]
struct Lines {
    lines: BTreeMap<String, Line>,
    next: u64,
    /// Extensions that did not answer, and until when they are left in peace.
    resting: HashMap<Box<str>, Moment>,
}

#[derive(Debug, Default)]
struct Line {
    callers: VecDeque<Caller>,
    /// The agent behind the one that was called last, where they take turns.
    next_agent: usize,
}

#[derive(Debug)]
struct Caller {
    id: PlaceId,
    since: Moment,
    news: mpsc::Sender<FlowEvent>,
    told: u32,
    /// Those who ring for this caller.
    turn: Vec<Box<str>>,
}

impl Queues {
    /// Puts a caller at the end of a line; none if there is no room.
    pub fn join(&self, queue: &CallQueue, now: Moment) -> Option<(PlaceId, mpsc::Receiver<FlowEvent>)> {
        let mut lines = self.lines();
        let id = PlaceId(lines.next);
        let line = lines.lines.entry(queue.name.clone()).or_default();
        if line.callers.len() >= queue.max_callers {
            return None;
        }
        let (news, receiver) = mpsc::channel(NEWS_MAX);
        line.callers.push_back(Caller { id, since: now, news, told: 0, turn: Vec::new() });
        lines.next += 1;
        Some((id, receiver))
    }

    /// Nobody answered for this caller, who keeps the place; those who rang are left in peace for a while.
    pub fn stay(&self, id: PlaceId, now: Moment) {
        let mut lines = self.lines();
        let Lines { lines, resting, .. } = &mut *lines;
        let mut callers = lines.values_mut().flat_map(|line| &mut line.callers);
        if let Some(caller) = callers.find(|caller| caller.id == id) {
            resting.extend(caller.turn.drain(..).map(|agent| (agent, now + REST)));
        }
    }

    /// Takes a caller out of its line.
    pub fn leave(&self, id: PlaceId) {
        let mut lines = self.lines();
        for line in lines.lines.values_mut() {
            line.callers.retain(|caller| caller.id != id);
        }
    }

    /// Gives turns to those in front as far as somebody `is_free`, and tells everybody the place.
    pub fn serve(&self, queues: &[CallQueue], now: Moment, is_free: impl Fn(&str) -> bool) {
        let mut lines = self.lines();
        let Lines { lines, resting, .. } = &mut *lines;
        resting.retain(|_, until| *until > now);
        lines.retain(|name, line| !line.callers.is_empty() || queues.iter().any(|queue| queue.name == *name));
        let mut taken: Vec<Box<str>> = lines
            .values()
            .flat_map(|line| &line.callers)
            .flat_map(|caller| caller.turn.iter().cloned())
            .collect();
        for queue in queues {
            let Some(line) = lines.get_mut(&queue.name) else { continue };
            line.give_turns(queue, &mut taken, |agent| !resting.contains_key(agent) && is_free(agent));
        }
        for caller in lines.values_mut().flat_map(|line| (1_u32..).zip(&mut line.callers)) {
            let (place, caller) = caller;
            if caller.told != place && caller.news.try_send(FlowEvent::Place(place)).is_ok() {
                caller.told = place;
            }
        }
    }

    /// How the lines of `queues` stand.
    pub fn figures(&self, queues: &[CallQueue], now: Moment) -> Vec<LineFigures> {
        let lines = self.lines();
        let figures = queues.iter().map(|queue| {
            let callers = lines.lines.get(&queue.name).map(|line| &line.callers);
            LineFigures {
                name: queue.name.clone(),
                waiting: callers.map_or(0, VecDeque::len),
                longest: callers
                    .and_then(|callers| callers.front())
                    .map_or(Duration::ZERO, |caller| now - caller.since),
            }
        });
        figures.collect()
    }

    fn lines(&self) -> MutexGuard<'_, Lines> {
        // Nothing in here panics half-way through a change.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Line {
    fn give_turns(&mut self, queue: &CallQueue, taken: &mut Vec<Box<str>>, is_free: impl Fn(&str) -> bool) {
        let Self { callers, next_agent } = self;
        for caller in callers.iter_mut().filter(|caller| caller.turn.is_empty()) {
            let count = queue.agents.len().max(1);
            let in_turn = (0..queue.agents.len()).map(|step| (*next_agent + step) % count);
            let free = in_turn.filter_map(|index| {
                let agent = queue.agents.get(index)?;
                (!taken.iter().any(|other| **other == **agent) && is_free(agent)).then_some((index, agent))
            });
            let turn: Vec<(usize, Box<str>)> = match queue.order {
                DialOrder::AllAtOnce => free.map(|(index, agent)| (index, agent.as_str().into())).collect(),
                DialOrder::OneByOne => {
                    free.take(1).map(|(index, agent)| (index, agent.as_str().into())).collect()
                }
            };
            let Some((last, _)) = turn.last() else { return };
            let next = last + 1;
            let agents: Vec<Box<str>> = turn.into_iter().map(|(_, agent)| agent).collect();
            if caller.news.try_send(FlowEvent::Turn(agents.clone())).is_ok() {
                *next_agent = next;
                taken.extend(agents.iter().cloned());
                caller.turn = agents;
            }
        }
    }
}

/// News of the line that wait for one caller; the place is told again when there is room.
pub const NEWS_MAX: usize = 16;

/// How often it is looked who is free; whoever joins or leaves has it looked at once.
const STEP: Duration = Duration::from_millis(500);

/// How long an extension that did not answer is left in peace.
const REST: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Moment = Moment::from_millis(1_000);

    fn queue(agents: &[&str], order: DialOrder, max_callers: usize) -> CallQueue {
        let agents = agents.iter().map(|agent| (*agent).to_owned()).collect();
        CallQueue { name: "sales".to_owned(), agents, order, max_callers }
    }

    fn heard(news: &mut mpsc::Receiver<FlowEvent>) -> String {
        let mut words = Vec::new();
        while let Ok(event) = news.try_recv() {
            words.push(match event {
                FlowEvent::Place(place) => place.to_string(),
                FlowEvent::Turn(agents) => format!("turn {}", agents.join(" ")),
                FlowEvent::NoRoom => "full".to_owned(),
            });
        }
        words.join(", ")
    }

    #[test]
    fn callers_are_served_in_order_and_the_next_gets_the_next_who_is_free() {
        let queues = Queues::default();
        let line = [queue(&["101"], DialOrder::AllAtOnce, 9)];
        let (first, mut one) = queues.join(&line[0], NOW).unwrap();
        let (_, mut two) = queues.join(&line[0], NOW).unwrap();
        queues.serve(&line, NOW, |_| false);
        assert_eq!((heard(&mut one), heard(&mut two)), ("1".into(), "2".into()));
        queues.serve(&line, NOW, |_| true);
        queues.serve(&line, NOW, |_| true);
        assert_eq!((heard(&mut one), heard(&mut two)), ("turn 101".into(), String::new()));
        queues.leave(first);
        queues.serve(&line, NOW, |_| false);
        assert_eq!(heard(&mut two), "1", "the first talks to the agent");
        queues.serve(&line, NOW, |_| true);
        assert_eq!(heard(&mut two), "turn 101");
    }

    #[test]
    fn all_who_are_free_ring_for_the_first_or_one_after_the_other_for_each() {
        let queues = Queues::default();
        let all = [queue(&["101", "102", "103"], DialOrder::AllAtOnce, 9)];
        let (_, mut one) = queues.join(&all[0], NOW).unwrap();
        queues.serve(&all, NOW, |agent| agent != "102");
        assert_eq!(heard(&mut one), "turn 101 103, 1");

        let queues = Queues::default();
        let each = [queue(&["101", "102", "103"], DialOrder::OneByOne, 9)];
        let mut news: Vec<_> = (0..4).map(|_| queues.join(&each[0], NOW).unwrap()).collect();
        queues.serve(&each, NOW, |_| true);
        let heard: Vec<String> = news.iter_mut().map(|(_, news)| heard(news)).collect();
        assert_eq!(heard, ["turn 101, 1", "turn 102, 2", "turn 103, 3", "4"]);
    }

    #[test]
    fn agents_take_turns_where_they_are_called_one_by_one() {
        let queues = Queues::default();
        let line = [queue(&["101", "102"], DialOrder::OneByOne, 9)];
        for expected in ["turn 101, 1", "turn 102, 1", "turn 101, 1"] {
            let (id, mut news) = queues.join(&line[0], NOW).unwrap();
            queues.serve(&line, NOW, |_| true);
            assert_eq!(heard(&mut news), expected);
            queues.leave(id);
        }
    }

    #[test]
    fn an_agent_who_did_not_answer_is_left_in_peace_and_the_caller_keeps_the_place() {
        let queues = Queues::default();
        let line = [queue(&["101"], DialOrder::AllAtOnce, 9)];
        let (id, mut news) = queues.join(&line[0], NOW).unwrap();
        queues.serve(&line, NOW, |_| true);
        queues.stay(id, NOW);
        heard(&mut news);
        queues.serve(&line, NOW + Duration::from_millis(9_990), |_| true);
        assert_eq!(heard(&mut news), "");
        queues.serve(&line, NOW + REST, |_| true);
        assert_eq!(heard(&mut news), "turn 101");
    }

    #[test]
    fn an_agent_rings_for_one_caller_at_a_time_also_across_lines() {
        let queues = Queues::default();
        let other = CallQueue { name: "help".to_owned(), ..queue(&["101"], DialOrder::AllAtOnce, 9) };
        let lines = [queue(&["101"], DialOrder::AllAtOnce, 9), other];
        let (_, mut one) = queues.join(&lines[0], NOW).unwrap();
        let (_, mut two) = queues.join(&lines[1], NOW).unwrap();
        queues.serve(&lines, NOW, |_| true);
        assert_eq!((heard(&mut one), heard(&mut two)), ("turn 101, 1".into(), "1".into()));
    }

    #[test]
    fn a_full_line_takes_nobody_and_figures_tell_how_it_stands() {
        let queues = Queues::default();
        let line = [queue(&["101"], DialOrder::AllAtOnce, 2)];
        let (_, _one) = queues.join(&line[0], NOW).unwrap();
        let (second, _two) = queues.join(&line[0], NOW).unwrap();
        assert!(queues.join(&line[0], NOW).is_none());
        let later = NOW + Duration::from_secs(7);
        let figures =
            |waiting, s| LineFigures { name: "sales".into(), waiting, longest: Duration::from_secs(s) };
        assert_eq!(queues.figures(&line, later), [figures(2, 7)]);
        queues.leave(second);
        assert_eq!(queues.figures(&line, later), [figures(1, 7)]);
    }
}
