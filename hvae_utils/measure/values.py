"""The values a respondent can be assigned, read from `data/values.toml`.

A value is a word, a definition, a utility over payoffs (what its ideal respondent maximises) and
the angles such respondents reach on the published items. A value may be added to the file. Beside
them stand graded weights, made of a number (`weighted`): how many own coins one of the other
person's is worth. They have no word that a model could know, only an objective.
"""

import math
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from hvae_utils import files, paths
from hvae_utils.errors import UserError, brief, unknown

WEIGHTS = ("self", "other", "inequality")
_KEYS = (
    *("word", "definition", "objective", "utility"),
    *("target", "target_set", "targets", "source"),
)
_TARGET_KEYS = ("utility", "target_set", "source")
GRADED = "weight "  # begins the names of graded weights
LEAST_WEIGHT, LARGEST_WEIGHT = -1, 10  # and infinity


@dataclass(frozen=True)
class Target:
    """What would satisfy a value: a closed interval of angles (degrees) and a utility."""

    name: str
    low: float
    high: float
    utility: tuple[float, float, float] | None


@dataclass(frozen=True)
class Value:
    """A value: how it is said and which behaviour would satisfy it.

    word: how the value is named to a model; empty for `none`, as is the definition.
    utility: weights on (self, other, -abs(self - other)), coins; None where nothing is maximised.
    target: degrees; the point of the published scale (inferred from the published chart).
    target_set: degrees, the closed interval that ideal respondents reach, ties included.
    others: further readings of the value, each a target with a utility of its own.
    objective: a rule that asks for the utility and names no value; empty where there is none.
    weight: own coins that one of the other person's is worth, of a graded weight; else None.
    """

    name: str
    word: str
    definition: str
    utility: tuple[float, float, float] | None
    target: float | None
    target_set: tuple[float, float] | None
    others: tuple[Target, ...] = ()
    objective: str = ""
    weight: float | None = None

    def targets(self) -> dict[str, Target]:
        """Return the targets by name: "published", "set", then the others; empty if none."""
        if self.target is None or self.target_set is None:
            return {}
        point = Target("published", self.target, self.target, self.utility)
        reached = Target("set", *self.target_set, self.utility)
        return {target.name: target for target in (point, reached, *self.others)}

    def utilities(self, payoffs: ArrayLike) -> np.ndarray:
        """Return the utility (...) of payoffs (..., 2) = (self, other) in coins.

        UserError for a value without a utility.

        >>> get("competitive").utilities([[85, 15], [85, 85]]).tolist()
        [70.0, 0.0]
        """
        if self.utility is None:
            raise UserError(f"value '{self.name}' has no utility: it prefers no payoff to another")
        own, other = np.moveaxis(np.asarray(payoffs, float), -1, 0)
        return np.tensordot(self.utility, np.stack([own, other, -np.abs(own - other)]), axes=1)

    def ideal_options(self, payoffs: ArrayLike, rounding: float = 0.0) -> np.ndarray:
        """Return bool (items, options): which options of payoffs (items, options, 2) are best.

        All, where the utilities of an item agree within `rounding` coins. Errors: as `utilities`.
        """
        utilities = self.utilities(payoffs)
        level = np.ptp(utilities, axis=1, keepdims=True) <= rounding + 1e-9
        return level | (utilities >= utilities.max(axis=1, keepdims=True) - 1e-9)


def names() -> tuple[str, ...]:
    """Return the names of the values in the file's order."""
    return tuple(load())


def load() -> dict[str, Value]:
    """Return the values of `data/values.toml` by name; UserError when the file is malformed."""
    return dict(_read_once(paths.DATA / "values.toml"))


def get(name: str | Value) -> Value:
    """Return the value called `name`, a `Value` unchanged; UserError where there is none.

    >>> get("prosocial").target, get("weight 0.25").utility
    (45.0, (1.0, 0.25, 0.0))
    """
    if isinstance(name, Value):
        return name
    if isinstance(name, str) and name.startswith(GRADED):
        return weighted(name.removeprefix(GRADED))
    by_name = load()
    if name not in by_name:
        raise unknown("value", name, by_name)
    return by_name[name]


def weighted(weight: float | str) -> Value:
    """Return the value to which one coin of the other person is worth so many of one's own.

    weight: -1 to 10, or infinity: only the other person's coins count. A number or its text.
    UserError for anything else.

    >>> weighted(1.5).name, weighted("inf").utility
    ('weight 1.5', (0.0, 1.0, 0.0))
    """
    try:
        number = math.nan if isinstance(weight, bool) else float(weight) + 0.0  # -0 is 0
    except (TypeError, ValueError):
        number = math.nan
    if not (LEAST_WEIGHT <= number <= LARGEST_WEIGHT or number == math.inf):
        ends = f"from {LEAST_WEIGHT} to {LARGEST_WEIGHT}, or inf (only the other person counts)"
        raise UserError(f"a graded weight must be a number {ends}, not {brief(weight)}")
    shown = np.format_float_positional(number, trim="-")
    name = f"{GRADED}{shown}"
    utility = (0.0, 1.0, 0.0) if number == math.inf else (1.0, number, 0.0)
    objective = f"{_exchange(number)} Take the option that is worth the most to you."
    return Value(name, name, "", utility, None, None, objective=objective, weight=number)


def _exchange(weight: float) -> str:
    """Return the sentence that says what a coin of the other person is worth."""
    coins = f"{np.format_float_positional(abs(weight), trim='-')} coin{'s' * (abs(weight) != 1)}"
    if weight == math.inf:
        return (
            "Only the other person's coins are worth anything to you; your own are worth nothing."
        )
    if weight < 0:
        return f"One coin for the other person is as bad for you as losing {coins} of your own."
    return f"One coin for the other person is worth as much to you as {coins} of your own."


def read(path: Path) -> dict[str, Value]:
    """Return the values of a file in the form of `data/values.toml`, checked."""
    where, tables = paths.shown(path), files.read_toml(path)
    if not tables:
        raise UserError(f"{where}: holds no value")
    for name in tables:
        if name in ("", "all") or not name.isprintable() or any(sign in ",[]" for sign in name):
            raise UserError(f"{where}: {name[:40]!r} is no name for a value; write a word")
        if name.startswith(GRADED):
            raise UserError(f"{where}: {name[:40]!r} is the name of a graded weight already")
    return {name: _value(f"{where}, [{name}]", name, table) for name, table in tables.items()}


_read_once = lru_cache(read)


def _value(where: str, name: str, table: Any) -> Value:
    files.known_keys(where, table, _KEYS)
    for key in ("word", "definition"):
        if not isinstance(table.get(key), str):
            raise UserError(f"{where}: '{key}' must be a text")
    objective = table.get("objective", "")
    if not isinstance(objective, str) or (objective.strip() and not table["word"]):
        raise UserError(f"{where}: 'objective' must be a text, of a value that has a word")
    target, ends = table.get("target"), _interval(where, table.get("target_set"))
    absent = target is None and ends is None
    if not absent and not (ends and files.finite(target) and ends[0] <= target <= ends[1]):
        raise UserError(f"{where}: 'target' must be an angle in degrees, in the 'target_set'")
    others = table.get("targets", {})
    if not isinstance(others, dict) or (others and absent):
        raise UserError(f"{where}: 'targets' must be a table of further ones beside a 'target'")
    return Value(
        name=name,
        word=table["word"],
        definition=table["definition"].strip(),
        utility=_utility(where, table.get("utility")),
        target=None if absent else float(target),
        target_set=ends,
        others=tuple(_other(where, key, other) for key, other in others.items()),
        objective=objective.strip(),
    )


def _other(where: str, name: str, table: Any) -> Target:
    if name in ("published", "set"):
        raise UserError(f"{where}: the target '{name}' is 'target' and 'target_set' already")
    where = f"{where}, target '{name}'"
    files.known_keys(where, table, _TARGET_KEYS)
    utility = _utility(where, table.get("utility"))
    if not utility or not (ends := _interval(where, table.get("target_set"))):
        raise UserError(f"{where}: needs a 'utility' and a 'target_set'")
    return Target(name, *ends, utility)


def _utility(where: str, weights: Any) -> tuple[float, float, float] | None:
    if weights is None:
        return None
    files.known_keys(f"{where}, 'utility'", weights, WEIGHTS)
    if not all(map(files.finite, weights.values())) or not any(weights.values()):
        raise UserError(f"{where}: 'utility' needs finite weights, and one other than 0")
    return tuple(float(weights.get(key, 0)) for key in WEIGHTS)


def _interval(where: str, ends: Any) -> tuple[float, float] | None:
    if ends is None:
        return None
    numbers = isinstance(ends, list) and len(ends) == 2 and all(map(files.finite, ends))
    if not numbers or not -180 <= ends[0] <= ends[1] <= 180:
        raise UserError(f"{where}: 'target_set' must be [low, high], in degrees within 180")
    return float(ends[0]), float(ends[1])
