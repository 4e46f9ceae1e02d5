//! What an error of PostgreSQL means for us.
//!
//! In: errors of the client. Out: a [`Fault`]. Invariant: PostgreSQL's own words are kept only where
//! they cannot quote a row: those about connections, rights and resources. Not here: what is done.

use std::error::Error as _;

use tokio_postgres::Error;

use crate::outcome::store::OutcomeError;

/// What went wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fault {
    /// It may serve again by itself: not there, starting, stopping, full, too slow.
    Away(String),
    /// Somebody has to set it up otherwise.
    Unusable(String),
    /// It will not take this row, by its SQLSTATE.
    Refused(String),
    /// Its schema is of a later version.
    Newer(i64),
}

/// Classes of SQLSTATE (manual, appendix A, version 15) by which a row is refused: data that cannot
/// be held, a constraint that is violated, a limit of the program.
const REFUSED: [&str; 3] = ["22", "23", "54"];
/// Classes by which the set-up is wrong: authorisation, no such database, no such table or no
/// right, and what the server cannot do.
const UNUSABLE: [&str; 4] = ["28", "3D", "42", "0A"];

impl Fault {
    /// Which of them an error is.
    pub(super) fn of(error: &Error) -> Self {
        let Some(from_server) = error.as_db_error() else {
            return Self::of_client(error);
        };
        let code = from_server.code().code();
        let class = code.get(..2).unwrap_or_default();
        if REFUSED.contains(&class) {
            return Self::Refused(code.to_owned());
        }
        let why = format!("{} (SQLSTATE {code})", from_server.message());
        if UNUSABLE.contains(&class) { Self::Unusable(why) } else { Self::Away(why) }
    }

    /// No answer came in time.
    pub(super) fn late(waited_ms: u128) -> Self {
        Self::Away(format!("no answer in {waited_ms} ms"))
    }

    fn of_client(error: &Error) -> Self {
        let mut why = error.to_string();
        // A certificate that is not trusted, a server without TLS, a password that is missing, a way
        // of asking for it that is not known here.
        let setting =
            ["error performing TLS handshake", "invalid configuration", "authentication error"];
        let refused = setting.contains(&why.as_str()) && !is_broken(error);
        // The causes are of the operating system, the resolver and TLS; none of them sees a row,
        // except that of a value that cannot be sent.
        if !why.starts_with("error serializing") {
            why.extend(error.source().map(|it| format!(": {it}")));
        }
        if refused { Self::Unusable(why) } else { Self::Away(why) }
    }

    /// The error that callers see.
    pub(super) fn at(self, place: &str) -> OutcomeError {
        let place = place.to_owned();
        match self {
            Self::Away(why) => OutcomeError::Away { place, why },
            Self::Unusable(why) => OutcomeError::Unusable { place, why },
            Self::Refused(code) => OutcomeError::Refused { place, code },
            Self::Newer(found) => OutcomeError::NewerSchema { path: place.into(), found },
        }
    }
}

/// Whether the connection broke, as against something that was said on it.
fn is_broken(error: &Error) -> bool {
    let cause = error.source().and_then(|it| it.downcast_ref::<std::io::Error>());
    cause.is_some_and(|it| it.kind() != std::io::ErrorKind::InvalidData)
}
