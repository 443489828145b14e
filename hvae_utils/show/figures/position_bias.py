"""Figure 16, the estimated bias of each position: a panel a respondent, a line a set of labels."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from hvae_utils.show import marks, style
from hvae_utils.show.names import named
from hvae_utils.show.tables import need

_SETS = tuple(  # of labels
    {"color": colour, "marker": marker, "ms": 4, "lw": 1.2, "zorder": 4}
    for colour, marker in (("#0072B2", "o"), ("#A63603", "s"), ("#E69F00", "^"))
)
_SHARED = {"color": style.INK, "lw": 4, "alpha": 0.25, "zorder": 3}


def table(bias: pd.DataFrame) -> pd.DataFrame:
    """Return the estimated bias of each position, as `orders.position_bias`, with display names."""
    columns = ["model", "labels", "assumes", "position", "bias", "position_part", "label_part"]
    columns.append("note")
    need(bias, "position bias", columns)
    return named(bias[columns])


@style.drawing
def draw(table: pd.DataFrame) -> Figure:
    """Draw nats added by each position; what several sets of labels share is the position's."""
    need(table, "the position bias")
    looks = dict(zip(table["labels"].unique(), _SETS, strict=False))
    options = int(table["position"].max())
    highest = 1.15 * max(np.nanmax(np.abs(table["bias"].to_numpy(float)), initial=0.0), 1.0)
    figure, panels = style.by_respondent(table, 1.25, 1.0)
    for axes, rows in panels:
        axes.axhline(0, gid="no bias", **marks.RANDOM_LINE)
        if rows["bias"].isna().all():
            axes.text(0.98, 0.93, "not estimable", transform=axes.transAxes, ha="right", va="top")
        for name, look in looks.items():
            line = rows[rows["labels"] == name]
            axes.plot(line["position"], line["bias"], gid=name, **look)
        shared = rows.dropna(subset="position_part").drop_duplicates("position")
        axes.plot(shared["position"], shared["position_part"], gid="position part", **_SHARED)
        axes.set(xticks=range(1, options + 1), xlim=(0.4, options + 0.6), ylim=(-highest, highest))
    keys = [marks.key(f"labels {name}", **look) for name, look in looks.items()]
    if table["position_part"].notna().any():
        keys.append(marks.key("the position's part", **_SHARED))
    keys.append(marks.key("no bias", **marks.RANDOM_LINE))
    style.legend(figure, keys, len(keys), "position as shown, 1 = first")
    figure.supylabel("estimated bias, nats")
    return figure
