"""Figure 14, effects of the factors on value rationality: a forest plot, a panel a respondent."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from hvae_utils.show import marks, style
from hvae_utils.show.names import named
from hvae_utils.show.tables import need

ALL = "all values"  # the scope of an effect over every assigned value, as in `effects`
_OVERALL = style.Look("#0B3C5D")
_GOAL = {("goal_prompt", "True"): "with", ("goal_prompt", "False"): "without"}
_POINT = {"ms": 3.6, "mew": 0}
_SINGLE = 0.33  # of a line: from one single value to the next
_WIDEST = 80.0  # degrees: differences reach 77.7


def table(effects: pd.DataFrame) -> pd.DataFrame:
    """Return the main effect of each factor level against its reference, per respondent.

    effects: as `effects.factor_effects`, of raw value rationality in degrees.
    """
    columns = ["model", "factor", "level", "reference", "scope", "pairs", "clusters"]
    columns += ["difference", "low", "high", "dz", "eta_squared", "note"]
    need(effects, "factor effects", columns)
    return named(effects[columns]).assign(measure="raw value rationality")


@style.drawing
def draw(table: pd.DataFrame) -> Figure:
    """Draw the effects over all values with interval, and below them a line for each value."""
    need(table, "the factor effects")
    overall = table["scope"] == ALL
    scopes = list(table.loc[~overall, "scope"].unique())
    lines = {scope: 1.3 + place for place, scope in enumerate(scopes)} | {ALL: 0}
    places, labels, bottom = _places(table, len(scopes))
    shown = table.loc[overall, ["difference", "low", "high"]].to_numpy(float).ravel()
    shown = np.append(shown, table.loc[~overall, "difference"])
    widest = 1.1 * min(np.nanmax(np.abs(shown), initial=5.0), _WIDEST)
    most = 3 if table["respondent"].nunique() < 7 else 4
    figure, panels = style.by_respondent(table, 0.32 - 0.17 * bottom, 0.95, most, 1.2)
    for axes, rows in panels:
        axes.axvline(0, color=style.INK, lw=0.8, zorder=1)
        for row in rows.itertuples():
            y = places[_level(row)] - _SINGLE * lines[row.scope]
            gid = f"effect {row.respondent} {row.level} {row.scope}"
            if row.scope == ALL:
                marks.effect(axes, row, y, _OVERALL, gid)
            else:
                axes.plot(row.difference, y, gid=gid, **_POINT | marks.of_value(row.scope))
        axes.set(xlim=(-widest, widest), ylim=(bottom, 0.7))
        style.rows(axes, list(labels), list(labels.values()))
        for y, label in zip(labels, axes.get_yticklabels(), strict=False):
            label.set_fontweight("normal" if y in places.values() else "bold")
        for y in places.values():
            axes.axhline(y, color=style.FAINT, lw=0.6, zorder=0)
    keys = [*marks.effect_legend(_OVERALL), marks.key("no effect", color=style.INK, lw=0.8)]
    single = {scope: _POINT | marks.of_value(scope) for scope in scopes}
    keys += [marks.key(f"{scope} only", lw=0, **look) for scope, look in single.items()]
    style.legend(figure, keys, 4, f"{table['measure'].iloc[0]}: level minus reference, degrees")
    return figure


def _level(row) -> tuple[str, str, str]:
    return str(row.factor), str(row.reference), str(row.level)


def _places(table: pd.DataFrame, scopes: int) -> tuple[dict, dict[float, str], float]:
    """Return the place of each level, all labels (a factor's above its levels), and the end."""
    levels = list(dict.fromkeys(map(_level, table.itertuples())))
    places, labels, y = {}, {}, 0.0
    for factor, reference in dict.fromkeys(level[:2] for level in levels):
        labels[y] = f"{factor}, from {_GOAL.get((factor, reference), reference)}".replace("_", " ")
        for level in levels:
            if level[:2] == (factor, reference):
                y -= 1.0
                places[level] = y
                labels[y] = _GOAL.get((factor, level[2]), level[2]).replace("_", " ")
                y -= _SINGLE * scopes
        y -= 1.1
    return places, labels, y + 0.5
