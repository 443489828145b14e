"""Marks that mean the same in every figure: chance, constant letters, lapses, paired effects.

Each function draws one mark from numbers it is given. This module must never estimate, and never
decide what a figure shows.

Public names: RANDOM_LINE, RANDOM_POINT, NULL_BAND, effect, effect_legend, letters, lapses,
letters_legend, lapses_legend.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from hvae_utils import style

RANDOM_LINE = {"color": style.RANDOM, "lw": 1.3, "ls": (0, (1, 1.4)), "zorder": 1}
RANDOM_POINT = {"marker": "x", "ms": 5.5, "mec": style.RANDOM, "mew": 1.6, "ls": "none"}
NULL_BAND = {"fc": "#F0F0F0", "lw": 0, "zorder": 0}  # behind respondents without a value

_PAPER = {"fc": "white", "ec": "none", "pad": 0.6}
_LETTERS = {"color": style.INK, "lw": 0.9, "marker": "|", "ms": 4.5, "mew": 0.9, "zorder": 3}
_LAPSES = {"color": style.INK, "ls": "none", "marker": "d", "ms": 4.2, "mfc": "white", "mew": 0.9}


def effect(axes: Axes, row: Any, y: float, look: style.Look, gid: str) -> None:
    """Draw a paired difference: filled if its interval leaves out 0, a thin diamond without one.

    row: has difference, low, high; NaN where not estimable.
    """
    if np.isnan(row.difference):
        place = {"ha": "center", "va": "center", "fontsize": 7, "bbox": _PAPER}
        axes.text(0, y, "not estimable", **place)
        return
    known = not np.isnan(row.low)
    clear = known and (row.low > 0 or row.high < 0)
    shape = {"marker": look.marker if known else "d", "mfc": look.colour if clear else "white"}
    axes.plot([row.low, row.high], [y, y], lw=1.7, color=look.colour, zorder=2)
    axes.plot(row.difference, y, ms=5, mew=1.1, mec=look.colour, zorder=3, gid=gid, **shape)


def effect_legend(look: style.Look) -> list[Line2D]:
    """Return what `effect` means, in this look."""
    mark = {"color": look.colour, "mec": look.colour, "mew": 1.1, "ms": 5, "marker": look.marker}
    hollow = mark | {"mfc": "white"}
    return [
        Line2D([], [], lw=1.7, label="95% interval without 0", **mark),
        Line2D([], [], lw=1.7, label="95% interval with 0", **hollow),
        Line2D([], [], label="no interval", **hollow | {"lw": 0, "marker": "d"}),
    ]


def letters(axes: Axes, places: Sequence[float], y: float) -> None:
    """Draw those who always take one letter: a tick each, the letters at the two ends named."""
    places = np.asarray(places, float)
    axes.plot(places, np.full(len(places), y), gid="always one letter", **_LETTERS)
    for option, side in ((places.argmin(), "right"), (places.argmax(), "left")):
        away = -2.5 if side == "right" else 2.5
        place = {"textcoords": "offset points", "ha": side, "va": "center_baseline"}
        # An I with serifs is no tick.
        font = {"fontsize": 6.5, "family": "DejaVu Sans Mono"}
        axes.annotate(chr(65 + option), (places[option], y), (away, 0), **place, **font)


def lapses(axes: Axes, places: Sequence[float], y: float) -> None:
    """Draw ideal respondents that lapse, one mark a rate."""
    axes.plot(places, np.full(len(places), y), gid="ideal with lapses", zorder=3, **_LAPSES)


def letters_legend() -> Line2D:
    """Return what `letters` means."""
    return Line2D([], [], label="always one letter, A to I", **_LETTERS)


def lapses_legend(label: str) -> Line2D:
    """Return what `lapses` means; the label names the rates."""
    return Line2D([], [], label=label, **_LAPSES)
