//! What a fallback costs: a primary that fails at once, and then the second provider, against the
//! second provider asked directly.
//!
//! Run with `cargo bench --bench failover`. Server, providers and caller are in this process, on
//! loopback. The same caller asks three ways in turns, so that all meet the same noise: the provider
//! directly, through the server, and through the server with a primary that fails. The primary refuses
//! with its filter and the caller lets that fall back: then the table goes on at once, and the class
//! says nothing of the deployment's health, so that it is called again every time. A 503 has its own
//! pause of 50 to 500 ms before the same deployment is asked again, which the table wants, until its
//! breaker opens: the last lines tell of that.
#![allow(missing_docs, reason = "a program")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a bench may stop on the first surprise")]

#[path = "../tests/support/mod.rs"]
mod support;

use std::time::Instant;

use pointsman::simulator::{Fault, FaultRates};
use reqwest::Client;
use serde_json::{Value, json};
use support::{House, ROWS};

/// Timed rounds, after the warm-up.
const ROUNDS: usize = 1_000;
const WARM_UP: usize = 100;
/// Asked for in the issue: what the fallback may add to a direct call to the second provider.
const ADDED_MS_MAX: f64 = 1.0;

#[tokio::main]
async fn main() {
    let house = House::start(support::instant_models()).await;
    let client = support::http_client();
    let direct = house.simulator.base_url();
    let through = format!("http://{}/v1", house.address);
    let [first, second, _] = ROWS.map(|it| it.name);
    let refuses = FaultRates::always(Fault::ContentFilter);
    house.simulator.set_faults(first, refuses).unwrap();

    let (mut alone, mut routed, mut fallen) = (Vec::new(), Vec::new(), Vec::new());
    for at in 0..WARM_UP + ROUNDS {
        // Reading a prompt for the first time is no part of a fallback: `cargo bench --bench encoder`.
        ask(&client, &through, &body(at, &[second], "auto")).await;
        let (direct_ms, _) = ask(&client, &direct, &body(at, &[second], second)).await;
        let (routed_ms, told) = ask(&client, &through, &body(at, &[second], "auto")).await;
        assert_eq!(walk(&told), [second]);
        let (fallen_ms, told) = ask(&client, &through, &body(at, &[first, second], "auto")).await;
        assert_eq!(walk(&told), [first, second]);
        if at >= WARM_UP {
            alone.push(direct_ms);
            routed.push(routed_ms);
            fallen.push(fallen_ms);
        }
    }
    let added = median(differences(&fallen, &alone));
    let own = median(differences(&routed, &alone));
    let failed = median(differences(&fallen, &routed));
    let [alone, routed, fallen] = [alone, routed, fallen].map(median);
    println!("whole answers, median of {ROUNDS} rounds");
    println!("  the second provider, asked directly:       {alone:.3} ms");
    println!("  the second provider, through us:           {routed:.3} ms (+ {own:.3} ms)");
    println!("  after a first one that fails, through us:  {fallen:.3} ms (+ {failed:.3} ms)");
    println!(
        "added by the failed attempt and the fallback: {failed:.3} ms (limit {ADDED_MS_MAX} ms)"
    );
    println!(
        "added to a direct call, our choosing included: {added:.3} ms (limit {ADDED_MS_MAX} ms)"
    );

    let ill = FaultRates::always(Fault::Status { code: 503, retry_after: None });
    house.simulator.set_faults(first, ill).unwrap();
    let (mut alone, mut ill_first, mut paused) = (Vec::new(), Vec::new(), Vec::new());
    for at in 0..ROUNDS {
        let (direct_ms, _) = ask(&client, &direct, &body(at, &[second], second)).await;
        let (ms, told) = ask(&client, &through, &body(at, &[first, second], "auto")).await;
        let walk = walk(&told);
        assert_eq!(walk.last().map(String::as_str), Some(second));
        alone.push(direct_ms);
        ill_first.push(ms);
        // One that has failed often is passed over.
        paused.extend((walk[0] == first).then_some(ms));
    }
    let added = median(differences(&ill_first, &alone));
    let share = 100.0 * paused.len() as f64 / ROUNDS as f64;
    println!("a first one that answers 503 at once, always: {ROUNDS} rounds, breakers at work");
    println!("  added to a direct call, median: {added:.3} ms (limit {ADDED_MS_MAX} ms)");
    println!("  it was still called in {share:.1} % of them; these took {:.0} ms", median(paused));
    println!("  (of which 50 to 500 ms are the pause before it is asked once more)");
    house.stop().await;
}

/// A request; what it wants of us is nothing to the provider.
fn body(number: usize, order: &[&str], model: &str) -> Value {
    let mut body = json!({
        "model": model,
        "messages": [{ "role": "user", "content": support::prompt(number) }],
    });
    if model == "auto" {
        let (candidates, fallback) =
            (json!({ "order": order }), json!({ "on_content_filter": true }));
        body["pointsman"] = json!({ "candidates": candidates, "fallback": fallback });
    }
    body
}

/// From the request to the end of the answer, milliseconds, and the answer.
async fn ask(client: &Client, base: &str, body: &Value) -> (f64, Value) {
    let start = Instant::now();
    let response = client.post(format!("{base}/chat/completions")).json(body).send().await.unwrap();
    let told = response.error_for_status().unwrap().bytes().await.unwrap();
    let ms = start.elapsed().as_secs_f64() * 1_000.0;
    (ms, serde_json::from_slice(&told).unwrap())
}

/// The models that were called, in order.
fn walk(told: &Value) -> Vec<String> {
    let attempts = told["pointsman"]["attempts"].as_array().unwrap();
    let name =
        |it: &Value| it["deployment"].as_str().unwrap().split('@').next().unwrap().to_owned();
    attempts.iter().map(name).collect()
}

fn differences(more: &[f64], less: &[f64]) -> Vec<f64> {
    more.iter().zip(less).map(|(more, less)| more - less).collect()
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}
