"""Figure 16, the estimated bias of each position: a panel a respondent that has one."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from hvae_utils.show import marks, style
from hvae_utils.show.names import joined, named
from hvae_utils.show.tables import need

_SETS = tuple(  # of labels
    {"color": colour, "marker": marker, "ms": 4, "lw": 1.2, "zorder": 4}
    for colour, marker in (("#0072B2", "o"), ("#A63603", "s"), ("#E69F00", "^"))
)
_SHARED = {"color": style.INK, "lw": 4, "alpha": 0.25, "zorder": 3}
_FLAT = 0.05  # nats; a bias that stays below it at every position is named and not drawn


def table(bias: pd.DataFrame, mechanisms: pd.DataFrame | None = None) -> pd.DataFrame:
    """Return the estimated bias of each position, with display names.

    bias: as `orders.position_bias`; mechanisms: as `orders.mechanisms`, of which mechanism and
    evidence are added to each row of the model.
    """
    columns = ["model", "labels", "position", "bias", "position_part", "label_part", "note"]
    need(bias, "position bias", columns)
    rows = named(bias[columns])
    if mechanisms is None:
        return rows.assign(mechanism="", evidence=np.nan)
    return rows.merge(mechanisms[["model", "mechanism", "evidence"]], on="model", how="left")


@style.drawing
def draw(table: pd.DataFrame) -> Figure:
    """Draw nats added by each position; what several sets of labels share is the position's.

    Respondents without any bias are left out as long as another one remains.
    """
    need(table, "the position bias")
    looks = dict(zip(table["labels"].unique(), _SETS, strict=False))
    flat = table["respondent"].isin(_by_size(table)["flat"])
    drawn = table if flat.all() else table[~flat]
    options = int(table["position"].max())
    bias = table["bias"].to_numpy(float)
    low, high = np.nanmin(bias, initial=-1.0), np.nanmax(bias, initial=1.0)
    limits = low - 0.1 * (high - low), high + 0.25 * (high - low)
    figure, panels = style.by_respondent(drawn, 1.5, 1.0)
    for axes, rows in panels:
        axes.axhline(0, gid="no bias", **marks.RANDOM_LINE)
        axes.text(0.98, 0.96, _words(rows), transform=axes.transAxes, ha="right", va="top")
        for name, look in looks.items():
            line = rows[rows["labels"] == name]
            axes.plot(line["position"], line["bias"], gid=name, **look)
        shared = rows.dropna(subset="position_part").drop_duplicates("position")
        axes.plot(shared["position"], shared["position_part"], gid="position part", **_SHARED)
        axes.set(xticks=range(1, options + 1), xlim=(0.4, options + 0.6), ylim=limits)
    keys = [marks.key(f"labels {name}", **look) for name, look in looks.items()]
    if table["position_part"].notna().any():
        keys.append(marks.key("the position's part", **_SHARED))
    keys.append(marks.key("no bias", **marks.RANDOM_LINE))
    style.legend(figure, keys, len(keys), "position as shown, 1 = first")
    figure.supylabel("estimated bias, nats")
    return figure


def caption(table: pd.DataFrame) -> str:
    """Return how to read the figure, and who has a bias in it."""
    return (
        "Estimated bias of each position. Nats that a place adds to an option's log-probability, "
        "by set of labels; three nats make it twenty times as likely. A position's bias contains "
        "that of its label; with several sets of labels the broad grey line is what they share. No "
        "shape is assumed. A mechanism fits by so many nats of log-likelihood over the other one. "
        f"{_result(table)}"
    )


def alt(table: pd.DataFrame) -> str:
    """Return the figure in words."""
    return f"Lines over the positions around a zero line, a panel a respondent. {_result(table)}"


def _by_size(table: pd.DataFrame) -> dict[str, list[str]]:
    """Return the respondents whose bias is "open" (not determined), "flat", and "biased"."""
    size = table["bias"].abs().groupby(table["respondent"], sort=False).max()
    return {
        "open": list(size.index[size.isna()]),
        "flat": list(size.index[size < _FLAT]),
        "biased": list(size.index[size >= _FLAT]),
    }


def _words(rows: pd.DataFrame) -> str:
    if rows["bias"].isna().all():
        return "\n".join(f"not estimable: {rows['note'].iloc[0]}".split(": "))
    mechanism, evidence = rows[["mechanism", "evidence"]].iloc[0]
    return (
        f"{mechanism} fits, by {evidence:.0f} nats" if mechanism in ("additive", "mixture") else ""
    )


def _result(table: pd.DataFrame) -> str:
    groups = _by_size(table)
    extremes = [
        f"{name} from {' to '.join(style.numbers(rows['bias'].agg(['min', 'max']).round(1)))} nats"
        for name, rows in table.groupby("respondent", sort=False)
        if name in groups["biased"]
    ]
    parts = [
        ("Biased: {}.", extremes),
        (
            f"Below {_FLAT} nats at every position, and not drawn beside others: {{}}.",
            groups["flat"],
        ),
        ("Not estimable: {}.", groups["open"]),
    ]
    return " ".join(words.format(joined(names)) for words, names in parts if names)
