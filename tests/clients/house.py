"""A server with simulated providers behind it, for as long as one client program runs.

In: the `pointsman` binary, a folder for files, a command. Out: the command's exit code; POINTSMAN in
its environment says where the server is, for instance http://127.0.0.1:4321. Invariant: every port
is one that the system gives, every wait has a bound, and what was started here is ended here, by its
own id. Not here: any check.

Usage: house.py BINARY FOLDER COMMAND...
"""

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

# A debug build reads its models in about a second; the rest is for a busy machine.
READY_S = 60
# The server lets requests under way end first; none is when a client has left.
STOP_S = 15
# The whole of one client program.
COMMAND_S = 120

PROTOCOLS = ("openai", "anthropic", "gemini", "ollama", "bedrock")
# Who serves there. Bedrock's names say what a model understands: only Claude is asked to think.
MODEL_IDS = {**{it: it for it in PROTOCOLS}, "bedrock": "anthropic.claude-sonnet-4-5-20250929-v1:0"}
# Each of these answers two calls with 503 and is well from then on: the server itself tries a second
# time, so the caller sees one refusal.
FLAKY = [f"flaky-{it}" for it in range(1, 5)]
# These always answer 503.
DOWN = ["down-a", "down-b"]
# The provider of these refuses the key; each is asked once, since it is then left alone for a minute.
LOCKED = ["locked", "locked-2"]
# The streams of this one break off after some tokens.
BROKEN = ["broken"]
BASE_PATHS = {"openai": "/v1", "anthropic": "/v1", "gemini": "/v1beta", "ollama": "", "bedrock": ""}


class Program:
    """A process whose output goes to a file; ended at the end of a `with`."""

    def __init__(self, command, log, ready):
        self.log = Path(log)
        with self.log.open("wb") as out:
            self.process = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT, env=environment())
        try:
            self.found = self._wait(ready)
        except BaseException:
            self.stop()
            raise

    def _wait(self, ready):
        """The first match in what it says or, where `ready` is a function, what that returns."""
        end = time.monotonic() + READY_S
        while time.monotonic() < end:
            if self.process.poll() is not None:
                break
            found = ready() if callable(ready) else re.search(ready, self.said())
            if found:
                return found
            time.sleep(0.05)
        raise SystemExit(f"{self.process.args[0]} did not become ready:\n{self.said()}")

    def said(self):
        return self.log.read_text(errors="replace")

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(STOP_S)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


def heed_the_end():
    """Lets SIGTERM pass through every `with`, so that nothing is left running."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))


def environment():
    """Ours, with keys for every provider of the config, and no proxy between loopback and loopback."""
    keys = {f"{it.upper()}_KEY": "house-key" for it in (*PROTOCOLS, "MOCK")}
    return {**os.environ, **keys, "NO_PROXY": "127.0.0.1,localhost", "no_proxy": "127.0.0.1,localhost"}


def provider(name, protocol, base_url, key="MOCK_KEY"):
    """A section of the config."""
    return (
        f'[[provider]]\nname = "{name}"\nprotocol = "{protocol}"\nbase_url = "{base_url}"\n'
        f'api_key_env = "{key}"\n'
    )


def model(name, provider_name, model_id, quality=0.5):
    """A section of the config: a model that can do everything."""
    return (
        f'[[model]]\nname = "{name}"\nquality_prior = {quality}\ncontext_window = 131072\n'
        'max_output_tokens = 4096\nabilities = ["tools", "images", "json_object", "json_schema"]\n'
        f'[[model.deployment]]\nprovider = "{provider_name}"\nmodel_id = "{model_id}"\n'
        "price = { input = 1.0, output = 2.0 }\nspeed = { ttft_ms = 20, tokens_per_s = 2000 }\n"
    )


def simulate(binary, folder, name, models, *more):
    """A simulator; `found[1]` is its address."""
    command = [binary, "simulate", "--listen", "127.0.0.1:0", "--models", ",".join(models)]
    command += ["--ttft", "5ms", "--tokens-per-s", "5000", "--output-tokens", "40", *more]
    return Program(command, Path(folder) / f"{name}.log", r"at http://([0-9.:]+)/v1")


def serve(binary, folder, sections):
    """The server under this config; `found[1]` is its address."""
    store = Path(folder) / "outcomes.db"
    head = f'[server]\nlisten = "127.0.0.1:0"\nadmin_listen = "127.0.0.1:0"\ndrain_pause = "0s"\n[outcomes]\nstore = "sqlite://{store}"\n'
    config = Path(folder) / "pointsman.toml"
    config.write_text(head + "".join(sections))
    command = [binary, "serve", "--config", str(config)]
    return Program(command, Path(folder) / "serve.log", r"listening on http://([0-9.:]+)")


def sections(well, flaky, down, locked, broken):
    """The config of the house, from the addresses of its simulators."""
    parts = []
    for it in PROTOCOLS:
        base = f"http://{well}{BASE_PATHS[it]}"
        parts.append(provider(f"{it}-house", it, base, f"{it.upper()}_KEY"))
        parts.append(model(f"{it}-model", f"{it}-house", MODEL_IDS[it]))
    # Worse than the others, so that `auto` leaves them alone.
    for address, names in ((flaky, FLAKY), (down, DOWN), (locked, LOCKED), (broken, BROKEN)):
        parts += [provider(names[0], "openai", f"http://{address}/v1")]
        parts += [model(it, names[0], it, quality=0.05) for it in names]
    return parts


def main(binary, folder, command):
    heed_the_end()
    with tempfile.TemporaryDirectory(dir=folder) as own:
        with (
            simulate(binary, own, "well", MODEL_IDS.values()) as well,
            simulate(binary, own, "flaky", FLAKY, "--script", "status:503*2") as flaky,
            simulate(binary, own, "down", DOWN, "--faults", "status:503=1") as down,
            simulate(binary, own, "locked", LOCKED, "--faults", "auth=1") as locked,
            simulate(binary, own, "broken", BROKEN, "--faults", "cut_after:6=1") as broken,
            serve(
                binary, own, sections(*(it.found[1] for it in (well, flaky, down, locked, broken)))
            ) as server,
        ):
            place = {"POINTSMAN": f"http://{server.found[1]}"}
            try:
                ended = subprocess.run(command, env={**environment(), **place}, timeout=COMMAND_S)
            except subprocess.TimeoutExpired:
                print(f"{command[-1]} took longer than {COMMAND_S} s", file=sys.stderr)
                return 124
            if ended.returncode:
                print(f"--- the server said:\n{server.said()[-8000:]}", file=sys.stderr)
            return ended.returncode


if __name__ == "__main__":
    if len(sys.argv) < 4:
        raise SystemExit(__doc__)
    sys.exit(main(sys.argv[1], sys.argv[2], sys.argv[3:]))
