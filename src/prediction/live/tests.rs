//! What is learned of speeds, and how fast it is forgotten.

use proptest::prelude::*;

use super::*;
use crate::catalog::Speed;
use crate::domain::{Attempt, FailureClass, Probability, Usage, Usd};
use crate::prediction::forecast::{CachedInput, Forecast, Prediction, QualityEstimate};

const SIGMA: f64 = 0.12;
const SECOND: Duration = Duration::from_secs(1);
/// Of a deployment believed to begin after half a second and to write 50 tokens a second.
const SPEED: Speed = Speed { ttft_ms: 500.0, tokens_per_s: 50.0 };

fn id(at: usize) -> DeploymentId {
    DeploymentId::new(&format!("m{at}@p")).unwrap()
}

/// Everything took so many times what was believed.
fn all(ratio: f64) -> SpeedSample {
    let took = Some(Took::Exactly(ratio));
    SpeedSample { first: took, token: Some(ratio), whole: took, inside: None }
}

/// Observes one sample a second from second `from` on; tells when the next one is due.
fn run(live: &mut LiveStats, from: u32, samples: u32, ratio: impl Fn(u32) -> f64) -> u32 {
    for at in from..from + samples {
        live.observe(&id(0), &all(ratio(at)), SECOND * at);
    }
    from + samples
}

fn pace(live: &LiveStats, at: u32) -> Pace {
    live.pace(&id(0), SIGMA, SECOND * at)
}

#[test]
fn without_samples_it_is_the_prior_to_the_last_bit() {
    let mut live = LiveStats::default();
    assert_eq!(pace(&live, 0), Pace::prior(SIGMA));
    assert_eq!(live.figures(&id(0)), LiveFigures::default());
    // Nonsense is no sample.
    for nonsense in [0.0, -1.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        live.observe(&id(0), &all(nonsense), SECOND);
        let sigma = 0.5;
        let late = Some(Took::AtLeast { ratio: nonsense, sigma });
        let late = SpeedSample { first: late, whole: late, inside: Some(false), token: None };
        live.observe(&id(0), &late, SECOND);
    }
    assert_eq!(pace(&live, 1), Pace::prior(SIGMA));
    assert_eq!(live.figures(&id(0)), LiveFigures::default());
}

#[test]
fn three_times_slower_is_learned_within_twenty_samples_and_forgotten_alike() {
    let mut live = LiveStats::default();
    let mut now = run(&mut live, 0, 300, |_| 1.0);
    assert!((pace(&live, now).first - 1.0).abs() < 0.05);
    now = run(&mut live, now, 1, |_| 3.0);
    assert!(pace(&live, now).first < 1.1, "one slow answer changes little");
    now = run(&mut live, now, 19, |_| 3.0);
    let slow = pace(&live, now);
    assert!((2.0..3.1).contains(&slow.first) && (2.0..3.1).contains(&slow.token), "{slow:?}");
    now = run(&mut live, now, 280, |_| 3.0);
    assert!((2.8..3.1).contains(&pace(&live, now).first));
    now = run(&mut live, now, 20, |_| 1.0);
    let faster = pace(&live, now);
    assert!(faster.first < 1.5 && faster.token < 1.5, "{faster:?}");
    now = run(&mut live, now, 280, |_| 1.0);
    assert!((pace(&live, now).first - 1.0).abs() < 0.1);
}

#[test]
fn who_is_asked_no_more_fades_to_what_it_does_as_a_rule() {
    let mut live = LiveStats::default();
    let now = run(&mut live, 0, 200, |_| 1.5);
    let now = run(&mut live, now, 20, |_| 4.5);
    let after = |minutes: u32| pace(&live, now + 60 * minutes).whole_factor();
    assert!(after(0) > 3.0, "{}", after(0));
    let fading: Vec<f64> = (0..60).map(after).collect();
    assert!(fading.is_sorted_by(|a, b| a >= b), "{fading:?}");
    assert!((1.4..1.7).contains(&after(15)), "{}", after(15));
    // And in the end to what was believed.
    assert!((after(24 * 60) - 1.0).abs() < 0.01);
}

impl Pace {
    /// As one: the parts are alike in these tests.
    fn whole_factor(&self) -> f64 {
        assert!((self.first / self.token).ln().abs() < 1e-9);
        self.first
    }
}

#[test]
fn the_spread_follows_what_is_seen() {
    let even = |live: &mut LiveStats| run(live, 0, 400, |_| 1.0);
    // One in ten takes six times as long.
    let uneven =
        |live: &mut LiveStats| run(live, 0, 400, |at| if at % 10 == 0 { 6.0 } else { 1.0 });
    let check = |fill: &dyn Fn(&mut LiveStats) -> u32, wanted: std::ops::Range<f64>| {
        let mut live = LiveStats::default();
        let now = fill(&mut live);
        let found = pace(&live, now).ttft_sigma;
        assert!(wanted.contains(&found), "{found}, not in {wanted:?}");
    };
    check(&even, 0.05..0.2);
    check(&uneven, 0.9..1.15);
    check(&|live| run(live, 0, 3, |_| 1.0), 0.5..TTFT_SIGMA);
}

#[test]
fn memory_is_bounded_for_a_thousand_deployments() {
    let mut live = LiveStats::default();
    for deployment in 0..1_000 {
        for at in 0..60_u32 {
            let ratio = f64::from(at).mul_add(0.4, -12.0).exp2();
            live.observe(&id(deployment), &all(ratio), SECOND * at * 20);
        }
    }
    let each = |it: &Entry| -> usize {
        let measures = [&it.first, &it.token, &it.whole];
        measures.iter().map(|it| it.short.bytes() + it.long.bytes()).sum()
    };
    assert_eq!(live.0.len(), 1_000);
    let most = live.0.values().map(each).max().unwrap();
    assert!(most <= MEMORIES * memory::BYTES_MAX && memory::BYTES_MAX == 4_096, "{most}");
}

proptest! {
    // A failing case is printed, shrunk; a file beside the sources would only be forgotten.
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_history_gives_a_sane_pace(
        history in prop::collection::vec((0_u8..6, -30.0..30.0_f64, 0_u64..4_000), 0..120),
        later in 0_u64..100_000,
    ) {
        let (mut live, mut now) = (LiveStats::default(), Duration::ZERO);
        for (kind, log2, gap) in history {
            now += Duration::from_millis(gap);
            let (ratio, sigma) = (log2.exp2(), 0.4);
            let took = match kind {
                0 | 1 => Took::AtLeast { ratio, sigma },
                2 => Took::Exactly(f64::NAN),
                _ => Took::Exactly(ratio),
            };
            let token = (kind > 3).then_some(ratio);
            let sample = SpeedSample { first: Some(took), token, whole: Some(took), inside: Some(kind == 1) };
            live.observe(&id(0), &sample, now);
        }
        let pace = live.pace(&id(0), SIGMA, now + Duration::from_secs(later));
        for factor in [pace.first, pace.token] {
            prop_assert!((1.0 / 52.0..=52.0).contains(&factor), "{:?}", pace);
        }
        prop_assert!((SIGMA_MIN..=SIGMA_MAX).contains(&pace.ttft_sigma));
        prop_assert!((SIGMA_MIN..=SIGMA_MAX).contains(&pace.speed_sigma));
        prop_assert!(coverage::WIDTHS.contains(&pace.width));
        let figures = live.figures(&id(0));
        for [p50, p95] in [figures.ttft, figures.latency].into_iter().flatten() {
            prop_assert!(p50 <= p95);
        }
        // Quantiles of what is then foretold are monotone, and never before zero.
        let foretold = Prediction { ttft_ms: 500.0 * pace.first, ttft_sigma: pace.ttft_sigma, ..foretold() };
        let quantiles: Vec<f64> = (1..100).map(|p| foretold.ttft_quantile_ms(f64::from(p) / 100.0)).collect();
        prop_assert!(quantiles[0] > 0.0 && quantiles.is_sorted());
        let chances: Vec<f64> = quantiles.iter().map(|it| foretold.ttft_chance_within(*it)).collect();
        prop_assert!(chances.is_sorted() && (chances[49] - 0.5).abs() < 1e-6);
    }

    #[test]
    fn given_up_counts_as_at_least_so_long(ratio in 0.01..40.0_f64, mu in -2.0..2.0_f64, sigma in 0.0..1.5_f64) {
        let counted = super::ratio(Took::AtLeast { ratio, sigma }, mu);
        prop_assert!(counted >= ratio);
        prop_assert!(counted >= mu.exp() * 0.999 || sigma == 0.0);
    }
}

fn foretold() -> Prediction {
    let tokens = LogNormal { mu: 100.0_f64.ln(), sigma: 0.3, cap: 4_096.0 };
    let forecast = |fixed, per_token| Forecast { fixed, per_token, tokens };
    Prediction {
        deployment: id(0),
        quality: QualityEstimate { mean: Probability::ONE, spread: 0.0 },
        input_tokens: 10.0,
        output_tokens: tokens,
        cost_usd: forecast(0.0, 0.0),
        cached: CachedInput::NONE,
        ttft_ms: 500.0,
        ttft_sigma: 0.5,
        latency_s: forecast(0.5, 0.02),
    }
}

fn attempt(failure: Option<FailureClass>, total_ms: f64, ttft_ms: Option<f64>) -> Attempt {
    Attempt {
        deployment: id(0),
        failure,
        status: None,
        start_ms: 3.0,
        total_ms,
        ttft_ms,
        usage: Usage { output_tokens: 101, ..Usage::default() },
        usage_estimated: false,
        cost_usd: Usd::ZERO,
        detail: None,
    }
}

#[test]
fn a_call_says_what_was_seen_of_it() {
    let of = |failure, total_ms, ttft_ms, manner| {
        SpeedSample::of(&attempt(failure, total_ms, ttft_ms), manner, SPEED, &foretold())
    };
    let exactly = |it| Some(Took::Exactly(it));
    let streamed = of(None, 4_000.0, Some(1_000.0), Manner::Streamed);
    // 3 s for a hundred tokens after the first, where 2 s were believed.
    let wanted = (exactly(2.0), Some(1.5), exactly(4_000.0 / 2_520.0));
    assert_eq!((streamed.first, streamed.token, streamed.whole), wanted);
    let whole = of(None, 2_520.0, None, Manner::Whole);
    assert_eq!((whole.first, whole.token, whole.whole), (None, None, exactly(1.0)));
    assert_eq!(whole.inside, Some(true));
    assert_eq!(of(None, 60_000.0, None, Manner::Whole).inside, Some(false));
}

#[test]
fn a_failure_counts_as_at_least_so_long_or_not_at_all() {
    use FailureClass::{Cancelled, Deadline, FirstTokenLate, Overloaded, Stalled, StreamCut};
    let of = |failure, total_ms, ttft_ms, manner| {
        SpeedSample::of(&attempt(Some(failure), total_ms, ttft_ms), manner, SPEED, &foretold())
    };
    let late = Some(Took::AtLeast { ratio: 4.0, sigma: 0.5 });
    for class in [FirstTokenLate, Deadline, Cancelled] {
        let found = of(class, 2_000.0, None, Manner::Streamed);
        assert_eq!(found, SpeedSample { first: late, ..SpeedSample::default() }, "{class:?}");
    }
    // 2.5 s are believed for the likely 100 tokens.
    let long = Some(Took::AtLeast { ratio: 4.0, sigma: 0.3 });
    let given_up = of(Deadline, 10_000.0, None, Manner::Whole);
    assert_eq!((given_up.first, given_up.inside), (None, Some(false)));
    let Some(Took::AtLeast { ratio, .. }) = given_up.whole else { panic!("{given_up:?}") };
    assert!((ratio - 4.0).abs() < 1e-9);
    let stalled = of(Stalled, 10_000.0, Some(500.0), Manner::Streamed);
    assert_eq!(
        (stalled.first, stalled.whole.is_some()),
        (Some(Took::Exactly(1.0)), long.is_some())
    );
    // What broke off says when it began, and what failed at once says nothing.
    let cut = of(StreamCut, 700.0, Some(500.0), Manner::Streamed);
    assert_eq!(cut, SpeedSample { first: Some(Took::Exactly(1.0)), ..SpeedSample::default() });
    for manner in [Manner::Whole, Manner::Streamed] {
        assert_eq!(of(Overloaded, 3.0, None, manner), SpeedSample::default());
    }
}

#[test]
fn timeouts_alone_make_a_deployment_slow() {
    let mut live = LiveStats::default();
    for at in 0..15_u32 {
        let late = attempt(Some(FailureClass::FirstTokenLate), 2_000.0, None);
        let sample = SpeedSample::of(&late, Manner::Streamed, SPEED, &foretold());
        live.observe(&id(0), &sample, SECOND * at);
    }
    let found = pace(&live, 15);
    assert!(found.first > 3.0, "{found:?}");
    assert_eq!(found.token, 1.0, "nothing was seen of its tokens");
}
