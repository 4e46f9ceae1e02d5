//! `pointsman catalog import`: another gateway's config, made into one of ours.
//!
//! In: a file. Out: TOML on standard output or in a file; what did not map, one line each, on standard
//! error. Invariant: no file that is there is written over. Not here: the formats (see [`crate::import`]).

pub(super) mod args;

use std::io::{Read, Write};

use super::CommandError;
use crate::import::{FILE_BYTES_MAX, Imported, Order, import};
use args::{CatalogCommand, ImportArgs};

pub(super) fn catalog(what: &CatalogCommand, out: &mut dyn Write) -> Result<(), CommandError> {
    let CatalogCommand::Import(args) = what;
    let imported = read(args)?;
    match &args.out {
        None => write!(out, "{}", imported.toml)?,
        Some(path) => {
            let made = std::fs::OpenOptions::new().write(true).create_new(true).open(path);
            let written = made.and_then(|mut it| it.write_all(imported.toml.as_bytes()));
            written.map_err(|source| CommandError::Write { path: path.clone(), source })?;
            writeln!(
                out,
                "wrote {}; look at it with: pointsman check --config {0}",
                path.display()
            )?;
        }
    }
    tell(&imported, &mut std::io::stderr())?;
    Ok(())
}

fn read(args: &ImportArgs) -> Result<Imported, CommandError> {
    let unreadable = |source| CommandError::Read { path: args.file.clone(), source };
    let file = std::fs::File::open(&args.file).map_err(unreadable)?;
    let mut text = String::new();
    // One byte more is enough to be told so.
    let mut file = file.take(FILE_BYTES_MAX as u64 + 1);
    file.read_to_string(&mut text).map_err(unreadable)?;
    let order = Order { from: args.from, model: args.model.as_deref() };
    import(&text, order).map_err(CommandError::Import)
}

fn tell(imported: &Imported, out: &mut dyn Write) -> std::io::Result<()> {
    if imported.notes.is_empty() {
        return writeln!(out, "everything mapped");
    }
    writeln!(out, "did not map, or not wholly ({}):", imported.notes.len())?;
    imported.notes.iter().try_for_each(|it| writeln!(out, "  {it}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_becomes_a_file_and_none_is_written_over() {
        let folder = super::super::scratch::Scratch::new().unwrap();
        let (file, to) = (folder.path().join("config.yaml"), folder.path().join("own.toml"));
        let yaml = "model_list:\n- model_name: gpt-4o-mini\n  litellm_params:\n    model: \
                    openai/gpt-4o-mini\n    api_key: sk-secret\n";
        std::fs::write(&file, yaml).unwrap();
        let args = ImportArgs { file, from: None, out: Some(to.clone()), model: None };
        let what = CatalogCommand::Import(args);
        let mut out = Vec::new();
        catalog(&what, &mut out).unwrap();
        let text = std::fs::read_to_string(&to).unwrap();
        assert!(crate::config::from_toml(&text, &|_| None).is_ok(), "{text}");
        assert!(String::from_utf8(out).unwrap().contains("pointsman check"));
        let error = catalog(&what, &mut Vec::new()).unwrap_err();
        assert!(matches!(error, CommandError::Write { .. }), "{error}");
        let CatalogCommand::Import(args) = &what;
        let mut told = Vec::new();
        tell(&read(args).unwrap(), &mut told).unwrap();
        let told = String::from_utf8(told).unwrap();
        assert!(told.contains("plain text") && !told.contains("sk-secret"), "{told}");
    }
}
