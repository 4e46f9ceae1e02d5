//! A made-up pool for tests.
//!
//! In: how many prompts. Out: the table of [`crate::controls::testing`] with tokens and costs: `m-b`
//! is ten times as dear, and right more often. Not here: real prompts.

use super::{Fleet, Pool};
use crate::dataset::{Dataset, Label};

/// The table: `m-a` answers long prompts wrongly, `m-b` every tenth.
pub(crate) fn dataset(prompts: u32) -> Dataset {
    let mut data = crate::controls::testing::dataset(prompts);
    for label in &mut data.labels {
        let tokens = 10 + label.prompt % 7;
        let price = if label.model == 0 { 1e-6 } else { 1e-5 };
        let input = 5 + label.prompt % 3;
        let right = label.model == 0 || label.prompt % 10 > 0;
        *label = Label {
            quality: if label.model == 0 { label.quality } else { f32::from(u8::from(right)) },
            input_tokens: Some(input),
            output_tokens: Some(tokens),
            cost_usd: Some(price * f64::from(input) + 2.0 * price * f64::from(tokens)),
            latency_s: Some(0.5 + 0.01 * tokens as f32),
            ..*label
        };
    }
    data
}

/// Both models on both sources.
pub(crate) fn pool() -> Pool {
    let names = |it: [&str; 2]| it.map(str::to_owned).to_vec();
    Pool {
        name: "made".to_owned(),
        about: "two models".to_owned(),
        fleets: vec![Fleet { sources: names(["even", "odd"]), models: names(["m-a", "m-b"]) }],
    }
}
