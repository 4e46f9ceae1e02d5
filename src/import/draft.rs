//! A config of ours while it is put together: providers, models, deployments, routes.
//!
//! In: what the formats say. Out: TOML, and notes. Invariant: names are unique; a model that the catalog
//! does not know gets its figures, and a note where they had to be assumed.

use std::collections::BTreeMap;

use toml::{Table, Value};

use super::{ImportError, Note};
use crate::catalog::{Catalog, Model};
use crate::domain::{AbilitySet, ModelName, Price};
use crate::providers::builtin_text;

/// What is assumed of a model that nobody knows: the window of most models since 2024.
const WINDOW_ASSUMED: i64 = 131_072;

/// How a provider is reached.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Reached {
    /// The built-in row that it is like.
    pub(super) like: String,
    /// Where its API begins, where that is not the row's.
    pub(super) base_url: Option<String>,
    /// The variable that holds its key, where that is not the row's.
    pub(super) key_env: Option<String>,
    /// What it is called elsewhere, where that tells it from others.
    pub(super) called: Option<String>,
}

/// What a config says of a model itself.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Figures {
    pub(super) window: Option<i64>,
    pub(super) output: Option<i64>,
    /// USD per million tokens.
    pub(super) input_usd: Option<f64>,
    pub(super) output_usd: Option<f64>,
    pub(super) tools: bool,
    pub(super) images: bool,
}

/// A config that grows.
pub(super) struct Draft {
    catalog: Catalog,
    rows: BTreeMap<String, Table>,
    providers: Vec<(String, Reached)>,
    pub(super) models: Vec<(String, Table)>,
    pub(super) routes: Vec<Table>,
    pub(super) policy: Table,
    pub(super) notes: Vec<Note>,
}

impl Draft {
    pub(super) fn new() -> Result<Self, ImportError> {
        let catalog = Catalog::shipped().map_err(|_| ImportError::Shipped)?;
        let shipped: Table = builtin_text().parse().map_err(|_| ImportError::Shipped)?;
        let rows = shipped.get("provider").and_then(Value::as_array).into_iter().flatten();
        let rows = rows.filter_map(|it| {
            let mut row = it.as_table()?.clone();
            row.remove("api_key_optional");
            Some((row.get("name")?.as_str()?.to_owned(), row))
        });
        Ok(Self {
            catalog,
            rows: rows.collect(),
            providers: Vec::new(),
            models: Vec::new(),
            routes: Vec::new(),
            policy: Table::new(),
            notes: Vec::new(),
        })
    }

    pub(super) fn note(&mut self, path: impl Into<String>, why: impl Into<String>) {
        self.notes.push(Note { path: path.into(), why: why.into() });
    }

    pub(super) fn is_builtin(&self, name: &str) -> bool {
        self.rows.contains_key(name)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.models.is_empty()
    }

    pub(super) fn into_notes(self) -> Vec<Note> {
        self.notes
    }

    /// The catalog's model behind an id at a provider, or of this name.
    pub(super) fn known(&self, provider: &str, id: &str) -> Option<&Model> {
        let at =
            |it: &&Model| it.served_by.iter().any(|(at, own)| at.as_str() == provider && own == id);
        let named = self.catalog.get(id).map(|it| &**it);
        named.or_else(|| self.catalog.models().map(|it| &**it).find(at))
    }

    /// The name here of a provider that is reached so and is none of `taken`; adds it where there is none.
    pub(super) fn provider(&mut self, reached: Reached, taken: &[String]) -> String {
        let same = self.providers.iter().find(|(name, it)| *it == reached && !taken.contains(name));
        if let Some((name, _)) = same {
            return name.clone();
        }
        let base = reached.called.clone().unwrap_or_else(|| reached.like.clone());
        let free = |it: &String| self.providers.iter().all(|(name, _)| name != it);
        // A plain built-in one keeps its name; what differs from it never takes that.
        let plain = reached == Reached { like: reached.like.clone(), ..Reached::default() };
        let own = |it: &String| free(it) && (plain || !self.rows.contains_key(it));
        let numbered = (2..).map(|it| format!("{base}-{it}"));
        let mut names = std::iter::once(base.clone()).chain(numbered);
        // Ends: there are fewer providers than numbers.
        let name = names.find(own).unwrap_or(base);
        self.providers.push((name.clone(), reached));
        name
    }

    /// The table of a model, with its figures where the catalog's own do not do.
    pub(super) fn model(
        &mut self,
        name: &str,
        path: &str,
        (provider, id): (&str, &str),
        own: &Figures,
    ) -> &mut Table {
        if let Some(at) = self.models.iter().position(|(it, _)| it == name) {
            return &mut self.models[at].1;
        }
        let mut table = Table::new();
        table.insert("name".into(), name.into());
        let known = self.known(provider, id).or_else(|| self.catalog.get(name).map(|it| &**it));
        match known {
            Some(model) if model.name.as_str() == name => {}
            Some(model) => like(&mut table, model),
            None => {}
        }
        let (is_known, missing) = (known.is_some(), own.input_usd.is_none());
        own.fill(&mut table, is_known);
        if !is_known && (missing || own.window.is_none()) {
            let why = "the catalog does not know this model: its context window or its price is \
                       assumed (131072 tokens, 0 USD); set them, or costs and limits are wrong";
            self.note(path, why);
        }
        self.models.push((name.to_owned(), table));
        let last = self.models.len() - 1;
        &mut self.models[last].1
    }

    /// The figures of a model of the catalog, for another name of it.
    pub(super) fn figures_as(&self, name: &str) -> Table {
        let mut table = Table::new();
        if let Some(model) = self.catalog.get(name) {
            like(&mut table, model);
        }
        table
    }

    /// Adds a deployment to a model's table.
    pub(super) fn deploy(model: &mut Table, deployment: Table) {
        let place = model.entry("deployment").or_insert_with(|| Value::Array(Vec::new()));
        if let Value::Array(all) = place {
            all.push(Value::Table(deployment));
        }
    }

    /// The whole as TOML.
    pub(super) fn written(self) -> Result<(String, Vec<Note>), ImportError> {
        let mut root = Table::new();
        if !self.policy.is_empty() {
            root.insert("policy".into(), Value::Table(self.policy));
        }
        let providers: Vec<_> =
            self.providers.iter().filter_map(|(name, it)| row(name, it, &self.rows)).collect();
        let tables = |all: Vec<Table>| Value::Array(all.into_iter().map(Value::Table).collect());
        if !providers.is_empty() {
            root.insert("provider".into(), tables(providers));
        }
        root.insert("model".into(), tables(self.models.into_iter().map(|it| it.1).collect()));
        if !self.routes.is_empty() {
            root.insert("route".into(), tables(self.routes));
        }
        Ok((toml::to_string(&root)?, self.notes))
    }
}

/// The section of a provider; `None` for a built-in one as it is.
fn row(name: &str, reached: &Reached, rows: &BTreeMap<String, Table>) -> Option<Table> {
    if name == reached.like && reached.base_url.is_none() && reached.key_env.is_none() {
        return None;
    }
    let mut row = rows.get(&reached.like).cloned().unwrap_or_default();
    row.insert("name".into(), name.into());
    if let Some(url) = &reached.base_url {
        row.insert("base_url".into(), url.as_str().into());
        // Whoever stands at another address has a key of its own, or none.
        row.remove("api_key_env");
    }
    if let Some(variable) = &reached.key_env {
        row.insert("api_key_env".into(), variable.as_str().into());
    }
    Some(row)
}

/// The figures of a model that goes by another name here.
fn like(table: &mut Table, model: &Model) {
    table.insert("context_window".into(), whole(model.context_window));
    table.insert("max_output_tokens".into(), whole(model.max_output_tokens));
    let names = |it: AbilitySet| it.iter().map(|it| Value::from(it.as_str())).collect();
    table.insert("abilities".into(), Value::Array(names(model.abilities)));
    table.insert("price".into(), price(&model.price));
    let learned = model.learned_as.as_deref().unwrap_or(model.name.as_str());
    table.insert("learned_as".into(), learned.into());
}

fn whole(number: u64) -> Value {
    Value::Integer(i64::try_from(number).unwrap_or(i64::MAX))
}

fn price(of: &Price) -> Value {
    let mut table = Table::new();
    table.insert("input".into(), of.input.usd_per_million().into());
    table.insert("output".into(), of.output.usd_per_million().into());
    if let Some(cached) = of.cached {
        table.insert("cached".into(), cached.usd_per_million().into());
    }
    Value::Table(table)
}

impl Figures {
    /// Puts them into a model's table, and what must not be missing there.
    fn fill(&self, table: &mut Table, known: bool) {
        let whole = [("context_window", self.window), ("max_output_tokens", self.output)];
        for (key, value) in whole {
            if let Some(value) = value.filter(|it| *it > 0) {
                table.insert(key.into(), Value::Integer(value));
            }
        }
        if known {
            return;
        }
        table.entry("context_window").or_insert(Value::Integer(WINDOW_ASSUMED));
        let flags = [("tools", self.tools), ("images", self.images)];
        let abilities = flags.iter().filter(|it| it.1).map(|it| Value::from(it.0));
        table.entry("abilities").or_insert_with(|| Value::Array(abilities.collect()));
        let mut price = Table::new();
        price.insert("input".into(), self.input_usd.unwrap_or(0.0).into());
        price.insert("output".into(), self.output_usd.unwrap_or(0.0).into());
        table.entry("price").or_insert(Value::Table(price));
    }
}

/// Whether a name can be one of ours.
pub(super) fn is_name(name: &str) -> bool {
    ModelName::new(name).is_ok()
}
