//! `pointsman faults`: drills on a running server.
//!
//! In: which calls are to fail, and how. Out: what holds from now on. Invariant: the server decides
//! whether it is allowed. Not here: what a fault does (see docs/drills.md).

use std::io::Write;
use std::time::Duration;

use super::CommandError;
use super::args::{FaultsCommand, Forced};
use super::operator::admin;
use crate::api::proto::{self, FaultsResponse};

pub(super) async fn faults(what: &FaultsCommand, out: &mut dyn Write) -> Result<(), CommandError> {
    let told = match what {
        FaultsCommand::Set(args) => {
            let mut faults: Vec<_> = args.faults.iter().map(wire).collect();
            for fault in &mut faults {
                (fault.times, fault.probability) = (args.times, args.probability);
            }
            let ttl_ms = u64::try_from(args.ttl.as_millis()).unwrap_or(u64::MAX);
            let request = proto::SetFaultsRequest { faults, ttl_ms: Some(ttl_ms) };
            admin(&args.at.admin).await?.set_faults(request).await?
        }
        FaultsCommand::List(at) => {
            admin(&at.admin).await?.list_faults(proto::ListFaultsRequest {}).await?
        }
        FaultsCommand::Clear(at) => {
            admin(&at.admin).await?.clear_faults(proto::ClearFaultsRequest {}).await?
        }
    };
    tell(&told.into_inner(), out)?;
    Ok(())
}

/// A failure as it is asked for.
pub(super) fn wire(of: &Forced) -> proto::ForcedFault {
    let (target, fault) = (of.target.clone(), of.fault.to_string());
    proto::ForcedFault { target, fault, ..Default::default() }
}

fn tell(of: &FaultsResponse, out: &mut dyn Write) -> std::io::Result<()> {
    if of.faults.is_empty() {
        return writeln!(out, "no failures are forced");
    }
    for standing in &of.faults {
        let forced = standing.fault.clone().unwrap_or_default();
        let mut line = format!("{} fails with {}", forced.target, forced.fault);
        if let Some(times) = forced.times {
            line += &format!(", {times} times");
        }
        if let Some(chance) = forced.probability {
            line += &format!(", with a chance of {chance}");
        }
        writeln!(out, "{line}: {} calls so far", standing.struck)?;
    }
    let left = Duration::from_secs(of.left_ms.div_ceil(1_000));
    writeln!(out, "all is well again in {}", humantime::format_duration(left))
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::commands::args::Cli;
    use crate::domain::{Fault, parse_fault};

    const PAGE: &str = include_str!("../../docs/drills.md");

    #[test]
    fn what_holds_is_told() {
        let check = |faults: Vec<proto::StandingFault>, wanted: &str| {
            let mut out = Vec::new();
            tell(&FaultsResponse { faults, left_ms: 89_200 }, &mut out).unwrap();
            assert_eq!(String::from_utf8(out).unwrap(), wanted);
        };
        check(vec![], "no failures are forced\n");
        let (target, fault) = ("*".to_owned(), "status:503".to_owned());
        let forced = proto::ForcedFault { target, fault, times: Some(3), probability: Some(0.5) };
        let standing = proto::StandingFault { fault: Some(forced), struck: 2 };
        let wanted = "* fails with status:503, 3 times, with a chance of 0.5: 2 calls so far\n\
                      all is well again in 1m 30s\n";
        check(vec![standing], wanted);
    }

    #[test]
    fn the_page_tells_every_fault_and_its_commands_are_understood() {
        let rows = PAGE.lines().filter(|it| it.starts_with("| `"));
        let cells: Vec<_> = rows.filter_map(|it| it.split('|').nth(1)).collect();
        let told: Vec<Fault> = cells
            .iter()
            .flat_map(|it| it.split('`').skip(1).step_by(2))
            .map(|it| parse_fault(it).unwrap_or_else(|error| panic!("{error}")))
            .collect();
        let kinds = |all: &[Fault]| {
            let name = |it: &Fault| it.to_string().split(':').next().unwrap().to_owned();
            all.iter().map(name).collect::<std::collections::BTreeSet<_>>()
        };
        // The error of an unknown name lists all there are.
        let all = parse_fault("?").unwrap_err().to_string();
        let names = all.split("there are: ").nth(1).unwrap().split(", ");
        let names: Vec<_> = names.map(|it| it.split(':').next().unwrap().to_owned()).collect();
        assert_eq!(kinds(&told).into_iter().collect::<Vec<_>>(), {
            let mut names = names;
            names.sort();
            names
        });
        let commands: Vec<_> = PAGE.lines().filter(|it| it.starts_with("pointsman ")).collect();
        assert_eq!(commands.len(), 7);
        for command in commands {
            let words = command.replace('"', "");
            let read = Cli::try_parse_from(words.split_whitespace());
            assert!(read.is_ok(), "{command}: {}", read.err().unwrap());
        }
    }
}
