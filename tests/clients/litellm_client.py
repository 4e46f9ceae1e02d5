"""litellm as a client of a running server (see house.py for its models).

In: POINTSMAN in the environment. Out: a line per check; 1 at the first that fails. Needs litellm.
"""

import asyncio
import json
import os

# It would fetch a list of prices otherwise.
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"

import litellm  # noqa: E402

from checks import BASE, MODELS, RESULT, TIMEOUT_S, check, fails, function_tools  # noqa: E402

litellm.telemetry = False
# Its hints would stand between the checks.
litellm.suppress_debug_info = True


def ask(name, text, **more):
    messages = more.pop("messages", [{"role": "user", "content": text}])
    return litellm.completion(
        model=f"openai/{name}", api_base=f"{BASE}/v1", api_key="any", messages=messages,
        timeout=TIMEOUT_S, num_retries=0, max_retries=0, **more,
    )


def whole(name):
    answer = ask(name, "Say something.", max_tokens=200, temperature=0.5)
    check(answer.choices[0].message.content and answer.usage.completion_tokens > 0, f"{name}: whole")


def stream(name):
    chunks = list(ask(name, "Say something.", stream=True, stream_options={"include_usage": True}))
    text = "".join(it.choices[0].delta.content or "" for it in chunks if it.choices)
    check(len(chunks) > 4 and text.startswith(("Right", "Wrong")), f"{name}: {len(chunks)} chunks")
    built = litellm.stream_chunk_builder(chunks)
    check(built.choices[0].message.content == text, f"{name}: litellm's own sum of a stream")
    check(built.usage.completion_tokens > 0, f"{name}: usage of a stream")


def tools(name):
    turns = [{"role": "user", "content": "Ask warmth and rain of Oslo, in parallel."}]
    for how in ({}, {"stream": True}):
        answer = ask(name, "", messages=turns, tools=function_tools(), **how)
        if how:
            answer = litellm.stream_chunk_builder(list(answer))
        calls = answer.choices[0].message.tool_calls
        check([it.function.name for it in calls] == ["warmth", "rain"], f"{name}: two calls {how}")
        check(all(json.loads(it.function.arguments)["city"] for it in calls), f"{name}: with arguments")
        results = [{"role": "tool", "tool_call_id": it.id, "content": f"{RESULT} {it.id}"} for it in calls]
        more = [*turns, answer.choices[0].message.model_dump(), *results]
        told = ask(name, "", messages=more, tools=function_tools()).choices[0].message.content
        check(all(f"{RESULT} {it.id}" in told for it in calls), f"{name}: both results are heard")


def others():
    error = fails(litellm.NotFoundError, "no such model", lambda: ask("opnai-model", "Hi."))
    check("openai-model" in str(error), "with the name that was perhaps meant")
    error = fails(litellm.BadRequestError, "a bad request", lambda: ask("auto", "Hi.", temperature=9))
    check("temperature" in str(error), "with its field")
    answer = ask("auto", "Hi.", extra_body={"pointsman": {"budget": {"max_cost_usd": 0.05}}})
    check(answer.choices[0].message.content, "a budget in extra_body")
    answer = litellm.completion(
        model="anthropic/auto", api_base=BASE, api_key="any", timeout=TIMEOUT_S, max_retries=0,
        messages=[{"role": "user", "content": "Say something."}],
    )
    check(answer.choices[0].message.content, "by the Anthropic dialect")

    async def later():
        return await litellm.acompletion(
            model="openai/auto", api_base=f"{BASE}/v1", api_key="any", timeout=TIMEOUT_S,
            messages=[{"role": "user", "content": "Say something."}],
        )

    check(asyncio.run(later()).choices[0].message.content, "async")


def main():
    for name in ["auto", *MODELS]:
        for part in (whole, stream, tools):
            part(name)
    others()


if __name__ == "__main__":
    main()
