//! A failure that somebody asked for: whose calls fail, how, how often.
//!
//! In: a target's name as written, a [`Fault`]. Out: [`ForcedFault`], which says whether a deployment
//! is meant. Invariant: plain values; which calls were made already is counted elsewhere. Not here:
//! whether it is allowed (see [`crate::pipeline`]), and what it looks like on the wire (see
//! [`crate::providers`]).

use std::fmt;

use super::fault::Fault;
use super::ids::{DeploymentId, ModelName, ProviderName};
use super::probability::Probability;

/// Most faults in one request or one drill: more than one for each deployment of a large fleet is a
/// mistake, and each call looks through all of them.
pub const FORCED_MAX: usize = 64;

/// Whose calls are meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FaultTarget {
    /// Everyone's; written `*`.
    All,
    /// Those of one deployment.
    Deployment(DeploymentId),
    /// Those of a model, wherever it is served.
    Model(ModelName),
    /// Those of a provider, whatever it serves.
    Provider(ProviderName),
}

/// A failure that somebody asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct ForcedFault {
    /// Whose calls.
    pub target: FaultTarget,
    /// How they fail.
    pub fault: Fault,
    /// So many calls; then all is well again. `None`: all calls.
    pub times: Option<u32>,
    /// The chance with which a call is struck.
    pub probability: Probability,
}

impl FaultTarget {
    /// Whether a deployment is meant.
    pub fn means(&self, id: &DeploymentId, model: &ModelName, provider: &ProviderName) -> bool {
        match self {
            Self::All => true,
            Self::Deployment(it) => it == id,
            Self::Model(it) => it == model,
            Self::Provider(it) => it == provider,
        }
    }
}

impl fmt::Display for FaultTarget {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => out.write_str("*"),
            Self::Deployment(it) => it.fmt(out),
            Self::Model(it) => it.fmt(out),
            Self::Provider(it) => it.fmt(out),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_means_whom_it_names() {
        let (model, provider) = (ModelName::new("m").unwrap(), ProviderName::new("p").unwrap());
        let id = DeploymentId::of(&model, &provider);
        let check = |target: FaultTarget, text: &str, wanted: bool| {
            assert_eq!(target.means(&id, &model, &provider), wanted, "{target:?}");
            assert_eq!(target.to_string(), text);
        };
        check(FaultTarget::All, "*", true);
        check(FaultTarget::Deployment(id.clone()), "m@p", true);
        check(FaultTarget::Deployment(DeploymentId::new("m@q").unwrap()), "m@q", false);
        check(FaultTarget::Model(model.clone()), "m", true);
        check(FaultTarget::Model(ModelName::new("p").unwrap()), "p", false);
        check(FaultTarget::Provider(provider.clone()), "p", true);
        check(FaultTarget::Provider(ProviderName::new("m").unwrap()), "m", false);
    }
}
