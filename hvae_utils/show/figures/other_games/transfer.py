"""Figure 22, transfer: what the slider shows, acted on in other games, a row a respondent."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hvae_utils.show import marks, style
from hvae_utils.show.figures.other_games.games import name_of
from hvae_utils.show.names import each, named, number
from hvae_utils.show.tables import need, part, stack

ALL, HOME = "all games", "svo-slider"
_COLOUR = "#0B3C5D"
_LIMITS = (-0.6, 1.6)  # an interval beyond them runs off the panel
_ROW = 0.3  # inches
_MARKS = ("o", "^", "v", "P", "X", "h", "D", "<", ">", "p")
_TINTS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7A4B00", "#6E6E6E")


def table(scores: pd.DataFrame, cells: pd.DataFrame, gaps: pd.DataFrame) -> pd.DataFrame:
    """Return transfer and value rationality of each respondent.

    scores: as `transfer.prediction.scores`; cells, gaps: as `transfer.games`. part "transfer":
    transfer to all games with low and high (95% interval), explained and note. "game": vr, the mean
    over values, of each game, and gap (slider minus game) with gap_low and gap_high.
    """
    need(scores, "transfer", ["model", "instrument", "transfer", "low", "high", "explained"])
    need(cells, "game scores", ["part", "model", "instrument", "value", "vr"])
    over_all = scores[scores["instrument"] == ALL].assign(part="transfer")
    played = cells[cells["part"] == "games"]
    means = played.groupby(["model", "instrument"], sort=False, as_index=False)["vr"].mean()
    paired = gaps.rename(columns={"difference": "gap", "low": "gap_low", "high": "gap_high"})
    columns = ["model", "instrument", "gap", "gap_low", "gap_high"]
    games = means.merge(paired.reindex(columns=columns), "left").assign(part="game")
    columns = ["part", "model", "respondent", "instrument", "transfer", "low", "high", "explained"]
    columns += ["vr", "gap", "gap_low", "gap_high", "note"]
    return named(stack(over_all, games)).reindex(columns=columns)


def caption(table: pd.DataFrame) -> str:
    """Return how to read both panels."""
    empty = part(table, "transfer").query("transfer.isna()")["respondent"]
    nothing = (
        f" {', '.join(empty)}: nothing to transfer, as the slider shows no utility."
        if len(empty)
        else ""
    )
    return (
        "Transfer of what the slider shows to other games. It is the gain from choices there over "
        "the gain that the slider predicts: 1 plays every game as the slider, 0 plays the others "
        "at random; bars are 95% intervals over wordings. Right: chance-corrected value "
        "rationality game by game, mean over values, the slider as a black square."
        f"{nothing}"
    )


def alt(table: pd.DataFrame) -> str:
    """Return the picture in words."""
    rows = part(table, "transfer").set_index("respondent")["transfer"]
    games = part(table, "game")
    home = games[games["instrument"] == HOME].set_index("respondent")["vr"]
    others = games[games["instrument"] != HOME].groupby("respondent", sort=False)["vr"].mean()
    return (
        f"Two panels of dots. Transfer: {each(rows, 2)}. Value rationality on the slider: "
        f"{each(home, 2)}; mean of the other games: {each(others, 2)}."
    )


@style.drawing
def draw(table: pd.DataFrame) -> Figure:
    """Draw transfer at the left, value rationality by game at the right."""
    rows, games = part(table, "transfer", "transfer"), part(table, "game")
    names = list(dict.fromkeys(table["respondent"]))
    places = {name: -float(at) for at, name in enumerate(names)}
    figure = style.new_figure(1.35 + _ROW * len(names))
    left, right = figure.subplots(1, 2, sharey=True)
    for axes in (left, right):
        for at in (0, 1):
            axes.axvline(at, color=style.INK, lw=0.8, zorder=1)
        axes.set_ylim(-len(names) + 0.4, 0.6)
    for row in rows.itertuples():
        _transfer(left, row, places[row.respondent])
    ends = rows[["transfer", "low", "high"]].to_numpy(float)
    low, high = np.nanmin(ends, initial=-0.2), np.nanmax(ends, initial=1.2)
    left.set_xlim(max(low - 0.1, _LIMITS[0]), min(high + 0.1, _LIMITS[1]))
    left.set_xticks([0, 1], ["0\nrandom", "1\nas the slider"])
    left.set_title("transfer to all games")
    right.set_title("value rationality, game by game")
    right.set_xticks([0, 1], ["0\nrandom", "1\nalways best"])
    keys = _games(right, games, places)
    style.rows(left, list(places.values()), names)
    right.tick_params(axis="y", length=0, labelleft=False)
    right.spines["left"].set_visible(False)
    style.legend(figure, keys, 4)
    return figure


def _transfer(axes: Axes, row, y: float) -> None:
    if np.isnan(row.transfer):
        axes.text(0.5, y, "nothing to transfer", ha="center", va="center", color=style.MUTED)
        return
    axes.plot([row.low, row.high], [y, y], color=_COLOUR, lw=1.5, zorder=3)
    axes.plot(row.transfer, y, marker="o", ms=5, color=_COLOUR, zorder=4, gid=row.respondent)
    axes.annotate(
        number(row.transfer, 2), (row.transfer, y), (0, 5), textcoords="offset points",
        ha="center", fontsize=7,
    )  # fmt: skip


def _games(axes: Axes, games: pd.DataFrame, places: dict[str, float]) -> list:
    """Draw a mark a game in each row, a little apart; return the legend's keys."""
    keys = []
    for at, (name, rows) in enumerate(games.groupby("instrument", sort=False)):
        home = name == HOME
        aside = 0 if home else 0.28 * ((at - 1) % 8 - 3.5) / 3.5
        look = {
            "marker": "s" if home else _MARKS[(at - 1) % len(_MARKS)],
            "color": style.INK if home else _TINTS[(at - 1) % len(_TINTS)],
            "ms": 6 if home else 4.2,
            "ls": "",
            "zorder": 3 if home else 4,
        }
        heights = [places[respondent] - aside for respondent in rows["respondent"]]
        axes.plot(rows["vr"], heights, **look, gid=str(name))
        keys.append(marks.key(name_of(str(name)), **look))
    return keys
