//! The panel at work: every drawn prompt to every model, and a grade for every answer.
//!
//! In: [`Panel`]. Out: everything in the work folder; [`Ran`]. Invariant: a prompt begins only when the
//! most that all its missing answers and grades can cost is left, so that no prompt has the cheap models'
//! answers alone; which prompts fit does not depend on how many calls are under way; what is there
//! already is not bought again. Not here: one call (see [`super::call`]), the table (see [`super::table`]).

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::Result;
use pointsman::domain::{ChatResponse, FailureClass, FinishReason, Text, Usd};
use pointsman::providers::Caller;
use serde_json::json;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::ask::Ask;
use super::call::{self, Manner, Question, Said, Unsaid};
use super::candidates::Candidate;
use super::events::{Answer, Event, Grade, Pair};
use super::grade::{Grader, Judge, agreement, is_right, level};
use super::money;
use super::spend::{Reserved, Spend};
use super::work::{Sampled, Work};
use crate::progress::Progress;

/// Everything that a panel needs.
pub struct Panel<C> {
    /// Who is asked.
    pub candidates: Vec<Candidate>,
    /// What.
    pub sampled: Vec<Sampled>,
    /// Who grades.
    pub grader: Grader,
    /// Who calls.
    pub caller: C,
    /// Where it is written down.
    pub work: Work,
    /// Out of what it is paid.
    pub spend: Arc<Spend>,
    /// How it is gone about.
    pub settings: Settings,
}

/// How a panel is gone about.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// The most output tokens of an answer.
    pub max_output_tokens: u64,
    /// Calls under way at a time.
    pub concurrency: usize,
    /// How each is made.
    pub manner: Manner,
    /// What is done about models that did not answer an earlier run.
    pub unanswered: Unanswered,
}

/// What is done about models that did not answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unanswered {
    /// Nothing.
    Left,
    /// They are asked once more.
    AskedAgain,
}

/// What came of a run.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Ran {
    /// Prompts that could have cost more than was left, and were not begun or gone on with.
    pub unaffordable: usize,
    /// Answers that this run could not have graded, by why.
    pub ungraded: BTreeMap<String, usize>,
}

/// Why an answer has no grade, where it was to have one.
type Ungraded = Option<String>;

/// What is missing of a model's answer to a prompt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Missing {
    Answer,
    Grade,
}

/// A missing piece and the most that it can cost.
struct Due {
    candidate: usize,
    at_most: Usd,
}

impl Ran {
    fn note(&mut self, ungraded: Ungraded) {
        if let Some(why) = ungraded {
            *self.ungraded.entry(why).or_default() += 1;
        }
    }
}

impl<C> Panel<C> {
    /// What tells an answer from all others.
    pub fn pair(&self, ask: &Ask, candidate: usize) -> Pair {
        (ask.id.clone(), self.candidates[candidate].name.clone())
    }

    fn missing(&self, ask: &Ask, candidate: usize) -> Option<Missing> {
        let (pair, left) =
            (self.pair(ask, candidate), self.settings.unanswered == Unanswered::Left);
        self.work.with(|state| match state.answers.get(&pair) {
            // What cannot be graded is not bought.
            _ if !self.grader.can_grade(ask) => None,
            Some(answer) if self.is_stale(answer) => Some(Missing::Answer),
            Some(answer) if answer.cut_at.is_some() => None,
            Some(_) => self.grader.quality(state, &pair).is_none().then_some(Missing::Grade),
            None if left && state.unanswered.contains_key(&pair) => None,
            None => Some(Missing::Answer),
        })
    }

    /// Whether an answer was cut by a limit that is higher now.
    fn is_stale(&self, answer: &Answer) -> bool {
        answer.cut_at.is_some_and(|limit| limit < self.settings.max_output_tokens)
    }

    /// What a prompt still needs, of whom, for how much at most.
    fn due(&self, ask: &Ask) -> Vec<Due> {
        let of = |candidate: usize| {
            let missing = self.missing(ask, candidate)?;
            let tokens = self.settings.max_output_tokens;
            let answer = match missing {
                Missing::Answer => {
                    let deployment = &self.candidates[candidate].deployment;
                    money::at_most(deployment, &ask.request(money::limit(deployment, tokens)))
                }
                Missing::Grade => Usd::ZERO,
            };
            let grades = self.grader.set_aside(ask, tokens);
            Some(Due { candidate, at_most: answer + grades })
        };
        (0..self.candidates.len()).filter_map(of).collect()
    }
}

/// Asks and grades whatever is missing.
///
/// # Errors
/// When the work folder cannot be written.
pub async fn run<C: Caller + 'static>(panel: &Arc<Panel<C>>) -> Result<Ran> {
    let total = panel.sampled.len() * panel.candidates.len();
    let progress = Arc::new(Progress::start("asking the panel", total as u64));
    let places = Arc::new(Semaphore::new(panel.settings.concurrency));
    let (mut ran, mut tasks) = (Ran::default(), JoinSet::new());
    for at in 0..panel.sampled.len() {
        let due = panel.due(&panel.sampled[at].ask);
        progress.advance((panel.candidates.len() - due.len()) as u64);
        let whole = due.iter().map(|it| it.at_most).sum();
        let Some(mut held) = panel.spend.reserve(whole).await else {
            ran.unaffordable += 1;
            continue;
        };
        for Due { candidate, at_most } in due {
            let place = Arc::clone(&places).acquire_owned().await?;
            let (own, panel) = (held.split(at_most), Arc::clone(panel));
            let progress = Arc::clone(&progress);
            tasks.spawn(async move {
                let done = one(&panel, at, candidate, own).await;
                progress.advance(1);
                drop(place);
                done
            });
        }
        while let Some(done) = tasks.try_join_next() {
            ran.note(done??);
        }
    }
    while let Some(done) = tasks.join_next().await {
        ran.note(done??);
    }
    Ok(ran)
}

/// Asks one model one prompt, unless that was done before, and has its answer graded.
async fn one<C: Caller>(
    panel: &Panel<C>,
    at: usize,
    candidate: usize,
    mut held: Reserved,
) -> Result<Ungraded> {
    let ask = &panel.sampled[at].ask;
    let pair = panel.pair(ask, candidate);
    let known = panel.work.with(|state| state.answers.get(&pair).cloned());
    let answer = match known.filter(|it| !panel.is_stale(it)) {
        Some(answer) => answer,
        None => match answer(panel, ask, candidate, &mut held).await? {
            Some(answer) => answer,
            None => return Ok(None),
        },
    };
    if answer.cut_at.is_some() {
        return Ok(None);
    }
    match &panel.grader {
        Grader::Exact => {
            let reference = ask.reference.as_ref().map(Text::as_str).unwrap_or_default();
            let right = is_right(answer.text.as_str(), reference);
            graded(panel, &pair, f64::from(u8::from(right)))
        }
        // One that fails gives no grade, and is asked again by the next run.
        Grader::Command(program) => match program.grade(ask, &pair.1, &answer.text).await {
            Ok(quality) => graded(panel, &pair, quality),
            Err(why) => Ok(Some(why.to_string())),
        },
        Grader::Judge(judge) => judged(panel, judge, (ask, &pair), &answer.text, held).await,
    }
}

async fn answer<C: Caller>(
    panel: &Panel<C>,
    ask: &Ask,
    candidate: usize,
    held: &mut Reserved,
) -> Result<Option<Answer>> {
    let Candidate { name, deployment } = &panel.candidates[candidate];
    let tokens = panel.settings.max_output_tokens;
    let request = &ask.request(money::limit(deployment, tokens));
    let at_most = money::at_most(deployment, request);
    // What is held for the grades stays held.
    let mut own = held.split(at_most);
    let question = Question { deployment, request, at_most };
    let unanswered =
        |class| Event::Unanswered { prompt: ask.id.clone(), model: name.clone(), class };
    // Such a call would be refused, or answered as if there were no tools.
    if !deployment.abilities().missing(request.abilities_needed()).is_empty() {
        panel.work.record(unanswered(FailureClass::Unsupported))?;
        return Ok(None);
    }
    let manner = panel.settings.manner;
    let Said { call, response, cost, latency } =
        match call::ask(&panel.caller, &panel.work, question, manner, &mut own).await? {
            Ok(said) => said,
            Err(Unsaid::Failed(class)) => {
                panel.work.record(unanswered(class))?;
                return Ok(None);
            }
            Err(Unsaid::NoMoney) => return Ok(None),
        };
    let answer = Answer {
        prompt: ask.id.clone(),
        model: name.clone(),
        text: words(&response),
        cut_at: (response.finish == FinishReason::Length).then_some(tokens),
        usage: response.usage,
        cost_usd: cost,
        latency_s: latency.as_secs_f64(),
    };
    panel.work.record(Event::Answered { call, answer: answer.clone() })?;
    Ok(Some(answer))
}

/// What is graded of an answer: its text, and each tool call as a JSON object on a line of its own.
fn words(response: &ChatResponse) -> Text {
    let text = response.text.iter().map(|it| it.as_str().to_owned());
    let calls = response.tool_calls.iter().map(|it| {
        let arguments = serde_json::from_str::<serde_json::Value>(it.arguments.as_str());
        json!({ "name": it.name, "arguments": arguments.unwrap_or_default() }).to_string()
    });
    text.chain(calls).collect::<Vec<_>>().join("\n").into()
}

fn graded<C>(panel: &Panel<C>, (prompt, model): &Pair, quality: f64) -> Result<Ungraded> {
    let grader = panel.grader.fingerprint();
    let (prompt, model) = (prompt.clone(), model.clone());
    panel.work.record(Event::Graded(Grade { prompt, model, grader, pass: 0, quality }))?;
    Ok(None)
}

/// Has a judge grade an answer as often as it is to, as far as `held` and what is left of the money go. One
/// grade alone is worth nothing, so the first that fails is the last.
pub(super) async fn judged<C: Caller>(
    panel: &Panel<C>,
    judge: &Judge,
    (ask, pair): (&Ask, &Pair),
    answer: &Text,
    mut held: Reserved,
) -> Result<Ungraded> {
    let grader = judge.fingerprint();
    for pass in 0..judge.passes {
        if panel.work.with(|state| state.grade_of(pair, &grader, pass)).is_some() {
            continue;
        }
        let request = &judge.request(pass, ask, answer);
        let at_most = judge.at_most(request);
        let mut own = held.split(at_most);
        let question = Question { deployment: &judge.deployment, request, at_most };
        let manner = panel.settings.manner;
        let said = call::ask(&panel.caller, &panel.work, question, manner, &mut own).await?;
        let Said { call, response, cost: cost_usd, .. } = match said {
            Ok(said) => said,
            Err(Unsaid::NoMoney) => return Ok(Some("too little money was left".to_owned())),
            Err(Unsaid::Failed(class)) => {
                return Ok(Some(format!("the judge did not answer ({})", class.as_str())));
            }
        };
        let Some(level) = level(&response) else {
            let class = FailureClass::Malformed;
            panel.work.record(Event::Failed { call, class, cost_usd })?;
            return Ok(Some("the judge named no grade".to_owned()));
        };
        let ((prompt, model), quality) = (pair.clone(), agreement::quality(level));
        let grade = Grade { prompt, model, grader: grader.clone(), pass, quality };
        panel.work.record(Event::Judged { call, cost_usd, grade })?;
    }
    Ok(None)
}
