"""Figure 12, exact distributions of the angle: a panel a respondent, a row a value."""

from collections import Counter
from itertools import product

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle

from hvae_utils.errors import UserError
from hvae_utils.measure import scoring, svo
from hvae_utils.measure.instruments import Instrument
from hvae_utils.measure.values import Value
from hvae_utils.metrics import chance
from hvae_utils.show import marks, style
from hvae_utils.show.names import each, named
from hvae_utils.show.tables import ideal_angles, need, part, stack

_OUTLINE = {"color": style.INK, "lw": 0.8, "zorder": 4}


def table(
    conditions: pd.DataFrame,
    responses: pd.DataFrame,
    instrument: Instrument,
    values: dict[str, Value],
) -> pd.DataFrame:
    """Return the exact distribution of the angle, by respondent and assigned value, 1-degree bins.

    responses: as a run's; an administration counts where probabilities were read for every item,
    but not in a conversation, whose items depend on each other. Those of a cell are averaged.
    part "measured": low, high (degrees; low <= angle < high), share (bins left out: 0; NaN without
    administrations). "random": of uniform random choices. "target": angles of ideal respondents.
    """
    need(conditions, "conditions", ["condition_id", "model", "value"])
    need(responses, "responses", ["condition_id", "item", "method", "option", "p1"])
    asked = conditions[conditions["condition_id"].isin(responses["condition_id"])]
    if asked.empty:
        raise UserError("responses: none of them belongs to a condition of the table of conditions")
    listed = responses[responses["method"] == "probabilities"]
    tables = scoring.option_tables(listed, asked["condition_id"], instrument)
    usable = ~np.isnan(tables).any(axis=(1, 2))
    if "protocol" in asked:
        usable &= (asked["protocol"] != "conversation").to_numpy()
    assigned = [name for name in values if name in set(asked["value"])]
    rows = []
    for model, value in product(asked["model"].unique(), assigned):
        cell = tables[usable & ((asked["model"] == model) & (asked["value"] == value)).to_numpy()]
        key = {"model": model, "value": value, "administrations": len(cell)}
        rows += [key | one for one in _binned(cell, instrument)]
    random = pd.DataFrame(_binned(chance.uniform(instrument)[None], instrument))
    targets = ideal_angles(values[name] for name in assigned).assign(part="target")
    measured = named(pd.DataFrame(rows)).assign(part="measured")
    columns = ["part", "model", "respondent", "value", "low", "high", "share", "administrations"]
    table = stack(random.assign(part="random"), targets, measured)[columns]
    return table.astype({"administrations": "Int64"})


def _binned(tables: np.ndarray, instrument: Instrument) -> list[dict[str, float]]:
    """Return the mean of the tables' exact distributions in 1-degree bins, those above 0."""
    if not len(tables):
        return [{"low": np.nan, "high": np.nan, "share": np.nan}]
    shares: Counter[int] = Counter()
    for table, times in zip(*np.unique(tables, axis=0, return_counts=True), strict=True):
        exact = svo.angle_distribution(table, instrument)
        bins = np.floor(np.round(exact.angles, 9)).astype(int)
        weights = np.bincount(bins - bins[0], exact.weights) * (times / len(tables))
        shares.update({int(low): float(weights[low - bins[0]]) for low in np.unique(bins)})
    return [{"low": float(low), "high": low + 1.0, "share": shares[low]} for low in sorted(shares)]


def caption(table: pd.DataFrame) -> str:
    """Return how to read the distributions, and how wide they are."""
    return (
        "Exact distributions of the angle by assigned value. One administration, probabilities "
        "renormalised to the options, wordings and orders pooled; each outline is as high as its "
        "row; angles of ideal respondents shaded, random answers as outline. Mean standard "
        f"deviation over the values: {each(_spreads(table), 1, '°')}."
    )


def alt(table: pd.DataFrame) -> str:
    """Return the picture in words."""
    return (
        "Histograms of the angle, a panel a respondent, a row a value, over the broad hill of "
        f"random answers. Mean standard deviation: {each(_spreads(table), 1, '°')}."
    )


def _spreads(table: pd.DataFrame) -> pd.Series:
    """Return each respondent's standard deviation of the angle, the mean over its values."""
    rows = part(table, "measured")
    keys, middle = [rows["respondent"], rows["value"]], rows["low"] + 0.5
    first, second = (
        (rows["share"] * middle**power).groupby(keys, sort=False).sum(min_count=1)
        for power in (1, 2)
    )
    return np.sqrt((second - first**2).clip(0)).groupby(level=0, sort=False).mean()


@style.drawing
def draw(table: pd.DataFrame) -> Figure:
    """Draw the distributions, each as high as its row: wide and narrow ones are seen."""
    measured = part(table, "measured", "the distributions of the angle")
    values = list(measured["value"].unique())
    shown = table[["low", "high"]].to_numpy(float)
    figure, panels = style.by_respondent(measured, 0.32 + 0.36 * len(values), 1.1)
    for axes, rows in panels:
        for place, value in enumerate(values, start=1):
            _row(axes, table, rows[rows["value"] == value], value, -place)
        axes.set_ylim(-len(values), 0.04)
        axes.set_xticks(range(-20, 61, 20), style.numbers(range(-20, 61, 20)))
        axes.set_xlim(np.nanmin(shown) - 2, np.nanmax(shown) + 2)
        style.rows(axes, -np.arange(len(values)) - 0.6, values)
    keys = [
        Patch(fc=style.MUTED, alpha=0.55, label="exact distribution of the angle"),
        marks.key("random respondent", **_OUTLINE),
        Patch(fc=style.MUTED, alpha=0.2, label="angles of ideal respondents"),
    ]
    below = "SVO angle of one administration, degrees (each outline is as high as its row)"
    style.legend(figure, keys, 3, below)
    return figure


def _row(axes: Axes, table: pd.DataFrame, rows: pd.DataFrame, value: str, base: int) -> None:
    """Draw one distribution above its base line, with the random one and the ideal angles."""
    look, targets = style.value_look(value), part(table, "target")
    for target in targets[targets["value"] == value].itertuples():
        width = target.high - target.low
        left = target.low if width > 1 else (target.low + target.high) / 2 - 0.9
        box = {"fc": look.colour, "alpha": 0.2, "lw": 0, "zorder": 0}
        axes.add_patch(Rectangle((left, base), max(width, 1.8), 0.98, **box))
    if rows["share"].isna().all():
        place = {"transform": axes.get_yaxis_transform(), "ha": "right", "va": "center"}
        axes.text(0.99, base + 0.66, "no probabilities", fontsize=7, **place)
    else:
        x, y = _outline(rows)
        axes.fill_between(x, base, base + y, fc=look.colour, alpha=0.55, lw=0, zorder=3)
        axes.plot(x, base + y, color=look.colour, lw=0.8, gid=f"distribution {value}", zorder=3)
    x, y = _outline(part(table, "random"))
    axes.plot(x, base + y, gid="random", **_OUTLINE)
    axes.axhline(base, color=style.MUTED, lw=0.5, zorder=2)


def _outline(rows: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Return the corners of a histogram whose missing bins are empty; the highest bin is 0.92."""
    low, share = rows["low"].to_numpy(float), rows["share"].to_numpy(float)
    edges = np.arange(low.min() - 1, rows["high"].max() + 2)
    heights = np.zeros(len(edges) - 1)
    heights[np.searchsorted(edges, low)] = 0.92 * share / share.max()
    return np.repeat(edges, 2)[1:-1], np.repeat(heights, 2)
