//! What the operator says of a deployment besides its price: of a provider, a model, or a deployment.
//!
//! In: keys of their sections. Out: [`RawTerms`], the nearer over the further. Invariant: what nobody
//! said stays unknown. Not here: what follows from it (see [`crate::ranking`]).

use super::section::{At, Field, Section};
use super::values;
use crate::catalog::{DataCollection, Quantization, Terms};
use crate::domain::{Parameter, ParameterSet};

/// What is said of data and precision. A provider, a model and a deployment can each say it.
#[derive(Debug, Clone)]
pub(super) struct RawTerms {
    data_collection: Field<DataCollection>,
    zdr: Field<bool>,
    quantization: Field<Quantization>,
}

/// What only a deployment can say.
#[derive(Debug, Clone)]
pub(super) struct RawLimits {
    lacks: Field<Vec<At<Parameter>>>,
    weight: Field<f64>,
    rpm: Field<u64>,
    tpm: Field<u64>,
}

/// Reads what all three can say.
pub(super) fn read(section: &mut Section<'_>) -> RawTerms {
    RawTerms {
        data_collection: section.field("data_collection", values::data_collection),
        zdr: section.field("zdr", values::flag),
        quantization: section.field("quantization", values::quantization),
    }
}

/// Reads what only a deployment can say.
pub(super) fn read_limits(section: &mut Section<'_>) -> RawLimits {
    RawLimits {
        lacks: section.list("lacks", values::parameter),
        weight: section.field("weight", values::weight),
        rpm: section.field("rpm", values::per_minute),
        tpm: section.field("tpm", values::per_minute),
    }
}

impl RawTerms {
    /// Puts what is written over what is known.
    pub(super) fn over(&self, terms: &mut Terms) {
        self.data_collection.clone().fill_some(&mut terms.data_collection);
        self.zdr.clone().fill_some(&mut terms.zdr);
        self.quantization.clone().fill_some(&mut terms.quantization);
    }
}

impl RawLimits {
    /// Puts what is written over what is known; what is lacked comes on top of what the provider lacks.
    pub(super) fn over(&self, terms: &mut Terms) {
        let lacks = self.lacks.as_given().into_iter().flat_map(|it| &it.value);
        let lacks: ParameterSet = lacks.map(|it| it.value).collect();
        terms.lacks = terms.lacks.and(lacks);
        self.weight.clone().fill(&mut terms.weight);
        self.rpm.clone().fill_some(&mut terms.rpm);
        self.tpm.clone().fill_some(&mut terms.tpm);
    }
}
