//! A report as one page that needs nothing else: no script, no font, no picture from elsewhere.
//!
//! In: [`Report`]. Out: HTML that is well-formed XML too. Invariant: every text is escaped; every
//! plot has a title, a description and a table; colours follow the reader's light or dark setting.
//! Not here: plots (see [`super::plots`]).

use std::fmt::Write as _;

use super::Report;
use super::plots::{self, Drawing};
use super::svg::escape;
use super::tables::{self, Sheet};
use crate::choose::PoolReport;

const STYLE: &str = "
:root { color-scheme: light dark; --ink: #1c1d21; --paper: #ffffff; --soft: #5c6068; --rule: #d9dbe0;
  --s0: #c2255c; --s1: #8a8f98; --s2: #1864ab; --s3: #2b8a3e; --s4: #b35c00; --s5: #5f3dc4; --s6: #0b7285; --s7: #7a6a00; --s8: #862e9c; }
@media (prefers-color-scheme: dark) { :root { --ink: #e9eaee; --paper: #16171b; --soft: #a2a7b0; --rule: #34373e;
  --s0: #ff6b9d; --s1: #7f858f; --s2: #74b8f5; --s3: #69db7c; --s4: #ffa94d; --s5: #b197fc; --s6: #3bc9db; --s7: #d8c84a; --s8: #e599f7; } }
body { font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); max-width: 62rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.25rem; margin-top: 2.5rem; } .soft { color: var(--soft); overflow-wrap: anywhere; }
figure { margin: 1rem 0; } figcaption { font-weight: 600; } svg { width: 100%; height: auto; }
svg text { fill: var(--ink); font-size: 12px; } svg .mark { fill: var(--soft); font-size: 11px; }
.grid { stroke: var(--rule); stroke-width: 1; fill: none; } .whisker { stroke: var(--ink); stroke-width: 1.2; }
.line { fill: none; stroke-width: 1.8; } .line.s0 { stroke-width: 3.2; } .ink { --c: var(--ink); }
.s0 { --c: var(--s0); } .s1 { --c: var(--s1); } .s2 { --c: var(--s2); } .s3 { --c: var(--s3); }
.s4 { --c: var(--s4); } .s5 { --c: var(--s5); } .s6 { --c: var(--s6); } .s7 { --c: var(--s7); } .s8 { --c: var(--s8); }
.line.grid { stroke: var(--soft); stroke-dasharray: 4 4; } .line:not(.grid) { stroke: var(--c); } .fill { fill: var(--c); }
.key { list-style: none; display: flex; flex-wrap: wrap; gap: .3rem 1.2rem; padding: 0; font-size: .9rem; }
.key i { display: inline-block; width: 1.1em; height: .35em; margin-right: .4em; vertical-align: middle; background: var(--c); }
.wide { overflow-x: auto; } table { border-collapse: collapse; font-size: .85rem; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .2rem .7rem .2rem 0; border-bottom: 1px solid var(--rule); white-space: nowrap; }
caption { text-align: left; font-weight: 600; padding: .4rem 0; } summary { cursor: pointer; }
";

/// The page.
pub fn html(report: &Report) -> String {
    let mut page = String::new();
    // Writing to a String cannot fail.
    let _ = write_page(&mut page, report);
    page
}

fn write_page(out: &mut String, report: &Report) -> std::fmt::Result {
    write_head(out, &report.title)?;
    writeln!(
        out,
        "<p class=\"soft\">Table SHA-256 {}. Figures stand with their 95 % bootstrap intervals over \
         questions.</p>",
        escape(&report.data_sha256)
    )?;
    if !report.pools.is_empty() {
        writeln!(out, "<h2>Cost at equal quality</h2>")?;
        write_sheet(out, &tables::savings(report))?;
    }
    for pool in &report.pools {
        write_pool(out, pool)?;
    }
    if report.figures.is_some() {
        writeln!(out, "<h2>Single predictions</h2>")?;
        for drawing in plots::predictions(report) {
            write_drawing(out, &drawing)?;
        }
        for sheet in tables::predictions(report) {
            write_folded(out, &sheet)?;
        }
    }
    writeln!(out, "<h2>Limits, stability, differences</h2>")?;
    for sheet in tables::rest(report) {
        write_folded(out, &sheet)?;
    }
    write_end(out)
}

/// All before the first paragraph.
pub(super) fn write_head(out: &mut String, title: &str) -> std::fmt::Result {
    let title = escape(title);
    writeln!(
        out,
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n\
         <title>{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n<h1>{title}</h1>"
    )
}

/// All after the last.
pub(super) fn write_end(out: &mut String) -> std::fmt::Result {
    writeln!(out, "</main>\n</body>\n</html>")
}

fn write_pool(out: &mut String, pool: &PoolReport) -> std::fmt::Result {
    writeln!(
        out,
        "<h2>Pool {}</h2>\n<p>{}. {} requests, {} questions. Always-best is {}: quality {:.4} at {:.6} \
         USD a request; always-cheapest: {:.4} at {:.6} USD.</p>",
        escape(&pool.name),
        escape(&pool.about),
        pool.requests,
        pool.questions,
        escape(&pool.best_models.join(" and ")),
        pool.always_best.quality,
        pool.always_best.cost,
        pool.always_cheapest.quality,
        pool.always_cheapest.cost
    )?;
    write_drawing(out, &plots::frontier(pool))?;
    write_drawing(out, &plots::savings(pool))?;
    write_folded(out, &tables::pool(pool))
}

pub(super) fn write_drawing(out: &mut String, drawing: &Drawing) -> std::fmt::Result {
    let title = escape(&drawing.title);
    writeln!(out, "<figure>\n<figcaption>{title}</figcaption>\n{}<ul class=\"key\">", drawing.svg)?;
    for (class, name) in &drawing.key {
        writeln!(out, "<li><i class=\"{}\"></i>{}</li>", escape(class), escape(name))?;
    }
    writeln!(out, "</ul>\n</figure>")
}

pub(super) fn write_folded(out: &mut String, sheet: &Sheet) -> std::fmt::Result {
    if sheet.rows.is_empty() {
        return Ok(());
    }
    writeln!(out, "<details>\n<summary>{}</summary>", escape(&sheet.title))?;
    write_sheet(out, sheet)?;
    writeln!(out, "</details>")
}

pub(super) fn write_sheet(out: &mut String, sheet: &Sheet) -> std::fmt::Result {
    writeln!(
        out,
        "<div class=\"wide\"><table>\n<caption>{}</caption>\n<thead><tr>",
        escape(&sheet.title)
    )?;
    for it in &sheet.columns {
        write!(out, "<th scope=\"col\">{}</th>", escape(it))?;
    }
    writeln!(out, "</tr></thead>\n<tbody>")?;
    for row in &sheet.rows {
        write!(out, "<tr>")?;
        for (at, cell) in row.iter().enumerate() {
            let cell = escape(cell);
            match at {
                0 => write!(out, "<th scope=\"row\">{cell}</th>")?,
                _ => write!(out, "<td>{cell}</td>")?,
            }
        }
        writeln!(out, "</tr>")?;
    }
    writeln!(out, "</tbody>\n</table></div>")
}
