"""Figure 10, choices by position as shown and by option after debiasing: a row a respondent."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from hvae_utils.errors import UserError
from hvae_utils.show import marks, style
from hvae_utils.show.names import joined, named
from hvae_utils.show.tables import need

_STAGES = {  # what is counted, and its bars
    "as shown": ("position, 1 = shown first", {"fc": "#D5E3EC", "ec": "#7F99A8", "lw": 0.7}),
    "debiased": (
        "option, 1 = first in the instrument",
        {"fc": "#E8B48F", "ec": "#A63603", "lw": 0.7},
    ),
}
_FAVOURED = 2.0  # times its even share: from here on a position is named in the words


def table(letters: pd.DataFrame) -> pd.DataFrame:
    """Return the share of each position as shown, and of each option after debiasing.

    letters: model, stage ("as shown" or "debiased"), position (from 1), share (0 to 1, or NaN).
    """
    columns = ["model", "stage", "position", "share"]
    need(letters, "letters", columns)
    if strange := set(letters["stage"]) - set(_STAGES):
        raise UserError(f"letters: the stage '{min(strange)}' is neither 'as shown' nor 'debiased'")
    return named(letters[columns])


@style.drawing
def draw(table: pd.DataFrame) -> Figure:
    """Draw bars: on the left over positions as shown, on the right over options once debiased."""
    need(table, "the letter choice")
    names, options = list(table["respondent"].unique()), int(table["position"].max())
    highest = np.nanmax(table["share"].to_numpy(float), initial=0.25)
    ticks = np.arange(0, highest + 1e-9, 0.5 if highest > 0.5 else 0.1)
    figure = style.new_figure(0.8 + 0.85 * len(names))
    every = style.panels(figure, 2 * len(names), 2)
    style.name_panels(every[::2], names, 2)
    for index, axes in enumerate(every):
        stage = [*_STAGES][index % 2]
        rows = table[(table["respondent"] == names[index // 2]) & (table["stage"] == stage)]
        _bars(axes, rows.set_index("position")["share"], _STAGES[stage][1], stage)
        axes.axhline(1 / options, gid="uniform", **marks.RANDOM_LINE | {"zorder": 3})
        axes.set(xticks=range(1, options + 1), xlim=(0.4, options + 0.6), ylim=(0, 1.06 * highest))
        axes.set_yticks(ticks, [f"{100 * tick:.0f}%" for tick in ticks])
    for axes, (counted, _) in zip(every[-2:], _STAGES.values(), strict=True):
        axes.set_xlabel(counted)
    keys = [Patch(label=stage, **look) for stage, (_, look) in _STAGES.items()]
    keys.append(marks.key(f"no preference, 1/{options}", **marks.RANDOM_LINE))
    style.legend(figure, keys, 3)
    figure.supylabel("mean probability")
    return figure


def _bars(axes: Axes, shares: pd.Series, look: dict[str, object], stage: str) -> None:
    if shares.isna().all():
        axes.text(0.98, 0.9, "not estimable", transform=axes.transAxes, ha="right", va="top")
    axes.bar(shares.index, shares.astype(float), width=0.76, gid=stage, **look)


def caption(table: pd.DataFrame) -> str:
    """Return how to read the figure, and which positions are favoured in it."""
    return (
        "Choices by position and by option. Left: mean probability of each position as shown, "
        "whatever stands there; right: of each option, log-probabilities averaged over the orders, "
        f"which takes an additive bias out. {_result(table)}"
    )


def alt(table: pd.DataFrame) -> str:
    """Return the figure in words."""
    names = joined(table["respondent"].unique())
    return f"Two bar charts a row, over positions and over options, for {names}. {_result(table)}"


def _result(table: pd.DataFrame) -> str:
    shown = table[table["stage"] == "as shown"].dropna(subset="share")
    if shown.empty:
        return "No respondent's choices by position could be estimated."
    top = shown.loc[shown.groupby("respondent", sort=False)["share"].idxmax()]
    top = top[top["share"] >= _FAVOURED / table["position"].max()]
    named_ones = [
        f"{name} position {at} ({share:.0%})"
        for name, at, share in top[["respondent", "position", "share"]].itertuples(index=False)
    ]
    if not named_ones:
        return "No position is taken twice as often as by an even choice."
    return f"Taken at least twice as often as by an even choice: {joined(named_ones)}."
