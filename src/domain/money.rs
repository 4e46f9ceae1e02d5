//! Money, exact: picodollars in an integer, so that sums over attempts agree to the cent.
//!
//! In: USD as written (`0.15` per million tokens, `0.002` for a request). Out: [`Usd`] and
//! [`TokenPrice`]. One picodollar per token is one micro-dollar per million tokens, so a price list's
//! figures are whole numbers here and a cost is one integer product. Invariant: never negative.

use std::fmt;
use std::iter::Sum;
use std::ops::{Add, AddAssign};

use serde::{Deserialize, Serialize};

use super::answer::Usage;

const PICO_PER_USD: f64 = 1e12;
const PICO_PER_TOKEN_PER_USD_PER_MILLION: f64 = 1e6;

/// An amount or a price that cannot be.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum MoneyError {
    /// Below zero, NaN or infinite.
    #[error("{0} is not an amount of money: it must be a number, zero or more")]
    NotAnAmount(f64),
    /// Beyond what is plausible for one request or one price.
    #[error("{0} USD is more than the largest amount, 1000000")]
    TooLarge(f64),
}

fn pico(usd: f64, scale: f64) -> Result<u64, MoneyError> {
    if !usd.is_finite() || usd < 0.0 {
        return Err(MoneyError::NotAnAmount(usd));
    }
    if usd > 1e6 {
        return Err(MoneyError::TooLarge(usd));
    }
    Ok((usd * scale).round() as u64)
}

/// An amount in USD, held as whole picodollars (1e-12 USD); up to 18 million USD.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(try_from = "f64", into = "f64")]
pub struct Usd(u64);

impl Usd {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// Reads an amount in USD.
    ///
    /// # Errors
    /// [`MoneyError`] for negative, non-finite and implausible amounts.
    pub fn new(usd: f64) -> Result<Self, MoneyError> {
        pico(usd, PICO_PER_USD).map(Self)
    }

    /// The nearest amount; negative and NaN become zero, too large becomes the largest.
    pub fn clamped(usd: f64) -> Self {
        Self::new(usd).unwrap_or(if usd > 0.0 { Self(u64::MAX) } else { Self::ZERO })
    }

    /// The amount in USD.
    pub fn get(self) -> f64 {
        self.0 as f64 / PICO_PER_USD
    }

    /// An amount in whole picodollars, as databases keep it.
    pub const fn from_picousd(picousd: u64) -> Self {
        Self(picousd)
    }

    /// The amount in whole picodollars.
    pub const fn picousd(self) -> u64 {
        self.0
    }

    /// The same as databases keep it: their integers end at nine million USD, which stands for more.
    pub fn signed_picousd(self) -> i64 {
        i64::try_from(self.0).unwrap_or(i64::MAX)
    }

    /// What is left after paying `spent`; zero when it is more than there was.
    pub fn less(self, spent: Self) -> Self {
        Self(self.0.saturating_sub(spent.0))
    }
}

impl TryFrom<f64> for Usd {
    type Error = MoneyError;
    fn try_from(usd: f64) -> Result<Self, MoneyError> {
        Self::new(usd)
    }
}

impl From<Usd> for f64 {
    fn from(amount: Usd) -> Self {
        amount.get()
    }
}

impl Add for Usd {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl AddAssign for Usd {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl Sum for Usd {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self::ZERO, Add::add)
    }
}

impl fmt::Display for Usd {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "${:.6}", self.get())
    }
}

/// The price of one kind of token, written as USD per million tokens.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(try_from = "f64", into = "f64")]
pub struct TokenPrice(u64);

impl TokenPrice {
    /// Free of charge.
    pub const FREE: Self = Self(0);

    /// Reads a price in USD per million tokens.
    ///
    /// # Errors
    /// [`MoneyError`] for negative, non-finite and implausible prices.
    pub fn per_million(usd: f64) -> Result<Self, MoneyError> {
        pico(usd, PICO_PER_TOKEN_PER_USD_PER_MILLION).map(Self)
    }

    /// USD per million tokens.
    pub fn usd_per_million(self) -> f64 {
        self.0 as f64 / PICO_PER_TOKEN_PER_USD_PER_MILLION
    }

    /// USD for one token.
    pub fn usd_per_token(self) -> f64 {
        self.0 as f64 / PICO_PER_USD
    }

    /// What `tokens` of these cost.
    pub fn of(self, tokens: u64) -> Usd {
        Usd(self.0.saturating_mul(tokens))
    }
}

impl TryFrom<f64> for TokenPrice {
    type Error = MoneyError;
    fn try_from(usd: f64) -> Result<Self, MoneyError> {
        Self::per_million(usd)
    }
}

impl From<TokenPrice> for f64 {
    fn from(price: TokenPrice) -> Self {
        price.usd_per_million()
    }
}

/// A deployment's price list, USD per million tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Price {
    /// Input tokens that were not in the provider's cache.
    pub input: TokenPrice,
    /// Input tokens read from the provider's cache; the input price where a provider names none.
    #[serde(default)]
    pub cached: Option<TokenPrice>,
    /// Input tokens written into the provider's cache; the input price where a provider names none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_written: Option<TokenPrice>,
    /// Output tokens.
    pub output: TokenPrice,
    /// Output tokens that were reasoning; the output price at nearly every provider.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning: Option<TokenPrice>,
}

impl Price {
    /// Costs nothing: a model on one's own machine.
    pub const FREE: Self = Self::of(TokenPrice::FREE, TokenPrice::FREE);

    /// One price for all input tokens, and one for all output tokens.
    pub const fn of(input: TokenPrice, output: TokenPrice) -> Self {
        Self { input, cached: None, cache_written: None, output, reasoning: None }
    }

    /// The dearest of the prices that an input token may have.
    pub fn dearest_input(&self) -> TokenPrice {
        self.cached.into_iter().chain(self.cache_written).fold(self.input, Ord::max)
    }

    /// The dearest of the prices that an output token may have.
    pub fn dearest_output(&self) -> TokenPrice {
        self.reasoning.into_iter().fold(self.output, Ord::max)
    }

    /// What a call with this usage costs.
    pub fn cost(&self, usage: &Usage) -> Usd {
        let cached = usage.cached_tokens.min(usage.input_tokens);
        let written = usage.cache_written_tokens.min(usage.input_tokens - cached);
        let reasoning = usage.reasoning_tokens.min(usage.output_tokens);
        self.input.of(usage.input_tokens - cached - written)
            + self.cached.unwrap_or(self.input).of(cached)
            + self.cache_written.unwrap_or(self.input).of(written)
            + self.output.of(usage.output_tokens - reasoning)
            + self.reasoning.unwrap_or(self.output).of(reasoning)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn costs_are_exact() -> Result<(), MoneyError> {
        let price = Price {
            cached: Some(TokenPrice::per_million(0.0028)?),
            ..Price::of(TokenPrice::per_million(0.15)?, TokenPrice::per_million(0.6)?)
        };
        let usage = Usage {
            input_tokens: 1_000,
            cached_tokens: 400,
            output_tokens: 10,
            ..Usage::default()
        };
        assert_eq!(price.cost(&usage), Usd::new(0.00009 + 0.00000112 + 0.000006)?);
        Ok(())
    }

    #[test]
    fn every_kind_of_token_has_its_price() {
        let usage = Usage {
            input_tokens: 100,
            cached_tokens: 20,
            cache_written_tokens: 30,
            output_tokens: 10,
            reasoning_tokens: 4,
        };
        let price = Price::of(TokenPrice(1), TokenPrice(10));
        assert_eq!(price.cost(&usage), Usd(100 + 100));
        let dear = Price {
            cached: Some(TokenPrice(2)),
            cache_written: Some(TokenPrice(3)),
            reasoning: Some(TokenPrice(5)),
            ..price
        };
        assert_eq!(dear.cost(&usage), Usd(50 + 40 + 90 + 60 + 20));
    }

    #[test]
    fn bad_amounts_are_named() {
        assert_eq!(Usd::new(-1.0), Err(MoneyError::NotAnAmount(-1.0)));
        assert_eq!(Usd::new(1e7), Err(MoneyError::TooLarge(1e7)));
        assert!(Usd::new(f64::NAN).is_err());
    }

    #[test]
    fn no_token_is_paid_twice() {
        let price = Price {
            cached: Some(TokenPrice(1)),
            cache_written: Some(TokenPrice(2)),
            ..Price::of(TokenPrice(10), TokenPrice(0))
        };
        let usage = Usage {
            input_tokens: 5,
            cached_tokens: 3,
            cache_written_tokens: 9,
            ..Usage::default()
        };
        assert_eq!(price.cost(&usage), Usd(3 + 4));
        assert_eq!(price.cost(&Usage { cached_tokens: 9, ..usage }), Usd(5));
    }
}
