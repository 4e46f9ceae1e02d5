//! What is typed, and what is made of it.

use clap::CommandFactory;

use super::*;

#[test]
fn the_command_line_is_sound() {
    Cli::command().debug_assert();
}

#[test]
fn what_is_typed_is_understood_or_refused_with_the_reason() {
    let check = |line: &str, wanted: Result<(), &str>| {
        let read = Cli::try_parse_from(line.split_whitespace()).map(|_| ());
        match (read.map_err(|it| it.to_string()), wanted) {
            (Ok(()), Ok(())) => {}
            (Err(message), Err(part)) => assert!(message.contains(part), "{line}: {message}"),
            (read, _) => panic!("{line}: {read:?}"),
        }
    };
    check("pointsman serve --listen 127.0.0.1:0", Ok(()));
    check("pointsman serve --listen 8080", Err("--listen"));
    check("pointsman serve --admin-listen off", Ok(()));
    check("pointsman serve --admin-listen on", Err("--admin-listen"));
    check("pointsman check --config a.toml --json", Ok(()));
    check("pointsman rank - --preference cost --max-cost-usd 0.01 --top 3", Ok(()));
    check("pointsman route hi --stream --max-latency-ms 9000", Ok(()));
    check("pointsman route hi --fault *=stall:20 --fault a@b=reset", Ok(()));
    check("pointsman route hi --fault reset", Err("TARGET=FAULT"));
    check("pointsman faults set a=auth b=quota --ttl 30m --times 3 --admin c:1", Ok(()));
    check("pointsman faults set", Err("TARGET=FAULT"));
    check("pointsman faults set a=sneeze", Err("sneeze"));
    check("pointsman faults list", Ok(()));
    check("pointsman faults clear --server http://b", Ok(()));
    check("pointsman artifact status", Ok(()));
    check("pointsman artifact rollback --server c:1", Ok(()));
    check("pointsman artifact undo", Err("undo"));
    check("pointsman rank hi --preference cheap", Err("balanced"));
    check("pointsman rank hi --config a --server http://b", Err("cannot be used with"));
    check("pointsman export --to s3://bucket/path --config a.toml --json", Ok(()));
    check("pointsman outcomes delete --metadata user=4=2 --log a.db", Ok(()));
    check("pointsman outcomes delete --metadata user", Err("KEY=VALUE"));
    check("pointsman outcomes delete", Err("--metadata"));
    check("pointsman outcomes summary --by metadata.city --where team=a=b --since 7d", Ok(()));
    check("pointsman outcomes summary --by city", Err("metadata.NAME"));
    let two = "pointsman outcomes delete --metadata a=b --log c --server d";
    check(two, Err("cannot be used with"));
    check("pointsman simulate --models a,b --faults status:503=0.02 --script reset*3", Ok(()));
    check("pointsman simulate --model a --model b", Ok(()));
    check("pointsman simulate --models a --faults sneeze=0.1", Err("sneeze"));
    check("pointsman simulate --models a --flap 10:5", Ok(()));
    check("pointsman simulate --models a --flap ten", Err("HEALTHY:FAILING"));
    check("pointsman simulate --models a --tokens-per-s 0", Err("above zero"));
    check("pointsman models pull BAAI/bge-small-en-v1.5 --into x --revision v1", Ok(()));
    check("pointsman models pull a/b/c", Err("not a repository's name"));
    check("pointsman models pull ../b", Err("not a repository's name"));
    check("pointsman models pull a --sha256 12", Err("64"));
    check("pointsman models pull a --from x --hub http://y", Err("cannot be used with"));
    check("pointsman models verify", Err("FOLDER"));
    check("pointsman keys list --store a --config b", Err("cannot be used with"));
    check("pointsman demo --requests 0", Err("--requests"));
    check("pointsman demo --exit --seed 3", Ok(()));
}
