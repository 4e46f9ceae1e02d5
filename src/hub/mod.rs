//! Sentence encoders from the Hugging Face hub, from a mirror of it, or from a folder.
//!
//! In: a repository's name. Out: a folder that [`crate::encoder::Encoder::open`] takes, with a note of
//! what was pulled. Invariant: a folder is there whole and checked, or not at all: everything is
//! fetched beside its place, and moved there when it was opened once. Sizes, tries and waiting are
//! bounded; the token goes to the hub alone and is in no text. Not here: printing.

mod check;
mod client;
mod error;
mod fetch;
mod listing;
mod pull;
mod pulled;
#[cfg(test)]
mod tests;

pub use check::{Finding, State, list, verify};
pub use client::{HUB_DEFAULT, Hub};
pub use error::HubError;
pub use listing::Name;
pub use pull::{Done, Order, Step, copy, folder_of, pull};
pub use pulled::{PULLED_FILE, Pulled, PulledFile};
