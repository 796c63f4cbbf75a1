//! The event loop of one call: the only owner of its [`Call`], its sockets and its timer.
//!
//! It lives on one media worker. A wake takes what is ready from every source, in bounded portions, gives it
//! to the call, and carries out what the call says; nothing in it waits for anything else. What the call
//! decides is not decided here.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use patchcord_core::call::{Call, CallSettings, Input, RecordingOrder, SocketEnd, StateName};
use patchcord_core::dialect::Wire;
use patchcord_core::vocabulary::{CallRecord, Moment, Reason};
use tokio::sync::mpsc;
use tokio::time::Sleep;
use tracing::info;

use super::bot_end::{BotEnd, BotMedia, BotNews};
use super::chronicle::{CallPage, what_is_known};
use super::ends::Ends;
use super::exchange::Exchange;
use super::listeners::Listeners;
use super::phone_end::PhoneEnd;
use super::portion::Portion;
use super::queue_seat::QueueSeat;
use super::registry::{CallOrder, Seat, Snapshot};
use super::succession::Succession;
use super::tool_runs::ToolRuns;
use super::transfer_legs::TransferLegs;
use super::wire_log::WireName;
use crate::clock::{Clock, unix_ms};
use crate::config::RecordingFormat;
use crate::net::{Received, RtpPort};
use crate::tasks::give_way;

/// One call and everything it holds.
pub struct CallTask {
    call: Call,
    ends: Ends,
    clock: Clock,
    orders: mpsc::Receiver<CallOrder>,
    sleep: Pin<Box<Sleep>>,
    armed: Moment,
    seat: Seat,
    show_at: Moment,
    /// The vendor has not said yet whose call it is.
    nameless: bool,
    /// Where datagrams are received, kept so that it is not cleared for each.
    datagram: Vec<u8>,
}

impl CallTask {
    /// A call that begins at this moment; make it on the worker where it stays. Boxed, for futures that hold it
    /// copy it.
    pub fn new(
        exchange: &Arc<Exchange>,
        (settings, page): (CallSettings, CallPage),
        phone: PhoneEnd,
        bot: BotEnd,
        (mut seat, orders): (Seat, mpsc::Receiver<CallOrder>),
    ) -> Box<Self> {
        let clock = exchange.clock;
        let now = clock.now();
        seat.bequeath(page.clone(), what_is_known(&settings, now));
        let wire = exchange.wire_log.as_ref().map(|log| log.tap(&settings.call_id));
        let bot_media = BotMedia::of(&settings.bot);
        let legs = TransferLegs::of(&settings.call_id);
        let nameless = matches!(phone, PhoneEnd::Vendor(..));
        let format = exchange.config().recording.settings.format;
        let sink = exchange.studio.recorder.sink(settings.call_id.as_str(), format);
        Box::new(Self {
            call: Call::new(settings, now),
            ends: Ends {
                exchange: exchange.clone(),
                page,
                phone,
                bot,
                bot_media,
                phone_close: None,
                wire,
                sink,
                listeners: Listeners::default(),
                succession: Succession::default(),
                queue: QueueSeat::new(exchange.clone()),
                tools: ToolRuns::default(),
                legs,
                answered_at: None,
                media: Vec::new(),
                audio_dropped: 0,
                bot_overflown: false,
                phone_overflown: false,
                filling: false,
                reread: false,
                record: None,
                #[cfg(feature = "otel")]
                timeline: None,
            },
            clock,
            orders,
            sleep: Box::pin(tokio::time::sleep_until(clock.instant(now))),
            armed: now,
            seat,
            show_at: now,
            nameless,
            datagram: Vec::new(),
        })
    }

    /// The same, whose recordings have this form.
    #[must_use]
    pub fn recorded_as(mut self: Box<Self>, format: RecordingFormat) -> Box<Self> {
        self.ends.sink.record_as(format);
        self
    }

    /// Runs the call to its record, then closes its sockets politely.
    pub async fn run(mut self: Box<Self>) {
        let record = poll_fn(|cx| self.poll(cx)).await;
        self.show();
        info!(
            cause = %record.cause,
            duration_ms = record.duration_ms(),
            duration_s = record.duration_s(),
            played_ms = record.counters.played_ms,
            heard_ms = record.counters.heard_ms,
            "call ended"
        );
        if let (Some(bot), Some(answered)) = (self.ends.bot.bot(), record.answered_at)
            && bot.agent.is_some()
        {
            let lasted = record.ended_at - answered;
            self.ends.exchange.agent_hours.add(&bot.name, lasted, unix_ms());
        }
        let ended_at = record.ended_at;
        self.ends.page.end(&record);
        let files = self.ends.leave(record.call_id.as_str());
        self.seat.end(&record);
        #[cfg(feature = "otel")]
        self.ends.leave_trace(record);
        drop(self.call);
        self.ends.close(self.clock, ended_at, files).await;
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Box<CallRecord>> {
        self.drain(cx);
        for _ in 0..ROUNDS_PER_WAKE_MAX {
            self.ends.reread = false;
            let mut more = self.poll_orders(cx);
            more |= self.poll_phone(cx);
            more |= self.poll_legs(cx);
            more |= self.poll_bot(cx);
            self.poll_succession(cx);
            // After a standstill what waits in the sockets came before the deadlines that passed meanwhile.
            self.handle_due(cx);
            self.feed_back(cx);
            self.ends.poll_write(cx, self.clock.now());
            if let Some(record) = self.ends.record.take() {
                return Poll::Ready(record);
            }
            let due = self.poll_sleep(cx);
            if more {
                // Other calls of this worker, their sockets and timers first: a flood is its own call's problem.
                give_way(cx);
                return Poll::Pending;
            }
            if !due && !self.ends.reread {
                return Poll::Pending;
            }
        }
        give_way(cx);
        Poll::Pending
    }

    /// Gives the call what happened and carries out what it says.
    fn handle(&mut self, cx: &mut Context<'_>, now: Moment, input: Input<'_>) {
        let is_dialled = matches!(input, Input::PhoneLegId(_));
        self.call.handle(now, input);
        if is_dialled {
            let (from, to, leg_id) = self.call.parties();
            self.ends.page.parties(from, to, leg_id, now);
        }
        if self.nameless && self.call.state() != StateName::Inviting {
            self.nameless = false;
            let (from, to, leg_id) = self.call.parties();
            info!(ucid = %leg_id.escape_debug(), "call started");
            self.ends.page.parties(from, to, leg_id, now);
        }
        self.drain(cx);
    }

    fn drain(&mut self, cx: &mut Context<'_>) {
        while let Some(output) = self.call.poll_output() {
            self.ends.carry_out(output, self.clock);
            if std::mem::take(&mut self.ends.filling) {
                self.ends.poll_write(cx, self.clock.now());
            }
        }
    }

    /// Tells the call what its own wishes have led to.
    fn feed_back(&mut self, cx: &mut Context<'_>) {
        let now = self.clock.now();
        for _ in 0..std::mem::take(&mut self.ends.audio_dropped) {
            self.handle(cx, now, Input::AudioDropped);
        }
        if std::mem::take(&mut self.ends.bot_overflown) {
            self.handle(cx, now, Input::BotFailed(Reason::BotStalled));
        }
        if self.ends.listeners.were_left_alone() {
            self.handle(cx, now, Input::Recording(RecordingOrder::StopListening));
        }
        if std::mem::take(&mut self.ends.phone_overflown) {
            self.handle(cx, now, Input::PhoneClosed(SocketEnd::Reset));
        }
    }

    fn handle_due(&mut self, cx: &mut Context<'_>) {
        let now = self.clock.now();
        if self.call.poll_timeout().is_some_and(|at| now >= at) {
            self.call.handle_timeout(now);
            self.drain(cx);
        }
        if let BotEnd::Open(link, _) = &mut self.ends.bot
            && link.handle_timeout(now)
        {
            self.handle(cx, now, Input::BotFailed(Reason::BotStalled));
        }
        if let PhoneEnd::Vendor(link, _) = &mut self.ends.phone
            && link.handle_timeout(now)
        {
            self.handle(cx, now, Input::PhoneClosed(SocketEnd::Reset));
        }
        if now >= self.show_at {
            self.show_at = now + SHOW_INTERVAL;
            self.show();
        }
    }

    fn show(&self) {
        let (answered_at, recording) = (self.ends.answered_at, self.call.recording());
        let (response, counters) = (self.call.last_response(), self.call.counters());
        self.seat.show(Snapshot { answered_at, recording, response, counters });
    }

    /// Returns whether more orders may wait.
    fn poll_orders(&mut self, cx: &mut Context<'_>) -> bool {
        while let Poll::Ready(news) = self.ends.queue.poll(cx) {
            self.handle(cx, self.clock.now(), Input::Queue(news));
        }
        while let Poll::Ready(result) = self.ends.tools.poll(cx) {
            self.handle(cx, self.clock.now(), Input::ToolDone(Box::new(result)));
        }
        while let Poll::Ready(Some(order)) = self.orders.poll_recv(cx) {
            match order {
                CallOrder::Do(order, answer) => {
                    self.handle(cx, self.clock.now(), Input::Order(order));
                    let _ = answer.send(self.call.take_refusal());
                }
                CallOrder::HangUp(reason) => self.handle(cx, self.clock.now(), Input::HangUp(reason)),
                CallOrder::Recording(order) => self.handle(cx, self.clock.now(), Input::Recording(order)),
                CallOrder::Listen(ear, answer) => {
                    let joined = self.ends.listeners.join(ear);
                    if joined {
                        let order = RecordingOrder::StartListening;
                        self.handle(cx, self.clock.now(), Input::Recording(order));
                    }
                    let _ = answer.send(joined);
                }
            }
        }
        false
    }

    /// Returns whether more may be ready.
    fn poll_phone(&mut self, cx: &mut Context<'_>) -> bool {
        match &mut self.ends.phone {
            PhoneEnd::Sip(_) | PhoneEnd::Dialled(_) => self.poll_sip(cx),
            PhoneEnd::Vendor(..) => self.poll_vendor(cx),
        }
    }

    fn poll_sip(&mut self, cx: &mut Context<'_>) -> bool {
        self.with_datagram(|this, datagram| {
            let (phone, now) = (&mut this.ends.phone, this.clock.now());
            if let Poll::Ready(input) = phone.poll_leg(cx, now) {
                this.handle(cx, now, input);
                return true;
            }
            this.ends.dial_unreferred();
            let phone = &mut this.ends.phone;
            let Poll::Ready((port, length, source)) = phone.poll_receive(cx, datagram) else { return false };
            let packet = datagram.get(..length).unwrap_or_default();
            let input = match port {
                RtpPort::Rtp => Input::Rtp { source, packet },
                RtpPort::Rtcp => Input::Rtcp { source, packet },
            };
            this.handle(cx, this.clock.now(), input);
            true
        })
    }

    /// Reads as long as something is there, up to a wake's portion; returns whether more may be ready.
    fn with_datagram(&mut self, mut read: impl FnMut(&mut Self, &mut [u8]) -> bool) -> bool {
        let mut datagram = std::mem::take(&mut self.datagram);
        datagram.resize(DATAGRAM_BYTES_MAX, 0);
        let more = (0..DATAGRAMS_PER_WAKE_MAX).all(|_| read(self, &mut datagram));
        self.datagram = datagram;
        more
    }

    fn poll_legs(&mut self, cx: &mut Context<'_>) -> bool {
        self.with_datagram(|this, datagram| {
            let now = this.clock.now();
            let Poll::Ready(input) = this.ends.legs.poll(cx, now, datagram) else { return false };
            this.handle(cx, now, input);
            true
        })
    }

    fn poll_vendor(&mut self, cx: &mut Context<'_>) -> bool {
        let mut portion = Portion::default();
        while portion.has_room() {
            let now = self.clock.now();
            let PhoneEnd::Vendor(link, _) = &mut self.ends.phone else { return false };
            let Poll::Ready(received) = link.poll_read(cx, now) else { return false };
            portion.take(&received);
            self.ends.trace_read(WireName::Vendor, &received);
            match &received {
                Received::Text(text) => self.handle(cx, now, Input::PhoneWire(Wire::Text(text.as_str()))),
                Received::Binary(bytes) => self.handle(cx, now, Input::PhoneWire(Wire::Binary(bytes))),
                Received::Ended(end) => self.handle(cx, now, Input::PhoneClosed(*end)),
            }
        }
        true
    }

    /// Returns whether more may be ready.
    fn poll_bot(&mut self, cx: &mut Context<'_>) -> bool {
        let mut portion = Portion::default();
        while portion.has_room() {
            let now = self.clock.now();
            let Poll::Ready(news) = self.ends.bot.poll(cx, now) else { return false };
            match news {
                BotNews::Found(found) => {
                    self.ends.meet(BotMedia::of(&found.bot), now);
                    self.handle(cx, now, Input::BotFound(found));
                }
                BotNews::Connected => self.handle(cx, now, Input::BotConnected),
                BotNews::Failed(reason) => self.handle(cx, now, Input::BotFailed(reason)),
                BotNews::Received(received) => {
                    portion.take(&received);
                    self.ends.trace_read(WireName::Bot, &received);
                    match &received {
                        Received::Text(text) => {
                            self.handle(cx, now, Input::BotWire(Wire::Text(text.as_str())))
                        }
                        Received::Binary(bytes) => self.handle(cx, now, Input::BotWire(Wire::Binary(bytes))),
                        Received::Ended(end) => self.handle(cx, now, Input::BotClosed(*end)),
                    }
                }
            }
        }
        true
    }

    fn poll_succession(&mut self, cx: &mut Context<'_>) {
        let now = self.clock.now();
        if let Poll::Ready(found) = self.ends.succession.poll(cx, now) {
            self.handle(cx, now, found.map_or_else(Input::NextBotFailed, Input::NextBot));
        }
    }

    /// Arms the one timer for the next deadline; returns whether it is due already.
    fn poll_sleep(&mut self, cx: &mut Context<'_>) -> bool {
        let mut next = self.show_at;
        let Ends { phone, bot, succession, legs, .. } = &self.ends;
        let ends = [phone.poll_timeout(), bot.poll_timeout(), succession.poll_timeout(), legs.poll_timeout()];
        for deadline in ends.into_iter().chain([self.call.poll_timeout()]) {
            next = deadline.map_or(next, |deadline| next.min(deadline));
        }
        if next != self.armed {
            self.armed = next;
            self.sleep.as_mut().reset(self.clock.instant(next));
        }
        self.sleep.as_mut().poll(cx).is_ready()
    }
}

/// Rounds over all sources in one wake, when carrying out a wish made something else ready.
const ROUNDS_PER_WAKE_MAX: usize = 8;
const DATAGRAMS_PER_WAKE_MAX: usize = 16;

/// Longer datagrams are cut, and then no RTP that we take.
const DATAGRAM_BYTES_MAX: usize = 2_048;

/// How often others get to see the counters of a call that is up.
const SHOW_INTERVAL: Duration = Duration::from_secs(1);
