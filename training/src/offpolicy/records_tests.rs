//! Records as the service writes them, made into rows; and two artifacts on a table.

use std::sync::Arc;
use std::time::Duration;

use pointsman::catalog::{Catalog, Deployment};
use pointsman::domain::{
    Attempt, ChatRequest, DecisionId, FailureClass, Probability, ProviderName, Usage, Usd,
};
use pointsman::encoder::{Encoder, Exit};
use pointsman::features::{self, FEATURE_SCHEMA};
use pointsman::outcome::{
    CanaryFacts, Choice, ExpectedFacts, FeedbackKind, Logged, OutcomeRecord, RECORD_VERSION,
    RecordedPrompt, ShadowFacts,
};
use pointsman::prediction::{Artifact, HEAD, LiveStats, Predictor, Prompt, SpeedSample, Took};
use pointsman::ranking::{Availability, Candidate, Need, Policy, TIE_STEP, rank};

use super::records::{Known, LeftOut, Log, Pair};
use super::{Report, Versions, compare, gate};
use crate::controls::testing;
use crate::dataset::{Dataset, Label};
use crate::fit::encode_prompts;
use crate::newcomer::{Lesson, Newcomer, add};
use crate::split::Cut;

pub(crate) struct Bench {
    encoder: Encoder,
    pub(crate) predictor: Predictor,
    fleet: Vec<Arc<Deployment>>,
    /// One deployment has been slower than believed.
    live: LiveStats,
}

impl Bench {
    pub(crate) fn new() -> Self {
        let encoder = Encoder::shipped().unwrap();
        let predictor = Predictor::shipped(&encoder).unwrap();
        let (catalog, provider) = (Catalog::shipped().unwrap(), ProviderName::new("here").unwrap());
        let deployment = |it| Arc::new(Deployment::new(it, &provider, "id".into()));
        let fleet: Vec<_> = catalog.models().take(4).map(deployment).collect();
        let mut live = LiveStats::default();
        let slow = SpeedSample { whole: Some(Took::Exactly(3.0)), ..SpeedSample::default() };
        for _ in 0..20 {
            live.observe(&fleet[1].id, &slow, Duration::ZERO);
        }
        Self { encoder, predictor, fleet, live }
    }

    /// A scored decision of a log that tries everyone alike; the `at`th of the order came first.
    pub(crate) fn logged(&self, at: usize) -> Logged {
        let request = ChatRequest::from_prompt(format!("Question {at}: what is {at} times 7?"));
        let (features, policy) = (features::extract(&request), Policy::default());
        let encoded = self.encoder.encode(&request, Exit::First).unwrap();
        let prompt = Prompt { features: &features, encoded: &encoded, max_output_tokens: None };
        let predictions = self.predictor.predict(&prompt, &self.fleet, &self.live, Duration::ZERO);
        let candidates = self.fleet.iter().cloned().zip(predictions);
        let candidates = candidates
            .map(|(deployment, prediction)| Candidate { deployment, prediction })
            .collect();
        let (need, availability) = (Need::default(), Availability::default());
        let decision = DecisionId::fresh();
        let verdict = rank(candidates, &policy, &need, &availability, decision.seed());
        let Choice { candidates, mut ranked, excluded } =
            Choice::of(&self.fleet, &availability, &verdict);
        let chance = Probability::clamped(1.0 / ranked.len() as f64);
        ranked.iter_mut().for_each(|it| it.propensity = chance);
        let first = at % ranked.len();
        ranked.swap(0, first);
        let attempt = Attempt {
            deployment: ranked[0].deployment.clone(),
            failure: None,
            status: Some(200),
            start_ms: 0.0,
            total_ms: 900.0,
            ttft_ms: None,
            usage: Usage::default(),
            usage_estimated: false,
            cost_usd: Usd::new(0.001).unwrap(),
            detail: None,
        };
        let record = OutcomeRecord {
            version: RECORD_VERSION,
            decision,
            at_unix_ms: at as u64,
            request_id: None,
            session_id: None,
            metadata: [].into(),
            caller: None,
            artifact_version: self.predictor.version().to_owned(),
            learned_updates: 0,
            encoder_exit: encoded.exit,
            feature_schema: FEATURE_SCHEMA,
            features: features.as_slice().to_vec(),
            embedding: encoded.embedding.as_slice().to_vec(),
            policy,
            need,
            seed: decision.seed(),
            tie_step: TIE_STEP,
            route: None,
            candidates,
            served: Some(ranked[0].deployment.clone()),
            ranked,
            excluded,
            attempts: vec![attempt],
            end: "served".into(),
            seams: vec![],
            usage: Usage::default(),
            cost_usd: Usd::new(0.001).unwrap(),
            total_ms: 1_000.0,
            decide_us: 1.0,
            prompt: RecordedPrompt::None,
            cached: None,
            canary: None,
            shadow: None,
        };
        let score = Probability::clamped((at % 2) as f64);
        Logged { record, scores: vec![(FeedbackKind::Explicit, score)], signals: vec![] }
    }

    fn add(&self, log: &mut Log, logged: Logged) -> Result<(), LeftOut> {
        let pair = Pair { candidate: &self.predictor, incumbent: &self.predictor };
        log.add(logged, pair, &Known::default())
    }
}

#[test]
fn an_artifact_makes_its_own_log_again() {
    let (bench, mut log) = (Bench::new(), Log::default());
    for at in 0..12 {
        let logged = bench.logged(at);
        let record = logged.record.clone();
        bench.add(&mut log, logged).unwrap();
        let (row, target) = (&log.rows[at], &log.candidate.target[at]);
        let best = record.ranked.iter().max_by(|a, b| a.utility.total_cmp(&b.utility)).unwrap();
        for (place, facts) in record.candidates.iter().enumerate() {
            let wanted = f64::from(u8::from(facts.deployment == best.deployment));
            assert_eq!(target[place], wanted, "{at}: {}", facts.deployment);
            assert_eq!(row.arms[place].logged, 1.0 / record.ranked.len() as f64);
        }
        let served = &record.candidates[row.chosen];
        assert_eq!(Some(&served.deployment), record.served.as_ref());
        let predicted = served.prediction.quality.mean.get() as f32;
        assert_eq!(log.candidate.predicted[at], predicted);
        assert_eq!(row.reward[..3], [(at % 2) as f64, 0.001, 1.0]);
    }
    let pair = Pair { candidate: &bench.predictor, incumbent: &bench.predictor };
    let report = Report::new(&log, pair);
    assert_eq!(report.evidence.difference.map(|it| it.mean), Some(0.0));
    let text = report.to_string();
    for words in ["12 scored decisions", "doubly robust", "lower bound of +0.0000", "size is"] {
        assert!(text.contains(words), "{words}: {text}");
    }
}

#[test]
fn what_says_nothing_of_the_first_choice_is_left_out() {
    let bench = Bench::new();
    let check = |change: &dyn Fn(&mut Logged), wanted: Result<(), LeftOut>| {
        let mut logged = bench.logged(1);
        change(&mut logged);
        assert_eq!(bench.add(&mut Log::default(), logged), wanted);
    };
    let lost = |it: &mut Attempt| {
        it.failure = Some(FailureClass::Cancelled);
        it.detail = Some(Attempt::LOST.into());
    };
    check(&|_| {}, Ok(()));
    check(&|it| it.scores.clear(), Err(LeftOut::Unscored));
    check(&|it| it.record.ranked.clear(), Err(LeftOut::Refused));
    check(&|it| it.record.features.truncate(3), Err(LeftOut::OtherInputs));
    check(&|it| it.record.feature_schema += 1, Err(LeftOut::OtherInputs));
    check(&|it| it.record.attempts.clear(), Err(LeftOut::NotCalled));
    check(&|it| lost(&mut it.record.attempts[0]), Err(LeftOut::HedgeLost));
    let forced = |it: &mut Logged| it.record.attempts[0].detail = Some("forced: timeout".into());
    check(&forced, Err(LeftOut::Forced));
}

#[test]
fn who_lost_beside_the_first_choice_is_not_paid_here() {
    let (bench, mut log) = (Bench::new(), Log::default());
    let mut logged = bench.logged(1);
    let other = logged.record.ranked[1].deployment.clone();
    let first = logged.record.attempts[0].clone();
    let detail = Some(Attempt::LOST.to_owned());
    logged.record.attempts.push(Attempt { deployment: other, detail, ..first });
    bench.add(&mut log, logged).unwrap();
    assert_eq!(log.rows[0].reward[1], 0.001);
}

/// Another artifact of another name: it thinks one model of the fleet is always right.
fn other(bench: &Bench) -> Predictor {
    let mut artifact = Artifact::shipped(&bench.encoder).unwrap();
    artifact.manifest.version = "other".into();
    let name = bench.fleet.iter().find_map(|it| it.model.learned_as.clone()).unwrap();
    let row = artifact.manifest.models.iter().position(|it| it.name == name).unwrap();
    artifact.quality_mean[(row + 1) * HEAD - 1] = 25.0;
    Predictor::new(artifact)
}

#[test]
fn the_chances_of_a_canary_are_those_of_the_draw() {
    let (bench, mut log) = (Bench::new(), Log::default());
    let other = other(&bench);
    let drawn = |decided: bool| CanaryFacts {
        incumbent: bench.predictor.version().into(),
        canary: "other".into(),
        share: Probability::clamped(0.2),
        decided,
    };
    let pair = Pair { candidate: &other, incumbent: &bench.predictor };
    let known = Known::default();
    for at in 0..12 {
        let mut logged = bench.logged(at);
        logged.record.canary = Some(drawn(false));
        let even = 1.0 / logged.record.ranked.len() as f64;
        log.add(logged, pair, &known).unwrap();
        for (arm, chance) in log.rows[at].arms.iter().zip(&log.candidate.target[at]) {
            assert!((arm.logged - (0.8 * even + 0.2 * chance)).abs() < 1e-12, "{at}");
        }
    }
    let mut logged = bench.logged(0);
    let even = 1.0 / logged.record.ranked.len() as f64;
    logged.record.canary = Some(drawn(true));
    log.add(logged, pair, &known).unwrap();
    for (arm, chance) in log.rows[12].arms.iter().zip(&log.incumbent.target[12]) {
        assert!((arm.logged - (0.2 * even + 0.8 * chance)).abs() < 1e-12);
    }
    // Of another pair, the chances are those of who decided.
    let mut logged = bench.logged(0);
    logged.record.canary = Some(drawn(false));
    let pair = Pair { candidate: &bench.predictor, incumbent: &bench.predictor };
    log.add(logged, pair, &known).unwrap();
    assert!(log.rows[13].arms.iter().all(|it| it.logged == even));
}

#[test]
fn versions_and_shadows_are_summed_up() {
    let (bench, mut versions) = (Bench::new(), Versions::default());
    for at in 0..8 {
        let mut logged = bench.logged(at);
        let record = &mut logged.record;
        let expected = |facts: &pointsman::outcome::CandidateFacts, utility| ExpectedFacts {
            deployment: facts.deployment.clone(),
            utility: Some(utility),
            quality: Probability::clamped(utility),
            cost_usd: 0.5,
            latency_s: 1.0,
        };
        let first = record.ranked[0].deployment.clone();
        let served = record.candidates.iter().find(|it| it.deployment == first).unwrap();
        record.shadow = Some(ShadowFacts {
            version: "next".into(),
            choice: Some(expected(&record.candidates[0], 0.75)),
            served: Some(expected(served, 0.5)),
        });
        if at < 2 {
            record.artifact_version = "trial".into();
            let (incumbent, canary) = ("live".into(), "trial".into());
            let share = Probability::clamped(0.25);
            record.canary = Some(CanaryFacts { incumbent, canary, share, decided: true });
        }
        if at == 7 {
            record.served = None;
            logged.scores.clear();
        }
        versions.add(&logged);
    }
    let (trial, rest) = (versions.decided["trial"], versions.decided[bench.predictor.version()]);
    assert_eq!((trial.decisions, trial.as_canary, trial.score.mean), (2, 2, 0.5));
    assert_eq!((rest.decisions, rest.as_canary, rest.score.count), (6, 0, 5));
    assert_eq!((rest.answered.mean, rest.by_first.mean), (5.0 / 6.0, 1.0));
    let looked = versions.shadows["next"][bench.predictor.version()];
    assert_eq!((looked.agrees.count, looked.utility.mean, looked.cost_usd.mean), (6, 0.25, 0.0));
    assert_eq!((looked.brier.count, looked.brier.mean), (5, 0.25));
    let text = versions.to_string();
    for words in ["trial: 2 decisions, 2 of them as the canary", "next, looking on at 6 decisions"]
    {
        assert!(text.contains(words), "{words}: {text}");
    }
}

/// One model is always right, the other never.
fn table() -> Dataset {
    let data = testing::dataset(300);
    let label = |it: &Label| Label { quality: f32::from(it.model == 0), ..*it };
    Dataset { labels: data.labels.iter().map(label).collect(), ..data }
}

#[test]
fn on_a_table_the_better_artifact_passes_and_the_worse_is_refused() {
    let (data, encoder) = (table(), Encoder::shipped().unwrap());
    let inputs = encode_prompts(&data, &encoder).unwrap();
    let plain = Artifact::shipped(&encoder).unwrap();
    let ignorant = Predictor::new(plain.clone());
    let mut learned = plain;
    for (model, name) in data.models.iter().enumerate() {
        let own = data.labels.iter().filter(|it| usize::from(it.model) == model);
        let lesson = |it: &Label| Lesson {
            latent: inputs.latent(&ignorant, it.prompt as usize),
            quality: it.quality,
        };
        let lessons = own.map(lesson).collect();
        let newcomer = Newcomer { name: name.clone(), lessons, ..Newcomer::default() };
        learned = add(&learned, &newcomer).unwrap();
    }
    let learned = Predictor::new(learned);
    let check = |candidate, incumbent, passes: bool| {
        let pair = Pair { candidate, incumbent };
        let found = compare((&data, &inputs), pair, &Cut::default(), 0.05).unwrap();
        assert_eq!((found.rows, found.held_out), (300, false));
        let reasons = gate(&found.evidence);
        assert_eq!(reasons.is_empty(), passes, "{found:?} {reasons:?}");
    };
    check(&learned, &ignorant, true);
    check(&ignorant, &learned, false);
    check(&learned, &learned, false);
}
