"""Figures of angles along an axis: what noise does to an ideal, what is recovered of a truth.

Drawn from the tables of `robustness_data` and nothing else. This module must never estimate, and
never talk to a model.

Public names: lapse_curves, recovery.
"""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from hvae_utils import style
from hvae_utils.figures_plane import part

_BOUNDARY = {"color": style.MUTED, "lw": 0.6, "ls": (0, (4, 3)), "zorder": 1}
_REGIONS = ("altruistic", "prosocial", "individualistic", "competitive")  # downwards
_ANGLE = (-19.0, 65.0)  # degrees: what answers can reach, with room


def lapse_curves(table: pd.DataFrame) -> Figure:
    """Draw `robustness_data.lapse_curves`: angle, probability of the own category, raw score."""
    curves = part(table, "curve", "the lapse curves")
    values = list(dict.fromkeys(curves["value"]))
    with style.context():
        figure = style.new_figure(3.1)
        every = figure.subplots(1, 3)
        titles = ("mean angle, degrees", "P(own category)", "value rationality, degrees")
        for axes, title, column in zip(every, titles, ("angle", "own", "vr"), strict=True):
            for place, value in enumerate(values):
                curve = curves[curves["value"] == value]
                _curve(axes, curve, column, value, place, len(values))
            axes.set_title(title)
            axes.set_xlim(-0.01, 1.01)
            axes.set_xticks(np.linspace(0, 1, 5), [f"{x}%" for x in range(0, 101, 25)])
        _boundaries(every[0], part(table, "boundary"))
        every[0].set_ylim(_ANGLE)
        every[1].set_ylim(-0.02, 1.03)
        every[1].set_yticks(np.linspace(0, 1, 5))
        every[2].set_ylim(min(0.0, float(np.nanmin(curves["vr"]))), 61.5)
        for axes in every[1:]:
            axes.grid(axis="y")
        figure.supxlabel("lapse rate: share of answers given at random", fontsize=8)
        handles = [Line2D([], [], label=value, **_cue(value)) for value in values]
        handles.append(Patch(fc=style.MUTED, alpha=0.25, label="80% of administrations"))
        figure.legend(handles=handles, loc="outside upper center", ncols=5)
        return style.arranged(figure)


def _cue(value: str) -> dict:
    look = style.value_look(value)
    return {"color": look.colour, "marker": look.marker, "ms": 4.2, "lw": 1.5}


def _curve(axes: Axes, curve: pd.DataFrame, column: str, value: str, place: int, of: int) -> None:
    curve = curve.sort_values("rate")
    if column == "angle":
        band = [curve[name].to_numpy(float) for name in ("rate", "angle_low", "angle_high")]
        axes.fill_between(*band, color=style.value_look(value).colour, alpha=0.13, lw=0)
    every = max(len(curve) // 6, 1)
    marks = (place * every // of, every)  # curves that meet do not hide one another's marks
    gid = f"{column} {value}"
    axes.plot(curve["rate"], curve[column], markevery=marks, gid=gid, zorder=3, **_cue(value))


def _boundaries(axes: Axes, rows: pd.DataFrame) -> None:
    """Draw the category boundaries and name the categories."""
    angles = rows.sort_values("angle", ascending=False)["angle"].to_numpy(float)
    for angle in angles:
        axes.axhline(angle, **_BOUNDARY)
    middles = [_ANGLE[1] + angles[0], 2 * angles[1] + 7, 2 * angles[1] - 7, angles[2] + _ANGLE[0]]
    for place, (name, middle) in enumerate(zip(_REGIONS, middles, strict=True)):
        outer = place in (0, 3)  # where curves leave room: the outer ones right, the inner left
        at = {"ha": "right" if outer else "left", "va": "center", "fontsize": 6.8}
        axes.text(0.985 if outer else 0.02, middle / 2, name, zorder=4, color=style.MUTED, **at)


def recovery(table: pd.DataFrame) -> Figure:
    """Draw `robustness_data.recovery`: rows by lapse rate, columns by bias, degrees on both axes.

    The staircase is what ideal respondents measure; closer than a step nothing is told apart.
    """
    told = part(table, "respondent", "the recovery study")
    steps = part(table, "step")
    lapses = sorted(set(told["lapse"]))
    biases = [bias for bias in _BIASES if bias in set(told["bias"])]
    angles = told["utility_angle"].to_numpy(float)
    with style.context():
        figure = style.new_figure(0.95 + 1.95 * len(lapses))
        every = style.panels(figure, len(lapses) * len(biases), len(biases))
        for place, axes in enumerate(every):
            lapse, bias = lapses[place // len(biases)], biases[place % len(biases)]
            mine = told[(told["lapse"] == lapse) & (told["bias"] == bias)]
            stairs = steps.sort_values("low")
            edges = stairs[["low", "high"]].to_numpy(float).ravel()
            axes.plot(edges, np.repeat(stairs["measured"], 2), gid="ideal", **_STAIRS)
            stages = [stage for stage in _STAGES if stage in set(mine["stage"])]
            for stage in stages:
                line = mine[mine["stage"] == stage].sort_values("utility_angle")
                x, y = line["utility_angle"], line["measured"]
                axes.plot(x, y, gid=f"{stage} {bias} {lapse:g}", **_STAGES[stage][1])
            nats = mine["nats"].max() if len(mine) else 0
            title = "no bias" if bias == "none" else f"{bias} bias, {nats:g} nats"
            axes.set_title(f"{title}\n{100 * lapse:.0f}% lapses", fontweight="normal", fontsize=8)
            axes.set_xlim(angles.min() - 4, angles.max() + 4)
            axes.set_ylim(_ANGLE)
            axes.set_xticks(range(-45, 91, 45), ["−45", "0", "45", "90"])
            axes.set_yticks(range(0, 61, 15))
            axes.grid(axis="y")
        figure.supxlabel("true utility angle of the simulated respondent, degrees", fontsize=8)
        figure.supylabel("measured mean SVO angle, degrees", fontsize=8)
        handles = [Line2D([], [], label="ideal respondents", **_STAIRS)]
        present = [name for name in _STAGES if name in set(told["stage"])]
        handles += [Line2D([], [], label=_STAGES[name][0], **_STAGES[name][1]) for name in present]
        figure.legend(handles=handles, loc="outside upper center", ncols=3)
        return style.arranged(figure)


_BIASES = ("none", "position", "label")
_STAIRS = {"color": "#A9A9A9", "lw": 2.0, "zorder": 1}
_STAGES = {
    "unbiased": ("soft, without any bias", {"color": style.INK, "lw": 1.4, "zorder": 2}),
    "before": (
        "biased, one fixed order",
        {"color": "#A63603", "lw": 1.0, "ls": (0, (3, 1.6)), "marker": "D", "ms": 3.6, "zorder": 3},
    ),
    "probability": (
        "nine orders, probabilities",
        {"color": "#E69F00", "lw": 1.0, "ls": (0, (1, 1.2)), "marker": "^", "ms": 4.2, "zorder": 4},
    ),
    "logit": (
        "nine orders, log-probabilities",
        {"color": "#0072B2", "lw": 0, "marker": "o", "ms": 5.4, "mfc": "none", "zorder": 5},
    ),
}
