//! Prompts that mean alike, as clusters: k-means.
//!
//! In: one vector per prompt, a seed. Out: the cluster of each. Invariant: seeded; no cluster is empty
//! where there are as many different vectors as clusters; bounded in rounds. Our own, since the field's
//! crate (`linfa-clustering`) is built on an older `ndarray` than this tree.

use rand::{Rng, RngExt};

/// Rounds of Lloyd's algorithm; it mostly settles within 20.
const ROUNDS_MAX: usize = 50;

/// The cluster of each row, `0..count`; rows are compared by direction. `values` holds whole rows of
/// `width` floats.
pub(super) fn clusters(
    values: &[f32],
    width: usize,
    count: usize,
    random: &mut impl Rng,
) -> Vec<usize> {
    let rows: Vec<Vec<f32>> = values.chunks_exact(width.max(1)).map(unit).collect();
    if rows.is_empty() || count < 2 {
        return vec![0; rows.len()];
    }
    let mut centres = seeds(&rows, count, random);
    let mut found = vec![usize::MAX; rows.len()];
    for _ in 0..ROUNDS_MAX {
        let nearest: Vec<usize> = rows.iter().map(|it| nearest(it, &centres).0).collect();
        let settled = nearest == found;
        found = nearest;
        if settled {
            break;
        }
        centres = means(&rows, &found, centres);
    }
    found
}

/// First centres: each next one drawn by its squared distance to those before (k-means++, Arthur and
/// Vassilvitskii 2007).
fn seeds(rows: &[Vec<f32>], count: usize, random: &mut impl Rng) -> Vec<Vec<f32>> {
    let mut centres = vec![rows[random.random_range(0..rows.len())].clone()];
    let mut far: Vec<f64> = rows.iter().map(|it| distance(it, &centres[0])).collect();
    while centres.len() < count {
        let sum: f64 = far.iter().sum();
        if sum <= 0.0 {
            // Fewer different rows than clusters.
            break;
        }
        let mut left = random.random::<f64>() * sum;
        let drawn = far.iter().position(|it| {
            left -= it;
            left < 0.0
        });
        let last = far.iter().rposition(|it| *it > 0.0).unwrap_or_default();
        let centre = rows[drawn.unwrap_or(last)].clone();
        for (far, row) in far.iter_mut().zip(rows) {
            *far = far.min(distance(row, &centre));
        }
        centres.push(centre);
    }
    centres
}

/// The mean of every cluster's rows; one that lost all its rows keeps its centre.
fn means(rows: &[Vec<f32>], found: &[usize], centres: Vec<Vec<f32>>) -> Vec<Vec<f32>> {
    let mut sums: Vec<(Vec<f64>, f64)> =
        centres.iter().map(|it| (vec![0.0; it.len()], 0.0)).collect();
    for (row, at) in rows.iter().zip(found) {
        let (sum, count) = &mut sums[*at];
        sum.iter_mut().zip(row).for_each(|(sum, it)| *sum += f64::from(*it));
        *count += 1.0;
    }
    let mean = |((sum, count), before): ((Vec<f64>, f64), Vec<f32>)| match count > 0.0 {
        true => sum.into_iter().map(|it| (it / count) as f32).collect(),
        false => before,
    };
    sums.into_iter().zip(centres).map(mean).collect()
}

fn nearest(row: &[f32], centres: &[Vec<f32>]) -> (usize, f64) {
    let far = centres.iter().map(|it| distance(row, it)).enumerate();
    far.fold((0, f64::INFINITY), |best, it| if it.1 < best.1 { it } else { best })
}

fn distance(a: &[f32], b: &[f32]) -> f64 {
    f64::from(a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum::<f32>())
}

/// The row at length 1; zeros stay.
fn unit(row: &[f32]) -> Vec<f32> {
    let length = row.iter().map(|it| it * it).sum::<f32>().sqrt();
    let by = if length > 0.0 && length.is_finite() { length } else { 1.0 };
    row.iter().map(|it| it / by).collect()
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;

    /// Rows around the axes, each a little off.
    fn around(axes: usize, each: usize) -> Vec<f32> {
        let mut random = ChaCha8Rng::seed_from_u64(3);
        let row = |at: usize| {
            let axis = at % axes;
            let mut off = || random.random_range(-0.1..0.1_f32);
            (0..axes).map(|it| f32::from(u8::from(it == axis)) + off()).collect::<Vec<f32>>()
        };
        (0..axes * each).flat_map(row).collect()
    }

    #[test]
    fn what_lies_together_is_found_together() {
        for seed in 0..10 {
            let values = around(5, 30);
            let found = clusters(&values, 5, 5, &mut ChaCha8Rng::seed_from_u64(seed));
            let first: Vec<usize> = found[..5].to_vec();
            let agree = found.iter().enumerate().filter(|(at, it)| **it == first[at % 5]).count();
            let mut distinct = first.clone();
            distinct.sort_unstable();
            distinct.dedup();
            assert_eq!((agree, distinct.len()), (150, 5), "seed {seed}");
            assert_eq!(found, clusters(&values, 5, 5, &mut ChaCha8Rng::seed_from_u64(seed)));
        }
    }

    #[test]
    fn odd_shapes_are_taken() {
        let check = |values: &[f32], width: usize, count: usize, wanted: &[usize]| {
            let mut random = ChaCha8Rng::seed_from_u64(1);
            assert_eq!(clusters(values, width, count, &mut random), wanted);
        };
        check(&[], 2, 3, &[]);
        check(&[1.0, 0.0, 0.0, 1.0], 2, 1, &[0, 0]);
        // All alike, and one without a direction.
        check(&[1.0, 0.0, 3.0, 0.0, 2.0, 0.0], 2, 2, &[0, 0, 0]);
        check(&[0.0, 0.0], 2, 4, &[0]);
    }
}
