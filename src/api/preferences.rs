//! What a request wants of providers, over what the server wants of them.
//!
//! In: the wire's `provider`, the server's own wishes, the fleet. Out: [`ProviderWishes`]; what is wrong
//! goes to `found`, with its field and the name that was perhaps meant. Invariant: limits only tighten;
//! an order and a sort of the request's own stand in place of the server's. Pure.

use super::policy::nearest;
use super::proto;
use crate::catalog::{DataCollection, Fleet, Quantization};
use crate::domain::{MoneyError, TokenPrice, Usd, Violation};
use crate::ranking::{
    Fallbacks, Figure, MaxPrice, Parameters, Partition, ProviderWishes, Retention, Sort, Whose,
};

/// Most names in one list: far more than there are providers.
const NAMES_MAX: usize = 256;

type Found = Vec<Violation>;

/// The wishes that hold for a request.
pub(super) fn wishes(
    defaults: &ProviderWishes,
    wire: Option<&proto::ProviderPreferences>,
    fleet: &Fleet,
    found: &mut Found,
) -> ProviderWishes {
    let Some(wire) = wire else { return defaults.clone() };
    let order = whose("provider.order", &wire.order, fleet, found);
    let only = whose("provider.only", &wire.only, fleet, found);
    let mut ignore = defaults.ignore.clone();
    ignore.extend(whose("provider.ignore", &wire.ignore, fleet, found));
    let data = wire.data_collection.as_deref().map(|it| data_collection(it, found));
    let refuse = wire.allow_fallbacks == Some(false);
    let require = wire.require_parameters == Some(true);
    ProviderWishes {
        order: if order.is_empty() { defaults.order.clone() } else { order },
        only: both_only(&defaults.only, only, fleet, found),
        ignore,
        fallbacks: if refuse { Fallbacks::Refused } else { defaults.fallbacks },
        parameters: if require { Parameters::Required } else { defaults.parameters },
        data_collection: match (defaults.data_collection, data) {
            (DataCollection::Deny, _) | (_, Some(DataCollection::Deny)) => DataCollection::Deny,
            (DataCollection::Allow, Some(DataCollection::Allow) | None) => DataCollection::Allow,
        },
        retention: if wire.zdr == Some(true) { Retention::Zero } else { defaults.retention },
        quantizations: quantizations(&defaults.quantizations, &wire.quantizations, found),
        sort: wire.sort.as_ref().and_then(|it| sort(it, found)).or(defaults.sort),
        max_price: wire
            .max_price
            .map_or(defaults.max_price, |it| max_price(defaults.max_price, it, found)),
    }
}

fn whose(field: &str, wire: &[String], fleet: &Fleet, found: &mut Found) -> Vec<Whose> {
    if wire.len() > NAMES_MAX {
        let message = format!("{} names, at most {NAMES_MAX} are allowed", wire.len());
        found.push(Violation::new(field, message));
    }
    let fleet = fleet.deployments();
    let mut all = Vec::with_capacity(wire.len().min(NAMES_MAX));
    for (at, name) in wire.iter().enumerate().take(NAMES_MAX) {
        match Whose::named(name, fleet) {
            Some(it) => all.push(it),
            None => {
                let known = fleet.iter().flat_map(|it| [it.provider.as_str(), it.id.as_str()]);
                let message = match nearest(name, known) {
                    Some(it) => format!("no provider here is called so; did you mean `{it}`?"),
                    None => "no provider here is called so; the list of models tells which \
                             there are"
                        .to_owned(),
                };
                found.push(Violation::new(format!("{field}[{at}]"), message));
            }
        }
    }
    all
}

/// Those of both lists: the request's as far as the server's mean them.
fn both_only(
    defaults: &[Whose],
    asked: Vec<Whose>,
    fleet: &Fleet,
    found: &mut Found,
) -> Vec<Whose> {
    if defaults.is_empty() || asked.is_empty() {
        return if asked.is_empty() { defaults.to_vec() } else { asked };
    }
    let means = |list: &[Whose], it| list.iter().any(|whose| whose.means(it));
    let fleet = fleet.deployments().iter();
    let both = fleet.filter(|it| means(defaults, it) && means(&asked, it));
    let both: Vec<_> = both.map(|it| Whose::Deployment(it.id.clone())).collect();
    if both.is_empty() {
        // An empty list would mean everyone.
        let allowed = defaults.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        let message = format!("this server allows none of these; it allows {allowed}");
        found.push(Violation::new("provider.only", message));
    }
    both
}

fn named<T: Copy>(
    field: &str,
    text: &str,
    known: &[(&'static str, T)],
    found: &mut Found,
) -> Option<T> {
    let hit = known.iter().find(|(it, _)| *it == text).map(|(_, it)| *it);
    if hit.is_none() {
        let names: Vec<_> = known.iter().map(|(it, _)| *it).collect();
        let meant = nearest(text, names.iter().copied());
        let meant = meant.map(|it| format!("; did you mean `{it}`?")).unwrap_or_default();
        let message = format!("this is none of: {}{meant}", names.join(", "));
        found.push(Violation::new(field, message));
    }
    hit
}

fn data_collection(text: &str, found: &mut Found) -> DataCollection {
    let read = named("provider.data_collection", text, &DataCollection::NAMES, found);
    read.unwrap_or_default()
}

fn quantizations(
    defaults: &[Quantization],
    wire: &[String],
    found: &mut Found,
) -> Vec<Quantization> {
    let mut asked = Vec::new();
    for (at, text) in wire.iter().enumerate().take(NAMES_MAX) {
        let field = format!("provider.quantizations[{at}]");
        asked.extend(named(&field, text, &Quantization::NAMES, found));
    }
    if defaults.is_empty() || asked.is_empty() {
        return if asked.is_empty() { defaults.to_vec() } else { asked };
    }
    asked.retain(|it| defaults.contains(it));
    if asked.is_empty() {
        let allowed: Vec<_> = defaults.iter().map(|it| it.as_str()).collect();
        let message = format!("this server allows none of these; it allows {}", allowed.join(", "));
        found.push(Violation::new("provider.quantizations", message));
    }
    asked
}

fn sort(wire: &proto::ProviderSort, found: &mut Found) -> Option<Sort> {
    let by = named("provider.sort", &wire.by, &Figure::NAMES, found);
    let partition = match wire.partition.as_str() {
        "" => Some(Partition::default()),
        text => named("provider.sort.partition", text, &Partition::NAMES, found),
    };
    Some(Sort { by: by?, partition: partition? })
}

fn max_price(defaults: MaxPrice, wire: proto::MaxPrice, found: &mut Found) -> MaxPrice {
    fn least<T: Ord>(default: Option<T>, asked: Option<T>) -> Option<T> {
        default.into_iter().chain(asked).min()
    }
    let mut read = |name: &str, usd: Option<f64>| {
        amount(&format!("provider.max_price.{name}"), usd, TokenPrice::per_million, found)
    };
    let (prompt, completion) = (read("prompt", wire.prompt), read("completion", wire.completion));
    let mut read = |name: &str, usd: Option<f64>| {
        amount(&format!("provider.max_price.{name}"), usd, Usd::new, found)
    };
    let (request, image) = (read("request", wire.request), read("image", wire.image));
    MaxPrice {
        prompt: least(defaults.prompt, prompt),
        completion: least(defaults.completion, completion),
        request: least(defaults.request, request),
        image: least(defaults.image, image),
    }
}

fn amount<T>(
    field: &str,
    usd: Option<f64>,
    read: impl Fn(f64) -> Result<T, MoneyError>,
    found: &mut Found,
) -> Option<T> {
    read(usd?).map_err(|why| found.push(Violation::new(field, why.to_string()))).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::testing;

    fn merged(
        defaults: &ProviderWishes,
        wire: proto::ProviderPreferences,
    ) -> (ProviderWishes, Found) {
        let mut found = Vec::new();
        let wishes = wishes(defaults, Some(&wire), &testing::fleet(), &mut found);
        (wishes, found)
    }

    fn texts(list: &[&str]) -> Vec<String> {
        list.iter().map(|it| (*it).to_owned()).collect()
    }

    #[test]
    fn nothing_said_keeps_the_defaults() {
        let defaults = ProviderWishes { retention: Retention::Zero, ..ProviderWishes::default() };
        assert_eq!(merged(&defaults, proto::ProviderPreferences::default()).0, defaults);
    }

    #[test]
    fn limits_tighten_and_orders_are_the_callers() {
        let price = |usd| TokenPrice::per_million(usd).ok();
        let one = Whose::Provider(testing::fleet().deployments()[0].provider.clone());
        let defaults = ProviderWishes {
            only: vec![one.clone()],
            fallbacks: Fallbacks::Refused,
            data_collection: DataCollection::Deny,
            quantizations: vec![Quantization::Fp8, Quantization::Fp16],
            sort: Some(Sort { by: Figure::Price, partition: Partition::Model }),
            max_price: MaxPrice { prompt: price(1.0), ..MaxPrice::default() },
            ..ProviderWishes::default()
        };
        let wire = proto::ProviderPreferences {
            order: texts(&["ONE"]),
            only: texts(&["small@one"]),
            allow_fallbacks: Some(true),
            data_collection: Some("allow".into()),
            quantizations: texts(&["fp16", "int8"]),
            sort: Some(proto::ProviderSort { by: "ttft".into(), partition: "none".into() }),
            max_price: Some(proto::MaxPrice {
                prompt: Some(2.0),
                completion: Some(3.0),
                ..Default::default()
            }),
            ..Default::default()
        };
        let (wishes, found) = merged(&defaults, wire);
        assert_eq!(found, []);
        assert_eq!(wishes.order, [one]);
        assert_eq!(wishes.only.iter().map(ToString::to_string).collect::<Vec<_>>(), ["small@one"]);
        assert_eq!(wishes.fallbacks, Fallbacks::Refused);
        assert_eq!(wishes.data_collection, DataCollection::Deny);
        assert_eq!(wishes.quantizations, [Quantization::Fp16]);
        assert_eq!(wishes.sort, Some(Sort { by: Figure::Ttft, partition: Partition::None }));
        assert_eq!(wishes.max_price.prompt, price(1.0));
        assert_eq!(wishes.max_price.completion, price(3.0));
    }

    #[test]
    fn what_is_wrong_has_its_field_and_a_suggestion() {
        let wire = proto::ProviderPreferences {
            order: texts(&["one", "onee"]),
            only: texts(&["zzz"]),
            ignore: texts(&["smal@one"]),
            data_collection: Some("denny".into()),
            quantizations: texts(&["fp7"]),
            sort: Some(proto::ProviderSort { by: "speed".into(), partition: "all".into() }),
            max_price: Some(proto::MaxPrice { image: Some(-1.0), ..Default::default() }),
            ..Default::default()
        };
        let (_, found) = merged(&ProviderWishes::default(), wire);
        let told: Vec<_> = found.iter().map(|it| it.field.as_str()).collect();
        let wanted = [
            "order[1]",
            "only[0]",
            "ignore[0]",
            "data_collection",
            "quantizations[0]",
            "sort",
            "sort.partition",
            "max_price.image",
        ];
        assert_eq!(told, wanted.map(|it| format!("provider.{it}")));
        for (at, part) in [(0, "`one`"), (2, "`small@one`"), (3, "`deny`"), (5, "inter_token")] {
            assert!(found[at].message.contains(part), "{:?}", found[at]);
        }
    }
}
