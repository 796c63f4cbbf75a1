//! `patchcord bot`: a built-in bot behind a WebSocket of any dialect, to point a platform at.

use std::sync::Arc;

use patchcord_core::dialect::{Mapping, WireAudio};
use serde_json::json;

use super::args::BotArgs;
use super::exit::Exit;
use super::serve::run_app;
use super::terminal::{Ink, data, paint, talk, tell_problems, tell_refusal};
use crate::app::Parts;
use crate::caller::scratch_folder::ScratchFolder;
use crate::config::{
    self, BotChoice, BuiltInBot, CUSTOM, Config, DialectName, Environment, Listener, VendorAccess,
};

/// Runs `patchcord bot`.
pub fn run(args: &BotArgs) -> Exit {
    let Some(bot) = BuiltInBot::find(&args.name) else {
        let names: Vec<_> = BuiltInBot::ALL.iter().map(|bot| bot.as_str()).collect();
        talk(&paint(&format!("there is no built-in bot \"{}\"", args.name), Ink::Red));
        talk(&format!("one of: {}", names.join(", ")));
        return Exit::Usage;
    };
    let Language { dialect, audio, mapping } = match Language::of(args) {
        Ok(language) => language,
        Err(exit) => return exit,
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
        audio,
        mapping,
        access: VendorAccess { token: None, accept_from: None },
    }];
    // Whoever points a platform at a bot looks at the platform: the bot's own records go with it.
    let scratch = match ScratchFolder::new() {
        Ok(scratch) => scratch,
        Err(error) => {
            talk(&paint(&format!("no temporary folder can be made: {error}"), Ink::Red));
            return Exit::Failed;
        }
    };
    config.server.data_dir = scratch.path().to_owned();
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

/// What the bot speaks.
struct Language {
    dialect: DialectName,
    audio: WireAudio,
    mapping: Option<Arc<Mapping>>,
}

impl Language {
    /// The dialect that was named, or all that a configuration says of the bot that this one stands in for.
    fn of(args: &BotArgs) -> Result<Self, Exit> {
        let Some(name) = &args.like else {
            return Self::plain(args.dialect.as_deref().unwrap_or_default());
        };
        let loaded = config::load(args.config.as_deref(), &Environment::of_process());
        let loaded = loaded.map_err(|problems| {
            tell_problems(&problems);
            Exit::Failed
        })?;
        let Some(BotChoice::Remote(bot)) = loaded.config.find_bot(name) else {
            talk(&paint(&format!("there is no [bots.{name}]"), Ink::Red));
            talk("name one of [bots] in the configuration");
            return Err(Exit::Usage);
        };
        Ok(Self { dialect: bot.dialect, audio: bot.audio, mapping: bot.mapping.clone() })
    }

    fn plain(dialect: &str) -> Result<Self, Exit> {
        let dialect = DialectName::parse(dialect).map_err(|refusal| {
            tell_refusal(&refusal);
            Exit::Usage
        })?;
        if dialect.as_str() == CUSTOM {
            talk(&paint("the dialect custom needs a mapping", Ink::Red));
            talk("say --like NAME: the mapping of [bots.NAME] in the configuration");
            return Err(Exit::Usage);
        }
        Ok(Self { dialect, audio: dialect.row().default_audio, mapping: None })
    }
}
