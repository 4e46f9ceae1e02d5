//! Who may use the admin listener: whoever shows the key, where there is one.
//!
//! In: a secret, headers. Out: yes or no. Invariant: comparing takes as long for every wrong key, of
//! whatever length, so that time tells nothing of the right one. Not here: where the key is kept.

use http::{HeaderMap, header};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// The key of the admin listener. Its `Debug` shows nothing.
#[derive(Debug, Clone)]
pub struct AdminKey(SecretString);

impl AdminKey {
    /// A key as read from a variable or a file.
    pub fn new(key: SecretString) -> Self {
        Self(key)
    }

    /// Whether these headers show it: `authorization: Bearer KEY`.
    pub(super) fn is_shown(&self, headers: &HeaderMap) -> bool {
        let shown = headers.get(header::AUTHORIZATION).and_then(|it| it.to_str().ok());
        let (scheme, shown) = shown.and_then(|it| it.split_once(' ')).unwrap_or_default();
        // Of equal length whatever was shown.
        let [ours, theirs] =
            [self.0.expose_secret(), shown.trim()].map(|it| Sha256::digest(it.as_bytes()));
        scheme.eq_ignore_ascii_case("bearer") && bool::from(ours.ct_eq(&theirs))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_key_itself_is_taken() {
        let key = AdminKey::new(SecretString::from("open sesame"));
        let check = |shown: Option<&str>, wanted: bool| {
            let mut headers = HeaderMap::new();
            if let Some(shown) = shown {
                headers.insert(header::AUTHORIZATION, shown.parse().unwrap());
            }
            assert_eq!(key.is_shown(&headers), wanted, "{shown:?}");
        };
        check(Some("Bearer open sesame"), true);
        check(Some("bearer open sesame"), true);
        check(None, false);
        check(Some(""), false);
        check(Some("open sesame"), false);
        check(Some("Basic open sesame"), false);
        check(Some("Bearer open sesam"), false);
        check(Some("Bearer open sesame!"), false);
        check(Some("Bearer "), false);
        assert!(!format!("{key:?}").contains("sesame"));
    }
}
