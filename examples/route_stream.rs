//! Asks one question through a running server and prints the answer as it is written.
//!
//! Start a server (`pointsman demo` needs no keys), then: `cargo run --example route_stream`, or with
//! the server's address behind it: `cargo run --example route_stream -- http://127.0.0.1:8080`.

use std::error::Error;
use std::io::Write;

use pointsman::api::proto::delta::Piece;
use pointsman::api::proto::part::Content;
use pointsman::api::proto::pointsman_client::PointsmanClient;
use pointsman::api::proto::route_event::Event;
use pointsman::api::proto::{Budget, Candidates, Message, Part, Preference, Role, RouteRequest};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "http://127.0.0.1:8080".to_owned());
    let mut client = PointsmanClient::connect(address).await?;

    let question = Part { content: Some(Content::Text("Tell a short story of a lamp.".into())) };
    let request = RouteRequest {
        messages: vec![Message { role: Role::User.into(), parts: vec![question] }],
        // In a stream the first token matters most.
        budget: Some(Budget {
            max_cost_usd: Some(0.01),
            max_ttft_ms: Some(5_000.0),
            ..Default::default()
        }),
        preference: Some(Preference { preset: Some("latency".into()), ..Default::default() }),
        // Empty lists: every model the server has.
        candidates: Some(Candidates::default()),
        ..Default::default()
    };

    // Dropping `events` would end the call at the provider.
    let mut events = client.route_stream(request).await?.into_inner();
    while let Some(event) = events.message().await? {
        match event.event {
            Some(Event::Decided(decision)) => {
                let order = decision.ranking.iter().map(|it| it.deployment.as_str());
                println!("to be tried: {}", order.collect::<Vec<_>>().join(", "));
            }
            // Failures before the first content were not seen here: `attempts` counts them.
            Some(Event::Answering(who)) => {
                println!("{} answers, attempt {}\n", who.deployment, who.attempts);
            }
            Some(Event::Delta(delta)) => {
                if let Some(Piece::Text(text)) = delta.piece {
                    print!("{text}");
                    std::io::stdout().flush()?;
                }
            }
            Some(Event::Restarted(_)) => println!("\n(drop the above: another model begins anew)"),
            Some(Event::Completed(whole)) => {
                println!("\n\n${:.6} in {:.0} ms", whole.cost_usd, whole.total_ms);
                return Ok(());
            }
            Some(Event::Switched(_)) | None => {}
        }
    }
    // A stream that breaks ends in a status, which `?` above has told; this end is no answer either.
    Err("the stream ended before the answer did".into())
}
