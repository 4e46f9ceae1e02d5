//! An outcome as a row of flat columns.
//!
//! In: stored outcomes. Out: a `RecordBatch`. Invariant: the columns and their types are always those
//! of [`OUTCOME_COLUMNS`]; the first few and `record` are as stored, so that even a record that this
//! version cannot read is exported whole; the others are then null. Documented in `docs/outcomes.md`.

use std::sync::Arc;

use arrow::array::{
    Array as _, ArrayRef, BooleanArray, Float32Array, Float64Array, Int32Array, Int64Array,
    ListArray, RecordBatch, StringArray, StructArray, TimestampMillisecondArray,
};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field, Fields};
use arrow::error::ArrowError;

use super::source::OutcomeRow;
use crate::domain::{Attempt, DecisionId, DeploymentId};
use crate::outcome::facts::{CandidateFacts, RankedFacts};
use crate::outcome::privacy::RecordedPrompt;
use crate::outcome::record::OutcomeRecord;
use crate::outcome::sqlite::decoded;

/// The columns, in order.
pub const OUTCOME_COLUMNS: [&str; 44] = [
    "decision_id",
    "seq",
    "arrived_at",
    "record_version",
    "record",
    "features",
    "embedding",
    "request_id",
    "session_id",
    "metadata",
    "artifact_version",
    "encoder_exit",
    "feature_schema",
    "prompt_hash",
    "cost_per_quality_usd",
    "latency_per_quality_ms",
    "min_quality",
    "max_cost_usd",
    "max_latency_ms",
    "ended",
    "first_choice",
    "first_choice_propensity",
    "served",
    "served_model",
    "served_provider",
    "predicted_quality",
    "predicted_quality_spread",
    "predicted_cost_usd",
    "predicted_latency_ms",
    "predicted_ttft_ms",
    "predicted_output_tokens",
    "cost_usd",
    "total_ms",
    "ttft_ms",
    "decide_us",
    "input_tokens",
    "cached_tokens",
    "cache_written_tokens",
    "output_tokens",
    "reasoning_tokens",
    "attempts",
    "ranking",
    "excluded",
    "drilled",
];

/// A row that could be read, or not.
type Read = Option<OutcomeRecord>;

/// Rows as columns.
pub(super) fn batch(rows: &[OutcomeRow]) -> Result<RecordBatch, ArrowError> {
    let records: Vec<Read> = rows.iter().map(read).collect();
    let columns = [stored(rows), asked(&records), decided(&records), came(&records)].concat();
    let nested = [attempts(&records)?, ranking(&records)?, excluded(&records)?, drilled(&records)];
    let arrays = columns.into_iter().chain(nested);
    let named = OUTCOME_COLUMNS.into_iter().zip(arrays).map(|(name, it)| (name, it, true));
    RecordBatch::try_from_iter_with_nullable(named)
}

fn read(row: &OutcomeRow) -> Read {
    let decision = DecisionId::parse(&row.decision)?;
    // The vectors are taken from the row itself.
    decoded(decision, row.version, &row.json, [vec![], vec![]]).ok()
}

fn stored(rows: &[OutcomeRow]) -> Vec<ArrayRef> {
    let text = |of: fn(&OutcomeRow) -> &str| {
        Arc::new(StringArray::from_iter_values(rows.iter().map(of))) as ArrayRef
    };
    let at = TimestampMillisecondArray::from_iter_values(rows.iter().map(|it| it.at_unix_ms));
    let versions = rows.iter().map(|it| it.version as i32);
    vec![
        text(|it| &it.decision),
        Arc::new(Int64Array::from_iter_values(rows.iter().map(|it| it.seq))),
        Arc::new(at.with_timezone("UTC")),
        Arc::new(Int32Array::from_iter_values(versions)),
        text(|it| &it.json),
        vectors(rows.iter().map(|it| it.features.as_slice())),
        vectors(rows.iter().map(|it| it.embedding.as_slice())),
    ]
}

fn asked(all: &[Read]) -> Vec<ArrayRef> {
    vec![
        texts(all, |it| it.request_id.clone()),
        texts(all, |it| it.session_id.clone()),
        texts(all, |it| serde_json::to_string(&it.metadata).ok()),
        texts(all, |it| Some(it.artifact_version.clone())),
        small(all, |it| i32::from(it.encoder_exit)),
        small(all, |it| it.feature_schema.cast_signed()),
        texts(all, |it| match &it.prompt {
            RecordedPrompt::Hash(hash) => Some(hash.clone()),
            RecordedPrompt::None | RecordedPrompt::Full(_) => None,
        }),
        floats(all, |it| Some(it.policy.preference.cost_per_quality_usd)),
        floats(all, |it| Some(it.policy.preference.latency_per_quality_ms)),
        floats(all, |it| it.policy.min_quality.map(|it| it.get())),
        floats(all, |it| it.policy.budget.max_cost_usd.map(|it| it.get())),
        floats(all, |it| Some(it.policy.budget.max_latency.as_secs_f64() * 1e3)),
    ]
}

fn decided(all: &[Read]) -> Vec<ArrayRef> {
    let expected = |of: fn(&CandidateFacts) -> f64| {
        floats(all, move |it| it.served.as_ref().and_then(|id| facts(it, id)).map(of))
    };
    vec![
        texts(all, |it| Some(it.end.clone())),
        texts(all, |it| it.ranked.first().map(|it| it.deployment.to_string())),
        floats(all, |it| it.ranked.first().map(|it| it.propensity.get())),
        texts(all, |it| it.served.as_ref().map(ToString::to_string)),
        texts(all, |it| Some(facts(it, it.served.as_ref()?)?.model.to_string())),
        texts(all, |it| Some(facts(it, it.served.as_ref()?)?.provider.to_string())),
        expected(|it| it.prediction.quality.mean.get()),
        expected(|it| it.prediction.quality.spread),
        expected(|it| it.prediction.cost_usd.mean()),
        expected(|it| it.prediction.latency_s.mean() * 1e3),
        expected(|it| it.prediction.ttft_ms),
        expected(|it| it.prediction.output_tokens.mean()),
    ]
}

fn came(all: &[Read]) -> Vec<ArrayRef> {
    let tokens = |of: fn(&OutcomeRecord) -> u64| {
        let values = all.iter().map(|it| it.as_ref().map(|it| of(it).cast_signed()));
        Arc::new(values.collect::<Int64Array>()) as ArrayRef
    };
    vec![
        floats(all, |it| Some(it.cost_usd.get())),
        floats(all, |it| Some(it.total_ms)),
        floats(all, |it| it.attempts.iter().rev().find(|it| it.failure.is_none())?.ttft_ms),
        floats(all, |it| Some(it.decide_us)),
        tokens(|it| it.usage.input_tokens),
        tokens(|it| it.usage.cached_tokens),
        tokens(|it| it.usage.cache_written_tokens),
        tokens(|it| it.usage.output_tokens),
        tokens(|it| it.usage.reasoning_tokens),
    ]
}

fn attempts(all: &[Read]) -> Result<ArrayRef, ArrowError> {
    let (lengths, flat) = flat(all, |it| it.attempts.as_slice());
    let number = |of: fn(&Attempt) -> Option<f64>| {
        Arc::new(flat.iter().map(|it| of(it)).collect::<Float64Array>()) as ArrayRef
    };
    let tokens = |of: fn(&Attempt) -> u64| {
        Arc::new(Int64Array::from_iter_values(flat.iter().map(|it| of(it).cast_signed())))
            as ArrayRef
    };
    let deployments = StringArray::from_iter_values(flat.iter().map(|it| it.deployment.as_str()));
    let failures: StringArray = flat.iter().map(|it| it.failure.map(|it| it.as_str())).collect();
    let statuses: Int32Array = flat.iter().map(|it| it.status.map(i32::from)).collect();
    let forced: BooleanArray = flat.iter().map(|it| Some(it.is_forced())).collect();
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("deployment", Arc::new(deployments)),
        ("failure", Arc::new(failures)),
        ("status", Arc::new(statuses)),
        ("start_ms", number(|it| Some(it.start_ms))),
        ("total_ms", number(|it| Some(it.total_ms))),
        ("ttft_ms", number(|it| it.ttft_ms)),
        ("input_tokens", tokens(|it| it.usage.input_tokens)),
        ("output_tokens", tokens(|it| it.usage.output_tokens)),
        ("cost_usd", number(|it| Some(it.cost_usd.get()))),
        ("forced", Arc::new(forced)),
    ];
    list(lengths, structs(columns)?)
}

fn ranking(all: &[Read]) -> Result<ArrayRef, ArrowError> {
    let (lengths, places) = flat(all, |it| it.ranked.as_slice());
    let mut known = Vec::with_capacity(places.len());
    for record in all.iter().flatten() {
        known.extend(record.ranked.iter().map(|it| facts(record, &it.deployment)));
    }
    let own = |of: fn(&RankedFacts) -> f64| {
        Arc::new(Float64Array::from_iter_values(places.iter().map(|it| of(it)))) as ArrayRef
    };
    let expected = |of: fn(&CandidateFacts) -> f64| {
        Arc::new(known.iter().map(|it| it.map(of)).collect::<Float64Array>()) as ArrayRef
    };
    let deployments = StringArray::from_iter_values(places.iter().map(|it| it.deployment.as_str()));
    let models: StringArray = known.iter().map(|it| it.map(|it| it.model.as_str())).collect();
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("deployment", Arc::new(deployments)),
        ("model", Arc::new(models)),
        ("utility", own(|it| it.utility)),
        ("propensity", own(|it| it.propensity.get())),
        ("quality", expected(|it| it.prediction.quality.mean.get())),
        ("quality_spread", expected(|it| it.prediction.quality.spread)),
        ("cost_usd", expected(|it| it.prediction.cost_usd.mean())),
        ("latency_ms", expected(|it| it.prediction.latency_s.mean() * 1e3)),
    ];
    list(lengths, structs(columns)?)
}

fn excluded(all: &[Read]) -> Result<ArrayRef, ArrowError> {
    let (lengths, flat) = flat(all, |it| it.excluded.as_slice());
    let deployments = StringArray::from_iter_values(flat.iter().map(|it| it.deployment.as_str()));
    let reasons: StringArray =
        flat.iter().map(|it| serde_json::to_string(&it.reasons).ok()).collect();
    let columns: Vec<(&str, ArrayRef)> =
        vec![("deployment", Arc::new(deployments)), ("reasons", Arc::new(reasons))];
    list(lengths, structs(columns)?)
}

fn drilled(all: &[Read]) -> ArrayRef {
    let forced = |it: &OutcomeRecord| it.attempts.iter().any(Attempt::is_forced);
    Arc::new(all.iter().map(|it| it.as_ref().map(forced)).collect::<BooleanArray>())
}

fn facts<'a>(record: &'a OutcomeRecord, id: &DeploymentId) -> Option<&'a CandidateFacts> {
    record.candidates.iter().find(|it| it.deployment == *id)
}

fn texts(all: &[Read], of: impl Fn(&OutcomeRecord) -> Option<String>) -> ArrayRef {
    Arc::new(all.iter().map(|it| it.as_ref().and_then(&of)).collect::<StringArray>())
}

fn floats(all: &[Read], of: impl Fn(&OutcomeRecord) -> Option<f64>) -> ArrayRef {
    Arc::new(all.iter().map(|it| it.as_ref().and_then(&of)).collect::<Float64Array>())
}

fn small(all: &[Read], of: impl Fn(&OutcomeRecord) -> i32) -> ArrayRef {
    Arc::new(all.iter().map(|it| it.as_ref().map(&of)).collect::<Int32Array>())
}

/// Everybody's items one after the other, and how many each has.
fn flat<'a, T>(
    all: &'a [Read],
    of: impl Fn(&'a OutcomeRecord) -> &'a [T],
) -> (Vec<usize>, Vec<&'a T>) {
    let items: Vec<&[T]> = all.iter().map(|it| it.as_ref().map_or(&[][..], &of)).collect();
    let lengths = items.iter().map(|it| it.len()).collect();
    (lengths, items.into_iter().flatten().collect())
}

fn vectors<'a>(rows: impl Iterator<Item = &'a [f32]> + Clone) -> ArrayRef {
    let values: Float32Array = rows.clone().flatten().copied().map(Some).collect();
    let item = Arc::new(Field::new("item", DataType::Float32, true));
    let offsets = OffsetBuffer::from_lengths(rows.map(<[f32]>::len));
    Arc::new(ListArray::new(item, offsets, Arc::new(values), None))
}

fn structs(columns: Vec<(&str, ArrayRef)>) -> Result<StructArray, ArrowError> {
    let field = |(name, it): &(&str, ArrayRef)| Field::new(*name, it.data_type().clone(), true);
    let fields: Fields = columns.iter().map(field).collect();
    StructArray::try_new(fields, columns.into_iter().map(|it| it.1).collect(), None)
}

fn list(lengths: Vec<usize>, items: StructArray) -> Result<ArrayRef, ArrowError> {
    let item = Arc::new(Field::new("item", items.data_type().clone(), true));
    let offsets = OffsetBuffer::from_lengths(lengths);
    Ok(Arc::new(ListArray::try_new(item, offsets, Arc::new(items), None)?))
}
