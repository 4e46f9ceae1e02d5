//! What was read before, by exactly the same text.
//!
//! In: the parts of a prompt and an exit. Out: the reading, if it is known; otherwise a guard for
//! whoever reads it first, while all others who want the same wait. Invariant: bounded
//! ([`CACHED_MAX`]); a hit is the bits that a fresh reading would give. Keys are hashes: no prompt
//! is kept.

use std::sync::Arc;
use std::time::Duration;

use quick_cache::sync::{Cache, GuardResult};
use sha2::{Digest, Sha256};

use super::window::Texts;
use super::{Encoder, Exit, Reading};

/// Readings kept: 1.6 kB each with the shipped encoder, so some 7 MB when full; 4 bytes a float with any
/// other.
const CACHED_MAX: usize = 4_096;

/// SHA-256 over the encoder's version, the exit and the parts of the text.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Key([u8; 32]);

/// Readings by key.
pub(super) struct ReadingCache {
    cache: Cache<Key, Arc<Reading>>,
    /// The hash after the version of each exit: what every key starts with.
    starts: [Sha256; 2],
}

/// The duty to read, held by one at a time; when it is dropped, the next who waits has it.
pub(super) struct Duty<'a>(
    quick_cache::sync::PlaceholderGuard<
        'a,
        Key,
        Arc<Reading>,
        quick_cache::UnitWeighter,
        quick_cache::DefaultHashBuilder,
        quick_cache::sync::DefaultLifecycle<Key, Arc<Reading>>,
    >,
);

impl Duty<'_> {
    /// Tells everyone who waits.
    pub(super) fn fulfil(self, reading: Arc<Reading>) {
        // It comes back if the place was taken in the meantime, with the same bits.
        let _ = self.0.insert(reading);
    }
}

impl ReadingCache {
    pub(super) fn new(encoder: &Encoder) -> Self {
        let start = |exit| {
            let number = encoder.number(exit);
            let version = encoder.checksum(&[number]).unwrap_or_default();
            Sha256::new_with_prefix(format!("{version} {number}"))
        };
        Self { cache: Cache::new(CACHED_MAX), starts: [start(Exit::First), start(Exit::Last)] }
    }

    pub(super) fn key(&self, texts: &Texts<'_>, exit: Exit) -> Key {
        let [first, last] = &self.starts;
        let start = match exit {
            Exit::First => first,
            Exit::Last => last,
        };
        let hash = texts.parts().into_iter().fold(start.clone(), |hash, part| {
            // The length first, so that no two lists of parts run into the same bytes.
            hash.chain_update((part.len() as u64).to_le_bytes()).chain_update(part)
        });
        Key(hash.finalize().into())
    }

    pub(super) fn get(&self, key: &Key) -> Option<Arc<Reading>> {
        self.cache.get(key)
    }

    pub(super) fn keep(&self, key: Key, reading: Arc<Reading>) {
        self.cache.insert(key, reading);
    }

    /// The reading, or the duty to make it.
    pub(super) async fn get_or_duty(&self, key: &Key) -> Result<Arc<Reading>, Duty<'_>> {
        self.cache.get_value_or_guard_async(key).await.map_err(Duty)
    }

    /// As [`Self::get_or_duty`], by blocking, for no longer than `allowed`; then there is neither.
    pub(super) fn get_or_duty_blocking(
        &self,
        key: &Key,
        allowed: Duration,
    ) -> Result<Arc<Reading>, Option<Duty<'_>>> {
        match self.cache.get_value_or_guard(key, Some(allowed)) {
            GuardResult::Value(reading) => Ok(reading),
            GuardResult::Guard(guard) => Err(Some(Duty(guard))),
            GuardResult::Timeout => Err(None),
        }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.cache.len()
    }
}
