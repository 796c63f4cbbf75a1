//! Calls whose bot has to be found out while the phone rings.

use super::bots::Echo;
use super::*;

fn unknown(fallback: Fallback) -> Desk {
    Desk::sip(BotSettings::unknown("config_api"), fallback)
}

fn found(desk: &mut Desk, bot: BotSettings, custom: &[(&str, &str)]) {
    let custom = custom.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    desk.input(Input::BotFound(Box::new(FoundBot { bot, custom })));
}

fn seen(desk: &Desk) -> Vec<Seen> {
    desk.seen.iter().map(|(_, seen)| seen.clone()).collect()
}

#[test]
fn the_phone_rings_at_once_and_the_bot_that_is_found_is_connected_and_told_what_came_with_it() {
    let mut desk = unknown(Fallback::Sorry);
    assert_eq!(seen(&desk), [Seen::Ring, Seen::Report(CallFact::Ringing), Seen::FindBot]);
    assert_eq!(desk.call.state(), StateName::FindingBot);
    desk.pass(Duration::from_secs(2));
    found(&mut desk, remote("ivr-solutions"), &[("tier", "gold")]);
    assert_eq!(seen(&desk)[3..], [Seen::ConnectBot]);
    // The bot's own five seconds begin when it is known.
    desk.pass(Duration::from_millis(4_900));
    desk.input(Input::BotConnected);
    assert!(desk.to_bot()[1].contains(r#""tier":"gold""#), "{}", desk.to_bot()[1]);
    desk.talk(Duration::from_millis(60));
    assert!(desk.to_bot()[2].starts_with(r#"{"event":"media""#));
    desk.bot_says(r#"{"type":"response.audio.delta","delta":"EBAQEBAQ"}"#);
    desk.input(Input::PhoneGone(Reason::CallerHungUp));
    assert_eq!((&*desk.ended().bot, &*desk.ended().bot_dialect), ("bot", "ivr-solutions"));
    assert_eq!(cause_of(&desk).to_string(), "completed/caller_hung_up");
}

#[test]
fn a_bot_of_another_format_and_one_in_this_process_are_found_as_well() {
    let mut desk = unknown(Fallback::Sorry);
    found(&mut desk, built_in(Box::new(Echo)), &[]);
    assert!(desk.saw(&Seen::Answer));
    desk.talk(Duration::from_millis(200));
    assert!(desk.call.counters().heard_ms >= 180);
    let mut wide = remote("ivr-solutions");
    let row = registry::find("ivr-solutions").unwrap();
    wide.audio = WireAudio { format: MediaFormat::linear16(24_000), frame: FRAME };
    let settings = BotSideSettings {
        audio: wide.audio,
        record: RecordWish::Send,
        refusals: RefusalWish::Tell,
        mapping: None,
        engine: None,
    };
    wide.side = (row.bot_side)(&settings);
    let mut desk = unknown(Fallback::Sorry);
    found(&mut desk, wide, &[]);
    desk.input(Input::BotConnected);
    desk.talk(Duration::from_millis(200));
    // 20 ms of 24 kHz linear audio are 960 bytes, 1280 characters of base64.
    let media = desk.to_bot().iter().filter(|text| text.len() > 1_280 && text.contains("media")).count();
    assert!(media >= 8, "{media} frames");
}

#[test]
fn a_search_without_a_result_gives_the_fallback_with_the_searchs_reason() {
    for (fallback, status) in [(Fallback::Busy, 486), (Fallback::Unavailable, 503)] {
        let mut desk = unknown(fallback);
        desk.input(Input::BotFailed(Reason::ConfigApiStatus));
        assert!(desk.saw(&Seen::Reject(status)) && !desk.saw(&Seen::ConnectBot));
        assert_eq!(cause_of(&desk).to_string(), "upstream/config_api_status");
        assert_eq!(&*desk.ended().bot, "config_api");
    }
    let mut desk = unknown(Fallback::Sorry);
    desk.input(Input::BotFailed(Reason::ConfigApiBadAnswer));
    assert!(desk.saw(&Seen::Answer));
    desk.pass(Duration::from_secs(3));
    assert_eq!(cause_of(&desk).to_string(), "upstream/config_api_bad_answer");
}

#[test]
fn a_search_that_never_ends_is_given_up_after_five_seconds() {
    let mut desk = unknown(Fallback::Busy);
    desk.pass(Duration::from_millis(4_999));
    assert!(desk.records.is_empty());
    desk.pass(Duration::from_millis(1));
    assert!(desk.saw(&Seen::CloseBot(1011)), "the search is called off");
    assert_eq!(cause_of(&desk).to_string(), "upstream/config_api_timeout");
}

#[test]
fn a_caller_who_gives_up_during_the_search_ends_it_and_a_late_result_changes_nothing() {
    let mut desk = unknown(Fallback::Sorry);
    desk.pass(Duration::from_secs(1));
    desk.input(Input::PhoneGone(Reason::Canceled));
    assert!(desk.saw(&Seen::CloseBot(1000)), "the search is called off");
    assert_eq!(cause_of(&desk).to_string(), "caller/canceled");
    let before = desk.seen.len();
    found(&mut desk, remote("ivr-solutions"), &[]);
    desk.input(Input::BotFailed(Reason::ConfigApiTimeout));
    assert_eq!((desk.seen.len(), desk.records.len()), (before, 1));
}

#[test]
fn what_comes_with_the_bot_replaces_what_was_there_and_stays_within_its_bounds() {
    let mut desk = unknown(Fallback::Sorry);
    let many: Vec<(String, String)> = (0..CUSTOM_MAX + 9).map(|n| (format!("k{n}"), "v".into())).collect();
    let mut custom: Vec<(&str, &str)> = many.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    let long = "x".repeat(CUSTOM_BYTES_MAX + 1);
    custom.insert(0, ("long", &long));
    found(&mut desk, remote("ivr-solutions"), &custom);
    desk.input(Input::BotConnected);
    let start = desk.to_bot()[1];
    assert!(!start.contains("long") && start.contains("\"k0\""), "{start}");
    assert!(
        start.contains(&format!("\"k{}\"", CUSTOM_MAX - 1)) && !start.contains(&format!("\"k{CUSTOM_MAX}\""))
    );
}

#[test]
fn what_a_caller_sends_along_stays_within_the_same_bounds() {
    let rtp = RtpIdentity { ssrc: 7, sequence: 1, timestamp: 0 };
    let phone = PhoneSettings::Sip { rtp, media: Some(media()), early_media: false };
    let mut custom = vec![("x-long".to_owned(), "x".repeat(CUSTOM_BYTES_MAX + 1))];
    custom.extend((0..CUSTOM_MAX + 9).map(|n| (format!("x-{n}"), "v".to_owned())));
    let mut desk = Desk::with_custom(phone, remote("ivr-solutions"), Fallback::Sorry, custom);
    desk.input(Input::BotConnected);
    let start = desk.to_bot()[1];
    assert!(!start.contains("x-long") && start.contains("\"x-0\""), "{start}");
    assert!(!start.contains(&format!("\"x-{CUSTOM_MAX}\"")), "{start}");
}
