//! The HTTP API over real sockets: keys and roles, calls, events, what is configured, the description, TLS.

mod callbacks;
mod calls;
pub mod client;
mod command_line;
mod description;
mod events;
mod extraction;
mod keys;
mod metrics;
mod place;
mod recordings;
mod sessions;
mod settings;
mod talk;
mod timeline;
mod tls;
