"""What requests cost, and what a run may spend: in requests, tokens or money.

Users edit `data/prices.toml`. A price belongs to a host and a model; only what runs on this machine
is free. A budget belongs to the run's folder: what its records have spent counts. A request is
admitted if it cannot pass the budget even at its greatest length, at which it counts until it is
answered, and so is each further try of it. Every try is a request; in tokens and money a failed one
counts its prompt where the provider may bill it. Token counts of prompts are estimated and
corrected upwards by what the endpoint reports; only the first requests can overshoot.
"""

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import lru_cache
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

from hvae_utils import files, paths
from hvae_utils.ask import models
from hvae_utils.ask.chat import RETRIES
from hvae_utils.ask.respondents import Request
from hvae_utils.ask.urls import on_loopback
from hvae_utils.errors import BudgetReached, UserError
from hvae_utils.play.records import Record, read

MILLION = 1_000_000
# With the tokenizer of the embedded model, whose digits are tokens of their own, the prompts of a
# profile come out 8% too long (default) to 4% too short (paper).
CHARACTERS_PER_TOKEN = 3.3
SHORT = 100.0  # tokens; of a shorter prompt the server's own words around it are the most
MARKS = len("<||>\n\n")  # around a turn and its role, as a chat template writes them
# A comma or underscore groups three digits; K or M stands right after the number.
AMOUNT = re.compile(r"\s*([+-]?\d+(?:[,_]\d{3})*(?:\.\d+)?)([kKmM](?=\s))?\s*([A-Za-z]+)\s*")
SCALES = {"": 1, "k": 1_000, "m": MILLION}
EXAMPLES = "'500 requests', '2M tokens' or '3 {}'"


@dataclass(frozen=True)
class Price:
    """A price per million tokens; batch: share of it through the Batch API, None for no batch.

    >>> Price(input=10, output=30).of(prompt_tokens=1000, completion_tokens=100)
    0.013
    """

    input: float
    output: float
    batch: float | None = None
    source: str = ""
    date: str = ""

    def of(self, prompt_tokens: float, completion_tokens: float) -> float:
        """Return what these tokens cost."""
        return (self.input * prompt_tokens + self.output * completion_tokens) / MILLION


NUMBERS = dict.fromkeys(("input", "output"), "a number from 0, per million tokens")
NUMBERS |= {"batch": "a share"}
FREE = Price(0.0, 0.0, source="runs on this machine")


@lru_cache
def prices(path: Path = paths.DATA / "prices.toml") -> tuple[str, dict[str, Price]]:
    """Return the currency and the prices by HOST/MODEL; UserError for a malformed file."""
    where = paths.shown(path)
    table = files.read_toml(path)
    money = table.pop("currency", None)
    if not isinstance(money, str) or not money.isalpha():
        raise UserError(f"{where}: currency must be a text such as USD, not {money!r}")
    return money.upper(), {name: _price(entry, name, where) for name, entry in table.items()}


def _price(entry: Any, name: str, where: str) -> Price:
    files.known_keys(f"{where}, {name}", entry, [field.name for field in fields(Price)])
    for key, wanted in NUMBERS.items():
        number = entry.get(key, 0 if key == "batch" else None)
        if not files.finite(number) or number < 0:
            raise UserError(f"{where}: {key} of {name} is {number!r}; it must be {wanted}")
    return Price(**{**entry, "date": str(entry.get("date", ""))})


def price_of(model: str) -> Price | None:
    """Return the price of a model's name in a study, or None where the table has none."""
    if model.startswith(("reference/", "local/")):
        return FREE
    url, name = models.served_at(model)
    if on_loopback(url):
        return FREE
    return prices()[1].get(f"{urlsplit(url).hostname}/{name}")


def tokens_of(messages: Sequence[Mapping[str, str]]) -> float:
    """Return about how many tokens a prompt has, by its length in UTF-8.

    >>> round(tokens_of([{"role": "user", "content": "Choose the option you prefer."}]), 1)
    11.8
    """
    turns = [turn["role"] + turn["content"] for turn in messages]
    length = sum(len(turn.encode("utf-8", "replace")) + MARKS for turn in turns)
    return length / CHARACTERS_PER_TOKEN


def room(request: Request) -> int:
    """Return the tokens that a reply can have at most, its thought among them."""
    return request.max_tokens + request.thinking_tokens


@dataclass(frozen=True)
class Amount:
    """How much of what: requests, tokens, or the currency of the price table."""

    number: float
    unit: str

    def __str__(self) -> str:
        return f"{self.number:,.10g} {self.unit}"


def parse(text: str) -> Amount:
    """Return the amount that a text names; UserError for anything else, also an amount of nothing.

    >>> str(parse("2M tokens"))
    '2,000,000 tokens'
    """
    money, _ = prices()
    examples = EXAMPLES.format(money)
    match = AMOUNT.fullmatch(text)
    if not match:
        raise UserError(f"budget '{text}' cannot be read; write {examples}")
    digits, scale, name = match.groups()
    units = {unit.lower()[: len(name)]: unit for unit in ("requests", "tokens", money)}
    unit = units.get(name.lower()) if len(name) >= 3 else None
    if unit is None:
        raise UserError(f"budget '{text}': '{name}' is no unit; write {examples}")
    number = float(digits.replace(",", "").replace("_", "")) * SCALES[(scale or "").lower()]
    if not 0 < number < math.inf:
        raise UserError(f"budget '{text}' leaves nothing to ask; write {examples}")
    return Amount(number, unit)


def require(text: str, models: Iterable[str]) -> None:
    """Raise UserError unless `text` is '' or a budget that fits these models' prices."""
    if text and parse(text).unit == prices()[0]:
        for model in models:
            _price_in_a_budget(model)


def _price_in_a_budget(model: str) -> Price:
    if price := price_of(model):
        return price
    choices = "add one, or set the budget in requests or tokens"
    raise UserError(f"{model} has no price in data/prices.toml; {choices}")


class Budget:
    """What may be spent and what was; use `of_run`."""

    def __init__(self, amount: Amount, spent: Iterable[Record] = ()) -> None:
        self.amount, self._limit = amount, amount.number + 1e-9
        self._in_flight: dict[str, Request] = {}
        self._tries: Counter[str] = Counter()  # of those in flight
        self._longer: dict[str, float] = {}  # by model: most that its prompts exceed the count
        self.spent = math.fsum(map(self._cost, spent))

    @classmethod
    def of_run(cls, text: str, records: Path) -> Self | None:
        """Return the budget `text` of the run with these records; None for ''."""
        if not text:
            return None
        return cls(parse(text), read(records) if records.exists() else ())

    def admit(self, request: Request) -> None:
        """Set aside what a request can cost at most; BudgetReached when that is not left."""
        self._in_flight[request.key] = request
        try:
            self.admit_try(request)
        except BudgetReached:
            del self._in_flight[request.key]
            raise

    def admit_try(self, request: Request) -> None:
        """Set aside one more try of a request that was admitted; BudgetReached as in `admit`."""
        self._tries[request.key] += 1
        if self.spent + math.fsum(map(self._most, self._in_flight.values())) > self._limit:
            self._tries[request.key] -= 1
            raise BudgetReached(
                f"the budget of {self.amount} is reached: this run has spent {self.spent:,.4g} "
                f"{self.amount.unit} and the next request could pass it; all answers are recorded, "
                "run the same command with a larger budget to continue"
            )

    def note(self, record: Record) -> None:
        """Count what a request did cost, now that its record is written."""
        self._in_flight.pop(record["key"], None)
        self._tries.pop(record["key"], None)
        self.spent += self._cost(record)

    def _most(self, request: Request) -> float:
        about = tokens_of(request.messages) * self._longer.get(request.model, 1.0)
        tries = self._tries[request.key]
        return self._worth(request.model, tries, about * min(tries, 1 + RETRIES), room(request))

    def _cost(self, record: Record) -> float:
        """Return what a record has cost; estimated where the endpoint reported no usage."""
        model, failed = record.get("model", ""), bool(record.get("error"))
        about = tokens_of(record.get("messages") or ())
        prompt, completion = record.get("prompt_tokens"), record.get("completion_tokens")
        if prompt is not None:
            self._longer[model] = max(self._longer.get(model, 1.0), prompt / max(about, SHORT))
        else:
            prompt = 0 if failed else about
        if completion is None:
            written = (record.get("text") or "") + (record.get("thought") or "")
            completion = len(written) / CHARACTERS_PER_TOKEN
        prompt += about * record.get("lost", failed)  # records of before do not say it
        return self._worth(model, record.get("tries", 1), prompt, completion)

    def _worth(self, model: str, tries: int, prompt: float, completion: float) -> float:
        """Return what so many tries and tokens are in the unit of the budget."""
        if self.amount.unit == "requests":
            return float(tries)
        if self.amount.unit == "tokens":
            return prompt + completion
        return _price_in_a_budget(model).of(prompt, completion)
