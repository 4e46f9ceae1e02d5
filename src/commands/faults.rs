//! `pointsman faults`: drills on a running server.
//!
//! In: which calls are to fail, and how. Out: what holds from now on. Invariant: the server decides
//! whether it is allowed. Not here: what a fault does (see docs/drills.md).

use std::io::Write;
use std::time::Duration;

use super::args::{FaultsCommand, Forced};
use super::{CommandError, client};
use crate::api::proto::pointsman_admin_client::PointsmanAdminClient;
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
            admin(&args.at.server).await?.set_faults(request).await?
        }
        FaultsCommand::List(at) => {
            admin(&at.server).await?.list_faults(proto::ListFaultsRequest {}).await?
        }
        FaultsCommand::Clear(at) => {
            admin(&at.server).await?.clear_faults(proto::ClearFaultsRequest {}).await?
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

async fn admin(
    server: &str,
) -> Result<PointsmanAdminClient<tonic::transport::Channel>, CommandError> {
    client::channel(server).await.map(PointsmanAdminClient::new)
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
    use super::*;

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
}
