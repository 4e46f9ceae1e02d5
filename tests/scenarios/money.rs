//! What the providers bill, beside what the server counts.
//!
//! In: a scene and its providers' own log. Out: [`Bill`], which says how near a count must come: to
//! the picodollar where the provider told its usage, to some tokens where the server saw the answer
//! come, to a cent where it can only guess.

use std::time::Duration;

use pointsman::domain::Billing;
use pointsman::simulator::{CallLog, Fault};

use super::ask::Asker;
use super::check::Checker;
use super::house;
use super::scene::{Cause, End, Face, Pattern, Row, Scene, Way, Wish};

/// Floats.
const EXACT_USD: f64 = 1e-9;
const CENT_USD: f64 = 0.01;
/// The server's tokenizer and a fourth of the bytes may differ by so many, with prompts of a line.
const INPUT_SLACK: f64 = 6.0;
/// A piece of the simulator's streams, which may be on its way when the call ends.
const OUTPUT_SLACK: f64 = 4.0;

/// What the providers bill for a scene.
#[derive(Debug)]
pub(crate) struct Bill {
    usd: f64,
    /// How far from it a count may be.
    slack_usd: f64,
}

impl Bill {
    pub(crate) fn of(scene: &Scene, calls: &[CallLog]) -> Self {
        let mut bill = Self { usd: 0.0, slack_usd: EXACT_USD };
        for call in calls {
            let letter = scene.letter(&call.model_id);
            let (input, output) = scene.price(letter);
            let usd = |in_: f64, out: f64| (in_ * input + out * output) / 1e6;
            let rule = scene.billing(letter);
            let billed = call.billed(rule);
            bill.usd += usd(billed.input_tokens as f64, billed.output_tokens as f64);
            bill.slack_usd += match known(scene, call, rule) {
                Known::Told => 0.0,
                // Nobody ran here, which the server cannot know: it counts the prompt.
                Known::Seen if call.status.is_none() => {
                    usd(call.asked_tokens as f64 + 2.0 * INPUT_SLACK, 0.0)
                }
                Known::Seen => usd(INPUT_SLACK, OUTPUT_SLACK),
                Known::Guessed => CENT_USD,
            };
        }
        // However many are guessed.
        let slack_usd = bill.slack_usd.min(CENT_USD);
        Self { slack_usd, ..bill }
    }

    pub(crate) fn agrees_with(&self, usd: f64) -> bool {
        (usd - self.usd).abs() <= self.slack_usd
    }
}

/// What the server can know of a call's usage.
enum Known {
    Told,
    Seen,
    Guessed,
}

fn known(scene: &Scene, call: &CallLog, rule: Billing) -> Known {
    let as_usual = Some(Fault::SlowFirstToken(Duration::ZERO));
    let broken = !matches!(call.fault, None | Some(Fault::Empty)) && call.fault != as_usual;
    let refused = call.status.is_some_and(|it| it >= 400);
    if rule == Billing::Nothing && (broken || call.client_left) {
        return Known::Told;
    }
    match call.fault {
        Some(Fault::ContentFilter | Fault::ContextTooLong) if refused => Known::Seen,
        Some(Fault::ContentFilter | Fault::ErrorInside200) => Known::Told,
        _ if refused => Known::Told,
        Some(Fault::SlowFirstToken(Duration::ZERO)) if scene.row.wish == Wish::NoUsage => {
            Known::Seen
        }
        None | Some(Fault::Empty) if !call.client_left => Known::Told,
        _ if rule == Billing::WholeAnswer || !call.streamed => Known::Guessed,
        _ => Known::Seen,
    }
}

/// A provider that answers as usual and tells no usage.
const AS_USUAL: Cause = Cause::Fault(Fault::SlowFirstToken(Duration::ZERO));

fn scene(number: usize, row: Row, face: Face) -> Scene {
    let (pattern, way) = (Pattern::All, Way::Stream);
    Scene { row, pattern, way, face, protocol: "openai", number }
}

/// A stream without usage is counted by its bytes, and marked.
pub(crate) async fn play_untold() {
    let row = Row::new("untold", "", AS_USUAL, ["A"; 3], End::Told("", "")).wish(Wish::NoUsage);
    let scenes = [scene(0, row, Face::Grpc), scene(1, row, Face::Http)];
    let house = house::open(&scenes).await;
    let (asker, checker) = (Asker::new(&house), Checker::new(&house));
    for scene in &scenes {
        let told = asker.ask(scene).await;
        assert!(told.cost_usd > 0.0 && told.attempts[0].usage_estimated, "{told:?}");
        let found = checker.check(scene, &told).await;
        assert!(found.wrong.is_empty(), "{:?}", found.wrong);
        let kept = checker.kept(scene).await.unwrap();
        assert_eq!(kept.attempts[0]["usage_estimated"], true, "{kept:?}");
    }
    drop((asker, checker));
    house.stop().await;
}

/// An attempt that said nothing, at a provider that goes on all the same, uses up the budget.
pub(crate) async fn play_capped() {
    let silent = Cause::Fault(Fault::Stall { after_tokens: 0 });
    let over = End::Told("402 over_budget", "RESOURCE_EXHAUSTED OVER_BUDGET");
    let row = Row::new("first_token_late", "", silent, ["A!"; 3], over).wish(Wish::Dear);
    let scenes = [scene(2, row, Face::Grpc), scene(3, row, Face::Http)];
    let house = house::open(&scenes).await;
    let asker = Asker::new(&house);
    for scene in &scenes {
        let told = asker.ask(scene).await;
        assert_eq!(told.error.as_deref(), Some(scene.error()), "{told:?}");
        assert!(matches!(&told.attempts[..], [it] if it.usage_estimated), "{told:?}");
        let cap = scene.cap_usd().unwrap();
        assert!(told.cost_usd > cap / 2.0 && told.cost_usd <= cap, "{told:?}");
    }
    drop(asker);
    house.stop().await;
}
