//! Why an encoder was not pulled, each with what to do about it where that is known.
//!
//! Invariant: no token is in any of them; addresses are, since the hub's is no secret and a mirror's
//! is the operator's own.

use std::path::PathBuf;

use crate::encoder::EncoderError;

/// Why an encoder was not pulled, or is not what was pulled.
#[derive(Debug, thiserror::Error)]
pub enum HubError {
    /// Not a repository's name.
    #[error("`{0}` is not a repository's name, such as sentence-transformers/all-MiniLM-L6-v2")]
    Name(String),
    /// Not a revision.
    #[error(
        "`{0}` is not a revision: a branch, a tag or a commit, of letters, digits, `.`, `_`, `-`"
    )]
    Revision(String),
    /// Not the address of a hub.
    #[error(
        "the hub's address must be a URL such as https://host, without user, password or query"
    )]
    Address,
    /// The HTTP client.
    #[error(
        "no HTTPS client: are CA certificates installed (package ca-certificates, or SSL_CERT_FILE)?"
    )]
    Client(#[source] reqwest::Error),
    /// A token that is no header.
    #[error("HF_TOKEN holds characters that no token has")]
    Token,
    /// Nobody answers.
    #[error(
        "{url} cannot be reached; HF_ENDPOINT or --hub names another hub, --from takes a folder"
    )]
    Unreachable {
        /// What was asked for.
        url: String,
        /// Why.
        source: reqwest::Error,
    },
    /// 401 or 403.
    #[error(
        "{url}: status {status}: the hub wants a token that may read it: set HF_TOKEN (a repository \
         that does not exist is refused so, too)"
    )]
    Unauthorized {
        /// What was asked for.
        url: String,
        /// The status.
        status: u16,
    },
    /// 404.
    #[error("{url}: status 404: there is no such repository, revision or file")]
    NotFound {
        /// What was asked for.
        url: String,
    },
    /// Any other status.
    #[error("{url}: status {status}")]
    Status {
        /// What was asked for.
        url: String,
        /// The status.
        status: u16,
    },
    /// A listing that is none.
    #[error("{url}: this is not the hub's answer: {reason}")]
    Listing {
        /// What was asked for.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A repository without a file that is needed.
    #[error("`{name}` has no `{path}`: only BERT-shaped sentence encoders with it can be used")]
    Lacks {
        /// Which repository.
        name: String,
        /// Which file.
        path: &'static str,
    },
    /// A file larger than any that is needed.
    #[error("`{path}` has {size} bytes, at most {most} are taken")]
    TooLarge {
        /// Which.
        path: String,
        /// Its size.
        size: u64,
        /// The bound.
        most: u64,
    },
    /// A file that does not end where it should.
    #[error("`{path}` goes on after the {size} bytes that it should have: refused")]
    TooLong {
        /// Which.
        path: String,
        /// The size that the hub told.
        size: u64,
    },
    /// The line broke, more often than it is taken up again.
    #[error("`{path}` broke off after {got} of {size} bytes; run the same command again to go on")]
    Cut {
        /// Which.
        path: String,
        /// Bytes that are kept.
        got: u64,
        /// Bytes that there are.
        size: u64,
    },
    /// Not the bytes that were asked for.
    #[error("`{path}`: SHA-256 is {found}, {wanted} is wanted: refused")]
    Checksum {
        /// Which.
        path: String,
        /// What it is.
        found: String,
        /// What it should be.
        wanted: String,
    },
    /// A folder that holds something else.
    #[error("{} holds something that was not pulled; --into takes another folder", .0.display())]
    Occupied(PathBuf),
    /// A folder without a note of what was pulled.
    #[error("{}: nothing was pulled into this folder", .0.display())]
    NotPulled(PathBuf),
    /// A note that cannot be read.
    #[error("{}: not a note of what was pulled: {source}", path.display())]
    Note {
        /// Which.
        path: PathBuf,
        /// Why.
        source: serde_json::Error,
    },
    /// A file or folder on this machine.
    #[error("{}: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Files that make no encoder.
    #[error("what was pulled cannot be used: {0}")]
    Encoder(#[source] EncoderError),
}

impl HubError {
    /// What failed with a file.
    pub(super) fn file(path: &std::path::Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::File { path, source }
    }
}
