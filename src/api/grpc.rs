//! `pointsman.v1.Pointsman` over the pipeline.
//!
//! In: decoded wire messages. Out: wire messages, or a status of [`super::status`]. Invariant: no
//! logic of its own. A caller who leaves drops the handler, and with it the attempt under way.

use std::sync::Arc;

use tokio::time::Instant;
use tonic::codegen::BoxStream;
use tonic::{Request, Response, Status};

use super::auth::Asker;
use super::defaults::Defaults;
use super::from_proto::{Asked, asked, feedback};
use super::proto::{self, pointsman_server};
use super::{deadline, drill, explain, grpc_stream, scope, status, to_proto};
use crate::catalog::Model;
use crate::domain::Violation;
use crate::outcome::FeedbackReceipt;
use crate::pipeline::{Call, Pipeline, PipelineError, Routed};
use crate::telemetry::{Delivery, Face};

/// Most requests in one batch: some seconds of computing, and answers of some MiB.
const BATCH_MAX: usize = 1_000;

/// The service.
pub(super) struct Grpc {
    /// What does the work.
    pub(super) pipeline: Arc<Pipeline>,
    /// What holds where a request says nothing.
    pub(super) defaults: Defaults,
}

#[tonic::async_trait]
impl pointsman_server::Pointsman for Grpc {
    async fn route(
        &self,
        request: Request<proto::RouteRequest>,
    ) -> Result<Response<proto::RouteResponse>, Status> {
        let (call, explain) = self.call(request, Delivery::Whole)?;
        let routed = self.pipeline.route(call).await.map_err(|it| status::broken(&it))?;
        answer(&routed, explain).map(Response::new)
    }

    type RouteStreamStream = BoxStream<proto::RouteEvent>;

    async fn route_stream(
        &self,
        request: Request<proto::RouteRequest>,
    ) -> Result<Response<Self::RouteStreamStream>, Status> {
        let (call, explain) = self.call(request, Delivery::Stream)?;
        let routed = self.pipeline.route_stream(call).await.map_err(|it| status::broken(&it))?;
        Ok(Response::new(grpc_stream::events(routed, explain)))
    }

    async fn rank(
        &self,
        request: Request<proto::RankRequest>,
    ) -> Result<Response<proto::RankResponse>, Status> {
        let asker = Asker::of(request.extensions());
        let wire = request.into_inner().request.unwrap_or_default();
        let wishes = policy_of(&wire);
        let asked = self.read(wire, "request").map_err(|it| status::invalid(&it))?;
        let asked = self.permitted(&asker, &wishes, asked)?;
        let mut ranked = self.rank_all(vec![looking(&asker, asked)]).await?;
        ranked.pop().map(Response::new).ok_or_else(|| Status::internal("nothing was ranked"))
    }

    async fn rank_batch(
        &self,
        request: Request<proto::RankBatchRequest>,
    ) -> Result<Response<proto::RankBatchResponse>, Status> {
        let asker = Asker::of(request.extensions());
        let requests = request.into_inner().requests;
        let count = requests.len();
        if !(1..=BATCH_MAX).contains(&count) {
            let message = format!("{count} requests; between 1 and {BATCH_MAX} are allowed");
            return Err(status::invalid(&[Violation::new("requests", message)]));
        }
        let (mut all, mut found) = (Vec::with_capacity(count), Vec::new());
        for (at, wire) in requests.into_iter().enumerate() {
            let wishes = policy_of(&wire);
            match self.read(wire, &format!("requests[{at}]")) {
                Ok(asked) => {
                    let asked = self.permitted(&asker, &wishes, asked)?;
                    all.push(looking(&asker, asked));
                }
                Err(violations) => found.extend(violations),
            }
        }
        if !found.is_empty() {
            return Err(status::invalid(&found));
        }
        let responses = self.rank_all(all).await?;
        Ok(Response::new(proto::RankBatchResponse { responses }))
    }

    async fn feedback(
        &self,
        request: Request<proto::FeedbackRequest>,
    ) -> Result<Response<proto::FeedbackResponse>, Status> {
        let asker = Asker::of(request.extensions());
        let feedback = feedback(request.into_inner()).map_err(|it| status::invalid(&it))?;
        scope::may_rate(&asker, feedback.decision, &self.pipeline).await?;
        let receipt = self.pipeline.feedback(feedback).await;
        let newly_stored = match receipt.map_err(|it| status::not_stored(&it))? {
            FeedbackReceipt::Stored => true,
            FeedbackReceipt::AlreadyStored => false,
            FeedbackReceipt::UnknownDecision => return Err(status::unknown_decision()),
        };
        Ok(Response::new(proto::FeedbackResponse { newly_stored }))
    }

    async fn list_models(
        &self,
        request: Request<proto::ListModelsRequest>,
    ) -> Result<Response<proto::ListModelsResponse>, Status> {
        let asker = Asker::of(request.extensions());
        let seen = |it: &Model| asker.may_see(it);
        let (fleet, availability) = (self.pipeline.fleet(), self.pipeline.availability());
        Ok(Response::new(to_proto::models(fleet, &availability, seen)))
    }
}

impl Grpc {
    /// Reads and checks a request that is to be answered; also whether it wants the decision in words.
    fn call(
        &self,
        request: Request<proto::RouteRequest>,
        delivery: Delivery,
    ) -> Result<(Call, bool), Status> {
        let metrics = self.pipeline.metrics();
        metrics.received(Face::Grpc);
        self.checked(request, delivery).inspect_err(|_| metrics.rejected(Face::Grpc))
    }

    fn checked(
        &self,
        request: Request<proto::RouteRequest>,
        delivery: Delivery,
    ) -> Result<(Call, bool), Status> {
        let arrived = Instant::now();
        let deadline = deadline::deadline(request.metadata());
        let asker = Asker::of(request.extensions());
        let wire = request.into_inner();
        let wishes = policy_of(&wire);
        let faults = drill::requested(&wire.faults, "", &self.pipeline)?;
        let asked = asked(wire, &self.defaults, self.pipeline.fleet(), delivery);
        let asked = asked.map_err(|it| status::invalid(&it))?;
        let asked = self.permitted(&asker, &wishes, asked)?;
        scope::take_tokens(&asker, &asked.request, &self.pipeline)?;
        let caller = asker.caller().cloned();
        let Asked { request, policy, session_id, request_id, metadata, explain, cache } = asked;
        let call = Call {
            request,
            policy,
            arrived,
            deadline,
            request_id,
            session_id,
            metadata,
            faults,
            caller,
            cache,
        };
        Ok((call, explain))
    }

    /// A request that was read, cut to what its asker may use.
    fn permitted(
        &self,
        asker: &Asker,
        wishes: &proto::RouteRequest,
        asked: Asked,
    ) -> Result<Asked, Status> {
        let policy = scope::permitted(asker, wishes, asked.policy, &self.pipeline)?;
        Ok(Asked { policy, ..asked })
    }

    /// Reads a request that stands inside another message, at `path`.
    fn read(&self, wire: proto::RouteRequest, path: &str) -> Result<Asked, Vec<Violation>> {
        let asked = asked(wire, &self.defaults, self.pipeline.fleet(), Delivery::Whole);
        asked.map_err(|found| {
            let placed = found.into_iter();
            placed.map(|it| Violation::new(format!("{path}.{}", it.field), it.message)).collect()
        })
    }

    /// Ranks one after another, away from the threads that serve connections.
    async fn rank_all(&self, all: Vec<Asked>) -> Result<Vec<proto::RankResponse>, Status> {
        let pipeline = Arc::clone(&self.pipeline);
        let work = move || all.iter().map(|it| rank_one(&pipeline, it)).collect();
        let ranked: Result<Result<_, PipelineError>, _> = tokio::task::spawn_blocking(work).await;
        let ranked = ranked.unwrap_or_else(|ended| Err(ended.into()));
        ranked.map_err(|it| status::broken(&it))
    }
}

/// A request that is only ranked: nothing of it is logged, so its session can have the name under which
/// it is remembered.
fn looking(asker: &Asker, asked: Asked) -> Asked {
    let session_id = asked.session_id.map(|it| asker.own(it));
    Asked { session_id, ..asked }
}

/// What of a request names models and policies; reading takes the rest.
fn policy_of(wire: &proto::RouteRequest) -> proto::RouteRequest {
    let (candidates, preference) = (wire.candidates.clone(), wire.preference.clone());
    let route = wire.route.clone();
    proto::RouteRequest { candidates, preference, route, ..Default::default() }
}

fn rank_one(pipeline: &Pipeline, asked: &Asked) -> Result<proto::RankResponse, PipelineError> {
    let decision = pipeline.rank_in(asked.session_id.as_deref(), &asked.request, &asked.policy)?;
    let mut response = to_proto::rank_response(&decision);
    if let Some(wire) = response.decision.as_mut().filter(|_| asked.explain) {
        wire.explanation = Some(explain::explanation(&decision));
    }
    Ok(response)
}

fn answer(routed: &Routed, explain: bool) -> Result<proto::RouteResponse, Status> {
    let response = to_proto::route_response(routed);
    let mut response = response.ok_or_else(|| status::unanswered(routed))?;
    if let Some(wire) = response.decision.as_mut().filter(|_| explain) {
        wire.explanation = Some(explain::explanation(&routed.decision));
    }
    Ok(response)
}
