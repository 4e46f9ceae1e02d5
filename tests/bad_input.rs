//! Bad input, each with an error that names the field, the key or the file.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may stop on the first surprise")]

mod support;

use std::path::{Path, PathBuf};

use pointsman::api::proto::{self, Budget, Candidates, Preference, RouteRequest, Sampling};
use pointsman::config;
use pointsman::encoder::Encoder;
use pointsman::prediction::Predictor;
use prost::Message;
use support::{House, ask, instant_models};
use tempfile::TempDir;
use tonic::Code;
use tonic_types::pb;

/// Each bad request with the field that its error has to name.
fn bad_requests() -> Vec<(&'static str, RouteRequest)> {
    let good = || ask("Which is heavier?");
    let budget = |it: Budget| RouteRequest { budget: Some(it), ..good() };
    let sampling = |it: Sampling| RouteRequest { sampling: Some(it), ..good() };
    let candidates = |it: Candidates| RouteRequest { candidates: Some(it), ..good() };
    let preference = |it: Preference| RouteRequest { preference: Some(it), ..good() };
    let cost = |it: f64| budget(Budget { max_cost_usd: Some(it), ..Default::default() });
    let heat = |it: f64| sampling(Sampling { temperature: Some(it), ..Default::default() });
    vec![
        ("messages", RouteRequest::default()),
        ("messages[0].role", RouteRequest { messages: vec![headless()], ..Default::default() }),
        ("messages", ask(&"x".repeat(10 << 20))),
        ("budget.max_cost_usd", cost(-0.01)),
        ("budget.max_cost_usd", cost(f64::NAN)),
        (
            "budget.max_latency_ms",
            budget(Budget { max_latency_ms: Some(0.0), ..Default::default() }),
        ),
        ("budget.confidence", budget(Budget { confidence: Some(1.5), ..Default::default() })),
        ("sampling.temperature", heat(f64::NAN)),
        ("sampling.temperature", heat(9.0)),
        ("sampling.top_p", sampling(Sampling { top_p: Some(-1.0), ..Default::default() })),
        (
            "sampling.max_output_tokens",
            sampling(Sampling { max_output_tokens: Some(0), ..Default::default() }),
        ),
        (
            "candidates.allow[0]",
            candidates(Candidates { allow: vec!["bset".into()], ..Default::default() }),
        ),
        (
            "candidates.order[1]",
            candidates(Candidates {
                order: vec!["best".into(), "zzz".into()],
                ..Default::default()
            }),
        ),
        (
            "preference.preset",
            preference(Preference { preset: Some("cheapest".into()), ..Default::default() }),
        ),
        ("min_quality", RouteRequest { min_quality: Some(f64::INFINITY), ..good() }),
        ("session_id", RouteRequest { session_id: Some("x".repeat(300)), ..good() }),
    ]
}

fn headless() -> proto::Message {
    let mut message = ask("Whose turn?").messages.remove(0);
    message.role = 0;
    message
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_requests_are_told_the_field() {
    let mut house = House::start(instant_models()).await;
    for (field, wire) in bad_requests() {
        let status = house.client.route(wire.clone()).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{field}: {status}");
        assert!(status.message().contains(field), "{field}: {status}");
        assert!(status.message().len() < 2_000, "{field}: {} bytes", status.message().len());
        let details = pb::Status::decode(status.details()).unwrap().details;
        let detail = details.iter().find(|it| it.type_url.ends_with("google.rpc.BadRequest"));
        let bad = pb::BadRequest::decode(&detail.unwrap().value[..]).unwrap();
        assert!(bad.field_violations.iter().any(|it| it.field == field), "{field}: {bad:?}");
        let ranked = house.client.rank(proto::RankRequest { request: Some(wire) }).await;
        let status = ranked.unwrap_err();
        assert!(status.message().contains(&format!("request.{field}")), "{field}: {status}");
    }
    assert_eq!(house.simulator.calls(), []);
    assert_eq!(house.stored("outcome"), 0, "what is invalid is no outcome");
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_problem_is_told_at_once_and_names_are_suggested() {
    let mut house = House::start(instant_models()).await;
    let wire = RouteRequest {
        budget: Some(Budget { max_cost_usd: Some(-1.0), ..Default::default() }),
        candidates: Some(Candidates { deny: vec!["smal".into()], ..Default::default() }),
        min_quality: Some(2.0),
        ..Default::default()
    };
    let status = house.client.route(wire).await.unwrap_err();
    for wanted in
        ["messages", "budget.max_cost_usd", "candidates.deny[0]", "`small`", "min_quality"]
    {
        assert!(status.message().contains(wanted), "{wanted}: {status}");
    }
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_beyond_every_bound_does_not_end_the_connection() {
    let mut house = House::start(instant_models()).await;
    let status = house.client.route(ask(&"x".repeat(40 << 20))).await.unwrap_err();
    assert!(matches!(status.code(), Code::OutOfRange | Code::ResourceExhausted), "{status}");
    house.client.route(ask("Still there?")).await.unwrap();
    house.stop().await;
}

#[test]
fn an_unknown_config_key_is_named_with_what_was_meant() {
    let check = |text: &str, wanted: [&str; 3]| {
        let problems = config::from_toml(text, &|_| None).err().unwrap().to_string();
        for part in wanted {
            assert!(problems.contains(part), "{part} is not in: {problems}");
        }
    };
    check("[server]\nlistne = \"127.0.0.1:0\"\n", ["server.listne", "unknown key", "`listen`"]);
    check("[polciy]\n", ["polciy", "unknown key", "`policy`"]);
    check("[policy]\npreference = \"balnced\"\n", ["policy.preference", "`balnced`", "`balanced`"]);
}

/// A copy of the shipped artifact that a test may spoil.
struct Spoilt(TempDir);

impl Spoilt {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in ["manifest.json", "router.safetensors"] {
            std::fs::copy(Path::new("models/default").join(name), folder.path().join(name))
                .unwrap();
        }
        Self(folder)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn change(&self, name: &str, change: impl FnOnce(&mut Vec<u8>)) {
        let mut bytes = std::fs::read(self.path(name)).unwrap();
        change(&mut bytes);
        std::fs::write(self.path(name), bytes).unwrap();
    }

    /// Replaces the value of a key of the manifest.
    fn set(&self, key: &str, value: serde_json::Value) {
        self.change("manifest.json", |bytes| {
            let mut manifest: serde_json::Value = serde_json::from_slice(bytes).unwrap();
            manifest[key] = value;
            *bytes = serde_json::to_vec(&manifest).unwrap();
        });
    }

    /// The error has to name the file and the reason.
    fn is_refused(&self, file: &str, reason: &str) {
        let encoder = Encoder::shipped().unwrap();
        let error = Predictor::open(self.0.path(), &encoder).err().unwrap().to_string();
        assert!(error.contains(&self.path(file).display().to_string()), "{error}");
        assert!(error.contains(reason), "`{reason}` is not in: {error}");
    }
}

#[test]
fn an_untouched_copy_is_taken() {
    let encoder = Encoder::shipped().unwrap();
    Predictor::open(Spoilt::new().0.path(), &encoder).unwrap();
}

#[test]
fn a_spoilt_artifact_is_refused_with_file_and_reason() {
    let check = |spoil: &dyn Fn(&Spoilt), file: &str, reason: &str| {
        let spoilt = Spoilt::new();
        spoil(&spoilt);
        spoilt.is_refused(file, reason);
    };
    let (weights, manifest) = ("router.safetensors", "manifest.json");
    let flip = |it: &Spoilt| {
        it.change(weights, |bytes| {
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
        });
    };
    check(&flip, weights, "corrupt");
    let cut = |it: &Spoilt| it.change(weights, |bytes| bytes.truncate(bytes.len() / 2));
    check(&cut, weights, "corrupt");
    check(&|it| it.change(weights, Vec::clear), weights, "corrupt");
    check(&|it| std::fs::remove_file(it.path(weights)).unwrap(), weights, "No such file");
    check(&|it| it.change(manifest, |bytes| bytes.truncate(40)), manifest, "not an artifact");
    check(&|it| it.change(manifest, Vec::clear), manifest, "not an artifact");
    check(&|it| it.set("feature_schema", 999.into()), manifest, "feature_schema is 999");
    check(&|it| it.set("format_version", 999.into()), manifest, "format_version is 999");
    check(&|it| it.set("encoder_sha256", "0".into()), manifest, "encoder_sha256 is 0");
    check(&|it| it.set("surprise", 1.into()), manifest, "surprise");
}

#[test]
fn weights_of_other_shapes_are_refused_even_under_a_right_checksum() {
    let spoilt = Spoilt::new();
    spoilt.change("manifest.json", |bytes| {
        let mut manifest: serde_json::Value = serde_json::from_slice(bytes).unwrap();
        manifest["models"].as_array_mut().unwrap().pop();
        *bytes = serde_json::to_vec(&manifest).unwrap();
    });
    spoilt.is_refused("router.safetensors", "the tensor `quality.mean` must be f32");
}

#[test]
fn a_spoilt_encoder_is_refused_with_file_and_reason() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let check = |file: &str, reason: &str| {
        let error = Encoder::open(folder.path()).err().unwrap().to_string();
        assert!(error.contains(&path(file).display().to_string()), "{error}");
        assert!(error.contains(reason), "`{reason}` is not in: {error}");
    };
    check("tokenizer.json", "No such file");
    std::fs::copy("models/default/tokenizer.json", path("tokenizer.json")).unwrap();
    let whole = std::fs::read("models/default/encoder.safetensors").unwrap();
    std::fs::write(path("encoder.safetensors"), &whole[..whole.len() / 2]).unwrap();
    check("encoder.safetensors", "not a safetensors file");
    std::fs::write(path("encoder.safetensors"), &whole).unwrap();
    std::fs::write(path("tokenizer.json"), "{}").unwrap();
    check("tokenizer.json", "");
}
