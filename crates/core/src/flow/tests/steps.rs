//! Every step, and every edge of it.

use super::*;

#[test]
fn a_clip_is_heard_to_its_end_and_the_next_step_follows() {
    let book = book(vec![Step::Play(clip('a', 3_200)), Step::Play(clip('b', 300)), Step::HangUp]);
    walk(
        &book,
        "main",
        &[
            ("start", "answered"),
            ("wait 3190ms", "hears a"),
            ("press 1", ""),
            ("wait 20ms", "hears b"),
            ("wait 280ms", ""),
            ("wait 20ms", "hung up"),
        ],
    );
}

#[test]
fn the_call_is_hung_up_at_the_end_of_a_flow() {
    walk(
        &book(vec![Step::Play(clip('a', 100))]),
        "main",
        &[("start", "answered"), ("wait 110ms", "hears a, hung up")],
    );
    walk(&book(vec![]), "main", &[("start", ""), ("wait 10ms", "hung up")]);
}

#[test]
fn a_key_during_the_prompt_stops_it_and_leads_on() {
    let book = book(vec![menu('m', &[('1', bot("sales"))])]);
    walk(
        &book,
        "main",
        &[
            ("start", "answered"),
            ("wait 1200ms", "hears m"),
            ("press 1", "cleared, bot sales"),
            ("press 1", ""),
            ("wait 60s", ""),
        ],
    );
}

#[test]
fn a_key_after_the_prompt_has_nothing_to_stop() {
    let book = book(vec![menu('m', &[('1', bot("sales"))])]);
    walk(&book, "main", &[("start", "answered"), ("wait 2600ms", "hears m"), ("press 1", "bot sales")]);
}

#[test]
fn a_menu_is_asked_again_after_its_time_and_left_after_its_tries() {
    let book = book(vec![menu('m', &[('1', bot("sales"))]), Step::Play(clip('n', 100))]);
    walk(
        &book,
        "main",
        &[
            ("start", "answered"),
            ("wait 7490ms", "hears m"),
            ("wait 20ms", "hears m"),
            ("wait 7480ms", ""),
            ("wait 40ms", "hears m"),
            ("wait 7460ms", ""),
            ("wait 60ms", "hears n"),
        ],
    );
}

#[test]
fn a_wrong_key_is_told_and_the_menu_asked_again_until_the_tries_are_used_up() {
    let book = book(vec![menu('m', &[('1', bot("sales"))]), Step::Bot("operator".into())]);
    walk(
        &book,
        "main",
        &[
            ("start", "answered"),
            ("wait 100ms", "hears m"),
            ("press 9", "cleared"),
            ("wait 600ms", "hears i, hears m"),
            ("press 8", "cleared"),
            ("wait 490ms", "hears i"),
            ("press 7", "cleared, bot operator"),
        ],
    );
}

#[test]
fn a_key_may_ask_again_and_hang_up() {
    let book = book(vec![menu('m', &[('*', Target::Again), ('0', Target::HangUp)])]);
    walk(
        &book,
        "main",
        &[
            ("start", "answered"),
            ("wait 10ms", "hears m"),
            ("press *", "cleared"),
            ("wait 10ms", "hears m"),
            ("press 0", "cleared"),
            ("wait 10ms", "hung up"),
        ],
    );
}

#[test]
fn a_bot_that_cannot_be_had_from_a_menu_is_told_and_the_menu_asked_again() {
    let book = book(vec![menu('m', &[('1', bot("sales")), ('2', bot("help"))])]);
    walk(
        &book,
        "main",
        &[
            ("start", "answered"),
            ("press 1", "cleared, bot sales"),
            ("refuse", ""),
            ("wait 600ms", "hears u, hears m"),
            ("press 2", "cleared, bot help"),
        ],
    );
}

#[test]
fn a_bot_that_cannot_be_had_from_a_step_leaves_the_caller_to_the_next_step() {
    let book = book(vec![Step::Bot("sales".into()), Step::Play(clip('s', 100))]);
    walk(
        &book,
        "main",
        &[
            ("start", "answered, bot sales"),
            ("refuse", ""),
            ("wait 120ms", "hears s, hung up"),
            ("refuse", ""),
        ],
    );
}

#[test]
fn digits_are_kept_at_the_terminator_at_the_last_and_after_the_time() {
    let ends = [
        (gather(2, 4, Some('#')), "press 123#"),
        (gather(2, 3, Some('#')), "press 123"),
        (gather(3, 3, None), "press 123"),
    ];
    for (step, keys) in ends {
        let book = book(vec![step, Step::Bot("sales".into())]);
        walk(&book, "main", &[("start", "answered"), (keys, "cleared, account = 123, bot sales")]);
    }
    let book = book(vec![gather(2, 4, Some('#')), Step::Bot("sales".into())]);
    walk(
        &book,
        "main",
        &[
            ("start", "answered"),
            ("press 12", "cleared"),
            ("wait 4s", ""),
            ("press 3", ""),
            ("wait 4990ms", ""),
            ("wait 10ms", "account = 123, bot sales"),
        ],
    );
}

#[test]
fn too_few_digits_are_asked_for_again_and_a_star_begins_anew() {
    let book = book(vec![gather(3, 4, Some('#')), Step::Bot("operator".into())]);
    walk(
        &book,
        "main",
        &[
            ("start", "answered"),
            ("press 12#", "cleared"),
            ("wait 600ms", "hears i, hears g"),
            ("press 99*123#", "cleared, account = 123, bot operator"),
        ],
    );
    walk(
        &book,
        "main",
        &[
            ("start", "answered"),
            ("press 1", "cleared"),
            ("wait 5s", ""),
            ("wait 2500ms", "hears g"),
            ("wait 5100ms", "bot operator"),
        ],
    );
}

#[test]
fn hours_decide_before_the_call_is_answered() {
    let hours = |from: u32, to: u32| {
        let mut hours = OpeningHours::default();
        hours.week[0].push(Opening { from: from * 60, to: to * 60 });
        Step::Hours { hours, open: Target::Next, closed: at(0, 2) }
    };
    let flow = |hours| book(vec![hours, Step::Bot("sales".into()), Step::Play(clip('c', 100))]);
    walk(&flow(hours(9, 18)), "main", &[("start", "answered, bot sales")]);
    walk(&flow(hours(12, 18)), "main", &[("start", "answered"), ("wait 10ms", "hears c")]);
}

#[test]
fn flows_lead_to_each_other_and_back() {
    let book = books(vec![
        vec![menu('m', &[('1', at(1, 0))]), Step::HangUp],
        vec![menu('n', &[('9', at(0, 0)), ('2', at(2, 1))])],
        vec![Step::HangUp, Step::Bot("deep".into())],
    ]);
    walk(
        &book,
        "main",
        &[
            ("start", "answered"),
            ("wait 10ms", "hears m"),
            ("press 1", "cleared"),
            ("wait 10ms", "hears n"),
            ("press 9", "cleared"),
            ("wait 10ms", "hears m"),
            ("press 1", "cleared"),
            ("press 2", "cleared, bot deep"),
        ],
    );
}

#[test]
fn a_caller_who_walks_in_circles_is_said_goodbye_to_after_64_steps() {
    let book = book(vec![menu('m', &[('1', Target::Again)])]);
    let mut caller = Caller::new(&book, "main");
    caller.act("start");
    for _ in 1..STEPS_MAX {
        assert_eq!(caller.act("press 1"), "cleared");
    }
    assert_eq!(caller.act("press 1"), "cleared");
    assert_eq!(caller.act("wait 600ms"), "hears x, hung up");
}

#[test]
fn steps_that_lead_to_each_other_without_a_pause_end_at_once() {
    let hours = Step::Hours { hours: OpeningHours::default(), open: Target::Next, closed: Target::Again };
    walk(&book(vec![hours]), "main", &[("start", "answered"), ("wait 600ms", "hears x, hung up")]);
}

#[test]
fn a_caller_who_hangs_up_anywhere_ends_the_flow() {
    let steps = || vec![Step::Play(clip('a', 1_000)), menu('m', &[('1', bot("sales"))]), Step::HangUp];
    for ms in (0..12_000).step_by(250) {
        let mut caller = Caller::new(&book(steps()), "main");
        caller.act("start");
        caller.act(&format!("wait {ms}ms"));
        assert_eq!(caller.act("hang up"), "");
        assert_eq!(caller.flow.poll_timeout(), None, "{ms}");
        caller.line.clear();
        assert_eq!((caller.act("press 1"), caller.act("wait 30s")), (String::new(), String::new()), "{ms}");
    }
}

#[test]
fn a_mark_of_what_was_stopped_does_not_end_what_is_heard_after() {
    let book = book(vec![menu('m', &[('*', Target::Again)])]);
    let mut caller = Caller::new(&book, "main");
    caller.act("start");
    caller.act("press *");
    caller.tell(&CallEvent::Mark { name: "0".into(), outcome: MarkOutcome::Played });
    caller.tell(&CallEvent::Mark { name: "1".into(), outcome: MarkOutcome::Played });
    caller.tell(&CallEvent::Mark { name: "of another bot".into(), outcome: MarkOutcome::Played });
    assert_eq!(caller.flow.poll_timeout(), None, "the question is being heard");
    assert_eq!(caller.act("wait 2600ms"), "hears m");
    assert!(caller.flow.poll_timeout().is_some());
}

#[test]
fn a_clip_of_another_rate_is_said_in_the_format_of_the_call() {
    let wide = Clip::new(vec![0; 16_000 * 2 * 3], MediaFormat::linear16(16_000));
    assert_eq!(wide.duration(), Duration::from_secs(3));
    let mut caller = Caller::new(&book(vec![Step::Play(wide), Step::Play(clip('n', 100))]), "main");
    caller.act("start");
    caller.act("wait 2990ms");
    assert!(caller.act("wait 50ms").ends_with("hears n"));
}
