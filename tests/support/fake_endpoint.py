"""An OpenAI-compatible endpoint on loopback that answers as a test tells it to."""

import json
import threading
from collections.abc import Callable
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


def completion(text: str | None, **choice: Any) -> dict[str, Any]:
    """Return the body of a chat completion with one choice."""
    message = {"role": "assistant", "content": text}
    first = {"index": 0, "finish_reason": "stop", "message": message, **choice}
    usage = {"prompt_tokens": 7, "completion_tokens": 1, "total_tokens": 8}
    head = {"id": "x", "object": "chat.completion", "created": 1, "model": "fake-1"}
    return {**head, "choices": [first], "usage": usage}


@contextmanager
def serve(reply: Callable[[dict[str, Any]], tuple[int, Any]], told: dict[str, Any] | None = None):
    """Serve `reply(request body) -> (status, body)`; yields (base URL, list of bodies received).

    told: what a GET at a path says, where it is not that there is one model, fake-1.
    """
    received: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            key = self.headers["Authorization"]
            seen = {**body, "_headers": str(self.headers), "_authorization": key}
            received.append(seen)
            self._send(*reply(seen))

        def do_GET(self):
            self._send(200, (told or {}).get(self.path, {"data": [{"id": "fake-1"}]}))

        def _send(self, status, answer):
            content = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.send_header("X-Echo", self.headers["Authorization"] or "")
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *ignored):
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1", received
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
