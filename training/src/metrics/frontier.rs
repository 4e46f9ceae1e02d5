//! The quality-cost frontier of a router, and what is read off it.
//!
//! In: (mean cost, mean quality) per setting of the preference. Out: [`Hull`], the non-decreasing
//! convex hull; AIQ, the area under it over a cost range divided by that range (RouterBench, arXiv
//! 2403.12031, section 4); the least cost of a quality. Invariant: the hull never falls, is concave,
//! and no point lies above it. A point between two settings is reached by tossing a coin between
//! them. Not here: where the points come from.

use serde::{Deserialize, Serialize};

/// What a setting costs and yields, per request.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// Mean cost, USD.
    pub cost: f64,
    /// Mean quality, 0 to 1.
    pub quality: f64,
}

/// The non-decreasing convex hull: cost and quality both strictly ascend from corner to corner.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Hull(Vec<Point>);

impl Hull {
    /// The hull over points; those that are not finite are left out.
    pub fn new(points: &[Point]) -> Self {
        let finite = |it: &&Point| it.cost.is_finite() && it.quality.is_finite();
        let mut sorted: Vec<Point> = points.iter().filter(finite).copied().collect();
        sorted.sort_unstable_by(|a, b| {
            a.cost.total_cmp(&b.cost).then(b.quality.total_cmp(&a.quality))
        });
        let mut corners: Vec<Point> = Vec::new();
        for point in sorted {
            if corners.last().is_some_and(|it| point.quality <= it.quality) {
                continue;
            }
            while let [.., a, b] = corners[..]
                && (b.quality - a.quality) * (point.cost - a.cost)
                    <= (point.quality - a.quality) * (b.cost - a.cost)
            {
                corners.pop();
            }
            corners.push(point);
        }
        Self(corners)
    }

    /// Its corners, by cost.
    pub fn corners(&self) -> &[Point] {
        &self.0
    }

    /// The quality to be had at a cost: flat behind the last corner, NaN before the first.
    pub fn quality_at(&self, cost: f64) -> f64 {
        let after = self.0.partition_point(|it| it.cost <= cost);
        match (after.checked_sub(1).map(|it| self.0[it]), self.0.get(after)) {
            (None, _) => f64::NAN,
            (Some(last), None) => last.quality,
            (Some(a), Some(b)) => {
                a.quality + (b.quality - a.quality) * (cost - a.cost) / (b.cost - a.cost)
            }
        }
    }

    /// The least cost at which a quality is reached; `None` where it never is.
    pub fn cost_at(&self, quality: f64) -> Option<f64> {
        let at = self.0.partition_point(|it| it.quality < quality);
        let b = self.0.get(at)?;
        let Some(a) = at.checked_sub(1).map(|it| self.0[it]) else { return Some(b.cost) };
        Some(a.cost + (b.cost - a.cost) * (quality - a.quality) / (b.quality - a.quality))
    }

    /// Average improvement in quality over `[low, high]` USD; what lies before the first corner
    /// counts as no quality. NaN for an empty hull or range.
    pub fn aiq(&self, low: f64, high: f64) -> f64 {
        if self.0.is_empty() || high.partial_cmp(&low) != Some(std::cmp::Ordering::Greater) {
            return f64::NAN;
        }
        let first = self.0[0].cost.max(low);
        let inner = self.0.iter().map(|it| it.cost).filter(|it| *it > first && *it < high);
        let places: Vec<f64> = std::iter::once(first).chain(inner).chain([high]).collect();
        let area = |it: &[f64]| {
            (it[1] - it[0]) * f64::midpoint(self.quality_at(it[0]), self.quality_at(it[1]))
        };
        let sum: f64 = places.windows(2).filter(|it| it[1] > it[0]).map(area).sum();
        sum / (high - low)
    }
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    fn hull(points: &[(f64, f64)]) -> Hull {
        let points: Vec<Point> =
            points.iter().map(|(cost, quality)| Point { cost: *cost, quality: *quality }).collect();
        Hull::new(&points)
    }

    #[test]
    fn small_hulls_by_hand() {
        let it = hull(&[(1.0, 0.2), (2.0, 0.3), (3.0, 0.8), (4.0, 0.7), (5.0, 0.9)]);
        let corners: Vec<_> = it.corners().iter().map(|it| it.cost).collect();
        assert_eq!(corners, [1.0, 3.0, 5.0]);
        assert!((it.quality_at(2.0) - 0.5).abs() < 1e-12);
        assert!((it.cost_at(0.5).unwrap() - 2.0).abs() < 1e-12);
        assert_eq!((it.cost_at(0.1), it.cost_at(0.95)), (Some(1.0), None));
        // Trapezoids: 2 * 0.5 + 2 * 0.85, over 4; then one more flat unit, and one unit of nothing.
        assert!((it.aiq(1.0, 5.0) - 0.675).abs() < 1e-12);
        assert!((it.aiq(1.0, 6.0) - 3.6 / 5.0).abs() < 1e-12);
        assert!((it.aiq(0.0, 5.0) - 2.7 / 5.0).abs() < 1e-12);
        assert!((it.aiq(2.0, 3.0) - 0.65).abs() < 1e-12);
        assert!(it.aiq(3.0, 3.0).is_nan() && hull(&[]).aiq(0.0, 1.0).is_nan());
        assert!(hull(&[(f64::NAN, 1.0)]).corners().is_empty());
        // Of equal costs the better counts.
        assert_eq!(hull(&[(1.0, 0.1), (1.0, 0.4)]).corners().len(), 1);
    }

    #[test]
    fn no_point_is_above_and_the_hull_ascends_and_bends_down() {
        let mut random = ChaCha8Rng::seed_from_u64(5);
        for count in 1..200 {
            let levels = random.random_range(2..50);
            let mut draw = || f64::from(random.random_range(0..levels));
            let points: Vec<(f64, f64)> = (0..count).map(|_| (draw(), draw())).collect();
            let it = hull(&points);
            for (cost, quality) in &points {
                assert!(it.quality_at(*cost) >= quality - 1e-9, "{points:?}");
            }
            for pair in it.corners().windows(2) {
                assert!(pair[0].cost < pair[1].cost && pair[0].quality < pair[1].quality);
            }
            let slope = |a: &Point, b: &Point| (b.quality - a.quality) / (b.cost - a.cost);
            for corner in it.corners().windows(3) {
                assert!(slope(&corner[0], &corner[1]) > slope(&corner[1], &corner[2]));
            }
            // One more point never makes it worse.
            let more = hull(&[points.clone(), vec![(draw(), draw())]].concat());
            assert!(more.aiq(50.0, 60.0) >= it.aiq(50.0, 60.0) - 1e-9);
        }
    }
}
