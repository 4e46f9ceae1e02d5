//! Every way in which a provider fails, against a real server and simulated providers: what the
//! caller is told, and what the providers saw.
//!
//! In: the table below, one row per way to fail. Out: each row played whole and as a stream, over
//! gRPC and HTTP, with the first model failing once, always, and with all failing; every scene has
//! models of its own. The page `docs/failures.md` is printed from the same table: the test fails
//! when it differs, and `UPDATE_DOCS=1 cargo test --test scenarios` writes it anew.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may stop on the first surprise")]

mod ask;
mod check;
mod house;
mod leave;
mod money;
mod page;
mod scene;
#[path = "../support/mod.rs"]
mod support;

use std::time::{Duration, Instant};

use futures_util::{StreamExt, stream};
use pointsman::simulator::Fault;

use scene::{Cause, End, PROTOCOLS, Row, Way, Wish};

/// Scenes that share a server: few, since what a server keeps of one deployment or of its retries is
/// for all its callers.
const SCENES_PER_HOUSE: usize = 6;
/// Servers at the same time: most scenes wait for clocks, not for the processor.
const HOUSES_AT_ONCE: usize = 12;
/// Asked for in the issue; the limits in the server are seconds long.
const SUITE_MAX: Duration = Duration::from_secs(60);

const EXHAUSTED: End = End::Told("503 exhausted", "UNAVAILABLE EXHAUSTED");
/// Waiting does not help.
const FOR_GOOD: End = End::Told("502 exhausted", "UNAVAILABLE EXHAUSTED");
const DEADLINE: End = End::Told("504 deadline", "DEADLINE_EXCEEDED DEADLINE");
const INVALID: End = End::Told("400 invalid_request", "INVALID_ARGUMENT INVALID_REQUEST");
const UNSUPPORTED: End = End::Told("400 unsupported", "INVALID_ARGUMENT UNSUPPORTED");
const TOO_LONG: End = End::Told("400 context_length_exceeded", "INVALID_ARGUMENT CONTEXT_TOO_LONG");
const FILTERED: End = End::Told("400 content_filter", "FAILED_PRECONDITION CONTENT_FILTERED");
const OVER_BUDGET: End = End::Told("402 over_budget", "RESOURCE_EXHAUSTED OVER_BUDGET");

/// The calls that are made when the first model fails once, always, and when all fail. A letter is
/// a call to the first, second or third model, or to the last resort `D`; `!` ends in the row's
/// error, otherwise the last one answers; `*` stands for whoever the time left allows.
type Walks = [&'static str; 3];

/// What fails alike at the first model alone is not asked of others.
const NOBODY_ELSE: Walks = ["A!", "A!", "A!"];
const NEXT: Walks = ["AB", "AB", "ABC!"];
const AGAIN_THEN_NEXT: Walks = ["AA", "AAB", "AABBCC!"];
/// It does not pass by itself.
const NEXT_EACH_TIME: Walks = ["", "AB", "ABC!"];

const fn status(code: u16) -> Cause {
    Cause::Fault(Fault::Status { code, retry_after: None })
}

const fn limited(retry_after_ms: u64) -> Cause {
    let retry_after = Some(Duration::from_millis(retry_after_ms));
    Cause::Fault(Fault::Status { code: 429, retry_after })
}

const fn fault(fault: Fault) -> Cause {
    Cause::Fault(fault)
}

/// Every way to fail: its class, what the provider does, what is done about it, how all failing ends.
fn table() -> Vec<Row> {
    let row = Row::new;
    let mut rows = vec![
        row("rate_limited", "429, no `retry-after`", status(429), NEXT, EXHAUSTED),
        row("rate_limited", "429, back in 0.2 s", limited(200), AGAIN_THEN_NEXT, EXHAUSTED),
        row("rate_limited", "429, back in 30 s", limited(30_000), NEXT, EXHAUSTED),
        row("overloaded", "503", status(503), AGAIN_THEN_NEXT, EXHAUSTED),
        row("overloaded", "529", status(529), AGAIN_THEN_NEXT, EXHAUSTED),
        row(
            "overloaded",
            "200, and an error instead of an answer",
            fault(Fault::ErrorInside200),
            AGAIN_THEN_NEXT,
            EXHAUSTED,
        ),
        row(
            "connection",
            "reset before the headers",
            fault(Fault::Reset),
            AGAIN_THEN_NEXT,
            EXHAUSTED,
        ),
        row(
            "connection",
            "nothing listens",
            Cause::NothingListens,
            ["", "AAB", "AABBCC!"],
            EXHAUSTED,
        ),
        row("auth", "401", fault(Fault::Auth), NEXT, FOR_GOOD),
        row("model_missing", "404", fault(Fault::WrongModel), NEXT, FOR_GOOD),
        row(
            "model_missing",
            "404, and there is a last resort",
            fault(Fault::WrongModel),
            ["AB", "AB", "ABCD"],
            FOR_GOOD,
        )
        .wish(Wish::LastResort),
        row("empty_answer", "200, nothing said", fault(Fault::Empty), NEXT, FOR_GOOD),
        row("malformed", "200, not its protocol", fault(Fault::Malformed), NEXT, FOR_GOOD),
        row(
            "stream_cut",
            "cut before any content was passed on",
            fault(Fault::CutAfter { tokens: 0 }),
            NEXT,
            EXHAUSTED,
        ),
        row(
            "model_missing",
            "404, and the second costs more than `max_cost_usd` leaves",
            fault(Fault::WrongModel),
            ["AC", "AC", "AC!"],
            OVER_BUDGET,
        )
        .wish(Wish::Cap),
    ];
    rows.extend(refused());
    rows.extend(late());
    rows.extend(broken());
    rows
}

/// What a provider refuses for what the request is.
fn refused() -> Vec<Row> {
    let row = Row::new;
    vec![
        row(
            "context_too_long",
            "400, the others' windows are larger",
            fault(Fault::ContextTooLong),
            NEXT,
            TOO_LONG,
        ),
        row(
            "context_too_long",
            "400, no other window is larger",
            fault(Fault::ContextTooLong),
            NOBODY_ELSE,
            TOO_LONG,
        )
        .wish(Wish::SameWindow),
        row(
            "unsupported",
            "an image by URL, which it does not fetch",
            Cause::ImageByUrl,
            NEXT_EACH_TIME,
            UNSUPPORTED,
        )
        .only_from(&["ollama"]),
        row("content_filtered", "withheld", fault(Fault::ContentFilter), NOBODY_ELSE, FILTERED)
            .only_from(&FILTERS),
        row(
            "content_filtered",
            "withheld, `on_content_filter` is set",
            fault(Fault::ContentFilter),
            NEXT,
            FILTERED,
        )
        .wish(Wish::PastFilters)
        .only_from(&FILTERS),
        row("invalid_request", "400", status(400), NOBODY_ELSE, INVALID),
        row("invalid_request", "422", status(422), NOBODY_ELSE, INVALID),
    ]
}

/// Content filters that say what they are; Ollama has none.
const FILTERS: [&str; 4] = ["openai", "anthropic", "gemini", "bedrock"];

/// Too late, in one way or another.
fn late() -> Vec<Row> {
    let hang = fault(Fault::Hang);
    let slow = fault(Fault::SlowFirstToken(Duration::from_secs(20)));
    let row = |class, cause, fault, walks, end| Row::new(class, cause, fault, walks, end);
    vec![
        row("deadline", "silent, time is left", hang, NEXT, EXHAUSTED)
            .only(Way::Whole)
            .only_from(&["openai", "bedrock"]),
        row("first_token_late", "silent, time is left", hang, NEXT, EXHAUSTED)
            .only(Way::Stream)
            .only_from(&["openai", "gemini"]),
        row("first_token_late", "headers, then no content", slow, NEXT, EXHAUSTED)
            .only(Way::Stream),
        row(
            "deadline",
            "silent until `max_latency_ms` is over",
            hang,
            ["AB", "AB", "A*!"],
            DEADLINE,
        )
        .only(Way::Whole)
        .only_from(&["openai"])
        .wish(Wish::Deadline(5_000.0)),
        row(
            "first_token_late",
            "silent until `max_latency_ms` is over",
            hang,
            ["AB", "AB", "A*!"],
            DEADLINE,
        )
        .only(Way::Stream)
        .only_from(&["openai"])
        .wish(Wish::Deadline(2_500.0)),
    ]
}

/// Broken after content was passed on: who can go on with it does.
fn broken() -> Vec<Row> {
    let row = |class, cause, it, walks, http, grpc| {
        Row::new(class, cause, fault(it), walks, End::Broken(http, grpc)).only(Way::Stream)
    };
    let cut = |cause, it| {
        row("stream_cut", cause, it, NEXT, "200, then stream_cut", "UNAVAILABLE STREAM_CUT")
    };
    vec![
        cut("cut after content", Fault::CutAfter { tokens: 5 }),
        cut("all content, but no end mark", Fault::NoEndMark),
        cut("reset in the middle", Fault::ResetInBody),
        row(
            "overloaded",
            "an error after content",
            // Few, so that an answer has enough of them for six calls.
            Fault::ErrorInStream { after_tokens: 2 },
            AGAIN_THEN_NEXT,
            "200, then overloaded",
            "UNAVAILABLE OVERLOADED",
        ),
        row(
            "malformed",
            "not its protocol after content",
            Fault::MalformedChunk { after_tokens: 5 },
            NEXT,
            "200, then malformed",
            "UNAVAILABLE MALFORMED",
        ),
        row(
            "stalled",
            "silent after content",
            Fault::Stall { after_tokens: 5 },
            NEXT,
            "200, then stalled",
            "UNAVAILABLE STALLED",
        )
        .only_from(&["openai"]),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn every_failure_is_handled_as_the_table_says() {
    let start = Instant::now();
    let rows = table();
    // The rows with the long limits first, so that none of them is waited for at the end.
    let numbered = rows.iter().enumerate().rev();
    let scenes: Vec<_> = numbered.flat_map(|(at, row)| scene::scenes(at, *row)).collect();
    let count = scenes.len();
    let houses: Vec<_> = scenes.chunks(SCENES_PER_HOUSE).map(<[_]>::to_vec).collect();
    let played = stream::iter(houses).map(house::play).buffer_unordered(HOUSES_AT_ONCE);
    let found: Vec<_> = played.collect::<Vec<_>>().await.into_iter().flatten().collect();
    let late = found.iter().filter_map(|it| it.late_ms).fold(f64::MIN, f64::max);
    let wrong: Vec<_> = found.iter().flat_map(|it| &it.wrong).cloned().collect();
    let took = start.elapsed();
    println!("{count} scenes of {} rows in {:.1} s", rows.len(), took.as_secs_f64());
    println!("latest answer after a caller's own limit: {late:.1} ms past it");
    assert!(wrong.is_empty(), "{} faults:\n{}", wrong.len(), wrong.join("\n"));
    assert!(took < SUITE_MAX, "{took:?}");
    page::compare(&rows);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_who_leaves_ends_the_providers_call() {
    leave::play_all().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn usage_that_nobody_told_is_counted_all_the_same() {
    money::play_untold().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attempt_that_told_nothing_counts_against_the_budget() {
    money::play_capped().await;
}

#[test]
fn every_class_of_failure_has_its_row() {
    use pointsman::domain::FailureClass;
    for class in FailureClass::ALL {
        let row = table().iter().any(|it| it.class == class.as_str());
        // Nothing is called over the budget, which a row shows; leaving has a test of its own.
        let elsewhere = matches!(class, FailureClass::OverBudget | FailureClass::Cancelled);
        assert!(row || elsewhere, "{class:?}");
    }
    assert_eq!(PROTOCOLS.len(), 5);
}
