//! Failures that a caller or an operator asks for, from the wire and back.
//!
//! In: wire messages. Out: [`ForcedFault`]s, or the [`Fault`] that says why not. Invariant: a name
//! that stands for nothing here is told, with the one that was perhaps meant; both faces come through
//! here. Not here: what a fault does.

use std::time::Duration;

use super::fault::{self, Fault, Kind};
use super::policy::nearest;
use super::proto;
use crate::catalog::Fleet;
use crate::domain::{
    DeploymentId, FORCED_MAX, FaultTarget, ForcedFault, ModelName, Probability, ProviderName,
    Violation, parse_fault,
};
use crate::pipeline::{FAULTS_TTL_DEFAULT, FAULTS_TTL_MAX, FaultPolicy, Pipeline, StandingFaults};

/// Reads the faults of a request; `prefix` stands before the names of fields.
///
/// # Errors
/// A refusal where there are any and the operator does not allow them; else every violation.
pub(super) fn requested(
    wire: &[proto::ForcedFault],
    prefix: &str,
    pipeline: &Pipeline,
) -> Result<Vec<ForcedFault>, Fault> {
    if wire.is_empty() {
        return Ok(Vec::new());
    }
    allowed(pipeline)?;
    read(wire, prefix, pipeline.fleet()).map_err(|found| fault::invalid(&found))
}

/// Whether failures may be asked for at all.
///
/// # Errors
/// A refusal that names the setting.
pub(super) fn allowed(pipeline: &Pipeline) -> Result<(), Fault> {
    match pipeline.fault_policy() {
        FaultPolicy::Allowed => Ok(()),
        FaultPolicy::Refused => {
            let message = "this server forces no failures; where it may, its config says \
                           `allow_faults = true` under [testing]";
            Err(Fault::new(Kind::FaultsRefused, "FAULTS_REFUSED", message))
        }
    }
}

/// How long a set is to hold.
///
/// # Errors
/// A violation of `ttl_ms`.
pub(super) fn ttl(wire_ms: Option<u64>) -> Result<Duration, Fault> {
    let ttl = wire_ms.map_or(FAULTS_TTL_DEFAULT, Duration::from_millis);
    if ttl.is_zero() || ttl > FAULTS_TTL_MAX {
        let message = format!("must be above 0 and at most {} (24 h)", FAULTS_TTL_MAX.as_millis());
        return Err(fault::invalid(&[Violation::new("ttl_ms", message)]));
    }
    Ok(ttl)
}

/// Reads faults.
///
/// # Errors
/// Every [`Violation`].
fn read(
    wire: &[proto::ForcedFault],
    prefix: &str,
    fleet: &Fleet,
) -> Result<Vec<ForcedFault>, Vec<Violation>> {
    let mut found = Vec::new();
    let count = wire.len();
    if count > FORCED_MAX {
        let message = format!("{count} faults, at most {FORCED_MAX} are allowed");
        found.push(Violation::new(format!("{prefix}faults"), message));
    }
    let mut faults = Vec::new();
    for (at, wire) in wire.iter().enumerate().take(FORCED_MAX) {
        let path = format!("{prefix}faults[{at}]");
        faults.extend(one(wire, &path, fleet, &mut found));
    }
    if found.is_empty() { Ok(faults) } else { Err(found) }
}

fn one(
    wire: &proto::ForcedFault,
    path: &str,
    fleet: &Fleet,
    found: &mut Vec<Violation>,
) -> Option<ForcedFault> {
    let mut keep = |field: &str, message: String| {
        found.push(Violation::new(format!("{path}.{field}"), message));
    };
    let target = target(&wire.target, fleet).map_err(|it| keep("target", it)).ok();
    let fault = parse_fault(&wire.fault).map_err(|it| keep("fault", it.to_string())).ok();
    if wire.times == Some(0) {
        keep("times", "0 calls; leave the fault out".to_owned());
    }
    let probability = Probability::new(wire.probability.unwrap_or(1.0));
    let probability = probability.map_err(|it| keep("probability", it.to_string())).ok();
    Some(ForcedFault {
        target: target?,
        fault: fault?,
        times: wire.times,
        probability: probability?,
    })
}

/// Whom a name stands for: a deployment, a model, a provider, or everyone.
fn target(name: &str, fleet: &Fleet) -> Result<FaultTarget, String> {
    if name == "*" {
        return Ok(FaultTarget::All);
    }
    let all = fleet.deployments();
    if let Some(it) = all.iter().find(|it| it.id.as_str() == name) {
        return Ok(FaultTarget::Deployment(it.id.clone()));
    }
    if let Some(it) = all.iter().find(|it| it.model.name.as_str() == name) {
        return Ok(FaultTarget::Model(it.model.name.clone()));
    }
    if let Some(it) = all.iter().find(|it| it.provider.as_str() == name) {
        return Ok(FaultTarget::Provider(it.provider.clone()));
    }
    let ids = all.iter().map(|it| DeploymentId::as_str(&it.id));
    let models = all.iter().map(|it| ModelName::as_str(&it.model.name));
    let providers = all.iter().map(|it| ProviderName::as_str(&it.provider));
    let like = nearest(name, ids.chain(models).chain(providers));
    let like = like.map_or(String::new(), |it| format!("; did you mean `{it}`?"));
    Err(format!("no deployment, model or provider here has this name{like} (`*` means everyone)"))
}

/// What holds now.
pub(super) fn standing(of: &StandingFaults) -> proto::FaultsResponse {
    let fault = |(forced, struck): &(ForcedFault, u64)| proto::StandingFault {
        fault: Some(proto::ForcedFault {
            target: forced.target.to_string(),
            fault: forced.fault.to_string(),
            times: forced.times,
            probability: (forced.probability < Probability::ONE).then(|| forced.probability.get()),
        }),
        struck: *struck,
    };
    let left_ms = u64::try_from(of.left.as_millis()).unwrap_or(u64::MAX);
    proto::FaultsResponse { faults: of.faults.iter().map(fault).collect(), left_ms }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::testing;

    fn wire(target: &str, fault: &str) -> proto::ForcedFault {
        let (target, fault) = (target.to_owned(), fault.to_owned());
        proto::ForcedFault { target, fault, ..Default::default() }
    }

    #[test]
    fn targets_are_deployments_models_providers_or_everyone() {
        let check = |name: &str, wanted: fn(&FaultTarget) -> bool| {
            let faults = read(&[wire(name, "status:503")], "", &testing::fleet()).unwrap();
            assert!(wanted(&faults[0].target), "{name}");
            assert_eq!(faults[0].target.to_string(), name);
        };
        check("*", |it| matches!(it, FaultTarget::All));
        check("small@one", |it| matches!(it, FaultTarget::Deployment(_)));
        check("small", |it| matches!(it, FaultTarget::Model(_)));
        check("one", |it| matches!(it, FaultTarget::Provider(_)));
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        let check = |wire: proto::ForcedFault, field: &str, part: &str| {
            let found = read(&[wire], "pointsman.", &testing::fleet()).unwrap_err();
            assert_eq!((found.len(), found[0].field.as_str()), (1, field), "{found:?}");
            assert!(found[0].message.contains(part), "{found:?}");
        };
        check(wire("smal@one", "reset"), "pointsman.faults[0].target", "`small@one`");
        check(wire("xyz", "reset"), "pointsman.faults[0].target", "`*` means everyone");
        check(wire("*", "sneeze"), "pointsman.faults[0].fault", "status:CODE");
        let never = proto::ForcedFault { times: Some(0), ..wire("*", "reset") };
        check(never, "pointsman.faults[0].times", "leave the fault out");
        let often = proto::ForcedFault { probability: Some(1.5), ..wire("*", "reset") };
        check(often, "pointsman.faults[0].probability", "1.5");
        let many = vec![wire("*", "reset"); FORCED_MAX + 1];
        assert!(read(&many[1..], "", &testing::fleet()).is_ok());
        let found = read(&many, "", &testing::fleet()).unwrap_err();
        assert_eq!((found.len(), found[0].field.as_str()), (1, "faults"));
    }

    #[test]
    fn a_set_holds_for_at_most_a_day() {
        let check = |wire: Option<u64>, wanted: Option<u64>| {
            assert_eq!(ttl(wire).ok().map(|it| it.as_secs()), wanted, "{wire:?}");
        };
        check(None, Some(600));
        check(Some(1_000), Some(1));
        check(Some(0), None);
        check(Some(86_400_000), Some(86_400));
        check(Some(86_400_001), None);
    }
}
