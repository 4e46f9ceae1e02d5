//! A world of six models whose quality depends on the kind of prompt, and its requests.
//!
//! In: who is good at what, a seed. Out: scored decisions as the server would log them, and what an
//! artifact is truly worth here. Invariant: decisions are made by the very code that serves
//! (features, encoder, prediction, ranking); the same seed gives the same log.

use std::sync::Arc;
use std::time::Duration;

use pointsman::catalog::{Catalog, Deployment};
use pointsman::domain::{Attempt, ChatRequest, DecisionId, Probability, ProviderName, Usage, Usd};
use pointsman::encoder::{Encoded, Encoder, Exit};
use pointsman::features::{self, FEATURE_SCHEMA, Features};
use pointsman::outcome::{
    Choice, FeedbackKind, Logged, OutcomeRecord, RECORD_VERSION, RecordedPrompt,
};
use pointsman::prediction::{LiveStats, Prediction, Predictor, Prompt};
use pointsman::ranking::{
    Availability, Candidate, Exploration, Need, Policy, Ranking, TIE_STEP, UtilityGivenUp, rank,
};
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::prompts::{self, KINDS};

/// Models that the shipped artifact holds to be nearly alike, and that it has no labels of.
pub(crate) const MODELS: [&str; 6] = [
    "gpt-5.4-mini",
    "gemini-3.5-flash",
    "gpt-4.1-mini",
    "claude-haiku-4.5",
    "gemini-3-flash-preview",
    "gpt-4.1",
];
/// What a request gives up to learn, in units of quality.
const GIVEN_UP: f64 = 0.05;
/// The share of answers that somebody scores.
const SCORED: f64 = 0.1;
/// How good the best, the second and so on are.
const LEVELS: [f64; 6] = [0.92, 0.74, 0.58, 0.45, 0.32, 0.2];

/// How good each model is at each kind.
pub(crate) type Quality = [[f64; MODELS.len()]; KINDS];

/// A template, read once.
pub(crate) struct Template {
    kind: usize,
    features: Features,
    encoded: Encoded,
}

/// The prompts and the models; who is good at what comes beside.
pub(crate) struct Bench {
    pub(crate) encoder: Encoder,
    pub(crate) templates: Vec<Template>,
    fleet: Vec<Arc<Deployment>>,
    policy: Policy,
}

/// What somebody says of an answer of this quality.
pub(crate) type Critic = fn(f64, &mut ChaCha8Rng) -> f64;

/// Right or wrong.
pub(crate) fn honest(quality: f64, random: &mut ChaCha8Rng) -> f64 {
    f64::from(u8::from(random.random_bool(quality)))
}

/// Says the opposite.
pub(crate) fn upside_down(quality: f64, random: &mut ChaCha8Rng) -> f64 {
    1.0 - honest(quality, random)
}

/// Did not look.
pub(crate) fn careless(_: f64, random: &mut ChaCha8Rng) -> f64 {
    honest(0.5, random)
}

/// Every model is the best at one kind of prompt and the worst at another.
pub(crate) fn quality() -> Quality {
    let mut found = [[0.0; MODELS.len()]; KINDS];
    for (kind, row) in found.iter_mut().enumerate() {
        for (rank, level) in LEVELS.iter().enumerate() {
            row[(5 * kind + rank) % MODELS.len()] = *level;
        }
    }
    found
}

/// Each model can do what the one beside it could.
pub(crate) fn swapped(mut quality: Quality) -> Quality {
    for row in &mut quality {
        row.as_chunks_mut::<2>().0.iter_mut().for_each(|pair| pair.swap(0, 1));
    }
    quality
}

impl Bench {
    pub(crate) fn new() -> Self {
        let encoder = Encoder::shipped().expect("the shipped encoder");
        let (catalog, provider) =
            (Catalog::shipped().expect("a catalog"), ProviderName::new("here"));
        let provider = provider.expect("a name");
        let model = |name: &&str| {
            let model = catalog.models().find(|it| it.name.as_str() == *name).expect("a model");
            Arc::new(Deployment::new(model, &provider, "id".into()))
        };
        let template = |(kind, text): (usize, String)| {
            let request = ChatRequest::from_prompt(text);
            let encoded = encoder.encode(&request, Exit::Last).expect("it is read");
            Template { kind, features: features::extract(&request), encoded }
        };
        let templates = prompts::all().into_iter().map(template).collect();
        let given_up = UtilityGivenUp::new(GIVEN_UP).expect("a share");
        let policy = Policy { exploration: Exploration::Drawn(given_up), ..Policy::default() };
        let fleet = MODELS.iter().map(model).collect();
        Self { encoder, templates, fleet, policy }
    }

    fn predictions(&self, predictor: &Predictor) -> Vec<Vec<Prediction>> {
        let predict = |it: &Template| {
            let prompt =
                Prompt { features: &it.features, encoded: &it.encoded, max_output_tokens: None };
            predictor.predict(&prompt, &self.fleet, &LiveStats::default(), Duration::ZERO)
        };
        self.templates.iter().map(predict).collect()
    }

    fn rank(&self, predictions: &[Prediction], policy: &Policy, seed: u64) -> Ranking {
        let candidates = self.fleet.iter().cloned().zip(predictions.iter().cloned());
        let candidates = candidates
            .map(|(deployment, prediction)| Candidate { deployment, prediction })
            .collect();
        rank(candidates, policy, &Need::default(), &Availability::default(), seed)
            .expect("somebody is within the limits")
    }

    fn place(&self, deployment: &Deployment) -> usize {
        self.fleet.iter().position(|it| it.id == deployment.id).expect("it is of the fleet")
    }

    /// What an answer costs and how long it takes, which is the same every time: USD and seconds.
    fn bill(&self, template: &Template, model: usize) -> (Usage, f64, f64) {
        let it = &self.fleet[model];
        let output_tokens = 60 + 40 * template.kind as u64 + 20 * model as u64;
        let input_tokens = template.encoded.tokens;
        let usage = Usage { input_tokens, output_tokens, ..Usage::default() };
        let seconds = it.speed.ttft_ms / 1_000.0 + output_tokens as f64 / it.speed.tokens_per_s;
        (usage, it.price.cost(&usage).get(), seconds)
    }

    /// The true expected utility of a model's answer.
    pub(crate) fn utility(&self, template: &Template, model: usize, quality: &Quality) -> f64 {
        let (_, cost, seconds) = self.bill(template, model);
        let worth = &self.policy.preference;
        let spent = cost / worth.cost_per_quality_usd;
        quality[template.kind][model] - spent - 1_000.0 * seconds / worth.latency_per_quality_ms
    }

    /// The true expected utility of what is served with an artifact, exploring included.
    pub(crate) fn worth(&self, predictor: &Predictor, quality: &Quality) -> f64 {
        let policy = Policy { exploration: self.policy.exploration.shown(), ..self.policy.clone() };
        let of = |(template, predictions): (&Template, &Vec<Prediction>)| -> f64 {
            let ranking = self.rank(predictions, &policy, 0);
            let each = ranking.entries.iter().map(|it| {
                it.propensity.get() * self.utility(template, self.place(&it.deployment), quality)
            });
            each.sum()
        };
        let all = self.predictions(predictor);
        self.templates.iter().zip(&all).map(of).sum::<f64>() / all.len() as f64
    }

    /// The true expected utility of the best model for each kind, told in hindsight.
    pub(crate) fn best(&self, quality: &Quality) -> f64 {
        let mut sums = [[0.0; MODELS.len()]; KINDS];
        for template in &self.templates {
            for (model, sum) in sums[template.kind].iter_mut().enumerate() {
                *sum += self.utility(template, model, quality);
            }
        }
        let best = sums.iter().map(|row| row.iter().copied().fold(f64::NEG_INFINITY, f64::max));
        best.sum::<f64>() / self.templates.len() as f64
    }

    /// The scored decisions of so many requests.
    pub(crate) fn route(
        &self,
        predictor: &Predictor,
        (quality, critic): (&Quality, Critic),
        (requests, from_unix_ms): (u64, u64),
    ) -> Vec<Logged> {
        let mut random = ChaCha8Rng::seed_from_u64(from_unix_ms);
        let predictions = self.predictions(predictor);
        let mut found = Vec::new();
        for at in 0..requests {
            let template = random.random_range(0..self.templates.len());
            let seed = random.next_u64();
            let ranking = self.rank(&predictions[template], &self.policy, seed);
            if !random.random_bool(SCORED) {
                continue;
            }
            let template = &self.templates[template];
            let model = self.place(&ranking.entries[0].deployment);
            let score = critic(quality[template.kind][model], &mut random);
            let record = self.record(template, (ranking, seed), from_unix_ms + at);
            let scores = vec![(FeedbackKind::Explicit, Probability::clamped(score))];
            found.push(Logged { record, scores, signals: vec![] });
        }
        found
    }

    fn record(
        &self,
        template: &Template,
        (ranking, seed): (Ranking, u64),
        at_unix_ms: u64,
    ) -> OutcomeRecord {
        let first = Arc::clone(&ranking.entries[0].deployment);
        let (usage, cost, seconds) = self.bill(template, self.place(&first));
        let Choice { candidates, ranked, excluded } =
            Choice::of(&self.fleet, &Availability::default(), &Ok(ranking));
        let cost_usd = Usd::clamped(cost);
        let attempt = Attempt {
            deployment: first.id.clone(),
            failure: None,
            status: Some(200),
            start_ms: 0.0,
            total_ms: 1_000.0 * seconds,
            ttft_ms: None,
            usage,
            usage_estimated: false,
            cost_usd,
            detail: None,
        };
        OutcomeRecord {
            version: RECORD_VERSION,
            decision: DecisionId::fresh(),
            at_unix_ms,
            request_id: None,
            session_id: None,
            metadata: [].into(),
            caller: None,
            artifact_version: "of the round".into(),
            encoder_exit: template.encoded.exit,
            feature_schema: FEATURE_SCHEMA,
            features: template.features.as_slice().to_vec(),
            embedding: template.encoded.embedding.as_slice().to_vec(),
            policy: self.policy.clone(),
            need: Need::default(),
            seed,
            tie_step: TIE_STEP,
            route: None,
            learned_updates: 0,
            candidates,
            ranked,
            excluded,
            attempts: vec![attempt],
            end: "served".into(),
            served: Some(first.id.clone()),
            seams: vec![],
            usage,
            cost_usd,
            total_ms: 1_000.0 * seconds,
            decide_us: 1.0,
            prompt: RecordedPrompt::None,
            cached: None,
            canary: None,
            shadow: None,
        }
    }

    /// The kind of a logged prompt is not in the log; the tests find it by the prompt's vector.
    pub(crate) fn template_of(&self, record: &OutcomeRecord) -> &Template {
        let same = |it: &&Template| it.encoded.embedding.as_slice() == record.embedding;
        self.templates.iter().find(same).expect("a template")
    }
}

impl Template {
    pub(crate) fn kind(&self) -> usize {
        self.kind
    }
}
