//! What can end a command, each with what to do about it where that is known.
//!
//! Invariant: no prompt, answer or key is in any of them. Not here: problems of a config, which
//! are told one per line by [`crate::config::Problems`].

use std::net::SocketAddr;
use std::path::PathBuf;

use crate::access::AccessError;
use crate::api::ServeError;
use crate::catalog::{CatalogError, FleetError};
use crate::config::Problems;
use crate::domain::{InvalidName, PROMPT_BYTES_MAX, Violation};
use crate::encoder::EncoderError;
use crate::hub::HubError;
use crate::import::ImportError;
use crate::outcome::{ExportError, OutcomeError};
use crate::pipeline::{PipelineError, Refused};
use crate::providers::TransportError;
use crate::simulator::InvalidScript;

/// Why a command ended without doing what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// A file that cannot be read.
    #[error("{} cannot be read", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file that cannot be written.
    #[error("{} cannot be written: it may be there already", path.display())]
    Write {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file of another gateway's.
    #[error(transparent)]
    Import(ImportError),
    /// Standard input or output failed.
    #[error("standard input or output failed")]
    Io(#[from] std::io::Error),
    /// A prompt on standard input that is too long to be taken.
    #[error("the prompt on standard input is longer than {PROMPT_BYTES_MAX} bytes")]
    PromptTooLong,
    /// A config with problems, or nothing to serve.
    #[error(transparent)]
    Config(#[from] Problems),
    /// The encoder's files.
    #[error("the encoder cannot be loaded")]
    Encoder(#[from] EncoderError),
    /// The files of an artifact.
    #[error(transparent)]
    Artifact(#[from] Refused),
    /// The shipped catalog.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// The HTTP client.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// The outcome log.
    #[error("the outcome log cannot be opened")]
    Outcome(#[from] OutcomeError),
    /// The store of API keys.
    #[error(transparent)]
    Access(#[from] AccessError),
    /// A key that is not there, or was revoked before; by its id.
    #[error("there is no key {0} in use")]
    NoSuchKey(String),
    /// The system gave no random bytes.
    #[error("the system gives no random bytes to make a key of")]
    NoRandomness,
    /// An encoder from elsewhere.
    #[error(transparent)]
    Hub(#[from] HubError),
    /// An export.
    #[error("outcomes cannot be exported")]
    Export(#[from] ExportError),
    /// No place was given.
    #[error("where to? Say `--to PLACE`, or `to = \"PLACE\"` under [export] in the config")]
    NowhereToExport,
    /// A summary of what is in a database.
    #[error("summaries read SQLite files and exports: name one with --log or --export")]
    OnlyExported,
    /// A thread that ended without a result.
    #[error("reading was interrupted")]
    Interrupted(#[source] tokio::task::JoinError),
    /// Choosing.
    #[error(transparent)]
    Pipeline(#[from] PipelineError),
    /// An address that cannot be listened on.
    #[error("{address} cannot be listened on; {option} takes another address")]
    Bind {
        /// Which.
        address: SocketAddr,
        /// What takes another one.
        option: &'static str,
        /// Why.
        source: std::io::Error,
    },
    /// The server.
    #[error(transparent)]
    Serve(#[from] ServeError),
    /// An address that the admin listener may not have.
    #[error("--admin-listen: {0}")]
    AdminListen(String),
    /// A listener that ended by itself.
    #[error("a listener ended before it was told to")]
    ServerEnded,
    /// A second signal.
    #[error("ended by a second signal; what was under way was cut off")]
    CutShort,
    /// A key that cannot stand in a header.
    #[error("the key in {0} has letters that a header cannot hold")]
    UnfitKey(&'static str),
    /// A server that is not there.
    #[error(
        "no Pointsman server answers at {server}; `pointsman serve` or `pointsman demo` starts one"
    )]
    Connect {
        /// Where it was looked for.
        server: String,
        /// Why.
        source: tonic::transport::Error,
    },
    /// What a server said instead of an answer; its message holds neither prompt nor key.
    #[error("the server says {:?}: {}", .0.code(), .0.message())]
    Status(Box<tonic::Status>),
    /// A request that does not pass its checks.
    #[error("{}", .0.iter().map(|it| format!("{}: {}", it.field, it.message)).collect::<Vec<_>>().join("\n"))]
    Invalid(Vec<Violation>),
    /// Deployments that make no fleet.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Fleet(Vec<FleetError>),
    /// A fault, script or rate of the simulator.
    #[error(transparent)]
    Fault(#[from] InvalidScript),
    /// A name.
    #[error(transparent)]
    Name(#[from] InvalidName),
    /// A model that the demo's cast is made of is gone from the catalog.
    #[error("no model of the catalog is learned as `{0}`")]
    NotInCatalog(&'static str),
}

impl From<tonic::Status> for CommandError {
    fn from(status: tonic::Status) -> Self {
        Self::Status(Box::new(status))
    }
}
