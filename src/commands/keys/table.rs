//! Keys and teams, for people and for programs.
//!
//! In: rows, what was spent. Out: a table, or JSON. Invariant: no secret and no hash.

use std::io::Write;
use std::time::Duration;

use serde_json::{Value, json};

use crate::access::{KeyRow, Role, SoFar, SpendLimits, Spending};
use crate::domain::Usd;

/// What is shown.
pub(super) struct Seen<'a> {
    pub(super) keys: &'a [KeyRow],
    pub(super) teams: &'a [(String, SpendLimits)],
    pub(super) spending: Spending,
    pub(super) now_s: u64,
}

impl Seen<'_> {
    pub(super) fn text(&self, out: &mut dyn Write) -> std::io::Result<()> {
        if self.keys.is_empty() {
            writeln!(out, "no keys; `pointsman keys create` makes one")?;
        }
        for key in self.keys {
            let SoFar { day, month } = self.spending.of_key(&key.id);
            writeln!(
                out,
                "{}  {} of {}: {}; {}; spent {day} today, {month} this month",
                key.id,
                key.name,
                key.team,
                self.state(key),
                rights(key),
            )?;
        }
        for (name, limits) in self.teams {
            let SoFar { day, month } = self.spending.of_team(name);
            let limits = spend_in_words(limits);
            writeln!(out, "team {name}: {limits}; spent {day} today, {month} this month")?;
        }
        Ok(())
    }

    pub(super) fn json(&self) -> Value {
        let spent = |it: SoFar| json!({ "day_usd": it.day.get(), "month_usd": it.month.get() });
        let usd = |it: Option<Usd>| it.map(Usd::get);
        let key = |it: &KeyRow| {
            json!({
                "id": it.id.as_str(),
                "name": it.name,
                "team": it.team,
                "state": self.state(it),
                "models": it.scope.models,
                "policies": it.scope.policies,
                "admin": it.scope.role == Role::Admin,
                "requests_per_minute": it.rates.requests_per_minute,
                "tokens_per_minute": it.rates.tokens_per_minute,
                "spend_per_day_usd": usd(it.spend.per_day),
                "spend_per_month_usd": usd(it.spend.per_month),
                "created_s": it.created_s,
                "expires_s": it.expires_s,
                "revoked_s": it.revoked_s,
                "spent": spent(self.spending.of_key(&it.id)),
            })
        };
        let team = |(name, limits): &(String, SpendLimits)| {
            json!({
                "name": name,
                "spend_per_day_usd": usd(limits.per_day),
                "spend_per_month_usd": usd(limits.per_month),
                "spent": spent(self.spending.of_team(name)),
            })
        };
        let keys: Vec<_> = self.keys.iter().map(key).collect();
        let teams: Vec<_> = self.teams.iter().map(team).collect();
        json!({ "keys": keys, "teams": teams })
    }

    fn state(&self, key: &KeyRow) -> String {
        match (key.revoked_s, key.expires_s) {
            (Some(_), _) => "revoked".to_owned(),
            (None, Some(at)) if at <= self.now_s => "expired".to_owned(),
            (None, Some(at)) => {
                let left = Duration::from_secs(at - self.now_s);
                format!("expires in {}", humantime::format_duration(left))
            }
            (None, None) => "in use".to_owned(),
        }
    }
}

/// What a key may do, in words.
fn rights(key: &KeyRow) -> String {
    let names =
        |what: &str, list: Option<Vec<&str>>| list.map(|it| format!("{what} {}", it.join(",")));
    let models = key.scope.models.as_ref().map(|it| it.iter().map(|it| it.as_str()).collect());
    let policies = key.scope.policies.as_ref().map(|it| it.iter().map(String::as_str).collect());
    let rate =
        |what: &str, it: Option<std::num::NonZeroU32>| it.map(|it| format!("{it} {what}/min"));
    let all = [
        (key.scope.role == Role::Admin).then(|| "admin".to_owned()),
        names("models", models),
        names("policies", policies),
        rate("requests", key.rates.requests_per_minute),
        rate("tokens", key.rates.tokens_per_minute),
        Some(spend_in_words(&key.spend)),
    ];
    all.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// Limits on spending, in words.
pub(super) fn spend_in_words(limits: &SpendLimits) -> String {
    let one = |of: Option<Usd>, window: &str| of.map(|it| format!("at most {it} a {window}"));
    let both = [one(limits.per_day, "day"), one(limits.per_month, "month")];
    let both: Vec<_> = both.into_iter().flatten().collect();
    if both.is_empty() { "no limit on spending".to_owned() } else { both.join(", ") }
}
