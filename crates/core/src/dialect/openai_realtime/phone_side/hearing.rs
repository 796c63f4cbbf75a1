//! What the caller says: audio for the bot behind us, turns found for the client, its words where somebody knows them.

use super::EnginePhoneSide;
use super::items::{Body, Item, ItemId};
use super::speaking::{ResponseEnd, item_added};
use crate::dialect::json::{write_string, write_u64};
use crate::dialect::{Out, WireClass};
use crate::media::{MediaFormat, SpeechEdge as VoiceEdge, VoiceActivity};
use crate::vocabulary::{CallEvent, LineStage, TranscriptLine};

/// The ear for the caller.
#[derive(Debug)]
pub struct Hearing {
    format: MediaFormat,
    activity: VoiceActivity,
    /// All that was heard.
    bytes: u64,
    /// What came since the last turn.
    uncommitted: u64,
    /// The number of the item that the caller's turn becomes, while it speaks.
    turn: Option<u64>,
}

impl Hearing {
    pub fn new(format: MediaFormat) -> Self {
        Self { format, activity: VoiceActivity::new(format), bytes: 0, uncommitted: 0, turn: None }
    }

    /// Whether the client was told that the caller speaks, and not that it ceased to.
    pub fn is_speaking(&self) -> bool {
        self.turn.is_some()
    }

    /// The caller has ceased to speak; the number of its item, if it had begun.
    pub fn end_turn(&mut self) -> Option<u64> {
        self.turn.take()
    }

    /// What came since the last turn makes none.
    pub fn forget(&mut self) {
        self.uncommitted = 0;
    }

    /// Milliseconds of audio since the last turn.
    pub fn uncommitted_ms(&self) -> u64 {
        self.ms(self.uncommitted)
    }

    fn ms(&self, bytes: u64) -> u64 {
        let samples = bytes / self.format.bytes_per_sample() as u64;
        u64::try_from(self.format.duration_of_samples(samples).as_millis()).unwrap_or(u64::MAX)
    }
}

impl EnginePhoneSide {
    pub(super) fn hear_caller(&mut self, audio: &[u8], out: &mut Out<CallEvent>) {
        let heard: Result<(), std::convert::Infallible> = out.hear_audio(|to| {
            to.extend_from_slice(audio);
            Ok(())
        });
        let Ok(()) = heard;
        self.hearing.bytes += audio.len() as u64;
        self.hearing.uncommitted += audio.len() as u64;
        if !self.session.detects_turns() {
            return;
        }
        // Of two edges in one message the later one counts.
        let mut edge = None;
        self.hearing.activity.hear(audio, |found| edge = Some(found));
        match edge {
            Some(VoiceEdge::Started { .. }) if !self.hearing.is_speaking() => self.tell_speech_started(out),
            Some(VoiceEdge::Stopped { .. }) if self.hearing.is_speaking() => {
                self.tell_speech_stopped(out);
                self.commit(out);
            }
            Some(_) | None => {}
        }
    }

    pub(super) fn tell_speech_started(&mut self, out: &mut Out<CallEvent>) {
        let (number, at_ms) = (self.events.draw(), self.hearing.ms(self.hearing.bytes));
        self.hearing.turn = Some(number);
        self.tell_speech("input_audio_buffer.speech_started", r#","audio_start_ms":"#, at_ms, number, out);
        if self.session.is_interrupted_by_turns() {
            // Its client plays no more of it; what the bot says on all the same is another response.
            self.end_response(ResponseEnd::TurnDetected, out);
        }
    }

    pub(super) fn tell_speech_stopped(&mut self, out: &mut Out<CallEvent>) {
        let at_ms = self.hearing.ms(self.hearing.bytes);
        if let Some(number) = self.hearing.turn {
            self.tell_speech("input_audio_buffer.speech_stopped", r#","audio_end_ms":"#, at_ms, number, out);
        }
    }

    fn tell_speech(&mut self, kind: &str, at: &str, at_ms: u64, number: u64, out: &mut Out<CallEvent>) {
        self.events.write(WireClass::Control, kind, out, |events, to| {
            to.extend_from_slice(at.as_bytes());
            write_u64(to, at_ms);
            to.extend_from_slice(br#","item_id":""#);
            events.write_id(to, "item_", number);
            to.push(b'"');
        });
    }

    /// Makes an item of the caller's turn.
    pub(super) fn commit(&mut self, out: &mut Out<CallEvent>) {
        let number = self.hearing.end_turn().unwrap_or_else(|| self.events.draw());
        self.hearing.uncommitted = 0;
        let (id, naming) = (ItemId::Ours(number), self.session.naming());
        let (events, before) = (&mut self.events, self.items.last());
        let previous = |to: &mut Vec<u8>, events: &_| {
            to.extend_from_slice(br#","previous_item_id":"#);
            match before {
                Some(before) => {
                    to.push(b'"');
                    before.write(to, events);
                    to.push(b'"');
                }
                None => to.extend_from_slice(b"null"),
            }
        };
        events.write(WireClass::Control, "input_audio_buffer.committed", out, |events, to| {
            previous(to, events);
            to.extend_from_slice(br#","item_id":""#);
            id.write(to, events);
            to.push(b'"');
        });
        let item = Item { id, body: Body::Caller };
        events.write(WireClass::Control, item_added(naming), out, |events, to| {
            previous(to, events);
            to.extend_from_slice(br#","item":"#);
            item.write(to, events, naming);
        });
        self.tell_item_done(&item, out);
        self.items.add(item.id, item.body);
    }

    /// Words of the caller that the bot behind us knows.
    pub(super) fn tell_caller_words(&mut self, line: &TranscriptLine, out: &mut Out<CallEvent>) {
        if !self.session.transcribes() {
            return;
        }
        let (kind, name) = match line.stage {
            LineStage::Delta => ("conversation.item.input_audio_transcription.delta", r#","delta":"#),
            LineStage::Final => {
                ("conversation.item.input_audio_transcription.completed", r#","transcript":"#)
            }
        };
        self.events.write(WireClass::Control, kind, out, |_, to| {
            to.extend_from_slice(br#","item_id":"#);
            write_string(to, &line.item);
            to.extend_from_slice(br#","content_index":0"#);
            to.extend_from_slice(name.as_bytes());
            write_string(to, &line.text);
            if line.stage == LineStage::Final {
                to.extend_from_slice(br#","usage":{"type":"duration","seconds":0}"#);
            }
        });
    }
}
