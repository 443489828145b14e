"""Figure 04, measured angles: a panel a respondent, a row a value, degrees across."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle

from hvae_utils.measure import svo
from hvae_utils.measure.instruments import Instrument
from hvae_utils.measure.values import Value
from hvae_utils.metrics import chance
from hvae_utils.show import marks, style
from hvae_utils.show.names import each, flag_note, flagged, named
from hvae_utils.show.tables import always_letters, ideal_angles, need, part, stack

_EDGES = (-40.0, 85.0)  # degrees: answers reach -16.3 to 61.4; a wider interval runs off the panel
_LANE = {True: 0.21, False: -0.21}  # rows: with the goal prompt above, without below
_BOUNDS = {"color": style.MUTED, "lw": 0.9, "marker": "|", "ms": 4.5}
_INTERVALS = ["angle_low", "angle_high", "bound_low", "bound_high"]


def table(
    scores: pd.DataFrame, cells: pd.DataFrame, instrument: Instrument, values: dict[str, Value]
) -> pd.DataFrame:
    """Return the angle of every scored administration and of every cell, in degrees.

    part "administration": angle, the expected one where there are probabilities. "cell": angle
    (mean), angle_low and angle_high (95% interval), bound_low and bound_high (whatever the missing
    items were), administrations, scored, note.
    "target", "baseline": as `tables.ideal_angles` and `always_letters`. "random": mean angle.
    """
    keys, counts = ["model", "value", "goal_prompt"], ["administrations", "scored", "note"]
    need(scores, "scores", [*keys, "angle"])
    need(cells, "cells", [*keys, "mean_angle", *_INTERVALS, *counts])
    mean = svo.angle_distribution(chance.uniform(instrument), instrument).mean
    assigned = [values[name] for name in values if name in set(cells["value"])]
    targets = ideal_angles(assigned, "angle_low", "angle_high").assign(part="target")
    single = scores.loc[scores["angle"].notna(), [*keys, "angle"]].assign(part="administration")
    cell = cells.rename(columns={"mean_angle": "angle"}).assign(part="cell")
    cell = cell[[*keys, "angle", *_INTERVALS, *counts, "part"]]
    random = pd.DataFrame([{"part": "random", "angle": mean}])
    measured = flagged(named(stack(cell, single)), cells)
    columns = ["part", "model", "respondent", "value", "goal_prompt", "angle", *_INTERVALS]
    return stack(random, always_letters(instrument), targets, measured)[[*columns, *counts]]


def caption(table: pd.DataFrame) -> str:
    """Return how to read the angles, and how far from its targets each respondent is."""
    return (
        "Measured SVO angle by assigned value. Dots: administrations; marks: cell means, with 95% "
        "intervals for wordings like these; bands: angles of ideal respondents; thin bars: bounds "
        "where items are missing; grey row: always one letter. Mean distance from the targets: "
        f"{each(_distances(table), 0, '°')}.{flag_note(table['respondent'].dropna())}"
    )


def alt(table: pd.DataFrame) -> str:
    """Return the picture in words."""
    targets = part(table, "target").set_index("value")["angle"]
    return (
        "A panel a respondent, a row a value, angle in degrees across, with bands at the targets "
        f"({each(targets)}). Mean distance from them: {each(_distances(table), 0, '°')}."
    )


def _distances(table: pd.DataFrame) -> pd.Series:
    """Return the mean distance (degrees) of a respondent's cells from their targets."""
    cells = part(table, "cell")
    target = cells["value"].map(part(table, "target").set_index("value")["angle"])
    far = (cells["angle"] - target).abs()
    return far.groupby(cells["respondent"], sort=False).mean()


@style.drawing
def draw(table: pd.DataFrame) -> Figure:
    """Draw a dot an administration and a large mark a mean; the lowest row is for one letter."""
    cells = part(table, "cell", "the angles by value")
    singles = part(table, "administration")
    values = list(cells["value"].unique())
    shown = table[["angle", *_INTERVALS]].to_numpy(float)
    limits = max(np.nanmin(shown) - 6, _EDGES[0]), min(np.nanmax(shown) + 6, _EDGES[1])
    figure, panels = style.by_respondent(cells, 0.52 + 0.34 * len(values), 0.95)
    for axes, rows in panels:
        _comparisons(axes, table, values)
        for cell in rows.itertuples():
            angles = singles[singles["respondent"] == cell.respondent]
            _cell(axes, cell, angles, -values.index(cell.value))
        axes.set(xlim=limits, ylim=(-len(values) - 0.1, 0.55))
        axes.set_xticks(range(-20, 61, 20), style.numbers(range(-20, 61, 20)))
        places = [*-np.arange(len(values)), 0.2 - len(values)]
        style.rows(axes, places, [*values, "(one letter)"])
    grey = {"marker": "o", "mec": style.MUTED, "color": style.MUTED, "ms": 5, "lw": 0.9}
    keys = [
        marks.key("mean and 95% interval, goal prompt", mfc=style.MUTED, **grey),
        marks.key("the same without goal prompt", mfc="white", **grey),
        marks.key("one administration", ls="none", marker=".", ms=4, color=style.MUTED),
        Patch(fc=style.MUTED, alpha=0.25, label="angles of ideal respondents"),
        marks.key("bounds if answers are missing", **_BOUNDS),
        marks.key("mean of random respondents", **marks.RANDOM_LINE),
        marks.letters_legend(),
        *marks.flag_keys(cells["respondent"]),
    ]
    style.legend(figure, keys, 3, "SVO angle, degrees")
    return figure


def _comparisons(axes: Axes, table: pd.DataFrame, values: list[str]) -> None:
    """Shade the angles of ideal respondents in each value's row; draw letters and random mean."""
    for target in part(table, "target").itertuples():
        row, colour = -values.index(target.value), style.value_look(target.value).colour
        low, wide = target.angle_low, target.angle_high - target.angle_low
        axes.add_patch(Rectangle((low, row - 0.45), wide, 0.9, fc=colour, alpha=0.22, lw=0))
        line = {"color": colour, "lw": 1 if wide > 2 else 3, "alpha": 0.5, "zorder": 1}
        axes.plot([target.angle] * 2, [row - 0.45, row + 0.45], **line)
    for row in range(1, len(values)):
        axes.axhline(0.5 - row, color=style.FAINT, lw=0.6, zorder=0)
    axes.axhspan(-len(values) - 0.1, 0.5 - len(values), **marks.NULL_BAND)
    marks.letters(axes, part(table, "baseline")["angle"], 0.2 - len(values))
    axes.axvline(float(part(table, "random")["angle"].iloc[0]), **marks.RANDOM_LINE)


def _cell(axes: Axes, cell, singles: pd.DataFrame, row: int) -> None:
    """Draw one cell: its administrations, its mean with interval, its bounds."""
    goal = bool(cell.goal_prompt)
    colour, y = style.value_look(cell.value).colour, row + _LANE[goal]
    arm = (singles["value"] == cell.value) & (singles["goal_prompt"].astype(bool) == goal)
    angles = singles.loc[arm, "angle"].to_numpy(float)
    spread = np.linspace(-0.1, 0.1, len(angles)) if len(angles) > 1 else np.zeros(len(angles))
    dots = {"ls": "none", "marker": ".", "ms": 4.2, "mew": 0, "color": colour, "alpha": 0.55}
    axes.plot(angles, y + spread, **dots)
    if cell.scored < cell.administrations:
        axes.plot([cell.bound_low, cell.bound_high], [y, y], gid="bounds", **_BOUNDS)
    axes.plot([cell.angle_low, cell.angle_high], [y, y], color=colour, lw=0.9, zorder=3)
    look = marks.of_goal(cell.value, goal, (4.6, 4.6), hollow="white")
    axes.plot(cell.angle, y, zorder=4, gid=f"mean {cell.value} {goal}", **look)
