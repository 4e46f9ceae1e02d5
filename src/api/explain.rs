//! A decision in words, for people.
//!
//! In: a [`Decision`]. Out: a few sentences with the figures that decided. Not here: the figures
//! for programs, which are in the decision itself.

use crate::pipeline::Decision;
use crate::prediction::CachedInput;
use crate::ranking::{Excluded, Ranked, Ranking};

/// Most candidates put into words; the rest are counted.
const LINES_MAX: usize = 8;

/// The decision in words, one line for each candidate.
pub(super) fn explanation(of: &Decision) -> String {
    match &of.verdict {
        Ok(ranking) => explain_ranking(ranking),
        Err(refusal) => format!("{refusal}\n{}", excluded_lines(&refusal.excluded)),
    }
}

fn explain_ranking(ranking: &Ranking) -> String {
    let line = |(at, it): (usize, &Ranked)| {
        let expected = &it.prediction;
        format!(
            "{}. {}: quality {:.3} at ${:.6} and {:.0} ms gives a utility of {:.4}{}{}\n",
            at + 1,
            it.deployment.id,
            expected.quality.mean.get(),
            expected.expected_cost_usd(),
            expected.latency_s.mean() * 1_000.0,
            it.utility,
            session(it),
            standing(it, ranking),
        )
    };
    let taken = ranking.taken.as_ref().map(|it| {
        let branch: Vec<_> = it.branch.iter().map(|it| format!(" > {it}")).collect();
        format!("route {}{}\n", it.route, branch.concat())
    });
    let lines =
        taken.into_iter().chain(ranking.entries.iter().enumerate().take(LINES_MAX).map(line));
    let lines: String = lines.collect();
    let more = rest(ranking.entries.len());
    format!("{lines}{more}{}", excluded_lines(&ranking.excluded))
}

/// What its cost has from the session's last turn.
fn session(of: &Ranked) -> String {
    match of.prediction.cached {
        CachedInput { tokens, saves_usd } if saves_usd > 0.0 => {
            format!(" ({tokens:.0} tokens expected from its cache save ${saves_usd:.6})")
        }
        CachedInput { .. } => String::new(),
    }
}

/// Why it stands where it does, where that is not its utility; and how likely it was to be first, where
/// that was drawn.
fn standing(of: &Ranked, ranking: &Ranking) -> String {
    let chance = of.propensity.get();
    let explored = ranking.entries.iter().filter(|it| it.propensity.get() > 0.0).count() > 1;
    match &of.shut {
        Some(why) => format!(" ({why}: only when nobody else is left)"),
        None if of.deployment.last_resort => " (last resort)".to_owned(),
        None if explored => format!(" (first with a chance of {:.2} %)", 100.0 * chance),
        None => String::new(),
    }
}

fn excluded_lines(excluded: &[Excluded]) -> String {
    let line = |it: &Excluded| {
        let reasons: Vec<_> = it.reasons.iter().map(ToString::to_string).collect();
        format!("excluded {}: {}\n", it.deployment, reasons.join("; "))
    };
    let lines: String = excluded.iter().take(LINES_MAX).map(line).collect();
    lines + &rest(excluded.len())
}

fn rest(count: usize) -> String {
    match count.saturating_sub(LINES_MAX) {
        0 => String::new(),
        more => format!("and {more} more\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::testing;
    use crate::domain::Probability;

    #[test]
    fn a_refusal_names_every_candidate() {
        let words = explanation(&testing::refused());
        assert!(words.contains("excluded small@one: not among the candidates allowed"), "{words}");
    }

    #[test]
    fn a_ranking_gives_the_figures() {
        let mut decided = testing::decided();
        let words = explanation(&decided);
        assert!(words.starts_with("1. small@one: quality 0.500 at $0.001"), "{words}");
        assert!(!words.contains("chance"), "{words}");
        let Ok(ranking) = &mut decided.verdict else { unreachable!() };
        ranking.entries.push(ranking.entries[0].clone());
        ranking.entries[0].propensity = Probability::clamped(0.025);
        let words = explanation(&decided);
        assert!(words.contains("(first with a chance of 2.50 %)\n"), "{words}");
    }
}
