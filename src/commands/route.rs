//! `pointsman route`: one prompt through a running server, and what happened on the way.
//!
//! In: a prompt, wishes, a server. Out: the answer, who gave it, every attempt, the cost; exit code
//! 1 when nobody answered. Invariant: what the server told of a failure is shown whole.

use std::io::Write;
use std::process::ExitCode;

use super::args::RouteArgs;
use super::paint::{Paint, Tone, time, usd};
use super::verdict::{self, Screen};
use super::{CommandError, client};
use crate::api::proto;

/// Places of the ranking shown beside an answer; `pointsman rank` shows more.
const TOP: usize = 5;

pub(super) async fn route(
    args: &RouteArgs,
    out: &mut dyn Write,
    paint: Paint,
) -> Result<ExitCode, CommandError> {
    let mut request = client::request(&client::prompt(&args.prompt)?, &args.wish);
    let max_output_tokens = args.max_output_tokens;
    request.sampling = Some(proto::Sampling { max_output_tokens, ..Default::default() });
    let mut screen = Screen { out, paint };
    match client::connect(&args.server).await?.route(request).await {
        Ok(response) => {
            answered(&response.into_inner(), &mut screen)?;
            Ok(ExitCode::SUCCESS)
        }
        Err(status) => match client::failure(&status) {
            Some(failure) => {
                failed(status.message(), &failure, &mut screen)?;
                Ok(ExitCode::FAILURE)
            }
            None => Err(status.into()),
        },
    }
}

fn answered(of: &proto::RouteResponse, screen: &mut Screen<'_>) -> std::io::Result<()> {
    let words = of.message.as_ref().map(client::words).unwrap_or_default();
    writeln!(screen.out, "{words}\n")?;
    let usage = of.usage.unwrap_or_default();
    let line = format!(
        "served by {} in {} for {} ({} tokens in, {} out)",
        of.deployment,
        time(of.total_ms),
        usd(of.cost_usd),
        usage.input_tokens,
        usage.output_tokens
    );
    writeln!(screen.out, "{}", screen.paint.tone(Tone::Strong, line))?;
    rest(&of.attempts, of.decision.as_ref(), screen)
}

fn failed(message: &str, of: &proto::RouteFailure, screen: &mut Screen<'_>) -> std::io::Result<()> {
    let line = format!("no answer ({}) after {}: {message}", of.reason, time(of.total_ms));
    writeln!(screen.out, "{}", screen.paint.tone(Tone::Bad, line))?;
    writeln!(screen.out, "{} spent", usd(of.cost_usd))?;
    rest(&of.attempts, of.decision.as_ref(), screen)
}

fn rest(
    attempts: &[proto::Attempt],
    decision: Option<&proto::Decision>,
    screen: &mut Screen<'_>,
) -> std::io::Result<()> {
    if !attempts.is_empty() {
        writeln!(screen.out, "\nattempts")?;
        verdict::attempts(attempts, screen)?;
    }
    let Some(decision) = decision else { return Ok(()) };
    let took = time(decision.decide_us / 1_000.0);
    writeln!(screen.out, "\ndecision {} (in {took})", decision.id)?;
    verdict::decision(decision, TOP, screen)
}
