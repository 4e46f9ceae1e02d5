//! Who decides at one moment: the artifact that serves, and those on trial beside it.
//!
//! In: a session, or a seed. Out: the [`Brain`] that decides. Invariant: never changed, only replaced
//! whole, so that a request which holds one is decided by it to its end; the draw between the served
//! artifact and the canary looks at nothing of the prompt. Not here: how one is loaded.

use std::sync::Arc;

use super::brain::Brain;
use super::shadow::Shadow;
use crate::domain::Probability;
use crate::outcome::CanaryFacts;

/// Who decides, and who looks on.
#[derive(Clone)]
pub(crate) struct Lineup {
    /// Who decides, but for the canary's share.
    pub(crate) served: Arc<Brain>,
    /// Who only looks on.
    pub(crate) shadow: Option<Arc<Shadow>>,
    /// Who decides a share.
    pub(super) canary: Option<Canary>,
}

/// An artifact that decides a share of the requests.
#[derive(Clone)]
pub(super) struct Canary {
    pub(super) brain: Arc<Brain>,
    pub(super) share: Probability,
}

/// By what it is drawn who decides.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Draw<'a> {
    /// By nothing: always who serves.
    Served,
    /// By the conversation, which so stays on one side.
    Session(&'a str),
    /// By the request's seed.
    Request,
}

impl Lineup {
    /// Who decides a request, and what the record keeps of the draw.
    pub(crate) fn acting(&self, draw: Draw<'_>, seed: u64) -> (&Brain, Option<CanaryFacts>) {
        let Some(canary) = &self.canary else { return (&self.served, None) };
        let version = canary.brain.version();
        let drawn = match draw {
            Draw::Served => return (&self.served, None),
            Draw::Session(name) => drawn(version, name.as_bytes()),
            Draw::Request => drawn(version, &seed.to_le_bytes()),
        };
        let decided = drawn < canary.share.get();
        let facts = CanaryFacts {
            incumbent: self.served.version().to_owned(),
            canary: version.to_owned(),
            share: canary.share,
            decided,
        };
        (if decided { &canary.brain } else { &self.served }, Some(facts))
    }

    /// The same with another that serves; who does not fit beside it is left out.
    pub(super) fn around(&self, served: Arc<Brain>) -> Self {
        let fits = |it: &Brain| it.reads_like(&served) && it.fits_beside(&served).is_ok();
        let shadow = self.shadow.clone().filter(|it| fits(&it.brain));
        let canary = self.canary.clone().filter(|it| fits(&it.brain));
        Self { served, shadow, canary }
    }
}

/// A number in [0, 1) that is the same whenever the same key is drawn for the same canary. Another
/// canary draws other keys, so that it is not always the same people who try what is new.
fn drawn(version: &str, key: &[u8]) -> f64 {
    let bytes = version.bytes().chain([0]).chain(key.iter().copied());
    // FNV-1a, then the finaliser of SplitMix64 (Steele, Lea and Flood 2014): FNV alone leaves the high
    // bits of short keys alike.
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let mixed = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((mixed ^ (mixed >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_share_gets_its_share_and_a_key_stays_on_its_side() {
        let share_below = |share: f64, key: &dyn Fn(u64) -> Vec<u8>| {
            let all = (0..20_000).filter(|it| drawn("v2", &key(*it)) < share);
            all.count() as f64 / 20_000.0
        };
        let seeds = |it: u64| it.to_le_bytes().to_vec();
        let names = |it: u64| format!("session-{it}").into_bytes();
        for share in [0.0, 0.01, 0.05, 0.5, 1.0] {
            for key in [&seeds as &dyn Fn(u64) -> Vec<u8>, &names] {
                // Four standard deviations of a binomial.
                let slack = 4.0 * (share * (1.0 - share) / 20_000.0_f64).sqrt();
                let found = share_below(share, key);
                assert!((found - share).abs() <= slack, "{share}: {found}");
            }
        }
        // A larger share keeps those that it had; another canary draws others.
        let of = |version: &str, it: u64| drawn(version, &names(it));
        assert!((0..1_000).all(|it| of("v2", it) == of("v2", it)));
        let both = (0..20_000).filter(|it| of("v2", *it) < 0.5 && of("v3", *it) < 0.5).count();
        assert!((4_600..5_400).contains(&both), "{both}");
    }
}
