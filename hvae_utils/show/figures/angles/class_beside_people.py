"""A class beside samples of people and random answers, in stretches of the angle wide enough."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from hvae_utils.measure import instruments
from hvae_utils.measure.answers import MINIMUM
from hvae_utils.show import marks, style
from hvae_utils.show.names import joined, number
from hvae_utils.show.tables import need

CLASS = "this class"
_ANGLES = (-20.0, 66.0)  # degrees
_MARKS = ("o", "D", "s", "^")


def table(cells: pd.DataFrame, samples: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return sample, low, high (degrees), count (of the class) and share, a row a cell and sample.

    cells: of `answers.Group`. samples: name -> bins (low, high, share) that end where cells end.
    """
    need(cells, "a class", ["low", "high", "count", "share"])
    parts = [cells[["low", "high", "count", "share"]].assign(sample=CLASS)]
    for name, bins in samples.items():
        share = [
            bins["share"][bins["low"].ge(low) & bins["high"].le(high)].sum()
            for low, high in zip(cells["low"], cells["high"], strict=True)
        ]
        parts.append(cells[["low", "high"]].assign(sample=name, share=share))
    made = pd.concat(parts, ignore_index=True)
    return made[["sample", "low", "high", "count", "share"]].astype({"count": "Int64"})


def caption(table: pd.DataFrame) -> str:
    """Return how to read the bars and marks."""
    mine = table[table["sample"] == CLASS]
    others = joined(table["sample"].unique()[1:])
    return (
        f"The class beside people. Bars: per cent of the {mine['count'].sum()} people of the class "
        f"in a stretch of the angle that holds nobody or at least {MINIMUM} of them. Marks: the "
        f"same stretch in {others}."
    )


def alt(table: pd.DataFrame) -> str:
    """Return the picture in words."""
    mine = table[(table["sample"] == CLASS) & (table["count"] > 0)]
    bars = joined(
        f"{number(row.low, 1, '°')} to {number(row.high, 1, '°')} {100 * row.share:.0f}%"
        for row in mine.itertuples()
    )
    return f"Bars over stretches of the angle, with marks of other samples. The class: {bars}."


@style.drawing
def draw(table: pd.DataFrame) -> Figure:
    """Draw a bar a stretch with its number of people, and a mark a sample in its middle."""
    need(table, "a class beside people", ["sample", "low", "high", "share"])
    mine = table[table["sample"] == CLASS]
    figure = style.new_figure(3.2)
    axes = figure.subplots()
    look = {"fc": "#7FA8C2", "ec": "white", "lw": 1.5}
    axes.bar(mine["low"], 100 * mine["share"], mine["high"] - mine["low"], align="edge", **look)
    top = {"ha": "center", "va": "bottom", "transform": axes.get_xaxis_transform()}
    for row in mine[mine["count"] > 0].itertuples():  # above all bars and marks
        axes.text((row.low + row.high) / 2, 0.93, f"{row.count} people", fontsize=7.5, **top)
    keys = [Patch(label=CLASS, **look)]
    others = [name for name in table["sample"].unique() if name != CLASS]
    for place, (name, shape) in enumerate(zip(others, _MARKS, strict=False)):
        rows = table[table["sample"] == name]
        beside = (place - (len(others) - 1) / 2) * 2.4  # degrees, so that no mark hides another
        filled = {"mfc": style.INK if place == 0 else "white", "mec": style.INK, "ms": 6}
        drawn = {"marker": shape, "ls": "none", **filled}
        axes.plot((rows["low"] + rows["high"]) / 2 + beside, 100 * rows["share"], **drawn)
        keys.append(marks.key(name, **drawn))
    borders = instruments.load("svo-slider").boundaries
    edges = np.unique(table[["low", "high"]])
    axes.set_xticks(edges, [number(edge, 1, "°") for edge in edges])
    for border in borders:
        axes.axvline(border, **marks.BOUNDARY)
    for name, low, high in marks.regions(borders, *_ANGLES):
        axes.text((low + high) / 2, 1.01, name, fontsize=7, color=style.INK, **top)
    axes.set(xlim=_ANGLES, ylim=(0, 1.19 * 100 * table["share"].max()))
    axes.set_ylabel("per cent of people")
    style.legend(figure, keys, 4, "SVO angle, degrees")
    return figure
