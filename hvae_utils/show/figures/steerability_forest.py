"""Figure 18, steerability: a forest of the respondents of a run, and of the published models."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from hvae_utils.show import marks, style
from hvae_utils.show.names import each, joined, named, number
from hvae_utils.show.tables import need, part, stack

_LIMITS = (-0.8, 1.6)  # an interval beyond them runs off the panel
_COLOURS = {"run": "#0B3C5D", "published": "#7A4B00"}
_HEADINGS = {"run": "this run", "published": "published chart, version 1"}
_COLUMNS = ["steerability", "low", "high", "verdict", "note"]
_ROW = 0.155  # inches
_BRANCH = {"lw": 4, "alpha": 0.3, "solid_capstyle": "butt", "zorder": 2}


def table(steerability: pd.DataFrame, published: pd.DataFrame | None = None) -> pd.DataFrame:
    """Return the steerability of each model and arm: 1 goes all the way to its targets, 0 not.

    steerability: as `metrics.steerability.table`. published: as `published_chart.steerability`.
    part "run": steerability, low and high (95% interval), margin, verdict, wordings_needed, note.
    "published": without margin and verdict, but with branch_low and branch_high, the values that
    the folded scores leave open.
    """
    keys = ["model", "goal_prompt"]
    need(steerability, "steerability", [*keys, *_COLUMNS, "margin", "wordings_needed"])
    tables = [named(steerability).assign(part="run")]
    if published is not None:
        need(published, "published steerability", [*keys, "steerability", "low", "high"])
        tables.append(named(published).assign(part="published"))
    columns = ["part", "model", "respondent", "goal_prompt", "steerability", "low", "high"]
    columns += ["branch_low", "branch_high", "margin", "verdict", "wordings_needed", "note"]
    return stack(*tables).reindex(columns=columns)


def caption(table: pd.DataFrame) -> str:
    """Return how to read the forest, and the verdicts of the run."""
    run, says = part(table, "run"), ""
    for goal in sorted(run["goal_prompt"].unique(), reverse=True):
        verdicts = run[run["goal_prompt"] == goal].groupby("verdict", sort=False)["respondent"]
        words = "; ".join(f"{verdict}: {joined(names)}" for verdict, names in verdicts)
        says += f" {style.GOAL[goal].capitalize()}: {words}."
    chart = (
        " Published models, one score a value: broad bars are what a distance without a sign "
        "leaves open, thin ones add the scatter of ten random respondents."
    )
    return (
        "Steerability: how far behaviour follows the assigned value. 1 is all the way from target "
        "to target, 0 is no movement, bars are 95% intervals over wordings; inside the shaded "
        f"margin of ±{run['margin'].iloc[0]:g} an effect is too small to matter."
        f"{says}{chart if (table['part'] == 'published').any() else ''}"
    )


def alt(table: pd.DataFrame) -> str:
    """Return the picture in words."""
    numbers = [
        f" {_HEADINGS[name].capitalize()}, {style.GOAL[goal]}: "
        f"{each(rows.set_index('respondent')['steerability'], 2)}."
        for (name, goal), rows in table.groupby(
            [table["part"], table["goal_prompt"].astype(bool)], sort=False
        )
    ]
    return f"Forest plot of steerability around lines at 0 and 1.{''.join(numbers)}"


@style.drawing
def draw(table: pd.DataFrame) -> Figure:
    """Draw a row a model and arm, the verdict in words at the right."""
    run = part(table, "run", "the steerability")
    lanes, labels = _lanes(table)
    figure = style.new_figure(1.0 - _ROW * min(lanes))
    axes = figure.subplots()
    margin = float(run["margin"].iloc[0])
    axes.axvspan(-margin, margin, fc=style.FAINT, alpha=0.55, lw=0, zorder=0, gid="margin")
    for at in (0, 1):
        axes.axvline(at, color=style.INK, lw=0.8, zorder=1)
    for y, row in lanes.items():
        _row(axes, row, y)
    ends = table[["steerability", "low", "high"]].to_numpy(float)
    low, high = np.nanmin(ends, initial=-0.2), np.nanmax(ends, initial=1.15)
    axes.set(xlim=(max(low - 0.05, _LIMITS[0]), min(high + 0.05, _LIMITS[1])))
    axes.set_ylim(min(lanes) - 0.8, 1.6)
    axes.set_xticks([0, 0.5, 1], ["0\ndoes not move", "0.5", "1\nall the way"])
    style.rows(axes, list(labels), list(labels.values()))
    for label in axes.get_yticklabels():
        label.set_fontweight("bold" if label.get_text() in _HEADINGS.values() else "normal")
    mark = {"color": _COLOURS["run"], "marker": "o", "ms": 4.4, "lw": 1.5}
    keys = [
        marks.key(f"{style.GOAL[True]}, 95% interval", **mark),
        marks.key(style.GOAL[False], mfc="white", **mark),
        Patch(fc=style.FAINT, alpha=0.55, label=f"too small to matter: below {margin:g}"),
    ]
    if (table["part"] == "published").any():
        open_ = _BRANCH | {"color": _COLOURS["published"]}
        keys.append(marks.key("left open by the published score", **open_))
    style.legend(figure, keys, 4, "steerability: share of the way from target to target")
    return figure


def _lanes(table: pd.DataFrame) -> tuple[dict[float, Any], dict[float, str]]:
    """Return the rows of the table by height, with goal prompt first, and the names by height."""
    lanes, labels, y = {}, {}, 1.0
    for name, rows in table.groupby("part", sort=False):
        labels[y] = _HEADINGS[name]
        for respondent, arms in rows.groupby("respondent", sort=False):
            arms = arms.sort_values("goal_prompt", ascending=False)
            labels[y - (len(arms) + 1) / 2] = respondent
            for row in arms.itertuples():
                y -= 1
                lanes[y] = row
            y -= 0.4
        y -= 1.2
    return lanes, labels


def _row(axes: Axes, row, y: float) -> None:
    """Draw one model in one arm."""
    colour, words = _COLOURS[row.part], row.verdict if isinstance(row.verdict, str) else ""
    if not np.isnan(row.wordings_needed):
        words += f": {row.wordings_needed:.0f} wordings may do"
    if not np.isnan(row.steerability):
        words = f"{number(row.steerability, 2)}  {words}".rstrip()
        axes.plot([row.branch_low, row.branch_high], [y, y], color=colour, **_BRANCH)
        axes.plot([row.low, row.high], [y, y], color=colour, lw=1.5, zorder=3)
        fill = colour if row.goal_prompt else "white"
        look = {"marker": "o", "ms": 4.4, "mec": colour, "mfc": fill, "zorder": 4}
        axes.plot(row.steerability, y, gid=f"{row.respondent} {bool(row.goal_prompt)}", **look)
    place = {"transform": axes.get_yaxis_transform(), "va": "center_baseline", "fontsize": 7}
    axes.text(1.02, y, words, **place)
