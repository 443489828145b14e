"""How many requests one endpoint is given at a time: found out, not guessed, and never overdone.

Starts low, or at a quarter of a number that the user chose, and doubles while that brings
throughput; a 429 halves it, after which it grows by steps. It knows latencies and refusals, never
what is asked. Server errors are no sign of a quota and do not come here.

Public names: Limit.
"""

import asyncio
from collections import deque

from aiolimiter import AsyncLimiter

START = 4
STEPS = 32  # additive growth: this share of the most, a window, and at most a quarter of what is
PAUSE_S, LONGEST_PAUSE_S = 0.5, 8.0  # after a 429 that does not say how long; doubled in a row
JUDGED = 1.25  # growth by this factor is enough to be judged by what it brought
GAIN = 0.2  # of a growth in flight that must arrive as throughput, else it is taken back
BACK = 0.9  # of the last number that paid is gone back to
HELD = 8  # windows at that number before more is tried again
MINUTE_S = 60.0


class Limit:
    """Admission to one endpoint, shared by all models on it. Belongs to one event loop.

    most: requests in flight never exceeded; fixed: from a quarter grow to `most` whatever the
    latency (a number the user chose); requests_per_minute, tokens_per_minute: hold in every
    minute, None for no cap (tokens may pass by those of one request). A window is as many answers
    as may be in flight, to requests sent since it began. By Little's law throughput is in flight /
    latency.
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
        self._mark: tuple[int, float] | None = None  # the last number that paid, its throughput
        self._answered, self._latency_s, self._began, self._full = 0, 0.0, 0.0, False
        self._requests = _bucket(requests_per_minute)
        self._tokens = _bucket(tokens_per_minute)
        self._gate = asyncio.Lock()

    def permit(self, tokens: int = 0) -> "_Permit":
        """Admit one request of about `tokens` tokens when its turn comes, in order of arrival."""
        return _Permit(self, tokens)

    async def enter(self, tokens: int) -> None:
        """Wait for a place in flight and for room under the caps."""
        await self._admit()
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
        """Note an answer that took `latency_s` seconds, while its permit is held."""
        now = asyncio.get_running_loop().time()
        if now - latency_s < self._began:
            self._late = max(self._late - 1, 0)
            return
        self._answered += 1
        self._pause_s = 0.0
        self._latency_s += latency_s
        if self._answered >= self.allowed:
            self._close_window(now)

    def quota(self, retry_after_s: float | None = None) -> None:
        """Note a 429: all wait as long as it asks; halve, once for all that were in flight."""
        loop = asyncio.get_running_loop()
        if retry_after_s:
            self._pause(retry_after_s)
        if self._late > 0:
            self._late -= 1
            return
        if not retry_after_s:
            self._pause_s = min(max(2 * self._pause_s, PAUSE_S), LONGEST_PAUSE_S)
            self._pause(self._pause_s)
        self._late = self.in_flight
        self.allowed, self._doubling, self._held, self._mark = (
            self.allowed // 2 or 1,
            False,
            0,
            None,
        )
        self._begin(loop.time())

    def _pause(self, seconds: float) -> None:
        """Send nothing for so long, if a longer pause is not on already."""
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        if until > self._paused_until:
            self._paused_until = until
            loop.call_at(until, self._wake)

    async def _admit(self) -> None:
        """Take a place in flight, at once or in turn."""
        loop = asyncio.get_running_loop()
        if not self._waiting and self._has_place(loop.time()):
            self._take()
            return
        turn = loop.create_future()
        self._waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():  # the place was given in the same moment
                self.in_flight -= 1
                self._wake()
            raise

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
                await asyncio.sleep(pause_s)

    def _close_window(self, now: float) -> None:
        """Decide what the window that ends tells: grow, hold or go back."""
        throughput = self.allowed * self._answered / self._latency_s if self._latency_s else 0.0
        mark, mark_throughput = self._mark or (self.allowed, throughput)
        grown = self.allowed / mark
        if not self._full:
            self._mark = None  # nobody waited: there is nothing to be learnt
        elif self.fixed:
            self._grow()
        elif grown >= JUDGED and throughput < mark_throughput * (1 + GAIN * (grown - 1)):
            self.allowed, self._doubling = max(int(mark * BACK), 1), False
            self._held, self._mark = HELD, None
        elif self._held:
            self._held -= 1
        else:
            paid = grown >= JUDGED or self._mark is None
            self._mark = (self.allowed, throughput) if paid else self._mark
            self._grow()
        self._late = 0
        self._begin(now)

    def _grow(self) -> None:
        step = max(min(self.most // STEPS, self.allowed // 4), 1)
        step = self.allowed if self._doubling else step
        self.allowed = min(self.allowed + step, self.most)

    def _begin(self, now: float) -> None:
        self._answered, self._latency_s, self._began = 0, 0.0, now
        self._full = self.in_flight >= self.allowed


class _Permit:
    """A place in flight, from `async with` to its end; a generator would cost a tenth more."""

    __slots__ = ("_limit", "_tokens")

    def __init__(self, limit: Limit, tokens: int) -> None:
        self._limit, self._tokens = limit, tokens

    async def __aenter__(self) -> None:
        await self._limit.enter(self._tokens)

    async def __aexit__(self, *exc: object) -> None:
        self._limit.leave()


def _bucket(per_minute: int | None) -> AsyncLimiter | None:
    """Return a leaky bucket whose first fill and minute of leaking together make `per_minute`."""
    if per_minute is None:
        return None
    filled = per_minute / (MINUTE_S + 1)
    return AsyncLimiter(filled, 1.0) if filled > 1 else AsyncLimiter(1, MINUTE_S / per_minute)
