//! Who may ask, for what, how often and for how much: the operator's callers and their API keys.
//!
//! In: keys as operators make them, what callers show, what calls cost. Out: a [`Caller`] or a reason
//! against it; reservations of money. Invariant: no secret is kept, printed or compared in a time that
//! tells of it; money is reserved before it is spent. All pure but [`KeyStore`] and the [`Gate`] that
//! reads it. Not here: headers and status codes (see [`crate::api`]).

mod calendar;
mod gate;
mod key;
mod limits;
mod rate;
mod scope;
mod spend;
mod spending;
mod store;
mod writer;

pub use calendar::Window;
pub use gate::{Caller, Demand, Gate, Unauthenticated, WATCH_EVERY};
pub use key::{FreshKey, KeyId, KeyText, RANDOM_BYTES};
pub use limits::{RateLimits, SpendLimits};
pub use rate::{OverRate, Rate, Standing};
pub use scope::{Role, Scope};
pub use spend::{Exceeded, Payer, Purse, Reservation};
pub use spending::{SoFar, Spending};
pub use store::{AccessError, KeyRow, KeyStore, Spent};

/// Milliseconds since 1970 UTC, whenever it is asked.
pub type WallClock = std::sync::Arc<dyn Fn() -> u64 + Send + Sync>;
