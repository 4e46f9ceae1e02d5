//! How a table can be wrong, told by file, row and column.
//!
//! In: places and values found by the readers. Out: [`DataError`]. Invariant: numbers may stand in
//! an error's text, prompts and other strings of the table never do. Not here: when an error is
//! raised (see the readers).

use std::fmt;

use ::parquet::errors::ParquetError;
use arrow::error::ArrowError;

/// A column of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub enum Column {
    /// Where the row comes from.
    Source,
    /// Its task within the source.
    Task,
    /// The prompt's text.
    Prompt,
    /// The model's name.
    Model,
    /// How good the answer was.
    Quality,
    /// Tokens of the prompt.
    InputTokens,
    /// Tokens of the answer.
    OutputTokens,
    /// The call's cost.
    CostUsd,
    /// The call's duration.
    LatencyS,
    /// Whether the tokens are estimates.
    TokensEst,
}

/// What is wrong with one value.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum Problem {
    /// There is none.
    #[error("a value is needed")]
    Missing,
    /// Text where a number should be, or the like.
    #[error("it is not a {wanted}")]
    Kind {
        /// What it should be.
        wanted: Kind,
    },
    /// Outside its range.
    #[error("{value} is not between {low} and {high}")]
    Range {
        /// The value found.
        value: f64,
        /// The least allowed.
        low: f64,
        /// The most allowed.
        high: f64,
    },
    /// A fraction where a count should be.
    #[error("{value} is not a whole number")]
    Fraction {
        /// The value found.
        value: f64,
    },
    /// A text longer than a request may be.
    #[error("{bytes} bytes of text, at most {max} are allowed")]
    TooLong {
        /// Its length.
        bytes: usize,
        /// The most allowed.
        max: usize,
    },
}

/// What a value should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A string.
    String,
    /// A number.
    Number,
    /// True or false.
    Bool,
}

/// What there can be too many of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Excess {
    /// Unique prompts.
    Prompts,
    /// Model names.
    Models,
    /// Source names.
    Sources,
    /// Task names.
    Tasks,
}

/// Why a table could not be read.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// No known extension.
    #[error("{file}: the extension must be .parquet, .csv or .jsonl")]
    UnknownFormat {
        /// The file.
        file: String,
    },
    /// The operating system said no.
    #[error("{file}: {source}")]
    Unreadable {
        /// The file.
        file: String,
        /// What it said.
        source: std::io::Error,
    },
    /// Not Parquet, or a Parquet that cannot be decoded.
    #[error("{file}: {source}")]
    Parquet {
        /// The file.
        file: String,
        /// What the decoder said.
        source: ParquetError,
    },
    /// A batch that cannot be decoded.
    #[error("{file}, after row {row}: {source}")]
    Batch {
        /// The file.
        file: String,
        /// The last row before the batch.
        row: u64,
        /// What the decoder said.
        source: ArrowError,
    },
    /// Not CSV.
    #[error("{file}, row {row}: {source}")]
    Csv {
        /// The file.
        file: String,
        /// The row.
        row: u64,
        /// What the decoder said.
        source: ::csv::Error,
    },
    /// A line that is no JSON object.
    #[error("{file}, row {row}: {source}")]
    Json {
        /// The file.
        file: String,
        /// The line.
        row: u64,
        /// What the decoder said.
        source: serde_json::Error,
    },
    /// A line longer than any row may be.
    #[error("{file}, row {row}: the line is longer than {max} bytes")]
    LongLine {
        /// The file.
        file: String,
        /// The line.
        row: u64,
        /// The most allowed.
        max: u64,
    },
    /// A column that must be there is not.
    #[error("{file}: there is no column {column}; prompt, model and quality are required")]
    NoColumn {
        /// The file.
        file: String,
        /// The column.
        column: Column,
    },
    /// A column of a type that it cannot have.
    #[error("{file}, column {column}: the type {found} is not a {wanted}")]
    ColumnType {
        /// The file.
        file: String,
        /// The column.
        column: Column,
        /// Its type, as Arrow names it.
        found: String,
        /// What it should be.
        wanted: Kind,
    },
    /// A wrong value.
    #[error("{file}, row {row}, column {column}: {problem}")]
    Value {
        /// The file.
        file: String,
        /// The row.
        row: u64,
        /// The column.
        column: Column,
        /// What is wrong.
        problem: Problem,
    },
    /// A wrong value of one model in a wide table.
    #[error("{file}, row {row}, column {column} of model {model}: {problem}")]
    WideValue {
        /// The file.
        file: String,
        /// The row.
        row: u64,
        /// What the column holds.
        column: Column,
        /// The model, as the header names it.
        model: String,
        /// What is wrong.
        problem: Problem,
    },
    /// More distinct values than ids.
    #[error("{file}, row {row}: more than {max} {what}")]
    TooMany {
        /// The file.
        file: String,
        /// The row at which the ids ran out.
        row: u64,
        /// Of what.
        what: Excess,
        /// The most allowed.
        max: usize,
    },
    /// No rows.
    #[error("{file}: the table has no rows")]
    Empty {
        /// The file.
        file: String,
    },
}

impl DataError {
    /// The same error, told of a model's columns in a wide table.
    pub(super) fn of_model(self, name: &str) -> Self {
        match self {
            Self::Value { file, row, column, problem }
                if matches!(column, Column::Quality | Column::CostUsd) =>
            {
                Self::WideValue { file, row, column, model: name.to_owned(), problem }
            }
            other => other,
        }
    }
}

impl Column {
    /// Every column that is read, in the order of their numbers.
    pub const ALL: [Self; 10] = [
        Self::Source,
        Self::Task,
        Self::Prompt,
        Self::Model,
        Self::Quality,
        Self::InputTokens,
        Self::OutputTokens,
        Self::CostUsd,
        Self::LatencyS,
        Self::TokensEst,
    ];

    /// Its name in the file.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Source => "source",
            Self::Task => "task",
            Self::Prompt => "prompt",
            Self::Model => "model",
            Self::Quality => "quality",
            Self::InputTokens => "input_tokens",
            Self::OutputTokens => "output_tokens",
            Self::CostUsd => "cost_usd",
            Self::LatencyS => "latency_s",
            Self::TokensEst => "tokens_est",
        }
    }

    /// Another name that it may have in a CSV file, as in `prompt,model,score,cost,latency`.
    pub fn alias(self) -> Option<&'static str> {
        match self {
            Self::Quality => Some("score"),
            Self::CostUsd => Some("cost"),
            Self::LatencyS => Some("latency"),
            Self::Source
            | Self::Task
            | Self::Prompt
            | Self::Model
            | Self::InputTokens
            | Self::OutputTokens
            | Self::TokensEst => None,
        }
    }

    /// Whether a table must have it.
    pub fn is_required(self) -> bool {
        matches!(self, Self::Prompt | Self::Model | Self::Quality)
    }

    /// What its values are.
    pub fn kind(self) -> Kind {
        match self {
            Self::Source | Self::Task | Self::Prompt | Self::Model => Kind::String,
            Self::Quality
            | Self::InputTokens
            | Self::OutputTokens
            | Self::CostUsd
            | Self::LatencyS => Kind::Number,
            Self::TokensEst => Kind::Bool,
        }
    }
}

impl fmt::Display for Column {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::String => "string",
            Self::Number => "number",
            Self::Bool => "boolean",
        })
    }
}

impl fmt::Display for Excess {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Prompts => "unique prompts",
            Self::Models => "models",
            Self::Sources => "sources",
            Self::Tasks => "tasks",
        })
    }
}
