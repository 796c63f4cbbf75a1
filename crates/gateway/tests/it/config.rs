//! The configuration from outside: one bad file per rule, and the example file and the documentation against
//! the declarations.

mod refused;

use std::fmt::Write as _;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use patchcord::config::keys::{Default, KEYS, Kind};
use patchcord::config::{
    BotChoice, BuiltInBot, Config, CountryCode, Environment, ExternalIp, Fallback, Loaded, Place, Problem,
    Problems, SipTransport, Taker, VendorSource, load, to_toml,
};
use patchcord_core::media::MediaFormat;

const SALES: &str = "[bots.sales]\nurl = \"wss://bot.example.com/voice\"\ndialect = \"ivr-solutions\"\n";

#[test]
fn without_a_file_everything_listens_on_loopback() {
    let config = Config::default_serve();
    assert_eq!(config.http.listen.to_string(), "127.0.0.1:8080");
    let sockets: Vec<_> = config.sip.listen.iter().map(|s| (s.transport, s.address.to_string())).collect();
    let address = "127.0.0.1:5060".to_owned();
    assert_eq!(sockets, [(SipTransport::Udp, address.clone()), (SipTransport::Tcp, address)]);
    assert_eq!(config.server.data_dir, PathBuf::from("./patchcord-data"));
    assert_eq!(config.server.drain, Duration::from_secs(30));
    assert_eq!((config.sip.rtp_ports.first, config.sip.rtp_ports.last), (20_000, 29_999));
    assert_eq!(config.sip.external_ip, ExternalIp::Auto);
    assert_eq!(config.find_bot("echo"), Some(BotChoice::BuiltIn(BuiltInBot::Echo)));
    assert!(config.numbers.is_empty() && config.bots.is_empty() && config.listeners.is_empty());
}

#[test]
fn a_good_file_becomes_types() {
    let config = Config::parse(&format!(
        "[[numbers]]\nnumber = \"18001234567\"\nbot = \"sales\"\nfallback = \"busy\"\ncountry = \"91\"\n\
         [[numbers]]\nnumber = \"*\"\nbot = \"echo\"\n{SALES}\
         headers = {{ Authorization = \"Bearer x\" }}\naudio = {{ encoding = \"mulaw\", frame = \"10ms\" }}\n\
         [[listeners]]\nlisten = \"127.0.0.1:4143\"\ndialect = \"incoming-call\"\nbot = \"sales\"\n\
         country = \"880\"\n"
    ))
    .unwrap();
    assert_eq!(
        config.find_number("18001234567").map(|n| (n.taker.clone(), n.fallback.clone(), code(&n.country))),
        Some((Taker::Bot("sales".to_owned()), Fallback::Busy, Some("91")))
    );
    assert_eq!(
        config.find_number("anything").map(|n| (n.taker.clone(), n.fallback.clone(), code(&n.country))),
        Some((Taker::Bot("echo".to_owned()), Fallback::Sorry, None))
    );
    let Some(BotChoice::Remote(sales)) = config.find_bot("sales") else { panic!("sales is a remote bot") };
    assert_eq!((sales.url.host(), sales.url.port(), sales.url.is_tls()), ("bot.example.com", 443, true));
    assert_eq!(sales.audio.format, MediaFormat::PCMU_8K);
    assert_eq!(sales.audio.frame, Duration::from_millis(10));
    assert_eq!(sales.headers["authorization"], "Bearer x");
    assert_eq!((sales.cdr, sales.quiet, sales.display_name.as_deref()), (true, false, None));
    let listener = &config.listeners[0];
    assert_eq!((listener.dialect.as_str(), code(&listener.country)), ("incoming-call", Some("880")));
}

fn code(country: &Option<CountryCode>) -> Option<&str> {
    country.as_ref().map(CountryCode::as_str)
}

#[test]
fn all_problems_come_at_once_with_line_cure_and_suggestion() {
    let problems = Config::parse(
        "[server]\ndrian = \"30s\"\n[http]\nws_bot = \"ehco\"\n[bots.a]\nurl = \"ftp://x\"\ndialect = \"ozontel\"\n",
    )
    .unwrap_err();
    let found: Vec<_> =
        problems.0.iter().map(|p| (line(p), p.key.as_str(), p.did_you_mean.as_deref())).collect();
    assert_eq!(
        found,
        [
            (2, "server.drian", Some("drain")),
            (4, "http.ws_bot", Some("echo")),
            (6, "bots.a.url", None),
            (7, "bots.a.dialect", Some("ozonetel")),
        ]
    );
    assert!(problems.0.iter().all(|problem| !problem.cure.is_empty()), "{problems}");
}

/// A key of the API.
const KEY: &str = "[[http.keys]]\nname = \"ops\"\nkey = \"0123456789abcdef\"\nrole = \"admin\"\n";

#[test]
fn a_remote_port_starts_once_it_says_who_may_come_in() {
    for guard in ["ws_token = \"t\"", "accept_from = [\"203.0.113.0/24\"]"] {
        for cover in ["behind_proxy = true", "tls = { cert = \"c.pem\", key = \"k.pem\" }"] {
            Config::parse(&format!("[http]\nlisten = \"0.0.0.0:8080\"\n{guard}\n{cover}\n{KEY}")).unwrap();
        }
    }
    let guards = "ws_token = \"t\"\naccept_from = [\"203.0.113.0/24\"]\nbehind_proxy = true\n";
    let text = format!("[http]\nlisten = \"0.0.0.0:80\"\n{guards}{KEY}");
    let access = Config::parse(&text).unwrap().http.access;
    let (inside, outside) = ("203.0.113.9".parse().unwrap(), "198.51.100.1".parse().unwrap());
    let admits = |address, token| access.admits(VendorSource::Direct(address), token);
    assert!(admits(inside, Some("t")));
    assert!(!admits(inside, None) && !admits(inside, Some("x")) && !admits(outside, Some("t")));
    let sip = Config::parse("[sip]\nlisten = [\"udp:0.0.0.0:5060\"]\naccept_from = []\n").unwrap().sip;
    assert!(sip.admits("127.0.0.1".parse().unwrap()) && !sip.admits(inside));
}

#[test]
fn behind_a_proxy_loopback_is_in_no_network_by_itself() {
    let listener = "[[listeners]]\nlisten = \"127.0.0.1:0\"\ndialect = \"ozonetel\"\nbot = \"echo\"\n";
    let guard = "accept_from = [\"203.0.113.0/24\"]\n";
    let text = format!("[http]\nbehind_proxy = true\n{guard}{KEY}{listener}{guard}");
    let config = Config::parse(&text).unwrap();
    for access in [&config.http.access, &config.listeners[0].access] {
        let admits = |source: fn(IpAddr) -> VendorSource, address: &str| {
            access.admits(source(address.parse().unwrap()), None)
        };
        assert!(admits(VendorSource::Direct, "127.0.0.1"));
        assert!(!admits(VendorSource::BehindProxy, "127.0.0.1"));
        assert!(admits(VendorSource::BehindProxy, "::ffff:203.0.113.1"));
    }
}

#[test]
fn an_address_that_others_do_not_come_by_needs_no_keys() {
    for url in ["http://localhost:8080", "http://127.0.0.1:8080/", "http://[::1]:8080"] {
        Config::parse(&format!("[http]\npublic_url = \"{url}\"\n")).unwrap();
    }
    Config::parse(&format!("[http]\npublic_url = \"https://voice.example.com\"\n{KEY}")).unwrap();
}

#[test]
fn variables_override_keys_and_say_so() {
    let environment = Environment::of([
        ("PATCHCORD_HTTP__LISTEN", "127.0.0.1:9999"),
        ("PATCHCORD_SIP__CODECS", "PCMA, PCMU"),
        ("PATCHCORD_NUMBERS__0__NUMBER", "*"),
        ("PATCHCORD_NUMBERS__0__BOT", "my-bot"),
        ("PATCHCORD_BOTS__MY_BOT__URL", "ws://127.0.0.1:1/"),
        ("PATCHCORD_BOTS__MY_BOT__QUIET", "true"),
        ("PATCHCORD_BOTS__MY_BOT__AUDIO__SAMPLE_RATE", "16000"),
        ("PATCHCORD_BOTS__MY_BOT__HEADERS__X_KEY", "k"),
    ]);
    let folder = Scratch::new("overrides");
    let file = folder.write("c.toml", "[bots.my-bot]\nurl = \"ws://h/\"\ndialect = \"ivr-solutions\"\n");
    let loaded = load(Some(&file), &environment).unwrap();
    assert_eq!(loaded.config.http.listen.port(), 9999);
    assert_eq!(loaded.config.sip.codecs.first().map(|codec| codec.as_str()), Some("PCMA"));
    let bot = &loaded.config.bots[0];
    assert_eq!((bot.url.port(), bot.quiet, bot.audio.format.sample_rate), (1, true, 16_000));
    assert_eq!(bot.headers["x_key"], "k");
    assert_eq!(shown(&loaded, "http", "listen").place, Place::Variable("PATCHCORD_HTTP__LISTEN".into()));
}

#[test]
fn a_bad_override_is_refused_under_its_own_name() {
    let problems = load_with(&[("PATCHCORD_SIP__RTP_PORTS", "x")]).unwrap_err();
    assert_eq!(problems.0[0].place, Place::Variable("PATCHCORD_SIP__RTP_PORTS".into()));
    assert_eq!(problems.0[0].key, "sip.rtp_ports");
    assert!(load_with(&[("PATCHCORD_BOTS__A", "x")]).is_err());
    assert!(load_with(&[("PATCHCORD_NUMBERS__7__BOT", "echo")]).is_err());
    assert!(load_with(&[("PATCHCORD_BOTS__A__QUIET", "maybe")]).is_err());
}

#[test]
fn files_and_variables_fill_in_values_relative_to_the_configuration() {
    let folder = Scratch::new("substitution");
    folder.write("token.txt", "hunter2\n");
    let file = folder.write(
        "c.toml",
        "[server]\nid = \"${CITY}-1\"\n[http]\nws_token = \"${file:token.txt}\"\n[bots.a]\nurl = \"ws://h/\"\n\
         dialect = \"ozonetel\"\nheaders = { Authorization = \"Bearer ${file:token.txt}\" }\n",
    );
    let loaded = load(Some(&file), &Environment::of([("CITY", "delhi")])).unwrap();
    assert_eq!(loaded.config.server.id, "delhi-1");
    assert!(loaded.config.http.access.token.as_ref().unwrap().matches("hunter2"));
    let printed = to_toml(&loaded.shown);
    let debug = format!("{:?}", loaded.config);
    assert!(!printed.contains("hunter2") && !debug.contains("hunter2"), "{printed}\n{debug}");
    assert!(printed.contains("Authorization = \"***\""), "{printed}");
}

#[test]
fn keys_in_the_queries_of_addresses_are_not_printed_wherever_they_stand() {
    let folder = Scratch::new("queries");
    let file = folder.write(
        "c.toml",
        "[callbacks]\nurl = \"https://h/?key=MASKME\"\n[bots.a]\nurl = \"wss://h/?key=MASKME\"\n\
         dialect = \"ozonetel\"\n[[numbers]]\nnumber = \"1\"\nbot = \"a\"\n\
         callbacks = \"https://h/x?key=MASKME\"\n",
    );
    let printed = to_toml(&load(Some(&file), &Environment::default()).unwrap().shown);
    assert!(!printed.contains("MASKME") && printed.contains("https://h/x?***"), "{printed}");
}

#[test]
fn what_config_print_shows_is_a_configuration_again() {
    let example = std::fs::read_to_string(root().join("config.example.toml")).unwrap();
    let folder = Scratch::new("print");
    let file = folder.write("c.toml", &example);
    let environment = Environment::of([("VENDOR_TOKEN", "t"), ("BOT_TOKEN", "t")]);
    let printed = to_toml(&load(Some(&file), &environment).unwrap().shown);
    // A masked value is text like any other; nothing else may be lost.
    let again = Config::parse(&printed).unwrap_or_else(|problems| panic!("{problems}\n{printed}"));
    let first = load(Some(&file), &environment).unwrap().config;
    assert_eq!((again.server, again.sip, again.numbers), (first.server, first.sip, first.numbers));
    assert_eq!(again.trunks, first.trunks);
}

#[test]
fn the_limits_of_each_trunk_are_printed_with_it() {
    let two = ["a", "b"].map(|name| {
        format!(
            "[[trunks]]\nname = \"{name}\"\nhost = \"{name}.example\"\nlimits = {{ calls = {} }}\n",
            name.len()
        )
    });
    let folder = Scratch::new("limits");
    let text = two.concat().replacen("calls = 1", "calls = 7", 1);
    let first = load(Some(&folder.write("c.toml", &text)), &Environment::default()).unwrap();
    let again = Config::parse(&to_toml(&first.shown)).unwrap();
    assert_eq!(again.trunks, first.config.trunks);
    assert_eq!(again.trunks.iter().map(|trunk| trunk.limits.calls).collect::<Vec<_>>(), [7, 1]);
}

#[test]
fn a_providers_json_object_is_taken_in_as_a_smartpbx_bot() {
    let folder = Scratch::new("import");
    folder.write(
        "provider.json",
        r#"{"name": "Provider", "media": {"audioFormat": "g711_ulaw", "sampleRate": 8000},
            "websocket": {"url": "wss://cad.example.com:9443/ws/v1/echo", "headers": {"Authorization": "Bearer hunter2"}}}"#,
    );
    let file = folder.write("c.toml", "[bots.p]\nimport = \"provider.json\"\nname = \"Mine\"\n");
    let loaded = load(Some(&file), &Environment::default()).unwrap();
    let bot = &loaded.config.bots[0];
    assert_eq!((bot.display_name.as_deref(), bot.dialect.as_str()), (Some("Mine"), "smartpbx"));
    assert_eq!((bot.url.host(), bot.url.port()), ("cad.example.com", 9443));
    assert_eq!(bot.audio.format, MediaFormat::PCMU_8K);
    assert_eq!(bot.headers["authorization"], "Bearer hunter2");
    let printed = to_toml(&loaded.shown);
    assert!(!printed.contains("hunter2") && printed.contains("name = \"Mine\""), "{printed}");
}

#[test]
fn a_bad_field_of_an_import_is_named_with_its_file() {
    let folder = Scratch::new("bad-import");
    folder.write("provider.json", r#"{"nam": "x", "media": 1, "websocket": {"url": "http://x"}}"#);
    let file = folder.write("c.toml", "[bots.p]\nimport = \"provider.json\"\n");
    let problems = load(Some(&file), &Environment::default()).unwrap_err();
    let found: Vec<_> = problems.0.iter().map(|p| (p.key.as_str(), p.place.to_string())).collect();
    for key in ["nam", "media", "bots.p.url"] {
        assert!(found.contains(&(key, "provider.json".to_owned())), "{key}: {problems}");
    }
}

#[test]
fn a_file_that_is_not_there_is_one_clear_problem() {
    let problems = load(Some(Path::new("absent.toml")), &Environment::default()).unwrap_err();
    assert_eq!(problems.0.len(), 1);
    assert!(problems.to_string().contains("absent.toml"), "{problems}");
}

#[test]
fn the_example_file_is_good_and_shows_every_key_with_its_default() {
    let example = std::fs::read_to_string(root().join("config.example.toml")).unwrap();
    Config::parse(&uncommented(&example))
        .unwrap_or_else(|problems| panic!("with every key used:\n{problems}"));
    for key in KEYS.iter().filter(|key| key.kind != Kind::Later) {
        let name = key.path.rsplit('.').next().unwrap_or(key.path);
        let written = example.lines().any(|line| {
            let line = line.trim_start_matches(['#', ' ']);
            match key.default {
                Default::Is(literal) => line.starts_with(&format!("{name} = {literal}")),
                Default::Required | Default::Absent(_) => {
                    line.starts_with(&format!("{name} = ")) || line.contains(&format!(" {name} = "))
                }
            }
        });
        assert!(written, "config.example.toml does not show {} with its default {:?}", key.path, key.default);
    }
}

#[test]
fn every_example_is_a_good_configuration_and_a_vendor_by_mapping_takes_thirty_lines() {
    let entries = std::fs::read_dir(root().join("examples")).unwrap().map(|entry| entry.unwrap().path());
    let examples: Vec<_> = entries.filter(|path| path.extension().is_some_and(|end| end == "toml")).collect();
    assert!(examples.len() >= 3, "{examples:?}");
    for path in examples {
        let text = std::fs::read_to_string(&path).unwrap().replace("${OPENAI_API_KEY}", "k");
        let config = Config::parse(&text).unwrap_or_else(|problems| panic!("{}: {problems}", path.display()));
        assert!(config.bots.iter().all(|bot| bot.mapping.is_some()), "{}", path.display());
    }
    assert!(std::fs::read_to_string(root().join("examples/twilio-bot.toml")).unwrap().lines().count() <= 30);
}

#[test]
fn the_settings_that_a_server_in_the_world_begins_with_are_good() {
    let file = root().join("deploy/patchcord.toml");
    let secrets = ["VENDOR_TOKEN", "PATCHCORD_KEY", "TRUNK_PASSWORD"].map(|name| (name, "0123456789abcdef"));
    let config = load(Some(&file), &Environment::of(secrets)).unwrap().config;
    assert!(config.trunks.len() == 1 && config.numbers.len() == 1);
    let problems = load(Some(&file), &Environment::default()).unwrap_err().to_string();
    assert!(problems.contains("VENDOR_TOKEN") && problems.contains("TRUNK_PASSWORD"), "{problems}");
}

#[test]
fn the_documentation_of_keys_is_the_table_of_declarations() {
    let path = root().join("docs/config.md");
    let expected = documentation();
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, &expected).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(found == expected, "docs/config.md differs from the declarations: run the test with UPDATE=1");
}

#[test]
fn any_value_in_any_place_is_taken_or_refused_without_a_panic() {
    let example = uncommented(&std::fs::read_to_string(root().join("config.example.toml")).unwrap());
    for end in (0..example.len()).filter(|end| example.is_char_boundary(*end)) {
        let _ = Config::parse(&example[..end]);
    }
    let values = [
        "1",
        "-1",
        "1.5",
        "true",
        "\"x\"",
        "\"\"",
        "\"\\u0000\"",
        "[]",
        "[1]",
        "{}",
        "{ a = 1 }",
        "2026-01-01",
    ];
    let lines: Vec<&str> = example.lines().collect();
    for (index, line) in lines.iter().enumerate() {
        let Some((key, _)) = line.split_once(" = ") else { continue };
        for value in values.into_iter().chain(["99999999999999999999", "0x", "\"${\"", "\"${file:}\"", "nan"])
        {
            let replaced = format!("{key} = {value}");
            let mut changed = lines.clone();
            changed[index] = &replaced;
            let _ = Config::parse(&changed.join("\n"));
        }
        let without: Vec<&str> =
            lines.iter().copied().enumerate().filter(|(i, _)| *i != index).map(|(_, l)| l).collect();
        let _ = Config::parse(&without.join("\n"));
    }
}

/// `docs/config.md`, made from the declarations.
fn documentation() -> String {
    let mut text = INTRODUCTION.to_owned();
    let mut section = "";
    for key in KEYS.iter().filter(|key| key.kind != Kind::Later) {
        let (parent, name) = key.path.rsplit_once('.').unwrap();
        if parent != section {
            section = parent;
            let header = parent.replace("[]", "").replace('*', "NAME");
            let brackets =
                if parent.ends_with("[]") { format!("[[{header}]]") } else { format!("[{header}]") };
            let _ = write!(text, "\n## `{brackets}`\n\n| key | takes | without it | |\n|---|---|---|---|\n");
        }
        let default = match key.default {
            Default::Required => "required".to_owned(),
            Default::Absent(meaning) => meaning.to_owned(),
            Default::Is(literal) => format!("`{literal}`"),
        };
        let secret = if key.secret { " Secret." } else { "" };
        let restart = if key.restart { " *Restart.*" } else { "" };
        let (kind, sentence) = (key.kind.word(), key.sentence);
        let _ = writeln!(text, "| `{name}` | {kind} | {default} | {sentence}{secret}{restart} |");
    }
    let later: Vec<_> = KEYS.iter().filter(|key| key.kind == Kind::Later).collect();
    if !later.is_empty() {
        text.push_str(
            "\n## Known, but not in this version\n\nUsing one of these is an error that says so.\n\n",
        );
    }
    for key in later {
        let _ = writeln!(text, "- `{}`: {}", key.path.replace('*', "NAME"), key.sentence);
    }
    text
}

/// The example with every commented key in use.
fn uncommented(example: &str) -> String {
    let lines = example.lines().map(|line| match line.strip_prefix("#: ") {
        Some(key) => key,
        None => line,
    });
    let text = lines.collect::<Vec<_>>().join("\n");
    // Any value will do: long enough for a secret.
    let variables = [
        "VENDOR_TOKEN",
        "BOT_TOKEN",
        "TRUNK_PASSWORD",
        "CALLBACK_SECRET",
        "PATCHCORD_KEY",
        "EXT_101",
        "S3_SECRET_KEY",
        "OTEL_TOKEN",
    ];
    variables.iter().fold(text, |text, name| text.replace(&format!("${{{name}}}"), "0123456789abcdef"))
}

fn load_with(variables: &[(&str, &str)]) -> Result<Loaded, Problems> {
    let folder = Scratch::new("variables");
    let file = folder.write("c.toml", SALES);
    let [variable] = variables else { panic!("one variable") };
    load(Some(&file), &Environment::of([*variable]))
}

fn shown<'a>(loaded: &'a Loaded, section: &str, name: &str) -> &'a patchcord::config::ShownKey {
    loaded.shown.iter().find(|key| key.section == section && key.name == name).unwrap()
}

fn line(problem: &Problem) -> usize {
    match problem.place {
        Place::File { line, .. } => line,
        Place::Import(_) | Place::Variable(_) | Place::Default => 0,
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// A folder that is removed at the end of its test.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Scratch {
        let folder = std::env::temp_dir().join(format!("patchcord-config-{}-{name}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).unwrap();
        Scratch(folder)
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, text).unwrap();
        path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

const INTRODUCTION: &str = "# Configuration\n\n\
One TOML file, `patchcord.toml` in the working directory or the one named by `--config`. Every key has a default;\n\
without a file everything listens on loopback. An unknown key is an error. `patchcord config check` reports every\n\
problem at once, `patchcord config print` shows what is in effect and where it came from.\n\n\
- `${VAR}` in a value is the environment variable, `${file:/path}` the content of a file; `$${` is a literal `${`.\n\
- Every key can be set by a variable: `http.listen` by `PATCHCORD_HTTP__LISTEN`, the first number's bot by\n\
  `PATCHCORD_NUMBERS__0__BOT`, a list by words with commas. Only names with `__` are keys.\n\
- Durations are `250ms`, `30s`, `5m`, `4h`.\n\
- `kill -HUP` has a running `serve` read the file again: what is right takes effect for new calls, running ones keep\n\
  what they began with; a wrong file changes nothing. Keys marked *Restart* wait for one ([operations](operations.md)).\n\
- `patchcord config schema > patchcord.schema.json` writes a JSON Schema (draft 2020-12) of all this. Editors that know\n\
  TOML complete and check keys by it; most want `#:schema ./patchcord.schema.json` as the first line of the file.\n";
