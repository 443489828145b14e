"""How the embedded model is fastest: weights, threads, batches, slots, attention, host's cache.

    python -m benchmarks.embedded [--short] [--write]

Each setting answers 30 readouts of one token (six items in five orders after one prefix), then 5
items of at most 24 tokens, on a server of its own. Settings take turns; the median round counts, as
a ratio to the settings of `local`, because the machine's speed drifts. The weights as published
come from the cache or are fetched. --short: two settings, one round. --write puts the table into
docs/engine.md. Nothing here is a requirement.
"""

import argparse
import asyncio
import itertools
import statistics
import tempfile
import time
from pathlib import Path

import xllamacpp

from benchmarks import page
from hvae_utils.ask import chat, local, prompts
from hvae_utils.ask.chat import Limit
from hvae_utils.ask.respondents import Request
from hvae_utils.measure import factors, instruments, values

NAME = "smollm2-135m-instruct"
ROUNDS, READOUTS, TEXTS = 2, 30, 5
FLASH = xllamacpp.llama_flash_attn_type
PUBLISHED = "weights as published, Q4_1"
SETTINGS = {
    "as in `local`: Q8_0, a thread a core, one slot, batch 2048/512": {},
    PUBLISHED: {},
    "one thread": {"threads": 1},
    "batch 512/128": {"n_batch": 512, "n_ubatch": 128},
    "batch 512/64": {"n_batch": 512, "n_ubatch": 64},
    "flash attention off": {"flash_attn_type": FLASH.LLAMA_FLASH_ATTN_TYPE_DISABLED},
    "two slots, two requests in flight": {"n_parallel": 2},
    "four slots, four requests in flight": {"n_parallel": 4},
    "prompts kept in the host's memory": {"cache_ram_mib": 2048},
}


def questions():
    """Return the messages of the six items in the nine cyclic orders and the reversed one."""
    pack, value = prompts.load("plain"), values.get("prosocial")
    slider = instruments.load("svo-slider")
    orders = [*factors.order_names("cyclic", slider.options), "reversed"]
    opening = {"role": "user", "content": prompts.adopt_text(pack, value, "definition")}
    said = {"role": "assistant", "content": "I will."}
    texts = []
    for name, item in itertools.product(orders, range(len(slider.items))):
        order = factors.option_order(name, item, slider.options)
        shown = prompts.present(slider, item, order)
        texts.append(prompts.item_text(pack, value, slider, shown))
    return [(opening, said, {"role": "user", "content": text}) for text in texts]


def request(messages, tokens):
    given = {"max_tokens": tokens, "temperature": 0.0, "seed": 1, "top_logprobs": 20}
    return Request("item", f"local/{NAME}", messages, {"value": "none"}, **given)


async def seconds(url, slots, asked):
    limit = Limit(slots, fixed=True)
    async with chat.ChatModel(f"local/{NAME}", NAME, url, "-", limit) as model:
        started = time.perf_counter()
        answers = await asyncio.gather(*map(model.answer, asked))
    assert not any(answer.error for answer in answers)
    return time.perf_counter() - started


def measured(weights, setting):
    """Return the seconds of the readouts and of the texts on a fresh server."""
    server = local.serve(weights, f"local/{NAME}", **setting)
    url, slots = f"{server.listening_address}/v1", setting.get("n_parallel", 1)
    every = questions()
    readouts = [request(messages, 1) for messages in every[:READOUTS]]
    texts = [request(messages, 24) for messages in every[:TEXTS]]
    return asyncio.run(seconds(url, slots, readouts)), asyncio.run(seconds(url, slots, texts))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--short", action="store_true", help="two settings, one round")
    parser.add_argument("--write", action="store_true", help="into docs/engine.md")
    chosen = parser.parse_args()
    settings = dict(list(SETTINGS.items())[: 2 if chosen.short else None])
    taken = {name: [] for name in settings}
    with tempfile.TemporaryDirectory() as folder:
        weights = {PUBLISHED: local.published(NAME, Path(folder))}
        for _ in range(1 if chosen.short else ROUNDS):
            for name, setting in settings.items():
                taken[name].append(measured(weights.get(name, local.find(NAME)), setting))
                print("{}: {:.1f} s, {:.1f} s".format(name, *taken[name][-1]), flush=True)
    medians = {
        name: [statistics.median(column) for column in zip(*rounds, strict=True)]
        for name, rounds in taken.items()
    }
    ours = next(iter(medians.values()))
    rows = [
        (name, f"{one:.1f}", f"{one / ours[0]:.2f}", f"{text:.1f}", f"{text / ours[1]:.2f}")
        for name, (one, text) in medians.items()
    ]
    head = ("setting", f"{READOUTS} readouts, s", "to ours", f"{TEXTS} items of text, s", "to ours")
    text = f"{page.table(head, rows)}\n\n{page.machine('xllamacpp')}"
    print(f"\n{text}")
    if chosen.write:
        page.write("embedded", text)


if __name__ == "__main__":
    main()
