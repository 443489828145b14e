"""Figure 01, the SVO ring: mean points in the payoff plane, one ring a respondent.

Coins for oneself to the right, coins for the other upwards.
"""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Polygon, Wedge
from matplotlib.transforms import ScaledTranslation

from hvae_utils.errors import UserError
from hvae_utils.measure import svo
from hvae_utils.measure.instruments import Instrument
from hvae_utils.measure.values import Value
from hvae_utils.show import marks, style
from hvae_utils.show.names import flag_note, flagged, named
from hvae_utils.show.tables import need, part, point, stack

RADIUS = 50.0  # coins: the ring goes through the ideal end points of the items
_RIM = 3.5  # coins: width of the coloured rim
_FAN = 8.0  # points on the page between a shared place and each mark fanned out around it
_SHOWN = (-38.0, 90.0)  # degrees: the part of the ring that is drawn; all answers lie in it
_IDEAL = {"marker": "o", "ms": 10, "mfc": "none", "mec": style.INK, "mew": 0.9, "ls": "none"}
_REGION_NAME = {"rotation_mode": "anchor", "va": "center", "fontsize": 6.8, "color": style.INK}
_STALK = {"arrowstyle": "-", "lw": 0.6, "color": style.INK, "shrinkA": 0, "shrinkB": 0}


def table(cells: pd.DataFrame, instrument: Instrument, values: dict[str, Value]) -> pd.DataFrame:
    """Return every cell's mean point in the payoff plane, with what it is to be compared to.

    part "measured": respondent (marked where flagged), self and other (mean coins), angle (degrees)
    over the scored administrations; NaN where none was scored. "region": a category between two
    angles. "target_set": the angles of a value's ideal respondents. "ideal": one of them. "random":
    the expected point of random choices. "reach": corners of the area of all mean points. "origin".
    """
    keys = ["model", "value", "goal_prompt"]
    means = {"mean_self": "self", "mean_other": "other", "mean_angle": "angle"}
    need(cells, "cells", [*keys, *means])
    if instrument.boundaries is None:
        raise UserError(f"instrument '{instrument.name}' has no SVO angle, so no ring")
    edges = [np.nan, *instrument.boundaries, np.nan]
    parts = [point("origin", instrument.origin)]
    parts += [
        {"part": "region", "value": name, "angle_low": low, "angle_high": high}
        for name, high, low in zip(svo.CATEGORIES, edges[:-1], edges[1:], strict=True)
    ]
    for value in values.values():
        if value.target_set is not None:
            ends = dict(zip(("angle_low", "angle_high"), value.target_set, strict=True))
            parts.append({"part": "target_set", "value": value.name} | ends)
        if value.utility is not None:
            chosen = svo.ideal_choices(value, instrument)
            mean = instrument.payoffs[np.arange(len(chosen)), chosen].mean(axis=0)
            parts.append(point("ideal", mean, instrument.origin) | {"value": value.name})
    parts.append(point("random", instrument.payoffs.mean(axis=(0, 1)), instrument.origin))
    parts += [point("reach", corner) for corner in _reach(instrument)]
    measured = named(cells[[*keys, *means, "administrations", "scored"]].rename(columns=means))
    measured = flagged(measured, cells).assign(part="measured")
    columns = ["part", "model", "respondent", "value", "goal_prompt", "self", "other", "angle"]
    columns += ["angle_low", "angle_high", "administrations", "scored"]
    return stack(pd.DataFrame(parts), measured).reindex(columns=columns)


def _reach(instrument: Instrument) -> np.ndarray:
    """Return the corners (n, 2), in coins and in order, of the hull of all mean points."""
    # The furthest mean in a direction changes only at normals to steps between two options.
    points = instrument.payoffs
    first, second = np.triu_indices(points.shape[1], 1)
    steps = (points[:, second] - points[:, first]).reshape(-1, 2)
    normals = np.arctan2(steps[:, 0], -steps[:, 1])
    turns = np.unique(np.concatenate([normals, normals + np.pi]) % (2 * np.pi))
    between = (turns + np.append(turns[1:], turns[0] + 2 * np.pi)) / 2
    best = (points @ np.array([np.cos(between), np.sin(between)])).argmax(axis=1)
    corners = points[np.arange(len(points))[:, None], best].mean(axis=0)
    return np.array(list(dict.fromkeys(map(tuple, corners))))


@style.drawing
def draw(table: pd.DataFrame) -> Figure:
    """Draw the ring with its regions, then one ring a respondent; hollow without goal prompt."""
    measured = part(table, "measured", "the SVO ring")
    respondents = list(measured["respondent"].unique())
    columns = min(4, len(respondents) + 1)
    rows = -(-(len(respondents) + 1) // columns)
    figure = style.new_figure(0.75 + rows * (2.65 if columns > 2 else 4.2))
    key, *others = style.panels(figure, len(respondents) + 1, columns)
    regions = marks.regions(part(table, "region")["angle_low"].dropna(), *_SHOWN)
    origin = part(table, "origin")[["self", "other"]].to_numpy(float)[0]
    for axes in (key, *others):
        _ring(axes, table, regions, origin)
    style.name_panels([key, *others], ["ideal respondents", *respondents], columns)
    for name, low, high in regions:
        middle = (low + high) / 2
        key.text(*_at(origin, middle, 7), name, rotation=middle, **_REGION_NAME)
    for ideal in part(table, "ideal").itertuples():
        key.plot(ideal.self, ideal.other, ms=5, **marks.of_value(ideal.value))
    for axes, respondent in zip(others, respondents, strict=True):
        _measured(axes, measured[measured["respondent"] == respondent])
    grey = {"marker": "s", "mec": style.MUTED, "ls": "none"}
    shared = {"color": style.INK, "marker": "o", "ms": 2.6, "lw": 0.6}
    keys = [
        *marks.value_keys(measured["value"].unique()),
        marks.key(style.GOAL[True], mfc=style.MUTED, ms=4.6, **grey),
        marks.key(style.GOAL[False], mfc="none", ms=6.5, **grey),
        marks.key("ideal respondent", **_IDEAL),
        marks.key("angles of ideal respondents", color=style.INK, lw=1.6),
        marks.key("random respondent, expected", **marks.RANDOM_POINT),
        marks.key("one place, marks fanned out", **shared),
        marks.key("reach of the six items", color=style.MUTED, lw=0.7),
    ]
    style.legend(figure, keys, 4, "mean coins for oneself" + flag_note(respondents))
    figure.supylabel("mean coins for the other")
    return figure


def _ring(axes: Axes, table: pd.DataFrame, regions: list, origin: np.ndarray) -> None:
    """Draw what every ring shares: regions, target sets, reachable area, ideals, random."""
    for name, low, high in regions:
        colour = style.value_look(name).colour
        axes.add_patch(Wedge(origin, RADIUS, low, high, fc=colour, alpha=0.10, lw=0))
        axes.add_patch(Wedge(origin, RADIUS + _RIM, low, high, width=_RIM, fc=colour, lw=0))
        for angle in (low, high):
            edge = _at(origin, angle, RADIUS + _RIM)
            axes.plot(*np.transpose([origin, edge]), color="white", lw=1.2)
    reach = part(table, "reach")[["self", "other"]].to_numpy(float)
    axes.add_patch(Polygon(reach, closed=True, fc="none", ec=style.MUTED, lw=0.7))
    for target in part(table, "target_set").itertuples():
        if target.angle_high - target.angle_low > 1:
            arc = np.linspace(target.angle_low, target.angle_high, 40)
            x, y = _at(origin, arc, RADIUS + _RIM + 1.6)
            axes.plot(x, y, color=style.INK, lw=1.6, solid_capstyle="butt")
    for ideal in part(table, "ideal").itertuples():
        x, y = _at(origin, ideal.angle, RADIUS)
        axes.plot([ideal.self, x], [ideal.other, y], color=style.INK, lw=0.7)
        axes.plot(ideal.self, ideal.other, gid=f"ideal {ideal.value}", **_IDEAL)
    random = part(table, "random")
    axes.plot(random["self"], random["other"], gid="random", **marks.RANDOM_POINT)
    axes.plot(*origin, marker="+", color=style.INK, ms=5, mew=0.9)
    axes.tick_params(labelbottom=True)
    axes.set(aspect="equal", xlim=(origin[0] - 4, origin[0] + RADIUS + 8))
    axes.set_ylim(origin[1] - 37, origin[1] + RADIUS + 8)
    axes.set_xticks(origin[0] + np.array([0, 25, 50]))
    axes.set_yticks(origin[1] + np.array([-25, 0, 25, 50]))


def _at(origin: np.ndarray, angle: np.ndarray | float, length: float) -> tuple:
    """Return the points (self, other) at an angle (degrees) and a distance (coins)."""
    turned = np.radians(angle)
    return origin[0] + length * np.cos(turned), origin[1] + length * np.sin(turned)


def _measured(axes: Axes, rows: pd.DataFrame) -> None:
    """Draw one respondent's cells; values that fall on one place are fanned out around it."""
    scored = rows[rows["self"].notna()]
    place = scored[["self", "other"]].round(1).apply(tuple, axis=1)
    for (x, y), here in scored.groupby(place, sort=False):
        values = list(here["value"].unique())
        if len(values) > 1:
            axes.plot(x, y, marker="o", ms=2.6, color=style.INK, zorder=3)
        for row in here.itertuples():
            turn, goal = 2 * np.pi * values.index(row.value) / len(values), bool(row.goal_prompt)
            away = _FAN * np.array([np.sin(turn), np.cos(turn)]) * (len(values) > 1)
            axes.annotate("", (x, y), away, textcoords="offset points", arrowprops=_STALK)
            moved = ScaledTranslation(*away / 72, axes.figure.dpi_scale_trans)
            look = marks.of_goal(row.value, goal, (4.4, 7.4), (0.6, 1.1))
            look |= {"ls": "none", "transform": axes.transData + moved, "zorder": 4}
            axes.plot(row.self, row.other, gid=f"measured {row.value} {goal}", **look)
    if silent := rows["self"].isna().sum():
        text = f"no angle in\n{silent} of {len(rows)} cells"
        axes.text(0.03, 0.03, text, transform=axes.transAxes, fontsize=7, color=style.INK)
