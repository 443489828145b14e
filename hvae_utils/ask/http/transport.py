"""One try of one request: configured by the `openai` client, sent by libcurl.

The client gives base URL and headers; the rest of it costs more time than a fast endpoint. Secrets
that an endpoint echoes are masked.
"""

import base64
import contextlib
import json
import math
import ssl
import sys
import time
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any, Self
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

import orjson

from hvae_utils import files
from hvae_utils.ask import complaints
from hvae_utils.ask.http.curl import Curl, Fault, Response
from hvae_utils.ask.urls import on_loopback

REPLY_BYTES = 1_000_000  # of one reply; 24 tokens with 20 alternatives each take about 40,000
NO_KEY = "not-needed"  # the client wants one even where the endpoint does not
SHORTEST_KEY = 8  # characters; what is shorter is no secret, and may stand in an honest reply
MAX_RETRY_AFTER_S = 120.0  # as in the openai client: an endpoint that asks for more is given up
MASK = b"***"  # what stands for a secret
TELEMETRY = "X-Stainless-"  # what the client tells of the machine; nobody needs it for an answer
ORDINARY = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")  # headers with no secret
NO_URL, TIMED_OUT, TOO_LONG = (1, 3), 28, 63  # libcurl's numbers
PASSING = (408, 409, 429)  # with all from 500: what the openai client tries again


@dataclass(eq=False)
class Failure(Exception):
    """A try that brought no reply, with what its caller needs to decide what comes next."""

    message: str
    status: int = 0  # of HTTP, 0 without
    again: bool = False  # another try may help
    wait_s: float | None = None  # seconds the endpoint asks to wait, None where it does not say
    content: Any = ""  # of the endpoint's answer: JSON, or its text where it is none
    reached: bool = True  # a connection was made

    def __str__(self) -> str:
        return self.message


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
        self._spelled: tuple[str, ...] = ()
        self._curl: Any = None

    async def __aenter__(self) -> Self:
        """Read the client's configuration and open the session."""
        from openai import AsyncOpenAI, DefaultAsyncHttpxClient

        # the client sends nothing: it trusts nobody, and is spared reading all certificates
        unused = DefaultAsyncHttpxClient(verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
        async with AsyncOpenAI(http_client=unused, **self._options) as client:
            headers = {**client.default_headers, **client.auth_headers}
            base, query = urlsplit(str(client.base_url)), urlencode(client.default_query)
        headers["Accept-Encoding"] = "identity"  # compressed replies could unpack to any size
        for name, text in list(headers.items()):
            if not text or not isinstance(text, str) or name.startswith(TELEMETRY):
                del headers[name]
        path, query = f"{base.path.rstrip('/')}/chat/completions", f"{base.query}&{query}"
        url = base._replace(path=path, query=query.strip("&")).geturl()
        proxy = _proxy(url)
        own = {text for name, text in headers.items() if name not in ORDINARY}
        self.hide(url, proxy, {self._options["api_key"], *own})
        sys.audit("hvae_utils.connect", base.hostname)  # libcurl's sockets are not Python's
        self._curl = Curl(url, headers, self._timeout_s, proxy, REPLY_BYTES)
        return self

    async def __aexit__(self, *exc: object) -> None:
        """Close the session."""
        self._curl.close()

    async def post(
        self, body: Mapping[str, Any], more_s: float = 0.0, most_bytes: int = REPLY_BYTES
    ) -> Any:
        """Send one body; return the reply's JSON. Raises Failure.

        more_s: seconds on top of the usual ones; most_bytes: of the reply.
        """
        timeout_s = self._timeout_s + more_s
        try:
            response = await self._curl.post(orjson.dumps(body), timeout_s, most_bytes)
        except Fault as fault:
            raise _failure(fault, timeout_s, most_bytes) from None
        content = self.masked(response.content)
        if not 200 <= response.status < 300:
            raise _refusal(response, content)
        return _parsed(content, response)

    def hide(self, url: str, proxy: str, sent: set[str]) -> None:
        """Mask from now on what is secret in two URLs and in what is sent."""
        self._secrets = _secrets(url, proxy, sent)
        self._spelled = tuple(secret.decode() for secret in self._secrets)

    def masked(self, content: bytes) -> bytes:
        """Return a content in which nothing stands that is secret about this endpoint."""
        for secret in self._secrets:
            content = content.replace(secret, MASK)
        return content

    def masked_text(self, text: str) -> str:
        """Return a text in which nothing stands that is secret about this endpoint."""
        for secret in self._spelled:
            if secret in text:
                text = text.replace(secret, MASK.decode())
        return text


def _failure(fault: Fault, timeout_s: float, most_bytes: int) -> Failure:
    """Return what it means that there is no reply."""
    if fault.code == TOO_LONG:
        return Failure(f"the reply has more than {most_bytes:,} bytes")
    if not fault.connected:
        return Failure(str(fault), again=fault.code not in NO_URL, reached=False)
    if fault.code == TIMED_OUT:
        return Failure(f"no reply within {timeout_s:g} s", again=True)
    return Failure(f"connection lost ({fault})", again=True)


def _secrets(url: str, proxy: str, sent: set[str]) -> tuple[bytes, ...]:
    """Return the forms that what is sent secret can have in a reply, long ones first.

    That is the key and headers of one's own, the users and passwords of both URLs, the query.
    """
    texts = set(sent)
    for parts in (urlsplit(url), urlsplit(proxy)):
        user, password = parts.username or "", parts.password or ""
        plain = f"{unquote(user)}:{unquote(password)}"
        texts |= {user, password, unquote(user), unquote(password)}
        texts.add(base64.b64encode(plain.encode()).decode())
    query = urlsplit(url).query
    texts |= {value for _, value in parse_qsl(query)}
    texts |= {part.partition("=")[2] for part in query.split("&")}
    bare = {text.removeprefix("Bearer ") for text in texts} - {NO_KEY}
    forms = {
        form
        for text in bare
        if len(text) >= SHORTEST_KEY
        for form in (
            *(text, text.replace("/", "\\/"), quote(text, safe="")),
            *(json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1]),
        )
    }
    return tuple(form.encode("utf-8", "replace") for form in sorted(forms, key=len, reverse=True))


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
        said = json.loads(content)
    except (ValueError, RecursionError):
        said = content.decode("utf-8", "replace")
    headers = response.headers
    advice = headers.get("x-should-retry", "")
    return failure(response.status, said, _retry_after(headers), advice)


def failure(status: int, content: Any, wait_s: float | None = None, advice: str = "") -> Failure:
    """Return what an error status means, or an error of that code in a reply.

    advice: of the endpoint on whether another try helps, true or false.
    """
    said = complaints.words(content)
    line = f"HTTP {status}" + (f": {said}" if said else "")
    line += " (a redirect; none is followed)" if status < 400 else ""
    again = advice == "true" or (advice != "false" and (status in PASSING or status >= 500))
    if wait_s is not None and wait_s > MAX_RETRY_AFTER_S:
        again, line = False, f"{line} (asks to wait {wait_s:.0f} s)"
    return Failure(line, status=status, again=again, wait_s=wait_s, content=content)


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
