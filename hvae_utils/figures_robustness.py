"""The figures on robustness: each a pure function from its table in `robustness_data` to a Figure.

    table = robustness_data.letter_choice(letters)
    style.save(figures_robustness.letter_choice(table), table, folder, "10_letter_choice", ...)

Numbers are given, never computed while drawing; the look comes from `style`. Curves, people and
the scales live in modules of their own and are offered here. This module must never estimate, and
never talk to a model.

Public names: raw_and_chance, three_readings, letter_choice, position_bias, lapse_curves,
angle_distributions, recovery, factor_effects, people_and_models.
"""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle

from hvae_utils import marks, style
from hvae_utils.errors import UserError
from hvae_utils.figures_chance import raw_and_chance
from hvae_utils.figures_curves import lapse_curves, recovery
from hvae_utils.figures_people import people_and_models
from hvae_utils.figures_plane import part
from hvae_utils.figures_readings import three_readings
from hvae_utils.robustness_data import ALL

__all__ = [
    "angle_distributions",
    "factor_effects",
    "lapse_curves",
    "letter_choice",
    "people_and_models",
    "raw_and_chance",
    "recovery",
    "three_readings",
]


def letter_choice(table: pd.DataFrame) -> Figure:
    """Draw `robustness_data.letter_choice`: one panel a respondent, the nine positions across."""
    if table.empty:
        raise UserError("the letter choice: the table is empty, so there is nothing to draw")
    respondents = list(dict.fromkeys(table["respondent"]))
    with style.context():
        columns = min(3, len(respondents))
        rows = -(-len(respondents) // columns)
        figure = style.new_figure(1.0 + 1.25 * rows)
        every = style.panels(figure, len(respondents), columns)
        style.name_panels(every, respondents, columns)
        highest = np.nanmax(table["share"].to_numpy(float), initial=0.25)
        for axes, respondent in zip(every, respondents, strict=True):
            own = table[table["respondent"] == respondent]
            _letters(axes, own)
            axes.set_xlim(0.4, 9.6)
            axes.set_ylim(0, 1.06 * highest)
            axes.set_xticks(range(1, 10))
            step = 0.25 if highest > 0.5 else 0.1
            ticks = np.arange(0, highest + 1e-9, step)
            axes.set_yticks(ticks, [f"{100 * tick:.0f}%" for tick in ticks])
        figure.supxlabel(
            "position as shown, 1 = first (debiased: option in the instrument's own order)",
            fontsize=8,
        )
        figure.supylabel("mean probability", fontsize=8)
        handles = [
            Patch(label="as shown", **_SHOWN),
            Line2D([], [], label="debiased", **_DEBIASED),
            Line2D([], [], label="no preference, 1/9", **marks.RANDOM_LINE),
        ]
        figure.legend(handles=handles, loc="outside upper center", ncols=3)
        return style.arranged(figure)


_SHOWN = {"fc": "#D5E3EC", "ec": "#7F99A8", "lw": 0.7}
_DEBIASED = {"color": "#A63603", "marker": "D", "ms": 3.8, "lw": 1.2, "zorder": 4}


def _letters(axes: Axes, rows: pd.DataFrame) -> None:
    for stage in ("as shown", "debiased"):
        shares = rows[rows["stage"] == stage].set_index("position")["share"]
        shares = shares.reindex(range(1, 10)).astype(float)
        if shares.isna().all():
            y = 0.93 if stage == "as shown" else 0.8
            text = f"{stage}: not estimable"
            axes.text(0.98, y, text, transform=axes.transAxes, ha="right", va="top", fontsize=7)
        elif stage == "as shown":
            axes.bar(shares.index, shares, width=0.76, **_SHOWN)
        else:
            axes.plot(shares.index, shares, gid=stage, clip_on=False, **_DEBIASED)
    axes.axhline(1 / 9, gid="uniform", **marks.RANDOM_LINE | {"zorder": 3})


def position_bias(table: pd.DataFrame) -> Figure:
    """Draw `robustness_data.position_bias`: one panel a respondent, nats added by each position.

    A line a set of labels; with several, what they share is the position's, and the way from there
    to a set's line the labels'.
    """
    if table.empty:
        raise UserError("the position bias: the table is empty, so there is nothing to draw")
    respondents = list(dict.fromkeys(table["respondent"]))
    sets = list(dict.fromkeys(table["labels"]))
    highest = max(np.nanmax(np.abs(table["bias"].to_numpy(float)), initial=0.0), 1.0)
    with style.context():
        columns = min(3, len(respondents))
        rows = -(-len(respondents) // columns)
        figure = style.new_figure(1.0 + 1.25 * rows)
        every = style.panels(figure, len(respondents), columns)
        style.name_panels(every, respondents, columns)
        for axes, respondent in zip(every, respondents, strict=True):
            _biases(axes, table[table["respondent"] == respondent], sets)
            axes.set_xlim(0.4, 9.6)
            axes.set_ylim(-1.15 * highest, 1.15 * highest)
            axes.set_xticks(range(1, 10))
        figure.supxlabel("position as shown, 1 = first", fontsize=8)
        figure.supylabel("estimated bias, nats", fontsize=8)
        handles = [
            Line2D([], [], label=f"labels {name}", **_BIAS, **look)
            for name, look in zip(sets, _SETS, strict=False)
        ]
        if table["position_part"].notna().any():
            handles.append(Line2D([], [], label="the position's part", **_SHARED))
        handles.append(Line2D([], [], label="no bias", **marks.RANDOM_LINE))
        figure.legend(handles=handles, loc="outside upper center", ncols=len(handles))
        return style.arranged(figure)


_BIAS = {"ms": 4, "lw": 1.2, "zorder": 4}
_SETS = (  # of labels
    {"color": "#0072B2", "marker": "o"},
    {"color": "#A63603", "marker": "s"},
    {"color": "#E69F00", "marker": "^"},
)
_SHARED = {"color": style.INK, "lw": 4, "alpha": 0.25, "zorder": 3}


def _biases(axes: Axes, rows: pd.DataFrame, sets: list[str]) -> None:
    axes.axhline(0, gid="no bias", **marks.RANDOM_LINE)
    if rows["bias"].isna().all():
        axes.text(0.98, 0.93, "not estimable", transform=axes.transAxes, ha="right", va="top")
    for name, look in zip(sets, _SETS, strict=False):
        own = rows[rows["labels"] == name]
        axes.plot(own["position"], own["bias"], gid=name, **_BIAS, **look)
    shared = rows.dropna(subset="position_part").drop_duplicates("position")
    axes.plot(shared["position"], shared["position_part"], gid="position part", **_SHARED)


def angle_distributions(table: pd.DataFrame) -> Figure:
    """Draw `robustness_data.angle_distributions`: one panel a respondent, a row a value.

    Heights are square roots of shares, so that a distribution as wide as the random respondent's
    and one on a single angle are both seen; a full row is all of the distribution in one degree.
    """
    measured = part(table, "measured", "the distributions of the angle")
    random, targets = part(table, "random"), part(table, "target")
    respondents = list(dict.fromkeys(measured["respondent"]))
    values = list(dict.fromkeys(measured["value"]))
    shown = table[["low", "high"]].to_numpy(float)
    limits = np.nanmin(shown) - 2, np.nanmax(shown) + 2
    with style.context():
        columns = min(3, len(respondents))
        rows = -(-len(respondents) // columns)
        figure = style.new_figure(1.1 + rows * (0.32 + 0.36 * len(values)))
        every = style.panels(figure, len(respondents), columns)
        style.name_panels(every, respondents, columns)
        for axes, respondent in zip(every, respondents, strict=True):
            own = measured[measured["respondent"] == respondent]
            for row, value in enumerate(values):
                for target in targets[targets["value"] == value].itertuples():
                    _target(axes, target, row)
                mine = own[own["value"] == value]
                _distribution(axes, mine, value, -row - 1.0)
                _steps(axes, random, -row - 1.0, gid="random", **_OUTLINE)
                axes.axhline(-row - 1, color=style.MUTED, lw=0.5, zorder=2)
            axes.set_xlim(limits)
            axes.set_ylim(-len(values), 0.04)
            ticks = range(-20, 61, 20)
            axes.set_xticks(ticks, [f"{tick}".replace("-", "−") for tick in ticks])
            axes.set_xlim(limits)
            axes.set_yticks(-np.arange(len(values)) - 0.6, values)
            axes.tick_params(axis="y", length=0)
            axes.spines["left"].set_visible(False)
        label = "SVO angle of one administration, degrees\n(height: root of the share per degree, "
        figure.supxlabel(label + "a full row is 100%)", fontsize=8)
        figure.legend(handles=_distribution_legend(), loc="outside upper center", ncols=3)
        return style.arranged(figure)


_OUTLINE = {"color": style.INK, "lw": 0.8, "zorder": 4}


def _target(axes: Axes, target, row: int) -> None:
    colour, width = style.value_look(target.value).colour, target.high - target.low
    left = target.low if width > 1 else (target.low + target.high) / 2 - 0.9
    box = Rectangle((left, -row - 1), max(width, 1.8), 0.98, fc=colour, alpha=0.2, lw=0, zorder=0)
    axes.add_patch(box)


def _distribution(axes: Axes, rows: pd.DataFrame, value: str, base: float) -> None:
    if rows["share"].isna().all():
        place = {"transform": axes.get_yaxis_transform(), "ha": "right", "va": "center"}
        axes.text(0.99, base + 0.66, "no probabilities", fontsize=7, **place)
        return
    look = style.value_look(value)
    x, y = _outline(rows)
    axes.fill_between(x, base, base + y, fc=look.colour, alpha=0.55, lw=0, zorder=3)
    axes.plot(x, base + y, color=look.colour, lw=0.8, gid=f"distribution {value}", zorder=3)


def _steps(axes: Axes, rows: pd.DataFrame, base: float, **look) -> None:
    x, y = _outline(rows)
    axes.plot(x, base + y, **look)


def _outline(rows: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Return the corners of a histogram whose missing bins are empty; heights as square roots."""
    low, height = rows["low"].to_numpy(float), 0.92 * np.sqrt(rows["share"].to_numpy(float))
    edges = np.arange(low.min() - 1, rows["high"].max() + 2)
    heights = np.zeros(len(edges) - 1)
    heights[np.searchsorted(edges, low)] = height
    x = np.repeat(edges, 2)[1:-1]
    return x, np.repeat(heights, 2)


def _distribution_legend() -> list:
    return [
        Patch(fc=style.MUTED, alpha=0.55, label="exact distribution of the angle"),
        Line2D([], [], label="random respondent", **_OUTLINE),
        Patch(fc=style.MUTED, alpha=0.2, label="angles of ideal respondents"),
    ]


def factor_effects(table: pd.DataFrame) -> Figure:
    """Draw `robustness_data.factor_effects`: a forest plot, one panel a respondent.

    Over all values with interval; below it the single values, points only, a line each: where they
    agree, one would hide the other.
    """
    if table.empty:
        raise UserError("the factor effects: the table is empty, so there is nothing to draw")
    respondents = list(dict.fromkeys(table["respondent"]))
    places, labels, bottom = _forest_places(table)
    scopes = list(dict.fromkeys(table.loc[table["scope"] != ALL, "scope"]))
    overall = table["scope"] == ALL
    shown = table.loc[overall, ["difference", "low", "high"]].to_numpy(float).ravel()
    shown = np.append(shown, table.loc[~overall, "difference"])
    widest = 1.1 * min(np.nanmax(np.abs(shown), initial=5.0), 80.0)
    with style.context():
        columns = min(3 if len(respondents) < 7 else 4, len(respondents))
        lines = -(-len(respondents) // columns)
        figure = style.new_figure(0.95 + lines * (0.32 - 0.17 * bottom))
        every = style.panels(figure, len(respondents), columns)
        style.name_panels(every, respondents, columns + 1.2)  # the labels take room
        for axes, respondent in zip(every, respondents, strict=True):
            axes.axvline(0, color=style.INK, lw=0.8, zorder=1)
            for row in table[table["respondent"] == respondent].itertuples():
                line = 0 if row.scope == ALL else 1.3 + scopes.index(row.scope)
                _forest(axes, row, places[_level(row)] - _SINGLE * line)
            axes.set_xlim(-widest, widest)
            axes.set_ylim(bottom, 0.7)
            axes.set_yticks(list(labels), list(labels.values()))
            for y, label in zip(labels, axes.get_yticklabels(), strict=False):
                label.set_fontweight("normal" if y in places.values() else "bold")
            for y in places.values():
                axes.axhline(y, color=style.FAINT, lw=0.6, zorder=0)
            axes.tick_params(axis="y", length=0)
            axes.spines["left"].set_visible(False)
        measure = table["measure"].iloc[0]
        figure.supxlabel(f"{measure}: level minus reference, degrees", fontsize=8)
        handles = _forest_legend(scopes)
        figure.legend(handles=handles, loc="outside upper center", ncols=4)
        return style.arranged(figure)


def _level(row) -> tuple[str, str, str]:
    return str(row.factor), str(row.reference), str(row.level)


def _forest_places(
    table: pd.DataFrame,
) -> tuple[dict[tuple[str, str, str], float], dict[float, str], float]:
    """Return where each level stands, all labels by place, and where the panel ends.

    A factor with its reference is a line of its own above its levels.
    """
    single = table.loc[table["scope"] != ALL, "scope"].nunique()
    levels = list(dict.fromkeys(_level(row) for row in table.itertuples()))
    places, labels, y = {}, {}, 0.0
    for factor, reference in dict.fromkeys(level[:2] for level in levels):
        labels[y] = f"{factor}, from {_said(factor, reference)}".replace("_", " ")
        for level in levels:
            if level[:2] == (factor, reference):
                y -= 1.0
                places[level] = y
                labels[y] = _said(factor, level[2]).replace("_", " ")
                y -= _SINGLE * single
        y -= 1.1
    return places, labels, y + 0.5


def _said(factor: str, level: str) -> str:
    goal = {"True": "with", "False": "without"}
    return goal.get(level, level) if factor == "goal_prompt" else level


_FOREST = style.Look("#0B3C5D")
_SINGLE = 0.33  # of a line: from one single value to the next


def _forest(axes: Axes, row, y: float) -> None:
    gid = f"effect {row.respondent} {row.level} {row.scope}"
    if row.scope == ALL:
        marks.effect(axes, row, y, _FOREST, gid)
    else:
        look = style.value_look(row.scope)
        axes.plot(row.difference, y, marker=look.marker, ms=3.6, mew=0, color=look.colour, gid=gid)


def _forest_legend(scopes: list[str]) -> list[Line2D]:
    handles = marks.effect_legend(_FOREST)
    handles.append(Line2D([], [], color=style.INK, lw=0.8, label="no effect"))
    for scope in scopes:
        look = style.value_look(scope)
        mark = {"marker": look.marker, "color": look.colour, "ms": 3.6, "mew": 0, "lw": 0}
        handles.append(Line2D([], [], label=f"{scope} only", **mark))
    return handles
