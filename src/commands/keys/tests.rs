//! Keys as operators make, see and revoke them.

use clap::Parser as _;

use super::*;
use crate::access::{Demand, Gate, KeyText, Unauthenticated};
use crate::commands::args::{Cli, Command};

fn run(store: &Path, line: &str) -> Result<String, String> {
    let store = store.to_str().unwrap();
    let typed = ["pointsman", "keys"].into_iter().chain(line.split(' ')).chain(["--store", store]);
    let cli = Cli::try_parse_from(typed).map_err(|it| it.to_string())?;
    let Command::Keys(command) = cli.command else { panic!("another command") };
    let mut out = Vec::new();
    keys(&command, &mut out).map_err(|it| it.to_string())?;
    Ok(String::from_utf8(out).unwrap())
}

#[test]
fn a_key_is_shown_once_works_and_ends() {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("keys.db");
    let all = "create --name bot --team search --models a,b --policies cost --admin --expires 30d \
               --requests-per-minute 5 --tokens-per-minute 900 --spend-per-day 1.5 \
               --spend-per-month 20";
    let told = run(&store, &all.replace("  ", " ")).unwrap();
    let key = told.lines().next().unwrap();
    let gate = Gate::open(&store, Demand::Required, std::sync::Arc::new(|| 0)).unwrap();
    let caller = gate.caller(Some(KeyText::new(key))).unwrap().unwrap();
    assert_eq!((caller.team(), caller.scope().role), ("search", Role::Admin));
    let id = caller.key().to_string();
    let listed = run(&store, "list").unwrap();
    let wanted = "bot of search: expires in ";
    assert!(listed.contains(wanted) && listed.contains(&id), "{listed}");
    for part in [
        "admin, models a,b, policies cost, 5 requests/min, 900 tokens/min",
        "at most $1.500000 a day, at most $20.000000 a month",
    ] {
        assert!(listed.contains(part), "{listed}");
    }
    let json = run(&store, "list --json").unwrap();
    let secret = &key["pm-".len() + id.len()..];
    assert!(!listed.contains(secret) && !json.contains(secret));
    run(&store, &format!("revoke {id}")).unwrap();
    gate.refresh().unwrap();
    let revoked = gate.caller(Some(KeyText::new(key))).err();
    assert_eq!(revoked, Some(Unauthenticated::Revoked));
    let again = run(&store, &format!("revoke {id}")).unwrap_err();
    assert!(again.contains(&id), "{again}");
    assert!(run(&store, "list").unwrap().contains("revoked"));
}

#[test]
fn a_team_has_limits_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("keys.db");
    let told = run(&store, "team ads --spend-per-day 2").unwrap();
    assert_eq!(told, "ads: at most $2.000000 a day\n");
    assert!(run(&store, "list").unwrap().contains("team ads: at most $2.000000 a day; spent $0"));
    assert_eq!(run(&store, "team ads").unwrap(), "ads: no limit on spending\n");
}

#[test]
fn what_is_typed_wrong_is_told_and_no_key_repeated() {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("keys.db");
    let check = |line: &str, wanted: &str| {
        let told = run(&store, line).unwrap_err();
        assert!(told.contains(wanted), "{line}: {told}");
    };
    check("create --name a", "--team");
    check("create --name a --team b --requests-per-minute 0", "--requests-per-minute");
    check("create --name a --team b --spend-per-day=-1", "must be a number, zero or more");
    check("create --name a --team b --expires soon", "--expires");
    check("revoke x", "`keys list` shows them");
    check("revoke abcdefghijk", "abcdefghijk");
}
