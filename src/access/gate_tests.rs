//! The gate over a real file: who is known, and how changes come through.

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, Ordering};

use secrecy::ExposeSecret;

use super::super::key::{FreshKey, RANDOM_BYTES};
use super::super::limits::RateLimits;
use super::*;
use crate::domain::Usd;

const NOW_S: u64 = 1_000;

fn fresh(seed: u8) -> FreshKey {
    FreshKey::from_random(&std::array::from_fn::<u8, RANDOM_BYTES, _>(|at| seed ^ at as u8))
}

struct Scene {
    _folder: tempfile::TempDir,
    store: KeyStore,
    gate: Gate,
    now_ms: Arc<AtomicU64>,
}

fn scene(demand: Demand) -> Scene {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("deep/keys.db");
    let now_ms = Arc::new(AtomicU64::new(NOW_S * 1_000));
    let hand = Arc::clone(&now_ms);
    let clock: WallClock = Arc::new(move || hand.load(Ordering::Relaxed));
    let gate = Gate::open(&path, demand, clock).unwrap();
    Scene { store: KeyStore::open(&path).unwrap(), _folder: folder, gate, now_ms }
}

fn shown(scene: &Scene, text: &str) -> Result<Option<String>, Unauthenticated> {
    let caller = scene.gate.caller((!text.is_empty()).then(|| KeyText::new(text)));
    caller.map(|it| it.map(|it| it.team().to_owned()))
}

#[test]
fn a_key_is_known_from_its_making_to_its_end() {
    let mut scene = scene(Demand::Required);
    let (good, short) = (fresh(1), fresh(2));
    let text = good.text.expose_secret().to_owned();
    assert_eq!(shown(&scene, &text), Err(Unauthenticated::Unknown));
    scene.store.add(&KeyRow::new(&good, "bot", "search", NOW_S)).unwrap();
    let expires_s = Some(NOW_S + 10);
    let row = KeyRow { expires_s, ..KeyRow::new(&short, "guest", "ads", NOW_S) };
    scene.store.add(&row).unwrap();
    scene.gate.refresh().unwrap();
    assert_eq!(shown(&scene, &text), Ok(Some("search".to_owned())));
    assert_eq!(shown(&scene, &format!(" {text}\n")), Ok(Some("search".to_owned())));
    let forged = format!("{}{}", &text[..20], &fresh(3).text.expose_secret()[20..]);
    assert_eq!(shown(&scene, &forged), Err(Unauthenticated::Forged));
    assert_eq!(shown(&scene, "sk-1"), Err(Unauthenticated::Unknown));
    assert_eq!(shown(&scene, ""), Err(Unauthenticated::Missing));
    assert_eq!(scene.gate.usable_keys(), 2);
    scene.now_ms.store((NOW_S + 10) * 1_000, Ordering::Relaxed);
    assert_eq!(shown(&scene, short.text.expose_secret()), Err(Unauthenticated::Expired));
    assert!(scene.store.revoke(&good.id, NOW_S + 11).unwrap());
    assert!(!scene.store.revoke(&good.id, NOW_S + 12).unwrap());
    scene.gate.refresh().unwrap();
    assert_eq!(shown(&scene, &text), Err(Unauthenticated::Revoked));
    assert_eq!(scene.gate.usable_keys(), 0);
}

#[test]
fn where_no_key_is_needed_only_ours_must_be_right() {
    let mut scene = scene(Demand::Optional);
    let key = fresh(1);
    scene.store.add(&KeyRow::new(&key, "bot", "search", NOW_S)).unwrap();
    scene.gate.refresh().unwrap();
    assert_eq!(shown(&scene, ""), Ok(None));
    assert_eq!(shown(&scene, "sk-not-needed"), Ok(None));
    assert_eq!(shown(&scene, "pm-made-up"), Err(Unauthenticated::Unknown));
    assert_eq!(shown(&scene, key.text.expose_secret()), Ok(Some("search".to_owned())));
}

#[test]
fn everything_about_a_key_is_read_back() {
    let mut scene = scene(Demand::Required);
    let amount = |it| Some(Usd::new(it).unwrap());
    let model = crate::domain::ModelName::new("gpt-4o,mini").unwrap();
    let (models, policies) = (Some(vec![model]), Some(vec!["cost".to_owned()]));
    let row = KeyRow {
        scope: Scope { models, policies, role: Role::Admin },
        rates: RateLimits {
            requests_per_minute: NonZeroU32::new(5),
            tokens_per_minute: NonZeroU32::new(u32::MAX),
        },
        spend: SpendLimits { per_day: amount(0.1), per_month: amount(1_000_000.0) },
        expires_s: Some(NOW_S + 1),
        ..KeyRow::new(&fresh(1), "a \"name\"", "tëam", NOW_S)
    };
    scene.store.add(&row).unwrap();
    assert_eq!(scene.store.keys().unwrap(), [row]);
    let limits = SpendLimits { per_day: amount(2.5), per_month: None };
    scene.store.limit_team("ads", &SpendLimits::default()).unwrap();
    scene.store.limit_team("ads", &limits).unwrap();
    assert_eq!(scene.store.teams().unwrap(), [("ads".to_owned(), limits)]);
}

#[test]
fn a_change_of_one_key_leaves_the_buckets_of_others() {
    let mut scene = scene(Demand::Required);
    let rates = RateLimits { requests_per_minute: NonZeroU32::new(1), tokens_per_minute: None };
    let key = fresh(1);
    scene.store.add(&KeyRow { rates, ..KeyRow::new(&key, "a", "t", NOW_S) }).unwrap();
    let ask = |scene: &Scene| {
        let key = KeyText::new(key.text.expose_secret());
        scene.gate.caller(Some(key)).unwrap().unwrap().take_request().is_ok()
    };
    scene.gate.refresh().unwrap();
    assert!(ask(&scene));
    scene.store.add(&KeyRow::new(&fresh(2), "b", "t", NOW_S)).unwrap();
    scene.gate.refresh().unwrap();
    assert!(!ask(&scene));
}

#[tokio::test]
async fn what_was_spent_is_on_disk_before_the_answer_and_after_a_restart() {
    let mut scene = scene(Demand::Required);
    let key = fresh(1);
    let spend = SpendLimits { per_day: Some(Usd::new(1.0).unwrap()), per_month: None };
    scene.store.add(&KeyRow { spend, ..KeyRow::new(&key, "a", "t", NOW_S) }).unwrap();
    scene.gate.refresh().unwrap();
    let caller =
        |gate: &Gate| gate.caller(Some(KeyText::new(key.text.expose_secret()))).unwrap().unwrap();
    let usd = |it| Usd::new(it).unwrap();
    let asking = caller(&scene.gate);
    asking.purse().reserve(usd(0.75)).unwrap().settle(usd(0.75));
    asking.purse().written().await;
    let spent = scene.store.spent_since(0).unwrap();
    assert_eq!(spent.iter().map(|it| it.amount).collect::<Vec<_>>(), [usd(0.75); 2]);
    let path = scene._folder.path().join("deep/keys.db");
    let clock: WallClock = Arc::new(|| NOW_S * 1_000);
    let again = Gate::open(&path, Demand::Required, clock).unwrap();
    assert!(caller(&again).purse().reserve(usd(0.25)).is_ok());
    assert!(caller(&again).purse().reserve(usd(0.26)).is_err());
}
