"""Figure 07, how the items ended: a bar a respondent, split into the six outcomes."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from hvae_utils.ask.replies import OUTCOMES
from hvae_utils.errors import UserError
from hvae_utils.measure import scoring
from hvae_utils.show import style
from hvae_utils.show.names import each, named
from hvae_utils.show.tables import need

_PAPER = {"fc": "white", "ec": "none", "pad": 1, "alpha": 0.9}


def table(responses: pd.DataFrame, conditions: pd.DataFrame) -> pd.DataFrame:
    """Return how many of the items asked ended in each outcome, per respondent, and their share.

    responses: condition_id, outcome. conditions: any table with condition_id and model. Of the
    truncated ones, censored counts those that ended before the thought did (`scoring.censored`).
    """
    need(responses, "responses", ["condition_id", "outcome"])
    need(conditions, "conditions", ["condition_id", "model"])
    models = conditions.drop_duplicates("condition_id").set_index("condition_id")["model"]
    model, outcome = responses["condition_id"].map(models), responses["outcome"].astype(str)
    if model.isna().any():
        stray = responses.loc[model.isna(), "condition_id"].iloc[0]
        raise UserError(f"responses: condition '{stray}' is not in the table of conditions")
    counts = pd.crosstab(model.rename("model"), outcome.rename("outcome"))
    asked = [name for name in models.unique() if name in counts.index]
    counts = counts.reindex(index=asked, columns=list(OUTCOMES), fill_value=0)
    table = named(counts.stack().rename("items").reset_index())
    table["asked"] = table["model"].map(counts.sum(axis=1))
    cut = scoring.censored(responses).groupby(model).sum()
    table["censored"] = (
        table["model"].map(cut).where(table["outcome"] == "truncated", 0).astype(int)
    )
    return table.assign(share=table["items"] / table["asked"])


def caption(table: pd.DataFrame) -> str:
    """Return how to read the bars, and how many items ended in a choice."""
    return (
        "How the items ended. A choice, or one of five outcomes that are none. Nothing is filled "
        "in for the latter; they become bounds. Who always chose shares one bar. Items with a "
        f"choice: {each(_chosen(table), 0, '%')}.{_censored(table)}"
    )


def alt(table: pd.DataFrame) -> str:
    """Return the picture in words."""
    return (
        "Stacked horizontal bars, the share of items that ended as choice, refusal, unparseable, "
        f"truncated, empty or error. A choice: {each(_chosen(table), 0, '%')}.{_censored(table)}"
    )


def _chosen(table: pd.DataFrame) -> pd.Series:
    return 100 * table[table["outcome"] == "choice"].set_index("respondent")["share"]


def _censored(table: pd.DataFrame) -> str:
    """Return whose thoughts were cut off, if anybody's."""
    shares = 100 * table["censored"].groupby(table["respondent"], sort=False).sum()
    shares = shares / table.groupby("respondent", sort=False)["asked"].first()
    shares = shares[shares > 0]
    return f" Cut off while thinking: {each(shares, 0, '%')}." if len(shares) else ""


@style.drawing
def draw(table: pd.DataFrame) -> Figure:
    """Draw the bars and the items asked behind each; one bar for all that always chose."""
    need(table, "the outcomes")
    bars = dict(list(table.groupby("respondent", sort=False)))
    full = [name for name, share in _chosen(table).items() if share == 100]
    if len(full) > 1:
        asked = sum(bars[name]["asked"].iloc[0] for name in full)
        one = bars[full[0]].assign(asked=asked)
        bars = {name: rows for name, rows in bars.items() if name not in full}
        bars[f"the other {len(full)}" if bars else f"all {len(full)}"] = one
    figure = style.new_figure(0.95 + 0.3 * len(bars))
    axes = figure.subplots()
    for place, rows in enumerate(bars.values()):
        _bar(axes, rows, -place)
        asked = f"{int(rows['asked'].iloc[0]):,} items"
        axes.text(101, -place, asked, va="center", fontsize=7.5, color=style.INK)
    axes.set(xlim=(0, 112), ylim=(-len(bars) + 0.4, 0.6))
    axes.set_xticks(range(0, 101, 25), style.numbers(range(0, 101, 25), "%"))
    style.rows(axes, -np.arange(len(bars)), list(bars))
    axes.spines["bottom"].set_bounds(0, 100)
    axes.set_xlabel("share of the items asked")
    kinds = list(table["outcome"].unique())
    style.legend(figure, [Patch(label=kind, **_filling(kind)) for kind in kinds], len(kinds))
    return figure


def _bar(axes: Axes, rows: pd.DataFrame, y: int) -> None:
    left = 0.0
    for row in rows[rows["share"] > 0].itertuples():
        width, filling = 100 * row.share, _filling(row.outcome)
        axes.barh(y, width, left=left, height=0.62, **filling)
        if width >= 5:
            words = {"color": "white" if row.outcome == "error" else style.INK}
            words["bbox"] = _PAPER if filling["hatch"] else None
            axes.text(left + width / 2, y, f"{width:.0f}%", ha="center", va="center", **words)
        left += width


def _filling(outcome: str) -> dict:
    look = style.OUTCOMES[outcome]
    return {"fc": look.colour, "ec": style.INK, "lw": 0.5, "hatch": look.hatch}
