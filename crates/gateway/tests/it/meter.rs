//! The meter of `bench` finds what a gateway does to audio: one frame in a thousand, ten milliseconds.
//!
//! Counting is judged in virtual time, on packets that a faulty path hands from ear to mouth; then the same on real
//! sockets, against a SIP peer that returns the caller's audio with the fault.

use std::collections::VecDeque;
use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use patchcord::caller::frame_meter::{FrameMeter, FrameTally};
use patchcord::caller::line::{Dial, Phone};
use patchcord::caller::load::{self, LoadPlan, LoadReport};
use patchcord::caller::watermark::Watermark;
use patchcord::clock::Clock;
use patchcord_core::media::g711::Law;
use patchcord_core::vocabulary::Moment;
use patchcord_sip::sdp::{self, CodecSpec, LocalSession, Order, Protection};
use patchcord_sip::{IncomingCall, ListenAddr, SipAgent, SipConfig};

/// What a path does to the frames that it carries.
#[derive(Debug, Clone, Copy)]
enum Fault {
    None,
    /// One in a thousand is not there.
    Drops,
    /// One in a thousand comes twice.
    Doubles,
    /// One in a thousand has a few samples turned over.
    Damages,
    /// Everything comes 10 ms later.
    Delays,
}

impl Fault {
    /// What becomes of frame `number` (from 1), and how often it comes.
    fn apply(self, number: u64, payload: &mut [u8]) -> usize {
        let is_hit = number.is_multiple_of(1_000);
        match self {
            Self::Drops if is_hit => 0,
            Self::Doubles if is_hit => 2,
            Self::Damages if is_hit => {
                // The sign bit of G.711: in the middle of a frame, wherever its headers end.
                payload.iter_mut().rev().skip(60).take(8).for_each(|byte| *byte ^= 0x80);
                1
            }
            Self::None | Self::Drops | Self::Doubles | Self::Damages | Self::Delays => 1,
        }
    }

    fn delay(self) -> Duration {
        match self {
            Self::Delays => Duration::from_millis(10),
            Self::None | Self::Drops | Self::Doubles | Self::Damages => Duration::ZERO,
        }
    }
}

/// Four calls of 100 seconds in virtual time, through µ-law, cut into packets at another place than the frames.
fn measure_virtually(fault: Fault) -> FrameTally {
    const CALLS: u16 = 4;
    const FRAMES: u64 = 5_000;
    let mut total = FrameTally::default();
    let mut carried = 0;
    for call in 0..CALLS {
        let mut meter = FrameMeter::new(call);
        let mut path: VecDeque<u8> = std::iter::repeat_n(0xFF, 57).collect();
        let mut frame = [0; Watermark::SAMPLES];
        for n in 0..FRAMES + 2 {
            let at = Moment::from_nanos(n * 20_000_000);
            // The last two push what is under way out of the path.
            let counted = n < FRAMES;
            meter.next_frame(at, counted, &mut frame);
            let mut payload = [0; Watermark::SAMPLES];
            Law::Mu.encode(&frame, &mut payload);
            carried += u64::from(counted);
            let times = if counted { fault.apply(carried, &mut payload) } else { 1 };
            (0..times).for_each(|_| path.extend(payload));
            let arrives = at + Duration::from_millis(3) + fault.delay();
            while path.len() >= Watermark::SAMPLES {
                let packet: Vec<u8> = path.drain(..Watermark::SAMPLES).collect();
                meter.hear(arrives, true, packet.iter().map(|byte| Law::Mu.decode_sample(*byte)));
            }
        }
        total.merge(meter.tally());
    }
    assert_eq!(total.sent, u64::from(CALLS) * FRAMES);
    total
}

#[test]
fn a_faultless_path_has_no_losses_and_the_latency_that_it_has() {
    let tally = measure_virtually(Fault::None);
    assert_eq!((tally.lost(), tally.doubled, tally.damaged, tally.foreign, tally.overtaken), (0, 0, 0, 0, 0));
    // 3 ms on the way and 57 samples of something else before the frame.
    assert_eq!(tally.latency.min(), Some(Duration::from_micros(3_000 + 57 * 125)));
    assert_eq!(tally.latency.max(), tally.latency.min());
}

#[test]
fn one_lost_frame_in_a_thousand_is_found_exactly() {
    let tally = measure_virtually(Fault::Drops);
    assert_eq!((tally.lost(), tally.doubled, tally.damaged), (20, 0, 0));
}

#[test]
fn one_doubled_frame_in_a_thousand_is_found_exactly() {
    let tally = measure_virtually(Fault::Doubles);
    assert_eq!((tally.lost(), tally.doubled, tally.damaged), (0, 20, 0));
}

#[test]
fn one_damaged_frame_in_a_thousand_is_found_exactly() {
    let tally = measure_virtually(Fault::Damages);
    assert_eq!((tally.lost(), tally.doubled, tally.damaged), (20, 0, 20));
}

#[test]
fn ten_milliseconds_are_found_to_the_sample() {
    let (plain, delayed) = (measure_virtually(Fault::None), measure_virtually(Fault::Delays));
    let added = delayed.latency.min().unwrap() - plain.latency.min().unwrap();
    assert_eq!(added, Duration::from_millis(10));
    assert_eq!(delayed.lost(), 0);
}

#[test]
fn audio_of_another_call_is_foreign_and_not_heard() {
    let (mut one, mut other) = (FrameMeter::new(1), FrameMeter::new(2));
    let mut frame = [0; Watermark::SAMPLES];
    one.next_frame(Moment::START, true, &mut frame);
    other.hear(Moment::START, true, frame.into_iter());
    assert_eq!((other.tally().foreign, other.tally().heard, one.tally().lost()), (1, 0, 1));
}

#[test]
fn on_real_sockets_a_faultless_peer_loses_nothing() {
    let report = measure_for_real(Fault::None);
    assert_eq!((report.frames.lost(), report.frames.doubled, report.frames.damaged), (0, 0, 0));
    assert_eq!((report.reception.missing, report.reception.restarts), (0, 0));
    assert!(report.frames.latency.min().unwrap() < Duration::from_millis(5), "{:?}", report.frames.latency);
}

#[test]
fn on_real_sockets_a_peer_that_drops_one_frame_in_a_thousand_is_found() {
    let report = measure_for_real(Fault::Drops);
    let (sent, lost) = (report.frames.sent, report.frames.lost());
    // The window begins and ends anywhere between two drops.
    assert!(lost > 0 && lost.abs_diff(sent / 1_000) <= 1, "{lost} of {sent}");
    assert!(report.reception.missing.abs_diff(lost) <= 1, "{} missing", report.reception.missing);
}

#[test]
fn on_real_sockets_a_peer_that_adds_ten_milliseconds_is_found() {
    let report = measure_for_real(Fault::Delays);
    let min = report.frames.latency.min().unwrap();
    assert!((Duration::from_millis(10)..Duration::from_millis(15)).contains(&min), "{min:?}");
    assert_eq!(report.frames.lost(), 0);
}

/// 25 calls for two seconds against a SIP peer with the fault.
fn measure_for_real(fault: Fault) -> LoadReport {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let listen = vec![ListenAddr::Udp(SocketAddr::from(([127, 0, 0, 1], 0)))];
        let (agent, mut calls) = SipAgent::bind(SipConfig { listen, ..SipConfig::default() }).await.unwrap();
        let plan = LoadPlan {
            dial: Dial {
                target: format!("sip:echo@{}", agent.local_addrs()[0].addr()),
                from: "meter".to_owned(),
                law: Law::A,
                srtp: Protection::Off,
            },
            calls: 25,
            per_second: 100.0,
            warm_up: Duration::from_millis(100),
            window: Duration::from_secs(2),
            drain: Duration::from_millis(300),
        };
        let echo = UdpSocket::bind("127.0.0.1:0").unwrap();
        echo.set_nonblocking(true).unwrap();
        let echo = tokio::net::UdpSocket::from_std(echo).unwrap();
        let rtp = echo.local_addr().unwrap();
        let answering = tokio::spawn(async move {
            let mut legs = Vec::new();
            while let Some(call) = calls.recv().await {
                legs.push(answer(call, rtp).await);
            }
        });
        let echoing = tokio::spawn(return_audio(echo, fault));
        let phone = Phone::facing(&plan.dial.target, Clock::start()).await.unwrap();
        let report = load::run(&phone, &plan, &mut |_| {}).await.unwrap();
        answering.abort();
        echoing.abort();
        assert_eq!((report.held, report.failed), (25, 0), "{:?}", report.first_failure);
        // Everybody's two seconds, unless the machine stood still.
        assert!(report.frames.sent + report.skipped >= 25 * 98, "{}", report.frames.sent);
        report
    })
}

/// Answers a call with one address for the audio of all: each caller is told by where its packets come from.
async fn answer(call: IncomingCall, rtp: SocketAddr) -> IncomingCall {
    let offer = sdp::parse(call.invitation.offer.as_deref().unwrap()).unwrap();
    let audio = offer.audio().unwrap();
    let choice = sdp::choose(&audio, &[CodecSpec::new("PCMA", 8_000, 8)], Order::Ours).unwrap();
    call.leg.answer(LocalSession::new(7, rtp).answer(&offer, &audio, &choice)).await.unwrap();
    call
}

/// Returns every packet to its sender, with the fault.
async fn return_audio(socket: tokio::net::UdpSocket, fault: Fault) {
    let mut waiting: VecDeque<(tokio::time::Instant, Vec<u8>, SocketAddr)> = VecDeque::new();
    let (mut buffer, mut carried) = ([0; 2_048], 0);
    loop {
        let due = waiting.front().map(|(due, ..)| *due);
        let wait = async {
            match due {
                Some(due) => tokio::time::sleep_until(due).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = wait => {}
            received = socket.recv_from(&mut buffer) => {
                let (length, from) = received.unwrap();
                carried += 1;
                let mut packet = buffer[..length].to_vec();
                for _ in 0..fault.apply(carried, &mut packet) {
                    waiting.push_back((tokio::time::Instant::now() + fault.delay(), packet.clone(), from));
                }
            }
        }
        while waiting.front().is_some_and(|(due, ..)| *due <= tokio::time::Instant::now()) {
            let (_, packet, to) = waiting.pop_front().unwrap();
            socket.send_to(&packet, to).await.unwrap();
        }
    }
}
