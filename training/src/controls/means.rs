//! Means: per model, and per model and task.
//!
//! In: training labels. Out: the mean quality of their group. Invariant: a group without rows has
//! the mean of the wider group, at last 0.5. Not here: intervals of means.

use std::collections::HashMap;

use super::{Control, Pair};
use crate::dataset::{Dataset, Label};

/// Nothing at all is known.
const UNKNOWN: f32 = 0.5;

/// The mean quality of each model on its training rows.
#[derive(Debug, Clone)]
pub struct Constant {
    means: Vec<f32>,
    overall: f32,
}

/// The mean quality of each model in each task: what a router knows that is told the task's name.
#[derive(Debug, Clone)]
pub struct TaskMeans {
    means: HashMap<(u16, u16, u16), f32>,
    models: Constant,
}

#[derive(Clone, Copy, Default)]
struct Mean {
    sum: f64,
    rows: f64,
}

impl Mean {
    fn push(&mut self, quality: f32) {
        self.sum += f64::from(quality);
        self.rows += 1.0;
    }

    fn get(self) -> Option<f32> {
        (self.rows > 0.0).then(|| (self.sum / self.rows) as f32)
    }
}

impl Constant {
    /// Learns from training labels.
    pub fn fit(data: &Dataset, train: &[Label]) -> Self {
        let mut means = vec![Mean::default(); data.models.len()];
        let mut overall = Mean::default();
        for label in train {
            overall.push(label.quality);
            if let Some(mean) = means.get_mut(usize::from(label.model)) {
                mean.push(label.quality);
            }
        }
        let overall = overall.get().unwrap_or(UNKNOWN);
        Self { means: means.into_iter().map(|it| it.get().unwrap_or(overall)).collect(), overall }
    }

    /// The mean of a model; of all rows where the model has none.
    pub fn of(&self, model: u16) -> f32 {
        self.means.get(usize::from(model)).copied().unwrap_or(self.overall)
    }
}

impl Control for Constant {
    fn name(&self) -> &'static str {
        "constant per model"
    }

    fn predict(&self, pairs: &[Pair]) -> Vec<f32> {
        pairs.iter().map(|it| self.of(it.model)).collect()
    }
}

impl TaskMeans {
    /// Its name in reports.
    pub const NAME: &'static str = "mean per task (knows the task)";

    /// Learns from training labels.
    pub fn fit(data: &Dataset, train: &[Label]) -> Self {
        let mut means: HashMap<_, Mean> = HashMap::new();
        for label in train {
            means.entry(key(label)).or_default().push(label.quality);
        }
        let means = means.into_iter().filter_map(|(key, it)| Some((key, it.get()?))).collect();
        Self { means, models: Constant::fit(data, train) }
    }

    /// The mean of each label's model in its task; the model's mean where there is none.
    pub fn predict(&self, labels: &[Label]) -> Vec<f32> {
        let of = |it: &Label| self.means.get(&key(it)).copied();
        labels.iter().map(|it| of(it).unwrap_or_else(|| self.models.of(it.model))).collect()
    }
}

/// One task name may stand in several sources and mean different things.
fn key(label: &Label) -> (u16, u16, u16) {
    (label.source, label.task, label.model)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controls::testing;

    #[test]
    fn groups_without_rows_fall_back_on_wider_ones() {
        let data = testing::dataset(4);
        let base = Label { prompt: 0, model: 0, source: 0, task: 0, ..data.labels[0] };
        let train = [
            Label { quality: 1.0, ..base },
            Label { quality: 0.5, ..base },
            Label { quality: 0.0, task: 1, ..base },
        ];
        let constant = Constant::fit(&data, &train);
        let (seen, unseen) = (Pair { prompt: 9, model: 0 }, Pair { prompt: 9, model: 1 });
        assert_eq!(constant.predict(&[seen, unseen]), [0.5, 0.5]);
        let table = TaskMeans::fit(&data, &train);
        let asked = [base, Label { task: 1, ..base }, Label { task: 7, ..base }];
        assert_eq!(table.predict(&asked), [0.75, 0.0, 0.5]);
        assert_eq!(Constant::fit(&data, &[]).predict(&[seen]), [0.5]);
    }
}
