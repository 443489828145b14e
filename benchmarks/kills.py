"""A study whose process is killed at random instants: what is lost, what is asked twice.

    python -m benchmarks.kills [--write]  twenty kills; --write puts the table into docs/engine.md
    python -m benchmarks.kills --short    four

A child process plays a study against an endpoint of this process, on loopback. It is killed
(SIGKILL) at seeded instants, and started again, until the study is done. Then the records must
hold every whole line that any of the killed processes had written, each answered key once, and the
table must be the one of a run that nobody killed. Exit code 1 if anything is not so.
"""

import argparse
import hashlib
import itertools
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks import page
from hvae_utils import paths
from hvae_utils.play import administer, study
from hvae_utils.play.records import Records, read

KILLS, SHORT, SEED = 20, 4, 2023
IN_FLIGHT = 16
ANSWER_S = 0.05  # what the endpoint takes for one reply
PATIENCE_S = 120.0  # for one life of a child
MODEL = "openai/fake"
STUDY = study.Study(
    models=(MODEL,),
    wordings=("plain", "brief"),
    orders=("fixed", "reversed"),
)


class Endpoint(ThreadingHTTPServer):
    """Answers any chat request with a letter that depends on the request alone; counts them."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.received = itertools.count(1)
        self.count = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"

    def handle_error(self, request: object, client_address: object) -> None:
        """A killed client hangs up; that is no news."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.count = next(self.server.received)
        time.sleep(ANSWER_S)
        letter = "ABCDEFGHI"[hashlib.sha256(body).digest()[0] % 9]
        choice = {
            "index": 0,
            "finish_reason": "stop",
            "message": {"role": "assistant", "content": letter},
        }
        usage = {"prompt_tokens": 7, "completion_tokens": 1, "total_tokens": 8}
        head = {"id": "x", "object": "chat.completion", "created": 1, "model": "fake"}
        content = json.dumps({**head, "choices": [choice], "usage": usage}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *ignored: object) -> None:
        """Say nothing."""


@contextmanager
def serve() -> Iterator[Endpoint]:
    with Endpoint() as endpoint:
        threading.Thread(target=endpoint.serve_forever, daemon=True).start()
        yield endpoint
        endpoint.shutdown()


# The child


def live(folder: Path) -> None:
    """Play the study in `folder`, from wherever it is, and leave the table there."""
    with Records(folder / "records.jsonl") as records:
        assigned = administer.assign_values(study.conditions(STUDY), records, IN_FLIGHT)
        played = administer.put_items(assigned, records, concurrency=IN_FLIGHT)
    played.to_parquet(folder / "responses.parquet")


def child(folder: Path, endpoint: Endpoint) -> subprocess.Popen:
    search = os.pathsep.join(filter(None, [str(paths.ROOT), os.environ.get("PYTHONPATH")]))
    environment = {**os.environ, "OPENAI_BASE_URL": endpoint.url, "PYTHONPATH": search}
    command = [sys.executable, "-W", "ignore", "-m", "benchmarks.kills", "--child", str(folder)]
    return subprocess.Popen(command, env=environment, cwd=paths.ROOT, stdout=subprocess.DEVNULL)


# The drill


def whole(path: Path) -> bytes:
    """Return the lines of the records that have an end."""
    content = path.read_bytes() if path.exists() else b""
    return content[: content.rfind(b"\n") + 1]


def kill(folder: Path, endpoint: Endpoint, at: int, delay_s: float) -> bool:
    """Start a child and kill it soon after the endpoint's `at`-th request; False if it was done."""
    player = child(folder, endpoint)
    until = time.monotonic() + PATIENCE_S
    while endpoint.count < at and player.poll() is None and time.monotonic() < until:
        time.sleep(0.001)
    time.sleep(delay_s)
    player.kill()
    return player.wait() != 0


def drill(folder: Path, kills: int, seed: int) -> tuple[pd.DataFrame, list[str]]:
    """Kill and resume one study; return a row a kill, and what was wrong."""
    rng = np.random.default_rng(seed)
    wrong: list[str] = []
    rows = []
    alone, killed = folder / "alone", folder / "killed"
    path = killed / "records.jsonl"
    with serve() as endpoint:  # one for both: its address is part of a request's key
        if child(alone, endpoint).wait(PATIENCE_S):
            return pd.DataFrame(), ["the run that nobody kills failed"]
        alone_asked, before = endpoint.count, b""
        for number, at in enumerate(sorted(rng.integers(1, alone_asked, kills)), start=1):
            asked, kept = endpoint.count, before.count(b"\n")
            delay_s = float(rng.uniform(0, 2 * ANSWER_S))
            hit = kill(killed, endpoint, alone_asked + int(at), delay_s)
            time.sleep(2 * ANSWER_S)  # until the requests on their way are counted
            after = whole(path)
            torn = (path.stat().st_size if path.exists() else 0) - len(after)
            asked, kept = endpoint.count - asked, after.count(b"\n") - kept
            rows.append((number, hit, asked, kept, asked - kept, torn))
            if not after.startswith(before):
                wrong.append(f"kill {number}: lines that were there are lost or changed")
            if not 0 <= asked - kept <= IN_FLIGHT:
                wrong.append(f"kill {number}: {asked} requests, {kept} records")
            before = after
        if child(killed, endpoint).wait(PATIENCE_S):
            wrong.append("the last run failed")
        asked = endpoint.count - alone_asked
    columns = ["kill", "while playing", "requests", "records", "to ask again", "torn bytes"]
    table = pd.DataFrame(rows, columns=columns)
    return table, wrong + _compare(alone, killed, before, asked, table["to ask again"].sum())


def _compare(alone: Path, killed: Path, before: bytes, asked: int, again: int) -> list[str]:
    """Return what distinguishes the killed study from the other."""
    wrong = []
    path = killed / "records.jsonl"
    if not path.read_bytes().startswith(before):
        wrong.append("lines that were there before the last run are lost or changed")
    keys = [record["key"] for record in read(path) if not record["error"]]
    if twice := len(keys) - len(set(keys)):
        wrong.append(f"{twice} answers stand there twice")
    if missing := {record["key"] for record in read(alone / "records.jsonl")} ^ set(keys):
        wrong.append(f"{len(missing)} keys are not those of the other run")
    if asked > len(keys) + again:
        wrong.append(f"{asked} requests for {len(keys)} records and {again} in flight at kills")
    one, other = (pd.read_parquet(run / "responses.parquet") for run in (alone, killed))
    if not one.drop(columns="latency_s").equals(other.drop(columns="latency_s")):
        wrong.append("the table is not that of the run that nobody killed")
    print(f"{len(keys)} answers, {asked} requests, {len(other)} rows in the table")
    return wrong


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--short", action="store_true", help=f"{SHORT} kills instead of {KILLS}")
    parser.add_argument("--write", action="store_true", help="into docs/engine.md")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        live(given.child)
        return 0
    with tempfile.TemporaryDirectory() as folder:
        table, wrong = drill(Path(folder), SHORT if given.short else KILLS, given.seed)
    said = "; ".join(wrong) or "nothing lost, nothing twice"
    rows = page.table(table.columns, table.itertuples(index=False))
    text = f"{rows}\n\nVerdict: {said}.\n\n{page.machine('orjson', 'filelock')}"
    print(text)
    if given.write:
        page.write("kills", text)
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
