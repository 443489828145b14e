"""People and models on one ring: outside of it how people are spread, inside who was measured.

Only the angle counts here: the distance from the centre gives each respondent an arc of its own.
Drawn from the table `robustness_data.people_and_models` and nothing else. This module must never
estimate, and never talk to a model.

Public names: people_and_models.
"""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.projections.polar import PolarAxes

from hvae_utils import marks, style
from hvae_utils.figures_plane import part

_ANGLES = (-22.0, 66.0)  # degrees: what answers can reach, with room for the outer names
_INNER = 15.0  # radii in the units of figures_plane: the innermost arc,
_RIM = (50.0, 53.5)  # the coloured rim,
_FLOOR, _TALLEST = 54.5, 12.0  # and the bars of people outside of it
_REGIONS = ("altruistic", "prosocial", "individualistic", "competitive")  # downwards


def people_and_models(table: pd.DataFrame) -> Figure:
    """Draw `robustness_data.people_and_models`: people outside, respondents inside.

    An arc each, from the rim inwards: ideals, constant letters, then the run's respondents.
    """
    measured = part(table, "measured", "people and models")
    respondents = list(dict.fromkeys(measured["respondent"]))
    names = ["ideal respondents", "always one letter"]
    names += [_with_gaps(measured, respondent) for respondent in respondents]
    lane = (_RIM[0] - _INNER) / len(names)
    radii = _RIM[0] - lane * (np.arange(len(names)) + 0.5)
    with style.context():
        figure = style.new_figure(6.5)
        axes = figure.add_subplot(projection="polar")
        _plane(axes, table)
        _people(axes, table)
        _ideals(axes, table, radii[0], lane)
        _letters(axes, part(table, "baseline")["angle"], radii[1], lane)
        for radius, respondent in zip(radii[2:], respondents, strict=True):
            _respondent(axes, measured, respondent, radius, lane)
        for radius, name in zip(radii, names, strict=True):
            edge = np.radians(np.linspace(*_ANGLES, 60))
            axes.plot(edge, np.full(60, radius - lane / 2), color=style.FAINT, lw=0.6, zorder=0)
            place = {"textcoords": "offset points", "ha": "right", "va": "center", "fontsize": 7.2}
            axes.annotate(name, (np.radians(_ANGLES[1]), radius), (-3, 0), **place)
        handles = _legend(table, list(dict.fromkeys(measured["value"])))
        figure.legend(handles=handles, loc="outside upper center", ncols=4)
        gaps = "(1/10): no angle in one of ten cells" if measured["angle"].isna().any() else ""
        if notes := (gaps + style.flag_note(respondents)).strip():
            figure.supxlabel(notes, fontsize=8)
        return style.arranged(figure)


def _plane(axes: PolarAxes, table: pd.DataFrame) -> None:
    """Draw the part of the ring that is shown: regions with their names, and the scale."""
    axes.set_thetamin(_ANGLES[0])
    axes.set_thetamax(_ANGLES[1])
    axes.set_ylim(0, _FLOOR + _TALLEST)
    axes.set_yticks([])
    axes.tick_params(axis="x", pad=0)
    axes.grid(False)
    axes.spines[:].set_edgecolor("none")  # a wedge makes them visible again
    axes.set_xticks(
        np.radians(range(-15, 61, 15)), [f"{x}°".replace("-", "−") for x in range(-15, 61, 15)]
    )
    cuts = sorted(part(table, "boundary")["angle"].astype(float), reverse=True)
    edges = [_ANGLES[1], *cuts, _ANGLES[0]]
    for name, high, low in zip(_REGIONS, edges[:-1], edges[1:], strict=True):
        colour, middle = style.value_look(name).colour, np.radians((low + high) / 2)
        width, depth = np.radians(high - low), _RIM[1] - _RIM[0]
        axes.bar(middle, depth, width, _RIM[0], fc=colour, alpha=0.45, lw=0)
        axes.bar(middle, _RIM[0], width, 0, fc=colour, alpha=0.08, lw=0, zorder=0)
        turn = {"rotation": np.degrees(middle) - 90, "rotation_mode": "anchor"}
        axes.text(middle, sum(_RIM) / 2, name, ha="center", va="center", fontsize=6.8, **turn)
    for cut in np.radians(cuts):
        axes.plot([cut, cut], [_RIM[0], _FLOOR + _TALLEST], **_BOUNDARY)


_BOUNDARY = {"color": style.MUTED, "lw": 0.6, "ls": (0, (4, 3)), "zorder": 1}


def _people(axes: PolarAxes, table: pd.DataFrame) -> None:
    """Draw the histograms of people, and the random respondent's, outwards from the rim."""
    people, random = part(table, "people"), part(table, "random")
    scale = _TALLEST / max(people["share"].max(), random["share"].max())
    for sample, look in zip(dict.fromkeys(people["sample"]), _SAMPLES, strict=False):
        mine = people[people["sample"] == sample].sort_values("low")
        if "fc" in look:
            low, high = (np.radians(mine[end].to_numpy(float)) for end in ("low", "high"))
            axes.bar(low, scale * mine["share"], high - low, _FLOOR, align="edge", **look)
        else:
            _steps(axes, mine, scale, **look)
    _steps(axes, random.sort_values("low"), scale, **marks.RANDOM_LINE | {"zorder": 3})
    middle = np.radians(part(table, "random mean")["angle"].to_numpy(float)[0])
    axes.plot([middle, middle], [0, _RIM[0]], gid="random", **marks.RANDOM_LINE)
    tenth = np.radians(np.linspace(*_ANGLES, 60))
    axes.plot(tenth, np.full(60, _FLOOR), color=style.MUTED, lw=0.7)
    axes.plot(tenth, np.full(60, _FLOOR + 0.1 * scale), color=style.FAINT, lw=0.6, zorder=0)
    place = {"ha": "left", "va": "center", "fontsize": 6.8, "color": style.MUTED}
    at = np.radians(_ANGLES[1] - 0.5), _FLOOR + 0.1 * scale
    axes.annotate("10%", at, (3, 0), textcoords="offset points", **place)


_SAMPLES = ({"fc": "#7FA8C2", "alpha": 0.6, "lw": 0}, {"color": style.INK, "lw": 1.0, "zorder": 2})


def _steps(axes: PolarAxes, rows: pd.DataFrame, scale: float, **look) -> None:
    angles, heights = [], []
    for row in rows.itertuples():  # a wide bin follows the rim, not its chord
        angles.append(np.linspace(row.low, row.high, max(2, round((row.high - row.low) / 2))))
        heights.append(np.full(len(angles[-1]), _FLOOR + scale * row.share))
    axes.plot(np.radians(np.concatenate(angles)), np.concatenate(heights), **look)


def _ideals(axes: PolarAxes, table: pd.DataFrame, radius: float, lane: float) -> None:
    for ideal in part(table, "ideal").itertuples():
        look = style.value_look(ideal.value)
        if ideal.high - ideal.low > 1:
            low, width = np.radians(ideal.low), np.radians(ideal.high - ideal.low)
            box = {"align": "edge", "fc": look.colour, "alpha": 0.25, "lw": 0}
            axes.bar(low, 0.7 * lane, width, radius - 0.35 * lane, **box)
        gid = f"ideal {ideal.value}"
        axes.plot(np.radians(ideal.angle), radius, look.marker, color=look.colour, ms=6, gid=gid)


def _letters(axes: PolarAxes, angles: pd.Series, radius: float, lane: float) -> None:
    low, high = np.radians(_ANGLES)
    axes.bar(low, lane, high - low, radius - lane / 2, align="edge", **marks.NULL_BAND)
    for option, angle in enumerate(np.radians(angles.to_numpy(float))):
        place = {"ha": "center", "va": "center", "fontsize": 6.5}
        apart = 0.2 * lane * (-1) ** option  # neighbours are two degrees apart
        axes.text(angle, radius + apart, chr(65 + option), **place)


def _with_gaps(measured: pd.DataFrame, respondent: str) -> str:
    """Return the name, and in brackets how many of its cells have no angle."""
    missing = measured.loc[measured["respondent"] == respondent, "angle"].isna()
    if not missing.any():
        return respondent
    return f"{respondent} ({missing.sum()}/{len(missing)})"


def _respondent(
    axes: PolarAxes, measured: pd.DataFrame, respondent: str, radius: float, lane: float
) -> None:
    """Draw a respondent's means by value; the interval of the goal arm, or of the only one."""
    values = list(dict.fromkeys(measured["value"]))
    alone = measured["goal_prompt"].astype(bool).nunique() == 1
    for row in measured[measured["respondent"] == respondent].itertuples():
        look, goal = style.value_look(row.value), bool(row.goal_prompt)
        own = (len(values) - 1) / 2 - values.index(row.value)
        at = radius + 0.84 * lane * own / max(len(values), 2)
        if (goal or alone) and not np.isnan(row.low):
            arc = np.radians(np.clip(np.linspace(row.low, row.high, 30), *_ANGLES))
            axes.plot(arc, np.full(30, at), color=look.colour, lw=1.1, zorder=2)
        axes.plot(
            np.radians(row.angle),
            at,
            marker=look.marker,
            ms=3.8 if goal else 6.0,
            mfc=look.colour if goal else "none",
            mec=look.colour,
            mew=0.5 if goal else 0.9,
            zorder=4,
            gid=f"mean {respondent} {row.value} {goal}",
        )


def _legend(table: pd.DataFrame, values: list[str]) -> list:
    people, measured = part(table, "people"), part(table, "measured")
    handles = []
    for sample, look in zip(dict.fromkeys(people["sample"]), _SAMPLES, strict=False):
        count = int(people.loc[people["sample"] == sample, "count"].sum())
        label = f"{sample}, {count:,} people"
        line = (
            Line2D([], [], label=label, **look) if "color" in look else Patch(label=label, **look)
        )
        handles.append(line)
    handles.append(Line2D([], [], label="random: spread, mean", **marks.RANDOM_LINE))
    for value in values:
        look = style.value_look(value)
        name = "no value assigned" if value == "none" else value
        mark = {"marker": look.marker, "color": look.colour, "ms": 5.5, "ls": "none"}
        handles.append(Line2D([], [], label=name, **mark))
    grey = {"marker": "s", "mec": style.MUTED, "color": style.MUTED}
    arms = set(measured["goal_prompt"].astype(bool))
    if True in arms:
        name = f"{style.GOAL[True]}, 95%"
        handles.append(Line2D([], [], lw=1.1, ms=3.8, mfc=style.MUTED, label=name, **grey))
    if False in arms:
        width = 0 if True in arms else 1.1
        hollow = {"lw": width, "ms": 6, "mfc": "none", "label": style.GOAL[False]}
        handles.append(Line2D([], [], **grey | hollow))
    return handles
