//! Who says what an answer is worth.
//!
//! In: an answer, and what is known of its prompt. Out: a quality from 0 to 1. Invariant: a grade names
//! the grader that gave it, so that another grader's is never taken for it. Not here: money and calls
//! (see [`super::run`]).

pub mod agreement;
mod command;
mod exact;
mod judge;

use pointsman::domain::{Usd, sha256_hex};

pub use command::{CommandError, CommandGrader};
pub use exact::is_right;
pub use judge::{Judge, Wording, level};

use super::ask::Ask;
use super::events::{Pair, State};

/// Who grades.
#[derive(Debug, Clone)]
pub enum Grader {
    /// Whoever says what the reference says is right.
    Exact,
    /// A user's program.
    Command(CommandGrader),
    /// A model.
    Judge(Judge),
}

impl Grader {
    /// Tells its grades from all others.
    pub fn fingerprint(&self) -> String {
        match self {
            Self::Exact => "exact 1".to_owned(),
            Self::Command(it) => format!("command {}", &sha256_hex(it.line.as_bytes())[..16]),
            Self::Judge(it) => it.fingerprint(),
        }
    }

    /// How often it grades each answer.
    pub fn passes(&self) -> u8 {
        match self {
            Self::Exact | Self::Command(_) => 1,
            Self::Judge(it) => it.passes,
        }
    }

    /// Whether it can grade answers to this prompt.
    pub fn can_grade(&self, ask: &Ask) -> bool {
        match self {
            Self::Exact => ask.reference.is_some(),
            Self::Command(_) | Self::Judge(_) => true,
        }
    }

    /// What is set aside for grading an answer that is not there yet.
    pub fn set_aside(&self, ask: &Ask, max_output_tokens: u64) -> Usd {
        match self {
            Self::Exact | Self::Command(_) => Usd::ZERO,
            Self::Judge(it) => it.set_aside(ask, max_output_tokens),
        }
    }

    /// What an answer is worth once it was graded as often as it is to be: the mean of the gradings.
    pub fn quality(&self, state: &State, pair: &Pair) -> Option<f64> {
        let grader = self.fingerprint();
        let grades = (0..self.passes()).map(|pass| state.grade_of(pair, &grader, pass));
        let grades: Vec<f64> = grades.collect::<Option<_>>()?;
        Some(grades.iter().sum::<f64>() / grades.len().max(1) as f64)
    }
}
