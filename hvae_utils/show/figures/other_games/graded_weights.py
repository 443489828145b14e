"""Figure 23, graded weights: the weight acted on over the weight told, a panel a respondent."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from hvae_utils.show import marks, style
from hvae_utils.show.names import each, named, number
from hvae_utils.show.tables import need, part, stack

_COLOUR = "#0B3C5D"
_WORDING = {"color": "#7FA8C2", "marker": ".", "ms": 3.5, "lw": 0.7, "zorder": 3}
_MEAN = {"color": _COLOUR, "marker": "o", "ms": 3.2, "lw": 1.3, "zorder": 4}
_STEP = {"fc": "#E7D4A8", "lw": 0}
_LINE = 2.2  # inches: a line of panels


def table(recovered: pd.DataFrame, calibration: pd.DataFrame) -> pd.DataFrame:
    """Return the weights told and acted on, as angles in degrees, and how they go together.

    recovered, calibration: as `transfer.graded` has them. part "wording": told, told_angle, angle,
    low and high (the step that the items cannot tell apart). "respondent": slope with low and high
    (95% interval), intercept, dead_zone, overshoot, asymmetry (as in `graded.calibration`), note.
    """
    keys = ["model", "told", "told_angle", "wording", "angle", "low", "high"]
    need(recovered, "weights acted on", keys)
    numbers = ["slope", "low", "high", "intercept", "dead_zone", "overshoot", "asymmetry", "note"]
    need(calibration, "calibration", ["model", *numbers])
    both = stack(
        recovered[keys].assign(part="wording"),
        calibration[["model", *numbers]].assign(part="respondent"),
    )
    columns = ["part", "model", "respondent", *keys[1:5], "slope", "low", "high", *numbers[3:]]
    return named(both).reindex(columns=columns)


def caption(table: pd.DataFrame) -> str:
    """Return how to read the panels."""
    return (
        "Weights of the other's coins, acted on and told. They are told as numbers and drawn as "
        "angles (0° own coins only, 45° both alike, 90° only the other's). On the "
        "diagonal a weight is followed exactly, a level line ignores it. Thin lines are wordings; "
        "a pale bar is the step within which the items cannot tell weights apart."
    )


def alt(table: pd.DataFrame) -> str:
    """Return the picture in words."""
    rows = part(table, "respondent").set_index("respondent")["slope"]
    return f"Panels of the weight acted on over the weight told. Slope: {each(rows, 2)}."


@style.drawing
def draw(table: pd.DataFrame) -> Figure:
    """Draw a panel a respondent."""
    told = part(table, "wording", "the weights acted on")
    slopes = part(table, "respondent").set_index("respondent")["slope"]
    figure, panels = style.by_respondent(told, _LINE, 1.1)
    ticks = told.drop_duplicates("told").sort_values("told_angle")
    reached = [*told["angle"].dropna(), *ticks["told_angle"]]
    heights = min(reached) - 12, max(reached) + 12  # the same in all panels
    for axes, rows in panels:
        _panel(axes, rows, ticks, heights, slopes[rows["respondent"].iloc[0]])
    keys = [
        marks.key("one wording", **_WORDING),
        marks.key("mean", **_MEAN),
        marks.key("followed exactly", color=style.INK, lw=0.8),
        Patch(label="cannot be told apart", **_STEP),
    ]
    style.legend(figure, keys, 4, "weight told: own coins that one of the other's is worth")
    figure.supylabel("weight acted on, degrees")
    return figure


def _panel(
    axes: Axes,
    rows: pd.DataFrame,
    ticks: pd.DataFrame,
    limits: tuple[float, float],
    slope: float,
) -> None:
    ends = [ticks["told_angle"].min() - 8, ticks["told_angle"].max() + 8]
    axes.plot(ends, ends, color=style.INK, lw=0.8, zorder=1)
    for _, wording in rows.groupby("wording", sort=False):
        wording = wording.sort_values("told_angle")
        axes.plot(wording["told_angle"], wording["angle"], **_WORDING)
    means = rows.groupby("told_angle")[["angle", "low", "high"]].mean()
    heights = (means["high"] - means["low"]).fillna(0)
    axes.bar(means.index, heights, 11, bottom=means["low"].fillna(0), zorder=2, **_STEP)
    axes.plot(means.index, means["angle"], **_MEAN)
    axes.set(xlim=ends, ylim=limits)
    axes.set_xticks(ticks["told_angle"], [_weight(told) for told in ticks["told"]], rotation=60)
    every = 45 if limits[1] - limits[0] < 200 else 90
    axes.set_yticks([at for at in range(-180, 181, every) if limits[0] < at < limits[1]])
    shows = rows["angle"].notna().any()
    words = f"slope {number(slope, 2)}" if shows else "slope 0: no weight shows"
    axes.text(0.04, 0.9, words, transform=axes.transAxes, fontsize=7.2)


def _weight(told: float) -> str:
    return "only" if np.isinf(told) else number(told, 2).removesuffix("0").removesuffix(".0")
