//! A call's report for people and for programs.

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::{Value, json};

use super::call_log::{CallReport, Ending, Happening, Logged};

/// The events and figures of a call, one fact a line.
pub fn as_text(target: &str, report: &CallReport) -> String {
    let mut text = String::from("    time  event\n");
    row(&mut text, Duration::ZERO, &format!("calling {target}"));
    for Logged { at, what } in &report.entries {
        row(&mut text, *at, &sentence(*what));
    }
    if report.entries_left_out > 0 {
        line(&mut text, &format!("          … and {} more", report.entries_left_out));
    }
    let Some(set_up) = report.set_up else { return text };
    text.push('\n');
    let first_audio = report
        .first_audio
        .map_or("no audio came".to_owned(), |after| format!("first audio {} later", ms(after)));
    line(
        &mut text,
        &format!("answer    after {}, {first_audio}; {} of talk", ms(set_up), seconds(report.talk)),
    );
    if !report.turns.is_empty() {
        line(&mut text, &format!("turns     {}", turns(&report.turns)));
    }
    let reception = &report.reception;
    let silent = report.heard_silent.as_secs_f64() / report.heard.as_secs_f64().max(f64::MIN_POSITIVE);
    line(&mut text, &format!("heard     {}, {:.0} % of it silence", seconds(report.heard), silent * 100.0));
    line(
        &mut text,
        &format!(
            "rtp in    {} packets, {} missing ({:.2} %), {} late, {} doubled, jitter {:.1} ms, {} gaps, longest {}",
            reception.received,
            reception.missing,
            reception.loss() * 100.0,
            reception.late,
            reception.doubled,
            reception.jitter.as_secs_f64() * 1_000.0,
            reception.gaps,
            ms(reception.longest_gap),
        ),
    );
    let skipped = match report.frames_skipped {
        0 => String::new(),
        skipped => format!(", {skipped} left out because this machine stood still"),
    };
    line(&mut text, &format!("rtp out   {} packets{skipped}", report.packets_sent));
    text
}

/// The same as JSON: times in milliseconds.
pub fn as_json(target: &str, report: &CallReport) -> Value {
    let reception = &report.reception;
    json!({
        "target": target,
        "ok": report.ending.is_good(),
        "ending": ending_word(report.ending),
        "status": match report.ending { Ending::Refused { status, .. } => Some(status), _ => None },
        "set_up_ms": report.set_up.map(millis),
        "first_audio_ms": report.first_audio.map(millis),
        "talk_ms": millis(report.talk),
        "turns_ms": report.turns.iter().map(|turn| millis(*turn)).collect::<Vec<_>>(),
        "heard_ms": millis(report.heard),
        "heard_silent_ms": millis(report.heard_silent),
        "rtp_in": {
            "packets": reception.received,
            "missing": reception.missing,
            "late": reception.late,
            "doubled": reception.doubled,
            "restarts": reception.restarts,
            "jitter_ms": millis(reception.jitter),
            "gaps": reception.gaps,
            "longest_gap_ms": millis(reception.longest_gap),
        },
        "rtp_out": { "packets": report.packets_sent, "skipped": report.frames_skipped },
        "events": report.entries.iter().map(event).collect::<Vec<_>>(),
        "events_left_out": report.entries_left_out,
    })
}

/// What happened, in words.
pub fn sentence(what: Happening) -> String {
    match what {
        Happening::Ringing { status } => format!("it rings ({status})"),
        Happening::Answered { format, events } => {
            let keys = if events { "keys as events" } else { "keys as tones" };
            format!("answered: {format}, {keys}")
        }
        Happening::FirstAudio => "first audio".to_owned(),
        Happening::CallerSpeaks => "you speak".to_owned(),
        Happening::CallerStops => "you stop".to_owned(),
        Happening::BotSpeaks { turn: Some(turn) } => format!("it speaks, {} after you stopped", ms(turn)),
        Happening::BotSpeaks { turn: None } => "it speaks".to_owned(),
        Happening::BotStops => "it stops".to_owned(),
        Happening::KeyPressed(digit) => format!("you press {}", digit.as_char()),
        Happening::KeyHeard { digit, in_band } => {
            format!("it presses {}{}", digit.as_char(), if in_band { " (as a tone)" } else { "" })
        }
        Happening::ToneHeard { hertz } => format!("a tone of {hertz} Hz"),
        Happening::Held { held: true } => "you are put on hold".to_owned(),
        Happening::Held { held: false } => "you are connected again".to_owned(),
        Happening::Ended(ending) => phrase_of(ending),
    }
}

/// How a call ended, in words.
pub fn phrase_of(ending: Ending) -> String {
    match ending {
        Ending::CallerHungUp => "you hang up".to_owned(),
        Ending::OtherHungUp => "it hangs up".to_owned(),
        Ending::Refused { status, q850: None } => format!("refused: {status} {}", phrase(status)),
        Ending::Refused { status, q850: Some(cause) } => {
            format!("refused: {status} {} (Q.850 cause {cause})", phrase(status))
        }
        Ending::BadAnswer => "answered with a session that cannot be used".to_owned(),
        Ending::Vanished => "the other end vanished".to_owned(),
    }
}

fn ending_word(ending: Ending) -> &'static str {
    match ending {
        Ending::CallerHungUp => "caller",
        Ending::OtherHungUp => "other",
        Ending::Refused { .. } => "refused",
        Ending::BadAnswer => "bad_answer",
        Ending::Vanished => "vanished",
    }
}

/// The statuses that callers meet (RFC 3261 §21).
fn phrase(status: u16) -> &'static str {
    match status {
        403 => "Forbidden",
        404 => "Not Found",
        408 => "no answer",
        480 => "Temporarily Unavailable",
        486 => "Busy Here",
        487 => "Cancelled",
        488 => "no codec in common",
        503 => "Service Unavailable",
        600..=699 => "refused everywhere",
        500..=599 => "trouble at the other end",
        _ => "refused",
    }
}

fn event(logged: &Logged) -> Value {
    let mut event = match logged.what {
        Happening::Ringing { status } => json!({ "event": "ringing", "status": status }),
        Happening::Answered { format, events } => {
            json!({ "event": "answered", "format": format.to_string(), "telephone_events": events })
        }
        Happening::FirstAudio => json!({ "event": "first_audio" }),
        Happening::CallerSpeaks => json!({ "event": "caller_speaks" }),
        Happening::CallerStops => json!({ "event": "caller_stops" }),
        Happening::BotSpeaks { turn } => json!({ "event": "bot_speaks", "turn_ms": turn.map(millis) }),
        Happening::BotStops => json!({ "event": "bot_stops" }),
        Happening::KeyPressed(digit) => json!({ "event": "key_pressed", "key": digit.as_char() }),
        Happening::KeyHeard { digit, in_band } => {
            json!({ "event": "key_heard", "key": digit.as_char(), "in_band": in_band })
        }
        Happening::ToneHeard { hertz } => json!({ "event": "tone_heard", "hertz": hertz }),
        Happening::Held { held } => json!({ "event": "held", "held": held }),
        Happening::Ended(ending) => json!({ "event": "ended", "ending": ending_word(ending) }),
    };
    if let Some(fields) = event.as_object_mut() {
        fields.insert("at_ms".to_owned(), millis(logged.at).into());
    }
    event
}

fn turns(turns: &[Duration]) -> String {
    let mut sorted = turns.to_vec();
    sorted.sort_unstable();
    let median = sorted.get(sorted.len() / 2).copied().unwrap_or_default();
    let shown: Vec<_> = turns.iter().take(TURNS_SHOWN).map(|turn| ms(*turn)).collect();
    let more = if turns.len() > TURNS_SHOWN { ", …" } else { "" };
    let longest = sorted.last().copied().unwrap_or_default();
    format!("{}: {}{more} (median {}, longest {})", turns.len(), shown.join(", "), ms(median), ms(longest))
}

fn row(text: &mut String, at: Duration, what: &str) {
    line(text, &format!("{:8.3}  {what}", at.as_secs_f64()));
}

fn line(text: &mut String, line: &str) {
    let _infallible = writeln!(text, "{line}");
}

fn ms(duration: Duration) -> String {
    format!("{} ms", duration.as_millis())
}

fn seconds(duration: Duration) -> String {
    format!("{:.1} s", duration.as_secs_f64())
}

/// To a tenth of a millisecond.
fn millis(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 10_000.0).round() / 10.0
}

const TURNS_SHOWN: usize = 12;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::caller::reception::ReceptionTally;
    use patchcord_core::media::MediaFormat;
    use patchcord_core::vocabulary::Digit;

    fn report() -> CallReport {
        let at = Duration::from_millis;
        let entry = |ms, what| Logged { at: at(ms), what };
        CallReport {
            entries: vec![
                entry(3, Happening::Ringing { status: 180 }),
                entry(12, Happening::Answered { format: MediaFormat::PCMU_8K, events: true }),
                entry(512, Happening::KeyPressed(Digit::ALL[5])),
                entry(1_700, Happening::BotSpeaks { turn: Some(at(800)) }),
                entry(10_012, Happening::Ended(Ending::CallerHungUp)),
            ],
            entries_left_out: 0,
            ending: Ending::CallerHungUp,
            set_up: Some(at(12)),
            first_audio: Some(at(21)),
            talk: at(10_000),
            turns: vec![at(800), at(650)],
            packets_sent: 500,
            frames_skipped: 0,
            reception: ReceptionTally { received: 499, missing: 1, ..ReceptionTally::default() },
            heard: at(9_980),
            heard_silent: at(4_990),
        }
    }

    #[test]
    fn the_table_tells_each_event_with_its_time_and_the_figures_below() {
        let text = as_text("sip:echo@127.0.0.1", &report());
        for expected in [
            "   0.000  calling sip:echo@127.0.0.1\n",
            "   0.012  answered: PCMU/8000, keys as events\n",
            "   0.512  you press 5\n",
            "   1.700  it speaks, 800 ms after you stopped\n",
            "  10.012  you hang up\n",
            "answer    after 12 ms, first audio 21 ms later; 10.0 s of talk\n",
            "turns     2: 800 ms, 650 ms (median 800 ms, longest 800 ms)\n",
            "heard     10.0 s, 50 % of it silence\n",
            "rtp in    499 packets, 1 missing (0.20 %)",
        ] {
            assert!(text.contains(expected), "{expected:?} is not in\n{text}");
        }
    }

    #[test]
    fn the_json_has_the_same_facts_in_milliseconds() {
        let json = as_json("sip:echo@127.0.0.1", &report());
        assert_eq!(json["turns_ms"], json!([800.0, 650.0]));
        assert_eq!(json["events"][3], json!({ "event": "bot_speaks", "turn_ms": 800.0, "at_ms": 1_700.0 }));
        assert_eq!((&json["ok"], &json["rtp_in"]["missing"]), (&json!(true), &json!(1)));
    }

    #[test]
    fn a_refusal_says_why_in_one_line() {
        let ending = Ending::Refused { status: 486, q850: Some(17) };
        let refused = CallReport {
            entries: vec![Logged { at: Duration::from_millis(9), what: Happening::Ended(ending) }],
            ending,
            set_up: None,
            ..report()
        };
        let text = as_text("sip:x@192.0.2.1", &refused);
        assert!(text.ends_with("   0.009  refused: 486 Busy Here (Q.850 cause 17)\n"), "{text}");
        assert_eq!(as_json("sip:x@192.0.2.1", &refused)["status"], json!(486));
    }
}
