"""Three readings of the same answers side by side, and the lapse rate that explains them.

Drawn from the table `robustness_data.three_readings` and nothing else. This module must never
estimate, and never talk to a model.

Public names: three_readings.
"""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from hvae_utils import marks, style
from hvae_utils.figures_plane import part

_ROW = 0.148  # inches
# Of each column: title, ideal, widest range drawn (an interval beyond it runs off), ticks.
_COLUMNS = {
    "raw": ("raw, degrees", 60.0, (-30.0, 64.0), (0, 20, 40, 60)),
    "chance": ("chance-corrected", 1.0, (-1.5, 1.1), (-1, 0, 1)),
    "regret": ("1 − mean regret", 1.0, (0.0, 1.05), (0, 0.5, 1)),
    "lapse": ("lapse rate", 0.0, (-0.05, 1.05), (0, 0.5, 1)),
}


def three_readings(table: pd.DataFrame) -> Figure:
    """Draw `robustness_data.three_readings`: a block a value, a row a respondent, four columns.

    The grey rows of each block are for constant letters and for ideals that lapse.
    """
    measured = part(table, "measured", "the three readings")
    rows, headings = _rows(measured)
    bottom = min(y for block in rows.values() for y in block.values()) - 0.6
    with style.context():
        figure = style.new_figure(1.25 - _ROW * bottom)
        every = figure.subplots(1, len(_COLUMNS), sharey=True)
        for axes, (reading, (title, *_)) in zip(every, _COLUMNS.items(), strict=True):
            for value in rows:
                _block(axes, table, reading, value, rows[value])
            axes.set_title(title, loc="center")
            _scale(axes, reading)
            axes.set_ylim(bottom, 0.7)
        places = {y: name for block in rows.values() for name, y in block.items()} | headings
        every[0].set_yticks(list(places), list(places.values()))
        for y, label in zip(places, every[0].get_yticklabels(), strict=True):
            label.set_fontweight("bold" if y in headings else "normal")
        goal = style.GOAL[bool(measured["goal_prompt"].iloc[0])]
        note = style.flag_note(measured["respondent"])
        figure.supxlabel(f"{goal}; dotted: random respondents; thin: ideal{note}", fontsize=8)
        figure.legend(handles=_legend(), loc="outside upper center", ncols=3)
        return style.arranged(figure)


_LETTERS, _LAPSES = "(one letter, A to I)", "(ideal with lapses)"


def _rows(measured: pd.DataFrame) -> tuple[dict[str, dict[str, float]], dict[float, str]]:
    """Return where each respondent's row stands, by value, and the headings by place."""
    rows, headings, y = {}, {}, 0.0
    for value in dict.fromkeys(measured["value"]):
        headings[y] = value
        names = [*measured.loc[measured["value"] == value, "respondent"], _LETTERS, _LAPSES]
        rows[value] = {name: y - place for place, name in enumerate(names, start=1)}
        y -= len(names) + 1.5
    return rows, headings


def _block(
    axes: Axes, table: pd.DataFrame, reading: str, value: str, rows: dict[str, float]
) -> None:
    top, bottom = max(rows.values()) + 0.5, rows[_LAPSES] - 0.5
    mine = part(table, "measured")
    mine = mine[mine["value"] == value]
    axes.axhspan(bottom, rows[_LETTERS] + 0.5, **marks.NULL_BAND)
    random = mine[f"{reading}_random"].mean() if reading in ("raw", "regret") else 0.0
    random = 1.0 if reading == "lapse" else random
    axes.plot([random] * 2, [top, bottom], gid=f"random {value}", **marks.RANDOM_LINE)
    axes.plot([_COLUMNS[reading][1]] * 2, [top, bottom], color=style.MUTED, lw=0.8, zorder=1)
    nulls = part(table, "baseline")
    nulls = nulls[nulls["value"] == value]
    constant = nulls["respondent"].str.startswith("always")
    marks.letters(axes, nulls.loc[constant, reading], rows[_LETTERS])
    marks.lapses(axes, nulls.loc[~constant, reading], rows[_LAPSES])
    for row in mine.itertuples():
        _cell(axes, row, reading, rows[row.respondent])


def _cell(axes: Axes, row, reading: str, y: float) -> None:
    point, look = getattr(row, reading), style.value_look(row.value)
    if np.isnan(point):
        words = "no angle" if reading in ("raw", "chance") else "not estimable"
        axes.text(0.5, y, words, transform=axes.get_yaxis_transform(), **_WORDS)
        return
    if reading != "regret":
        ends = [getattr(row, f"{reading}_low"), getattr(row, f"{reading}_high")]
        axes.plot(ends, [y, y], color=look.colour, lw=1.6, zorder=2)
    gid = f"{reading} {row.respondent} {row.value}"
    axes.plot(point, y, marker=look.marker, ms=4.6, color=look.colour, zorder=4, gid=gid)


_WORDS = {"ha": "center", "va": "center_baseline", "fontsize": 6.8, "color": style.MUTED}


def _scale(axes: Axes, reading: str) -> None:
    _, _, limits, ticks = _COLUMNS[reading]
    axes.set_xlim(limits)
    axes.set_xticks(ticks, [f"{tick:g}".replace("-", "−") for tick in ticks])
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)


def _legend() -> list[Line2D]:
    grey = {"marker": "o", "ms": 4.6, "color": style.MUTED}
    return [
        Line2D([], [], lw=1.6, label="respondent, 95% interval", **grey),
        marks.letters_legend(),
        marks.lapses_legend("ideal with 10%, 20%, 50% lapses"),
    ]
