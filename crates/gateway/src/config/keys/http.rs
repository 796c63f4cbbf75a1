//! The keys of `[http]`.

use super::super::declaration::{Declaration, Kind, key, secret};
use super::Default::{Absent, Is, Required};

/// Every key of the HTTP port, in the order of the file.
pub(super) const KEYS: &[Declaration] = &[
    key(
        "http.listen",
        Kind::Text,
        Is("\"127.0.0.1:8080\""),
        "The address of the HTTP port: the API, health, metrics and vendors' WebSockets.",
    )
    .at_restart(),
    key("http.ws_bot", Kind::Text, Is("\"echo\""), "The bot behind `/ws`."),
    secret(
        "http.ws_token",
        Kind::Text,
        Absent("no token"),
        "What vendors' WebSockets present as `?token=…` or `Authorization: Bearer …`; without it no web page of another origin is let in.",
    ),
    key(
        "http.accept_from",
        Kind::List,
        Absent("any address"),
        "The networks from which vendors' WebSockets are accepted; loopback always is, except behind a proxy, whose X-Forwarded-For counts.",
    ),
    key(
        "http.public_url",
        Kind::Text,
        Absent("`http.listen`"),
        "The address under which the outside reaches this server: `https://voice.example.com`; needs `http.keys`.",
    ),
    key(
        "http.behind_proxy",
        Kind::Flag,
        Is("false"),
        "Says that a proxy in front ends TLS, and that nobody reaches this port but through it; needs `http.keys`, and `ws_token` or `accept_from`.",
    ),
    key(
        "http.tls.cert",
        Kind::Text,
        Absent("no TLS"),
        "The PEM file of the port's certificate, with those between it and the authority's; a reload reads it again.",
    ),
    key("http.tls.key", Kind::Text, Absent("no TLS"), "The PEM file of its private key."),
    key("http.keys[].name", Kind::Text, Required, "Whose key it is, for logs."),
    secret(
        "http.keys[].key",
        Kind::Text,
        Required,
        "What the API is shown as `Authorization: Bearer …`: 16 characters or more. Without keys the API is for this machine alone.",
    ),
    key(
        "http.keys[].role",
        Kind::Text,
        Required,
        "What it opens: `reader` looks, `operator` places and ends calls as well, `admin` may do everything.",
    )
    .one_of(&["reader", "operator", "admin"]),
];
