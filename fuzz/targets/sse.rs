//! Server-sent events, split anywhere.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| pointsman::providers::fuzzing::sse(input));
