//! A transfer that the caller's own carrier is asked to carry out (REFER, RFC 3515): whether it may be, and how it goes.

use patchcord_core::call::{Destination, Input, LegNews, LegNo};
use patchcord_core::vocabulary::{Moment, PhoneNumber, q850_of_status};
use patchcord_sip::message::SipUri;
use tracing::info;

use super::sip_leg::ReferralNews;
use crate::config::Config;

/// What a caller's leg knows of transfers by its carrier.
#[derive(Debug, Default)]
pub struct Referrals {
    /// The trunk that the call came by, if that takes REFER.
    trunk: Option<Box<str>>,
    asked: Option<Asked>,
    /// The carrier does not want to: it is dialled as without REFER.
    untaken: Option<Asked>,
}

/// One that was asked for.
#[derive(Debug)]
pub struct Asked {
    /// The leg that stands for it.
    pub leg: LegNo,
    /// Whom the caller is to be connected with.
    pub to: Destination,
    /// Who would be shown there.
    pub shown: PhoneNumber,
    /// Until when it may ring.
    pub until: Moment,
}

impl Referrals {
    /// Those of a call that came by the trunk of that name.
    pub fn by(trunk: Option<&str>) -> Self {
        Self { trunk: trunk.map(Into::into), ..Self::default() }
    }

    /// The URI to refer the caller to, if the trunk may dial that number.
    pub fn target(&self, config: &Config, to: &Destination) -> Option<String> {
        let Destination::Phone(number) = to else { return None };
        // Within the house nobody needs a carrier.
        if config.find_extension(number.as_str()).is_some() {
            return None;
        }
        let trunk = config.trunks.iter().find(|trunk| self.trunk.as_deref() == Some(&*trunk.name))?;
        let carrier = trunk.carrier.as_ref().filter(|_| trunk.refer)?;
        Some(SipUri::format("sip", &trunk.dialled(number.as_str())?, &carrier.host))
    }

    /// The carrier is asked.
    pub fn ask(&mut self, asked: Asked) {
        info!("a transfer is left to the caller's carrier");
        self.asked = Some(asked);
    }

    /// Nobody waits for that leg any longer; says whether it was one.
    pub fn forget(&mut self, leg: LegNo) -> bool {
        self.asked.take_if(|asked| asked.leg == leg).is_some()
    }

    /// One that has to be dialled after all.
    pub fn take_untaken(&mut self) -> Option<Asked> {
        self.untaken.take()
    }

    /// What the carrier says is to the call.
    pub fn hear(&mut self, news: &ReferralNews) -> Option<Input<'static>> {
        let leg = self.asked.as_ref()?.leg;
        Some(Input::Leg(
            leg,
            match news {
                ReferralNews::Asked { .. } => return None,
                ReferralNews::Answered(..300) => LegNews::Dialled("".into()),
                ReferralNews::Answered(code) => {
                    info!(code, "the carrier takes no transfer: it is dialled from here");
                    self.untaken = self.asked.take();
                    return None;
                }
                ReferralNews::Progress(..180) => return None,
                ReferralNews::Progress(180..200) => LegNews::Ringing,
                ReferralNews::Progress(code) => {
                    self.asked = None;
                    if *code < 300 { LegNews::TakenOver } else { LegNews::Failed(q850_of_status(*code)) }
                }
            },
        ))
    }
}
