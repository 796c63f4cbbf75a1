//! A menu by keys: each leads to another bot, `*` says it again, silence ends the call politely.

use std::convert::Infallible;
use std::time::Duration;

use patchcord_core::dialect::{Capability, Dialect, Malformed, Out, Wire};
use patchcord_core::media::{Converter, MediaFormat};
use patchcord_core::vocabulary::{CallCommand, CallEvent, Digit, HangUpWhen, Moment, Transfer, TransferTo};

use crate::config::IvrMenu;

/// The bot `ivr`.
#[derive(Debug)]
pub struct Ivr {
    format: MediaFormat,
    menu: IvrMenu,
    state: State,
    /// How often the prompt was said; the mark behind it has this number.
    prompts: u32,
    /// Prompts in a row that nobody answered with a key of the menu.
    unanswered: u32,
}

/// What the menu is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// The prompt is heard.
    Prompting,
    /// The prompt is over; a key may come until then.
    Waiting { until: Moment },
    /// The call is being handed over.
    HandingOver,
    /// The last word was said.
    Leaving,
}

impl Ivr {
    /// The menu in `format`.
    pub fn new(format: MediaFormat, menu: IvrMenu) -> Self {
        Self { format, menu, state: State::Prompting, prompts: 0, unanswered: 0 }
    }

    fn prompt(&mut self, out: &mut Out<CallCommand>) {
        self.say(if self.menu.is_default() { MENU } else { CHOOSE }, out);
        self.prompts += 1;
        self.state = State::Prompting;
        out.hear(CallCommand::Mark { name: self.prompts.to_string().into() });
    }

    /// Says it once more, or takes leave of a caller who does not choose.
    fn prompt_again(&mut self, out: &mut Out<CallCommand>) {
        self.unanswered += 1;
        if self.unanswered <= REPEATS {
            return self.prompt(out);
        }
        self.say(GOODBYE, out);
        self.state = State::Leaving;
        out.hear(CallCommand::HangUp(HangUpWhen::AfterPlayout));
    }

    fn press(&mut self, digit: Digit, out: &mut Out<CallCommand>) {
        match self.state {
            State::Prompting => out.hear(CallCommand::Clear),
            State::Waiting { .. } => {}
            State::HandingOver | State::Leaving => return,
        }
        if let Some(bot) = self.menu.bot(digit) {
            let to = TransferTo::NamedBot(bot.into());
            self.state = State::HandingOver;
            out.hear(CallCommand::Transfer(Transfer { to, command: "menu" }));
        } else if digit == IvrMenu::REPEAT {
            self.unanswered = 0;
            self.prompt(out);
        } else {
            self.prompt_again(out);
        }
    }

    /// Says a clip, µ-law at 8 kHz.
    fn say(&self, clip: &[u8], out: &mut Out<CallCommand>) {
        let Ok(mut converter) = Converter::new(MediaFormat::PCMU_8K, self.format) else { return };
        let Ok(()) = out.hear_audio(|to| {
            converter.convert(clip, to);
            converter.finish(to);
            Ok::<_, Infallible>(())
        });
    }
}

impl Dialect for Ivr {
    type Say = CallEvent;
    type Hear = CallCommand;

    fn format(&self) -> MediaFormat {
        self.format
    }

    fn encode(&mut self, say: &CallEvent, now: Moment, out: &mut Out<CallCommand>) {
        match say {
            CallEvent::Started(_) => self.prompt(out),
            CallEvent::Digit(press) => self.press(press.digit, out),
            CallEvent::Mark { name, .. } => {
                if self.state == State::Prompting && **name == *self.prompts.to_string() {
                    self.state = State::Waiting { until: now + PATIENCE };
                }
            }
            CallEvent::Refused(_) => {
                if self.state == State::HandingOver {
                    self.say(UNAVAILABLE, out);
                    self.prompt(out);
                }
            }
            CallEvent::Ended(_) => self.state = State::Leaving,
            CallEvent::Cleared
            | CallEvent::Record(_)
            | CallEvent::Flow(_)
            | CallEvent::Speech(_)
            | CallEvent::Unknown(_) => {}
        }
    }

    fn encode_audio(&mut self, _audio: &[u8], _now: Moment, _out: &mut Out<CallCommand>) {}

    fn decode(&mut self, _: Wire<'_>, _: Moment, _: &mut Out<CallCommand>) -> Result<(), Malformed> {
        Err(Malformed::Unexpected("a message"))
    }

    fn poll_timeout(&self) -> Option<Moment> {
        match self.state {
            State::Waiting { until } => Some(until),
            State::Prompting | State::HandingOver | State::Leaving => None,
        }
    }

    fn handle_timeout(&mut self, now: Moment, out: &mut Out<CallCommand>) {
        if self.poll_timeout().is_some_and(|until| until <= now) {
            self.prompt_again(out);
        }
    }

    fn capabilities(&self) -> &'static [Capability] {
        &[Capability::DigitsToBot]
    }
}

/// "Press one for the echo. Two for the parrot. Three for a tone. Star, to hear this again."
const MENU: &[u8] = include_bytes!("../../assets/ivr/menu.ulaw");
/// "Please press a key."
const CHOOSE: &[u8] = include_bytes!("../../assets/ivr/choose.ulaw");
/// "That is not available."
const UNAVAILABLE: &[u8] = include_bytes!("../../assets/ivr/unavailable.ulaw");
/// "Goodbye."
const GOODBYE: &[u8] = include_bytes!("../../assets/ivr/goodbye.ulaw");

/// How long a key may take after the prompt.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often the prompt is said again to a caller who does not choose.
const REPEATS: u32 = 2;

#[cfg(test)]
mod tests {
    use super::*;
    use patchcord_core::dialect::Heard;
    use patchcord_core::vocabulary::{CommandRefusal, DigitPress, MarkOutcome};

    /// What the menu did, in order.
    #[derive(Debug, PartialEq)]
    enum Did {
        Said(usize),
        Marked(String),
        Cleared,
        HandedTo(String),
        HungUp,
    }

    struct Caller {
        ivr: Ivr,
        out: Out<CallCommand>,
    }

    impl Caller {
        fn new(menu: IvrMenu) -> Self {
            Self { ivr: Ivr::new(MediaFormat::PCMU_8K, menu), out: Out::new() }
        }

        fn tell(&mut self, event: &CallEvent, at_ms: u64) -> Vec<Did> {
            self.ivr.encode(event, Moment::from_millis(at_ms), &mut self.out);
            self.did()
        }

        fn start(&mut self) -> Vec<Did> {
            self.ivr.prompt(&mut self.out);
            self.did()
        }

        fn press(&mut self, key: char) -> Vec<Did> {
            let digit = Digit::try_from(key).unwrap();
            self.tell(&CallEvent::Digit(DigitPress { digit, duration: None }), 0)
        }

        fn prompt_is_over(&mut self, at_ms: u64) -> Vec<Did> {
            let name = self.ivr.prompts.to_string().into();
            self.tell(&CallEvent::Mark { name, outcome: MarkOutcome::Played }, at_ms)
        }

        fn pass_until(&mut self, at_ms: u64) -> Vec<Did> {
            self.ivr.handle_timeout(Moment::from_millis(at_ms), &mut self.out);
            self.did()
        }

        fn did(&mut self) -> Vec<Did> {
            let did = self.out.heard().iter().map(|heard| match heard {
                Heard::Audio(span) => Did::Said(self.out.audio(span).len()),
                Heard::Item(CallCommand::Mark { name }) => Did::Marked(name.to_string()),
                Heard::Item(CallCommand::Clear) => Did::Cleared,
                Heard::Item(CallCommand::HangUp(HangUpWhen::AfterPlayout)) => Did::HungUp,
                Heard::Item(CallCommand::Transfer(Transfer { to: TransferTo::NamedBot(name), .. })) => {
                    Did::HandedTo(name.to_string())
                }
                Heard::Item(other) => panic!("{other:?}"),
            });
            let did = did.collect();
            self.out.clear();
            did
        }
    }

    fn prompt(number: u32) -> [Did; 2] {
        [Did::Said(MENU.len()), Did::Marked(number.to_string())]
    }

    #[test]
    fn a_key_of_the_menu_stops_the_prompt_and_hands_the_call_over_once() {
        for (key, bot) in [('1', "echo"), ('2', "parrot"), ('3', "tone")] {
            let mut caller = Caller::new(IvrMenu::default());
            assert_eq!(caller.start(), prompt(1));
            assert_eq!(caller.press(key), [Did::Cleared, Did::HandedTo(bot.to_owned())]);
            assert_eq!((caller.press('1'), caller.ivr.poll_timeout()), (vec![], None));
        }
    }

    #[test]
    fn a_key_after_the_prompt_has_nothing_to_stop() {
        let mut caller = Caller::new(IvrMenu::default());
        caller.start();
        caller.prompt_is_over(6_000);
        assert_eq!(caller.press('2'), [Did::HandedTo("parrot".to_owned())]);
    }

    #[test]
    fn star_says_it_again_as_often_as_it_is_pressed() {
        let mut caller = Caller::new(IvrMenu::default());
        caller.start();
        for number in 2..9 {
            let [said, marked] = prompt(number);
            assert_eq!(caller.press('*'), [Did::Cleared, said, marked]);
        }
    }

    #[test]
    fn silence_is_asked_twice_more_and_then_taken_leave_of() {
        let mut caller = Caller::new(IvrMenu::default());
        caller.start();
        for number in 2..4 {
            assert_eq!(caller.ivr.poll_timeout(), None, "nobody is hurried while the prompt is heard");
            caller.prompt_is_over(10_000);
            assert_eq!(caller.ivr.poll_timeout(), Some(Moment::from_millis(15_000)));
            assert_eq!(caller.pass_until(14_999), []);
            assert_eq!(caller.pass_until(15_000), prompt(number));
        }
        caller.prompt_is_over(10_000);
        assert_eq!(caller.pass_until(15_000), [Did::Said(GOODBYE.len()), Did::HungUp]);
        assert_eq!((caller.press('1'), caller.ivr.poll_timeout()), (vec![], None));
    }

    #[test]
    fn keys_that_lead_nowhere_are_borne_as_long_as_silence() {
        let mut caller = Caller::new(IvrMenu::default());
        caller.start();
        for number in 2..4 {
            let [said, marked] = prompt(number);
            assert_eq!(caller.press('9'), [Did::Cleared, said, marked]);
        }
        assert_eq!(caller.press('9'), [Did::Cleared, Did::Said(GOODBYE.len()), Did::HungUp]);
    }

    #[test]
    fn the_mark_of_a_prompt_that_was_stopped_does_not_end_the_next_one() {
        let mut caller = Caller::new(IvrMenu::default());
        caller.start();
        caller.press('*');
        caller.tell(&CallEvent::Mark { name: "1".into(), outcome: MarkOutcome::Cleared }, 0);
        assert_eq!(caller.ivr.poll_timeout(), None);
    }

    #[test]
    fn a_bot_that_cannot_be_had_is_told_and_the_menu_goes_on() {
        let mut caller = Caller::new(IvrMenu::default());
        caller.start();
        caller.press('1');
        let refusal = CommandRefusal { code: "not_reached", message: String::new(), command: "menu".into() };
        let [said, marked] = prompt(2);
        assert_eq!(
            caller.tell(&CallEvent::Refused(refusal), 0),
            [Did::Said(UNAVAILABLE.len()), said, marked]
        );
        assert_eq!(caller.press('3'), [Did::Cleared, Did::HandedTo("tone".to_owned())]);
    }

    #[test]
    fn keys_of_the_configuration_have_a_prompt_that_fits_them() {
        let five = Digit::try_from('5').unwrap();
        let mut caller = Caller::new(IvrMenu::of([(five, "sales".to_owned())]));
        assert_eq!(caller.start()[0], Did::Said(CHOOSE.len()));
        assert_eq!(caller.press('5'), [Did::Cleared, Did::HandedTo("sales".to_owned())]);
    }

    #[test]
    fn clips_are_short_and_audible() {
        for clip in [MENU, CHOOSE, UNAVAILABLE, GOODBYE] {
            assert!((4_000..60_000).contains(&clip.len()));
            let mut linear = Vec::new();
            let to = MediaFormat::linear16(8_000);
            Converter::new(MediaFormat::PCMU_8K, to).unwrap().convert(clip, &mut linear);
            let peak =
                linear.as_chunks::<2>().0.iter().map(|two| i16::from_le_bytes(*two).unsigned_abs()).max();
            assert!(peak > Some(10_000), "{peak:?}");
        }
    }
}
