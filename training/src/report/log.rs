//! What a log says, as a page: what answers were worth, and how far it has drifted.
//!
//! In: [`Course`], [`Drift`]. Out: a page like that of a report. Invariant: as for it; what the plot
//! shows stands in the table, too. Not here: the figures.

use super::html::{write_drawing, write_end, write_folded, write_head, write_sheet};
use super::plots::Drawing;
use super::svg::{Axis, Plot};
use super::tables::Sheet;
use crate::course::{Course, Point, text};
use crate::drift::{Drift, Gap};

/// Labels under the plot.
const MARKS_MAX: usize = 8;
/// Points in the plot, the newest; the table has all.
const POINTS_MAX: usize = 365;
/// Above and below everything, as a share of the height.
const ROOM: f64 = 0.05;
/// A normal distribution has 95 % within so many standard errors.
const NORMAL_95: f64 = 1.96;

/// The page of a log.
pub fn log_html(course: &Course, drift: &Drift) -> String {
    let mut page = String::new();
    // Writing to a String cannot fail.
    let _ = write_page(&mut page, course, drift);
    page
}

fn write_page(out: &mut String, course: &Course, drift: &Drift) -> std::fmt::Result {
    use std::fmt::Write as _;
    write_head(out, "What the outcome log says")?;
    writeln!(out, "<h2>What answers were worth</h2>")?;
    match drawing(course) {
        Some(drawing) => write_drawing(out, &drawing)?,
        None => writeln!(out, "<p>Nobody scored an answer.</p>")?,
    }
    write_sheet(out, &points(course))?;
    writeln!(
        out,
        "<h2>Drift</h2>\n<p>{} newer decisions against {} older ones, {} left out. {} features have \
         shifted (PSI above {:.2}).</p>",
        drift.newer,
        drift.older,
        drift.left_out,
        drift.shifted().count(),
        drift.bound()
    )?;
    write_sheet(out, &forecasts(drift))?;
    write_folded(out, &features(drift))?;
    write_end(out)
}

/// Utility over time, with its intervals; `None` where there is none.
fn drawing(course: &Course) -> Option<Drawing> {
    let scored: Vec<&Point> = course.points.iter().filter(|it| it.utility.count > 0).collect();
    let shown = &scored[scored.len().saturating_sub(POINTS_MAX)..];
    let last = shown.len().checked_sub(1)? as f64;
    let margin = |it: &Point| NORMAL_95 * it.utility.error().unwrap_or(0.0);
    let ends =
        shown.iter().flat_map(|it| [-1.0, 1.0].map(|way| it.utility.mean + way * margin(it)));
    let all: Vec<f64> = ends.chain(course.references.iter().map(|it| it.utility)).collect();
    let low = all.iter().copied().fold(f64::INFINITY, f64::min);
    let high = all.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    // What lies at an edge is seen badly.
    let (low, high) = (low - ROOM * (high - low), high + ROOM * (high - low));
    let axis = Axis { name: String::new(), low: -0.5, high: last + 0.5, marks: marks(shown) };
    let mut plot = Plot::new(axis, Axis::linear("mean utility of scored answers", low, high));
    for it in &course.references {
        let line = [(-0.5, it.utility), (last + 0.5, it.utility)];
        plot.line("grid", &format!("{}: {:.4}", it.name, it.utility), &line);
    }
    let line: Vec<_> =
        shown.iter().enumerate().map(|(at, it)| (at as f64, it.utility.mean)).collect();
    plot.line("s0", "mean utility", &line);
    for (at, it) in shown.iter().enumerate() {
        let (mean, margin) = (it.utility.mean, margin(it));
        plot.whisker(at as f64, mean - margin, mean + margin);
        let (date, version, count) = (&it.date, &it.artifact_version, it.utility.count);
        let title = format!("{date}, {version}: {mean:.4} ± {margin:.4}, {count} scored");
        plot.dot("s0", &title, (at as f64, mean), 4.0);
    }
    let title = "Utility, by day and artifact";
    let about = "A dot per day and artifact with its 95 % interval: the score less what money and time \
                 were worth. Dashed lines are what it is held against. Requests may differ from day to \
                 day.";
    let mut key = vec![("s0".to_owned(), "mean utility".to_owned())];
    key.extend(course.references.iter().map(|it| ("ink".to_owned(), it.name.clone())));
    Some(Drawing { svg: plot.finish("course", title, about), title: title.to_owned(), key })
}

/// Days under the dots; where all is of one day, what tells its artifacts apart.
fn marks(shown: &[&Point]) -> Vec<(f64, String)> {
    let one_day = shown.windows(2).all(|pair| pair[0].date == pair[1].date);
    let label = |it: &Point| match one_day && shown.len() > 1 {
        true => it.artifact_version.rsplit('.').next().unwrap_or_default().to_owned(),
        false => it.date.clone(),
    };
    let every = shown.len().div_ceil(MARKS_MAX).max(1);
    let marked = shown.iter().enumerate().step_by(every);
    marked.map(|(at, it)| (at as f64, label(it))).collect()
}

fn points(course: &Course) -> Sheet {
    let columns = ["day", "artifact", "decisions", "scored", "utility", "score", "USD", "seconds"];
    let mut sheet = Sheet::new("By day and artifact, mean ± standard error", &columns);
    sheet.rows.extend(course.points.iter().map(|it| {
        vec![
            it.date.clone(),
            it.artifact_version.clone(),
            it.decisions.to_string(),
            it.score.count.to_string(),
            text(&it.utility),
            text(&it.score),
            format!("{:.6}", it.cost_usd.mean),
            format!("{:.3}", it.latency_s.mean),
        ]
    }));
    let reference = |name: &str, utility: f64| {
        let mut row = vec![String::new(), name.to_owned()];
        row.extend(["-", "-", &format!("{utility:.4}"), "-", "-", "-"].map(str::to_owned));
        row
    };
    sheet.rows.extend(course.references.iter().map(|it| reference(&it.name, it.utility)));
    sheet
}

fn forecasts(drift: &Drift) -> Sheet {
    let columns = ["model", "what", "older: foretold", "came", "newer: foretold", "came"];
    let mut sheet = Sheet::new("What was foretold of who answered, and what came", &columns);
    let cells = |of: &Gap| match of.answers {
        0 => ["-".to_owned(), "-".to_owned()],
        _ => [format!("{:.5}", of.predicted), format!("{:.5} ± {:.5}", of.realised, of.margin)],
    };
    sheet.rows.extend(drift.forecasts.iter().map(|it| {
        let names = [it.model.clone(), it.measure.as_str().to_owned()];
        let (older, newer) = (cells(&it.older), cells(&it.newer));
        names.into_iter().chain(older).chain(newer).collect()
    }));
    sheet
}

fn features(drift: &Drift) -> Sheet {
    let mut sheet = Sheet::new("Population stability index of every feature", &["feature", "PSI"]);
    let row = |it: &crate::drift::FeatureDrift| vec![it.feature.clone(), format!("{:.3}", it.psi)];
    sheet.rows.extend(drift.features.iter().map(row));
    sheet
}
