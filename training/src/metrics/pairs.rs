//! Two models, one weak and one strong: how well a router knows which requests need the strong one.
//!
//! In: per request the qualities of both and the router's score for the strong one. Out: APGR and
//! CPT (RouteLLM, arXiv 2406.18665, section 3.2), under weights. Invariant: PGR is 0 where the weak
//! model answers all and 1 where the strong one does; a router that knows nothing has an APGR of one
//! half. Not here: which two models.

/// One request.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Call {
    /// Index of its question, into the weights.
    pub question: u32,
    /// What the strong model would add: its quality less the weak one's.
    pub gain: f64,
    /// The router's score: the higher, the sooner the strong model is called.
    pub score: f32,
}

/// Requests in the order in which the strong model is called, ties at one place.
#[derive(Debug, Clone)]
pub struct PairCurve(Vec<Call>);

impl PairCurve {
    /// Sorts the requests; a NaN score comes last.
    pub fn new(mut calls: Vec<Call>) -> Self {
        calls.iter_mut().filter(|it| it.score.is_nan()).for_each(|it| it.score = f32::NEG_INFINITY);
        calls.sort_by(|a, b| b.score.total_cmp(&a.score));
        Self(calls)
    }

    /// Corners of (share of strong calls, PGR), from (0, 0) to (1, 1); empty where the strong model
    /// is not better than the weak one.
    pub fn corners(&self, weights: &[u32]) -> Vec<(f64, f64)> {
        let weight = |it: &Call| f64::from(weights.get(it.question as usize).copied().unwrap_or(0));
        let all: f64 = self.0.iter().map(weight).sum();
        let gain: f64 = self.0.iter().map(|it| weight(it) * it.gain).sum();
        if all <= 0.0 || gain <= 0.0 {
            return Vec::new();
        }
        let mut corners = vec![(0.0, 0.0)];
        let (mut calls, mut gained) = (0.0, 0.0);
        for tie in self.0.chunk_by(|a, b| a.score == b.score) {
            calls += tie.iter().map(weight).sum::<f64>();
            gained += tie.iter().map(|it| weight(it) * it.gain).sum::<f64>();
            corners.push((calls / all, gained / gain));
        }
        corners
    }
}

/// Mean PGR over all shares of strong calls; NaN without corners.
pub fn apgr(corners: &[(f64, f64)]) -> f64 {
    if corners.len() < 2 {
        return f64::NAN;
    }
    corners.windows(2).map(|it| (it[1].0 - it[0].0) * f64::midpoint(it[0].1, it[1].1)).sum()
}

/// The smallest share of strong calls with a PGR of at least `wanted`; NaN without corners.
pub fn cpt(corners: &[(f64, f64)], wanted: f64) -> f64 {
    let found = corners.windows(2).find(|it| it[1].1 >= wanted);
    found.map_or(f64::NAN, |it| {
        let ((a_share, a), (b_share, b)) = (it[0], it[1]);
        if b > a {
            a_share + (b_share - a_share) * ((wanted - a) / (b - a)).max(0.0)
        } else {
            b_share
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn corners(calls: &[(f64, f32)], weights: &[u32]) -> Vec<(f64, f64)> {
        let call = |(at, (gain, score)): (usize, &(f64, f32))| Call {
            question: at as u32,
            gain: *gain,
            score: *score,
        };
        PairCurve::new(calls.iter().enumerate().map(call).collect()).corners(weights)
    }

    #[test]
    fn four_requests_by_hand() {
        // The strong model helps on two of four; the router puts one of them first, one third.
        let calls = [(1.0, 0.9), (0.0, 0.8), (1.0, 0.7), (0.0, 0.6)];
        let it = corners(&calls, &[1; 4]);
        assert_eq!(it, [(0.0, 0.0), (0.25, 0.5), (0.5, 0.5), (0.75, 1.0), (1.0, 1.0)]);
        // 0.25 * (0.25 + 0.5 + 0.75 + 1)
        assert!((apgr(&it) - 0.625).abs() < 1e-12);
        assert!((cpt(&it, 0.5) - 0.25).abs() < 1e-12);
        assert!((cpt(&it, 0.8) - 0.65).abs() < 1e-12);
        // The second and fourth do not count: perfect knowledge is a straight line.
        assert!((apgr(&corners(&calls, &[1, 0, 1, 0])) - 0.5).abs() < 1e-12);
    }

    #[test]
    fn ties_know_nothing_and_equal_models_have_no_figure() {
        let ties = corners(&[(1.0, 0.5), (0.0, 0.5), (0.0, 0.5)], &[1; 3]);
        assert_eq!((apgr(&ties), cpt(&ties, 0.5)), (0.5, 0.5));
        let equal = corners(&[(0.0, 0.5), (0.0, f32::NAN)], &[1; 2]);
        assert!(apgr(&equal).is_nan() && cpt(&equal, 0.5).is_nan());
    }
}
