//! Lines of JSON, split anywhere.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| pointsman::providers::fuzzing::ndjson(input));
