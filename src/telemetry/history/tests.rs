//! The newest requests against figures reckoned by hand.

use super::past::{Answer, Offer};
use super::*;
use crate::prediction::{Forecast, LogNormal};
use crate::ranking::Preference;

fn names(count: usize) -> Arc<[DeploymentId]> {
    (0..count).map(|at| DeploymentId::new(&format!("m{at}@p")).unwrap()).collect()
}

fn glance(past: Vec<Past>) -> Glance {
    let past = past.into_iter().map(Arc::new).collect();
    Glance { names: names(3), past, seconds: vec![], calibration: vec![] }
}

/// A cheap one, a dear one that is better, and one that is best and slow.
fn offers(better_by: f64) -> Vec<Offer> {
    let offer = |who, quality, cost_usd, latency_ms| Offer { who, quality, cost_usd, latency_ms };
    vec![
        offer(0, 0.5, 0.001, 100.0),
        offer(1, 0.5 + better_by, 0.011, 100.0),
        offer(2, 0.9, 0.101, 10_000.0),
    ]
}

#[test]
fn the_curve_goes_from_the_cheapest_to_the_best() {
    let past = [0.1, 0.2].map(|it| Past { offers: offers(it), answer: None });
    let preference = Preference { cost_per_quality_usd: 0.08, latency_per_quality_ms: 1e9 };
    let found = glance(past.to_vec()).frontier(&preference);
    let point = |cost_usd: f64, quality: f64| Point { cost_usd, quality };
    let near = |a: Point, b: Point| {
        assert!((a.cost_usd - b.cost_usd).abs() < 1e-12, "{a:?} {b:?}");
        assert!((a.quality - b.quality).abs() < 1e-12, "{a:?} {b:?}");
    };
    // 0.01 USD more for 0.1 better: worth it from 0.1 USD on; for 0.2, from 0.05 on.
    near(found.curve.first().unwrap().point, point(0.001, 0.5));
    near(found.curve.last().unwrap().point, point(0.101, 0.9));
    near(found.policy.unwrap(), point(0.006, 0.6));
    near(found.always_best.unwrap(), point(0.101, 0.9));
    assert!(found.curve.is_sorted_by(|a, b| a.point.cost_usd < b.point.cost_usd), "{found:?}");
    assert!(found.curve.is_sorted_by(|a, b| a.point.quality < b.point.quality), "{found:?}");
    assert_eq!((found.requests, found.alone.len()), (2, 3));
    near(found.alone[1].point, point(0.011, 0.65));
    let empty = glance(vec![]).frontier(&preference);
    assert_eq!(empty, Frontier::default());
}

#[test]
fn times_are_told_beside_what_was_expected() {
    let answer = |who: u16, median_s: f64, took_ms: f64| {
        let tokens = LogNormal { mu: median_s.ln(), sigma: 0.5, cap: f64::INFINITY };
        let expected_s = Forecast { fixed: 0.0, per_token: 1.0, tokens };
        Past { offers: offers(0.1), answer: Some(Answer { who, expected_s, took_ms }) }
    };
    let took = (1..=100).map(|at| answer(0, 1.0, f64::from(at) * 10.0));
    let found = glance(took.chain([answer(2, 8.0, 9.0)]).collect()).latencies();
    let whose: Vec<_> =
        found.iter().map(|it| it.deployment.as_ref().map(|it| it.as_str())).collect();
    assert_eq!(whose, [None, Some("m0@p"), Some("m2@p")]);
    let own = &found[1];
    assert_eq!((own.answers, own.real_ms), (100, [500.0, 900.0, 990.0]));
    // The median of equal predictions is their own; 1.2816 and 2.3263 are the normal's quantiles.
    let wanted = [1_000.0, 1_000.0 * (0.5_f64 * 1.2816).exp(), 1_000.0 * (0.5_f64 * 2.3263).exp()];
    for (found, wanted) in own.predicted_ms.iter().zip(wanted) {
        assert!((found / wanted - 1.0).abs() < 1e-3, "{found} {wanted}");
    }
    assert_eq!(own.within_p90, 1.0);
    assert_eq!((found[0].answers, found[2].real_ms), (101, [9.0; 3]));
    assert_eq!(glance(vec![]).latencies(), []);
}

#[test]
fn seconds_follow_each_other_without_a_gap() {
    let mut traffic = Traffic::new();
    let one = Second { ended: 1, answered: 1, fell_back: 0 };
    for at in [5_000, 5_000, 5_002] {
        traffic.note(at, one);
    }
    let ended = |traffic: &Traffic, last: u64, count: usize| {
        traffic.until(last, count).iter().map(|it| it.ended).collect::<Vec<_>>()
    };
    assert_eq!(ended(&traffic, 5_003, 5), [0, 2, 0, 1, 0]);
    // Older than the ring: not counted as new.
    traffic.note(5_000 + SECONDS_MAX as u64, one);
    traffic.note(5_000, one);
    assert_eq!(ended(&traffic, 5_000 + SECONDS_MAX as u64, 1), [1]);
    assert_eq!(ended(&traffic, 5_000, 1), [0]);
    assert_eq!(traffic.until(9_000, usize::MAX).len(), SECONDS_MAX);
    assert_eq!(traffic.until(1, 5).len(), 2);
}

#[test]
fn scores_stand_in_the_bin_of_what_was_expected() {
    let mut bins = Bins::default();
    for (expected, score) in [(0.25, 1.0), (0.21, 0.0), (1.0, 1.0), (f64::NAN, 1.0)] {
        bins.note(expected, score);
    }
    let told = bins.told();
    assert_eq!(told.iter().map(|it| it.answers).collect::<Vec<_>>(), [2, 1]);
    assert!((told[0].predicted - 0.23).abs() < 1e-12 && told[0].realised == 0.5, "{told:?}");
}
