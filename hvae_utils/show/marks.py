"""Marks that mean the same in every figure: values, categories, chance, letters, effects."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from hvae_utils.measure import svo
from hvae_utils.show import style
from hvae_utils.show.names import FLAG

RANDOM_LINE = {"color": style.RANDOM, "lw": 1.3, "ls": (0, (1, 1.4)), "zorder": 1}
RANDOM_POINT = {"marker": "x", "ms": 5.5, "mec": style.RANDOM, "mew": 1.6, "ls": "none"}
BOUNDARY = {"color": style.MUTED, "lw": 0.6, "ls": (0, (4, 3)), "zorder": 1}  # of categories
NULL_BAND = {"fc": "#F0F0F0", "lw": 0, "zorder": 0}  # behind respondents without a value

PAPER = {"fc": "white", "ec": "none", "pad": 0.6}  # behind words that stand on lines
_LETTERS = {"color": style.INK, "lw": 0.9, "marker": "|", "ms": 4.5, "mew": 0.9, "zorder": 3}
_LAPSES = {"color": style.INK, "ls": "none", "marker": "d", "ms": 4.2, "mfc": "white", "mew": 0.9}


def key(label: str, **look: Any) -> Line2D:
    """Return a legend's entry of a line or a mark."""
    return Line2D([], [], label=label, **look)


def of_value(value: str) -> dict[str, Any]:
    """Return shape and colour of an assigned value's mark."""
    look = style.value_look(value)
    return {"marker": look.marker, "color": look.colour}


def of_goal(
    value: str,
    goal: bool,
    sizes: tuple[float, float],
    edges: tuple[float, float] = (1, 1),
    hollow: str = "none",
) -> dict[str, Any]:
    """Return the mark of an assigned value: filled with the goal prompt, hollow without.

    sizes, edges: points, with and without; hollow marks are mostly larger, so that both are seen.
    """
    look, arm = style.value_look(value), 0 if goal else 1
    mark = {"marker": look.marker, "ms": sizes[arm], "mew": edges[arm], "mec": look.colour}
    return mark | {"mfc": look.colour if goal else hollow}


def value_keys(values: Iterable[str]) -> list[Line2D]:
    """Return what the marks of values mean."""
    names = {value: "no value assigned" if value == "none" else value for value in values}
    return [key(name, ms=5.5, ls="none", **of_value(value)) for value, name in names.items()]


def flag_keys(
    names: Iterable[str], label: str = "most cells flagged: doubtful data"
) -> list[Line2D]:
    """Return what the dagger after a name means, if one of the names carries it."""
    look = {"marker": r"$\dag$", "ms": 6, "color": style.INK, "mew": 0.3, "ls": "none"}
    flagged = any(name.endswith(FLAG) for name in names)
    return [key(label, **look)] * flagged


def regions(boundaries: Iterable[float], low: float, high: float) -> list[tuple[str, float, float]]:
    """Return (category, lowest, highest angle) downwards, of the ring from low to high, degrees."""
    edges = [high, *sorted(map(float, boundaries), reverse=True), low]
    return list(zip(svo.CATEGORIES, edges[1:], edges[:-1], strict=True))


def effect(axes: Axes, row: Any, y: float, look: style.Look, gid: str) -> None:
    """Draw a paired difference: filled if its interval leaves out 0, a thin diamond without one.

    row: has difference, low, high; NaN where not estimable.
    """
    if np.isnan(row.difference):
        place = {"ha": "center", "va": "center", "fontsize": 7, "bbox": PAPER}
        axes.text(0, y, "not estimable", **place)
        return
    fill = look.colour if row.low > 0 or row.high < 0 else "white"
    marker = "d" if np.isnan(row.low) else look.marker
    axes.plot([row.low, row.high], [y, y], lw=1.7, color=look.colour, zorder=2)
    shape = {"marker": marker, "ms": 5, "mew": 1.1, "mec": look.colour, "mfc": fill}
    axes.plot(row.difference, y, zorder=3, gid=gid, **shape)


def effect_legend(look: style.Look) -> list[Line2D]:
    """Return what `effect` means, in this look."""
    mark = {"color": look.colour, "mec": look.colour, "mew": 1.1, "ms": 5, "marker": look.marker}
    hollow = mark | {"mfc": "white"}
    return [
        key("95% interval without 0", lw=1.7, **mark),
        key("95% interval with 0", lw=1.7, **hollow),
        key("no interval", **hollow | {"lw": 0, "marker": "d"}),
    ]


def letters(axes: Axes, places: Sequence[float], y: float) -> None:
    """Draw those who always take one letter: a tick each, the letters at the two ends named."""
    places = np.asarray(places, float)
    axes.plot(places, np.full(len(places), y), gid="always one letter", **_LETTERS)
    for option, side, away in ((places.argmin(), "right", -2.5), (places.argmax(), "left", 2.5)):
        place = {"textcoords": "offset points", "ha": side, "va": "center_baseline"}
        font = {"fontsize": 6.5, "family": "DejaVu Sans Mono"}  # an I with serifs is no tick
        axes.annotate(chr(65 + option), (places[option], y), (away, 0), **place, **font)


def nulls(axes: Axes, rows: pd.DataFrame, scale: str, of_letters: float, of_lapses: float) -> None:
    """Draw constant letters and ideals that lapse, a mark a rate, each at its height.

    rows: respondent, and the scale's column, as `tables.null_respondents`.
    """
    constant = rows["respondent"].str.startswith("always")
    letters(axes, rows.loc[constant, scale], of_letters)
    places = rows.loc[~constant, scale]
    axes.plot(places, np.full(len(places), of_lapses), gid="ideal with lapses", zorder=3, **_LAPSES)


def letters_legend() -> Line2D:
    """Return what `letters` means."""
    return key("always one letter", **_LETTERS)


def lapses_legend(label: str) -> Line2D:
    """Return what the marks of lapsing ideals mean; the label names the rates."""
    return key(label, **_LAPSES)
