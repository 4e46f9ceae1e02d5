//! Drift of logs that were made to move.

use pointsman::domain::Probability;
use pointsman::outcome::Logged;

use super::*;
use crate::offpolicy::records_tests::Bench;

/// A log whose second half is changed so.
fn log(change: impl Fn(&mut Logged)) -> Vec<Logged> {
    let bench = Bench::new();
    let one = |at: usize| {
        let mut logged = bench.logged(4 * (at % 50));
        if at >= 100 {
            change(&mut logged);
        }
        logged
    };
    (0..200).map(one).collect()
}

#[test]
fn a_log_that_stays_has_not_shifted() {
    let found = Drift::of(&log(|_| {})).unwrap();
    assert_eq!((found.older, found.newer, found.left_out), (100, 100, 0));
    assert_eq!((found.shifted().count(), found.features.len()), (0, COUNT));
    assert!(found.forecasts.iter().all(|it| it.older == it.newer), "{found}");
}

#[test]
fn what_moved_is_named() {
    let moved = log(|it| {
        it.record.features[0] += 3.0;
        it.scores.iter_mut().for_each(|it| it.1 = Probability::ONE);
        it.record.attempts[0].total_ms *= 50.0;
    });
    let found = Drift::of(&moved).unwrap();
    let names: Vec<&str> = found.shifted().map(|it| it.feature.as_str()).collect();
    assert_eq!(names, [NAMES[0]]);
    assert!((found.bound() - 18.307 / 50.0).abs() < 1e-12);
    for it in &found.forecasts {
        let (old, new) = (it.older.realised, it.newer.realised);
        match it.measure {
            Measure::Latency => assert!((new / old - 50.0).abs() < 1e-6, "{found}"),
            Measure::Cost => assert_eq!(old, new),
            Measure::Quality => assert_eq!((old, new), (0.0, 1.0)),
            Measure::Utility | Measure::Broken => unreachable!("{found}"),
        }
    }
    let text = found.to_string();
    assert!(text.contains("1 of") && text.contains(NAMES[0]), "{text}");
}

#[test]
fn what_is_of_another_program_is_left_out() {
    let found = Drift::of(&log(|it| it.record.feature_schema += 1)).unwrap();
    assert_eq!((found.older + found.newer, found.left_out), (100, 100));
    let empty = Drift::of(&Vec::new()).unwrap();
    assert_eq!((empty.older, empty.forecasts.len()), (0, 0));
}
