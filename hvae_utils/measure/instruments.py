"""Instruments: the items of a measure and their payoffs, read from `data/instruments`.

An instrument is two files: NAME.csv (item, option, self, other) and NAME.toml (title, source and
what scoring needs to know). A file with a wrong shape is refused with the place of the mistake.
This module must never score an answer, and never repair a file.

Public names: Instrument, names, load, read, IDEALS, COLUMNS.
"""

import csv
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from hvae_utils import files, paths
from hvae_utils.errors import UserError, unknown

COLUMNS = ("item", "option", "self", "other")
IDEALS = ("A", "P", "I", "C")
_KEYS = {"title", "source", "origin", "boundaries", "rounding", "ends"}


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
        an item without a difference.
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


def names() -> list[str]:
    """Return the names of the instruments in `data/instruments`, sorted."""
    return sorted(path.stem for path in (paths.DATA / "instruments").glob("*.toml"))


def load(name: str) -> Instrument:
    """Return the instrument called `name`; UserError when unknown or its files are malformed.

    A name such as `svo-slider+swapped` is that of an isomorph, see `isomorphs.load`.
    """
    if "+" in name:
        from hvae_utils.measure import (
            isomorphs,  # made of instruments, so it cannot be imported above
        )

        return isomorphs.load(name)
    return _load(paths.DATA / "instruments", name)


def read(items: Path) -> Instrument:
    """Return the instrument of an items file (.csv) and the .toml beside it, wherever they lie."""
    notes = files.read_toml(items.with_suffix(".toml"))
    numbers, payoffs = _read_payoffs(items)
    return Instrument(
        name=items.stem, payoffs=payoffs, items=numbers, **_notes(items, notes, len(numbers))
    )


@lru_cache
def _load(folder: Path, name: str) -> Instrument:
    if name not in names():
        raise unknown("instrument", name, names())
    return read(folder / f"{name}.csv")


def _notes(items: Path, notes: Mapping[str, Any], count: int) -> dict[str, Any]:
    """Return the checked fields of the .toml; `count` is the number of items."""
    where = paths.shown(items.with_suffix(".toml"))
    for key in notes:
        if key not in _KEYS:
            raise UserError(f"{where}: {unknown('key', key, sorted(_KEYS))}")
    for key in ("title", "source"):
        if not isinstance(notes.get(key), str) or not notes[key].strip():
            raise UserError(f"{where}: '{key}' must be a text")
    origin = _numbers(where, notes, "origin", 2)
    if origin is None:
        raise UserError(f"{where}: 'origin' is missing; it is the point (self, other) of no angle")
    boundaries = _numbers(where, notes, "boundaries", 3)
    if boundaries and not boundaries[0] > boundaries[1] > boundaries[2]:
        raise UserError(f"{where}: 'boundaries' must fall, as in [57.15, 22.45, -12.04]")
    (rounding,) = _numbers(where, {"rounding": [notes.get("rounding", 1)]}, "rounding", 1) or (1.0,)
    if rounding < 0:
        raise UserError(f"{where}: 'rounding' must not be negative")
    return {
        "title": notes["title"],
        "source": notes["source"],
        "origin": origin,
        "boundaries": boundaries,
        "rounding": rounding,
        "ends": _ends(where, notes.get("ends"), count),
    }


def _numbers(where: str, notes: Mapping[str, Any], key: str, count: int) -> Any:
    """Return `count` finite numbers as a tuple, or None where the key is absent."""
    given = notes.get(key)
    if given is None:
        return None
    good = isinstance(given, list) and len(given) == count
    if not good or not all(map(files.finite, given)):
        raise UserError(f"{where}: '{key}' must be {count} finite number{'s' * (count > 1)}")
    return tuple(float(x) for x in given)


def _ends(where: str, given: Any, count: int) -> tuple[tuple[str, str], ...] | None:
    if given is None:
        return None
    pairs = given if isinstance(given, list) else []
    good = [
        isinstance(p, list) and len(p) == 2 and all(x in IDEALS for x in p) and p[0] != p[1]
        for p in pairs
    ]
    if len(pairs) != count or not all(good):
        raise UserError(
            f"{where}: 'ends' must be {count} pairs, one an item, of two different letters "
            f"of {', '.join(IDEALS)}"
        )
    return tuple((first, last) for first, last in pairs)


def _read_payoffs(path: Path) -> tuple[tuple[int, ...], np.ndarray]:
    """Return the item numbers in the file's order and the payoffs (items, options, 2)."""
    where = paths.shown(path)
    found: dict[tuple[int, int], tuple[float, float]] = {}
    try:
        with path.open(encoding="utf-8-sig", newline="") as handle:
            rows = csv.DictReader(handle)
            header = [name.strip() for name in rows.fieldnames or []]
            if sorted(header) != sorted(COLUMNS):
                raise UserError(
                    f"{where}: the columns must be {', '.join(COLUMNS)}; "
                    f"found {', '.join(header) or 'an empty file'}"
                )
            rows.fieldnames = header
            for row in rows:
                place = f"{where}, line {rows.line_num}"
                key, payoff = _cell(place, row)
                if key in found:
                    raise UserError(f"{place}: item {key[0]}, option {key[1]} stands there twice")
                found[key] = payoff
    except OSError as error:
        raise UserError(f"{where}: cannot be read ({error.strerror})") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{where}: is not a CSV file in UTF-8 ({error})") from None
    return _grid(where, found)


def _cell(place: str, row: Mapping[str | None, Any]) -> tuple[tuple[int, int], tuple[float, float]]:
    """Return ((item, option), (self, other)) of one row."""
    if None in row or None in row.values():
        raise UserError(f"{place}: must have {len(COLUMNS)} fields")
    try:
        key = (int(row["item"]), int(row["option"]))
    except ValueError:
        raise UserError(f"{place}: item and option must be whole numbers") from None
    try:
        payoff = (float(row["self"]), float(row["other"]))
    except ValueError:
        payoff = (math.nan, math.nan)
    if not all(map(math.isfinite, payoff)):
        raise UserError(f"{place}: self and other must be finite numbers of coins")
    return key, payoff


def _grid(
    where: str, found: Mapping[tuple[int, int], tuple[float, float]]
) -> tuple[tuple[int, ...], np.ndarray]:
    """Arrange the rows as items x options; every item must have options 1 to the same number."""
    if not found:
        raise UserError(f"{where}: holds no item")
    items = tuple(dict.fromkeys(item for item, _ in found))
    options = max(2, max(option for _, option in found))
    expected = {(item, option) for item in items for option in range(1, options + 1)}
    if stray := sorted(set(found) - expected):
        raise UserError(f"{where}: item {stray[0][0]}, option {stray[0][1]}: options count from 1")
    if missing := sorted(expected - set(found)):
        raise UserError(
            f"{where}: item {missing[0][0]} lacks option {missing[0][1]}; every item needs "
            f"options 1 to {options}"
        )
    payoffs = np.array(
        [[found[item, option] for option in range(1, options + 1)] for item in items]
    )
    payoffs.flags.writeable = False
    return items, payoffs
