//! Which prompts of many the panel is asked.
//!
//! In: for every prompt its cluster and how unsure the served artifact is of it; a number; a seed. Out:
//! [`Drawn`] in the order of asking. Invariant: seeded; no prompt twice; a beginning of the list is
//! itself such a sample, so that a run that ends early is not of one kind. Not here: where clusters and
//! doubts come from (see [`super::plan`]).

use rand::{Rng, RngExt};
use serde::{Deserialize, Serialize};

/// The least weight of a prompt in the draw by doubt, so that every one can be drawn.
const DOUBT_MIN: f64 = 1e-6;

/// One prompt that could be asked.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Stratum {
    /// Of its meaning.
    pub cluster: usize,
    /// Mean spread of the predicted quality over the models, 0 to a half.
    pub doubt: f64,
}

/// Why a prompt was drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// Its cluster's share of all prompts.
    Proportion,
    /// Little is known of what models make of such prompts.
    Doubt,
}

/// A prompt that was drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Drawn {
    /// Its place among those given.
    pub at: usize,
    /// By which half of the rule.
    pub why: Why,
}

/// Draws `count` prompts, or all where there are fewer. One half of them is given to clusters by how
/// many prompts they have, and drawn evenly within each; the other half by how many they have times
/// their mean doubt (Neyman 1934: the allocation under which the estimate's variance is least), and
/// drawn within each by doubt.
pub fn draw(strata: &[Stratum], count: usize, random: &mut impl Rng) -> Vec<Drawn> {
    let count = count.min(strata.len());
    let mut taken = vec![None; strata.len()];
    half(strata, (count.div_ceil(2), Why::Proportion), &mut taken, random);
    half(strata, (count / 2, Why::Doubt), &mut taken, random);
    let drawn = taken.iter().enumerate();
    let mut drawn: Vec<Drawn> =
        drawn.filter_map(|(at, why)| Some(Drawn { at, why: (*why)? })).collect();
    for last in (1..drawn.len()).rev() {
        drawn.swap(last, random.random_range(0..=last));
    }
    drawn
}

/// Takes `count` of those that are still free.
fn half(
    strata: &[Stratum],
    (count, why): (usize, Why),
    taken: &mut [Option<Why>],
    random: &mut impl Rng,
) {
    let clusters = strata.iter().map(|it| it.cluster + 1).max().unwrap_or_default();
    let weight = |it: &Stratum| match why {
        Why::Proportion => 1.0,
        Why::Doubt if it.doubt.is_finite() => it.doubt.max(DOUBT_MIN),
        Why::Doubt => DOUBT_MIN,
    };
    let mut free = vec![Vec::new(); clusters];
    let mut sizes = vec![0.0; clusters];
    for (at, it) in strata.iter().enumerate() {
        // Clusters count with all their prompts, whoever of them was drawn before.
        sizes[it.cluster] += weight(it);
        if taken[at].is_none() {
            // The largest `u^(1/w)` are a draw by weight without return (Efraimidis and Spirakis 2006);
            // its logarithm does not underflow.
            let key = random.random::<f64>().ln() / weight(it);
            free[it.cluster].push((key, at));
        }
    }
    let room: Vec<usize> = free.iter().map(Vec::len).collect();
    for (mut members, wanted) in free.into_iter().zip(allot(&sizes, &room, count)) {
        members.sort_by(|a, b| b.0.total_cmp(&a.0));
        members.iter().take(wanted).for_each(|(_, at)| taken[*at] = Some(why));
    }
}

/// Whole numbers in proportion to `weights`, no more than `room` each, `count` in all if there is room:
/// one after the other to whoever is furthest below its share (Webster's method, without the bias to
/// large ones that rounding down has).
fn allot(weights: &[f64], room: &[usize], count: usize) -> Vec<usize> {
    let mut given = vec![0; weights.len()];
    for _ in 0..count {
        let open = (0..weights.len()).filter(|at| given[*at] < room[*at]);
        let claim = |at: &usize| weights[*at] / (given[*at] as f64 + 0.5);
        let Some(next) = open.max_by(|a, b| claim(a).total_cmp(&claim(b)).then(b.cmp(a))) else {
            break;
        };
        given[next] += 1;
    }
    given
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;

    /// Three clusters of 600, 300 and 100; the small one is in doubt.
    fn strata() -> Vec<Stratum> {
        let of = |(cluster, size, doubt): (usize, usize, f64)| {
            std::iter::repeat_n(Stratum { cluster, doubt }, size)
        };
        [(0, 600, 0.05), (1, 300, 0.05), (2, 100, 0.45)].into_iter().flat_map(of).collect()
    }

    fn drawn(count: usize, seed: u64) -> Vec<Drawn> {
        draw(&strata(), count, &mut ChaCha8Rng::seed_from_u64(seed))
    }

    fn counts(drawn: &[Drawn], why: Why) -> [usize; 3] {
        let mut found = [0; 3];
        for it in drawn.iter().filter(|it| it.why == why) {
            found[strata()[it.at].cluster] += 1;
        }
        found
    }

    #[test]
    fn half_follows_size_and_half_follows_doubt() {
        let all = drawn(200, 1);
        assert_eq!(counts(&all, Why::Proportion), [60, 30, 10]);
        // 600 x 0.05, 300 x 0.05, 100 x 0.45.
        assert_eq!(counts(&all, Why::Doubt), [33, 17, 50]);
        let mut places: Vec<usize> = all.iter().map(|it| it.at).collect();
        places.sort_unstable();
        places.dedup();
        assert_eq!(places.len(), 200);
        assert_eq!(all, drawn(200, 1));
        assert_ne!(all, drawn(200, 2));
    }

    #[test]
    fn a_beginning_is_mixed_and_too_many_are_all() {
        let all = drawn(200, 4);
        let early = counts(&all[..100], Why::Proportion);
        assert!((20..=40).contains(&early[0]) && early[2] > 0, "{early:?}");
        assert_eq!(drawn(5_000, 1).len(), 1_000);
        assert!(draw(&[], 3, &mut ChaCha8Rng::seed_from_u64(1)).is_empty());
    }

    #[test]
    fn within_a_cluster_the_doubtful_are_drawn_more_often() {
        let strata: Vec<Stratum> = (0..100)
            .map(|at| Stratum { cluster: 0, doubt: if at < 20 { 0.4 } else { 0.02 } })
            .collect();
        let mut doubtful = 0;
        for seed in 0..20 {
            let all = draw(&strata, 20, &mut ChaCha8Rng::seed_from_u64(seed));
            doubtful += all.iter().filter(|it| it.why == Why::Doubt && it.at < 20).count();
        }
        // 20 x 0.4 to 80 x 0.02: five in six at first, fewer as they are used up.
        assert!((140..=185).contains(&doubtful), "{doubtful} of 200");
    }

    #[test]
    fn shares_are_rounded_and_bounded() {
        let check = |weights: &[f64], room: &[usize], count: usize, wanted: &[usize]| {
            assert_eq!(allot(weights, room, count), wanted);
        };
        check(&[1.0, 1.0], &[9, 9], 5, &[3, 2]);
        check(&[3.0, 1.0], &[1, 9], 4, &[1, 3]);
        check(&[3.0, 1.0], &[1, 1], 4, &[1, 1]);
        check(&[0.0, 1.0], &[9, 0], 2, &[2, 0]);
        check(&[], &[], 2, &[]);
    }
}
