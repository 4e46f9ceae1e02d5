//! What a caller was told, held against what the providers saw and what the server kept.
//!
//! In: a scene, and what its caller was told. Out: everything that is not as it should be.

use std::collections::BTreeSet;
use std::time::Duration;

use pointsman::simulator::{CallLog, Fault};
use serde_json::{Value, json};

use super::ask::Told;
use super::money;
use super::scene::{Cause, End, Scene, Wish};
use super::support::{self, House, http_client};

/// The caps of `failure.md`: calls of one model, models besides the last resort, calls in all.
const CALLS_OF_ONE_MAX: usize = 2;
const MODELS_MAX: usize = 3;
const CALLS_MAX: usize = 6;
/// How much later than its limit a caller may be told.
const LATE_MS_MAX: f64 = 1_000.0;
/// Of the pause that a provider asks for, so much is kept at least.
const PAUSE_SHARE: f64 = 0.9;
/// What is kept of a sum of money is what was told.
const EXACT_USD: f64 = 1e-9;
/// Bytes of the simulator's tokens.
const TOKEN_BYTES: usize = 4;
/// A record or the end of a call is waited for at most so long.
const PATIENCE: Duration = Duration::from_secs(2);
const POLL: Duration = Duration::from_millis(2);

/// What was found of a scene.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// In words; empty when all is well.
    pub(crate) wrong: Vec<String>,
    /// How long after its own limit the caller was told, milliseconds; below zero is before.
    pub(crate) late_ms: Option<f64>,
}

/// What the server kept of a request.
#[derive(Debug, PartialEq)]
pub(crate) struct Kept {
    pub(crate) ended: String,
    pub(crate) attempts: Vec<Value>,
    pub(crate) cost_usd: f64,
}

/// Looks at scenes of one server.
pub(crate) struct Checker<'a> {
    house: &'a House,
    http: reqwest::Client,
}

/// One look.
struct Look<'a> {
    scene: &'a Scene,
    told: &'a Told,
    /// What the providers of the scene saw, in order.
    calls: Vec<CallLog>,
    /// What the last one called says to this prompt.
    whole: String,
    wrong: Vec<String>,
}

impl<'a> Checker<'a> {
    pub(crate) fn new(house: &'a House) -> Self {
        Self { house, http: http_client() }
    }

    pub(crate) async fn check(&self, scene: &Scene, told: &Told) -> Found {
        let calls = self.calls(scene).await;
        let whole = match calls.last() {
            Some(last) => self.whole(scene, &last.model_id).await,
            None => String::new(),
        };
        let mut look = Look { scene, told, calls, whole, wrong: Vec::new() };
        look.end();
        look.walk();
        look.caps();
        look.classes();
        look.text();
        look.money();
        look.pauses();
        let late_ms = look.clock();
        look.record(&self.kept(scene).await);
        let name = scene.name();
        let wrong = look.wrong.into_iter().map(|it| format!("{name}: {it}")).collect();
        Found { wrong, late_ms }
    }

    /// The scene's calls, once all have ended.
    pub(crate) async fn calls(&self, scene: &Scene) -> Vec<CallLog> {
        let start = tokio::time::Instant::now();
        loop {
            let mut calls = self.house.simulator.calls();
            calls.retain(|it| scene.letter(&it.model_id) != '?');
            let over = calls.iter().all(|it| it.ended_at_ms.is_some());
            if over || start.elapsed() > PATIENCE {
                return calls;
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// What a model says to the scene's prompt when nothing goes wrong, asked without the server.
    async fn whole(&self, scene: &Scene, model: &str) -> String {
        use pointsman::simulator::FaultRates;
        self.house.simulator.set_faults(model, FaultRates::none()).unwrap();
        let url = format!("{}/chat/completions", self.house.simulator.base_url());
        let messages = json!([{ "role": "user", "content": scene.prompt() }]);
        let body = json!({ "model": model, "messages": messages });
        let answer = self.http.post(url).json(&body).send().await.unwrap();
        let answer: Value = answer.json().await.unwrap();
        answer["choices"][0]["message"]["content"].as_str().unwrap_or_default().to_owned()
    }

    /// What the server kept, once it has.
    pub(crate) async fn kept(&self, scene: &Scene) -> Option<Kept> {
        let start = tokio::time::Instant::now();
        loop {
            let kept = self.read(scene);
            if kept.is_some() || start.elapsed() > PATIENCE {
                return kept;
            }
            tokio::time::sleep(POLL).await;
        }
    }

    fn read(&self, scene: &Scene) -> Option<Kept> {
        let file = support::log_file(&self.house.store);
        let select = "SELECT ended, cost_picousd, record FROM outcome WHERE request_id = ?1";
        let row = file.query_row(select, [scene.model('A')], |row| {
            Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?, row.get::<_, String>(2)?))
        });
        let (ended, picousd, record) = row.ok()?;
        let record: Value = serde_json::from_str(&record).unwrap();
        let attempts = record["attempts"].as_array().cloned().unwrap_or_default();
        Some(Kept { ended, attempts, cost_usd: picousd as f64 / 1e12 })
    }
}

impl Look<'_> {
    fn want(&mut self, fine: bool, what: impl FnOnce(&Self) -> String) {
        if !fine {
            self.wrong.push(what(self));
        }
    }

    fn told_letters(&self) -> String {
        self.told.attempts.iter().map(|it| self.scene.letter(&it.deployment)).collect()
    }

    /// Answered, or the named error.
    fn end(&mut self) {
        let (_, fails) = self.scene.walk();
        let wanted = fails.then(|| self.scene.error());
        let fine = self.told.error.as_deref() == wanted;
        self.want(fine, |it| format!("wanted {wanted:?}, told {:?}", it.told.error));
    }

    /// The calls that were to be made, as told, and as the providers saw them.
    fn walk(&mut self) {
        let (walk, _) = self.scene.walk();
        let told = self.told_letters();
        let fine = match walk.strip_suffix('*') {
            Some(first) => told.starts_with(first),
            None => told == walk,
        };
        self.want(fine, |_| format!("wanted calls {walk}, told {told}"));
        let scene = self.scene;
        let reached = |it: &char| match scene.row.fault {
            Cause::Fault(_) => true,
            Cause::NothingListens | Cause::ImageByUrl => !scene.fails(*it),
        };
        let wanted: String = told.chars().filter(reached).collect();
        let seen: String = self.calls.iter().map(|it| scene.letter(&it.model_id)).collect();
        self.want(seen == wanted, |_| format!("told {wanted}, the providers saw {seen}"));
        if self.told.error.is_none() {
            let last = told.chars().last().map(|it| scene.model(it));
            let fine = last.as_deref() == Some(&self.told.served);
            self.want(fine, |it| format!("{} is told as who served", it.told.served));
        }
    }

    fn caps(&mut self) {
        let told = self.told_letters();
        let models: BTreeSet<char> = told.chars().collect();
        let each = models.iter().all(|it| told.matches(*it).count() <= CALLS_OF_ONE_MAX);
        let few = models.iter().filter(|it| **it != 'D').count() <= MODELS_MAX;
        let fine = each && few && told.len() <= CALLS_MAX;
        self.want(fine, |_| format!("the calls {told} are more than the caps allow"));
    }

    /// Every attempt that failed has the class, and the provider's status.
    fn classes(&mut self) {
        let open = self.scene.walk().0.ends_with('*');
        let (told, class) = (self.told, self.scene.row.class);
        for (at, attempt) in told.attempts.iter().enumerate() {
            let served = told.error.is_none() && at + 1 == told.attempts.len();
            let wanted = if served { "" } else { class };
            let fine = attempt.failure == wanted || (open && at > 0);
            self.want(fine, |_| format!("attempt {at}: wanted `{wanted}`, told {attempt:?}"));
        }
        if told.attempts.len() == self.calls.len() {
            let pairs = told.attempts.iter().zip(self.calls.clone());
            for (attempt, call) in pairs {
                let status = call.status.map(u64::from);
                let fine = attempt.status.is_none() || attempt.status == status;
                self.want(fine, |_| format!("the provider said {status:?}, told {attempt:?}"));
            }
        }
    }

    /// Nothing is missing from an answer, and what came before a break is all that was sent.
    fn text(&mut self) {
        let text = &self.told.text;
        let Some(last) = self.calls.last().cloned() else {
            let fine = text.is_empty();
            return self.want(fine, |_| "text from nobody".to_owned());
        };
        if self.told.error.is_none() {
            let fine = !text.is_empty() && *text == self.whole;
            self.want(fine, |it| format!("told {:?}, wanted {:?}", it.told.text, it.whole));
            let bytes = text.len() - self.before().min(text.len());
            let tokens = bytes.div_ceil(TOKEN_BYTES) as u64;
            let fine = last.delivered_tokens == tokens && last.completion_tokens == tokens;
            let fine = fine || (self.loses() && last.delivered_tokens > tokens);
            self.want(fine, |_| format!("{tokens} told of {last:?}"));
            return;
        }
        let bytes = self.before() + last.delivered_tokens as usize * TOKEN_BYTES;
        let fine = match self.scene.row.end {
            End::Broken(..) if self.loses() => {
                !text.is_empty() && text.len() <= bytes && self.whole.starts_with(text)
            }
            End::Broken(..) => *text == self.whole[..bytes.min(self.whole.len())],
            End::Told(..) => text.is_empty(),
        };
        self.want(fine, |it| format!("told {:?} of {bytes} bytes", it.told.text));
    }

    /// A reset takes with it what was still under way.
    fn loses(&self) -> bool {
        self.scene.row.fault == Cause::Fault(Fault::ResetInBody)
    }

    /// Bytes of the answer that others gave before the last one.
    fn before(&self) -> usize {
        let passed_on = matches!(self.scene.row.end, End::Broken(..));
        let others = self.calls.split_last().map_or(&[][..], |(_, others)| others);
        let others = others.iter().filter(|_| passed_on);
        let tokens: u64 = others.map(|it| it.delivered_tokens).sum();
        (tokens as usize * TOKEN_BYTES).min(self.whole.len())
    }

    /// What is told to have been spent is what the providers bill.
    fn money(&mut self) {
        let bill = money::Bill::of(self.scene, &self.calls);
        let fine = bill.agrees_with(self.told.cost_usd);
        self.want(fine, |it| format!("told ${}, {bill:?}: {:?}", it.told.cost_usd, it.calls));
        let served =
            self.told.error.is_none().then_some(&self.told.attempts).and_then(|it| it.last());
        let fine =
            served.is_none_or(|it| !it.usage_estimated) || self.scene.row.wish == Wish::NoUsage;
        self.want(fine, |_| "usage that was told is not estimated".to_owned());
        let cap = self.scene.cap_usd().unwrap_or(f64::INFINITY);
        self.want(self.told.cost_usd <= cap, |it| format!("${} is too much", it.told.cost_usd));
    }

    /// A pause that the provider asked for is kept, or the provider is not called again.
    fn pauses(&mut self) {
        let mut short = Vec::new();
        for (at, call) in self.calls.iter().enumerate() {
            let Some(Fault::Status { retry_after: Some(pause), .. }) = call.fault else { continue };
            let again = self.calls[at + 1..].iter().find(|it| it.model_id == call.model_id);
            let gap = again.map(|it| it.at_ms.saturating_sub(call.at_ms) as f64);
            let least = pause.as_secs_f64() * 1_000.0 * PAUSE_SHARE;
            short.extend(gap.filter(|it| *it < least));
        }
        self.want(short.is_empty(), |_| format!("called again after {short:?} ms"));
    }

    /// No call begins after the caller's limit, and the caller is told soon after it.
    fn clock(&mut self) -> Option<f64> {
        let limit_ms = self.scene.limit_ms()?;
        let began = self.told.attempts.iter().all(|it| it.start_ms < limit_ms);
        self.want(began, |it| format!("began too late: {:?}", it.told.attempts));
        let first = self.calls.first().map_or(0, |it| it.at_ms);
        let span = self.calls.last().map_or(0, |it| it.at_ms - first);
        self.want((span as f64) < limit_ms, |_| format!("called {span} ms after the first call"));
        let late_ms = self.told.took.as_secs_f64() * 1_000.0 - limit_ms;
        self.want(late_ms < LATE_MS_MAX, |_| format!("told {late_ms} ms too late"));
        Some(late_ms)
    }

    /// The log says what the caller was told.
    fn record(&mut self, kept: &Option<Kept>) {
        let Some(kept) = kept else { return self.want(false, |_| "not recorded".to_owned()) };
        let reason = |it: &str| it.rsplit(' ').next().unwrap_or_default().to_owned();
        let (_, fails) = self.scene.walk();
        let wanted = match self.scene.row.end {
            _ if !fails => "served".to_owned(),
            End::Told(_, grpc) => reason(grpc).to_lowercase(),
            End::Broken(..) => "broken".to_owned(),
        };
        let same = (kept.cost_usd - self.told.cost_usd).abs() < EXACT_USD
            && kept.attempts.len() == self.told.attempts.len();
        self.want(kept.ended == wanted && same, |_| format!("wanted {wanted}, kept {kept:?}"));
    }
}
