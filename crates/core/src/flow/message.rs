//! Voicemail: a greeting, a tone, and the caller's message, until `#`, a silence, the longest time or the hang-up.

use crate::dialect::Out;
use crate::media::VoiceActivity;
use crate::vocabulary::{CallCommand, Digit, FlowCommand, Moment};

use super::bot::{FlowBot, Phase};
use super::{Spot, Step, Target, Voicemail};

/// A message that is being left.
pub(super) struct Message {
    began: Moment,
    /// When somebody spoke last, or the message began.
    voice_at: Moment,
    /// When it is over.
    until: Moment,
    activity: VoiceActivity,
}

impl FlowBot {
    pub(super) fn greet_for_message(
        &mut self,
        voicemail: &Voicemail,
        out: &mut Out<CallCommand>,
    ) -> Option<Spot> {
        self.phase = Phase::BeforeMessage;
        self.say([voicemail.greeting.clone(), self.book.house.tone.clone()], out);
        None
    }

    /// The tone was heard.
    pub(super) fn begin_message(&mut self, now: Moment, out: &mut Out<CallCommand>) {
        let book = self.book.clone();
        let Some(Step::Voicemail(voicemail)) = book.step(self.spot) else { return };
        let mut message =
            Message { began: now, voice_at: now, until: now, activity: VoiceActivity::new(self.format) };
        message.until = message.end(voicemail);
        self.phase = Phase::Message(Box::new(message));
        out.hear(CallCommand::Flow(FlowCommand::StartMessage));
    }

    /// The caller speaks, or does not.
    pub(super) fn hear_message(&mut self, audio: &[u8], now: Moment) {
        let Phase::Message(message) = &mut self.phase else { return };
        message.activity.hear(audio, |_| {});
        if message.activity.is_speaking()
            && let Some(Step::Voicemail(voicemail)) = self.book.step(self.spot)
        {
            message.voice_at = now;
            message.until = message.end(voicemail);
        }
    }

    /// A key in the message: `#` ends it, another one belongs to it.
    pub(super) fn press_in_message(&mut self, key: Digit, now: Moment, out: &mut Out<CallCommand>) {
        if key == Digit::HASH {
            self.end_message(now, out);
        }
    }

    /// The message is over: a kept one is thanked for, and the next step follows.
    pub(super) fn end_message(&mut self, now: Moment, out: &mut Out<CallCommand>) {
        if self.close_message(now, out) {
            self.phase = Phase::Playing;
            self.say([self.book.house.thanks.clone()], out);
        } else {
            self.go(&Target::Next, now, out);
        }
    }

    /// Ends the message if there is one, and says whether it is kept: one in which hardly anybody spoke is not.
    pub(super) fn close_message(&mut self, now: Moment, out: &mut Out<CallCommand>) -> bool {
        let Phase::Message(message) = &self.phase else { return false };
        let Some(Step::Voicemail(voicemail)) = self.book.step(self.spot) else { return false };
        let spoken = if message.activity.is_speaking() { now } else { message.voice_at } - message.began;
        let is_kept = spoken >= voicemail.min && message.voice_at > message.began;
        let command = if is_kept { FlowCommand::KeepMessage } else { FlowCommand::DropMessage };
        self.phase = Phase::Left;
        out.hear(CallCommand::Flow(command));
        is_kept
    }
}

impl Message {
    pub(super) const fn until(&self) -> Moment {
        self.until
    }

    fn end(&self, voicemail: &Voicemail) -> Moment {
        (self.voice_at + voicemail.silence).min(self.began + voicemail.max)
    }
}
