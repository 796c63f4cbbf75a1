//! An engine talks with a caller: barge-ins, what was heard, the transcript, new sessions. The engine is a script that
//! speaks the vocabulary in plain words.

use std::collections::BTreeMap;

use super::*;
use crate::agent::AgentTerms;
use crate::dialect::{Capability, Dialect, Malformed, Out, WireClass};
use crate::vocabulary::{
    CallCommand, CallEvent, HeardPart, LineStage, Role, SpeechCommand, SpeechEdge, SpeechEvent, ToolCall,
    TranscriptLine, Utterance,
};

/// The bot side of a wire whose messages are words: `item A`, `caller started [A]`, `clear`, `line bot final A|words`,
/// `tool ID NAME {…}`; binary messages are audio.
struct WordsOfAnEngine {
    format: MediaFormat,
    history: Vec<TranscriptLine>,
    /// Calls of tools without a result; another one is told to nobody.
    waiting: Vec<String>,
}

impl Dialect for WordsOfAnEngine {
    type Say = CallEvent;
    type Hear = CallCommand;

    fn format(&self) -> MediaFormat {
        self.format
    }

    fn encode(&mut self, say: &CallEvent, _: Moment, out: &mut Out<CallCommand>) {
        let told = match say {
            CallEvent::Started(_) => {
                let lines: Vec<_> =
                    self.history.iter().map(|line| format!("{:?}:{}", line.role, line.text)).collect();
                format!("started {}", lines.join("|"))
            }
            CallEvent::Speech(SpeechEvent::Interrupted { item, heard }) => {
                format!("interrupted {item} {}", heard.as_millis())
            }
            CallEvent::Speech(SpeechEvent::WordsWanted { id, instructions }) => {
                format!("wanted {id} {instructions}")
            }
            CallEvent::Speech(SpeechEvent::ToolDone(result)) => {
                let Some(at) = self.waiting.iter().position(|id| **id == *result.id) else { return };
                self.waiting.swap_remove(at);
                format!("done {} {}", result.id, result.output)
            }
            CallEvent::Ended(_) => "ended".to_owned(),
            _ => return,
        };
        out.text(WireClass::Control, |to| to.extend_from_slice(told.as_bytes()));
    }

    fn encode_audio(&mut self, audio: &[u8], _: Moment, out: &mut Out<CallCommand>) {
        out.binary(WireClass::Audio, |to| to.extend_from_slice(audio));
    }

    fn decode(&mut self, wire: Wire<'_>, _: Moment, out: &mut Out<CallCommand>) -> Result<(), Malformed> {
        let text = match wire {
            Wire::Text(text) => text,
            Wire::Binary(audio) => {
                return out.hear_audio(|to| {
                    to.extend_from_slice(audio);
                    Ok(())
                });
            }
        };
        let (kind, rest) = text.split_once(' ').unwrap_or((text, ""));
        let speech = match kind {
            "clear" => {
                out.hear(CallCommand::Clear);
                return Ok(());
            }
            "item" => SpeechCommand::Item(rest.into()),
            "caller" if rest.starts_with("started") => {
                let item = rest.split_once(' ').map(|(_, item)| item.into());
                SpeechCommand::Caller(SpeechEdge::Started { item })
            }
            "caller" => SpeechCommand::Caller(SpeechEdge::Stopped),
            "line" => {
                let (head, words) = rest.split_once('|').ok_or(Malformed::Missing("words"))?;
                let [role, stage, item] = head.splitn(3, ' ').collect::<Vec<_>>().try_into().unwrap();
                let role = if role == "bot" { Role::Bot } else { Role::Caller };
                let stage = if stage == "final" { LineStage::Final } else { LineStage::Delta };
                SpeechCommand::Line(TranscriptLine { role, item: item.into(), text: words.into(), stage })
            }
            "tool" => {
                let [id, name, arguments] = rest.splitn(3, ' ').collect::<Vec<_>>().try_into().unwrap();
                self.waiting.push(id.to_owned());
                SpeechCommand::Tool(ToolCall {
                    id: id.into(),
                    name: name.into(),
                    arguments: arguments.into(),
                })
            }
            _ => return Err(Malformed::Missing("kind")),
        };
        out.hear(CallCommand::Speech(speech));
        Ok(())
    }

    fn remember(&mut self, history: &[TranscriptLine]) {
        self.history = history.to_vec();
    }

    fn ask_last_words(&mut self, is_speaking: bool, out: &mut Out<CallCommand>) -> bool {
        let told: &[u8] = if is_speaking { b"last words, commit" } else { b"last words" };
        out.text(WireClass::Control, |to| to.extend_from_slice(told));
        true
    }

    fn capabilities(&self) -> &'static [Capability] {
        &[Capability::Clear, Capability::HangUp, Capability::Transfer]
    }
}

/// An agent whose engine speaks `format`.
pub(super) fn agent(format: MediaFormat, terms: AgentTerms) -> BotSettings {
    let side = Box::new(WordsOfAnEngine { format, history: Vec::new(), waiting: Vec::new() });
    BotSettings {
        name: "dealer".into(),
        dialect: "words",
        side,
        audio: WireAudio { format, frame: FRAME },
        place: BotPlace::Remote,
        on_transfer: OnTransfer::Hold,
        agent: Some(Arc::new(terms)),
    }
}

/// A phone that talks to an agent with a µ-law engine.
pub(super) fn talking(terms: AgentTerms) -> Desk {
    let mut desk = Desk::sip(agent(MediaFormat::PCMU_8K, terms), Fallback::Sorry);
    desk.input(Input::BotConnected);
    desk
}

/// Somebody at the phone.
trait Caller {
    /// Twenty milliseconds of the caller, loud or silent.
    fn frame(&mut self, is_loud: bool);
}

impl Caller for Desk {
    fn frame(&mut self, is_loud: bool) {
        if let PhoneLeg::Rtp(_) = &self.call.phone {
            return self.phone_speaks(if is_loud { 0x20 } else { 0xFF });
        }
        let samples = vec![if is_loud { "8000" } else { "0" }; 160].join(",");
        self.vendor_says(&format!(
            r#"{{"event":"media","type":"media","ucid":"u","data":{{"samples":[{samples}],"bitsPerSample":16,"sampleRate":8000,"channelCount":1,"numberOfFrames":160,"type":"data"}}}}"#
        ));
    }
}

/// One turn of the script: the caller speaks, the bot answers, and may be cut off by the next turn.
struct Turn {
    caller: &'static str,
    bot: &'static str,
    /// Milliseconds of the bot's audio.
    length: u64,
    /// When after the caller's last sound the bot's audio comes.
    answers_after: u64,
    /// When after its beginning the next caller cuts it off.
    cut_after: Option<u64>,
}

const fn turn(
    caller: &'static str,
    bot: &'static str,
    length: u64,
    answers_after: u64,
    cut_after: Option<u64>,
) -> Turn {
    Turn { caller, bot, length, answers_after, cut_after }
}

const SCRIPT: [Turn; 10] = [
    turn("good morning", "good morning this is the dealer how can I help you", 3_000, 700, None),
    turn("which cars are there", "there are red ones and blue ones and green ones", 4_000, 640, Some(1_500)),
    turn("only the blue", "the blue one costs a lot of money to most people", 3_600, 820, None),
    turn("how much", "it is twelve lakh and it comes with a spare wheel", 3_000, 560, Some(700)),
    turn("and the taxes", "the taxes are already in it", 1_800, 700, None),
    turn("hm", "would you like to come and drive it", 2_400, 900, Some(2_000)),
    turn("yes tomorrow", "tomorrow at ten or at eleven or in the afternoon", 4_200, 600, Some(240)),
    turn("at ten", "ten it is may I have your name", 2_000, 660, None),
    turn("Asha", "thank you Asha", 1_000, 600, None),
    turn("goodbye", "goodbye and see you tomorrow", 1_600, 720, None),
];

/// Milliseconds that a caller speaks in each turn, and how long the engine takes to notice.
const SPEAKS: u64 = 800;
const ENGINE_LAG: u64 = 80;

/// What happens when, in milliseconds: messages of the engine, and who is loud.
struct Timeline {
    engine: BTreeMap<u64, Vec<Result<String, Vec<u8>>>>,
    loud: Vec<(u64, u64)>,
    end: u64,
}

/// The audio of turn `at`, a level of its own, in the engine's format.
fn audio_of(at: usize, length: u64, format: MediaFormat) -> Vec<u8> {
    let bytes = format.bytes_in(Duration::from_millis(length));
    if format == MediaFormat::PCMU_8K {
        return vec![0x10 + at as u8; bytes];
    }
    (level_of(at)).to_le_bytes().into_iter().cycle().take(bytes).collect()
}

fn level_of(at: usize) -> i16 {
    4_000 + 2_000 * at as i16
}

fn timeline(format: MediaFormat) -> Timeline {
    let mut engine: BTreeMap<u64, Vec<Result<String, Vec<u8>>>> = BTreeMap::new();
    let mut loud = Vec::new();
    let mut begins = 400;
    for (at, turn) in SCRIPT.iter().enumerate() {
        let ends = begins + SPEAKS;
        loud.push((begins, ends));
        let mut say = |when: u64, words: String| engine.entry(when).or_default().push(Ok(words));
        say(begins + ENGINE_LAG, "caller started".to_owned());
        // What was cut off is dropped by the engine's own word.
        say(begins + ENGINE_LAG, "clear".to_owned());
        say(ends + 500, "caller stopped".to_owned());
        let answer = ends + turn.answers_after;
        say(answer + 100, format!("line caller final u{at}|{}", turn.caller));
        say(answer, format!("item b{at}"));
        let (half, rest) = turn.bot.split_at(turn.bot.len() / 2);
        say(answer, format!("line bot delta b{at}|{half}"));
        engine.entry(answer).or_default().push(Err(audio_of(at, turn.length, format)));
        let mut say = |when: u64, words: String| engine.entry(when).or_default().push(Ok(words));
        say(answer + 20, format!("line bot delta b{at}|{rest}"));
        say(answer + 40, format!("line bot final b{at}|{}", turn.bot));
        begins = match turn.cut_after {
            Some(cut) => answer + cut - ENGINE_LAG,
            None => answer + turn.length + 600,
        };
        begins -= begins % 20;
    }
    Timeline { engine, loud, end: begins + 1_000 }
}

/// Plays the script on a call.
fn play(desk: &mut Desk, timeline: &Timeline) -> Moment {
    let origin = desk.now;
    for at in (0..timeline.end).step_by(20) {
        desk.frame(timeline.loud.iter().any(|(from, to)| (*from..*to).contains(&at)));
        for message in timeline.engine.range(at..at + 20).flat_map(|(_, messages)| messages) {
            match message {
                Ok(words) => desk.bot_says(words),
                Err(audio) => desk.bot_sends(audio),
            }
        }
        desk.pass(FRAME);
    }
    origin
}

/// Milliseconds of turn `at` that reached the phone, and when the first of them left.
fn reached_phone(desk: &Desk, at: usize) -> (f64, Option<Moment>) {
    let is_rtp = matches!(&desk.call.phone, PhoneLeg::Rtp(_));
    let near = |level: i16| (level - level_of(at)).abs() < 600;
    let mut samples = 0;
    let mut first = None;
    for (when, seen) in &desk.seen {
        let found = match seen {
            Seen::Rtp(packet) if is_rtp && packet.get(1).is_some_and(|kind| kind & 0x7F == 0) => {
                packet.iter().skip(12).filter(|byte| **byte == 0x10 + at as u8).count()
            }
            Seen::ToPhone(text) if text.contains(r#""samples":["#) => {
                let list = text.split_once(r#""samples":["#).unwrap().1.split(']').next().unwrap();
                list.split(',')
                    .filter_map(|sample| sample.trim().parse().ok())
                    .filter(|one| near(*one))
                    .count()
            }
            _ => 0,
        };
        // Where the sound steps, a filter rings through the levels of other turns.
        if found >= 40 {
            first.get_or_insert(*when);
            samples += found;
        }
    }
    (samples as f64 / 8.0, first)
}

pub(super) fn utterances(desk: &Desk) -> Vec<Utterance> {
    let mut all: Vec<Utterance> = desk
        .seen
        .iter()
        .filter_map(|(_, seen)| match seen {
            Seen::Report(CallFact::Utterance(utterance)) => Some((**utterance).clone()),
            _ => None,
        })
        .collect();
    all.sort_by_key(|one| one.start);
    all
}

/// Checks a call that played the script: truncations, transcript, response times.
fn check(desk: &Desk, timeline: &Timeline, origin: Moment) {
    let cuts: BTreeMap<&str, f64> = desk
        .to_bot()
        .iter()
        .filter_map(|text| text.strip_prefix("interrupted "))
        .map(|text| text.split_once(' ').map(|(item, ms)| (item, ms.parse().unwrap())).unwrap())
        .collect();
    let cut_turns = SCRIPT.iter().filter(|turn| turn.cut_after.is_some()).count();
    assert_eq!((cuts.len(), cut_turns), (4, 4), "{cuts:?}");
    let all = utterances(desk);
    assert_eq!(all.len(), 20, "{all:?}");
    for (at, (turn, pair)) in SCRIPT.iter().zip(all.chunks(2)).enumerate() {
        let [caller, bot] = pair else { panic!("a turn has two utterances") };
        assert_eq!((caller.role, &*caller.text), (Role::Caller, turn.caller));
        assert_eq!((bot.role, &*bot.text), (Role::Bot, turn.bot));
        let (left, first) = reached_phone(desk, at);
        match turn.cut_after {
            None => assert_eq!(bot.heard, HeardPart::All, "turn {at}"),
            Some(_) => {
                let told = cuts[format!("b{at}").as_str()];
                assert!((told - left).abs() <= 20.0, "turn {at}: told {told}, left {left}");
                assert!(told <= turn.length as f64);
                let share = told / turn.length as f64;
                match bot.heard {
                    HeardPart::First { audio, text_bytes } => {
                        assert_eq!(audio.as_millis(), told as u128);
                        let expected = share * turn.bot.len() as f64;
                        assert!(text_bytes as f64 <= expected && text_bytes as f64 >= expected - 12.0);
                    }
                    other => panic!("turn {at}: {other:?}"),
                }
            }
        }
        let (began, ended) = timeline.loud[at];
        let far = |one: Duration, ms: u64| one.abs_diff(origin - desk_start() + Duration::from_millis(ms));
        assert!(
            far(caller.start, began) <= Duration::from_millis(40),
            "turn {at}: {:?} {began}",
            caller.start
        );
        assert!(far(caller.end, ended) <= Duration::from_millis(40), "turn {at}: {:?} {ended}", caller.end);
        let measured = first.unwrap() - (origin + Duration::from_millis(ended));
        let told = bot.response.unwrap_or_else(|| panic!("turn {at} has no response time"));
        assert!(told.abs_diff(measured) <= Duration::from_millis(20), "turn {at}: {told:?} for {measured:?}");
    }
}

fn desk_start() -> Moment {
    settings_moment()
}

#[test]
fn ten_turns_with_four_interruptions_on_a_sip_phone_are_told_as_they_were_heard() {
    let timeline = timeline(MediaFormat::PCMU_8K);
    let mut desk = talking(AgentTerms::default());
    let origin = play(&mut desk, &timeline);
    desk.input(Input::PhoneGone(Reason::CallerHungUp));
    check(&desk, &timeline, origin);
}

#[test]
fn ten_turns_with_four_interruptions_on_a_vendors_leg_with_an_engine_at_24_khz() {
    let format = MediaFormat::linear16(24_000);
    let timeline = timeline(format);
    let mut desk = Desk::vendor("ozonetel", agent(format, AgentTerms::default()));
    desk.vendor_says(r#"{"event":"start","ucid":"u","type":"text"}"#);
    desk.input(Input::BotConnected);
    let origin = play(&mut desk, &timeline);
    assert!(desk.to_phone().iter().any(|text| text.contains("clearBuffer")), "the vendor drops what it has");
    desk.vendor_says(r#"{"event":"stop","ucid":"u","type":"text"}"#);
    check(&desk, &timeline, origin);
}

#[test]
fn a_barge_in_silences_the_bot_within_a_frame_and_items_that_never_began_are_told_as_unheard() {
    let mut desk = talking(AgentTerms::default());
    desk.bot_says("item a");
    desk.bot_sends(&[0x10; 8_000]);
    desk.bot_says("item b");
    desk.bot_sends(&[0x11; 8_000]);
    desk.talk(Duration::from_millis(300));
    desk.bot_says("caller started");
    desk.bot_says("clear");
    let from = desk.now;
    desk.talk(Duration::from_millis(200));
    let loud = |audio: &[u8]| audio.iter().any(|byte| *byte != 0xFF);
    assert!(desk.heard_since(from + FRAME).iter().all(|(_, audio)| !loud(audio)));
    let cut: Vec<_> = desk.to_bot().into_iter().filter(|text| text.starts_with("interrupted")).collect();
    let [first, second] = cut.as_slice() else { panic!("{cut:?}") };
    let heard: u64 = first.strip_prefix("interrupted a ").unwrap().parse().unwrap();
    assert!((280..=320).contains(&heard), "{heard}");
    assert_eq!(*second, "interrupted b 0");
}

#[test]
fn an_engine_that_is_lost_is_reached_anew_with_what_was_said_and_the_caller_hears_on() {
    let mut desk = talking(AgentTerms::default());
    desk.bot_says("line caller final u|hello");
    desk.bot_says("item a");
    desk.bot_says("line bot final a|good day");
    desk.bot_sends(&[0x10; 8_000]);
    desk.talk(Duration::from_millis(300));
    desk.input(Input::BotClosed(SocketEnd::Reset));
    assert!(desk.saw(&Seen::ReachNextBot(BotWish::SameAgain)));
    let from = desk.now;
    desk.talk(Duration::from_millis(300));
    let next = NextBot {
        settings: agent(MediaFormat::PCMU_8K, AgentTerms::default()),
        stream_id: StreamId::new(1, 2),
    };
    desk.input(Input::NextBot(Box::new(next)));
    desk.talk(Duration::from_millis(600));
    let loud = desk.heard_since(from).iter().filter(|(_, audio)| audio[0] == 0x10).count();
    assert_eq!(loud * 20, 700, "all that was said is heard");
    let started = desk.to_bot().into_iter().rfind(|text| text.starts_with("started")).unwrap();
    assert_eq!(started, "started Caller:hello|Bot:good day");
    assert_eq!(desk.call.state(), StateName::Talking);
    desk.input(Input::PhoneGone(Reason::CallerHungUp));
    desk.pass(Duration::from_secs(2));
    assert!(desk.ended().earlier_bots.is_empty() && desk.ended().bot_failed_at.is_none());
    let counted = desk.ended().counters;
    assert_eq!((counted.engine_sessions, counted.engine_reconnects), (2, 1));
}

#[test]
fn an_engine_that_cannot_be_reached_anew_in_half_a_second_gives_the_caller_the_fallback() {
    let mut desk = talking(AgentTerms::default());
    desk.talk(Duration::from_millis(200));
    desk.input(Input::BotClosed(SocketEnd::Closed(1000)));
    let lost = desk.now;
    desk.talk(Duration::from_secs(1));
    let first = desk.heard_since(lost).into_iter().find(|(_, audio)| audio.iter().any(|byte| *byte != 0xFF));
    let after = first.expect("the apology").0 - lost;
    assert!((500..=620).contains(&after.as_millis()), "{after:?}");
    desk.pass(Duration::from_secs(5));
    assert_eq!(cause_of(&desk).reason(), Reason::BotNoHandshake);
}

#[test]
fn an_engine_that_is_lost_again_and_again_is_given_up() {
    let mut desk = talking(AgentTerms::default());
    for _ in 0..RECONNECTS_MAX {
        desk.input(Input::BotClosed(SocketEnd::Reset));
        let settings = agent(MediaFormat::PCMU_8K, AgentTerms::default());
        let next = NextBot { settings, stream_id: StreamId::new(1, 2) };
        desk.input(Input::NextBot(Box::new(next)));
        desk.talk(Duration::from_millis(40));
    }
    desk.input(Input::BotClosed(SocketEnd::Reset));
    desk.pass(Duration::from_secs(5));
    assert_eq!(cause_of(&desk).reason(), Reason::BotReset);
}

#[test]
fn an_old_session_is_replaced_in_a_pause_by_one_that_was_prepared_beside_it() {
    let terms = AgentTerms { session: Duration::from_secs(60), ..AgentTerms::default() };
    let mut desk = talking(terms.clone());
    desk.talk(Duration::from_millis(59_900));
    assert!(!desk.saw(&Seen::ReachNextBot(BotWish::SameAgain)));
    desk.talk(Duration::from_millis(200));
    assert!(desk.saw(&Seen::ReachNextBot(BotWish::SameAgain)));
    desk.bot_says("item a");
    desk.bot_says("line bot final a|one moment");
    desk.bot_sends(&[0x10; 8_000]);
    let next = NextBot { settings: agent(MediaFormat::PCMU_8K, terms), stream_id: StreamId::new(1, 2) };
    desk.input(Input::NextBot(Box::new(next)));
    let silence = |desk: &mut Desk, ms: u64| {
        for _ in 0..ms / 20 {
            desk.phone_speaks(0xFF);
            desk.pass(FRAME);
        }
    };
    silence(&mut desk, 900);
    assert!(!desk.saw(&Seen::NextBotTakesOver), "the bot speaks");
    silence(&mut desk, 2_000);
    assert!(desk.saw(&Seen::NextBotTakesOver));
    let started = desk.to_bot().into_iter().rfind(|text| text.starts_with("started")).unwrap();
    assert_eq!(started, "started Bot:one moment");
    assert!(desk.when(&Seen::ToBot("ended".to_owned())) <= desk.when(&Seen::NextBotTakesOver));
}

#[test]
fn other_bots_are_told_of_a_clear_as_ever_and_report_no_words() {
    let mut desk = Desk::sip(remote("ivr-solutions"), Fallback::Sorry);
    desk.input(Input::BotConnected);
    desk.bot_sends(&[0x10; 16_000]);
    desk.talk(Duration::from_millis(100));
    desk.bot_says(r#"{"type":"audio.clear"}"#);
    desk.input(Input::PhoneGone(Reason::CallerHungUp));
    assert!(utterances(&desk).is_empty());
    assert!(!desk.saw(&Seen::Report(CallFact::EngineConnected)));
}
