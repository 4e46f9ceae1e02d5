//! Reports as text, JSON and page.
//!
//! In: a small made-up report with awkward names. Out: checks that the page is well-formed, needs
//! nothing from elsewhere, and escapes what it shows.

use super::*;
use crate::choose::{
    Chooser, Field, Kind, PoolRows, ROUTER, best_single, budgets, testing, verdict,
};
use crate::controls::testing as tables;
use crate::course::{Course, Point};
use crate::drift::Drift;
use crate::metrics::Bootstrap;
use crate::offpolicy::Mean;
use crate::split::{Cut, Split};

/// A name that breaks a page that does not escape.
const AWKWARD: &str = "<script src=\"http://x\">&'m-b\"";

fn report() -> Report {
    let mut data = testing::dataset(300);
    data.models[1] = AWKWARD.to_owned();
    let cut = Cut { held_out: 0.5, ..Cut::default() };
    let (train, held_out) = Split::new(&data.prompts, &cut).labels(&data);
    let boot = Bootstrap { draws: 12, seed: 1 };
    let mut figures = Figures::new(&data, &cut, &held_out).with_bootstrap(boot);
    figures.judge_plain_controls(&data, &train, &held_out).unwrap();
    let predicted: Vec<f32> = held_out.iter().map(|it| 0.3 + 0.4 * it.quality).collect();
    figures.judge(Figures::ARTIFACT, &data, &held_out, &predicted).unwrap();
    let mut pool = testing::pool();
    pool.fleets[0].models[1] = AWKWARD.to_owned();
    let rows = PoolRows::new(&pool, &data, &(0..300).collect::<Vec<_>>());
    let router = Chooser {
        quality: rows.cells.iter().map(|it| it.label.quality).collect(),
        cost: rows.cells.iter().map(|it| it.cost).collect(),
        ..Chooser::empty(ROUTER, Kind::Router, rows.cells.len())
    };
    let blind = Chooser { name: "ridge".into(), kind: Kind::TaskBlind, ..router.clone() };
    let budget = budgets(&rows, std::slice::from_ref(&router), &boot);
    let field = Field { choosers: vec![router, blind], best_single: best_single(&rows, &rows) };
    Report {
        title: "A report & more".into(),
        data_sha256: data.digest.clone(),
        figures: Some(figures),
        calibration: vec![CalibrationBin { labels: 9, predicted: 0.2, quality: 0.3 }],
        differences: vec![Difference { name: "AUC".into(), figure: Figure::plain(Some(0.1)) }],
        pools: verdict(&rows, &field, &data.models, &boot).into_iter().collect(),
        cost_ratios: vec![Some(1.0), None, None],
        budgets: vec![PoolBudgets { pool: "made".into(), rows: budget }],
        stability: Vec::new(),
    }
}

/// Every tag that opens closes, in order; nothing is left over.
fn check_well_formed(page: &str) {
    let mut open: Vec<&str> = Vec::new();
    let body = page.strip_prefix("<!DOCTYPE html>").unwrap();
    for piece in body.split('<').skip(1) {
        let (tag, _) = piece.split_once('>').unwrap();
        let name = tag.trim_start_matches('/').split([' ', '/', '\n']).next().unwrap();
        match tag {
            it if it.starts_with('/') => assert_eq!(open.pop(), Some(name)),
            it if it.ends_with('/') => {}
            _ => open.push(name),
        }
    }
    assert!(open.is_empty(), "{open:?}");
}

#[test]
fn the_page_is_whole_and_needs_nothing_else() {
    let page = html(&report());
    check_well_formed(&page);
    for outside in ["<script", "<link", "<img", "url(", "@import", "src=", "href=", "://"] {
        let escaped = page.replace("&lt;script src=&quot;http://x&quot;&gt;", "");
        assert!(!escaped.contains(outside), "{outside}");
    }
    for part in ["prefers-color-scheme: dark", "role=\"img\"", "A report &amp; more", "<caption>"] {
        assert!(page.contains(part), "{part}");
    }
    assert!(!page.contains("NaN") && !page.contains("inf"), "a number that is none");
    assert_eq!(page.matches("<svg").count(), page.matches("<desc").count());
    assert_eq!(page.matches("<svg").count(), 4);
}

#[test]
fn a_log_is_a_page_with_a_dot_for_each_point() {
    let point = |at: usize| {
        let (mut utility, mut score) = (Mean::default(), Mean::default());
        [0.2, 0.3, 0.7].iter().for_each(|it| utility.add(it + 0.01 * at as f64));
        score.add(0.5);
        let artifact_version = format!("{AWKWARD}.{at}");
        let date = format!("2026-01-{:02}", at / 2 + 1);
        Point { date, artifact_version, decisions: 9, utility, score, ..Point::default() }
    };
    let course = |points: Vec<Point>| Course { points, ..Course::default() };
    let drift = Drift::of(&Vec::new()).unwrap();
    let mut all: Vec<Point> = (0..30).map(point).collect();
    // Nobody scored these.
    all.push(Point { utility: Mean::default(), ..point(31) });
    let page = log_html(&course(all).against(AWKWARD, 0.75), &drift);
    check_well_formed(&page);
    assert_eq!((page.matches("<circle").count(), page.matches("whisker\"").count()), (30, 30));
    assert!(page.contains("<title>2026-01-15, &lt;script") && !page.contains("<script"));
    assert!(page.contains("2026-01-16") && page.contains("0.7500") && !page.contains("NaN"));
    let page = log_html(&course(vec![]), &drift);
    check_well_formed(&page);
    assert!(page.contains("Nobody scored") && !page.contains("<svg"));
}

#[test]
fn json_reads_back_and_text_has_the_tables() {
    let report = report();
    let back: Report = serde_json::from_str(&serde_json::to_string(&report).unwrap()).unwrap();
    assert_eq!(back.pools, report.pools);
    let text = report.to_string();
    for part in
        ["Pool made", "ridge", "always-cheapest", "geometric mean", "knows the task", "0.1000"]
    {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(!text.contains("NaN"), "{text}");
}

#[test]
fn an_empty_report_is_still_a_page() {
    let data = tables::dataset(4);
    let report = Report {
        figures: None,
        calibration: Vec::new(),
        pools: Vec::new(),
        budgets: Vec::new(),
        differences: Vec::new(),
        data_sha256: data.digest,
        ..report()
    };
    check_well_formed(&html(&report));
    assert!(!report.to_string().contains("Pool"));
}
