"""Figure 11, what lapses do to an ideal respondent: angle, own category and raw score by rate."""

from collections.abc import Iterable

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from hvae_utils.errors import UserError
from hvae_utils.measure import instruments
from hvae_utils.measure.instruments import Instrument
from hvae_utils.measure.values import Value
from hvae_utils.metrics import recovery
from hvae_utils.show import marks, style
from hvae_utils.show.names import joined
from hvae_utils.show.tables import boundaries, part, stack

_RATES = tuple(np.round(np.linspace(0, 1, 41), 3))
_CUE = {"ms": 4.2, "lw": 1.5}
_ANGLE = (-19.0, 65.0)  # degrees: what answers can reach, with room


def table(
    values: dict[str, Value], rates: Iterable[float] = _RATES, instrument: Instrument | None = None
) -> pd.DataFrame:
    """Return what lapses do to the ideal respondent of each value that has a utility and a target.

    rates: shares of uniformly random answers, 0 to 1.
    part "curve": value, rate, angle (mean, degrees), angle_low and angle_high (exact 10% and 90%
    quantiles of one administration), own (probability that the measured category is the value),
    vr (raw value rationality of the mean angle, degrees). "boundary": as `tables.boundaries`.
    """
    rates = np.asarray([*rates], float)
    ideals = [v for v in values.values() if v.utility is not None and v.target is not None]
    if not ideals or not len(rates):
        raise UserError("lapse curves: no value with a utility and a target, or no rate to draw")
    instrument = instrument or instruments.load("svo-slider")
    parts = [boundaries(instrument)]
    for value in ideals:
        curve = recovery.lapse_curve(value, rates, instrument)
        curve = curve.rename(columns={"mean_angle": "angle", value.name: "own"})
        parts.append(curve.assign(part="curve", value=value.name))
    columns = ["part", "value", "rate", "angle", "angle_low", "angle_high", "own", "vr"]
    return stack(*parts).reindex(columns=columns)


@style.drawing
def draw(table: pd.DataFrame) -> Figure:
    """Draw three panels: mean angle, probability of the own category, raw score."""
    curves = part(table, "curve", "the lapse curves")
    values = list(curves["value"].unique())
    figure = style.new_figure(3.1)
    panels = figure.subplots(1, 3)
    titles = ("mean angle, degrees", "P(own category)", "value rationality, degrees")
    for axes, title, column in zip(panels, titles, ("angle", "own", "vr"), strict=True):
        for place, value in enumerate(values):
            _curve(axes, curves[curves["value"] == value], column, place, len(values))
        axes.set_title(title)
        axes.set_xlim(-0.01, 1.01)
        axes.set_xticks(np.linspace(0, 1, 5), style.numbers(range(0, 101, 25), "%"))
        axes.grid(column != "angle", axis="y")
    _boundaries(panels[0], part(table, "boundary")["angle"])
    panels[0].set_ylim(_ANGLE)
    panels[1].set(ylim=(-0.02, 1.03), yticks=np.linspace(0, 1, 5))
    panels[2].set_ylim(min(0.0, float(np.nanmin(curves["vr"]))), 61.5)
    keys = [marks.key(value, **_CUE | marks.of_value(value)) for value in values]
    keys.append(Patch(fc=style.MUTED, alpha=0.25, label="80% of administrations"))
    style.legend(figure, keys, 5, "lapse rate: share of answers given at random")
    return figure


def caption(table: pd.DataFrame) -> str:
    """Return how to read the figure, and what one lapse in five does in it."""
    return (
        "What lapses do to an ideal respondent, exactly. Of equally good options it takes the "
        "middle one; other rules move the second panel by a few hundredths. Band: 10% to 90% of "
        f"administrations. {_result(table)}"
    )


def alt(table: pd.DataFrame) -> str:
    """Return the figure in words."""
    end = part(table, "curve").sort_values("rate")["angle"].iloc[-1]
    return (
        "Three panels of curves over the lapse rate, a curve a value: mean angle, probability of "
        f"the own category, value rationality. At the right end the angle is {end:.1f} degrees. "
        f"{_result(table)}"
    )


def _result(table: pd.DataFrame) -> str:
    curves = part(table, "curve")
    rate = min(set(curves["rate"]), key=lambda one: abs(one - 0.2))
    at = curves[curves["rate"] == rate]
    own = joined(f"{value} {own:.2f}" for value, own in zip(at["value"], at["own"], strict=True))
    return f"At {rate:.0%} lapses the probability of the own category is {own}."


def _curve(axes: Axes, curve: pd.DataFrame, column: str, place: int, of: int) -> None:
    """Draw one value's curve, the place-th of so many; its marks stand between the others'."""
    curve, value = curve.sort_values("rate"), curve["value"].iloc[0]
    if column == "angle":
        band = [curve[name].to_numpy(float) for name in ("rate", "angle_low", "angle_high")]
        axes.fill_between(*band, color=style.value_look(value).colour, alpha=0.13, lw=0)
    step = max(len(curve) // 6, 1)
    look = {"markevery": (place * step // of, step), "zorder": 3} | _CUE | marks.of_value(value)
    axes.plot(curve["rate"], curve[column], gid=f"{column} {value}", **look)


def _boundaries(axes: Axes, angles: pd.Series) -> None:
    """Draw the category boundaries and name the categories."""
    for place, (name, low, high) in enumerate(marks.regions(angles, *_ANGLE)):
        if place:
            axes.axhline(high, **marks.BOUNDARY)
        outer = place in (0, 3)  # where curves leave room: the outer ones right, the inner left
        middle = (low + high) / 2 if outer else high - 3.5 if place == 2 else low + 3.5
        at = {"ha": "right" if outer else "left", "va": "center", "fontsize": 6.8}
        axes.text(0.985 if outer else 0.02, middle, name, zorder=4, color=style.MUTED, **at)
