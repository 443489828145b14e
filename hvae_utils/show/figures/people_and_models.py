"""Figure 15, people and models on one ring: outside how people are spread, inside who was measured.

Only the angle counts here: the distance from the centre gives each respondent an arc of its own.
"""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.projections.polar import PolarAxes

from hvae_utils.measure import svo
from hvae_utils.measure.instruments import Instrument
from hvae_utils.measure.values import Value
from hvae_utils.metrics import chance
from hvae_utils.show import marks, style
from hvae_utils.show.names import flag_note, flagged, named
from hvae_utils.show.tables import always_letters, boundaries, ideal_angles, need, part, stack

_ANGLES = (-22.0, 66.0)  # degrees: what answers can reach, with room for the outer names
_INNER = 15.0  # radii in coins, as in figure 01: the innermost arc,
_RIM = (50.0, 53.5)  # the coloured rim,
_FLOOR, _TALLEST = 54.5, 12.0  # and the bars of people outside of it
_ARC = np.radians(np.linspace(*_ANGLES, 60))
_SAMPLES = ({"fc": "#7FA8C2", "alpha": 0.6, "lw": 0}, {"color": style.INK, "lw": 1.0, "zorder": 2})


def table(
    cells: pd.DataFrame, histogram: pd.DataFrame, instrument: Instrument, values: dict[str, Value]
) -> pd.DataFrame:
    """Return on one ring, degrees: people, random and ideal respondents, and a run's models.

    histogram: as `published.people_histogram`; samples may differ in their bins. cells: as
    `rationality.cells`.
    part "people": low and high (bin), count, share. "random": the first sample's bins for uniform
    random choices. "random mean": angle. "boundary", "baseline", "ideal": as in `tables`.
    "measured": respondent (marked where flagged), angle (mean), low and high (95% interval).
    """
    keys = ["model", "value", "goal_prompt"]
    renamed = {"mean_angle": "angle", "angle_low": "low", "angle_high": "high"}
    need(histogram, "people's histogram", ["sample", "low", "high", "count", "share"])
    need(cells, "cells", [*keys, *renamed])
    uniform = svo.angle_distribution(chance.uniform(instrument), instrument)
    first = histogram[histogram["sample"] == histogram["sample"].iloc[0]]
    bins = first[["low", "high"]].sort_values("low")
    edges = np.append(bins["low"], bins["high"].iloc[-1])
    share = np.histogram(np.round(uniform.angles, 9), edges, weights=uniform.weights)[0]
    measured = flagged(named(cells[[*keys, *renamed]]), cells)
    table = stack(
        histogram.assign(part="people"),
        bins.assign(part="random", share=share),
        pd.DataFrame([{"part": "random mean", "angle": uniform.mean}]),
        boundaries(instrument),
        ideal_angles(values.values()).assign(part="ideal"),
        always_letters(instrument),
        measured.rename(columns=renamed).assign(part="measured"),
    )
    columns = ["part", "sample", "model", "respondent", "value", "goal_prompt"]
    return table[[*columns, "low", "high", "count", "share", "angle"]].astype({"count": "Int64"})


@style.drawing
def draw(table: pd.DataFrame) -> Figure:
    """Draw people outside; inside an arc each: ideals, constant letters, the run's respondents."""
    measured = part(table, "measured", "people and models")
    respondents = list(measured["respondent"].unique())
    names = ["ideal respondents", "always one letter"]
    for respondent, missing in measured["angle"].isna().groupby(measured["respondent"], sort=False):
        gaps = f" ({missing.sum()}/{len(missing)})" if missing.any() else ""
        names.append(respondent + gaps)
    lane = (_RIM[0] - _INNER) / len(names)
    radii = _RIM[0] - lane * (np.arange(len(names)) + 0.5)
    figure = style.new_figure(6.5)
    axes = figure.add_subplot(projection="polar")
    _plane(axes, part(table, "boundary")["angle"])
    _people(axes, table)
    _comparisons(axes, table, radii, lane)
    values = list(measured["value"].unique())
    for radius, respondent in zip(radii[2:], respondents, strict=True):
        rows = measured[measured["respondent"] == respondent]
        _means(axes, rows, values, radius, lane)
    for radius, name in zip(radii, names, strict=True):
        axes.plot(_ARC, np.full(60, radius - lane / 2), color=style.FAINT, lw=0.6, zorder=0)
        place = {"textcoords": "offset points", "ha": "right", "va": "center", "fontsize": 7.2}
        axes.annotate(name, (np.radians(_ANGLES[1]), radius), (-3, 0), **place)
    gaps = "(1/10): no angle in one of ten cells" if measured["angle"].isna().any() else ""
    notes = (gaps + flag_note(respondents)).strip()
    style.legend(figure, _keys(part(table, "people"), measured), 4, notes)
    return figure


def _plane(axes: PolarAxes, cuts: pd.Series) -> None:
    """Draw the part of the ring that is shown: regions with their names, and the scale."""
    axes.set(thetamin=_ANGLES[0], thetamax=_ANGLES[1], ylim=(0, _FLOOR + _TALLEST), yticks=[])
    axes.tick_params(axis="x", pad=0)
    axes.grid(False)
    axes.spines[:].set_edgecolor("none")  # a wedge makes them visible again
    axes.set_xticks(np.radians(range(-15, 61, 15)), style.numbers(range(-15, 61, 15), "°"))
    for name, low, high in marks.regions(cuts, *_ANGLES):
        colour, middle = style.value_look(name).colour, np.radians((low + high) / 2)
        width, depth = np.radians(high - low), _RIM[1] - _RIM[0]
        axes.bar(middle, depth, width, _RIM[0], fc=colour, alpha=0.45, lw=0)
        axes.bar(middle, _RIM[0], width, 0, fc=colour, alpha=0.08, lw=0, zorder=0)
        turn = {"rotation": np.degrees(middle) - 90, "rotation_mode": "anchor"}
        axes.text(middle, sum(_RIM) / 2, name, ha="center", va="center", fontsize=6.8, **turn)
    for cut in np.radians(sorted(cuts, reverse=True)):
        axes.plot([cut, cut], [_RIM[0], _FLOOR + _TALLEST], **marks.BOUNDARY)


def _people(axes: PolarAxes, table: pd.DataFrame) -> None:
    """Draw the histograms of people, and the random respondent's, outwards from the rim."""
    people, random = part(table, "people"), part(table, "random")
    scale = _TALLEST / max(people["share"].max(), random["share"].max())
    for (_, bins), look in zip(people.groupby("sample", sort=False), _SAMPLES, strict=False):
        bins = bins.sort_values("low")
        if "fc" in look:
            low, high = (np.radians(bins[end].to_numpy(float)) for end in ("low", "high"))
            axes.bar(low, scale * bins["share"], high - low, _FLOOR, align="edge", **look)
        else:
            _steps(axes, bins, scale, **look)
    _steps(axes, random.sort_values("low"), scale, **marks.RANDOM_LINE | {"zorder": 3})
    middle = np.radians(part(table, "random mean")["angle"].iloc[0])
    axes.plot([middle, middle], [0, _RIM[0]], gid="random", **marks.RANDOM_LINE)
    tenth = _FLOOR + 0.1 * scale
    axes.plot(_ARC, np.full(60, _FLOOR), color=style.MUTED, lw=0.7)
    axes.plot(_ARC, np.full(60, tenth), color=style.FAINT, lw=0.6, zorder=0)
    words = {"textcoords": "offset points", "ha": "left", "va": "center", "fontsize": 6.8}
    axes.annotate("10%", (_ARC[-1] - np.radians(0.5), tenth), (3, 0), color=style.MUTED, **words)


def _steps(axes: PolarAxes, rows: pd.DataFrame, scale: float, **look) -> None:
    angles, heights = [], []
    for row in rows.itertuples():  # a wide bin follows the rim, not its chord
        angles.append(np.linspace(row.low, row.high, max(2, round((row.high - row.low) / 2))))
        heights.append(np.full(len(angles[-1]), _FLOOR + scale * row.share))
    axes.plot(np.radians(np.concatenate(angles)), np.concatenate(heights), **look)


def _comparisons(axes: PolarAxes, table: pd.DataFrame, radii: np.ndarray, lane: float) -> None:
    """Draw the ideal respondents on the first arc, constant letters on the second."""
    for ideal in part(table, "ideal").itertuples():
        look, gid = style.value_look(ideal.value), f"ideal {ideal.value}"
        if ideal.high - ideal.low > 1:
            low, width = np.radians(ideal.low), np.radians(ideal.high - ideal.low)
            box = {"align": "edge", "fc": look.colour, "alpha": 0.25, "lw": 0}
            axes.bar(low, 0.7 * lane, width, radii[0] - 0.35 * lane, **box)
        axes.plot(np.radians(ideal.angle), radii[0], look.marker, color=look.colour, ms=6, gid=gid)
    low, high = np.radians(_ANGLES)
    axes.bar(low, lane, high - low, radii[1] - lane / 2, align="edge", **marks.NULL_BAND)
    for option, angle in enumerate(np.radians(part(table, "baseline")["angle"])):
        apart = 0.2 * lane * (-1) ** option  # neighbours are two degrees apart
        axes.text(angle, radii[1] + apart, chr(65 + option), ha="center", va="center", fontsize=6.5)


def _means(axes: PolarAxes, rows: pd.DataFrame, values: list, radius: float, lane: float) -> None:
    """Draw a respondent's means by value; the interval of the goal arm, or of the only one."""
    alone = rows["goal_prompt"].astype(bool).nunique() == 1
    for row in rows.itertuples():
        goal, place = bool(row.goal_prompt), (len(values) - 1) / 2 - values.index(row.value)
        at = radius + 0.84 * lane * place / max(len(values), 2)
        if (goal or alone) and not np.isnan(row.low):
            arc = np.radians(np.clip(np.linspace(row.low, row.high, 30), *_ANGLES))
            colour = style.value_look(row.value).colour
            axes.plot(arc, np.full(30, at), color=colour, lw=1.1, zorder=2)
        look = marks.of_goal(row.value, goal, (3.8, 6.0), (0.5, 0.9)) | {"zorder": 4}
        gid = f"mean {row.respondent} {row.value} {goal}"
        axes.plot(np.radians(row.angle), at, gid=gid, **look)


def _keys(people: pd.DataFrame, measured: pd.DataFrame) -> list:
    arms, keys = set(measured["goal_prompt"].astype(bool)), []
    counts = people.groupby("sample", sort=False)["count"].sum()
    for (sample, count), look in zip(counts.items(), _SAMPLES, strict=False):
        label = f"{sample}, {int(count):,} people"
        keys.append((marks.key if "color" in look else Patch)(label=label, **look))
    keys.append(marks.key("random: spread, mean", **marks.RANDOM_LINE))
    keys += marks.value_keys(measured["value"].unique())
    grey = {"marker": "s", "mec": style.MUTED, "color": style.MUTED}
    if True in arms:
        keys.append(marks.key(f"{style.GOAL[True]}, 95%", lw=1.1, ms=3.8, mfc=style.MUTED, **grey))
    if False in arms:
        width = 0 if True in arms else 1.1
        keys.append(marks.key(style.GOAL[False], lw=width, ms=6, mfc="none", **grey))
    return keys
