//! What an API key looks like, and how one is told from another.
//!
//! In: random bytes, or what a caller shows. Out: a key to be shown once, its id and its hash.
//! Invariant: the secret has 256 random bits, so one SHA-256 of it is enough: nobody can try 2^255 of
//! them, however fast the hash is. (Slow hashes are for what people make up, and would let anyone keep
//! a server busy with wrong keys.) Comparing takes as long whatever is shown. Not here: where keys are
//! kept.

use std::fmt;

use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// What every key begins with, so that people and scanners for leaked secrets know one.
const PREFIX: &str = "pm-";
/// 62^11 is more than 2^64.
const ID_CHARS: usize = 11;
/// 62^43 is more than 2^256.
const SECRET_CHARS: usize = 43;
const ID_BYTES: usize = 8;
/// Random bytes that one key is made of: 8 for the id, 32 for the secret.
pub const RANDOM_BYTES: usize = ID_BYTES + 32;
const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// The part of a key that is no secret: logs, records and operators name it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyId(String);

impl KeyId {
    /// Reads an id as an operator types it, with or without what keys begin with.
    pub fn parse(text: &str) -> Option<Self> {
        let id = text.strip_prefix(PREFIX).unwrap_or(text);
        is_base62(id, ID_CHARS).then(|| Self(id.to_owned()))
    }

    /// As it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

/// What is kept of a key.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct KeyHash([u8; 32]);

impl KeyHash {
    /// What no key has.
    pub(super) const NOBODYS: Self = Self([0; 32]);

    pub(super) fn of(text: &str) -> Self {
        Self(Sha256::digest(text.as_bytes()).into())
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Whether both are of one key, in a time that does not tell where they differ.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl fmt::Debug for KeyHash {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("<hash>")
    }
}

/// A key that was just made; nothing but its hash is kept.
#[derive(Debug)]
pub struct FreshKey {
    /// Its id.
    pub id: KeyId,
    /// The whole of it, to be shown once.
    pub text: SecretString,
}

impl FreshKey {
    /// A key out of bytes that nobody can guess.
    pub fn from_random(random: &[u8; RANDOM_BYTES]) -> Self {
        let (id, secret) = random.split_at(ID_BYTES);
        let id = base62(id, ID_CHARS);
        let text = SecretString::from(format!("{PREFIX}{id}{}", base62(secret, SECRET_CHARS)));
        Self { id: KeyId(id), text }
    }

    pub(super) fn hash(&self) -> KeyHash {
        KeyHash::of(self.text.expose_secret())
    }
}

/// What a caller shows. Its `Debug` tells nothing.
pub struct KeyText<'a>(&'a str);

impl<'a> KeyText<'a> {
    /// Whatever was shown.
    pub fn new(shown: &'a str) -> Self {
        Self(shown.trim())
    }

    /// Whether it means to be one of ours: other servers' keys, which their SDKs always send, do not.
    pub fn is_ours(&self) -> bool {
        self.0.starts_with(PREFIX)
    }

    /// The id, where it has the form of a key.
    pub(super) fn id(&self) -> Option<&'a str> {
        let rest = self.0.strip_prefix(PREFIX)?;
        let formed = is_base62(rest, ID_CHARS + SECRET_CHARS);
        formed.then(|| rest.get(..ID_CHARS)).flatten()
    }

    pub(super) fn hash(&self) -> KeyHash {
        KeyHash::of(self.0)
    }
}

impl fmt::Debug for KeyText<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("<key>")
    }
}

fn is_base62(text: &str, length: usize) -> bool {
    text.len() == length && text.bytes().all(|it| it.is_ascii_alphanumeric())
}

/// The bytes as one number, in digits of 62, with zeros in front.
fn base62(bytes: &[u8], width: usize) -> String {
    let mut number = bytes.to_vec();
    let mut digits = vec!['0'; width];
    for place in digits.iter_mut().rev() {
        let mut rest = 0_u32;
        for byte in &mut number {
            let part = (rest << 8) | u32::from(*byte);
            *byte = (part / 62) as u8;
            rest = part % 62;
        }
        *place = DIGITS.get(rest as usize).map_or('0', |it| char::from(*it));
    }
    digits.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(last: u8) -> FreshKey {
        let mut random = [0; RANDOM_BYTES];
        random[RANDOM_BYTES - 1] = last;
        FreshKey::from_random(&random)
    }

    #[test]
    fn numbers_are_written_in_62_digits() {
        let check = |bytes: &[u8], width: usize, wanted: &str| {
            assert_eq!(base62(bytes, width), wanted, "{bytes:?}");
        };
        check(&[0], 2, "00");
        check(&[61], 2, "0z");
        check(&[62], 2, "10");
        check(&[1, 0], 3, "048");
        // As Python's divmod has it.
        check(&[255; 8], 11, "LygHa16AHYF");
        // Nothing of the largest secret is lost.
        assert_ne!(base62(&[255; 32], SECRET_CHARS), base62(&[255; 32], SECRET_CHARS + 1)[..43]);
    }

    #[test]
    fn a_key_is_known_by_its_id_and_only_by_the_whole_of_it() {
        let fresh = key(7);
        let text = fresh.text.expose_secret().to_owned();
        assert_eq!(text.len(), PREFIX.len() + ID_CHARS + SECRET_CHARS);
        let shown = KeyText::new(&text);
        assert_eq!(shown.id(), Some(fresh.id.as_str()));
        assert!(shown.hash().is_same(&fresh.hash()));
        assert!(!shown.hash().is_same(&key(8).hash()));
        assert!(!shown.hash().is_same(&KeyHash::NOBODYS));
        let check = |shown: &str| assert_eq!(KeyText::new(shown).id(), None, "{shown}");
        check("");
        check("pm-");
        check("sk-proj-1234");
        check(&text[..text.len() - 1]);
        check(&format!("{text}0"));
        check(&text.replace('0', "é"));
    }

    #[test]
    fn an_id_is_read_in_both_forms() {
        let id = key(1).id;
        assert_eq!(KeyId::parse(id.as_str()), Some(id.clone()));
        assert_eq!(KeyId::parse(&format!("pm-{id}")), Some(id));
        assert_eq!(KeyId::parse("short"), None);
    }

    #[test]
    fn nothing_secret_is_printed() {
        let fresh = key(9);
        let text = fresh.text.expose_secret();
        let printed = format!("{fresh:?} {:?} {:?}", KeyText::new(text), fresh.hash());
        assert!(!printed.contains(&text[ID_CHARS + 3..]), "{printed}");
    }
}
