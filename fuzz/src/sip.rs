//! SIP from octets to answers: framing, reading, judging, and the machine behind them with one call after another.
//!
//! An input is a piece of a stream; its length says over what and in which pieces it comes. In a message `%TAG%`, `%BRANCH%`, `%CALL%`,
//! `%FROM%` and `%RSEQ%` stand for the words of ours that the last message we sent carried, and `X-Do` and `X-Wait` header fields
//! for what our user does then ([`Bench::act`]) and how many milliseconds pass.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use patchcord_sip::frame::{Frame, FrameFaultKind, Framer};
use patchcord_sip::machine::{Command, Flow, Limits, Machine, Output, SessionTimes, Settings, Way};
use patchcord_sip::message::{Message, parse};
use patchcord_sip::validate::{Verdict, judge};
use patchcord_sip::{
    FREE_FIELDS_MAX, InviteRequest, LegEvent, LegId, Locations, Rejection, ReofferId, Strangers, Transport,
};

/// Plays the input as a peer, ends every call that came of it, and sees that nothing is left.
pub fn exercise(input: &[u8]) {
    let (frames, fault) = frames_of(input, usize::MAX);
    let (in_pieces, fault_in_pieces) = frames_of(input, 1 + input.len() % 97);
    assert_eq!(frames, in_pieces, "other frames in other pieces");
    assert_eq!(fault.is_some(), fault_in_pieces.is_some(), "another end in other pieces");
    let mut bench = Bench::new(if input.len().is_multiple_of(2) { Transport::Udp } else { Transport::Tcp });
    for frame in frames.into_iter().take(MESSAGES_MAX) {
        let Frame::Message(octets) = frame else { continue };
        bench.receive(&octets);
    }
    if fault.is_some() {
        // A datagram needs no framing, and what breaks a stream is judged all the same.
        bench.receive(input);
    }
    bench.finish();
}

/// What a framer finds when the octets come in pieces of that length.
fn frames_of(octets: &[u8], piece: usize) -> (Vec<Frame>, Option<FrameFaultKind>) {
    let mut framer = Framer::new(MESSAGE_OCTETS_MAX);
    let mut frames = Vec::new();
    for piece in octets.chunks(piece) {
        framer.push(piece);
        loop {
            match framer.next_frame() {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => break,
                Err(fault) => {
                    assert!(fault.head.len() <= MESSAGE_OCTETS_MAX, "a head beyond the limit is kept");
                    return (frames, Some(fault.kind));
                }
            }
        }
    }
    (frames, None)
}

/// The machine, its user and its clock.
struct Bench {
    machine: Machine,
    now: Instant,
    flow: Flow,
    /// Per leg: how many terminal events came, and whether it is closed.
    legs: HashMap<LegId, (usize, bool)>,
    newest: Option<LegId>,
    /// The peer's wish to change the session, unanswered.
    reoffer: Option<(LegId, ReofferId)>,
    words: Words,
}

/// What the peer learns of ours.
#[derive(Default)]
struct Words {
    tag: String,
    branch: String,
    call: String,
    from: String,
    rseq: String,
}

impl Bench {
    fn new(transport: Transport) -> Self {
        let settings = Settings {
            user_agent: "bench".to_owned(),
            t1: Duration::from_millis(500),
            t2: Duration::from_secs(4),
            t4: Duration::from_secs(5),
            session: SessionTimes::default(),
            accept_source: None,
            directory: None,
            locations: Locations::default(),
            strangers: Strangers::default(),
            limits: Limits { calls_max: 4, transactions_max: 8, ..Limits::default() },
        };
        let local = SocketAddr::from(([192, 0, 2, 1], 5060));
        let peer = SocketAddr::from(([198, 51, 100, 7], 5062));
        Self {
            machine: Machine::new(settings),
            now: Instant::now(),
            flow: Flow { transport, link: 1, local, peer },
            legs: HashMap::new(),
            newest: None,
            reoffer: None,
            words: Words::default(),
        }
    }

    fn receive(&mut self, octets: &[u8]) {
        let octets = self.words.fill_in(octets);
        let parsed = parse(&octets, HEADER_FIELDS_MAX);
        assert!(
            parsed.message.headers.len() <= HEADER_FIELDS_MAX,
            "more header fields than allowed are kept"
        );
        match judge(&parsed) {
            Verdict::Refuse(refusal) => {
                assert!((400..600).contains(&refusal.code) && parsed.message.method() != Some("ACK"));
            }
            Verdict::Silence => {}
            Verdict::Accept => {
                let message = parsed.message;
                self.check_same(&message);
                let word = |name| message.headers.first(name).unwrap_or_default().to_owned();
                let (act, wait) = (word("X-Do"), word("X-Wait"));
                self.machine.handle_message(self.now, self.flow, message);
                self.drain();
                self.act(&act);
                self.pass(Duration::from_millis(wait.parse().unwrap_or(0).min(70_000)));
            }
        }
    }

    /// What was accepted is accepted again as we would write it.
    fn check_same(&self, message: &Message) {
        let again = parse(&message.encode(), HEADER_FIELDS_MAX + 1);
        assert!(again.fault.is_none() && judge(&again) == Verdict::Accept, "{:?}", again.fault);
        assert!(again.message.start == message.start && again.message.body == message.body);
    }

    fn act(&mut self, act: &str) {
        if act == "invite" {
            let request = InviteRequest {
                target: "sip:bob@198.51.100.7:5062".to_owned(),
                from_user: "ann \"<".to_owned(),
                from_display: "Ann \"\\\r\n".to_owned(),
                offer: SDP.to_owned(),
                headers: Vec::new(),
            };
            if let Ok(leg) = self.machine.invite(self.now, (self.flow, Way::ToTarget), &request) {
                self.begin(leg);
            }
        }
        let command = match (act, self.reoffer) {
            ("accept", Some((leg, id))) => Some((leg, Command::AnswerReoffer(id, SDP.to_owned()))),
            ("refuse", Some((leg, id))) => Some((leg, Command::RejectReoffer(id, 488))),
            _ => self.newest.zip(command(act)),
        };
        let Some((leg, command)) = command else { return self.drain() };
        // Whether it fits is for the machine to say.
        let _fits = self.machine.handle_command(self.now, leg, command);
        self.drain();
    }

    fn begin(&mut self, leg: LegId) {
        let before = self.legs.insert(leg, (0, false));
        assert_eq!(before, None, "a leg of that number was there");
        self.newest = Some(leg);
    }

    fn drain(&mut self) {
        while let Some(output) = self.machine.poll_output() {
            match output {
                Output::Send { octets, .. } => self.check_sent(&octets),
                Output::Incoming(leg, invitation) => {
                    assert!(invitation.headers.len() <= FREE_FIELDS_MAX);
                    self.begin(leg);
                }
                Output::Event(leg, event) => {
                    let terminal = matches!(
                        event,
                        LegEvent::Cancelled { .. } | LegEvent::Failed { .. } | LegEvent::Ended { .. }
                    );
                    let (ends, closed) = self.legs.entry(leg).or_default();
                    assert!(*ends == 0 && !*closed, "an event after the last one");
                    *ends += usize::from(terminal);
                    if let LegEvent::Reoffer { id, .. } = event {
                        self.reoffer = Some((leg, id));
                    }
                }
                Output::Closed(leg) => {
                    let (_, closed) = self.legs.entry(leg).or_default();
                    assert!(!std::mem::replace(closed, true), "a leg was closed twice");
                }
                // No input asks for one.
                Output::Lone(..) => unreachable!("an answer that nobody waits for"),
            }
        }
    }

    /// We send no request that we would refuse; a response carries the Vias of all proxies, which only they accept.
    fn check_sent(&mut self, octets: &Bytes) {
        let sent = parse(octets, usize::MAX);
        assert!(sent.fault.is_none(), "we sent {octets:?}, which is {:?}", sent.fault);
        assert!(sent.message.cseq().is_some(), "we sent {octets:?}");
        if sent.message.method().is_some() {
            assert_eq!(judge(&sent), Verdict::Accept, "we sent {octets:?}");
        }
        self.words.learn(&sent.message);
    }

    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        let mut served = 0;
        while let Some(due) = self.machine.poll_timeout().filter(|due| *due <= end) {
            served = if due > self.now { 0 } else { served + 1 };
            assert!(served < 50, "a deadline that serving does not move");
            self.now = self.now.max(due);
            self.machine.handle_timeout(self.now);
            self.drain();
        }
        self.now = end;
    }

    /// Ends every leg and waits until everything is forgotten.
    fn finish(mut self) {
        for leg in self.machine.leg_ids() {
            // A leg that is ending already says so.
            let _ended = self.machine.handle_command(self.now, leg, Command::Hangup(None));
            self.drain();
        }
        self.pass(Duration::from_secs(200));
        let counts = self.machine.counts();
        assert_eq!((counts.legs, counts.transactions), (0, 0), "something is never forgotten");
        assert_eq!(self.machine.poll_timeout(), None, "a timer without a purpose");
        for (ends, closed) in self.legs.values() {
            assert!(*closed && *ends <= 1, "a leg with {ends} ends, closed: {closed}");
        }
    }
}

impl Words {
    fn learn(&mut self, sent: &Message) {
        let replace = |word: &mut String, new: Option<String>| {
            if let Some(new) = new {
                *word = new;
            }
        };
        if sent.method().is_some() {
            replace(&mut self.branch, sent.top_via().and_then(|via| via.param("branch").map(str::to_owned)));
            replace(&mut self.call, sent.headers.first("Call-ID").map(str::to_owned));
            replace(&mut self.from, sent.tag("From"));
        } else {
            replace(&mut self.tag, sent.tag("To"));
            replace(&mut self.rseq, sent.headers.first("RSeq").map(str::to_owned));
        }
    }

    /// Puts our words in their places.
    fn fill_in(&self, octets: &[u8]) -> Bytes {
        let mut filled = Vec::with_capacity(octets.len());
        let mut rest = octets;
        while let Some(at) = rest.iter().position(|byte| *byte == b'%') {
            let (before, from) = rest.split_at(at);
            filled.extend_from_slice(before);
            let places = [
                ("%TAG%", &self.tag),
                ("%BRANCH%", &self.branch),
                ("%CALL%", &self.call),
                ("%FROM%", &self.from),
                ("%RSEQ%", &self.rseq),
            ];
            let place =
                places.iter().find_map(|(name, word)| Some((from.strip_prefix(name.as_bytes())?, *word)));
            rest = match place {
                Some((after, word)) => {
                    filled.extend_from_slice(word.as_bytes());
                    after
                }
                None => {
                    filled.push(b'%');
                    from.split_at(1).1
                }
            };
        }
        filled.extend_from_slice(rest);
        filled.into()
    }
}

fn command(act: &str) -> Option<Command> {
    Some(match act {
        "ring" => Command::Ringing,
        "progress" => Command::Progress(SDP.to_owned()),
        "answer" => Command::Answer(SDP.to_owned()),
        "reject" => Command::Reject(Rejection::new(486, "Busy Here").with_q850(17, "User \"busy\"")),
        "hangup" => Command::Hangup(Some("Q.850;cause=16".to_owned())),
        "info" => Command::Info('5', Duration::from_millis(160)),
        "reoffer" => Command::Reoffer(SDP.to_owned()),
        _ => return None,
    })
}

const SDP: &str =
    "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n";
/// Small, so that the limit is met.
const MESSAGE_OCTETS_MAX: usize = 4_096;
const HEADER_FIELDS_MAX: usize = 64;
/// Messages of one input.
const MESSAGES_MAX: usize = 16;
