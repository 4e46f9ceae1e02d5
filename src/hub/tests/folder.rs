//! Folders: copied from, looked into, checked.

use std::path::Path;

use super::super::*;
use super::shelf::WEIGHTS;
use crate::domain::sha256_hex;
use crate::encoder::sample;

fn name() -> Name {
    "some/encoder".parse().unwrap()
}

fn copied(from: &Path, into: &Path, sha256: Option<&str>) -> Result<Done, HubError> {
    copy(from, (&name(), into), sha256, &mut |_| {})
}

#[test]
fn a_folder_is_copied_listed_and_verified() {
    let (from, root) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    sample::write(from.path(), 7).unwrap();
    let into = folder_of(root.path(), &name());
    assert_eq!(into.file_name().unwrap(), "some--encoder");
    let right = sha256_hex(&std::fs::read(from.path().join(WEIGHTS)).unwrap());
    let wrong = copied(from.path(), &into, Some(&"0".repeat(64))).err().unwrap();
    assert!(matches!(wrong, HubError::Checksum { .. }), "{wrong}");
    assert_eq!(std::fs::read_dir(root.path()).unwrap().count(), 0, "nothing is left");
    let done = copied(from.path(), &into, Some(&right)).unwrap();
    assert_eq!((done.pulled.files.len(), done.pulled.hub.clone()), (5, None));
    assert_eq!(list(root.path()).unwrap(), [(into.clone(), done.pulled.clone())]);
    assert_eq!(list(&root.path().join("nowhere")).unwrap(), []);
    let states = || verify(&into).unwrap().1.into_iter().map(|it| it.state).collect::<Vec<_>>();
    assert!(states().iter().all(|it| *it == State::Sound));
    std::fs::remove_file(into.join("modules.json")).unwrap();
    std::fs::write(into.join("config.json"), "{}").unwrap();
    let now = states();
    assert!(now.contains(&State::Missing), "{now:?}");
    assert!(now.contains(&State::Changed { found: sha256_hex(b"{}") }), "{now:?}");
    // Whatever a note says, nothing outside of the folder is read.
    let note =
        r#"{"name": "x", "files": [{"path": "../../etc/hostname", "size": 1, "sha256": ""}]}"#;
    std::fs::write(into.join(PULLED_FILE), note).unwrap();
    assert_eq!(states(), [State::Missing]);
}

#[test]
fn what_was_not_pulled_is_never_touched() {
    let (from, into) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    sample::write(from.path(), 7).unwrap();
    std::fs::write(into.path().join("diary.txt"), "mine").unwrap();
    let error = copied(from.path(), into.path(), None).err().unwrap();
    assert!(matches!(error, HubError::Occupied(_)), "{error}");
    assert_eq!(std::fs::read_to_string(into.path().join("diary.txt")).unwrap(), "mine");
    assert!(matches!(verify(into.path()), Err(HubError::NotPulled(_))));
    let empty = tempfile::tempdir().unwrap();
    let error = copied(empty.path(), &into.path().join("new"), None).err().unwrap().to_string();
    assert!(error.contains("config.json"), "{error}");
}

#[test]
fn names_are_plain() {
    let check = |text: &str, fine: bool| {
        assert_eq!(text.parse::<Name>().is_ok(), fine, "{text:?}");
    };
    check("gpt2", true);
    check("sentence-transformers/all-MiniLM-L6-v2", true);
    check("BAAI/bge-small-en-v1.5", true);
    for odd in ["", "/", "a/", "/a", "a/b/c", "../a", "a/..", ".a/b", "a b", "a?b", "a/b#", "é/b"]
    {
        check(odd, false);
    }
    check(&"a".repeat(97), false);
}
