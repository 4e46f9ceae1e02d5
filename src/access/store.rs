//! Keys, teams' limits and what was spent, in one SQLite file.
//!
//! In: keys that operators make and revoke, amounts. Out: rows. Invariant: of a key only the hash is
//! kept; every change of keys or teams raises `generation`, by which a running server sees it; what was
//! committed survives the end of the process (WAL, `synchronous = NORMAL`). Several processes may have
//! it open: one server, and commands. Blocks. Not here: who asks (see `gate`).

use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, Row, TransactionBehavior, params};

use super::key::{FreshKey, KeyHash, KeyId};
use super::limits::{RateLimits, SpendLimits};
use super::scope::{Role, Scope};
use super::spend::{Account, Payer};
use crate::domain::{ModelName, Usd};

/// How long to wait for another process that holds the lock; writers hold it for milliseconds.
const BUSY_WAIT: Duration = Duration::from_secs(5);
/// The version of the tables; `user_version` of the file.
const SCHEMA_VERSION: i64 = 1;
/// Lists are JSON. Amounts are picodollars, times seconds since 1970 UTC, days count from 1970.
const SCHEMA: &str = "
    CREATE TABLE api_key (
        id TEXT PRIMARY KEY NOT NULL,
        hash BLOB NOT NULL,
        name TEXT NOT NULL,
        team TEXT NOT NULL,
        models TEXT,
        policies TEXT,
        admin INTEGER NOT NULL,
        requests_per_minute INTEGER,
        tokens_per_minute INTEGER,
        spend_day_picousd INTEGER,
        spend_month_picousd INTEGER,
        created_s INTEGER NOT NULL,
        expires_s INTEGER,
        revoked_s INTEGER
    ) STRICT;
    CREATE TABLE team (
        name TEXT PRIMARY KEY NOT NULL,
        spend_day_picousd INTEGER,
        spend_month_picousd INTEGER
    ) STRICT;
    CREATE TABLE spend (
        payer TEXT NOT NULL,
        account TEXT NOT NULL,
        day INTEGER NOT NULL,
        picousd INTEGER NOT NULL,
        PRIMARY KEY (payer, account, day)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE change (generation INTEGER NOT NULL) STRICT;
    INSERT INTO change VALUES (0);
";
const KEY_COLUMNS: &str = "id, hash, name, team, models, policies, admin, requests_per_minute, \
     tokens_per_minute, spend_day_picousd, spend_month_picousd, created_s, expires_s, revoked_s";

/// Why the file cannot be used.
#[derive(Debug, Clone, thiserror::Error)]
pub enum AccessError {
    /// Its folder cannot be made.
    #[error("the folder of {} cannot be made", path.display())]
    Folder {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: Arc<std::io::Error>,
    },
    /// SQLite failed.
    #[error("the key store {} cannot be used", path.display())]
    Database {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: Arc<rusqlite::Error>,
    },
    /// A later version made it.
    #[error("the key store {} has version {found}, this program knows {SCHEMA_VERSION}", path.display())]
    Newer {
        /// Which file.
        path: PathBuf,
        /// Its version.
        found: i64,
    },
    /// The thread that writes could not be started.
    #[error("no thread could be started for the key store")]
    Thread(#[source] Arc<std::io::Error>),
}

/// A key as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRow {
    /// Its id.
    pub id: KeyId,
    pub(super) hash: KeyHash,
    /// What the operator calls it.
    pub name: String,
    /// Whose it is.
    pub team: String,
    /// What it may be used for.
    pub scope: Scope,
    /// How often.
    pub rates: RateLimits,
    /// For how much.
    pub spend: SpendLimits,
    /// When it was made, seconds since 1970 UTC; so the two below.
    pub created_s: u64,
    /// From when on it is worth nothing.
    pub expires_s: Option<u64>,
    /// Since when it is revoked.
    pub revoked_s: Option<u64>,
}

impl KeyRow {
    /// A key that may do everything, for ever.
    pub fn new(fresh: &FreshKey, name: &str, team: &str, created_s: u64) -> Self {
        Self {
            id: fresh.id.clone(),
            hash: fresh.hash(),
            name: name.to_owned(),
            team: team.to_owned(),
            scope: Scope::default(),
            rates: RateLimits::default(),
            spend: SpendLimits::default(),
            created_s,
            expires_s: None,
            revoked_s: None,
        }
    }
}

/// What one account spent on one day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spent {
    /// Whose, and its id or name.
    pub account: Account,
    /// Counted from 1970-01-01, UTC.
    pub day: u64,
    /// How much.
    pub amount: Usd,
}

/// Everything about keys, and when it last changed.
#[derive(Debug, Clone, Default)]
pub(super) struct Contents {
    pub(super) keys: Vec<KeyRow>,
    pub(super) teams: Vec<(String, SpendLimits)>,
    pub(super) generation: i64,
}

/// An open file.
pub struct KeyStore {
    path: PathBuf,
    connection: Connection,
}

impl KeyStore {
    /// Opens a file; makes it, and its folder, where there is none.
    ///
    /// # Errors
    /// [`AccessError`], which names the file.
    pub fn open(path: &Path) -> Result<Self, AccessError> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(|source| AccessError::Folder {
                path: path.to_owned(),
                source: Arc::new(source),
            })?;
        }
        let failed = |source| failure(path, source);
        let mut connection = Connection::open(path).map_err(failed)?;
        let found = prepare(&mut connection).map_err(failed)?;
        if found > SCHEMA_VERSION {
            return Err(AccessError::Newer { path: path.to_owned(), found });
        }
        Ok(Self { path: path.to_owned(), connection })
    }

    /// Keeps a new key.
    ///
    /// # Errors
    /// [`AccessError::Database`].
    pub fn add(&mut self, row: &KeyRow) -> Result<(), AccessError> {
        let sql = format!(
            "INSERT INTO api_key ({KEY_COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, \
             ?11, ?12, ?13, ?14)"
        );
        self.change(|it| {
            let list = |names: Option<Vec<&str>>| names.map(|it| serde_json::json!(it).to_string());
            let models = row.scope.models.as_ref();
            let policies = row.scope.policies.as_ref();
            it.execute(
                &sql,
                params![
                    row.id.as_str(),
                    row.hash.as_bytes(),
                    row.name,
                    row.team,
                    list(models.map(|it| it.iter().map(ModelName::as_str).collect())),
                    list(policies.map(|it| it.iter().map(String::as_str).collect())),
                    row.scope.role == Role::Admin,
                    row.rates.requests_per_minute.map(NonZeroU32::get),
                    row.rates.tokens_per_minute.map(NonZeroU32::get),
                    row.spend.per_day.map(Usd::signed_picousd),
                    row.spend.per_month.map(Usd::signed_picousd),
                    row.created_s.cast_signed(),
                    row.expires_s.map(u64::cast_signed),
                    row.revoked_s.map(u64::cast_signed),
                ],
            )
        })
        .map(|_| ())
    }

    /// Makes a key worth nothing from now on; whether there is such a key that was worth something.
    ///
    /// # Errors
    /// [`AccessError::Database`].
    pub fn revoke(&mut self, id: &KeyId, now_s: u64) -> Result<bool, AccessError> {
        let sql = "UPDATE api_key SET revoked_s = ?2 WHERE id = ?1 AND revoked_s IS NULL";
        let changed = self.change(|it| it.execute(sql, params![id.as_str(), now_s.cast_signed()]));
        changed.map(|it| it > 0)
    }

    /// Sets a team's limits, in the place of those before.
    ///
    /// # Errors
    /// [`AccessError::Database`].
    pub fn limit_team(&mut self, team: &str, limits: &SpendLimits) -> Result<(), AccessError> {
        let sql = "INSERT INTO team VALUES (?1, ?2, ?3) ON CONFLICT (name) DO UPDATE SET \
                   spend_day_picousd = ?2, spend_month_picousd = ?3";
        let [day, month] = [limits.per_day, limits.per_month].map(|it| it.map(Usd::signed_picousd));
        self.change(|it| it.execute(sql, params![team, day, month])).map(|_| ())
    }

    /// Every key, oldest first.
    ///
    /// # Errors
    /// [`AccessError::Database`].
    pub fn keys(&self) -> Result<Vec<KeyRow>, AccessError> {
        let sql = format!("SELECT {KEY_COLUMNS} FROM api_key ORDER BY created_s, id");
        self.read(&sql, key_row)
    }

    /// Every team with limits, by name.
    ///
    /// # Errors
    /// [`AccessError::Database`].
    pub fn teams(&self) -> Result<Vec<(String, SpendLimits)>, AccessError> {
        let sql = "SELECT name, spend_day_picousd, spend_month_picousd FROM team ORDER BY name";
        self.read(sql, |row| Ok((row.get(0)?, spend_limits(row, 1)?)))
    }

    /// What everyone spent since this day, and on it.
    ///
    /// # Errors
    /// [`AccessError::Database`].
    pub fn spent_since(&self, day: u64) -> Result<Vec<Spent>, AccessError> {
        let sql = format!("SELECT payer, account, day, picousd FROM spend WHERE day >= {day}");
        self.read(&sql, |row| {
            let payer = if row.get_ref(0)?.as_str()? == Payer::Team.as_str() {
                Payer::Team
            } else {
                Payer::Key
            };
            let amount = Usd::from_picousd(row.get::<_, i64>(3)?.cast_unsigned());
            let day = row.get::<_, i64>(2)?.cast_unsigned();
            Ok(Spent { account: (payer, row.get(1)?), day, amount })
        })
    }

    /// Adds to what was spent; all of it or nothing.
    pub(super) fn add_spent(&mut self, spent: &[Spent]) -> Result<(), AccessError> {
        let sql = "INSERT INTO spend VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO UPDATE SET \
                   picousd = picousd + ?4";
        let transact = |connection: &mut Connection| {
            let transaction =
                connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            for Spent { account: (payer, name), day, amount } in spent {
                let values =
                    params![payer.as_str(), name, day.cast_signed(), amount.signed_picousd()];
                transaction.prepare_cached(sql)?.execute(values)?;
            }
            transaction.commit()
        };
        transact(&mut self.connection).map_err(|source| failure(&self.path, source))
    }

    /// Everything, if it changed since `generation`.
    pub(super) fn changed_since(&self, generation: i64) -> Result<Option<Contents>, AccessError> {
        let now = self.connection.query_row("SELECT generation FROM change", [], |it| it.get(0));
        let now: i64 = now.map_err(|source| failure(&self.path, source))?;
        if now == generation {
            return Ok(None);
        }
        // Whatever changes in between is seen at the next look.
        let (keys, teams) = (self.keys()?, self.teams()?);
        Ok(Some(Contents { keys, teams, generation: now }))
    }

    fn change(
        &mut self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<usize>,
    ) -> Result<usize, AccessError> {
        let transact = |connection: &mut Connection| {
            let transaction =
                connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let changed = work(&transaction)?;
            transaction.execute("UPDATE change SET generation = generation + 1", [])?;
            transaction.commit()?;
            Ok(changed)
        };
        transact(&mut self.connection).map_err(|source| failure(&self.path, source))
    }

    fn read<T>(
        &self,
        sql: &str,
        row: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, AccessError> {
        let read = || self.connection.prepare(sql)?.query_map([], row)?.collect();
        let rows: rusqlite::Result<Vec<T>> = read();
        rows.map_err(|source| failure(&self.path, source))
    }
}

/// Sets the connection up and makes the tables where there are none; the version that is there.
fn prepare(connection: &mut Connection) -> rusqlite::Result<i64> {
    connection.busy_timeout(BUSY_WAIT)?;
    connection.pragma_update(None, "journal_mode", "wal")?;
    connection.pragma_update(None, "synchronous", "normal")?;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let found = transaction.query_row("PRAGMA user_version", [], |it| it.get(0)).optional()?;
    if found.unwrap_or(0) == 0 {
        transaction.execute_batch(SCHEMA)?;
        transaction.pragma_update(None, "user_version", SCHEMA_VERSION)?;
    }
    transaction.commit()?;
    Ok(found.unwrap_or(0))
}

fn key_row(row: &Row<'_>) -> rusqlite::Result<KeyRow> {
    let wrong = |at, why: &str| {
        let kind = rusqlite::types::Type::Text;
        rusqlite::Error::FromSqlConversionFailure(at, kind, why.to_owned().into())
    };
    let names = |at: usize| -> rusqlite::Result<Option<Vec<String>>> {
        let text = row.get::<_, Option<String>>(at)?;
        let list = text.map(|it| serde_json::from_str(&it).map_err(|_| wrong(at, "not a list")));
        list.transpose()
    };
    let models = names(4)?.map(|it| it.iter().map(|it| ModelName::new(it)).collect());
    let models: Option<Vec<ModelName>> =
        models.transpose().map_err(|_| wrong(4, "not a model's name"))?;
    let role = if row.get(6)? { Role::Admin } else { Role::Caller };
    let rate = |at: usize| row.get::<_, Option<u32>>(at).map(|it| it.and_then(NonZeroU32::new));
    let time = |at: usize| row.get::<_, Option<i64>>(at).map(|it| it.map(i64::cast_unsigned));
    Ok(KeyRow {
        id: KeyId::parse(row.get_ref(0)?.as_str()?).ok_or_else(|| wrong(0, "not a key's id"))?,
        hash: KeyHash::from_bytes(row.get_ref(1)?.as_blob()?)
            .ok_or_else(|| wrong(1, "not a hash"))?,
        name: row.get(2)?,
        team: row.get(3)?,
        scope: Scope { models, policies: names(5)?, role },
        rates: RateLimits { requests_per_minute: rate(7)?, tokens_per_minute: rate(8)? },
        spend: spend_limits(row, 9)?,
        created_s: row.get::<_, i64>(11)?.cast_unsigned(),
        expires_s: time(12)?,
        revoked_s: time(13)?,
    })
}

/// Limits for a day and a month, from two columns.
fn spend_limits(row: &Row<'_>, at: usize) -> rusqlite::Result<SpendLimits> {
    let amount = |at| -> rusqlite::Result<Option<Usd>> {
        let picousd = row.get::<_, Option<i64>>(at)?;
        Ok(picousd.map(|it| Usd::from_picousd(it.cast_unsigned())))
    };
    Ok(SpendLimits { per_day: amount(at)?, per_month: amount(at + 1)? })
}

fn failure(path: &Path, source: rusqlite::Error) -> AccessError {
    AccessError::Database { path: path.to_owned(), source: Arc::new(source) }
}
