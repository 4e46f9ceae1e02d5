//! An answer in pieces, written as it comes.
//!
//! In: a client and a request. Out: the words on the screen, and the answer's figures once it is
//! whole. Invariant: a stream that ends without `completed` is an error, never an answer. Not here:
//! attempts and decision, which are shown the same way for both kinds of calls.

use std::io::Write;

use tonic::Status;

use super::CommandError;
use super::client::Client;
use crate::api::proto::{self, delta::Piece, route_event::Event};

/// Calls and writes what comes.
pub(super) async fn route(
    mut client: Client,
    request: proto::RouteRequest,
    out: &mut dyn Write,
) -> Result<proto::RouteResponse, CommandError> {
    let mut events = client.route_stream(request).await?.into_inner();
    let mut pen = Pen { out, place: Place::Start };
    let ended = loop {
        match events.message().await {
            Ok(Some(event)) => {
                if let Some(whole) = pen.event(event)? {
                    break Ok(whole);
                }
            }
            Ok(None) => break Err(Status::unavailable("the stream ended before the answer did")),
            Err(status) => break Err(status),
        }
    };
    pen.lift()?;
    Ok(ended?)
}

/// Where the last piece left off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Nothing was written yet.
    Start,
    /// In text.
    Text,
    /// In a tool call's arguments.
    Call,
}

struct Pen<'o> {
    out: &'o mut dyn Write,
    place: Place,
}

impl Pen<'_> {
    /// Writes what an event shows; gives the answer's figures when it is whole.
    fn event(&mut self, event: proto::RouteEvent) -> std::io::Result<Option<proto::RouteResponse>> {
        match event.event {
            Some(Event::Completed(whole)) => return Ok(Some(whole)),
            Some(Event::Delta(delta)) => self.piece(delta.piece)?,
            Some(Event::Restarted(_)) => {
                self.lift()?;
                self.place = Place::Start;
                writeln!(self.out, "(another model begins anew)")?;
            }
            Some(Event::Decided(_) | Event::Answering(_) | Event::Switched(_)) | None => {}
        }
        Ok(None)
    }

    fn piece(&mut self, piece: Option<Piece>) -> std::io::Result<()> {
        match piece {
            Some(Piece::Text(text)) => {
                if self.place == Place::Call {
                    writeln!(self.out, ")")?;
                }
                self.place = Place::Text;
                write!(self.out, "{text}")?;
            }
            Some(Piece::ToolCallBegin(call)) => {
                self.lift()?;
                self.place = Place::Call;
                write!(self.out, "{}(", call.name)?;
            }
            Some(Piece::ToolCallArguments(more)) => write!(self.out, "{}", more.fragment)?,
            Some(Piece::Reasoning(_) | Piece::ReasoningEnd(_) | Piece::LogprobsJson(_)) | None => {}
        }
        // Pieces are seldom whole lines, and someone is watching.
        self.out.flush()
    }

    /// Ends what is being written, and its line.
    fn lift(&mut self) -> std::io::Result<()> {
        match self.place {
            Place::Start => Ok(()),
            Place::Text => writeln!(self.out),
            Place::Call => writeln!(self.out, ")"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_written_as_an_answer_in_one_piece_is() {
        let delta = |piece| Event::Delta(proto::Delta { piece: Some(piece) });
        let begin = |name: &str| {
            let name = name.to_owned();
            delta(Piece::ToolCallBegin(proto::ToolCallBegin { name, ..Default::default() }))
        };
        let more = |it: &str| {
            let fragment = it.to_owned();
            delta(Piece::ToolCallArguments(proto::ToolCallArguments { index: 0, fragment }))
        };
        let events = [
            Event::Decided(proto::Decision::default()),
            Event::Answering(proto::Answering::default()),
            delta(Piece::Reasoning("hm".into())),
            delta(Piece::Text("two ".into())),
            delta(Piece::Text("words".into())),
            begin("f"),
            more("{\"a\""),
            more(":1}"),
            begin("g"),
            Event::Completed(proto::RouteResponse::default()),
        ];
        let mut out = Vec::new();
        let mut pen = Pen { out: &mut out, place: Place::Start };
        let wholes: Vec<_> = events
            .into_iter()
            .map(|it| pen.event(proto::RouteEvent { event: Some(it) }).unwrap())
            .collect();
        pen.lift().unwrap();
        assert!(wholes.last().unwrap().is_some() && wholes[0].is_none());
        assert_eq!(String::from_utf8(out).unwrap(), "two words\nf({\"a\":1})\ng()\n");
    }
}
