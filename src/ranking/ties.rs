//! Who counts as equal, and who of equals comes first.
//!
//! In: utilities, a seed. Out: steps, and a number that orders equals. Invariant: pure. Not here: what
//! else orders candidates (see [`super::order`]).

use crate::domain::DeploymentId;

/// Utilities are compared in steps of this size, in units of quality: whoever stands on the same step
/// is equal. It is noise and no policy: a two-hundredth of the calibration error that the artifact may
/// have (0.02 by its own gate), and under the preset `balanced` 12 ms or 0.0005 cents. The steps are
/// fixed and not counted from the best, so that a candidate more or less never changes how two others
/// stand to each other; the price is that two can be closer than a step and on either side of an edge,
/// where the better one comes first.
pub const TIE_STEP: f64 = 1e-4;

/// Who counts as equal, and what decides among those equals that are equally busy.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ties {
    /// Gives each deployment its place.
    pub seed: u64,
    /// The size of a step of utility; 0 where only the same utility is equal, as it was before steps.
    pub step: f64,
}

impl From<u64> for Ties {
    /// Steps of [`TIE_STEP`].
    fn from(seed: u64) -> Self {
        Self { seed, step: TIE_STEP }
    }
}

impl Ties {
    /// The step that a utility stands on.
    pub(super) fn step_of(self, utility: f64) -> f64 {
        if self.step > 0.0 { (utility / self.step).floor() } else { utility }
    }

    /// A number that orders equals: FNV-1a over the id, started from the seed.
    pub(super) fn draw(self, deployment: &DeploymentId) -> u64 {
        let start = 0xcbf2_9ce4_8422_2325 ^ self.seed;
        let bytes = deployment.as_str().bytes();
        bytes.fold(start, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
    }

    /// A number in [0, 1) for a deployment, when one is drawn.
    pub(super) fn unit(self, deployment: &DeploymentId) -> f64 {
        unit(self.draw(deployment))
    }
}

/// A number in [0, 1) for a draw, that has nothing to do with how ties are broken: SplitMix64
/// (Steele, Lea, Flood 2014).
pub(super) fn unit(seed: u64) -> f64 {
    let state = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((mixed ^ (mixed >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
}
