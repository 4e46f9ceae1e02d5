//! A made-up table for tests.
//!
//! In: how many prompts. Out: prompts of growing length, two sources, two models, one label per
//! prompt and model; the longer the prompt, the rarer a right answer. Not here: real prompts.

use pointsman::domain::Text;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::dataset::{Dataset, Label};

/// The table.
pub(crate) fn dataset(prompts: u32) -> Dataset {
    let mut random = ChaCha8Rng::seed_from_u64(1);
    let length = |it: u32| 1 + it * 997 % prompts;
    let mut labels = Vec::new();
    for prompt in 0..prompts {
        let right = 1.0 - f64::from(length(prompt)) / f64::from(prompts + 1);
        for model in 0..2 {
            let quality = if random.random_bool(right) { 1.0 } else { 0.0 };
            labels.push(Label {
                prompt,
                model,
                source: (prompt % 2) as u16,
                task: (prompt % 3) as u16,
                quality,
                input_tokens: None,
                output_tokens: None,
                cost_usd: None,
                latency_s: None,
                tokens_est: false,
            });
        }
    }
    let text = |it: u32| Text::from(format!("{it} {}", "x".repeat(length(it) as usize)));
    let names = |it: &[&str]| it.iter().map(|it| (*it).to_owned()).collect();
    Dataset {
        prompts: (0..prompts).map(text).collect(),
        sources: names(&["even", "odd"]),
        tasks: names(&["a", "b", "c"]),
        models: names(&["m-a", "m-b"]),
        labels,
        digest: "0".repeat(64),
    }
}

/// A random vector per prompt.
pub(crate) fn vectors(prompts: usize, dimension: usize) -> Vec<f32> {
    let mut random = ChaCha8Rng::seed_from_u64(2);
    (0..prompts * dimension).map(|_| random.random_range(-1.0..1.0)).collect()
}
