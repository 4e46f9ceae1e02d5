//! Every caller's dialect against every provider's protocol: what is asked arrives, and what is
//! answered comes back, or the refusal is the documented one.
//!
//! The table that this prints is the one in `docs/translation.md`: the test fails when they differ,
//! and `UPDATE_DOCS=1 cargo test --test matrix` writes it anew.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may stop on the first surprise")]

mod chat;
mod dialects;
mod grpc;
mod messages;
mod play;
mod responses;
#[path = "../support/mod.rs"]
mod support;

use std::collections::BTreeMap;
use std::path::Path;

use play::{Cell, Face, House};

/// Protocols in the order of the table, and the model that speaks each.
pub(crate) const PROTOCOLS: [&str; 5] = ["openai", "anthropic", "gemini", "ollama", "bedrock"];

/// Rows of the table, in its order.
const CASES: [&str; 9] = [
    "text",
    "system prompt",
    "several turns",
    "image by value",
    "image by URL",
    "tool call and result",
    "parallel tools",
    "JSON schema",
    "stream",
];

const BEGIN: &str = "<!-- matrix: made by tests/matrix, do not edit -->\n";
const END: &str = "<!-- end of matrix -->\n";

#[tokio::test(flavor = "multi_thread")]
async fn every_dialect_reaches_every_protocol() {
    let house = House::start().await;
    let mut cells: BTreeMap<(&str, &str), Vec<(Face, Cell)>> = BTreeMap::new();
    for protocol in PROTOCOLS {
        for case in CASES {
            for face in Face::ALL {
                let cell = house.play(case, face, protocol).await;
                cells.entry((case, protocol)).or_default().push((face, cell));
            }
        }
    }
    house.stop().await;
    let table = table(&cells);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/translation.md");
    let page = std::fs::read_to_string(&path).unwrap();
    let (head, rest) = page.split_once(BEGIN).unwrap();
    let (written, tail) = rest.split_once(END).unwrap();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, format!("{head}{BEGIN}{table}{END}{tail}")).unwrap();
        return;
    }
    assert_eq!(written, table, "docs/translation.md tells otherwise; UPDATE_DOCS=1 writes it anew");
}

/// One row per case, one column per protocol; all faces must agree on a cell.
fn table(cells: &BTreeMap<(&str, &str), Vec<(Face, Cell)>>) -> String {
    let mut table = format!("| | {} |\n|---|{}\n", PROTOCOLS.join(" | "), "---|".repeat(5));
    for case in CASES {
        let row = PROTOCOLS.map(|protocol| {
            let faces = &cells[&(case, protocol)];
            let first = &faces[0].1;
            for (face, cell) in faces {
                assert_eq!(cell, first, "{case}, {protocol}: {face:?} differs");
            }
            first.to_string()
        });
        table.push_str(&format!("| {case} | {} |\n", row.join(" | ")));
    }
    table
}
