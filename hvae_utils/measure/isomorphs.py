"""Isomorphic instruments: the same choices in another dress, for finding who recites.

A respondent that knows the published items by heart need not look at what it is shown. Each
isomorph changes the surface and leaves every ideal answer where it was, so whoever acts on the
payoffs keeps its angle. The instrument carries the changed origin and rounding with it, so
`svo.score` is right for each; a scorer with the origin 50 written into it is not.

What a changed surface can find: items in another order find a respondent that recites letters,
changed amounts one that looks for known numbers, swapped columns one that reads the first number
as its own because it always was. Letters recited in the published item order survive everything
but `permuted`.

Payoffs are (self, other) in every isomorph, whatever is printed first: the scorer sees one
meaning. What only the prompt shows, the word for the goods and which column comes first, are the
two fields that `Isomorph` adds; `printed` gives the numbers in the order of the columns. This
module must never word a prompt.

Public names: Isomorph, scaled, shifted, swapped, renamed, permuted, printed, everyone, load.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from hvae_utils.errors import UserError, unknown
from hvae_utils.measure import instruments
from hvae_utils.measure.instruments import Instrument

_HALF, _TENFOLD, _SHIFT = 0.5, 10.0, 20.0
_GOODS = ("points", "tokens")


@dataclass(frozen=True, eq=False)
class Isomorph(Instrument):
    """An instrument and how it is shown.

    name: the instrument's name and what was done to it, readable by `load`.
    goods: the plural of what is given, said instead of "coins".
    other_first: whether the first number shown is the other's.
    """

    goods: str = "coins"
    other_first: bool = False


def scaled(instrument: Instrument, factor: float) -> Isomorph:
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


def shifted(instrument: Instrument, amount: float) -> Isomorph:
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


def swapped(instrument: Instrument) -> Isomorph:
    """Return the instrument shown with the other column first; its payoffs stay (self, other)."""
    first = getattr(instrument, "other_first", False)
    return _changed(instrument, "swapped", other_first=not first)


def renamed(instrument: Instrument, goods: str) -> Isomorph:
    """Return the instrument with `goods` (a plural, one word of letters) said for "coins"."""
    if not isinstance(goods, str) or not goods.isalpha():
        raise UserError(f"goods must be one word of letters, as in 'points', not {goods!r}")
    return _changed(instrument, f"renamed-{goods}", goods=goods)


def permuted(instrument: Instrument, order: Sequence[int]) -> Isomorph:
    """Return the instrument with its items in another order.

    order: order[k] is the row, from 0, of the item that comes in place k. Items keep their
    published numbers. UserError unless every row is named once.
    """
    count = len(instrument.items)
    rows = [int(row) if isinstance(row, int | np.integer) else -1 for row in order]
    if sorted(rows) != list(range(count)):
        raise UserError(f"order {order!r} must name each item from 0 to {count - 1} once")
    items, ends = instrument.items, instrument.ends
    return _changed(
        instrument,
        "permuted-" + "-".join(str(row + 1) for row in rows),
        payoffs=instrument.payoffs[rows],
        items=tuple(items[row] for row in rows),
        ends=None if ends is None else tuple(ends[row] for row in rows),
    )


def printed(instrument: Instrument) -> np.ndarray:
    """Return the payoffs (items, options, 2) in the order in which the two numbers are shown."""
    return instrument.payoffs[..., :: -1 if getattr(instrument, "other_first", False) else 1]


def everyone(instrument: Instrument, seed: int = 0) -> dict[str, Isomorph]:
    """Return the standard set: what was done to the instrument -> the isomorph.

    Half and tenfold stakes, 20 more for both, swapped columns, two other goods, another item
    order, and all of these at once. The order is drawn from `seed`, with no item in its place;
    the default one moves whoever recites an ideal respondent's letters by 14 degrees or more.
    """
    order = _derangement(len(instrument.items), np.random.default_rng(seed))
    single = [
        scaled(instrument, _HALF),
        scaled(instrument, _TENFOLD),
        shifted(instrument, _SHIFT),
        swapped(instrument),
        *(renamed(instrument, goods) for goods in _GOODS),
        permuted(instrument, order),
    ]
    together = permuted(
        renamed(swapped(shifted(scaled(instrument, _HALF), _SHIFT)), _GOODS[0]), order
    )
    return {one.name.removeprefix(f"{instrument.name}+"): one for one in (*single, together)}


def load(name: str) -> Instrument:
    """Return the instrument of a name such as `svo-slider` or `svo-slider+scaled-0.5+swapped`.

    The changes are made from left to right. UserError for a name that cannot be read.
    """
    base, *changes = name.split("+")
    instrument = instruments.load(base)
    for change in changes:
        kind, _, told = change.partition("-")
        if kind not in _CHANGES:
            raise unknown("change of an instrument", kind, _CHANGES)
        try:
            instrument = _CHANGES[kind](instrument, told)
        except UserError:
            raise
        except ValueError:
            raise UserError(f"instrument '{name}': '{change}' cannot be read") from None
    return instrument


_CHANGES = {
    "scaled": lambda instrument, told: scaled(instrument, float(told)),
    "shifted": lambda instrument, told: shifted(instrument, float(told)),
    "swapped": lambda instrument, told: swapped(instrument),
    "renamed": renamed,
    "permuted": lambda instrument, told: permuted(
        instrument, [int(place) - 1 for place in told.split("-")]
    ),
}


def _changed(instrument: Instrument, change: str, **what: Any) -> Isomorph:
    if not isinstance(instrument, Isomorph):
        instrument = Isomorph(**{f.name: getattr(instrument, f.name) for f in fields(instrument)})
    if "payoffs" in what:
        what["payoffs"].flags.writeable = False
    return replace(instrument, name=f"{instrument.name}+{change}", **what)


def _number(what: str, given: Any) -> float:
    if isinstance(given, bool | str) or not np.isscalar(given) or not math.isfinite(given):
        raise UserError(f"the {what} must be a finite number, not {given!r}")
    return float(given)


def _written(number: float) -> str:
    """Return the shortest text that reads as this number again, without a plus sign."""
    short = f"{number:g}"
    return (short if float(short) == number else repr(number)).replace("+", "")


def _derangement(count: int, rng: np.random.Generator) -> list[int]:
    """Return a random order in which no item keeps its place; a single item has no other."""
    if count < 2:
        return list(range(count))
    while True:
        order = rng.permutation(count)
        if (order != np.arange(count)).all():
            return order.tolist()
