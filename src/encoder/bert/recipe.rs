//! How a BERT's vectors are made: its sizes, its pooling, its normalisation.
//!
//! In: `config.json`, `1_Pooling/config.json` and `modules.json` of a folder, the last two where they
//! are there. Out: [`Recipe`]. Invariant: what this program would compute otherwise than the model's
//! makers did is refused, with the file and the field. Without the two files: the mean, as it is.

use std::fmt;
use std::path::{Path, PathBuf};

use candle_transformers::models::bert::{Config, HiddenAct, PositionEmbeddingType};
use serde_json::Value;

use super::CONFIG_FILE;
use crate::encoder::files::EncoderError;

/// Where sentence-transformers says how rows become one vector.
pub(super) const POOLING_FILE: &str = "1_Pooling/config.json";
/// Where it says what follows what.
pub(super) const MODULES_FILE: &str = "modules.json";

/// Bounds that no BERT in use comes near: BERT-large has 24 layers, 16 heads, 1,024 floats and 4,096 in
/// the middle; the largest vocabulary, of multilingual BERTs, has half a million rows.
const LAYERS_MAX: usize = 48;
const WIDTH_MAX: usize = 4_096;
const INNER_MAX: usize = 16_384;
const VOCABULARY_MAX: usize = 1_000_000;
/// The least leaves room for a few words between the marks; the most is that of long-context BERTs.
const POSITIONS: (usize, usize) = (16, 32_768);
const TYPES_MAX: usize = 16;

/// How the rows of the last layer become one vector.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pooling {
    /// Their mean.
    Mean,
    /// The first, that of the opening mark.
    Cls,
}

/// How vectors are made.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Recipe {
    pub(super) config: Config,
    pub(super) pooling: Pooling,
    /// Whether vectors are brought to length 1.
    pub(super) normalized: bool,
}

/// All that the vectors depend on besides weights and tokenizer; goes into the checksum.
impl fmt::Display for Recipe {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { config, pooling, normalized } = self;
        let (heads, epsilon) = (config.num_attention_heads, config.layer_norm_eps);
        let (layers, act) = (config.num_hidden_layers, config.hidden_act);
        let positions = config.max_position_embeddings;
        write!(
            out,
            "bert {layers} {heads} {positions} {act:?} {epsilon:e} {pooling:?} {normalized}"
        )
    }
}

impl Recipe {
    pub(super) fn read(folder: &Path) -> Result<Self, EncoderError> {
        let config = config(&Json::read(folder.join(CONFIG_FILE))?)?;
        let pooling = match Json::read_if_there(folder.join(POOLING_FILE))? {
            Some(json) => pooling(&json, config.hidden_size)?,
            None => Pooling::Mean,
        };
        let normalized = match Json::read_if_there(folder.join(MODULES_FILE))? {
            Some(json) => is_normalized(&json)?,
            None => false,
        };
        Ok(Self { config, pooling, normalized })
    }
}

fn config(json: &Json) -> Result<Config, EncoderError> {
    json.one_of("model_type", "bert", &["bert"])?;
    json.one_of("position_embedding_type", "absolute", &["absolute"])?;
    let act =
        json.one_of("hidden_act", "gelu", &["gelu", "relu", "gelu_new", "gelu_pytorch_tanh"])?;
    let hidden_act = match act {
        "gelu" => HiddenAct::Gelu,
        "relu" => HiddenAct::Relu,
        _ => HiddenAct::GeluApproximate,
    };
    let hidden_size = json.whole("hidden_size", 1, WIDTH_MAX)?;
    let num_attention_heads = json.whole("num_attention_heads", 1, hidden_size)?;
    if !hidden_size.is_multiple_of(num_attention_heads) {
        return Err(json.wrong("num_attention_heads", format!("a divisor of {hidden_size}")));
    }
    let layer_norm_eps = match json.value.get("layer_norm_eps") {
        None => 1e-12,
        Some(it) => it
            .as_f64()
            .filter(|it| (0.0..0.1).contains(it))
            .ok_or_else(|| json.wrong("layer_norm_eps", "a small number".to_owned()))?,
    };
    Ok(Config {
        vocab_size: json.whole("vocab_size", 4, VOCABULARY_MAX)?,
        hidden_size,
        num_hidden_layers: json.whole("num_hidden_layers", 1, LAYERS_MAX)?,
        num_attention_heads,
        intermediate_size: json.whole("intermediate_size", 1, INNER_MAX)?,
        hidden_act,
        max_position_embeddings: json.whole("max_position_embeddings", POSITIONS.0, POSITIONS.1)?,
        type_vocab_size: json.whole("type_vocab_size", 1, TYPES_MAX)?,
        layer_norm_eps,
        position_embedding_type: PositionEmbeddingType::Absolute,
        // Nothing of the rest changes what is computed.
        ..Config::default()
    })
}

fn pooling(json: &Json, width: usize) -> Result<Pooling, EncoderError> {
    let stated = "word_embedding_dimension";
    if json.value.get(stated).is_some() && json.whole(stated, 1, WIDTH_MAX)? != width {
        return Err(json.wrong(stated, format!("{width}, the hidden_size of {CONFIG_FILE}")));
    }
    let fields = json.value.as_object().into_iter().flatten();
    let modes = fields.filter(|(name, value)| name.starts_with("pooling_mode_") && **value == true);
    let modes: Vec<&str> = modes.map(|(name, _)| name.as_str()).collect();
    match modes.as_slice() {
        ["pooling_mode_mean_tokens"] => Ok(Pooling::Mean),
        ["pooling_mode_cls_token"] => Ok(Pooling::Cls),
        other => {
            let field = other.first().unwrap_or(&"pooling_mode_mean_tokens");
            let wanted = "such that one of pooling_mode_mean_tokens and pooling_mode_cls_token is \
                          true and no other mode is";
            Err(json.wrong(field, wanted.to_owned()))
        }
    }
}

fn is_normalized(json: &Json) -> Result<bool, EncoderError> {
    let modules = json.value.as_array().ok_or_else(|| json.wrong("[]", "a list".to_owned()))?;
    let mut normalized = false;
    for (at, module) in modules.iter().enumerate() {
        let kind = module.get("type").and_then(Value::as_str).unwrap_or_default();
        match kind.rsplit('.').next().unwrap_or_default() {
            "Transformer" | "Pooling" => {}
            "Normalize" => normalized = true,
            _ => {
                let field = format!("[{at}].type");
                return Err(json.wrong(&field, "Transformer, Pooling or Normalize".to_owned()));
            }
        }
    }
    Ok(normalized)
}

/// A JSON file whose fields are looked at one by one.
struct Json {
    path: PathBuf,
    value: Value,
}

impl Json {
    fn read(path: PathBuf) -> Result<Self, EncoderError> {
        match Self::read_if_there(path.clone())? {
            Some(json) => Ok(json),
            None => {
                let source = std::io::ErrorKind::NotFound.into();
                Err(EncoderError::Read { path, source })
            }
        }
    }

    fn read_if_there(path: PathBuf) -> Result<Option<Self>, EncoderError> {
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(source) if source.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(EncoderError::Read { path, source }),
        };
        match serde_json::from_slice(&bytes) {
            Ok(value) => Ok(Some(Self { path, value })),
            Err(source) => Err(EncoderError::Json { path, source }),
        }
    }

    fn wrong(&self, field: &str, wanted: String) -> EncoderError {
        EncoderError::Field { path: self.path.clone(), field: field.to_owned(), wanted }
    }

    fn whole(&self, field: &str, least: usize, most: usize) -> Result<usize, EncoderError> {
        let value = self.value.get(field).and_then(Value::as_u64);
        let value = value.and_then(|it| usize::try_from(it).ok());
        let fine = value.filter(|it| (least..=most).contains(it));
        fine.ok_or_else(|| self.wrong(field, format!("a whole number from {least} to {most}")))
    }

    /// A word of a few; `missing` where nothing is said.
    fn one_of<'a>(
        &'a self,
        field: &str,
        missing: &'a str,
        known: &[&str],
    ) -> Result<&'a str, EncoderError> {
        let said = match self.value.get(field) {
            None => Some(missing),
            Some(it) => it.as_str(),
        };
        let fine = said.filter(|it| known.contains(it));
        fine.ok_or_else(|| self.wrong(field, format!("\"{}\"", known.join("\" or \""))))
    }
}
