//! What the operator wants of providers for every request: `[policy.provider]`.
//!
//! In: the table, with OpenRouter's names. Out: [`RawWishes`], and once the deployments are known
//! [`ProviderWishes`]. Invariant: a name that stands for nobody is reported. Not here: what a request may
//! add (see the API).

use super::problems::{Fault, nearest};
use super::section::{At, Field, Ledger, Section};
use super::values;
use crate::catalog::{Deployment, Quantization};
use crate::ranking::{
    Fallbacks, Figure, MaxPrice, Parameters, Partition, ProviderWishes, Retention, Sort, Whose,
};

/// The table as written: names are not yet looked up.
#[derive(Default)]
pub(super) struct RawWishes {
    wishes: ProviderWishes,
    order: Vec<At<String>>,
    only: Vec<At<String>>,
    ignore: Vec<At<String>>,
}

/// Reads the table, if there is one.
pub(super) fn read(section: Option<Section<'_>>) -> RawWishes {
    let Some(mut section) = section else { return RawWishes::default() };
    let mut names = |key| section.list(key, values::string).given().unwrap_or_default();
    let (order, only, ignore) = (names("order"), names("only"), names("ignore"));
    let mut wishes = ProviderWishes::default();
    if section.field("allow_fallbacks", values::flag).given() == Some(false) {
        wishes.fallbacks = Fallbacks::Refused;
    }
    if section.field("require_parameters", values::flag).given() == Some(true) {
        wishes.parameters = Parameters::Required;
    }
    section.field("data_collection", values::data_collection).fill(&mut wishes.data_collection);
    if section.field("zdr", values::flag).given() == Some(true) {
        wishes.retention = Retention::Zero;
    }
    let precisions: Field<Vec<At<Quantization>>> =
        section.list("quantizations", values::quantization);
    let precisions = precisions.given().unwrap_or_default().into_iter();
    wishes.quantizations = precisions.map(|it| it.value).collect();
    wishes.sort = sort(&mut section);
    section.nested("max_price", max_price).fill(&mut wishes.max_price);
    section.done();
    RawWishes { wishes, order, only, ignore }
}

/// `sort`, and `partition` beside it.
fn sort(section: &mut Section<'_>) -> Option<Sort> {
    let by: Option<Figure> = section.field("sort", values::figure).given();
    let mut partition = Partition::default();
    let written = section.field("partition", values::partition);
    if by.is_none() && !written.is_absent() {
        section.report(Fault::Missing { key: "sort", why: "`partition` says how it is sorted" });
    }
    written.fill(&mut partition);
    by.map(|by| Sort { by, partition })
}

fn max_price(section: &mut Section<'_>) -> Option<MaxPrice> {
    let mut most = MaxPrice::default();
    section.field("prompt", values::token_price).fill_some(&mut most.prompt);
    section.field("completion", values::token_price).fill_some(&mut most.completion);
    section.field("request", values::usd).fill_some(&mut most.request);
    section.field("image", values::usd).fill_some(&mut most.image);
    Some(most)
}

impl RawWishes {
    /// Looks the names up.
    pub(super) fn resolve(self, fleet: &[Deployment], ledger: &Ledger<'_>) -> ProviderWishes {
        let whose = |names: Vec<At<String>>| -> Vec<Whose> {
            names.into_iter().filter_map(|it| whose(&it, fleet, ledger)).collect()
        };
        ProviderWishes {
            order: whose(self.order),
            only: whose(self.only),
            ignore: whose(self.ignore),
            ..self.wishes
        }
    }
}

fn whose(name: &At<String>, fleet: &[Deployment], ledger: &Ledger<'_>) -> Option<Whose> {
    let found = Whose::named(&name.value, fleet);
    if found.is_none() {
        let known = fleet.iter().flat_map(|it| [it.provider.as_str(), it.id.as_str()]);
        let nearest = nearest(&name.value, known);
        let (noun, name_written) = ("provider", name.value.clone());
        let fault = Fault::Unknown { noun, name: name_written, nearest, known: vec![] };
        ledger.report(&name.place, fault);
    }
    found
}
