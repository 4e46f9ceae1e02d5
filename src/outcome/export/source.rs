//! The seam between an export and the store that it exports.
//!
//! In: how far a destination is. Out: [`Part`]s, and the rows of them. Invariant: sequence numbers
//! only grow in the order of commits, and are never given twice: what is committed later is never
//! numbered below what could be seen earlier. (PostgreSQL's sequences do not promise that by
//! themselves: a store there has to number under one lock, or to wait for older transactions.)

use crate::outcome::store::OutcomeError;

/// Most rows in one part, and so in one file.
pub(super) const PART_ROWS_MAX: usize = 16_384;
/// After so many bytes a part ends: its files are put together in memory, where they are a few times
/// smaller than this.
const PART_BYTES_MAX: u64 = 64 << 20;
/// Most days in one part: each is a file of its own, and a pass over the part's rows.
const PART_DAYS_MAX: usize = 32;
/// Most rows, and about as many bytes, read at once.
pub(super) const READ_ROWS_MAX: usize = 512;
pub(super) const READ_BYTES_MAX: u64 = 8 << 20;

/// How often a plan is made again because another export was faster; two on one log are many.
const PLANS_MAX: usize = 16;

const DAY_MS: i64 = 24 * 60 * 60 * 1_000;
/// 9999-12-31, the last day that fits ten characters.
const DAY_MAX: i64 = 2_932_896;

/// What is exported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Table {
    Outcomes,
    Feedback,
}

impl Table {
    /// Outcomes first, so that a score seldom comes before its decision.
    pub(super) const ALL: [Self; 2] = [Self::Outcomes, Self::Feedback];

    /// Its folder, and its name in the checkpoint.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Outcomes => "outcomes",
            Self::Feedback => "feedback",
        }
    }
}

/// What is exported together: a range of sequence numbers, and the days on which its rows fall.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) table: Table,
    /// The number after the last of the part before.
    pub(super) first: i64,
    /// The last number, inclusive.
    pub(super) last: i64,
    /// Days since 1970, ascending.
    pub(super) days: Vec<i64>,
}

impl Part {
    /// The part that a checkpoint says is under way: after `done`, with the days as [`Part::days_text`]
    /// wrote them.
    pub(super) fn pending(table: Table, (done, last): (i64, i64), days: &str) -> Self {
        let days = days.split(',').filter_map(|it| it.parse().ok()).collect();
        Self { table, first: done + 1, last, days }
    }

    /// The next part after `done`, of rows by number, time and about how many bytes each has, ascending.
    pub(super) fn plan<E>(
        table: Table,
        done: i64,
        rows: impl Iterator<Item = Result<(i64, i64, u64), E>>,
    ) -> Result<Option<Self>, E> {
        let (mut last, mut bytes, mut days) = (None, 0, Vec::new());
        for row in rows {
            let (seq, at_unix_ms, size) = row?;
            let day = day_of(at_unix_ms);
            bytes += size;
            let new_day = !days.contains(&day);
            let full = bytes > PART_BYTES_MAX || new_day && days.len() == PART_DAYS_MAX;
            if full && last.is_some() {
                break;
            }
            if new_day {
                days.push(day);
            }
            last = Some(seq);
        }
        days.sort_unstable();
        Ok(last.map(|last| Self { table, first: done + 1, last, days }))
    }

    /// The days, as a checkpoint keeps them.
    pub(super) fn days_text(&self) -> String {
        self.days.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
    }
}

/// What a try to plan came to.
pub(super) enum Planned {
    Part(Part),
    Nothing,
    /// Another export took a part in between.
    Again,
}

/// Which rows are read: after a number, up to another, of one day if one is given.
#[derive(Debug, Clone, Copy)]
pub(super) struct Span {
    pub(super) after: i64,
    pub(super) last: i64,
    pub(super) day: Option<i64>,
}

/// An outcome as it is stored, not yet looked into.
#[derive(Debug, Clone)]
pub(super) struct OutcomeRow {
    pub(super) seq: i64,
    pub(super) decision: String,
    pub(super) at_unix_ms: i64,
    pub(super) version: i64,
    pub(super) json: String,
    pub(super) features: Vec<f32>,
    pub(super) embedding: Vec<f32>,
}

/// A score or a signal as it is stored.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct FeedbackRow {
    pub(super) seq: i64,
    pub(super) decision: String,
    pub(super) at_unix_ms: i64,
    pub(super) kind: String,
    pub(super) signal: String,
    pub(super) about: String,
    pub(super) idempotency_key: String,
    pub(super) score: f64,
    pub(super) weight: f64,
    pub(super) comment: Option<String>,
}

/// A store that can be exported. May block; owned by one export.
pub(super) trait ExportSource: Send {
    /// What tells this log from every other.
    fn log_id(&self) -> Result<String, OutcomeError>;

    /// Whether anything was ever exported there.
    fn knows(&self, destination: &str) -> Result<bool, OutcomeError>;

    /// The part that is under way, or the next one, which is under way once this returns; `Nothing`
    /// when everything is exported. Durable.
    fn try_part(&mut self, destination: &str, table: Table) -> Result<Planned, OutcomeError>;

    /// As [`ExportSource::try_part`], until no other export is faster.
    fn part(&mut self, destination: &str, table: Table) -> Result<Option<Part>, OutcomeError> {
        for _ in 0..PLANS_MAX {
            match self.try_part(destination, table)? {
                Planned::Part(part) => return Ok(Some(part)),
                Planned::Nothing => return Ok(None),
                Planned::Again => {}
            }
        }
        // Whoever was faster so often exports all there is; nothing is left to do here.
        Ok(None)
    }

    /// Whether this part is still under way: while it is, nothing of it was deleted for its age.
    fn is_under_way(&self, destination: &str, part: &Part) -> Result<bool, OutcomeError>;

    /// Notes that the files of a part are all there. Does nothing when someone else has.
    fn finish(&mut self, destination: &str, part: &Part) -> Result<(), OutcomeError>;

    /// The first outcomes of a span, ascending; none at its end. At least one row, whatever its size.
    fn outcomes(&self, span: Span) -> Result<Vec<OutcomeRow>, OutcomeError>;

    /// As above.
    fn feedback(&self, span: Span) -> Result<Vec<FeedbackRow>, OutcomeError>;
}

/// The day of a time, kept to years of four digits.
pub(super) fn day_of(at_unix_ms: i64) -> i64 {
    at_unix_ms.div_euclid(DAY_MS).clamp(0, DAY_MAX)
}

/// `YYYY-MM-DD`.
pub(super) fn date_of(day: i64) -> String {
    let moment = arrow::temporal_conversions::timestamp_ms_to_datetime(day * DAY_MS);
    moment.map(|it| it.date().to_string()).unwrap_or_default()
}

/// Where a day's file of a part stands. The name holds the range and the log, so that no two parts
/// and no two logs share one.
pub(super) fn file_of(part: &Part, day: i64, log_id: &str) -> String {
    let Part { table, first, last, .. } = part;
    format!("{}/date={}/part-{log_id}-{first:012}-{last:012}.parquet", table.as_str(), date_of(day))
}

/// Whether a file is one of this log.
pub(super) fn is_of_log(file: &str, log_id: &str) -> bool {
    let name = file.rsplit('/').next().unwrap_or_default();
    name.strip_prefix("part-").is_some_and(|it| it.starts_with(log_id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_dates_and_names_tell_parts_apart() {
        let check = |at: i64, wanted: &str| assert_eq!(date_of(day_of(at)), wanted, "{at}");
        check(0, "1970-01-01");
        check(1_700_000_000_000, "2023-11-14");
        check(1_709_251_199_999, "2024-02-29");
        check(1_709_251_200_000, "2024-03-01");
        check(i64::MAX, "9999-12-31");
        check(-1, "1970-01-01");
        let part = Part { table: Table::Feedback, first: 7, last: 19, days: vec![] };
        let file = file_of(&part, 0, "ab12");
        let wanted = "feedback/date=1970-01-01/part-ab12-000000000007-000000000019.parquet";
        assert_eq!(file, wanted);
        assert!(is_of_log(&file, "ab12") && !is_of_log(&file, "cd34"));
    }
}
