"""The demo's log, exported while the demo is up, to a folder and to an S3 server; DuckDB reads both.

In: the binary, a scratch folder. Out: a line per check, or an assertion that says what is wrong.
Everything listens on loopback, on ports that the system gives.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import urllib.request

import boto3
import duckdb
from moto.server import ThreadedMotoServer

BINARY, SCRATCH = sys.argv[1], sys.argv[2]
REQUESTS = 24
# The longest that the demo may take to play.
PATIENCE_S = 120
# What a reader relies on; the tests in Rust compare the whole list with the page.
TYPES = {
    "decision_id": "VARCHAR",
    "arrived_at": "TIMESTAMP WITH TIME ZONE",
    "record": "VARCHAR",
    "embedding": "FLOAT[]",
    "predicted_quality": "DOUBLE",
    "cost_usd": "DOUBLE",
    "output_tokens": "BIGINT",
    "drilled": "BOOLEAN",
    "date": "DATE",
}


class Demo:
    """A demo that stays up after it has played."""

    def __enter__(self):
        command = [BINARY, "demo", "--requests", str(REQUESTS), "--listen", "127.0.0.1:0"]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        timer = threading.Timer(PATIENCE_S, self.process.kill)
        timer.start()
        self.log, self.server = None, None
        for line in self.process.stdout:
            if found := re.search(r"(/\S*outcomes\.db)", line):
                self.log = found[1]
            if found := re.search(r"127\.0\.0\.1:\d+", line):
                self.server = "http://" + found[0]
            if self.log and self.server and os.path.exists(self.log):
                if count(self.log) >= REQUESTS:
                    break
        timer.cancel()
        assert self.log and self.server, "the demo does not say where its log is"
        # What it still has to say must not fill the pipe.
        threading.Thread(target=self.process.stdout.read, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(30)


def count(log):
    import sqlite3

    with sqlite3.connect(f"file:{log}?mode=ro", uri=True) as connection:
        return connection.execute("SELECT count(*) FROM outcome").fetchone()[0]


def export(log, to, env=None):
    command = [BINARY, "export", "--log", log, "--to", to, "--json"]
    done = subprocess.run(command, env={**os.environ, **(env or {})}, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def learned_from(place, env=None):
    """What training reads there; its program stands beside the server's."""
    trainer = os.path.join(os.path.dirname(BINARY), "pointsman-train")
    command = [trainer, "evaluate", "--outcomes", place, "--format", "json"]
    done = subprocess.run(command, env={**os.environ, **(env or {})}, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def rate(server, decision):
    body = json.dumps({"decision_id": decision, "score": 0.75, "kind": "judge"}).encode()
    request = urllib.request.Request(server + "/v1/feedback", body, {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        assert json.load(answer)["newly_stored"]


def table(name, root):
    return f"read_parquet('{root}/{name}/**/*.parquet', hive_partitioning = true)"


def check(place, root, exported):
    outcomes = table("outcomes", root)
    rows, distinct = duckdb.sql(f"SELECT count(*), count(DISTINCT decision_id) FROM {outcomes}").fetchall()[0]
    assert rows == distinct == REQUESTS, (place, rows, distinct)
    types = {row[0]: row[1] for row in duckdb.sql(f"DESCRIBE SELECT * FROM {outcomes}").fetchall()}
    assert len(types) == 45, (place, len(types), types)
    for column, wanted in TYPES.items():
        assert types[column] == wanted, (place, column, types[column])
    assert types["attempts"].startswith("STRUCT(deployment VARCHAR, failure VARCHAR"), types["attempts"]
    sums = duckdb.sql(
        f"""SELECT sum(len(attempts)) >= {REQUESTS}, min(len(ranking)) > 0, min(len(embedding)) > 0,
            bool_and(date = CAST(arrived_at AS DATE)), bool_and(json_valid(record)),
            bool_and(abs(cost_usd - list_sum([x.cost_usd FOR x IN attempts])) < 1e-9)
            FROM {outcomes}"""
    ).fetchall()[0]
    assert all(sums), (place, sums)
    joined = duckdb.sql(
        f"""SELECT o.served_model, f.score, f.weight FROM {outcomes} o
            JOIN {table("feedback", root)} f USING (decision_id) WHERE f.signal IS NULL"""
    ).fetchall()
    assert len(joined) == 1 and joined[0][1:] == (0.75, 1.0), (place, joined)
    print(f"{place}: {rows} outcomes, {len(types)} columns, {exported['files']} files at first")


def objects(endpoint, bucket, folder):
    """Copies a bucket into a folder: DuckDB's own S3 reader is an extension that it downloads."""
    client = boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1")
    names = [it["Key"] for it in client.list_objects_v2(Bucket=bucket)["Contents"]]
    for name in names:
        target = os.path.join(folder, name)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        client.download_file(bucket, name, target)
    return names


def main():
    keys = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_REGION": "us-east-1"}
    os.environ.update(keys)
    s3 = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    s3.start()
    host, port = s3.get_host_and_port()
    endpoint = f"http://{host}:{port}"
    boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1").create_bucket(Bucket="logs")
    env = {"AWS_ENDPOINT": endpoint, "AWS_ALLOW_HTTP": "true"}
    os.environ.setdefault("NO_PROXY", "127.0.0.1")
    with Demo() as demo, tempfile.TemporaryDirectory(dir=SCRATCH) as scratch:
        folder, copied = os.path.join(scratch, "export"), os.path.join(scratch, "copied")
        first = export(demo.log, folder)
        assert first["outcomes"] == REQUESTS, first
        to_s3 = export(demo.log, "s3://logs/some/path", env)
        assert to_s3["outcomes"] == REQUESTS, to_s3
        decision = duckdb.sql(f"SELECT any_value(decision_id) FROM {table('outcomes', folder)}").fetchall()[0][0]
        rate(demo.server, decision)
        for late in (export(demo.log, folder), export(demo.log, "s3://logs/some/path", env)):
            assert (late["outcomes"], late["feedback"], late["files"]) == (0, 1, 1), late
        assert export(demo.log, folder)["files"] == 0
        check("folder", folder, first)
        names = objects(endpoint, "logs", copied)
        assert all(name.startswith("some/path/") for name in names), names
        check("s3", os.path.join(copied, "some/path"), to_s3)
        told = learned_from("s3://logs/some/path", env)
        decisions = sum(it["decisions"] for it in told["course"]["points"])
        scored = sum(it["score"]["count"] for it in told["course"]["points"])
        assert (decisions, scored) == (REQUESTS, 1), told
        assert told == learned_from(folder) == learned_from(demo.log)
        print("training reads the bucket, the folder and the log, and they say the same")
    s3.stop()


main()
