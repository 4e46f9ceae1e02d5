//! What counts as the same question, and what a kept answer is told as.

use std::collections::BTreeMap;

use super::*;
use crate::domain::{
    Assembly, Delta, Image, ImageSource, Json, Message, Part, Reasoning, ResponseFormat, RouteName,
    StreamEnd, Tool, ToolCall, Usage,
};
use crate::ranking::route::Taken;
use crate::ranking::{Order, Policy, Preference};

fn call(request: ChatRequest) -> Call {
    Call {
        request,
        policy: Policy::default(),
        arrived: Instant::now(),
        deadline: None,
        request_id: None,
        session_id: None,
        metadata: BTreeMap::new(),
        faults: Vec::new(),
        caller: None,
        cache: CacheUse::Usual,
    }
}

fn asked(prompt: &str) -> ChatRequest {
    ChatRequest::from_prompt(prompt)
}

fn with(prompt: &str, change: impl FnOnce(&mut ChatRequest)) -> ChatRequest {
    let mut request = asked(prompt);
    change(&mut request);
    request
}

#[tokio::test]
async fn whatever_an_answer_depends_on_makes_another_question() {
    let (key, frame) = key::of(&call(asked("why?")), None);
    assert_eq!(key::of(&call(asked("why?")), None), (key, frame));
    let same = with("why?", |it| it.user = Some("u-1".into()));
    assert_eq!(
        key::of(&call(same), None).0,
        key,
        "who asks it for whom says nothing of the answer"
    );
    let (other, same_frame) = key::of(&call(asked("why not?")), None);
    assert!(other != key && same_frame == frame);

    let tool = Tool {
        name: "f".into(),
        description: "d".into(),
        parameters: Json::default(),
        strict: None,
    };
    let image = Image { source: ImageSource::Url("http://x/y".into()), detail: None };
    let changes: [fn(&mut ChatRequest); 7] = [
        |it| it.sampling.temperature = Some(0.5),
        |it| it.sampling.seed = Some(1),
        |it| it.response_format = ResponseFormat::JsonObject,
        |it| it.parallel_tool_calls = Some(true),
        |it| it.messages.insert(0, Message::System("be brief".into())),
        |it| it.extra = serde_json::json!({ "logit_bias": {} }).into(),
        |it| it.effort = Some(crate::domain::Effort::Low),
    ];
    for (at, change) in changes.into_iter().enumerate() {
        let (other, its_frame) = key::of(&call(with("why?", change)), None);
        assert!(other != key && its_frame != frame, "{at}");
    }
    let tooled = with("why?", |it| it.tools.push(tool));
    let pictured = with("why?", |it| {
        it.messages = vec![Message::User(vec![Part::Text("why?".into()), Part::Image(image)])];
    });
    for request in [tooled, pictured] {
        assert!(key::of(&call(request), None).1 != frame);
    }
    // Cut elsewhere, the words of two turns are not the words of one.
    let turns = |parts: [&str; 2]| {
        let turn = |text: &str| Message::User(vec![Part::Text(text.into())]);
        let request = ChatRequest { messages: parts.map(turn).into(), ..ChatRequest::default() };
        key::of(&call(request), None).0
    };
    assert_ne!(turns(["ab", "c"]), turns(["a", "bc"]));
}

#[tokio::test]
async fn other_wishes_make_another_question_and_other_limits_do_not() {
    let wished = |change: fn(&mut Policy)| {
        let mut call = call(asked("why?"));
        change(&mut call.policy);
        key::of(&call, None).0
    };
    let usual = wished(|_| {});
    let limits: [fn(&mut Policy); 2] =
        [|it| it.budget.max_latency = Duration::from_secs(1), |it| it.fallback.candidates_max = 1];
    assert!(limits.into_iter().all(|it| wished(it) == usual));
    let wishes: [fn(&mut Policy); 3] = [
        |it| it.preference = Preference::QUALITY,
        |it| it.min_quality = Some(Probability::clamped(0.9)),
        |it| it.candidates.order = Order::Given(Vec::new()),
    ];
    assert!(wishes.into_iter().all(|it| wished(it) != usual));
    let branch = |it: &str| Taken { route: RouteName::new("r").unwrap(), branch: vec![it.into()] };
    let taken = |it: &str| key::of(&call(asked("why?")), Some(&branch(it))).0;
    assert_eq!(taken("a"), taken("a"));
    assert!(taken("a") != taken("b") && taken("a") != usual);
}

#[test]
fn a_kept_answer_in_pieces_is_the_answer() {
    let call = |name: &str| ToolCall {
        id: format!("id-{name}"),
        name: name.into(),
        arguments: "{\"a\":1}".into(),
        seal: None,
    };
    let thought = |text: &str| Reasoning { text: Some(text.into()), seal: None };
    let response = ChatResponse {
        text: Some("hello".into()),
        reasoning: vec![thought("hm"), thought("well")],
        tool_calls: vec![call("f"), call("g")],
        finish: FinishReason::ToolCalls,
        usage: Usage::default(),
        logprobs: Some(serde_json::json!({ "content": [{ "token": "hello" }] }).into()),
    };
    let mut assembly = Assembly::default();
    let pieces = replay::deltas(&response);
    assert!(pieces.iter().any(Delta::is_content));
    pieces.iter().for_each(|it| assembly.push(it));
    let end = StreamEnd { finish: response.finish, usage: response.usage };
    assert_eq!(assembly.finish(end), response);
}

#[test]
fn tools_are_passed_over_unless_somebody_says_otherwise() {
    let settings = |tools| CacheSettings {
        ttl: CACHE_TTL_DEFAULT,
        bytes_max: CACHE_BYTES_DEFAULT,
        tools,
        near: None,
    };
    let tool = Tool {
        name: "pay".into(),
        description: "".into(),
        parameters: Json::default(),
        strict: None,
    };
    let (plain, tooled) = (asked("x"), with("x", |it| it.tools.push(tool)));
    let takes = |tools, request: &ChatRequest, wanted| {
        AnswerCache::new(settings(tools)).takes(request, wanted)
    };
    for (wanted, of_plain, of_tooled) in [
        (CacheUse::Usual, true, false),
        (CacheUse::Refresh, true, false),
        (CacheUse::WithTools, true, true),
        (CacheUse::Off, false, false),
    ] {
        assert_eq!(takes(ToolAnswers::Asked, &plain, wanted), of_plain, "{wanted:?}");
        assert_eq!(takes(ToolAnswers::Asked, &tooled, wanted), of_tooled, "{wanted:?}");
        assert_eq!(takes(ToolAnswers::Kept, &tooled, wanted), of_plain, "{wanted:?}");
    }
}
