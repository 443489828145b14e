"""Instruments: the items of a measure and their payoffs, and isomorphic forms of them.

An instrument is two files of `data/instruments`: NAME.csv (item, option, self, other) and NAME.toml
(title, source and what scoring needs to know). Files with a mistake are refused with its place.

An isomorphic form keeps the choices and changes the surface: other stakes (`scaled`, `shifted`),
the other's number first (`swapped`), another word for coins (`renamed`), another order of the items
(`permuted`). Whoever weighs the payoffs keeps its angle. Item orders detect memorised letters,
changed amounts memorised numbers, swapped columns whoever takes the first number for its own.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from hvae_utils import files, paths
from hvae_utils.errors import UserError, unknown

COLUMNS = ("item", "option", "self", "other")
IDEALS = ("A", "P", "I", "C")  # altruist, prosocial, individualist, competitor


@dataclass(frozen=True, eq=False)
class Instrument:
    """A measure: what each option of each item gives to oneself and to the other.

    payoffs: float array (items, options, 2), (self, other) in coins, read-only.
    items: published item numbers; option 1 of the files is index 0 here.
    origin: (self, other) in coins, the point the angle is measured from.
    ends: per item the ideal respondents at its first and last option, such as ("P", "C");
        None where the measure defines none, hence no transitivity.
    boundaries: degrees, the lower bounds of the first three categories of `svo.CATEGORIES`,
        falling; None where the measure defines no angle.
    rounding: coins; printed payoffs are rounded, so an item whose utilities all lie this close is
        level: it prefers no option.
    goods: the plural of what is given. other_first: whether the other's number is shown first.
    """

    name: str
    title: str
    source: str
    payoffs: np.ndarray
    items: tuple[int, ...]
    origin: tuple[float, float]
    ends: tuple[tuple[str, str], ...] | None
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
    instrument = _load(paths.DATA / "instruments" / f"{base}.csv")
    for change in changes:
        kind, _, amount = change.partition("-")
        if kind not in _CHANGES:
            raise unknown("change of an instrument", kind, _CHANGES)
        try:
            instrument = _CHANGES[kind](instrument, amount)
        except UserError:
            raise
        except ValueError:
            raise UserError(f"instrument '{name}': '{change}' cannot be read") from None
    return instrument


def read(items: Path) -> Instrument:
    """Return the instrument of an items file (.csv) and the .toml beside it, wherever they lie."""
    notes = files.read_toml(items.with_suffix(".toml"))
    numbers, payoffs = _read_payoffs(items)
    fields = _checked(paths.shown(items.with_suffix(".toml")), notes, len(numbers))
    return Instrument(name=items.stem, payoffs=payoffs, items=numbers, **fields)


_load = lru_cache(read)


def scaled(instrument: Instrument, factor: float) -> Instrument:
    """Return the instrument with all stakes times `factor`; UserError unless it is above 0."""
    factor = _number("factor", factor)
    if factor <= 0:
        raise UserError(f"the factor of the stakes must be above 0, not {factor:g}")
    return _changed(
        instrument,
        f"scaled-{_written(factor)}",
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
    return _changed(instrument, f"shifted-{_written(amount)}", payoffs=payoffs, origin=origin)


def swapped(instrument: Instrument) -> Instrument:
    """Return the instrument shown with the other column first; its payoffs stay (self, other)."""
    return _changed(instrument, "swapped", other_first=not instrument.other_first)


def renamed(instrument: Instrument, goods: str) -> Instrument:
    """Return the instrument with `goods` (a plural, one word of letters) in place of "coins"."""
    if not isinstance(goods, str) or not goods.isalpha():
        raise UserError(f"goods must be one word of letters, as in 'points', not {goods!r}")
    return _changed(instrument, f"renamed-{goods}", goods=goods)


def permuted(instrument: Instrument, order: Sequence[int]) -> Instrument:
    """Return the instrument with its items in another order.

    order: order[k] is the row, from 0, of the item that comes in place k. Items keep their
    published numbers. UserError unless every row is named once.
    """
    count, ends = len(instrument.items), instrument.ends
    rows = [int(row) if isinstance(row, int | np.integer) else -1 for row in order]
    if sorted(rows) != list(range(count)):
        raise UserError(f"order {order!r} must name each item from 0 to {count - 1} once")
    return _changed(
        instrument,
        "permuted-" + "-".join(str(row + 1) for row in rows),
        payoffs=instrument.payoffs[rows],
        items=tuple(instrument.items[row] for row in rows),
        ends=None if ends is None else tuple(ends[row] for row in rows),
    )


# change -> function of an instrument and of the text after the first dash of the change's name
_CHANGES = {
    "scaled": lambda instrument, text: scaled(instrument, float(text)),
    "shifted": lambda instrument, text: shifted(instrument, float(text)),
    "swapped": lambda instrument, text: swapped(instrument),
    "renamed": renamed,
    "permuted": lambda instrument, text: permuted(
        instrument, [int(place) - 1 for place in text.split("-")]
    ),
}


def _changed(instrument: Instrument, change: str, **fields: Any) -> Instrument:
    if "payoffs" in fields:
        fields["payoffs"].flags.writeable = False
    return replace(instrument, name=f"{instrument.name}+{change}", **fields)


def _number(what: str, value: Any) -> float:
    if isinstance(value, bool | str) or not np.isscalar(value) or not math.isfinite(value):
        raise UserError(f"the {what} must be a finite number, not {value!r}")
    return float(value)


def _written(number: float) -> str:
    """Return the shortest text that reads as this number again, without a plus sign."""
    short = f"{number:g}"
    return (short if float(short) == number else repr(number)).replace("+", "")


def _checked(where: str, notes: Mapping[str, Any], items: int) -> dict[str, Any]:
    """Return the fields of a .toml, for so many items; lists become tuples."""
    letters = ", ".join(IDEALS)
    wanted = {
        "title": (_is_text, "a text"),
        "source": (_is_text, "a text"),
        "origin": (_are_numbers, "2 finite numbers, the point (self, other) of no angle"),
        "rounding": (lambda x: files.finite(x) and x >= 0, "a number of coins, not negative"),
        "boundaries": (_are_falling, "3 numbers that fall, as in [57.15, 22.45, -12.04]"),
        "ends": (
            lambda x: isinstance(x, list) and len(x) == items and all(map(_are_ends, x)),
            f"{items} pairs, one an item, of two different letters of {letters}",
        ),
    }
    for key in notes:
        if key not in wanted:
            raise UserError(f"{where}: {unknown('key', key, sorted(wanted))}")
    fields = {"boundaries": None, "ends": None, "rounding": 1.0} | notes
    for key, (right, what) in wanted.items():
        absent = key in ("boundaries", "ends") and key not in notes
        if not absent and not right(fields.get(key)):
            raise UserError(f"{where}: '{key}' must be {what}")
    for key in ("origin", "boundaries", "ends"):
        fields[key] = _as_tuples(fields[key])
    return fields


def _is_text(field: Any) -> bool:
    return isinstance(field, str) and bool(field.strip())


def _are_numbers(field: Any, count: int = 2) -> bool:
    return isinstance(field, list) and len(field) == count and all(map(files.finite, field))


def _are_falling(field: Any) -> bool:
    return _are_numbers(field, 3) and field[0] > field[1] > field[2]


def _are_ends(field: Any) -> bool:
    return field in [[a, b] for a in IDEALS for b in IDEALS if a != b]


def _as_tuples(field: Any) -> Any:
    return tuple(map(_as_tuples, field)) if isinstance(field, list) else field


def _read_payoffs(path: Path) -> tuple[tuple[int, ...], np.ndarray]:
    """Return the item numbers in the file's order and the payoffs (items, options, 2)."""
    where = paths.shown(path)
    try:
        rows = pd.read_csv(path, encoding="utf-8-sig", dtype=str, skipinitialspace=True)
    except OSError as error:
        raise UserError(f"{where}: cannot be read ({error.strerror})") from None
    except pd.errors.EmptyDataError:
        rows = pd.DataFrame()
    except ValueError as error:  # ragged, or no text
        raise UserError(f"{where}: is not a CSV file in UTF-8 ({str(error).strip()})") from None
    header = [str(name).strip() for name in rows]
    if sorted(header) != sorted(COLUMNS) or list(rows.index) != list(range(len(rows))):
        raise UserError(
            f"{where}: the columns must be {', '.join(COLUMNS)}; "
            f"found {', '.join(header) or 'an empty file'}"
        )
    if rows.empty:
        raise UserError(f"{where}: holds no item")
    table = rows.set_axis(header, axis=1).apply(pd.to_numeric, errors="coerce")
    whole = table[["item", "option"]] % 1 == 0
    finite = table[["self", "other"]].abs() <= files.LARGEST
    twice = table.duplicated(["item", "option"])
    for wrong, what in (
        (~whole.all(axis=1), "item and option must be whole numbers"),
        (~finite.all(axis=1), "self and other must be finite numbers of coins"),
        (table["option"] < 1, "options count from 1"),
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
            f"{where}: item {item} lacks option {option}; every item needs options 1 to "
            f"{options[-1]}"
        )
    grid = payoffs.to_numpy(float).reshape(len(items), len(options), 2)
    grid.flags.writeable = False
    return tuple(items.tolist()), grid
