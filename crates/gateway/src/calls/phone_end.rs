//! The phone's end of a call: a SIP leg with its RTP ports, or a vendor's WebSocket.

use std::net::SocketAddr;
use std::task::{Context, Poll};

use patchcord_core::vocabulary::{Cause, Moment};

use super::sip_end::SipEnd;
use crate::net::{RtpPort, WsLink};

/// The phone's end.
#[derive(Debug)]
pub enum PhoneEnd {
    /// A SIP call with RTP.
    Sip(Box<SipEnd>),
    /// A vendor's WebSocket, and its dialect.
    Vendor(Box<WsLink>, &'static str),
}

impl PhoneEnd {
    /// A vendor that speaks `dialect`.
    pub fn vendor(link: WsLink, dialect: &'static str) -> Self {
        Self::Vendor(Box::new(link), dialect)
    }

    /// Sends a datagram; what the system cannot take is lost like on any network.
    pub fn send_datagram(&mut self, port: RtpPort, packet: &[u8], to: SocketAddr) {
        if let Self::Sip(end) = self {
            end.rtp.send(port, packet, to);
        }
    }

    /// Rings.
    pub fn ring(&mut self) {
        if let Self::Sip(end) = self {
            end.ring();
        }
    }

    /// Lets the phone hear us before the answer.
    pub fn progress(&mut self) {
        if let Self::Sip(end) = self {
            end.progress();
        }
    }

    /// Answers.
    pub fn answer(&mut self) {
        if let Self::Sip(end) = self {
            end.answer();
        }
    }

    /// Refuses the unanswered call.
    pub fn reject(&mut self, status: u16, cause: Cause) {
        if let Self::Sip(end) = self {
            end.reject(status, cause);
        }
    }

    /// Ends the answered call.
    pub fn hang_up(&mut self, cause: Cause) {
        if let Self::Sip(end) = self {
            end.hang_up(cause);
        }
    }

    /// Closes the vendor's WebSocket with that code, after what waits.
    pub fn close(&mut self, code: u16) {
        if let Self::Vendor(link, _) = self {
            link.close(code);
        }
    }

    /// Sends what waits: messages to the vendor, commands to the SIP agent.
    pub fn poll_write(&mut self, cx: &mut Context<'_>, now: Moment) {
        match self {
            Self::Sip(end) => {
                let _ = end.poll_commands(cx);
            }
            Self::Vendor(link, _) => link.poll_write(cx, now),
        }
    }

    /// When the link wants to be looked at.
    pub fn poll_timeout(&self) -> Option<Moment> {
        match self {
            Self::Sip(_) => None,
            Self::Vendor(link, _) => link.poll_timeout(),
        }
    }

    /// Ready when the last words were exchanged.
    pub fn poll_closed(&mut self, cx: &mut Context<'_>, now: Moment) -> Poll<()> {
        match self {
            Self::Sip(end) => end.poll_commands(cx),
            Self::Vendor(link, _) => link.poll_closed(cx, now),
        }
    }

    /// The media path of this end, for the log.
    pub fn describe(&self) -> String {
        match self {
            Self::Sip(end) => end.describe(),
            Self::Vendor(_, dialect) => (*dialect).to_owned(),
        }
    }
}
