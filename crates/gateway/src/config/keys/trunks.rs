//! The keys of `[[trunks]]`.

use super::super::declaration::Default::{Absent, Is, Required};
use super::super::declaration::{Declaration, Kind, key, secret};

pub(super) const KEYS: &[Declaration] = &[
    key("trunks[].name", Kind::Text, Required, "The carrier's name in logs, the API and metrics."),
    key(
        "trunks[].host",
        Kind::Text,
        Absent("calls come in only"),
        "The carrier's name or address: where calls are sent and where we register; see trunks.md.",
    ),
    key(
        "trunks[].port",
        Kind::Whole,
        Absent("found by DNS, else 5060; 5061 with tls"),
        "The carrier's port; with it no SRV records are asked for.",
    ),
    key(
        "trunks[].transport",
        Kind::Text,
        Absent("found by DNS, else `udp`"),
        "How SIP travels to the carrier: `udp`, `tcp` or `tls`.",
    )
    .one_of(&["udp", "tcp", "tls"]),
    key(
        "trunks[].username",
        Kind::Text,
        Absent("none"),
        "Our account at the carrier: who registers, and who calls where no number is shown.",
    ),
    key(
        "trunks[].auth_username",
        Kind::Text,
        Absent("`username`"),
        "The name that the password belongs to, where it is another than `username`.",
    ),
    secret(
        "trunks[].password",
        Kind::Text,
        Absent("challenges are not answered"),
        "The password of the account; it answers challenges of this carrier only and is never sent itself.",
    ),
    key(
        "trunks[].register",
        Kind::Flag,
        Is("false"),
        "Whether we register with the carrier, so that it knows where to send our calls.",
    ),
    key(
        "trunks[].register_expires",
        Kind::Duration,
        Is("\"10m\""),
        "How long a registration is asked to hold; it is renewed well before.",
    ),
    key(
        "trunks[].outbound_proxy",
        Kind::Text,
        Absent("straight to `host`"),
        "Where everything for this carrier is sent first: `HOST`, `HOST:PORT` or `sip:HOST:PORT;transport=tcp`.",
    ),
    key(
        "trunks[].accept_from",
        Kind::List,
        Absent("no calls come in by it; required without `host`"),
        "The networks that the carrier calls from: its calls are accepted. The first trunk with the network takes them.",
    ),
    key(
        "trunks[].allow",
        Kind::List,
        Absent("no dialling out"),
        "The numbers that may be dialled by this trunk: `91*` is a beginning, `*` any number. `+91…` is a number of `91*` only with `country = \"91\"`.",
    ),
    key(
        "trunks[].strip",
        Kind::Whole,
        Is("0"),
        "How many characters are taken from the front of a number before it is sent to the carrier.",
    ),
    key("trunks[].prefix", Kind::Text, Absent("nothing"), "What is put in front of a number, after `strip`."),
    key(
        "trunks[].caller_ids",
        Kind::List,
        Absent("`username` alone"),
        "The numbers that may be shown as the caller: `9174*` is a beginning, `*` any number.",
    ),
    key(
        "trunks[].privacy",
        Kind::Flag,
        Is("false"),
        "Hides the caller from whoever is called (`Privacy: id`); the carrier still learns who it is.",
    ),
    key(
        "trunks[].country",
        Kind::Text,
        Absent("numbers stay as received"),
        "The calling code of the country whose national numbers the carrier sends; that of a number counts before it.",
    ),
    key(
        "trunks[].srtp",
        Kind::Text,
        Absent("as `sip.srtp`"),
        "Encrypted audio with this carrier: `off`, `optional` or `required`.",
    )
    .one_of(&["off", "optional", "required"]),
    key(
        "trunks[].codecs",
        Kind::List,
        Absent("as `sip.codecs`"),
        "The codecs with this carrier, preferred first: of `PCMU`, `PCMA`, `G722`, `opus`.",
    ),
    key(
        "trunks[].refer",
        Kind::Flag,
        Is("false"),
        "Transfers by REFER, both ways: a caller of this carrier is connected by the carrier itself, and a phone of this carrier to which a call was given may give it on.",
    ),
    key(
        "trunks[].options_interval",
        Kind::Duration,
        Is("\"30s\""),
        "How often the carrier is asked whether it is there (OPTIONS); `0s` never asks and takes it for there.",
    ),
    key("trunks[].limits.calls", Kind::Whole, Is("50"), "Calls that go out by this trunk at a time."),
    key("trunks[].limits.per_minute", Kind::Whole, Is("60"), "Calls that go out by this trunk in a minute."),
    key(
        "trunks[].limits.max_duration",
        Kind::Duration,
        Is("\"4h\""),
        "How long a call that went out by this trunk may last.",
    ),
];
