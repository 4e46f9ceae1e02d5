//! What an asker may do: models, policies, tokens, decisions of his own team.
//!
//! In: who asks, what he named. Out: the policy cut to his scope, or the [`Fault`]. Invariant: who names
//! what he may not have is refused; who names nothing never gets it. Refusals are counted here. Not
//! here: who he is (see [`super::auth`]).

use std::borrow::Cow;

use super::auth::Asker;
use super::fault::{self, Fault};
use super::{proto, route, variants};
use crate::domain::{ChatRequest, DecisionId};
use crate::pipeline::Pipeline;
use crate::ranking::Policy;

/// What a preference in figures of one's own counts as, among the policies that a key may name.
const OWN_FIGURES: &str = "custom";

/// The policy that holds for a request, cut to what the asker may use.
///
/// # Errors
/// The [`Fault`] for a model or a policy that he names and may not use.
pub(super) fn permitted(
    asker: &Asker,
    wire: &proto::RouteRequest,
    policy: Policy,
    pipeline: &Pipeline,
) -> Result<Policy, Fault> {
    let Some(caller) = asker.caller() else { return Ok(policy) };
    let scope = caller.scope();
    let candidates = wire.candidates.as_ref();
    let named = candidates.into_iter().flat_map(|it| it.order.iter().chain(&it.allow));
    let may_use = |name: &str| {
        let base = variants::read(name, pipeline.fleet()).ok().map(|(base, _)| base);
        let name = base.as_ref().map_or(name, |it| it.as_str());
        let models = scope.models.as_ref();
        models.is_none_or(|it| it.iter().any(|own| own.as_str() == name))
    };
    if let Some(name) = named.into_iter().find(|it| !may_use(it)) {
        pipeline.metrics().auth_refused("model");
        return Err(fault::not_permitted("MODEL_NOT_PERMITTED", "model", name));
    }
    if let Some(name) = policies(wire).find(|it| !scope.has_policy(it)) {
        pipeline.metrics().auth_refused("policy");
        return Err(fault::not_permitted("POLICY_NOT_PERMITTED", "policy", &name));
    }
    let mut policy = policy;
    policy.candidates.permitted = scope.models.clone();
    Ok(policy)
}

/// The policies that a request names; a route counts as one, by its name behind `route:`.
fn policies(wire: &proto::RouteRequest) -> impl Iterator<Item = Cow<'_, str>> {
    let preference = wire.preference.as_ref();
    let preset = preference.and_then(|it| it.preset.as_deref());
    let figures = preference
        .filter(|it| it.cost_per_quality_usd.is_some() || it.latency_per_quality_ms.is_some());
    let own = preset.into_iter().chain(figures.map(|_| OWN_FIGURES)).map(Cow::Borrowed);
    own.chain(wire.route.as_ref().map(|it| Cow::Owned(format!("{}{it}", route::ROUTE))))
}

/// Counts the tokens of a prompt that is to be answered.
///
/// # Errors
/// The [`Fault`] when the minute's are used up.
pub(super) fn take_tokens(
    asker: &Asker,
    chat: &ChatRequest,
    pipeline: &Pipeline,
) -> Result<(), Fault> {
    let Some(caller) = asker.caller() else { return Ok(()) };
    caller.take_tokens(chat.tokens_about()).map_err(|over| {
        pipeline.metrics().limit_refused(over.rate.as_str());
        fault::over_rate(&over)
    })
}

/// Whether an asker may say something of a decision: nobody may of another team's.
///
/// # Errors
/// The [`Fault`] for a decision that is not in the log, whether it is another's or nobody's.
pub(super) async fn may_rate(
    asker: &Asker,
    decision: DecisionId,
    pipeline: &Pipeline,
) -> Result<(), Fault> {
    let team = match asker {
        Asker::Anyone => return Ok(()),
        Asker::Nobody => None,
        Asker::Known(caller) => Some(caller.team()),
    };
    let asked_by = pipeline.asked_by(decision).await.map_err(|it| fault::not_stored(&it))?;
    match asked_by {
        Some(by) if team != Some(by.team.as_str()) => {
            pipeline.metrics().auth_refused("other_team");
            Err(fault::unknown_decision())
        }
        Some(_) | None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_route_counts_as_a_policy() {
        let named =
            |wire: proto::RouteRequest| policies(&wire).map(Cow::into_owned).collect::<Vec<_>>();
        assert!(named(proto::RouteRequest::default()).is_empty());
        let preference = proto::Preference { preset: Some("cost".into()), ..Default::default() };
        let wire = proto::RouteRequest {
            preference: Some(preference),
            route: Some("support".into()),
            ..Default::default()
        };
        assert_eq!(named(wire), ["cost", "route:support"]);
    }
}
