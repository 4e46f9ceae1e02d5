"""What the client programs share: where the server is, one line per check, things to ask with.

In: POINTSMAN in the environment. Out: lines `ok: ...`; the first check that fails ends the program
with 1. Not here: any client.
"""

import base64
import os
import struct
import zlib

BASE = os.environ.get("POINTSMAN", "http://127.0.0.1:8080")
# No check takes longer.
TIMEOUT_S = 20
# One model at each protocol, so that every check passes through every translation.
MODELS = ["openai-model", "anthropic-model", "gemini-model", "ollama-model", "bedrock-model"]
# What the simulator repeats of a tool's result.
RESULT = "It is 21 degrees there."
CITY = {
    "type": "object",
    "properties": {"city": {"type": "string", "description": "A city."}},
    "required": ["city"],
    "additionalProperties": False,
}
TOOLS = {"warmth": "How warm it is in a city.", "rain": "How wet it is in a city."}


def check(holds, what):
    """Ends the program unless it holds."""
    if not holds:
        raise SystemExit(f"FAILED: {what}")
    print(f"ok: {what}", flush=True)


def fails(kind, what, act):
    """Checks that this raises that, and gives it."""
    try:
        act()
    except kind as error:
        print(f"ok: {what}: {kind.__name__}", flush=True)
        return error
    raise SystemExit(f"FAILED: {what}: nothing was raised")


def function_tools():
    """The tools in OpenAI's shape."""
    return [
        {"type": "function", "function": {"name": name, "description": text, "parameters": CITY}}
        for name, text in TOOLS.items()
    ]


def picture():
    """A red square of 8 by 8 points as PNG, in base64."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", 8, 8, 8, 2, 0, 0, 0)
    lines = zlib.compress((b"\0" + b"\xff\0\0" * 8) * 8)
    png = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", lines) + chunk(b"IEND", b"")
    return base64.b64encode(png).decode()
