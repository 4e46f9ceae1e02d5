"""Holds the requests that we send against the types of the providers' own SDKs.

In: tests/cassettes/{openai,anthropic,gemini}/request_*.json. Out: one line per file; exit code 1 if
one does not fit. Keys that an SDK does not know are errors, except where our request means another
provider that speaks the same protocol (see LENIENT). Not here: whether a provider takes the values.

Anthropic's SDK types one version of its API. We send `anthropic-version: 2023-06-01`, as it is the
one that takes temperature, top_p and top_k, of the models that still have them; from 1.0 on
(August 2026) the SDK has no such fields. So a request with one of them is held against the last SDK
before that, in a run of its own: `--sampling`, which looks at nothing else.

Run: python tests/clients/validate_cassettes.py [--sampling]
(packages: requirements.txt; for --sampling requirements-older.txt).
"""

import inspect
import json
import sys
import typing
from pathlib import Path

import pydantic
import pydantic_core
import typing_extensions
from anthropic.types import message_create_params

SAMPLING_ONLY = "--sampling" in sys.argv[1:]
if not SAMPLING_ONLY:
    from google.genai import types as genai
    from openai.types.chat import completion_create_params

CASSETTES = Path(__file__).parent.parent / "cassettes"
SAMPLING = {"temperature", "top_p", "top_k"}
# Fields that OpenAI-shaped providers take and OpenAI does not, by their names at any depth.
# `reasoning_content`: DeepSeek (2025), `reasoning_details`: OpenRouter (2025), of earlier answers.
LENIENT = {
    "openai": {"reasoning_content", "reasoning_details", "extra_content", "top_k"},
    "anthropic": set(),
    "gemini": set(),
}


def without_type_args(kind):
    """The type below Required[], NotRequired[], ReadOnly[] and Annotated[]."""
    wrappers = (typing.Required, typing.NotRequired, typing_extensions.Required,
                typing_extensions.NotRequired, typing.Annotated)
    while typing.get_origin(kind) in wrappers:
        kind = typing.get_args(kind)[0]
    return kind


def misfit(value, kind):
    """Why pydantic does not take the value for this type, or None."""
    try:
        # An Iterable[] is validated when it is consumed; dumping consumes it.
        adapter = pydantic.TypeAdapter(kind)
        adapter.dump_json(adapter.validate_python(value), warnings="none")
        return None
    except (pydantic.ValidationError, pydantic.errors.PydanticUserError,
            pydantic_core.PydanticSerializationError) as error:
        return " ".join(str(error).split())


def unknown_keys(value, kind, path):
    """Keys of the value that no matching TypedDict below this type has."""
    kind = without_type_args(kind)
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if typing_extensions.is_typeddict(kind):
        if not isinstance(value, dict):
            return [f"{path}: no object"]
        hints = typing_extensions.get_type_hints(kind, include_extras=True)
        found = []
        for key, inner in value.items():
            if key in hints:
                found += unknown_keys(inner, hints[key], f"{path}.{key}")
            else:
                found.append(f"{path}.{key}: unknown")
        return found
    if origin is typing.Union or type(kind).__name__ == "UnionType":
        # The alternative with the fewest strange keys, of those that fit at all.
        fitting = [it for it in args if misfit(value, it) is None]
        return min((unknown_keys(value, it, path) for it in fitting), key=len, default=[f"{path}: fits nothing"])
    if inspect.isclass(kind) and issubclass(kind, pydantic.BaseModel):
        # Some unions also have the types of answers, which take any key.
        return [f"{path}: fits only the type of an answer"]
    if isinstance(value, dict):
        inner = args[1] if len(args) == 2 else object
        return [it for key, part in value.items() for it in unknown_keys(part, inner, f"{path}.{key}")]
    if isinstance(value, list) and args and inspect.isclass(origin):
        return [it for at, part in enumerate(value) for it in unknown_keys(part, args[0], f"{path}[{at}]")]
    return []


def typed_dict(body, kind):
    """Faults of a body that is to be this TypedDict."""
    fault = misfit(body, kind)
    if fault:
        return [fault]
    return unknown_keys(body, kind, "body")


def openai(body):
    streaming = body.get("stream") is True
    kinds = (completion_create_params.CompletionCreateParamsNonStreaming,
             completion_create_params.CompletionCreateParamsStreaming)
    return typed_dict(body, kinds[streaming])


def anthropic(body):
    streaming = body.get("stream") is True
    kinds = (message_create_params.MessageCreateParamsNonStreaming,
             message_create_params.MessageCreateParamsStreaming)
    return typed_dict(body, kinds[streaming])


def gemini(body):
    # The SDK has no type of the whole body of generateContent: field to the SDK's type.
    fields = {
        "contents": list[genai.Content],
        "systemInstruction": genai.Content,
        "tools": list[genai.Tool],
        "toolConfig": genai.ToolConfig,
        "safetySettings": list[genai.SafetySetting],
        "generationConfig": genai.GenerationConfig,
        "cachedContent": str,
        "labels": dict[str, str],
    }
    faults = [f"{it}: unknown" for it in body.keys() - fields.keys()]
    if "contents" not in body:
        faults.append("contents: missing")
    for key, kind in fields.items():
        if key not in body:
            continue
        try:
            # The SDK's models forbid unknown keys by themselves; the wire has their camel case.
            pydantic.TypeAdapter(kind).validate_json(json.dumps(body[key]), by_alias=True, by_name=False)
        except pydantic.ValidationError as error:
            faults += [f"{key}.{'.'.join(map(str, it['loc']))}: {it['msg']}"
                       for it in error.errors(include_input=False)]
    return faults


def main():
    bad = count = 0
    checks = {"openai": openai, "anthropic": anthropic, "gemini": gemini}
    for name, check in checks.items():
        for path in sorted((CASSETTES / name).glob("request_*.json")):
            body = json.loads(path.read_text())
            # Those of the other run.
            if (name == "anthropic" and not SAMPLING.isdisjoint(body)) != SAMPLING_ONLY:
                continue
            faults = check(body)
            faults = [it for it in faults if it.removesuffix(": unknown").rsplit(".", 1)[-1] not in LENIENT[name]]
            count += 1
            bad += bool(faults)
            print(f"{name}/{path.name}: {'; '.join(faults) or 'fits'}")
    if not count:
        sys.exit("no cassettes")
    sys.exit(f"{bad} of {count} do not fit" if bad else 0)


if __name__ == "__main__":
    main()
