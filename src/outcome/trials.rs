//! Artifacts on trial, as a record keeps them: one that serves a share, one that only looks on.
//!
//! In: plain values. Out: parts of [`super::OutcomeRecord`]. Invariant: records from before there were
//! trials read as records without one. Not here: who is on trial (see [`crate::pipeline`]).

use serde::{Deserialize, Serialize};

use crate::domain::{DeploymentId, Probability};

/// Two artifacts served, each a share; which of them a request got was drawn before anybody looked at
/// it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CanaryFacts {
    /// The version that serves the rest.
    pub incumbent: String,
    /// The version on trial.
    pub canary: String,
    /// The share that the canary serves.
    pub share: Probability,
    /// Whether the canary decided this.
    pub decided: bool,
}

/// What an artifact that only looked on would have done with this very request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ShadowFacts {
    /// Its version.
    pub version: String,
    /// Whom it would have ranked first, and what it expects of it; `None` where it would have refused.
    pub choice: Option<ExpectedFacts>,
    /// What it expects of who answered, if anyone did.
    pub served: Option<ExpectedFacts>,
}

/// What is expected of a deployment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ExpectedFacts {
    /// Which.
    pub deployment: DeploymentId,
    /// Its utility, in units of quality; `None` where a limit excludes it.
    pub utility: Option<f64>,
    /// Expected quality.
    pub quality: Probability,
    /// Expected cost, USD.
    pub cost_usd: f64,
    /// Expected time to the whole answer, seconds.
    pub latency_s: f64,
}

impl ShadowFacts {
    /// Its numbers by name, for the check that JSON can hold them.
    pub(super) fn numbers(&self) -> impl Iterator<Item = (&'static str, f64)> {
        let both = self.choice.iter().chain(&self.served);
        both.flat_map(|it| {
            let utility = it.utility.unwrap_or_default();
            [
                ("shadow.utility", utility),
                ("shadow.cost_usd", it.cost_usd),
                ("shadow.latency_s", it.latency_s),
            ]
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::record::OutcomeRecord;
    use super::super::samples;
    use super::*;

    fn expected(cost_usd: f64) -> ExpectedFacts {
        let deployment = DeploymentId::new("m1@p").unwrap();
        let quality = Probability::clamped(0.5);
        ExpectedFacts { deployment, utility: None, quality, cost_usd, latency_s: 1.5 }
    }

    fn tried(cost_usd: f64) -> OutcomeRecord {
        let (incumbent, canary) = ("one".to_owned(), "two".to_owned());
        let share = Probability::clamped(0.05);
        let shadow =
            ShadowFacts { version: "three".into(), choice: Some(expected(cost_usd)), served: None };
        OutcomeRecord {
            canary: Some(CanaryFacts { incumbent, canary, share, decided: true }),
            shadow: Some(shadow),
            ..samples::record()
        }
    }

    #[test]
    fn trials_are_read_back_and_records_without_them_have_none() {
        let record = tried(0.25);
        let mut json = serde_json::to_value(&record).unwrap();
        assert_eq!(serde_json::from_value::<OutcomeRecord>(json.clone()).unwrap(), record);
        let fields = json.as_object_mut().unwrap();
        assert!(fields.remove("canary").is_some() && fields.remove("shadow").is_some());
        let old: OutcomeRecord = serde_json::from_value(json).unwrap();
        assert_eq!((old.canary, old.shadow), (None, None));
        let without = serde_json::to_value(samples::record()).unwrap();
        assert!(without.get("canary").is_none() && without.get("shadow").is_none());
    }

    #[test]
    fn numbers_that_json_cannot_hold_are_found() {
        assert_eq!(tried(0.25).unwritable(), None);
        assert_eq!(tried(f64::NAN).unwritable(), Some("shadow.cost_usd"));
    }
}
