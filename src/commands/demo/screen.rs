//! What the demo prints.
//!
//! In: the stage, rows, the summary. Out: lines of at most 120 characters. Invariant: one line per
//! prompt, flushed when it is known; nothing is ever overwritten, so that it reads well in a file.

use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;

use super::cast::{CAST, SPEED_UP};
use super::play::{Called, Place, Row};
use super::stage::Stage;
use super::summary::{Share, Summary};
use crate::commands::paint::{Paint, Tone, fit, time, usd};

/// Places of each ranking that are shown.
const PLACES: usize = 3;
const RANKING_WIDTH: usize = 40;
const CALLS_WIDTH: usize = 42;
/// Longest bar, in characters.
const BAR_WIDTH: f64 = 30.0;

/// Where and how to print.
pub(super) struct Screen<'o> {
    pub(super) out: &'o mut dyn Write,
    pub(super) paint: Paint,
}

type Printed = std::io::Result<()>;

impl Screen<'_> {
    /// Who plays, and the head of the table.
    pub(super) fn opening(&mut self, stage: &Stage) -> Printed {
        self.line(Tone::Strong, "Pointsman demo: four made-up models, one real server, no keys")?;
        let text = format!(
            "\nEach model has the prices and speed of a real one, and the artifact {} predicts for\n\
             that one. Answers are made up, and time runs {SPEED_UP} times faster.\n",
            stage.artifact()
        );
        writeln!(self.out, "{text}")?;
        let heading = format!(
            "{:<15}{:<28}{:<11}{:>9}{:>9}{:>13}{:>13}   {}",
            "model",
            "stands in for",
            "speaks",
            "$/M in",
            "$/M out",
            "first token",
            "tokens/s",
            "fails"
        );
        self.line(Tone::Faint, &heading)?;
        for (role, it) in CAST.iter().zip(stage.fleet().deployments()) {
            writeln!(
                self.out,
                "{:<15}{:<28}{:<11}{:>9.2}{:>9.2}{:>13}{:>13.0}   {}",
                role.name,
                role.plays,
                role.protocol.as_str(),
                it.price.input.usd_per_million(),
                it.price.output.usd_per_million(),
                time(it.speed.ttft_ms * SPEED_UP),
                it.speed.tokens_per_s / SPEED_UP,
                role.faults_in_words
            )?;
        }
        let heading = format!(
            "\n{:>3}  {:<11}{:<RANKING_WIDTH$}{:<CALLS_WIDTH$}{:>9}{:>9}",
            "#", "prompt", "ranking (predicted quality)", "calls", "cost", "took"
        );
        self.line(Tone::Faint, &heading)
    }

    /// One prompt.
    pub(super) fn row(&mut self, number: usize, row: &Row) -> Printed {
        let places: Vec<_> = row.ranking.iter().take(PLACES).map(place).collect();
        let calls: Vec<_> = row.attempts.iter().map(call).collect();
        let calls = if calls.is_empty() { "none".to_owned() } else { calls.join(" → ") };
        let tone = match (&row.served, row.attempts.len()) {
            (Some(_), 1) => Tone::Good,
            (Some(_), _) => Tone::Warn,
            (None, _) => Tone::Bad,
        };
        let calls = self.paint.tone(tone, fit(&calls, CALLS_WIDTH - 1));
        let ranking = fit(&places.join("  "), RANKING_WIDTH - 1);
        let (cost, took) = (usd(row.cost_usd), time(row.total_ms));
        let kind = row.kind;
        writeln!(self.out, "{number:>3}  {kind:<11}{ranking} {calls} {cost:>9}{took:>9}")?;
        self.out.flush()
    }

    /// The summary.
    pub(super) fn closing(&mut self, of: &Summary, log: &Path) -> Printed {
        let (all, took) = (of.requests, of.took.as_secs_f64());
        let heading = format!("\n{} of {all} prompts answered in {took:.1} s", of.answered);
        self.line(Tone::Strong, &heading)?;
        let saved = of.saved() * 100.0;
        let less = if saved >= 0.0 { "less" } else { "more" };
        let cost = format!(
            "{}, {:.0} % {less} than the {} of always asking the best model",
            usd(of.cost_usd),
            saved.abs(),
            usd(of.best_cost_usd)
        );
        self.fact("cost", &cost)?;
        let quality = format!(
            "{:.3} predicted on average; always the best: {:.3}",
            of.quality, of.best_quality
        );
        self.fact("quality", &quality)?;
        self.fact("fallbacks", &fallbacks(of))?;
        let decided =
            format!("{} at the median, {} at most", time(of.decide_ms_p50), time(of.decide_ms_max));
        self.fact("deciding", &decided)?;
        let recorded =
            format!("{} of {all} on disk before their answers, in {}", of.recorded, log.display());
        self.fact("outcomes", &recorded)?;
        for share in &of.served {
            self.bar(share, of.answered)?;
        }
        self.out.flush()
    }

    fn bar(&mut self, share: &Share, all: usize) -> Printed {
        let part = share.count as f64 / all.max(1) as f64;
        let bar = "█".repeat((part * BAR_WIDTH).round() as usize);
        let bar = self.paint.tone(Tone::Good, bar);
        writeln!(self.out, "  {:<15}{:>4.0} %  {bar}", share.name, part * 100.0)
    }

    /// What to type next.
    pub(super) fn what_to_try(&mut self, address: SocketAddr, admin: SocketAddr) -> Printed {
        let heading = format!("\nThe server stays up at http://{address}. From another terminal:");
        self.line(Tone::Strong, &heading)?;
        let message = r#"{"messages":[{"role":"ROLE_USER","parts":[{"text":"Is 391 prime?"}]}],"explain":true}"#;
        let openai = r#"{"model":"auto:cost","stream":true,"messages":[{"role":"user","content":"Is 391 prime?"}]}"#;
        // As it was called, so that the lines work where `cargo run` built it and nothing is installed.
        let program = std::env::args().next().unwrap_or_else(|| "pointsman".to_owned());
        let own = if address.port() == 8080 {
            String::new()
        } else {
            format!(" --server http://{address}")
        };
        let at_admin =
            if admin.port() == 8081 { String::new() } else { format!(" --admin http://{admin}") };
        writeln!(
            self.out,
            "\n  {program} rank --server http://{address} \"Prove that there are infinitely many primes\"\n  \
             {program} route{own} --preference quality \"Say hello in Welsh\"\n  \
             {program} route{own} --max-cost-usd 0.00001 \"Write a long poem\"\n\n  \
             {program} route{own} --stream \"Tell a long story\"\n\n  \
             curl -N http://{address}/v1/chat/completions -H 'content-type: application/json' \\\n    -d '{openai}'\n\n  \
             grpcurl -plaintext {address} pointsman.v1.Pointsman/ListModels\n  \
             grpcurl -plaintext -d '{message}' \\\n    {address} pointsman.v1.Pointsman/Route\n\n  \
             open http://{admin}/ (the dashboard)\n  \
             curl http://{admin}/metrics\n  \
             {program} faults set{at_admin} demo-large=status:503\n"
        )?;
        self.line(Tone::Faint, "Ctrl-C ends it.")?;
        self.out.flush()
    }

    fn fact(&mut self, name: &str, text: &str) -> Printed {
        let name = self.paint.tone(Tone::Faint, format!("{name:<12}"));
        writeln!(self.out, "  {name}{text}")
    }

    fn line(&mut self, tone: Tone, text: &str) -> Printed {
        writeln!(self.out, "{}", self.paint.tone(tone, text))
    }
}

/// A name without what all four share.
fn short(model: &str) -> &str {
    model.trim_start_matches("demo-")
}

fn place(it: &Place) -> String {
    format!("{} {:.2}", short(&it.model), it.quality)
}

fn call(it: &Called) -> String {
    match &it.failure {
        None => format!("{} ✓", short(&it.model)),
        Some(class) => format!("{} {class}", short(&it.model)),
    }
}

fn fallbacks(of: &Summary) -> String {
    let failed: usize = of.failures.iter().map(|it| it.count).sum();
    let classes: Vec<_> =
        of.failures.iter().map(|it| format!("{} {}", it.count, it.name)).collect();
    let list =
        if classes.is_empty() { String::new() } else { format!(" ({})", classes.join(", ")) };
    format!(
        "prompts answered by a later choice: {}; calls that failed: {failed}{list}",
        of.fell_back
    )
}
