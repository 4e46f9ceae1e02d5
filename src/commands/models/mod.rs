//! `pointsman models`: encoders other than the one in this binary.
//!
//! In: a repository, a folder. Out: what was pulled and how to use it; what is there; whether it is as it
//! was. Invariant: the token comes from `HF_TOKEN` alone and is never printed. Not here: how it is
//! fetched (see [`crate::hub`]).

pub(super) mod args;
mod show;

use std::io::{IsTerminal, Write};
use std::path::Path;
use std::process::ExitCode;

use secrecy::SecretString;

use super::CommandError;
use crate::encoder::{Encoder, Exit};
use crate::hub::{self, Done, HUB_DEFAULT, Hub, Order, State, Step};
use args::{ListArgs, ModelsCommand, PullArgs, ROOT, VerifyArgs};
use show::{Manner, Progress};

pub(super) async fn models(
    what: &ModelsCommand,
    out: &mut dyn Write,
) -> Result<ExitCode, CommandError> {
    match what {
        ModelsCommand::Pull(args) => pull(args, out).await,
        ModelsCommand::List(args) => list(args, out),
        ModelsCommand::Verify(args) => verify(args, out),
    }
}

async fn pull(args: &PullArgs, out: &mut dyn Write) -> Result<ExitCode, CommandError> {
    let named = args.into.clone();
    let into = named.unwrap_or_else(|| hub::folder_of(Path::new(ROOT), &args.name));
    let live = std::io::stdout().is_terminal();
    let mut progress = Progress::new(out, if live { Manner::Live } else { Manner::Lines });
    let mut tell = |step: Step<'_>| progress.tell(&step);
    let sha256 = args.sha256.clone();
    let done = match &args.from {
        Some(from) => hub::copy(from, (&args.name, &into), sha256.as_deref(), &mut tell)?,
        None => {
            let set = |name: &str| std::env::var(name).ok().filter(|it| !it.trim().is_empty());
            let address = args.hub.clone().or_else(|| set("HF_ENDPOINT"));
            let token = set("HF_TOKEN").map(SecretString::from);
            let hub = Hub::new(address.as_deref().unwrap_or(HUB_DEFAULT), token.as_ref())?;
            let (name, revision) = (args.name.clone(), args.revision.clone());
            let order = Order { name, revision, into: into.clone(), sha256 };
            hub::pull(&hub, &order, &mut tell).await?
        }
    };
    tell_done(&done, &into, out)?;
    Ok(ExitCode::SUCCESS)
}

fn tell_done(done: &Done, into: &Path, out: &mut dyn Write) -> std::io::Result<()> {
    let Done { pulled, encoder } = done;
    let (layers, width) = (encoder.number(Exit::Last), encoder.width());
    let commit = pulled.commit.as_ref().map(|it| format!(" at {it}")).unwrap_or_default();
    writeln!(out, "\n{}{commit}: {layers} layers, {width} floats", pulled.name)?;
    writeln!(out, "train for it:  pointsman-train fit --encoder {} --data ...", into.display())?;
    writeln!(out, "serve with it: [encoder]\n               path = \"{}\"", into.display())
}

fn list(args: &ListArgs, out: &mut dyn Write) -> Result<ExitCode, CommandError> {
    let shipped = Encoder::shipped()?;
    writeln!(out, "{} (in this binary)", shipped.name())?;
    for (folder, pulled) in hub::list(&args.root)? {
        let bytes: u64 = pulled.files.iter().map(|it| it.size).sum();
        let size = show::size(bytes);
        writeln!(out, "{}  {} ({size})", folder.display(), pulled.name)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn verify(args: &VerifyArgs, out: &mut dyn Write) -> Result<ExitCode, CommandError> {
    let (pulled, findings) = hub::verify(&args.folder)?;
    let mut sound = true;
    for finding in findings {
        let state = match finding.state {
            State::Sound => "sound".to_owned(),
            State::Missing => "MISSING".to_owned(),
            State::Changed { found } => format!("CHANGED: SHA-256 is {found}"),
        };
        sound &= state == "sound";
        writeln!(out, "{}  {state}", finding.path)?;
    }
    if !sound {
        writeln!(out, "\n{} is not what was pulled; pull it again", pulled.name)?;
        return Ok(ExitCode::FAILURE);
    }
    // Sound files may still be of a kind that another version of this program took.
    Encoder::open(&args.folder)?;
    writeln!(out, "\n{} is as it was pulled, and can be used", pulled.name)?;
    Ok(ExitCode::SUCCESS)
}
