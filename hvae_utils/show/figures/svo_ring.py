"""Figure 01, the SVO ring: mean points in the payoff plane, one ring a respondent.

Coins for oneself to the right, coins for the other upwards.
"""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Wedge

from hvae_utils.measure import svo
from hvae_utils.measure.instruments import Instrument
from hvae_utils.measure.values import Value
from hvae_utils.show import marks, style
from hvae_utils.show.names import each, flag_note, flagged, named
from hvae_utils.show.tables import boundaries, need, part, point, stack

RADIUS = 50.0  # coins: the ring goes through the ideal end points of the items
_RIM = 3.5  # coins: width of the coloured rim
_NEAR = 3.0  # coins: marks of points closer than this would cover one another
_SHOWN = (-38.0, 90.0)  # degrees: the part of the ring that is drawn; all answers lie in it
_IDEAL = {"marker": "o", "ms": 10, "mfc": "none", "mec": style.INK, "mew": 0.9, "ls": "none"}
_SHARED = {"marker": "o", "ms": 10, "mfc": style.INK, "mec": "white", "mew": 0.7, "ls": "none"}
_REGION_NAME = {"rotation_mode": "anchor", "va": "center", "fontsize": 6.8, "color": style.INK}
_COUNT = {"ha": "center", "va": "center_baseline", "fontsize": 7, "color": "white", "zorder": 6}


def table(
    cells: pd.DataFrame,
    instrument: Instrument,
    values: dict[str, Value],
    steerability: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Return every cell's mean point in the payoff plane, with what it is to be compared to.

    steerability: as `metrics.steerability.table`, for the verdict above each ring.
    part "measured", a row a cell with an assigned value: respondent (marked where flagged), self
    and other (mean coins), angle (degrees); NaN where none was scored; verdict. "boundary": as in
    `tables`. "ideal": a value's ideal respondent. "random": the expected point of random choices.
    "origin".
    """
    keys = ["model", "value", "goal_prompt"]
    means = {"mean_self": "self", "mean_other": "other", "mean_angle": "angle"}
    need(cells, "cells", [*keys, *means])
    categories = boundaries(instrument)
    parts = [point("origin", instrument.origin)]
    for value in values.values():
        if value.utility is not None:
            chosen = svo.ideal_choices(value, instrument)
            mean = instrument.payoffs[np.arange(len(chosen)), chosen].mean(axis=0)
            parts.append(point("ideal", mean, instrument.origin) | {"value": value.name})
    parts.append(point("random", instrument.payoffs.mean(axis=(0, 1)), instrument.origin))
    assigned = cells[cells["value"] != "none"] if (cells["value"] != "none").any() else cells
    measured = named(assigned[[*keys, *means]].rename(columns=means))
    measured = flagged(measured, cells).assign(part="measured", verdict=np.nan)
    if steerability is not None:
        arms = steerability.sort_values("goal_prompt").groupby("model")["verdict"]
        goal = ("with goal: " + arms.last()).where(arms.nunique() > 1, arms.last())
        measured["verdict"] = measured["model"].map(goal)
    columns = ["part", "model", "respondent", "value", "goal_prompt", "self", "other", "angle"]
    return stack(pd.DataFrame(parts), categories, measured).reindex(columns=[*columns, "verdict"])


def caption(table: pd.DataFrame) -> str:
    """Return how to read the rings, and in how many places each respondent stands."""
    return (
        "Where each respondent stands on the SVO ring. A mark is the mean of the coins for oneself "
        "and for the other under one assigned value; a dark disc counts the values that end in one "
        "place; the cross is where random choices end up. Who follows its value stands on the four "
        f"open circles. Separate places of the values: {each(_places_of(table))}."
        f"{flag_note(table['respondent'].dropna())}"
    )


def alt(table: pd.DataFrame) -> str:
    """Return the picture in words."""
    return (
        "The payoff plane, four regions from competitive below to altruistic at the top, a panel a "
        f"respondent. Separate places of the values: {each(_places_of(table))}."
    )


def _places_of(table: pd.DataFrame) -> pd.Series:
    """Return in how many places each respondent's values stand; NaN for one without an angle."""
    rows = part(table, "measured").groupby("respondent", sort=False)
    return pd.Series({name: len(_places(one)) or np.nan for name, one in rows})


def _places(rows: pd.DataFrame) -> list[list]:
    """Return the scored cells, those together whose marks would cover one another."""
    places: list[list] = []
    for row in rows[rows["self"].notna()].itertuples():
        away = (np.hypot(row.self - first.self, row.other - first.other) for first, *_ in places)
        near = next((here for here, far in zip(places, away, strict=True) if far < _NEAR), None)
        if near is None:
            places.append([row])
        else:
            near.append(row)
    return places


@style.drawing
def draw(table: pd.DataFrame) -> Figure:
    """Draw the ring with its regions, then one ring a respondent; hollow without goal prompt."""
    measured = part(table, "measured", "the SVO ring")
    respondents = list(measured["respondent"].unique())
    columns = min(4, len(respondents) + 1)
    rows = -(-(len(respondents) + 1) // columns)
    figure = style.new_figure(0.75 + rows * (2.65 if columns > 2 else 4.2))
    key, *others = style.panels(figure, len(respondents) + 1, columns)
    regions = marks.regions(part(table, "boundary")["angle"], *_SHOWN)
    origin = part(table, "origin")[["self", "other"]].to_numpy(float)[0]
    for axes in (key, *others):
        _ring(axes, table, regions, origin)
    above = {"pad": 13} if measured["verdict"].notna().any() else {}
    style.name_panels([key, *others], ["ideal respondents", *respondents], columns, **above)
    for name, low, high in regions:
        middle = (low + high) / 2
        key.text(*_at(origin, middle, 7), name, rotation=middle, **_REGION_NAME)
    for ideal in part(table, "ideal").itertuples():
        key.plot(ideal.self, ideal.other, ms=5, **marks.of_value(ideal.value))
    for axes, respondent in zip(others, respondents, strict=True):
        _measured(axes, measured[measured["respondent"] == respondent])
    grey = {"marker": "s", "mec": style.MUTED, "ls": "none"}
    keys = [
        *marks.value_keys(measured["value"].unique()),
        marks.key(style.GOAL[True], mfc=style.MUTED, ms=4.6, **grey),
        marks.key(style.GOAL[False], mfc="none", ms=6.5, **grey),
        marks.key("so many values in one place", **_SHARED),
        marks.key("ideal respondent", **_IDEAL),
        marks.key("random respondent, expected", **marks.RANDOM_POINT),
        *marks.flag_keys(respondents),
    ]
    style.legend(figure, keys, 4, "mean coins for oneself")
    figure.supylabel("mean coins for the other")
    return figure


def _ring(axes: Axes, table: pd.DataFrame, regions: list, origin: np.ndarray) -> None:
    """Draw what every ring shares: regions, ideals, random."""
    for name, low, high in regions:
        colour = style.value_look(name).colour
        axes.add_patch(Wedge(origin, RADIUS, low, high, fc=colour, alpha=0.10, lw=0))
        axes.add_patch(Wedge(origin, RADIUS + _RIM, low, high, width=_RIM, fc=colour, lw=0))
        for angle in (low, high):
            edge = _at(origin, angle, RADIUS + _RIM)
            axes.plot(*np.transpose([origin, edge]), color="white", lw=1.2)
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
    """Draw one respondent's cells; where several values share a place, their number."""
    for here in _places(rows):
        if (count := len({row.value for row in here})) > 1:
            x, y = (np.mean([getattr(row, name) for row in here]) for name in ("self", "other"))
            axes.plot(x, y, gid="shared place", zorder=5, **_SHARED)
            axes.text(x, y, str(count), **_COUNT)
            continue
        for row in here:
            look = marks.of_goal(row.value, goal := bool(row.goal_prompt), (4.4, 7.4), (0.6, 1.1))
            gid = f"measured {row.value} {goal}"
            axes.plot(row.self, row.other, gid=gid, ls="none", zorder=4, **look)
    if isinstance(verdict := rows["verdict"].iloc[0], str):
        axes.annotate(verdict, (0, 1), (0, 3), "axes fraction", "offset points", fontsize=7)
    if silent := rows["self"].isna().sum():
        text = f"no angle in\n{silent} of {len(rows)} cells"
        axes.text(0.03, 0.03, text, transform=axes.transAxes, fontsize=7, color=style.INK)
