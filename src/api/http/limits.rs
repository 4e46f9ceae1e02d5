//! How much a body may hold, and how its JSON is read.
//!
//! In: bytes and headers. Out: an object, or a [`Fault`] that never quotes the body. Invariant: what
//! a body becomes in memory is bounded, however it is made.

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use http::{HeaderMap, header};
use serde_json::{Map, Value};

use crate::api::fault::{Fault, Kind};

/// Longest body taken, in bytes: above every limit of validation, as the gRPC face's own.
pub(super) const BODY_BYTES_MAX: usize = 32 << 20;
/// Most JSON values in a body. One takes some 32 bytes in memory and as few as two in a body, so
/// without this a short body could fill the memory. Real requests have some thousand.
const VALUES_MAX: usize = 500_000;

/// Reads a body as one JSON object.
pub(super) fn object(
    headers: &HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Map<String, Value>, Fault> {
    let body = body.map_err(|rejection| not_read(&rejection))?;
    media_type(headers)?;
    if values(&body) > VALUES_MAX {
        let message = format!("the body has more than {VALUES_MAX} JSON values");
        return Err(Fault::new(Kind::TooLarge, "TOO_LARGE", message));
    }
    // serde_json itself stops at 128 levels.
    match serde_json::from_slice(&body) {
        Ok(Value::Object(fields)) => Ok(fields),
        Ok(_) => Err(bad_json("the body must be a JSON object")),
        Err(error) => {
            // The parser's own words could quote the body; the place is enough.
            let (line, column) = (error.line(), error.column());
            let why = match error.classify() {
                serde_json::error::Category::Eof => "ends too early",
                _ => "is not JSON, or nested too deeply,",
            };
            Err(bad_json(&format!("the body {why} at line {line}, column {column}")))
        }
    }
}

fn bad_json(message: &str) -> Fault {
    Fault::new(Kind::Invalid, "INVALID_REQUEST", message)
}

fn not_read(rejection: &BytesRejection) -> Fault {
    if rejection.status() == http::StatusCode::PAYLOAD_TOO_LARGE {
        let message = format!("the body has more than {BODY_BYTES_MAX} bytes");
        return Fault::new(Kind::TooLarge, "TOO_LARGE", message);
    }
    bad_json("the body could not be read to its end")
}

fn media_type(headers: &HeaderMap) -> Result<(), Fault> {
    let refused = |message: &str| Err(Fault::new(Kind::MediaType, "MEDIA_TYPE", message));
    let text = |name| headers.get(name).and_then(|it| it.to_str().ok()).unwrap_or_default();
    let kind = text(header::CONTENT_TYPE).split(';').next().unwrap_or_default().trim();
    let kind = kind.to_ascii_lowercase();
    // A body without a type is taken as JSON: nothing else would be meant.
    if !(kind.is_empty() || kind == "application/json" || kind.ends_with("+json")) {
        return refused("the content type must be application/json");
    }
    let encoding = text(header::CONTENT_ENCODING).trim();
    if !(encoding.is_empty() || encoding.eq_ignore_ascii_case("identity")) {
        return refused("a compressed body is not taken");
    }
    Ok(())
}

/// At least as many values as the JSON has: one for each mark that begins or divides one.
fn values(body: &[u8]) -> usize {
    let (mut count, mut inside, mut escaped) = (0, false, false);
    for byte in body {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if inside => escaped = true,
            b'"' => inside = !inside,
            b',' | b':' | b'[' | b'{' if !inside => count += 1,
            _ => {}
        }
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_object_is_refused_without_being_quoted() {
        let check = |content_type: &str, body: &[u8], wanted: Result<(), (u16, &str)>| {
            let mut headers = HeaderMap::new();
            headers.insert(header::CONTENT_TYPE, content_type.parse().unwrap());
            let read = object(&headers, Ok(Bytes::copy_from_slice(body)));
            let told = read.map(|_| ()).map_err(|it| (it.kind.codes().0, it.message));
            let told = told.as_ref().map(|it| *it).map_err(|(code, it)| (*code, it.as_str()));
            assert_eq!(told, wanted);
        };
        check("application/json; charset=utf-8", b"{}", Ok(()));
        check("", b"{\"a\": [1, \"},[\\\"\"]}", Ok(()));
        check("text/plain", b"{}", Err((415, "the content type must be application/json")));
        check("application/json", b"[]", Err((400, "the body must be a JSON object")));
        check(
            "application/json",
            b"{\"a\":\n",
            Err((400, "the body ends too early at line 2, column 0")),
        );
        let wanted = "the body is not JSON, or nested too deeply, at line 1, column 2";
        check("application/json", b"{secret", Err((400, wanted)));
        let deep = "[".repeat(200);
        let wanted = "the body is not JSON, or nested too deeply, at line 1, column 128";
        check("application/json", deep.as_bytes(), Err((400, wanted)));
        let many = format!("{{\"a\":[{}0]}}", "0,".repeat(VALUES_MAX));
        let wanted = "the body has more than 500000 JSON values";
        check("application/json", many.as_bytes(), Err((413, wanted)));
    }
}
