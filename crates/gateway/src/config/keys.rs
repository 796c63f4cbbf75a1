//! The one declaration of every key: path, kind, default and sentence.
//!
//! The reader takes its defaults from here, an unknown key is one that stands not here, and the example file,
//! `docs/config.md` and `config print` are checked against or made from this table.

mod agent;
mod extensions;
mod http;
mod otel;
mod outbound;
mod recording;
mod transfers;
mod trunks;

pub use super::declaration::{Declaration, Default, Kind};
use super::declaration::{key, later, secret};

/// The declaration of a pattern path.
pub fn find(pattern: &str) -> Option<&'static Declaration> {
    KEYS.iter().find(|key| key.path == pattern)
}

/// The names that may stand in the table at `pattern` (empty for the file itself), in the order of the table.
pub fn children(pattern: &str) -> Vec<&'static str> {
    let mut names: Vec<&'static str> = Vec::new();
    for key in KEYS {
        let below = if pattern.is_empty() {
            Some(key.path)
        } else {
            key.path.strip_prefix(pattern).and_then(|rest| rest.strip_prefix('.'))
        };
        if let Some(name) = below.and_then(|below| below.split(['.', '[']).next())
            && !names.contains(&name)
        {
            names.push(name);
        }
    }
    names
}

/// Whether keys stand below `pattern`.
pub fn is_parent(pattern: &str) -> bool {
    KEYS.iter().any(|key| {
        key.path.strip_prefix(pattern).is_some_and(|rest| rest.starts_with('.') || rest.starts_with('['))
    })
}

use self::Default::{Absent, Is, Required};

/// Every key, in the order of the file.
pub const KEYS: &[Declaration] = &join_tables::<{ length(TABLES) }>(TABLES);

/// The declarations, a table for each part of the file.
const TABLES: &[&[Declaration]] = &[
    BEFORE_HTTP,
    http::KEYS,
    BEFORE_TRUNKS,
    trunks::KEYS,
    extensions::KEYS,
    outbound::KEYS,
    transfers::KEYS,
    AFTER_EXTENSIONS,
    agent::KEYS,
    AFTER_BOTS,
    recording::KEYS,
    otel::KEYS,
];

const fn length(tables: &[&[Declaration]]) -> usize {
    let (mut total, mut table) = (0, 0);
    while table < tables.len() {
        total += tables[table].len();
        table += 1;
    }
    total
}

const fn join_tables<const N: usize>(tables: &[&[Declaration]]) -> [Declaration; N] {
    let mut all = [later("", ""); N];
    let (mut at, mut table) = (0, 0);
    while table < tables.len() {
        let mut row = 0;
        while row < tables[table].len() {
            all[at] = tables[table][row];
            at += 1;
            row += 1;
        }
        table += 1;
    }
    all
}

/// What stands before the HTTP port.
const BEFORE_HTTP: &[Declaration] = &[
    key(
        "server.id",
        Kind::Text,
        Is("\"patchcord\""),
        "The name of this server where several report together: in every record and in `/health`.",
    ),
    key(
        "server.data_dir",
        Kind::Text,
        Is("\"./patchcord-data\""),
        "The folder for everything that is written.",
    )
    .at_restart(),
    key(
        "server.account",
        Kind::Text,
        Is("\"patchcord\""),
        "The account that dialects name to bots (`account_sid`, `accountId`).",
    ),
    key(
        "server.drain",
        Kind::Duration,
        Is("\"30s\""),
        "How long a stop waits for running calls before it ends them.",
    ),
    key(
        "log.level",
        Kind::Text,
        Is("\"info\""),
        "What is logged: a level, or levels per target as in `info,patchcord_sip=debug`.",
    ),
    key(
        "log.format",
        Kind::Text,
        Is("\"auto\""),
        "`human` lines, `json` lines, or `auto`: human on a terminal, else json.",
    )
    .one_of(&["auto", "human", "json"])
    .at_restart(),
    key(
        "log.wire",
        Kind::Flag,
        Is("false"),
        "Keeps redacted messages of every call's wires in `{data_dir}/wire`: SIP, vendor, bot.",
    )
    .at_restart()
    .at_restart(),
];

/// What stands between the HTTP port and the trunks.
const BEFORE_TRUNKS: &[Declaration] = &[
    key(
        "sip.listen",
        Kind::List,
        Is("[\"udp:127.0.0.1:5060\", \"tcp:127.0.0.1:5060\"]"),
        "The SIP sockets, each `udp:ADDRESS:PORT`, `tcp:ADDRESS:PORT` or `tls:ADDRESS:PORT`.",
    )
    .at_restart(),
    key(
        "sip.accept_from",
        Kind::List,
        Absent("loopback only"),
        "The networks whose calls are accepted besides loopback and trunks; an empty list means nobody.",
    ),
    key(
        "sip.strangers",
        Kind::Text,
        Is("\"refuse\""),
        "What SIP requests of anybody else get: `refuse` (403, within bounds) or `silence`. Where phones of extensions may be, REGISTER and INVITE are challenged instead.",
    )
    .one_of(&["refuse", "silence"])
    .at_restart(),
    key(
        "sip.digest",
        Kind::List,
        Is("[\"SHA-256\", \"MD5\"]"),
        "The digests by which extensions prove who they are, the first one offered first: of `SHA-256`, `MD5`.",
    ),
    key(
        "sip.external_ip",
        Kind::Text,
        Is("\"auto\""),
        "The address that SDP and Contact show; `auto` takes the one that faces the caller.",
    )
    .at_restart(),
    key(
        "sip.local_networks",
        Kind::List,
        Absent("this machine only"),
        "With `external_ip`: the networks whose phones reach this server without NAT and see its own address.",
    ),
    key(
        "sip.session_expires",
        Kind::Duration,
        Is("\"30m\""),
        "How long a call may go without a refresh (RFC 4028); half of it is the time between two.",
    )
    .at_restart(),
    key(
        "sip.min_se",
        Kind::Duration,
        Is("\"90s\""),
        "The shortest such time that a phone may ask for, from `90s`.",
    )
    .at_restart(),
    key(
        "sip.tls.cert",
        Kind::Text,
        Absent("no TLS"),
        "The PEM file of the certificate of `tls:` sockets, with those between it and the authority's.",
    )
    .at_restart(),
    key("sip.tls.key", Kind::Text, Absent("no TLS"), "The PEM file of its private key.").at_restart(),
    key(
        "sip.tls.ca",
        Kind::Text,
        Absent("public authorities"),
        "A PEM file of authorities that are trusted as well where this server connects by TLS.",
    )
    .at_restart(),
    key(
        "sip.rtp_ports",
        Kind::Text,
        Is("\"20000-29999\""),
        "The range of UDP ports for RTP and RTCP, first to last.",
    )
    .at_restart(),
    key(
        "sip.codecs",
        Kind::List,
        Is("[\"PCMU\", \"PCMA\", \"G722\", \"opus\"]"),
        "The codecs that are offered and accepted, preferred first: of `PCMU`, `PCMA`, `G722`, `opus`.",
    ),
    key(
        "sip.headers",
        Kind::List,
        Absent("none"),
        "The caller's own header fields that go to the bot as custom parameters: `User-to-User`, `X-Account`, `X-Crm-*`, `X-*`.",
    ),
    key(
        "sip.srtp",
        Kind::Text,
        Is("\"optional\""),
        "Encrypted audio of phones, keys by SDES: `optional` where the phone has it, `required` refuses a phone without (488), `off` never.",
    ).one_of(&["off", "optional", "required"]),
];

/// What stands after the extensions.
const AFTER_EXTENSIONS: &[Declaration] = &[
    key(
        "numbers[].number",
        Kind::Text,
        Required,
        "The number that is called; `91*` matches a beginning, `*` any. The first match wins.",
    ),
    key(
        "numbers[].bot",
        Kind::Text,
        Absent("`config_api` is asked, or `flow` takes them"),
        "The bot that takes its calls.",
    ),
    key(
        "numbers[].config_api",
        Kind::Text,
        Absent("`bot` takes the calls"),
        "The HTTP address that is asked which bot takes a call, `http://…` or `https://…`; see routing.md.",
    ),
    secret(
        "numbers[].config_api_headers",
        Kind::Map,
        Absent("none"),
        "Headers of the request to `config_api`, such as Authorization.",
    ),
    key(
        "numbers[].config_api_sip_headers",
        Kind::Flag,
        Absent("`false`"),
        "Whether `config_api` is told the header fields that `sip.headers` lets through, as a seventh field `Headers`.",
    ),
    key("numbers[].flow_id", Kind::Text, Absent("`default_flow`"), "`FlowId` towards `config_api`."),
    key(
        "numbers[].fallback",
        Kind::Text,
        Is("\"sorry\""),
        "What the caller gets when the bot fails: `busy` (486), `unavailable` (503), `sorry` (answer, a clip, hang-up), `hang-up` (what was wrong, by its status), `flow:NAME` or `transfer:NUMBER`. With `extension`, `hang-up` where nothing is said.",
    ),
    key(
        "numbers[].country",
        Kind::Text,
        Absent("numbers stay as received"),
        "The calling code of the country whose national numbers come in, as in `91`: dialects that show E.164 get it.",
    ),
    key(
        "numbers[].early_media",
        Kind::Flag,
        Is("false"),
        "Lets the caller hear a bot that has to answer (`incoming-call`) before it does: 183 with its audio.",
    ),
    key(
        "numbers[].flow",
        Kind::Text,
        Absent("`bot` takes the calls"),
        "The flow that takes its calls, one of `[flows.NAME]`.",
    ),
    key(
        "numbers[].extension",
        Kind::Text,
        Absent("`bot` takes the calls"),
        "The extension whose phones ring instead of a bot, a `number` of `[[extensions]]`.",
    ),
    key(
        "numbers[].callbacks",
        Kind::Text,
        Absent("callbacks.url"),
        "Where the status of this number's calls is posted.",
    ),
    key(
        "numbers[].recording",
        Kind::FlagOrTable,
        Absent("`false`"),
        "Whether its calls are recorded: `true`, or `{ format = …, consent = …, mask_digits = … }` where `[recording]` says otherwise.",
    ),
    key(
        "bots.*.url",
        Kind::Text,
        Required,
        "The bot's WebSocket, `ws://…` or `wss://…`; secrets in the query are masked, user-info is refused.",
    ),
    key("bots.*.dialect", Kind::Text, Required, "The language the bot speaks."),
    secret("bots.*.headers", Kind::Map, Absent("none"), "Headers of the WebSocket request."),
    key(
        "bots.*.audio.encoding",
        Kind::Text,
        Absent("the dialect's own"),
        "`pcm` (also `linear16`, `slin`), `mulaw` (also `ulaw`, `g711_ulaw`) or `alaw`; smartpbx: `pcm16`, `g711_ulaw` or `opus`.",
    ),
    key("bots.*.audio.sample_rate", Kind::Whole, Absent("the dialect's own"), "Samples per second."),
    key(
        "bots.*.audio.frame",
        Kind::Duration,
        Absent("`20ms`; `10ms` with ozonetel"),
        "The audio in one message, in steps of 10 ms.",
    ),
    key("bots.*.name", Kind::Text, Absent("none"), "The name that people see, `bot_name` in records."),
    key(
        "bots.*.cdr",
        Kind::Flag,
        Absent("`true`"),
        "incoming-call: sends the `cdr` message after the end of a call.",
    ),
    key(
        "bots.*.quiet",
        Kind::Flag,
        Absent("`false`"),
        "ivr-solutions: tells the bot nothing about a refused command.",
    ),
    key(
        "bots.*.on_transfer",
        Kind::Text,
        Is("\"end\""),
        "What becomes of the bot when it gives the call to people: its session ends, or it waits in silence and talks on if nobody answers.",
    )
    .one_of(&["end", "hold"]),
    key(
        "bots.*.import",
        Kind::Text,
        Absent("nothing"),
        "smartpbx: a JSON file with the provider's config object; keys beside it win.",
    ),
    key(
        "bots.*.mapping",
        Kind::Table,
        Absent("nothing"),
        "custom: which messages mean what, shown as it is (secrets belong into headers): [its keys](../crates/core/src/dialect/custom/README.md).",
    ),
];

/// What stands after the bots.
const AFTER_BOTS: &[Declaration] = &[
    key("listeners[].listen", Kind::Text, Required, "The address of a port for vendors that dial us.")
        .at_restart(),
    key("listeners[].dialect", Kind::Text, Required, "The language the vendor speaks."),
    key("listeners[].bot", Kind::Text, Required, "The bot that takes its calls, whatever that bot speaks."),
    key(
        "listeners[].country",
        Kind::Text,
        Absent("numbers stay as received"),
        "The calling code of the country whose national numbers the vendor sends, as in `91`.",
    ),
    key(
        "listeners[].audio.encoding",
        Kind::Text,
        Absent("the dialect's own"),
        "The vendor's audio until its start says otherwise, in the words of `bots.NAME.audio`.",
    ),
    key("listeners[].audio.sample_rate", Kind::Whole, Absent("the dialect's own"), "Samples per second."),
    key(
        "listeners[].audio.frame",
        Kind::Duration,
        Absent("`20ms`; `10ms` with ozonetel"),
        "The audio in one message to the vendor, in steps of 10 ms.",
    ),
    key(
        "listeners[].mapping",
        Kind::Table,
        Absent("nothing"),
        "custom: which messages mean what, as `bots.NAME.mapping` from the other end.",
    ),
    secret(
        "listeners[].token",
        Kind::Text,
        Absent("no token"),
        "What vendors present as `?token=…` or `Authorization: Bearer …`.",
    ),
    key(
        "listeners[].accept_from",
        Kind::List,
        Absent("any address"),
        "The networks from which vendors are accepted; loopback always is, except with `http.behind_proxy`.",
    ),
    key(
        "callbacks.url",
        Kind::Text,
        Absent("calls are told of only where a number or a request names an address"),
        "Where the status of calls is posted.",
    ),
    secret(
        "callbacks.secret",
        Kind::Text,
        Absent("callbacks are not signed"),
        "What callbacks are signed with, at least 16 bytes: `X-Signature`, and `webhook-signature` of Standard Webhooks.",
    ),
    key(
        "callbacks.profile",
        Kind::Text,
        Is("\"seed\""),
        "How long a receiver that fails is tried again: `seed` for half a minute, `days` for three days.",
    )
    .one_of(&["seed", "days"]),
    key(
        "flows.*.steps",
        Kind::Steps,
        Required,
        "What the caller meets, one step after the other, a table each: [the steps](flows.md).",
    ),
    key(
        "ivr.keys",
        Kind::Map,
        Absent("1 the echo, 2 the parrot, 3 the tone"),
        "Keys of the built-in bot `ivr` and the bots that they lead to; `*` always says the prompt again.",
    ),
    key(
        "egress.allow_private",
        Kind::Flag,
        Is("false"),
        "Whether URLs from outside (the answer of a CONFIG_API, a bot's `session.transfer_ws`) may lead to this machine and into private networks; metadata, link-local, multicast and special addresses stay out of reach. URLs of this file lead anywhere.",
    ),
    key(
        "egress.allow",
        Kind::List,
        Absent("the internet only"),
        "Networks that URLs from outside may lead to, whatever they are.",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_declared_default_is_toml() {
        for key in KEYS {
            if let Is(literal) = key.default {
                assert!(super::super::tree::parse_default(literal).is_some(), "{}: {literal}", key.path);
            }
        }
    }

    #[test]
    fn the_children_of_a_table_are_its_next_names() {
        assert_eq!(children("bots.*.audio"), ["encoding", "sample_rate", "frame"]);
        assert!(children("").starts_with(&["server", "log", "http", "sip"]));
        assert!(children("numbers[]").contains(&"fallback"));
        assert!(is_parent("numbers") && is_parent("bots.*") && !is_parent("http.listen"));
    }

    #[test]
    fn every_key_has_one_declaration_and_a_sentence() {
        for (index, key) in KEYS.iter().enumerate() {
            assert!(key.sentence.ends_with('.'), "{} needs a sentence", key.path);
            assert!(KEYS[..index].iter().all(|earlier| earlier.path != key.path), "{} twice", key.path);
        }
    }
}
