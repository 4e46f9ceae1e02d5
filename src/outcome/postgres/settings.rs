//! Which PostgreSQL database, and how to reach it.
//!
//! In: a URL without a password, the password, a spool. Out: [`PostgresSettings`]. Invariant: the
//! password stands in a [`SecretString`] alone; what is printed of it all is [`PostgresSettings::place`].
//! Not here: connecting.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode};

use crate::outcome::spool::SpoolSettings;

/// The longest to wait for one address of the database. A host that is off answers nothing at all,
/// and the shipper is meanwhile bound to it.
pub(super) const CONNECT_WAIT: Duration = Duration::from_secs(5);
/// After this long without an answer the operating system gives a connection up.
const SILENCE_MAX: Duration = Duration::from_secs(30);

/// Why a URL cannot be used. The URL itself is not repeated, since it may hold a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PostgresUrlError {
    /// Not of the form.
    #[error(
        "must be \"postgres://user@host/database\", with `?sslmode=disable` where TLS is not wanted"
    )]
    Malformed,
    /// It holds a password.
    #[error(
        "a password does not belong in the URL: name the environment variable that holds it with \
         `password_env`, or a file with `password_file`"
    )]
    Password,
}

/// A PostgreSQL database for outcomes.
#[derive(Clone)]
pub struct PostgresSettings {
    config: Config,
    password: Option<SecretString>,
    place: String,
    spool: SpoolSettings,
}

impl PostgresSettings {
    /// The database of a URL, which names a user, a host and a database, and no password.
    ///
    /// TLS with the system's certificates (or those of `SSL_CERT_FILE`) is required, except for this
    /// machine's own addresses and sockets and where the URL says `sslmode=disable`.
    ///
    /// # Errors
    /// [`PostgresUrlError`].
    pub fn new(
        url: &str,
        password: Option<SecretString>,
        spool: SpoolSettings,
    ) -> Result<Self, PostgresUrlError> {
        let scheme = url.starts_with("postgres://") || url.starts_with("postgresql://");
        let parsed = url.parse::<Config>().ok().filter(|_| scheme);
        let mut config = parsed.ok_or(PostgresUrlError::Malformed)?;
        if config.get_password().is_some() {
            return Err(PostgresUrlError::Password);
        }
        let whole = config.get_user().is_some() && config.get_dbname().is_some();
        if !whole || config.get_hosts().is_empty() {
            return Err(PostgresUrlError::Malformed);
        }
        let place = place(&config);
        // "Prefer" would fall back to plain text on the wire without a word.
        if config.get_ssl_mode() == SslMode::Prefer {
            let local = config.get_hosts().iter().all(is_local);
            config.ssl_mode(if local { SslMode::Disable } else { SslMode::Require });
        }
        config.connect_timeout(CONNECT_WAIT).tcp_user_timeout(SILENCE_MAX);
        config.keepalives_idle(SILENCE_MAX);
        if config.get_application_name().is_none() {
            config.application_name("pointsman");
        }
        Ok(Self { config, password, place, spool })
    }

    /// The database as it may be printed.
    pub fn place(&self) -> &str {
        &self.place
    }

    /// Where outcomes wait while it is away.
    pub fn spool(&self) -> &SpoolSettings {
        &self.spool
    }

    /// All that a connection needs, the password included: not to be kept.
    pub(super) fn config(&self) -> Config {
        let mut config = self.config.clone();
        if let Some(password) = &self.password {
            config.password(password.expose_secret());
        }
        config
    }
}

impl fmt::Debug for PostgresSettings {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = out.debug_struct("PostgresSettings");
        out.field("place", &self.place).field("spool", &self.spool).finish_non_exhaustive()
    }
}

fn place(config: &Config) -> String {
    let (hosts, ports) = (config.get_hosts(), config.get_ports());
    let hosts = hosts.iter().enumerate().map(|(at, host)| {
        let port = ports.get(at).or(ports.first()).map(|it| format!(":{it}")).unwrap_or_default();
        match host {
            Host::Tcp(name) => format!("{name}{port}"),
            #[cfg(unix)]
            Host::Unix(path) => format!("{}{port}", path.display()),
        }
    });
    let (user, name) = (config.get_user().unwrap_or_default(), config.get_dbname());
    let hosts = hosts.collect::<Vec<_>>().join(",");
    format!("postgres://{user}@{hosts}/{}", name.unwrap_or_default())
}

fn is_local(host: &Host) -> bool {
    match host {
        Host::Tcp(name) => {
            let ip = name.trim_matches(['[', ']']).parse::<IpAddr>();
            name == "localhost" || ip.is_ok_and(|it| it.is_loopback())
        }
        #[cfg(unix)]
        Host::Unix(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(url: &str) -> Result<PostgresSettings, PostgresUrlError> {
        let spool = SpoolSettings { path: "spool".into(), bytes_max: 1 };
        PostgresSettings::new(url, Some("very-secret".to_owned().into()), spool)
    }

    #[test]
    fn a_url_becomes_a_place_without_secrets() {
        let check = |url: &str, place: &str, mode: SslMode| {
            let settings = settings(url).unwrap();
            assert_eq!((settings.place(), settings.config.get_ssl_mode()), (place, mode), "{url}");
            assert_eq!(settings.config().get_password(), Some(&b"very-secret"[..]));
            assert!(!format!("{settings:#?}").contains("very-secret"));
        };
        check("postgres://u@db.example/log", "postgres://u@db.example:5432/log", SslMode::Require);
        check(
            "postgresql://u@10.0.0.9:6543/log",
            "postgres://u@10.0.0.9:6543/log",
            SslMode::Require,
        );
        check("postgres://u@h/log?sslmode=disable", "postgres://u@h:5432/log", SslMode::Disable);
        check("postgres://u@127.0.0.1:1/log", "postgres://u@127.0.0.1:1/log", SslMode::Disable);
        check("postgres://u@localhost/log", "postgres://u@localhost:5432/log", SslMode::Disable);
        check("postgres://u@a:1,b:2/log", "postgres://u@a:1,b:2/log", SslMode::Require);
        let (url, mode) = ("postgres://u@localhost/log?sslmode=require", SslMode::Require);
        check(url, "postgres://u@localhost:5432/log", mode);
    }

    #[test]
    fn other_urls_are_refused_and_not_repeated() {
        let check = |url: &str, wanted: PostgresUrlError| {
            let refused = settings(url).err().unwrap();
            assert_eq!(refused, wanted, "{url}");
            assert!(!refused.to_string().contains("kestrel"), "{refused}");
        };
        check("postgres://u:kestrel@h/log", PostgresUrlError::Password);
        check("postgres://u@h/log?password=kestrel", PostgresUrlError::Password);
        for url in ["postgres://h/log", "postgres://u@h", "postgres://u@/log", "host=h user=u", ""]
        {
            check(url, PostgresUrlError::Malformed);
        }
        check("postgres://u@h:kestrel/log", PostgresUrlError::Malformed);
    }
}
