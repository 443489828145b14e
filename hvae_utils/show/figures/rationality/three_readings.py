"""Figure 17, three readings of value rationality, and the lapse rate: a block a value."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hvae_utils.show import marks, style
from hvae_utils.show.names import FLAG, each, named
from hvae_utils.show.tables import RAW_AND_CHANCE, goal_arm, need

_RENAMED = RAW_AND_CHANCE | {"vr_regret": "regret", "vr_regret_random": "regret_random"}
_RENAMED |= {"lapse_rate": "lapse", "lapse_low": "lapse_low", "lapse_high": "lapse_high"}
_ROW = 0.155  # inches
# Of each column: title, ideal, widest range drawn (an interval beyond it runs off), ticks.
_COLUMNS = {
    "raw": ("raw, degrees", 60.0, (-30.0, 64.0), (0, 20, 40, 60)),
    "chance": ("chance-corrected", 1.0, (-1.5, 1.1), (-1, 0, 1)),
    "regret": ("1 − mean regret", 1.0, (-0.05, 1.05), (0, 0.5, 1)),
    "lapse": ("lapse rate", 0.0, (-0.05, 1.05), (0, 0.5, 1)),
}
_IDEAL = {"color": style.MUTED, "lw": 0.8, "zorder": 1}
_WORDS = {"ha": "center", "va": "center_baseline", "fontsize": 6.8, "color": style.MUTED}


def table(cells: pd.DataFrame) -> pd.DataFrame:
    """Return the raw, chance and regret reading and the lapse rate of each cell.

    cells: as `quality.with_readings`, see `tables.goal_arm`.
    Columns: respondent (marked where this very cell is flagged), raw (degrees), chance and lapse (0
    to 1) with intervals, regret, raw_random and regret_random (of a random respondent), flag; NaN
    where not estimable.
    """
    measured = named(goal_arm(cells, [*_RENAMED, "flag"])).rename(columns=_RENAMED)
    measured["flag"] = measured["flag"].astype(object).fillna("")
    measured["respondent"] += np.where(measured["flag"] == "", "", FLAG)
    return measured[["model", "respondent", "value", "goal_prompt", *_RENAMED.values(), "flag"]]


def caption(table: pd.DataFrame) -> str:
    """Return how to read the four columns, and each respondent's lapse rate."""
    return (
        "Three readings of value rationality, and the lapse rate. By assigned value, with 95% "
        "intervals where there are any: raw, corrected for chance, and the share of the value's "
        "own utility that was kept; then the share of answers that would be random if the others "
        f"followed the value. Mean lapse rate: {each(_lapses(table), 2)}."
    )


def alt(table: pd.DataFrame) -> str:
    """Return the picture in words."""
    return (
        "Four columns of marks, a block of rows for each value, a row a respondent. Mean lapse "
        f"rate over the values: {each(_lapses(table), 2)}."
    )


def _lapses(table: pd.DataFrame) -> pd.Series:
    name = table["respondent"].str.removesuffix(FLAG)
    return table["lapse"].groupby(name, sort=False).mean()


@style.drawing
def draw(table: pd.DataFrame) -> Figure:
    """Draw a block a value, a row a respondent."""
    need(table, "the three readings")
    rows, headings = _rows(table)
    places = {y: name for block in rows.values() for name, y in block.items()} | headings
    bottom = min(places) - 0.6
    figure = style.new_figure(1.25 - _ROW * bottom)
    panels = figure.subplots(1, len(_COLUMNS), sharey=True)
    for axes, (reading, (title, _, limits, ticks)) in zip(panels, _COLUMNS.items(), strict=True):
        for value in rows:
            _block(axes, table[table["value"] == value], reading, rows[value])
        axes.set_title(title, loc="center")
        axes.set_xlim(limits)
        axes.set_xticks(ticks, style.numbers(ticks))
        style.rows(axes, list(places), list(places.values()))
        axes.set_ylim(bottom, 0.7)
    for y, label in zip(places, panels[0].get_yticklabels(), strict=True):
        label.set_fontweight("bold" if y in headings else "normal")
    keys = [
        marks.key("respondent, 95% interval", marker="o", ms=4.6, lw=1.6, color=style.MUTED),
        marks.key("random respondents", **marks.RANDOM_LINE),
        marks.key("ideal respondents", **_IDEAL),
        *marks.flag_keys(table["respondent"], "flagged cell: doubtful data"),
    ]
    style.legend(figure, keys, 4, style.GOAL[bool(table["goal_prompt"].iloc[0])])
    return figure


def _rows(table: pd.DataFrame) -> tuple[dict[str, dict[str, float]], dict[float, str]]:
    """Return where each respondent's row stands, by value, and the headings by place."""
    rows, headings, y = {}, {}, 0.0
    for value, block in table.groupby("value", sort=False):
        headings[y] = value
        rows[value] = {name: y - 1.0 - place for place, name in enumerate(block["respondent"])}
        y -= len(block) + 1.5
    return rows, headings


def _block(axes: Axes, cells: pd.DataFrame, reading: str, rows: dict[str, float]) -> None:
    """Draw one reading of the respondents of one value, each at the height of its row."""
    ends = [max(rows.values()) + 0.5, min(rows.values()) - 0.5]
    random = {"chance": 0.0, "lapse": 1.0}.get(reading)
    random = cells[f"{reading}_random"].mean() if random is None else random
    axes.plot([random] * 2, ends, gid=f"random {cells['value'].iloc[0]}", **marks.RANDOM_LINE)
    axes.plot([_COLUMNS[reading][1]] * 2, ends, **_IDEAL)
    for row in cells.itertuples():
        _cell(axes, row, reading, rows[row.respondent])


def _cell(axes: Axes, row, reading: str, y: float) -> None:
    point, look = getattr(row, reading), marks.of_value(row.value)
    if np.isnan(point):
        words = "no angle" if reading in ("raw", "chance") else "not estimable"
        axes.text(0.5, y, words, transform=axes.get_yaxis_transform(), **_WORDS)
        return
    if reading != "regret":
        ends = [getattr(row, f"{reading}_low"), getattr(row, f"{reading}_high")]
        axes.plot(ends, [y, y], color=look["color"], lw=1.6, zorder=2)
    gid = f"{reading} {row.respondent} {row.value}"
    axes.plot(point, y, ms=4.6, zorder=4, gid=gid, **look)
