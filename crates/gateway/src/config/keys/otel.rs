//! The keys of `[otel]`.

use super::super::declaration::Default::{Absent, Is};
use super::super::declaration::{Declaration, Kind, key, secret};

pub(super) const KEYS: &[Declaration] = &[
    key(
        "otel.endpoint",
        Kind::Text,
        Absent("no traces are made"),
        "Where a trace of every call is posted when it is over (OTLP/HTTP): the receiver's address, `/v1/traces` is added.",
    ),
    secret("otel.headers", Kind::Map, Absent("none"), "Headers of that request, such as Authorization."),
    key(
        "otel.content",
        Kind::Flag,
        Is("false"),
        "Whether traces hold numbers and what was said, in attributes that begin with `pii.`.",
    ),
];
