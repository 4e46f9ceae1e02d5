//! OpenAI's answers, whole and streamed.
#![no_main]

use pointsman::providers::{Protocol, fuzzing};

libfuzzer_sys::fuzz_target!(|input: &[u8]| fuzzing::protocol(Protocol::OpenAi, input));
