"""Figure 10, choices by position: before and after debiasing, a panel a respondent."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from hvae_utils.errors import UserError
from hvae_utils.show import marks, style
from hvae_utils.show.names import named
from hvae_utils.show.tables import need

_SHOWN = {"fc": "#D5E3EC", "ec": "#7F99A8", "lw": 0.7}
_DEBIASED = {"color": "#A63603", "marker": "D", "ms": 3.8, "lw": 1.2, "zorder": 4}


def table(letters: pd.DataFrame) -> pd.DataFrame:
    """Return the share of each position as shown, and of each option after debiasing.

    letters: model, stage ("as shown" or "debiased"), position (from 1), share (0 to 1, or NaN).
    """
    columns = ["model", "stage", "position", "share"]
    need(letters, "letters", columns)
    if strange := set(letters["stage"]) - {"as shown", "debiased"}:
        raise UserError(f"letters: the stage '{min(strange)}' is neither 'as shown' nor 'debiased'")
    return named(letters[columns])


@style.drawing
def draw(table: pd.DataFrame) -> Figure:
    """Draw the shares as shown as bars and the debiased ones as a line."""
    need(table, "the letter choice")
    figure, panels = style.by_respondent(table, 1.25, 1.0)
    options = int(table["position"].max())
    highest = np.nanmax(table["share"].to_numpy(float), initial=0.25)
    ticks = np.arange(0, highest + 1e-9, 0.25 if highest > 0.5 else 0.1)
    for axes, rows in panels:
        _shares(axes, rows, options)
        axes.set(xticks=range(1, options + 1), xlim=(0.4, options + 0.6), ylim=(0, 1.06 * highest))
        axes.set_yticks(ticks, [f"{100 * tick:.0f}%" for tick in ticks])
    label = "position as shown, 1 = first (debiased: option in the instrument's own order)"
    keys = [
        Patch(label="as shown", **_SHOWN),
        marks.key("debiased", **_DEBIASED),
        marks.key(f"no preference, 1/{options}", **marks.RANDOM_LINE),
    ]
    style.legend(figure, keys, 3, label)
    figure.supylabel("mean probability")
    return figure


def _shares(axes: Axes, rows: pd.DataFrame, options: int) -> None:
    for stage, height in (("as shown", 0.93), ("debiased", 0.8)):
        shares = rows[rows["stage"] == stage].set_index("position")["share"]
        shares = shares.reindex(range(1, options + 1)).astype(float)
        if shares.isna().all():
            words = {"transform": axes.transAxes, "ha": "right", "va": "top", "fontsize": 7}
            axes.text(0.98, height, f"{stage}: not estimable", **words)
        elif stage == "as shown":
            axes.bar(shares.index, shares, width=0.76, **_SHOWN)
        else:
            axes.plot(shares.index, shares, gid=stage, clip_on=False, **_DEBIASED)
    axes.axhline(1 / options, gid="uniform", **marks.RANDOM_LINE | {"zorder": 3})
