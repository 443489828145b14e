"""Figure 21, other games: value rationality by game and value, a heat map a respondent."""

import numpy as np
import pandas as pd
import seaborn
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from hvae_utils.measure import instruments
from hvae_utils.show import style
from hvae_utils.show.names import each, named
from hvae_utils.show.tables import need

GAMES = {  # names for pictures, in the order of their rows
    "svo-slider": "slider",
    "ring-measure": "ring",
    "triple-dominance": "triple dominance",
    "dictator-budgets": "dictator",
    "ultimatum-responder": "ultimatum",
    "trust-return": "trust, returning",
    "dilemma-second": "dilemma, second",
    "conditional-contributions": "public good",
    "slider-twin": "twin (control)",
}
_COLUMNS = ["part", "model", "induction", "instrument", "value", "wordings", "vr", "low", "high"]
_COLOURS = "PuOr"  # 0 is white; safe for the colour-blind
_NOTHING = {"fc": "white", "ec": style.MUTED, "hatch": "//////", "lw": 0}


def name_of(instrument: str) -> str:
    """Return what a game is called in a picture.

    >>> name_of("trust-return"), name_of("mine")
    ('trust, returning', 'mine')
    """
    return GAMES.get(instrument, instrument)


def table(cells: pd.DataFrame) -> pd.DataFrame:
    """Return the value rationality of each respondent in each game, under each value.

    cells: as `transfer.games.cells`. Columns: model, respondent, instrument, value, wordings, vr
    (chance-corrected: 0 uniform random, 1 always a best option), low, high (95% interval), note.
    """
    need(cells, "game scores", [*_COLUMNS, "note"])
    mine = named(cells[cells["part"] == "games"])
    need(mine, "game scores")
    columns = ["model", "respondent", "instrument", "value", "wordings", "vr", "low", "high"]
    return mine[[*columns, "note"]].reset_index(drop=True)


def caption(table: pd.DataFrame) -> str:
    """Return how to read the heat maps."""
    dull = table[table["vr"].isna()]
    pairs = dict.fromkeys(
        f"{name_of(row.instrument)}, {row.value}: {row.note}" for row in dull.itertuples()
    )
    hatched = f" Hatched: {'; '.join([*pairs][:4])}." if pairs else ""
    return (
        "Value rationality by game and assigned value. Chance-corrected: 1 is always a best option "
        "for the value, 0 is what uniform random choices come to, below 0 goes against the value. "
        "The first row is the slider, the last one a control in which both amounts are one's own, "
        f"so that every value prefers the larger sum.{hatched}"
    )


def alt(table: pd.DataFrame) -> str:
    """Return the picture in words."""
    home = table["instrument"] == "svo-slider"
    means = [
        f" On {what}: {each(rows.groupby('respondent', sort=False)['vr'].mean(), 2)}."
        for what, rows in (("the slider", table[home]), ("the other games", table[~home]))
        if len(rows)
    ]
    return f"Heat maps of value rationality, game by assigned value.{''.join(means)}"


@style.drawing
def draw(table: pd.DataFrame) -> Figure:
    """Draw a panel a respondent, games downwards, values across."""
    need(table, "game scores")
    games = list(dict.fromkeys(table["instrument"]))
    values = list(table["value"].unique())
    figure, panels = style.by_respondent(table, 0.45 + 0.19 * len(games), 0.95, beside=0.55)
    for axes, rows in panels:
        grid = rows.pivot(index="instrument", columns="value", values="vr")
        _heatmap(axes, grid.reindex(index=games, columns=values))
    colours = seaborn.color_palette(_COLOURS, as_cmap=True)
    keys = [
        Patch(fc=colours(share), ec=style.FAINT, label=label)
        for share, label in ((0.02, "−1: against it"), (0.5, "0: random"), (0.98, "1: best"))
    ]
    keys.append(Patch(label="tells nothing about the value", **_NOTHING))
    style.legend(figure, keys, 4, "assigned value")
    return figure


def _heatmap(axes: Axes, grid: pd.DataFrame) -> None:
    """Draw one respondent; a line parts the slider and the control from the games."""
    labelled = axes.yaxis.get_tick_params()["labelleft"]
    bottom = axes.xaxis.get_tick_params()["labelbottom"]
    words = grid.map(lambda vr: "" if np.isnan(vr) else f"{vr:.2f}".replace("-0.00", "0.00"))
    seaborn.heatmap(
        grid.astype(float),
        ax=axes,
        vmin=-1,
        vmax=1,
        cmap=_COLOURS,
        cbar=False,
        annot=words.map(lambda text: text.replace("-", "−")),
        fmt="",
        annot_kws={"fontsize": 6.6},
        linewidths=0.5,
        linecolor=style.FAINT,
    )
    for y, x in np.argwhere(grid.isna().to_numpy()):
        axes.add_patch(_hatch(x, y))
    for place, name in enumerate(grid.index):
        if name == "svo-slider":
            axes.axhline(place + 1, color=style.INK, lw=1.2)
        elif instruments.load(name).own_accounts:
            axes.axhline(place, color=style.INK, lw=1.2)
    turned = {"rotation": 40, "ha": "right", "rotation_mode": "anchor"}
    axes.set_xticks(np.arange(len(grid.columns)) + 0.5, list(grid.columns), **turned)
    names = [name_of(name) for name in grid.index]
    axes.set_yticks(np.arange(len(names)) + 0.5, names, rotation=0)
    axes.tick_params(length=0, labelleft=labelled, labelbottom=bottom)
    axes.set(xlabel="", ylabel="")


def _hatch(x: float, y: float) -> Patch:
    from matplotlib.patches import Rectangle

    return Rectangle((x, y), 1, 1, **_NOTHING)
