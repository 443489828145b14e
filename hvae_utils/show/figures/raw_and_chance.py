"""Figure 09, raw beside chance-corrected value rationality: a numbered mark a model, a row a value.

Marks that would overlap have lanes of their own; the grey lowest lane is for null respondents.
"""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hvae_utils.measure.instruments import Instrument
from hvae_utils.metrics import rationality
from hvae_utils.show import marks, style, tables
from hvae_utils.show.names import flag_note, flagged, named

_MEAN = {"color": style.INK, "lw": 2.6, "solid_capstyle": "butt", "zorder": 2}
_PRINTED = {"fontsize": 7.5, "fontweight": "bold", "annotation_clip": False, "va": "center"}
_LANE = 11.5  # points: the height of a numbered mark
_BADGE = 10.2  # points: its diameter
# Widest ranges drawn; an interval beyond them runs off the panel.
_RANGES = {"raw": (-30.0, 64.0), "chance": (-2.0, 1.06)}
_TICKS = {"raw": np.arange(-20, 61, 20), "chance": np.arange(-2, 1.1, 0.5)}
_IDEAL = {"raw": 60, "chance": 1}
_AXIS = {
    "raw": "raw value rationality, degrees (60 = ideal)",
    "chance": "chance-corrected (0 = random, 1 = ideal)",
}
_NUMBER = {"ha": "center", "va": "center_baseline", "fontsize": 6.8}


def table(
    published: pd.DataFrame, cells: pd.DataFrame | None = None, instrument: Instrument | None = None
) -> pd.DataFrame:
    """Return value rationality on the raw and on the chance scale: published models, then a run's.

    published: as `published.radar`, its arm with the goal prompt. cells: as `rationality.cells`,
    see `tables.goal_arm`. instrument: the run's.
    part "model": source ("published" or "run"), number (from 1 in each source), raw (degrees, 60 is
    ideal) and chance (0 is random, 1 ideal) with intervals, raw_random (of random respondents); NaN
    where nothing was scored. "mean": over the published models. "baseline": constant letters, and
    ideals with lapses.
    """
    tables.need(published, "published radar", ["model", "value", "goal_prompt", "vr"])
    chart = published[published["goal_prompt"].astype(bool)]
    chart = rationality.published_chance(chart, tables.PUBLISHED_TESTS)
    chart = chart.assign(vr_random=tables.random_vr(chart["value"]))
    means = chart.groupby("value", sort=False)[["vr", "vr_random", "vr_chance"]].mean()
    means = means.reset_index().assign(goal_prompt=True, part="mean", source="published")
    parts = [_numbered(chart, "published"), means, tables.null_respondents(instrument)]
    if cells is not None:
        arm = tables.goal_arm(cells, tables.RAW_AND_CHANCE)
        parts.append(flagged(_numbered(arm, "run"), cells))
    table = tables.stack(*parts).rename(columns=tables.RAW_AND_CHANCE)
    columns = ["part", "source", "number", "model", "respondent", "value", "goal_prompt"]
    columns += tables.RAW_AND_CHANCE.values()
    return table.reindex(columns=columns).astype({"number": "Int64"})


def _numbered(table: pd.DataFrame, source: str) -> pd.DataFrame:
    number = pd.factorize(table["model"])[0] + 1
    return named(table.assign(part="model", source=source, number=number))


@style.drawing
def draw(table: pd.DataFrame) -> Figure:
    """Draw the raw scale left and the chance scale right; the published models above the run's."""
    models = tables.part(table, "model", "raw and chance-corrected value rationality")
    limits = {scale: _limits(table, scale) for scale in _RANGES}
    models = _with_lanes(models, limits)
    sources = [rows for _, rows in models.groupby("source", sort=False)]
    heights = []
    for rows in sources:
        heights += [12.0 * _names(rows)[2], _LANE * sum(_heights(rows).values())]
    figure = style.new_figure(1.15 + (sum(heights) + 22 * len(sources)) / 72)
    grid = figure.add_gridspec(len(heights), 2, height_ratios=heights)
    for place, rows in enumerate(sources):
        _key(figure.add_subplot(grid[2 * place, :]), rows)
        for column, scale in enumerate(_RANGES):
            axes = figure.add_subplot(grid[2 * place + 1, column], xlim=limits[scale])
            _panel(axes, table, rows, scale)
            axes.tick_params(labelleft=column == 0)
            if place == len(sources) - 1:
                axes.set_xlabel(_AXIS[scale], fontsize=7.5)
    badge = {"marker": "o", "ms": 8, "mfc": "white", "mec": style.MUTED, "color": style.MUTED}
    keys = [
        marks.key("model by number (95% interval)", lw=1.5, **badge),
        marks.key("mean of the models", **_MEAN),
        marks.key("random, expected", **marks.RANDOM_LINE),
        marks.key("ideal", color=style.MUTED, lw=0.8),
        marks.letters_legend(),
        marks.lapses_legend("ideal with 50%, 20%, 10% lapses"),
    ]
    style.legend(figure, keys, 3)
    return figure


def _with_lanes(models: pd.DataFrame, limits: dict[str, tuple[float, float]]) -> pd.DataFrame:
    """Return the models with `lane`, from 0: the first where no marks overlap on either scale."""
    lanes = pd.Series(np.nan, models.index)
    for _, rows in models[models["raw"].notna()].groupby(["source", "value"], sort=False):
        ends: list[np.ndarray] = []  # of each lane, on each scale
        for row in rows.sort_values(["chance", "number"]).itertuples():
            low, high = np.transpose([_span(row, scale, at) for scale, at in limits.items()])
            lane = next((k for k, end in enumerate(ends) if (low >= end).all()), len(ends))
            ends[lane : lane + 1] = [high]
            lanes[row.Index] = lane
    return models.assign(lane=lanes)


def _heights(models: pd.DataFrame) -> dict[str, float]:
    """Return by value the height of its row in lanes; one more where a model has no angle."""
    lanes = models.groupby("value", sort=False)["lane"]
    return {value: max(rows.nunique(dropna=False), 2) + 1.9 for value, rows in lanes}


def _names(models: pd.DataFrame) -> tuple[dict[int, str], int, int]:
    """Return the names by number, and in how many columns and lines they stand."""
    first = models.drop_duplicates("number").sort_values("number")
    names = dict(zip(first["number"].astype(int), first["respondent"], strict=True))
    columns = 4 if max(map(len, names.values())) <= 21 else 3
    return names, columns, -(-len(names) // columns)


def _key(axes: Axes, models: pd.DataFrame) -> None:
    """Write which number is which model of a source."""
    names, columns, lines = _names(models)
    goal = style.GOAL[bool(models["goal_prompt"].iloc[0])]
    chart = "Eight published models" if len(names) == 8 else "Published models"
    what = chart if models["source"].iloc[0] == "published" else "Respondents of this run"
    axes.set_title(f"{what}, {goal}{flag_note(names.values())}")
    axes.set_axis_off()
    axes.set(xlim=(0, columns), ylim=(-lines + 0.5, 0.5))
    for place, (number, name) in enumerate(names.items()):
        column, line = divmod(place, lines)
        axes.text(column + 0.06, -line, f"{number}", **_NUMBER, fontweight="bold")
        axes.text(column + 0.11, -line, name, va="center", fontsize=7.5)


def _panel(axes: Axes, table: pd.DataFrame, models: pd.DataFrame, scale: str) -> None:
    """Draw the models of one source on one scale, a row a value."""
    means = tables.part(table, "mean")
    means = means[means["source"] == models["source"].iloc[0]].set_index("value")[scale]
    nulls = tables.part(table, "baseline")
    limits, top, middles, heights = axes.get_xlim(), 0.0, [], _heights(models)
    for value, height in heights.items():
        bottom, rows = top - height, models[models["value"] == value]
        axes.axhspan(bottom, bottom + 0.9, **marks.NULL_BAND)
        marks.nulls(axes, nulls[nulls["value"] == value], scale, bottom + 0.45, bottom + 0.45)
        random = 0.0 if scale == "chance" else rows["raw_random"].mean()
        axes.plot([random, random], [top, bottom], gid=f"random {value}", **marks.RANDOM_LINE)
        if value in means.index:
            text = f"{means[value]:.{2 if scale == 'chance' else 1}f}".replace("-", "−")
            axes.plot([means[value]] * 2, [top - 0.12, bottom + 1], gid=f"mean {value}", **_MEAN)
            beside = {"xycoords": axes.get_yaxis_transform()} | _PRINTED
            axes.annotate(text, (1.01, (top + bottom) / 2), **beside)
        _models(axes, rows, scale, top)
        silent = rows.loc[rows["raw"].isna(), "number"].astype(int)
        if len(silent) and scale == "raw":
            text = "no angle: " + ", ".join(map(str, silent))
            axes.text(limits[0], bottom + 1.9, text, va="center", fontsize=7, bbox=marks.PAPER)
        middles.append(top - height / 2)
        top = bottom
        axes.axhline(top, color=style.FAINT, lw=0.6, zorder=0)
    axes.set_ylim(top, 0)
    ticks = [tick for tick in _TICKS[scale] if limits[0] <= tick <= limits[1]]
    axes.set_xticks(ticks, style.numbers(ticks))
    style.rows(axes, middles, list(heights))
    if not means.empty:
        axes.text(1.01, 1.01, "mean", transform=axes.transAxes, fontsize=7)
    axes.axvline(_IDEAL[scale], color=style.MUTED, lw=0.8, zorder=1)


def _models(axes: Axes, rows: pd.DataFrame, scale: str, top: float) -> None:
    """Draw the numbered marks of one row, each in its lane."""
    for row in rows[rows[scale].notna()].itertuples():
        (point, low, high), colour = _interval(row, scale), style.value_look(row.value).colour
        badge = {"marker": "o", "ms": _BADGE, "mfc": "white", "mec": colour, "mew": 1.3}
        y = top - 0.9 - row.lane
        axes.plot([low, high], [y, y], color=colour, lw=1.5, zorder=3)
        axes.plot(point, y, zorder=4, gid=f"{scale} {row.respondent} {row.value}", **badge)
        axes.text(point, y, f"{int(row.number)}", zorder=5, **_NUMBER)


def _interval(row, scale: str) -> tuple[float, float, float]:
    return tuple(getattr(row, scale + end) for end in ("", "_low", "_high"))


def _limits(table: pd.DataFrame, scale: str) -> tuple[float, float]:
    lowest, highest = _RANGES[scale]
    room = 0.04 * (highest - lowest)
    ends = np.nanmin(table[f"{scale}_low"].to_numpy(float), initial=0.0)
    points = np.nanmin(table[scale].to_numpy(float), initial=0.0)
    return float(min(max(ends, lowest), points) - room), highest + 0.4 * room


def _span(row, scale: str, limits: tuple[float, float]) -> tuple[float, float]:
    """Return from where to where a mark with its interval takes up room, in units of the scale."""
    point, low, high = _interval(row, scale)
    half = 0.54 * _BADGE * (limits[1] - limits[0]) / 185  # a panel is about 185 points wide
    left, right = np.nanmin([point - half, low]), np.nanmax([point + half, high])
    return max(float(left), limits[0]), float(right)
