#!/usr/bin/env python3
"""How soon `serve` answers after its start, and how much memory it has after fifty choices.

Run with `cargo build --release && benches/cold.py target/release/pointsman`. Starts the program some
times on a loopback port with one made-up model, whose provider is never called; prints the median
and the slowest start in milliseconds, and the resident memory in MiB. Fails above the targets."""
import pathlib, socket, statistics, subprocess, sys, tempfile, time, urllib.request

ROUNDS, CHOICES, START_MS, MEMORY_MIB, PATIENCE_S = 9, 50, 300, 120, 20

CONFIG = """
[server]
listen = "127.0.0.1:{port}"
admin_listen = "off"
drain_pause = "0s"
[outcomes]
store = "sqlite://{folder}/outcomes.db"
[[provider]]
name = "nobody"
protocol = "openai"
base_url = "http://127.0.0.1:9/v1"
[[model]]
name = "made-up"
quality_prior = 0.5
context_window = 100000
max_output_tokens = 4096
[[model.deployment]]
provider = "nobody"
model_id = "made-up"
price = {{ input = 1, output = 1 }}
speed = {{ ttft_ms = 90, tokens_per_s = 40 }}
"""


def free_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


def wait_for(server, address):
    began = time.monotonic()
    while time.monotonic() - began < PATIENCE_S:
        try:
            return urllib.request.urlopen(f"{address}/healthz", timeout=1).read()
        except OSError:
            if server.poll() is not None:
                sys.exit(f"the server ended with {server.returncode}")
            time.sleep(0.001)
    sys.exit(f"the server did not answer within {PATIENCE_S} s")


def one_start(program):
    with tempfile.TemporaryDirectory() as folder:
        port = free_port()
        config = pathlib.Path(folder, "pointsman.toml")
        config.write_text(CONFIG.format(port=port, folder=folder))
        address = f"http://127.0.0.1:{port}"
        began = time.monotonic()
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        server = subprocess.Popen([program, "serve", "--config", str(config)], **quiet)
        try:
            wait_for(server, address)
            start_ms = (time.monotonic() - began) * 1000
            for number in range(CHOICES):
                text = f"what is {number} times {number + 1}, and why? " + "one more word " * 40
                body = '{"model":"auto","messages":[{"role":"user","content":"%s"}]}' % text
                kind = {"content-type": "application/json"}
                asked = urllib.request.Request(f"{address}/v1/rank", body.encode(), kind)
                urllib.request.urlopen(asked, timeout=PATIENCE_S).read()
            status = pathlib.Path(f"/proc/{server.pid}/status").read_text()
            resident = next(it for it in status.splitlines() if it.startswith("VmRSS"))
            return start_ms, int(resident.split()[1]) / 1024
        finally:
            server.terminate()
            server.wait()


starts, sizes = zip(*(one_start(sys.argv[1]) for _ in range(ROUNDS)))
print(f"start: median {statistics.median(starts):.0f} ms, slowest {max(starts):.0f} ms (asked: below {START_MS})")
print(f"memory after {CHOICES} choices: {max(sizes):.0f} MiB (asked: below {MEMORY_MIB})")
sys.exit(statistics.median(starts) >= START_MS or max(sizes) >= MEMORY_MIB)
