//! `[server]` and `[telemetry]`: where to listen, who may look, how to stop, how logs look.
//!
//! In: the sections. Out: [`RawServer`], and with the environment an [`AdminListener`]. Invariant: an
//! admin listener off loopback has a key; a key that is named and missing is a problem, never an open
//! door. Not here: binding, and comparing keys.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use secrecy::SecretString;
use toml::de::DeValue;

use super::connections::{Env, read_key};
use super::place;
use super::problems::{Fault, Place};
use super::raw::KeyPlace;
use super::section::{Field, Ledger, Section};
use super::{toml_table, values};
use crate::api::AdminKey;

/// Loopback only: whoever wants to be reached from elsewhere has to say so.
const LISTEN_DEFAULT: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8080);
const ADMIN_LISTEN_DEFAULT: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8081);
/// What says that there is to be no admin listener.
const OFF: &str = "off";

/// The admin listener.
#[derive(Debug, Clone)]
pub struct AdminListener {
    /// Where.
    pub listen: SocketAddr,
    /// What callers have to show, if anything.
    pub key: Option<AdminKey>,
}

/// How long stopping may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Draining {
    /// From the signal until whatever is still under way is cut.
    pub limit: Duration,
    /// The part of it in which readiness is gone already and new work is still taken: load balancers
    /// need some seconds to notice. Only for SIGTERM: nobody balances a terminal's load.
    pub pause: Duration,
}

impl Default for Draining {
    fn default() -> Self {
        // Below the 30 s after which Kubernetes and others kill.
        Self { limit: Duration::from_secs(25), pause: Duration::from_secs(2) }
    }
}

/// How logs look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogForm {
    /// Lines for people.
    #[default]
    Pretty,
    /// One JSON object per line.
    Json,
}

/// `[server]` as written.
pub(super) struct RawServer {
    pub(super) listen: SocketAddr,
    /// `None`: off.
    pub(super) admin_listen: Option<SocketAddr>,
    admin_place: Place,
    key: Field<KeyPlace>,
    pub(super) draining: Draining,
}

impl Default for RawServer {
    fn default() -> Self {
        Self {
            listen: LISTEN_DEFAULT,
            admin_listen: Some(ADMIN_LISTEN_DEFAULT),
            admin_place: Place { path: "server.admin_listen".to_owned(), line: None },
            key: Field::Absent,
            draining: Draining::default(),
        }
    }
}

/// Reads `[server]`.
pub(super) fn read(section: Option<Section<'_>>) -> RawServer {
    let mut raw = RawServer::default();
    let Some(mut section) = section else { return raw };
    section.field("listen", values::listen).fill(&mut raw.listen);
    if let Field::Given(at) = section.field("admin_listen", admin_listen) {
        (raw.admin_listen, raw.admin_place) = (at.value, at.place);
    }
    let variable =
        section.field("admin_key_env", |it| values::variable(it).map(KeyPlace::Variable));
    let file = section.field("admin_key_file", |it| values::key_path(it).map(KeyPlace::File));
    if !variable.is_absent() && !file.is_absent() {
        section.report(Fault::TwoAdminKeys);
    }
    raw.key = if variable.is_absent() { file } else { variable };
    let draining = &mut raw.draining;
    section.field("drain", values::duration).fill(&mut draining.limit);
    // A shorter drain needs no pause of its own to be named.
    draining.pause = draining.pause.min(draining.limit / 2);
    section.field("drain_pause", pause).fill(&mut draining.pause);
    if draining.pause >= draining.limit {
        section.report(Fault::PauseTooLong);
    }
    section.done();
    raw
}

/// Reads `[telemetry]`; how logs look is looked at earlier, by [`log_form`].
pub(super) fn read_telemetry(section: Option<Section<'_>>) {
    let Some(mut section) = section else { return };
    section.field("logs", log_form_of);
    section.done();
}

/// How a config file wants logs to look. Logs begin before the file is read, so whatever else is wrong
/// with it is told later.
pub fn log_form(text: &str) -> LogForm {
    let Ok(table) = toml_table(text) else { return LogForm::default() };
    let telemetry = table.get_ref().get("telemetry").and_then(|it| it.get_ref().as_table());
    let logs = telemetry.and_then(|it| it.get("logs"));
    logs.and_then(|it| log_form_of(it.get_ref()).ok()).unwrap_or_default()
}

/// Whether an admin listener may stand at an address.
///
/// # Errors
/// [`Fault::AdminOpen`].
pub fn admin_may_listen(listen: SocketAddr, key: Option<&AdminKey>) -> Result<(), Fault> {
    let fine = key.is_some() || listen.ip().is_loopback();
    if fine { Ok(()) } else { Err(Fault::AdminOpen(listen)) }
}

/// The admin listener, with its key looked up.
pub(super) fn admin(raw: &RawServer, ledger: &Ledger<'_>, env: &Env<'_>) -> Option<AdminListener> {
    let listen = raw.admin_listen?;
    let key = match &raw.key {
        Field::Absent => None,
        Field::Bad => return None,
        Field::Given(at) => {
            let found = match &at.value {
                KeyPlace::Variable(name) => (place::set(name, env), name.clone()),
                KeyPlace::File(path) => (read_key(path), path.display().to_string()),
            };
            let key = found.0.as_deref().map(str::trim).filter(|it| !it.is_empty());
            let Some(key) = key else {
                ledger.report(&at.place, Fault::NoAdminKey(found.1));
                return None;
            };
            Some(AdminKey::new(SecretString::from(key)))
        }
    };
    if let Err(fault) = admin_may_listen(listen, key.as_ref()) {
        ledger.report(&raw.admin_place, fault);
    }
    if listen == raw.listen && listen.port() != 0 {
        ledger.report(&raw.admin_place, Fault::AdminSame(listen));
    }
    Some(AdminListener { listen, key })
}

fn admin_listen(value: &DeValue<'_>) -> Result<Option<SocketAddr>, Fault> {
    if values::text(value)? == OFF { Ok(None) } else { values::listen(value).map(Some) }
}

fn log_form_of(value: &DeValue<'_>) -> Result<LogForm, Fault> {
    let known = vec![("json", LogForm::Json), ("pretty", LogForm::Pretty)];
    values::one_of("form", known, value)
}

/// A duration that may be none at all.
fn pause(value: &DeValue<'_>) -> Result<Duration, Fault> {
    if values::text(value)? == "0s" { Ok(Duration::ZERO) } else { values::duration(value) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, from_toml};

    const MODEL: &str = "[[model]]\nname = \"gpt-4o-mini\"\ndeployments = [\"openai\"]\n";

    fn config(server: &str) -> Result<Config, String> {
        let env = |name: &str| (name == "ADMIN_KEY").then(|| " open sesame\n".to_owned());
        from_toml(&format!("{server}\n{MODEL}"), &env).map_err(|it| it.to_string())
    }

    #[test]
    fn operators_have_a_port_of_their_own() {
        let check = |server: &str, wanted: Option<(&str, bool)>| {
            let admin = config(server).unwrap_or_else(|it| panic!("{it}")).admin;
            let told = admin.map(|it| (it.listen.to_string(), it.key.is_some()));
            assert_eq!(told, wanted.map(|(it, key)| (it.to_owned(), key)), "{server}");
        };
        check("", Some(("127.0.0.1:8081", false)));
        check("[server]\nadmin_listen = \"off\"", None);
        check("[server]\nadmin_listen = \"[::1]:0\"", Some(("[::1]:0", false)));
        let open = "[server]\nadmin_listen = \"0.0.0.0:9000\"\nadmin_key_env = \"ADMIN_KEY\"";
        check(open, Some(("0.0.0.0:9000", true)));
    }

    #[test]
    fn what_would_open_it_is_refused() {
        let check = |server: &str, wanted: &str| {
            let told = config(&format!("[server]\n{server}")).err().unwrap_or_default();
            assert!(told.contains(wanted), "{server}: {told}");
            assert!(!told.contains("sesame"), "{told}");
        };
        check(
            "admin_listen = \"0.0.0.0:8081\"",
            "server.admin_listen (line 2): `0.0.0.0:8081` is not",
        );
        check("admin_key_env = \"NO_SUCH\"", "server.admin_key_env (line 2): NO_SUCH holds no key");
        check("admin_key_file = \"./no/such\"", "./no/such holds no key");
        check("admin_key_env = \"A\"\nadmin_key_file = \"./b\"", "exclude each other");
        check("admin_key = \"open sesame\"", "did you mean `admin_key_");
        check("admin_listen = \"127.0.0.1:8080\"", "is also `server.listen`");
        check("admin_listen = \"on\"", "`on` is not an address");
        check("drain = \"5s\"\ndrain_pause = \"5s\"", "must be shorter than `drain`");
    }

    #[test]
    fn stopping_and_logs_have_their_settings() {
        let check = |server: &str, limit: u64, pause_ms: u64| {
            let wanted = Draining {
                limit: Duration::from_secs(limit),
                pause: Duration::from_millis(pause_ms),
            };
            let told = config(server).unwrap_or_else(|it| panic!("{it}")).draining;
            assert_eq!(told, wanted, "{server}");
        };
        check("", 25, 2_000);
        check("[server]\ndrain = \"2s\"", 2, 1_000);
        check("[server]\ndrain = \"60s\"\ndrain_pause = \"0s\"", 60, 0);
        assert_eq!(log_form("[telemetry]\nlogs = \"json\""), LogForm::Json);
        assert_eq!(log_form("[telemetry]\nlogs = 3"), LogForm::Pretty);
        let told = config("[telemetry]\nlogs = \"yaml\"").err().unwrap_or_default();
        assert!(told.contains("unknown form `yaml` (there are json, pretty)"), "{told}");
    }
}
