//! What a stream costs when it goes through us: time to the first content, and memory while open.
//!
//! Run with `cargo bench --bench stream`. The server is a process of its own, so that its memory is
//! nobody else's; provider and caller are in this one, on loopback. The same caller asks the
//! provider directly and through the server in turns, so that both meet the same noise.
#![allow(missing_docs, reason = "a program")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a bench may stop on the first surprise")]

#[path = "../tests/support/mod.rs"]
mod support;

use std::net::SocketAddr;
use std::process::Stdio;
use std::time::Instant;

use pointsman::simulator::Fault;
use reqwest::{Client, Response};
use serde_json::json;
use tokio::process::{Child, Command};

/// Timed pairs, after the warm-up.
const PAIRS: usize = 1_000;
const WARM_UP: usize = 100;
/// Streams that are open at the same time.
const STREAMS: usize = 1_000;
/// Opened at the same time, so that no accept queue overflows.
const AT_ONCE: usize = 50;
/// Asked for in the issue: what the first content may take longer, and a stream hold.
const ADDED_MS_MAX: f64 = 1.0;
const KIB_MAX: f64 = 64.0;

#[tokio::main]
async fn main() {
    let simulator = support::simulator(support::instant_models()).await;
    let folder = tempfile::tempdir().unwrap();
    let address = free_address().await;
    let config = folder.path().join("pointsman.toml");
    let store = folder.path().join("outcomes.db");
    let text = support::config_text(&simulator.base_url(), address, &store);
    std::fs::write(&config, text).unwrap();
    let mut server = Command::new(env!("CARGO_BIN_EXE_pointsman"))
        .args(["serve", "--config"])
        .arg(&config)
        .env("RUST_LOG", "warn")
        .stdout(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    drop(support::channel_when_up(address).await);
    // An error says that one is installed already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = Client::builder().no_proxy().tls_certs_only([]).build().unwrap();
    let base = format!("http://{address}/v1");

    let (mut direct, mut through, mut unread) = (Vec::new(), Vec::new(), Vec::new());
    for at in 0..WARM_UP + PAIRS {
        // Reading a prompt for the first time has its own bench, and its own line here.
        unread.push(first_content(&client, &base, at).await);
        let alone = first_content(&client, &simulator.base_url(), at).await;
        let routed = first_content(&client, &base, at).await;
        if at >= WARM_UP {
            direct.push(alone);
            through.push(routed);
        }
    }
    let (direct, through) = (median(direct), median(through));
    let added = through - direct;
    println!(
        "first content, median of {PAIRS} pairs: direct {direct:.3} ms, through us {through:.3} ms"
    );
    println!("added: {added:.3} ms (asked: at most {ADDED_MS_MAX} ms)");
    let unread = median(unread);
    println!("of a prompt that was never read before: {unread:.3} ms (see benches/encoder.rs)");

    let rows = support::ROWS.map(|it| it.name);
    let stall = Fault::Stall { after_tokens: 8 };
    for name in rows {
        simulator.push_script(name, vec![stall; STREAMS]).unwrap();
    }
    let before = resident_kib(&server);
    let mut open: Vec<Response> = Vec::with_capacity(STREAMS);
    while open.len() < STREAMS {
        let some = (0..AT_ONCE).map(|at| ask(&client, &base, open.len() + at));
        open.extend(futures_util::future::join_all(some).await);
    }
    let after = resident_kib(&server);
    let each = (after - before) / STREAMS as f64;
    println!("memory: {before:.0} KiB before, {after:.0} KiB with {STREAMS} open streams");
    println!("each: {each:.1} KiB (asked: under {KIB_MAX} KiB)");
    drop(open);
    server.kill().await.unwrap();
    simulator.stop().await;
}

/// Asks for a stream; returns once its headers are there.
async fn ask(client: &Client, base: &str, number: usize) -> Response {
    let body = json!({
        "model": support::ROWS[0].name,
        "stream": true,
        "messages": [{ "role": "user", "content": support::prompt(number) }],
    });
    let response = client.post(format!("{base}/chat/completions")).json(&body).send().await;
    response.unwrap().error_for_status().unwrap()
}

/// From the request to the first chunk with content, milliseconds; the rest is read and thrown away.
async fn first_content(client: &Client, base: &str, number: usize) -> f64 {
    let start = Instant::now();
    let mut response = ask(client, base, number).await;
    let mut seen = Vec::new();
    let mut first = None;
    while let Some(chunk) = response.chunk().await.unwrap() {
        if first.is_none() {
            seen.extend_from_slice(&chunk);
            let text = String::from_utf8_lossy(&seen);
            let content = text.find("\"content\":\"").is_some_and(|at| has_word(&text[at + 11..]))
                || text.matches("\"content\":\"").count() > 1;
            first = content.then(|| start.elapsed().as_secs_f64() * 1_000.0);
        }
    }
    first.unwrap()
}

fn has_word(rest: &str) -> bool {
    !rest.is_empty() && !rest.starts_with('"')
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

/// Resident memory of a process, KiB.
fn resident_kib(process: &Child) -> f64 {
    let status = format!("/proc/{}/status", process.id().unwrap());
    let status = std::fs::read_to_string(status).unwrap();
    let line = status.lines().find_map(|it| it.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

async fn free_address() -> SocketAddr {
    // Freed when dropped; nobody else on this machine asks for ports in this moment.
    support::listener().await.local_addr().unwrap()
}
