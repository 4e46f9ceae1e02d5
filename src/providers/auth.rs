//! How a request shows its key.
//!
//! In: a request that is ready but for the key, its provider. Out: the request with the key's
//! headers. Invariant: the key stands in headers marked sensitive, nowhere else. Not here: where
//! keys come from (see [`crate::config`]).

use http::header::{AUTHORIZATION, HeaderName};
use http::{HeaderMap, HeaderValue};
use secrecy::{ExposeSecret, SecretString};

use super::provider::{ApiKey, AuthScheme, Provider};
use crate::domain::FailureClass;

/// What is signed, where a key signs.
pub(super) struct Signed<'a> {
    /// The whole URL.
    pub(super) url: &'a str,
    /// The whole body.
    pub(super) body: &'a [u8],
}

/// Adds the key's headers.
///
/// # Errors
/// [`FailureClass::Auth`] without a key, or with one that fits no header.
pub(super) fn authorize(
    headers: &mut HeaderMap,
    provider: &Provider,
    signed: &Signed<'_>,
) -> Result<(), FailureClass> {
    match (&provider.key, &provider.auth) {
        (ApiKey::NotNeeded, _) => Ok(()),
        (ApiKey::Missing { .. }, _) => Err(FailureClass::Auth),
        (ApiKey::Set(key), AuthScheme::Bearer | AuthScheme::SigV4) => {
            let value = SecretString::from(format!("Bearer {}", key.expose_secret()));
            insert(headers, AUTHORIZATION, &value)
        }
        (ApiKey::Set(key), AuthScheme::Header(name)) => {
            let name = name.parse::<HeaderName>().map_err(|_| FailureClass::Auth)?;
            insert(headers, name, key)
        }
        (ApiKey::Aws(_key), _) => {
            let _ = (signed.url, signed.body);
            Err(FailureClass::Auth)
        }
    }
}

fn insert(
    headers: &mut HeaderMap,
    name: HeaderName,
    value: &SecretString,
) -> Result<(), FailureClass> {
    let mut value = HeaderValue::from_str(value.expose_secret()).map_err(|_| FailureClass::Auth)?;
    value.set_sensitive(true);
    headers.insert(name, value);
    Ok(())
}
