//! Whom a call is for: a bot, a flow, an extension, or for phones of ours a number outside.

use patchcord_core::call::Fallback;
use patchcord_core::vocabulary::{Callee, PhoneNumber};

use crate::config::{
    self, BotChoice, Config, ConfigApi, CountryCode, Extension, Number, NumberPattern, NumberRecording,
    RecordingSettings, Taker, WebUrl,
};

/// Where a call goes.
#[derive(Debug, Clone)]
pub struct Route<'a> {
    /// Who takes it.
    pub taker: RouteTaker<'a>,
    /// What the caller gets when the bot fails, or nobody takes the call.
    pub fallback: Fallback,
    /// The country whose national numbers come in here, if that is known.
    pub country: Option<&'a CountryCode>,
    /// Whether the caller hears the bot before it answers.
    pub early_media: bool,
    /// Where the status of the call is posted.
    pub callbacks: Option<&'a WebUrl>,
    /// How its calls are recorded, if they are.
    pub recording: Option<RecordingSettings>,
}

/// Who takes a call.
#[derive(Debug, Clone)]
pub enum RouteTaker<'a> {
    /// A bot.
    Bot(BotChoice<'a>),
    /// The bot that this program names.
    ConfigApi(&'a ConfigApi),
    /// The flow of this name.
    Flow(&'a str),
    /// Somebody who is called.
    Callee(Callee),
}

/// How a phone named whom it calls.
#[derive(Debug, Clone, Copy)]
pub struct Dialled<'a> {
    /// The user part of the request URI, which counts first.
    pub request_user: &'a str,
    /// The user part of To.
    pub to_user: &'a str,
    /// Who calls.
    pub caller: Caller<'a>,
}

/// Who calls.
#[derive(Debug, Clone, Copy)]
pub enum Caller<'a> {
    /// An extension that proved to be it.
    Extension(&'a Extension),
    /// A phone on this machine.
    ThisMachine,
    /// A carrier, or another host that may call.
    Outside,
}

impl<'a> Caller<'a> {
    /// Whether bots answer to their names.
    fn may_name_bots(self) -> bool {
        match self {
            Caller::Extension(_) | Caller::ThisMachine => true,
            Caller::Outside => false,
        }
    }

    /// Who it proved to be.
    pub fn extension(self) -> Option<&'a Extension> {
        match self {
            Caller::Extension(extension) => Some(extension),
            Caller::ThisMachine | Caller::Outside => None,
        }
    }
}

/// The route of a call, if there is one; the request URI first, then To.
///
/// A number of the configuration leads everybody to whom it names. Phones of ours reach bots by their names as well;
/// extensions reach each other, and the numbers outside that they may call.
pub fn route<'a>(config: &'a Config, dialled: Dialled<'_>) -> Option<Route<'a>> {
    let caller = dialled.caller;
    [dialled.request_user, dialled.to_user].into_iter().filter(|user| !user.is_empty()).find_map(|user| {
        let extension = || by_extension(config, user, caller);
        let outside = || by_trunk(config, user, caller);
        match config.find_number(user) {
            None => extension().or_else(|| by_name(config, user, caller)).or_else(outside),
            // The wider an entry is, the less it is meant for what a phone of ours dials.
            Some(number) => match number.number {
                NumberPattern::Exact(_) => by_number(config, number),
                NumberPattern::Prefix(_) => extension().or_else(|| by_number(config, number)),
                NumberPattern::Any => extension().or_else(outside).or_else(|| by_number(config, number)),
            },
        }
    })
}

fn by_number<'a>(config: &'a Config, number: &'a Number) -> Option<Route<'a>> {
    let taker = match &number.taker {
        Taker::Bot(name) => RouteTaker::Bot(config.find_bot(name)?),
        Taker::ConfigApi(api) => RouteTaker::ConfigApi(api),
        Taker::Flow(name) => RouteTaker::Flow(name),
        Taker::Extension(number) => RouteTaker::Callee(Callee::Extension(number.as_str().into())),
    };
    Some(Route {
        taker,
        fallback: fallback(&number.fallback),
        country: number.country.as_ref(),
        early_media: number.early_media,
        callbacks: number.callbacks.as_ref().or(config.callbacks.url.as_ref()),
        recording: match &number.recording {
            NumberRecording::Off => None,
            NumberRecording::On(wish) => Some(config.recording.settings.with(wish)),
        },
    })
}

fn by_name<'a>(config: &'a Config, user: &str, caller: Caller<'_>) -> Option<Route<'a>> {
    let bot = if caller.may_name_bots() { config.find_bot(user)? } else { return None };
    Some(unlisted(config, RouteTaker::Bot(bot), Fallback::default()))
}

/// An extension calls another one, or itself.
fn by_extension<'a>(config: &'a Config, user: &str, caller: Caller<'_>) -> Option<Route<'a>> {
    caller.extension()?;
    let callee = Callee::Extension(config.find_extension(user)?.number.as_str().into());
    Some(unlisted(config, RouteTaker::Callee(callee), Fallback::HangUp))
}

/// An extension calls a number outside: it has to be allowed to, and a trunk as well.
fn by_trunk<'a>(config: &'a Config, user: &str, caller: Caller<'_>) -> Option<Route<'a>> {
    let may_dial =
        caller.extension()?.may_dial(user) && config.trunks.iter().any(|trunk| trunk.may_dial(user));
    let callee = may_dial.then(|| Callee::Phone(PhoneNumber::new(user)))?;
    Some(unlisted(config, RouteTaker::Callee(callee), Fallback::HangUp))
}

/// The route to whom no entry of `[[numbers]]` names.
fn unlisted<'a>(config: &'a Config, taker: RouteTaker<'a>, fallback: Fallback) -> Route<'a> {
    Route {
        taker,
        fallback,
        country: None,
        early_media: false,
        callbacks: config.callbacks.url.as_ref(),
        recording: None,
    }
}

fn fallback(configured: &config::Fallback) -> Fallback {
    match configured {
        config::Fallback::Busy => Fallback::Busy,
        config::Fallback::Unavailable => Fallback::Unavailable,
        config::Fallback::Sorry => Fallback::Sorry,
        config::Fallback::Flow(name) => Fallback::Flow(name.as_str().into()),
        config::Fallback::Transfer(number) => Fallback::Transfer(PhoneNumber::new(number)),
        config::Fallback::HangUp => Fallback::HangUp,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "\
        [[numbers]]\nnumber = \"18001234567\"\nbot = \"tone\"\nfallback = \"busy\"\n\
        [[numbers]]\nnumber = \"91*\"\nbot = \"dtmf\"\n\
        [[numbers]]\nnumber = \"92*\"\nconfig_api = \"http://h/c\"\nfallback = \"unavailable\"\n\
        [[numbers]]\nnumber = \"93*\"\nflow = \"desk\"\nfallback = \"flow:desk\"\n\
        [[numbers]]\nnumber = \"18001234101\"\nextension = \"101\"\n\
        [[numbers]]\nnumber = \"18001234102\"\nextension = \"102\"\nfallback = \"flow:desk\"\n\
        [[numbers]]\nnumber = \"103\"\nflow = \"desk\"\n\
        [flows.desk]\nsteps = [{ hangup = true }]\n\
        [[extensions]]\nnumber = \"101\"\npassword = \"x\"\nallow = [\"44*\", \"91*\", \"49*\"]\n\
        [[extensions]]\nnumber = \"102\"\npassword = \"y\"\n\
        [[extensions]]\nnumber = \"103\"\npassword = \"z\"\n\
        [[trunks]]\nname = \"carrier\"\nhost = \"sip.example.com\"\nallow = [\"44*\", \"33*\", \"91*\"]\n";

    #[derive(Clone, Copy)]
    enum Who {
        Extension(&'static str),
        ThisMachine,
        Outside,
    }

    /// Who takes it, and the fallback.
    fn routed_in(file: &str, request_user: &str, to_user: &str, who: Who) -> Option<(String, Fallback)> {
        let config = Config::parse(file).unwrap();
        let caller = match who {
            Who::Extension(number) => Caller::Extension(config.find_extension(number).unwrap()),
            Who::ThisMachine => Caller::ThisMachine,
            Who::Outside => Caller::Outside,
        };
        let route = route(&config, Dialled { request_user, to_user, caller })?;
        let name = match route.taker {
            RouteTaker::Bot(BotChoice::BuiltIn(bot)) => bot.as_str().to_owned(),
            RouteTaker::Bot(BotChoice::Remote(bot)) => bot.name.clone(),
            RouteTaker::ConfigApi(api) => api.url.to_string(),
            RouteTaker::Flow(name) => format!("flow:{name}"),
            RouteTaker::Callee(Callee::Extension(number)) => format!("extension:{number}"),
            RouteTaker::Callee(Callee::Phone(number)) => format!("phone:{}", number.as_str()),
        };
        Some((name, route.fallback))
    }

    fn routed(request_user: &str, to_user: &str, who: Who) -> Option<(String, Fallback)> {
        routed_in(FILE, request_user, to_user, who)
    }

    #[test]
    fn a_number_leads_to_its_taker_and_fallback_from_anywhere() {
        let desk = || Fallback::Flow("desk".into());
        for (number, taker, fallback) in [
            ("18001234567", "tone", Fallback::Busy),
            ("919876543210", "dtmf", Fallback::Sorry),
            ("9212345", "http://h/c", Fallback::Unavailable),
            ("9312345", "flow:desk", desk()),
            ("18001234101", "extension:101", Fallback::HangUp),
            ("18001234102", "extension:102", desk()),
        ] {
            for who in [Who::Outside, Who::ThisMachine, Who::Extension("101")] {
                let wanted = Some((taker.to_owned(), fallback.clone()));
                assert_eq!(routed(number, "", who), wanted, "{number}");
            }
        }
    }

    #[test]
    fn the_request_uri_counts_before_to() {
        assert_eq!(routed("18001234567", "919876543210", Who::Outside).unwrap().0, "tone");
        assert_eq!(routed("unknown", "919876543210", Who::Outside).unwrap().0, "dtmf");
    }

    #[test]
    fn a_bot_answers_to_its_name_on_this_machine_and_not_outside() {
        assert_eq!(routed("echo", "", Who::ThisMachine), Some(("echo".to_owned(), Fallback::Sorry)));
        assert_eq!(routed("echo", "echo", Who::Outside), None);
        assert_eq!(routed("nobody", "", Who::ThisMachine), None);
        assert_eq!(routed("", "", Who::ThisMachine), None);
    }

    #[test]
    fn an_extension_reaches_bots_the_others_and_the_numbers_that_it_and_a_trunk_may_call() {
        for (who, dialled, taker) in [
            ("101", "echo", Some("echo")),
            ("101", "102", Some("extension:102")),
            ("102", "101", Some("extension:101")),
            ("101", "101", Some("extension:101")),
            // An entry of its own comes before the phones.
            ("101", "103", Some("flow:desk")),
            ("101", "104", None),
            ("101", "447700900000", Some("phone:447700900000")),
            // What is ours is not dialled outside.
            ("101", "919876543210", Some("dtmf")),
            // Only the extension may, only a trunk may, neither may.
            ("101", "4930123456", None),
            ("101", "33123456", None),
            ("101", "900123456", None),
            ("102", "447700900000", None),
            // Nothing but a number is dialled.
            ("101", "44;x=y", None),
            ("101", "44 770", None),
        ] {
            let found = routed(dialled, "", Who::Extension(who)).map(|(taker, _)| taker);
            assert_eq!(found.as_deref(), taker, "{who} dials {dialled}");
        }
    }

    #[test]
    fn nobody_who_proved_nothing_reaches_an_extension_by_its_number_or_anybody_outside() {
        for who in [Who::Outside, Who::ThisMachine] {
            for number in ["101", "102", "447700900000", "33123456"] {
                assert_eq!(routed(number, number, who), None, "{number}");
            }
        }
    }

    #[test]
    fn an_entry_for_all_numbers_leaves_extensions_their_own_and_what_they_may_call() {
        let file = format!("{FILE}[[numbers]]\nnumber = \"*\"\nbot = \"parrot\"\n");
        for (who, dialled, taker) in [
            (Who::Extension("101"), "102", "extension:102"),
            (Who::Extension("101"), "447700900000", "phone:447700900000"),
            (Who::Extension("102"), "447700900000", "parrot"),
            (Who::Outside, "102", "parrot"),
            (Who::ThisMachine, "447700900000", "parrot"),
        ] {
            assert_eq!(routed_in(&file, dialled, "", who).unwrap().0, taker, "{dialled}");
        }
    }
}
