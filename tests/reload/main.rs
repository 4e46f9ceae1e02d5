//! Artifacts are swapped, refused, rolled back and tried out while a server runs.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may stop on the first surprise")]

mod mill;
mod refuse;
#[path = "../support/mod.rs"]
mod support;
mod swap;
mod trial;

use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use mill::{LEARNED_AS, Mill};
use pointsman::api::proto::pointsman_admin_client::PointsmanAdminClient;
use pointsman::api::proto::{
    Decision, GetStatusRequest, GetStatusResponse, LoadedArtifact, ReloadArtifactRequest,
    RollbackArtifactRequest,
};
use pointsman::simulator::{SimulatedModel, Simulator};
use support::{House, PATIENCE, ROWS, ask, channel, config_text, instant_models};
use tonic::Status;
use tonic::transport::Channel;

/// A server that decides with the artifact in `live`, under more config. Its models are ones that the
/// artifact knows.
async fn house(mill: &Mill, more: &str) -> (House, Admin) {
    house_of(mill, more, instant_models()).await
}

async fn house_of(mill: &Mill, more: &str, models: Vec<SimulatedModel>) -> (House, Admin) {
    let live = mill.at("live");
    let config = |simulator: &Simulator, listen: SocketAddr, store: &Path| {
        let mut text = config_text(&simulator.base_url(), listen, store);
        for (row, learned_as) in ROWS.iter().zip(LEARNED_AS) {
            let prior = format!("quality_prior = {}", row.quality);
            text = text.replace(&prior, &format!("learned_as = \"{learned_as}\""));
        }
        format!("{text}[artifact]\npath = \"{}\"\n{more}", live.display())
    };
    let house = House::with(models, config).await;
    let admin = Admin(PointsmanAdminClient::new(channel(house.admin).await));
    (house, admin)
}

/// The operator's face.
#[derive(Clone)]
struct Admin(PointsmanAdminClient<Channel>);

impl Admin {
    async fn reload(&mut self) -> Result<bool, Status> {
        let told = self.0.reload_artifact(ReloadArtifactRequest {}).await?.into_inner();
        Ok(told.changed)
    }

    async fn rollback(&mut self) -> Result<GetStatusResponse, Status> {
        let told = self.0.rollback_artifact(RollbackArtifactRequest {}).await?.into_inner();
        Ok(told.status.unwrap())
    }

    async fn status(&mut self) -> GetStatusResponse {
        self.0.get_status(GetStatusRequest {}).await.unwrap().into_inner()
    }

    /// The version that serves.
    async fn serves(&mut self) -> String {
        version(&self.status().await.served.unwrap().now)
    }

    /// Asks for the status until it is as wanted; told of every one on the way.
    async fn until(&mut self, mut wanted: impl FnMut(&GetStatusResponse) -> bool) {
        let began = Instant::now();
        while !wanted(&self.status().await) {
            assert!(began.elapsed() < PATIENCE, "it never came to that");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
}

fn version(of: &Option<LoadedArtifact>) -> String {
    of.as_ref().map_or("none", |it| it.version.as_str()).to_owned()
}

/// Routes one prompt; who answered, and the decision.
async fn route(house: &House, text: &str, session: Option<&str>) -> (String, Decision) {
    let mut wire = ask(text);
    wire.session_id = session.map(str::to_owned);
    let answer = house.client.clone().route(wire).await.unwrap().into_inner();
    (answer.served_model, answer.decision.unwrap())
}
