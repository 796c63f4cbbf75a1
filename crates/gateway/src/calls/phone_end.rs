//! The phone's end of a call: a SIP leg with its RTP ports, called or calling, or a vendor's WebSocket.

use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll};

use patchcord_core::call::{Input, Output};
use patchcord_core::vocabulary::Moment;

use super::dialled_end::DialledEnd;
use super::exchange::Exchange;
use super::sip_end::SipEnd;
use crate::net::{RtpPort, WsLink};

/// The phone's end.
#[derive(Debug)]
pub enum PhoneEnd {
    /// A SIP call with RTP.
    Sip(Box<SipEnd>),
    /// A phone that we call by SIP, with RTP.
    Dialled(Box<DialledEnd>),
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
        match self {
            Self::Sip(end) => {
                end.rtp.send(port, packet, to);
            }
            Self::Dialled(end) => end.send(port, packet, to),
            Self::Vendor(..) => {}
        }
    }

    /// Does what the call wants of its phone.
    pub fn carry_out(&mut self, output: &Output<'_>, exchange: &Arc<Exchange>) {
        match (self, output) {
            (Self::Sip(end), Output::Ring) => end.ring(),
            (Self::Sip(end), Output::Progress) => end.progress(),
            (Self::Sip(end), Output::Answer) => end.answer(),
            (Self::Sip(end), Output::Reject { status, cause }) => end.reject(*status, *cause),
            (Self::Sip(end), Output::HangUpPhone(cause)) => end.hang_up(*cause),
            (Self::Dialled(end), Output::DialPhone(until)) => end.dial(exchange, *until),
            (Self::Dialled(end), Output::CancelPhone(cause) | Output::HangUpPhone(cause)) => {
                end.hang_up(*cause)
            }
            (Self::Vendor(link, _), Output::ClosePhone(code)) => link.close(*code),
            // Nothing that a phone of this kind can be asked for.
            (Self::Sip(_) | Self::Dialled(_) | Self::Vendor(..), _) => {}
        }
    }

    /// Closes the vendor's WebSocket with that code, after what waits.
    pub fn close(&mut self, code: u16) {
        if let Self::Vendor(link, _) = self {
            link.close(code);
        }
    }

    /// The next thing that the phone did by SIP.
    pub fn poll_leg(&mut self, cx: &mut Context<'_>, now: Moment) -> Poll<Input<'static>> {
        match self {
            Self::Sip(end) => end.poll_leg(cx),
            Self::Dialled(end) => end.poll_leg(cx, now),
            Self::Vendor(..) => Poll::Pending,
        }
    }

    /// Receives one datagram of its RTP ports.
    pub fn poll_receive(
        &self,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<(RtpPort, usize, SocketAddr)> {
        match self {
            Self::Sip(end) => end.rtp.poll_receive(cx, buffer),
            Self::Dialled(end) => end.poll_receive(cx, buffer),
            Self::Vendor(..) => Poll::Pending,
        }
    }

    /// Sends what waits: messages to the vendor, commands to the SIP agent.
    pub fn poll_write(&mut self, cx: &mut Context<'_>, now: Moment) {
        match self {
            Self::Sip(end) => {
                let _ = end.poll_commands(cx);
            }
            Self::Dialled(end) => {
                let _ = end.poll_commands(cx);
            }
            Self::Vendor(link, _) => link.poll_write(cx, now),
        }
    }

    /// When the link wants to be looked at.
    pub fn poll_timeout(&self) -> Option<Moment> {
        match self {
            Self::Sip(_) => None,
            Self::Dialled(end) => end.poll_timeout(),
            Self::Vendor(link, _) => link.poll_timeout(),
        }
    }

    /// Ready when the last words were exchanged.
    pub fn poll_closed(&mut self, cx: &mut Context<'_>, now: Moment) -> Poll<()> {
        match self {
            Self::Sip(end) => end.poll_commands(cx),
            Self::Dialled(end) => end.poll_commands(cx),
            Self::Vendor(link, _) => link.poll_closed(cx, now),
        }
    }

    /// The media path of this end, for the log.
    pub fn describe(&self) -> String {
        match self {
            Self::Sip(end) => end.describe(),
            Self::Dialled(end) => end.describe(),
            Self::Vendor(_, dialect) => (*dialect).to_owned(),
        }
    }
}
