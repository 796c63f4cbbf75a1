//! `patchcord bot`: a built-in bot behind a WebSocket of any dialect, to point a platform at.

use serde_json::json;

use super::args::BotArgs;
use super::exit::Exit;
use super::serve::run_app;
use super::terminal::{Ink, data, paint, talk};
use crate::app::Parts;
use crate::config::{BuiltInBot, Config, DialectName, Listener, VendorAccess};

/// Runs `patchcord bot`.
pub fn run(args: &BotArgs) -> Exit {
    let Some(bot) = BuiltInBot::find(&args.name) else {
        let names: Vec<_> = BuiltInBot::ALL.iter().map(|bot| bot.as_str()).collect();
        talk(&paint(&format!("there is no built-in bot \"{}\"", args.name), Ink::Red));
        talk(&format!("one of: {}", names.join(", ")));
        return Exit::Usage;
    };
    let dialect = match DialectName::parse(&args.dialect) {
        Ok(dialect) => dialect,
        Err(refusal) => {
            talk(&paint(&refusal.what, Ink::Red));
            talk(&refusal.cure);
            return Exit::Usage;
        }
    };
    if !args.listen.ip().to_canonical().is_loopback() {
        talk(&paint("whoever reaches this address can talk to the bot", Ink::Yellow));
    }
    let mut config = Config::default_serve();
    config.listeners = vec![Listener {
        listen: args.listen,
        dialect,
        bot: bot.as_str().to_owned(),
        country: None,
        access: VendorAccess { token: None, accept_from: None },
    }];
    let as_json = args.json;
    run_app(config, Parts::Listeners, None, move |_, places| {
        for place in &places.listeners {
            if as_json {
                data(&format!("{}\n", json!({ "listening": format!("ws://{place}") })));
            } else {
                data(&format!("LISTENING ws://{place}\n"));
            }
        }
    })
}
