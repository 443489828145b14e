"""What a request costs: the price table of the project, `data/prices.toml`, which users edit.

A price belongs to a host and a model, so that the same name served elsewhere has none. Without a
price there is None and never 0; only what runs on this machine is free.

Public names: Price, currency, load, price_of, tokens_of, CHARACTERS_PER_TOKEN.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from hvae_utils import files, paths
from hvae_utils.ask import models
from hvae_utils.ask.urls import on_loopback
from hvae_utils.errors import UserError, unknown

MILLION = 1_000_000
# Marks of the turns included. With the tokenizer of the embedded model, whose digits are tokens of
# their own, the prompts of a profile come out 8% too long (default) to 4% too short (paper).
CHARACTERS_PER_TOKEN = 3.3
MARKS = len("<||>\n\n")  # around a turn and its role, as a chat template writes them


@dataclass(frozen=True)
class Price:
    """A price per million tokens; batch: share of it through the Batch API, None for no batch."""

    input: float
    output: float
    batch: float | None = None
    source: str = ""
    date: str = ""

    def of(self, prompt_tokens: float, completion_tokens: float) -> float:
        """Return what these tokens cost."""
        return (self.input * prompt_tokens + self.output * completion_tokens) / MILLION


FREE = Price(0.0, 0.0, source="runs on this machine")


def load(path: Path | None = None) -> tuple[str, dict[str, Price]]:
    """Return the currency and the prices by HOST/MODEL; UserError for a malformed file."""
    path = paths.DATA / "prices.toml" if path is None else path
    where = paths.shown(path)
    table = files.read_toml(path)
    money = table.pop("currency", None)
    if not isinstance(money, str) or not money.isalpha():
        raise UserError(f"{where}: currency must be a text such as USD, not {money!r}")
    return money.upper(), {name: _price(entry, name, where) for name, entry in table.items()}


def currency() -> str:
    """Return the currency of the price table, in capitals."""
    return _table()[0]


def price_of(model: str) -> Price | None:
    """Return the price of a model's name in a study, or None where the table has none."""
    if model.startswith(("reference/", "local/")):
        return FREE
    url, name = models.served_at(model)
    if on_loopback(url):
        return FREE
    return _table()[1].get(f"{urlsplit(url).hostname}/{name}")


def tokens_of(messages: Sequence[Mapping[str, str]]) -> float:
    """Return about how many tokens a prompt has, by its length in UTF-8."""
    turns = [turn["role"] + turn["content"] for turn in messages]
    length = sum(len(turn.encode("utf-8", "replace")) + MARKS for turn in turns)
    return length / CHARACTERS_PER_TOKEN


@lru_cache
def _table() -> tuple[str, dict[str, Price]]:
    return load()


def _price(entry: Any, name: str, where: str) -> Price:
    known = [field.name for field in fields(Price)]
    if not isinstance(entry, dict):
        raise UserError(f'{where}: {name} must be a table, ["HOST/MODEL"]')
    for key in entry:
        if key not in known:
            raise unknown(f"key of {name} in {where}:", key, known)
    for key in ("input", "output", "batch"):
        given = entry.get(key, 0 if key == "batch" else None)
        if not files.finite(given) or given < 0:
            wanted = "a number from 0, per million tokens" if key != "batch" else "a share"
            raise UserError(f"{where}: {key} of {name} is {given!r}; it must be {wanted}")
    return Price(**{**entry, "date": str(entry.get("date", ""))})
