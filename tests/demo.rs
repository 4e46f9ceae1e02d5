//! The demo, whole, in this process: server, client, four simulated providers.

use pointsman::commands::demo::{self, Show};
use pointsman::commands::paint::Paint;

const REQUESTS: usize = 12;

#[tokio::test(flavor = "multi_thread")]
async fn the_demo_answers_falls_back_and_records() {
    let any_port = "127.0.0.1:0".parse().unwrap();
    let show = Show { requests: REQUESTS, seed: 7, listen: Some(any_port) };
    let mut out = Vec::new();
    let summary = demo::run(show, &mut out, Paint::Plain).await.unwrap();
    let text = String::from_utf8(out).unwrap();
    assert_eq!((summary.requests, summary.answered), (REQUESTS, REQUESTS), "{text}");
    assert_eq!(summary.recorded, REQUESTS, "{text}");
    assert!(summary.cost_usd > 0.0 && summary.best_cost_usd > 0.0, "{text}");
    assert!(summary.served.iter().map(|it| it.count).sum::<usize>() == REQUESTS, "{text}");
    let wide = text.lines().find(|it| it.chars().count() > 120);
    assert!(wide.is_none(), "{wide:?}");
    assert!(!text.contains('\x1b'), "painted without a terminal");
}
