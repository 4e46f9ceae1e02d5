//! `pointsman outcomes`: the log looked at and cleaned up.
//!
//! In: arguments. Out: what was found or done.

mod args;
mod delete;
mod summary;

use std::io::Write;

pub use self::args::{OutcomesCommand, OutcomesDeleteArgs, OutcomesSummaryArgs};
use super::CommandError;

pub(super) async fn outcomes(
    command: &OutcomesCommand,
    out: &mut dyn Write,
) -> Result<(), CommandError> {
    match command {
        OutcomesCommand::Delete(args) => delete::delete(args, out).await,
        OutcomesCommand::Summary(args) => summary::summary(args, out).await,
    }
}
