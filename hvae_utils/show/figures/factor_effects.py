"""Figure 06, effects of the factors on value rationality: a panel a level, a row a respondent."""

import textwrap

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hvae_utils.show import marks, style
from hvae_utils.show.names import joined, named
from hvae_utils.show.tables import need

ALL = "all values"  # the scope of an effect over every assigned value, as in `effects`
_OVERALL = style.Look("#0B3C5D")
_GOAL = {("goal_prompt", "True"): "with", ("goal_prompt", "False"): "without"}
_POINT = {"ms": 4.4, "mew": 0, "zorder": 4}
_SPAN = {"color": style.MUTED, "lw": 0.8, "zorder": 2}
_NOTHING = 0.05  # degrees: a difference below it is printed as 0.0
_WIDEST = 80.0  # degrees: differences reach 77.7
_LANE = 0.11  # of a row: from one single value to the next


def table(effects: pd.DataFrame) -> pd.DataFrame:
    """Return the main effect of each factor level against its reference, per respondent.

    effects: as `effects.factor_effects`, of raw value rationality in degrees.
    """
    columns = ["model", "factor", "level", "reference", "scope", "pairs", "clusters"]
    columns += ["difference", "low", "high", "dz", "eta_squared", "note"]
    need(effects, "factor effects", columns)
    return named(effects[columns]).assign(measure="raw value rationality")


def caption(table: pd.DataFrame) -> str:
    """Return how to read the effects, and whose intervals leave out 0."""
    clear = table[(table["scope"] == ALL) & ((table["low"] > 0) | (table["high"] < 0))]
    names = [f"{row.respondent} ({_title(row)})" for row in clear.itertuples()]
    found = f"leaves out 0 for {joined(names)}" if names else "leaves out 0 for nobody"
    return (
        "What each factor of the prompt changes in value rationality. Level minus reference, "
        "paired on all other factors; small marks are single values, the thin line is their span, "
        "the large mark is the mean over the values with its 95% interval over wordings. A span on "
        f"both sides of 0 moves the angle for every value alike. The interval {found}."
    )


def alt(table: pd.DataFrame) -> str:
    """Return the picture in words."""
    return (
        f"Forest plot, a panel a level ({joined(_titles(table))}), a row a respondent: differences "
        f"in degrees around a zero line. No difference: {_unmoved(table)}."
    )


@style.drawing
def draw(table: pd.DataFrame) -> Figure:
    """Draw the single values and their mean; respondents whom nothing moves share a sentence."""
    need(table, "the factor effects")
    still = set(_still(table))
    moved = [name for name in table["respondent"].unique() if name not in still]
    nothing = textwrap.fill(f"no difference for any value: {_unmoved(table)}", 105)
    if not moved:
        figure = style.new_figure(0.5)
        axes = figure.subplots()
        axes.axis("off")
        axes.text(0.5, 0.5, nothing, ha="center", va="center")
        return figure
    titles, rows = _titles(table), table[table["respondent"].isin(moved)]
    scopes = [scope for scope in table["scope"].unique() if scope != ALL]
    shown = np.abs(rows[["difference", "low", "high"]].to_numpy(float))
    widest = 1.1 * min(np.nanmax(shown, initial=5.0), _WIDEST)
    columns = min(3, len(titles))
    height = 0.4 + 0.42 * len(moved)
    figure = style.new_figure(1.2 + height * -(-len(titles) // columns))
    panels = style.panels(figure, len(titles), columns)
    style.name_panels(panels, titles, columns + 0.6)
    rows = rows.assign(title=[_title(row) for row in rows.itertuples()])
    for axes, title in zip(panels, titles, strict=True):
        axes.axvline(0, color=style.INK, lw=0.8, zorder=1)
        for name, one in rows[rows["title"] == title].groupby("respondent", sort=False):
            _row(axes, one, -moved.index(name), scopes)
        axes.set(xlim=(-widest, widest), ylim=(0.4 - len(moved), 0.5))
        style.rows(axes, -np.arange(len(moved)), moved)
    keys = [*marks.effect_legend(_OVERALL), marks.key("span of the values", **_SPAN)]
    keys += [marks.key(f"{one} only", lw=0, **_POINT | marks.of_value(one)) for one in scopes]
    below = f"{table['measure'].iloc[0]}: level minus reference, degrees"
    if still:
        below += f"\n{nothing}"
    style.legend(figure, keys, 4, below)
    return figure


def _row(axes: Axes, rows: pd.DataFrame, y: float, scopes: list[str]) -> None:
    """Draw one respondent: the mean over the values, and below it each value."""
    name, level = rows["respondent"].iloc[0], rows["level"].iloc[0]
    single = rows[(rows["scope"] != ALL) & rows["difference"].notna()]
    if len(single):
        ends = [single["difference"].min(), single["difference"].max()]
        middle = y - 0.04 - _LANE * (len(scopes) + 1) / 2
        axes.plot(ends, [middle, middle], **_SPAN)
    for row in single.itertuples():
        low = y - 0.04 - _LANE * (1 + scopes.index(row.scope))
        gid = f"effect {name} {level} {row.scope}"
        axes.plot(row.difference, low, gid=gid, **_POINT | marks.of_value(row.scope))
    for row in rows[rows["scope"] == ALL].itertuples():
        marks.effect(axes, row, y + 0.14, _OVERALL, f"effect {name} {level} {ALL}")


def _title(row) -> str:
    """Return the name of a level against its reference."""
    of, to = (_GOAL.get((row.factor, str(at)), str(at)) for at in (row.reference, row.level))
    return f"{row.factor}: {to}, from {of}".replace("_", " ")


def _titles(table: pd.DataFrame) -> list[str]:
    return list(dict.fromkeys(map(_title, table.itertuples())))


def _still(table: pd.DataFrame) -> list[str]:
    """Return who differs by nothing, in any value and any level."""
    most = table.assign(size=table["difference"].abs()).groupby("respondent", sort=False)["size"]
    return list(most.max().index[(most.max() < _NOTHING) & (most.count() > 0)])


def _unmoved(table: pd.DataFrame) -> str:
    return joined(_still(table) or ["nobody"])
