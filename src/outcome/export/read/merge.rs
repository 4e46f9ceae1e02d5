//! Many files as one stream in the order of decisions.
//!
//! In: files and between which decisions each of them lies. Out: records, by their ids. Invariant: a
//! file is opened when its first decision may be the next one, and dropped after its last: open are
//! only those that overlap. Within a file the order is that of commits, so it is sorted when it is
//! opened. Not here: what was said of the decisions.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use arrow::array::{AsArray, Float32Array, Int32Array, ListArray, RecordBatch, StringArray};
use arrow::datatypes::{Float32Type, Int32Type};

use super::super::ExportError;
use super::{DECISION, ExportReader, Share, no_column, text};
use crate::domain::DecisionId;
use crate::outcome::sqlite::decoded;
use crate::outcome::{OutcomeError, OutcomeRecord};

const OUTCOME_COLUMNS: [&str; 5] = [DECISION, "record_version", "record", "features", "embedding"];

/// Between which decisions a file lies. Files are sorted by the first.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Span {
    /// None is before this; empty where that is not known.
    pub(super) first: String,
    /// None is behind this.
    pub(super) last: Option<String>,
    pub(super) file: String,
}

impl Span {
    fn may_have(&self, share: &Share) -> bool {
        let begins = share.to.as_ref().is_none_or(|to| self.first < *to);
        begins && self.last.as_ref().is_none_or(|last| *last >= share.from)
    }
}

/// Where a decision stands in a file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    decision: String,
    batch: usize,
    row: usize,
    /// From the beginning of the file.
    number: usize,
}

/// A file in memory.
struct Open {
    name: String,
    batches: Vec<Columns>,
    /// The last is the next.
    left: Vec<Place>,
}

impl ExportReader {
    /// Hands on the decisions of a share.
    pub(super) fn in_order(
        &self,
        files: &[Span],
        share: &Share,
        visit: &mut dyn FnMut(Result<OutcomeRecord, ExportError>),
    ) -> Result<(), ExportError> {
        let mut waiting = files.iter().filter(|it| it.may_have(share)).enumerate().peekable();
        let mut open = BTreeMap::new();
        let mut next: BinaryHeap<Reverse<(Place, usize)>> = BinaryHeap::new();
        // Ends: every turn opens a file or hands on a row.
        loop {
            let now = next.peek().map(|it| it.0.0.decision.as_str());
            let due = |it: &(usize, &Span)| now.is_none_or(|now| it.1.first.as_str() <= now);
            if let Some((at, span)) = waiting.next_if(due) {
                let mut file = self.open_file(&span.file, share)?;
                if let Some(place) = file.left.pop() {
                    next.push(Reverse((place, at)));
                    open.insert(at, file);
                }
                continue;
            }
            let Some(Reverse((place, at))) = next.pop() else { return Ok(()) };
            let Some(file) = open.get_mut(&at) else { continue };
            visit(file.read(&place));
            match file.left.pop() {
                Some(place) => next.push(Reverse((place, at))),
                None => drop(open.remove(&at)),
            }
        }
    }

    fn open_file(&self, name: &str, share: &Share) -> Result<Open, ExportError> {
        let (mut batches, mut left, mut number) = (Vec::new(), Vec::new(), 0);
        self.batches(name, &OUTCOME_COLUMNS, |batch| {
            let columns = Columns::of(&batch, name)?;
            let own = (0..batch.num_rows()).filter(|row| share.has(columns.decision.value(*row)));
            left.extend(own.map(|row| {
                let decision = columns.decision.value(row).to_owned();
                Place { decision, batch: batches.len(), row, number: number + row }
            }));
            number += batch.num_rows();
            batches.push(columns);
            Ok(())
        })?;
        left.sort_unstable_by(|a, b| b.cmp(a));
        Ok(Open { name: name.to_owned(), batches, left })
    }
}

impl Open {
    fn read(&self, place: &Place) -> Result<OutcomeRecord, ExportError> {
        let batch = self.batches.get(place.batch).ok_or(None);
        let read = batch.and_then(|it| it.read(place.row));
        read.map_err(|source| {
            let (file, row) = (self.name.clone(), place.number);
            ExportError::Row { file, row, source }
        })
    }
}

/// The columns that records are made of.
struct Columns {
    decision: StringArray,
    version: Int32Array,
    record: StringArray,
    features: ListArray,
    embedding: ListArray,
}

impl Columns {
    fn of(batch: &RecordBatch, file: &str) -> Result<Self, ExportError> {
        let list = |name: &'static str| {
            let list = batch.column_by_name(name).and_then(|it| it.as_list_opt::<i32>());
            let floats = |it: &&ListArray| it.values().as_primitive_opt::<Float32Type>().is_some();
            list.filter(floats).cloned().ok_or_else(|| no_column(file, name))
        };
        let name = "record_version";
        let version = batch.column_by_name(name).and_then(|it| it.as_primitive_opt::<Int32Type>());
        Ok(Self {
            decision: text(batch, file, DECISION)?.clone(),
            version: version.cloned().ok_or_else(|| no_column(file, name))?,
            record: text(batch, file, "record")?.clone(),
            features: list("features")?,
            embedding: list("embedding")?,
        })
    }

    /// One record; an error without a cause where the id is none.
    fn read(&self, row: usize) -> Result<OutcomeRecord, Option<OutcomeError>> {
        let decision = DecisionId::parse(self.decision.value(row)).ok_or(None)?;
        let vectors = [&self.features, &self.embedding].map(|it| {
            let values: Option<Float32Array> =
                it.value(row).as_primitive_opt::<Float32Type>().cloned();
            values.map(|it| it.values().to_vec()).unwrap_or_default()
        });
        let version = i64::from(self.version.value(row));
        decoded(decision, version, self.record.value(row), vectors).map_err(Some)
    }
}
