"""Figures 03 and 08, radars of value rationality: a panel a respondent, a spoke a value.

The centre is so low that nothing is clipped; the circle of 0 is drawn.
"""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.projections.polar import PolarAxes

from hvae_utils.errors import UserError
from hvae_utils.show import marks, style
from hvae_utils.show.names import each, flag_note, flagged, named
from hvae_utils.show.tables import need, random_vr

FULL = 60.0  # degrees: the rim of the scale inferred from the published chart
_STEP = 20.0
_SPOKE = {"textcoords": "offset points", "ha": "center", "fontsize": 7}
_LINES = {
    True: {"color": style.INK, "lw": 1.4, "ls": "-"},
    False: {"color": style.INK, "lw": 1.1, "ls": style.NO_GOAL_LINE},
}


def table(cells: pd.DataFrame) -> pd.DataFrame:
    """Return value rationality (scale inferred from the published chart) of each cell.

    vr (NaN if nothing was scored), vr_random: degrees. Values without a target are left out.
    """
    columns = ["model", "value", "goal_prompt", "vr", "vr_random", "administrations", "scored"]
    need(cells, "cells", [*columns, "target"])
    table = cells.loc[cells["target"].notna(), columns]
    if table.empty:
        raise UserError("cells: no assigned value has a target, so there is no value rationality")
    return flagged(named(table), cells)


def published_table(published: pd.DataFrame) -> pd.DataFrame:
    """Return the published value rationality beside that of random respondents in ten tests."""
    columns = ["model", "value", "goal_prompt", "vr", "reading_error"]
    need(published, "published radar", columns)
    return named(published[columns].assign(vr_random=random_vr(published["value"])))


def caption(table: pd.DataFrame) -> str:
    """Return how to read the radars, and how far outside of the random outline."""
    first = "The published chart (version 1)" if "reading_error" in table else "Value rationality"
    return (
        f"{first}, beside chance. 60 minus the distance of mean angle and target, a scale inferred "
        "from the published chart (Zhang et al., arXiv 2305.17147 v1); the dotted outline is a "
        f"random respondent. {_outside(table)}{flag_note(table['respondent'])}"
    )


def alt(table: pd.DataFrame) -> str:
    """Return the picture in words."""
    random = table.groupby("value", sort=False)["vr_random"].mean()
    return (
        "Radar charts with an axis a value, one panel a respondent, two lines for the goal arms "
        f"and an outline for the random respondent ({each(random)}). {_outside(table)}"
    )


def _outside(table: pd.DataFrame) -> str:
    """Return how far each respondent is outside of the random outline."""
    ahead = (table["vr"] - table["vr_random"]).groupby(table["respondent"], sort=False).mean()
    return f"Outside of the outline, on average: {each(ahead, 0, '°')}."


@style.drawing
def draw(table: pd.DataFrame) -> Figure:
    """Draw either table: value rationality with and without the goal prompt.

    Fewer than three values make no radar; they stand side by side.
    """
    need(table, "the radar of value rationality")
    respondents, values = (list(table[name].unique()) for name in ("respondent", "value"))
    lowest = np.nanmin(table[["vr", "vr_random"]].to_numpy(float), initial=0.0)
    centre = -_STEP * max(1, np.ceil(-lowest / _STEP))
    count, radar = len(respondents), len(values) > 2
    places = np.linspace(0, 2 * np.pi, len(values), endpoint=False) if radar else range(len(values))
    spokes = dict(zip(values, map(float, places), strict=True))
    columns = count if count < 3 else 4 if count % 4 == 0 else 3
    figure = style.new_figure(0.6 + -(-count // columns) * (4.0, 3.3, 2.4, 1.82)[columns - 1])
    options = {"subplot_kw": {"projection": "polar"}} if radar else {}
    panels = style.panels(figure, count, columns, **options)
    style.name_panels(panels, respondents, columns, loc="center", pad=14)
    for axes, respondent in zip(panels, respondents, strict=True):
        rows = table[table["respondent"] == respondent]
        (_web if radar else _grid)(axes, rows, spokes, centre)
        _arms(axes, rows, spokes, closed=radar)
    label = f"value rationality, a line every {_STEP:g} degrees: {FULL:g} = ideal, dark line 0"
    label += f", centre {centre:g}" if radar else ""
    dot = {"marker": "o", "mec": style.INK}
    keys = [
        marks.key(style.GOAL[True], ms=4.2, mfc=style.INK, **dot, **_LINES[True]),
        marks.key(style.GOAL[False], ms=6, mfc="none", **dot, **_LINES[False]),
        marks.key("random respondent, expected", **marks.RANDOM_LINE),
        *marks.flag_keys(respondents),
    ]
    style.legend(figure, keys, 4, label.replace("-", "−"))
    return figure


def _grid(axes: Axes, rows: pd.DataFrame, places: dict[str, float], lowest: float) -> None:
    """Draw the lines of the scale behind one or two values."""
    lines = np.arange(lowest, FULL + 1, _STEP)
    for line in lines:
        axes.axhline(line, color=style.MUTED if line in (0, FULL) else style.FAINT, lw=0.6)
    axes.set(ylim=(lowest, FULL + 4), xlim=(-0.5, len(places) - 0.5))
    axes.set_xticks(list(places.values()), list(places))
    axes.set_yticks(lines, style.numbers(lines))
    axes.tick_params(labelbottom=True)
    if rows["vr"].isna().all():
        axes.text(0.5, 0.5, "no angle", transform=axes.transAxes, ha="center", fontsize=7)


def _web(axes: PolarAxes, rows: pd.DataFrame, spokes: dict[str, float], centre: float) -> None:
    """Draw the circles with their degrees, and the spokes with their values."""
    axes.set_theta_zero_location("N")
    axes.set_theta_direction(-1)
    axes.set(ylim=(centre, FULL), xticks=[])
    axes.spines["polar"].set_visible(False)
    axes.grid(False)
    circle = np.linspace(0, 2 * np.pi, 120)
    for ring in np.arange(centre + _STEP, FULL + 1, _STEP):
        bold = ring in (0, FULL)
        axes.plot(circle, 0 * circle + ring, color=style.MUTED if bold else style.FAINT, lw=0.6)
    axes.set_yticks([])
    for value, spoke in spokes.items():
        axes.plot([spoke, spoke], [centre, FULL], color=style.FAINT, lw=0.6)
        silent = rows.loc[rows["value"] == value, "vr"].isna().all()
        across, up = np.sin(spoke), np.cos(spoke)
        beside = abs(up) <= 0.5
        words = {"va": "center" if beside else "bottom" if up > 0 else "top"} | _SPOKE
        words["rotation"] = -90 * np.sign(across) if beside else 0
        name = f"{value} (no angle)" if silent else value
        axes.annotate(name, (spoke, FULL), (10 * across, 4 * up), **words)


def _arms(axes: Axes, rows: pd.DataFrame, spokes: dict[str, float], closed: bool) -> None:
    """Draw a respondent with and without the goal prompt; closed: back to the first value."""
    turns, line = np.array([*spokes.values()]), [*range(len(spokes)), *[0] * closed]
    for goal in (False, True):
        arm = rows[rows["goal_prompt"].astype(bool) == goal]
        arm = arm.set_index("value").reindex([*spokes])
        random, vr = (arm[name].to_numpy(float) for name in ("vr_random", "vr"))
        axes.plot(turns[line], random[line], gid="random", **marks.RANDOM_LINE)
        axes.plot(turns[line], vr[line], gid=style.GOAL[goal], zorder=4, **_LINES[goal])
        for (value, spoke), degrees in zip(spokes.items(), vr, strict=True):
            look = marks.of_goal(value, goal, (4.2, 6.4)) | {"zorder": 5, "clip_on": False}
            axes.plot(spoke, degrees, gid=f"vr {value} {goal}", **look)
