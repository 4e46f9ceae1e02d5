//! Whether a made encoder says what the official weights say in f32.
//!
//! In: the official tensors, an encoder made from them. Out: the smallest cosine between the two over
//! texts of our own. Invariant: the official side is candle's own f32, words included, so that every
//! rounding of ours is in the figure.

use anyhow::{Result, ensure};
use candle_core::{DType, Device, Tensor};
use pointsman::domain::ChatRequest;
use pointsman::encoder::{Encoder, Exit};

use super::official::{Official, floats};

/// What an encoder must reach.
const COSINE_MIN: f64 = 0.995;
/// BERT's marks around a text, and its LayerNorm's epsilon; floats of a head of MiniLM.
const MARKS: (u32, u32) = (101, 102);
const EPSILON: f64 = 1e-12;
const HEAD: usize = 32;

/// Questions, orders, code, sums, other scripts, one word, much of the same.
const TEXTS: [&str; 12] = [
    "What is the capital of Norway?",
    "Write a Rust function that sums a list of integers, and explain what it costs.",
    "fn main() { let x: i32 = \"a\"; println!(\"{x}\"); }",
    "7 * 8 = ? A) 54 B) 56 C) 58. Answer with the letter alone.",
    "Prove that the square root of 2 is irrational.",
    "Ein Zug fährt um 8.15 Uhr ab und kommt um 9.40 Uhr an. Wie lange fährt er?",
    "SELECT name FROM trains WHERE late > 5 ORDER BY late DESC;",
    "hello",
    "Summarise: the harbour was quiet, the gulls were not, and the ferry came an hour late because \
     of the fog that had lain on the water since dawn.",
    "日本の首都はどこですか。",
    "Call the tool `weather` with {\"city\": \"Oslo\", \"days\": 3} and say in one sentence what to wear.",
    "???",
];

/// The smallest cosine over all texts, at the last exit.
pub(super) fn check(official: &Official, encoder: &Encoder) -> Result<f64> {
    let mut least = 1.0_f64;
    let long = TEXTS.join(" ");
    for text in TEXTS.into_iter().chain([long.as_str()]) {
        let found = encoder.encode(&ChatRequest::from_prompt(text), Exit::Last)?;
        let mut ids = vec![MARKS.0];
        ids.extend(encoder.tokenize(text)?);
        ids.push(MARKS.1);
        let wanted = plain(official, &ids, encoder.number(Exit::Last).into())?;
        least = least.min(cosine(found.embedding.as_slice(), &wanted));
    }
    ensure!(
        least >= COSINE_MIN,
        "the cosine to f32 is {least:.4}, at least {COSINE_MIN} is wanted"
    );
    Ok(least)
}

/// The mean after so many official layers, in f32.
fn plain(official: &Official, ids: &[u32], layers: usize) -> Result<Vec<f32>> {
    let (words, positions, norm) = official.embedding()?;
    let rows = words.index_select(&Tensor::new(ids, &Device::Cpu)?, 0)?;
    let mut x = norm.apply(&(rows + positions.narrow(0, 0, ids.len())?)?, EPSILON)?;
    for at in 0..layers {
        x = official.layer(at)?.apply(&x, HEAD, EPSILON)?;
    }
    floats(&x.to_dtype(DType::F32)?.mean(0)?)
}

fn cosine(a: &[f32], b: &[f32]) -> f64 {
    let dot = |a: &[f32], b: &[f32]| {
        a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>()
    };
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}
