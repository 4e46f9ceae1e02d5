//! Answers and decisions, from our own shape to the wire.
//!
//! In: what the pipeline gave. Out: wire messages. Invariant: every enum is a full match, so a new
//! variant needs a name on the wire before it compiles. Not here: errors (see [`super::status`]).

use super::limit::limit;
use super::proto::{self, part::Content};
use crate::catalog::{Deployment, Fleet, Model};
use crate::dispatch::ChainEnd;
use crate::domain::{
    Attempt, ChatResponse, DeploymentId, FailureClass, FinishReason, Reasoning, Seal, Text,
    ToolCall, Usage,
};
use crate::pipeline::{CacheHit, Decision, Routed};
use crate::prediction;
use crate::ranking::route::Taken;
use crate::ranking::{Availability, Excluded, Exclusion, Ranked};

/// An answer with its attempts and its decision; `None` when nobody answered.
pub(super) fn route_response(routed: &Routed) -> Option<proto::RouteResponse> {
    let (whole, response) = served(routed)?;
    let message = Some(answer(response.clone()));
    let logprobs_json = response.logprobs.as_ref().map(|it| it.value().to_string());
    Some(proto::RouteResponse { message, logprobs_json, ..whole })
}

/// The end of a stream: as [`route_response`], without what came in pieces.
pub(super) fn completed(routed: &Routed) -> Option<proto::RouteResponse> {
    served(routed).map(|(whole, _)| whole)
}

/// Everything about an answer but its content, and the content.
fn served(routed: &Routed) -> Option<(proto::RouteResponse, &ChatResponse)> {
    let dispatched = routed.dispatched.as_ref()?;
    let (deployment, response) = match &dispatched.end {
        ChainEnd::Served { deployment, response } => (deployment, response),
        ChainEnd::Broken { .. } | ChainEnd::Failed(_) => return None,
    };
    let told = proto::RouteResponse {
        message: None,
        finish_reason: finish_reason(response.finish).into(),
        usage: Some(usage(&dispatched.usage())),
        cost_usd: dispatched.cost_usd().get(),
        served_model: deployment.model.name.to_string(),
        deployment: deployment.id.to_string(),
        provider: deployment.provider.to_string(),
        attempts: dispatched.attempts.iter().map(attempt).collect(),
        decision: Some(decision(&routed.decision)),
        outcome_recorded: routed.recorded,
        total_ms: routed.total_ms,
        dropped_parameters: dispatched.dropped.clone(),
        logprobs_json: None,
        cached: routed.cached.map(cached),
    };
    Some((told, response))
}

fn cached(of: CacheHit) -> proto::CachedAnswer {
    proto::CachedAnswer {
        decision_id: of.decision.to_string(),
        age_ms: u64::try_from(of.age.as_millis()).unwrap_or(u64::MAX),
        similarity: of.similarity,
    }
}

/// How much of an answer was streamed before `class` ended it.
pub(super) fn partial(
    deployment: &Deployment,
    class: FailureClass,
    sent: &ChatResponse,
) -> proto::PartialAnswer {
    let thoughts = sent.reasoning.iter().filter_map(|it| it.text.as_ref());
    // The last call may be cut where its text happens to parse, or where none of it came.
    let before_last = sent.tool_calls.split_last().map_or(&[][..], |(_, before)| before);
    let parses = |it: &&ToolCall| {
        serde_json::from_str::<serde::de::IgnoredAny>(it.arguments.as_str()).is_ok()
    };
    let whole = before_last.iter().take_while(parses).count();
    proto::PartialAnswer {
        deployment: deployment.id.to_string(),
        failure: failure_class(class).into(),
        text_bytes: sent.text.as_ref().map_or(0, Text::len) as u64,
        reasoning_bytes: thoughts.map(Text::len).sum::<usize>() as u64,
        tool_calls_whole: u32::try_from(whole).unwrap_or(u32::MAX),
    }
}

/// A choice, also where nobody could be chosen.
pub fn rank_response(of: &Decision) -> proto::RankResponse {
    let refusal = of.verdict.as_ref().err().map(ToString::to_string);
    proto::RankResponse { decision: Some(decision(of)), refusal }
}

/// A choice and what it was made from.
pub(super) fn decision(of: &Decision) -> proto::Decision {
    let (ranking, excluded) = match &of.verdict {
        Ok(ranking) => (ranking.entries.as_slice(), &ranking.excluded),
        Err(refusal) => ([].as_slice(), &refusal.excluded),
    };
    proto::Decision {
        id: of.id.to_string(),
        artifact_version: of.artifact_version.clone(),
        encoder_exit: of.encoder_exit.into(),
        ranking: ranking.iter().map(ranked).collect(),
        excluded: excluded.iter().map(self::excluded).collect(),
        seed: of.id.seed(),
        decide_us: of.decide_us,
        explanation: None,
        canary: of.canary,
        route: of.verdict.as_ref().ok().and_then(|it| it.taken.as_ref()).map(taken),
        learned_updates: of.learned_updates,
    }
}

fn taken(of: &Taken) -> proto::RouteTaken {
    proto::RouteTaken { name: of.route.to_string(), branch: of.branch.clone() }
}

fn ranked(of: &Ranked) -> proto::RankedCandidate {
    proto::RankedCandidate {
        deployment: of.deployment.id.to_string(),
        model: of.deployment.model.name.to_string(),
        provider: of.deployment.provider.to_string(),
        prediction: Some(prediction(&of.prediction)),
        utility: of.utility,
        propensity: of.propensity.get(),
        shut: of.shut.as_ref().map(ToString::to_string),
        in_flight: of.in_flight,
        target: of.stop.as_ref().map(|it| it.label.clone()),
    }
}

fn excluded(of: &Excluded) -> proto::ExcludedCandidate {
    let reason =
        |it: &Exclusion| proto::Exclusion { limit: limit(it).into(), message: it.to_string() };
    proto::ExcludedCandidate {
        deployment: of.deployment.to_string(),
        reasons: of.reasons.iter().map(reason).collect(),
        prediction: Some(prediction(&of.prediction)),
    }
}

fn prediction(of: &prediction::Prediction) -> proto::Prediction {
    proto::Prediction {
        quality: of.quality.mean.get(),
        quality_spread: of.quality.spread,
        input_tokens: of.input_tokens,
        output_tokens: of.output_tokens.mean(),
        cost_usd: of.expected_cost_usd(),
        cost_usd_p90: of.cost_usd.quantile(0.9),
        latency_ms: of.latency_s.mean() * 1_000.0,
        latency_ms_p90: of.latency_s.quantile(0.9) * 1_000.0,
        ttft_ms: of.ttft_ms,
        cached_tokens: of.cached.tokens,
        ttft_ms_p90: of.ttft_quantile_ms(0.9),
    }
}

/// One call, as the caller is told of it.
pub(super) fn attempt(of: &Attempt) -> proto::Attempt {
    let failure = of.failure.map_or(proto::FailureClass::Unspecified, failure_class);
    proto::Attempt {
        deployment: of.deployment.to_string(),
        failure: failure.into(),
        status: of.status.map(u32::from),
        start_ms: of.start_ms,
        total_ms: of.total_ms,
        ttft_ms: of.ttft_ms,
        usage: Some(usage(&of.usage)),
        usage_estimated: of.usage_estimated,
        cost_usd: of.cost_usd.get(),
        detail: of.detail.clone(),
    }
}

pub(super) fn failure_class(of: FailureClass) -> proto::FailureClass {
    use proto::FailureClass as Wire;
    match of {
        FailureClass::RateLimited => Wire::RateLimited,
        FailureClass::Overloaded => Wire::Overloaded,
        FailureClass::Connection => Wire::Connection,
        FailureClass::FirstTokenLate => Wire::FirstTokenLate,
        FailureClass::Stalled => Wire::Stalled,
        FailureClass::Deadline => Wire::Deadline,
        FailureClass::Auth => Wire::Auth,
        FailureClass::ModelMissing => Wire::ModelMissing,
        FailureClass::ContextTooLong => Wire::ContextTooLong,
        FailureClass::Unsupported => Wire::Unsupported,
        FailureClass::ContentFiltered => Wire::ContentFiltered,
        FailureClass::InvalidRequest => Wire::InvalidRequest,
        FailureClass::EmptyAnswer => Wire::EmptyAnswer,
        FailureClass::Malformed => Wire::Malformed,
        FailureClass::StreamCut => Wire::StreamCut,
        FailureClass::OverBudget => Wire::OverBudget,
        FailureClass::Cancelled => Wire::Cancelled,
    }
}

fn finish_reason(of: FinishReason) -> proto::FinishReason {
    match of {
        FinishReason::Stop => proto::FinishReason::Stop,
        FinishReason::Length => proto::FinishReason::Length,
        FinishReason::ToolCalls => proto::FinishReason::ToolCalls,
        FinishReason::ContentFilter => proto::FinishReason::ContentFilter,
    }
}

fn usage(of: &Usage) -> proto::Usage {
    proto::Usage {
        input_tokens: of.input_tokens,
        cached_tokens: of.cached_tokens,
        output_tokens: of.output_tokens,
        reasoning_tokens: of.reasoning_tokens,
        cache_written_tokens: of.cache_written_tokens,
    }
}

fn answer(response: ChatResponse) -> proto::Message {
    let thoughts = response.reasoning.into_iter().map(|it| Content::Reasoning(reasoning(it)));
    let text = response.text.map(Text::into_string).map(Content::Text);
    let calls = response.tool_calls.into_iter().map(|it| Content::ToolCall(tool_call(it)));
    let parts = thoughts.chain(text).chain(calls).map(|it| proto::Part { content: Some(it) });
    proto::Message { role: proto::Role::Assistant.into(), parts: parts.collect() }
}

fn tool_call(of: ToolCall) -> proto::ToolCall {
    let arguments = of.arguments.into_string();
    proto::ToolCall {
        id: of.id,
        name: of.name,
        arguments,
        seal: of.seal.as_ref().map(Seal::to_wire),
    }
}

fn reasoning(of: Reasoning) -> proto::ReasoningBlock {
    let text = of.text.map(Text::into_string);
    proto::ReasoningBlock { text, seal: of.seal.as_ref().map(Seal::to_wire) }
}

/// The models of the fleet that are to be seen, with what cannot be called now and why.
pub(super) fn models(
    fleet: &Fleet,
    availability: &Availability,
    seen: impl Fn(&Model) -> bool,
) -> proto::ListModelsResponse {
    let models = fleet.models().into_iter().filter(|it| seen(it)).map(|model| {
        let own = fleet.deployments().iter().filter(|it| it.model.name == model.name);
        proto::Model {
            name: model.name.to_string(),
            vendor: model.vendor.clone(),
            context_window: model.context_window,
            max_output_tokens: model.max_output_tokens,
            abilities: model.abilities.iter().map(|it| it.as_str().to_owned()).collect(),
            released: model.released.clone(),
            deployments: own.map(|it| deployment(it, availability)).collect(),
        }
    });
    proto::ListModelsResponse { models: models.collect() }
}

fn deployment(of: &Deployment, availability: &Availability) -> proto::Deployment {
    proto::Deployment {
        id: of.id.to_string(),
        provider: of.provider.to_string(),
        model_id: of.model_id.clone(),
        input_usd_per_million: of.price.input.usd_per_million(),
        cached_usd_per_million: of.price.cached.map(|it| it.usd_per_million()),
        output_usd_per_million: of.price.output.usd_per_million(),
        last_resort: of.last_resort,
        unavailable: unavailable(&of.id, availability),
        data_collection: of.terms.data_collection.map(|it| it.as_str().to_owned()),
        zdr: of.terms.zdr,
        quantization: of.terms.quantization.map(|it| it.to_string()),
    }
}

fn unavailable(id: &DeploymentId, availability: &Availability) -> Option<String> {
    availability.of(id).map(ToString::to_string)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::testing;
    use crate::ranking::Unavailable;

    #[test]
    fn failure_classes_keep_their_names() {
        for class in FailureClass::ALL {
            let name = format!("FAILURE_CLASS_{}", class.as_str().to_uppercase());
            assert_eq!(failure_class(class).as_str_name(), name);
        }
    }

    #[test]
    fn an_answer_sent_back_is_what_it_was() {
        let sent = testing::answer();
        let message = answer(sent.clone());
        assert_eq!(message.role(), proto::Role::Assistant);
        let kinds: Vec<_> = message.parts.iter().filter_map(|it| it.content.as_ref()).collect();
        let [Content::Reasoning(_), Content::Text(_), Content::ToolCall(_)] = kinds[..] else {
            panic!("{} other parts", kinds.len())
        };
        let mut wire = testing::request("hello");
        wire.messages.push(message);
        let mut found = Vec::new();
        let read = crate::api::chat_from_proto::chat_request(&mut wire, &mut found);
        assert_eq!(found, []);
        let (reasoning, text, tool_calls) = (sent.reasoning, sent.text, sent.tool_calls);
        assert_eq!(
            read.messages[1],
            crate::domain::Message::Assistant { reasoning, text, tool_calls }
        );
    }

    #[test]
    fn a_whole_answer_names_what_was_dropped() {
        let routed = testing::answered(testing::answer());
        let response = route_response(&routed).unwrap();
        assert_eq!(response.dropped_parameters, ["seed"]);
        assert_eq!(response.logprobs_json.as_deref(), Some(r#"{"content":[]}"#));
        assert_eq!(response.usage.unwrap().cache_written_tokens, 3);
        let end = completed(&routed).unwrap();
        assert!(end.message.is_none() && end.logprobs_json.is_none());
        assert_eq!(end.decision, response.decision);
    }

    #[test]
    fn only_calls_before_the_last_can_be_whole() {
        let check = |arguments: &[&str], wanted: u32| {
            let call = |it: &&str| ToolCall { arguments: (*it).into(), ..testing::tool_call() };
            let tool_calls = arguments.iter().map(call).collect();
            let sent = ChatResponse { tool_calls, ..testing::answer() };
            let deployment = &testing::fleet().deployments()[0].clone();
            let told = partial(deployment, FailureClass::Stalled, &sent);
            assert_eq!(told.tool_calls_whole, wanted, "{arguments:?}");
            assert_eq!((told.text_bytes, told.reasoning_bytes), (5, 2));
            assert_eq!(told.failure(), proto::FailureClass::Stalled);
        };
        check(&[], 0);
        check(&["{}"], 0);
        check(&["{}", "{\"a\""], 1);
        check(&["{\"a\"", "{}", "{}"], 0);
    }

    #[test]
    fn a_refused_decision_lists_everyone() {
        let wire = rank_response(&testing::refused());
        let decision = wire.decision.unwrap();
        assert_eq!((decision.ranking.len(), decision.excluded.len()), (0, 2));
        assert_eq!(decision.excluded[0].reasons[0].limit(), proto::Limit::NotAllowed);
        assert!(wire.refusal.is_some_and(|it| it.contains("not_allowed excludes 2")));
    }

    #[test]
    fn models_tell_where_they_are_served_and_what_is_missing() {
        let fleet = testing::fleet();
        let mut availability = Availability::default();
        let first = fleet.deployments()[0].id.clone();
        availability.mark(first, Unavailable::NoKey("OPENAI_API_KEY".into()));
        let models = models(&fleet, &availability, |_| true).models;
        assert_eq!(models.len(), 2);
        let deployment = &models[0].deployments[0];
        assert_eq!(deployment.unavailable.as_deref(), Some("no API key in OPENAI_API_KEY"));
    }
}
