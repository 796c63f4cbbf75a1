//! Voicemail: the greeting, the tone, the message and its ends.

use super::*;

pub(super) fn voicemail() -> Step {
    Step::Voicemail(Voicemail {
        greeting: clip('v', 1_000),
        max: Duration::from_secs(30),
        min: Duration::from_secs(2),
        silence: Duration::from_secs(4),
    })
}

fn mailbox() -> FlowBook {
    book(vec![voicemail(), Step::Play(clip('n', 200))])
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
