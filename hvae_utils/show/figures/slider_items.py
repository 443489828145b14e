"""Figure 02, the six items of the SVO Slider Measure: in the payoff plane, and as sliders."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hvae_utils.errors import UserError
from hvae_utils.measure import svo
from hvae_utils.measure.instruments import IDEALS, Instrument
from hvae_utils.measure.values import Value
from hvae_utils.show import marks, style
from hvae_utils.show.figures.svo_ring import RADIUS
from hvae_utils.show.names import joined
from hvae_utils.show.tables import part, point

_BADGE = {"boxstyle": "circle,pad=0.12", "fc": "white", "ec": style.MUTED, "lw": 0.7}
_COINS = {"ha": "center", "fontsize": 7}
_BELOW = {"textcoords": "offset points", "ha": "center", "va": "top", "fontsize": 7}
_BESIDE = {"textcoords": "offset points", "fontweight": "bold", "fontsize": 7.5}


def table(instrument: Instrument, values: dict[str, Value]) -> pd.DataFrame:
    """Return every option of every item in coins.

    part "option": item, option (from 1), letter, self, other, end (the value whose ideal end point
    the option is, or empty). "origin": of angles. "random": expected mean of random choices.
    """
    if not instrument.payoffs.size:
        raise UserError(f"instrument '{instrument.name}' has no item to show")
    ideals = dict(zip(IDEALS, svo.CATEGORIES, strict=True))
    rows = [point("origin", instrument.origin), point("random", instrument.payoffs.mean((0, 1)))]
    for place, (item, payoffs) in enumerate(zip(instrument.items, instrument.payoffs, strict=True)):
        first, last = instrument.ends[place] if instrument.ends else ("", "")
        names = {1: ideals.get(first), len(payoffs): ideals.get(last)}
        for option, payoff in enumerate(payoffs, start=1):
            end = names[option] if names.get(option) in values else ""
            key = {"item": item, "option": option, "letter": chr(64 + option), "end": end}
            rows.append(point("option", payoff) | key)
    table = pd.DataFrame(rows).astype({"item": "Int64", "option": "Int64"})
    return table[["part", "item", "option", "letter", "self", "other", "end"]]


def caption(table: pd.DataFrame) -> str:
    """Return how to read the two pictures."""
    items = part(table, "option")["item"].nunique()
    return (
        f"The {items} items of the instrument. Every line is one item, every dot one option; the "
        "named ends are what the ideal respondents prefer. The cross marks where random choices "
        "end up. The grey arc has its middle at the origin of the angle."
    )


def alt(table: pd.DataFrame) -> str:
    """Return the picture in words."""
    ends = [end for end in part(table, "option")["end"].dropna().unique() if end]
    joins = f" Their ends are the ideal points {joined(ends)}." if ends else ""
    return f"Line segments in the plane of own and the other's coins, and as sliders.{joins}"


@style.drawing
def draw(table: pd.DataFrame) -> Figure:
    """Draw the items as segments, and beside them as sliders."""
    options = part(table, "option", "the slider items").astype({"item": int, "option": int})
    items = list(options["item"].unique())
    figure = style.new_figure(max(3.5, 0.5 + 0.5 * len(items)))
    plane, sliders = figure.subplots(1, 2, width_ratios=(0.42, 0.58))
    _segments(plane, table, options)
    _sliders(sliders, options, items)
    return figure


def _segments(axes: Axes, table: pd.DataFrame, options: pd.DataFrame) -> None:
    origin = tuple(part(table, "origin")[["self", "other"]].to_numpy(float)[0])
    circle = np.radians(np.linspace(-55, 100, 200))
    x, y = origin[0] + RADIUS * np.cos(circle), origin[1] + RADIUS * np.sin(circle)
    axes.plot(x, y, color=style.FAINT, lw=3, zorder=0)
    for item, rows in options.groupby("item", sort=False):
        place = rows[["self", "other"]].to_numpy(float)
        axes.plot(*place.T, color=style.MUTED, marker="o", ms=3, lw=1, gid=f"item {item}")
        middle = place[len(place) // 2 + 1 :][:2].mean(axis=0)
        axes.text(*middle, str(item), ha="center", va="center", fontsize=7.5, bbox=_BADGE)
    ends = options[options["end"].notna() & (options["end"] != "")]
    for end in ends.drop_duplicates("end").itertuples():
        at = end.self, end.other
        axes.plot(*at, ms=8, ls="none", **marks.of_value(end.end))
        right = end.self > origin[0] + 10
        away, ha, va = ((7, 0), "left", "center") if right else ((0, 8), "center", "bottom")
        axes.annotate(end.end, at, away, ha=ha, va=va, **_BESIDE)
    random = part(table, "random")[["self", "other"]].to_numpy(float)[0]
    axes.plot(*random, gid="random", **marks.RANDOM_POINT)
    axes.annotate("random\nchoices", random, (-5, -6), zorder=1, **_BELOW)
    axes.plot(*origin, marker="+", color=style.INK, ms=7, ls="none")
    axes.annotate("origin of\nthe angle", origin, (0, -6), **_BELOW)
    axes.set(aspect="equal", xlabel="coins for oneself", ylabel="coins for the other")


def _sliders(axes: Axes, options: pd.DataFrame, items: list) -> None:
    for row, item in enumerate(items):
        rows = options[options["item"] == item]
        axes.plot(rows["option"], [-row] * len(rows), color=style.MUTED, marker="o", ms=3, lw=1)
        for option in rows.itertuples():
            axes.text(option.option, -row + 0.16, f"{option.self:g}", **_COINS, va="bottom")
            axes.text(option.option, -row - 0.18, f"{option.other:g}", **_COINS, va="top")
            if isinstance(option.end, str) and option.end:
                axes.plot(option.option, -row, ms=7, **marks.of_value(option.end))
    letters = options.drop_duplicates("option")
    axes.set_xticks(letters["option"].astype(float), letters["letter"])
    axes.set_yticks(-np.arange(len(items)), [f"item {item}" for item in items])
    axes.tick_params(length=0, top=False, labeltop=True, labelbottom=False)
    axes.set_ylim(-len(items) + 0.45, 0.55)
    axes.spines[["left", "bottom"]].set_visible(False)
    words = "above a dot coins for oneself, below it coins for the other"
    axes.set_title(words, loc="center", fontsize=7.5, fontweight="normal")
