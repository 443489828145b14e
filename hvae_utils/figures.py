"""The figures of the analysis: each a pure function from its table in `figure_data` to a Figure.

    table = figure_data.outcomes(responses, conditions)
    style.save(figures.outcomes(table), table, folder, "07_outcomes", caption, alt)

Numbers are given, never computed while drawing; the look comes from `style`. Figures in the
payoff plane and radars live in modules of their own and are offered here. This module must never
estimate, and never talk to a model.

Public names: svo_ring, slider_items, vr_radar, angle_by_value, category_shares, goal_effect,
outcomes, published_radar.
"""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle

from hvae_utils import marks, style
from hvae_utils.errors import UserError
from hvae_utils.figure_data import NO_ANGLE
from hvae_utils.figures_plane import part, slider_items, svo_ring
from hvae_utils.figures_radar import published_radar, vr_radar

__all__ = [
    "angle_by_value",
    "category_shares",
    "goal_effect",
    "outcomes",
    "published_radar",
    "slider_items",
    "svo_ring",
    "vr_radar",
]

# Degrees: answers reach -16.3 to 61.4, differences 77.7; a wider interval runs off the panel.
_EDGES = (-40.0, 85.0)
_WIDEST = 80.0
_LANE = {True: 0.21, False: -0.21}  # rows: with the goal prompt above, without below


def angle_by_value(table: pd.DataFrame) -> Figure:
    """Draw `figure_data.angle_by_value`: one panel a respondent, a row a value, degrees across.

    Dots are administrations, large marks means with 95% intervals, thin bars the bounds of the
    mean angle where answers are missing; shaded are the angles of ideal respondents. The lowest
    row is for those who always take one letter.
    """
    cells = part(table, "cell", "the angles by value")
    singles = part(table, "administration")
    respondents = list(dict.fromkeys(cells["respondent"]))
    values = list(dict.fromkeys(cells["value"]))
    shown = table[["angle", "angle_low", "angle_high", "bound_low", "bound_high"]].to_numpy(float)
    with style.context():
        columns = min(3, len(respondents))
        rows = -(-len(respondents) // columns)
        figure = style.new_figure(0.95 + rows * (0.52 + 0.34 * len(values)))
        every = style.panels(figure, len(respondents), columns)
        style.name_panels(every, respondents, columns)
        for axes, respondent in zip(every, respondents, strict=True):
            _targets(axes, table, values)
            own = [rows[rows["respondent"] == respondent] for rows in (cells, singles)]
            for cell in own[0].itertuples():
                _angle_cell(axes, cell, own[1], -values.index(cell.value))
            axes.set_xlim(
                max(np.nanmin(shown) - 6, _EDGES[0]), min(np.nanmax(shown) + 6, _EDGES[1])
            )
            axes.set_ylim(-len(values) - 0.1, 0.55)
            axes.set_xticks(
                np.arange(-20, 61, 20), [f"{x}".replace("-", "−") for x in range(-20, 61, 20)]
            )
            places = [*-np.arange(len(values)), _letters_row(values)]
            axes.set_yticks(places, [*values, "(one letter)"])
            axes.tick_params(axis="y", length=0)
            axes.spines["left"].set_visible(False)
        note = style.flag_note(respondents)
        figure.supxlabel("SVO angle, degrees" + note, fontsize=8)
        figure.legend(handles=_angle_legend(), loc="outside upper center", ncols=3)
        return style.arranged(figure)


def category_shares(table: pd.DataFrame) -> Figure:
    """Draw `figure_data.category_shares`: one heatmap a respondent, shares in per cent.

    Framed is the category an ideal respondent of the value is in; the lowest row is what uniform
    random respondents show.
    """
    measured = part(table, "measured", "the category shares")
    random = part(table, "random")
    respondents = list(dict.fromkeys(measured["respondent"]))
    values = list(dict.fromkeys(measured["value"]))
    categories = list(dict.fromkeys(table["category"]))
    with style.context():
        columns = min(3, len(respondents))
        rows = -(-len(respondents) // columns)
        figure = style.new_figure(0.95 + rows * (0.4 + 0.24 * (len(values) + 1)))
        every = style.panels(figure, len(respondents), columns)
        style.name_panels(every, respondents, columns)
        for axes, respondent in zip(every, respondents, strict=True):
            own = measured[measured["respondent"] == respondent]
            grid = own.pivot(index="value", columns="category", values="share")
            grid = grid.reindex(index=values, columns=categories)
            grid.loc["(random)"] = random.set_index("category")["share"]
            _heatmap(axes, grid)
        figure.supxlabel("measured category, per cent of administrations", fontsize=8)
        frame = Patch(fc="none", ec=style.INK, lw=1.4, label="category of the ideal respondent")
        figure.legend(handles=[frame], loc="outside upper center")
        figure.supylabel("assigned value", fontsize=8)
        return style.arranged(figure)


def goal_effect(table: pd.DataFrame) -> Figure:
    """Draw `figure_data.goal_effect`: one panel a value, a row a respondent, degrees across."""
    if table.empty:
        raise UserError("the goal-prompt effect: the table is empty, so there is nothing to draw")
    respondents = list(dict.fromkeys(table["respondent"]))
    values = list(dict.fromkeys(table["value"]))
    widest = np.nanmax(np.abs(table[["difference", "low", "high"]].to_numpy(float)), initial=5.0)
    with style.context():
        figure = style.new_figure(1.1 + 0.27 * len(respondents))
        every = style.panels(figure, len(values), len(values))
        for axes, value in zip(every, values, strict=True):
            axes.axvline(0, color=style.INK, lw=0.8)
            for row in table[table["value"] == value].itertuples():
                y = -respondents.index(row.respondent)
                gid = f"effect {row.respondent} {value}"
                marks.effect(axes, row, y, style.value_look(value), gid)
            axes.set_title(value, loc="center")
            axes.set_xlim(-1.1 * min(widest, _WIDEST), 1.1 * min(widest, _WIDEST))
            axes.set_ylim(-len(respondents) + 0.4, 0.6)
            axes.set_yticks(-np.arange(len(respondents)), respondents)
            axes.tick_params(axis="y", length=0)
            axes.grid(axis="y")
            axes.spines["left"].set_visible(False)
        label = "value rationality with minus without goal prompt, degrees (right of 0: it helps)"
        figure.supxlabel(label, fontsize=8)
        handles = marks.effect_legend(style.Look(style.MUTED))
        zero = "no effect (random expects 0)"
        handles.append(Line2D([], [], color=style.INK, lw=0.8, label=zero))
        figure.legend(handles=handles, loc="outside upper center", ncols=4)
        return style.arranged(figure)


def outcomes(table: pd.DataFrame) -> Figure:
    """Draw `figure_data.outcomes`: a bar a respondent, split into the six outcomes."""
    if table.empty:
        raise UserError("the outcomes: the table is empty, so there is nothing to draw")
    respondents = list(dict.fromkeys(table["respondent"]))
    kinds = list(dict.fromkeys(table["outcome"]))
    with style.context():
        figure = style.new_figure(0.95 + 0.3 * len(respondents))
        (axes,) = style.panels(figure, 1, 1)
        for place, respondent in enumerate(respondents):
            rows = table[table["respondent"] == respondent]
            _bar(axes, rows, -place)
            asked = f"{int(rows['asked'].iloc[0]):,} items"
            axes.text(101, -place, asked, va="center", fontsize=7.5, color=style.INK)
        axes.set_yticks(-np.arange(len(respondents)), respondents)
        axes.set_ylim(-len(respondents) + 0.4, 0.6)
        axes.set_xlim(0, 112)
        axes.set_xticks(range(0, 101, 25), [f"{x}%" for x in range(0, 101, 25)])
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        axes.spines["bottom"].set_bounds(0, 100)
        axes.set_xlabel("share of the items asked")
        looks = [(kind, style.outcome_look(kind)) for kind in kinds]
        handles = [Patch(label=kind, **_filling(look)) for kind, look in looks]
        figure.legend(handles=handles, loc="outside upper center", ncols=len(kinds))
        return style.arranged(figure)


def _targets(axes: Axes, table: pd.DataFrame, values: list[str]) -> None:
    """Shade the angles of ideal respondents in each value's row, and draw the random mean."""
    for target in part(table, "target").itertuples():
        row, colour = -values.index(target.value), style.value_look(target.value).colour
        low, high = target.angle_low, target.angle_high
        axes.add_patch(Rectangle((low, row - 0.45), high - low, 0.9, fc=colour, alpha=0.22, lw=0))
        ends = [row - 0.45, row + 0.45]
        axes.plot(
            [target.angle] * 2,
            ends,
            color=colour,
            lw=1 if high - low > 2 else 3,
            alpha=0.5,
            zorder=1,
        )
    for row in range(1, len(values)):
        axes.axhline(0.5 - row, color=style.FAINT, lw=0.6, zorder=0)
    axes.axhspan(-len(values) - 0.1, 0.5 - len(values), **marks.NULL_BAND)
    marks.letters(axes, part(table, "baseline")["angle"], _letters_row(values))
    axes.axvline(float(part(table, "random")["angle"].iloc[0]), **marks.RANDOM_LINE)


def _letters_row(values: list[str]) -> float:
    return 0.2 - len(values)


_BOUNDS = {"color": style.MUTED, "lw": 0.9, "marker": "|", "ms": 4.5}


def _angle_cell(axes: Axes, cell, singles: pd.DataFrame, row: int) -> None:
    """Draw one cell: its administrations, its mean with interval, its bounds."""
    goal = bool(cell.goal_prompt)
    look, y = style.value_look(cell.value), row + _LANE[goal]
    mine = (singles["value"] == cell.value) & (singles["goal_prompt"].astype(bool) == goal)
    angles = singles.loc[mine, "angle"].to_numpy(float)
    spread = np.linspace(-0.1, 0.1, len(angles)) if len(angles) > 1 else np.zeros(len(angles))
    axes.plot(
        angles, y + spread, ls="none", marker=".", ms=4.2, mew=0, color=look.colour, alpha=0.55
    )
    if cell.scored < cell.administrations:
        axes.plot([cell.bound_low, cell.bound_high], [y, y], gid="bounds", **_BOUNDS)
    axes.plot([cell.angle_low, cell.angle_high], [y, y], color=look.colour, lw=1.8, zorder=3)
    axes.plot(
        cell.angle,
        y,
        marker=look.marker,
        ms=4.6,
        mec=look.colour,
        mfc=look.colour if goal else "white",
        mew=1,
        zorder=4,
        gid=f"mean {cell.value} {goal}",
    )


def _angle_legend() -> list:
    grey = {"marker": "o", "mec": style.MUTED, "color": style.MUTED, "ms": 5}
    return [
        Line2D([], [], mfc=style.MUTED, lw=1.8, label="mean and 95% interval, goal prompt", **grey),
        Line2D([], [], mfc="white", lw=1.8, label="the same without goal prompt", **grey),
        Line2D([], [], ls="none", marker=".", ms=4, color=style.MUTED, label="one administration"),
        Patch(fc=style.MUTED, alpha=0.25, label="angles of ideal respondents"),
        Line2D([], [], label="bounds if answers are missing", **_BOUNDS),
        Line2D([], [], label="mean of random respondents", **marks.RANDOM_LINE),
        marks.letters_legend(),
    ]


def _heatmap(axes: Axes, grid: pd.DataFrame) -> None:
    blues = LinearSegmentedColormap.from_list("shares", ["#FFFFFF", "#9CC6E0", "#0B3C5D"])
    greys = LinearSegmentedColormap.from_list("no angle", ["#FFFFFF", "#BDBDBD", "#333333"])
    gap = 0.18
    for y, (value, shares) in enumerate(grid.iterrows()):
        row = y + (gap if y == len(grid) - 1 else 0)
        for x, (category, share) in enumerate(shares.items()):
            column = x + (gap if category == NO_ANGLE else 0)
            if np.isnan(share):
                continue
            fill = (greys if category == NO_ANGLE else blues)(float(share))
            axes.add_patch(Rectangle((column, row), 1, 1, fc=fill, ec=style.FAINT, lw=0.6))
            text = "" if share == 0 else "<1" if share < 0.01 else f"{100 * share:.0f}"
            ink = "white" if share > 0.72 else style.INK
            axes.text(
                column + 0.5, row + 0.52, text, ha="center", va="center", fontsize=7, color=ink
            )
            if value == category:
                frame = Rectangle((column, row), 1, 1, fc="none", ec=style.INK, lw=1.4, zorder=3)
                axes.add_patch(frame)
    last = len(grid.columns) - 1
    axes.set_xlim(-0.05, last + 1 + gap + 0.05)
    axes.set_ylim(len(grid) + gap + 0.05, -0.05)
    ticks = [x + 0.5 + (gap if name == NO_ANGLE else 0) for x, name in enumerate(grid.columns)]
    axes.set_xticks(ticks, list(grid.columns), rotation=40, ha="right", rotation_mode="anchor")
    rows = [y + 0.5 + (gap if y == len(grid) - 1 else 0) for y in range(len(grid))]
    axes.set_yticks(rows, list(grid.index))
    axes.tick_params(length=0)
    axes.spines[["left", "bottom"]].set_visible(False)


def _bar(axes: Axes, rows: pd.DataFrame, y: int) -> None:
    left = 0.0
    for row in rows.itertuples():
        width = 100 * row.share
        if not width:
            continue
        look = style.outcome_look(row.outcome)
        axes.barh(y, width, left=left, height=0.62, **_filling(look))
        if width >= 5:
            ink = "white" if row.outcome == "error" else style.INK
            box = None if not look.hatch else {"fc": "white", "ec": "none", "pad": 1, "alpha": 0.9}
            axes.text(
                left + width / 2, y, f"{width:.0f}%", ha="center", va="center", color=ink, bbox=box
            )
        left += width


def _filling(look: style.Look) -> dict:
    return {"fc": look.colour, "ec": style.INK, "lw": 0.5, "hatch": look.hatch}
