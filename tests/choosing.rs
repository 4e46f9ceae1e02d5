//! What stands beside quality, cost and time in a choice: the session, and how busy everyone is.
//!
//! In: requests straight into the pipeline, so that a test says when each arrives; a simulated provider
//! behind it. Out: who serves.
#![allow(clippy::unwrap_used, reason = "a test may stop on the first surprise")]

mod support;

use std::sync::Arc;
use std::time::Duration;

use pointsman::config;
use pointsman::domain::{ChatRequest, ModelName};
use pointsman::outcome::{OutcomeReader, OutcomeRecord, differences};
use pointsman::pipeline::{Call, Decision, Pipeline, Routed};
use pointsman::ranking::{Policy, Preference};
use pointsman::simulator::{OutputTokens, SimulatedModel, Simulator};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// A dear model that is better, and a cheaper one; both have caches.
const PAIR: [(&str, f64, &str); 2] = [
    ("a", 0.9, "{ input = 3.0, cached = 0.3, output = 0.0 }"),
    ("b", 0.6, "{ input = 1.0, cached = 0.1, output = 0.0 }"),
];
/// The conversation's turns, in repeated sentences.
const TURNS: [usize; 3] = [150, 320, 400];

/// A pipeline with a simulator behind it.
struct Table {
    simulator: Simulator,
    pipeline: Arc<Pipeline>,
    folder: TempDir,
}

impl Table {
    async fn with(models: Vec<SimulatedModel>, config: impl Fn(&str) -> String) -> Self {
        let simulator = support::simulator(models).await;
        let folder = tempfile::tempdir().unwrap();
        let store = folder.path().join("outcomes.db");
        let text = format!(
            "[outcomes]\nstore = \"sqlite://{}\"\n{}",
            store.display(),
            config(&simulator.base_url())
        );
        let key = |name: &str| name.ends_with("_KEY").then(|| "key".to_owned());
        let config = config::from_toml(&text, &key).map_err(|it| it.to_string()).unwrap();
        Self { simulator, pipeline: Arc::new(support::pipeline_of(config)), folder }
    }

    async fn pair() -> Self {
        let output_tokens = OutputTokens { median: 20.0, sigma: 0.0 };
        let model = |name| SimulatedModel { output_tokens, ..SimulatedModel::instant(name) };
        Self::with(PAIR.map(|it| model(it.0)).to_vec(), |url| provider("one", url) + &pair()).await
    }

    fn rank(&self, session: Option<&str>, turn: usize, worth: f64) -> Decision {
        self.pipeline.rank_in(session, &request(turn), &policy(worth)).unwrap()
    }

    /// Routes a turn that arrives so long after now.
    async fn turn(&self, turn: usize, (worth, session): (f64, Option<&str>), after: u64) -> Routed {
        self.pipeline.route(call(request(turn), policy(worth), session, after)).await.unwrap()
    }

    /// Every record, after the pipeline's end.
    async fn records(self) -> Vec<OutcomeRecord> {
        Arc::into_inner(self.pipeline).unwrap().close().await;
        self.simulator.stop().await;
        let mut records = Vec::new();
        let reader = OutcomeReader::open(&self.folder.path().join("outcomes.db")).unwrap();
        reader.for_each(|it| records.push(it.unwrap().record)).unwrap();
        records
    }
}

fn provider(name: &str, url: &str) -> String {
    format!("[[provider]]\nname = \"{name}\"\nprotocol = \"openai\"\nbase_url = \"{url}\"\n")
}

fn model(name: &str, quality: f64, deployments: &str) -> String {
    format!(
        "[[model]]\nname = \"{name}\"\nquality_prior = {quality}\ncontext_window = 131072\n\
         max_output_tokens = 4096\n{deployments}"
    )
}

fn deployment(provider: &str, model: &str, price: &str) -> String {
    format!(
        "[[model.deployment]]\nprovider = \"{provider}\"\nmodel_id = \"{model}\"\n\
         price = {price}\nspeed = {{ ttft_ms = 20, tokens_per_s = 2000 }}\n"
    )
}

fn pair() -> String {
    let models =
        PAIR.map(|(name, quality, price)| model(name, quality, &deployment("one", name, price)));
    models.concat()
}

fn request(turn: usize) -> ChatRequest {
    ChatRequest::from_prompt("The old mill stands by the river and turns. ".repeat(TURNS[turn]))
}

/// Time is worth nothing, so that only quality and money count.
fn policy(worth: f64) -> Policy {
    let preference = Preference { cost_per_quality_usd: worth, latency_per_quality_ms: 1e12 };
    Policy { preference, ..Policy::default() }
}

fn call(request: ChatRequest, policy: Policy, session: Option<&str>, after: u64) -> Call {
    Call {
        request,
        policy,
        arrived: Instant::now() + Duration::from_secs(after),
        deadline: None,
        request_id: None,
        session_id: session.map(str::to_owned),
        metadata: [].into(),
        faults: Vec::new(),
        caller: None,
        cache: Default::default(),
    }
}

fn served(routed: &Routed) -> &str {
    let attempts = &routed.dispatched.as_ref().unwrap().attempts;
    attempts.iter().find(|it| it.failure.is_none()).unwrap().deployment.as_str()
}

fn first(decision: &Decision) -> &str {
    decision.verdict.as_ref().unwrap().entries[0].deployment.id.as_str()
}

/// How much better `a` is in a turn, how much dearer, and the cost of the input at each.
fn figures(table: &Table, turn: usize) -> (f64, f64, [f64; 2]) {
    let decision = table.rank(None, turn, 1.0);
    let ranking = decision.verdict.unwrap();
    let of =
        |name: &str| ranking.entries.iter().find(|it| it.deployment.id.as_str() == name).unwrap();
    let [a, b] = ["a@one", "b@one"].map(|name| of(name).prediction.clone());
    let better = a.quality.mean.get() - b.quality.mean.get();
    (better, a.cost_usd.mean() - b.cost_usd.mean(), [a.cost_usd.mean(), b.cost_usd.mean()])
}

/// What quality must be worth so that the dear model pays for the first turn and not for the second,
/// unless nine tenths of the first turn's input are saved.
fn worth_switching(table: &Table) -> f64 {
    let ((better, dearer, [cost, _]), (better_later, dearer_later, _)) =
        (figures(table, 0), figures(table, 1));
    let least = (dearer / better).max((dearer_later - 0.9 * cost) / better_later);
    let most = dearer_later / better_later;
    assert!(least < most, "{least} {most}");
    (least * most).sqrt()
}

#[tokio::test(flavor = "multi_thread")]
async fn leaving_a_session_must_pay_for_the_lost_cache() {
    let table = Table::pair().await;
    let worth = worth_switching(&table);
    let check = async |session: Option<&str>, after: u64, wanted: [&str; 2]| {
        let found = [
            table.turn(0, (worth, session), 0).await,
            table.turn(1, (worth, session), after).await,
        ];
        assert_eq!(found.each_ref().map(served), wanted, "{session:?} {after}");
        found
    };
    check(None, 1, ["a@one", "b@one"]).await;
    let [first, second] = check(Some("s"), 1, ["a@one", "a@one"]).await;
    let entries = |it: &Routed| it.decision.verdict.clone().unwrap().entries;
    assert!(entries(&first).iter().all(|it| it.prediction.cached.tokens == 0.0));
    let cached: Vec<_> = entries(&second).iter().map(|it| it.prediction.cached.tokens).collect();
    assert_eq!(cached[0], entries(&first)[0].prediction.input_tokens);
    assert_eq!(cached[1], 0.0, "nobody else has a cache");
    // Just inside five minutes, and after them.
    check(Some("t"), 290, ["a@one", "a@one"]).await;
    check(Some("u"), 301, ["a@one", "b@one"]).await;
    let records = table.records().await;
    assert_eq!(records.len(), 8);
    assert!(records.iter().all(|it| differences(it).is_empty()));
    let saved =
        |it: &&OutcomeRecord| it.candidates.iter().any(|it| it.prediction.cached.saves_usd > 0.0);
    assert_eq!(records.iter().filter(saved).count(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_had_to_move_stays_where_it_is() {
    let table = Table::pair().await;
    let ((better, dearer, [_, cost]), (better_last, dearer_last, _)) =
        (figures(&table, 1), figures(&table, 2));
    let (least, most) = (dearer_last / better_last, (dearer_last + 0.9 * cost) / better_last);
    assert!(dearer / better < most);
    let worth = (least.max(dearer / better) * most).sqrt();
    let session = Some("s");
    assert_eq!(served(&table.turn(0, (worth, session), 0).await), "a@one");
    table.simulator.set_down("a").unwrap();
    assert_eq!(served(&table.turn(1, (worth, session), 1).await), "b@one");
    table.simulator.set_up("a").unwrap();
    assert_eq!(first(&table.rank(None, 2, worth)), "a@one");
    assert_eq!(first(&table.rank(session, 2, worth)), "b@one");
    assert_eq!(served(&table.turn(2, (worth, session), 2).await), "b@one");
    let told = table.records().await;
    assert!(told.iter().all(|it| differences(it).is_empty()));
}

/// One model at two providers that are equal in everything.
async fn twins(model_of: SimulatedModel) -> Table {
    let price = "{ input = 1.0, output = 1.0 }";
    let at = ["one", "two"].map(|it| deployment(it, "m", price));
    Table::with(vec![model_of], |url| {
        provider("one", url) + &provider("two", url) + &model("m", 0.8, &at.concat())
    })
    .await
}

fn in_flight(pipeline: &Pipeline) -> [u32; 2] {
    let availability = pipeline.availability();
    let of = |id: &str| {
        let fleet = pipeline.fleet().deployments().iter();
        availability
            .in_flight(&fleet.map(|it| &it.id).find(|it| it.as_str() == id).unwrap().clone())
    };
    ["m@one", "m@two"].map(of)
}

async fn until(wanted: impl Fn() -> bool) {
    let began = std::time::Instant::now();
    while !wanted() {
        assert!(began.elapsed() < support::PATIENCE);
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// Twins whose answers never come while a test lasts.
async fn slow_twins() -> Table {
    twins(SimulatedModel { ttft: Duration::from_secs(500), ..SimulatedModel::new("m") }).await
}

fn routed(table: &Table, at: usize) -> JoinHandle<()> {
    let pipeline = Arc::clone(&table.pipeline);
    let asked = ChatRequest::from_prompt(support::prompt(at));
    tokio::spawn(async move {
        drop(pipeline.route(call(asked, Policy::default(), None, 0)).await);
    })
}

/// Every caller leaves.
async fn left(table: Table, tasks: Vec<JoinHandle<()>>) -> Vec<OutcomeRecord> {
    tasks.iter().for_each(JoinHandle::abort);
    until(|| in_flight(&table.pipeline) == [0, 0]).await;
    drop(tasks);
    until(|| Arc::strong_count(&table.pipeline) == 1).await;
    table.records().await
}

#[tokio::test(flavor = "multi_thread")]
async fn equals_share_the_calls_evenly_and_calls_that_end_count_no_more() {
    let table = slow_twins().await;
    let mut tasks = Vec::new();
    for at in 0..100 {
        tasks.push(routed(&table, at));
        until(|| in_flight(&table.pipeline).iter().sum::<u32>() == at as u32 + 1).await;
        let [one, two] = in_flight(&table.pipeline);
        assert!(one.abs_diff(two) <= 1, "{one} {two}");
    }
    assert_eq!(in_flight(&table.pipeline), [50, 50]);
    let records = left(table, tasks).await;
    assert_eq!(records.len(), 100);
    assert!(records.iter().all(|it| differences(it).is_empty()));
    assert!(records.iter().any(|it| it.candidates.iter().any(|it| it.in_flight == 50)));
}

/// Who chooses in the same moment does not see the other.
#[tokio::test(flavor = "multi_thread")]
async fn equals_that_are_chosen_all_at_once_follow_the_seeds() {
    let table = slow_twins().await;
    let tasks: Vec<_> = (0..100).map(|at| routed(&table, at)).collect();
    until(|| in_flight(&table.pipeline).iter().sum::<u32>() == 100).await;
    let [one, two] = in_flight(&table.pipeline);
    // Four standard deviations of seeds alone; who sees some of the others makes it more even.
    assert!(one.abs_diff(two) <= 40, "{one} {two}");
    assert_eq!(left(table, tasks).await.len(), 100);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_that_is_denied_leaves_the_session_where_it_was() {
    let table = Table::pair().await;
    let worth = worth_switching(&table);
    table.turn(0, (worth, Some("s")), 0).await;
    let mut denied = policy(worth);
    denied.candidates.deny = vec![ModelName::new("a").unwrap()];
    let decision = table.pipeline.rank_in(Some("s"), &request(1), &denied).unwrap();
    assert_eq!(first(&decision), "b@one");
    assert_eq!(first(&table.rank(Some("s"), 1, worth)), "a@one", "ranking moves nothing");
    table.records().await;
}
