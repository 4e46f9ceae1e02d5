//! What the dialects say alike: efforts, choices of a tool, formats, schemas, images, seals.
//!
//! In: fields of a body. Out: our own values; what is wrong goes to `found`. Invariant: a word means
//! the same in every dialect. Not here: what only one dialect says.

use serde_json::{Value, json};

use super::fields::{Fields, Placed, report};
use crate::domain::{
    Effort, ImageDetail, ImageSource, Json, Part, ProviderName, Seal, ToolChoice, Violation,
};

type Found = Vec<Violation>;

/// How hard to think, in the words that OpenAI and Anthropic share (2026). There is nothing above
/// high here.
pub(super) const EFFORTS: [(&str, Effort); 7] = [
    ("none", Effort::Off),
    ("minimal", Effort::Minimal),
    ("low", Effort::Low),
    ("medium", Effort::Medium),
    ("high", Effort::High),
    ("xhigh", Effort::High),
    ("max", Effort::High),
];

/// How closely to look at an image, in OpenAI's words (2026).
pub(super) const DETAILS: [(&str, ImageDetail); 4] = [
    ("auto", ImageDetail::Auto),
    ("low", ImageDetail::Low),
    ("high", ImageDetail::High),
    ("original", ImageDetail::High),
];

/// The shape of an answer, before its schema is read.
#[derive(Clone, Copy)]
pub(super) enum Format {
    /// Any text.
    Text,
    /// Any JSON object.
    JsonObject,
    /// JSON that satisfies a schema.
    JsonSchema,
}

/// The shapes of an answer, in OpenAI's words.
pub(super) const FORMATS: [(&str, Format); 3] = [
    ("text", Format::Text),
    ("json_object", Format::JsonObject),
    ("json_schema", Format::JsonSchema),
];

/// The field `type`, which must say that it is about a function; `false` where it was reported.
pub(super) fn is_function(fields: &mut Fields, found: &mut Found) -> bool {
    fields.needed_choice("type", &[("function", ())], found).is_some()
}

/// OpenAI's `tool_choice`: a word, or an object whose function `named` reads.
pub(super) fn tool_choice(
    body: &mut Fields,
    found: &mut Found,
    named: impl FnOnce(Fields, &mut Found) -> Option<Placed>,
) -> ToolChoice {
    let Some(place) = body.place("tool_choice") else { return ToolChoice::Auto };
    match &place.value {
        Value::String(word) => match word.as_str() {
            "auto" => return ToolChoice::Auto,
            "none" => return ToolChoice::None,
            "required" => return ToolChoice::Required,
            _ => {
                let message = "this is none of: auto, none, required, or a function by its name";
                report(found, place.path, message);
            }
        },
        Value::Object(_) => {
            let fields = place.object(found);
            let fields = fields.and_then(|mut it| is_function(&mut it, found).then_some(it));
            let name = fields.and_then(|it| named(it, found)).and_then(|it| it.text(found));
            return name.map_or(ToolChoice::Auto, ToolChoice::Tool);
        }
        _ => place.mismatch("a string or an object", found),
    }
    ToolChoice::Auto
}

/// The parameters of a function; one without takes none.
pub(super) fn parameters(function: &mut Fields) -> Json {
    let none = || json!({ "type": "object", "properties": {} });
    function.take("parameters").unwrap_or_else(none).into()
}

/// A JSON schema that must be there and an object.
pub(super) fn schema(fields: &mut Fields, name: &str, found: &mut Found) -> Option<Json> {
    let place = fields.needed(name, found)?;
    if place.value.is_object() {
        return Some(place.value.into());
    }
    place.mismatch("a schema, which is an object,", found);
    None
}

/// An image by a web address or by a `data:` URL (RFC 2397) in base64.
///
/// # Errors
/// What is wrong with the URL, in words.
pub(super) fn image_by_url(url: String) -> Result<ImageSource, &'static str> {
    let scheme = url.split(':').next().unwrap_or_default().to_ascii_lowercase();
    match scheme.as_str() {
        "http" | "https" => return Ok(ImageSource::Url(url.into())),
        "data" => {}
        _ => return Err("an http, https or data URL is wanted"),
    }
    let whole = url.get("data:".len()..).unwrap_or_default();
    let (head, data) = whole.split_once(',').ok_or("a data URL has a comma before its data")?;
    let media_type = head.strip_suffix(";base64").ok_or("a data URL must be in base64 here")?;
    let media_type = media_type.split(';').next().unwrap_or_default();
    image_by_value(media_type, data.to_owned())
}

/// An image in base64.
///
/// # Errors
/// What is wrong with it, in words.
pub(super) fn image_by_value(media_type: &str, data: String) -> Result<ImageSource, &'static str> {
    let media_type = media_type.to_ascii_lowercase();
    if !media_type.starts_with("image/") {
        return Err("the media type must be an image's");
    }
    let plain = |it: u8| it.is_ascii_alphanumeric() || matches!(it, b'+' | b'/' | b'=');
    if data.is_empty() || !data.bytes().all(plain) {
        return Err("the data is not base64");
    }
    Ok(ImageSource::Base64 { media_type, data: data.into() })
}

/// The seal that we gave with a tool call.
pub(super) fn call_seal(call: &mut Fields, found: &mut Found) -> Option<Seal> {
    let mut ours = call.object("extra_content", found)?.object("pointsman", found)?;
    ours.text("seal", found).and_then(|it| Seal::from_wire(&it))
}

/// A seal of an earlier thought: ours says whose it is, any other is `provider`'s, whose dialect
/// this is.
pub(super) fn thought_seal(text: &str, provider: &str) -> Option<Seal> {
    if text.is_empty() {
        return None;
    }
    let theirs = || {
        let provider = ProviderName::new(provider).ok()?;
        Some(Seal { provider, value: text.into() })
    };
    Seal::from_wire(text).or_else(theirs)
}

/// What stands for a part that was reported already.
pub(super) fn stand_in() -> Part {
    Part::Text("?".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_are_addresses_or_base64() {
        let check = |url: &str, wanted: Result<ImageSource, &str>| {
            let read = image_by_url(url.to_owned());
            match wanted {
                Ok(source) => assert_eq!(read, Ok(source), "{url}"),
                Err(part) => assert!(read.unwrap_err().contains(part), "{url}"),
            }
        };
        let png = ImageSource::Base64 { media_type: "image/png".into(), data: "QUJD".into() };
        check("https://x.example/1", Ok(ImageSource::Url("https://x.example/1".into())));
        check("DATA:Image/PNG;x=y;base64,QUJD", Ok(png));
        check("data:image/png,QUJD", Err("in base64"));
        check("data:image/png;base64", Err("comma"));
        check("data:text/plain;base64,QUJD", Err("media type"));
        check("data:image/png;base64,", Err("not base64"));
        check("file:///etc/passwd", Err("http"));
        check("", Err("http"));
    }

    #[test]
    fn a_seal_of_nobody_is_the_dialects_own() {
        assert_eq!(thought_seal("", "anthropic"), None);
        let foreign = thought_seal("abc", "anthropic").unwrap();
        assert_eq!(foreign.to_wire(), "pointsman:anthropic:abc");
        assert_eq!(
            thought_seal("pointsman:google:t", "anthropic").unwrap().to_wire(),
            "pointsman:google:t"
        );
    }
}
