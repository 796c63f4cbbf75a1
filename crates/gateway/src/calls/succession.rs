//! The bots before and after the one that talks: the next is found by its name or its address and reached beside it,
//! the former is seen off.
//!
//! Nothing is read from it before the call has made it its bot.

use std::sync::Arc;
use std::task::{Context, Poll};

use http::HeaderMap;
use patchcord_core::call::{BotWish, NextBot, NextBotError};
use patchcord_core::media::MediaFormat;
use patchcord_core::vocabulary::{Moment, Reason};
use tracing::warn;

use super::bot_end::{BotEnd, BotMedia, BotNews};
use super::ends::{CLOSE_NORMAL, CLOSE_TIMEOUT};
use super::exchange::Exchange;
use crate::config::{Bot, BotUrl, Config};
use crate::net::Trust;

/// The bots of a call but the one that talks: the next, and the one before it while it is being closed.
#[derive(Debug, Default)]
pub struct Succession {
    next: Next,
    /// At most one; until when its closing handshake may take.
    leaving: Option<(BotEnd, Moment)>,
}

/// A bot on its way to a call.
#[derive(Debug, Default)]
enum Next {
    /// There is none.
    #[default]
    Nobody,
    /// None can be found, which the call is to be told.
    Failed(NextBotError),
    /// It is being reached; its end of the call, and its part of the media path.
    Reaching(Box<NextBot>, BotEnd, BotMedia),
    /// The call knows it.
    Reached(BotEnd, BotMedia),
}

impl Succession {
    /// Looks for the bot of `wish`, which `former` asks for, and begins to reach it.
    pub fn find(&mut self, exchange: &Arc<Exchange>, wish: &BotWish, former: &BotEnd, phone: MediaFormat) {
        let found = match wish {
            BotWish::Named(name) => match exchange.config().find_bot(name) {
                Some(choice) => Ok(exchange.bot(choice, phone)),
                None => Err(NextBotError::Unknown),
            },
            BotWish::Flow(name) => exchange.flow(name, phone).ok_or(NextBotError::UnknownFlow),
            BotWish::SameAgain => match former.bot().filter(|bot| bot.agent.is_some()) {
                // Only the configuration makes agents.
                Some(bot) => Ok(exchange.remote_bot(bot.clone(), Trust::Operator)),
                None => Err(NextBotError::Unknown),
            },
            BotWish::At(address) => by_address(&exchange.config(), address, former)
                .map(|(bot, trust)| exchange.remote_bot(bot, trust)),
        };
        self.next = match found {
            Ok((settings, mut end)) => {
                end.connect();
                let media = BotMedia::of(&settings);
                let next = NextBot { settings, stream_id: exchange.next_stream_id() };
                Next::Reaching(Box::new(next), end, media)
            }
            Err(error) => {
                warn!(?error, "no bot to hand the call to");
                Next::Failed(error)
            }
        };
    }

    /// Ready, once, when the bot can be talked to or cannot be reached.
    pub fn poll(&mut self, cx: &mut Context<'_>, now: Moment) -> Poll<Result<Box<NextBot>, NextBotError>> {
        let reached = match &mut self.next {
            Next::Nobody | Next::Reached(..) => return Poll::Pending,
            Next::Failed(error) => Err(*error),
            Next::Reaching(_, BotEnd::BuiltIn, _) => Ok(()),
            Next::Reaching(_, end, _) => match end.poll(cx, now) {
                Poll::Ready(BotNews::Connected) => Ok(()),
                Poll::Ready(BotNews::Failed(reason)) => Err(NextBotError::Unreached(reason)),
                Poll::Ready(_) | Poll::Pending => return Poll::Pending,
            },
        };
        match (std::mem::take(&mut self.next), reached) {
            (Next::Reaching(next, end, media), Ok(())) => {
                self.next = Next::Reached(end, media);
                Poll::Ready(Ok(next))
            }
            (_, Err(error)) => Poll::Ready(Err(error)),
            (_, Ok(())) => Poll::Pending,
        }
    }

    /// Puts the bot that was reached in the place of `bot`; says what the media path is from now on.
    pub fn take_over(&mut self, bot: &mut BotEnd, now: Moment) -> Option<BotMedia> {
        let (end, media) = self.take_next()?;
        self.see_off(std::mem::replace(bot, end), now);
        Some(media)
    }

    /// Nobody needs the next bot any more.
    pub fn drop_next(&mut self, now: Moment) {
        if let Some((mut end, _)) = self.take_next() {
            end.close(CLOSE_NORMAL);
            self.see_off(end, now);
        }
    }

    /// Brings the closing handshake of the bot before this one forward; ready when there is none left.
    pub fn poll_leaving(&mut self, cx: &mut Context<'_>, now: Moment) -> Poll<()> {
        if let Some((end, until)) = &mut self.leaving
            && end.poll_closed(cx, now).is_pending()
            && now < *until
        {
            return Poll::Pending;
        }
        self.leaving = None;
        Poll::Ready(())
    }

    /// When the closing handshake has taken long enough.
    pub fn poll_timeout(&self) -> Option<Moment> {
        self.leaving.as_ref().map(|(_, until)| *until)
    }

    fn take_next(&mut self) -> Option<(BotEnd, BotMedia)> {
        match std::mem::take(&mut self.next) {
            Next::Nobody | Next::Failed(_) => None,
            Next::Reaching(_, end, media) | Next::Reached(end, media) => Some((end, media)),
        }
    }

    fn see_off(&mut self, end: BotEnd, now: Moment) {
        if let BotEnd::Open(..) = end {
            self.leaving = Some((end, now + CLOSE_TIMEOUT));
        }
    }
}

/// The bot at `address`, in the dialect and the format of the one that asks; its headers go along to its own
/// server and to those of the configuration only.
fn by_address(config: &Config, address: &str, former: &BotEnd) -> Result<(Bot, Trust), NextBotError> {
    let former = former.bot().ok_or(NextBotError::Unknown)?;
    let url = BotUrl::parse(address).map_err(|_| NextBotError::Unreached(Reason::BotForbidden))?;
    let named = config.bots.iter().find(|bot| bot.url == url).map(|bot| bot.name.clone());
    let is_ours = |url: &BotUrl| config.bots.iter().any(|bot| bot.url.has_origin_of(url));
    let headers = if is_ours(&url) || former.url.has_origin_of(&url) {
        former.headers.clone()
    } else {
        HeaderMap::new()
    };
    // A stranger may name a bot of the configuration, and nothing else on that bot's server.
    let trust = if named.is_some() || (is_ours(&url) && is_ours(&former.url)) {
        Trust::Operator
    } else {
        Trust::Outside(config.egress.clone())
    };
    Ok((Bot { name: named.unwrap_or_else(|| url.origin()), url, headers, ..former.clone() }, trust))
}
