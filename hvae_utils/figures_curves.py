"""Figures of angles along an axis: what noise does, what is recovered, where people stand.

Drawn from the tables of `robustness_data` and nothing else. This module must never estimate, and
never talk to a model.

Public names: lapse_curves, recovery, people_and_models.
"""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle

from hvae_utils import style
from hvae_utils.figures_plane import part

_RANDOM = {"marker": "x", "ms": 6, "mec": style.RANDOM, "mew": 1.7, "ls": "none"}
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


def people_and_models(table: pd.DataFrame) -> Figure:
    """Draw `robustness_data.people_and_models`: people above, ideals and respondents below."""
    measured = part(table, "measured", "people and models")
    respondents = list(dict.fromkeys(measured["respondent"]))
    values = list(dict.fromkeys(measured["value"]))
    alone = measured["goal_prompt"].astype(bool).nunique() == 1
    rows = 0.12 + 0.085 * max(len(values), 2)  # inches
    below = 0.34 + rows * len(respondents)
    with style.context():
        figure = style.new_figure(2.65 + below)
        people, models = figure.subplots(2, 1, sharex=True, height_ratios=(1.35, below))
        _people(people, table)
        _ideals(models, table)
        for place, respondent in enumerate(respondents):
            mine = measured[measured["respondent"] == respondent]
            for row in mine.itertuples():
                _mean(models, row, -place - 1, values, alone)
            models.axhline(-place - 0.5, color=style.FAINT, lw=0.6, zorder=0)
        for axes in (people, models):
            for angle in part(table, "boundary")["angle"]:
                axes.axvline(angle, **_BOUNDARY)
        models.set_ylim(-len(respondents) - 0.5, 0.5)
        names = [_with_gaps(measured, respondent) for respondent in respondents]
        models.set_yticks(-np.arange(len(respondents) + 1), ["ideals, random", *names])
        models.tick_params(axis="y", length=0)
        models.spines["left"].set_visible(False)
        models.set_xlim(_ANGLE)
        ticks = range(-15, 61, 15)
        models.set_xticks(ticks, [f"{tick}".replace("-", "−") for tick in ticks])
        models.set_xlabel("SVO angle, degrees")
        handles = _people_legend(table, values, set(measured["goal_prompt"].astype(bool)))
        figure.legend(handles=handles, loc="outside upper center", ncols=4)
        return style.arranged(figure)


def _people(axes: Axes, table: pd.DataFrame) -> None:
    """Draw the histograms of the samples, the random respondent's outline, and the categories."""
    import seaborn  # slow to import

    people = part(table, "people").copy()
    edges = np.append(np.unique(people["low"]), people["high"].max())
    people["middle"] = (people["low"] + people["high"]) / 2
    for sample, look in zip(dict.fromkeys(people["sample"]), _SAMPLES, strict=False):
        mine = people[people["sample"] == sample]
        seaborn.histplot(
            mine, x="middle", weights="share", bins=list(edges), element="step", ax=axes, **look
        )
    random = part(table, "random").sort_values("low")
    steps = np.append(random["share"], random["share"].iloc[-1])
    axes.step([*random["low"], random["high"].iloc[-1]], steps, where="post", **_RANDOM_OUTLINE)
    highest = float(table["share"].max())
    axes.set_ylim(0, 1.12 * highest)
    ticks = np.arange(0, highest + 0.001, 0.1)
    axes.set_yticks(ticks, [f"{100 * tick:.0f}%" for tick in ticks])
    axes.set_ylabel("share per 2.5 degrees")
    axes.set_xlabel("")
    axes.tick_params(labelbottom=False)
    cuts = sorted(part(table, "boundary")["angle"].astype(float), reverse=True)
    edges = [_ANGLE[1], *cuts, _ANGLE[0]]
    for name, top, bottom in zip(_REGIONS, edges[:-1], edges[1:], strict=False):
        place = {"transform": axes.get_xaxis_transform(), "ha": "center", "va": "bottom"}
        axes.text((top + bottom) / 2, 1.03, name, fontsize=7.5, **place)
        colour = style.value_look(name).colour
        axes.axvspan(bottom, top, 0.965, 1, color=colour, lw=0)


_SAMPLES = (
    {"color": "#7FA8C2", "fill": True, "alpha": 0.6, "lw": 0},
    {"color": style.INK, "fill": False, "lw": 1.1},
)
_RANDOM_OUTLINE = {"color": style.RANDOM, "lw": 1.3, "ls": (0, (1, 1.2)), "zorder": 3}


def _ideals(axes: Axes, table: pd.DataFrame) -> None:
    for ideal in part(table, "ideal").itertuples():
        look = style.value_look(ideal.value)
        if ideal.high - ideal.low > 1:
            box = (ideal.low, -0.28), ideal.high - ideal.low, 0.56
            axes.add_patch(Rectangle(*box, fc=look.colour, alpha=0.25, lw=0))
        gid = f"ideal {ideal.value}"
        axes.plot(ideal.angle, 0, marker=look.marker, ms=7, color=look.colour, gid=gid)
    axes.plot(part(table, "random mean")["angle"], [0], gid="random", **_RANDOM)


def _with_gaps(measured: pd.DataFrame, respondent: str) -> str:
    """Return the name, and below it how many of its cells have no angle."""
    missing = measured.loc[measured["respondent"] == respondent, "angle"].isna()
    if not missing.any():
        return respondent
    return f"{respondent}\nno angle in {missing.sum()} of {len(missing)} cells"


def _mean(axes: Axes, row, y: float, values: list[str], alone: bool) -> None:
    """Draw a cell's mean in its value's lane; the interval of the goal arm, or of an arm alone."""
    lane = 0.84 * ((len(values) - 1) / 2 - values.index(row.value)) / max(len(values), 2)
    look, goal = style.value_look(row.value), bool(row.goal_prompt)
    if goal or alone:
        axes.plot([row.low, row.high], [y + lane] * 2, color=look.colour, lw=1.2, zorder=2)
    axes.plot(
        row.angle,
        y + lane,
        marker=look.marker,
        ms=4.4 if goal else 6.6,
        mfc=look.colour if goal else "none",
        mec=look.colour,
        mew=0.5 if goal else 0.9,
        zorder=4,
        gid=f"mean {row.respondent} {row.value} {goal}",
    )


def _people_legend(table: pd.DataFrame, values: list[str], arms: set[bool]) -> list:
    handles = []
    for sample, look in zip(dict.fromkeys(part(table, "people")["sample"]), _SAMPLES, strict=False):
        count = int(part(table, "people").query("sample == @sample")["count"].sum())
        label = f"{sample}, {count:,} people"
        if look["fill"]:
            handles.append(Patch(fc=look["color"], alpha=look["alpha"], label=label))
        else:
            handles.append(Line2D([], [], color=look["color"], lw=look["lw"], label=label))
    handles.append(Line2D([], [], label="random respondents", **_RANDOM_OUTLINE))
    handles.append(Line2D([], [], label="random, mean", **_RANDOM))
    for value in values:
        look = style.value_look(value)
        name = "no value assigned" if value == "none" else value
        mark = {"marker": look.marker, "color": look.colour, "ms": 5.5, "ls": "none"}
        handles.append(Line2D([], [], label=name, **mark))
    grey = {"marker": "s", "mec": style.MUTED, "color": style.MUTED}
    if True in arms:
        name = f"{style.GOAL[True]}, 95%"
        handles.append(Line2D([], [], lw=1.2, ms=4.4, mfc=style.MUTED, label=name, **grey))
    if False in arms:
        width = 0 if True in arms else 1.2
        handles.append(
            Line2D([], [], lw=width, ms=6.4, mfc="none", label=style.GOAL[False], **grey)
        )
    return handles
