//! What callers send: the bodies of the HTTP face's three dialects.
#![no_main]

use pointsman::api::fuzzing;

libfuzzer_sys::fuzz_target!(|input: &[u8]| fuzzing::request(input));
