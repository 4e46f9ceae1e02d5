//! What happened on a panel, and what that adds up to.
//!
//! In: [`Event`]s, one after the other. Out: [`State`]. Invariant: the same events give the same state; a
//! call that began and did not end counts with all that was set aside for it, since it may be billed.
//! Pure. Not here: where events are kept (see [`super::work`]).

use std::collections::HashMap;

use pointsman::domain::{FailureClass, Text, Usage, Usd};
use serde::{Deserialize, Serialize};

/// An answer that is whole, or as far as the limit on output tokens let it come.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    /// To which prompt.
    pub prompt: String,
    /// Whose, by its name in the table.
    pub model: String,
    /// What it said; tool calls as one JSON object per line behind it.
    pub text: Text,
    /// The limit on output tokens, where it has cut the answer.
    pub cut_at: Option<u64>,
    /// What the provider counted; zeros where it told none.
    pub usage: Usage,
    /// What it cost.
    pub cost_usd: Usd,
    /// How long it took, in seconds.
    pub latency_s: f64,
}

/// A grade of an answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Grade {
    /// Of the answer to which prompt.
    pub prompt: String,
    /// Of whose answer.
    pub model: String,
    /// By whom, see [`super::grade::Grader::fingerprint`].
    pub grader: String,
    /// The how-manieth grading of the same answer, from 0.
    pub pass: u8,
    /// 0 to 1.
    pub quality: f64,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// A call is about to be made.
    Began {
        /// Tells it from all others of the folder.
        call: u64,
        /// The most that it can cost.
        at_most_usd: Usd,
    },
    /// It answered a prompt.
    Answered {
        /// Which.
        call: u64,
        /// What.
        answer: Answer,
    },
    /// It failed.
    Failed {
        /// Which.
        call: u64,
        /// How.
        class: FailureClass,
        /// What it is counted for.
        cost_usd: Usd,
    },
    /// A judge graded.
    Judged {
        /// Which.
        call: u64,
        /// What it cost.
        cost_usd: Usd,
        /// How.
        grade: Grade,
    },
    /// An answer was graded without a call.
    Graded(Grade),
    /// A model is not asked this prompt again.
    Unanswered {
        /// Which prompt.
        prompt: String,
        /// Which model.
        model: String,
        /// How it failed last.
        class: FailureClass,
    },
}

/// A prompt and a model by its name in the table.
pub type Pair = (String, String);

/// Everything that events add up to.
#[derive(Debug, Clone, Default)]
pub struct State {
    /// By prompt and model.
    pub answers: HashMap<Pair, Answer>,
    /// Who is not asked again.
    pub unanswered: HashMap<Pair, FailureClass>,
    grades: HashMap<(Pair, String, u8), f64>,
    /// What calls without an end can have cost at most.
    open: HashMap<u64, Usd>,
    spent: Usd,
    calls: u64,
}

impl State {
    /// The number of a call that is to begin.
    pub fn next_call(&mut self) -> u64 {
        self.calls += 1;
        self.calls - 1
    }

    /// Takes in what happened next.
    pub fn apply(&mut self, event: Event) {
        match event {
            Event::Began { call, at_most_usd } => {
                self.calls = self.calls.max(call + 1);
                self.open.insert(call, at_most_usd);
            }
            Event::Answered { call, answer } => {
                self.end(call, answer.cost_usd);
                self.answers.insert((answer.prompt.clone(), answer.model.clone()), answer);
            }
            Event::Failed { call, class: _, cost_usd } => self.end(call, cost_usd),
            Event::Judged { call, cost_usd, grade } => {
                self.end(call, cost_usd);
                self.grade(grade);
            }
            Event::Graded(grade) => self.grade(grade),
            Event::Unanswered { prompt, model, class } => {
                self.unanswered.insert((prompt, model), class);
            }
        }
    }

    fn end(&mut self, call: u64, cost: Usd) {
        self.open.remove(&call);
        self.spent += cost;
    }

    fn grade(&mut self, it: Grade) {
        self.grades.insert(((it.prompt, it.model), it.grader, it.pass), it.quality);
    }

    /// What was spent, calls without an end at their most.
    pub fn spent(&self) -> Usd {
        self.spent + self.open.values().copied().sum()
    }

    /// A grade, 0 to 1.
    pub fn grade_of(&self, pair: &Pair, grader: &str, pass: u8) -> Option<f64> {
        self.grades.get(&(pair.clone(), grader.to_owned(), pass)).copied()
    }
}
