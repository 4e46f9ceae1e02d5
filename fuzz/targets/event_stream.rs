//! AWS event streams, split anywhere. Checksums are put right wherever the lengths allow, or no
//! made-up input would get past them.
#![no_main]

use pointsman::providers::fuzzing;

/// Bytes before the data (see `fuzzing`).
const PLAN_BYTES: usize = 3;
/// Two lengths; their checksum follows.
const PRELUDE_BYTES: usize = 8;
const CHECKSUM_BYTES: usize = 4;

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    fuzzing::event_stream(input);
    let mut mended = input.to_vec();
    if let Some(frames) = mended.get_mut(PLAN_BYTES..) {
        mend(frames);
        fuzzing::event_stream(&mended);
    }
});

fn mend(mut frames: &mut [u8]) {
    while let Some(length) = frames.first_chunk::<4>() {
        let length = u32::from_be_bytes(*length) as usize;
        if length < PRELUDE_BYTES + 2 * CHECKSUM_BYTES || length > frames.len() {
            return;
        }
        let (frame, rest) = frames.split_at_mut(length);
        sign(frame, PRELUDE_BYTES);
        sign(frame, length - CHECKSUM_BYTES);
        frames = rest;
    }
}

/// Writes at `at` the checksum of everything before it.
fn sign(frame: &mut [u8], at: usize) {
    let checksum = crc32fast::hash(&frame[..at]).to_be_bytes();
    frame[at..at + CHECKSUM_BYTES].copy_from_slice(&checksum);
}
