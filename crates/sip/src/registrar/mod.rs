//! Where the phones of our extensions are: contacts by number (RFC 3261 §10.3).
//!
//! `bindings` holds the rules for one number, [`Locations`] the table of all, which the machine writes and whoever
//! calls an extension reads. Neither knows sockets or passwords.

mod bindings;
mod locations;

use bindings::Bindings;
pub use bindings::{Asked, Change, OutOfOrder, Wish};
pub use locations::{Contact, Locations};
