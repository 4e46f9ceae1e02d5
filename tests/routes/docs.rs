//! The snippets of docs/routes.md: what is written there can be written.

use pointsman::config;
use pointsman::import::{Order, import};

use crate::station::MODELS;

/// Every fenced block of a kind.
fn blocks(kind: &str) -> Vec<String> {
    let text = std::fs::read_to_string("docs/routes.md").unwrap();
    let mut all = Vec::new();
    let fence = format!("```{kind}\n");
    for part in text.split(&fence).skip(1) {
        all.push(part.split("```").next().unwrap().to_owned());
    }
    all
}

/// A fleet of the models that the page names, at two providers.
fn fleet() -> String {
    let own = ["gpt-large", "gpt-small", "claude-large", "house-llama", "long-window"];
    let names = own.into_iter().chain(MODELS.iter().map(|it| it.0));
    let model = |name: &str| {
        let at = |by: &str| {
            format!(
                "[[model.deployment]]\nprovider = \"{by}\"\nmodel_id = \"{name}\"\n\
                 price = {{ input = 1, output = 1 }}\n"
            )
        };
        format!("[[model]]\nname = \"{name}\"\ncontext_window = 8000\n{}{}", at("east"), at("west"))
    };
    let provider = |name: &str| {
        format!(
            "[[provider]]\nname = \"{name}\"\nprotocol = \"openai\"\nbase_url = \"http://[::1]:9\"\n"
        )
    };
    let models: String = names.map(model).collect();
    format!("{}{}{models}", provider("east"), provider("west"))
}

#[test]
fn every_snippet_is_a_config() {
    let snippets = blocks("toml");
    assert!(snippets.len() >= 6, "{}", snippets.len());
    for snippet in snippets {
        let text = format!("{}\n{snippet}", fleet());
        let read = config::from_toml(&text, &|_| Some("key".into()));
        let config = read.unwrap_or_else(|it| panic!("{it}\n{snippet}"));
        let routes = config.routes;
        assert!(!routes.named.is_empty() || !routes.of_model.is_empty(), "{snippet}");
    }
}

#[test]
fn the_other_gateways_configs_are_read() {
    for kind in ["yaml", "json"] {
        let all = blocks(kind);
        assert!(!all.is_empty());
        for text in all {
            let imported =
                import(&text, Order::default()).unwrap_or_else(|it| panic!("{it}\n{text}"));
            assert!(imported.toml.contains("[[model]]"), "{}", imported.toml);
        }
    }
}
