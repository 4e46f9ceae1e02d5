//! A body and its headers, made into what the pipeline takes.
//!
//! In: what a dialect read, our headers. Out: [`Wanted`], or the [`Fault`] that tells every problem
//! at once. Order of what wins: the `pointsman` object, then `model`, then headers. Not here: the
//! dialects' own fields.

use serde_json::{Map, Value};

use http::HeaderMap;

use super::details::Explain;
use super::dialect::{Delivery, Dialect, Said};
use super::fields::Placed;
use super::{Face, extension, headers, provider};
use crate::api::auth::Asker;
use crate::api::fault::{self, Fault, Kind};
use crate::api::route::{Came, NO_ROUTE, ROUTE};
use crate::api::{drill, from_proto, proto, scope, variants};
use crate::catalog::Fleet;
use crate::domain::{ChatRequest, ForcedFault, Violation};
use crate::ranking::{OnStreamFailure, Policy, Preference};

/// The model that leaves the choice to us.
pub(super) const AUTO: &str = "auto";
/// The same as OpenRouter's users write it.
const OPENROUTER_AUTO: &str = "openrouter/auto";

/// A request that passed.
pub(super) struct Wanted {
    /// The prompt.
    pub(super) chat: ChatRequest,
    /// What holds for it.
    pub(super) policy: Policy,
    /// What is kept in the log, and whether reasons are wanted.
    pub(super) wire: proto::RouteRequest,
    /// How the answer is to come.
    pub(super) delivery: Delivery,
    /// `model` as the caller wrote it.
    pub(super) model: String,
    /// Failures that are asked for.
    pub(super) faults: Vec<ForcedFault>,
    /// Who asks.
    pub(super) asker: Asker,
}

impl Wanted {
    /// The same, cut to what this asker may use.
    pub(super) fn asked_by(self, asker: Asker, face: &Face) -> Result<Self, Fault> {
        let policy = scope::permitted(&asker, &self.wire, self.policy, &face.pipeline)?;
        Ok(Self { policy, asker, ..self })
    }

    /// Whether reasons are wanted.
    pub(super) fn explain(&self) -> Explain {
        self.wire.explain.into()
    }
}

/// Reads and checks a request.
pub(super) fn wanted<D: Dialect>(
    face: &Face,
    headers: &HeaderMap,
    body: Map<String, Value>,
) -> Result<Wanted, Fault> {
    let mut found = Vec::new();
    let said = D::read(body, &mut found);
    let Said { chat, model, models, delivery, extension, provider, allowed, metadata } = said;
    let shape_fits = found.is_empty();
    let invalid = chat.validate().err().unwrap_or_default();
    // A stand-in of what could not be read is not told a second time.
    found.extend(
        invalid
            .into_iter()
            .filter(|it| shape_fits || it.field != "messages")
            .map(|it| Violation { field: D::path(it.field), ..it }),
    );
    let mut wire = proto::RouteRequest::default();
    headers::read(headers, &mut wire, &mut found);
    wire.metadata.extend(metadata);
    wire.provider = provider.and_then(|it| provider::read(it, &mut found));
    by_model(&model, &mut wire, &mut found);
    if let Some(value) = extension {
        extension::read(value, &mut wire, &mut found);
    }
    let fleet = face.pipeline.fleet();
    allow(allowed, &mut wire, fleet, &mut found);
    let missing = in_order(&model, models, &mut wire, fleet, &mut found);
    let mut own = Vec::new();
    let came = Came { model: &model, stream: delivery != Delivery::Whole };
    let policy = from_proto::wishes((&wire, &chat), &face.defaults, fleet, came, &mut own);
    let policy = policy.map(without_restart);
    found.extend(own.into_iter().map(|it| placed(it, headers)));
    match (policy, missing) {
        (_, Some(missing)) if found.is_empty() => {
            let fault = Fault::new(Kind::UnknownModel, "UNKNOWN_MODEL", missing.message.clone());
            Err(Fault { violations: vec![missing], ..fault })
        }
        (Some(policy), None) if found.is_empty() => {
            let prefix = format!("{}.", extension::NAME);
            let faults = drill::requested(&wire.faults, &prefix, &face.pipeline)?;
            let asker = Asker::default();
            Ok(Wanted { chat, policy, wire, delivery, model, faults, asker })
        }
        (_, missing) => {
            found.extend(missing);
            Err(fault::invalid(&found))
        }
    }
}

/// A server whose streams begin anew where they can lets them go on where they cannot.
fn without_restart(mut policy: Policy) -> Policy {
    let wish = &mut policy.fallback.on_stream_failure;
    if *wish == OnStreamFailure::Restart {
        *wish = OnStreamFailure::Continue;
    }
    policy
}

/// `auto:cost` and the like, and `route:NAME`.
fn by_model(model: &str, wire: &mut proto::RouteRequest, found: &mut Vec<Violation>) {
    if let Some(name) = model.strip_prefix(ROUTE) {
        wire.route = Some(name.to_owned());
        return;
    }
    let Some(preset) = model.strip_prefix(AUTO).and_then(|it| it.strip_prefix(':')) else { return };
    if let Some(by) = variants::figure(preset) {
        let sort = proto::ProviderSort { by: by.to_owned(), partition: String::new() };
        wire.provider.get_or_insert_default().sort.get_or_insert(sort);
        return;
    }
    if Preference::preset(preset).is_none() {
        let names = Preference::PRESETS.map(|(it, _)| format!("`{AUTO}:{it}`")).join(", ");
        let message = format!("this preference is not known; there are {names}");
        found.push(Violation::new("model", message));
        return;
    }
    wire.preference.get_or_insert_default().preset = Some(preset.to_owned());
}

/// The models that OpenRouter's auto router would be allowed.
fn allow(
    patterns: Vec<Placed>,
    wire: &mut proto::RouteRequest,
    fleet: &Fleet,
    found: &mut Vec<Violation>,
) {
    let Some(first) = patterns.first().map(|it| it.path.clone()) else { return };
    let names = provider::matching(patterns, fleet, found);
    let candidates = wire.candidates.get_or_insert_default();
    if candidates.allow.is_empty() {
        candidates.allow = names;
    } else {
        let message = "`pointsman.candidates.allow` names the models already; leave one out";
        found.push(Violation::new(first, message));
    }
}

/// The models that were named, in their order; gives back what is wrong with the first that is not
/// served here.
fn in_order(
    model: &str,
    models: Vec<String>,
    wire: &mut proto::RouteRequest,
    fleet: &Fleet,
    found: &mut Vec<Violation>,
) -> Option<Violation> {
    let open = ["auto:", ROUTE];
    let auto = |name: &str| {
        let ours = name.is_empty() || name == AUTO || name == OPENROUTER_AUTO;
        ours || open.iter().any(|it| name.starts_with(it))
    };
    // A route says who answers; the model is what its conditions may look at.
    let routed = wire.route.is_some() && wire.route.as_deref() != Some(NO_ROUTE);
    let primary = (!auto(model) && !routed).then(|| ("model".to_owned(), model.to_owned()));
    let primary = primary.filter(|(_, name)| !models.contains(name));
    let listed = models.into_iter().enumerate();
    let listed = listed.map(|(at, name)| (format!("models[{at}]"), name));
    let order: Vec<_> = primary.into_iter().chain(listed).filter(|(_, name)| !auto(name)).collect();
    if order.is_empty() {
        return None;
    }
    let candidates = wire.candidates.get_or_insert_default();
    if !candidates.order.is_empty() {
        let message = "`model` or `models` names the order already; leave one of both out";
        found.push(Violation::new("pointsman.candidates.order", message));
        return None;
    }
    let missing = order.iter().find_map(|(field, name)| {
        variants::read(name, fleet).err().map(|why| Violation::new(field, why))
    });
    if missing.is_none() {
        candidates.order = order.into_iter().map(|(_, name)| name).collect();
    }
    missing
}

/// A violation of the policy under the name by which the caller gave the field.
fn placed(violation: Violation, given: &HeaderMap) -> Violation {
    let Violation { field, message } = violation;
    let own = extension::KNOWN.iter().any(|it| field.starts_with(it));
    let field = match headers::given_for(given, &field) {
        Some(header) => header,
        None if own => format!("{}.{field}", extension::NAME),
        None => field,
    };
    Violation { field, message }
}
