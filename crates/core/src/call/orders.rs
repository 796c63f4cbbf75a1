//! What somebody other than the bot wants of a call that is up: the HTTP API, in the bot's own words.

use crate::vocabulary::{CommandRefusal, DialDigits, Moment, Transfer};

use super::{Call, State, TRANSFERS_MAX};

/// One wish.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Order {
    /// Send these digits to the caller.
    Digits(DialDigits),
    /// Drop the bot's audio that waits for the caller; the bot is told, as of its own clear.
    Clear,
    /// Give the call to somebody else.
    Transfer(Transfer),
}

impl Call {
    /// Why the last [`Input::Order`](super::Input::Order) was not carried out; none when it was, or is under way.
    pub fn take_refusal(&mut self) -> Option<CommandRefusal> {
        self.refused_order.take()
    }

    /// Does what was ordered. Of a refusal the bot hears nothing: it asked for nothing.
    pub(super) fn obey_order(&mut self, order: &Order, now: Moment) {
        self.refused_order = None;
        self.is_ordered = true;
        match order {
            Order::Digits(_) | Order::Clear if !matches!(self.state, State::Talking(_)) => {
                let command = if matches!(order, Order::Clear) { "clear" } else { "dtmf" };
                let message = "the caller and the bot are not talking at this moment".to_owned();
                self.refuse(&CommandRefusal { code: "not_talking", message, command: command.into() }, now);
            }
            Order::Digits(digits) => self.dial(digits, now),
            Order::Clear => self.clear(now),
            Order::Transfer(transfer) => self.transfer(transfer, now),
        }
        self.is_ordered = false;
    }

    /// Those that dialled somebody or handed the call over: what somebody else orders in vain is no bot's.
    pub(super) fn transfers_made(&self) -> usize {
        self.transfers.len().saturating_sub(self.vain_orders)
    }

    /// Whether what is being carried out is an order after too many that reached nobody.
    pub(super) fn is_vain_order(&self) -> bool {
        self.is_ordered && self.vain_orders >= TRANSFERS_MAX
    }
}
