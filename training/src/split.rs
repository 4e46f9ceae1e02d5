//! Cuts a table into what is learned on and what is judged on, by question text; once, or in folds.
//!
//! In: the table's prompts, the share to hold out, a seed. Out: [`Split`], one bit per prompt.
//! Invariant: prompts that ask the same question fall in the same part, whatever source they stand
//! in and whatever tools stand beside them; the part of a question depends on nothing but its text,
//! the seed and the share.

use std::collections::HashMap;

use pointsman::domain::Text;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::dataset::{Dataset, Label, prompt::question};

/// How a table is cut.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Cut {
    /// The share of questions held out, 0 to 1.
    pub held_out: f64,
    /// Any string; another one gives another cut.
    pub seed: String,
}

/// Which prompts are held out.
#[derive(Debug, Clone)]
pub struct Split {
    held_out: Vec<bool>,
}

impl Default for Cut {
    /// 15 % held out, as in the figures that the design quotes.
    fn default() -> Self {
        Self { held_out: 0.15, seed: "pointsman".to_owned() }
    }
}

impl Split {
    /// Cuts the prompts of a table.
    pub fn new(prompts: &[Text], cut: &Cut) -> Self {
        let held_out = prompts.iter().map(|it| position(it.as_str(), &cut.seed) < cut.held_out);
        Self { held_out: held_out.collect() }
    }

    /// Holds out fold `at` (from 0) of `of`: over all folds every question is held out once.
    pub fn fold(prompts: &[Text], seed: &str, at: usize, of: usize) -> Self {
        let fold = |it: &Text| (position(it.as_str(), seed) * of as f64) as usize;
        Self { held_out: prompts.iter().map(|it| fold(it) == at).collect() }
    }

    /// Whether a prompt is held out. Prompts that are not in the table are not.
    pub fn is_held_out(&self, prompt: u32) -> bool {
        self.held_out.get(prompt as usize).copied().unwrap_or_default()
    }

    /// Labels to learn from and labels to judge on, each in the table's order.
    pub fn labels(&self, data: &Dataset) -> (Vec<Label>, Vec<Label>) {
        data.labels.iter().copied().partition(|it| !self.is_held_out(it.prompt))
    }
}

/// The question that each prompt asks, as a number from 0 counted up in the order of the prompts.
pub fn questions(prompts: &[Text]) -> Vec<u32> {
    let mut seen: HashMap<String, u32> = HashMap::new();
    let mut number = |it: &Text| {
        let next = seen.len() as u32;
        *seen.entry(normalised(question(it.as_str()))).or_insert(next)
    };
    prompts.iter().map(&mut number).collect()
}

/// Where a question lies in [0, 1), evenly spread over questions.
fn position(prompt: &str, seed: &str) -> f64 {
    let mut hash = Sha256::new();
    // The length keeps seed and text apart.
    hash.update((seed.len() as u64).to_le_bytes());
    hash.update(seed);
    hash.update(normalised(question(prompt)));
    let first: u64 = hash.finalize().iter().take(6).fold(0, |sum, it| sum << 8 | u64::from(*it));
    first as f64 / (1_u64 << 48) as f64
}

/// Lower-case letters and digits alone. The whole text counts: cut at 200 letters, the prompts of
/// one template (all of a Reasoning Gym task, most of a few-shot benchmark) would be one question.
/// A text without a letter or digit stands as it is, so that such prompts are not all one question.
fn normalised(question: &str) -> String {
    let kept: String = question.chars().filter(|it| it.is_alphanumeric()).collect();
    if kept.is_empty() { question.trim().to_owned() } else { kept.to_lowercase() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(prompts: &[&str], held_out: f64, seed: &str) -> Vec<bool> {
        let texts: Vec<Text> = prompts.iter().map(|it| Text::from(*it)).collect();
        Split::new(&texts, &Cut { held_out, seed: seed.into() }).held_out
    }

    #[test]
    fn one_question_falls_in_one_part() {
        let tools = "what is 2 + 2\n\nAvailable functions:\n{\"name\":\"add\",\"parameters\":{}}";
        for seed in ["a", "b", "c", "d", "e", "f", "g", "h"] {
            let same = parts(&["What is 2+2?", "what  is\n2 2", tools], 0.5, seed);
            assert!(same.iter().all(|it| *it == same[0]), "{seed}: {same:?}");
        }
    }

    #[test]
    fn the_share_is_kept_and_the_seed_matters() {
        let texts: Vec<String> = (0..4_000).map(|it| format!("question {it}")).collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let one = parts(&texts, 0.15, "one");
        let share = one.iter().filter(|it| **it).count() as f64 / 4_000.0;
        assert!((share - 0.15).abs() < 0.02, "{share}");
        assert_eq!(one, parts(&texts, 0.15, "one"));
        assert_ne!(one, parts(&texts, 0.15, "two"));
        assert!(parts(&texts, 0.0, "one").iter().all(|it| !it));
        assert!(parts(&texts, 1.0, "one").iter().all(|it| *it));
    }

    #[test]
    fn folds_hold_every_question_out_once() {
        let texts: Vec<Text> = (0..500).map(|it| Text::from(format!("question {it}"))).collect();
        let folds: Vec<Split> = (0..5).map(|it| Split::fold(&texts, "s", it, 5)).collect();
        for prompt in 0..500 {
            assert_eq!(folds.iter().filter(|it| it.is_held_out(prompt)).count(), 1);
        }
        assert!(folds.iter().all(|it| it.held_out.iter().filter(|it| **it).count() > 60));
        let same = [Text::from("What is 2+2?"), Text::from("why"), Text::from("what is 2 2")];
        assert_eq!(questions(&same), [0, 1, 0]);
    }

    #[test]
    fn long_templates_and_bare_symbols_are_not_one_question() {
        let template = "word ".repeat(100);
        let long: Vec<String> = (0..64).map(|it| format!("{template}{it}")).collect();
        let long: Vec<&str> = long.iter().map(String::as_str).collect();
        let held = parts(&long, 0.5, "s").iter().filter(|it| **it).count();
        assert!((10..54).contains(&held), "{held}");
        assert_ne!(position("+ +", "s"), position("- -", "s"));
    }
}
