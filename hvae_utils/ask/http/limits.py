"""How many requests one endpoint gets at a time: as many as raise its throughput.

A limit starts low and doubles every window while throughput grows. After the doubling phase it
grows by most/32 a window. A growth that did not pay is taken back; a 429 halves the limit. Server
errors are no sign of a quota and do not count.
"""

import asyncio
from collections import deque

from aiolimiter import AsyncLimiter

START = 4
STEPS = 32  # after the doubling phase: most/32 more a window, at most a quarter of the limit
PAUSE_S, LONGEST_PAUSE_S = 0.5, 8.0  # after a 429 that does not say how long; doubled in a row
JUDGED = 1.25  # once the limit has grown by this factor, its throughput is compared
GAIN = 0.2  # share of a growth in requests in flight that must show as growth in throughput
STARVED_S = 300.0  # an endpoint that has said nothing but 429 for so long is given up
BACK = 0.9  # of the last limit that paid: where a growth that did not pay returns to
HELD = 8  # windows at that limit before more is tried again
MINUTE_S = 60.0


class Starved(Exception):
    """The endpoint has said nothing but 429 for so many seconds (`args[0]`)."""


class Limit:
    """Admission to one endpoint, shared by all models on it. Belongs to one event loop.

    most: requests in flight never exceeded; fixed: start at a quarter of `most` and grow to it
    whatever the latency; requests_per_minute, tokens_per_minute: hold in every minute, None for no
    cap (tokens may pass by those of one request). A window is as many answers, to requests sent
    since it began, as may be in flight. Throughput is requests in flight / latency (Little's law).
    """

    def __init__(
        self,
        most: int,
        fixed: bool = False,
        requests_per_minute: int | None = None,
        tokens_per_minute: int | None = None,
    ) -> None:
        self.most, self.fixed = most, fixed
        self.allowed, self.in_flight = min(max(START, most // 4) if fixed else START, most), 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._paused_until, self._pause_s = 0.0, 0.0
        self._doubling, self._held, self._late = True, 0, 0
        self._paid: tuple[int, float] | None = None  # the last limit that paid, its throughput
        self._answered, self._latency_s, self._began, self._full = 0, 0.0, 0.0, False
        self._requests = _bucket(requests_per_minute)
        self._tokens = _bucket(tokens_per_minute)
        self._gate = asyncio.Lock()
        self._refused_since: float | None = None  # the first 429 after the last answer
        self._starved_s = 0.0
        self._starving = asyncio.Event()

    async def enter(self, tokens: int = 0) -> None:
        """Wait, in order of arrival, for a place in flight and for `tokens` under the caps.

        Raises Starved when the endpoint is given up before there is a place.
        """
        loop = asyncio.get_running_loop()
        self._check_starved()
        if self._waiting or not self._has_place(loop.time()):
            turn = loop.create_future()
            self._waiting.append(turn)
            try:
                await turn
            except asyncio.CancelledError:
                if (
                    turn.done() and not turn.cancelled() and not turn.exception()
                ):  # the place was given in the same moment
                    self.leave()
                raise
        else:
            self._take()
        if self._requests or self._tokens:
            try:
                await self._within_caps(tokens)
            except BaseException:
                self.leave()
                raise

    def leave(self) -> None:
        """Give a place back."""
        self.in_flight -= 1
        self._wake()

    def ok(self, latency_s: float) -> None:
        """Note an answer that took `latency_s` seconds, while its place is held."""
        now = asyncio.get_running_loop().time()
        self._refused_since = None
        if now - latency_s < self._began:
            self._late = max(self._late - 1, 0)
            return
        self._answered += 1
        self._pause_s = 0.0
        self._latency_s += latency_s
        if self._answered >= self.allowed:
            self._close_window(now)

    def quota(self, retry_after_s: float | None = None) -> None:
        """Note a 429: all wait as long as it asks; halve, once for all that were in flight.

        When nothing has been answered for STARVED_S all who wait get Starved.
        """
        now = asyncio.get_running_loop().time()
        if self._refused_since is None:
            self._refused_since = now
        elif now - self._refused_since >= STARVED_S:
            self._give_up(now - self._refused_since)
        if retry_after_s:
            self._pause(retry_after_s)
        if self._late > 0:
            self._late -= 1
            return
        if not retry_after_s:
            self._pause_s = min(max(2 * self._pause_s, PAUSE_S), LONGEST_PAUSE_S)
            self._pause(self._pause_s)
        self.allowed, self._late = self.allowed // 2 or 1, self.in_flight
        self._doubling, self._held, self._paid = False, 0, None
        self._begin(now)

    async def sleep(self, seconds: float) -> None:
        """Wait so long, less if the endpoint is given up in the meantime. Raises Starved then."""
        try:
            async with asyncio.timeout(seconds):
                await self._starving.wait()
        except TimeoutError:
            return
        self._check_starved()

    def _give_up(self, seconds: float) -> None:
        """End the wait of all with Starved."""
        self._starved_s = seconds
        self._starving.set()
        for turn in self._waiting:
            if not turn.done():
                turn.set_exception(Starved(seconds))
        self._waiting.clear()

    def _check_starved(self) -> None:
        if self._starved_s:
            raise Starved(self._starved_s)

    def _pause(self, seconds: float) -> None:
        """Send nothing for so long, if a longer pause is not on already."""
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        if until > self._paused_until:
            self._paused_until = until
            loop.call_at(until, self._resume, until)

    def _resume(self, until: float) -> None:
        """End a pause with its timer, which may fire just before the clock shows its time."""
        if self._paused_until == until:
            self._paused_until = 0.0
            self._wake()

    def _has_place(self, now: float) -> bool:
        return self.in_flight < self.allowed and now >= self._paused_until

    def _take(self) -> None:
        self.in_flight += 1
        self._full = self._full or self.in_flight >= self.allowed

    def _wake(self) -> None:
        now = asyncio.get_running_loop().time()
        while self._waiting and self._has_place(now):
            turn = self._waiting.popleft()
            if not turn.done():
                self._take()
                turn.set_result(None)

    async def _within_caps(self, tokens: int) -> None:
        """Wait, one request after the other, until a pause is over and both caps have room."""
        loop = asyncio.get_running_loop()
        async with self._gate:
            if self._requests:
                await self._requests.acquire()
            while self._tokens and tokens > 0:
                part = min(tokens, self._tokens.max_rate)
                await self._tokens.acquire(part)
                tokens -= part
            while (pause_s := self._paused_until - loop.time()) > 0:
                await self.sleep(pause_s)

    def _close_window(self, now: float) -> None:
        """Grow, hold or go back, by the throughput of the window that ends."""
        throughput = self.allowed * self._answered / self._latency_s if self._latency_s else 0.0
        paid, paid_throughput = self._paid or (self.allowed, throughput)
        grown = self.allowed / paid
        if not self._full:
            self._paid = None  # nobody waited, so the window says nothing about the limit
        elif self.fixed:
            self._grow()
        elif grown >= JUDGED and throughput < paid_throughput * (1 + GAIN * (grown - 1)):
            self.allowed, self._doubling = max(int(paid * BACK), 1), False
            self._held, self._paid = HELD, None
        elif self._held:
            self._held -= 1
        else:
            if grown >= JUDGED or self._paid is None:
                self._paid = self.allowed, throughput
            self._grow()
        self._late = 0
        self._begin(now)

    def _grow(self) -> None:
        step = max(min(self.most // STEPS, self.allowed // 4), 1)
        self.allowed = min(self.allowed + (self.allowed if self._doubling else step), self.most)

    def _begin(self, now: float) -> None:
        self._answered, self._latency_s, self._began = 0, 0.0, now
        self._full = self.in_flight >= self.allowed


def _bucket(per_minute: int | None) -> AsyncLimiter | None:
    """Return a leaky bucket whose first fill and minute of leaking together make `per_minute`."""
    if per_minute is None:
        return None
    filled = per_minute / (MINUTE_S + 1)
    return AsyncLimiter(filled, 1.0) if filled > 1 else AsyncLimiter(1, MINUTE_S / per_minute)
