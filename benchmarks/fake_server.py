"""A fake OpenAI-compatible server in a process of its own, on loopback, for the benchmarks.

    python -m benchmarks.fake_server --delay 0.05     prints its port; ends when its stdin closes

It answers every POST after the delay with a chat completion that lists 20 alternatives of one
token, and GET /count at once with the number of POSTs answered. It speaks just enough HTTP to be
much faster than any client that is measured against it.

Public names: running, count.
"""

import argparse
import asyncio
import contextlib
import http.client
import itertools
import json
import os
import random
import subprocess
import sys
import threading
from collections.abc import Iterator
from urllib.parse import urlsplit

LETTERS = "ABCDEFGHI"
OTHERS = ("I", " A", " B", "The", "Option", "(", "**", "1", "My", "a", "As")
VARIANTS = 997  # different answers, so that nobody can win by remembering the last one


@contextlib.contextmanager
def running(delay_s: float) -> Iterator[str]:
    """Run the server until the block ends; give its base URL."""
    command = [sys.executable, "-m", "benchmarks.fake_server", "--delay", str(delay_s)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as server:
        try:
            yield f"http://127.0.0.1:{int(server.stdout.readline())}/v1"
        finally:
            server.stdin.close()


def count(url: str) -> int:
    """Return how many requests the server at `url` has answered so far."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=10)
    with contextlib.closing(connection):
        connection.request("GET", "/count")
        return json.loads(connection.getresponse().read())


def completions() -> list[bytes]:
    """Return whole HTTP responses that differ in their choice and all log-probabilities."""
    rng = random.Random(2023)
    return [_response(json.dumps(_completion(rng, number))) for number in range(VARIANTS)]


def _completion(rng: random.Random, number: int) -> dict:
    tokens = [*LETTERS, *OTHERS]
    nats = sorted((-rng.expovariate(0.2) - 0.01 for _ in tokens), reverse=True)
    rng.shuffle(tokens)
    listed = [
        {"token": token, "logprob": round(nat, 6), "bytes": list(token.encode())}
        for token, nat in zip(tokens, nats, strict=True)
    ]
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": rng.choice(LETTERS), "refusal": None},
        "logprobs": {"content": [{**listed[0], "top_logprobs": listed}], "refusal": None},
        "finish_reason": "stop",
    }
    return {
        "id": f"chatcmpl-{number:08d}",
        "object": "chat.completion",
        "created": 1700000000 + number,
        "model": "fake-1",
        "choices": [choice],
        "usage": {
            "prompt_tokens": 350,
            "completion_tokens": 1,
            "total_tokens": 351,
            "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        },
        "system_fingerprint": "fp_fake",
    }


def _response(body: str) -> bytes:
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
    return f"{head}\r\n\r\n{body}".encode()


class _Connection(asyncio.Protocol):
    """One client's connection, kept alive: finds where each request ends and nothing more."""

    answered = 0  # by the whole server
    answers = itertools.cycle(completions())
    delay_s = 0.0

    def connection_made(self, transport: asyncio.Transport) -> None:
        self._transport, self._received = transport, bytearray()
        self._loop = asyncio.get_running_loop()

    def data_received(self, data: bytes) -> None:
        self._received += data
        while (end := self._received.find(b"\r\n\r\n")) >= 0:
            head = bytes(self._received[:end]).lower()
            _, found, length = head.partition(b"content-length:")
            end += 4 + (int(length.split(b"\r\n", 1)[0]) if found else 0)
            if len(self._received) < end:
                return
            del self._received[:end]
            if head.startswith(b"get"):
                self._transport.write(_response(str(_Connection.answered)))
            else:
                self._loop.call_later(self.delay_s, self._answer)

    def _answer(self) -> None:
        _Connection.answered += 1
        self._transport.write(next(self.answers))


async def _serve() -> None:
    server = await asyncio.get_running_loop().create_server(
        _Connection, "127.0.0.1", 0, backlog=4096
    )
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


def _end_with_parent() -> None:
    sys.stdin.read()
    os._exit(0)


def main() -> None:
    """Serve until stdin closes, which it does when the parent is gone."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--delay", type=float, default=0.05, help="seconds an answer takes")
    _Connection.delay_s = parser.parse_args().delay
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        import uvloop
    except ImportError:  # Windows
        asyncio.run(_serve())
    else:
        uvloop.run(_serve())


if __name__ == "__main__":
    main()
