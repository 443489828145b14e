"""What a study will take, before anybody is asked: requests, tokens, money and time.

The study is rehearsed twice (see `rehearsal`): with a model that understands, and with one that
never chooses and always talks to the end, which is the most that can come. Replies cannot be known
beforehand, so these are two figures and not one.

Public names: RATES, estimate, shown.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from hvae_utils import models, prices, rehearsal, tokens
from hvae_utils.chat import on_loopback
from hvae_utils.errors import UserError
from hvae_utils.rehearsal import TYPICAL_TOKENS, Design, Known
from hvae_utils.respondents import Request

# Requests per second that are assumed, by kind of respondent: what one process reaches with
# simulated respondents, with the embedded model on two cores, with another server on this
# machine, and a cautious share of what hosted endpoints grant.
RATES = {"reference": 500.0, "local": 3.0, "loopback": 5.0, "hosted": 10.0}
ITEMS = ("item", "readout")
SUMMED = (
    *("requests", "requests_most", "prompt_tokens", "prompt_most", "completion_tokens"),
    *("completion_most", "trie_tokens", "cost", "cost_most", "cost_batch", "seconds"),
)
TOTAL = "all"
NO_PRICE = "none in data/prices.toml"


@dataclass
class _Count:
    """What one rehearsal of one model came to; prompts: their units, kept only for the trie."""

    requests: int = 0
    prompt: float = 0.0
    completion: float = 0.0
    items: int = 0
    item_tokens: float = 0.0
    prompts: list[bytes] = field(default_factory=list)


def estimate(planned: Sequence[Design], records: Known, rate: float | None = None) -> pd.DataFrame:
    """Return one row a model and a last one for all: what the records do not answer yet.

    planned: from rehearsal.designs; rate: requests per second, None for RATES.
    Columns: model; requests, prompt_tokens, completion_tokens: with replies of typical length;
    the same with `_most`: with a reminder for every item and replies at their greatest length;
    trie_tokens: distinct prompt prefixes, which is what a server that keeps prefixes evaluates;
    tokens_per_item: prompt tokens of an item presentation; cost, cost_most, and cost_batch (the
    typical one through the Batch API) in the price table's currency, NaN without a price, and for
    all the sum of those with one; rate, seconds: one model after the other; tokenizer: how tokens
    were counted; price: its source.
    Raises UserError for a rate that is none.
    """
    if rate is not None and not 0 < rate < math.inf:
        raise UserError(f"rate is {rate:g}; it must be a number of requests per second above 0")
    names = list(dict.fromkeys(name for one in planned for name in one.conditions["model"]))
    table = pd.DataFrame([_row(name, planned, records, rate) for name in names])
    together = {name: table[name].sum(min_count=1) for name in SUMMED}
    last = pd.DataFrame([{"model": TOTAL, **together, "tokenizer": "", "price": ""}])
    return pd.concat([table, last.astype(table.dtypes[[*SUMMED]])], ignore_index=True)


def _row(
    name: str, planned: Sequence[Design], records: Known, rate: float | None
) -> dict[str, Any]:
    counter = tokens.counter(name)
    try:
        usual = _count(counter, rehearsal.unanswered(name, planned, records, rehearsal.typical))
        most = _count(
            counter, rehearsal.unanswered(name, planned, records, rehearsal.stubborn), trie=False
        )
    finally:
        counter.close()
    price = prices.price_of(name)
    cost = price.of(usual.prompt, usual.completion) if price else math.nan
    batch = price.batch if price else None
    rate = rate or RATES[_kind(name)]
    return {
        "model": name,
        "requests": usual.requests,
        "requests_most": most.requests,
        "prompt_tokens": round(usual.prompt),
        "prompt_most": round(most.prompt),
        "completion_tokens": round(usual.completion),
        "completion_most": round(most.completion),
        "trie_tokens": round(
            tokens.distinct(usual.prompts, counter.width) * counter.tokens_per_unit
        ),
        "tokens_per_item": usual.item_tokens / usual.items if usual.items else math.nan,
        "cost": cost,
        "cost_most": price.of(most.prompt, most.completion) if price else math.nan,
        "cost_batch": cost * batch if batch is not None else math.nan,
        "rate": rate,
        "seconds": usual.requests / rate,
        "tokenizer": counter.about,
        "price": price.source if price else NO_PRICE,
    }


def _count(counter: tokens.Counter, requests: Iterable[Request], trie: bool = True) -> _Count:
    """Count requests and their tokens; the completion is as long as the rehearsal's replies."""
    found = _Count()
    for request in requests:
        units = counter.units(request.messages)
        length = len(units) / counter.width * counter.tokens_per_unit
        found.requests += 1
        found.prompt += length
        found.completion += TYPICAL_TOKENS[request.kind] if trie else request.max_tokens
        if request.kind in ITEMS:
            found.items += 1
            found.item_tokens += length
        if trie:
            found.prompts.append(units)
    return found


def _kind(name: str) -> str:
    """Return the kind of respondent by which a rate is assumed."""
    family = name.partition("/")[0]
    if family in ("reference", "local"):
        return family
    return "loopback" if on_loopback(models.identity(name).partition(" ")[0]) else "hosted"


def shown(table: pd.DataFrame) -> list[str]:
    """Return the estimate as lines of text: a table, and a sentence for what it leaves open."""
    heads = ("model", "requests", "prompt", "completion", "prefixes", "per item", "time", "cost")
    rows = [heads, *(_cells(row) for row in table.to_dict("records"))]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join(
            cell.ljust(width) if not place else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
    by_tokenizer = table[table["model"] != TOTAL].groupby("tokenizer", sort=False)["model"]
    lines += ["", "Requests, tokens and cost: with usual replies, and at most."]
    lines += ["Prefixes: distinct prompt tokens, all that a server which keeps prompts evaluates."]
    lines += ["Per item: prompt tokens of one item."]
    rates = table[table["model"] != TOTAL].groupby("rate", sort=False)["model"]
    each = "; ".join(f"{rate:g} a second for {', '.join(names)}" for rate, names in rates)
    lines += [f"Time, one model after the other: {each}; say otherwise with --rate."]
    lines += [f"Tokens of {', '.join(names)}: {how}." for how, names in by_tokenizer]
    lacking = table.loc[table["price"] == NO_PRICE, "model"]
    if len(lacking):
        lines += [f"No price in data/prices.toml, and none in the sum: {', '.join(lacking)}."]
    return lines


def _cells(row: Mapping[str, Any]) -> tuple[str, ...]:
    per_item, cost = row["tokens_per_item"], row["cost"]
    money = f"{cost:,.2f} to {row['cost_most']:,.2f} {prices.currency()}"
    if not math.isnan(row["cost_batch"]):
        money += f" (batch {row['cost_batch']:,.2f})"
    return (
        row["model"],
        f"{row['requests']:,} to {row['requests_most']:,}",
        f"{row['prompt_tokens']:,} to {row['prompt_most']:,}",
        f"{row['completion_tokens']:,} to {row['completion_most']:,}",
        f"{row['trie_tokens']:,}",
        "" if math.isnan(per_item) else f"{per_item:,.0f}",
        _time(row["seconds"]),
        "no price" if math.isnan(cost) else money if row["cost_most"] else "free",
    )


def _time(seconds: float) -> str:
    """Return a duration as people say it."""
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= size:
            return f"{seconds / size:,.1f} {unit}"
    return f"{seconds:.0f} s"
