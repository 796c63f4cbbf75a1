//! The machine of one call: whatever comes in whatever order, the laws of all calls hold, and it ends in one record.
//!
//! The first byte chooses the phone, the second the bot. Then a line is one thing that happens, by its first byte:
//! `b` text of the bot, `B` a binary message of it, `v` and `V` the vendor's, `r` a datagram of the phone, `R` one of a
//! stranger, `c` RTCP, `s` a spoken frame, `+NUMBER` milliseconds, `!NUMBER` milliseconds of standstill, `l` what a leg of
//! a transfer does (see [`leg`]), and what [`step`] says of the others.

use std::time::Duration;

use patchcord_core::call::{NextBotError, SocketEnd};
use patchcord_core::vocabulary::{Digit, Reason};
use patchcord_testkit::call::{LawfulCall, LegStep, Step};

use super::steps::{lines, masked, number};

/// Plays the input to a call, hangs it up, and plays it again to what is left.
pub fn exercise(input: &[u8]) {
    let [phone, bot, rest @ ..] = input else { return };
    let mut call = LawfulCall::new(usize::from(*phone), usize::from(*bot));
    let steps: Vec<Step> = lines(rest).filter_map(step).collect();
    for step in &steps {
        call.step(step);
    }
    call.finish(&steps);
}

fn step(line: &[u8]) -> Option<Step> {
    let (what, rest) = line.split_first()?;
    let code = u16::try_from(number(rest)).unwrap_or(1_000);
    let text = || String::from_utf8_lossy(rest).into_owned();
    Some(match what {
        b'b' => Step::BotSays(text()),
        b'B' => Step::BotSends(masked(rest)),
        b'v' => Step::VendorSays(text()),
        b'V' => Step::VendorSends(masked(rest)),
        b'r' => Step::PhoneDatagram(masked(rest)),
        b'R' => Step::StrangerDatagram(masked(rest)),
        b'c' => Step::Report(masked(rest)),
        b's' => Step::Speak(rest.to_vec()),
        b'+' => Step::Pass(Duration::from_millis(number(rest).min(4_000))),
        b'!' => Step::Standstill(Duration::from_millis(number(rest))),
        b'f' => Step::BotFound(code.into()),
        b'C' => Step::BotConnected,
        b'F' => Step::BotFailed(Reason::BotRefused),
        b'X' => Step::BotLeaves(SocketEnd::Closed(code)),
        b'Z' => Step::BotLeaves(SocketEnd::Reset),
        b'n' => Step::NextBot(code.into()),
        b'N' => Step::NextBotFailed(NextBotError::Unreached(Reason::BotDns)),
        b'Y' => Step::VendorLeaves(SocketEnd::Closed(code)),
        b'G' => Step::PhoneGone(Reason::CallerHungUp),
        b'D' => Step::AudioDropped,
        b'k' => Step::PhoneKey(Digit::ALL[usize::from(code % 16)]),
        b'm' => Step::PhoneMedia(code),
        b'H' => Step::HangUp(Reason::Asked),
        b'l' => return leg(rest),
        _ => return None,
    })
}

/// What a leg of a transfer does: its number as one byte, then what.
fn leg(line: &[u8]) -> Option<Step> {
    let [at, what, rest @ ..] = line else { return None };
    let code = u16::try_from(number(rest)).unwrap_or(17);
    let step = match what {
        b'r' => LegStep::Refused,
        b'd' => LegStep::Dialled,
        b'g' => LegStep::Rings,
        b'm' => LegStep::Media(code),
        b'a' => LegStep::Answers(code),
        b'f' => LegStep::Fails(u8::try_from(code % 128).unwrap_or(17)),
        b'x' => LegStep::HangsUp,
        b'k' => LegStep::Key(Digit::ALL[usize::from(code % 16)]),
        b's' => LegStep::Speaks(rest.first().copied().unwrap_or(0x20)),
        _ => return None,
    };
    Some(Step::Leg(usize::from(*at), step))
}
