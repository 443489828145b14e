"""Radars of value rationality: one small panel a respondent, a spoke a value.

Drawn from the tables of `figure_data` and nothing else. The centre is not 0 but low enough for
every value: nothing is clipped, and the circle of 0 is drawn. This module must never estimate,
and never talk to a model.

Public names: vr_radar, published_radar.
"""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.projections.polar import PolarAxes

from hvae_utils import marks, style
from hvae_utils.errors import UserError

FULL = 60.0  # degrees: the rim of the scale inferred from the published chart
_STEP = 20.0


def vr_radar(table: pd.DataFrame) -> Figure:
    """Draw `figure_data.vr_radar`: value rationality with and without the goal prompt.

    The centre is -20 degrees (lower in steps of 20 if a value needs it), the rim 60.
    """
    return _radars(table, "the radar of value rationality")


def published_radar(table: pd.DataFrame) -> Figure:
    """Draw `figure_data.published_radar` on the same axes as `vr_radar`."""
    return _radars(table, "the published radar")


def _radars(table: pd.DataFrame, what: str) -> Figure:
    if table.empty:
        raise UserError(f"{what}: the table is empty, so there is nothing to draw")
    respondents = list(dict.fromkeys(table["respondent"]))
    values = list(dict.fromkeys(table["value"]))
    lowest = np.nanmin(table[["vr", "vr_random"]].to_numpy(float), initial=0.0)
    centre = -_STEP * max(1, np.ceil(-lowest / _STEP))
    with style.context():
        columns = (
            len(respondents) if len(respondents) < 3 else 4 if len(respondents) % 4 == 0 else 3
        )
        rows = -(-len(respondents) // columns)
        height = {1: 4.0, 2: 3.3, 3: 2.4, 4: 1.82}[columns]
        figure = style.new_figure(0.6 + rows * height)
        every = style.panels(figure, len(respondents), columns, subplot_kw={"projection": "polar"})
        style.name_panels(every, respondents, columns, loc="center", pad=14)
        for axes, respondent in zip(every, respondents, strict=True):
            _radar(axes, table[table["respondent"] == respondent], values, centre)
        label = (
            f"value rationality in degrees: rim {FULL:g} = ideal, dark circle 0, centre {centre:g}"
        )
        note = style.flag_note(respondents)
        figure.supxlabel(label.replace("-", "−") + note, fontsize=8)
        figure.legend(handles=_legend(), loc="outside upper center", ncols=3)
        return style.arranged(figure)


def _radar(axes: PolarAxes, rows: pd.DataFrame, values: list[str], centre: float) -> None:
    spokes = np.arange(len(values)) * 2 * np.pi / len(values)
    axes.set_theta_zero_location("N")
    axes.set_theta_direction(-1)
    axes.set_ylim(centre, FULL)
    axes.spines["polar"].set_visible(False)
    axes.grid(False)
    axes.set_xticks([])
    circle = np.linspace(0, 2 * np.pi, 120)
    for ring in np.arange(centre + _STEP, FULL + 1, _STEP):
        bold = ring in (0, FULL)
        axes.plot(circle, 0 * circle + ring, color=style.MUTED if bold else style.FAINT, lw=0.6)
    axes.set_yticks([])
    for spoke, value in zip(spokes, values, strict=True):
        axes.plot([spoke, spoke], [centre, FULL], color=style.FAINT, lw=0.6)
        silent = rows.loc[rows["value"] == value, "vr"].isna().all()
        _name_spoke(axes, spoke, f"{value} (no angle)" if silent else value)
    for ring in np.arange(centre, FULL + 1, _STEP):
        axes.text(np.pi / len(values), ring, f"{ring:g}".replace("-", "−"), **_SCALE)
    for goal in (False, True):
        arm = rows[rows["goal_prompt"].astype(bool) == goal].set_index("value").reindex(values)
        closed = [*range(len(values)), 0]
        axes.plot(
            spokes[closed],
            arm["vr_random"].to_numpy(float)[closed],
            gid="random",
            **marks.RANDOM_LINE,
        )
        vr = arm["vr"].to_numpy(float)
        axes.plot(spokes[closed], vr[closed], gid=style.GOAL[goal], zorder=4, **_line(goal))
        for spoke, value, one in zip(spokes, values, vr, strict=True):
            look = style.value_look(value)
            axes.plot(
                spoke,
                one,
                marker=look.marker,
                ms=4.2 if goal else 6.4,
                mfc=look.colour if goal else "none",
                mec=look.colour,
                mew=1,
                zorder=5,
                clip_on=False,
                gid=f"vr {value} {goal}",
            )


def _name_spoke(axes: PolarAxes, spoke: float, value: str) -> None:
    across, up = np.sin(spoke), np.cos(spoke)
    axes.annotate(
        value,
        (spoke, FULL),
        (10 * across, 4 * up),
        textcoords="offset points",
        ha="center",
        va="bottom" if up > 0.5 else "top" if up < -0.5 else "center",
        rotation=0 if abs(up) > 0.5 else -90 * np.sign(across),
        rotation_mode="default",
        fontsize=7,
    )


_SCALE = {
    "fontsize": 6.5,
    "color": style.MUTED,
    "ha": "center",
    "va": "center",
    "zorder": 3,
    "bbox": {"fc": "white", "ec": "none", "pad": 0.6, "alpha": 0.85},
}


def _line(goal: bool) -> dict:
    return {
        "color": style.INK,
        "lw": 1.4 if goal else 1.1,
        "ls": "-" if goal else style.NO_GOAL_LINE,
    }


def _legend() -> list[Line2D]:
    dot = {"marker": "o", "mec": style.INK}
    return [
        Line2D([], [], label=style.GOAL[True], ms=4.2, mfc=style.INK, **dot, **_line(True)),
        Line2D([], [], label=style.GOAL[False], ms=6, mfc="none", **dot, **_line(False)),
        Line2D([], [], label="random respondent, expected", **marks.RANDOM_LINE),
    ]
