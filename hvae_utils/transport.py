"""One try of one request: configured by the `openai` client, sent by libcurl.

The client says where and how (base URL, headers, time-out, OPENAI_* variables); its request
building, response models and HTTP layer, which cost more time than a fast endpoint, are left out.
Never retries, never follows a redirect, never reads more than REPLY_BYTES, never names a key.

Public names: Transport, Failure, NO_KEY, REPLY_BYTES, CONNECT_S, MAX_RETRY_AFTER_S, on_loopback,
public.
"""

import json
import math
import sys
import time
import urllib.request
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any, Self
from urllib.parse import urlencode, urlsplit

import orjson

from hvae_utils.curl import Curl, Fault, Reply

LOOPBACK = ("127.0.0.1", "localhost", "::1")
REPLY_BYTES = 1_000_000  # of one reply; 24 tokens with 20 alternatives each take about 40,000
CONNECT_S = 30.0
NO_KEY = "not-needed"  # the client wants one even where the endpoint does not
SHORTEST_KEY = 8  # characters; what is shorter is no secret, and may stand in an honest reply
MAX_RETRY_AFTER_S = 120.0  # as in the openai client: an endpoint that asks for more is given up
TELEMETRY = "X-Stainless-"  # what the client tells of the machine; nobody needs it for an answer
EXCERPT = 200  # characters of an endpoint's own message
NO_URL, TIMED_OUT, TOO_LONG = (1, 3), 28, 63  # libcurl's numbers
PASSING = (408, 409, 429)  # with all from 500: what the openai client tries again


class Failure(Exception):
    """A try that brought no reply, with what its caller needs to decide what comes next.

    kind: status, slow (no reply in time), lost (connection broken), unreachable or unusable (a
    reply that is none); status: of HTTP, 0 without; again: another try may help; wait_s: seconds
    the endpoint asks to wait, None where it does not say; code: the endpoint's own error code.
    """

    def __init__(
        self,
        kind: str,
        said: str,
        status: int = 0,
        again: bool = False,
        wait_s: float | None = None,
        code: str = "",
    ) -> None:
        super().__init__(said)
        self.kind, self.status, self.again = kind, status, again
        self.wait_s, self.code = wait_s, code


class Transport:
    """A session to one endpoint's chat completions. Belongs to the event loop that enters it.

    timeout_s: from sending to the last byte of the reply; options: of the openai client.
    """

    def __init__(
        self, base_url: str | None, api_key: str, timeout_s: float, **options: Any
    ) -> None:
        self._options = {"base_url": base_url, "api_key": api_key, **options}
        self._timeout_s = timeout_s
        self._secrets = _as_bytes(api_key)
        self._curl: Any = None
        self._url = ""

    async def __aenter__(self) -> Self:
        """Read the client's configuration and open the session."""
        from openai import AsyncOpenAI

        async with AsyncOpenAI(timeout=self._timeout_s, **self._options) as client:
            given = {**client.default_headers, **client.auth_headers}
            base, query = urlsplit(str(client.base_url)), client.default_query
        headers = {
            name: said
            for name, said in given.items()
            if said and isinstance(said, str) and not name.startswith(TELEMETRY)
        }
        self._url = base._replace(
            path=f"{base.path.rstrip('/')}/chat/completions",
            query="&".join(filter(None, [base.query, urlencode(query)])),
        ).geturl()
        sys.audit("hvae_utils.connect", base.hostname)  # libcurl's sockets are not Python's
        self._curl = Curl(
            self._url,
            # what is not compressed is no bomb: nothing is unpacked, and nothing packed asked for
            {**headers, "Accept-Encoding": "identity"},
            timeout_s=self._timeout_s,
            connect_s=CONNECT_S,
            proxy=_proxy(self._url),
            most_bytes=REPLY_BYTES,
        )
        return self

    async def __aexit__(self, *exc: object) -> None:
        """Close the session."""
        self._curl.close()

    async def post(self, body: Mapping[str, Any]) -> Any:
        """Send one body; return the reply's JSON. Raises Failure."""
        try:
            reply = await self._curl.post(orjson.dumps(body))
        except (
            orjson.JSONEncodeError
        ) as fault:  # half a surrogate pair, quoted from a batch's reply
            raise Failure("unusable", f"the request cannot be written as JSON ({fault})") from None
        except Fault as fault:
            raise self._failure(fault) from None
        content = reply.content
        for secret in self._secrets:  # should the endpoint echo it
            content = content.replace(secret, b"***")
        if not 200 <= reply.status < 300:
            raise _refusal(reply.status, reply.headers, content)
        return _parsed(content, reply)

    def _failure(self, fault: Fault) -> Failure:
        """Return what it means that there is no reply."""
        if fault.code == TOO_LONG:
            return Failure("unusable", f"the reply has more than {REPLY_BYTES:,} bytes")
        if not fault.connected:
            return Failure("unreachable", str(fault), again=fault.code not in NO_URL)
        if fault.code == TIMED_OUT:
            return Failure("slow", f"no reply within {self._timeout_s:g} s", again=True)
        return Failure("lost", f"connection lost ({fault})", again=True)


def on_loopback(url: str | None) -> bool:
    """Return whether a URL points to this machine."""
    return urlsplit(url or "").hostname in LOOPBACK


def public(url: str | None) -> str:
    """Return a URL without user, password and query, fit for messages and records."""
    parts = urlsplit(url or "")
    host = parts.hostname or "the default endpoint"
    return f"{parts.scheme}://{host}{f':{parts.port}' if parts.port else ''}{parts.path}"


def _as_bytes(api_key: str) -> tuple[bytes, ...]:
    """Return the ways in which a key can stand in a reply, none where it is no secret."""
    if api_key == NO_KEY or len(api_key) < SHORTEST_KEY:
        return ()
    return tuple({api_key.encode(), api_key.replace("/", "\\/").encode()})


def _proxy(url: str) -> str:
    """Return the environment's proxy for a URL, looked up once; never one for this machine."""
    parts = urlsplit(url)
    if on_loopback(url) or urllib.request.proxy_bypass(parts.hostname or ""):
        return ""
    return urllib.request.getproxies().get(parts.scheme, "")


def _parsed(content: bytes, reply: Reply) -> Any:
    """Return JSON; what only a lenient reader takes is made what every reader takes."""
    try:
        return orjson.loads(content)
    except orjson.JSONDecodeError:
        try:
            return _plain(json.loads(content, parse_constant=lambda name: None))
        except (ValueError, RecursionError):
            said = reply.headers
            kind = said.get("content-encoding") or said.get("content-type") or "no type given"
            raise Failure("unusable", f"the reply is no JSON ({kind[:60]})") from None


def _plain(tree: Any) -> Any:
    """Return a JSON tree with `?` for lone surrogates, which no file and no request can hold."""
    if isinstance(tree, dict):
        return {_plain(name): _plain(part) for name, part in tree.items()}
    if isinstance(tree, list):
        return [_plain(part) for part in tree]
    return tree.encode("utf-8", "replace").decode() if isinstance(tree, str) else tree


def _refusal(status: int, headers: Mapping[str, str], content: bytes) -> Failure:
    """Return what a status other than 200 means; which come again is the openai client's rule."""
    try:
        body = json.loads(content)
    except (ValueError, RecursionError):
        body = None
    error = body.get("error", body) if isinstance(body, dict) else {}
    error = error if isinstance(error, dict) else {"message": error}
    said = _word(error.get("message"))[:EXCERPT]
    code = _word(error.get("code"))
    wait_s = _retry_after(headers)
    told = headers.get("x-should-retry")
    again = told == "true" or (told != "false" and (status in PASSING or status >= 500))
    again = again and not (wait_s is not None and wait_s > MAX_RETRY_AFTER_S)
    line = f"HTTP {status}" + (f": {said}" if said else "")
    line += " (a redirect; none is followed)" if status < 400 else ""
    if wait_s is not None and wait_s > MAX_RETRY_AFTER_S:
        line += f" (asks to wait {wait_s:.0f} s)"
    return Failure("status", line, status, again, wait_s, code)


def _word(part: Any) -> str:
    """Return a part of an error as text, "" for none and for a tree too deep to be written."""
    try:
        return str(part or "")
    except RecursionError:
        return ""


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds (from 0) that a reply asks to wait: retry-after-ms, else retry-after."""
    for name, unit in (("retry-after-ms", 1000), ("retry-after", 1)):
        try:
            seconds = float(headers[name]) / unit
        except (KeyError, ValueError):
            continue
        if math.isfinite(seconds):
            return max(seconds, 0.0)
    try:
        return max(parsedate_to_datetime(headers["retry-after"]).timestamp() - time.time(), 0.0)
    except (KeyError, TypeError, ValueError, OverflowError, OSError):
        return None
