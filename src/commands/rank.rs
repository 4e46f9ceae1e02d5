//! `pointsman rank`: which model a prompt would go to, and why.
//!
//! In: a prompt, wishes, a config or a server. Out: a table or JSON; exit code 1 when nobody may
//! serve it. Invariant: calls no provider, spends nothing, logs nothing.

use std::io::Write;
use std::process::ExitCode;

use super::args::RankArgs;
use super::assemble::{self, Served};
use super::paint::{Paint, Tone, time};
use super::scratch::Scratch;
use super::verdict::{self, Screen};
use super::{CommandError, client};
use crate::api::{self, Defaults, proto};
use crate::domain::ChatRequest;
use crate::pipeline::{ArtifactPlaces, FaultPolicy, Learning};
use crate::ranking::Availability;

pub(super) async fn rank(
    args: &RankArgs,
    out: &mut dyn Write,
    paint: Paint,
) -> Result<ExitCode, CommandError> {
    let prompt = client::prompt(&args.prompt)?;
    let request = client::request(&prompt, &args.wish);
    let (response, note) = match &args.server {
        Some(server) => (asked(server, request).await?, None),
        None => ranked_here(args, &prompt, &request)?,
    };
    let refused = response.refusal.is_some();
    if args.json {
        writeln!(out, "{:#}", verdict::json(&response))?;
    } else {
        let mut screen = Screen { out, paint };
        tell(&response, note, args.top, &mut screen)?;
    }
    Ok(if refused { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

async fn asked(
    server: &str,
    request: proto::RouteRequest,
) -> Result<proto::RankResponse, CommandError> {
    let request = proto::RankRequest { request: Some(request) };
    Ok(client::connect(server).await?.rank(request).await?.into_inner())
}

type Noted = (proto::RankResponse, Option<String>);

fn ranked_here(
    args: &RankArgs,
    prompt: &str,
    request: &proto::RouteRequest,
) -> Result<Noted, CommandError> {
    let scratch = Scratch::new()?;
    let log = scratch.log();
    // Nobody is called.
    let (faults, learning, cache) = (FaultPolicy::Refused, Learning::Off, None);
    let (served, defaults, places, note) = match assemble::config(args.config.as_deref()) {
        Ok(it) => {
            let defaults = it.defaults();
            let (fleet, availability, providers) = (it.fleet, it.availability, it.providers);
            let served = Served { fleet, availability, providers, log, faults, learning, cache };
            (served, defaults, it.artifacts, None)
        }
        Err(CommandError::Config(problems))
            if args.config.is_none() && assemble::is_keyless(&problems) =>
        {
            let fleet = assemble::whole_catalog()?;
            let note = format!(
                "No API key in the environment and no --config: ranking all {} models of the \
                 catalog, as if each could be called.",
                fleet.deployments().len()
            );
            let availability = Availability::default();
            let providers = vec![];
            let served = Served { fleet, availability, providers, log, faults, learning, cache };
            (served, Defaults::default(), ArtifactPlaces::default(), Some(note))
        }
        Err(other) => return Err(other),
    };
    let chat = ChatRequest::from_prompt(prompt);
    chat.validate().map_err(CommandError::Invalid)?;
    let policy = api::policy_on_route(&defaults, (request, &chat), &served.fleet);
    let policy = policy.map_err(CommandError::Invalid)?;
    let artifacts = assemble::artifacts(&places.served_only())?;
    let pipeline = assemble::pipeline(artifacts, served)?;
    // The first one also pays for cold caches; the second shows what a server takes.
    pipeline.rank(&chat, &policy)?;
    let decision = pipeline.rank(&chat, &policy)?;
    Ok((api::rank_response(&decision), note))
}

fn tell(
    response: &proto::RankResponse,
    note: Option<String>,
    top: usize,
    screen: &mut Screen<'_>,
) -> std::io::Result<()> {
    if let Some(note) = note {
        writeln!(screen.out, "{}\n", screen.paint.tone(Tone::Faint, note))?;
    }
    let decision = response.decision.clone().unwrap_or_default();
    verdict::decision(&decision, top, screen)?;
    if let Some(refusal) = &response.refusal {
        writeln!(screen.out, "\n{}", screen.paint.tone(Tone::Bad, refusal))?;
    }
    let took = time(decision.decide_us / 1_000.0);
    let line = format!("\ndecided in {took} by artifact {}", decision.artifact_version);
    writeln!(screen.out, "{}", screen.paint.tone(Tone::Faint, line))
}
