"""langchain-openai against a running server (see house.py for its models).

In: POINTSMAN in the environment. Out: a line per check; 1 at the first that fails. Needs
langchain-openai.
"""

from langchain_core.messages import HumanMessage, SystemMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from pydantic import BaseModel, Field

from checks import BASE, MODELS, RESULT, TIMEOUT_S, check, picture


class Town(BaseModel):
    """A town."""

    name: str = Field(description="How it is called.")
    people: int


@tool
def warmth(city: str) -> str:
    """How warm it is in a city."""
    return f"{RESULT} ({city})"


@tool
def rain(city: str) -> str:
    """How wet it is in a city."""
    return f"It rains there. ({city})"


def model_of(name, **more):
    return ChatOpenAI(model=name, base_url=f"{BASE}/v1", api_key="any", timeout=TIMEOUT_S, max_retries=0, **more)


def invoke(name):
    answer = model_of(name).invoke([SystemMessage("You are a stationmaster."), HumanMessage("Say something.")])
    check(answer.text and answer.usage_metadata["output_tokens"] > 0, f"{name}: invoke")
    check(answer.response_metadata["model_name"] == name, f"{name}: it says who it is")
    image = {"type": "image", "source_type": "base64", "mime_type": "image/png", "data": picture()}
    seen = model_of(name).invoke([HumanMessage([{"type": "text", "text": "What is this?"}, image])])
    check(seen.text and seen.usage_metadata["input_tokens"] > 80, f"{name}: an image is looked at")


def stream(name):
    pieces = list(model_of(name, stream_usage=True).stream("Say something."))
    whole = pieces[0]
    for it in pieces[1:]:
        whole += it
    check(len(pieces) > 4 and whole.text.startswith(("Right", "Wrong")), f"{name}: {len(pieces)} pieces")
    check(whole.usage_metadata["output_tokens"] > 0, f"{name}: usage of a stream")


def tools(name):
    model = model_of(name).bind_tools([warmth, rain])
    turns = [HumanMessage("Ask warmth and rain of Oslo, in parallel.")]
    asked = model.invoke(turns)
    check([it["name"] for it in asked.tool_calls] == ["warmth", "rain"], f"{name}: bind_tools, two calls")
    given = {"warmth": warmth, "rain": rain}
    results = [given[it["name"]].invoke(it) for it in asked.tool_calls]
    check(all(isinstance(it, ToolMessage) for it in results), f"{name}: langchain runs them")
    told = model.invoke([*turns, asked, *results])
    check(RESULT in told.text and "It rains there." in told.text, f"{name}: both results are heard")
    pieces = list(model.stream("How warm is it in Oslo? Ask warmth."))
    whole = pieces[0]
    for it in pieces[1:]:
        whole += it
    check([it["name"] for it in whole.tool_calls] == ["warmth"], f"{name}: one call, streamed")
    check(whole.tool_calls[0]["args"]["city"], f"{name}: with arguments")


def structured(name):
    methods = ["json_schema", "function_calling", "json_mode"]
    # It forces a tool, which Ollama's protocol has no word for (2025).
    if name == "ollama-model":
        methods.remove("function_calling")
    for method in methods:
        # JSON of any kind, of the simulator, is not a Town.
        wanted = None if method == "json_mode" else Town
        town = model_of(name).with_structured_output(wanted, method=method).invoke("Name a town, as JSON.")
        check(isinstance(town, wanted or dict), f"{name}: with_structured_output, {method}")


def others():
    model = model_of("auto", extra_body={"pointsman": {"budget": {"max_cost_usd": 0.05}}})
    check(len(model.batch(["One.", "Two.", "Three."])) == 3, "a batch")
    answer = model_of("auto", use_responses_api=True).invoke("Say something.")
    check(answer.text, "by the responses API")
    pieces = [it.text for it in model_of("auto", use_responses_api=True).stream("Say something.")]
    check(len(pieces) > 4 and "".join(pieces), "and streamed")


def main():
    for name in MODELS:
        for part in (invoke, stream, tools, structured):
            part(name)
    others()


if __name__ == "__main__":
    main()
