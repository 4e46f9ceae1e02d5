//! The plots of a report: frontier, savings at equal quality, AUC per domain, calibration.
//!
//! In: [`Report`]. Out: [`Drawing`]s. Invariant: the router has the same colour everywhere, and what
//! a plot shows stands in a table, too. Not here: shapes (see [`super::svg`]).

use super::svg::{Axis, Plot};
use super::{CalibrationBin, Report};
use crate::choose::{ChooserReport, Kind, PoolReport, ROUTER};
use crate::evaluate::Figures;
use crate::metrics::Figure;

/// A plot with its heading and its key: class and name.
pub(super) struct Drawing {
    pub(super) title: String,
    pub(super) svg: String,
    pub(super) key: Vec<(String, String)>,
}

/// Colours of the style sheet after the router's.
const COLOURS: usize = 8;

fn colour(at: usize) -> String {
    format!("s{}", 1 + at % COLOURS)
}

/// The choosers that are drawn: those with a curve, the artifact to compare with too.
fn drawn(pool: &PoolReport) -> Vec<(String, &ChooserReport)> {
    let curves = pool.choosers.iter().filter(|it| it.hull.len() > 1 || it.kind == Kind::Router);
    let named = |it| !str::starts_with(it, "always-") && !str::starts_with(it, "best single");
    let class = |at: usize, it: &ChooserReport| match it.name.as_str() {
        ROUTER => "s0".to_owned(),
        _ => colour(at.saturating_sub(1)),
    };
    curves
        .filter(|it| named(it.name.as_str()))
        .enumerate()
        .map(|(at, it)| (class(at, it), it))
        .collect()
}

/// Quality over cost.
pub(super) fn frontier(pool: &PoolReport) -> Drawing {
    let choosers = drawn(pool);
    let best = pool.always_best;
    let corners = || choosers.iter().flat_map(|it| &it.1.hull);
    let share = |cost: f64| cost / best.cost;
    let low = corners().map(|it| share(it.cost)).fold(1.0, f64::min);
    let high = share(pool.range.1).max(1.0);
    let bottom = corners().map(|it| it.quality).fold(best.quality, f64::min);
    let top = corners().map(|it| it.quality).fold(best.quality, f64::max);
    let mut plot = Plot::new(
        Axis::powers("mean cost, share of always-best's (logarithmic)", low, high),
        Axis::linear("mean quality", bottom, top),
    );
    for (class, it) in &choosers {
        let mut points: Vec<(f64, f64)> = curve(it, best.cost);
        points.extend(it.hull.last().map(|last| (high.log10(), last.quality)));
        plot.line(class, &it.name, &points);
    }
    let name = format!("always-best: {}", pool.best_models.join(" and "));
    plot.dot("ink", &name, (0.0, best.quality), 5.0);
    let title = format!("Quality and cost, pool {}: {}", pool.name, pool.about);
    let about = "Convex hulls of mean quality over mean cost, one line per chooser; higher and further \
                 left is better. The dot is always-best. The table below has the areas.";
    Drawing {
        svg: plot.finish(&format!("frontier-{}", id(&pool.name)), &title, about),
        title,
        key: choosers.into_iter().map(|(class, it)| (class, it.name.clone())).collect(),
    }
}

/// A hull with straight lines drawn straight in cost, which bend on a logarithmic axis.
fn curve(it: &ChooserReport, unit: f64) -> Vec<(f64, f64)> {
    let pieces = it.hull.windows(2).flat_map(|pair| {
        (0..12).map(|step| {
            let part = f64::from(step) / 12.0;
            let cost = pair[0].cost + part * (pair[1].cost - pair[0].cost);
            let quality = pair[0].quality + part * (pair[1].quality - pair[0].quality);
            ((cost / unit).log10(), quality)
        })
    });
    pieces.chain(it.hull.last().map(|it| ((it.cost / unit).log10(), it.quality))).collect()
}

fn id(name: &str) -> String {
    name.chars().map(|it| if it.is_ascii_alphanumeric() { it } else { '-' }).collect()
}

/// One colour of bars: its class, its name, a figure per group.
type Series = (String, String, Vec<Figure>);

/// Bars in groups: one group per name, one bar per series.
fn bars(y: Axis, groups: &[String], series: &[Series], title: (&str, &str)) -> Drawing {
    let mut plot = Plot::new(Axis::names("", groups), y);
    let width = 0.84 / series.len().max(1) as f64;
    for (at, (class, name, figures)) in series.iter().enumerate() {
        for (group, figure) in figures.iter().enumerate() {
            let Some(value) = figure.value else { continue };
            let left = group as f64 + 0.08 + at as f64 * width;
            let ends = [figure.low, figure.high].map(|it| it.unwrap_or(f64::NAN));
            let text = format!("{name}, {}: {figure}", groups[group]);
            plot.bar(class, &text, (left, left + 0.9 * width), [value, ends[0], ends[1]]);
        }
    }
    let about = "Bars with 95 % intervals; the values stand in the table.";
    Drawing {
        svg: plot.finish(title.1, title.0, about),
        title: title.0.to_owned(),
        key: series.iter().map(|it| (it.0.clone(), it.1.clone())).collect(),
    }
}

/// Cost at 95, 99 and 100 % of always-best's quality.
pub(super) fn savings(pool: &PoolReport) -> Drawing {
    let shown = drawn(pool).into_iter().filter(|it| it.1.kind != Kind::Oracle);
    let series: Vec<_> =
        shown.map(|(class, it)| (class, it.name.clone(), it.figures[1..4].to_vec())).collect();
    let title = format!("Cost at equal quality, pool {}: share of always-best's cost", pool.name);
    let name = format!("savings-{}", id(&pool.name));
    let groups = ["95 % of its quality", "99 %", "100 %"].map(str::to_owned);
    bars(Axis::linear("share of cost", 0.0, 1.0), &groups, &series, (&title, &name))
}

/// AUC per source.
pub(super) fn domains(figures: &Figures) -> Option<Drawing> {
    let own = figures.per_source.iter().filter(|it| it.name == Figures::ARTIFACT);
    let sources: Vec<String> =
        own.filter(|it| it.quality.auc.is_some()).map(|it| it.source.clone()).collect();
    if sources.is_empty() {
        return None;
    }
    let of = |name: &str| -> Vec<Figure> {
        let find = |source: &String| {
            let mut rows = figures.per_source.iter();
            rows.find(|it| it.name == name && it.source == *source).map(|it| it.intervals.auc)
        };
        sources.iter().map(|it| find(it).unwrap_or_default()).collect()
    };
    let mut others = figures.rows.iter().filter(|it| it.name != Figures::ARTIFACT).enumerate();
    let mut series = vec![("s0".to_owned(), Figures::ARTIFACT.to_owned(), of(Figures::ARTIFACT))];
    series.extend(others.by_ref().map(|(at, it)| (colour(at), it.name.clone(), of(&it.name))));
    let title = "AUC per source, mean over models";
    let axis = Axis::linear("AUC", 0.4, 1.0);
    Some(bars(axis, &sources, &series, (title, "domains")))
}

/// Quality over prediction.
pub(super) fn calibration(bins: &[CalibrationBin]) -> Option<Drawing> {
    let most = bins.iter().map(|it| it.labels).max()? as f64;
    let axis = |name| Axis::linear(name, 0.0, 1.0);
    let mut plot = Plot::new(axis("mean prediction"), axis("mean quality"));
    plot.line("grid", "perfect", &[(0.0, 0.0), (1.0, 1.0)]);
    let points: Vec<(f64, f64)> = bins.iter().map(|it| (it.predicted, it.quality)).collect();
    plot.line("s0", "router", &points);
    for it in bins {
        let title =
            format!("{:.3} predicted, {:.3} came, {} labels", it.predicted, it.quality, it.labels);
        let radius = 3.0 + 7.0 * (it.labels as f64 / most).sqrt();
        plot.dot("s0", &title, (it.predicted, it.quality), radius);
    }
    let title = "Calibration: what came over what was predicted";
    let about = "A dot per fifteenth of the range of predictions, its area by the number of labels; on \
                 the diagonal, what was predicted came true.";
    Some(Drawing {
        svg: plot.finish("calibration", title, about),
        title: title.to_owned(),
        key: vec![("s0".to_owned(), "router".to_owned())],
    })
}

/// All plots of a report about single predictions.
pub(super) fn predictions(report: &Report) -> Vec<Drawing> {
    let domains = report.figures.as_ref().and_then(domains);
    domains.into_iter().chain(calibration(&report.calibration)).collect()
}
