//! Asks one question through a running server, within a budget, and shows what the answer cost.
//!
//! Start a server (`pointsman demo` needs no keys), then: `cargo run --example route`, or with the
//! server's address behind it: `cargo run --example route -- http://127.0.0.1:8080`.

use std::error::Error;

use pointsman::api::proto::part::Content;
use pointsman::api::proto::pointsman_client::PointsmanClient;
use pointsman::api::proto::{
    Budget, Candidates, ListModelsRequest, Message, Part, Preference, Role, RouteRequest, Sampling,
};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "http://127.0.0.1:8080".to_owned());
    let mut client = PointsmanClient::connect(address).await?;

    // Which models there are depends on the server; their names are what `candidates` takes.
    let models = client.list_models(ListModelsRequest {}).await?;
    let names: Vec<_> = models.into_inner().models.into_iter().map(|it| it.name).collect();
    println!("models: {}", names.join(", "));

    let question = Part { content: Some(Content::Text("Why is the sky blue, in short?".into())) };
    let request = RouteRequest {
        messages: vec![Message { role: Role::User.into(), parts: vec![question] }],
        sampling: Some(Sampling { max_output_tokens: Some(300), ..Default::default() }),
        // Hard limits, for all attempts together. Whoever is not sure to stay inside is not asked.
        budget: Some(Budget {
            max_cost_usd: Some(0.01),
            max_latency_ms: Some(20_000.0),
            ..Default::default()
        }),
        // Inside the limits: what is quality worth? Here, a right answer instead of a wrong one is
        // worth two cents.
        preference: Some(Preference {
            preset: Some("balanced".into()),
            cost_per_quality_usd: Some(0.02),
            ..Default::default()
        }),
        // Only the first three of them; an empty list would mean: whoever the server has.
        candidates: Some(Candidates {
            allow: names.into_iter().take(3).collect(),
            ..Default::default()
        }),
        ..Default::default()
    };

    let answer = match client.route(request).await {
        Ok(answer) => answer.into_inner(),
        // The status says which limit excluded whom, or how every attempt failed.
        Err(status) => return Err(format!("{:?}: {}", status.code(), status.message()).into()),
    };
    for part in answer.message.iter().flat_map(|it| &it.parts) {
        if let Some(Content::Text(text)) = &part.content {
            println!("\n{text}");
        }
    }
    println!(
        "\n{} answered for ${:.6} in {:.0} ms",
        answer.deployment, answer.cost_usd, answer.total_ms
    );
    for attempt in &answer.attempts {
        let failure = attempt.failure().as_str_name();
        println!("  {} for {:.0} ms: {failure}", attempt.deployment, attempt.total_ms);
    }
    if let Some(decision) = &answer.decision {
        println!("decision {}; name it in Feedback to tell how good this was", decision.id);
    }
    Ok(())
}
