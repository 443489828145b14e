"""Figures 03 and 08, radars of value rationality: a panel a respondent, a spoke a value.

The centre is so low that nothing is clipped; the circle of 0 is drawn.
"""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.projections.polar import PolarAxes

from hvae_utils.errors import UserError
from hvae_utils.show import marks, style
from hvae_utils.show.names import flag_note, flagged, named
from hvae_utils.show.tables import need, random_vr

FULL = 60.0  # degrees: the rim of the scale inferred from the published chart
_STEP = 20.0
_SPOKE = {"textcoords": "offset points", "ha": "center", "fontsize": 7}
_PAPER = {"fc": "white", "ec": "none", "pad": 0.6, "alpha": 0.85}
_SCALE = {"fontsize": 6.5, "color": style.MUTED, "ha": "center", "va": "center", "bbox": _PAPER}
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


@style.drawing
def draw(table: pd.DataFrame) -> Figure:
    """Draw either table: value rationality with and without the goal prompt."""
    need(table, "the radar of value rationality")
    respondents, values = (list(table[name].unique()) for name in ("respondent", "value"))
    lowest = np.nanmin(table[["vr", "vr_random"]].to_numpy(float), initial=0.0)
    centre = -_STEP * max(1, np.ceil(-lowest / _STEP))
    count, turns = len(respondents), np.linspace(0, 2 * np.pi, len(values), endpoint=False)
    spokes = dict(zip(values, turns, strict=True))
    columns = count if count < 3 else 4 if count % 4 == 0 else 3
    figure = style.new_figure(0.6 + -(-count // columns) * (4.0, 3.3, 2.4, 1.82)[columns - 1])
    panels = style.panels(figure, count, columns, subplot_kw={"projection": "polar"})
    style.name_panels(panels, respondents, columns, loc="center", pad=14)
    for axes, respondent in zip(panels, respondents, strict=True):
        rows = table[table["respondent"] == respondent]
        _web(axes, rows, spokes, centre)
        _arms(axes, rows, spokes)
    label = f"value rationality in degrees: rim {FULL:g} = ideal, dark circle 0, centre {centre:g}"
    dot = {"marker": "o", "mec": style.INK}
    keys = [
        marks.key(style.GOAL[True], ms=4.2, mfc=style.INK, **dot, **_LINES[True]),
        marks.key(style.GOAL[False], ms=6, mfc="none", **dot, **_LINES[False]),
        marks.key("random respondent, expected", **marks.RANDOM_LINE),
    ]
    style.legend(figure, keys, 3, label.replace("-", "−") + flag_note(respondents))
    return figure


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
    rings = np.arange(centre, FULL + 1, _STEP)
    for ring, number in zip(rings, style.numbers(rings), strict=True):
        axes.text(np.pi / len(spokes), ring, number, zorder=3, **_SCALE)


def _arms(axes: PolarAxes, rows: pd.DataFrame, spokes: dict[str, float]) -> None:
    """Draw a respondent with and without the goal prompt."""
    turns, closed = np.array([*spokes.values()]), [*range(len(spokes)), 0]
    for goal in (False, True):
        arm = rows[rows["goal_prompt"].astype(bool) == goal]
        arm = arm.set_index("value").reindex([*spokes])
        random, vr = (arm[name].to_numpy(float) for name in ("vr_random", "vr"))
        axes.plot(turns[closed], random[closed], gid="random", **marks.RANDOM_LINE)
        axes.plot(turns[closed], vr[closed], gid=style.GOAL[goal], zorder=4, **_LINES[goal])
        for (value, spoke), degrees in zip(spokes.items(), vr, strict=True):
            look = marks.of_goal(value, goal, (4.2, 6.4)) | {"zorder": 5, "clip_on": False}
            axes.plot(spoke, degrees, gid=f"vr {value} {goal}", **look)
