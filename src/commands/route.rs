//! `pointsman route`: one prompt through a running server, and what happened on the way.
//!
//! In: a prompt, wishes, a server. Out: the answer, who gave it, every attempt, the cost; exit code
//! 1 when nobody answered. Invariant: what the server told of a failure is shown whole.

use std::io::Write;
use std::process::ExitCode;

use super::args::RouteArgs;
use super::paint::{Paint, Tone, time, usd};
use super::verdict::{self, Screen};
use super::{CommandError, client, faults, stream};
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
    request.faults = args.faults.iter().map(faults::wire).collect();
    let mut screen = Screen { out, paint };
    let mut client = client::connect(&args.server).await?;
    let told = if args.stream {
        stream::route(client, request, screen.out).await
    } else {
        client.route(request).await.map(tonic::Response::into_inner).map_err(Into::into)
    };
    match told {
        Ok(response) => {
            answered(&response, &mut screen)?;
            Ok(ExitCode::SUCCESS)
        }
        Err(CommandError::Status(status)) => match client::failure(&status) {
            Some(failure) => {
                failed(status.message(), &failure, &mut screen)?;
                Ok(ExitCode::FAILURE)
            }
            None => Err(CommandError::Status(status)),
        },
        Err(other) => Err(other),
    }
}

fn answered(of: &proto::RouteResponse, screen: &mut Screen<'_>) -> std::io::Result<()> {
    // A stream's words stand there already.
    if let Some(message) = &of.message {
        writeln!(screen.out, "{}", client::words(message))?;
    }
    writeln!(screen.out)?;
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
    if !of.dropped_parameters.is_empty() {
        let line = format!("not sent, since it lacks them: {}", of.dropped_parameters.join(", "));
        writeln!(screen.out, "{}", screen.paint.tone(Tone::Warn, line))?;
    }
    rest(&of.attempts, of.decision.as_ref(), screen)
}

fn failed(message: &str, of: &proto::RouteFailure, screen: &mut Screen<'_>) -> std::io::Result<()> {
    let line = format!("no answer ({}) after {}: {message}", of.reason, time(of.total_ms));
    writeln!(screen.out, "{}", screen.paint.tone(Tone::Bad, line))?;
    if let Some(partial) = &of.partial {
        let line = format!("{} bytes of text above are valid, but not all", partial.text_bytes);
        writeln!(screen.out, "{}", screen.paint.tone(Tone::Warn, line))?;
    }
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
