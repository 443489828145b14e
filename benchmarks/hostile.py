"""A server that fails three requests in ten in every way it can, and one study played on it.

    python -m benchmarks.hostile [--write] about 2,000 requests; --write: into docs/engine.md
    python -m benchmarks.hostile --short   about 400

Prints what the server did and what became of it, and ends with 1 unless every request that was
asked is recorded exactly once. Server and study run in this process, on loopback.
"""

import argparse
import asyncio
import collections
import contextlib
import gzip
import json
import os
import random
import sys
import tempfile
import threading
import time
from pathlib import Path

from benchmarks import page
from hvae_utils.ask import chat
from hvae_utils.play import administer, records, study

SEED, SHARE = 2023, 0.3
TIMEOUT_S, BACKOFF_S = 2.0, 0.05  # of the study, so that the drill is short
LETTERS = [{"token": c, "logprob": -0.5 - i, "bytes": None} for i, c in enumerate("ABCDEFGHI")]


def completion(text="A", **changes):
    """The body of a usual reply; a change to None leaves a part out."""
    listed = {"content": [{**LETTERS[0], "top_logprobs": LETTERS}]}
    message = {"role": "assistant", "content": text}
    choice = {"index": 0, "finish_reason": "stop", "message": message, "logprobs": listed}
    usage = {"prompt_tokens": 7, "completion_tokens": 1, "total_tokens": 8}
    body = {"model": "fake-1", "choices": [choice], "usage": usage, **changes}
    return json.dumps({name: part for name, part in body.items() if part is not None}).encode()


def reply(body, status="200 OK", kind="application/json", length=None, head=""):
    """The bytes of an HTTP reply; head: further lines."""
    size = len(body) if length is None else length
    lines = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {size}\r\n{head}\r\n"
    return lines.encode() + body


def without(*names):
    """A completion whose choice lacks what is named."""
    body = json.loads(completion())
    body["choices"][0] = {k: v for k, v in body["choices"][0].items() if k not in names}
    return json.dumps(body).encode()


def short():
    body = json.loads(completion())
    body["choices"][0]["logprobs"]["content"][0]["top_logprobs"] = LETTERS[:1]
    return json.dumps(body).encode()


REFUSED = b'{"error": {"message": "not now"}}'
HTML = b"<html><script>alert(1)</script>busy</html>"
LONG = completion("x" * 2_000_000)
# What is written; None: the connection is reset; a text: what is done instead (see `Server`).
CASES = {
    "429, retry-after": reply(REFUSED, "429 Too Many", head="Retry-After: 0.1\r\n"),
    "429, retry-after-ms": reply(REFUSED, "429 Too Many", head="Retry-After-Ms: 50\r\n"),
    "429, no word": reply(REFUSED, "429 Too Many"),
    "500": reply(REFUSED, "500 Error"),
    "502, HTML": reply(HTML, "502 Bad", "text/html"),
    "503": reply(b"", "503 Away"),
    "connection reset": None,
    "slow drip": "drip",
    "silence": "silence",
    "body cut short": "cut",
    "truncated JSON": reply(completion()[:80]),
    "HTML": reply(HTML, kind="text/html"),
    "no HTTP": b"hello there\r\n\r\n",
    "redirect": reply(b"", "307 Elsewhere", head="Location: http://127.0.0.1:9/\r\n"),
    "no choices": reply(completion(choices=[])),
    "choices of no kind": reply(completion(choices=["A", 1])),
    "JSON of no kind": reply(b"[1, 2]"),
    "deep JSON": reply(b"[" * 100_000),
    "2 MB": reply(LONG),
    "2 MB, compressed": reply(gzip.compress(LONG), head="Content-Encoding: gzip\r\n"),
    "invalid UTF-8": reply(completion("X").replace(b"X", b"\xff\xfe")),
    "wrong content type": reply(completion(), kind="image/png"),
    "no usage": reply(completion(usage=None)),
    "no log-probabilities": reply(without("logprobs")),
    "one log-probability": reply(short()),
    "infinite log-probability": reply(completion().replace(b"-1.5", b"-Infinity")),
    "lone surrogate": reply(completion("A. \ud800")),
    "never a letter": reply(completion("I would rather talk about the weather.")),
}


class Server:
    """Answers as `pick` says (a case, or "" for a good reply) in a thread of its own."""

    def __init__(self, pick, delay_s=0.0):
        self.pick, self.delay_s = pick, delay_s
        self.done, self.dialogues = collections.Counter(), collections.Counter()

    def __enter__(self):
        started = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._main(started)))
        self._thread.start()
        started.wait()
        return self

    def __exit__(self, *exc):
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join()

    async def _main(self, started):
        self._loop, self._end = asyncio.get_running_loop(), asyncio.Event()
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0, backlog=1024)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
        started.set()
        await self._end.wait()
        server.close()

    async def _serve(self, reader, writer):
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).lower()
                size = int(head.split(b"content-length:")[1].split(b"\r\n")[0])
                self.dialogues[await reader.readexactly(size)] += 1
                case = self.pick()
                self.done[case] += 1
                await asyncio.sleep(self.delay_s)
                if await self._do(writer, CASES[case] if case else reply(completion())):
                    break
        writer.transport.abort()

    async def _do(self, writer, what):
        """Return whether the connection ends with this."""
        if isinstance(what, bytes):
            writer.write(what)
            await writer.drain()
            return False
        if what == "silence":
            await asyncio.sleep(3600)
        if what == "drip":
            for byte in reply(completion()):
                if writer.is_closing():
                    break
                writer.write(bytes([byte]))
                await asyncio.sleep(0.05)
        if what == "cut":
            writer.write(reply(completion(), length=9000))
            await writer.drain()
            writer.close()
            await asyncio.sleep(0.05)
        return True


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--short", action="store_true", help="about 400 requests")
    parser.add_argument("--write", action="store_true", help="into docs/engine.md")
    chosen = parser.parse_args(arguments)
    started = time.perf_counter()
    planned, done, kept, responses = played(repeats=5 if chosen.short else 27)
    seconds = time.perf_counter() - started
    # an error is no answer: whoever shares the request asks it again
    keys = collections.Counter(record["key"] for record in kept if not record["error"])
    tries = sum(record["tries"] for record in kept)
    said, met = page.verdict(
        [
            ("a row for every item of every condition", len(responses) == 6 * len(planned)),
            ("no key answered twice", max(keys.values()) == 1),
            ("as many tries recorded as requests served", tries == sum(done.values())),
            ("text or error", all((r["text"] is None) == bool(r["error"]) for r in kept)),
        ]
    )
    head = f"{len(kept):,} requests, {tries:,} tries, {seconds:.0f} s."
    text = "\n\n".join([head, *tables(done, kept, responses), said, page.machine("pycurl")])
    print(text)
    if chosen.write:
        page.write("hostile", text)
    return 0 if met else 1


def played(repeats):
    """Play the study; return conditions, what the server did, the records and the responses."""
    rng = random.Random(SEED)
    cases = list(CASES)
    chat.TIMEOUT_S, chat.BACKOFF_S = TIMEOUT_S, BACKOFF_S
    with (
        Server(lambda: rng.choice(cases) if rng.random() < SHARE else "", 0.02) as server,
        tempfile.TemporaryDirectory() as folder,
    ):
        os.environ["OPENAI_BASE_URL"] = server.url
        os.environ["OPENAI_API_KEY"] = "drill"
        planned = study.conditions(
            study.Study(models=("openai/fake",), repeats=repeats, temperature=1.0)
        )
        path = Path(folder) / "records.jsonl"
        with records.Records(path) as held:
            assigned = administer.assign_values(planned, held)
            responses = administer.put_items(assigned, held)
        return planned, server.done, list(records.read(path)), responses


def tables(done, kept, responses):
    """Return what the server did, what the records say and how the items ended, as tables."""
    served = sorted(done.items(), key=lambda pair: -pair[1])
    said = collections.Counter(record["error"] or "an answer" for record in kept)
    ended = responses.outcome.value_counts()
    return (
        page.table(("the server", "tries"), [(case or "a good reply", n) for case, n in served]),
        page.table(("the record says", "requests"), said.most_common()),
        page.table(("the item ended as", "items"), ended.items()),
    )


if __name__ == "__main__":
    sys.exit(main())
