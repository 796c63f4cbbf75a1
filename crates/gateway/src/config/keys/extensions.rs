//! The keys of `[[extensions]]`.

use super::super::declaration::{Declaration, Kind, key, secret};
use super::Default::{Absent, Is, Required};

/// Every key of an extension, in the order of the file.
pub(super) const KEYS: &[Declaration] = &[
    key(
        "extensions[].number",
        Kind::Text,
        Required,
        "The number of an extension: what its phones register as, and what it is called by.",
    ),
    secret("extensions[].password", Kind::Text, Required, "What its phones prove that they know."),
    key("extensions[].name", Kind::Text, Absent("none"), "The name that people see."),
    key(
        "extensions[].allow",
        Kind::List,
        Absent("no number outside"),
        "The numbers outside that it may call, as in `numbers[].number`: `91*` matches a beginning.",
    ),
    key(
        "extensions[].caller_id",
        Kind::Text,
        Absent("the trunk's own"),
        "The number that is shown where it calls outside.",
    ),
    key(
        "extensions[].max_contacts",
        Kind::Whole,
        Is("8"),
        "Phones that may be registered at a time, up to 32; one more takes the place of the one that was refreshed longest ago.",
    ),
    key(
        "extensions[].accept_from",
        Kind::List,
        Absent("any address"),
        "The networks that its phones may be in; loopback always is.",
    ),
];
