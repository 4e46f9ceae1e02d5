"""Anthropic's own client for Python against a running server (see house.py for its models).

In: POINTSMAN in the environment. Out: a line per check; 1 at the first that fails. Needs anthropic.
"""

import asyncio

import anthropic
from pydantic import BaseModel

from checks import BASE, CITY, MODELS, RESULT, TIMEOUT_S, TOOLS, check, fails, picture

client = anthropic.Anthropic(base_url=BASE, api_key="any", max_retries=0, timeout=TIMEOUT_S)
LIMIT = 500
OFFERED = [{"name": name, "description": text, "input_schema": CITY} for name, text in TOOLS.items()]


class Town(BaseModel):
    """What is asked for as JSON."""

    name: str
    people: int


def user(content):
    return {"role": "user", "content": content}


def text_of(message):
    return "".join(it.text for it in message.content if it.type == "text")


def whole(model):
    answer = client.messages.create(
        model=model, max_tokens=LIMIT, system="You are a stationmaster.", messages=[user("Say something.")],
        stop_sequences=["END"], metadata={"user_id": "u1"}, extra_body={"temperature": 0.5},
    )
    check(text_of(answer) and answer.stop_reason == "end_turn", f"{model}: message")
    check(answer.model == model and answer.role == "assistant", f"{model}: it says who it is")
    check(answer.usage.input_tokens > 0 and answer.usage.output_tokens > 0, f"{model}: usage")
    short = client.messages.create(model=model, max_tokens=3, messages=[user("Say much.")])
    check(short.stop_reason == "max_tokens", f"{model}: a limit is kept")
    turns = [user("Count."), {"role": "assistant", "content": "One."}, user([{"type": "text", "text": "And?"}])]
    check(text_of(client.messages.create(model=model, max_tokens=LIMIT, messages=turns)), f"{model}: turns")


def stream(model):
    with client.messages.stream(model=model, max_tokens=LIMIT, messages=[user("Say something.")]) as events:
        pieces = list(events.text_stream)
        final = events.get_final_message()
    check(len(pieces) > 2 and "".join(pieces) == text_of(final), f"{model}: {len(pieces)} pieces of text")
    check(final.stop_reason == "end_turn" and final.usage.output_tokens > 0, f"{model}: end and usage")
    raw = client.messages.create(model=model, max_tokens=LIMIT, messages=[user("Say something.")], stream=True)
    kinds = [it.type for it in raw]
    check(kinds[0] == "message_start" and kinds[-1] == "message_stop", f"{model}: begin and end")
    check(kinds.count("content_block_start") == kinds.count("content_block_stop") == 1, f"{model}: one block")


def tools(model):
    turns = [user("How warm is it in Oslo?")]
    first = client.messages.create(model=model, max_tokens=LIMIT, messages=turns, tools=OFFERED)
    call = next(it for it in first.content if it.type == "tool_use")
    check(first.stop_reason == "tool_use" and call.name == "warmth", f"{model}: a tool is called")
    check(isinstance(call.input["city"], str) and call.id, f"{model}: with arguments")
    turns += [{"role": "assistant", "content": first.content}]
    turns += [user([{"type": "tool_result", "tool_use_id": call.id, "content": RESULT}])]
    second = client.messages.create(model=model, max_tokens=LIMIT, messages=turns, tools=OFFERED)
    check(RESULT in text_of(second), f"{model}: its result is heard")


def parallel(model):
    turns = [user("Ask warmth and rain of Oslo, in parallel.")]
    with client.messages.stream(model=model, max_tokens=LIMIT, messages=turns, tools=OFFERED) as events:
        message = events.get_final_message()
    calls = [it for it in message.content if it.type == "tool_use"]
    check([it.name for it in calls] == ["warmth", "rain"], f"{model}: two calls, streamed")
    check(all(it.input["city"] for it in calls) and calls[0].id != calls[1].id, f"{model}: each its own")
    results = [
        {"type": "tool_result", "tool_use_id": it.id, "content": [{"type": "text", "text": f"{RESULT} {at}"}]}
        for at, it in enumerate(calls)
    ]
    turns += [{"role": "assistant", "content": message.content}, user(results)]
    with client.messages.stream(model=model, max_tokens=LIMIT, messages=turns, tools=OFFERED) as events:
        told = events.get_final_text()
    check(f"{RESULT} 0" in told and f"{RESULT} 1" in told, f"{model}: both results are heard")


def images(model):
    source = {"type": "base64", "media_type": "image/png", "data": picture()}
    turn = user([{"type": "image", "source": source}, {"type": "text", "text": "What is this?"}])
    answer = client.messages.create(model=model, max_tokens=LIMIT, messages=[turn])
    # The simulator counts 85 tokens for an image.
    check(text_of(answer) and answer.usage.input_tokens > 80, f"{model}: an image is looked at")


def thinking(model):
    wishes = {"model": model, "max_tokens": 4_000, "thinking": {"type": "enabled", "budget_tokens": 1_500}}
    turns = [user("How warm is it in Oslo?")]
    first = client.messages.create(messages=turns, tools=OFFERED, **wishes)
    kinds = [it.type for it in first.content]
    check(kinds == ["thinking", "tool_use"], f"{model}: thinks, then calls")
    check(first.content[0].thinking, f"{model}: in words")
    call = first.content[1]
    turns += [{"role": "assistant", "content": first.content}]
    turns += [user([{"type": "tool_result", "tool_use_id": call.id, "content": RESULT}])]
    with client.messages.stream(messages=turns, tools=OFFERED, **wishes) as events:
        thought = "".join(it.thinking for it in events if it.type == "thinking")
        final = events.get_final_message()
    check(RESULT in text_of(final), f"{model}: and hears the result, its thoughts sent back")
    blocks = [it for it in final.content if it.type == "thinking"]
    check("".join(it.thinking for it in blocks) == thought and thought, f"{model}: thoughts are streamed")
    # What one provider sealed goes to another: left out there, not refused.
    other = "openai-model" if model != "openai-model" else "anthropic-model"
    answer = client.messages.create(messages=turns, tools=OFFERED, **{**wishes, "model": other})
    check(RESULT in text_of(answer), f"{model}: {other} goes on without its seals")


def others(model):
    told = client.beta.messages.create(
        model=model, max_tokens=LIMIT, messages=[user("Say something.")], betas=["some-beta-2025-01-01"],
        system=[{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}],
    )
    check(told.content[0].type == "text", f"{model}: by the beta path, with a cache mark")
    if model != "ollama-model":
        # Ollama has no word for it (2025), see openai_client.py.
        named = client.messages.create(
            model=model, max_tokens=LIMIT, messages=[user("Name a city.")], tools=OFFERED,
            tool_choice={"type": "tool", "name": "rain"},
        )
        check(named.content[0].name == "rain", f"{model}: the tool that must be called is")


def schema(model):
    answer = client.messages.parse(
        model=model, max_tokens=LIMIT, messages=[user("Name a town.")], output_format=Town
    )
    check(isinstance(answer.parsed_output, Town), f"{model}: parse gives a Town")
    wishes = {"model": model, "max_tokens": 4_000, "messages": [user("Say something.")]}
    adaptive = client.messages.create(
        thinking={"type": "adaptive"}, output_config={"effort": "low"}, **wishes
    )
    check(adaptive.content[0].type == "thinking", f"{model}: thinks as hard as it is told")


def errors():
    say = [user("Say something.")]

    def create(**more):
        return client.messages.create(**{"model": "auto", "max_tokens": LIMIT, "messages": say, **more})

    error = fails(anthropic.NotFoundError, "no such model", lambda: create(model="anthropc-model"))
    check(error.body["type"] == "error" and error.body["error"]["type"] == "not_found_error", "in its shape")
    check("`anthropic-model`" in str(error.body), "with the name that was perhaps meant")
    error = fails(anthropic.BadRequestError, "a bad request", lambda: create(extra_body={"temperature": 9}))
    check("temperature" in error.body["error"]["message"], "with its field")
    error = fails(anthropic.BadRequestError, "no messages", lambda: create(messages=[]))
    check(error.body["error"]["type"] == "invalid_request_error", "in its shape")
    down = {"models": ["down-a", "down-b"]}
    for how, more in (("whole", {}), ("streamed", {"stream": True})):
        error = fails(anthropic.APIStatusError, f"all are down, {how}", lambda: create(extra_body=down, **more))
        attempts = error.body["pointsman"]["attempts"]
        check(error.status_code == 503 and len(attempts) >= 2, f"503 with {len(attempts)} attempts")
    patient = client.with_options(max_retries=2)
    answer = patient.messages.with_raw_response.create(model="flaky-1", max_tokens=LIMIT, messages=say)
    check(text_of(answer.parse()) and answer.retries_taken == 1, "the SDK's own retry gets its answer")


def broken_stream():
    """What has come is the caller's; then an error that the SDK raises, and not an end."""
    pieces = []

    def read():
        with client.messages.stream(model="broken", max_tokens=LIMIT, messages=[user("Say much.")]) as events:
            for it in events.text_stream:
                pieces.append(it)

    error = fails(anthropic.APIStatusError, "a stream that breaks off", read)
    check("".join(pieces).startswith(("Right", "Wrong")), f"after {len(pieces)} pieces")
    check(error.body["pointsman"]["attempts"][-1]["failure"] == "stream_cut", "and says so")


def ours():
    raw = client.messages.with_raw_response.create(
        model="auto", max_tokens=LIMIT, messages=[user("Say something.")],
        extra_body={"pointsman": {"budget": {"max_cost_usd": 0.05}}},
        extra_headers={"x-pointsman-preference": "cost"},
    )
    check(raw.headers["x-pointsman-model"] == raw.parse().model, "the headers tell who answered")


async def later():
    async with anthropic.AsyncAnthropic(base_url=BASE, api_key="any", max_retries=0) as async_client:
        wishes = {"max_tokens": LIMIT, "messages": [user("Say something.")]}
        answers = await asyncio.gather(*(async_client.messages.create(model=it, **wishes) for it in MODELS))
        check([it.model for it in answers] == MODELS, f"{len(answers)} at once, async")
        async with async_client.messages.stream(model="auto", **wishes) as events:
            pieces = [it async for it in events.text_stream]
        check(len(pieces) > 2, "an async stream")


def main():
    for model in MODELS:
        for part in (whole, stream, tools, parallel, images, thinking, others, schema):
            part(model)
    errors()
    broken_stream()
    ours()
    asyncio.run(later())


if __name__ == "__main__":
    main()
