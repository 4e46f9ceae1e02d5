//! Bytes kept until the rest of a frame comes.
//!
//! In: pieces of a line or a frame. Out: the same, put together. Invariant: never more than
//! [`FRAME_BYTES_MAX`], and what was taken leaves little memory behind. Not here: where a frame
//! ends.

use super::{FRAME_BYTES_MAX, FramingError};

/// Capacity that an empty buffer may keep, in bytes: most deltas fit, and a thousand idle streams
/// hold a few MiB.
const KEPT_BYTES_MAX: usize = 4 << 10;

/// A bounded buffer.
#[derive(Debug, Default)]
pub(super) struct Buffer(Vec<u8>);

impl Buffer {
    pub(super) fn as_slice(&self) -> &[u8] {
        &self.0
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Appends, unless it and what is `held` elsewhere would be too large for one frame.
    pub(super) fn append(&mut self, bytes: &[u8], held: usize) -> Result<(), FramingError> {
        fits(self.len(), bytes.len(), held)?;
        self.0.extend_from_slice(bytes);
        Ok(())
    }

    /// Forgets the content.
    pub(super) fn clear(&mut self) {
        self.0.clear();
        if self.0.capacity() > KEPT_BYTES_MAX {
            self.0 = Vec::new();
        }
    }

    /// Gives the content away.
    pub(super) fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.0)
    }

    #[cfg(test)]
    pub(super) fn capacity(&self) -> usize {
        self.0.capacity()
    }
}

/// Whether these sizes together make a frame that is not too large.
pub(super) fn fits(one: usize, two: usize, three: usize) -> Result<(), FramingError> {
    let sum = one.saturating_add(two).saturating_add(three);
    if sum > FRAME_BYTES_MAX { Err(FramingError::TooLarge) } else { Ok(()) }
}
