//! Artifacts on trial: one that looks on, one that decides a share.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use pointsman::outcome::{OutcomeReader, OutcomeRecord, differences};
use pointsman::simulator::SimulatedModel;

use super::mill::Mill;
use super::support::{House, ask, instant_models, prompt};
use super::{house, house_of, route, version};

/// Callers at the same time.
const CALLERS: usize = 8;

fn records(house: &House) -> Vec<OutcomeRecord> {
    let mut all = Vec::new();
    let reader = OutcomeReader::open(&house.store).unwrap();
    reader.for_each(|it| all.push(it.unwrap().record)).unwrap();
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shadow_is_written_down_and_changes_nothing() {
    const REQUESTS: usize = 30;
    let mill = Mill::new();
    mill.mint("live", "one", "best");
    mill.mint("next", "two", "small");
    let shadow = format!("[shadow]\npath = \"{}\"\n", mill.at("next").display());
    // As long as an answer takes at the least: else a busy machine has no time for the shadow's thread.
    let ttft = Duration::from_millis(100);
    let slow = |it| SimulatedModel { ttft, tokens_per_s: 1e6, time_scale: 1.0, ..it };
    let models = instant_models().into_iter().map(slow).collect();
    let (house, mut admin) = house_of(&mill, &shadow, models).await;
    for number in 0..REQUESTS {
        let (served, decision) = route(&house, &prompt(number), None).await;
        assert_eq!((served.as_str(), decision.artifact_version.as_str()), ("best", "one"));
        assert!(!decision.canary);
    }
    let all = records(&house);
    let seen: Vec<_> = all.iter().filter_map(|it| it.shadow.as_ref()).collect();
    let status = admin.status().await;
    assert_eq!(version(&status.shadow.unwrap().now), "two");
    assert_eq!(seen.len() + status.shadow_missed as usize, REQUESTS);
    assert!(seen.len() > REQUESTS / 3, "{} of {REQUESTS}", seen.len());
    for it in seen {
        let (choice, served) = (it.choice.as_ref().unwrap(), it.served.as_ref().unwrap());
        assert_eq!(it.version, "two");
        assert_eq!(choice.deployment.as_str(), "small@simulated");
        assert_eq!(served.deployment.as_str(), "best@simulated");
        assert!(choice.quality.get() > 0.99 && served.quality.get() < 0.01);
        assert!(choice.utility.unwrap() > served.utility.unwrap());
        assert!(served.cost_usd > choice.cost_usd && choice.latency_s > 0.0);
    }
    assert!(all.iter().all(|it| differences(it).is_empty() && it.canary.is_none()));
    // Another takes its place, beside the one that serves.
    mill.mint("next", "three", "middle");
    assert!(admin.reload().await.unwrap());
    let status = admin.status().await;
    assert_eq!(version(&status.shadow.unwrap().now), "three");
    assert_eq!(version(&status.served.unwrap().now), "one");
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_canary_decides_its_share_and_sessions_stay_on_their_side() {
    const SHARE: f64 = 0.25;
    const ALONE: usize = 400;
    const SESSIONS: usize = 100;
    const TURNS: usize = 3;
    let mill = Mill::new();
    mill.mint("live", "one", "best");
    mill.mint("next", "two", "small");
    let canary = format!("[canary]\npath = \"{}\"\nshare = {SHARE}\n", mill.at("next").display());
    let (house, mut admin) = house(&mill, &canary).await;
    assert_eq!(admin.status().await.canary_share, Some(SHARE));
    let sessions = (0..SESSIONS * TURNS).map(|it| Some(format!("s{}", it % SESSIONS)));
    let each = (0..ALONE).map(|_| None).chain(sessions).enumerate();
    let asked = stream::iter(each.map(|(number, session)| {
        let house = &house;
        async move {
            let (served, told) = route(house, &prompt(number % 50), session.as_deref()).await;
            let wanted = if told.canary { ("small", "two") } else { ("best", "one") };
            assert_eq!((served.as_str(), told.artifact_version.as_str()), wanted);
            (session, told.canary)
        }
    }));
    let told: Vec<_> = asked.buffer_unordered(CALLERS).collect().await;
    // Five standard deviations: the seeds of requests are drawn anew each time.
    let within = |found: usize, of: usize| {
        let slack = 5.0 * (SHARE * (1.0 - SHARE) * of as f64).sqrt();
        assert!((found as f64 - SHARE * of as f64).abs() < slack, "{found} of {of}");
    };
    within(told.iter().filter(|it| it.0.is_none() && it.1).count(), ALONE);
    let mut sides: BTreeMap<&str, BTreeSet<bool>> = BTreeMap::new();
    for (session, canary) in told.iter().filter_map(|it| Some((it.0.as_deref()?, it.1))) {
        sides.entry(session).or_default().insert(canary);
    }
    assert!(sides.len() == SESSIONS && sides.values().all(|it| it.len() == 1), "{sides:?}");
    within(sides.values().filter(|it| it.contains(&true)).count(), SESSIONS);
    for record in records(&house) {
        let drawn = record.canary.as_ref().unwrap();
        assert_eq!((drawn.incumbent.as_str(), drawn.canary.as_str()), ("one", "two"));
        assert_eq!((drawn.share.get(), drawn.decided), (SHARE, record.artifact_version == "two"));
        assert!(differences(&record).is_empty());
    }
    // Who only asks for the ranking hears of the one that serves.
    let request = pointsman::api::proto::RankRequest { request: Some(ask("Who would it be?")) };
    let ranked = house.client.clone().rank(request).await.unwrap().into_inner();
    assert_eq!(ranked.decision.unwrap().artifact_version, "one");
    // Promoted: it serves, and is on trial no more.
    mill.mint("live", "two", "small");
    assert!(admin.reload().await.unwrap());
    let canary = admin.status().await.canary.unwrap();
    let told = (version(&canary.now), canary.refused.unwrap().reason);
    assert_eq!(told, ("none".to_owned(), "SAME_VERSION".to_owned()));
    let (_, decision) = route(&house, &prompt(1), None).await;
    assert_eq!((decision.artifact_version.as_str(), decision.canary), ("two", false));
    house.stop().await;
}
