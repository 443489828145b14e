"""Figure 15, people and models on one axis: above how people are spread, below who was measured."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from hvae_utils.measure import svo
from hvae_utils.measure.instruments import Instrument
from hvae_utils.measure.values import Value
from hvae_utils.metrics import chance
from hvae_utils.show import marks, style
from hvae_utils.show.names import FLAG, flag_note, flagged, joined, named, number
from hvae_utils.show.tables import always_letters, boundaries, ideal_angles, need, part, stack

_ANGLES = (-24.0, 69.0)  # degrees: what answers can reach, and the two outer categories
_SAMPLES = (
    {"fc": "#7FA8C2", "alpha": 0.6, "lw": 0, "fill": True},
    {"ec": style.INK, "lw": 1.0, "zorder": 2, "fill": False},
)
_LANE = 0.15  # of a row: from one value to the next


def table(
    cells: pd.DataFrame, histogram: pd.DataFrame, instrument: Instrument, values: dict[str, Value]
) -> pd.DataFrame:
    """Return on one axis, degrees: people, random and ideal respondents, and a run's models.

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


def caption(table: pd.DataFrame) -> str:
    """Return how to read the axis, and which part of it each respondent fills."""
    samples = part(table, "people").groupby("sample", sort=False)["count"].sum()
    people = joined(f"{name}, N = {int(count):,}" for name, count in samples.items())
    return (
        f"People and models on one axis. Above the angles of people ({people}) and of random "
        "respondents; below a row each for ideals, constant letters and the respondents of this "
        f"run, a mark a value with its 95% interval. Mean angles: {_reach(table)}."
        f"{flag_note(table['respondent'].dropna())}"
    )


def alt(table: pd.DataFrame) -> str:
    """Return the picture in words."""
    return (
        "Histograms of people's angles above rows of marks on the same axis in degrees, a row a "
        f"respondent. Mean angles: {_reach(table)}."
    )


def _reach(table: pd.DataFrame) -> str:
    """Return from which to which mean angle each respondent goes."""
    words = []
    for name, angles in part(table, "measured").groupby("respondent", sort=False)["angle"]:
        ends = dict.fromkeys(number(end, 0, "°") for end in (angles.min(), angles.max()))
        words.append(f"{name.removesuffix(FLAG)} {' to '.join(ends)}")
    return joined(words)


@style.drawing
def draw(table: pd.DataFrame) -> Figure:
    """Draw people above; below a row each: ideals, constant letters, the run's respondents."""
    measured = part(table, "measured", "people and models")
    respondents, values = (list(measured[name].unique()) for name in ("respondent", "value"))
    names = ["ideal respondents", "always one letter"]
    for respondent, missing in measured["angle"].isna().groupby(measured["respondent"], sort=False):
        gaps = f"\nno angle in {missing.sum()} of {len(missing)}" if missing.any() else ""
        names.append(respondent + gaps)
    height = 0.42 * len(respondents) + 0.55
    figure = style.new_figure(2.5 + height)
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(1.35, height))
    _people(above, table)
    _comparisons(below, table)
    for place, respondent in enumerate(respondents, start=2):
        _means(below, measured[measured["respondent"] == respondent], values, -place)
    for y in range(1, len(names)):
        below.axhline(0.5 - y, color=style.FAINT, lw=0.6, zorder=0)
    style.rows(below, -np.arange(len(names)), names)
    below.set(xlim=_ANGLES, ylim=(0.5 - len(names), 0.5))
    below.set_xticks(range(-15, 61, 15), style.numbers(range(-15, 61, 15)))
    style.legend(figure, _keys(part(table, "people"), measured), 4, "SVO angle, degrees")
    return figure


def _people(axes: Axes, table: pd.DataFrame) -> None:
    """Draw the histograms of people, the random respondent's, and the categories' names."""
    for (_, bins), look in zip(
        part(table, "people").groupby("sample", sort=False), _SAMPLES, strict=False
    ):
        bins = bins.sort_values("low")
        edges = [*bins["low"], bins["high"].iloc[-1]]
        axes.stairs(100 * bins["share"].to_numpy(float), edges, **look)
    random = part(table, "random").sort_values("low")
    edges = [*random["low"], random["high"].iloc[-1]]
    axes.stairs(100 * random["share"].to_numpy(float), edges, **marks.RANDOM_LINE | {"zorder": 3})
    for name, low, high in marks.regions(part(table, "boundary")["angle"], *_ANGLES):
        colour = style.value_look(name).colour
        axes.axvspan(low, high, 0, 0.03, fc=colour, lw=0)
        middle = {"ha": "center", "transform": axes.get_xaxis_transform(), "fontsize": 7}
        axes.text((low + high) / 2, 1.02, name, color=style.INK, **middle)
    axes.tick_params(labelbottom=False)
    axes.set_ylabel("per cent\nof people")


def _comparisons(axes: Axes, table: pd.DataFrame) -> None:
    """Draw the categories, ideal respondents in the first row and constant letters below them."""
    for cut in part(table, "boundary")["angle"]:
        axes.axvline(cut, **marks.BOUNDARY)
    axes.axvline(float(part(table, "random mean")["angle"].iloc[0]), **marks.RANDOM_LINE)
    for ideal in part(table, "ideal").itertuples():
        look = style.value_look(ideal.value)
        axes.plot([ideal.low, ideal.high], [0, 0], color=look.colour, lw=6, alpha=0.25)
        axes.plot(ideal.angle, 0, look.marker, color=look.colour, ms=6, gid=f"ideal {ideal.value}")
    axes.axhspan(-1.5, -0.5, **marks.NULL_BAND)
    for option, angle in enumerate(part(table, "baseline")["angle"]):
        apart = 0.22 * (-1) ** option  # neighbours are two degrees apart
        axes.text(angle, apart - 1, chr(65 + option), ha="center", va="center", fontsize=6.5)


def _means(axes: Axes, rows: pd.DataFrame, values: list, y: float) -> None:
    """Draw a respondent's means by value; the interval of the goal arm, or of the only one."""
    alone = rows["goal_prompt"].astype(bool).nunique() == 1
    for row in rows.itertuples():
        goal, place = bool(row.goal_prompt), (len(values) - 1) / 2 - values.index(row.value)
        at = y + _LANE * place
        if goal or alone:
            colour = style.value_look(row.value).colour
            axes.plot([row.low, row.high], [at, at], color=colour, lw=0.9, zorder=2)
        look = marks.of_goal(row.value, goal, (3.8, 6.0), (0.5, 0.9)) | {"zorder": 4}
        axes.plot(row.angle, at, gid=f"mean {row.respondent} {row.value} {goal}", **look)


def _keys(people: pd.DataFrame, measured: pd.DataFrame) -> list:
    counts = people.groupby("sample", sort=False)["count"].sum()
    keys = [
        Patch(label=f"{sample}, {int(count):,} people", **look)
        for (sample, count), look in zip(counts.items(), _SAMPLES, strict=False)
    ]
    keys.append(marks.key("random: spread, mean", **marks.RANDOM_LINE))
    keys += marks.value_keys(measured["value"].unique())
    grey = {"marker": "s", "mec": style.MUTED, "ls": "none"}
    keys.append(marks.key(style.GOAL[True], ms=3.8, mfc=style.MUTED, **grey))
    keys.append(marks.key(style.GOAL[False], ms=6, mfc="none", **grey))
    keys.append(marks.key("95% interval", color=style.MUTED, lw=0.9))
    return keys + marks.flag_keys(measured["respondent"])
