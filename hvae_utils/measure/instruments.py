"""Instruments: the items of a measure and their payoffs, and isomorphic forms of them.

An instrument is two files of `data/instruments`: NAME.csv (item, option, self, other) and NAME.toml
(title, source and what scoring needs to know).

An isomorphic form keeps the choices and changes the surface: stakes, which number comes first, the
word for coins, order of the items. Whoever weighs the payoffs keeps its angle. Item orders detect
memorised letters, changed amounts memorised numbers, swapped columns whoever takes the first number
for its own.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from hvae_utils import files, paths
from hvae_utils.errors import UserError, brief, unknown

COLUMNS = ("item", "option", "self", "other")
IDEALS = ("A", "P", "I", "C")  # altruist, prosocial, individualist, competitor
_FOR_READERS = ("title", "source")  # of the .toml; scoring does not need them


@dataclass(frozen=True, eq=False)
class Instrument:
    """A measure: what each option of each item gives to oneself and to the other.

    payoffs: float array (items, options, 2), (self, other) in coins, read-only.
    items: published item numbers; option 1 of the files is index 0 here.
    origin: (self, other) in coins, the point the angle is measured from.
    ends: per item the ideal respondents at its first and last option, such as ("P", "C");
        None where the measure defines no transitivity.
    boundaries: degrees, the lower bounds of the first three categories of `svo.CATEGORIES`,
        falling; None where the measure defines no angle.
    rounding: coins; an item whose utilities all lie this close prefers no option.
    goods: the plural of what is given. other_first: whether the other's number is shown first.
    """

    name: str
    payoffs: np.ndarray
    items: tuple[int, ...]
    origin: tuple[float, float]
    ends: tuple[tuple[str, str], ...] | None = None
    boundaries: tuple[float, float, float] | None = None
    rounding: float = 1.0
    goods: str = "coins"
    other_first: bool = False

    @property
    def options(self) -> int:
        """Return how many options each item has."""
        return self.payoffs.shape[1]

    @property
    def printed(self) -> np.ndarray:
        """Return the payoffs (items, options, 2) in the order in which the numbers are shown."""
        return self.payoffs[..., :: -1 if self.other_first else 1]


def names() -> list[str]:
    """Return the names of the instruments in `data/instruments`, sorted."""
    return sorted(path.stem for path in (paths.DATA / "instruments").glob("*.toml"))


def load(name: str) -> Instrument:
    """Return the instrument called `name`, or an isomorphic form of it; changes go left to right.

    UserError for an unknown name or change, and for malformed files.

    >>> load("svo-slider").payoffs.shape
    (6, 9, 2)
    >>> load("svo-slider+scaled-2").origin
    (100.0, 100.0)
    """
    base, *changes = name.split("+")
    if base not in names():
        raise unknown("instrument", base, names())
    return _load(paths.DATA / "instruments" / f"{base}.csv", *changes)


def read(items: Path) -> Instrument:
    """Return the instrument of an items file (.csv) and the .toml beside it, wherever they lie."""
    notes = files.read_toml(items.with_suffix(".toml"))
    numbers, payoffs = _read_payoffs(items)
    fields = _checked(paths.shown(items.with_suffix(".toml")), notes, len(numbers))
    return Instrument(items.stem, payoffs, numbers, **fields)


@lru_cache
def _load(items: Path, *changes: str) -> Instrument:
    if not changes:
        return read(items)
    kind, _, amount = changes[-1].partition("-")
    if kind not in _CHANGES:
        raise unknown("change of an instrument", kind, _CHANGES)
    return _CHANGES[kind](_load(items, *changes[:-1]), amount)


def scaled(instrument: Instrument, factor: float) -> Instrument:
    """Return the instrument with all stakes times `factor`; UserError unless it is above 0."""
    factor = _number("factor", factor)
    if factor <= 0:
        raise UserError(f"the factor of the stakes must be above 0, not {factor:g}")
    return _changed(
        instrument,
        f"scaled-{np.format_float_positional(factor, trim='-')}",
        payoffs=instrument.payoffs * factor,
        origin=tuple(x * factor for x in instrument.origin),
        rounding=instrument.rounding * factor,
    )


def shifted(instrument: Instrument, amount: float) -> Instrument:
    """Return the instrument with `amount` more for both in every option.

    The angle is kept by whoever has a linear utility, and by others perhaps not.
    UserError where a payoff would fall below 0: a loss is another question than a gain.
    """
    amount = _number("amount", amount)
    payoffs = instrument.payoffs + amount
    if payoffs.min() < 0:
        raise UserError(
            f"a shift by {amount:g} makes a payoff negative; the smallest possible for "
            f"'{instrument.name}' is {-instrument.payoffs.min():g}"
        )
    origin = tuple(x + amount for x in instrument.origin)
    change = f"shifted-{np.format_float_positional(amount, trim='-')}"
    return _changed(instrument, change, payoffs=payoffs, origin=origin)


def swapped(instrument: Instrument) -> Instrument:
    """Return the instrument shown with the other column first; its payoffs stay (self, other)."""
    return _changed(instrument, "swapped", other_first=not instrument.other_first)


def renamed(instrument: Instrument, goods: str) -> Instrument:
    """Return the instrument with `goods` (a plural, one word of letters) in place of "coins"."""
    if not isinstance(goods, str) or not goods.isalpha():
        raise UserError(f"goods must be one word of letters, as in 'points', not {brief(goods)}")
    return _changed(instrument, f"renamed-{goods}", goods=goods)


def permuted(instrument: Instrument, order: Sequence[int]) -> Instrument:
    """Return the instrument with its items in another order.

    order: order[k] is the row, from 0, of the item that comes in place k. Items keep their
    published numbers. UserError unless every row is named once.
    """
    rows, ends = list(order), instrument.ends
    if sorted(rows) != list(range(len(instrument.items))):
        raise UserError(
            f"a new order must name each of the {len(instrument.items)} items of "
            f"'{instrument.name}' once"
        )
    return _changed(
        instrument,
        "permuted-" + "-".join(str(row + 1) for row in rows),
        payoffs=instrument.payoffs[rows],
        items=tuple(instrument.items[row] for row in rows),
        ends=ends and tuple(ends[row] for row in rows),
    )


def _permuted(instrument: Instrument, places: str) -> Instrument:
    """Return `permuted` of an order written as in its name, such as 4-3-6-5-1-2."""
    rows = {str(row + 1): row for row in range(len(instrument.items))}
    return permuted(instrument, [rows.get(place, -1) for place in places.split("-")])


# change -> function of an instrument and of the text after the first dash of the change's name
_CHANGES = {
    "scaled": scaled,
    "shifted": shifted,
    "swapped": lambda instrument, _: swapped(instrument),
    "renamed": renamed,
    "permuted": _permuted,
}


def _changed(instrument: Instrument, change: str, **fields: Any) -> Instrument:
    if "payoffs" in fields:
        fields["payoffs"].flags.writeable = False
    return replace(instrument, name=f"{instrument.name}+{change}", **fields)


def _number(what: str, value: float | str) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise UserError(f"the {what} must be a finite number, not {brief(value)}")
    return number


def _checked(where: str, notes: Mapping[str, Any], items: int) -> dict[str, Any]:
    """Return the fields of a .toml, for so many items; lists become tuples."""
    pairs = [[*pair] for pair in permutations(IDEALS, 2)]
    wanted = {
        "origin": (_are_numbers, "2 finite numbers, the point (self, other) of no angle"),
        "rounding": (lambda x: files.finite(x) and x >= 0, "a number of coins, not negative"),
        "boundaries": (
            lambda x: _are_numbers(x, 3) and x[0] > x[1] > x[2],
            "3 numbers that fall, as in [57.15, 22.45, -12.04]",
        ),
        "ends": (
            lambda x: isinstance(x, list) and len(x) == items and all(end in pairs for end in x),
            f"{items} pairs, one an item, of two different letters of {', '.join(IDEALS)}",
        ),
    }
    files.known_keys(where, notes, sorted((*wanted, *_FOR_READERS)))
    for key, (right, what) in wanted.items():
        if (key in notes or key == "origin") and not right(notes.get(key)):
            raise UserError(f"{where}: '{key}' must be {what}")
    return {key: _as_tuples(notes[key]) for key in wanted if key in notes}


def _are_numbers(field: Any, count: int = 2) -> bool:
    return isinstance(field, list) and len(field) == count and all(map(files.finite, field))


def _as_tuples(field: Any) -> Any:
    return tuple(map(_as_tuples, field)) if isinstance(field, list) else field


def _read_payoffs(path: Path) -> tuple[tuple[int, ...], np.ndarray]:
    """Return the item numbers in the file's order and the payoffs (items, options, 2)."""
    where = paths.shown(path)
    try:
        rows = pd.read_csv(path, encoding="utf-8-sig", dtype=str, skipinitialspace=True)
    except (OSError, ValueError) as error:  # unreadable, empty, ragged or not UTF-8
        reason = files.one_line(getattr(error, "strerror", error))
        raise UserError(f"{where}: cannot be read ({reason})") from None
    header = [str(name).strip() for name in rows]
    if sorted(header) != sorted(COLUMNS) or list(rows.index) != list(range(len(rows) or 1)):
        raise UserError(
            f"{where}: the columns must be {', '.join(COLUMNS)}, with a line for each option; "
            f"found {len(rows)} lines of {', '.join(header)}"
        )
    table = rows.set_axis(header, axis=1).apply(pd.to_numeric, errors="coerce")
    whole = (table[["item", "option"]] % 1 == 0).all(axis=1) & (table["option"] > 0)
    finite = (table[["self", "other"]].abs() <= files.LARGEST).all(axis=1)
    twice = table.duplicated(["item", "option"])
    for wrong, what in (
        (~whole, "item and option must be whole numbers, and options count from 1"),
        (~finite, "self and other must be finite numbers of coins"),
        (twice, "the item and option of an earlier line"),
    ):
        if wrong.any():
            raise UserError(f"{where}, line {int(wrong.idxmax()) + 2}: {what}")
    return _grid(where, table)


def _grid(where: str, table: pd.DataFrame) -> tuple[tuple[int, ...], np.ndarray]:
    """Arrange the rows as items x options; every item must have options 1 to the same number."""
    items = table["item"].astype(int).unique()
    options = np.arange(1, max(2, int(table["option"].max())) + 1)
    cells = pd.MultiIndex.from_product([items, options], names=["item", "option"])
    payoffs = table.set_index(["item", "option"]).reindex(cells)[["self", "other"]]
    if (lacking := payoffs["self"].isna()).any():
        item, option = lacking.idxmax()
        raise UserError(
            f"{where}: item {item} lacks option {option}; all need options 1 to {options[-1]}"
        )
    grid = payoffs.to_numpy(float).reshape(len(items), len(options), 2)
    grid.flags.writeable = False
    return tuple(items.tolist()), grid
