//! Operators' port: what is on it, what is not on callers', and its key.

use std::net::SocketAddr;
use std::path::Path;

use pointsman::api::proto::pointsman_admin_client::PointsmanAdminClient;
use pointsman::api::proto::{ListAvailabilityRequest, ListAvailabilityResponse};
use pointsman::simulator::Simulator;
use tonic::{Code, Request, Response, Status};

use crate::support::{self, House, config_text, http_client, instant_models};

async fn availability(
    at: SocketAddr,
    shown: Option<&str>,
) -> Result<Response<ListAvailabilityResponse>, Status> {
    let mut request = Request::new(ListAvailabilityRequest {});
    if let Some(shown) = shown {
        request.metadata_mut().insert("authorization", shown.parse().unwrap());
    }
    PointsmanAdminClient::new(support::channel(at).await).list_availability(request).await
}

async fn get(at: SocketAddr, path: &str, shown: Option<&str>) -> (u16, String) {
    let mut request = http_client().get(format!("http://{at}{path}"));
    if let Some(shown) = shown {
        request = request.header("authorization", shown);
    }
    let answer = request.send().await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn callers_and_operators_have_ports_of_their_own() {
    let house = House::start(instant_models()).await;
    for path in ["/metrics", "/healthz", "/readyz"] {
        assert_eq!(get(house.admin, path, None).await.0, 200, "{path}");
    }
    assert_eq!(availability(house.admin, None).await.unwrap().into_inner().deployments.len(), 3);
    let refused = availability(house.address, None).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unimplemented);
    assert_eq!(get(house.address, "/metrics", None).await.0, 404);
    for path in ["/v1/models", "/v1/chat/completions"] {
        let (status, told) = get(house.admin, path, None).await;
        assert_eq!(status, 404, "{path}");
        assert!(told.contains("admin listener"), "{told}");
    }
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_there_is_a_key_nothing_is_told_without_it() {
    let config = |simulator: &Simulator, listen: SocketAddr, store: &Path| {
        let text = config_text(&simulator.base_url(), listen, store);
        text.replace("[server]\n", "[server]\nadmin_key_env = \"ADMIN_KEY\"\n")
    };
    let house = House::with(instant_models(), config).await;
    for shown in [None, Some("Bearer wrong"), Some("Basic house-key"), Some("house-key")] {
        for path in ["/metrics", "/healthz", "/readyz", "/nothing"] {
            let (status, told) = get(house.admin, path, shown).await;
            assert_eq!(status, 401, "{path} {shown:?}");
            assert!(!told.contains("pointsman_") && !told.contains("house-key"), "{told}");
        }
        let refused = availability(house.admin, shown).await.unwrap_err();
        assert_eq!(refused.code(), Code::Unauthenticated, "{shown:?}");
    }
    let shown = Some("Bearer house-key");
    assert_eq!(get(house.admin, "/metrics", shown).await.0, 200);
    assert_eq!(availability(house.admin, shown).await.unwrap().into_inner().deployments.len(), 3);
    // Callers do not need it, and probes find health on their port.
    assert_eq!(get(house.address, "/readyz", None).await.0, 200);
    house.stop().await;
}
