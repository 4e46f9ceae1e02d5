//! Another artifact takes over: by a call, by the watch, under load, and back.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use pointsman::api::proto::{FeedbackKind, FeedbackRequest};
use pointsman::pipeline::Artifacts;
use tonic::Code;
use tonic_types::StatusExt as _;

use super::mill::Mill;
use super::support::prompt;
use super::{House, house, route, version};

/// Callers at the same time.
const CALLERS: usize = 8;
/// Artifacts that follow one another.
const SWAPS: usize = 20;
/// Far oftener than a server looks, so that the test need not wait.
const EVERY: Duration = Duration::from_millis(5);

#[tokio::test(flavor = "multi_thread")]
async fn twenty_swaps_under_load_and_nobody_notices() {
    let mill = Mill::new();
    mill.mint("live", "0", "best");
    let (house, mut admin) = house(&mill, "").await;
    let house = Arc::new(house);
    // The last that was asked for, and the last that was told to serve.
    let (begun, done) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let over = Arc::new(AtomicBool::new(false));
    let callers: Vec<_> = (0..CALLERS)
        .map(|caller| {
            let (house, over) = (Arc::clone(&house), Arc::clone(&over));
            let (begun, done) = (Arc::clone(&begun), Arc::clone(&done));
            tokio::spawn(async move {
                let (mut calls, mut last) = (0, 0);
                while !over.load(Ordering::Acquire) {
                    let oldest = done.load(Ordering::Acquire);
                    let (served, decision) = route(&house, &prompt(calls % 50), None).await;
                    let newest = begun.load(Ordering::Acquire);
                    let found: usize = decision.artifact_version.parse().unwrap();
                    assert!((oldest..=newest).contains(&found), "{oldest} {found} {newest}");
                    assert!(found >= last, "caller {caller}: {found} after {last}");
                    // Each is decided wholly by the one that it names.
                    assert_eq!(served, if found.is_multiple_of(2) { "best" } else { "small" });
                    (calls, last) = (calls + 1, found);
                }
                calls
            })
        })
        .collect();
    let encoder = admin.status().await.served.unwrap().now.unwrap().encoder_sha256;
    for swap in 1..=SWAPS {
        let best = if swap.is_multiple_of(2) { "best" } else { "small" };
        mill.mint("live", &swap.to_string(), best);
        begun.store(swap, Ordering::Release);
        assert!(admin.reload().await.unwrap());
        done.store(swap, Ordering::Release);
    }
    over.store(true, Ordering::Release);
    for caller in callers {
        assert!(caller.await.unwrap() > SWAPS, "too few calls to tell");
    }
    let status = admin.status().await;
    assert_eq!(version(&status.previous), (SWAPS - 1).to_string());
    assert_eq!(status.served.unwrap().now.unwrap().encoder_sha256, encoder);
    Arc::into_inner(house).unwrap().stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_watch_takes_renamed_folders_and_moved_links() {
    let mill = Mill::new();
    mill.mint("one", "one", "best");
    mill.link("live", "one");
    let (house, mut admin) = house(&mill, "").await;
    let watch = tokio::spawn(Artifacts::watch(house.artifacts.clone(), EVERY));
    assert_eq!(admin.serves().await, "one");
    mill.mint("two", "two", "small");
    mill.link("live", "two");
    admin.until(|it| version(&it.served.as_ref().unwrap().now) == "two").await;
    assert_eq!(route(&house, &prompt(1), None).await.0, "small");
    mill.mint("two", "three", "middle");
    admin.until(|it| version(&it.served.as_ref().unwrap().now) == "three").await;
    assert_eq!(route(&house, &prompt(1), None).await.0, "middle");
    // What is there now stands still, so there is nothing to load.
    assert!(!admin.reload().await.unwrap());
    // A folder that vanishes is told of, and changes nothing.
    std::fs::remove_dir_all(mill.at("two")).unwrap();
    admin.until(|it| it.served.as_ref().unwrap().refused.is_some()).await;
    assert_eq!(admin.serves().await, "three");
    mill.mint("two", "four", "best");
    admin.until(|it| version(&it.served.as_ref().unwrap().now) == "four").await;
    assert!(admin.status().await.served.unwrap().refused.is_none());
    house.stop().await;
    // It ends with what it watches.
    tokio::time::timeout(super::PATIENCE, watch).await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_holds_until_the_folder_changes() {
    let mill = Mill::new();
    mill.mint("live", "one", "best");
    let (house, mut admin) = house(&mill, "").await;
    let refused = admin.rollback().await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
    assert!(refused.message().contains("nothing to roll back to"), "{}", refused.message());
    mill.mint("live", "two", "small");
    assert!(admin.reload().await.unwrap());
    assert_eq!(route(&house, &prompt(1), None).await.0, "small");
    let status = admin.rollback().await.unwrap();
    assert_eq!(version(&status.served.unwrap().now), "one");
    assert_eq!((status.rolled_back.as_deref(), status.previous), (Some("two"), None));
    let (served, decision) = route(&house, &prompt(1), None).await;
    assert_eq!((served.as_str(), decision.artifact_version.as_str()), ("best", "one"));
    // A second pull at the lever does not bring the bad one back.
    assert_eq!(admin.rollback().await.unwrap_err().code(), Code::FailedPrecondition);
    // The folder still holds the bad one; the watch leaves it until it changes.
    let watch = tokio::spawn(Artifacts::watch(house.artifacts.clone(), EVERY));
    let (mut looks, mut other) = (0, 0);
    admin
        .until(|it| {
            looks += 1;
            other += usize::from(version(&it.served.as_ref().unwrap().now) != "one");
            looks == 30
        })
        .await;
    assert_eq!(other, 0);
    mill.mint("live", "three", "middle");
    admin
        .until(|it| {
            let found = version(&it.served.as_ref().unwrap().now);
            assert!(found == "one" || found == "three", "{found}");
            found == "three"
        })
        .await;
    let status = admin.status().await;
    assert_eq!((version(&status.previous), status.rolled_back), ("one".to_owned(), None));
    watch.abort();
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_brings_back_what_was_rolled_back() {
    let mill = Mill::new();
    mill.mint("live", "one", "best");
    let (house, mut admin) = house(&mill, "").await;
    mill.mint("live", "two", "small");
    assert!(admin.reload().await.unwrap());
    admin.rollback().await.unwrap();
    assert!(admin.reload().await.unwrap());
    assert_eq!(admin.serves().await, "two");
    assert!(!admin.reload().await.unwrap());
    // The same again does not push out the one before.
    assert_eq!(version(&admin.status().await.previous), "one");
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_encoder_of_its_own_comes_with_it_and_goes_with_it() {
    let mill = Mill::new();
    mill.mint("live", "one", "best");
    mill.mint("next", "two", "small");
    let shadow = format!("[shadow]\npath = \"{}\"\n", mill.at("next").display());
    let (house, mut admin) = house(&mill, &shadow).await;
    let before = admin.status().await;
    assert_eq!(version(&before.shadow.unwrap().now), "two");
    mill.mint("live", "three", "middle");
    mill.own_encoder("live");
    // It serves; the shadow read with the other encoder, and is left out.
    let refused = admin.reload().await.unwrap_err();
    let found = refused.get_details_precondition_failure().unwrap().violations;
    assert_eq!(found[0].r#type, "OTHER_ENCODER", "{refused:?}");
    let status = admin.status().await;
    let (served, shadow) = (status.served.unwrap().now.unwrap(), status.shadow.unwrap());
    assert_ne!(served.encoder_sha256, before.served.unwrap().now.unwrap().encoder_sha256);
    assert_eq!((served.version.as_str(), version(&shadow.now).as_str()), ("three", "none"));
    assert_eq!(shadow.refused.unwrap().reason, "OTHER_ENCODER");
    assert_eq!(route(&house, &prompt(1), None).await.0, "middle");
    let status = admin.rollback().await.unwrap();
    assert_eq!(version(&status.served.unwrap().now), "one");
    assert_eq!(version(&status.shadow.unwrap().now), "two");
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_scores_taught_stays_with_the_artifact_that_they_were_about() {
    let mill = Mill::new();
    mill.mint("live", "one", "best");
    let (house, mut admin) = house(&mill, "[learning]\nonline = true\n").await;
    let of_one = route(&house, &prompt(1), None).await.1;
    say(&house, &of_one.id).await;
    let learned = async |wanted: (&str, u64)| {
        let it = route(&house, &prompt(2), None).await.1;
        assert_eq!((it.artifact_version.as_str(), it.learned_updates), wanted);
        it.id
    };
    let late = learned(("one", 1)).await;
    mill.mint("live", "two", "small");
    assert!(admin.reload().await.unwrap());
    let of_two = learned(("two", 0)).await;
    // One about the artifact that does not serve now: it counts when that one is back.
    say(&house, &late).await;
    learned(("two", 0)).await;
    say(&house, &of_two).await;
    learned(("two", 1)).await;
    admin.rollback().await.unwrap();
    learned(("one", 2)).await;
    house.stop().await;
}

/// Scores an answer.
async fn say(house: &House, decision_id: &str) {
    let request = FeedbackRequest {
        decision_id: decision_id.to_owned(),
        score: Some(0.5),
        kind: FeedbackKind::Explicit.into(),
        comment: None,
        idempotency_key: None,
    };
    house.client.clone().feedback(request).await.unwrap();
}
