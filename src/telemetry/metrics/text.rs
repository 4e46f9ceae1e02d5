//! The text of `/metrics`, in the two forms that scrapers read.
//!
//! In: a registry, the form that is accepted. Out: text. Invariant: both forms tell the same figures.

use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;

/// A form of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exposition {
    /// Prometheus' own, 0.0.4: for people, and for tools that read nothing else.
    Text,
    /// OpenMetrics 1.0.
    OpenMetrics,
}

impl Exposition {
    /// The form for an `accept` header. Prometheus names OpenMetrics first.
    pub fn accepted(header: &str) -> Self {
        if header.contains("application/openmetrics-text") { Self::OpenMetrics } else { Self::Text }
    }

    /// Its content type.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// Writes everything.
pub(super) fn write(registry: &Registry, format: Exposition) -> String {
    let mut text = String::new();
    if let Err(error) = encode(&mut text, registry) {
        // Writing into a string does not fail; a label that cannot be written would be our mistake.
        tracing::error!(%error, "the metrics cannot be written");
    }
    match format {
        Exposition::OpenMetrics => text,
        Exposition::Text => plain(&text),
    }
}

/// OpenMetrics as 0.0.4 has it: there a counter's family has the name of its samples, `_total` and
/// all, and no mark stands at the end.
fn plain(open: &str) -> String {
    let mut text = String::with_capacity(open.len());
    let lines: Vec<_> = open.lines().collect();
    for (at, line) in lines.iter().enumerate() {
        let kind =
            if line.starts_with("# HELP ") { lines.get(at + 1).unwrap_or(line) } else { line };
        let counter = kind.starts_with("# TYPE ") && kind.ends_with(" counter");
        match line.splitn(4, ' ').collect::<Vec<_>>()[..] {
            ["#", "EOF"] => {}
            ["#", what, name, rest] if counter => {
                text.push_str(&format!("# {what} {name}_total {rest}\n"));
            }
            _ => {
                text.push_str(line);
                text.push('\n');
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_have_their_samples_name() {
        let open = "# HELP a_b Some counter help.\n# TYPE a_b counter\na_b_total{c=\"d\"} 1\n\
                    # HELP g A gauge.\n# TYPE g gauge\ng 2\n# EOF\n";
        let wanted = "# HELP a_b_total Some counter help.\n# TYPE a_b_total counter\n\
                      a_b_total{c=\"d\"} 1\n# HELP g A gauge.\n# TYPE g gauge\ng 2\n";
        assert_eq!(plain(open), wanted);
    }

    #[test]
    fn the_form_is_the_one_that_is_accepted() {
        let check = |header: &str, wanted| assert_eq!(Exposition::accepted(header), wanted);
        check("", Exposition::Text);
        check("text/plain;version=0.0.4", Exposition::Text);
        // Prometheus 2.42.
        let header = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5";
        check(header, Exposition::OpenMetrics);
    }
}
