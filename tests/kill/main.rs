//! Killed at any moment, the server loses nothing, doubles nothing and starts again.
//!
//! A real process under load, which exports and whose artifact is swapped all the time, is killed with
//! SIGKILL at seeded random moments, its start included, and started again on the same files. At the
//! end all that was acknowledged is in the log, all of the log is in the export exactly once, and every
//! answer was decided by an artifact that was there as a whole. `KILL_ROUNDS=50` makes the long form,
//! `KILL_SEED` another one.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may stop on the first surprise")]

mod check;
mod load;
#[allow(dead_code, reason = "the tests of reloads use more of it")]
#[path = "../reload/mill.rs"]
mod mill;
mod yard;

#[path = "../support/mod.rs"]
mod support;

use std::time::{Duration, Instant};

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use yard::Yard;

/// Rounds of the short form.
const ROUNDS: u64 = 6;
/// One round of so many is killed while it starts.
const EARLY: u64 = 5;
/// A start takes a second or so where nothing is optimised.
const EARLY_MS_MAX: u64 = 1_000;
/// Longer than from one export to the next (a second).
const UNDER_LOAD_MS_MAX: u64 = 1_800;
/// Acknowledged answers of each round under load, on average over all rounds: fewer, and the kills
/// would strike a server that does nothing.
const ACKNOWLEDGED_MIN: usize = 10;

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_or_doubled_by_sigkill() {
    let rounds = number("KILL_ROUNDS").unwrap_or(ROUNDS);
    let mut random = ChaCha8Rng::seed_from_u64(number("KILL_SEED").unwrap_or(6));
    let (yard, began) = (Yard::new().await, Instant::now());
    let mut early = 0;
    for round in 0..rounds {
        let addresses = yard::free_addresses().await;
        let mut server = yard.serve(addresses);
        if round % EARLY == EARLY - 1 {
            early += 1;
            tokio::time::sleep(Duration::from_millis(random.random_range(0..EARLY_MS_MAX))).await;
        } else {
            let fronts = yard::connect(addresses, &mut server).await;
            let after = Duration::from_millis(random.random_range(0..UNDER_LOAD_MS_MAX));
            // What is dropped here in the middle of its work is killed, too.
            let _ = tokio::time::timeout(after, load::work(&yard, fronts)).await;
        }
        let ended = server.try_wait().unwrap();
        assert!(ended.is_none(), "round {round}: the server ended by itself: {ended:?}");
        // SIGKILL: no handler, no destructor and no flush runs.
        server.kill().await.unwrap();
    }
    let addresses = yard::free_addresses().await;
    let mut server = yard.serve(addresses);
    let (callers, _) = yard::connect(addresses, &mut server).await;
    assert!(load::once(&yard, callers, 0).await, "it serves after the last kill");
    server.kill().await.unwrap();
    let found = check::all(&yard).await;
    let seconds = began.elapsed().as_secs();
    println!("{rounds} kills, {early} of them during the start, in {seconds} s: {found}");
    let wanted = ACKNOWLEDGED_MIN * usize::try_from(rounds - early).unwrap();
    assert!(found.acknowledged >= wanted, "too little was going on: {found}");
    yard.stop().await;
}

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable} is no number: {text}")))
}
