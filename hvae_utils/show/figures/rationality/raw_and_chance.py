"""Figure 09, raw beside chance-corrected value rationality: a block a value, a row a respondent.

The grey row of each block holds respondents without the value, or with slips.
"""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hvae_utils.measure.instruments import Instrument
from hvae_utils.show import marks, style, tables
from hvae_utils.show.names import FLAG, flagged, joined, named, number

_ROW = 10.2  # points
_NARROW = 30  # characters of the longest name that leaves room for an axis label on one line
# Widest ranges drawn; an interval beyond them runs off the panel.
_RANGES = {"raw": (-30.0, 64.0), "chance": (-2.0, 1.06)}
_IDEAL = {"raw": 60, "chance": 1}
_AXIS = {
    "raw": "raw, degrees (60 = ideal)",
    "chance": "chance-corrected (0 = random, 1 = ideal)",
}
_MEAN = {"color": style.INK, "lw": 2.2, "marker": "D", "ms": 5, "solid_capstyle": "butt"}
_NULL = "no value, or slips"


def table(cells: pd.DataFrame, instrument: Instrument | None = None) -> pd.DataFrame:
    """Return value rationality on the raw and on the chance scale, of a run's respondents.

    cells: as `rationality.cells`, see `tables.goal_arm`. instrument: the run's.
    part "model": raw (degrees, 60 is ideal) and chance (0 is random, 1 ideal) with intervals,
    raw_random (of random respondents); NaN where nothing was scored. "baseline": constant letters,
    and ideals with lapses.
    """
    arm = tables.goal_arm(cells, tables.RAW_AND_CHANCE).assign(part="model")
    return arranged(flagged(named(arm), cells), tables.null_respondents(instrument))


def arranged(*parts: pd.DataFrame) -> pd.DataFrame:
    """Return the parts as the table that `draw` draws."""
    columns = ["part", "model", "respondent", "value", "goal_prompt"]
    table = tables.stack(*(rows.rename(columns=tables.RAW_AND_CHANCE) for rows in parts))
    return table.reindex(columns=[*columns, *tables.RAW_AND_CHANCE.values()])


def caption(table: pd.DataFrame) -> str:
    """Return how to read the figure, and who is above random respondents on how many values."""
    models = tables.part(table, "model")
    above = (models["chance_low"] > 0).groupby(_names(models), sort=False).agg(["sum", "size"])
    counts = [
        f"{joined(rows.index)} on {count} of {size} values"
        for (count, size), rows in above.groupby(["sum", "size"], sort=False)
    ]
    return (
        "Raw and chance-corrected value rationality of this run. Left the published scale, right "
        "the same scores where 0 is a random respondent and 1 the ideal; 95% intervals, dotted "
        "what random respondents can expect, in grey who always takes one letter, and ideal "
        f"respondents that lapse. The interval is above random for {'; '.join(counts)}."
    )


def alt(table: pd.DataFrame) -> str:
    """Return the picture in words: the range of every respondent on the chance scale."""
    models = tables.part(table, "model").dropna(subset="chance")
    return (
        "Marks on two scales, a block of rows for each assigned value, beside the lines of random "
        f"respondents. On the chance scale: {ranges(models, _names(models)) or 'no angles'}."
    )


def ranges(models: pd.DataFrame, groups: pd.Series) -> str:
    """Return in words from where to where the scores of each group are, on the chance scale."""
    ends = models["chance"].groupby(groups, sort=False).agg(["min", "max"])
    return joined(
        f"{name} {number(low, 2)} to {number(high, 2)}" for name, low, high in ends.itertuples()
    )


def _names(models: pd.DataFrame) -> pd.Series:
    return models["respondent"].str.removesuffix(FLAG)


@style.drawing
def draw(table: pd.DataFrame) -> Figure:
    """Draw the raw scale left and the chance scale right, with the means over models if any."""
    models = tables.part(table, "model", "raw and chance-corrected value rationality")
    means, respondents = tables.part(table, "mean"), list(models["respondent"].unique())
    names = [*respondents, *["mean"] * (not means.empty), _NULL]
    values = list(models["value"].unique())
    figure = style.new_figure(1.0 + _ROW * len(values) * (len(names) + 1.4) / 72)
    goal = style.GOAL[bool(models["goal_prompt"].iloc[0])]
    narrow = max(map(len, names)) <= _NARROW
    for axes, scale in zip(figure.subplots(1, 2), _RANGES, strict=True):
        labels, top = {}, 0.0
        for value in values:
            places = dict(zip(names, top - 1.6 - np.arange(len(names)), strict=True))
            block = table[table["value"] == value]
            _block(axes, block, scale, places)
            labels |= {top - 0.6: value} | {place: name for name, place in places.items()}
            top -= len(names) + 1.4
        axes.set(xlim=_limits(table, scale), ylim=(top + 0.3, 0))
        axes.set_xlabel(_AXIS[scale] if narrow else _AXIS[scale].replace(" (", "\n("))
        style.rows(axes, [*labels], [*labels.values()])
        for label in axes.get_yticklabels():
            label.set_fontweight("bold" if label.get_text() in values else "normal")
        axes.tick_params(labelleft=scale == "raw")
        axes.axvline(_IDEAL[scale], color=style.MUTED, lw=0.8, zorder=1)
    mark = {"marker": "o", "ms": 5, "color": style.MUTED, "lw": 1.5}
    keys = [
        marks.key(f"{goal}, 95% interval" if means.empty else goal, **mark),
        *[marks.key("mean of the models, 95% interval", **_MEAN)] * (not means.empty),
        marks.key("random, expected", **marks.RANDOM_LINE),
        marks.key("ideal", color=style.MUTED, lw=0.8),
        marks.letters_legend(),
        marks.lapses_legend("ideal with 50%, 20%, 10% lapses"),
    ]
    style.legend(figure, [*keys, *marks.flag_keys(respondents)], 3)
    return figure


def _block(axes: Axes, block: pd.DataFrame, scale: str, places: dict[str, float]) -> None:
    """Draw the rows of one value on one scale, each at its place."""
    models, grey = tables.part(block, "model"), places[_NULL]
    axes.axhspan(grey - 0.5, grey + 0.5, **marks.NULL_BAND)
    marks.nulls(axes, tables.part(block, "baseline"), scale, grey, grey)
    random = 0.0 if scale == "chance" else models["raw_random"].mean()
    value = models["value"].iloc[0]
    ends = [max(places.values()) + 0.5, grey - 0.5]
    axes.plot([random, random], ends, gid=f"random {value}", **marks.RANDOM_LINE)
    for row in models.itertuples():
        point, low, high = (getattr(row, scale + end) for end in ("", "_low", "_high"))
        y, look = places[row.respondent], marks.of_value(value)
        if np.isnan(point):
            place = {"va": "center", "ha": "center", "fontsize": 7.5, "bbox": marks.PAPER}
            axes.text(random, y, "no angle", **place)
            continue
        axes.plot([low, high], [y, y], color=look["color"], lw=1.5, zorder=3)
        axes.plot(point, y, gid=f"{scale} {row.respondent} {value}", zorder=4, ms=5, **look)
    for row in tables.part(block, "mean").itertuples():
        point, low, high = (getattr(row, scale + end) for end in ("", "_low", "_high"))
        y, digits = places["mean"], 2 if scale == "chance" else 1
        axes.plot([low, high], [y, y], color=style.INK, lw=_MEAN["lw"], zorder=3)
        axes.plot(point, y, gid=f"mean {value}", zorder=4, **_MEAN)
        text = f"{number(point, digits)}\n{number(low, digits)} to {number(high, digits)}"
        beside = {"xycoords": axes.get_yaxis_transform(), "annotation_clip": False}
        axes.annotate(text, (1.02, y), va="center", fontsize=7.5, **beside)


def _limits(table: pd.DataFrame, scale: str) -> tuple[float, float]:
    lowest, highest = _RANGES[scale]
    room = 0.04 * (highest - lowest)
    ends = np.nanmin(table[f"{scale}_low"].to_numpy(float), initial=0.0)
    points = np.nanmin(table[scale].to_numpy(float), initial=0.0)
    return float(min(max(ends, lowest), points) - room), highest + 0.4 * room
