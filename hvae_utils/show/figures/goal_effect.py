"""Figure 06, what the goal prompt changes: a panel a value, a row a respondent, degrees across."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from hvae_utils.show import marks, style
from hvae_utils.show.names import named
from hvae_utils.show.tables import need

_WIDEST = 80.0  # degrees: differences reach 77.7; a wider interval runs off the panel


def table(goal_effects: pd.DataFrame) -> pd.DataFrame:
    """Return the paired differences in value rationality, with minus without the goal prompt.

    Columns: model, respondent, value, pairs, difference, low, high (degrees; 95% interval), note.
    """
    columns = ["model", "value", "pairs", "difference", "low", "high", "note"]
    need(goal_effects, "goal effects", columns)
    return named(goal_effects[columns])


@style.drawing
def draw(table: pd.DataFrame) -> Figure:
    """Draw the differences as a forest plot; filled are those whose interval leaves out 0."""
    need(table, "the goal-prompt effect")
    respondents, values = (list(table[name].unique()) for name in ("respondent", "value"))
    shown = np.abs(table[["difference", "low", "high"]].to_numpy(float))
    widest = 1.1 * min(np.nanmax(shown, initial=5.0), _WIDEST)
    figure = style.new_figure(1.1 + 0.27 * len(respondents))
    panels = style.panels(figure, len(values), len(values))
    for axes, value in zip(panels, values, strict=True):
        axes.axvline(0, color=style.INK, lw=0.8)
        for row in table[table["value"] == value].itertuples():
            gid = f"effect {row.respondent} {value}"
            y = -respondents.index(row.respondent)
            marks.effect(axes, row, y, style.value_look(value), gid)
        axes.set_title(value, loc="center")
        axes.set(xlim=(-widest, widest), ylim=(-len(respondents) + 0.4, 0.6))
        style.rows(axes, -np.arange(len(respondents)), respondents)
        axes.grid(axis="y")
    label = "value rationality with minus without goal prompt, degrees (right of 0: it helps)"
    zero = marks.key("no effect (random expects 0)", color=style.INK, lw=0.8)
    style.legend(figure, [*marks.effect_legend(style.Look(style.MUTED)), zero], 4, label)
    return figure
