//! Whether the router's choice hangs on what does not matter: typos, politeness, white space.
//!
//! In: held-out rows, the artifact, the encoder. Out: per change the share of requests on which
//! another model is chosen, and the quality of the choices. Invariant: the same seed makes the same
//! typos; tools behind a question stay as they are. A router that always takes one model scores 0
//! changes: read the share beside the quality. Not here: attacks that are searched for.

use anyhow::Result;
use pointsman::domain::Text;
use pointsman::encoder::Encoder;
use pointsman::prediction::Predictor;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::choosers::{ROUTER, Table, router};
use super::{Chooser, PoolRows, Totals, choose, settings};
use crate::dataset::{Dataset, prompt::question};
use crate::fit::encode_prompts;
use crate::metrics::{Bootstrap, Figure};

/// Requests that are changed and read again, per pool: reading takes milliseconds each.
const REQUESTS_MAX: usize = 400;
/// Share of letters that a typo replaces.
const TYPOS: f64 = 0.02;

/// One kind of change on one pool.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StabilityReport {
    /// The pool.
    pub pool: String,
    /// What was changed.
    pub change: String,
    /// Requests.
    pub requests: usize,
    /// Share of them on which another model is chosen.
    pub changed: Figure,
    /// Mean quality of the choices on the changed prompts.
    pub quality: Figure,
    /// Mean quality of the choices on the prompts as they were.
    pub quality_before: Figure,
}

type Change = fn(&str, &mut ChaCha8Rng) -> String;

const CHANGES: [(&str, Change); 4] = [
    ("typos in 2 % of the letters", typos),
    ("polite prefix", |it, _| format!("Hello! Could you please help me with this? {it}")),
    ("polite suffix", |it, _| format!("{it}\n\nThank you very much in advance!")),
    ("changed white space", |it, _| format!("\n {} \n", it.replace(' ', "  "))),
];

/// Measures every change on the held-out rows of a pool.
///
/// # Errors
/// When the tokenizer refuses a changed text.
pub fn stability(
    table: Table<'_>,
    models: (&Predictor, &Encoder),
    train: &PoolRows,
    test: &PoolRows,
    boot: &Bootstrap,
) -> Result<Vec<StabilityReport>> {
    let (predictor, encoder) = models;
    let mut prompts: Vec<u32> = test.rows.iter().map(|it| it.prompt).collect();
    prompts.dedup();
    prompts.truncate(REQUESTS_MAX);
    let (test, _) = test.keep(|it| prompts.contains(&it));
    if test.rows.is_empty() {
        return Ok(Vec::new());
    }
    let before = router(ROUTER, predictor, table, train, &test);
    let price = middle_price(&test, &before, boot.seed);
    let chosen = choose(&test, &before, price, boot.seed);
    let mut found = Vec::new();
    for (name, change) in CHANGES {
        let changed = changed(table.data, &test, change, boot.seed);
        let inputs = encode_prompts(&changed, encoder)?;
        let again = Table { data: &changed, inputs: &inputs, ..table };
        let moved = renumbered(&test);
        let after = router(ROUTER, predictor, again, train, &moved);
        let now = choose(&moved, &after, price, boot.seed);
        found.push(compare(name, &test, (&chosen, &now), boot));
    }
    Ok(found)
}

/// The price per quality at which the router spends half of what it spends at most.
fn middle_price(rows: &PoolRows, chooser: &Chooser, seed: u64) -> f64 {
    let prices = settings(rows);
    let means = Totals::sweep(rows, chooser, &prices, seed).means(&vec![1; rows.questions]);
    let most = means.iter().map(|it| it.cost).fold(0.0, f64::max);
    let found = means.iter().position(|it| it.cost >= most / 2.0).unwrap_or_default();
    prices[found]
}

/// A table that holds the changed prompts alone, one per row of the pool.
fn changed(data: &Dataset, rows: &PoolRows, change: Change, seed: u64) -> Dataset {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut text = |row: &super::PoolRow| {
        let whole = data.prompts.get(row.prompt as usize).map(Text::as_str).unwrap_or_default();
        let asked = question(whole);
        Text::from(format!("{}{}", change(asked, &mut random), &whole[asked.len()..]))
    };
    Dataset {
        prompts: rows.rows.iter().map(&mut text).collect(),
        sources: data.sources.clone(),
        tasks: data.tasks.clone(),
        models: data.models.clone(),
        labels: Vec::new(),
        digest: String::new(),
    }
}

/// The same rows, each with its own place as its prompt.
fn renumbered(rows: &PoolRows) -> PoolRows {
    let mut rows = rows.clone();
    rows.rows.iter_mut().enumerate().for_each(|(at, it)| it.prompt = at as u32);
    rows
}

fn compare(
    change: &str,
    rows: &PoolRows,
    chosen: (&[usize], &[usize]),
    boot: &Bootstrap,
) -> StabilityReport {
    let mut sums = vec![[0.0; 4]; rows.questions];
    for (row, (before, now)) in rows.rows.iter().zip(chosen.0.iter().zip(chosen.1)) {
        let quality = |it: &usize| f64::from(rows.cells[*it].label.quality);
        let own = [1.0, f64::from(u8::from(before != now)), quality(now), quality(before)];
        sums[row.question as usize].iter_mut().zip(own).for_each(|(sum, it)| *sum += it);
    }
    let figures = boot.figures(rows.questions, |weights| {
        let mut all = [0.0; 4];
        for (own, weight) in sums.iter().zip(weights) {
            all.iter_mut().zip(own).for_each(|(sum, it)| *sum += f64::from(*weight) * it);
        }
        all[1..].iter().map(|it| it / all[0]).collect()
    });
    StabilityReport {
        pool: rows.pool.name.clone(),
        change: change.to_owned(),
        requests: rows.rows.len(),
        changed: figures[0],
        quality: figures[1],
        quality_before: figures[2],
    }
}

/// Replaces letters by other lower-case letters.
fn typos(text: &str, random: &mut ChaCha8Rng) -> String {
    let letters = b"abcdefghijklmnopqrstuvwxyz";
    let one = |it: char| match it.is_alphabetic() && random.random_bool(TYPOS) {
        true => char::from(letters[random.random_range(0..letters.len())]),
        false => it,
    };
    text.chars().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::choose::testing;

    #[test]
    fn changes_keep_the_question_and_repeat() {
        let text = "How many apples are left, and why? ".repeat(40);
        for (name, change) in CHANGES {
            let run = |seed| change(&text, &mut ChaCha8Rng::seed_from_u64(seed));
            assert_eq!(run(1), run(1), "{name}");
            assert_ne!(run(1), text, "{name}");
        }
        let wrong = typos(&text, &mut ChaCha8Rng::seed_from_u64(1));
        let changed = text.chars().zip(wrong.chars()).filter(|(a, b)| a != b).count();
        assert!((8..45).contains(&changed), "{changed} of {}", text.len());
        assert_eq!(typos("12 + 3", &mut ChaCha8Rng::seed_from_u64(1)), "12 + 3");
    }

    #[test]
    fn shares_are_counted() {
        let data = testing::dataset(4);
        let rows = PoolRows::new(&testing::pool(), &data, &[0, 1, 2, 3]);
        let (before, now) = ([0, 2, 4, 6], [0, 2, 5, 6]);
        let it = compare("x", &rows, (&before, &now), &Bootstrap { draws: 9, seed: 1 });
        assert_eq!((it.changed.value, it.requests), (Some(0.25), 4));
        let moved = changed(&data, &rows, |it, _| it.to_uppercase(), 1);
        assert_eq!(moved.prompts.len(), 4);
        assert_eq!(
            moved.prompts[1].as_str(),
            data.prompts[rows.rows[1].prompt as usize].as_str().to_uppercase()
        );
        assert_eq!(renumbered(&rows).rows[3].prompt, 3);
    }
}
