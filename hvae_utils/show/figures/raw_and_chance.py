"""Figure 09, raw beside chance-corrected value rationality: a numbered mark a model, a row a value.

Marks that would cover one another stand in lanes of their own, and the grey lowest lane of each row
is for respondents without the value.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from hvae_utils import rationality
from hvae_utils.errors import UserError
from hvae_utils.show import marks, style
from hvae_utils.show.names import flag_note, flagged, named
from hvae_utils.show.tables import (
    PUBLISHED_TESTS,
    RAW_AND_CHANCE,
    goal_arm,
    need,
    null_respondents,
    part,
    random_vr,
    stack,
)

_MEAN = {"color": style.INK, "lw": 2.6, "solid_capstyle": "butt", "zorder": 2}
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
_PAPER = {"fc": "white", "ec": "none", "pad": 0.6}
_NUMBER = {"ha": "center", "va": "center_baseline", "fontsize": 6.8}


def table(
    published: pd.DataFrame, cells: pd.DataFrame | None = None, goal_prompt: bool = True
) -> pd.DataFrame:
    """Return value rationality on the raw and on the chance scale: published models, then a run's.

    published: as `published.radar`. cells: as `rationality.cells`; of the arm with (or without)
    the goal prompt, or of the other arm where the run has only that one.
    part "model": source ("published" or "run"), number (from 1 in each source), model, respondent,
    value, goal_prompt, raw with raw_low and raw_high (degrees, 60 is ideal), raw_random (what
    random respondents can expect), chance with chance_low and chance_high (0 is random, 1 ideal);
    NaN where nothing was scored. "mean": over the published models. "baseline": respondent, value,
    raw and chance of `rationality.null_respondents`: constant letters, and ideals with lapses.
    """
    need(published, "published radar", ["model", "value", "goal_prompt", "vr"])
    chart = published[published["goal_prompt"].astype(bool) == goal_prompt]
    if chart.empty:
        raise UserError(f"published radar: no row with goal_prompt {goal_prompt}")
    chart = rationality.published_chance(chart, PUBLISHED_TESTS)
    chart = chart.assign(vr_random=random_vr(chart["value"]))
    means = chart.groupby("value", sort=False)[["vr", "vr_random", "vr_chance"]].mean()
    means = means.reset_index().assign(goal_prompt=goal_prompt, part="mean", source="published")
    parts = [_numbered(chart, "published"), means, null_respondents()]
    if cells is not None:
        arm = goal_arm(cells, goal_prompt, RAW_AND_CHANCE)
        parts.append(flagged(_numbered(arm, "run"), cells))
    table = stack(*parts).rename(columns=RAW_AND_CHANCE)
    columns = ["part", "source", "number", "model", "respondent", "value", "goal_prompt"]
    return table.reindex(columns=[*columns, *RAW_AND_CHANCE.values()]).astype({"number": "Int64"})


def _numbered(table: pd.DataFrame, source: str) -> pd.DataFrame:
    numbers = {model: number for number, model in enumerate(table["model"].unique(), start=1)}
    number = table["model"].map(numbers)
    return named(table.assign(part="model", source=source, number=number))


@style.drawing
def draw(table: pd.DataFrame) -> Figure:
    """Draw the raw scale left and the chance scale right; the published models above the run's."""
    models = part(table, "model", "raw and chance-corrected value rationality")
    limits = {scale: _limits(table, scale) for scale in _RANGES}
    groups = [_Group(table, source, limits) for source in models["source"].unique()]
    heights = [height for group in groups for height in (12.0 * group.lines, group.height)]
    figure = style.new_figure(1.15 + (sum(heights) + 22 * len(groups)) / 72)
    grid = figure.add_gridspec(len(heights), 2, height_ratios=heights)
    for place, group in enumerate(groups):
        group.write_key(figure.add_subplot(grid[2 * place, :]))
        for column, scale in enumerate(_RANGES):
            axes = figure.add_subplot(grid[2 * place + 1, column])
            group.draw(axes, scale)
            axes.tick_params(labelleft=column == 0)
            if place == len(groups) - 1:
                axes.set_xlabel(_AXIS[scale], fontsize=7.5)
    style.legend(figure, _keys(), 3)
    return figure


@dataclass(frozen=True)
class _Group:
    """The models of one source: which lane of which row each stands in, and how it is drawn."""

    table: pd.DataFrame
    source: str
    limits: dict[str, tuple[float, float]]

    @cached_property
    def models(self) -> pd.DataFrame:
        models = part(self.table, "model")
        return models[models["source"] == self.source]

    @cached_property
    def names(self) -> dict[int, str]:
        names = self.models.drop_duplicates("number").sort_values("number")
        return dict(zip(names["number"].astype(int), names["respondent"], strict=True))

    @property
    def columns(self) -> int:
        return 4 if max(map(len, self.names.values())) <= 21 else 3

    @property
    def lines(self) -> int:
        return -(-len(self.names) // self.columns)

    @property
    def height(self) -> float:
        return _LANE * sum(self.rows.values())

    @cached_property
    def lanes(self) -> dict[str, dict[int, int]]:
        """By value and number: the first lane where a model covers no other, on both scales."""
        lanes = {}
        for value, rows in self.models.groupby("value", sort=False):
            ends: list[dict[str, float]] = []
            lanes[value] = {}
            for row in rows[rows["raw"].notna()].sort_values(["chance", "number"]).itertuples():
                spans = {scale: _span(row, scale, at) for scale, at in self.limits.items()}
                free = (
                    lane
                    for lane, end in enumerate(ends)
                    if all(spans[scale][0] >= end[scale] for scale in spans)
                )
                lane = next(free, len(ends))
                if lane == len(ends):
                    ends.append({scale: high for scale, (_, high) in spans.items()})
                for scale, (_, high) in spans.items():
                    ends[lane][scale] = max(high, ends[lane][scale])
                lanes[value][int(row.number)] = lane
        return lanes

    @cached_property
    def rows(self) -> dict[str, float]:
        """By value: the height of its row in lanes; one more where a model has no angle."""
        silent = self.models["raw"].isna().groupby(self.models["value"]).any()
        return {
            value: max(len(set(lanes.values())) + bool(silent[value]), 2) + 1.9
            for value, lanes in self.lanes.items()
        }

    def write_key(self, axes: Axes) -> None:
        """Write which number is which model."""
        goal = style.GOAL[bool(self.models["goal_prompt"].iloc[0])]
        what = "Respondents of this run"
        if self.source == "published":
            what = "Eight published models" if len(self.names) == 8 else "Published models"
        axes.set_title(f"{what}, {goal}{flag_note(self.names.values())}")
        axes.set_axis_off()
        axes.set_xlim(0, self.columns)
        axes.set_ylim(-self.lines + 0.5, 0.5)
        for place, (number, name) in enumerate(self.names.items()):
            column, line = divmod(place, self.lines)
            axes.text(column + 0.06, -line, f"{number}", **_NUMBER, fontweight="bold")
            axes.text(column + 0.11, -line, name, va="center", fontsize=7.5)

    def draw(self, axes: Axes, scale: str) -> None:
        """Draw the rows of the values on one scale."""
        means = part(self.table, "mean")
        means = means[means["source"] == self.source].set_index("value")[scale]
        top, middles, limits = 0.0, [], self.limits[scale]
        for value, height in self.rows.items():
            self._row(axes, value, scale, top)
            if value in means.index:
                _mean(axes, means[value], scale, (top, top - height), f"mean {value}")
            self._models(axes, value, scale, top)
            middles.append(top - height / 2)
            top -= height
            axes.axhline(top, color=style.FAINT, lw=0.6, zorder=0)
        axes.set_ylim(top, 0)
        axes.set_xlim(limits)
        ticks = [tick for tick in _TICKS[scale] if limits[0] <= tick <= limits[1]]
        axes.set_xticks(ticks, style.numbers(ticks))
        style.rows(axes, middles, list(self.rows))
        if not means.empty:
            axes.text(1.01, 1.01, "mean", transform=axes.transAxes, fontsize=7)
        axes.axvline(_IDEAL[scale], color=style.MUTED, lw=0.8, zorder=1)

    def _row(self, axes: Axes, value: str, scale: str, top: float) -> None:
        """Draw who has no value in the grey lane, and what random respondents can expect."""
        bottom = top - self.rows[value]
        axes.axhspan(bottom, bottom + 0.9, **marks.NULL_BAND)
        nulls = part(self.table, "baseline")
        nulls = nulls[nulls["value"] == value]
        marks.nulls(axes, nulls, scale, bottom + 0.45, bottom + 0.45)
        raw = self.models.loc[self.models["value"] == value, "raw_random"].mean()
        random = 0.0 if scale == "chance" else raw
        axes.plot([random, random], [top, bottom], gid=f"random {value}", **marks.RANDOM_LINE)

    def _models(self, axes: Axes, value: str, scale: str, top: float) -> None:
        colour = style.value_look(value).colour
        badge = {"marker": "o", "ms": _BADGE, "mfc": "white", "mec": colour, "mew": 1.3}
        rows = self.models[self.models["value"] == value]
        for row in rows[rows[scale].notna()].itertuples():
            point, low, high = _interval(row, scale)
            y = top - 0.9 - self.lanes[value][int(row.number)]
            axes.plot([low, high], [y, y], color=colour, lw=1.5, zorder=3)
            axes.plot(point, y, zorder=4, gid=f"{scale} {row.respondent} {value}", **badge)
            axes.text(point, y, f"{int(row.number)}", zorder=5, **_NUMBER)
        silent = rows.loc[rows["raw"].isna(), "number"].astype(int)
        if len(silent) and scale == "raw":
            text = "no angle: " + ", ".join(map(str, silent))
            at = self.limits[scale][0], top - self.rows[value] + 1.9
            axes.text(*at, text, va="center", fontsize=7, bbox=_PAPER)


def _mean(axes: Axes, mean: float, scale: str, ends: tuple[float, float], gid: str) -> None:
    """Draw the mean of the published models as a bar, and print it beside the panel."""
    top, bottom = ends
    axes.plot([mean, mean], [top - 0.12, bottom + 1.0], gid=gid, **_MEAN)
    text = f"{mean:.2f}" if scale == "chance" else f"{mean:.1f}"
    place = {"xycoords": axes.get_yaxis_transform(), "va": "center", "ha": "left"}
    words = {"fontsize": 7.5, "fontweight": "bold", "annotation_clip": False}
    axes.annotate(text.replace("-", "−"), (1.01, (top + bottom) / 2), **words, **place)


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


def _keys() -> list[Line2D]:
    badge = {"marker": "o", "ms": 8, "mfc": "white", "mec": style.MUTED, "color": style.MUTED}
    return [
        marks.key("model by number (95% interval)", lw=1.5, **badge),
        marks.key("mean of the models", **_MEAN),
        marks.key("random, expected", **marks.RANDOM_LINE),
        marks.key("ideal", color=style.MUTED, lw=0.8),
        marks.letters_legend(),
        marks.lapses_legend("ideal with 50%, 20%, 10% lapses"),
    ]
