//! A report for the terminal.
//!
//! In: [`Report`]. Out: plain text in columns, through `Display`. Invariant: the widest cell sets a
//! column's width, so columns are straight. Not here: what the cells say (see [`super::tables`]).

use std::fmt;

use super::Report;
use super::tables::{self, Sheet};

impl fmt::Display for Report {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(out, "{}\ntable {}", self.title, self.data_sha256)?;
        if let Some(figures) = &self.figures {
            let (share, seed) = (100.0 * figures.cut.held_out, &figures.cut.seed);
            let labels = figures.held_out_labels;
            writeln!(out, "{labels} held-out labels ({share} % of questions, seed `{seed}`)")?;
        }
        for sheet in tables::predictions(self) {
            write(out, &sheet)?;
        }
        for pool in &self.pools {
            writeln!(
                out,
                "\nPool {}: {}\n{} requests, {} questions; always-best is {}: quality {:.4} at {:.6} USD; \
                 always-cheapest: {:.4} at {:.6} USD",
                pool.name,
                pool.about,
                pool.requests,
                pool.questions,
                pool.best_models.join(" and "),
                pool.always_best.quality,
                pool.always_best.cost,
                pool.always_cheapest.quality,
                pool.always_cheapest.cost
            )?;
            write(out, &tables::pool(pool))?;
        }
        if !self.pools.is_empty() {
            write(out, &tables::savings(self))?;
        }
        for sheet in tables::rest(self) {
            write(out, &sheet)?;
        }
        Ok(())
    }
}

fn write(out: &mut fmt::Formatter<'_>, sheet: &Sheet) -> fmt::Result {
    if sheet.rows.is_empty() {
        return Ok(());
    }
    let width = |column: usize| {
        let cells = sheet.rows.iter().chain([&sheet.columns]);
        cells.filter_map(|it| it.get(column)).map(|it| it.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..sheet.columns.len()).map(width).collect();
    writeln!(out, "\n{}", sheet.title)?;
    for row in [&sheet.columns].into_iter().chain(&sheet.rows) {
        let cells = row.iter().zip(&widths).map(|(it, width)| format!("{it:width$}"));
        writeln!(out, "  {}", cells.collect::<Vec<_>>().join("  ").trim_end())?;
    }
    Ok(())
}
