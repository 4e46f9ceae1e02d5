"""Providers that others have written: one conversation with a tool call through each of their faces.

In: the `pointsman` binary, a folder for files, the folder that `npm install` was run in, and the
program `llmock` of PyPI's package of that name. Out: a line per check; 1 at the first that fails.
Invariant: what the caller sends is the same for all, and always OpenAI's dialect. Needs openai.

Usage: mocks.py BINARY FOLDER NPM_FOLDER LLMOCK
"""

import json
import os
import socket
import sys
import tempfile
import urllib.error
import urllib.request
from pathlib import Path

import openai

import house
from checks import CITY, TIMEOUT_S, check

HERE = Path(__file__).parent
QUESTION = {"role": "user", "content": "How is the weather in Rome?"}
TOOL = {"type": "function", "function": {"name": "get_weather", "description": "The weather.", "parameters": CITY}}
# What both are asked for; the names are of real models, some mocks look at them.
MODEL_IDS = {"openai": "gpt-4o", "anthropic": "claude-sonnet-4-20250514", "gemini": "gemini-2.5-flash"}
# Where the faces are. PyPI's llmock keeps the providers apart.
FACES = {
    "aimock": {"openai": "/v1", "anthropic": "/v1", "gemini": "/v1beta"},
    "llmock": {"openai": "/v1", "anthropic": "/anthropic/v1", "gemini": "/gemini/v1beta"},
}
# How often aimock is asked by which path: two turns each, whole and streamed.
ASKED = {"/v1/chat/completions": 4, "/v1/messages": 4, ":generateContent": 2, ":streamGenerateContent": 2}
# What they answer in the end; llmock says something of its own.
ANSWERS = {"aimock": "It is 21 degrees and sunny in Rome.", "llmock": None}
CITIES = {"aimock": "Rome", "llmock": "mock-city"}


def free_port():
    """A port that is free now; these programs cannot tell which one the system gave them."""
    with socket.create_server(("127.0.0.1", 0)) as it:
        return it.getsockname()[1]


def start(command, log, port):
    """A mock that has begun to answer."""

    def ready():
        try:
            opener.open(f"http://127.0.0.1:{port}/", timeout=2).close()
        except urllib.error.HTTPError:
            return True
        except OSError:
            return False
        return True

    return house.Program(command, log, ready)


# Without the environment's proxy: all of this is loopback.
opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def sections(ports):
    """The config: for each mock and protocol one provider with one model, MOCK-PROTOCOL."""
    parts = []
    for mock, port in ports.items():
        for protocol, path in FACES[mock].items():
            name = f"{mock}-{protocol}"
            parts.append(house.provider(name, protocol, f"http://127.0.0.1:{port}{path}"))
            parts.append(house.model(name, name, MODEL_IDS[protocol]))
    return parts


def ask(client, model, turns, streamed):
    """The answer's message, and why it ended."""
    wish = {"model": model, "messages": turns, "tools": [TOOL]}
    if streamed:
        with client.chat.completions.stream(**wish) as events:
            choice = events.get_final_completion().choices[0]
    else:
        choice = client.chat.completions.create(**wish).choices[0]
    return choice.message, choice.finish_reason


def converse(client, mock, protocol, streamed):
    model = f"{mock}-{protocol}"
    how = f"{model}, {'streamed' if streamed else 'whole'}"
    asked, finish = ask(client, model, [QUESTION], streamed)
    calls = asked.tool_calls or []
    check(len(calls) == 1 and calls[0].function.name == "get_weather", f"{how}: it calls the tool")
    check(finish == "tool_calls" and calls[0].id, f"{how}: and ends with that")
    check(json.loads(calls[0].function.arguments) == {"city": CITIES[mock]}, f"{how}: with its arguments")
    result = {"role": "tool", "tool_call_id": calls[0].id, "content": "21 degrees, sun"}
    told, finish = ask(client, model, [QUESTION, asked.model_dump(exclude_none=True), result], streamed)
    wanted = ANSWERS[mock] or told.content
    check(told.content and told.content == wanted, f"{how}: with the result, it answers: {told.content}")
    check(finish == "stop" and not told.tool_calls, f"{how}: and is done")


def asked_of(port):
    """The paths that aimock was asked for, by its own journal."""
    with opener.open(f"http://127.0.0.1:{port}/__aimock/journal", timeout=TIMEOUT_S) as answer:
        journal = json.load(answer)
    entries = journal if isinstance(journal, list) else journal["entries"]
    return [it["path"] for it in entries]


def main(binary, folder, npm, llmock):
    house.heed_the_end()
    os.environ.update(house.environment())
    with tempfile.TemporaryDirectory(dir=folder) as own:
        ports = {"aimock": free_port(), "llmock": free_port()}
        aimock = ["node", f"{npm}/node_modules/@copilotkit/aimock/dist/cli.js", "-p", str(ports["aimock"])]
        # Strict: what no fixture matches is an error, not a made-up answer.
        aimock += ["-f", str(HERE / "aimock.json"), "--strict", "--log-level", "warn"]
        other = [llmock, "serve", "--host", "127.0.0.1", "--port", str(ports["llmock"]), "--log-level", "warning"]
        with (
            start(aimock, f"{own}/aimock.log", ports["aimock"]) as first,
            start(other, f"{own}/llmock.log", ports["llmock"]) as second,
            house.serve(binary, own, sections(ports)) as server,
        ):
            base = f"http://{server.found[1]}/v1"
            client = openai.OpenAI(base_url=base, api_key="any", max_retries=0, timeout=TIMEOUT_S)
            try:
                for mock, faces in FACES.items():
                    for protocol in faces:
                        for streamed in (False, True):
                            converse(client, mock, protocol, streamed)
                paths = [it.split("?")[0] for it in asked_of(ports["aimock"])]
                for end, times in ASKED.items():
                    count = sum(it.endswith(end) for it in paths)
                    check(count == times, f"aimock was asked {count} times by ...{end}")
            except BaseException:
                for it in (server, first, second):
                    print(f"--- {it.process.args[0]} said:\n{it.said()[-4000:]}", file=sys.stderr)
                raise


if __name__ == "__main__":
    if len(sys.argv) != 5:
        raise SystemExit(__doc__)
    main(*sys.argv[1:])
