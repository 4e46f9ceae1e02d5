//! A record as bytes, and back.
//!
//! In: records. Out: length, checksum, vectors and record, in this order. Invariant: what was cut or
//! changed is not read; field names are written, so that a later version reads an earlier one's. Not
//! here: files.
//!
//! MessagePack, because a caller waits while it is written: JSON takes several times as long over the
//! floats of a record. The log itself keeps JSON.

use crate::domain::DecisionId;
use crate::outcome::record::{OutcomeRecord, RECORD_VERSION, RECORD_VERSION_MIN};
use crate::outcome::sqlite::vector;
use crate::outcome::store::OutcomeError;

/// Length of what follows the checksum, and the checksum (CRC-32), 4 bytes each, little endian.
const FRAME_BYTES: usize = 8;
/// Decision, record version, number of features, number of embedding components.
const PREFIX_BYTES: usize = 16 + 3 * 4;
/// Room for a record of some twelve candidates.
const USUAL_BYTES: usize = 16 << 10;

/// An entry of the file.
///
/// # Errors
/// [`OutcomeError::NotFinite`] and `Unwritable` for a record that could not be read back from the log.
pub(in crate::outcome) fn encode(record: &mut OutcomeRecord) -> Result<Vec<u8>, OutcomeError> {
    let decision = record.decision;
    if let Some(field) = record.unwritable() {
        return Err(OutcomeError::NotFinite { decision, field });
    }
    let features = std::mem::take(&mut record.features);
    let embedding = std::mem::take(&mut record.embedding);
    let mut entry = Vec::with_capacity(USUAL_BYTES);
    entry.extend([0; FRAME_BYTES]);
    entry.extend(decision.as_bytes());
    for count in [record.version, features.len() as u32, embedding.len() as u32] {
        entry.extend(count.to_le_bytes());
    }
    for float in features.iter().chain(&embedding) {
        entry.extend(float.to_le_bytes());
    }
    let packed = rmp_serde::encode::write_named(&mut entry, record);
    (record.features, record.embedding) = (features, embedding);
    packed.map_err(|_| OutcomeError::Unwritable(decision))?;
    let (frame, content) = entry.split_at_mut(FRAME_BYTES);
    let length = u32::try_from(content.len()).map_err(|_| OutcomeError::Unwritable(decision))?;
    frame[..4].copy_from_slice(&length.to_le_bytes());
    frame[4..].copy_from_slice(&crc32fast::hash(content).to_le_bytes());
    Ok(entry)
}

/// The content of the first entry of these bytes, and what is behind it; `None` where none is whole.
pub(super) fn first(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (frame, rest) = bytes.split_at_checked(FRAME_BYTES)?;
    let (content, behind) = rest.split_at_checked(number(frame, 0)? as usize)?;
    let whole = content.len() >= PREFIX_BYTES && crc32fast::hash(content) == number(frame, 4)?;
    whole.then_some((content, behind))
}

/// How many of these bytes are whole entries.
pub(super) fn whole_bytes(bytes: &[u8]) -> usize {
    let mut rest = bytes;
    while let Some((_, behind)) = first(rest) {
        rest = behind;
    }
    bytes.len() - rest.len()
}

/// The record in an entry's content.
///
/// # Errors
/// [`OutcomeError::RecordVersion`] for one that another version wrote, and `Unreadable`.
pub(super) fn decode(content: &[u8]) -> Result<OutcomeRecord, OutcomeError> {
    let id = content.first_chunk::<16>().copied().unwrap_or_default();
    let decision = DecisionId::from_bytes(id);
    let unreadable = OutcomeError::Unreadable { decision, column: 0 };
    let parts = || {
        let (prefix, rest) = content.split_at_checked(PREFIX_BYTES)?;
        let [version, features, embedding] = [16, 20, 24].map(|at| number(prefix, at));
        let (features, rest) = rest.split_at_checked(features? as usize * 4)?;
        let (embedding, packed) = rest.split_at_checked(embedding? as usize * 4)?;
        Some((version?, [features, embedding].map(vector), packed))
    };
    let Some((version, [features, embedding], packed)) = parts() else { return Err(unreadable) };
    if !(RECORD_VERSION_MIN..=RECORD_VERSION).contains(&version) {
        return Err(OutcomeError::RecordVersion { decision, found: i64::from(version) });
    }
    let record = rmp_serde::from_slice::<OutcomeRecord>(packed).map_err(|_| unreadable)?;
    Ok(OutcomeRecord { features, embedding, ..record })
}

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    let four = bytes.get(at..)?.first_chunk::<4>()?;
    Some(u32::from_le_bytes(*four))
}
