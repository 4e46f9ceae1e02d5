//! A caller who leaves in the middle: the provider's call ends at once, nobody else is called, and
//! the log says so.

use std::time::{Duration, Instant};

use pointsman::domain::Billing;
use pointsman::simulator::{CallLog, Fault};

use super::ask::{Asker, said};
use super::check::Checker;
use super::house;
use super::money::Bill;
use super::scene::{Cause, End, Face, Pattern, Row, Scene, Way};

/// Asked for, and asserted where other tests take the processor's time.
const ENDS_WITHIN: Duration = Duration::from_millis(100);
const ENDS_WITHIN_MAX: Duration = Duration::from_secs(1);
const POLL: Duration = Duration::from_millis(1);
const PATIENCE: Duration = Duration::from_secs(10);

/// Leaves before and after the first content, over both faces.
pub(crate) async fn play_all() {
    let silent = Fault::Hang;
    let begun = Fault::Stall { after_tokens: 5 };
    let cases = [
        (Face::Grpc, Way::Whole, silent),
        (Face::Http, Way::Whole, silent),
        (Face::Grpc, Way::Stream, silent),
        (Face::Http, Way::Stream, silent),
        (Face::Grpc, Way::Stream, begun),
        (Face::Http, Way::Stream, begun),
    ];
    let walks = ["A!", "A!", "A!"];
    let scene = |(number, (face, way, fault)): (usize, (Face, Way, Fault))| {
        let row = Row::new("left", "", Cause::Fault(fault), walks, End::Told("", ""));
        Scene { row, pattern: Pattern::Always, way, face, protocol: "openai", number }
    };
    let scenes: Vec<_> = cases.into_iter().enumerate().map(scene).collect();
    let house = house::open(&scenes).await;
    let (asker, checker) = (Asker::new(&house), Checker::new(&house));
    let mut longest = Duration::ZERO;
    for scene in &scenes {
        let seen = || -> Option<CallLog> {
            let calls = house.simulator.calls();
            calls.into_iter().find(|it| it.model_id == scene.model('A'))
        };
        let left = leave(&asker, scene, || seen().is_some()).await;
        until(|| seen().is_some_and(|it| it.ended_at_ms.is_some())).await;
        let took = left.elapsed();
        longest = longest.max(took);
        assert!(took < ENDS_WITHIN_MAX, "{}: {took:?}", scene.name());
        assert!(seen().unwrap().client_left, "{:?}", seen());
        let kept = checker.kept(scene).await.unwrap();
        assert_eq!(kept.ended, "cancelled", "{}", scene.name());
        let classes: Vec<_> = kept.attempts.iter().map(|it| it["failure"].clone()).collect();
        assert_eq!(classes, ["cancelled"], "{}", scene.name());
        let calls = checker.calls(scene).await;
        assert_eq!(calls.len(), 1, "{}", scene.name());
        let bill = Bill::of(scene, &calls);
        assert!(bill.agrees_with(kept.cost_usd), "{}: {kept:?}, {bill:?}", scene.name());
        let paid = scene.billing('A') != Billing::Nothing;
        assert_eq!(kept.cost_usd > 0.0, paid, "{}: {kept:?}", scene.name());
        assert_eq!(kept.attempts[0]["usage_estimated"], paid, "{}", scene.name());
    }
    println!(
        "a caller left: the provider's call ended within {longest:?} (asked: {ENDS_WITHIN:?})"
    );
    drop((asker, checker));
    house.stop().await;
}

/// Asks, waits until the provider is called or, where it says something, for that, and leaves;
/// returns when that was.
async fn leave(asker: &Asker, scene: &Scene, called: impl Fn() -> bool) -> Instant {
    let says = matches!(scene.row.fault, Cause::Fault(Fault::Stall { .. }));
    match (scene.face, says) {
        (Face::Grpc, true) => {
            let mut events = asker.open(scene).await.unwrap();
            while said(events.message().await.unwrap().unwrap().event).is_empty() {}
            drop(events);
            Instant::now()
        }
        (Face::Http, true) => {
            let mut response = asker.post(scene).await;
            assert!(response.chunk().await.unwrap().is_some());
            drop(response);
            Instant::now()
        }
        (Face::Grpc | Face::Http, false) => {
            tokio::select! {
                _ = asker.ask(scene) => panic!("answered"),
                () = until(called) => {}
            }
            Instant::now()
        }
    }
}

async fn until(done: impl Fn() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < PATIENCE, "it did not come");
        tokio::time::sleep(POLL).await;
    }
}
