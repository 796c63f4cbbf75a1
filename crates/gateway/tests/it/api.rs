//! The HTTP API over real sockets: keys and roles, what is configured, the description, TLS.

mod client;
mod description;
mod keys;
mod settings;
mod tls;
