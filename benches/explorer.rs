//! The dashboard over a log of a million requests: pages of the explorer, and the playground's answers.
//!
//! Run with `cargo bench --bench explorer`; `EXPLORER_RECORDS=100000` asks for another size. A whole server
//! in this process answers over HTTP on loopback, and goes on serving and logging ten requests a second
//! meanwhile. The log is made from two real records, one of them failed over, copied with other ids, times,
//! conversations and metadata, without embeddings (no page reads them): some 5 GB and two minutes for a
//! million. Nothing is asserted but that pages are what they should be: it prints.
#![allow(missing_docs, reason = "a program")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a bench may stop on the first surprise")]

mod names;
#[path = "../tests/support/mod.rs"]
mod support;

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use pointsman::api::proto::{ForcedFault, RouteRequest};
use pointsman::simulator::Simulator;
use rusqlite::params;
use serde_json::{Value, json};
use support::{House, ask, config_text, http_client, instant_models};
use tokio::time::Instant;

/// Asked for in the issue.
const RECORDS: i64 = 1_000_000;
/// Asked for in the issue, milliseconds.
const PAGE_MS_MAX: f64 = 200.0;
const RANK_MS_MAX: f64 = 50.0;
/// Rows of one transaction while the log is made.
const CHUNK: i64 = 20_000;
/// Times that each page is asked for.
const ROUNDS: usize = 40;
/// Between two requests that are served meanwhile.
const EVERY: Duration = Duration::from_millis(100);

const COPY: &str = "
    INSERT INTO outcome (decision, at_unix_ms, record_version, ended, served, cost_picousd, total_ms,
        attempts, session_id, request_id, record, features, embedding)
    WITH RECURSIVE n (n) AS (SELECT ?1 UNION ALL SELECT n + 1 FROM n WHERE n + 1 < ?2)
    SELECT printf('%08x-0000-7000-8000-%012x', n, n), ?3 + n * 40, record_version, ended, served,
        cost_picousd, total_ms, attempts, 's-' || (n % 50000), NULL,
        replace(record, '\"metadata\":{}', '\"metadata\":{\"user\":\"u' || (n % 200) || '\"}'), features, x''
    FROM n JOIN template ON template.at = (n % 20 = 0)";

#[tokio::main]
async fn main() {
    let records = std::env::var("EXPLORER_RECORDS").map_or(RECORDS, |it| it.parse().unwrap());
    let config = |simulator: &Simulator, listen: SocketAddr, store: &Path| {
        config_text(&simulator.base_url(), listen, store) + "[testing]\nallow_faults = true\n"
    };
    let house = House::with(instant_models(), config).await;
    templates(&house).await;
    let (start, store) = (Instant::now(), house.store.clone());
    tokio::task::spawn_blocking(move || fill(&store, records)).await.unwrap();
    let gib = std::fs::metadata(&house.store).unwrap().len() as f64 / f64::from(1 << 30);
    println!("{records} records made in {:.0} s, {gib:.1} GiB", start.elapsed().as_secs_f64());
    let client = house.client.clone();
    let traffic = tokio::spawn(async move {
        let mut client = client;
        loop {
            client.route(ask("Say hello.")).await.unwrap();
            tokio::time::sleep(EVERY).await;
        }
    });
    pages(&house, records).await;
    playground(&house).await;
    traffic.abort();
    // An error would only say that it was aborted.
    let _ = traffic.await;
    house.stop().await;
}

/// Two requests, of which one fell back.
async fn templates(house: &House) {
    let mut client = house.client.clone();
    client.route(ask("Say hello.")).await.unwrap();
    let (target, fault) = ("best".to_owned(), "malformed".to_owned());
    let faults = vec![ForcedFault { target, fault, ..Default::default() }];
    client.route(RouteRequest { faults, ..ask("Say hello.") }).await.unwrap();
}

fn fill(store: &Path, records: i64) {
    let file = support::log_file(store);
    file.pragma_update(None, "synchronous", "off").unwrap();
    file.busy_timeout(Duration::from_secs(30)).unwrap();
    file.execute_batch(
        "CREATE TEMP TABLE template AS SELECT attempts > 1 AS at, * FROM outcome WHERE seq IN (1, 2)",
    )
    .unwrap();
    let base: i64 =
        file.query_row("SELECT min(at_unix_ms) FROM outcome", [], |it| it.get(0)).unwrap();
    let base = base - records * 40;
    for from in (0..records).step_by(CHUNK as usize) {
        file.execute(COPY, params![from, (from + CHUNK).min(records), base]).unwrap();
    }
    file.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
}

async fn pages(house: &House, records: i64) {
    let newest = get(house, "").await;
    let rows = newest["requests"].as_array().unwrap();
    assert_eq!(rows.len(), 50);
    let middle = rows[49]["at_unix_ms"].as_i64().unwrap() - records * 20;
    let time = format!("from={}&until={middle}", middle - 3_600_000);
    let deep = format!("after={middle}.{}", records / 2);
    let asked = [
        ("newest", ""),
        ("in the middle, by place", deep.as_str()),
        ("an hour, long ago", &time),
        ("by model", "model=middle"),
        ("failed in any way", "failed=any"),
        ("failed as malformed", "failed=malformed"),
        ("failed as nobody did (looks at 2,000)", "failed=stalled"),
        ("by conversation", "session=s-77"),
        ("by conversation and model", "session=s-80&model=middle"),
        ("by metadata (1 in 200: looks at 2,000)", "metadata=user%3Du7"),
        ("200 rows", "limit=200"),
    ];
    println!("a page over HTTP, {ROUNDS} times each; limit {PAGE_MS_MAX} ms");
    for (name, query) in asked {
        let mut all = Vec::with_capacity(ROUNDS);
        for _ in 0..ROUNDS {
            let start = Instant::now();
            get(house, query).await;
            all.push(start.elapsed().as_secs_f64() * 1e3);
        }
        tell(name, &all);
    }
}

async fn get(house: &House, query: &str) -> Value {
    let url = format!("http://{}/api/requests?{query}", house.admin);
    let answer = http_client().get(url).send().await.unwrap();
    let (status, told) = (answer.status(), answer.json().await.unwrap());
    assert_eq!(status, 200, "{query}: {told}");
    told
}

/// Prompts that were never read before, as somebody types.
async fn playground(house: &House) {
    println!("the playground's answer over HTTP, each prompt a new one; limit {RANK_MS_MAX} ms");
    let client = http_client();
    for words in [20, 100, 400] {
        let mut all = Vec::with_capacity(ROUNDS);
        for round in 0..ROUNDS {
            // Longer ones than the encoder reads are cut, so the number stands at both ends.
            let text = "Tell me how a signal box works. ".repeat(words / 7);
            let text = format!("{round} {text} {round}");
            let body = json!({
                "model": "auto", "messages": [{"role": "user", "content": text}],
                "pointsman": {"preference": {"cost_per_quality_usd": 0.01}},
            });
            let start = Instant::now();
            let url = format!("http://{}/api/rank", house.admin);
            let answer = client.post(url).json(&body).send().await.unwrap();
            let told: Value = answer.json().await.unwrap();
            all.push(start.elapsed().as_secs_f64() * 1e3);
            assert_eq!(told["ranking"].as_array().unwrap().len(), 3, "{told}");
        }
        tell(&format!("{words} words"), &all);
    }
}

fn tell(name: &str, all: &[f64]) {
    let mut sorted = all.to_vec();
    sorted.sort_by(f64::total_cmp);
    let (median, most) = (sorted[sorted.len() / 2], sorted[sorted.len() - 1]);
    println!("  {name:42} first {:7.1} ms, median {median:7.1} ms, longest {most:7.1} ms", all[0]);
}
