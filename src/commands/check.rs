//! `pointsman check`: every problem of a config at once, or what it would serve.
//!
//! In: a config file or the environment. Out: text or JSON; exit code 1 where there are problems.
//! Invariant: starts nothing, calls nobody, writes no file.

use std::io::Write;
use std::process::ExitCode;

use serde_json::{Value, json};

use super::CommandError;
use super::args::CheckArgs;
use super::assemble;
use crate::catalog::Deployment;
use crate::config::{Config, Problems};
use crate::domain::RouteName;
use crate::encoder::{Encoder, Exit};
use crate::ranking::{Availability, Unavailable};

pub(super) fn check(args: &CheckArgs, out: &mut dyn Write) -> Result<ExitCode, CommandError> {
    let config = match assemble::config(args.config.as_deref()) {
        Ok(config) => config,
        Err(CommandError::Config(problems)) => {
            tell_problems(&problems, args, out)?;
            return Ok(ExitCode::FAILURE);
        }
        Err(other) => return Err(other),
    };
    let encoder = assemble::artifacts(&config.artifacts)?.encoder();
    match args.json {
        true => writeln!(out, "{:#}", summary_json(&config, &encoder))?,
        false => summary(&config, &encoder, out)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn tell_problems(
    problems: &Problems,
    args: &CheckArgs,
    out: &mut dyn Write,
) -> std::io::Result<()> {
    if !args.json {
        return writeln!(out, "{problems}\n{} problem(s)", problems.iter().len());
    }
    let each = problems.iter().map(|it| {
        json!({ "path": it.place.path, "line": it.place.line, "message": it.fault.to_string() })
    });
    writeln!(out, "{:#}", json!({ "ok": false, "problems": each.collect::<Vec<_>>() }))
}

fn summary(config: &Config, encoder: &Encoder, out: &mut dyn Write) -> std::io::Result<()> {
    for line in &config.found {
        writeln!(out, "{line}")?;
    }
    let all = config.fleet.deployments();
    let width = all.iter().map(|it| it.id.as_str().len()).max().unwrap_or(0);
    writeln!(out)?;
    for it in all {
        let state = state(it, &config.availability);
        let resort = if it.last_resort { ", last resort" } else { "" };
        writeln!(out, "{:<width$}  {state}{resort}", it.id.as_str())?;
    }
    if !config.routes.named.is_empty() {
        writeln!(out, "\nroutes: {}", routes(config).join(", "))?;
    }
    let (layers, width) = (encoder.number(Exit::Last), encoder.width());
    writeln!(out, "\nencoder: {}, {layers} layers, {width} floats", encoder.name())?;
    let ready = all.iter().filter(|it| config.availability.of(&it.id).is_none()).count();
    writeln!(
        out,
        "{ready} of {} deployments ready, {} models; would listen on {}, outcomes in {}",
        all.len(),
        config.fleet.models().len(),
        config.listen,
        config.log.store
    )
}

/// The routes by name; which of them is the default is said.
fn routes(config: &Config) -> Vec<String> {
    let default = config.routes.default.as_ref().map(|it| &it.name);
    let told = |it: &RouteName| {
        if Some(it) == default { format!("{it} (the default)") } else { it.to_string() }
    };
    config.routes.named.keys().map(told).collect()
}

fn state(deployment: &Deployment, availability: &Availability) -> String {
    match availability.of(&deployment.id) {
        None => "ready".to_owned(),
        Some(Unavailable::NoKey(place)) => format!("no key: {place} is not set"),
        Some(why @ (Unavailable::Shut { .. } | Unavailable::Full { .. })) => why.to_string(),
    }
}

fn summary_json(config: &Config, encoder: &Encoder) -> Value {
    let each = config.fleet.deployments().iter().map(|it| {
        json!({
            "id": it.id.as_str(),
            "model": it.model.name.as_str(),
            "provider": it.provider.as_str(),
            "ready": config.availability.of(&it.id).is_none(),
            "state": state(it, &config.availability),
            "last_resort": it.last_resort,
        })
    });
    json!({
        "ok": true,
        "listen": config.listen.to_string(),
        "outcomes": config.log.store.to_string(),
        "found": config.found,
        "routes": config.routes.named.keys().collect::<Vec<_>>(),
        "encoder": {
            "name": encoder.name(),
            "layers": encoder.number(Exit::Last),
            "floats": encoder.width(),
        },
        "deployments": each.collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(text: &str, json: bool) -> (ExitCode, String) {
        let folder = super::super::scratch::Scratch::new().unwrap();
        let path = folder.path().join("pointsman.toml");
        std::fs::write(&path, text).unwrap();
        let mut out = Vec::new();
        let code = check(&CheckArgs { config: Some(path), json }, &mut out).unwrap();
        (code, String::from_utf8(out).unwrap())
    }

    const GOOD: &str = "[[provider]]\nname = \"house\"\nbase_url = \"http://127.0.0.1:9/v1\"\n\
                        [[model]]\nname = \"gpt-4o-mini\"\n[[model.deployment]]\n\
                        provider = \"house\"\nmodel_id = \"x\"\n";
    const BAD: &str = "[server]\nlisten = \"nowhere\"\n[polcy]\n";

    #[test]
    fn problems_are_told_with_their_places_and_a_failing_code() {
        let (code, text) = run(BAD, false);
        assert_eq!(code, ExitCode::FAILURE);
        assert!(text.contains("server.listen (line 2)") && text.contains("polcy"), "{text}");
        let (code, text) = run(BAD, true);
        let json: Value = serde_json::from_str(&text).unwrap();
        assert_eq!((code, json["ok"].as_bool()), (ExitCode::FAILURE, Some(false)));
        assert!(json["problems"].as_array().is_some_and(|it| it.len() >= 2), "{text}");
    }

    #[test]
    fn a_sound_config_is_summed_up() {
        let (code, text) = run(GOOD, false);
        assert_eq!(code, ExitCode::SUCCESS);
        assert!(text.contains("gpt-4o-mini@house  ready"), "{text}");
        assert!(text.contains("1 of 1 deployments ready"), "{text}");
        let json: Value = serde_json::from_str(&run(GOOD, true).1).unwrap();
        assert_eq!(json["deployments"][0]["ready"], true);
    }
}
