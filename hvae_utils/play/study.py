"""A study: factors -> conditions. Pure; asks nobody and reads only the project's data files.

A condition fixes every factor, the repeat included, so one condition is administered once.
Factors that make no difference are folded together: without a value there is no induction to
vary, and a chat model that decodes greedily says the same in every repeat.

Public names: Study, conditions, listed, levels, check_number.
"""

import hashlib
import itertools
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any

import pandas as pd

from hvae_utils.ask import models, prompts
from hvae_utils.errors import UserError, brief, unknown
from hvae_utils.measure import factors, instruments, values


@dataclass(frozen=True)
class Study:
    """The factors of a study, every list crossed with every other; checked when it is made.

    models: respondent names; values: assigned values; goal_prompts: arms without and with the
    model's own goal; inductions, placements, protocols, orders, labels: see `factors`; wordings:
    prompt packs; repeats: administrations of each condition; readout: whether an answer is the text
    or, where the endpoint gives them, the probabilities of all options; temperature: of every
    request, 0 is greedy; seed: from which every request's seed is drawn.
    Raises UserError naming the choices when a name is unknown or a number out of range.
    """

    models: tuple[str, ...]
    values: tuple[str, ...] = ("altruistic", "prosocial", "individualistic", "competitive", "none")
    goal_prompts: tuple[bool, ...] = (False, True)
    inductions: tuple[str, ...] = ("self_description",)
    placements: tuple[str, ...] = ("dialogue",)
    protocols: tuple[str, ...] = ("independent",)
    wordings: tuple[str, ...] = ("plain",)
    orders: tuple[str, ...] = ("fixed",)
    labels: tuple[str, ...] = ("A-I",)
    repeats: int = 1
    instrument: str = "svo-slider"
    readout: str = "text"
    temperature: float = 0.0
    seed: int = 20230524

    def __post_init__(self) -> None:
        for field in fields(self):
            if str(field.type).startswith("tuple"):
                object.__setattr__(self, field.name, levels(field.name, getattr(self, field.name)))
        checks = (
            ("value", self.values, values.names()),
            ("goal_prompt", self.goal_prompts, (False, True)),
            ("induction", self.inductions, factors.INDUCTIONS),
            ("placement", self.placements, factors.PLACEMENTS),
            ("protocol", self.protocols, factors.PROTOCOLS),
            ("wording", self.wordings, prompts.names()),
            ("order", self.orders, factors.ORDERS),
            ("label set", self.labels, factors.LABEL_SETS),
            ("readout", (self.readout,), factors.READOUTS),
        )
        for what, given, choices in checks:
            for name in given:
                if name not in choices:
                    raise unknown(what, name, map(str, choices))
        for name in self.models:
            models.check_name(name)
        for wording in self.wordings:
            prompts.load(wording)
        self._check_together()
        check_number("repeats", self.repeats, 1, 10_000, whole=True)
        check_number("temperature", self.temperature, 0, 2)
        check_number("seed", self.seed, 0, 2**31 - 1, whole=True)

    def _check_together(self) -> None:
        """Raise UserError for factors that are right one by one and wrong together."""
        instrument = instruments.load(self.instrument)
        if not 2 <= instrument.options <= factors.MOST_OPTIONS:
            raise UserError(
                f"instrument '{self.instrument}' has {instrument.options} options an item; "
                f"there are labels for 2 to {factors.MOST_OPTIONS}"
            )
        assigned = [values.get(name) for name in self.values]
        for value in assigned:
            if "definition" in self.inductions and value.word and not value.definition:
                raise UserError(f"value '{value.name}' has no definition for that induction")
        if self.readout == "probabilities" and "conversation" in self.protocols:
            raise UserError(
                "readout 'probabilities' needs items in separate contexts; "
                "take protocol 'independent'"
            )
        as_published = self.orders == ("fixed",) and self.labels == ("A-I",)
        for wording in self.wordings:
            if prompts.load(wording).items and not as_published:
                raise UserError(
                    f"wording '{wording}' is imported and can only be shown in its own order "
                    "with its own letters; take orders fixed and labels A-I"
                )


def conditions(study: Study) -> pd.DataFrame:
    """Return one row a condition, in the order that lets neighbours share a prompt prefix.

    Columns: condition_id (12 hex digits of the factors' hash), model, value, goal_prompt,
    induction, placement, protocol, wording, order, labels, repeat (from 1), instrument, readout,
    temperature, seed.
    """
    rows = [dict(row) for row in dict.fromkeys(_factor_rows(study))]
    for row in rows:
        text = json.dumps(row, sort_keys=True)
        row["condition_id"] = hashlib.sha256(text.encode()).hexdigest()[:12]
    frame = pd.DataFrame(rows)
    return frame[["condition_id", *frame.columns.drop("condition_id")]]


def _factor_rows(study: Study) -> Iterator[tuple[tuple[str, Any], ...]]:
    options = instruments.load(study.instrument).options
    crossed = itertools.product(
        study.models,
        study.protocols,
        study.wordings,
        study.placements,
        study.inductions,
        study.values,
        range(1, study.repeats + 1),
        study.goal_prompts,
        study.labels,
        [name for order in study.orders for name in factors.order_names(order, options)],
    )
    for (
        model,
        protocol,
        wording,
        placement,
        induction,
        value,
        repeat,
        goal,
        labels,
        order,
    ) in crossed:
        if study.temperature == 0 and repeat > 1 and not model.startswith("reference/"):
            continue
        if not values.get(value).word:
            placement = induction = "none"
        row = {
            "model": model,
            "value": value,
            "goal_prompt": goal,
            "induction": induction,
            "placement": placement,
            "protocol": protocol,
            "wording": wording,
            "order": order,
            "labels": labels,
            "repeat": repeat,
            "instrument": study.instrument,
            "readout": study.readout,
            "temperature": float(study.temperature),
            "seed": study.seed,
        }
        yield tuple(row.items())


def listed(name: str, text: str) -> list[str]:
    """Return the items of a list as people write it, `a,b` or `[a, b]`, in JSON too; all texts.

    Raises UserError, naming `name`, for brackets that hold no list of names.
    """
    if not text.lstrip().startswith("["):
        return [item.strip() for item in text.split(",") if item.strip()]
    import yaml  # JSON is YAML

    try:
        items = yaml.load(text, Loader=yaml.BaseLoader)  # scalars stay text, nothing is built
    except (yaml.YAMLError, RecursionError):
        items = None
    if not isinstance(items, list) or not all(isinstance(item, str) for item in items):
        raise UserError(f"{name}={brief(text)}: the list cannot be read; write a,b or [a, b]")
    return items


def levels(name: str, given: Any, empty: bool = False) -> tuple[Any, ...]:
    """Return a factor's levels as a tuple, of a list or of a text as `listed` takes it.

    empty: whether there may be none. Raises UserError for none and for one that comes twice.
    """
    if isinstance(given, str):
        given = listed(name, given)
        if name == "goal_prompts":
            given = [{"true": True, "false": False}.get(item.lower(), item) for item in given]
    found = (given,) if isinstance(given, bool) else tuple(given)
    if not (found or empty):
        raise UserError(f"{name} is empty; name at least one")
    repeated = sorted(level for level, count in Counter(map(str, found)).items() if count > 1)
    if repeated:
        raise UserError(f"{name} names {', '.join(repeated)} more than once")
    return found


def check_number(name: str, given: Any, low: float, high: float, whole: bool = False) -> None:
    """Raise UserError unless `given` is a number, whole where wanted, from `low` to `high`."""
    kinds = int if whole else (int, float)
    if isinstance(given, bool) or not isinstance(given, kinds) or not low <= given <= high:
        kind = "a whole number" if whole else "a number"
        raise UserError(f"{name} is {brief(given)}; it must be {kind} from {low} to {high}")
