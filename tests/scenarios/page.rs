//! The page of the table, for users: `docs/failures.md`.
//!
//! In: the rows, as they were played. Out: a table in Markdown, compared with the page.

use std::path::Path;

use super::scene::{End, Row, Way};

const BEGIN: &str = "<!-- scenarios: made by tests/scenarios, do not edit -->\n";
const END: &str = "<!-- end of scenarios -->\n";

/// Fails when the page tells otherwise, or writes it.
pub(crate) fn compare(rows: &[Row]) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/failures.md");
    let page = std::fs::read_to_string(&path).unwrap();
    let (head, rest) = page.split_once(BEGIN).unwrap();
    let (written, tail) = rest.split_once(END).unwrap();
    let table = table(rows);
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, format!("{head}{BEGIN}{table}{END}{tail}")).unwrap();
        return;
    }
    assert_eq!(written, table, "docs/failures.md tells otherwise; UPDATE_DOCS=1 writes it anew");
}

fn table(rows: &[Row]) -> String {
    let mut table = "| class | at the provider | fails once | fails always | all fail |\n\
                     |---|---|---|---|---|\n"
        .to_owned();
    for row in rows {
        let cells = row.walks.map(|it| cell(it, row.end)).join(" | ");
        let way = match row.ways {
            [Way::Whole] => " (whole answers)",
            [Way::Stream] => " (streams)",
            _ => "",
        };
        table.push_str(&format!("| `{}` | {}{way} | {cells} |\n", row.class, row.cause));
    }
    table
}

/// What the caller sees, and the calls that were made.
fn cell(walk: &str, end: End) -> String {
    if walk.is_empty() {
        return "-".to_owned();
    }
    let (walk, fails) = walk.strip_suffix('!').map_or((walk, false), |it| (it, true));
    let (calls, more) = walk.strip_suffix('*').map_or((walk, ""), |it| (it, " and more"));
    let calls: Vec<_> = calls.chars().map(String::from).collect();
    let calls = format!("{}{more}", calls.join(" "));
    if !fails {
        return format!("answer; {calls}");
    }
    let (End::Told(http, grpc) | End::Broken(http, grpc)) = end;
    let (status, code) = http.rsplit_once(' ').unwrap_or((http, ""));
    let (name, reason) = grpc.split_once(' ').unwrap_or((grpc, ""));
    format!("HTTP {status} `{code}`, gRPC `{name}` `{reason}`; {calls}")
}
