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
from hvae_utils.show.names import named
from hvae_utils.show.tables import need, part, stack

NO_ANGLE = "no angle"
_BLUES = LinearSegmentedColormap.from_list("shares", ["#FFFFFF", "#9CC6E0", "#0B3C5D"])
_GREYS = LinearSegmentedColormap.from_list("no angle", ["#FFFFFF", "#BDBDBD", "#333333"])
_GAP = 0.18  # of a box: before the last row and before the column without an angle
_FRAME = {"fc": "none", "ec": style.INK, "lw": 1.4}


def table(scores: pd.DataFrame, instrument: Instrument) -> pd.DataFrame:
    """Return the share (0 to 1) of administrations in each category by respondent and value.

    Both goal arms are taken together; the fifth category is "no angle", where an item is missing.
    part "random": the exact shares of uniform random respondents.
    """
    need(scores, "scores", ["model", "value", "category", "angle"])
    order = [*svo.CATEGORIES, NO_ANGLE]
    category = scores["category"].astype(object).where(scores["angle"].notna(), NO_ANGLE)
    keyed = scores[["model", "value"]].astype(str).assign(category=category)
    counts = keyed.groupby(["model", "value"], sort=False)["category"].value_counts()
    counts = counts.unstack(fill_value=0).reindex(columns=order, fill_value=0)
    measured = named(counts.stack().rename("count").reset_index()).assign(part="measured")
    measured["administrations"] = measured.groupby(["model", "value"])["count"].transform("sum")
    measured["share"] = measured["count"] / measured["administrations"]
    expected = svo.angle_distribution(chance.uniform(instrument), instrument).categories
    shares = [expected.get(name, 0.0) for name in order]
    random = pd.DataFrame({"part": "random", "category": order, "share": shares})
    columns = ["part", "model", "respondent", "value", "category", "count", "administrations"]
    table = stack(random, measured)[[*columns, "share"]]
    return table.astype({"count": "Int64", "administrations": "Int64"})


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
    style.legend(figure, [frame], below="measured category, per cent of administrations")
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
