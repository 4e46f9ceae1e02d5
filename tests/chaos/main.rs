//! Many callers at once, five providers of five protocols, and three calls in ten going wrong in every
//! way there is: whatever happens, what a caller is told is true, whole and in time.
//!
//! In: `CHAOS_SECONDS` (5 by default, 60 in `.ci/run`). Out: figures, and a failure when one of the
//! limits below is broken. Invariant: seeded; loopback only; it stops by itself. The server's own
//! times are shortened to a tenth, so that a minute stands for ten.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may stop on the first surprise")]

mod best;
mod callers;
#[path = "../support/mod.rs"]
mod support;
mod town;

use std::time::{Duration, Instant};

use callers::{Caller, Count};
use town::Town;

/// Callers at the same time.
const CALLERS: usize = 200;
/// How long callers go on asking where nobody says.
const SECONDS_DEFAULT: u64 = 5;
/// Later than its deadline by this, a call hangs.
const LATE_MAX: Duration = Duration::from_secs(1);
/// The share of answers may be this much below the best possible.
const BELOW_BEST_MAX: f64 = 0.01;
/// Below so many requests a share says nothing to a hundredth.
const REQUESTS_FOR_SHARE: usize = 10_000;
/// Memory may grow by this between a third of the time and the end; most of it is the log of the
/// simulated providers.
const GROWTH_BYTES_MAX: i64 = 64 << 20;
/// Everything that was under way is over after this.
const PATIENCE: Duration = Duration::from_secs(10);

#[test]
fn whatever_goes_wrong_callers_are_told_the_truth_in_time() {
    let seconds = std::env::var("CHAOS_SECONDS").ok();
    let seconds = seconds.map_or(SECONDS_DEFAULT, |it| it.parse().unwrap());
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let metrics = runtime.metrics();
    let descriptors = open_descriptors();
    let (count, growth) = runtime.block_on(play(Duration::from_secs(seconds)));
    let began = Instant::now();
    // The thread that writes outcomes closes its files after the last of its callers is gone.
    let left = || (metrics.num_alive_tasks(), open_descriptors() - descriptors);
    while left() != (0, 0) && began.elapsed() < PATIENCE {
        std::thread::sleep(Duration::from_millis(10));
    }
    let (tasks, descriptors_left) = left();
    let best = best::share_answered(&town::FAULTS);
    let share = count.answered as f64 / count.asked as f64;
    println!(
        "{} requests in {seconds} s by {CALLERS} callers: {} answered ({:.2} %; the best possible \
         schedule {:.2} %), {} of them after a fallback, {} gone on with after a break",
        count.asked,
        count.answered,
        share * 100.0,
        best * 100.0,
        count.fell_back,
        count.switched,
    );
    println!("refused: {:?}", count.refused);
    println!("latest answer: {:.1} ms after its deadline", count.latest_ms);
    println!("left over: {tasks} tasks, {descriptors_left} descriptors; memory {growth:+} bytes");
    assert_eq!(count.wrong, Vec::<String>::new(), "wrong or truncated answers");
    assert!(count.latest_ms < LATE_MAX.as_secs_f64() * 1e3, "a call hung");
    assert_eq!((tasks, descriptors_left), (0, 0), "tasks and connections left over");
    assert!(growth < GROWTH_BYTES_MAX, "memory grew by {growth} bytes");
    if count.asked >= REQUESTS_FOR_SHARE {
        assert!(share >= best - BELOW_BEST_MAX, "{share} answered, {best} possible");
    }
}

/// Lets callers ask for so long; what they were told, and by how many bytes memory grew.
async fn play(time: Duration) -> (Count, i64) {
    let town = Town::start().await;
    let truth = town.truth().await;
    let until = Instant::now() + time;
    let callers = (0..CALLERS).map(|number| {
        let caller = Caller::new(&town, truth.clone(), number);
        tokio::spawn(caller.ask_until(until))
    });
    let callers: Vec<_> = callers.collect();
    tokio::time::sleep(time / 3).await;
    let before = resident_bytes();
    let mut count = Count::default();
    for caller in callers {
        count.add(caller.await.unwrap());
    }
    let growth = resident_bytes() - before;
    println!("at the end: {}", town.conditions().await.join(", "));
    town.stop().await;
    (count, growth)
}

/// Files and sockets of this process.
fn open_descriptors() -> i64 {
    std::fs::read_dir("/proc/self/fd").map_or(0, |it| i64::try_from(it.count()).unwrap())
}

/// Memory of this process that is in use, by the kernel's page count; 0 where it does not tell.
fn resident_bytes() -> i64 {
    const PAGE_BYTES: i64 = 4_096;
    let told = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    told.split(' ').nth(1).and_then(|it| it.parse::<i64>().ok()).unwrap_or_default() * PAGE_BYTES
}
