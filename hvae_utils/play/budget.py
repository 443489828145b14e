"""A budget: how much a run may spend, in requests, tokens or money.

It is one of the run's folder: what its records have spent counts, whoever asked, so the same
command with the same budget asks nothing more, and with a larger one continues. A request is
admitted only if it cannot pass the budget even at its greatest length; what is in flight counts at
that length until it is answered. Token counts of prompts are estimated (3.3 characters a token) and
corrected upwards by what the endpoint reports; only the first requests can overshoot. A request
that was admitted is never stopped.

Public names: Amount, parse, require, Budget.
"""

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from hvae_utils.ask.respondents import Request
from hvae_utils.errors import BudgetReached, UserError
from hvae_utils.play import prices
from hvae_utils.play.records import Record, read

# A comma or underscore groups three digits; K or M stands right after the number.
AMOUNT = re.compile(r"\s*([+-]?\d+(?:[,_]\d{3})*(?:\.\d+)?)([kKmM](?=\s))?\s*([A-Za-z]+)\s*")
SCALES = {"": 1, "k": 1_000, "m": 1_000_000}
EXAMPLES = "'500 requests', '2M tokens' or '3 {}'"


@dataclass(frozen=True)
class Amount:
    """How much of what: requests, tokens, or the currency of the price table."""

    number: float
    unit: str

    def __str__(self) -> str:
        return f"{self.number:,.10g} {self.unit}"


def parse(text: str) -> Amount:
    """Return the amount that a text such as `500 requests`, `2M tokens` or `3 USD` names.

    Raises UserError for anything else, an amount of nothing included.
    """
    money = prices.currency()
    examples = EXAMPLES.format(money)
    found = AMOUNT.fullmatch(text)
    if not found:
        raise UserError(f"budget '{text}' cannot be read; write {examples}")
    digits, scale, name = found.groups()
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
    if not text:
        return
    if parse(text).unit == prices.currency():
        for model in models:
            _price(model)


class Budget:
    """What may be spent and what was; use `of_run`."""

    def __init__(self, amount: Amount, spent: Iterable[Record] = ()) -> None:
        self.amount = amount
        self._in_flight: dict[str, Request] = {}
        self._longer: dict[str, float] = {}  # by model: most that its prompts exceed the count
        self.spent = math.fsum(map(self._cost, spent))

    @classmethod
    def of_run(cls, text: str, records: Path) -> Self | None:
        """Return the budget `text` of the run with these records; None for ''.

        Raises UserError for a text that is no budget and records that cannot be read.
        """
        if not text:
            return None
        return cls(parse(text), read(records) if records.exists() else ())

    def admit(self, request: Request) -> None:
        """Set aside what a request can cost at most; BudgetReached when that is not left."""
        open_requests = (*self._in_flight.values(), request)
        if self.spent + math.fsum(map(self._most, open_requests)) > self.amount.number + 1e-9:
            raise BudgetReached(
                f"the budget of {self.amount} is reached: this run has spent "
                f"{self.spent:,.4g} {self.amount.unit} and the next request could pass it; all "
                "answers are recorded, run the same command with a larger budget to continue"
            )
        self._in_flight[request.key] = request

    def note(self, record: Record) -> None:
        """Count what a request did cost, now that its record is written."""
        self._in_flight.pop(record["key"], None)
        self.spent += self._cost(record)

    def _most(self, request: Request) -> float:
        if self.amount.unit == "requests":
            return 1.0
        about = prices.tokens_of(request.messages) * self._longer.get(request.model, 1.0)
        return self._worth(request.model, about, request.max_tokens)

    def _cost(self, record: Record) -> float:
        """Return what a record has cost; where usage is not told, about."""
        if self.amount.unit == "requests":
            return 1.0
        model = record.get("model", "")
        about = prices.tokens_of(record.get("messages") or ())
        prompt, said = record.get("prompt_tokens"), record.get("completion_tokens")
        if prompt is not None:
            self._longer[model] = max(self._longer.get(model, 1.0), prompt / max(about, 1.0))
        if said is None:
            said = len(record.get("text") or "") / prices.CHARACTERS_PER_TOKEN
        return self._worth(model, about if prompt is None else prompt, said)

    def _worth(self, model: str, prompt: float, completion: float) -> float:
        """Return tokens of a request in the unit of the budget, tokens or money."""
        if self.amount.unit == "tokens":
            return prompt + completion
        return _price(model).of(prompt, completion)


def _price(model: str) -> prices.Price:
    price = prices.price_of(model)
    if price is None:
        raise UserError(
            f"{model} has no price in data/prices.toml; add one, or set the budget in requests "
            "or tokens"
        )
    return price
