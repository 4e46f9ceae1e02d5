//! Pools: the fleets on which choosing is judged, and their rows.
//!
//! In: a table and a [`Pool`]. Out: [`PoolRows`]: per (source, question) one cell for each model of
//! the fleet, with quality and cost. Invariant: a row is kept only where every model of its fleet
//! has a quality and a cost, so that no chooser is helped by a gap. Not here: who chooses.

use std::collections::{BTreeMap, HashMap};

use crate::dataset::{Dataset, Label};

/// Which models may be chosen on the prompts of some sources.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fleet {
    /// Names of sources.
    pub sources: Vec<String>,
    /// Names of models.
    pub models: Vec<String>,
}

/// One or more fleets judged together; each row is chosen on among its own fleet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pool {
    /// Its name on the command line.
    pub name: String,
    /// What it is, for the report.
    pub about: String,
    /// The fleets.
    pub fleets: Vec<Fleet>,
}

/// What one model did on one row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cell {
    /// As the table has it; the mean where the pair was graded more than once.
    pub label: Label,
    /// What the call cost, USD.
    pub cost: f64,
}

/// One request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolRow {
    /// Index of the prompt in the table.
    pub prompt: u32,
    /// Index of its question, dense over the pool: what is resampled.
    pub question: u32,
    /// Index of its fleet.
    pub fleet: usize,
    /// Its cells.
    pub cells: std::ops::Range<usize>,
}

/// The rows of a pool.
#[derive(Debug, Clone)]
pub struct PoolRows {
    /// The pool.
    pub pool: Pool,
    /// Requests, by source and prompt.
    pub rows: Vec<PoolRow>,
    /// Their cells; those of one row in the order of its fleet.
    pub cells: Vec<Cell>,
    /// How many questions there are.
    pub questions: usize,
}

impl Pool {
    /// The pools of the issue on the project's own table. Costs are the table's `cost_usd`.
    pub fn shipped() -> Vec<Self> {
        let routerbench = fleet(&["routerbench"], &ROUTERBENCH);
        let api = fleet(&["zeroeval", "bfcl"], &API);
        let mmlu = fleet(&["mmlu-pro"], &MMLU_PRO);
        let gym = fleet(&["reasoning-gym"], &REASONING_GYM);
        let pool = |name: &str, about: &str, fleets| Self {
            name: name.to_owned(),
            about: about.to_owned(),
            fleets,
        };
        vec![
            pool("routerbench", "RouterBench's 11 models, real cost", vec![routerbench]),
            pool("api", "ZeroEval + BFCL, the API models in both, list price", vec![api]),
            pool(
                "mixed",
                "MMLU-Pro (8 models) + Reasoning Gym (the 7 with a cost), list price",
                vec![mmlu, gym],
            ),
        ]
    }

    /// A pool of one's own: `source+source:model,model,...`.
    pub fn parse(text: &str) -> Option<Self> {
        let (sources, models) = text.split_once(':')?;
        let names = |it: &str, by: char| -> Vec<String> {
            it.split(by).map(|it| it.trim().to_owned()).filter(|it| !it.is_empty()).collect()
        };
        let fleet = Fleet { sources: names(sources, '+'), models: names(models, ',') };
        let fine = !fleet.sources.is_empty() && fleet.models.len() >= 2;
        let about = format!("{} models on {sources}", fleet.models.len());
        fine.then(|| Self { name: sources.trim().to_owned(), about, fleets: vec![fleet] })
    }
}

fn fleet(sources: &[&str], models: &[&str]) -> Fleet {
    let names = |it: &[&str]| it.iter().map(|it| (*it).to_owned()).collect();
    Fleet { sources: names(sources), models: names(models) }
}

const ROUTERBENCH: [&str; 11] = [
    "Mistral-7B-Instruct-v0.1",
    "claude-v2",
    "WizardLM-13B-V1.2",
    "CodeLlama-34b-Instruct",
    "llama-2-70b-chat",
    "claude-instant-v1",
    "claude-v1",
    "gpt-3.5-turbo-1106",
    "Mixtral-8x7B-Instruct-v0.1",
    "Yi-34B-Chat",
    "gpt-4-1106-preview",
];

/// Vendors' API models with a cost on every prompt of both sources (claude-3-sonnet has half).
const API: [&str; 9] = [
    "gpt-3.5-turbo-0125",
    "claude-3-haiku-20240307",
    "gemini-1.5-flash",
    "gemini-1.5-pro",
    "gpt-4o-mini-2024-07-18",
    "gpt-4o-2024-05-13",
    "gpt-4-turbo-2024-04-09",
    "claude-3-opus-20240229",
    "claude-3-5-sonnet-20240620",
];

/// A spread over prices and vendors, chat models only.
const MMLU_PRO: [&str; 8] = [
    "Phi-3-mini-4k-instruct",
    "gemini-1.5-flash-002",
    "Meta-Llama-3.1-8B-Instruct",
    "Mixtral-8x7B-Instruct-v0.1",
    "Qwen1.5-72B-Chat",
    "Meta-Llama-3.1-70B-Instruct",
    "jamba-1.5-large",
    "gemini-1.5-pro-002",
];

/// All that have a cost; the table does not know the tokens of the other four, which reason.
const REASONING_GYM: [&str; 7] = [
    "gemma-3-27b-it",
    "llama-3.3-70b-instruct",
    "mistral-small-3.1-24b-instruct",
    "llama-4-scout",
    "llama-4-maverick",
    "claude-3-5-sonnet-20241022",
    "claude-sonnet-4",
];

impl PoolRows {
    /// The rows of a pool; none where the table lacks a source or model of it. `questions` has the
    /// question of each prompt of the table.
    pub fn new(pool: &Pool, data: &Dataset, questions: &[u32]) -> Self {
        let mut rows =
            Self { pool: pool.clone(), rows: Vec::new(), cells: Vec::new(), questions: 0 };
        for (at, fleet) in pool.fleets.iter().enumerate() {
            rows.add_fleet(at, fleet, data, questions);
        }
        rows.number_questions();
        rows
    }

    fn add_fleet(&mut self, at: usize, fleet: &Fleet, data: &Dataset, questions: &[u32]) {
        let place = |names: &[String], name: &String| names.iter().position(|it| it == name);
        let mut column = vec![None; data.models.len()];
        for (place, model) in fleet.models.iter().enumerate() {
            let Some(id) = data.models.iter().position(|it| it == model) else { return };
            column[id] = Some(place);
        }
        let is_ours: Vec<bool> =
            data.sources.iter().map(|it| place(&fleet.sources, it).is_some()).collect();
        let mut found: BTreeMap<(u16, u32), Vec<Mean>> = BTreeMap::new();
        for label in data.labels.iter().filter(|it| is_ours[usize::from(it.source)]) {
            let (Some(place), Some(cost)) = (column[usize::from(label.model)], label.cost_usd)
            else {
                continue;
            };
            let empty = || vec![Mean::default(); fleet.models.len()];
            found.entry((label.source, label.prompt)).or_insert_with(empty)[place].add(label, cost);
        }
        for ((_, prompt), means) in found {
            let begin = self.cells.len();
            self.cells.extend(means.iter().filter_map(Mean::cell));
            if self.cells.len() - begin < means.len() {
                self.cells.truncate(begin);
                continue;
            }
            let question = questions.get(prompt as usize).copied().unwrap_or_default();
            let cells = begin..self.cells.len();
            self.rows.push(PoolRow { prompt, question, fleet: at, cells });
        }
    }

    /// The rows of some prompts, and the places of their cells here.
    pub fn keep(&self, keep: impl Fn(u32) -> bool) -> (Self, Vec<usize>) {
        let mut kept =
            Self { pool: self.pool.clone(), rows: Vec::new(), cells: Vec::new(), questions: 0 };
        let mut places = Vec::new();
        for row in self.rows.iter().filter(|it| keep(it.prompt)) {
            let begin = kept.cells.len();
            kept.cells.extend_from_slice(&self.cells[row.cells.clone()]);
            places.extend(row.cells.clone());
            kept.rows.push(PoolRow { cells: begin..kept.cells.len(), ..row.clone() });
        }
        kept.number_questions();
        (kept, places)
    }

    /// The cells as labels, to learn from or to predict.
    pub fn labels(&self) -> Vec<Label> {
        self.cells.iter().map(|it| it.label).collect()
    }

    fn number_questions(&mut self) {
        let mut seen: HashMap<u32, u32> = HashMap::new();
        for row in &mut self.rows {
            let next = seen.len() as u32;
            row.question = *seen.entry(row.question).or_insert(next);
        }
        self.questions = seen.len();
    }
}

/// A pair that may have been graded more than once.
#[derive(Debug, Clone, Copy, Default)]
struct Mean {
    first: Option<Label>,
    quality: f64,
    cost: f64,
    count: f64,
}

impl Mean {
    fn add(&mut self, label: &Label, cost: f64) {
        self.first.get_or_insert(*label);
        self.quality += f64::from(label.quality);
        self.cost += cost;
        self.count += 1.0;
    }

    fn cell(&self) -> Option<Cell> {
        let cost = self.cost / self.count;
        let quality = (self.quality / self.count) as f32;
        self.first.map(|it| Cell { label: Label { quality, cost_usd: Some(cost), ..it }, cost })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::choose::testing;

    #[test]
    fn only_whole_rows_are_kept_and_twice_graded_ones_averaged() {
        let mut data = testing::dataset(6);
        data.labels[0].cost_usd = None;
        let twice = Label { quality: 0.0, ..data.labels[3] };
        data.labels[3].quality = 1.0;
        data.labels.push(twice);
        let rows = PoolRows::new(&testing::pool(), &data, &[0, 0, 1, 2, 3, 4]);
        assert_eq!(rows.rows.len(), 5, "the first prompt lacks a cost");
        assert_eq!((rows.cells.len(), rows.questions), (10, 5));
        // The even source comes first: prompts 2, 4, then 1, 3, 5.
        assert_eq!(rows.cells[5].label.quality, 0.5);
        let (kept, places) = rows.keep(|it| it > 3);
        assert_eq!((kept.rows.len(), kept.questions, places), (2, 2, vec![2, 3, 8, 9]));
        assert_eq!(kept.rows[1].cells, 2..4);
        assert_eq!(kept.labels()[0], rows.cells[2].label);
    }

    #[test]
    fn a_table_without_the_models_gives_no_rows() {
        for pool in Pool::shipped() {
            let rows = PoolRows::new(&pool, &testing::dataset(6), &[0; 6]);
            assert!(rows.rows.is_empty(), "{}", pool.name);
        }
        let own = Pool::parse("even+odd: m-a, m-b").unwrap();
        assert_eq!(own.fleets, testing::pool().fleets);
        assert_eq!(
            (Pool::parse("even"), Pool::parse("even:m-a"), Pool::parse(":a,b")),
            (None, None, None)
        );
    }
}
