//! The shape of the tree, held by tests: layers point one way, files and functions stay small,
//! every file says what it is, and nothing lies about at the top.
//!
//! In: the source files as text. Out: every fault at once, with its file and line. Invariant: a new
//! module or a new top-level entry fails until it has its place in a table below. Not here: what
//! clippy and rustfmt know.
#![allow(clippy::unwrap_used, reason = "a test may stop on the first surprise")]

use std::path::{Path, PathBuf};

/// The layers of `pointsman`, lowest first. A module names only modules of rows above its own.
const LAYERS: [&[&str]; 14] = [
    &["domain"],
    &["catalog", "access"],
    &["features", "encoder"],
    &["prediction"],
    &["ranking"],
    &["providers"],
    &["dispatch"],
    &["outcome"],
    &["telemetry"],
    &["pipeline"],
    &["api"],
    &["config"],
    &["simulator", "hub", "import"],
    &["commands"],
];
/// Modules that name less than their row would let them.
const NARROW: [(&str, &[&str]); 2] = [("simulator", &["domain"]), ("access", &["domain"])];
/// What training has no business with: it computes, and calls nobody.
const NOT_IN_TRAINING: [&str; 6] =
    ["access", "providers", "dispatch", "telemetry", "pipeline", "api"];
/// Who may name one of them all the same: the panel asks models, by the one sender there is.
const PANEL: (&str, &str) = ("training/src/panel", "providers");
/// Folders of Rust that is ours.
const ROOTS: [&str; 7] =
    ["src", "training/src", "tests", "benches", "proto", "examples", "fuzz/targets"];
/// What may stand at the top, besides names that begin with a dot.
const TOP: [&str; 14] = [
    "Cargo.toml",
    "Cargo.lock",
    "README.md",
    "proto",
    "src",
    "models",
    "training",
    "tests",
    "benches",
    "examples",
    "clients",
    "deploy",
    "docs",
    "fuzz",
];
/// What builds and runs leave at the top; never committed (see `.gitignore`).
const LEFT_OVER: [&str; 2] = ["target", "data"];
/// Words that may stand before `fn`, besides `pub` in its forms.
const BEFORE_FN: [&str; 4] = ["async", "const", "unsafe", "extern"];
const FILE_LINES_MAX: usize = 400;
const FUNCTION_LINES_MAX: usize = 70;

struct Source {
    path: PathBuf,
    text: String,
}

#[test]
fn modules_name_only_lower_layers() {
    check(|it, found| {
        let Some(module) = module_of(&it.path) else { return };
        let Some(own) = layer_of(&module) else {
            found.push(format!("`{module}` has no layer: give it one in tests/tidy.rs"));
            return;
        };
        for named in paths_of(&it.text, "crate").filter(|named| *named != module) {
            let narrow = NARROW.iter().find(|(name, _)| *name == module);
            let fine = match narrow {
                Some((_, allowed)) => allowed.contains(&named.as_str()),
                None => layer_of(&named).is_none_or(|layer| layer < own),
            };
            if !fine {
                found.push(format!("`{module}` must not name `{named}`"));
            }
        }
    });
}

#[test]
fn training_calls_nobody_but_a_panel() {
    check(|it, found| {
        if it.path.starts_with("training") {
            let named = paths_of(&it.text, "pointsman");
            let panels = |named: &str| it.path.starts_with(PANEL.0) && named == PANEL.1;
            let strange = named.filter(|it| NOT_IN_TRAINING.contains(&it.as_str()) && !panels(it));
            found.extend(strange.map(|named| format!("training must not name `{named}`")));
        }
    });
}

#[test]
fn files_are_short_and_say_what_they_are() {
    check(|it, found| {
        let lines = it.text.lines().count();
        if lines > FILE_LINES_MAX {
            found.push(format!("{lines} lines, at most {FILE_LINES_MAX}"));
        }
        if !it.text.starts_with("//! ") {
            found.push("no `//!` on the first line".to_owned());
        }
    });
}

#[test]
fn functions_are_short() {
    check(|it, found| {
        let long = functions(&it.text).into_iter().filter(|(_, lines)| *lines > FUNCTION_LINES_MAX);
        found.extend(long.map(|(at, lines)| {
            format!("the function at line {at} has {lines} lines, at most {FUNCTION_LINES_MAX}")
        }));
    });
}

#[test]
fn only_known_names_stand_at_the_top() {
    let names = std::fs::read_dir(".").unwrap().map(|it| it.unwrap().file_name());
    let known = |it: &str| it.starts_with('.') || TOP.contains(&it) || LEFT_OVER.contains(&it);
    let strange: Vec<_> =
        names.map(|it| it.to_string_lossy().into_owned()).filter(|it| !known(it)).collect();
    assert!(strange.is_empty(), "not known at the top: {}", strange.join(", "));
}

#[test]
fn paths_are_found_in_every_form() {
    let text = "//! [`crate::hidden`]\nuse crate::{\n    one::{A, B}, two,\n    three::C,\n};\n\
                use crate::four;\nlet x = crate::five::f(crate::six::N); // crate::hidden\n\
                use mycrate::hidden;\n";
    let found: Vec<_> = paths_of(text, "crate").collect();
    assert_eq!(found, ["one", "two", "three", "four", "five", "six"]);
}

#[test]
fn functions_are_measured() {
    let text = "fn short() {}\n\nimpl A {\n    pub(super) async fn long(\n        a: u8,\n    ) {\n        \
                if a {\n        }\n    }\n}\nfn last() {\n    1\n}\n";
    assert_eq!(functions(text), [(4, 6), (11, 3)]);
}

/// Looks at every file and fails with everything found.
fn check(look: impl Fn(&Source, &mut Vec<String>)) {
    let mut all = Vec::new();
    for source in sources() {
        let mut found = Vec::new();
        look(&source, &mut found);
        all.extend(found.into_iter().map(|it| format!("{}: {it}", source.path.display())));
    }
    assert!(all.is_empty(), "\n{}\n", all.join("\n"));
}

fn sources() -> Vec<Source> {
    let mut folders: Vec<PathBuf> = ROOTS.iter().map(PathBuf::from).collect();
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|it| it == "rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                found.push(Source { path, text });
            }
        }
    }
    assert!(found.len() > ROOTS.len(), "the sources were not found");
    found
}

/// The module of the library (or of the commands) that a file belongs to.
fn module_of(path: &Path) -> Option<String> {
    let first = path.strip_prefix("src").ok()?.iter().next()?.to_str()?;
    let name = first.trim_end_matches(".rs");
    (!matches!(name, "lib" | "main")).then(|| name.to_owned())
}

fn layer_of(module: &str) -> Option<usize> {
    LAYERS.iter().position(|row| row.contains(&module))
}

/// The name after every `root::` outside comments, through groups: `use crate::{a::B, c}`.
fn paths_of(text: &str, root: &str) -> impl Iterator<Item = String> {
    let code: Vec<&str> = text.lines().map(|it| it.split("//").next().unwrap_or(it)).collect();
    let (code, start) = (code.join("\n"), format!("{root}::"));
    let mut found = Vec::new();
    for (at, _) in code.match_indices(&start) {
        let before = code[..at].chars().next_back();
        if !before.is_some_and(|it| it.is_alphanumeric() || matches!(it, '_' | ':')) {
            let rest = &code[at + start.len()..];
            match rest.strip_prefix('{') {
                Some(group) => found.extend(members(group)),
                None => found.push(name(rest)),
            }
        }
    }
    found.into_iter()
}

/// The first names of a group's members, up to the brace that ends it.
fn members(group: &str) -> Vec<String> {
    let (mut depth, mut fresh, mut found) = (0_usize, true, Vec::new());
    for (at, it) in group.char_indices() {
        match it {
            '}' if depth == 0 => break,
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => fresh = true,
            _ if fresh && !it.is_whitespace() => {
                found.push(name(&group[at..]));
                fresh = false;
            }
            _ => {}
        }
    }
    found
}

fn name(rest: &str) -> String {
    rest.chars().take_while(|it| it.is_alphanumeric() || *it == '_').collect()
}

/// Line and length of every function of more than one line. rustfmt puts the brace that ends one
/// under the first letter of its first line.
fn functions(text: &str) -> Vec<(usize, usize)> {
    let lines: Vec<&str> = text.lines().collect();
    let indent = |line: &str| line.len() - line.trim_start().len();
    let begins = |line: &str| {
        let words = line.split_whitespace().take_while(|it| *it != "fn");
        line.contains("fn ")
            && words.into_iter().all(|it| it.starts_with("pub") || BEFORE_FN.contains(&it))
    };
    let mut found = Vec::new();
    for (at, line) in lines.iter().enumerate().filter(|(_, line)| begins(line)) {
        let one_line = line.ends_with(['}', ';']);
        let end = lines[at..].iter().position(|it| {
            it.trim_end() == format!("{}}}", " ".repeat(indent(line)))
                || (indent(it) == indent(line) && it.ends_with(';'))
        });
        if let Some(end) = end.filter(|_| !one_line) {
            found.push((at + 1, end + 1));
        }
    }
    found
}
