//! A score or a signal as a row.
//!
//! In: stored feedback. Out: a `RecordBatch`. Invariant: the columns are always those of
//! [`FEEDBACK_COLUMNS`]. Documented in `docs/outcomes.md`.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray, TimestampMillisecondArray,
};
use arrow::error::ArrowError;

use super::source::FeedbackRow;

/// The columns, in order.
pub const FEEDBACK_COLUMNS: [&str; 10] = [
    "decision_id",
    "seq",
    "arrived_at",
    "kind",
    "signal",
    "about",
    "score",
    "weight",
    "idempotency_key",
    "comment",
];

/// Rows as columns.
pub(super) fn batch(rows: &[FeedbackRow]) -> Result<RecordBatch, ArrowError> {
    let text = |of: fn(&FeedbackRow) -> &str| {
        Arc::new(StringArray::from_iter_values(rows.iter().map(of))) as ArrayRef
    };
    // What is empty in the log was not given.
    let given = |of: fn(&FeedbackRow) -> &str| {
        let values = rows.iter().map(|it| Some(of(it)).filter(|it| !it.is_empty()));
        Arc::new(values.collect::<StringArray>()) as ArrayRef
    };
    let number = |of: fn(&FeedbackRow) -> f64| {
        Arc::new(Float64Array::from_iter_values(rows.iter().map(of))) as ArrayRef
    };
    let at = TimestampMillisecondArray::from_iter_values(rows.iter().map(|it| it.at_unix_ms));
    let comments: StringArray = rows.iter().map(|it| it.comment.as_deref()).collect();
    let arrays: [ArrayRef; 10] = [
        text(|it| &it.decision),
        Arc::new(Int64Array::from_iter_values(rows.iter().map(|it| it.seq))),
        Arc::new(at.with_timezone("UTC")),
        text(|it| &it.kind),
        given(|it| &it.signal),
        given(|it| &it.about),
        number(|it| it.score),
        number(|it| it.weight),
        given(|it| &it.idempotency_key),
        Arc::new(comments),
    ];
    let named = FEEDBACK_COLUMNS.into_iter().zip(arrays).map(|(name, it)| (name, it, true));
    RecordBatch::try_from_iter_with_nullable(named)
}
