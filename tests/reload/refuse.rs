//! Bad artifacts: each is refused with its reason, and the one before goes on.

use std::fs;

use pointsman::pipeline::{ArtifactPlaces, Artifacts};
use pointsman::prediction::{HEAD, MANIFEST_FILE, WEIGHTS_FILE};
use tonic::Code;
use tonic_types::StatusExt as _;

use super::mill::Mill;
use super::support::prompt;
use super::{house, route};

/// What is done to the next artifact, the reason for programs, and words for people.
type Case = (&'static str, &'static str, Box<dyn Fn(&Mill)>);

fn cases() -> Vec<Case> {
    let weights = |change: fn(&mut Vec<u8>)| -> Box<dyn Fn(&Mill)> {
        Box::new(move |it| it.change("bad", WEIGHTS_FILE, &change))
    };
    let set = |key: &'static str, value: serde_json::Value| -> Box<dyn Fn(&Mill)> {
        Box::new(move |it| it.set("bad", key, value.clone()))
    };
    let remove = |name: &'static str| -> Box<dyn Fn(&Mill)> {
        Box::new(move |it| fs::remove_file(it.at("bad").join(name)).unwrap())
    };
    let truncated = weights(|bytes| bytes.truncate(bytes.len() / 2));
    // The last float of the file: tensors stand one after another, without gaps.
    let nan = weights(|bytes| {
        let at = bytes.len() - 4;
        bytes[at..].copy_from_slice(&f32::NAN.to_le_bytes());
    });
    let empty: Box<dyn Fn(&Mill)> = Box::new(|it| {
        fs::remove_dir_all(it.at("bad")).unwrap();
        fs::create_dir(it.at("bad")).unwrap();
    });
    let absurd: Box<dyn Fn(&Mill)> = Box::new(|it| {
        let mut artifact = it.artifact("absurd", "best");
        artifact.quality_mean[HEAD - 1] = 1e30;
        it.put("bad", &artifact);
    });
    let deaf: Box<dyn Fn(&Mill)> = Box::new(|it| {
        let mut artifact = it.artifact("deaf", "best");
        artifact.quality_mean.fill(0.0);
        artifact.prior_quality_mean.fill(0.0);
        artifact.quality_covariance.fill(0.0);
        artifact.prior_quality_covariance.fill(0.0);
        it.put("bad", &artifact);
    });
    let fewer: Box<dyn Fn(&Mill)> = Box::new(|it| {
        let models = it.artifact("fewer", "best").manifest.models;
        it.set("bad", "models", serde_json::to_value(&models[1..]).unwrap());
    });
    vec![
        ("WEIGHTS", "not a safetensors file", truncated),
        ("CHECKSUM", "the file is corrupt", set("weights_sha256", "0".repeat(64).into())),
        ("NOT_FINITE", "a number that is not finite", nan),
        ("OTHER_ENCODER", "the encoder in use has", set("encoder_sha256", "0".repeat(64).into())),
        ("FORMAT", "format_version is 99", set("format_version", 99.into())),
        ("FEATURE_SCHEMA", "feature_schema is 99", set("feature_schema", 99.into())),
        ("EXITS", "0 must be the first", set("exits", serde_json::json!([3]))),
        ("MANIFEST", "not an artifact's manifest", set("surprise", true.into())),
        ("TENSOR", "must be f32", fewer),
        ("UNREADABLE", WEIGHTS_FILE, remove(WEIGHTS_FILE)),
        ("UNREADABLE", MANIFEST_FILE, remove(MANIFEST_FILE)),
        ("UNREADABLE", MANIFEST_FILE, empty),
        ("SMOKE", "log odds", absurd),
        ("SMOKE", "every prompt gets the same", deaf),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn each_is_refused_with_its_reason_while_the_one_before_serves() {
    let mill = Mill::new();
    mill.mint("live", "good", "best");
    let (house, mut admin) = house(&mill, "").await;
    for (reason, words, spoil) in cases() {
        mill.mint("bad", "bad", "small");
        spoil(&mill);
        mill.rename(&mill.at("bad"), "live");
        let refused = admin.reload().await.unwrap_err();
        assert_eq!(refused.code(), Code::FailedPrecondition, "{reason}");
        assert!(refused.message().contains(words), "{reason}: {}", refused.message());
        let info = refused.get_details_error_info().unwrap();
        assert_eq!((info.reason.as_str(), info.metadata["reasons"].as_str()), {
            ("ARTIFACT_REFUSED", reason)
        });
        assert_eq!((info.metadata["serving"].as_str(), info.metadata["slots"].as_str()), {
            ("good", "served")
        });
        let violations = refused.get_details_precondition_failure().unwrap().violations;
        assert_eq!(violations[0].subject, mill.at("live").display().to_string());
        let told = admin.status().await.served.unwrap();
        assert_eq!(told.now.unwrap().version, "good");
        let told = told.refused.unwrap();
        assert_eq!(told.reason, reason);
        assert!(told.message.contains(words) && told.at_unix_ms > 0, "{}", told.message);
        let (served, decision) = route(&house, &prompt(1), None).await;
        assert_eq!((served.as_str(), decision.artifact_version.as_str()), ("best", "good"));
    }
    // The good one again: nothing to load, and no word of the bad ones any more.
    mill.mint("live", "good", "best");
    assert!(!admin.reload().await.unwrap());
    assert!(admin.status().await.served.unwrap().refused.is_none());
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_a_folder_has_nothing_to_reload() {
    let house = super::House::start(super::instant_models()).await;
    let channel = super::channel(house.admin).await;
    let mut admin = super::Admin(super::PointsmanAdminClient::new(channel));
    let refused = admin.reload().await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
    assert!(refused.message().contains("[artifact]"), "{}", refused.message());
    let status = admin.status().await;
    assert!(status.shadow.is_none() && status.canary.is_none() && status.previous.is_none());
    assert!(status.served.unwrap().path.is_none());
    house.stop().await;
}

#[tokio::test]
async fn what_does_not_fit_beside_the_served_one_does_not_start() {
    let mill = Mill::new();
    let check = |change: &dyn Fn(&Mill), wanted: Result<Option<&str>, &str>| {
        for place in ["served", "trial"] {
            if mill.at(place).exists() {
                fs::remove_dir_all(mill.at(place)).unwrap();
            }
        }
        mill.mint("served", "one", "best");
        mill.mint("trial", "two", "small");
        change(&mill);
        let (served, shadow) = (Some(mill.at("served")), Some(mill.at("trial")));
        let places = ArtifactPlaces { served, shadow, ..ArtifactPlaces::default() };
        let opened = Artifacts::open(places).map(|it| it.status().shadow.now.map(|it| it.version));
        let found = opened.map_err(|it| it.reason);
        assert_eq!(found.as_ref().map(Option::as_deref), wanted.as_ref().copied());
    };
    check(&|_| {}, Ok(Some("two")));
    check(&|it| it.own_encoder("trial"), Err("OTHER_ENCODER"));
    check(&|it| fs::remove_dir_all(it.at("trial")).unwrap(), Err("UNREADABLE"));
    // One that reads only the first exit, trained on the same encoder.
    let shallow = |it: &Mill| {
        let encoder = pointsman::encoder::Encoder::shipped().unwrap();
        let mut artifact = it.artifact("two", "small");
        artifact.trunks.truncate(1);
        artifact.manifest.exits = vec![0];
        artifact.manifest.encoder_sha256 = encoder.checksum(&[0]).unwrap().to_owned();
        it.put("trial", &artifact);
    };
    check(&shallow, Err("EXITS"));
    // After a promotion: it is the served one, and is left out.
    check(&|it| it.mint("trial", "one", "best"), Ok(None));
}
