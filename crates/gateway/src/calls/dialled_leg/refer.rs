//! What a phone that we dialled may ask for by REFER: an extension, whom it may call itself; the phone of a carrier whom
//! we let, whom we may call.

use patchcord_core::call::Destination as Receiver;
use patchcord_core::vocabulary::PhoneNumber;
use patchcord_sip::ReferId;

use super::super::dial_routes::Destination;
use super::{Branch, DialledLeg, Step};
use crate::config::{Config, is_dialable};

impl DialledLeg {
    /// Where the phone that answered may send its caller, when `target` is the user part that it names.
    pub fn may_refer(&self, reached: &Destination, target: &str) -> Option<Receiver> {
        let config = self.exchange.config();
        let may_call = match reached {
            Destination::Extension(number) => {
                config.find_extension(number).map(|extension| extension.may_dial(target))
            }
            Destination::Phone(_) => {
                let trunk = self.branches.first().and_then(|branch| branch.target.trunk.as_ref())?;
                let named = config.trunks.iter().find(|other| *other.name == *trunk.name);
                named.filter(|trunk| trunk.refer).map(|_| true)
            }
        };
        receiver(&config, target, may_call?)
    }

    /// Answers the REFER of the phone that answered.
    pub fn answer_refer(&mut self, id: ReferId, is_taken: bool) {
        if let Some(Branch { step: Step::Calling(leg), .. }) = self.branches.first_mut() {
            leg.answer_refer(id, is_taken);
        }
    }
}

/// An extension, or a number that a trunk may dial if whoever asks may call outside.
fn receiver(config: &Config, target: &str, may_call: bool) -> Option<Receiver> {
    if let Some(extension) = config.find_extension(target) {
        return Some(Receiver::Extension(extension.number.as_str().into()));
    }
    let is_allowed =
        may_call && is_dialable(target) && config.trunks.iter().any(|trunk| trunk.may_dial(target));
    is_allowed.then(|| Receiver::Phone(PhoneNumber::new(target)))
}
