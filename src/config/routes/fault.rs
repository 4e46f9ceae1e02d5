//! What can be wrong with a route.
//!
//! Invariant: said in words that name what would be right; the place is told beside it.

use crate::ranking::route::{BadPattern, DEPTH_MAX, NODES_MAX, UnknownCause};

/// What is wrong with one place of a route.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RouteFault {
    /// A branching without branches.
    #[error("there is no [[...target]]: a strategy needs at least one")]
    NoTarget,
    /// A branch that leads nowhere, or to two places.
    #[error("needs just one of `model`, `deployment`, `route` and `strategy`")]
    NoOneTarget,
    /// Candidates of a target that leaves no choice.
    #[error("`candidates` belong to `model = \"auto\"`, which chooses among them")]
    CandidatesNotAuto,
    /// A conditional that may lead nowhere.
    #[error("the last target must have no `when`: it is for requests that no rule means")]
    NoDefault,
    /// A branch behind the one that is always taken.
    #[error("without `when` it is always taken, so that no later target ever is")]
    AlwaysTaken,
    /// Weights that draw nobody.
    #[error("all weights are 0, so that nobody could be drawn")]
    NoWeight,
    /// Not a weight.
    #[error("must be a finite number, 0 or more")]
    Weight,
    /// A branch that nothing leads to.
    #[error("`after` means nothing for the first target: no failure comes before it")]
    AfterNothing,
    /// Routes that name each other in a circle.
    #[error("this leads in a circle: {0}")]
    Circle(String),
    /// Too many levels.
    #[error("the route is more than {DEPTH_MAX} levels deep")]
    TooDeep,
    /// Too many branches.
    #[error("the route has more than {NODES_MAX} targets and tests, those it names included")]
    TooLarge,
    /// A word that names no failure.
    #[error("`{word}`: {why}")]
    Cause {
        /// As written.
        word: String,
        /// What is wrong with it.
        why: UnknownCause,
    },
    /// A fact that conditions cannot look at.
    #[error(
        "`{0}` is nothing that a condition can look at; there are {known}, metadata.KEY, \
         feature.NAME, quality.MODEL, and `all`, `any`, `not` of conditions",
        known = crate::ranking::route::Fact::plain_names().collect::<Vec<_>>().join(", ")
    )]
    Fact(String),
    /// A test that there is none of.
    #[error("`{0}` is no test; there are eq, ne, in, not_in, gt, gte, lt, lte, matches and exists")]
    Test(String),
    /// A value that cannot be compared.
    #[error("expected true or false, a number or a string")]
    Value,
    /// A pattern that cannot be used.
    #[error(transparent)]
    Pattern(#[from] BadPattern),
    /// A condition that says nothing.
    #[error("a condition needs at least one test")]
    NoTest,
    /// A number of calls that makes no sense.
    #[error(
        "retries are a whole number from 0 to {0}, a table of them by failure, or attempts and on"
    )]
    Retry(usize),
    /// A parameter outside its bounds.
    #[error("{0}")]
    Override(String),
    /// The name that means no route.
    #[error("`none` is what a request says that takes no route")]
    ReservedName,
    /// A model that falls back to itself.
    #[error("a model cannot fall back to itself")]
    ItsOwnFallback,
}
