//! `[outcomes]`: where outcomes are kept, and how much of the prompts.
//!
//! In: the section as written, the environment. Out: [`LogSettings`]. Invariant: the database's
//! password comes from a variable or a file and goes straight into a [`SecretString`]; neither it nor
//! a URL that may hold it is repeated in a problem. Not here: opening anything.

use std::path::PathBuf;

use secrecy::SecretString;

use super::connections::{self, Env};
use super::keeping::{self, Keeping};
use super::place;
use super::problems::Fault;
use super::raw::KeyPlace;
use super::section::{At, Field, Ledger, Section};
use super::values;
use crate::outcome::{
    LogSettings, OutcomeAccess, PostgresSettings, PromptPrivacy, SPOOL_BYTES_DEFAULT,
    SPOOL_PATH_DEFAULT, SpoolSettings, StoreSettings,
};

/// The section as written.
pub(super) struct RawOutcomes {
    store: Field<RawStore>,
    password: Field<KeyPlace>,
    spool: SpoolSettings,
    prompts: PromptPrivacy,
    admin: OutcomeAccess,
    pub(super) keeping: Keeping,
}

/// A `store` as written.
pub(super) enum RawStore {
    /// `sqlite://file`.
    Sqlite(PathBuf),
    /// The URL of a database.
    Postgres(String),
}

/// What a file without the section means.
pub(super) fn default() -> LogSettings {
    LogSettings::sqlite("data/outcomes.db", PromptPrivacy::Hash)
}

/// Reads the section; what is not there is as in [`default`].
pub(super) fn read(section: Option<Section<'_>>) -> RawOutcomes {
    let mut raw = RawOutcomes {
        store: Field::Absent,
        password: Field::Absent,
        spool: SpoolSettings { path: SPOOL_PATH_DEFAULT.into(), bytes_max: SPOOL_BYTES_DEFAULT },
        prompts: PromptPrivacy::Hash,
        admin: OutcomeAccess::Refused,
        keeping: Keeping::default(),
    };
    let Some(mut section) = section else { return raw };
    raw.store = section.field("store", store);
    section.field("prompts", values::prompts).fill(&mut raw.prompts);
    raw.keeping = keeping::read_outcomes(&mut section);
    if section.field("admin_calls", values::flag).given() == Some(true) {
        raw.admin = OutcomeAccess::Allowed;
    }
    let variable = section.field("password_env", |it| values::variable(it).map(KeyPlace::Variable));
    let file = section.field("password_file", |it| values::key_path(it).map(KeyPlace::File));
    if !variable.is_absent() && !file.is_absent() {
        section.report(Fault::TwoPasswords);
    }
    let spool = section.field("spool", values::path);
    let bytes = section.field("spool_bytes", values::spool_bytes);
    let unused = variable.is_absent() && file.is_absent() && spool.is_absent() && bytes.is_absent();
    let database = matches!(raw.store.as_given(), Some(At { value: RawStore::Postgres(_), .. }));
    if !unused && !database {
        section.report(Fault::OnlyPostgres);
    }
    if database && raw.keeping.retention.bytes_max.is_some() {
        section.report(Fault::OnlySqlite);
    }
    spool.fill(&mut raw.spool.path);
    bytes.fill(&mut raw.spool.bytes_max);
    raw.password = if variable.is_absent() { file } else { variable };
    section.done();
    raw
}

/// Looks the password up.
pub(super) fn resolve(raw: RawOutcomes, ledger: &Ledger<'_>, env: &Env<'_>) -> LogSettings {
    let RawOutcomes { store, password, spool, prompts, admin, keeping: _ } = raw;
    let password = password.as_given().and_then(|at| {
        let found = secret(&at.value, env);
        if found.is_none() {
            ledger.report(&at.place, Fault::NoPassword(at.value.to_string()));
        }
        found
    });
    let Field::Given(at) = store else { return LogSettings { prompts, admin, ..default() } };
    let store = match at.value {
        RawStore::Sqlite(path) => StoreSettings::Sqlite(path),
        RawStore::Postgres(url) => match PostgresSettings::new(&url, password, spool) {
            Ok(settings) => StoreSettings::Postgres(Box::new(settings)),
            Err(error) => {
                ledger.report(&at.place, Fault::Database(error));
                default().store
            }
        },
    };
    LogSettings { store, prompts, admin }
}

fn secret(from: &KeyPlace, env: &Env<'_>) -> Option<SecretString> {
    let found = match from {
        KeyPlace::Variable(name) => place::set(name, env),
        KeyPlace::File(path) => connections::read_key(path),
    };
    let found = found.map(|it| it.trim().to_owned()).filter(|it| !it.is_empty());
    found.map(SecretString::from)
}

fn store(value: &toml::de::DeValue<'_>) -> Result<RawStore, Fault> {
    let written = values::text(value)?;
    if let Some(path) = written.strip_prefix("sqlite://").filter(|it| !it.is_empty()) {
        return Ok(RawStore::Sqlite(path.into()));
    }
    let database = ["postgres://", "postgresql://"].iter().any(|it| written.starts_with(it));
    if database { Ok(RawStore::Postgres(written.to_owned())) } else { Err(Fault::Store) }
}

#[cfg(test)]
mod tests {
    use crate::config::{Config, from_toml};
    use crate::outcome::StoreSettings;

    const SECRET: &str = "kestrel-4711";

    fn read(outcomes: &str) -> Result<Config, String> {
        let text = format!("[outcomes]\n{outcomes}\n");
        let env = |name: &str| matches!(name, "OPENAI_API_KEY" | "DB").then(|| SECRET.to_owned());
        from_toml(&text, &env).map_err(|it| it.to_string())
    }

    #[test]
    fn a_database_is_read_with_its_spool() {
        let text = "store = \"postgres://u@db.example/log\"\npassword_env = \"DB\"\n\
                    spool = \"/var/spool/it\"\nspool_bytes = 1048576";
        let config = read(text).unwrap();
        assert!(!format!("{:?}", config.log).contains(SECRET));
        let StoreSettings::Postgres(it) = config.log.store else { panic!("a database") };
        assert_eq!(it.place(), "postgres://u@db.example:5432/log");
        let spool = it.spool();
        assert_eq!((spool.path.to_str(), spool.bytes_max), (Some("/var/spool/it"), 1 << 20));
        let plain = read("store = \"postgres://u@db.example/log\"").unwrap();
        let StoreSettings::Postgres(it) = plain.log.store else { panic!("a database") };
        assert_eq!(it.spool().bytes_max, super::SPOOL_BYTES_DEFAULT);
    }

    #[test]
    fn what_is_wrong_is_told_and_no_password_repeated() {
        let check = |text: &str, wanted: &str| {
            let told = read(text).err().unwrap();
            assert!(told.contains(wanted), "{text}: {told}");
            assert!(!told.contains(SECRET), "{told}");
        };
        let database = "store = \"postgres://u@h/log\"\n";
        check(&format!("store = \"postgres://u:{SECRET}@h/log\""), "does not belong in the URL");
        check(&format!("store = \"postgres://u@h/log?password={SECRET}\""), "does not belong");
        check(&format!("store = \"postgres://{SECRET}\""), "postgres://user@host/database");
        check(&format!("store = \"mysql://{SECRET}\""), "sqlite://path/of/file.db");
        check(&format!("{database}password = \"{SECRET}\""), "passwords do not belong");
        check(&format!("{database}password_env = \"{SECRET}\""), "is not the name of");
        check(&format!("{database}password_env = \"UNSET\""), "the password is missing: UNSET");
        check(&format!("{database}password_file = \"./none\""), "the password is missing: ./none");
        check(&format!("{database}password_env = \"DB\"\npassword_file = \"./x\""), "exclude");
        check(&format!("{database}spool_bytes = 5"), "from 1048576");
        check(&format!("{database}keep_bytes = 1048576"), "only with a SQLite");
        check("spool_bytes = 1048576", "only with a PostgreSQL");
    }
}
