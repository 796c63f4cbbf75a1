//! One call of which everything is stored that can be: an agent that is interrupted, marks, keys, a transfer, SIP, fields,
//! and markup wherever somebody else may write.

use std::path::Path;
use std::time::Duration;

use patchcord::store::{
    Beside, CallbackAddress, EndedCall, ExtractedFields, Fact, FieldsState, NewCall, PlacedUtterance,
    RecordedPart, Store, StoredCause, StoredParties, StoredRecording, Trace,
};
use patchcord_core::vocabulary::{
    CallOutcome, DialOrder, Direction, HeardPart, LegReport, LegStatus, Moment, Role, TransferReport,
    TransferStatus, Utterance, iso8601,
};
use serde_json::{Value, json};

/// Stores it in the folder of a gateway that does not run, begun at `started_ms`; gives its id.
pub async fn store_whole_call(store: &Store, data: &Path, started_ms: u64) -> String {
    let id = format!("call_{started_ms}_{:024x}", 0xE7E);
    let talk = Talk::play();
    let unix = |ms: u64| started_ms + ms;
    store.begin_call(beginning(&id, started_ms), started_ms).await.unwrap();
    store.tell(&id, Fact::Ringing, unix(120));
    store.tell(&id, Fact::InProgress, unix(400));
    for (position, utterance) in (0..).zip(talk.said.iter().cloned()) {
        store.add(&id, Beside::Utterance(PlacedUtterance { position, utterance }), unix(400));
    }
    store.add(&id, Beside::Saved(r#"{"callback":true}"#.into()), unix(400));
    store.add(&id, Beside::Extracted(Box::new(fields())), unix(talk.length + 2_000));
    let history = json!({"entries": talk.entries, "left_out": 0});
    store.keep_trace(&id, Trace::History, history.to_string());
    store.keep_trace(&id, Trace::Ladder, ladder(started_ms, talk.transfer, talk.length).to_string());
    let ended = Fact::Ended(Box::new(end(&id, started_ms, &talk)));
    assert!(store.tell_acknowledged(&id, ended, unix(talk.length)).await.unwrap());
    write_curve(data, &id, started_ms, &talk);
    let file = write_recording(data, &id, started_ms, &talk);
    let recording = StoredRecording { part: RecordedPart::Bot, file: file.into() };
    assert!(store.tell_acknowledged(&id, Fact::Recording(recording), unix(talk.length)).await.unwrap());
    id
}

/// What was said, and what happened meanwhile, in milliseconds since the call's first sign.
struct Talk {
    said: Vec<Utterance>,
    entries: Vec<Value>,
    caller: Vec<(u64, u64)>,
    heard: Vec<(u64, u64)>,
    transfer: u64,
    length: u64,
}

impl Talk {
    fn play() -> Self {
        let entries =
            vec![json!({"at": 380, "is": "bot_connected"}), json!({"at": 400, "is": "sound_began"})];
        let mut talk =
            Self { said: Vec::new(), entries, caller: Vec::new(), heard: Vec::new(), transfer: 0, length: 0 };
        let mut at = 1_200;
        for (number, (who, text, percent)) in (0..).zip(LINES) {
            at = match who {
                Role::Caller => talk.caller_says(text, at),
                Role::Bot => talk.bot_says(text, *percent, (number, at)),
            };
        }
        talk.note(at + 300, json!({"is": "digit_in", "key": "1"}));
        talk.note(at + 900, json!({"is": "digit_out", "key": "#"}));
        talk.transfer = at + 1_500;
        talk.length = at + 22_500;
        for (is_heard, from, length) in AFTER_TRANSFER {
            talk.sounds(*is_heard, talk.transfer + from, *length);
        }
        talk
    }

    fn caller_says(&mut self, text: &str, at: u64) -> u64 {
        let length = text.len() as u64 * 62;
        let cut = self.said.last().filter(|last| last.heard != HeardPart::All).map(|last| ms(last.end));
        let start = cut.map_or(at + 350, |end| end - 250);
        if cut.is_some() {
            self.note(start, json!({"is": "barge_in"}));
            self.note(start + 240, json!({"is": "cleared", "dropped_ms": 3_400}));
        }
        self.sounds(false, start, length);
        self.says(Role::Caller, text, (start, start + length), HeardPart::All, None);
        start + length
    }

    fn bot_says(&mut self, text: &str, percent: u64, (number, at): (usize, u64)) -> u64 {
        let full = text.len() as u64 * 62;
        let wait = (number > 0).then(|| WAITS[number % WAITS.len()]);
        let start = at + wait.unwrap_or(0);
        let played = full * percent / 100;
        let end = start + played.max(200);
        self.note(start - 60, json!({"is": "bot_sent", "for_ms": full.min(900), "audio_ms": full}));
        if let Some(wait) = wait.filter(|_| percent > 0) {
            self.note(start, json!({"is": "answered", "after_ms": wait}));
        }
        let text_bytes = text.len() * usize::try_from(percent).unwrap() / 100;
        let heard = match percent {
            100 => HeardPart::All,
            0 => HeardPart::Nothing,
            _ => HeardPart::First { audio: Duration::from_millis(played), text_bytes },
        };
        if percent > 0 {
            self.sounds(true, start, played);
        }
        self.note(end, json!({"is": "mark", "name": format!("<u>resp_{number}"), "played": percent == 100}));
        self.says(Role::Bot, text, (start, end), heard, wait);
        end
    }

    fn says(
        &mut self,
        role: Role,
        text: &str,
        (start, end): (u64, u64),
        heard: HeardPart,
        wait: Option<u64>,
    ) {
        self.said.push(Utterance {
            role,
            item: format!("item_{}", self.said.len()).into(),
            text: text.into(),
            start: Duration::from_millis(start),
            end: Duration::from_millis(end),
            heard,
            played: None,
            response: wait.map(Duration::from_millis),
        });
    }

    fn sounds(&mut self, is_heard: bool, start: u64, length: u64) {
        let (lane, is) =
            if is_heard { (&mut self.heard, "heard") } else { (&mut self.caller, "caller_spoke") };
        lane.push((start, length));
        self.note(start, json!({"is": is, "for_ms": length}));
    }

    fn note(&mut self, at: u64, mut what: Value) {
        what["at"] = at.into();
        self.entries.push(what);
    }
}

fn beginning(id: &str, started_ms: u64) -> NewCall {
    NewCall {
        call_id: id.into(),
        stream_id: "1707204900.123".into(),
        parties: Some(parties()),
        direction: Direction::Inbound,
        bot: "dealer".into(),
        phone_dialect: "sip".into(),
        bot_dialect: "openai-realtime".into(),
        started_ms,
        callback: CallbackAddress::Known(Some("https://crm.example.com/status".into())),
        leaves_files: true,
        custom_params: [("campaign".to_owned(), "<i>diwali</i>".to_owned())].into(),
    }
}

fn parties() -> StoredParties {
    StoredParties {
        from: "<b>98765</b>43210".into(),
        to: "18001234567".into(),
        phone_leg_id: "a84b4c76e66710@192.0.2.9".into(),
    }
}

fn fields() -> ExtractedFields {
    let object = |value: Value| value.as_object().cloned().unwrap();
    ExtractedFields {
        fields: object(json!({
            "name": "Gulshan Mehta",
            "model": "XUV 700",
            "test_drive_at": "Saturday, 10:00",
            "budget": null,
            "note": format!("<img src=x onerror=\"{OWNED}\">"),
        })),
        reasons: object(json!({"budget": "The caller did not say what it may cost."})),
        state: FieldsState::Final,
    }
}

fn end(id: &str, started_ms: u64, talk: &Talk) -> EndedCall {
    let at = |ms: u64| Moment::from_millis(started_ms + ms);
    let leg = |to: &str, status, q850, answered: Option<u64>, ended: u64| LegReport {
        destination: to.into(),
        status,
        q850: Some(q850),
        started_at: at(talk.transfer + 10),
        answered_at: answered.map(at),
        ended_at: Some(at(ended)),
        leg_id: "b@carrier".into(),
    };
    let joined = talk.transfer + 5_800;
    let transfer = TransferReport {
        sequence: 1,
        order: DialOrder::AllAtOnce,
        status: TransferStatus::Completed,
        destinations: ["09876543210", "09876543211"].map(Into::into).into(),
        answered_by: Some(0),
        started_at: at(talk.transfer),
        answered_at: Some(at(joined)),
        ended_at: Some(at(talk.length)),
        q850: Some(16),
        legs: vec![
            leg("09876543210", LegStatus::Completed, 16, Some(joined), talk.length),
            leg("09876543211", LegStatus::Busy, 17, None, talk.transfer + 1_400),
        ],
    };
    let range = |mean: f64, max: f64| json!({"mean": mean, "max": max});
    let record = json!({
        "call_id": id, "stream_id": "1707204900.123", "bots": ["dealer"], "started_at": iso8601(started_ms),
        "counters": {"rtp_received": 4_210, "rtp_lost": 3, "heard_ms": 83_210, "played_ms": 41_020, "cleared_ms": 7_210, "clears": 3},
        "quality": {
            "audio": "ok",
            "bot_response_ms": {"count": 6, "min": 430, "mean": 865, "p50": 640, "p95": 1_780, "max": 1_780},
            "from_phone": {"mos": 4.2, "loss": 0.0007, "jitter_ms": range(2.1, 9.4), "longest_gap_ms": 61, "concealed_ms": 60},
            "to_phone": null,
            "playout": {"depth_ms": range(1_200.0, 6_400.0), "underruns": 0},
            "unanswered_turns": 1,
        },
    });
    EndedCall {
        outcome: CallOutcome::Completed,
        cause: StoredCause {
            class: "completed".to_owned(),
            reason: "caller_hung_up".to_owned(),
            q850: 16,
            hung_up_by: "caller".to_owned(),
        },
        parties: parties(),
        stream_id: "1707204900.123".into(),
        bot: "dealer".into(),
        bot_dialect: "openai-realtime".into(),
        answered_ms: Some(started_ms + 400),
        transfers: vec![transfer],
        record: Some(record.to_string()),
    }
}

fn ladder(started_ms: u64, transfer: u64, length: u64) -> Value {
    let rung = |ms: u64, incoming: bool, method: &str, status: Option<u16>, sdp: bool| json!({"at_ms": started_ms + ms, "incoming": incoming, "method": method, "status": status, "sdp": sdp, "repeats": 0});
    let dialog = |peer: &str, rungs: Vec<Value>| json!({"peer": peer, "rungs": rungs, "left_out": 0});
    let caller = vec![
        rung(0, true, "INVITE", None, true),
        rung(2, false, "INVITE", Some(100), false),
        rung(120, false, "INVITE", Some(180), false),
        rung(395, false, "INVITE", Some(200), true),
        rung(412, true, "ACK", None, false),
        rung(length - 30, true, "BYE", None, false),
        rung(length - 28, false, "BYE", Some(200), false),
    ];
    let winner = vec![
        rung(transfer + 10, false, "INVITE", None, true),
        rung(transfer + 900, true, "INVITE", Some(183), true),
        rung(transfer + 5_800, true, "INVITE", Some(200), true),
        rung(transfer + 5_802, false, "ACK", None, false),
    ];
    let loser = vec![
        rung(transfer + 12, false, "INVITE", None, true),
        rung(transfer + 1_400, true, "INVITE", Some(486), false),
        rung(transfer + 1_402, false, "ACK", None, false),
    ];
    json!({"dialogs": [
        dialog("udp 192.0.2.9:5062", caller),
        dialog("udp 203.0.113.7:5060", winner),
        dialog("udp 203.0.113.8:5060", loser),
    ]})
}

/// Its loudness, as the recorder leaves it: a pair of bytes for every 20 ms.
fn write_curve(data: &Path, id: &str, started_ms: u64, talk: &Talk) {
    let mut levels = vec![0_u8; 2 * usize::try_from((talk.length - 400) / 20).unwrap()];
    for (side, lane, most) in [(0, &talk.caller, 112.0), (1, &talk.heard, 118.0)] {
        for at in lane.iter().flat_map(|(start, length)| (*start..start + length).step_by(20)) {
            let swell = ((at as f64 / 97.0).sin().abs() * 0.7) + ((at as f64 / 411.0).sin().abs() * 0.3);
            let step = usize::try_from((at - 400) / 20).unwrap();
            if let Some(level) = levels.get_mut(2 * step + side) {
                *level = (most - 34.0 * (1.0 - swell) - (at % 7) as f64) as u8;
            }
        }
    }
    let folder = data.join("curves").join(&iso8601(started_ms)[..10]);
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join(format!("{id}.levels")), levels).unwrap();
}

/// Its recording with its note, as the recorder leaves them: both sides hum while they speak. Gives the file's name.
fn write_recording(data: &Path, id: &str, started_ms: u64, talk: &Talk) -> String {
    let day = &iso8601(started_ms)[..10];
    let file = format!("{day}/{id}.wav");
    let duration_ms = talk.length - 400;
    let frames = usize::try_from(duration_ms * 8).unwrap();
    let mut samples = vec![0_i16; 2 * frames];
    for (side, lane) in [(0, &talk.caller), (1, &talk.heard)] {
        for (start, length) in lane {
            let first = usize::try_from((start - 400) * 8).unwrap();
            for at in first..(first + usize::try_from(length * 8).unwrap()).min(frames) {
                samples[2 * at + side] = ((at as f64 * 0.17).sin() * 9_000.0) as i16;
            }
        }
    }
    let path = data.join("recordings").join(&file);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let spec = hound::WavSpec {
        channels: 2,
        sample_rate: 8_000,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut writer = hound::WavWriter::create(&path, spec).unwrap();
    samples.iter().for_each(|sample| writer.write_sample(*sample).unwrap());
    writer.finalize().unwrap();
    let note = json!({
        "call_id": id,
        "files": [{
            "file": file, "take": 1, "part": "whole", "format": "wav", "sample_rate": 8_000, "channels": 2,
            "bytes": std::fs::metadata(&path).unwrap().len(), "started_ms": started_ms + 400, "duration_ms": duration_ms, "lost_ms": 0,
        }],
    });
    let folder = data.join("recorded-calls").join(day);
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join(format!("{id}.json")), note.to_string()).unwrap();
    file
}

fn ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap()
}

/// What markup would do if it were more than text.
const OWNED: &str = "document.title='owned'";

/// Who says what, and how much of it is heard, in percent.
const LINES: &[(Role, &str, u64)] = &[
    (Role::Bot, "Namaskar! Welcome to Dee Emm Mahindra. My name is Asha. How may I help you today?", 100),
    (Role::Caller, "Hello, I'd like to know the price of the XUV 700.", 100),
    (
        Role::Bot,
        "Of course. The XUV 700 starts at fourteen lakh rupees for the base variant, and the top variant, with the \
         panoramic sunroof, is around twenty-five lakh.",
        45,
    ),
    (Role::Caller, "No no, I only want the diesel automatic.", 100),
    (
        Role::Bot,
        "The diesel automatic starts at eighteen lakh forty thousand. Shall I arrange a test drive?",
        100,
    ),
    (Role::Caller, "Yes please. <script>document.title='owned'</script> On Saturday.", 100),
    (Role::Bot, "Saturday it is. May I have your name, please?", 100),
    (Role::Caller, "Gulshan Mehta. <img src=x onerror=\"document.title='owned'\">", 100),
    (Role::Bot, "Thank you, Mister Mehta. Would you prefer the morning or the afternoon?", 70),
    (Role::Caller, "Morning. Ten o'clock.", 100),
    (Role::Bot, "Perfect: Saturday at ten in the morning. I will connect you with our showroom now.", 100),
    (Role::Caller, "Okay.", 100),
    (Role::Bot, "One moment please.", 0),
];

/// What is heard after the transfer begins: whether by the caller, when, how long.
const AFTER_TRANSFER: &[(bool, u64, u64)] = &[
    (true, 6_200, 2_200),
    (false, 8_600, 2_500),
    (true, 11_500, 2_300),
    (false, 14_000, 3_600),
    (true, 17_900, 1_900),
];

/// How long the bot lets the caller wait, answer by answer.
const WAITS: [u64; 6] = [430, 620, 1_120, 540, 1_780, 700];
