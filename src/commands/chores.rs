//! What a server does beside serving: it keeps its log short, and exports it.
//!
//! In: the log, how it is to be kept. Out: logs. Invariant: nothing here keeps a request waiting, and
//! nothing that fails here ends the server: it is told, and tried again at the next turn. It may be
//! dropped at any moment.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};

use super::CommandError;
use crate::config::{HoldUnexported, Keeping};
use crate::outcome::{Destination, Exporter, OutcomeLog, Retention, Upkeep};

/// How often the log is looked at for what need not be kept.
const SWEEP_EVERY: Duration = Duration::from_secs(60);

/// The work, ready to be begun.
pub(super) struct Chores {
    upkeep: Upkeep,
    retention: Retention,
    export: Option<(Exporter, Duration)>,
    to: Option<String>,
}

impl Chores {
    /// Opens what is needed for it.
    pub(super) fn of(log: &OutcomeLog, keeping: &Keeping) -> Result<Self, CommandError> {
        let mut retention = keeping.retention.clone();
        let (mut export, mut to) = (None, None);
        if let Some(plan) = &keeping.export {
            let destination = Destination::open(&plan.to)?;
            let name = destination.name().to_owned();
            if keeping.hold_unexported == HoldUnexported::Hold {
                retention.exported_to = Some(name.clone());
            }
            to = Some(name);
            if let Some(every) = plan.every {
                export = Some((Exporter::open(log.store(), destination)?, every));
            }
        }
        Ok(Self { upkeep: log.upkeep(), retention, export, to })
    }

    /// One line for each, for the operator.
    pub(super) fn found(&self) -> Vec<String> {
        let exports = self.export.as_ref().zip(self.to.as_ref()).map(|((_, every), to)| {
            format!("export: to {to} every {}", humantime::format_duration(*every))
        });
        let days = self.retention.keep.map(|it| format!("{} days", it.as_secs() / 86_400));
        let bytes = self.retention.bytes_max.map(|it| format!("{it} bytes"));
        let kept: Vec<_> = days.into_iter().chain(bytes).collect();
        let kept =
            (!kept.is_empty()).then(|| format!("outcomes are kept for {}", kept.join(" and ")));
        exports.into_iter().chain(kept).collect()
    }

    /// Works until it is told to stop.
    pub(super) async fn run(self, mut stopping: watch::Receiver<bool>) {
        let Self { upkeep, retention, export, .. } = self;
        let sweeps = async {
            if !retention.is_forever() {
                sweep(&upkeep, &retention).await;
            }
        };
        let exports = async {
            if let Some((exporter, every)) = &export {
                export_every(exporter, *every).await;
            }
        };
        let work = async { tokio::join!(sweeps, exports) };
        tokio::select! { _ = work => {}, _ = stopping.wait_for(|it| *it) => {} }
    }
}

async fn sweep(upkeep: &Upkeep, retention: &Retention) {
    let mut turns = interval(SWEEP_EVERY);
    turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut held_back = false;
    // Ends when it is dropped.
    loop {
        turns.tick().await;
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        match upkeep.sweep(retention, since.as_millis() as u64).await {
            Ok(swept) => {
                if swept.deleted > 0 {
                    tracing::info!(outcomes = swept.deleted, "old outcomes were deleted");
                }
                if swept.held_back && !held_back {
                    tracing::warn!("outcomes that are to be deleted wait for their export");
                }
                held_back = swept.held_back;
            }
            Err(error) => tracing::error!(%error, "old outcomes could not be deleted"),
        }
    }
}

async fn export_every(exporter: &Exporter, every: Duration) {
    let mut turns = interval(every);
    turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // Ends when it is dropped.
    loop {
        turns.tick().await;
        match exporter.run(|_| ()).await {
            Ok(it) if it.files > 0 => {
                let (outcomes, feedback) = (it.outcomes, it.feedback);
                tracing::info!(outcomes, feedback, files = it.files, "outcomes were exported");
            }
            Ok(_) => {}
            Err(error) => {
                let why = std::error::Error::source(&error).map(ToString::to_string);
                let why = why.unwrap_or_default();
                tracing::error!(%error, why, "the export failed; it goes on at the next turn");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ExportPlan;
    use crate::outcome::{LogSettings, PromptPrivacy};

    #[tokio::test]
    async fn a_plan_holds_back_what_it_has_not_exported() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("outcomes.db");
        let log = OutcomeLog::open(&LogSettings::sqlite(path, PromptPrivacy::Hash)).unwrap();
        let to = folder.path().join("there");
        let check = |every: Option<Duration>, hold, held: bool, lines: usize| {
            let export = Some(ExportPlan { to: to.to_str().unwrap().into(), every });
            let keep = Some(Duration::from_secs(2 * 86_400));
            let retention = Retention { keep, ..Retention::default() };
            let chores =
                Chores::of(&log, &Keeping { retention, hold_unexported: hold, export }).unwrap();
            assert_eq!(chores.retention.exported_to.is_some(), held);
            assert_eq!(chores.found().len(), lines, "{:?}", chores.found());
            chores
        };
        check(None, HoldUnexported::Hold, true, 1);
        check(None, HoldUnexported::Delete, false, 1);
        let every = Some(Duration::from_secs(600));
        let chores = check(every, HoldUnexported::Hold, true, 2);
        assert!(chores.found()[0].ends_with("there every 10m"), "{:?}", chores.found());
        let (tell, stopping) = watch::channel(false);
        let running = tokio::spawn(chores.run(stopping));
        tell.send_replace(true);
        running.await.unwrap();
        log.close().await;
    }
}
