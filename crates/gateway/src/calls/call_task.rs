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

use patchcord_core::call::{Call, CallSettings, Input, Output, SocketEnd, StateName};
use patchcord_core::dialect::{Wire, WireClass};
use patchcord_core::vocabulary::{CallRecord, Moment, Reason};
use tokio::sync::mpsc;
use tokio::time::Sleep;
use tracing::info;

use super::bot_end::{BotEnd, BotMedia, BotNews};
use super::chronicle::{CallPage, what_is_known};
use super::exchange::Exchange;
use super::phone_end::PhoneEnd;
use super::portion::Portion;
use super::queue_seat::QueueSeat;
use super::registry::{CallOrder, Seat, Snapshot};
use super::succession::Succession;
use super::transfer_legs::TransferLegs;
use super::wire_log::{Flow, WireName, WireTap};
use crate::clock::Clock;
use crate::config::RecordingFormat;
use crate::net::{Pushed, Received, RtpPort};
use crate::recording::Sink;
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

/// The two ends of the call, and what carrying out its wishes has led to.
struct Ends {
    exchange: Arc<Exchange>,
    page: CallPage,
    phone: PhoneEnd,
    bot: BotEnd,
    bot_media: BotMedia,
    /// Where messages are left, if they are logged.
    wire: Option<WireTap>,
    /// Where the call's sound goes beside its ends.
    sink: Sink,
    /// The bots after this one and before it.
    succession: Succession,
    queue: QueueSeat,
    legs: TransferLegs,
    answered_at: Option<Moment>,
    audio_dropped: u32,
    bot_overflown: bool,
    phone_overflown: bool,
    /// An outbox would overflow before the end of this wake.
    filling: bool,
    reread: bool,
    record: Option<Box<CallRecord>>,
}

impl CallTask {
    /// A call that begins at this moment; make it on the worker where it stays.
    pub fn new(
        exchange: &Arc<Exchange>,
        (settings, page): (CallSettings, CallPage),
        phone: PhoneEnd,
        bot: BotEnd,
        (mut seat, orders): (Seat, mpsc::Receiver<CallOrder>),
    ) -> Self {
        let clock = exchange.clock;
        let now = clock.now();
        seat.bequeath(page.clone(), what_is_known(&settings, now));
        let wire = exchange.wire_log.as_ref().map(|log| log.tap(&settings.call_id));
        let bot_media = BotMedia::of(&settings.bot);
        let legs = TransferLegs::of(&settings.call_id);
        let nameless = matches!(phone, PhoneEnd::Vendor(..));
        let format = exchange.config().recording.settings.format;
        let sink = exchange.studio.recorder.sink(settings.call_id.as_str(), format);
        Self {
            call: Call::new(settings, now),
            ends: Ends {
                exchange: exchange.clone(),
                page,
                phone,
                bot,
                bot_media,
                wire,
                sink,
                succession: Succession::default(),
                queue: QueueSeat::new(exchange.clone()),
                legs,
                answered_at: None,
                audio_dropped: 0,
                bot_overflown: false,
                phone_overflown: false,
                filling: false,
                reread: false,
                record: None,
            },
            clock,
            orders,
            sleep: Box::pin(tokio::time::sleep_until(clock.instant(now))),
            armed: now,
            seat,
            show_at: now,
            nameless,
            datagram: Vec::new(),
        }
    }

    /// The same, whose recordings have this form.
    #[must_use]
    pub fn recorded_as(mut self, format: RecordingFormat) -> Self {
        self.ends.sink.record_as(format);
        self
    }

    /// Runs the call to its record, then closes its sockets politely.
    pub async fn run(mut self) {
        let record = poll_fn(|cx| self.poll(cx)).await;
        self.show();
        info!(
            cause = %record.cause,
            duration_s = record.duration_s(),
            played_ms = record.counters.played_ms,
            heard_ms = record.counters.heard_ms,
            "call ended"
        );
        self.seat.end(&record);
        self.ends.page.end(&record);
        drop(self.call);
        self.ends.close(self.clock).await;
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
        self.call.handle(now, input);
        if self.nameless && self.call.state() != StateName::Inviting {
            self.nameless = false;
            let (from, to, leg_id) = self.call.parties();
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
        self.seat.show(Snapshot { answered_at, recording, counters: self.call.counters() });
    }

    /// Returns whether more orders may wait.
    fn poll_orders(&mut self, cx: &mut Context<'_>) -> bool {
        while let Poll::Ready(news) = self.ends.queue.poll(cx) {
            self.handle(cx, self.clock.now(), Input::Queue(news));
        }
        while let Poll::Ready(Some(order)) = self.orders.poll_recv(cx) {
            match order {
                CallOrder::Do(order, answer) => {
                    self.handle(cx, self.clock.now(), Input::Order(order));
                    let _ = answer.send(self.call.take_refusal());
                }
                CallOrder::HangUp(reason) => self.handle(cx, self.clock.now(), Input::HangUp(reason)),
                CallOrder::Recording(order) => self.handle(cx, self.clock.now(), Input::Recording(order)),
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
                    self.ends.bot_media = BotMedia::of(&found.bot);
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

impl Ends {
    fn carry_out(&mut self, output: Output<'_>, clock: Clock) {
        use Output::{ConnectBot, DialPhone, FindBot, ReachNextBot, ResumeBot};
        self.reread |= matches!(output, DialPhone | FindBot | ConnectBot | ReachNextBot { .. } | ResumeBot);
        match output {
            Output::Rtp { to, packet } => self.phone.send_datagram(RtpPort::Rtp, packet, to),
            Output::Rtcp { to, packet } => self.phone.send_datagram(RtpPort::Rtcp, packet, to),
            Output::BotWire(class, wire) => self.send_to_bot(class, wire),
            Output::PhoneWire(class, wire) => self.send_to_vendor(class, wire),
            Output::DialPhone
            | Output::CancelPhone(_)
            | Output::Ring
            | Output::Progress
            | Output::Answer
            | Output::Reject { .. }
            | Output::HangUpPhone(_)
            | Output::ClosePhone(_) => self.phone.carry_out(&output, &self.exchange),
            Output::FindBot => self.bot.find(),
            Output::ConnectBot => self.bot.connect(),
            Output::CloseBot(code) => self.bot.close(code),
            Output::ReachNextBot { wish, phone } => {
                self.succession.find(&self.exchange, &wish, &self.bot, phone);
            }
            Output::NextBotTakesOver => {
                if let Some(media) = self.succession.take_over(&mut self.bot, clock.now()) {
                    self.bot_media = media;
                    // What found no room was the former's.
                    self.bot_overflown = false;
                    info!(media = %format_args!("{} → {media}", self.phone.describe()), "call handed over");
                    self.reread = true;
                }
            }
            Output::DropNextBot => self.succession.drop_next(clock.now()),
            Output::PauseBot => self.bot.pause(),
            Output::ResumeBot => self.bot.resume(clock.now()),
            Output::Answered => {
                self.answered_at = Some(clock.now());
                info!(media = %format_args!("{} → {}", self.phone.describe(), self.bot_media), "call answered");
            }
            Output::Tape(kind, piece) => self.sink.take(kind, piece),
            Output::Loudness { at, levels } => self.sink.take_levels(at, levels),
            Output::Report(fact) => self.page.report(&fact, clock.now()),
            Output::Leg(leg, order) => self.reread |= self.legs.carry_out(&self.exchange, leg, order),
            Output::Queue(order) => self.reread |= self.queue.obey(&order, clock.now()),
            Output::Ended(record) => self.record = Some(record),
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

    fn trace_read(&self, name: WireName, received: &Received) {
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

    fn poll_write(&mut self, cx: &mut Context<'_>, now: Moment) {
        if let BotEnd::Open(link, _) = &mut self.bot {
            link.poll_write(cx, now);
        }
        self.phone.poll_write(cx, now);
        let _ = self.succession.poll_leaving(cx, now);
        let _ = self.legs.poll_commands(cx);
    }

    /// Finishes the closing handshakes of the WebSockets, within [`CLOSE_TIMEOUT`].
    async fn close(mut self, clock: Clock) {
        self.phone.close(CLOSE_NORMAL);
        self.bot.close(CLOSE_NORMAL);
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

/// Rounds over all sources in one wake, when carrying out a wish made something else ready.
const ROUNDS_PER_WAKE_MAX: usize = 8;
const DATAGRAMS_PER_WAKE_MAX: usize = 16;

/// Longer datagrams are cut, and then no RTP that we take.
const DATAGRAM_BYTES_MAX: usize = 2_048;

/// How often others get to see the counters of a call that is up.
const SHOW_INTERVAL: Duration = Duration::from_secs(1);

/// How long the closing handshakes of the WebSockets may take.
pub(super) const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);
pub(super) const CLOSE_NORMAL: u16 = 1_000;
