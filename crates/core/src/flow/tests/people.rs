//! Steps that lead to people: calling them, waiting for them, leaving them a message.

use super::*;

pub(super) fn queue(overflow: Target) -> Step {
    Step::Queue(Queue {
        name: "sales".into(),
        greeting: clip('q', 1_500),
        music: clip('m', 2_500),
        announce: Some(Duration::from_secs(10)),
        ring: Duration::from_secs(15),
        max_wait: Duration::from_secs(60),
        overflow,
    })
}

pub(super) fn voicemail() -> Step {
    Step::Voicemail(Voicemail {
        greeting: clip('v', 1_000),
        max: Duration::from_secs(30),
        min: Duration::from_secs(2),
        silence: Duration::from_secs(4),
    })
}

fn line() -> FlowBook {
    book(vec![queue(at(0, 1)), Step::Play(clip('o', 200))])
}

fn mailbox() -> FlowBook {
    book(vec![voicemail(), Step::Play(clip('n', 200))])
}

#[test]
fn people_are_called_before_the_call_is_answered_and_the_next_step_follows_if_nobody_takes_it() {
    let book = book(vec![
        Step::Dial(dial(&["101", "tel:919876543210"], DialOrder::OneByOne)),
        Step::Play(clip('a', 100)),
    ]);
    walk(
        &book,
        "main",
        &[
            ("start", "dials 101 919876543210 in turn for 20 s"),
            ("press 1", ""),
            ("wait 60s", ""),
            ("refuse", "answered"),
            ("wait 120ms", "hears a, hung up"),
        ],
    );
}

#[test]
fn a_menu_that_leads_to_somebody_who_does_not_answer_says_so_and_asks_again() {
    let sales = Target::Dial(dial(&["101"], DialOrder::AllAtOnce));
    let book = book(vec![menu('m', &[('1', sales)])]);
    walk(
        &book,
        "main",
        &[
            ("start", "answered"),
            ("press 1", "cleared, dials 101 for 20 s"),
            ("refuse", ""),
            ("wait 600ms", "hears u, hears m"),
        ],
    );
}

#[test]
fn a_book_of_one_number_does_nothing_but_call_it() {
    let book = FlowBook::dial_only("extension 101", dial(&["101"], DialOrder::AllAtOnce), house());
    walk(
        &book,
        "extension 101",
        &[("start", "dials 101 for 20 s"), ("refuse", ""), ("wait 10ms", "hung up")],
    );
}

#[test]
fn a_caller_in_line_hears_music_and_now_and_then_the_place() {
    walk(
        &line(),
        "main",
        &[
            ("start", "answered, joins sales"),
            ("wait 1600ms", "hears q, hears m"),
            ("place 3", ""),
            ("wait 8390ms", ""),
            ("wait 20ms", "cleared, hears #"),
            ("wait 800ms", "hears 3, hears m"),
            ("place 12", ""),
            ("wait 9200ms", "cleared, hears f"),
            ("press 1", ""),
            ("wait 700ms", "hears m"),
        ],
    );
}

#[test]
fn whoever_is_free_is_called_when_it_is_the_callers_turn_while_the_music_plays_on() {
    walk(
        &line(),
        "main",
        &[
            ("start", "answered, joins sales"),
            ("turn 101 103", "dials 101 103 for 15 s"),
            ("turn 102", ""),
            ("wait 3s", "hears q, hears m"),
            ("hand over", "leaves"),
        ],
    );
}

#[test]
fn a_turn_in_vain_keeps_the_place_until_all_turns_are_used_up() {
    let mut caller = Caller::new(&line(), "main");
    caller.act("start");
    for _ in 1..TURNS_MAX {
        assert_eq!(caller.act("turn 101"), "dials 101 for 15 s");
        assert_eq!(caller.act("refuse"), "stays");
    }
    caller.act("turn 101");
    assert_eq!(caller.act("refuse"), "leaves, cleared");
    assert_eq!(caller.act("wait 300ms"), "hears o, hung up");
}

#[test]
fn the_longest_wait_leads_to_the_overflow_but_not_while_somebody_rings() {
    let mut caller = Caller::new(&line(), "main");
    caller.act("start");
    caller.act("wait 59s");
    assert_eq!(caller.act("turn 101"), "dials 101 for 15 s");
    assert!(!caller.act("wait 10s").contains("leaves"));
    assert_eq!(caller.act("refuse"), "stays");
    assert_eq!(caller.act("wait 20ms"), "leaves, cleared, hears o");
}

#[test]
fn a_queue_without_room_leads_to_the_overflow_at_once() {
    walk(
        &line(),
        "main",
        &[
            ("start", "answered, joins sales"),
            ("full", "leaves, cleared"),
            ("wait 300ms", "hears o, hung up"),
        ],
    );
}

#[test]
fn a_caller_who_hangs_up_leaves_the_queue() {
    for actions in [["wait 5s", "place 2"], ["turn 101", "wait 2s"]] {
        let mut caller = Caller::new(&line(), "main");
        caller.act("start");
        actions.iter().for_each(|action| drop(caller.act(action)));
        assert_eq!(caller.act("hang up"), "leaves", "{actions:?}");
        caller.line.clear();
        assert_eq!(caller.act("wait 120s"), "");
    }
}

#[test]
fn a_message_is_recorded_behind_the_tone_and_kept_at_the_hash() {
    walk(
        &mailbox(),
        "main",
        &[
            ("start", "answered"),
            ("wait 1390ms", "hears v, hears t"),
            ("wait 20ms", "records"),
            ("speak 3000", ""),
            ("press 5", ""),
            ("press #", "kept"),
            ("wait 800ms", "hears k, hears n, hung up"),
        ],
    );
}

#[test]
fn a_message_ends_by_silence_and_by_its_longest_time() {
    let mut caller = Caller::new(&mailbox(), "main");
    caller.act("start");
    caller.act("wait 1410ms");
    assert_eq!(caller.act("speak 5000"), "");
    assert_eq!(caller.act("wait 3500ms"), "");
    assert_eq!(caller.act("wait 700ms"), "kept, hears k");

    let mut caller = Caller::new(&mailbox(), "main");
    caller.act("start");
    caller.act("wait 1410ms");
    assert_eq!(caller.act("speak 29800"), "");
    assert_eq!(caller.act("speak 400"), "kept, hears k");
}

#[test]
fn a_message_in_which_nobody_spoke_long_enough_is_dropped() {
    for speech in ["speak 0", "speak 1000"] {
        let mut caller = Caller::new(&mailbox(), "main");
        caller.act("start");
        caller.act("wait 1410ms");
        caller.act(speech);
        assert_eq!(caller.act("press #"), "dropped", "{speech}");
        assert_eq!(caller.act("wait 300ms"), "hears n, hung up", "{speech}");
    }
}

#[test]
fn a_caller_who_hangs_up_in_the_message_has_left_it() {
    for (speech, deed) in [("speak 3000", "kept"), ("speak 1000", "dropped")] {
        let mut caller = Caller::new(&mailbox(), "main");
        caller.act("start");
        caller.act("wait 1410ms");
        caller.act(speech);
        assert_eq!(caller.act("hang up"), deed, "{speech}");
    }
}
