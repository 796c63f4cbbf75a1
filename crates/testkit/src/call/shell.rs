//! The shell of one call in virtual time: it gives the call every step and looks at whatever comes of it.

use std::time::Duration;

use patchcord_core::call::{Call, Fallback, FoundBot, Input, NextBot, StateName};
use patchcord_core::dialect::Wire;
use patchcord_core::vocabulary::{
    CallRecord, DialRefusal, DigitPress, Moment, PhoneNumber, Reason, StreamId,
};

use super::laws::{NextDialect, Witness};
use super::parts::{LATER, bot, call_settings, media, phone, phone_address, stranger_address};
use super::step::Step;

/// A call whose laws are checked at every step; a broken one panics.
pub struct LawfulCall {
    call: Call,
    now: Moment,
    /// Time that was let pass.
    passed: Duration,
    /// The next packet of the phone.
    sequence: u16,
    /// How often audio may have been rounded to milliseconds.
    roundings: u64,
    witness: Witness,
}

impl LawfulCall {
    /// A call between a phone and a bot of these kinds. From 16 on, every other sixteen of the bots' numbers has
    /// transfers that must be accepted; from 32 on, every other thirty-two the fallback to a number.
    pub fn new(phone_kind: usize, bot_kind: usize) -> Self {
        let now = Moment::from_millis(1_000);
        let fallback = if bot_kind / 32 % 2 == 1 {
            Fallback::Transfer(PhoneNumber::new("555"))
        } else {
            FALLBACKS[phone_kind / 8 % if phone_kind < LATER { 3 } else { 4 }].clone()
        };
        let bot = bot(bot_kind);
        let mut witness = Witness::default();
        witness.bot_speaks(bot.dialect);
        let mut settings = call_settings(phone(phone_kind), bot, fallback, now);
        if bot_kind / 16 % 2 == 1 {
            settings.transfers.confirm = Some(vec![3_000; 800].into());
        }
        let call = Call::new(settings, now);
        let mut this = Self { call, now, passed: Duration::ZERO, sequence: 0, roundings: 4, witness };
        this.drain(None);
        this
    }

    /// Lets one thing happen.
    pub fn step(&mut self, step: &Step) {
        match step {
            Step::Pass(time) => self.pass(*time),
            Step::Standstill(time) => self.now = self.now + *time,
            Step::Speak(sound) => self.speak(sound),
            Step::PhoneDatagram(packet) => self.input(Input::Rtp { source: phone_address(), packet }),
            Step::StrangerDatagram(packet) => self.input(Input::Rtp { source: stranger_address(), packet }),
            Step::Report(packet) => self.input(Input::Rtcp { source: phone_address(), packet }),
            Step::PhoneMedia(kind) => {
                self.roundings += 4;
                self.input(Input::PhoneMedia(media(*kind)));
            }
            Step::PhoneRings => self.input(Input::PhoneRinging),
            Step::PhoneProgresses(kind) => {
                self.roundings += 4;
                self.witness.phone_progresses();
                self.input(Input::PhoneProgress(media(*kind)));
            }
            Step::PhoneAnswers(kind) => {
                self.roundings += 4;
                self.witness.phone_answers();
                self.input(Input::PhoneAnswered(media(*kind)));
            }
            Step::PhoneRefuses(status) => {
                self.witness.phone_refuses();
                self.input(Input::PhoneFailed(DialRefusal::of_status(*status, None)));
            }
            Step::PhoneKey(digit) => {
                self.input(Input::PhoneDigit(DigitPress { digit: *digit, duration: None }));
            }
            Step::PhoneGone(reason) => self.input(Input::PhoneGone(*reason)),
            Step::VendorSays(text) => self.input(Input::PhoneWire(Wire::Text(text))),
            Step::VendorSends(bytes) => self.input(Input::PhoneWire(Wire::Binary(bytes))),
            Step::VendorLeaves(end) => self.input(Input::PhoneClosed(*end)),
            Step::BotFound(_) | Step::BotConnected | Step::BotFailed(_) => self.reach_bot(step),
            Step::BotSays(text) => {
                self.witness.bot_says(text);
                self.input(Input::BotWire(Wire::Text(text)));
            }
            Step::BotSends(bytes) => self.input(Input::BotWire(Wire::Binary(bytes))),
            Step::BotLeaves(end) => {
                self.witness.bot_leaves();
                self.input(Input::BotClosed(*end));
            }
            Step::NextBot(kind) => self.next_bot(*kind),
            Step::NextBotFailed(error) => {
                self.witness.next_bot_answers(None);
                self.input(Input::NextBotFailed(*error));
            }
            Step::Leg(at, step) => {
                let Self { call, witness, now, .. } = self;
                if let Some((leg, news)) = witness.legs.tell(*at, step) {
                    self.roundings += 4;
                    call.handle(*now, Input::Leg(leg, news));
                    self.drain(None);
                }
            }
            Step::AudioDropped => self.input(Input::AudioDropped),
            Step::Recording(order) => self.input(Input::Recording(*order)),
            Step::HangUp(reason) => self.input(Input::HangUp(*reason)),
        }
    }

    /// Hangs up, waits for the end, and gives the record, which must be there by then; `steps` change nothing any more.
    pub fn finish(mut self, steps: &[Step]) -> CallRecord {
        self.step(&Step::HangUp(Reason::Drained));
        self.passed = Duration::ZERO;
        self.pass(Duration::from_secs(8));
        assert_eq!((self.call.state(), self.call.poll_timeout()), (StateName::Ended, None));
        let Some(record) = self.witness.record().cloned() else { panic!("a call without a record") };
        for step in steps {
            self.step(step);
        }
        record
    }

    fn reach_bot(&mut self, step: &Step) {
        match step {
            Step::BotFound(kind) => {
                let bot = bot(*kind);
                if self.call.state() == StateName::FindingBot {
                    self.witness.bot_speaks(bot.dialect);
                }
                self.input(Input::BotFound(Box::new(FoundBot { bot, custom: Vec::new() })));
            }
            Step::BotFailed(reason) => self.input(Input::BotFailed(*reason)),
            _ => {
                self.witness.bot_connects();
                self.input(Input::BotConnected);
            }
        }
    }

    fn next_bot(&mut self, kind: usize) {
        let settings = bot(kind);
        if settings.dialect.is_empty() {
            // Who takes over is found before.
            return;
        }
        let next = self.witness.next_bot_answers(Some(settings.dialect));
        let stream_id = StreamId::new(1_707_204_900, 124);
        self.call.handle(self.now, Input::NextBot(Box::new(NextBot { settings, stream_id })));
        self.drain(next.as_ref());
    }

    /// A well-formed packet of the phone.
    fn speak(&mut self, sound: &[u8]) {
        self.sequence = self.sequence.wrapping_add(1);
        let mut packet = vec![0x80, 0];
        packet.extend_from_slice(&self.sequence.to_be_bytes());
        packet.extend_from_slice(&(u32::from(self.sequence) * 160).to_be_bytes());
        packet.extend_from_slice(&99_u32.to_be_bytes());
        packet.extend(sound.iter().cycle().take(if sound.is_empty() { 0 } else { 160 }));
        self.input(Input::Rtp { source: phone_address(), packet: &packet });
    }

    fn input(&mut self, input: Input<'_>) {
        self.call.handle(self.now, input);
        self.drain(None);
    }

    /// Serves every deadline on the way; one call gets [`TIME_MAX`] of it.
    fn pass(&mut self, time: Duration) {
        let time = time.min(TIME_MAX.saturating_sub(self.passed)).max(Duration::from_millis(1));
        self.passed += time;
        let end = self.now + time;
        let mut served = 0;
        while let Some(due) = self.call.poll_timeout().filter(|due| *due <= end) {
            served = if due > self.now { 0 } else { served + 1 };
            assert!(served < SERVED_MAX, "a deadline that serving does not move");
            self.now = self.now.max(due);
            self.call.handle_timeout(self.now);
            self.drain(None);
        }
        self.now = end;
    }

    fn drain(&mut self, next: Option<&NextDialect>) {
        let mut outputs = 0;
        while let Some(output) = self.call.poll_output() {
            outputs += 1;
            assert!(outputs <= OUTPUTS_MAX, "{outputs} outputs of one input");
            self.witness.see(output, next);
        }
        let counters = self.call.counters();
        let waiting_ms = u64::try_from(self.call.waiting().as_millis()).unwrap_or(u64::MAX);
        let told = counters.played_ms + counters.cleared_ms + counters.trimmed_ms + waiting_ms;
        assert!(
            told.abs_diff(counters.pushed_ms) <= self.roundings,
            "of {} ms of the bot {told} ms are accounted for: {counters:?}",
            counters.pushed_ms
        );
    }
}

const FALLBACKS: [Fallback; 4] = [Fallback::Sorry, Fallback::Busy, Fallback::Unavailable, Fallback::HangUp];
/// Virtual time of one call.
const TIME_MAX: Duration = Duration::from_secs(8);
/// What one input may cause: a control message, the marks of a step and the frames that are due.
const OUTPUTS_MAX: usize = 512;
/// How often deadlines may be due at one moment.
const SERVED_MAX: u32 = 10;
