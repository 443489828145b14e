"""Figure 05, measured categories by assigned value: a heatmap a respondent, in per cent."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle

from hvae_utils.measure import svo
from hvae_utils.measure.instruments import Instrument
from hvae_utils.metrics import chance
from hvae_utils.show import style
from hvae_utils.show.names import each, named
from hvae_utils.show.tables import need, part, stack

NO_ANGLE = "no angle"
_BLUES = LinearSegmentedColormap.from_list("shares", ["#FFFFFF", "#9CC6E0", "#0B3C5D"])
_GREYS = LinearSegmentedColormap.from_list("no angle", ["#FFFFFF", "#BDBDBD", "#333333"])
_GAP = 0.18  # of a box: before the last row and before the column without an angle
_FRAME = {"fc": "none", "ec": style.INK, "lw": 1.4}


def table(scores: pd.DataFrame, instrument: Instrument) -> pd.DataFrame:
    """Return the share (0 to 1) of administrations in each category by respondent and value.

    scores: p_altruistic and so on are the probabilities of the categories in one administration, 0
    or 1 on the text route. Both goal arms are taken together; the fifth category is "no angle",
    where an item is missing. part "random": the exact shares of uniform random respondents.
    """
    columns = {f"p_{name}": name for name in svo.CATEGORIES}
    need(scores, "scores", ["model", "value", "angle", *columns])
    order = [*svo.CATEGORIES, NO_ANGLE]
    scored = scores["angle"].notna()
    shares = scores[[*columns]].rename(columns=columns).mul(scored, axis=0).fillna(0.0)
    shares[NO_ANGLE] = 1.0 - scored
    by_cell = shares.groupby([scores["model"], scores["value"]], sort=False)
    shares = by_cell[order].mean().rename_axis(columns="category").stack().rename("share")
    measured = named(shares.reset_index()).assign(part="measured")
    keys = pd.MultiIndex.from_frame(measured[["model", "value"]])
    measured["administrations"] = by_cell.size().reindex(keys).to_numpy()
    expected = svo.angle_distribution(chance.uniform(instrument), instrument).categories
    shares = [expected.get(name, 0.0) for name in order]
    random = pd.DataFrame({"part": "random", "category": order, "share": shares})
    columns = ["part", "model", "respondent", "value", "category", "administrations", "share"]
    return stack(random, measured)[columns].astype({"administrations": "Int64"})


def caption(table: pd.DataFrame) -> str:
    """Return how to read the heatmaps, and how much lies in the assigned category."""
    return (
        "Measured category by assigned value. Expected share of administrations, in per cent; grey "
        '"no angle" where items are missing; below what uniform random choices give. In the '
        f"framed boxes, on average: {each(_met(table), 0, '%')}."
    )


def alt(table: pd.DataFrame) -> str:
    """Return the picture in words."""
    return (
        "Heatmaps of assigned value by measured category, a panel a respondent, in per cent. In "
        f"the category of the assigned value: {each(_met(table), 0, '%')}."
    )


def _met(table: pd.DataFrame) -> pd.Series:
    """Return each respondent's mean share, in per cent, in the category of the assigned value."""
    rows = part(table, "measured")
    met = rows[rows["value"] == rows["category"]].groupby("respondent", sort=False)
    return 100 * met["share"].mean()


@style.drawing
def draw(table: pd.DataFrame) -> Figure:
    """Draw the shares, a frame around the ideal respondent's, random respondents lowest."""
    measured = part(table, "measured", "the category shares")
    random = part(table, "random").set_index("category")["share"]
    values = list(measured["value"].unique())
    figure, panels = style.by_respondent(measured, 0.4 + 0.24 * (len(values) + 1), 0.95)
    for axes, rows in panels:
        grid = rows.pivot(index="value", columns="category", values="share")
        grid = grid.reindex(index=values, columns=list(table["category"].unique()))
        grid.loc["(random)"] = random
        _heatmap(axes, grid)
    frame = Patch(label="category of the ideal respondent", **_FRAME)
    grey = Patch(label="no angle: items are missing", fc=_GREYS(0.5), ec=style.FAINT)
    style.legend(figure, [frame, grey], 2, "measured category, per cent of administrations")
    figure.supylabel("assigned value")
    return figure


def _heatmap(axes: Axes, grid: pd.DataFrame) -> None:
    """Draw a box for each share (0 to 1) of the grid, values downwards, categories across."""
    ys = np.arange(len(grid)) + _GAP * (np.arange(len(grid)) == len(grid) - 1)
    xs = np.arange(len(grid.columns)) + _GAP * (grid.columns == NO_ANGLE)
    for y, (value, shares) in zip(ys, grid.iterrows(), strict=True):
        for x, (category, share) in zip(xs, shares.items(), strict=True):
            if np.isnan(share):
                continue
            fill = (_GREYS if category == NO_ANGLE else _BLUES)(float(share))
            axes.add_patch(Rectangle((x, y), 1, 1, fc=fill, ec=style.FAINT, lw=0.6))
            text = "" if share == 0 else "<1" if share < 0.01 else f"{100 * share:.0f}"
            words = {"fontsize": 7, "color": "white" if share > 0.72 else style.INK}
            axes.text(x + 0.5, y + 0.52, text, ha="center", va="center", **words)
            if value == category:
                axes.add_patch(Rectangle((x, y), 1, 1, zorder=3, **_FRAME))
    axes.set(xlim=(-0.05, len(xs) + _GAP + 0.05), ylim=(len(ys) + _GAP + 0.05, -0.05))
    turned = {"rotation": 40, "ha": "right", "rotation_mode": "anchor"}
    axes.set_xticks(xs + 0.5, list(grid.columns), **turned)
    axes.set_yticks(ys + 0.5, list(grid.index))
    axes.tick_params(length=0)
    axes.spines[["left", "bottom"]].set_visible(False)
