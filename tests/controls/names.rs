//! What stands in the model's name, and how candidates are sorted.

use serde_json::{Value, json};

use crate::town::{CHAT, LLAMA, MIXTRAL, Plan, chat, house, id, json_snippet, post, ranked};

/// Places of the dear model's deployments, in the order of a ranking.
fn places(order: &[String]) -> Vec<&str> {
    let own = order.iter().filter(|it| it.starts_with(LLAMA));
    own.map(|it| it.rsplit('@').next().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn variants_order_the_deployments_of_their_model() {
    let house = house(&Plan::PLAIN).await;
    let cheap = ["together", "deepinfra", "fireworks"];
    let fast = ["deepinfra", "fireworks", "together"];
    for (variant, wanted) in [("cheap", cheap), ("floor", cheap), ("fast", fast), ("nitro", fast)] {
        let (order, _) = ranked(&house, &chat(&format!("{LLAMA}:{variant}"))).await;
        assert_eq!(places(&order), wanted, "{variant}");
    }
    let mut both = chat(&format!("{MIXTRAL}:nitro"));
    both["models"] = json!([format!("{MIXTRAL}:nitro"), format!("{LLAMA}:floor")]);
    let (order, _) = ranked(&house, &both).await;
    let first = [id(MIXTRAL, "deepinfra"), id(MIXTRAL, "together"), id(LLAMA, "together")];
    assert_eq!(order[..3], first);
    let (status, told) = post(&house, CHAT, &chat(&format!("{LLAMA}:floor"))).await;
    assert_eq!((status, &told["model"]), (200, &json!(LLAMA)));
    let (status, told) = post(&house, CHAT, &chat(&format!("{LLAMA}:free"))).await;
    assert_eq!(status, 404, "{told}");
    assert!(told.to_string().contains(":floor"), "{told}");
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn everyone_is_sorted_by_each_figure() {
    let house = house(&Plan::PLAIN).await;
    let sorted = |sort: Value| {
        let mut body = chat(LLAMA);
        body["provider"] = json!({ "sort": sort });
        body
    };
    let cases = [
        ("price", ["together", "deepinfra", "fireworks"]),
        ("throughput", ["deepinfra", "fireworks", "together"]),
        ("inter_token", ["deepinfra", "fireworks", "together"]),
        ("latency", ["deepinfra", "fireworks", "together"]),
        ("ttft", ["deepinfra", "fireworks", "together"]),
    ];
    for (by, wanted) in cases {
        assert_eq!(places(&ranked(&house, &sorted(json!(by))).await.0), wanted, "{by}");
        let object = sorted(json!({"by": by, "partition": "model"}));
        assert_eq!(places(&ranked(&house, &object).await.0), wanted, "{by}");
    }
    // Within the order of models, and across it.
    let mut body = chat("");
    body["models"] = json!([MIXTRAL, LLAMA]);
    body["provider"] = json!({"sort": "price"});
    let (order, _) = ranked(&house, &body).await;
    assert_eq!(order[1], id(MIXTRAL, "deepinfra"));
    body["provider"] = json_snippet("cheapest");
    let (order, excluded) = ranked(&house, &body).await;
    assert!(order[..2].iter().all(|it| it.ends_with("@together")), "{order:?}");
    assert_eq!(excluded.len(), 1, "{excluded:?}");
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn auto_takes_an_allow_list_and_a_figure() {
    let house = house(&Plan::PLAIN).await;
    let body = json_snippet("auto");
    let (status, told) = post(&house, CHAT, &body).await;
    assert_eq!((status, &told["model"]), (200, &json!(MIXTRAL)), "{told}");
    let mut body = body;
    body["plugins"][0]["allowed_models"] = json!(["openai/*"]);
    let (status, told) = post(&house, CHAT, &body).await;
    assert_eq!(status, 400);
    assert!(told.to_string().contains("plugins[0].allowed_models[0]"), "{told}");
    let (order, _) = ranked(&house, &chat("auto:cheap")).await;
    assert!(order[..2].iter().all(|it| it.ends_with("@together")), "{order:?}");
    let (order, _) = ranked(&house, &chat("auto:fast")).await;
    assert!(order[..2].iter().all(|it| it.ends_with("@deepinfra")), "{order:?}");
    house.stop().await;
}
