"""One try of one request: configured by the `openai` client, sent by libcurl.

The client gives base URL and headers; the rest of it costs more time than a fast endpoint. Secrets
that an endpoint echoes are masked.
"""

import base64
import contextlib
import json
import math
import sys
import time
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any, Self
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

import orjson

from hvae_utils import files
from hvae_utils.ask.http.curl import Curl, Fault, Response
from hvae_utils.ask.urls import on_loopback

REPLY_BYTES = 1_000_000  # of one reply; 24 tokens with 20 alternatives each take about 40,000
NO_KEY = "not-needed"  # the client wants one even where the endpoint does not
SHORTEST_KEY = 8  # characters; what is shorter is no secret, and may stand in an honest reply
MAX_RETRY_AFTER_S = 120.0  # as in the openai client: an endpoint that asks for more is given up
MASK = b"***"  # what stands for a secret
TELEMETRY = "X-Stainless-"  # what the client tells of the machine; nobody needs it for an answer
EXCERPT = 200  # characters of an endpoint's own message
NO_URL, TIMED_OUT, TOO_LONG = (1, 3), 28, 63  # libcurl's numbers
PASSING = (408, 409, 429)  # with all from 500: what the openai client tries again


@dataclass(eq=False)
class Failure(Exception):
    """A try that brought no reply, with what its caller needs to decide what comes next."""

    message: str
    status: int = 0  # of HTTP, 0 without
    again: bool = False  # another try may help
    wait_s: float | None = None  # seconds the endpoint asks to wait, None where it does not say
    code: str = ""  # the endpoint's own
    reached: bool = True  # a connection was made


class Transport:
    """A session to one endpoint's chat completions. Belongs to the event loop that enters it.

    timeout_s: from sending to the last byte of the reply; options: of the openai client.
    """

    def __init__(
        self, base_url: str | None, api_key: str, timeout_s: float, **options: Any
    ) -> None:
        self._options = {"base_url": base_url, "api_key": api_key, **options}
        self._timeout_s = timeout_s
        self._secrets: tuple[bytes, ...] = ()
        self._curl: Any = None

    async def __aenter__(self) -> Self:
        """Read the client's configuration and open the session."""
        from openai import AsyncOpenAI

        async with AsyncOpenAI(timeout=self._timeout_s, **self._options) as client:
            headers = {**client.default_headers, **client.auth_headers}
            base, query = urlsplit(str(client.base_url)), urlencode(client.default_query)
        headers["Accept-Encoding"] = "identity"  # compressed replies could unpack to any size
        for name, text in list(headers.items()):
            if not text or not isinstance(text, str) or name.startswith(TELEMETRY):
                del headers[name]
        path, query = f"{base.path.rstrip('/')}/chat/completions", f"{base.query}&{query}"
        url = base._replace(path=path, query=query.strip("&")).geturl()
        self._secrets = _secrets(url, self._options["api_key"])
        sys.audit("hvae_utils.connect", base.hostname)  # libcurl's sockets are not Python's
        self._curl = Curl(url, headers, self._timeout_s, _proxy(url), REPLY_BYTES)
        return self

    async def __aexit__(self, *exc: object) -> None:
        """Close the session."""
        self._curl.close()

    async def post(self, body: Mapping[str, Any]) -> Any:
        """Send one body; return the reply's JSON. Raises Failure."""
        try:
            response = await self._curl.post(orjson.dumps(body))
        except Fault as fault:
            raise self._failure(fault) from None
        content = self.masked(response.content)
        if not 200 <= response.status < 300:
            raise _refusal(response, content)
        return _parsed(content, response)

    def masked(self, content: bytes) -> bytes:
        """Return a content in which nothing stands that is secret about this endpoint."""
        for secret in self._secrets:
            content = content.replace(secret, MASK)
        return content

    def _failure(self, fault: Fault) -> Failure:
        """Return what it means that there is no reply."""
        if fault.code == TOO_LONG:
            return Failure(f"the reply has more than {REPLY_BYTES:,} bytes")
        if not fault.connected:
            return Failure(str(fault), again=fault.code not in NO_URL, reached=False)
        if fault.code == TIMED_OUT:
            return Failure(f"no reply within {self._timeout_s:g} s", again=True)
        return Failure(f"connection lost ({fault})", again=True)


def _secrets(url: str, api_key: str) -> tuple[bytes, ...]:
    """Return the forms that key, user, password and query can have in a reply, long ones first."""
    parts = urlsplit(url)
    user, password = parts.username or "", parts.password or ""
    query = [value for _, value in parse_qsl(parts.query)]
    basic = base64.b64encode(f"{unquote(user)}:{unquote(password)}".encode()).decode()
    raw = [part.partition("=")[2] for part in parts.query.split("&")]
    texts = {api_key, user, password, unquote(user), unquote(password), basic, *query, *raw}
    long = {text for text in texts - {NO_KEY} if len(text) >= SHORTEST_KEY}
    forms = {form for text in long for form in (text, text.replace("/", "\\/"))}
    return tuple(form.encode() for form in sorted(forms, key=len, reverse=True))


def _proxy(url: str) -> str:
    """Return the environment's proxy for a URL, looked up once; never one for this machine."""
    parts = urlsplit(url)
    if on_loopback(url) or urllib.request.proxy_bypass(parts.hostname or ""):
        return ""
    return urllib.request.getproxies().get(parts.scheme, "")


def _parsed(content: bytes, response: Response) -> Any:
    try:
        return files.parse_json(content)
    except (ValueError, RecursionError):
        headers = response.headers
        kind = headers.get("content-encoding") or headers.get("content-type") or "no type given"
        raise Failure(f"the reply is no JSON ({kind[:60]})") from None


def _refusal(response: Response, content: bytes) -> Failure:
    """Return what a status other than 200 means; another try helps by the openai client's rule."""
    try:
        body = json.loads(content)
        error = body.get("error", body) if isinstance(body, dict) else {}
        error = error if isinstance(error, dict) else {"message": error}
        message, code = (str(error.get(part) or "") for part in ("message", "code"))
    except (ValueError, RecursionError):
        message = code = ""
    status, headers = response.status, response.headers
    line = f"HTTP {status}" + (f": {message[:EXCERPT]}" if message else "")
    line += " (a redirect; none is followed)" if status < 400 else ""
    advice = headers.get("x-should-retry")
    again = advice == "true" or (advice != "false" and (status in PASSING or status >= 500))
    wait_s = _retry_after(headers)
    if wait_s is not None and wait_s > MAX_RETRY_AFTER_S:
        again, line = False, f"{line} (asks to wait {wait_s:.0f} s)"
    return Failure(line, status=status, again=again, wait_s=wait_s, code=code)


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds (from 0) that a reply asks to wait: retry-after-ms, else retry-after."""
    for name, unit in (("retry-after-ms", 1000), ("retry-after", 1)):
        with contextlib.suppress(KeyError, ValueError):
            seconds = float(headers[name]) / unit
            if math.isfinite(seconds):
                return max(seconds, 0.0)
    try:
        return max(parsedate_to_datetime(headers["retry-after"]).timestamp() - time.time(), 0.0)
    except (KeyError, TypeError, ValueError, OverflowError, OSError):
        return None
