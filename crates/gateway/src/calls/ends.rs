//! The ends of one call, and what carrying out the call's wishes on them has led to.
//!
//! Nothing here decides and nothing waits: an output of the call goes where it belongs.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use patchcord_core::agent::is_agent;
use patchcord_core::call::{LegNo, LegOrder, Output};
use patchcord_core::dialect::{Wire, WireClass};
#[cfg(feature = "otel")]
use patchcord_core::vocabulary::Timeline;
use patchcord_core::vocabulary::{CallFact, CallRecord, Moment};
use tokio::sync::oneshot;
use tracing::info;

use super::bot_end::{BotEnd, BotMedia};
use super::chronicle::CallPage;
use super::exchange::Exchange;
use super::listeners::Listeners;
use super::phone_end::PhoneEnd;
use super::queue_seat::QueueSeat;
use super::referral::Asked;
use super::succession::Succession;
use super::tool_runs::ToolRuns;
use super::transfer_legs::TransferLegs;
use super::wire_log::{Flow, WireName, WireTap};
use crate::clock::Clock;
#[cfg(feature = "otel")]
use crate::jobs::EndedTrace;
use crate::net::{Pushed, Received, RtpPort};
use crate::recording::Sink;

/// The two ends of the call, and what carrying out its wishes has led to.
pub(super) struct Ends {
    pub(super) exchange: Arc<Exchange>,
    pub(super) page: CallPage,
    pub(super) phone: PhoneEnd,
    pub(super) bot: BotEnd,
    pub(super) bot_media: BotMedia,
    /// How the vendor's WebSocket is to be closed, once what the call leaves is durable.
    pub(super) phone_close: Option<u16>,
    /// Where messages are left, if they are logged.
    pub(super) wire: Option<WireTap>,
    /// Where the call's sound goes beside its ends.
    pub(super) sink: Sink,
    /// Who listens at this moment.
    pub(super) listeners: Listeners,
    /// The bots after this one and before it.
    pub(super) succession: Succession,
    pub(super) queue: QueueSeat,
    /// What the bot has tools do.
    pub(super) tools: ToolRuns,
    pub(super) legs: TransferLegs,
    pub(super) answered_at: Option<Moment>,
    /// The ways that the sound took, bot after bot.
    pub(super) media: Vec<String>,
    pub(super) audio_dropped: u32,
    pub(super) bot_overflown: bool,
    pub(super) phone_overflown: bool,
    /// An outbox would overflow before the end of this wake.
    pub(super) filling: bool,
    pub(super) reread: bool,
    pub(super) record: Option<Box<CallRecord>>,
    /// The call's history, once it is over.
    #[cfg(feature = "otel")]
    pub(super) timeline: Option<Box<Timeline>>,
}

impl Ends {
    pub(super) fn carry_out(&mut self, output: Output<'_>, clock: Clock) {
        use Output::{ConnectBot, DialPhone, FindBot, ReachNextBot, ResumeBot};
        self.reread |=
            matches!(output, DialPhone(_) | FindBot | ConnectBot | ReachNextBot { .. } | ResumeBot);
        match output {
            Output::Rtp { to, packet } => self.phone.send_datagram(RtpPort::Rtp, packet, to),
            Output::Rtcp { to, packet } => self.phone.send_datagram(RtpPort::Rtcp, packet, to),
            Output::BotWire(class, wire) => self.send_to_bot(class, wire),
            Output::PhoneWire(class, wire) => self.send_to_vendor(class, wire),
            Output::DialPhone(_)
            | Output::CancelPhone(_)
            | Output::Ring
            | Output::Progress
            | Output::Answer
            | Output::Reject { .. }
            | Output::HangUpPhone(_) => self.phone.carry_out(&output, &self.exchange),
            // The vendor takes the close for our word that everything is kept (seed 001).
            Output::ClosePhone(code) if self.page.leaves_files() => self.phone_close = Some(code),
            Output::ClosePhone(_) => self.phone.carry_out(&output, &self.exchange),
            Output::FindBot => self.bot.find(),
            Output::ConnectBot => self.bot.connect(),
            Output::CloseBot(code) => self.bot.close(code),
            Output::ReachNextBot { wish, phone } => {
                self.succession.find(&self.exchange, &wish, &self.bot, phone);
            }
            Output::NextBotTakesOver => {
                if let Some(media) = self.succession.take_over(&mut self.bot, clock.now()) {
                    self.meet(media, clock.now());
                    // What found no room was the former's.
                    self.bot_overflown = false;
                    let media = format!("{} → {}", self.phone.describe(), self.bot_media);
                    info!(media, "call handed over");
                    self.media.push(media);
                    self.reread = true;
                }
            }
            Output::DropNextBot => self.succession.drop_next(clock.now()),
            Output::PauseBot => self.bot.pause(),
            Output::ResumeBot => self.bot.resume(clock.now()),
            Output::Answered => {
                self.answered_at = Some(clock.now());
                let media = format!("{} → {}", self.phone.describe(), self.bot_media);
                info!(media, "call answered");
                self.media.push(media);
            }
            Output::Tape(kind, piece) => self.sink.take(kind, piece),
            Output::Overheard(piece) => self.listeners.take(piece),
            Output::Loudness { at, levels } => self.sink.take_levels(at, levels),
            Output::Report(CallFact::Timeline(timeline)) => {
                self.page.keep_history(&timeline, std::mem::take(&mut self.media));
                #[cfg(feature = "otel")]
                {
                    self.timeline = Some(timeline);
                }
            }
            Output::Report(fact) => self.page.report(&fact, clock.now()),
            Output::Leg(leg, order) => self.carry_out_on(leg, order),
            Output::Queue(order) => self.reread |= self.queue.obey(&order, clock.now()),
            Output::RunTool(call) => {
                let agent = self.bot.bot().and_then(|bot| bot.agent.as_deref());
                self.tools.begin(&self.exchange.egress, agent, self.page.call_id(), call);
                self.reread = true;
            }
            Output::Ended(record) => self.record = Some(record),
        }
    }

    /// Another bot has the call.
    pub(super) fn meet(&mut self, media: BotMedia, now: Moment) {
        self.bot_media = media;
        if is_agent(media.dialect) {
            self.page.leaves_files_from(now);
        }
    }

    /// Hands over what the call leaves as files, if it leaves any; its end has been told.
    pub(super) fn leave(&self, call_id: &str) -> Option<oneshot::Receiver<()>> {
        self.page.leaves_files().then(|| self.exchange.leavings.leave(call_id))
    }

    /// Something for a leg, unless the caller's carrier does it instead.
    fn carry_out_on(&mut self, no: LegNo, order: LegOrder<'_>) {
        if let PhoneEnd::Sip(end) = &mut self.phone {
            match &order {
                LegOrder::Dial { to, shown, until, alone: true } if self.answered_at.is_some() => {
                    if let Some(target) = end.referrals.target(&self.exchange.config(), to) {
                        let (to, shown, until) = (to.clone(), shown.clone(), *until);
                        return end.refer(target, Asked { leg: no, to, shown, until });
                    }
                }
                LegOrder::Cancel(_) if end.referrals.forget(no) => return,
                _ => {}
            }
        }
        self.reread |= self.legs.carry_out(&self.exchange, no, order);
    }

    /// Dials what the caller's carrier did not want to connect.
    pub(super) fn dial_unreferred(&mut self) {
        if let PhoneEnd::Sip(end) = &mut self.phone
            && let Some(Asked { leg, to, shown, until }) = end.referrals.take_untaken()
        {
            let order = LegOrder::Dial { to, shown, until, alone: false };
            self.reread |= self.legs.carry_out(&self.exchange, leg, order);
        }
    }

    fn send_to_bot(&mut self, class: WireClass, wire: Wire<'_>) {
        self.trace(WireName::Bot, Flow::Out, wire);
        if let BotEnd::Open(link, _) = &mut self.bot {
            let pushed = link.send(class, wire);
            self.filling |= link.is_filling();
            self.audio_dropped += u32::from(matches!(pushed, Pushed::DroppedAudio));
            self.bot_overflown |= matches!(pushed, Pushed::Overflow);
        }
    }

    fn send_to_vendor(&mut self, class: WireClass, wire: Wire<'_>) {
        self.trace(WireName::Vendor, Flow::Out, wire);
        if let PhoneEnd::Vendor(link, _) = &mut self.phone {
            let pushed = link.send(class, wire);
            self.filling |= link.is_filling();
            self.audio_dropped += u32::from(matches!(pushed, Pushed::DroppedAudio));
            self.phone_overflown |= matches!(pushed, Pushed::Overflow);
        }
    }

    pub(super) fn trace_read(&self, name: WireName, received: &Received) {
        match received {
            Received::Text(text) => self.trace(name, Flow::In, Wire::Text(text.as_str())),
            Received::Binary(bytes) => self.trace(name, Flow::In, Wire::Binary(bytes)),
            Received::Ended(_) => {}
        }
    }

    fn trace(&self, name: WireName, flow: Flow, wire: Wire<'_>) {
        let Some(tap) = &self.wire else { return };
        let peer = match &self.phone {
            PhoneEnd::Vendor(_, dialect) if name == WireName::Vendor => dialect,
            _ => self.bot_media.dialect,
        };
        tap.message(name, flow, peer, wire);
    }

    pub(super) fn poll_write(&mut self, cx: &mut Context<'_>, now: Moment) {
        if let BotEnd::Open(link, _) = &mut self.bot {
            link.poll_write(cx, now);
        }
        self.phone.poll_write(cx, now);
        let _ = self.succession.poll_leaving(cx, now);
        let _ = self.legs.poll_commands(cx);
    }

    /// Leaves what a trace of the call is made of, where one is wanted.
    #[cfg(feature = "otel")]
    pub(super) fn leave_trace(&mut self, record: Box<CallRecord>) {
        if self.exchange.config().otel.is_some() {
            let timeline = self.timeline.take();
            self.exchange.traces.offer(EndedTrace { record, timeline });
        }
    }

    /// Finishes the closing handshakes of the WebSockets, within [`CLOSE_TIMEOUT`]; the vendor's begins when `files`
    /// are durable, at most [`FILES_PATIENCE`] after the end of the call.
    pub(super) async fn close(
        mut self,
        clock: Clock,
        ended_at: Moment,
        files: Option<oneshot::Receiver<()>>,
    ) {
        self.bot.close(CLOSE_NORMAL);
        if let Some(mut files) = files {
            let durable = poll_fn(|cx| {
                self.poll_write(cx, clock.now());
                // What could not be kept at once is kept later: the vendor need not wait for that.
                Pin::new(&mut files).poll(cx).map(drop)
            });
            // Of it the engine may have had some for the caller's last words.
            let until = clock.instant(ended_at + FILES_PATIENCE);
            let _ = tokio::time::timeout_at(until, durable).await;
        }
        self.phone.close(self.phone_close.unwrap_or(CLOSE_NORMAL));
        let closed = poll_fn(|cx| {
            let now = clock.now();
            let bot = self.bot.poll_closed(cx, now);
            let phone = self.phone.poll_closed(cx, now);
            let left = self.succession.poll_leaving(cx, now);
            let legs = self.legs.poll_commands(cx);
            if [bot, phone, left, legs].iter().all(Poll::is_ready) { Poll::Ready(()) } else { Poll::Pending }
        });
        // An end that does not answer the close frame loses the connection.
        let _ = tokio::time::timeout(CLOSE_TIMEOUT, closed).await;
    }
}

/// How long a vendor waits for what its call leaves; with the close itself, less than 5 s.
const FILES_PATIENCE: Duration = Duration::from_millis(4_500);

/// How long the closing handshakes of the WebSockets may take.
pub(super) const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);
pub(super) const CLOSE_NORMAL: u16 = 1_000;
