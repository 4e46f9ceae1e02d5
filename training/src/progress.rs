//! How far a long job is: a bar on a terminal, plain lines elsewhere, nothing for a short job.
//!
//! In: steps done, from any thread. Out: standard error. Invariant: a job of under
//! two seconds prints nothing. Not here: results, which go to standard output.

use std::io::{IsTerminal, stderr};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// A job shorter than this is not worth a bar.
const SILENT_FOR: Duration = Duration::from_secs(2);
/// Plain lines come this far apart, so that a log of a long job stays readable.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// The progress of one job.
#[derive(Debug)]
pub struct Progress {
    job: &'static str,
    total: u64,
    began: Instant,
    terminal: bool,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    done: u64,
    bar: Option<ProgressBar>,
    last_line: Option<Instant>,
}

impl Progress {
    /// A job of `total` steps, which begins now.
    pub fn start(job: &'static str, total: u64) -> Self {
        let terminal = stderr().is_terminal();
        Self { job, total, began: Instant::now(), terminal, state: Mutex::default() }
    }

    /// Tells that `steps` more are done.
    pub fn advance(&self, steps: u64) {
        // A thread that panicked while it counted leaves at worst a wrong number on the screen.
        let mut state = self.state.lock().unwrap_or_else(|it| it.into_inner());
        state.done += steps;
        if self.began.elapsed() < SILENT_FOR {
            return;
        }
        if self.terminal {
            let done = state.done;
            state.bar.get_or_insert_with(|| self.bar()).set_position(done);
        } else if state.last_line.is_none_or(|it| it.elapsed() >= LINE_EVERY) {
            state.last_line = Some(Instant::now());
            eprintln!("{}: {} of {}", self.job, state.done, self.total);
        }
    }

    fn bar(&self) -> ProgressBar {
        let bar = ProgressBar::new(self.total).with_message(self.job);
        // The template is a constant; the default style is as good if it ever fails to parse.
        match ProgressStyle::with_template("{msg} {wide_bar} {percent:>3} % {eta:>4} left") {
            Ok(style) => bar.with_style(style),
            Err(_) => bar,
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        let state = self.state.get_mut().unwrap_or_else(|it| it.into_inner());
        if let Some(bar) = state.bar.take() {
            bar.finish_and_clear();
        }
    }
}
