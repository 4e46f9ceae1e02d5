//! What a request asks for besides words: which parameters, tools and parts it has, not their values.
//!
//! In: a [`ChatRequest`]. Out: [`Shape`]. Invariant: two requests of one shape use the same parameters,
//! so that a provider that lacks one of them refuses both.

use super::chat::{ChatRequest, ImageSource, Message, Part, ResponseFormat, ToolChoice};
use super::reasoning::Effort;

/// The parameters that a request has. Plain words have none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Shape(u32);

impl Shape {
    /// Whether there is nothing that a provider could lack.
    pub fn is_plain(self) -> bool {
        self.0 == 0
    }
}

impl ChatRequest {
    /// Which parameters, tools and parts it has.
    pub fn shape(&self) -> Shape {
        let Self { sampling, response_format, tool_choice, .. } = self;
        let has_image = |wanted: fn(&ImageSource) -> bool| {
            let is_it = |part: &Part| match part {
                Part::Image(image) => wanted(&image.source),
                Part::Text(_) => false,
            };
            self.messages.iter().any(|it| parts(it).iter().any(is_it))
        };
        let marks = [
            !self.tools.is_empty(),
            self.tools.iter().any(|it| it.strict.is_some()),
            matches!(tool_choice, ToolChoice::None),
            matches!(tool_choice, ToolChoice::Required),
            matches!(tool_choice, ToolChoice::Tool(_)),
            self.parallel_tool_calls.is_some(),
            matches!(response_format, ResponseFormat::JsonObject),
            matches!(response_format, ResponseFormat::JsonSchema { .. }),
            has_image(|it| matches!(it, ImageSource::Url(_))),
            has_image(|it| matches!(it, ImageSource::Base64 { .. })),
            sampling.temperature.is_some(),
            sampling.top_p.is_some(),
            sampling.max_output_tokens.is_some(),
            !sampling.stop.is_empty(),
            sampling.seed.is_some(),
            sampling.top_k.is_some(),
            sampling.frequency_penalty.is_some(),
            sampling.presence_penalty.is_some(),
            sampling.logprobs.is_some(),
            self.cache_prompt,
            self.user.is_some(),
            !self.extra.value().is_null(),
        ];
        let bits = marks.iter().fold(0_u32, |bits, it| (bits << 1) | u32::from(*it));
        // Levels are refused one by one, where a model knows only some of them.
        let level = match self.effort {
            None => 0,
            Some(Effort::Off) => 1,
            Some(Effort::Minimal) => 2,
            Some(Effort::Low) => 3,
            Some(Effort::Medium) => 4,
            Some(Effort::High) => 5,
            Some(Effort::Tokens(_)) => 6,
        };
        Shape(bits | (level << marks.len()))
    }
}

fn parts(message: &Message) -> &[Part] {
    match message {
        Message::User(parts) | Message::ToolResult { parts, .. } => parts,
        Message::System(_) | Message::Assistant { .. } => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_follows_what_is_there_and_not_what_it_says() {
        let plain = ChatRequest::from_prompt("one");
        assert!(plain.shape().is_plain());
        let warm = |temperature| {
            let mut request = ChatRequest::from_prompt("two");
            request.sampling.temperature = Some(temperature);
            request
        };
        assert_eq!(warm(0.1).shape(), warm(0.9).shape());
        assert_ne!(warm(0.1).shape(), plain.shape());
        let levels = [Effort::Off, Effort::Minimal, Effort::Low, Effort::Medium, Effort::High];
        let shapes = levels.map(|it| ChatRequest { effort: Some(it), ..warm(0.1) }.shape());
        let mut known = shapes.to_vec();
        known.sort_unstable();
        known.dedup();
        assert_eq!(known.len(), shapes.len());
    }
}
