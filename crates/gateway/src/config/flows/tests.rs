//! What flows are read as, and what is refused.

use super::super::{Config, Environment, load};
use super::clips::STARTERS;
use patchcord_core::flow::{Step, Target};
use patchcord_core::vocabulary::{Callee, DialOrder, PhoneNumber};
use std::time::Duration;

fn flow(steps: &str) -> Result<Config, String> {
    Config::parse(&format!("[flows.main]\nsteps = [{steps}]\n")).map_err(|problems| problems.to_string())
}

#[track_caller]
fn refused(steps: &str, words: &[&str]) {
    let problems = flow(steps).expect_err(steps);
    assert!(words.iter().all(|word| problems.contains(word)), "{steps}: {problems}");
}

#[test]
fn a_menu_leads_to_labels_flows_and_bots() {
    let text = "[flows.main]\nsteps = [\n\
        { menu = \"clip:choose\", keys = { 1 = \"again\", 2 = \"other\", 3 = \"bot:echo\", \"*\" = \"repeat\", 0 = \"hangup\" }, timeout = \"3s\", retries = 1 },\n\
        { label = \"again\", play = \"clip:closed\" } ]\n\
        [flows.other]\nsteps = [{ hangup = true }]\n";
    let config = Config::parse(text).unwrap();
    let [Step::Menu(menu), Step::Play(_)] = config.flows.scripts[0].steps.as_slice() else {
        panic!("{:?}", config.flows)
    };
    let leads: Vec<String> =
        menu.keys.iter().map(|(key, target)| format!("{} {target:?}", key.as_char())).collect();
    assert_eq!(
        leads,
        [
            "1 Step(Spot { flow: 0, step: 1 })",
            "2 Step(Spot { flow: 1, step: 0 })",
            "3 Bot(\"echo\")",
            "* Again",
            "0 HangUp"
        ]
    );
    assert_eq!((menu.ask.timeout, menu.ask.retries), (Duration::from_secs(3), 1));
    assert_eq!(menu.otherwise, Target::Next);
}

#[test]
fn everything_that_is_wrong_is_told_at_once_with_its_place() {
    let text = "[flows.main]\nsteps = [\n\
        { paly = \"clip:closed\" },\n\
        { menu = \"clip:chose\", keys = { 1 = \"sales\", x = \"hangup\" }, retires = 2 },\n\
        { bot = \"nobody\" },\n\
        { play = \"absent.wav\" } ]\n\
        [[numbers]]\nnumber = \"1\"\nflow = \"mian\"\nfallback = \"flow:none\"\n";
    let problems = Config::parse(text).unwrap_err().to_string();
    for words in [
        "patchcord.toml:3:1: flows.main.steps[0]: a step that does nothing known; did you mean \"play\"?",
        "flows.main.steps[1].menu: unknown clip \"chose\"; did you mean \"choose\"?",
        "flows.main.steps[1].keys.1: there is no flow and no label of this flow \"sales\"",
        "flows.main.steps[1].keys.x: \"x\" is not a key of the telephone",
        "flows.main.steps[1].retires: unknown key \"retires\"; did you mean \"retries\"?",
        "flows.main.steps[2].bot: ",
        "flows.main.steps[3].play: the clip absent.wav cannot be read",
        "numbers[0].flow: unknown flow \"mian\"; did you mean \"main\"?",
        "numbers[0].fallback: unknown flow \"none\"",
    ] {
        assert!(problems.contains(words), "{words}\n---\n{problems}");
    }
}

#[test]
fn a_step_does_one_thing_and_takes_its_own_keys_only() {
    refused("{ play = \"clip:closed\", bot = \"echo\" }", &["does both play and bot", "two steps"]);
    refused("{ play = \"clip:closed\", retries = 2 }", &["steps[0].retries", "unknown key", "label, play"]);
    refused("{ label = \"x\" }", &["nothing known", "play, menu"]);
    refused("\"play\"", &["a string stands where", "a table"]);
    refused("", &["a flow without steps"]);
    refused("{ hangup = false }", &["does nothing"]);
}

#[test]
fn labels_and_flows_have_names_that_cannot_be_mistaken() {
    refused("{ label = \"next\", hangup = true }", &["meaning of its own"]);
    refused("{ label = \"a b\", hangup = true }", &["not a name"]);
    refused("{ label = \"a\", play = \"clip:closed\" }, { label = \"a\", hangup = true }", &["another step"]);
    let problems = Config::parse("[flows.\"bot:x\"]\nsteps = [{ hangup = true }]\n").unwrap_err().to_string();
    assert!(problems.contains("not a name for a flow"), "{problems}");
}

#[test]
fn bounds_of_asking_are_held() {
    let menu = |rest: &str| format!("{{ menu = \"clip:choose\", keys = {{ 1 = \"hangup\" }}, {rest} }}");
    refused(&menu("retries = 11"), &["too many", "at most 10"]);
    refused(&menu("timeout = \"0s\""), &["nobody can answer"]);
    refused(&menu("timeout = \"6m\""), &["up to 5m"]);
    refused("{ menu = \"clip:choose\", keys = {} }", &["a menu without keys"]);
    refused("{ menu = \"clip:choose\" }", &["a menu without keys"]);
    let gather = |rest: &str| format!("{{ gather = \"clip:number\", {rest} }}");
    assert!(flow(&gather("name = \"account\", min = 4, max = 8, terminator = \"none\"")).is_ok());
    refused(&gather("min = 1"), &["\"name\" is missing"]);
    refused(&gather("name = \"a\", min = 5, max = 4"), &["5 to 4 digits"]);
    refused(&gather("name = \"a\", max = 65"), &["1 to 64"]);
    refused(&gather("name = \"a\", terminator = \"x\""), &["not a key"]);
}

#[test]
fn hours_are_read_and_their_mistakes_told() {
    let hours = |inner: &str| format!("{{ hours = {{ {inner} }} }}, {{ label = \"night\", hangup = true }}");
    let good = hours(
        "zone = \"+05:30\", week = { mon-fri = \"09:00-12:30, 13:30-18:00\", sat = \"10:00-14:00\" }, \
         holidays = [\"2026-01-26\", \"12-25\"], closed = \"night\"",
    );
    let config = flow(&good).unwrap();
    let Step::Hours { hours: read, closed, .. } = &config.flows.scripts[0].steps[0] else { panic!() };
    assert_eq!(
        (read.offset_minutes, read.week[4].len(), read.week[5].len(), read.week[6].len()),
        (330, 2, 1, 0)
    );
    assert_eq!(
        (read.holidays.len(), closed),
        (2, &Target::Step(patchcord_core::flow::Spot { flow: 0, step: 1 }))
    );
    for (inner, word) in [
        ("week = { mon = \"9-18\" }, closed = \"night\"", "no opening hours"),
        ("week = { mon = \"09:00-25:00\" }, closed = \"night\"", "no opening hours"),
        ("week = { monday = \"09:00-18:00\" }, closed = \"night\"", "unknown day"),
        ("week = { daily = \"00:00-24:00\" }, zone = \"IST\", closed = \"night\"", "no zone"),
        ("week = { daily = \"00:00-24:00\" }, zone = \"+15:00\", closed = \"night\"", "no zone"),
        ("week = { daily = \"00:00-24:00\" }, holidays = [\"2026-02-29\"], closed = \"night\"", "no day"),
        ("week = { daily = \"00:00-24:00\" }", "\"closed\" is missing"),
        ("closed = \"night\"", "\"week\" is missing"),
        ("week = { daily = \"00:00-24:00\" }, closed = \"day\"", "no label of this flow \"day\""),
    ] {
        refused(&hours(inner), &[word]);
    }
}

#[test]
fn steps_that_go_round_without_waiting_are_refused_with_their_way() {
    let always = "week = { daily = \"00:00-24:00\" }";
    refused(
        &format!("{{ label = \"a\", play = \"clip:closed\" }}, {{ hours = {{ {always}, closed = \"a\" }} }}"),
        &["flows.main.steps[0]", "main[0] → main[1] → main[0]", "put a menu or a hangup"],
    );
    refused(&format!("{{ hours = {{ {always}, closed = \"repeat\" }} }}"), &["main[0] → main[0]"]);
    let waits = format!(
        "{{ label = \"a\", menu = \"clip:choose\", keys = {{ 1 = \"b\" }}, otherwise = \"a\" }}, \
         {{ label = \"b\", hours = {{ {always}, open = \"a\", closed = \"a\" }} }}"
    );
    assert!(flow(&waits).is_ok(), "{:?}", flow(&waits));
}

#[test]
fn clips_of_ones_own_are_wav_files_beside_the_configuration() {
    let folder = std::env::temp_dir().join(format!("patchcord-clips-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let write = |name: &str, channels: u16, sample_rate: u32, samples: usize| {
        let spec = hound::WavSpec {
            channels,
            sample_rate,
            bits_per_sample: 16,
            sample_format: hound::SampleFormat::Int,
        };
        let mut writer = hound::WavWriter::create(folder.join(name), spec).unwrap();
        (0..samples * usize::from(channels)).for_each(|_| writer.write_sample(100_i16).unwrap());
        writer.finalize().unwrap();
    };
    write("good.wav", 1, 16_000, 24_000);
    write("stereo.wav", 2, 8_000, 8_000);
    write("cd.wav", 1, 44_100, 44_100);
    write("empty.wav", 1, 8_000, 0);
    write("long.wav", 1, 8_000, 8_000 * 301);
    std::fs::write(folder.join("text.wav"), "hello").unwrap();
    let read = |clip: &str| {
        let file = folder.join("patchcord.toml");
        std::fs::write(&file, format!("[flows.main]\nsteps = [{{ play = \"{clip}\" }}]\n")).unwrap();
        load(Some(&file), &Environment::default()).map_err(|problems| problems.to_string())
    };
    let good = read("good.wav").unwrap().config;
    let [Step::Play(clip)] = good.flows.scripts[0].steps.as_slice() else { panic!() };
    assert_eq!(clip.duration(), Duration::from_millis(1_500));
    for (clip, words) in [
        ("stereo.wav", "2 channels of 16 bits at 8000 Hz"),
        ("cd.wav", "at 44100 Hz"),
        ("empty.wav", "lasts 0 s"),
        ("long.wav", "lasts 301 s"),
        ("text.wav", "no WAV file that can be played"),
        ("../none.wav", "cannot be read"),
    ] {
        let problems = read(clip).unwrap_err();
        assert!(problems.contains(words), "{clip}: {problems}");
    }
    assert!(read("cd.wav").unwrap_err().contains("sox cd.wav -r 8000 -c 1 -b 16"));
    let _ = std::fs::remove_dir_all(&folder);
}

#[test]
fn starter_clips_are_short_audible_and_small_together() {
    let mut total = 0;
    for (name, audio) in STARTERS {
        assert!((4_000..100_000).contains(&audio.len()), "{name}");
        let peak = audio
            .iter()
            .map(|byte| patchcord_core::media::g711::Law::Mu.decode_sample(*byte).unsigned_abs())
            .max();
        assert!(peak > Some(4_000), "{name}: {peak:?}");
        total += audio.len();
    }
    assert!(total < 400_000, "{total}");
}

#[test]
fn the_examples_of_the_documentation_are_good() {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/flows.md")).unwrap();
    let examples: Vec<&str> =
        page.split("```toml\n").skip(1).map(|rest| rest.split("```").next().unwrap_or_default()).collect();
    assert!(examples.len() >= 3, "{examples:?}");
    for example in examples {
        let config = Config::parse(example).unwrap_or_else(|problems| panic!("{example}\n{problems}"));
        assert!(!config.flows.scripts.is_empty(), "{example}");
    }
    for (name, _) in STARTERS {
        assert!(page.contains(&format!("| `clip:{name}` |")), "{name}");
    }
}

/// A flow of these steps beside two extensions and a trunk.
fn with_people(steps: &str) -> Result<Config, String> {
    let around = "[[extensions]]\nnumber = \"101\"\npassword = \"p\"\n[[extensions]]\nnumber = \"102\"\npassword = \"p\"\n\
        [[trunks]]\nname = \"carrier\"\nhost = \"sip.example.com\"\nallow = [\"91*\"]\ncaller_ids = [\"5\"]\n";
    Config::parse(&format!("{around}[flows.main]\nsteps = [{steps}]\n"))
        .map_err(|problems| problems.to_string())
}

#[test]
fn people_are_extensions_and_numbers_that_a_trunk_may_dial() {
    let config = with_people(
        "{ dial = \"101\" }, { dial = { to = [\"102\", \"919876543210\"], order = \"one_by_one\", ring = \"15s\" } }, \
         { menu = \"clip:choose\", keys = { 1 = \"extension:101\", 2 = \"transfer:919876543210\" } }",
    )
    .unwrap();
    let [Step::Dial(one), Step::Dial(two), Step::Menu(menu)] = config.flows.scripts[0].steps.as_slice()
    else {
        panic!("{:?}", config.flows)
    };
    assert_eq!(
        (one.to.as_slice(), one.ring),
        ([Callee::Extension("101".into())].as_slice(), Duration::from_secs(20))
    );
    let phone = Callee::Phone(PhoneNumber::new("919876543210"));
    assert_eq!(two.to, [Callee::Extension("102".into()), phone.clone()]);
    assert_eq!((two.order, two.ring), (DialOrder::OneByOne, Duration::from_secs(15)));
    let Target::Dial(dial) = &menu.keys[1].1 else { panic!("{menu:?}") };
    assert_eq!(dial.to, [phone]);
    for (steps, words) in [
        ("{ dial = \"103\" }", "no trunk may dial it"),
        ("{ dial = \"44123\" }", "no trunk may dial it"),
        ("{ dial = { to = [] } }", "nobody is called"),
        ("{ dial = { order = \"all\" } }", "nobody is called"),
        ("{ dial = { to = [\"101\"], order = \"random\" } }", "unknown order"),
        ("{ dial = { to = [\"101\"], ring = \"3m\" } }", "too short or too long"),
        ("{ menu = \"clip:choose\", keys = { 1 = \"extension:104\" } }", "unknown extension"),
    ] {
        let problems = with_people(steps).expect_err(steps);
        assert!(problems.contains(words), "{steps}: {problems}");
    }
}

#[test]
fn a_queue_has_agents_and_a_name_of_its_own() {
    let config =
        with_people("{ queue = { agents = [\"101\", \"102\"], order = \"one_by_one\", announce = \"0s\" } }")
            .unwrap();
    let [queue] = config.queues.as_slice() else { panic!("{:?}", config.queues) };
    assert_eq!(
        (queue.name.as_str(), queue.agents.as_slice()),
        ("main", ["101".to_owned(), "102".to_owned()].as_slice())
    );
    let Step::Queue(step) = &config.flows.scripts[0].steps[0] else { panic!() };
    assert_eq!((&*step.name, step.announce, &step.overflow), ("main", None, &Target::Next));
    for (steps, words) in [
        ("{ queue = { } }", "nobody takes the calls"),
        ("{ queue = { agents = [\"103\"] } }", "unknown extension"),
        ("{ queue = { agents = [\"101\"], max_callers = 0 } }", "no caller, or too many"),
        ("{ queue = { agents = [\"101\"], max_wait = \"2h\" } }", "too short or too long"),
        ("{ queue = { agents = [\"101\"], agent = 1 } }", "unknown key"),
        (
            "{ queue = { agents = [\"101\"] } }, { queue = { agents = [\"102\"] } }",
            "a queue \"main\" already",
        ),
        ("{ queue = { agents = [\"101\"], overflow = \"nobody\" } }", "no flow and no label"),
    ] {
        let problems = with_people(steps).expect_err(steps);
        assert!(problems.contains(words), "{steps}: {problems}");
    }
}

#[test]
fn a_voicemail_has_bounds_that_fit() {
    let config = flow("{ voicemail = { max = \"1m\", min = \"3s\", silence = \"4s\" } }").unwrap();
    let [Step::Voicemail(voicemail)] = config.flows.scripts[0].steps.as_slice() else { panic!() };
    assert_eq!((voicemail.max, voicemail.min), (Duration::from_secs(60), Duration::from_secs(3)));
    assert!(flow("{ voicemail = {} }").is_ok());
    refused("{ voicemail = { max = \"11m\" } }", &["voicemail.max", "too short or too long"]);
    refused("{ voicemail = { max = \"2s\", min = \"3s\" } }", &["longer than a message"]);
    refused("{ voicemail = { greeting = \"none.wav\" } }", &["cannot be read"]);
}
