"""Instruments: the items of a measure and their payoffs, and isomorphic forms of them.

An instrument is two files of `data/instruments`: NAME.csv (item, option, self, other; in a game
also what the item states and which act an option is) and NAME.toml (title, source, what scoring
needs to know, and the words of a game in every wording pack).

An isomorphic form keeps the choices and changes the surface: stakes, which number comes first, the
word for coins, order of the items. Whoever weighs the payoffs keeps its angle. Item orders detect
memorised letters, changed amounts memorised numbers, swapped columns whoever takes the first number
for its own.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from hvae_utils import files, paths
from hvae_utils.errors import UserError, brief, unknown
from hvae_utils.measure import game_words
from hvae_utils.measure.game_words import GameWords

COLUMNS = ("item", "option", "self", "other")
OF_GAMES = ("given", "act")  # columns that a game may have besides
IDEALS = ("A", "P", "I", "C")  # altruist, prosocial, individualist, competitor
_FOR_READERS = ("title", "source", "licence")  # of the .toml; scoring does not need them


@dataclass(frozen=True, eq=False)
class Instrument:
    """A measure: what each option of each item gives to oneself and to the other.

    payoffs: float array (items, options, 2), (self, other) in coins, read-only.
    items: published item numbers; option 1 of the files is index 0 here.
    origin: (self, other) in coins, the point the angle is measured from; None without an angle.
    ends: per item the ideal respondents at its first and last option, such as ("P", "C");
        None where the measure defines no transitivity.
    boundaries: degrees, the lower bounds of the first three categories of `svo.CATEGORIES`,
        falling; None where the measure defines no angle.
    rounding: coins; an item whose utilities all lie this close prefers no option.
    goods: the plural of what is given. other_first: whether the other's number is shown first.
    own_accounts: whether both amounts are one's own, so that every value prefers the larger sum.
    criterion: best choices of one value at which an administration is classified; 0 for none.
    given: float array (items,), coins that the item states, what the other person did; None
        without. acts: float array (items, options), coins that one sends back or contributes, or
        the number of the option's name in `words`; None without.
    words: how the game is told, by wording pack; empty where the packs' own task tells it.
    """

    name: str
    payoffs: np.ndarray
    items: tuple[int, ...]
    origin: tuple[float, float] | None = None
    ends: tuple[tuple[str, str], ...] | None = None
    boundaries: tuple[float, float, float] | None = None
    rounding: float = 1.0
    goods: str = "coins"
    other_first: bool = False
    own_accounts: bool = False
    criterion: int = 0
    given: np.ndarray | None = None
    acts: np.ndarray | None = None
    words: Mapping[str, GameWords] = field(default_factory=dict)

    def words_in(self, pack: str) -> GameWords | None:
        """Return how a wording pack tells the game; as `plain` does where it has no words of it."""
        return self.words.get(pack) or self.words.get("plain")

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
    folder = paths.DATA / "instruments"
    if not re.fullmatch(r"[\w-]+", base) or not (folder / f"{base}.toml").is_file():
        raise unknown("instrument", base, names())
    return _load(folder / f"{base}.csv", *changes)


def read(items: Path) -> Instrument:
    """Return the instrument of an items file (.csv) and the .toml beside it, wherever they lie."""
    notes, where = files.read_toml(items.with_suffix(".toml")), items.with_suffix(".toml")
    words = game_words.read(paths.shown(where), notes.pop("wordings", {}))
    numbers, payoffs, of_game = _read_payoffs(items)
    fields = _checked(paths.shown(where), notes, len(numbers))
    game_words.check(paths.shown(where), words, **of_game)
    own = fields.pop("accounts", "") == "own"
    return Instrument(
        items.stem, payoffs, numbers, own_accounts=own, words=words, **of_game, **fields
    )


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
    words = instrument.words.values()
    given, acts = instrument.given, instrument.acts  # in coins, unless they have names
    return _changed(
        instrument,
        f"scaled-{np.format_float_positional(factor, trim='-')}",
        payoffs=instrument.payoffs * factor,
        origin=instrument.origin and tuple(x * factor for x in instrument.origin),
        rounding=instrument.rounding * factor,
        given=given if given is None or any(one.items for one in words) else given * factor,
        acts=acts if acts is None or any(one.options for one in words) else acts * factor,
    )


def shifted(instrument: Instrument, amount: float) -> Instrument:
    """Return the instrument with `amount` more for both in every option.

    The angle is kept by whoever has a linear utility, and by others perhaps not.
    UserError where a payoff would fall below 0: a loss is another question than a gain, and for a
    game whose rules say what the coins must be.
    """
    amount = _number("amount", amount)
    if instrument.words:
        raise UserError(
            f"the rules of '{instrument.name}' say what its coins must be, so they cannot be "
            "shifted; try scaled"
        )
    payoffs = instrument.payoffs + amount
    if payoffs.min() < 0:
        raise UserError(
            f"a shift by {amount:g} makes a payoff negative; the smallest possible for "
            f"'{instrument.name}' is {-instrument.payoffs.min():g}"
        )
    origin = instrument.origin and tuple(x + amount for x in instrument.origin)
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
        given=None if instrument.given is None else instrument.given[rows],
        acts=None if instrument.acts is None else instrument.acts[rows],
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
    for name in ("payoffs", "given", "acts"):
        if isinstance(fields.get(name), np.ndarray):
            fields[name].flags.writeable = False
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
        "accounts": (lambda x: x == "own", "'own', where both amounts are one's own, or left out"),
        "criterion": (lambda x: x in range(1, items + 1), f"a number of items, 1 to {items}"),
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
        needed = key in notes or (key == "origin" and "boundaries" in notes)
        if needed and not right(notes.get(key)):
            raise UserError(f"{where}: '{key}' must be {what}")
    return {key: _as_tuples(notes[key]) for key in wanted if key in notes}


def _are_numbers(field: Any, count: int = 2) -> bool:
    return isinstance(field, list) and len(field) == count and all(map(files.finite, field))


def _as_tuples(field: Any) -> Any:
    return tuple(map(_as_tuples, field)) if isinstance(field, list) else field


def _read_payoffs(path: Path) -> tuple[tuple[int, ...], np.ndarray, dict[str, np.ndarray]]:
    """Return the item numbers in the file's order, the payoffs (items, options, 2), and OF_GAMES.

    The last as in `Instrument`, those that the file has.
    """
    where = paths.shown(path)
    try:
        rows = pd.read_csv(path, encoding="utf-8-sig", dtype=str, skipinitialspace=True)
    except (OSError, ValueError) as error:  # unreadable, empty, ragged or not UTF-8
        reason = files.one_line(getattr(error, "strerror", error))
        raise UserError(f"{where}: cannot be read ({reason})") from None
    header = [str(name).strip() for name in rows]
    of_games = [name for name in OF_GAMES if name in header]
    known = sorted(header) == sorted([*COLUMNS, *of_games])
    if not known or list(rows.index) != list(range(len(rows) or 1)):
        raise UserError(
            f"{where}: the columns must be {', '.join(COLUMNS)}, in a game also "
            f"{' and '.join(OF_GAMES)}, with a line for each option; "
            f"found {len(rows)} lines of {', '.join(header)}"
        )
    table = rows.set_axis(header, axis=1).apply(pd.to_numeric, errors="coerce")
    whole = (table[["item", "option"]] % 1 == 0).all(axis=1) & (table["option"] > 0)
    finite = (table[["self", "other", *of_games]].abs() <= files.LARGEST).all(axis=1)
    twice = table.duplicated(["item", "option"])
    for wrong, what in (
        (~whole, "item and option must be whole numbers, and options count from 1"),
        (~finite, " and ".join(["self", "other", *of_games]) + " must be finite numbers of coins"),
        (twice, "the item and option of an earlier line"),
    ):
        if wrong.any():
            raise UserError(f"{where}, line {int(wrong.idxmax()) + 2}: {what}")
    return _grid(where, table, of_games)


def _grid(
    where: str, table: pd.DataFrame, of_games: Sequence[str]
) -> tuple[tuple[int, ...], np.ndarray, dict[str, np.ndarray]]:
    """Arrange the rows as items x options; every item must have options 1 to the same number."""
    items = table["item"].astype(int).unique()
    options = np.arange(1, max(2, int(table["option"].max())) + 1)
    cells = pd.MultiIndex.from_product([items, options], names=["item", "option"])
    rows = table.set_index(["item", "option"]).reindex(cells)
    if (lacking := rows["self"].isna()).any():
        item, option = lacking.idxmax()
        raise UserError(
            f"{where}: item {item} lacks option {option}; all need options 1 to {options[-1]}"
        )
    grid = rows[["self", "other"]].to_numpy(float).reshape(len(items), len(options), 2)
    same = (np.ptp(grid, axis=1) == 0).all(axis=1)
    if same.any():
        raise UserError(
            f"{where}: all options of item {items[same.argmax()]} give the same, so there is "
            "nothing to choose"
        )
    found = {name: rows[name].to_numpy(float).reshape(grid.shape[:2]) for name in of_games}
    if "given" in found and (uneven := np.ptp(found["given"], axis=1) != 0).any():
        raise UserError(
            f"{where}: item {items[uneven.argmax()]} must state the same 'given' in all its lines"
        )
    names = {"given": "given", "act": "acts"}
    found = {names[name]: values for name, values in found.items()}
    if "given" in found:
        found["given"] = found["given"][:, 0]
    for array in (grid, *found.values()):
        array.flags.writeable = False
    return tuple(items.tolist()), grid, found
