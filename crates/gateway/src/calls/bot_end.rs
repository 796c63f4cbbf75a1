//! The bot's end of a call: nothing at all (built in), somebody to ask which bot it is, an address not yet dialled, a
//! dial under way, or a link.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use patchcord_core::call::{BotSettings, FoundBot};
use patchcord_core::media::MediaFormat;
use patchcord_core::vocabulary::{Moment, Reason};
use tracing::{info, warn};

use super::config_api::Inquiry;
use super::exchange::Exchange;
use crate::clock::unix_ms;
use crate::config::Bot;
use crate::net::{DialError, Received, Trust, WsLink, WsSocket, dial};

/// The bot's end.
pub enum BotEnd {
    /// In this process: there is no wire.
    BuiltIn,
    /// Not known, and not asked for yet.
    Unasked(Box<Inquiry>),
    /// Being asked for.
    Asking(Asking),
    /// Not dialled yet.
    Waiting(Box<BotAddress>),
    /// Being dialled.
    Dialling(Dialling, Arc<Bot>),
    /// Connected.
    Open(Box<WsLink>, Arc<Bot>),
    /// It was connected; both ends have closed.
    Closed(Arc<Bot>),
    /// Over, or never reached.
    Gone,
}

/// The bot's part of the media path, for logs.
#[derive(Debug, Clone, Copy)]
pub struct BotMedia {
    format: MediaFormat,
    /// The dialect's name, or what stands in its place.
    pub dialect: &'static str,
}

/// What happened at the bot's end.
#[derive(Debug)]
pub enum BotNews {
    /// It is known which bot it is.
    Found(Box<FoundBot>),
    /// The WebSocket is open.
    Connected,
    /// It is not known, or could not be opened.
    Failed(Reason),
    /// Something came, or the end.
    Received(Received),
}

/// How to reach a bot.
#[derive(Clone)]
pub struct BotAddress {
    exchange: Arc<Exchange>,
    bot: Arc<Bot>,
    trust: Trust,
}

type Asking = Pin<Box<dyn Future<Output = Result<(FoundBot, BotEnd), Reason>> + Send>>;
type Dialling = Pin<Box<dyn Future<Output = Result<WsSocket, DialError>> + Send>>;

impl BotMedia {
    /// That of a bot.
    pub fn of(bot: &BotSettings) -> Self {
        Self { format: bot.audio.format, dialect: bot.dialect }
    }
}

impl fmt::Display for BotMedia {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A bot that was not found speaks no language.
        let dialect = if self.dialect.is_empty() { "nobody" } else { self.dialect };
        write!(f, "{} → {dialect}", self.format)
    }
}

impl BotEnd {
    /// A remote bot, to be dialled when the call says so; `trust` tells who wrote its address.
    pub fn remote(exchange: Arc<Exchange>, bot: Bot, trust: Trust) -> Self {
        Self::Waiting(Box::new(BotAddress { exchange, bot: Arc::new(bot), trust }))
    }

    /// A bot to be asked for when the call says so.
    pub fn unknown(inquiry: Inquiry) -> Self {
        Self::Unasked(Box::new(inquiry))
    }

    /// Asks which bot it is.
    pub fn find(&mut self) {
        if matches!(self, Self::Unasked(_))
            && let Self::Unasked(inquiry) = std::mem::replace(self, Self::Gone)
        {
            *self = Self::Asking(Box::pin(inquiry.ask()));
        }
    }

    /// Dials.
    pub fn connect(&mut self) {
        if matches!(self, Self::Waiting(_))
            && let Self::Waiting(address) = std::mem::replace(self, Self::Gone)
        {
            let bot = address.bot.clone();
            *self = Self::Dialling(Box::pin(address.dial()), bot);
        }
    }

    /// The next thing that happened.
    pub fn poll(&mut self, cx: &mut Context<'_>, now: Moment) -> Poll<BotNews> {
        match self {
            Self::Open(link, bot) => {
                let received = link.poll_read(cx, now).map(BotNews::Received);
                // A bot whose part is over waits for the end of its connection, however long the call goes on.
                if received.is_pending() && link.is_closing() && link.poll_closed(cx, now).is_ready() {
                    *self = Self::Closed(bot.clone());
                }
                received
            }
            Self::Asking(asking) => match asking.as_mut().poll(cx) {
                Poll::Pending => Poll::Pending,
                Poll::Ready(Ok((found, end))) => {
                    *self = end;
                    Poll::Ready(BotNews::Found(Box::new(found)))
                }
                Poll::Ready(Err(reason)) => {
                    *self = Self::Gone;
                    Poll::Ready(BotNews::Failed(reason))
                }
            },
            Self::Dialling(dialling, bot) => match dialling.as_mut().poll(cx) {
                Poll::Pending => Poll::Pending,
                Poll::Ready(Ok(socket)) => {
                    info!("bot connected");
                    let message = bot.dialect.row().message_audio(bot.audio.frame);
                    *self = Self::Open(Box::new(WsLink::new(socket, message, now)), bot.clone());
                    Poll::Ready(BotNews::Connected)
                }
                Poll::Ready(Err(error)) => {
                    warn!(%error, "bot not reached");
                    *self = Self::Gone;
                    Poll::Ready(BotNews::Failed(error.reason))
                }
            },
            Self::BuiltIn | Self::Unasked(_) | Self::Waiting(_) | Self::Closed(_) | Self::Gone => {
                Poll::Pending
            }
        }
    }

    /// The remote bot that is or was connected.
    pub fn bot(&self) -> Option<&Bot> {
        if let Self::Open(_, bot) | Self::Closed(bot) = self { Some(bot) } else { None }
    }

    /// When the link wants to be looked at.
    pub fn poll_timeout(&self) -> Option<Moment> {
        if let Self::Open(link, _) = self { link.poll_timeout() } else { None }
    }

    /// Closes with that code after what waits; a question or a dial under way is given up.
    pub fn close(&mut self, code: u16) {
        match self {
            Self::Open(link, _) => link.close(code),
            Self::Unasked(_) | Self::Asking(_) | Self::Waiting(_) | Self::Dialling(..) => *self = Self::Gone,
            Self::BuiltIn | Self::Closed(_) | Self::Gone => {}
        }
    }

    /// Stops reading.
    pub fn pause(&mut self) {
        if let Self::Open(link, _) = self {
            link.pause();
        }
    }

    /// Reads again.
    pub fn resume(&mut self, now: Moment) {
        if let Self::Open(link, _) = self {
            link.resume(now);
        }
    }

    /// Ready when the connection is closed on both sides, or gone.
    pub fn poll_closed(&mut self, cx: &mut Context<'_>, now: Moment) -> Poll<()> {
        if let Self::Open(link, _) = self { link.poll_closed(cx, now) } else { Poll::Ready(()) }
    }
}

impl BotAddress {
    async fn dial(self: Box<Self>) -> Result<WsSocket, DialError> {
        let Self { exchange, bot, trust } = *self;
        let daily = bot.agent.as_ref().and_then(|agent| agent.limits.seconds_per_day);
        if daily.is_some_and(|seconds| exchange.agent_hours.has_spent(&bot.name, seconds, unix_ms())) {
            let detail = "the agent's calls have lasted as long as they may today".to_owned();
            return Err(DialError { reason: Reason::AgentSpent, detail });
        }
        dial(&bot.url, &bot.headers, &trust, &exchange.egress).await
    }
}

impl fmt::Debug for BotEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::BuiltIn => "BuiltIn",
            Self::Unasked(_) => "Unasked",
            Self::Asking(_) => "Asking",
            Self::Waiting(_) => "Waiting",
            Self::Dialling(..) => "Dialling",
            Self::Open(..) => "Open",
            Self::Closed(_) => "Closed",
            Self::Gone => "Gone",
        })
    }
}
