//! What can end a command, each with what to do about it where that is known.
//!
//! Invariant: no prompt, answer or key is in any of them. Not here: problems of a config, which
//! are told one per line by [`crate::config::Problems`].

use std::net::SocketAddr;
use std::path::PathBuf;

use crate::api::ServeError;
use crate::catalog::{CatalogError, FleetError};
use crate::config::Problems;
use crate::domain::{InvalidName, PROMPT_BYTES_MAX, Violation};
use crate::encoder::{EncodeError, EncoderError};
use crate::outcome::{ExportError, OutcomeError};
use crate::pipeline::PipelineError;
use crate::prediction::ArtifactError;
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
    /// The router artifact's files.
    #[error("the router artifact cannot be loaded")]
    Artifact(#[from] ArtifactError),
    /// A prompt.
    #[error("a prompt cannot be encoded")]
    Encode(#[from] EncodeError),
    /// The shipped catalog.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// The HTTP client.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// The outcome log.
    #[error("the outcome log cannot be opened")]
    Outcome(#[from] OutcomeError),
    /// An export.
    #[error("outcomes cannot be exported")]
    Export(#[from] ExportError),
    /// No place was given.
    #[error("where to? Say `--to PLACE`, or `to = \"PLACE\"` under [export] in the config")]
    NowhereToExport,
    /// Choosing.
    #[error(transparent)]
    Pipeline(#[from] PipelineError),
    /// An address that cannot be listened on.
    #[error("{address} cannot be listened on; --listen takes another address")]
    Bind {
        /// Which.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// The server.
    #[error(transparent)]
    Serve(#[from] ServeError),
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
