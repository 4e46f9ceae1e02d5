//! What is written about metrics names those that there are.

use std::collections::{BTreeMap, BTreeSet};

use crate::figures;
use crate::scrape::Scrape;

const PAGE: &str = include_str!("../../docs/operating.md");
const RULES: &str = include_str!("../../deploy/prometheus/rules.yml");
const DASHBOARD: &str = include_str!("../../deploy/grafana/pointsman.json");

/// Every name of ours in a text, without what a histogram's samples add.
fn names(text: &str) -> BTreeSet<&str> {
    let words = text.split(|it: char| !(it.is_ascii_alphanumeric() || it == '_'));
    let own = words.filter(|it| it.starts_with("pointsman_"));
    own.map(|it| {
        ["_bucket", "_sum", "_count"].iter().find_map(|end| it.strip_suffix(end)).unwrap_or(it)
    })
    .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_dashboard_and_page_name_metrics_that_there_are() {
    let house = figures::house().await;
    figures::traffic(&house).await;
    let families = Scrape::of(&house).await.families;
    for (what, text) in [("rules", RULES), ("dashboard", DASHBOARD), ("page", PAGE)] {
        let used = names(text);
        assert!(!used.is_empty(), "{what}");
        let strange: Vec<_> = used.iter().filter(|it| !families.contains_key(**it)).collect();
        assert!(strange.is_empty(), "{what} names what there is not: {strange:?}");
    }
    // The page lists each of them with its type.
    let rows = PAGE.lines().filter(|it| it.starts_with("| `pointsman_"));
    let listed: BTreeMap<String, String> = rows
        .map(|it| {
            let cells: Vec<_> = it.split('|').map(str::trim).collect();
            (cells[1].trim_matches('`').to_owned(), cells[2].to_owned())
        })
        .collect();
    assert_eq!(listed, families);
    house.stop().await;
}

#[test]
fn the_page_tells_every_alert() {
    let alerts = RULES.lines().filter_map(|it| it.trim().strip_prefix("- alert: "));
    let alerts: Vec<_> = alerts.collect();
    assert!(alerts.len() > 5);
    let untold: Vec<_> = alerts.iter().filter(|it| !PAGE.contains(&format!("`{it}`"))).collect();
    assert!(untold.is_empty(), "docs/operating.md does not tell what to do: {untold:?}");
}

#[test]
fn the_dashboard_is_json() {
    let dashboard: serde_json::Value = serde_json::from_str(DASHBOARD).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    assert!(
        panels.iter().all(|it| it["title"].is_string() && it["targets"][0]["expr"].is_string())
    );
    assert!(panels.len() > 8);
}
