//! How far two gradings of the same answers agree.
//!
//! In: pairs of levels. Out: [`Agreement`]. Quadratic-weighted kappa (Cohen 1968, "Weighted kappa:
//! nominal scale agreement with provision for scaled disagreement or partial credit"): the agreement
//! beyond what two graders would have by chance who give each level as often as these do; 1 is always the
//! same, 0 is chance. It is the usual figure for graders on an ordered scale. Pure. Not here: who grades.

use serde::Serialize;

/// Levels of the scale, 0 to 4: more are told apart poorly.
pub const LEVELS: usize = 5;
/// The least kappa that passes: from here on agreement is called substantial (Landis and Koch 1977, "The
/// measurement of observer agreement for categorical data").
pub const AGREEMENT_MIN: f64 = 0.6;
/// Fewer pairs tell nothing: at 20 the standard error of kappa is still between 0.1 and 0.2.
pub const PAIRS_MIN: usize = 20;

/// How far two gradings agree.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Agreement {
    /// Answers graded twice.
    pub pairs: usize,
    /// Quadratic-weighted kappa; `None` where nobody can tell, since both gave one level to all.
    pub kappa: Option<f64>,
    /// Mean absolute difference of the two qualities, 0 to 1.
    pub mean_difference: f64,
}

impl Agreement {
    /// Of levels, each below [`LEVELS`]; higher ones count as the highest.
    pub fn of(pairs: &[(usize, usize)]) -> Self {
        let top = LEVELS - 1;
        let pairs: Vec<_> = pairs.iter().map(|(a, b)| ((*a).min(top), (*b).min(top))).collect();
        let count = pairs.len() as f64;
        let (mut first, mut second) = ([0.0; LEVELS], [0.0; LEVELS]);
        let (mut observed, mut difference) = (0.0, 0.0);
        for (a, b) in &pairs {
            first[*a] += 1.0;
            second[*b] += 1.0;
            observed += apart(*a, *b).powi(2);
            difference += apart(*a, *b);
        }
        let each = (0..LEVELS).flat_map(|a| (0..LEVELS).map(move |b| (a, b)));
        let by_chance: f64 =
            each.map(|(a, b)| apart(a, b).powi(2) * first[a] * second[b]).sum::<f64>() / count;
        let kappa = (by_chance > 0.0).then(|| 1.0 - observed / by_chance);
        let mean_difference = if pairs.is_empty() { 0.0 } else { difference / count };
        Self { pairs: pairs.len(), kappa, mean_difference }
    }

    /// Why a table must not rest on such grades; `None` where it may.
    pub fn shortfall(&self, kappa_min: f64) -> Option<String> {
        if self.pairs < PAIRS_MIN {
            return Some(format!(
                "{} answers were graded twice, {PAIRS_MIN} are needed",
                self.pairs
            ));
        }
        match self.kappa {
            None => {
                Some("both gradings gave one level to all answers, which says nothing".to_owned())
            }
            Some(kappa) if kappa < kappa_min => {
                Some(format!("the judge agrees with kappa {kappa:.3}, {kappa_min} is needed"))
            }
            Some(_) => None,
        }
    }
}

/// The level nearest to a quality from 0 to 1.
pub fn level(quality: f64) -> usize {
    (quality.clamp(0.0, 1.0) * (LEVELS - 1) as f64).round() as usize
}

/// The quality of a level.
pub fn quality(level: usize) -> f64 {
    level.min(LEVELS - 1) as f64 / (LEVELS - 1) as f64
}

fn apart(a: usize, b: usize) -> f64 {
    (quality(a) - quality(b)).abs()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kappa_is_that_of_the_book() {
        let check = |pairs: &[(usize, usize)], kappa: Option<f64>, difference: f64| {
            let found = Agreement::of(pairs);
            assert_eq!(found.pairs, pairs.len());
            assert!((found.mean_difference - difference).abs() < 1e-9, "{found:?}");
            match (found.kappa, kappa) {
                (Some(found), Some(kappa)) => assert!((found - kappa).abs() < 1e-9, "{found}"),
                (found, kappa) => assert_eq!(found, kappa),
            }
        };
        check(&[(0, 0), (2, 2), (4, 4)], Some(1.0), 0.0);
        check(&[(0, 4), (4, 0)], Some(-1.0), 1.0);
        check(&[(0, 0), (0, 4), (4, 0), (4, 4)], Some(0.0), 0.5);
        // By hand: observed (0 + 0 + 1 + 1)/16 of 4; by chance, first {0: 2, 4: 2}, second
        // {0: 1, 1: 1, 3: 1, 4: 1}: (2 (0 + 1 + 9 + 16) + 2 (16 + 9 + 1 + 0))/16/4 = 104/64.
        check(&[(0, 0), (0, 1), (4, 3), (4, 4)], Some(1.0 - (2.0 / 16.0) / (104.0 / 64.0)), 0.125);
        check(&[(3, 3), (3, 3)], None, 0.0);
        check(&[], None, 0.0);
    }

    #[test]
    fn what_falls_short_says_why() {
        let repeat = |pairs: &[(usize, usize)]| Agreement::of(&pairs.repeat(10));
        let check = |found: Agreement, wanted: Option<&str>| {
            let why = found.shortfall(AGREEMENT_MIN);
            match (&why, wanted) {
                (Some(why), Some(wanted)) => assert!(why.contains(wanted), "{why}"),
                _ => assert_eq!(why.as_deref(), wanted),
            }
        };
        check(repeat(&[(0, 0), (4, 4)]), None);
        check(repeat(&[(0, 4), (4, 4), (0, 0), (4, 0)]), Some("kappa 0.000, 0.6"));
        check(repeat(&[(4, 4), (4, 4)]), Some("one level"));
        check(Agreement::of(&[(0, 0), (4, 4)]), Some("2 answers"));
    }

    #[test]
    fn levels_and_qualities_go_over_into_each_other() {
        for it in 0..LEVELS {
            assert_eq!(level(quality(it)), it);
        }
        assert_eq!((level(0.13), level(0.12), level(7.0), quality(9)), (1, 0, 4, 1.0));
    }
}
