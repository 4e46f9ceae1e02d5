//! The one checksum of the house: SHA-256 in hex.
//!
//! In: bytes of a file or of a canonical prompt. Out: 64 lower-case hex digits. Not here: what is
//! compared with what (see [`crate::prediction`] and [`crate::outcome`]).

use sha2::{Digest, Sha256};

/// SHA-256 in hex.
pub fn sha256_hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|it| format!("{it:02x}")).collect()
}
