"""libcurl on an asyncio loop: many POSTs to one URL at once, each sent once and answered once.

libcurl, through pycurl, takes half the time of clients written in Python; no redirect is followed.
"""

import asyncio
import io
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

KEPT_CONNECTIONS = 1000
CONNECT_S = 30.0  # until there is a connection


@dataclass(frozen=True)
class Response:
    """What came back: the status, the content as it was sent, the lines of the head."""

    status: int
    content: bytes
    head: list[bytes]

    @property
    def headers(self) -> dict[str, str]:
        """Return the head by name in lower case; of a name that comes twice, the last."""
        lines = (line.decode("latin-1").partition(":") for line in self.head)
        return {name.strip().lower(): text.strip() for name, colon, text in lines if colon}


@dataclass(eq=False)
class Fault(Exception):
    """No response. code: libcurl's error number; connected: the request was on its way."""

    code: int
    connected: bool

    def __str__(self) -> str:
        return f"curl {self.code}"


class Curl:
    """POSTs to one URL. Belongs to the running event loop; to be closed in it.

    headers: of every request; timeout_s: from the call to the last byte of the response;
    proxy: "" for none; most_bytes: of a response's content, more is a Fault.
    """

    def __init__(
        self, url: str, headers: Mapping[str, str], timeout_s: float, proxy: str, most_bytes: int
    ) -> None:
        import certifi
        import pycurl

        self._pycurl, self._loop = pycurl, asyncio.get_running_loop()
        # Expect: is libcurl's for long bodies, a round trip that no endpoint needs
        lines = [*(f"{name}: {text}" for name, text in headers.items()), "Expect:"]
        self._options = {
            pycurl.URL: url,
            pycurl.POST: 1,
            pycurl.HTTPHEADER: lines,
            pycurl.TIMEOUT_MS: round(1000 * timeout_s),
            pycurl.CONNECTTIMEOUT_MS: round(1000 * CONNECT_S),
            pycurl.PROXY: proxy,
            pycurl.MAXFILESIZE: most_bytes,
            pycurl.PROTOCOLS: pycurl.PROTO_HTTP | pycurl.PROTO_HTTPS,
            pycurl.HTTP_VERSION: pycurl.CURL_HTTP_VERSION_1_1,
            pycurl.NOSIGNAL: 1,
            pycurl.CAINFO: os.environ.get("SSL_CERT_FILE") or certifi.where(),
        }
        self._multi = pycurl.CurlMulti()
        self._multi.setopt(pycurl.M_SOCKETFUNCTION, self._watch)
        self._multi.setopt(pycurl.M_TIMERFUNCTION, self._set_timer)
        self._multi.setopt(pycurl.M_MAXCONNECTS, KEPT_CONNECTIONS)
        self._timer: asyncio.TimerHandle | None = None
        self._idle: list[Any] = []  # easy handles, each for one request at a time
        self._ended: dict[Any, asyncio.Future[int]] = {}  # easy handle -> its error number, or 0

    async def post(
        self, body: bytes, timeout_s: float | None = None, most_bytes: int | None = None
    ) -> Response:
        """Send one body and return the response, whatever its status. Raises Fault.

        timeout_s, most_bytes: of this request, those of all where they are None.
        """
        easy = self._idle.pop() if self._idle else self._new_handle()
        timeout_ms, size = self._pycurl.TIMEOUT_MS, self._pycurl.MAXFILESIZE
        easy.setopt(timeout_ms, round(1000 * timeout_s) if timeout_s else self._options[timeout_ms])
        easy.setopt(size, most_bytes or self._options[size])
        head: list[bytes] = []
        parts: list[bytes] = []
        easy.setopt(self._pycurl.HEADERFUNCTION, head.append)
        easy.setopt(self._pycurl.WRITEFUNCTION, parts.append)
        # Not POSTFIELDS: libcurl would send those again where a kept connection turns out dead.
        easy.setopt(self._pycurl.READFUNCTION, io.BytesIO(body).read)
        easy.setopt(self._pycurl.POSTFIELDSIZE, len(body))
        self._ended[easy] = ended = self._loop.create_future()
        self._multi.add_handle(easy)
        try:
            code = await ended
        except BaseException:
            if self._ended.pop(easy, None):
                self._multi.remove_handle(easy)
            easy.close()
            raise
        if code:
            connected = easy.getinfo(self._pycurl.REQUEST_SIZE) > 0
            easy.close()
            raise Fault(code, connected)
        self._idle.append(easy)
        return Response(easy.getinfo(self._pycurl.RESPONSE_CODE), b"".join(parts), head)

    def close(self) -> None:
        """Close every connection; whatever is under way ends as cancelled."""
        for easy, ended in list(self._ended.items()):
            self._multi.remove_handle(easy)
            ended.cancel()
        self._ended.clear()
        for easy in self._idle:
            easy.close()
        self._idle.clear()
        self._multi.close()
        self._set_timer(-1)

    def _new_handle(self) -> Any:
        easy = self._pycurl.Curl()
        for option, setting in self._options.items():
            easy.setopt(option, setting)
        return easy

    def _watch(self, what: int, socket: int, multi: Any, data: Any) -> None:
        """Have the loop watch a socket for what libcurl waits for there."""
        curl, loop = self._pycurl, self._loop
        if what in (curl.POLL_IN, curl.POLL_INOUT):
            loop.add_reader(socket, self._act, socket, curl.CSELECT_IN)
        else:
            loop.remove_reader(socket)
        if what in (curl.POLL_OUT, curl.POLL_INOUT):
            loop.add_writer(socket, self._act, socket, curl.CSELECT_OUT)
        else:
            loop.remove_writer(socket)

    def _set_timer(self, wait_ms: int) -> None:
        """Call libcurl again after so many milliseconds, or not at all if negative."""
        if self._timer is not None:
            self._timer.cancel()
        if wait_ms >= 0:
            timeout = self._pycurl.SOCKET_TIMEOUT
            self._timer = self._loop.call_later(wait_ms / 1000, self._act, timeout, 0)

    def _act(self, socket: int, seen: int) -> None:
        """Let libcurl go on where something happened, and note which requests have ended."""
        self._multi.socket_action(socket, seen)
        left = 1
        while left:
            left, answered, failed = self._multi.info_read()
            for easy, code, *_ in [*((easy, 0) for easy in answered), *failed]:
                self._multi.remove_handle(easy)
                ended = self._ended.pop(easy)
                if not ended.done():
                    ended.set_result(code)
