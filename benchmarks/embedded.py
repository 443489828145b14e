"""How the embedded model is fastest here: threads, batches, slots, flash attention.

    python -m benchmarks.embedded           print the table
    python -m benchmarks.embedded --short   two settings only

Each setting answers 20 readouts of one token that share a prefix, then 5 items of 24 tokens, on a
server of its own, in rounds that alternate between the settings; the median round counts.
"""

import argparse
import asyncio
import statistics
import time

from hvae_utils import chat, local
from hvae_utils.limits import Limit
from hvae_utils.respondents import Request

NAME = "smollm2-135m-instruct"
ROUNDS, READOUTS, ITEMS = 3, 20, 5
PREFIX = (
    "You hold prosocial values: you want the sum for both to be high and the shares equal. " * 6
)
SETTINGS = {
    "as in local.py": {},
    "1 thread": {"threads": 1},
    "2 threads": {"threads": 2},
    "batch 512/128": {"n_batch": 512, "n_ubatch": 128},
    "2 slots": {"n_parallel": 2},
    "4 slots": {"n_parallel": 4},
}


def request(number, tokens):
    text = f"{PREFIX}Item {number}: A gives {80 - number} and {number}, B gives 50 and 50. Answer:"
    message = ({"role": "user", "content": text},)
    given = {"max_tokens": tokens, "temperature": 0.0, "seed": 1, "top_logprobs": 20}
    return Request("item", f"local/{NAME}", message, {"value": "none"}, **given)


async def seconds(url, slots, count, tokens, first):
    async with chat.ChatModel(f"local/{NAME}", NAME, url, "-", Limit(slots, fixed=True)) as model:
        started = time.perf_counter()
        asked = [model.answer(request(first + number, tokens)) for number in range(count)]
        answers = await asyncio.gather(*asked)
    assert not any(answer.error for answer in answers)
    return time.perf_counter() - started


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--short", action="store_true", help="two settings only")
    chosen = list(SETTINGS.items())[: 2 if parser.parse_args().short else None]
    taken = {name: ([], []) for name, _ in chosen}
    for _ in range(ROUNDS):
        for name, setting in chosen:
            server = local.serve(local.find(NAME), f"local/{NAME}", **setting)
            url, slots = f"{server.listening_address}/v1", setting.get("n_parallel", 1)
            taken[name][0].append(asyncio.run(seconds(url, slots, READOUTS, 1, 0)))
            taken[name][1].append(asyncio.run(seconds(url, slots, ITEMS, 24, READOUTS)))
            del server
    print(f"| setting | {READOUTS} readouts, s | {ITEMS} items of 24 tokens, s |\n|---|---|---|")
    for name, (readouts, items) in taken.items():
        print(f"| {name} | {statistics.median(readouts):.1f} | {statistics.median(items):.1f} |")


if __name__ == "__main__":
    main()
