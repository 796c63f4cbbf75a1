//! A call's wires as a picture: phone, gateway and bot as three lines, each message an arrow with its time.

use std::fmt::Write as _;

use serde_json::Value;

use super::lines::{Flow, WireLine, WireName};

/// Draws the messages of a call, oldest first; runs of audio become one arrow for each way.
///
/// ```text
///    seconds  phone                            gateway                                bot
///      0.000    |------------ INVITE +sdp ------------->|                                       |
///      0.031    |                                       |--------------- start ---------------->|
///      0.050    |                                       |======= 250 × audio, 53.5 kB =========>|
/// ```
pub fn ladder(lines: &[WireLine]) -> String {
    let mut picture = Picture { begun: lines.first().map_or(0, |line| line.unix_ms), ..Picture::default() };
    picture.head(lines);
    for line in lines {
        match (line.audio, picture.audio.iter_mut().find(|run| run.is_of(line))) {
            (true, Some(run)) => {
                run.messages += 1;
                run.bytes += line.bytes;
            }
            (true, None) => picture.audio.push(AudioRun {
                first_ms: line.unix_ms,
                wire: line.wire,
                flow: line.flow,
                messages: 1,
                bytes: line.bytes,
            }),
            (false, _) => {
                picture.draw_audio();
                picture.arrow(line.unix_ms, line.wire, line.flow, '-', &label(line));
            }
        }
    }
    picture.draw_audio();
    picture.text
}

/// A picture that is being drawn.
#[derive(Default)]
struct Picture {
    text: String,
    begun: u64,
    /// Audio since the last other message.
    audio: Vec<AudioRun>,
}

/// Messages of audio one way.
struct AudioRun {
    first_ms: u64,
    wire: WireName,
    flow: Flow,
    messages: usize,
    bytes: usize,
}

impl AudioRun {
    fn is_of(&self, line: &WireLine) -> bool {
        (self.wire, self.flow) == (line.wire, line.flow)
    }
}

impl Picture {
    fn head(&mut self, lines: &[WireLine]) {
        let peer = |bot: bool| {
            let line = lines.iter().find(|line| (line.wire == WireName::Bot) == bot);
            line.map_or(String::new(), |line| format!(" ({})", line.peer))
        };
        let (phone, bot) = (format!("phone{}", peer(false)), format!("bot{}", peer(true)));
        let _ = writeln!(
            self.text,
            "{:>TIME_WIDTH$}  {phone:<half$.half$}{:^GATEWAY_WIDTH$}{bot:>half$.half$}",
            "seconds",
            "gateway",
            half = SPAN - 3,
        );
    }

    fn draw_audio(&mut self) {
        for run in std::mem::take(&mut self.audio) {
            let label = format!("{} × audio, {}", run.messages, size(run.bytes));
            self.arrow(run.first_ms, run.wire, run.flow, '=', &label);
        }
    }

    fn arrow(&mut self, unix_ms: u64, wire: WireName, flow: Flow, shaft: char, label: &str) {
        let seconds = unix_ms.saturating_sub(self.begun) as f64 / 1_000.0;
        let is_right = (wire == WireName::Bot) == (flow == Flow::Out);
        let room = SPAN - 4;
        let label: String = label.chars().take(room - 4).collect();
        let rest = room - label.chars().count() - 2;
        let (before, after) = (rest / 2, rest - rest / 2);
        let shafts = |count| std::iter::repeat_n(shaft, count).collect::<String>();
        let arrow = if is_right {
            format!("{shaft}{} {label} {}{shaft}>", shafts(before), shafts(after))
        } else {
            format!("<{shaft}{} {label} {}{shaft}", shafts(before), shafts(after))
        };
        let nothing = " ".repeat(SPAN - 1);
        let (left, right) = if wire == WireName::Bot { (nothing, arrow) } else { (arrow, nothing) };
        let _ = writeln!(self.text, "{seconds:>TIME_WIDTH$.3}    |{left}|{right}|");
    }
}

/// What a message is called.
fn label(line: &WireLine) -> String {
    let Value::String(text) = &line.message else {
        let named = ["event", "type", "messageType", "event_type", "command", "action"];
        let name = named.iter().find_map(|name| line.message.get(name)?.as_str());
        return name.map_or_else(|| size(line.bytes), str::to_owned);
    };
    if line.wire != WireName::Sip {
        return text.clone();
    }
    let first = text.lines().next().unwrap_or_default();
    let sdp = if text.contains("\nv=0") { " +sdp" } else { "" };
    match first.strip_prefix("SIP/2.0 ") {
        Some(status) => {
            let method = text.lines().find_map(|line| line.strip_prefix("CSeq: ")?.split(' ').nth(1));
            format!("{status} ({}){sdp}", method.unwrap_or("?"))
        }
        None => format!("{}{sdp}", first.split(' ').next().unwrap_or_default()),
    }
}

fn size(bytes: usize) -> String {
    if bytes < 10_000 { format!("{bytes} B") } else { format!("{:.1} kB", bytes as f64 / 1_000.0) }
}

const TIME_WIDTH: usize = 9;
/// From one line to the next.
const SPAN: usize = 40;
const GATEWAY_WIDTH: usize = 11;

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn line(unix_ms: u64, wire: WireName, flow: Flow, message: Value) -> WireLine {
        let audio = message.get("media").is_some();
        let peer = if wire == WireName::Bot { "smartpbx" } else { "udp 192.0.2.9:5062" }.to_owned();
        WireLine { unix_ms, wire, flow, peer, bytes: 214, audio, message }
    }

    #[test]
    fn a_call_is_a_picture_of_three_lines_and_its_audio_one_arrow_for_each_way() {
        use Flow::{In, Out};
        use WireName::{Bot, Sip};
        let invite = json!("INVITE sip:<4 digits>@192.0.2.1 SIP/2.0\nCSeq: 1 INVITE\n\nv=0\n");
        let ok = json!("SIP/2.0 200 OK\nCSeq: 1 INVITE\n\nv=0\n");
        let mut lines = vec![
            line(1_000, Sip, In, invite),
            line(1_002, Bot, Out, json!({"event": "start"})),
            line(1_020, Sip, Out, ok),
        ];
        for frame in 0..60 {
            lines.push(line(1_040 + frame * 20, Bot, Out, json!({"event": "media", "media": {}})));
            lines.push(line(1_041 + frame * 20, Bot, In, json!({"event": "media", "media": {}})));
        }
        lines.push(line(3_000, Sip, In, json!("BYE sip:192.0.2.1 SIP/2.0\nCSeq: 2 BYE\n")));
        let picture = ladder(&lines);
        let expected = "
  seconds  phone (udp 192.0.2.9:5062)             gateway                         bot (smartpbx)
    0.000    |------------ INVITE +sdp ------------->|                                       |
    0.002    |                                       |--------------- start ---------------->|
    0.020    |<-------- 200 OK (INVITE) +sdp --------|                                       |
    0.040    |                                       |======== 60 × audio, 12.8 kB =========>|
    0.041    |                                       |<======== 60 × audio, 12.8 kB =========|
    2.000    |---------------- BYE ----------------->|                                       |
";
        assert_eq!(picture, expected.trim_start_matches('\n'));
    }

    #[test]
    fn labels_that_are_too_long_are_cut_and_nothing_at_all_is_a_head() {
        let long = line(0, WireName::Bot, Flow::In, json!("<x".repeat(80)));
        let picture = ladder(std::slice::from_ref(&long));
        assert!(picture.lines().all(|line| line.chars().count() <= 96), "{picture}");
        assert_eq!(ladder(&[]).lines().count(), 1);
    }
}
