"""The clients that the throughput benchmark compares the engine with, each in a fresh process.

    python -m benchmarks.peers NAME URL BODIES IN_FLIGHT

BODIES: a file of chat completion bodies, one JSON object a line. Prints {"requests", "seconds"} as
JSON. Every client answers a few requests first, so that imports and connections' first use are not
counted.
"""

import argparse
import asyncio
import json
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

WARM_UP = 8


async def aiohttp_loop(url: str, bodies: list[dict], in_flight: int) -> float:
    """A bare aiohttp session: send JSON, read JSON, keep nothing."""
    import aiohttp

    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector) as session:

        async def one(body: dict) -> None:
            async with session.post(f"{url}/chat/completions", json=body) as response:
                await response.json()

        return await _timed(one, bodies, in_flight)


async def openai_default(url: str, bodies: list[dict], in_flight: int) -> float:
    """The openai client as it comes."""
    from openai import DefaultAsyncHttpxClient

    return await _openai(DefaultAsyncHttpxClient(), url, bodies, in_flight)


async def openai_aiohttp(url: str, bodies: list[dict], in_flight: int) -> float:
    """The openai client with its aiohttp transport."""
    from openai import DefaultAioHttpClient

    return await _openai(DefaultAioHttpClient(), url, bodies, in_flight)


async def _openai(transport: object, url: str, bodies: list[dict], in_flight: int) -> float:
    from openai import AsyncOpenAI

    async with AsyncOpenAI(base_url=url, api_key="not-needed", http_client=transport) as client:

        async def one(body: dict) -> None:
            await client.chat.completions.create(**body)

        return await _timed(one, bodies, in_flight)


async def _timed(
    one: Callable[[dict], Awaitable[None]], bodies: list[dict], in_flight: int
) -> float:
    """Return the seconds that so many workers take for all bodies, after a warm-up."""
    for body in bodies[:WARM_UP]:
        await one(body)
    waiting = iter(bodies)

    async def work() -> None:
        for body in waiting:
            await one(body)

    started = time.perf_counter()
    await asyncio.gather(*(work() for _ in range(in_flight)))
    return time.perf_counter() - started


def inspect_ai(url: str, bodies: list[dict], in_flight: int) -> float:
    """inspect_ai's plainest task: one generation a sample, no scorer, its log in a scratch folder.

    A small evaluation goes first. As many connections and samples as requests in flight.
    """
    _evaluate(url, bodies[:WARM_UP], in_flight)
    return _evaluate(url, bodies, in_flight)


def _evaluate(url: str, bodies: list[dict], in_flight: int) -> float:
    """Return the seconds that one evaluation of all bodies took; stops where a sample failed."""
    from inspect_ai import Task, eval
    from inspect_ai.dataset import Sample
    from inspect_ai.model import GenerateConfig, get_model
    from inspect_ai.solver import generate

    samples = [Sample(input=_messages(body)) for body in bodies]
    shared = {name: bodies[0][name] for name in ("max_tokens", "temperature", "seed")}
    shared |= {"logprobs": True, "top_logprobs": bodies[0]["top_logprobs"]}
    config = GenerateConfig(max_connections=in_flight, **shared)
    model = get_model("openai-api/fake/fake-1", base_url=url, api_key="not-needed", config=config)
    task = Task(dataset=samples, solver=generate())
    with tempfile.TemporaryDirectory() as logs:
        started = time.perf_counter()
        (log,) = eval(
            task,
            model=model,
            max_samples=in_flight,
            log_dir=logs,
            display="none",
            log_realtime=False,  # a viewer's live database: it would only make this slower
            fail_on_error=True,
        )
        seconds = time.perf_counter() - started
    if log.status != "success" or log.results.completed_samples != len(bodies):
        raise SystemExit(f"inspect_ai ended with {log.status}: {log.error}")
    return seconds


def _messages(body: dict) -> list:
    from inspect_ai.model import ChatMessageAssistant, ChatMessageSystem, ChatMessageUser

    kinds = {
        "system": ChatMessageSystem,
        "user": ChatMessageUser,
        "assistant": ChatMessageAssistant,
    }
    return [kinds[said["role"]](content=said["content"]) for said in body["messages"]]


def _on_asyncio(client: Callable) -> Callable[[str, list[dict], int], float]:
    return lambda *given: asyncio.run(client(*given))


def _on_uvloop(*given: object) -> float:
    import uvloop

    return uvloop.run(aiohttp_loop(*given))


PEERS = {
    "aiohttp": _on_asyncio(aiohttp_loop),
    "aiohttp-uvloop": _on_uvloop,
    "openai": _on_asyncio(openai_default),
    "openai-aiohttp": _on_asyncio(openai_aiohttp),
    "inspect_ai": inspect_ai,
}


def main() -> None:
    """Run one client and print its time."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("name", choices=PEERS)
    parser.add_argument("url")
    parser.add_argument("bodies", type=Path)
    parser.add_argument("in_flight", type=int)
    given = parser.parse_args()
    bodies = [json.loads(line) for line in given.bodies.read_text(encoding="utf-8").splitlines()]
    seconds = PEERS[given.name](given.url, bodies, given.in_flight)
    print(json.dumps({"requests": len(bodies), "seconds": seconds}))


if __name__ == "__main__":
    main()
