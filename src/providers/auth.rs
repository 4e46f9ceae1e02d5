//! How a request shows its key.
//!
//! In: a request that is ready but for the key, its provider. Out: the request with the key's
//! headers. Invariant: the key stands in headers marked sensitive, nowhere else; what is signed is
//! what is sent. Not here: where keys come from (see [`crate::config`]).

use std::time::SystemTime;

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderName};
use http::{HeaderMap, HeaderValue};
use secrecy::{ExposeSecret, SecretString};

use super::provider::{ApiKey, AuthScheme, AwsKey, Provider};
use crate::domain::FailureClass;

/// The service that AWS keys sign for, here: Bedrock's runtime answers to it.
const AWS_SERVICE: &str = "bedrock";
/// The one header of a signature that is no secret.
const AWS_DATE: &str = "x-amz-date";

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
        (ApiKey::Aws(key), _) => sign_for_aws(headers, key, signed, SystemTime::now()),
    }
}

/// Signs a POST by AWS signature version 4: host, content type, date, token and body.
fn sign_for_aws(
    headers: &mut HeaderMap,
    key: &AwsKey,
    signed: &Signed<'_>,
    now: SystemTime,
) -> Result<(), FailureClass> {
    let secret = key.secret_access_key.expose_secret();
    let token = key.session_token.as_ref().map(|it| it.expose_secret().to_owned());
    let credentials = Credentials::new(&key.access_key_id, secret, token, None, "pointsman");
    let identity = credentials.into();
    // The default settings encode the path, which is encoded already, once more: Bedrock checks
    // the signature so, as all services but S3 do.
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region(&key.region)
        .name(AWS_SERVICE)
        .time(now)
        .settings(SigningSettings::default())
        .build()
        .map_err(|_| FailureClass::Auth)?
        .into();
    let content_type = headers.get(CONTENT_TYPE).and_then(|it| it.to_str().ok());
    let shown = content_type.map(|it| (CONTENT_TYPE.as_str(), it)).into_iter();
    let body = SignableBody::Bytes(signed.body);
    let request = SignableRequest::new("POST", signed.url, shown, body);
    let request = request.map_err(|_| FailureClass::Auth)?;
    let output = sign(request, &params).map_err(|_| FailureClass::Auth)?;
    let (added, _) = output.into_parts().0.into_parts();
    for header in added {
        let name = HeaderName::from_static(header.name());
        let mut value = HeaderValue::from_str(header.value()).map_err(|_| FailureClass::Auth)?;
        value.set_sensitive(header.name() != AWS_DATE);
        headers.insert(name, value);
    }
    Ok(())
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::domain::sha256_hex;

    const URL: &str = "https://bedrock-runtime.eu-west-1.amazonaws.com/model/a.b-v1%3A0/converse";
    const BODY: &[u8] = br#"{"messages":[]}"#;
    const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
    /// 2025-01-02T03:04:05Z.
    const SECONDS: u64 = 1_735_787_045;

    fn signed(session_token: Option<&str>, body: &[u8]) -> HeaderMap {
        let key = AwsKey {
            access_key_id: "AKIDEXAMPLE".into(),
            secret_access_key: SECRET.into(),
            session_token: session_token.map(SecretString::from),
            region: "eu-west-1".into(),
        };
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(SECONDS);
        sign_for_aws(&mut headers, &key, &Signed { url: URL, body }, now).unwrap();
        headers
    }

    /// The signature by the book: "Create a signed AWS API request" of AWS's IAM guide (2025).
    fn by_hand(token: &str) -> String {
        let (token_line, token_name) = match token {
            "" => (String::new(), ""),
            token => (format!("x-amz-security-token:{token}\n"), ";x-amz-security-token"),
        };
        let names = format!("content-type;host;x-amz-date{token_name}");
        let canonical = format!(
            "POST\n/model/a.b-v1%253A0/converse\n\ncontent-type:application/json\n\
             host:bedrock-runtime.eu-west-1.amazonaws.com\nx-amz-date:20250102T030405Z\n\
             {token_line}\n{names}\n{}",
            sha256_hex(BODY)
        );
        let scope = "20250102/eu-west-1/bedrock/aws4_request";
        let hash = sha256_hex(canonical.as_bytes());
        let to_sign = format!("AWS4-HMAC-SHA256\n20250102T030405Z\n{scope}\n{hash}");
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(SECONDS);
        let key = v4::generate_signing_key(SECRET, now, "eu-west-1", "bedrock");
        let signature = v4::calculate_signature(key, to_sign.as_bytes());
        format!(
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/{scope}, SignedHeaders={names}, \
             Signature={signature}"
        )
    }

    #[test]
    fn a_signature_is_what_the_book_says() {
        for token in [None, Some("token/1==")] {
            let headers = signed(token, BODY);
            assert_eq!(headers[AUTHORIZATION], by_hand(token.unwrap_or_default()), "{token:?}");
            assert!(headers[AUTHORIZATION].is_sensitive());
            assert_eq!(headers[AWS_DATE], "20250102T030405Z");
            let shown = headers.get("x-amz-security-token");
            assert_eq!(shown.map(HeaderValue::as_bytes), token.map(str::as_bytes));
            assert!(shown.is_none_or(HeaderValue::is_sensitive));
            assert!(!format!("{headers:?}").contains("token/1"));
        }
    }

    #[test]
    fn a_signature_is_what_another_implementation_says() {
        // HMAC chain and canonical request written out in Python (2026).
        let wanted = "3e27351eed11906282aa01d8f97d66bf13bdd67e35fc079558f73670579a5ca2";
        let headers = signed(None, BODY);
        assert!(headers[AUTHORIZATION].to_str().unwrap().ends_with(wanted));
    }

    #[test]
    fn the_body_is_signed() {
        assert_eq!(signed(None, BODY), signed(None, BODY));
        assert_ne!(signed(None, BODY)[AUTHORIZATION], signed(None, b"{}")[AUTHORIZATION]);
    }
}
