//! A client of the admin listener.
//!
//! In: its URL; the key from the environment. Out: [`Admin`]. Invariant: the key is shown to nobody but
//! that server, and printed nowhere. Not here: what is asked.

use clap::Args;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Channel;
use tonic::{Request, Status};

use super::{CommandError, client};
use crate::api::proto::pointsman_admin_client::PointsmanAdminClient;

/// Which server. Its admin listener's key, if it has one, is read from POINTSMAN_ADMIN_KEY.
#[derive(Debug, Args)]
pub struct AtServer {
    /// The admin address of the running server.
    #[arg(long, alias = "server", value_name = "URL", default_value = "http://127.0.0.1:8081")]
    pub admin: String,
}

/// What holds the key of the admin listener.
const KEY_VARIABLE: &str = "POINTSMAN_ADMIN_KEY";

/// The client.
pub(super) type Admin = PointsmanAdminClient<InterceptedService<Channel, Shown>>;

/// Shows a key, if there is one.
#[derive(Clone)]
pub(super) struct Shown(Option<MetadataValue<Ascii>>);

impl Interceptor for Shown {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(key) = &self.0 {
            request.metadata_mut().insert("authorization", key.clone());
        }
        Ok(request)
    }
}

impl Shown {
    /// The key that a variable holds, or none.
    ///
    /// # Errors
    /// [`CommandError::UnfitKey`].
    pub(super) fn from_env(variable: &'static str) -> Result<Self, CommandError> {
        let key = std::env::var(variable).ok().filter(|it| !it.trim().is_empty());
        let shown = key.map(|it| MetadataValue::try_from(format!("Bearer {}", it.trim())));
        let mut shown = shown.transpose().map_err(|_| CommandError::UnfitKey(variable))?;
        if let Some(shown) = &mut shown {
            shown.set_sensitive(true);
        }
        Ok(Self(shown))
    }
}

/// Connects to an admin listener.
pub(super) async fn admin(server: &str) -> Result<Admin, CommandError> {
    let (channel, shown) = (client::channel(server).await?, Shown::from_env(KEY_VARIABLE)?);
    Ok(PointsmanAdminClient::with_interceptor(channel, shown))
}
