"""OpenAI's own client for Python against a running server (see house.py for its models).

In: POINTSMAN in the environment. Out: a line per check; 1 at the first that fails. Needs openai.
"""

import asyncio
import json

import openai
from pydantic import BaseModel

from checks import BASE, MODELS, RESULT, TIMEOUT_S, check, fails, function_tools, picture

client = openai.OpenAI(base_url=f"{BASE}/v1", api_key="any", max_retries=0, timeout=TIMEOUT_S)


class Town(BaseModel):
    """What is asked for as JSON."""

    name: str
    people: int
    rivers: list[str]


def user(text):
    return {"role": "user", "content": text}


def chat(model):
    answer = client.chat.completions.create(
        model=model,
        messages=[{"role": "system", "content": "You are a stationmaster."}, user("Say something.")],
        max_completion_tokens=200,
        temperature=0.5,
        stop=["END"],
    )
    choice = answer.choices[0]
    check(choice.message.content and choice.finish_reason == "stop", f"{model}: chat")
    check(answer.model == model and answer.object == "chat.completion", f"{model}: it says who it is")
    usage = answer.usage
    check(usage.prompt_tokens > 0 and usage.completion_tokens > 0, f"{model}: usage")
    short = client.chat.completions.create(model=model, messages=[user("Say much.")], max_tokens=3)
    check(short.choices[0].finish_reason == "length", f"{model}: a limit is kept")


def stream(model):
    events = client.chat.completions.create(
        model=model, messages=[user("Say something.")], stream=True, stream_options={"include_usage": True}
    )
    chunks = list(events)
    text = "".join(it.choices[0].delta.content or "" for it in chunks if it.choices)
    ends = [it.choices[0].finish_reason for it in chunks if it.choices and it.choices[0].finish_reason]
    usages = [it.usage for it in chunks if it.usage]
    check(text.startswith(("Right", "Wrong")) and len(chunks) > 4, f"{model}: {len(chunks)} chunks")
    check(ends == ["stop"] and chunks[0].choices[0].delta.role == "assistant", f"{model}: begin and end")
    check(len(usages) == 1 and usages[0].completion_tokens > 0, f"{model}: usage once, where asked for")
    check(len({it.id for it in chunks}) == 1, f"{model}: one id in all chunks")
    without = client.chat.completions.create(model=model, messages=[user("Say something.")], stream=True)
    check(all(it.usage is None for it in without), f"{model}: no usage where not asked for")
    with client.chat.completions.stream(model=model, messages=[user("Say something.")]) as events:
        pieces = [it.delta for it in events if it.type == "content.delta"]
        final = events.get_final_completion()
    check("".join(pieces) == final.choices[0].message.content, f"{model}: the SDK's own sum of a stream")


def tools(model):
    turns = [user("How warm is it in Oslo?")]
    first = client.chat.completions.create(model=model, messages=turns, tools=function_tools())
    message = first.choices[0].message
    check(first.choices[0].finish_reason == "tool_calls", f"{model}: a tool is called")
    call = message.tool_calls[0]
    check(call.function.name == "warmth" and call.id, f"{model}: by its name")
    check(isinstance(json.loads(call.function.arguments)["city"], str), f"{model}: with arguments")
    turns += [message, {"role": "tool", "tool_call_id": call.id, "content": RESULT}]
    second = client.chat.completions.create(model=model, messages=turns, tools=function_tools())
    check(RESULT in second.choices[0].message.content, f"{model}: its result is heard")


def parallel(model):
    turns = [user("Ask warmth and rain of Oslo, in parallel.")]
    with client.chat.completions.stream(model=model, messages=turns, tools=function_tools()) as events:
        done = [it for it in events if it.type == "tool_calls.function.arguments.done"]
        message = events.get_final_completion().choices[0].message
    calls = message.tool_calls
    check([it.function.name for it in calls] == ["warmth", "rain"], f"{model}: two calls, streamed")
    check([it.name for it in done] == ["warmth", "rain"], f"{model}: each one ends once")
    check(calls[0].id != calls[1].id, f"{model}: under ids of their own")
    whole = client.chat.completions.create(model=model, messages=turns, tools=function_tools())
    calls = whole.choices[0].message.tool_calls
    check(len(calls) == 2, f"{model}: two calls, whole")
    turns.append(whole.choices[0].message)
    turns += [{"role": "tool", "tool_call_id": it.id, "content": f"{RESULT} {at}"} for at, it in enumerate(calls)]
    last = client.chat.completions.create(model=model, messages=turns, tools=function_tools())
    told = last.choices[0].message.content
    check(f"{RESULT} 0" in told and f"{RESULT} 1" in told, f"{model}: both results are heard")

def forced(model):
    def act():
        return client.chat.completions.create(
            model=model, messages=[user("Name a city.")], tools=function_tools(),
            tool_choice={"type": "function", "function": {"name": "rain"}},
        )

    never = client.chat.completions.create(
        model=model, messages=[user("Ask warmth.")], tools=function_tools(), tool_choice="none"
    )
    check(never.choices[0].message.content and not never.choices[0].message.tool_calls, f"{model}: none is called")
    one = client.chat.completions.create(
        model=model, messages=[user("Ask warmth and rain, in parallel.")], tools=function_tools(),
        parallel_tool_calls=False,
    )
    count = len(one.choices[0].message.tool_calls)
    dropped = one.model_extra["pointsman"]["dropped_parameters"]
    # Gemini, Ollama and Converse have no word for it (2025): then the answer says that it was left out.
    check(count == 1 or dropped == ["parallel_tool_calls"], f"{model}: one at a time, or told: {dropped}")
    if model == "ollama-model":
        # Ollama has no tool_choice (2025), so it is refused before anything is sent.
        refused = fails(openai.APIStatusError, f"{model}: a tool that must be called", act)
        attempt, = refused.response.json()["pointsman"]["attempts"]
        check(attempt["failure"] == "unsupported" and attempt["status"] is None, f"{model}: is refused")
        return
    calls = act().choices[0].message.tool_calls or []
    check([it.function.name for it in calls] == ["rain"], f"{model}: the tool that must be called is")


def schema(model):
    answer = client.chat.completions.parse(
        model=model, messages=[user("Name a town.")], response_format=Town
    )
    town = answer.choices[0].message.parsed
    check(isinstance(town, Town) and town.name, f"{model}: parse gives a Town")
    with client.chat.completions.stream(
        model=model, messages=[user("Name a town.")], response_format=Town
    ) as events:
        final = events.get_final_completion()
    check(isinstance(final.choices[0].message.parsed, Town), f"{model}: and out of a stream")
    loose = client.chat.completions.create(
        model=model, messages=[user("Some JSON.")], response_format={"type": "json_object"}
    )
    check(isinstance(json.loads(loose.choices[0].message.content), dict), f"{model}: JSON of any kind")


def vision(model):
    part = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{picture()}"}}
    turn = {"role": "user", "content": [{"type": "text", "text": "What is this?"}, part]}
    answer = client.chat.completions.create(model=model, messages=[turn])
    check(answer.choices[0].message.content, f"{model}: an image is looked at")
    # The simulator counts 85 tokens for an image, where a protocol tells the count.
    check(answer.usage.prompt_tokens > 80, f"{model}: and counted")


def errors():
    say = [user("Say something.")]
    create = client.chat.completions.create
    error = fails(openai.NotFoundError, "no such model", lambda: create(model="opnai-model", messages=say))
    check(error.code == "model_not_found" and error.param == "model", "with OpenAI's code and param")
    check("`openai-model`" in error.message, "and the name that was perhaps meant")
    error = fails(
        openai.BadRequestError, "a bad request", lambda: create(model="auto", messages=say, temperature=9)
    )
    check(error.param == "temperature" and "temperature" in error.message, "with its field")
    error = fails(
        openai.BadRequestError,
        "a budget below zero",
        lambda: create(model="auto", messages=say, extra_body={"pointsman": {"budget": {"max_cost_usd": -1}}}),
    )
    check(error.param == "pointsman.budget.max_cost_usd", "with its path")
    down = {"models": ["down-a", "down-b"]}
    for how, more in (("whole", {}), ("streamed", {"stream": True})):
        error = fails(
            openai.APIStatusError, f"all are down, {how}",
            lambda: create(model="auto", messages=say, extra_body=down, **more),
        )
        check(error.status_code == 503, "with 503")
        attempts = error.response.json()["pointsman"]["attempts"]
        tried = {it["deployment"].split("@")[0] for it in attempts}
        check(tried == {"down-a", "down-b"}, f"and {len(attempts)} attempts of both in the body")
        check(all(it["status"] == 503 for it in attempts), "each with its status")
    error = fails(openai.APIStatusError, "a refused key", lambda: create(model="locked", messages=say))
    check(error.status_code == 502 and "house-key" not in str(error.response.text), "with 502, and no key told")
    many = fails(
        openai.UnprocessableEntityError, "a budget that none can meet",
        lambda: create(model="auto", messages=say, extra_body={"pointsman": {"budget": {"max_cost_usd": 1e-12}}}),
    )
    check("cost" in many.message, "with the limit's name")


def broken_stream():
    """What has come is the caller's; then an error that the SDK raises, and not an end."""
    pieces = []

    def read():
        for it in client.chat.completions.create(model="broken", messages=[user("Say much.")], stream=True):
            pieces.append(it.choices[0].delta.content)

    error = fails(openai.APIError, "a stream that breaks off", read)
    check("".join(pieces).startswith(("Right", "Wrong")), f"after {len(pieces)} pieces")
    check(error.code == "stream_cut" and "broken" in error.message, "and says so")
    kinds = [it.type for it in client.responses.create(model="broken", input="Say much.", stream=True)]
    check(kinds[-1] == "response.failed", "in responses, too")


def retries():
    say = [user("Say something.")]
    fails(
        openai.InternalServerError, "a model that is away for a while",
        lambda: client.chat.completions.create(model="flaky-1", messages=say),
    )
    patient = client.with_options(max_retries=2)
    answer = patient.chat.completions.with_raw_response.create(model="flaky-2", messages=say)
    check(answer.parse().choices[0].message.content, "the SDK's own retry gets its answer")
    check(answer.retries_taken == 1, "with one retry")
    streamed = patient.chat.completions.create(model="flaky-3", messages=say, stream=True)
    check(sum(1 for _ in streamed) > 2, "and so does a stream's")
    raised = fails(
        openai.APIStatusError, "what cannot mend", lambda: patient.chat.completions.create(model="locked-2", messages=say)
    )
    check(raised.request.headers["x-stainless-retry-count"] == "0", "is not tried again")
    served = client.chat.completions.create(
        model="auto", messages=say, extra_body={"models": ["down-a", "gemini-model"]}
    )
    check(served.model == "gemini-model", "the server's own fallback answers")
    check(len(served.model_extra["pointsman"]["attempts"]) >= 2, "and tells who failed")


def responses(model):
    answer = client.responses.create(model=model, instructions="Be brief.", input="Say something.")
    check(answer.output_text and answer.status == "completed", f"{model}: responses")
    events = list(client.responses.create(model=model, input="Say something.", stream=True))
    kinds = [it.type for it in events]
    check(kinds[0] == "response.created" and kinds[-1] == "response.completed", f"{model}: streamed")
    text = "".join(it.delta for it in events if it.type == "response.output_text.delta")
    check(text == events[-1].response.output_text, f"{model}: its pieces are the whole")
    numbers = [it.sequence_number for it in events]
    check(numbers == sorted(set(numbers)), f"{model}: numbered in order")
    tools = [{"type": "function", **it["function"], "strict": True} for it in function_tools()]
    asked = client.responses.create(model=model, input="How warm is it in Oslo?", tools=tools)
    call = next(it for it in asked.output if it.type == "function_call")
    turns = [user("How warm is it in Oslo?"), *asked.output]
    turns.append({"type": "function_call_output", "call_id": call.call_id, "output": RESULT})
    told = client.responses.create(model=model, input=turns, tools=tools)
    check(call.name == "warmth" and RESULT in told.output_text, f"{model}: a tool and its result")
    town = client.responses.parse(model=model, input="Name a town.", text_format=Town)
    check(isinstance(town.output_parsed, Town), f"{model}: parse gives a Town")


def ours():
    listed = [it.id for it in client.models.list()]
    check({"auto", "auto:cost", *MODELS} <= set(listed), f"{len(listed)} models are listed")
    check(client.models.retrieve("gemini-model").id == "gemini-model", "one of them is told of")
    raw = client.chat.completions.with_raw_response.create(
        model="auto:cost",
        messages=[user("Say something.")],
        extra_body={"pointsman": {"budget": {"max_cost_usd": 0.05, "max_latency_ms": 20_000}, "explain": True}},
        extra_headers={"x-pointsman-session-id": "s1"},
    )
    answer = raw.parse()
    told = answer.model_extra["pointsman"]
    check(raw.headers["x-pointsman-model"] == answer.model, f"auto: {answer.model} answers")
    check(raw.headers["x-pointsman-decision"] == told["decision_id"], "the decision stands in the headers")
    check(raw.headers["x-pointsman-deployment"] == told["deployment"], "the deployment too")
    check(int(raw.headers["x-pointsman-attempts"]) == len(told["attempts"]), "the attempts too")
    check(abs(float(raw.headers["x-pointsman-cost-usd"]) - told["cost_usd"]) < 1e-12, "the cost too")
    check(told["explanation"] and told["ranking"], "and why, where asked for")
    last = list(client.chat.completions.create(model="auto", messages=[user("Say something.")], stream=True))[-1]
    check(last.model_extra["pointsman"]["attempts"], "a stream's last chunk tells the same")


async def later():
    async with openai.AsyncOpenAI(base_url=f"{BASE}/v1", api_key="any", max_retries=0) as async_client:
        say = [user("Say something.")]
        create = async_client.chat.completions.create
        answers = await asyncio.gather(*(create(model=it, messages=say) for it in MODELS * 2))
        check([it.model for it in answers] == MODELS * 2, f"{len(answers)} at once, async")
        stream = await create(model="auto", messages=say, stream=True)
        chunks = [it async for it in stream]
        check(len(chunks) > 4, "an async stream")
        # A stream that is left half way must not disturb what comes after it.
        stream = await create(model="auto", messages=say, stream=True)
        async for _ in stream:
            break
        await stream.close()
        check((await create(model="auto", messages=say)).choices, "after a stream that was left")


def main():
    for model in MODELS:
        for part in (chat, stream, tools, parallel, forced, schema, vision, responses):
            part(model)
    errors()
    broken_stream()
    retries()
    ours()
    asyncio.run(later())


if __name__ == "__main__":
    main()
