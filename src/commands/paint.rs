//! Colours, where there is a terminal to show them, and figures in few characters.
//!
//! In: text and numbers. Out: text. Invariant: the only place with ANSI codes; without a terminal
//! (or with `NO_COLOR` set, see no-color.org) text passes unchanged. Text is padded before it is
//! painted, since codes have no width.

use std::fmt::Display;
use std::io::IsTerminal;

/// Whether to paint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Paint {
    /// With ANSI codes.
    Colours,
    /// As it is.
    Plain,
}

/// What a piece of text is, for the eye.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// A heading, or the figure that matters.
    Strong,
    /// What may be skipped.
    Faint,
    /// It went well.
    Good,
    /// It went wrong, and was caught.
    Warn,
    /// It went wrong.
    Bad,
}

impl Paint {
    /// Colours when standard output is a terminal and nobody asked for none.
    pub fn for_stdout() -> Self {
        let wanted = std::env::var_os("NO_COLOR").is_none_or(|it| it.is_empty());
        if wanted && std::io::stdout().is_terminal() { Self::Colours } else { Self::Plain }
    }

    /// The text in a tone.
    pub fn tone(self, tone: Tone, text: impl Display) -> String {
        let code = match tone {
            Tone::Strong => "1",
            Tone::Faint => "2",
            Tone::Good => "32",
            Tone::Warn => "33",
            Tone::Bad => "31",
        };
        match self {
            Self::Colours => format!("\x1b[{code}m{text}\x1b[0m"),
            Self::Plain => text.to_string(),
        }
    }
}

/// An amount in at most eight characters: `$0.00012`, `$0.0312`, `$12.30`.
pub fn usd(amount: f64) -> String {
    match amount {
        it if it >= 1.0 => format!("${it:.2}"),
        it if it >= 0.01 => format!("${it:.4}"),
        it => format!("${it:.5}"),
    }
}

/// A time: `0.85 ms`, `320 ms`, `2.4 s`.
pub fn time(ms: f64) -> String {
    match ms {
        it if it < 10.0 => format!("{it:.2} ms"),
        it if it < 1_000.0 => format!("{it:.0} ms"),
        it => format!("{:.1} s", it / 1_000.0),
    }
}

/// Text in exactly `width` characters, cut with `…` where it is longer.
pub fn fit(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return format!("{text:<width$}");
    }
    let kept: String = text.chars().take(width.saturating_sub(1)).collect();
    format!("{kept}…")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_stay_short() {
        assert_eq!(
            [0.0, 0.000_123, 0.0312, 12.3].map(usd),
            ["$0.00000", "$0.00012", "$0.0312", "$12.30"]
        );
        assert_eq!([0.853, 320.4, 2_400.0].map(time), ["0.85 ms", "320 ms", "2.4 s"]);
        assert_eq!([fit("ab", 4), fit("abcdef", 4)], ["ab  ", "abc…"]);
    }

    #[test]
    fn without_a_terminal_nothing_is_painted() {
        assert_eq!(Paint::Plain.tone(Tone::Bad, "no"), "no");
        assert_eq!(Paint::Colours.tone(Tone::Bad, "no"), "\x1b[31mno\x1b[0m");
    }
}
