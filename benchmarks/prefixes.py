"""Prompt tokens that the embedded model evaluates, beside the trie bound.

    python -m benchmarks.prefixes [--short] [--write]

A study is played with the embedded model. Its server says of each prompt how many tokens it took
from its cache; the others it evaluated. The bound is the number of distinct token prefixes of all
prompts, which no order of asking can undercut. Prompts are tokenised by the model's own template
and vocabulary, and must have as many tokens as the server counted. Other orders are simulated on
one slot that holds the last prompt. Ends with 1 where the requirement is missed. --write puts the
tables into docs/engine.md.

Two things keep a server from the bound, or below it: a prompt that is cached whole has its last
token evaluated again, and a reply that the model wrote itself is cached without having been
evaluated as a prompt.
"""

import argparse
import contextlib
import http.client
import json
import random
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from benchmarks import page
from hvae_utils.ask import local, prompts
from hvae_utils.play import administer, records, study

MODEL = "smollm2-135m-instruct"
PHASES = {"assignment": ("describe", "adopt", "goal"), "play": ("item", "readout", "probe")}
VALUES = ("altruistic", "prosocial", "individualistic", "competitive")
MAX_TO_TRIE = 1.02
Prompt = tuple[int, ...]


def common(one: Prompt, other: Prompt) -> int:
    """Return the length of the longest common prefix."""
    return next((n for n, (a, b) in enumerate(zip(one, other, strict=False)) if a != b),
                min(len(one), len(other)))  # fmt: skip


def evaluated(asked: Iterable[Prompt]) -> int:
    """Return the tokens that a slot evaluates which holds the last prompt and nothing else."""
    total, last = 0, ()
    for prompt in asked:
        total += len(prompt) - min(common(prompt, last), len(prompt) - 1)
        last = prompt
    return total


def trie(asked: Iterable[Prompt]) -> int:
    """Return the number of distinct token prefixes."""
    total, last = 0, ()
    for prompt in sorted(set(asked)):
        total += len(prompt) - common(prompt, last)
        last = prompt
    return total


@contextlib.contextmanager
def tokenizer() -> Iterator[Any]:
    """Give a function from chat messages to the model's tokens."""
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = str(local.find(MODEL))
    params.hostnames, params.port, params.n_ctx, params.verbosity = ["127.0.0.1"], 0, 512, -1
    params.ui = False
    server = xllamacpp.Server(params)
    connection = http.client.HTTPConnection(urlsplit(server.listening_address).netloc, timeout=60)

    def post(path: str, body: dict) -> dict:
        connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
        return json.loads(connection.getresponse().read())

    def tokens(messages: Sequence[dict]) -> Prompt:
        text = post("/apply-template", {"messages": list(messages)})["prompt"]
        given = {"content": text, "add_special": True, "parse_special": True}
        return tuple(post("/tokenize", given)["tokens"])

    # a server that is destroyed before its loop runs never returns; one answer proves the loop
    post("/v1/chat/completions", {"messages": [{"role": "user", "content": "."}], "max_tokens": 1})
    with contextlib.closing(connection):
        yield tokens


def played(values: tuple[str, ...], model: str, **factors: Any) -> list[records.Record]:
    """Play a study of these factors; return its records in the order of asking."""
    asked = study.Study(models=(model,), values=values, **factors)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "records.jsonl"
        with records.Records(path) as store:
            administer.put_items(administer.assign_values(study.conditions(asked), store), store)
        return list(records.read(path))


def phases(kept: list[records.Record], tokens: Any) -> tuple[list[list[object]], float]:
    """Return one row a phase, and what play evaluated over its bound."""
    rows, ratio = [], float("nan")
    for phase, kinds in {**PHASES, "both": sum(PHASES.values(), ())}.items():
        part = [record for record in kept if record["kind"] in kinds]
        prompts_ = [tokens(record["messages"]) for record in part]
        if [len(prompt) for prompt in prompts_] != [record["prompt_tokens"] for record in part]:
            raise SystemExit("the server counts other prompt tokens than its own tokenizer")
        total = sum(map(len, prompts_))
        read = total - sum(record["cached_tokens"] for record in part)
        bound = trie(prompts_)
        if phase == "play":
            ratio = read / bound
        shown = len({(r["key"]) for r in part if r["kind"] in PHASES["play"] and r["attempt"] == 1})
        each = f"{read / shown:.1f}" if phase == "play" else ""
        rows.append([phase, len(part), f"{total:,}", f"{read:,}", f"{bound:,}",
                     f"{read / bound:.3f}", each])  # fmt: skip
    return rows, ratio


def orders(kept: list[records.Record], tokens: Any) -> list[list[object]]:
    """Return what other orders of the same item prompts would have evaluated on one slot."""
    first = [r for r in kept if r["kind"] == "item" and r["attempt"] == 1]
    asked = [tokens(record["messages"]) for record in first]
    by_item = sorted(range(len(asked)), key=lambda n: first[n]["item"])
    shuffled = random.Random(2023).sample(asked, len(asked))
    named = {
        "as the engine asked": asked,
        "sorted by tokens": sorted(asked),
        "item by item over all conditions": [asked[n] for n in by_item],
        "shuffled": shuffled,
        "no reuse": None,
    }
    bound, rows = trie(asked), []
    for name, order in named.items():
        read = sum(map(len, asked)) if order is None else evaluated(order)
        rows.append([name, f"{read:,}", f"{read / bound:.2f}", f"{read / len(asked):.1f}"])
    return rows


def layouts(values: tuple[str, ...], wordings: Sequence[str], tokens: Any) -> list[list[object]]:
    """Return the trie of other layouts and wordings, with a reference respondent's words."""
    rows = []
    for wording in wordings:
        for placement, induction in (
            ("dialogue", "self_description"),
            ("system", "self_description"),
            ("system", "definition"),
        ):
            if prompts.load(wording).items:
                continue  # imported from its owner's file
            factors = {"wordings": wording, "placements": placement, "inductions": induction}
            kept = played(values, "reference/first-option", orders=("fixed", "reversed"), **factors)
            asked = [tokens(r["messages"]) for r in kept if r["kind"] == "item"]
            mean = sum(map(len, asked)) / len(asked)
            rows.append([wording, placement, induction, f"{mean:.0f}",
                         f"{trie(asked) / len(asked):.1f}"])  # fmt: skip
    return rows


def main() -> None:
    """Measure, print and judge; with --write also into the docs."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--short", action="store_true", help="one value and wording, for CI")
    parser.add_argument("--write", action="store_true", help="write docs/engine.md")
    chosen = parser.parse_args()
    values = VALUES[:1] if chosen.short else VALUES
    wordings = ("plain",) if chosen.short else prompts.names()
    kept = played(values, f"local/{MODEL}", orders=("fixed", "reversed"))
    with tokenizer() as tokens:
        by_phase, ratio = phases(kept, tokens)
        head = ["phase", "requests", "prompt tokens", "evaluated", "trie bound", "ratio"]
        tables = [page.table([*head, "evaluated an item presentation"], by_phase)]
        head = ["order of the items' first questions, one slot, simulated", "evaluated"]
        head += ["to the trie bound", "an item presentation"]
        tables.append(page.table(head, orders(kept, tokens)))
        head = ["wording", "placement", "induction", "tokens a prompt"]
        head.append("trie bound an item presentation")
        tables.append(page.table(head, layouts(values, wordings, tokens)))
    said, met = page.verdict([(f"play evaluates at most {MAX_TO_TRIE} times the trie bound",
                               ratio <= MAX_TO_TRIE)])  # fmt: skip
    text = "\n\n".join([*tables, said, page.machine("xllamacpp")])
    print(text, flush=True)
    if chosen.write:
        page.write("prefixes", text)
    raise SystemExit(0 if met else 1)


if __name__ == "__main__":
    main()
