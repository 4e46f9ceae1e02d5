//! Whether a judge is to be believed: its grades held against others of the same answers.
//!
//! In: answers that people have graded (`--judge-check`), or the judge's own second gradings. Out: an
//! [`Agreement`]. Invariant: checks are paid like everything else and kept in the work folder. Not here:
//! the figure itself (see [`super::grade::agreement`]).

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use pointsman::domain::{Probability, Text, sha256_hex};
use pointsman::providers::Caller;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::ask::Ask;
use super::events::{Pair, State};
use super::grade::Judge;
use super::grade::agreement::{Agreement, level};
use super::rows;
use super::run::{Panel, judged};
use crate::progress::Progress;

/// Stands where the work folder has a model's name.
const NOBODY: &str = "judge-check";

/// An answer that somebody has graded.
#[derive(Debug, Clone, PartialEq)]
pub struct Graded {
    /// To what.
    pub ask: Ask,
    /// What was said.
    pub answer: Text,
    /// What it is worth, 0 to 1.
    pub quality: f64,
}

impl Graded {
    fn pair(&self) -> Pair {
        let both = format!("{} {}", self.ask.id, self.answer.as_str());
        (format!("check {}", &sha256_hex(both.as_bytes())[..16]), NOBODY.to_owned())
    }
}

/// Graded answers out of a `.csv` or `.jsonl` with the columns `prompt`, `answer`, `quality` (0 to 1) and,
/// if wanted, `reference`.
///
/// # Errors
/// When the file cannot be read, or a row is not as it should be.
pub fn read(path: &Path) -> Result<Vec<Graded>> {
    let rows = rows::read(path, &["prompt", "answer", "quality", "reference"])?;
    let graded = rows.into_iter().enumerate().map(|(at, row)| {
        let wrong = |what: &str| format!("{}: row {} has no {what}", path.display(), at + 1);
        let mut row = row.into_iter();
        let mut next = || row.next().flatten();
        let (prompt, answer, quality, reference) = (next(), next(), next(), next());
        let quality = quality.and_then(|it| it.as_str().trim().parse().ok());
        let quality = quality.and_then(|it| Probability::new(it).ok());
        Ok(Graded {
            ask: Ask { reference, ..Ask::new(vec![], prompt.with_context(|| wrong("prompt"))?) },
            answer: answer.with_context(|| wrong("`answer`"))?,
            quality: quality.with_context(|| wrong("`quality` from 0 to 1"))?.get(),
        })
    });
    let graded = graded.collect::<Result<Vec<_>>>()?;
    ensure!(!graded.is_empty(), "{}: no row is in it", path.display());
    Ok(graded)
}

/// Has the judge grade what others have graded, as far as the money goes.
///
/// # Errors
/// When the work folder cannot be written.
pub async fn against<C: Caller + 'static>(
    panel: &Arc<Panel<C>>,
    judge: &Judge,
    rows: Vec<Graded>,
) -> Result<Agreement> {
    let progress = Progress::start("checking the judge", rows.len() as u64);
    let places = Arc::new(Semaphore::new(panel.settings.concurrency));
    let (rows, mut tasks) = (Arc::new(rows), JoinSet::new());
    for at in 0..rows.len() {
        let Graded { ask, answer, .. } = &rows[at];
        let done = panel.work.with(|state| grade(state, judge, &rows[at])).is_some();
        let at_most = judge.at_most(&judge.request(0, ask, answer));
        progress.advance(1);
        if done {
            continue;
        }
        let Some(held) = panel.spend.reserve(at_most).await else { continue };
        let place = Arc::clone(&places).acquire_owned().await?;
        let (panel, judge, rows) = (Arc::clone(panel), judge.clone(), Arc::clone(&rows));
        tasks.spawn(async move {
            let Graded { ask, answer, .. } = &rows[at];
            let pair = rows[at].pair();
            let done = judged(&panel, &judge, (ask, &pair), answer, held).await;
            drop(place);
            done
        });
    }
    while let Some(done) = tasks.join_next().await {
        done??;
    }
    let levels = |it: &Graded| {
        let found = panel.work.with(|state| grade(state, judge, it))?;
        Some((level(found), level(it.quality)))
    };
    Ok(Agreement::of(&rows.iter().filter_map(levels).collect::<Vec<_>>()))
}

fn grade(state: &State, judge: &Judge, row: &Graded) -> Option<f64> {
    state.grade_of(&row.pair(), &judge.fingerprint(), 0)
}

/// How far the judge's two gradings of the panel's answers agree.
pub fn with_itself<C>(panel: &Panel<C>, judge: &Judge) -> Agreement {
    let grader = judge.fingerprint();
    let each = panel.sampled.iter().flat_map(|it| {
        (0..panel.candidates.len()).map(move |candidate| panel.pair(&it.ask, candidate))
    });
    let levels = |pair: Pair| {
        let grade = |pass| panel.work.with(|state| state.grade_of(&pair, &grader, pass));
        Some((level(grade(0)?), level(grade(1)?)))
    };
    Agreement::of(&each.filter_map(levels).collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn graded_rows_are_read_and_checked() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("g.csv");
        let check = |rows: &str, wanted: Result<usize, &str>| {
            std::fs::write(&path, format!("prompt,answer,quality,reference\n{rows}")).unwrap();
            match (read(&path), wanted) {
                (Ok(found), Ok(wanted)) => assert_eq!(found.len(), wanted),
                (Err(error), Err(part)) => assert!(error.to_string().contains(part), "{error}"),
                (found, _) => panic!("{found:?}"),
            }
        };
        check("p,a,0.5,\np,b,1,r\n", Ok(2));
        check("p,a,2,\n", Err("row 1 has no `quality` from 0 to 1"));
        check("p,a,1,\np,,1,\n", Err("row 2 has no `answer`"));
        check("", Err("no row"));
    }
}
