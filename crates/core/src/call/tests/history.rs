//! The history of a call: what a person sees afterwards.

use super::*;
use crate::vocabulary::{Digit, DigitPress, Happening, MarkOutcome, Timeline};

fn history(desk: &Desk) -> Timeline {
    let told: Vec<_> = desk
        .seen
        .iter()
        .filter_map(|(_, seen)| match seen {
            Seen::Report(CallFact::Timeline(timeline)) => Some((**timeline).clone()),
            _ => None,
        })
        .collect();
    assert_eq!(told.len(), 1, "the history is told once");
    told.into_iter().next().unwrap()
}

/// Seconds of loud linear audio at 8 kHz, as the bot sends it.
fn loud(seconds: usize) -> String {
    format!(r#"{{"type":"response.audio.delta","delta":"{}"}}"#, "EBAQ".repeat(seconds * 16_000 / 3))
}

#[test]
fn what_happened_on_a_call_is_told_once_at_its_end_with_its_times() {
    let mut desk = Desk::sip(remote("ivr-solutions"), Fallback::Sorry);
    desk.pass(Duration::from_millis(300));
    desk.input(Input::BotConnected);
    desk.pass(Duration::from_millis(700));
    desk.bot_says(&loud(4));
    desk.bot_says(r#"{"event":"mark","stream_sid":"1707204900.123","mark":{"name":"greeting"}}"#);
    desk.pass(Duration::from_millis(1_000));
    for _ in 0..50 {
        desk.phone_speaks(0x10);
        desk.pass(FRAME);
    }
    desk.input(Input::PhoneDigit(DigitPress { digit: Digit::ALL[5], duration: None }));
    desk.bot_says(r#"{"type":"audio.clear"}"#);
    desk.bot_says(r#"{"type":"session.dtmf","dtmf":"1#"}"#);
    desk.pass(Duration::from_millis(2_000));
    desk.input(Input::PhoneGone(Reason::CallerHungUp));

    let history = history(&desk);
    let at = |wanted: fn(&Happening) -> bool| {
        let entry = history.entries.iter().find(|entry| wanted(&entry.what));
        entry.unwrap_or_else(|| panic!("{history:?}")).at_ms
    };
    assert_eq!(at(|what| *what == Happening::BotConnected), 300);
    assert_eq!(at(|what| *what == Happening::SoundBegan), 300);
    let whole = 4 * 16_000 / 3 * 3 / 16;
    let audio = |what: &Happening| match what {
        Happening::BotSent { audio_ms, .. } => Some(*audio_ms),
        _ => None,
    };
    assert_eq!(history.entries.iter().find_map(|entry| audio(&entry.what)), Some(whole as u32));
    assert_eq!(at(|what| matches!(what, Happening::BotSent { .. })), 1_000);
    let heard = at(|what| matches!(what, Happening::Heard { for_ms: 1_500..2_600 }));
    assert!((1_000..1_100).contains(&heard), "heard at {heard}");
    let spoke = at(|what| matches!(what, Happening::CallerSpoke { .. }));
    assert!((1_980..2_120).contains(&spoke), "spoke at {spoke}");
    assert_eq!(at(|what| *what == Happening::BargeIn), spoke);
    assert_eq!(at(|what| *what == Happening::DigitIn(Digit::ALL[5])), 3_000);
    assert_eq!(at(|what| matches!(what, Happening::Cleared { dropped_ms: 1_900..2_100 })), 3_000);
    let is_cleared = |what: &Happening| matches!(what, Happening::Mark { name, outcome: MarkOutcome::Cleared } if &**name == "greeting");
    assert_eq!(at(is_cleared), 3_000);
    let keys = history.entries.iter().filter(|entry| matches!(entry.what, Happening::DigitOut(_))).count();
    assert_eq!((keys, history.left_out), (2, 0));
    let last = desk.seen.iter().rev().take(2).map(|(_, seen)| seen).collect::<Vec<_>>();
    assert!(matches!(last[..], [Seen::Ended(_), Seen::Report(CallFact::Timeline(_))]));
}

#[test]
fn a_call_of_which_nothing_came_has_no_history() {
    let mut desk = Desk::vendor("ozonetel", remote("ivr-solutions"));
    desk.input(Input::PhoneClosed(SocketEnd::Closed(1000)));
    assert!(!desk.seen.iter().any(|(_, seen)| matches!(seen, Seen::Report(CallFact::Timeline(_)))));
}

#[test]
fn speech_behind_which_nothing_was_sent_to_a_vendor_was_heard_to_its_own_end() {
    let mut desk = Desk::vendor("ozonetel", remote("ivr-solutions"));
    desk.vendor_says(r#"{"event":"start","ucid":"u","did":"1","type":"text"}"#);
    desk.input(Input::BotConnected);
    desk.bot_says(&loud(2));
    desk.pass(Duration::from_secs(5));
    desk.vendor_says(r#"{"event":"stop","ucid":"u","did":"1","type":"text"}"#);
    desk.input(Input::PhoneClosed(SocketEnd::Closed(1000)));
    let spans: Vec<_> = history(&desk)
        .entries
        .into_iter()
        .filter_map(|entry| if let Happening::Heard { for_ms } = entry.what { Some(for_ms) } else { None })
        .collect();
    assert!(matches!(spans[..], [1_950..=2_050]), "{spans:?}");
}
