//! Which bot a call is for.

use patchcord_core::call::Fallback;
use patchcord_core::vocabulary::PhoneNumber;

use crate::config::{
    self, BotChoice, Config, ConfigApi, CountryCode, NumberRecording, RecordingSettings, Taker, WebUrl,
};

/// Where a call goes.
#[derive(Debug, Clone)]
pub struct Route<'a> {
    /// Who takes it.
    pub taker: RouteTaker<'a>,
    /// What the caller gets when the bot fails.
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
#[derive(Debug, Clone, Copy)]
pub enum RouteTaker<'a> {
    /// A bot.
    Bot(BotChoice<'a>),
    /// The bot that this program names.
    ConfigApi(&'a ConfigApi),
    /// The flow of this name.
    Flow(&'a str),
}

/// How a phone named whom it calls.
#[derive(Debug, Clone, Copy)]
pub struct Dialled<'a> {
    /// The user part of the request URI, which counts first.
    pub request_user: &'a str,
    /// The user part of To.
    pub to_user: &'a str,
    /// Who calls.
    pub caller: Caller,
}

/// Who calls.
#[derive(Debug, Clone, Copy)]
pub enum Caller {
    /// An extension that proved to be it.
    Extension,
    /// A phone on this machine.
    ThisMachine,
    /// A carrier, or another host that may call.
    Outside,
}

impl Caller {
    /// Whether bots answer to their names.
    fn may_name_bots(self) -> bool {
        match self {
            Caller::Extension | Caller::ThisMachine => true,
            Caller::Outside => false,
        }
    }
}

/// The route of a call, if there is one: a number of the configuration, or for phones of ours a bot's name; the
/// request URI first, then To.
pub fn route<'a>(config: &'a Config, dialled: Dialled<'_>) -> Option<Route<'a>> {
    [dialled.request_user, dialled.to_user]
        .into_iter()
        .filter(|user| !user.is_empty())
        .find_map(|user| by_number(config, user).or_else(|| by_name(config, user, dialled.caller)))
}

fn by_number<'a>(config: &'a Config, user: &str) -> Option<Route<'a>> {
    let number = config.find_number(user)?;
    let taker = match &number.taker {
        Taker::Bot(name) => RouteTaker::Bot(config.find_bot(name)?),
        Taker::ConfigApi(api) => RouteTaker::ConfigApi(api),
        Taker::Flow(name) => RouteTaker::Flow(name),
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

fn by_name<'a>(config: &'a Config, user: &str, caller: Caller) -> Option<Route<'a>> {
    let bot = if caller.may_name_bots() { config.find_bot(user)? } else { return None };
    Some(Route {
        taker: RouteTaker::Bot(bot),
        fallback: Fallback::default(),
        country: None,
        early_media: false,
        callbacks: config.callbacks.url.as_ref(),
        recording: None,
    })
}

fn fallback(configured: &config::Fallback) -> Fallback {
    match configured {
        config::Fallback::Busy => Fallback::Busy,
        config::Fallback::Unavailable => Fallback::Unavailable,
        config::Fallback::Sorry => Fallback::Sorry,
        config::Fallback::Flow(name) => Fallback::Flow(name.as_str().into()),
        config::Fallback::Transfer(number) => Fallback::Transfer(PhoneNumber::new(number)),
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
        [flows.desk]\nsteps = [{ hangup = true }]\n";

    /// The bot's name and the fallback.
    fn routed(request_user: &str, to_user: &str, caller: Caller) -> Option<(String, Fallback)> {
        let config = Config::parse(FILE).unwrap();
        let route = route(&config, Dialled { request_user, to_user, caller })?;
        let name = match route.taker {
            RouteTaker::Bot(BotChoice::BuiltIn(bot)) => bot.as_str().to_owned(),
            RouteTaker::Bot(BotChoice::Remote(bot)) => bot.name.clone(),
            RouteTaker::ConfigApi(api) => api.url.to_string(),
            RouteTaker::Flow(name) => format!("flow:{name}"),
        };
        Some((name, route.fallback))
    }

    #[test]
    fn a_number_leads_to_its_bot_and_fallback_from_anywhere() {
        assert_eq!(routed("18001234567", "", Caller::Outside), Some(("tone".to_owned(), Fallback::Busy)));
        assert_eq!(routed("919876543210", "", Caller::Outside), Some(("dtmf".to_owned(), Fallback::Sorry)));
        let asked = ("http://h/c".to_owned(), Fallback::Unavailable);
        assert_eq!(routed("9212345", "", Caller::Outside), Some(asked));
        let flow = ("flow:desk".to_owned(), Fallback::Flow("desk".into()));
        assert_eq!(routed("9312345", "", Caller::Outside), Some(flow));
    }

    #[test]
    fn the_request_uri_counts_before_to() {
        assert_eq!(routed("18001234567", "919876543210", Caller::Outside).unwrap().0, "tone");
        assert_eq!(routed("unknown", "919876543210", Caller::Outside).unwrap().0, "dtmf");
    }

    #[test]
    fn a_bot_answers_to_its_name_on_this_machine_and_not_outside() {
        assert_eq!(routed("echo", "", Caller::ThisMachine), Some(("echo".to_owned(), Fallback::Sorry)));
        assert_eq!(routed("echo", "echo", Caller::Outside), None);
        assert_eq!(routed("nobody", "", Caller::ThisMachine), None);
        assert_eq!(routed("", "", Caller::ThisMachine), None);
    }

    #[test]
    fn an_extension_reaches_bots_by_name_wherever_its_phone_is() {
        let caller = Caller::Extension;
        assert_eq!(routed("echo", "", caller), Some(("echo".to_owned(), Fallback::Sorry)));
        assert_eq!(routed("18001234567", "", caller), Some(("tone".to_owned(), Fallback::Busy)));
        assert_eq!(routed("nobody", "", caller), None);
    }
}
