//! `pointsman.v1.PointsmanAdmin`: how the server stands, for operators.
//!
//! In: the health of the fleet, drills, artifacts, the outcome log. Out: wire messages. Invariant: changes
//! nothing but which calls are made to fail and which outcomes are kept, and that only where the operator
//! allows it, and which of the configured artifacts decides. Not here: who may ask (see
//! [`super::serve_admin()`]).

use std::sync::Arc;
use std::time::Duration;

use tonic::codegen::BoxStream;
use tonic::{Request, Response, Status};

use super::proto::{self, pointsman_admin_server};
use super::{artifact, drill, outcomes, to_proto};
use crate::catalog::Speed;
use crate::dispatch::health::{Condition, Phase};
use crate::domain::{DeploymentId, ForcedFault};
use crate::pipeline::Pipeline;
use crate::prediction::LiveFigures;
use crate::ranking::{Availability, Unavailable};

/// The service.
pub(super) struct Admin {
    /// What does the work.
    pub(super) pipeline: Arc<Pipeline>,
}

#[tonic::async_trait]
impl pointsman_admin_server::PointsmanAdmin for Admin {
    async fn list_availability(
        &self,
        _request: Request<proto::ListAvailabilityRequest>,
    ) -> Result<Response<proto::ListAvailabilityResponse>, Status> {
        let (conditions, now) = self.pipeline.conditions();
        let known = self.pipeline.availability();
        let deployments = conditions.iter().map(|it| {
            let speed = self.speed(&it.deployment);
            proto::DeploymentAvailability { speed, ..told(it, &known, now) }
        });
        let deployments = deployments.collect();
        Ok(Response::new(proto::ListAvailabilityResponse { deployments }))
    }

    async fn set_faults(
        &self,
        request: Request<proto::SetFaultsRequest>,
    ) -> Result<Response<proto::FaultsResponse>, Status> {
        let wire = request.into_inner();
        drill::allowed(&self.pipeline)?;
        let ttl = drill::ttl(wire.ttl_ms)?;
        let faults = drill::requested(&wire.faults, "", &self.pipeline)?;
        self.put(faults, ttl)
    }

    async fn list_faults(
        &self,
        _request: Request<proto::ListFaultsRequest>,
    ) -> Result<Response<proto::FaultsResponse>, Status> {
        drill::allowed(&self.pipeline)?;
        Ok(Response::new(drill::standing(&self.pipeline.standing_faults())))
    }

    async fn clear_faults(
        &self,
        _request: Request<proto::ClearFaultsRequest>,
    ) -> Result<Response<proto::FaultsResponse>, Status> {
        drill::allowed(&self.pipeline)?;
        self.put(Vec::new(), Duration::ZERO)
    }

    async fn get_status(
        &self,
        _request: Request<proto::GetStatusRequest>,
    ) -> Result<Response<proto::GetStatusResponse>, Status> {
        Ok(Response::new(artifact::status(&self.pipeline.artifacts().status())))
    }

    async fn reload_artifact(
        &self,
        _request: Request<proto::ReloadArtifactRequest>,
    ) -> Result<Response<proto::ReloadArtifactResponse>, Status> {
        let artifacts = self.pipeline.artifacts();
        artifact::reloadable(&artifacts.status())?;
        let changed = artifacts.reload().await;
        let now = artifacts.status();
        let changed = changed.map_err(|it| artifact::refused(&it, &now))?;
        let status = Some(artifact::status(&now));
        Ok(Response::new(proto::ReloadArtifactResponse { changed, status }))
    }

    async fn rollback_artifact(
        &self,
        _request: Request<proto::RollbackArtifactRequest>,
    ) -> Result<Response<proto::RollbackArtifactResponse>, Status> {
        let artifacts = self.pipeline.artifacts();
        artifacts.rollback().await.map_err(|_| artifact::nothing_before())?;
        let status = Some(artifact::status(&artifacts.status()));
        Ok(Response::new(proto::RollbackArtifactResponse { status }))
    }

    type ExportOutcomesStream = BoxStream<proto::ExportOutcomesResponse>;

    async fn export_outcomes(
        &self,
        request: Request<proto::ExportOutcomesRequest>,
    ) -> Result<Response<Self::ExportOutcomesStream>, Status> {
        outcomes::pulled(self.pipeline.log(), &request.into_inner()).await.map(Response::new)
    }

    async fn delete_outcomes(
        &self,
        request: Request<proto::DeleteOutcomesRequest>,
    ) -> Result<Response<proto::DeleteOutcomesResponse>, Status> {
        outcomes::deleted(self.pipeline.log(), request.into_inner()).await.map(Response::new)
    }
}

impl Admin {
    /// How fast a deployment was.
    fn speed(&self, of: &DeploymentId) -> Option<proto::LiveSpeed> {
        let mut fleet = self.pipeline.fleet().deployments().iter();
        let believed = fleet.find(|it| it.id == *of)?.speed;
        live_speed(&self.pipeline.speed_figures(of), believed)
    }

    /// Sets a drill, and tells what holds from now on.
    fn put(
        &self,
        faults: Vec<ForcedFault>,
        ttl: Duration,
    ) -> Result<Response<proto::FaultsResponse>, Status> {
        // For whoever wonders why calls fail.
        tracing::warn!(faults = faults.len(), ttl_s = ttl.as_secs(), "a drill is set");
        self.pipeline.set_faults(faults, ttl);
        Ok(Response::new(drill::standing(&self.pipeline.standing_faults())))
    }
}

fn told(it: &Condition, known: &Availability, now: Duration) -> proto::DeploymentAvailability {
    let deployment = it.deployment.to_string();
    if let Some(why) = never(&it.deployment, known) {
        let (state, unavailable) = (proto::AvailabilityState::Unavailable.into(), Some(why));
        return proto::DeploymentAvailability {
            deployment,
            state,
            unavailable,
            ..Default::default()
        };
    }
    use proto::AvailabilityState::{Closed, HalfOpen, Open, Ramping};
    let (state, until) = match it.phase {
        Phase::Closed => (Closed, None),
        Phase::Open(until) => (Open, Some(until)),
        Phase::Due => (HalfOpen, None),
        Phase::Probing(until) => (HalfOpen, Some(until)),
        Phase::Ramping(until) => (Ramping, Some(until)),
    };
    let always = it.since.is_zero();
    proto::DeploymentAvailability {
        deployment,
        state: state.into(),
        since_ms: (!always).then(|| millis(now.saturating_sub(it.since))),
        until_ms: until.map(|it| millis(it.saturating_sub(now))),
        failure: it.class.map_or(0, |class| to_proto::failure_class(class).into()),
        unavailable: None,
        speed: None,
    }
}

/// What was measured, in the units of the speed that was believed beforehand.
fn live_speed(of: &LiveFigures, believed: Speed) -> Option<proto::LiveSpeed> {
    let ttft_ms = of.ttft.map(|it| it.map(|ratio| ratio * believed.ttft_ms));
    let speed = proto::LiveSpeed {
        samples: of.samples,
        ttft_ms_p50: ttft_ms.map(|[p50, _]| p50),
        ttft_ms_p95: ttft_ms.map(|[_, p95]| p95),
        token_ms_p50: of.token.map(|it| it * 1_000.0 / believed.tokens_per_s),
        latency_ratio_p50: of.latency.map(|[p50, _]| p50),
        latency_ratio_p95: of.latency.map(|[_, p95]| p95),
        latency_coverage_90: of.coverage_90,
    };
    (of.samples > 0).then_some(speed)
}

/// Why a deployment can never be called, if so.
fn never(deployment: &DeploymentId, known: &Availability) -> Option<String> {
    match known.of(deployment)? {
        why @ Unavailable::NoKey(_) => Some(why.to_string()),
        Unavailable::Shut { .. } | Unavailable::Full { .. } => None,
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::FailureClass;

    #[test]
    fn every_phase_has_its_state() {
        let check =
            |phase: Phase,
             since: u64,
             wanted: (proto::AvailabilityState, Option<u64>, Option<u64>)| {
                let deployment = DeploymentId::new("m@p").unwrap();
                let class = Some(FailureClass::Overloaded);
                let it = Condition { deployment, phase, since: Duration::from_secs(since), class };
                let wire = told(&it, &Availability::default(), Duration::from_secs(10));
                assert_eq!((wire.state(), wire.since_ms, wire.until_ms), wanted, "{phase:?}");
                assert_eq!(wire.failure(), proto::FailureClass::Overloaded);
            };
        use proto::AvailabilityState::{Closed, HalfOpen, Open, Ramping};
        let until = Duration::from_secs(12);
        check(Phase::Closed, 0, (Closed, None, None));
        check(Phase::Open(until), 7, (Open, Some(3_000), Some(2_000)));
        check(Phase::Due, 7, (HalfOpen, Some(3_000), None));
        check(Phase::Probing(until), 9, (HalfOpen, Some(1_000), Some(2_000)));
        check(Phase::Ramping(until), 9, (Ramping, Some(1_000), Some(2_000)));
    }

    #[test]
    fn speeds_are_told_in_their_units() {
        let believed = Speed { ttft_ms: 500.0, tokens_per_s: 50.0 };
        assert_eq!(live_speed(&LiveFigures::default(), believed), None);
        let measured = LiveFigures {
            samples: 9,
            ttft: Some([2.0, 4.0]),
            token: Some(0.5),
            latency: None,
            coverage_90: Some(0.875),
        };
        let wanted = proto::LiveSpeed {
            samples: 9,
            ttft_ms_p50: Some(1_000.0),
            ttft_ms_p95: Some(2_000.0),
            token_ms_p50: Some(10.0),
            latency_coverage_90: Some(0.875),
            ..Default::default()
        };
        assert_eq!(live_speed(&measured, believed), Some(wanted));
    }

    #[test]
    fn a_missing_key_is_told() {
        let deployment = DeploymentId::new("m@p").unwrap();
        let mut known = Availability::default();
        known.mark(deployment.clone(), Unavailable::NoKey("A_KEY".into()));
        let it = Condition { deployment, phase: Phase::Closed, since: Duration::ZERO, class: None };
        let wire = told(&it, &known, Duration::ZERO);
        assert_eq!(wire.state(), proto::AvailabilityState::Unavailable);
        assert_eq!(wire.unavailable.as_deref(), Some("no API key in A_KEY"));
    }
}
