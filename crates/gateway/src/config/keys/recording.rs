//! The keys of `[recording]`, and of `[storage]`.

use super::super::declaration::{Declaration, Kind, key, secret};
use super::Default::{Absent, Is};

/// Every key of them, in the order of the file.
pub(super) const KEYS: &[Declaration] = &[
    key(
        "recording.format",
        Kind::Text,
        Is("\"wav\""),
        "The form of recordings: `wav` (16 bits, 8 kHz, or the phone's rate where that is higher) or `opus` (in Ogg).",
    )
    .one_of(&["wav", "opus"]),
    key(
        "recording.consent",
        Kind::Text,
        Absent("nothing is said"),
        "A WAV file (16 bits, mono, up to a minute) that the caller hears before the recording begins.",
    ),
    key(
        "recording.mask_digits",
        Kind::Flag,
        Is("false"),
        "Whether keys that sound in the caller's audio are erased from recordings.",
    ),
    key(
        "recording.keep",
        Kind::Text,
        Absent("for ever"),
        "How long recordings and loudness curves are kept, such as `90d`; then they are deleted, and the API says so.",
    ),
    key(
        "recording.links_valid",
        Kind::Duration,
        Is("\"168h\""),
        "How long the signed links to recordings in callbacks and API answers can be used.",
    ),
    secret(
        "storage.database",
        Kind::Text,
        Absent("`sqlite:` and `patchcord.db` in `server.data_dir`"),
        "Where calls, events and deliveries are kept: `sqlite:PATH` or `postgres://USER:PASSWORD@HOST/NAME`.",
    )
    .at_restart(),
    key(
        "storage.recordings",
        Kind::Text,
        Absent("`recordings` in `server.data_dir`"),
        "The place of recordings: a folder, or `s3://BUCKET/PREFIX` with `[storage.s3]`.",
    )
    .at_restart(),
    key(
        "storage.s3.endpoint",
        Kind::Text,
        Absent("Amazon's for the region"),
        "The address of the S3 store, `https://…`; the bucket stands in the path.",
    )
    .at_restart(),
    key("storage.s3.region", Kind::Text, Is("\"us-east-1\""), "The region of the bucket.").at_restart(),
    key("storage.s3.access_key", Kind::Text, Absent("no bucket"), "The name of the key for the bucket.").at_restart(),
    secret("storage.s3.secret_key", Kind::Text, Absent("no bucket"), "What requests to it are signed with.").at_restart(),
];
