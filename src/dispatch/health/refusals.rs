//! What a deployment was found to lack: the shapes of requests that it refused as unsupported.
//!
//! In: refusals, with the time since some fixed instant. Out: whether a shape is refused, and for how
//! long still. Invariant: bounded; whoever refused plain words is not remembered, since there is
//! nothing that it lacks. Pure: no clock.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::domain::{DeploymentId, Shape};

/// How long a refusal is believed: as long as that of a missing model, since both are mended by
/// whoever runs the provider.
const REMEMBERED: Duration = Duration::from_mins(10);
/// Refusals kept. A caller has few shapes; beyond this, those that end first are forgotten.
const KEPT_MAX: usize = 4_096;

/// Who refused what, and until when that is believed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Refusals(BTreeMap<(Shape, DeploymentId), Duration>);

impl Refusals {
    /// A deployment refused a request of this shape.
    pub(super) fn refused(&mut self, by: &DeploymentId, shape: Shape, now: Duration) {
        if shape.is_plain() {
            return;
        }
        self.0.retain(|_, until| *until > now);
        if self.0.len() >= KEPT_MAX {
            let first = self.0.iter().min_by_key(|(_, until)| **until).map(|(key, _)| key.clone());
            first.map(|it| self.0.remove(&it));
        }
        self.0.insert((shape, by.clone()), now + REMEMBERED);
    }

    /// Who refuses requests of this shape, and until when.
    pub(super) fn of(
        &self,
        shape: Shape,
        now: Duration,
    ) -> impl Iterator<Item = (&DeploymentId, Duration)> {
        let of_shape = self.0.iter().filter(move |((it, _), until)| *it == shape && **until > now);
        of_shape.map(|((_, by), until)| (by, *until))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{ChatRequest, ModelName, ProviderName};

    fn id(number: usize) -> DeploymentId {
        let model = ModelName::new(&format!("m{number}")).unwrap();
        DeploymentId::of(&model, &ProviderName::new("p").unwrap())
    }

    fn warm() -> Shape {
        let mut request = ChatRequest::from_prompt("hello");
        request.sampling.temperature = Some(1.0);
        request.shape()
    }

    #[test]
    fn a_refusal_holds_for_its_shape_and_for_ten_minutes() {
        let (mut refusals, id) = (Refusals::default(), id(1));
        let at = Duration::from_secs;
        refusals.refused(&id, warm(), at(1));
        refusals.refused(&id, ChatRequest::from_prompt("hello").shape(), at(1));
        let who = |shape, now| refusals.of(shape, now).map(|it| it.1).collect::<Vec<_>>();
        assert_eq!(who(warm(), at(2)), [at(601)]);
        assert!(who(warm(), at(601)).is_empty());
        assert!(who(Shape::default(), at(2)).is_empty());
    }

    #[test]
    fn it_is_bounded_and_forgets_what_ends_first() {
        let mut refusals = Refusals::default();
        for number in 0..=KEPT_MAX {
            refusals.refused(&id(number), warm(), Duration::from_micros(number as u64));
        }
        assert_eq!(refusals.0.len(), KEPT_MAX);
        assert!(refusals.of(warm(), Duration::from_secs(1)).all(|it| *it.0 != id(0)));
    }
}
