//! The shipped artifact, through the predictor: what it knows, and what it believes of strangers.

use std::sync::Arc;
use std::time::Duration;

use super::{
    Belief, Digest, HeldPrompt, Known, Learned, LiveStats, Prediction, Predictor, Prompt,
    SpeedSample, Taught, Took,
};
use crate::catalog::{Catalog, Deployment, Model, QualityPrior};
use crate::domain::{ChatRequest, ModelName, Price, Probability, ProviderName, TokenPrice};
use crate::encoder::{Encoder, Exit};
use crate::features;

struct Bench {
    encoder: Encoder,
    predictor: Predictor,
}

impl Bench {
    fn new() -> Self {
        let encoder = Encoder::shipped().expect("the shipped encoder");
        let predictor = Predictor::shipped(&encoder).expect("the shipped artifact");
        Self { encoder, predictor }
    }

    fn predict(&self, text: &str, models: &[Model], live: &LiveStats) -> Vec<Prediction> {
        let request = ChatRequest::from_prompt(text);
        let features = features::extract(&request);
        let encoded = self.encoder.encode(&request, Exit::First).expect("encoded");
        let prompt = Prompt { features: &features, encoded: &encoded, max_output_tokens: None };
        self.predictor.predict(&prompt, &fleet(models), live, Duration::ZERO)
    }

    fn digest(&self, text: &str) -> Digest {
        let request = ChatRequest::from_prompt(text);
        let encoded = self.encoder.encode(&request, Exit::First).expect("encoded");
        let latent = self.predictor.latent(&features::extract(&request), &encoded);
        Digest { latent, input_tokens: encoded.tokens as f64, max_output_tokens: u64::MAX }
    }
}

fn fleet(models: &[Model]) -> Vec<Arc<Deployment>> {
    let provider = ProviderName::new("here").expect("a name");
    let each = models.iter().map(|it| {
        let model = Arc::new(it.clone());
        Arc::new(Deployment::new(&model, &provider, it.name.to_string()))
    });
    each.collect()
}

fn model(learned_as: Option<&str>, prior: Option<f64>) -> Model {
    let catalog = Catalog::shipped().expect("the shipped catalog");
    let any = catalog.models().next().expect("a model");
    Model {
        learned_as: learned_as.map(str::to_owned),
        quality_prior: prior.map(|value| QualityPrior {
            value: Probability::clamped(value),
            source: "test".into(),
            as_of: "2026-11".into(),
        }),
        ..Model::clone(any)
    }
}

const PROMPTS: [&str; 4] = [
    "Hi there, how are you today?",
    "Prove that the square root of 2 is irrational, then generalise to every prime.",
    "Fix this: fn main() { let x: i32 = \"a\"; }",
    "Which of these is a mammal?\nA. trout\nB. bat\nC. eagle\nD. newt",
];

#[test]
fn the_catalog_names_only_models_that_the_artifact_knows() {
    let bench = Bench::new();
    let known = |name: &String| bench.predictor.manifest().models.iter().any(|it| it.name == *name);
    let catalog = Catalog::shipped().expect("the shipped catalog");
    for model in catalog.models() {
        assert!(
            model.learned_as.as_ref().is_none_or(known),
            "{}: {:?}",
            model.name,
            model.learned_as
        );
    }
}

#[test]
fn a_stronger_model_is_predicted_better_on_every_prompt() {
    let bench = Bench::new();
    let pair = [model(Some("o3-mini"), None), model(Some("gemma-2-2b-it"), None)];
    for prompt in PROMPTS {
        let found = bench.predict(prompt, &pair, &LiveStats::default());
        assert!(found[0].quality.mean > found[1].quality.mean, "{prompt}: {found:?}");
    }
}

#[test]
fn a_stranger_starts_where_its_prior_says_and_knows_less() {
    let bench = Bench::new();
    let strangers = [0.2, 0.5, 0.8].map(|it| model(None, Some(it)));
    let found = bench.predict(PROMPTS[1], &strangers, &LiveStats::default());
    assert!(found[0].quality.mean < found[1].quality.mean);
    assert!(found[1].quality.mean < found[2].quality.mean);
    let known = bench.predict(PROMPTS[1], &[model(Some("o3-mini"), None)], &LiveStats::default());
    assert!(found[1].quality.spread > known[0].quality.spread);
}

#[test]
fn the_mean_over_everyday_prompts_is_the_prior() {
    let bench = Bench::new();
    let shift = |value: f64| bench.predictor.shift(&model(None, Some(value)));
    let (quality, _) = bench.predictor.heads(None);
    for value in [0.1, 0.45, 0.7, 0.9] {
        let shift = shift(value);
        let (rows, _) = bench.predictor.artifact.reference.as_chunks();
        let each = rows.iter().map(|it| quality.estimate(&super::with_one(it), shift).mean.get());
        let mean = each.sum::<f64>() / rows.len() as f64;
        assert!((mean - value).abs() < 0.01, "{value}: {mean}");
    }
}

#[test]
fn numbers_are_finite_and_money_follows_the_price() {
    let bench = Bench::new();
    let free = Model { price: Price::FREE, ..model(None, None) };
    for prompt in PROMPTS.into_iter().chain(["", &"9".repeat(300_000)]) {
        let found = bench.predict(
            prompt,
            &[model(Some("gpt-4o-2024-08-06"), None), free.clone()],
            &LiveStats::default(),
        );
        for it in &found {
            let numbers =
                [it.cost_usd.mean(), it.latency_s.quantile(0.99), it.output_tokens.mean()];
            assert!(numbers.iter().all(|it| it.is_finite() && *it >= 0.0), "{it:?}");
        }
        assert!(found[0].cost_usd.mean() > 0.0);
        assert_eq!(found[1].cost_usd.mean(), 0.0);
    }
}

#[test]
fn what_scores_taught_is_believed_of_that_model_alone() {
    let bench = Bench::new();
    let stranger = Model { name: ModelName::new("stranger").unwrap(), ..model(None, Some(0.9)) };
    let learned =
        Model { name: ModelName::new("learned").unwrap(), ..model(Some("o3-mini"), None) };
    let models = [stranger, learned];
    let request = ChatRequest::from_prompt(PROMPTS[1]);
    let features = features::extract(&request);
    let encoded = bench.encoder.encode(&request, Exit::First).expect("encoded");
    let prompt = Prompt { features: &features, encoded: &encoded, max_output_tokens: None };
    let (live, latent) = (LiveStats::default(), bench.predictor.latent(&features, &encoded));
    let qualities = |learned: &Learned| {
        let known = Known { learned: Some(learned), ..Known::of(&live, Duration::ZERO) };
        let found = bench.predictor.predict_with(&prompt, &fleet(&models), known);
        [0, 1].map(|at| found[at].quality)
    };
    let (nothing, wrong) = (Learned::default(), Probability::ZERO);
    let before = qualities(&nothing);
    for (at, model) in models.iter().enumerate() {
        let taught = |updates: u64| {
            let update = |it: Belief, _| it.head().updated(&latent, wrong);
            let belief = (0..updates).fold(bench.predictor.start(model), update);
            Some(Taught { belief: Arc::new(belief), updates })
        };
        let same = qualities(&nothing.with(&model.name, taught(0)));
        assert!((same[at].mean.get() - before[at].mean.get()).abs() < 1e-6);
        let few = nothing.with(&model.name, taught(20));
        let after = qualities(&few);
        assert_eq!((after[1 - at], few.updates()), (before[1 - at], 20));
        assert!(after[at].mean < before[at].mean, "{at}: {after:?} {before:?}");
        assert_eq!(qualities(&few.with(&model.name, None)), before);
    }
}

#[test]
fn a_held_prompt_is_cheaper_where_it_is_held() {
    let bench = Bench::new();
    let request = ChatRequest::from_prompt(PROMPTS[1]);
    let features = features::extract(&request);
    let encoded = bench.encoder.encode(&request, Exit::First).expect("encoded");
    let prompt = Prompt { features: &features, encoded: &encoded, max_output_tokens: None };
    let cached = Some(TokenPrice::per_million(0.5).unwrap());
    let dear = TokenPrice::per_million(5.0).unwrap();
    let price = Price { cached, ..Price::of(dear, dear) };
    let named = |it: &str| Model { name: ModelName::new(it).unwrap(), price, ..model(None, None) };
    let (fleet, live) = (fleet(&[named("a"), named("b")]), LiveStats::default());
    let held = HeldPrompt { deployment: fleet[1].id.clone(), tokens: 10.0 };
    let known = Known { held: Some(&held), ..Known::of(&live, Duration::ZERO) };
    let [plain, with] = [Known::of(&live, Duration::ZERO), known]
        .map(|it| bench.predictor.predict_with(&prompt, &fleet, it));
    assert_eq!(plain[0], with[0]);
    assert_eq!(with[1].cached.tokens, 10.0);
    let saved = plain[1].expected_cost_usd() - with[1].expected_cost_usd();
    assert!((saved - 10.0 * 4.5e-6).abs() < 1e-12, "{saved}");
    assert_eq!(plain[1].cost_usd, with[1].cost_usd);
}

#[test]
fn measured_slowness_is_believed() {
    let bench = Bench::new();
    let models = [model(Some("o3-mini"), None)];
    let mut live = LiveStats::default();
    let before = bench.predict(PROMPTS[0], &models, &live);
    // Answers in one piece show no parts: what is learned of the whole holds for both.
    let slow = SpeedSample { whole: Some(Took::Exactly(3.0)), ..SpeedSample::default() };
    for _ in 0..50 {
        live.observe(&before[0].deployment, &slow, Duration::ZERO);
    }
    let after = bench.predict(PROMPTS[0], &models, &live);
    for ratio in [
        after[0].latency_s.median() / before[0].latency_s.median(),
        after[0].ttft_ms / before[0].ttft_ms,
    ] {
        assert!((2.5..3.1).contains(&ratio), "{ratio}");
    }
    // Late first tokens are believed of first tokens alone.
    let late = SpeedSample { first: Some(Took::Exactly(9.0)), ..SpeedSample::default() };
    for _ in 0..50 {
        live.observe(&before[0].deployment, &late, Duration::ZERO);
    }
    let later = bench.predict(PROMPTS[0], &models, &live);
    assert!(later[0].ttft_ms > 2.5 * after[0].ttft_ms);
    assert_eq!(later[0].latency_s.per_token, after[0].latency_s.per_token);
}

#[test]
fn a_logged_prediction_tells_its_pace() {
    let bench = Bench::new();
    let models = [model(Some("o3-mini"), None)];
    let fleet = fleet(&models);
    let mut live = LiveStats::default();
    for at in 0..40 {
        let ratio = 1.0 + f64::from(at % 5);
        let took = Some(Took::Exactly(ratio));
        let sample =
            SpeedSample { first: took, token: Some(2.0), whole: took, inside: Some(at % 3 > 0) };
        live.observe(&fleet[0].id, &sample, Duration::ZERO);
    }
    let logged = bench.predict(PROMPTS[1], &models, &live).remove(0);
    let pace = bench.predictor.logged_pace(&logged, fleet[0].speed);
    let digest = bench.digest(PROMPTS[1]);
    let again = bench.predictor.predict_one(&fleet[0], &digest, &pace);
    let close = |a: f64, b: f64| assert!((a / b - 1.0).abs() < 1e-9, "{a}, not {b}");
    close(again.ttft_ms, logged.ttft_ms);
    close(again.ttft_quantile_ms(0.99), logged.ttft_quantile_ms(0.99));
    for p in [0.05, 0.5, 0.95] {
        close(again.latency_s.quantile(p), logged.latency_s.quantile(p));
    }
}
