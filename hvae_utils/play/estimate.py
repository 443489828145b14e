"""What a study will take, before anybody is asked: requests, tokens, money and time.

Conditions become requests (see `rehearsal`), requests tokens, tokens money and time. The study is
rehearsed twice: with a model that understands, and with one that never chooses and always talks to
the end, which is the most that can come. Replies cannot be known beforehand, so these are two
figures and not one.

Public names: RATES, estimate, shown.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from hvae_utils.ask import models
from hvae_utils.ask.urls import on_loopback
from hvae_utils.errors import UserError
from hvae_utils.play import prices, rehearsal
from hvae_utils.play.rehearsal import TYPICAL_TOKENS, Design, Known

# Requests per second that are assumed, by kind of respondent: what one process reaches with
# simulated respondents, with the embedded model on two cores, with another server on this
# machine, and a cautious share of what hosted endpoints grant.
RATES = {"reference": 500.0, "local": 3.0, "loopback": 5.0, "hosted": 10.0}
ITEMS = ("item", "readout")
SUMMED = (
    *("requests", "requests_most", "prompt_tokens", "prompt_most", "completion_tokens"),
    *("completion_most", "cost", "cost_most", "cost_batch", "seconds"),
)
TOTAL = "all"
NO_PRICE = "none in data/prices.toml"


def estimate(planned: Sequence[Design], records: Known, rate: float | None = None) -> pd.DataFrame:
    """Return one row a model and a last one for all: what the records do not answer yet.

    planned: from rehearsal.designs; rate: requests per second, None for RATES.
    Columns: model; requests, prompt_tokens, completion_tokens: with replies of typical length;
    the same with `_most`: with a reminder for every item and replies at their greatest length;
    tokens_per_item: prompt tokens of an item presentation; cost, cost_most, and cost_batch (the
    typical one through the Batch API) in the price table's currency, NaN without a price, and for
    all the sum of those with one; rate, seconds: one model after the other; price: its source.
    Tokens are counted about, by prices.tokens_of.
    Raises UserError for a rate that is none.
    """
    if rate is not None and not 0 < rate < math.inf:
        raise UserError(f"rate is {rate:g}; it must be a number of requests per second above 0")
    names = list(dict.fromkeys(name for one in planned for name in one.conditions["model"]))
    table = pd.DataFrame([_tokens(name, planned, records) for name in names])
    price = [prices.price_of(name) for name in names]
    each = [one or prices.Price(math.nan, math.nan) for one in price]
    for suffix in ("tokens", "most"):
        prompt, completion = table[f"prompt_{suffix}"], table[f"completion_{suffix}"]
        table["cost" if suffix == "tokens" else "cost_most"] = [
            one.of(*tokens) for one, *tokens in zip(each, prompt, completion, strict=True)
        ]
    table["cost_batch"] = table["cost"] * np.array([one.batch for one in each], float)
    table["rate"] = rate or [RATES[_kind(name)] for name in names]
    table["seconds"] = table["requests"] / table["rate"]
    table["price"] = [one.source if one else NO_PRICE for one in price]
    last = pd.DataFrame(table[[*SUMMED]].sum(min_count=1)).T.assign(model=TOTAL, price="")
    return pd.concat([table, last.astype(table.dtypes[[*SUMMED]])], ignore_index=True)


def _tokens(name: str, planned: Sequence[Design], records: Known) -> dict[str, Any]:
    """Return the numbers of requests and tokens of one model, usual ones and at most."""
    usual = _requests(name, planned, records, rehearsal.typical)
    most = _requests(name, planned, records, rehearsal.stubborn)
    return {
        "model": name,
        "requests": len(usual),
        "requests_most": len(most),
        "prompt_tokens": round(usual["prompt"].sum()),
        "prompt_most": round(most["prompt"].sum()),
        "completion_tokens": usual["kind"].map(TYPICAL_TOKENS).sum(),
        "completion_most": most["max_tokens"].sum(),
        "tokens_per_item": usual.loc[usual["kind"].isin(ITEMS), "prompt"].mean(),
    }


def _requests(
    name: str, planned: Sequence[Design], records: Known, reply: rehearsal.Reply
) -> pd.DataFrame:
    """Return one row a request: kind, prompt and max_tokens, in tokens."""
    rows = [
        (request.kind, prices.tokens_of(request.messages), request.max_tokens)
        for request in rehearsal.unanswered(name, planned, records, reply)
    ]
    table = pd.DataFrame(rows, columns=["kind", "prompt", "max_tokens"])
    return table.astype({"prompt": float, "max_tokens": int})


def _kind(name: str) -> str:
    """Return the kind of respondent by which a rate is assumed."""
    family = name.partition("/")[0]
    if family in ("reference", "local"):
        return family
    return "loopback" if on_loopback(models.served_at(name)[0]) else "hosted"


def shown(table: pd.DataFrame) -> list[str]:
    """Return the estimate as lines of text: a table, and a sentence for what it leaves open."""
    heads = ("model", "requests", "prompt", "completion", "per item", "time", "cost")
    rows = [heads, *(_cells(row) for row in table.to_dict("records"))]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join(
            cell.rjust(width) if place else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
    about = f"{prices.CHARACTERS_PER_TOKEN:g} characters counted as a token"
    lines += ["", f"Requests, tokens ({about}) and cost: with usual replies, and at most."]
    lines += ["Per item: prompt tokens of one item."]
    rates = table[table["model"] != TOTAL].groupby("rate", sort=False)["model"]
    each = "; ".join(f"{rate:g} a second for {', '.join(names)}" for rate, names in rates)
    lines += [f"Time, one model after the other: {each}; say otherwise with --rate."]
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
