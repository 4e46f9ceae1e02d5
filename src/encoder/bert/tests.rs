//! candle-transformers' BERT against our own plain layers, and files that must be refused.

use std::collections::HashMap;

use serde_json::{Value, json};

use super::sample::{self, HEADS, LAYERS, Named, POSITIONS, WIDTH};
use super::*;
use crate::domain::ChatRequest;
use crate::encoder::reference::{PlainLayer, PlainLinear, PlainNorm};
use crate::encoder::{EncodeError, Encoder, EncoderQueue, Exit, TOKENIZER_FILE};

const SEED: u32 = 7;
const TEXT: &str = "why is the sky blue? 7 * 8";

/// A folder with the made-up model, changed.
fn folder(change: impl FnOnce(&Path)) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    sample::write(folder.path(), SEED).expect("written");
    change(folder.path());
    folder
}

fn edit(folder: &Path, name: &str, change: impl FnOnce(&mut Value)) {
    let text = std::fs::read_to_string(folder.join(name)).expect("a file");
    let mut value = serde_json::from_str(&text).expect("JSON");
    change(&mut value);
    sample::put(folder, name, &value).expect("written");
}

fn rewrite(folder: &Path, change: impl FnOnce(&mut Vec<Named>)) {
    let mut tensors = sample::tensors(sample::words().len(), SEED);
    change(&mut tensors);
    let bytes = sample::weights(&tensors).expect("weights");
    std::fs::write(folder.join(MODEL_FILE), bytes).expect("written");
}

fn open(folder: &tempfile::TempDir) -> Encoder {
    Encoder::open(folder.path()).expect("an encoder")
}

fn vector(encoder: &Encoder, text: &str, exit: Exit) -> Vec<f32> {
    let encoded = encoder.encode(&ChatRequest::from_prompt(text), exit).expect("encoded");
    assert_eq!(encoded.exit, encoder.number(exit));
    encoded.embedding.as_slice().to_vec()
}

/// The rows of the embedding layer and of the last one, by plain operations of our own.
fn plain(ids: &[u32]) -> Result<(Tensor, Tensor)> {
    let tensors = sample::tensors(sample::words().len(), SEED).into_iter();
    let tensors = tensors
        .map(|(name, shape, floats)| Ok((name, Tensor::from_vec(floats, shape, &Device::Cpu)?)));
    let all: HashMap<String, Tensor> = tensors.collect::<Result<_>>()?;
    let tensor = |name: &str| all[name].clone();
    let norm = |name: &str| PlainNorm {
        gain: tensor(&format!("{name}.weight")),
        bias: tensor(&format!("{name}.bias")),
    };
    let words = tensor(weights::WORDS).index_select(&Tensor::new(ids, &Device::Cpu)?, 0)?;
    let positions = tensor(weights::POSITIONS).narrow(0, 0, ids.len())?;
    let rows = (words + positions)?.broadcast_add(&tensor(weights::TYPES).narrow(0, 0, 1)?)?;
    let first = norm("embeddings.LayerNorm").apply(&rows, 1e-12)?;
    let mut last = first.clone();
    for layer in 0..LAYERS {
        let name = |part: &str| format!("encoder.layer.{layer}.{part}");
        let linear = |part: &str| PlainLinear {
            weight: tensor(&format!("{}.weight", name(part))),
            bias: tensor(&format!("{}.bias", name(part))),
        };
        let parts = ["query", "key", "value"].map(|it| linear(&format!("attention.self.{it}")));
        let qkv = PlainLinear {
            weight: Tensor::cat(&parts.each_ref().map(|it| &it.weight), 0)?,
            bias: Tensor::cat(&parts.each_ref().map(|it| &it.bias), 0)?,
        };
        let layer = PlainLayer {
            qkv,
            out: linear("attention.output.dense"),
            attention_norm: norm(&name("attention.output.LayerNorm")),
            up: linear("intermediate.dense"),
            down: linear("output.dense"),
            norm: norm(&name("output.LayerNorm")),
        };
        last = layer.apply(&last, WIDTH / HEADS, 1e-12)?;
    }
    Ok((first, last))
}

fn near(found: &[f32], wanted: &[f32]) {
    assert_eq!(found.len(), wanted.len());
    for (found, wanted) in found.iter().zip(wanted) {
        assert!((found - wanted).abs() < 1e-5, "{found} {wanted}");
    }
}

/// The ids that the made-up tokenizer gives, marks included.
fn ids(encoder: &Encoder, text: &str) -> Vec<u32> {
    let mut ids = vec![2];
    ids.extend(encoder.tokenize(text).expect("ids"));
    ids.push(3);
    ids
}

fn unit(mut floats: Vec<f32>) -> Vec<f32> {
    let norm = floats.iter().map(|it| it * it).sum::<f32>().sqrt();
    floats.iter_mut().for_each(|it| *it /= norm);
    floats
}

#[test]
fn both_exits_are_what_plain_layers_give() {
    let encoder = open(&folder(|_| {}));
    assert_eq!((encoder.width(), encoder.number(Exit::Last)), (WIDTH, 2));
    let (first, last) = plain(&ids(&encoder, TEXT)).expect("rows");
    let floats = |it: Result<Tensor>| it.and_then(|it| it.to_vec1::<f32>()).expect("floats");
    near(&vector(&encoder, TEXT, Exit::First), &floats(first.mean(0)));
    near(&vector(&encoder, TEXT, Exit::Last), &unit(floats(last.mean(0))));
    // No normalisation; the opening mark's row instead of the mean.
    let bare = open(&folder(|it| std::fs::remove_file(it.join("modules.json")).expect("removed")));
    near(&vector(&bare, TEXT, Exit::Last), &floats(last.mean(0)));
    let cls = open(&folder(|it| {
        edit(it, "1_Pooling/config.json", |it| {
            it["pooling_mode_cls_token"] = true.into();
            it["pooling_mode_mean_tokens"] = false.into();
        });
    }));
    near(&vector(&cls, TEXT, Exit::Last), &unit(floats(last.get(0))));
}

#[test]
fn old_names_and_half_floats_are_taken() {
    let encoder = open(&folder(|_| {}));
    let old = open(&folder(|it| {
        rewrite(it, |all| {
            for (name, _, _) in all {
                let gamma = name.replace("LayerNorm.weight", "LayerNorm.gamma");
                *name = format!("bert.{}", gamma.replace("LayerNorm.bias", "LayerNorm.beta"));
            }
        });
    }));
    let wanted = vector(&encoder, TEXT, Exit::Last);
    assert_eq!(vector(&old, TEXT, Exit::Last), wanted);
    assert_ne!(encoder.checksum(&[0, 2]), old.checksum(&[0, 2]), "another file, another version");
}

#[test]
fn a_long_prompt_is_cut_to_the_models_own_window() {
    let encoder = open(&folder(|_| {}));
    let long = "abc ".repeat(2_000);
    for exit in [Exit::First, Exit::Last] {
        let plain = vector(&encoder, &long, exit);
        assert_ne!(plain, vector(&encoder, &format!("{long} z"), exit), "its end is read");
        assert_ne!(plain, vector(&encoder, &format!("z {long}"), exit), "its start is read");
        for odd in ["", "\u{0}", "🦀", "[CLS] [SEP]"] {
            assert!(vector(&encoder, odd, exit).iter().all(|it| it.is_finite()), "{odd:?}");
        }
    }
    let windows =
        encoder.windows(&crate::encoder::window::Texts::of(&ChatRequest::from_prompt(long)));
    let user = windows.expect("read").user;
    assert_eq!((user.len(), user[0], user[POSITIONS - 1]), (POSITIONS, 2, 3));
}

#[test]
fn it_is_queued_and_cached_like_the_shipped_one() -> std::result::Result<(), EncodeError> {
    let encoder = open(&folder(|_| {}));
    let request = ChatRequest::from_prompt(TEXT);
    let (first, last) =
        (encoder.encode(&request, Exit::First)?, encoder.encode(&request, Exit::Last)?);
    let queue = EncoderQueue::start(encoder, &[0, 2]);
    let hour = std::time::Duration::from_secs(3_600);
    assert_eq!(queue.deep_blocking(&request, std::time::Duration::ZERO), None);
    assert_eq!(queue.deep_blocking(&request, hour), Some(last.clone()));
    assert_eq!(queue.deep_blocking(&request, std::time::Duration::ZERO), Some(last), "known");
    assert_eq!(queue.shallow(&request)?, first);
    Ok(())
}

#[test]
fn the_version_covers_all_that_the_vectors_depend_on() {
    let version = |change: &dyn Fn(&Path)| {
        let encoder = open(&folder(|it| change(it)));
        encoder.checksum(&[0, 2]).expect("both exits").to_owned()
    };
    let own = version(&|_| {});
    assert_eq!(own, version(&|_| {}));
    assert_eq!(
        own,
        version(&|it| edit(it, CONFIG_FILE, |it| it["transformers_version"] = 1.into()))
    );
    for change in [
        &|it: &Path| edit(it, CONFIG_FILE, |it| it["num_attention_heads"] = 2.into()),
        &|it: &Path| edit(it, CONFIG_FILE, |it| it["layer_norm_eps"] = json!(1e-5)),
        &|it: &Path| std::fs::remove_file(it.join("modules.json")).expect("removed"),
        &|it: &Path| edit(it, TOKENIZER_FILE, |it| it["normalizer"]["lowercase"] = false.into()),
        &|it: &Path| rewrite(it, |all| all[0].2[5] = 0.5),
    ] as [&dyn Fn(&Path); 5]
    {
        assert_ne!(own, version(change));
    }
    let encoder = open(&folder(|_| {}));
    assert_eq!((encoder.checksum(&[0, 3]), encoder.checksum(&[2])), (None, Some(own.as_str())));
}

#[test]
fn broken_files_are_named_with_the_field() {
    let check = |change: &dyn Fn(&Path), file: &str, reason: &str| {
        let folder = folder(|it| change(it));
        let error = Encoder::open(folder.path()).expect_err("refused").to_string();
        assert!(error.contains(&folder.path().join(file).display().to_string()), "{error}");
        assert!(error.contains(reason), "`{reason}` is not in: {error}");
    };
    let field = |field: &'static str, value: Value, reason: &str| {
        check(&|it| edit(it, CONFIG_FILE, |it| it[field] = value.clone()), CONFIG_FILE, reason);
    };
    field("model_type", "roberta".into(), "`model_type` must be \"bert\"");
    field("position_embedding_type", "relative_key".into(), "`position_embedding_type`");
    field("hidden_act", "silu".into(), "`hidden_act` must be \"gelu\" or");
    field("hidden_size", Value::Null, "`hidden_size` must be a whole number");
    field("hidden_size", 1_000_000.into(), "`hidden_size`");
    field("num_attention_heads", 5.into(), "a divisor of 32");
    field("num_hidden_layers", 0.into(), "`num_hidden_layers`");
    field("layer_norm_eps", "small".into(), "`layer_norm_eps`");
    let tensor = |change: &dyn Fn(&mut Vec<Named>), reason: &str| {
        check(&|it| rewrite(it, |all| change(all)), MODEL_FILE, reason);
    };
    tensor(&|all| drop(all.pop()), "the tensor `encoder.layer.1.output.LayerNorm.bias`");
    tensor(&|all| all[0].1.reverse(), "`embeddings.word_embeddings.weight` must be f32");
    tensor(&|all| all[7].2[0] = f32::NAN, "and finite");
    check(
        &|it| edit(it, CONFIG_FILE, |it| it["hidden_size"] = 64.into()),
        "1_Pooling/config.json",
        "64",
    );
    check(&|it| std::fs::write(it.join(MODEL_FILE), b"no").expect("written"), MODEL_FILE, "not a");
    check(&|it| std::fs::write(it.join(CONFIG_FILE), b"no").expect("written"), CONFIG_FILE, "JSON");
    for file in [CONFIG_FILE, MODEL_FILE, TOKENIZER_FILE] {
        check(&|it| std::fs::remove_file(it.join(file)).expect("removed"), file, "");
    }
    let mode = "pooling_mode_max_tokens";
    let both = |it: &Path| edit(it, "1_Pooling/config.json", |it| it[mode] = true.into());
    check(&both, "1_Pooling/config.json", mode);
    let dense = |it: &Path| edit(it, "modules.json", |it| it[2]["type"] = "a.Dense".into());
    check(&dense, "modules.json", "`[2].type` must be");
    let unmarked = |it: &Path| {
        edit(it, TOKENIZER_FILE, |it| {
            it["added_tokens"] = json!([]);
            it["model"]["vocab"].as_object_mut().expect("words").remove("[CLS]");
        });
    };
    check(&unmarked, TOKENIZER_FILE, "[CLS] and [SEP]");
    let larger = |it: &Path| edit(it, TOKENIZER_FILE, |it| it["model"]["vocab"]["zz"] = 999.into());
    check(&larger, TOKENIZER_FILE, "no more tokens than");
}
