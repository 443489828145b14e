"""Raw beside chance-corrected value rationality: every model a numbered mark, every value a row.

Drawn from the table `robustness_data.raw_and_chance` and nothing else. Marks that would cover one
another stand in lanes of their own, and the grey lowest lane of each row is for respondents
without the value. This module must never estimate, and never talk to a model.

Public names: raw_and_chance.
"""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from hvae_utils import marks, style
from hvae_utils.figures_plane import part

_MEAN = {"color": style.INK, "lw": 2.6, "solid_capstyle": "butt", "zorder": 2}
_LANE = 11.5  # points: the height of a numbered mark
_BADGE = 10.2  # points: its diameter
# Widest ranges drawn; an interval beyond them runs off the panel.
_RANGES = {"raw": (-30.0, 64.0), "chance": (-2.0, 1.06)}
_AXIS = {
    "raw": "raw value rationality, degrees (60 = ideal)",
    "chance": "chance-corrected (0 = random, 1 = ideal)",
}


def raw_and_chance(table: pd.DataFrame) -> Figure:
    """Draw `robustness_data.raw_and_chance`: a numbered mark a model, a row a value.

    Left on the raw scale, right on the chance scale; above the published models, below the run's.
    """
    models = part(table, "model", "raw and chance-corrected value rationality")
    sources = list(dict.fromkeys(models["source"]))
    limits = {scale: _limits(table, scale) for scale in _RANGES}
    groups = [_Group(table, source, limits) for source in sources]
    heights = [height for group in groups for height in (group.key_height, group.height)]
    with style.context():
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
        figure.legend(handles=_chance_legend(), loc="outside upper center", ncols=3)
        return style.arranged(figure)


class _Group:
    """The models of one source: which lane of which row each stands in, and how it is drawn."""

    def __init__(
        self, table: pd.DataFrame, source: str, limits: dict[str, tuple[float, float]]
    ) -> None:
        models = part(table, "model")
        models = models[models["source"] == source]
        self.source, self.models, self.limits = source, models, limits
        means = part(table, "mean")
        self.means = means[means["source"] == source].set_index("value")
        self.nulls = part(table, "baseline")
        self.values = list(dict.fromkeys(models["value"]))
        names = models.drop_duplicates("number").sort_values("number")
        self.names = dict(zip(names["number"].astype(int), names["respondent"], strict=True))
        longest = max(map(len, self.names.values()))
        self.columns = 4 if longest <= 21 else 3
        self.lines = -(-len(self.names) // self.columns)
        self.key_height = 12.0 * self.lines
        self._fill_lanes()
        self.height = _LANE * sum(self.rows.values())

    def _fill_lanes(self) -> None:
        """Give each model the first lane of its row where it covers no other, on both scales."""
        self.lanes, self.rows = {}, {}
        for value in self.values:
            mine = self.models[self.models["value"] == value].sort_values(["chance", "number"])
            ends: list[dict[str, float]] = []
            for row in mine[mine["raw"].notna()].itertuples():
                spans = {scale: _span(row, scale, at) for scale, at in self.limits.items()}
                free = (
                    lane
                    for lane, end in enumerate(ends)
                    if all(spans[scale][0] >= end[scale] for scale in spans)
                )
                lane = next(free, len(ends))
                if lane == len(ends):
                    ends.append({})
                ends[lane] = {
                    scale: max(span[1], ends[lane].get(scale, span[1]))
                    for scale, span in spans.items()
                }
                self.lanes[value, int(row.number)] = lane
            silent = bool(mine["raw"].isna().any())
            self.rows[value] = max(len(ends) + silent, 2) + 1.9

    def write_key(self, axes: Axes) -> None:
        """Write which number is which model."""
        goal = style.GOAL[bool(self.models["goal_prompt"].iloc[0])]
        what = "Eight published models" if self.source == "published" else "Respondents of this run"
        if self.source == "published" and len(self.names) != 8:
            what = "Published models"
        axes.set_title(f"{what}, {goal}{style.flag_note(self.names.values())}")
        axes.set_axis_off()
        axes.set_xlim(0, self.columns)
        axes.set_ylim(-self.lines + 0.5, 0.5)
        for place, (number, name) in enumerate(self.names.items()):
            column, line = divmod(place, self.lines)
            axes.text(column + 0.06, -line, f"{number}", **_NUMBER, fontweight="bold")
            axes.text(column + 0.11, -line, name, va="center", fontsize=7.5)

    def draw(self, axes: Axes, scale: str) -> None:
        """Draw the rows of the values on one scale."""
        top, middles, limits = 0.0, [], self.limits[scale]
        for value in self.values:
            height = self.rows[value]
            self._row(axes, value, scale, top)
            middles.append(top - height / 2)
            top -= height
            axes.axhline(top, color=style.FAINT, lw=0.6, zorder=0)
        axes.set_ylim(top, 0)
        axes.set_xlim(limits)
        ticks = np.arange(-20, 61, 20) if scale == "raw" else np.arange(-2, 1.1, 0.5)
        ticks = [tick for tick in ticks if limits[0] <= tick <= limits[1]]
        axes.set_xticks(ticks, [f"{tick:g}".replace("-", "−") for tick in ticks])
        axes.set_yticks(middles, self.values)
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        if not self.means.empty:
            axes.text(1.01, 1.01, "mean", transform=axes.transAxes, fontsize=7)
        axes.axvline(60 if scale == "raw" else 1, color=style.MUTED, lw=0.8, zorder=1)

    def _row(self, axes: Axes, value: str, scale: str, top: float) -> None:
        look, height = style.value_look(value), self.rows[value]
        axes.axhspan(top - height, top - height + 0.9, **marks.NULL_BAND)
        nulls = self.nulls[self.nulls["value"] == value]
        constant = nulls["respondent"].str.startswith("always")
        marks.letters(axes, nulls.loc[constant, scale], top - height + 0.45)
        marks.lapses(axes, nulls.loc[~constant, scale], top - height + 0.45)
        mine = self.models[self.models["value"] == value]
        random = 0.0 if scale == "chance" else mine["raw_random"].mean()
        axes.plot([random, random], [top, top - height], gid=f"random {value}", **marks.RANDOM_LINE)
        if value in self.means.index:
            mean = self.means.loc[value, scale]
            ends = [top - 0.12, top - height + 1.0]
            axes.plot([mean, mean], ends, gid=f"mean {value}", **_MEAN)
            text = f"{mean:.2f}" if scale == "chance" else f"{mean:.1f}"
            place = {"xycoords": axes.get_yaxis_transform(), "va": "center", "ha": "left"}
            axes.annotate(
                text.replace("-", "−"),
                (1.01, top - height / 2),
                fontsize=7.5,
                fontweight="bold",
                annotation_clip=False,
                **place,
            )
        for row in mine.itertuples():
            point, low, high = (getattr(row, scale + end) for end in ("", "_low", "_high"))
            if np.isnan(point):
                continue
            y = top - 0.9 - self.lanes[value, int(row.number)]
            axes.plot([low, high], [y, y], color=look.colour, lw=1.5, zorder=3)
            axes.plot(
                point,
                y,
                marker="o",
                ms=_BADGE,
                mfc="white",
                mec=look.colour,
                mew=1.3,
                zorder=4,
                gid=f"{scale} {row.respondent} {value}",
            )
            axes.text(point, y, f"{int(row.number)}", zorder=5, **_NUMBER)
        silent = mine.loc[mine["raw"].isna(), "number"].astype(int)
        if len(silent) and scale == "raw":
            text = "no angle: " + ", ".join(map(str, silent))
            axes.text(
                self.limits[scale][0],
                top - height + 1.9,
                text,
                va="center",
                fontsize=7,
                bbox=_PAPER,
            )


_PAPER = {"fc": "white", "ec": "none", "pad": 0.6}
_NUMBER = {"ha": "center", "va": "center_baseline", "fontsize": 6.8}


def _limits(table: pd.DataFrame, scale: str) -> tuple[float, float]:
    lowest, highest = _RANGES[scale]
    room = 0.04 * (highest - lowest)
    ends = np.nanmin(table[f"{scale}_low"].to_numpy(float), initial=0.0)
    points = np.nanmin(table[scale].to_numpy(float), initial=0.0)
    return float(min(max(ends, lowest), points) - room), highest + 0.4 * room


def _span(row, scale: str, limits: tuple[float, float]) -> tuple[float, float]:
    """Return from where to where a mark with its interval takes up room, in units of the scale."""
    point, low, high = (getattr(row, scale + end) for end in ("", "_low", "_high"))
    half = 0.54 * _BADGE * (limits[1] - limits[0]) / 185  # a panel is about 185 points wide
    left, right = np.nanmin([point - half, low]), np.nanmax([point + half, high])
    return max(float(left), limits[0]), float(right)


def _chance_legend() -> list[Line2D]:
    badge = {"marker": "o", "ms": 8, "mfc": "white", "mec": style.MUTED, "color": style.MUTED}
    return [
        Line2D([], [], lw=1.5, label="model by number (95% interval)", **badge),
        Line2D([], [], label="mean of the models", **_MEAN),
        Line2D([], [], label="random, expected", **marks.RANDOM_LINE),
        Line2D([], [], color=style.MUTED, lw=0.8, label="ideal"),
        marks.letters_legend(),
        marks.lapses_legend("ideal with 50%, 20%, 10% lapses"),
    ]
