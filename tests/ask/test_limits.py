"""A limit finds what an endpoint can take, keeps its quota and its caps, and loses nothing.

Simulated endpoints on a clock of their own: minutes pass in no time, and every run is the same.
"""

import asyncio
import contextlib
import itertools

import pytest

from hvae_utils.ask.http.limits import STARVED_S, Limit, Starved


class Clock(asyncio.SelectorEventLoop):
    """An event loop that jumps to the next moment at which something happens."""

    now = 1000.0

    def time(self):
        return self.now

    def _run_once(self):
        if not self._ready and self._scheduled:
            self.now = max(self.now, self._scheduled[0].when()) + 1e-7  # no clock stands still
        super()._run_once()


class Early(Clock):
    """A loop whose timers fire a moment before its clock shows their time, as uvloop's may."""

    def _run_once(self):
        if not self._ready and self._scheduled:
            self.now = max(self.now, self._scheduled[0].when() - 5e-10)
        asyncio.SelectorEventLoop._run_once(self)


def run(work, loop=Clock):
    with asyncio.Runner(loop_factory=loop) as runner:
        return runner.run(work)


@contextlib.asynccontextmanager
async def place(limit, tokens=0):
    """Hold a place in flight."""
    await limit.enter(tokens)
    try:
        yield
    finally:
        limit.leave()


async def play(limit, serve, count, workers=400, tokens=0):
    """Have `count` requests answered by `serve`; return (seconds, moments of sending)."""
    loop = asyncio.get_running_loop()
    waiting, sent, started = iter(range(count)), [], loop.time()

    async def work():
        for _ in waiting:
            while True:
                async with place(limit, tokens):
                    sent.append(loop.time())
                    began = loop.time()
                    retry_after = await serve()
                    if retry_after is None:
                        limit.ok(loop.time() - began)
                        break
                limit.quota(retry_after)
                await asyncio.sleep(retry_after or 0.5)

    await asyncio.gather(*[work() for _ in range(workers)])
    return loop.time() - started, sent


def with_slots(slots, seconds):
    """A server that answers `slots` at a time and lets the others wait."""
    places = asyncio.Semaphore(slots)

    async def serve():
        async with places:
            await asyncio.sleep(seconds)

    return serve


@pytest.mark.parametrize("slots", [1, 3, 10, 50, 130])
def test_it_finds_how_many_a_server_answers_at_once(slots):
    async def main():
        limit, serve = Limit(400), with_slots(slots, 0.2)
        await play(limit, serve, 40 * slots)
        highs, rates = [], []
        for _ in range(10):
            seconds, sent = await play(limit, serve, 20 * slots)
            highs.append(limit.allowed)
            rates.append(len(sent) / seconds)
        return sorted(highs)[5], sorted(rates)[5]

    allowed, rate = run(main())
    assert rate >= 0.75 * slots / 0.2
    assert allowed <= max(3 * slots, 16)


def test_a_server_without_bounds_is_given_the_most_within_a_few_answers():
    async def main():
        limit = Limit(256)
        await play(limit, with_slots(10_000, 0.2), 3000)
        return limit.allowed

    assert run(main()) == 256


def test_a_number_that_the_user_chose_is_used_whatever_the_latency():
    async def main():
        limit = Limit(100, fixed=True)
        await play(limit, with_slots(5, 0.2), 1500)
        return limit.allowed

    assert run(main()) == 100


def with_quota(per_second, refused, retry_after):
    """A server that refuses what comes after `per_second` requests in a second."""
    loop = asyncio.get_running_loop()
    served = {}

    async def serve():
        second = int(loop.time())
        served[second] = served.get(second, 0) + 1
        if served[second] > per_second:
            refused.append(loop.time())
            return retry_after
        await asyncio.sleep(0.1)

    return serve


@pytest.mark.parametrize("retry_after", [0.0, 1.0])
def test_a_quota_is_found_by_its_refusals_and_nothing_is_lost(retry_after):
    refused = []

    async def main():
        return await play(Limit(200), with_quota(50, refused, retry_after), 3000)

    seconds, sent = run(main())
    assert len(sent) - len(refused) == 3000
    assert seconds >= 3000 / 50 - 1
    assert seconds <= 3 * 3000 / 50
    assert len(refused) < 0.5 * 3000


def test_refusals_of_one_moment_halve_once():
    async def main():
        limit = Limit(64, fixed=True)
        await play(limit, with_slots(100, 0.1), 2000)
        before = limit.allowed
        async with asyncio.TaskGroup() as group:
            for _ in range(before):
                group.create_task(refuse(limit))
        return before, limit.allowed

    async def refuse(limit):
        async with place(limit):
            await asyncio.sleep(0.1)
        limit.quota()

    before, after = run(main())
    assert (before, after) == (64, 32)


def test_all_wait_as_long_as_one_was_asked_to():
    async def main():
        loop, limit = asyncio.get_running_loop(), Limit(8)
        limit.quota(30.0)
        started = loop.time()
        _, sent = await play(limit, with_slots(10, 0.1), 20)
        return min(sent) - started

    assert run(main()) == pytest.approx(30)


def test_a_pause_ends_with_its_timer_whatever_the_clock_shows():
    async def main():
        loop, limit = asyncio.get_running_loop(), Limit(8)
        limit.quota(30.0)
        limit.quota(10.0)
        started = loop.time()
        await limit.enter()
        return loop.time() - started

    assert run(main(), Early) == pytest.approx(30)


@pytest.mark.parametrize("cap", [1, 7, 60, 90, 1000])
def test_no_minute_has_more_requests_than_the_cap(cap):
    async def main():
        limit = Limit(50, requests_per_minute=cap)
        return await play(limit, with_slots(100, 0.1), 3 * cap + 2)

    seconds, sent = run(main())
    for first, after in itertools.pairwise([*sent[: len(sent) - cap], sent[-1]]):
        assert after >= first
    gaps = [later - sooner for sooner, later in zip(sent, sent[cap:], strict=False)]
    assert min(gaps) >= 60 - 1e-4
    assert seconds <= 60 * 4.2


def test_no_minute_has_more_tokens_than_the_cap_but_those_of_one_request():
    async def main():
        limit = Limit(50, tokens_per_minute=10_000)
        return await play(limit, with_slots(100, 0.1), 80, tokens=400)

    seconds, sent = run(main())
    most = 10_000 // 400 + 1
    gaps = [later - sooner for sooner, later in zip(sent, sent[most:], strict=False)]
    assert min(gaps) >= 60 - 1e-4
    assert seconds == pytest.approx(80 * 400 / 10_000 * 60, rel=0.1)


def test_who_gives_up_waiting_gives_the_place_back():
    async def main():
        limit = Limit(1)
        async with place(limit):
            gone = [asyncio.create_task(play(limit, with_slots(1, 0.1), 1, 1)) for _ in range(5)]
            await asyncio.sleep(0.1)
            for task in gone:
                task.cancel()
        await asyncio.gather(*gone, return_exceptions=True)
        async with asyncio.timeout(1), place(limit):
            return limit.in_flight

    assert run(main()) == 1


async def refused_for(limit, seconds, loop):
    """Ask an endpoint that says nothing but 429 until the limit gives up or time is over."""
    started = loop.time()
    while loop.time() - started < seconds:
        async with place(limit):
            await asyncio.sleep(0.1)
        limit.quota()
        await limit.sleep(0.5)
    return "still asking"


def test_an_endpoint_that_only_refuses_is_given_up_for_all_at_the_same_moment():
    async def main():
        loop, limit = asyncio.get_running_loop(), Limit(256)
        ends = []

        async def work():
            try:
                await refused_for(limit, 3600, loop)
            except Starved as starved:
                ends.append((loop.time(), starved.args[0]))

        started = loop.time()
        await asyncio.gather(*[work() for _ in range(300)])
        return [(end - started, seconds) for end, seconds in ends], limit.in_flight

    ends, in_flight = run(main())
    assert len(ends) == 300
    assert in_flight == 0
    assert min(seconds for _, seconds in ends) >= STARVED_S
    assert max(end for end, _ in ends) - min(end for end, _ in ends) < 1
    assert max(end for end, _ in ends) < STARVED_S + 30


def test_an_answer_begins_the_patience_anew():
    async def main():
        loop, limit = asyncio.get_running_loop(), Limit(8)
        for _ in range(3):
            await refused_for(limit, 0.8 * STARVED_S, loop)
            async with place(limit):
                limit.ok(0.1)
        await asyncio.sleep(10 * STARVED_S)
        return await refused_for(limit, 0.8 * STARVED_S, loop)

    assert run(main()) == "still asking"
