"""Figure 20, what thinking changes: two panels a model, its wordings and the paired difference."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from hvae_utils.files import needed_columns
from hvae_utils.measure import factors
from hvae_utils.show import marks, style
from hvae_utils.show.names import each, named, number
from hvae_utils.show.tables import need, part, stack

_KEYS = ["model", "goal_prompt", "deliberation"]
_PAIR = ["against", "wordings", "difference", "low", "high", "p", "note"]
_WORDING = {"color": "#7FA8C2", "lw": 0.8, "marker": ".", "ms": 3.5, "zorder": 2}
_COLOUR = "#0B3C5D"
_MEAN = {
    True: {"color": _COLOUR, "mfc": _COLOUR, "lw": 1.8, "ls": "-"},
    False: {"color": _COLOUR, "mfc": "white", "lw": 1.3, "ls": style.NO_GOAL_LINE},
}
_POINT = {"marker": "o", "ms": 4.6, "mec": _COLOUR, "zorder": 4}
_ASIDE = 0.1  # of the way to the next level: where two arms stand
_LINE = 2.9  # inches: a line of models
_FEW = 6  # differences that a caption holds
_NUMBERED = 4  # levels of a panel that have room for the numbers of their differences
_MARGIN = {"fc": style.FAINT, "alpha": 0.55, "lw": 0}


def table(
    differences: pd.DataFrame,
    slopes: pd.DataFrame,
    conditions: pd.DataFrame,
    responses: pd.DataFrame,
) -> pd.DataFrame:
    """Return what it does to the steerability of each model to think otherwise, and its wordings.

    differences, slopes: as `steerability.of_deliberation` and `steerability.by_wording`.
    part "wording": steerability of each wording and level. "difference": a level minus the one it
    stands against, low and high (95% interval), p and note; margin; between_chains (share of the
    variance of a choice that lies between chains of thought, NaN without chains).
    """
    need(differences, "deliberation", [*_KEYS, *_PAIR])
    needed_columns(
        slopes, "steerability by wording", ["model", "goal_prompt", "wording", "steerability"]
    )
    need(conditions, "conditions", ["condition_id", "model", "margin"])
    need(responses, "responses", ["condition_id", "between_chains"])
    models = conditions.set_index("condition_id")["model"]
    between = responses.groupby(responses["condition_id"].map(models))["between_chains"].mean()
    names = map(factors.respondent, differences["model"], differences["deliberation"])
    pairs = differences.assign(between_chains=between.reindex([*names]).to_numpy())
    levels = slopes["model"].map(factors.model_of)
    singles = slopes.assign(model=levels.str[0], deliberation=levels.str[1])
    singles = singles[singles["model"].isin(pairs["model"])]
    both = stack(pairs.assign(part="difference"), singles.assign(part="wording"))
    columns = ["part", "model", "respondent", "goal_prompt", "deliberation", "wording"]
    columns += ["steerability", *_PAIR, "margin", "between_chains"]
    return named(both.assign(margin=conditions["margin"].iloc[0])).reindex(columns=columns)


def caption(table: pd.DataFrame) -> str:
    """Return how to read the panels, and each difference with its interval."""
    chains = part(table, "difference").dropna(subset="between_chains")
    shares = 100 * chains.groupby("respondent", sort=False)["between_chains"].mean()
    lies = (
        " Share of the variance of a choice that lies between one chain of thought and the next: "
        f"{each(shares, 0, '%')}."
    )
    return (
        "What thinking changes in steerability. Above: how far each respondent moves with its "
        "value, a thin line a wording, the bold one their mean; below: the mean difference inside "
        "wordings, with its 95% interval. In the shaded margin an effect is too small to matter. "
        f"{_results(table)}{lies if len(shares) else ''}"
    )


def alt(table: pd.DataFrame) -> str:
    """Return the picture in words."""
    return (
        "Two panels a model, how it deliberates across: lines of steerability by wording above, "
        f"differences with intervals around a line at 0 below. {_results(table)}"
    )


def _results(table: pd.DataFrame) -> str:
    """Return all differences, or of many those whose interval leaves out 0."""
    pairs = part(table, "difference")
    several, few = pairs["goal_prompt"].nunique() > 1, len(pairs) <= _FEW
    clear = (pairs["low"] > 0) | (pairs["high"] < 0)
    said = []
    for row in (pairs if few else pairs[clear]).itertuples():
        arm = f" {style.GOAL[bool(row.goal_prompt)]}" if several else ""
        ends = "" if np.isnan(row.low) else f" [{number(row.low, 2)}, {number(row.high, 2)}]"
        what = f"{row.deliberation} minus {row.against}"
        said.append(f"{row.respondent}{arm}, {what}: {number(row.difference, 2)}{ends}")
    if few:
        return f"{'; '.join(said)}."
    return f"Intervals without 0, of {len(pairs)}: {'; '.join(said) or 'none'}."


@style.drawing
def draw(table: pd.DataFrame) -> Figure:
    """Draw two panels a model, at most four models in a line, fewer where there are many levels."""
    pairs, singles = part(table, "difference", "the deliberation"), part(table, "wording")
    of_model = dict(list(pairs.groupby("respondent", sort=False)))
    most = max(len(_levels(ours)) for ours in of_model.values())
    columns = min(len(of_model), max(1, 9 // most), 4)
    lines = -(-len(of_model) // columns)
    figure = style.new_figure(0.85 + _LINE * lines)
    grid = figure.subplots(2 * lines, columns, squeeze=False, height_ratios=[1.7, 1] * lines)
    above, below = (list(grid[start::2].flat) for start in (0, 1))
    for axes in [*above[len(of_model) :], *below[len(of_model) :]]:
        axes.remove()
    style.name_panels(above[: len(of_model)], [*of_model], columns + 0.6)
    slopes = singles["steerability"]
    widest = 1.35 * max(0.25, pairs[["difference", "low", "high"]].abs().max(axis=None))
    for at, (name, ours) in enumerate(of_model.items()):
        _model(above[at], below[at], ours, singles[singles["respondent"] == name])
        above[at].set_ylim(min(-0.2, slopes.min()) - 0.05, max(1.1, slopes.max() + 0.05))
        below[at].set_ylim(-widest, widest)
        below[at].locator_params(axis="y", nbins=4)
        for axes, counted in ((above[at], "steerability"), (below[at], "difference")):
            axes.tick_params(labelbottom=axes in below, labelleft=at % columns == 0)
            axes.set_ylabel(counted if at % columns == 0 else "")
    arms, margin = map(bool, sorted(pairs["goal_prompt"].unique())), pairs["margin"].iloc[0]
    keys = [marks.key("one wording", **_WORDING)]
    keys += [marks.key(f"mean {style.GOAL[goal]}", **_POINT, **_MEAN[goal]) for goal in arms]
    keys.append(Patch(label=f"too small to matter: below {margin:g}", **_MARGIN))
    across = "asked directly, thinking first (reasoned), or with thinking set to this level"
    style.legend(figure, keys, 4, across)
    return figure


def _levels(pairs: pd.DataFrame) -> list[str]:
    """Return how a model was asked to deliberate, what it is compared with first."""
    return list(dict.fromkeys([pairs["against"].iloc[0], *pairs["deliberation"]]))


def _model(above: Axes, below: Axes, pairs: pd.DataFrame, singles: pd.DataFrame) -> None:
    """Draw one model: above its wordings and their mean, below the differences, arm by arm."""
    levels, arms = _levels(pairs), sorted(pairs["goal_prompt"].unique())
    margin = float(pairs["margin"].iloc[0])
    for axes in (above, below):
        axes.axhspan(-margin, margin, gid="margin", zorder=0, **_MARGIN)
        axes.axhline(0, color=style.INK, lw=0.8, zorder=1)
        axes.set_xlim(-0.45, len(levels) - 0.55)
        axes.set_xticks(range(len(levels)), levels)
    above.axhline(1, color=style.INK, lw=0.8, zorder=1)
    above.set_yticks([0, 0.5, 1], ["0", "0.5", "1"])
    numbered = len(arms) == 1 and len(levels) <= _NUMBERED
    for goal in arms:
        places = np.arange(len(levels)) + (_ASIDE * (2 * goal - 1) if len(arms) > 1 else 0)
        ours = singles[singles["goal_prompt"] == goal]
        wide = ours.pivot(index="wording", columns="deliberation", values="steerability")
        wide = wide.reindex(columns=levels)
        for line in wide.to_numpy(float):
            above.plot(places, line, gid="wording", **_WORDING)
        look = _POINT | _MEAN[bool(goal)]
        above.plot(places, wide.mean(), gid=f"mean {bool(goal)}", **look)
        for row in pairs[pairs["goal_prompt"] == goal].itertuples():
            _difference(below, row, places[levels.index(row.deliberation)], look, numbered)


def _difference(axes: Axes, row: Any, at: float, look: dict[str, Any], numbered: bool) -> None:
    """Draw one difference with its interval, its number above where there is room."""
    if np.isnan(row.difference):
        words = {"ha": "center", "va": "center", "fontsize": 7, "rotation": 90}
        axes.text(at, 0, "not estimable", bbox=marks.PAPER, **words)
        return
    axes.plot([at, at], [row.low, row.high], color=_COLOUR, lw=1.7, zorder=3)
    gid = f"difference {row.deliberation} {bool(row.goal_prompt)}"
    axes.plot(at, row.difference, gid=gid, **look)
    if numbered:
        top = row.difference if np.isnan(row.high) else row.high
        words = {"textcoords": "offset points", "ha": "center", "fontsize": 7}
        axes.annotate(number(row.difference, 2), (at, top), (0, 4), **words)
