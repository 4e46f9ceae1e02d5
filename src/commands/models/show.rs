//! How far a pull has come, for a person who waits or for a log.
//!
//! In: [`Step`]s. Out: on a terminal one line that is written over, elsewhere a line at every quarter of
//! a file. Invariant: writes only when the figure that is shown changes; no clock.

use std::io::Write;

use crate::hub::Step;

/// How progress is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Manner {
    /// One line, written over.
    Live,
    /// A line now and then.
    Lines,
}

/// What was shown last.
pub(super) struct Progress<'a> {
    out: &'a mut dyn Write,
    manner: Manner,
    shown: Option<(String, u64)>,
}

impl<'a> Progress<'a> {
    pub(super) fn new(out: &'a mut dyn Write, manner: Manner) -> Self {
        Self { out, manner, shown: None }
    }

    /// Shows a step. A terminal that is gone is no reason to stop, so its errors are passed over.
    pub(super) fn tell(&mut self, step: &Step<'_>) {
        let _ = match step {
            Step::At { path, got, size: of } => self.at(path, *got, *of),
            Step::Whole { path, sha256 } => {
                self.shown = None;
                let start = if self.manner == Manner::Live { "\r" } else { "" };
                writeln!(self.out, "{start}{path:<28} SHA-256 {sha256}")
            }
        };
    }

    fn at(&mut self, path: &str, got: u64, of: u64) -> std::io::Result<()> {
        let percent = got.saturating_mul(100) / of.max(1);
        let shown = match self.manner {
            Manner::Live => percent,
            Manner::Lines => percent / 25 * 25,
        };
        let now = Some((path.to_owned(), shown));
        if self.shown == now {
            return Ok(());
        }
        self.shown = now;
        let size = size(of);
        match self.manner {
            Manner::Live => {
                write!(self.out, "\r{path:<28} {shown:>3} % of {size:<60}")?;
                self.out.flush()
            }
            Manner::Lines => writeln!(self.out, "{path:<28} {shown:>3} % of {size}"),
        }
    }
}

/// A number of bytes in few characters: `612 B`, `466 kB`, `90.9 MB`.
pub(super) fn size(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes} B"),
        1_000..1_000_000 => format!("{} kB", bytes / 1_000),
        _ => format!("{:.1} MB", bytes as f64 / 1e6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_by_quarters_and_a_terminal_sees_every_percent() {
        let check = |manner, wanted: usize, part: &str| {
            let mut out = Vec::new();
            let mut progress = Progress::new(&mut out, manner);
            for got in 0..=1_000 {
                progress.tell(&Step::At { path: "a", got, size: 1_000 });
            }
            progress.tell(&Step::Whole { path: "a", sha256: "12" });
            let text = String::from_utf8(out).unwrap();
            assert_eq!(text.matches('%').count(), wanted, "{text}");
            assert!(text.contains(part) && text.ends_with("SHA-256 12\n"), "{text}");
        };
        check(Manner::Lines, 5, " 25 % of 1 kB\n");
        check(Manner::Live, 101, "\ra");
        assert_eq!(["612 B", "466 kB", "90.9 MB"], [612, 466_247, 90_868_376].map(size));
    }
}
