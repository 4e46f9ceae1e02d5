//! What a deployment's speed has lately been, against what was predicted.
//!
//! In: measured attempts. Out: for each deployment a factor on its predicted latency. Invariant: a
//! plain value; the owner decides when to update it. The factor is a decayed mean of log ratios,
//! shrunk towards 1 by a few pseudo-observations, so that one slow answer changes little and a
//! steady slow-down changes everything.

use std::collections::BTreeMap;

use crate::domain::DeploymentId;

/// Weight of the belief that the prior is right, in observations.
const PRIOR_WEIGHT: f64 = 4.0;
/// What an observation is worth after the next one came: about 30 observations of memory.
const DECAY: f64 = 0.97;
/// No single observation says more than a factor of 20 either way.
const LOG_RATIO_MAX: f64 = 3.0;

/// One measured answer, beside what was predicted for it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SpeedSample {
    /// How long it took, in seconds.
    pub measured_s: f64,
    /// What was predicted for the tokens that it turned out to have, in seconds, before any factor.
    pub predicted_s: f64,
}

#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Decayed {
    weight: f64,
    sum: f64,
}

/// Latency factors of all deployments.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LiveStats(BTreeMap<DeploymentId, Decayed>);

impl LiveStats {
    /// Takes in one measured answer; samples that are not positive numbers are ignored.
    pub fn observe(&mut self, deployment: &DeploymentId, sample: SpeedSample) {
        let ratio = (sample.measured_s / sample.predicted_s).ln();
        if !ratio.is_finite() {
            return;
        }
        let entry = self.0.entry(deployment.clone()).or_default();
        entry.weight = entry.weight * DECAY + 1.0;
        entry.sum = entry.sum * DECAY + ratio.clamp(-LOG_RATIO_MAX, LOG_RATIO_MAX);
    }

    /// What to multiply this deployment's predicted latency by; 1 when nothing was measured.
    pub fn latency_factor(&self, deployment: &DeploymentId) -> f64 {
        let entry = self.0.get(deployment).copied().unwrap_or_default();
        (entry.sum / (entry.weight + PRIOR_WEIGHT)).exp()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::InvalidName;

    #[test]
    fn a_steady_slow_down_is_learned_and_forgotten() -> Result<(), InvalidName> {
        let id = DeploymentId::new("m@p")?;
        let mut live = LiveStats::default();
        assert_eq!(live.latency_factor(&id), 1.0);
        let slow = SpeedSample { measured_s: 4.0, predicted_s: 1.0 };
        live.observe(&id, slow);
        assert!(live.latency_factor(&id) < 1.5);
        for _ in 0..200 {
            live.observe(&id, slow);
        }
        assert!(live.latency_factor(&id) > 3.0);
        for _ in 0..200 {
            live.observe(&id, SpeedSample { measured_s: 1.0, predicted_s: 1.0 });
        }
        assert!(live.latency_factor(&id) < 1.1);
        live.observe(&id, SpeedSample { measured_s: f64::NAN, predicted_s: 0.0 });
        assert!(live.latency_factor(&id).is_finite());
        Ok(())
    }
}
