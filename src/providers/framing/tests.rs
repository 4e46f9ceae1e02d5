//! Frames are the same however the bytes were split, and bounded whatever they say.

use aws_smithy_eventstream::frame::write_message_to;
use aws_smithy_types::event_stream::{Header, HeaderValue, Message};
use proptest::prelude::*;

use super::*;

type Cut = (Vec<Frame>, Result<(), FramingError>);

/// As an OpenAI-shaped server writes, with everything the standard allows mixed in.
const RECORDED_SSE: &str = "\u{FEFF}: OPENROUTER PROCESSING\n\n\
    data: {\"choices\":[{\"delta\":{\"content\":\"Hé\"}}]}\n\n\
    event: message_start\r\ndata: {\r\ndata:  \"a\": 1\r\ndata:}\r\n\r\n\
    id: 7\rretry: 10\rdata\r\rdata:\n\nevent: empty\n\nunknown: x\ndata: y\r\r\n\
    data: [DONE]\n\n";
const RECORDED_NDJSON: &str =
    "{\"message\":{\"content\":\"Hé\"}}\n\r\n  \n{\"done\":false}\r\n{\"done\":true}";

fn cut<'a>(framing: Framing, pieces: impl IntoIterator<Item = &'a [u8]>) -> Cut {
    let (mut framer, mut frames) = (Framer::new(framing), Vec::new());
    for piece in pieces {
        if let Err(error) = framer.push(piece, &mut frames) {
            return (frames, Err(error));
        }
    }
    let end = framer.finish(&mut frames);
    (frames, end)
}

fn frame(event: &str, data: &str) -> Frame {
    Frame { event: event.to_owned(), data: data.as_bytes().to_vec() }
}

fn message(headers: &[(&'static str, &str)], payload: &str) -> Vec<u8> {
    let mut message = Message::new(payload.as_bytes().to_vec());
    for (name, value) in headers {
        message =
            message.add_header(Header::new(*name, HeaderValue::String((*value).to_owned().into())));
    }
    let mut bytes = Vec::new();
    write_message_to(&message, &mut bytes).unwrap();
    bytes
}

fn recorded_event_stream() -> Vec<u8> {
    let event = |name| [(":message-type", "event"), (":event-type", name)];
    [
        message(&event("messageStart"), r#"{"role":"assistant"}"#),
        message(&event("contentBlockDelta"), r#"{"delta":{"text":"Hé"}}"#),
        message(&[], ""),
        message(
            &[(":message-type", "exception"), (":exception-type", "throttlingException")],
            r#"{"message":"slow down"}"#,
        ),
        message(&[(":message-type", "error"), (":error-code", "InternalFailure")], ""),
    ]
    .concat()
}

#[test]
fn events_follow_the_standard() {
    let check = |stream: &str, wanted: &[Frame]| {
        let (frames, end) = cut(Framing::Sse, [stream.as_bytes()]);
        assert_eq!((frames.as_slice(), end), (wanted, Ok(())), "{stream:?}");
    };
    check("data: a\n\n", &[frame("", "a")]);
    check("data:a\r\rdata:  b\r\n\r\n", &[frame("", "a"), frame("", " b")]);
    check("event: x\ndata: a\ndata: b\n\n", &[frame("x", "a\nb")]);
    check("event: x\n\ndata: a\n\n", &[frame("", "a")]);
    check("data\n\ndata\ndata\n\n", &[frame("", ""), frame("", "\n")]);
    check(": keep-alive\n\n:\n\n\n\n", &[]);
    check("\u{FEFF}data: a\n\n", &[frame("", "a")]);
    check("\n\u{FEFF}data: a\n\n", &[]);
    check("Data: a\ndata : b\n\n", &[]);
    check("data: a:b\nid: 1\nretry: 2\n\n", &[frame("", "a:b")]);
    check("event: x\nevent: y\ndata: a\n\n", &[frame("y", "a")]);
    // Not the standard's: an end without the blank line, or without any line end.
    check("data: a\n\ndata: [DONE]\n", &[frame("", "a"), frame("", "[DONE]")]);
    check("data: a\n\ndata: [DONE]", &[frame("", "a"), frame("", "[DONE]")]);
    check("event: x", &[]);
    check("", &[]);
    let whole = cut(Framing::Sse, [RECORDED_SSE.as_bytes()]).0;
    let wanted = [
        frame("", "{\"choices\":[{\"delta\":{\"content\":\"Hé\"}}]}"),
        frame("message_start", "{\n \"a\": 1\n}"),
        frame("", ""),
        frame("", ""),
        frame("", "y"),
        frame("", "[DONE]"),
    ];
    assert_eq!(whole, wanted);
}

#[test]
fn lines_and_messages_become_frames() {
    let (frames, end) = cut(Framing::Ndjson, [RECORDED_NDJSON.as_bytes()]);
    let wanted = ["{\"message\":{\"content\":\"Hé\"}}", "{\"done\":false}", "{\"done\":true}"];
    assert_eq!((frames, end), (wanted.map(|it| frame("", it)).to_vec(), Ok(())));
    let (frames, end) = cut(Framing::EventStream, [recorded_event_stream().as_slice()]);
    let wanted = vec![
        frame("messageStart", r#"{"role":"assistant"}"#),
        frame("contentBlockDelta", r#"{"delta":{"text":"Hé"}}"#),
        frame("", ""),
        frame("throttlingException", r#"{"message":"slow down"}"#),
        frame("InternalFailure", ""),
    ];
    assert_eq!((frames, end), (wanted, Ok(())));
}

#[test]
fn bytes_that_are_no_text_pass() {
    let (frames, _) = cut(Framing::Sse, [&b"event: \xFF\ndata: \xFF\xFE\n\n"[..]]);
    assert_eq!(frames, [Frame { event: "\u{FFFD}".into(), data: b"\xFF\xFE".to_vec() }]);
    let (frames, _) = cut(Framing::Ndjson, [&b"\xFF\n"[..]]);
    assert_eq!(frames, [Frame { event: String::new(), data: b"\xFF".to_vec() }]);
}

#[test]
fn every_split_in_two_gives_the_same() {
    let check = |framing: Framing, stream: &[u8]| {
        let whole = cut(framing, [stream]);
        assert!(whole.1.is_ok() && whole.0.len() > 2);
        for at in 0..=stream.len() {
            let (one, two) = stream.split_at(at);
            assert_eq!(cut(framing, [one, two]), whole, "{framing:?} at {at}");
            assert_eq!(cut(framing, [one, b"", two]), whole, "{framing:?} at {at}, with nothing");
        }
        assert_eq!(cut(framing, stream.chunks(1)), whole, "{framing:?} byte by byte");
    };
    check(Framing::Sse, RECORDED_SSE.as_bytes());
    check(Framing::Ndjson, RECORDED_NDJSON.as_bytes());
    check(Framing::EventStream, &recorded_event_stream());
}

#[test]
fn damage_is_noticed_wherever_it_is() {
    let sound = message(&[(":event-type", "messageStop")], "{}");
    for at in 0..sound.len() {
        let mut damaged = sound.clone();
        damaged[at] ^= 0x10;
        let (frames, end) = cut(Framing::EventStream, [damaged.as_slice()]);
        assert!(frames.is_empty() && end.is_err(), "{at}");
        let (frames, end) = cut(Framing::EventStream, [&sound[..at]]);
        assert!(frames.is_empty() && end.is_err() == (at > 0), "cut at {at}");
    }
}

#[test]
fn large_frames_are_refused_before_they_are_kept() {
    let check = |framing: Framing, begin: &[u8], fill: &[u8]| {
        let (mut framer, mut frames) = (Framer::new(framing), Vec::new());
        framer.push(begin, &mut frames).unwrap();
        let fill: Vec<u8> = fill.iter().copied().cycle().take(1 << 20).collect();
        let end = (0..40).find_map(|_| framer.push(&fill, &mut frames).err());
        assert_eq!(end, Some(FramingError::TooLarge), "{framing:?}");
        assert!(framer.cutter.held_bytes() <= 2 * FRAME_BYTES_MAX, "{framing:?}");
        assert!(frames.is_empty());
        assert_eq!(framer.push(b"\n\ndata: a\n\n", &mut frames), Err(FramingError::TooLarge));
        assert_eq!(framer.finish(&mut frames), Err(FramingError::TooLarge));
        assert!(frames.is_empty());
    };
    check(Framing::Sse, b"data: ", b"x");
    check(Framing::Sse, b"", b":");
    check(Framing::Sse, b"", b"data: x\n");
    check(Framing::Sse, b"data: a\nevent: ", b"x");
    check(Framing::Ndjson, b"", b"x");
    let largest = u32::try_from(FRAME_BYTES_MAX).unwrap();
    let prelude = |length: u32| length.to_be_bytes();
    let lengths = [(largest + 1, FramingError::TooLarge), (15, FramingError::Damaged)];
    for (length, wanted) in lengths {
        assert_eq!(cut(Framing::EventStream, [&prelude(length)[..]]).1, Err(wanted));
    }
    // In one push as in many.
    let line = vec![b'x'; FRAME_BYTES_MAX + 1];
    let ended = [line.as_slice(), b"\n\n"].concat();
    assert_eq!(cut(Framing::Sse, [ended.as_slice()]).1, Err(FramingError::TooLarge));
    assert_eq!(cut(Framing::Ndjson, [ended.as_slice()]).1, Err(FramingError::TooLarge));
    assert_eq!(cut(Framing::Ndjson, [&ended[1..]]).0.len(), 1);
}

#[test]
fn an_idle_framer_holds_little() {
    let large = "x".repeat(1 << 20);
    let check = |framing: Framing, pieces: &[&[u8]]| {
        let (mut framer, mut frames) = (Framer::new(framing), Vec::new());
        pieces.iter().for_each(|it| framer.push(it, &mut frames).unwrap());
        assert_eq!(frames.len(), 1, "{framing:?}");
        assert!(framer.cutter.held_bytes() <= 8 << 10, "{framing:?}");
    };
    check(Framing::Sse, &[b"data: ", large.as_bytes(), b"\n", b"data: a", b"\n\n"]);
    check(Framing::Ndjson, &[large.as_bytes(), b"\n"]);
    let message = message(&[], &large);
    check(Framing::EventStream, &[&message[..9], &message[9..]]);
}

/// The standard read plainly: the whole input, cut into lines, then into events.
fn plainly(stream: &str) -> Vec<Frame> {
    let stream = stream.strip_prefix('\u{FEFF}').unwrap_or(stream);
    let lines = stream.replace("\r\n", "\n").replace('\r', "\n");
    let mut frames = Vec::new();
    let (mut event, mut data) = (String::new(), Vec::<&str>::new());
    for line in lines.split('\n').chain([""]) {
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match name {
            "" if line.is_empty() => {
                if !data.is_empty() {
                    frames.push(frame(&event, &data.join("\n")));
                }
                (event, data) = (String::new(), Vec::new());
            }
            "data" => data.push(value),
            "event" => event = value.to_owned(),
            _ => {}
        }
    }
    frames
}

fn pieces<'a>(bytes: &'a [u8], cuts: &[prop::sample::Index]) -> Vec<&'a [u8]> {
    let mut at: Vec<_> = cuts.iter().map(|it| it.index(bytes.len() + 1)).collect();
    at.extend([0, bytes.len()]);
    at.sort_unstable();
    at.windows(2).map(|it| &bytes[it[0]..it[1]]).collect()
}

fn cuts() -> impl Strategy<Value = Vec<prop::sample::Index>> {
    prop::collection::vec(any::<prop::sample::Index>(), 0..12)
}

fn sse_stream() -> impl Strategy<Value = String> {
    let word = prop::sample::select(vec![
        "data", "event", "id", ":", ": ", " ", "\n", "\r", "\r\n", "\n\n", "\u{FEFF}", "é", "x",
        "data: ", "data:", "event: e",
    ]);
    prop::collection::vec(word, 0..40).prop_map(|it| it.concat())
}

proptest! {
    #[test]
    fn events_are_the_same_however_they_are_split(stream in sse_stream(), cuts in cuts()) {
        let wanted = plainly(&stream);
        let (frames, end) = cut(Framing::Sse, pieces(stream.as_bytes(), &cuts));
        prop_assert_eq!((frames, end), (wanted, Ok(())));
    }

    #[test]
    fn lines_are_the_same_however_they_are_split(stream in "[ax \r\n{}\t]{0,60}", cuts in cuts()) {
        let lines = stream.split('\n').map(|it| it.trim_ascii()).filter(|it| !it.is_empty());
        let wanted: Vec<_> = lines.map(|it| frame("", it)).collect();
        let (frames, end) = cut(Framing::Ndjson, pieces(stream.as_bytes(), &cuts));
        prop_assert_eq!((frames, end), (wanted, Ok(())));
    }

    #[test]
    fn messages_are_the_same_however_they_are_split(
        payloads in prop::collection::vec("[ -~]{0,40}", 0..5),
        cuts in cuts(),
    ) {
        let messages = payloads.iter().map(|it| message(&[(":event-type", "e")], it));
        let stream = messages.collect::<Vec<_>>().concat();
        let wanted: Vec<_> = payloads.iter().map(|it| frame("e", it)).collect();
        let (frames, end) = cut(Framing::EventStream, pieces(&stream, &cuts));
        prop_assert_eq!((frames, end), (wanted, Ok(())));
    }

    #[test]
    fn any_bytes_are_the_same_however_they_are_split(
        stream in prop::collection::vec(any::<u8>(), 0..80),
        cuts in cuts(),
    ) {
        for framing in [Framing::Sse, Framing::Ndjson, Framing::EventStream] {
            let whole = cut(framing, [stream.as_slice()]);
            prop_assert_eq!(cut(framing, pieces(&stream, &cuts)), whole);
        }
    }
}
