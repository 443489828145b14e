"""Social Value Orientation: from the options chosen to angle, category and quality.

The SVO angle is atan2(mean other - origin, mean self - origin) over all items of the measure
(Murphy, Ackermann & Handgraaf 2011). With a missing item there is no angle, only exact bounds for
it. Everything works for any instrument that has an angle: any number of items and options.
"""

from dataclasses import replace
from functools import lru_cache

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from hvae_utils.errors import UserError
from hvae_utils.measure import distribution, instruments, values
from hvae_utils.measure.distribution import AngleDistribution
from hvae_utils.measure.instruments import IDEALS, Instrument
from hvae_utils.measure.values import Value

CATEGORIES = ("altruistic", "prosocial", "individualistic", "competitive")
_CHUNK = 1 << 15  # rows of incomplete answers bounded at once, to keep memory flat
_PUBLISHED = "svo-slider"  # the instrument of the angles in data/values.toml


def score(choices: ArrayLike, instrument: Instrument) -> pd.DataFrame:
    """Score administrations, one row each.

    choices: int array (administrations, items), 0-based options, -1 where the item has no choice.
    Columns: angle (degrees), category, vector_length (coins: the mean point's distance from the
    origin), transitive, angle_low and angle_high (degrees: the exact extremes over everything the
    missing items could have been), mean_self and mean_other (coins), answered (items with a
    choice). With an item missing, angle, length and means are NaN, category and transitive NA.
    Errors: UserError for another array and an instrument without an angle.

    >>> slider = instruments.load("svo-slider")
    >>> score([[0, 8, 8, 0, 4, 8]], slider)[["angle", "category"]].values.tolist()
    [[45.0, 'prosocial']]
    """
    boundaries = _boundaries(instrument)
    chosen = checked_choices(choices, instrument)
    items = np.arange(chosen.shape[1])
    payoffs = np.pad(instrument.payoffs, ((0, 0), (0, 1), (0, 0)), constant_values=np.nan)  # at -1
    mean_self, mean_other = payoffs[items, chosen].mean(axis=1).T
    origin = instrument.origin
    angles = angle(mean_self, mean_other, origin)
    answered = (chosen >= 0).sum(axis=1)
    incomplete = answered < chosen.shape[1]
    low, high = angles.copy(), angles.copy()
    low[incomplete], high[incomplete] = _bounds(chosen[incomplete], instrument)
    return pd.DataFrame(
        {
            "angle": angles,
            "category": pd.Categorical.from_codes(_codes(angles, boundaries), CATEGORIES),
            "vector_length": np.hypot(mean_self - origin[0], mean_other - origin[1]),
            "transitive": _transitive(chosen, incomplete, instrument),
            "angle_low": low,
            "angle_high": high,
            "mean_self": mean_self,
            "mean_other": mean_other,
            "answered": answered,
        }
    )


def angle(
    mean_self: ArrayLike, mean_other: ArrayLike, origin: tuple[float, float] = (50, 50)
) -> np.ndarray | float:
    """Return the SVO angle in degrees of mean payoffs in coins (Murphy et al. 2011, eq. 1).

    NaN where a mean is NaN, and at the origin itself, which lies in no direction.

    >>> float(angle(85, 85))
    45.0
    """
    x = np.asarray(mean_self, float) - origin[0]
    y = np.asarray(mean_other, float) - origin[1]
    return np.where((x == 0) & (y == 0), np.nan, np.degrees(np.arctan2(y, x)))[()]


def category(angle: float) -> str | None:
    """Return the official category of an angle in degrees, None of NaN.

    A boundary belongs to the category above it (Murphy et al. 2011).

    >>> category(22.45)
    'prosocial'
    """
    (code,) = _codes(np.array([angle], float), instruments.load(_PUBLISHED).boundaries)
    return None if code < 0 else CATEGORIES[code]


def ideal_choices(value: Value | str, instrument: Instrument) -> np.ndarray:
    """Return the 0-based options (items,) that maximise the value's utility on each item.

    Of tied ones (`Value.ideal_options`) the middle is taken. Errors: UserError for an unknown value
    and for one without a utility.

    >>> ideal_choices("prosocial", instruments.load("svo-slider")).tolist()
    [0, 8, 8, 0, 4, 8]
    """
    tied = values.get(value).ideal_options(instrument.payoffs, instrument.rounding)
    return np.array([np.flatnonzero(item)[(item.sum() - 1) // 2] for item in tied])


def ideal_angles(value: Value | str, instrument: Instrument) -> tuple[float, float, float] | None:
    """Return the angle of `ideal_choices`, and the least and greatest of all ideal respondents.

    Degrees; they differ where options tie. None for a value that prefers no option of any item.
    Errors: as `angle_distribution`.
    """
    value = values.get(value)
    if value.utility is None:
        return None
    tied = value.ideal_options(instrument.payoffs, instrument.rounding)
    if tied.all():
        return None
    angles = angle_distribution(tied / tied.sum(axis=1, keepdims=True), instrument).angles
    point = score([ideal_choices(value, instrument)], instrument)["angle"][0]
    return float(point), float(angles[0]), float(angles[-1])


def value_on(value: Value | str, instrument: Instrument | None) -> Value:
    """Return the value with the targets it has on an instrument, degrees.

    On svo-slider (or None) and its isomorphic forms these are the ones of `data/values.toml`, on
    other items, and of a graded weight on all, the `ideal_angles` of the values that have one
    there. Errors: UserError for an unknown value and an instrument without an angle.
    """
    value = values.get(value)
    published = instrument is None or instrument.name.partition("+")[0] == _PUBLISHED
    if value.weight is None and (published or value.target is None):
        return value
    instrument = instrument or instruments.load(_PUBLISHED)
    others = []
    for other in value.others:
        if reached := ideal_angles(replace(value, utility=other.utility), instrument):
            others.append(replace(other, low=reached[1], high=reached[2]))
    target, *target_set = ideal_angles(value, instrument) or (None,)
    return replace(value, target=target, target_set=tuple(target_set) or None, others=tuple(others))


def angle_distribution(
    probabilities: ArrayLike, instrument: Instrument | None = None
) -> AngleDistribution:
    """Return the exact distribution of the SVO angle of items answered independently.

    probabilities: float array (items, options) in the instrument's order, rows summing to 1 (to
        within 1e-6, then scaled); instrument: `svo-slider` unless given.
    In one running conversation items depend on each other, and this does not hold.
    Errors: UserError naming the item of a bad table; an instrument without an angle.

    >>> round(angle_distribution(np.full((6, 9), 1 / 9)).mean, 3)
    22.703
    """
    instrument = instrument or instruments.load("svo-slider")
    boundaries = _boundaries(instrument)
    tables = distribution.checked_tables(probabilities, instrument)
    if tables.ndim != 2:
        raise UserError(f"probabilities: expected one table, found the shape {tables.shape}")
    distinct, which = _angles(instrument)
    _, steps = distribution.sums(instrument)
    weights = np.bincount(which, distribution.weights(tables, steps), len(distinct))
    can_occur = weights > 0
    angles, weights = distinct[can_occur], weights[can_occur]
    if np.isnan(angles).any():
        raise UserError("probabilities: a profile that can occur lies at the origin, at no angle")
    mean = float((weights * angles).sum())  # pairwise: exacter than a dot product, and no threads
    shares = np.bincount(_codes(angles, boundaries), weights, len(CATEGORIES))
    return AngleDistribution(
        angles=angles,
        weights=weights,
        mean=mean,
        sd=float(np.sqrt((weights * (angles - mean) ** 2).sum())),
        categories=dict(zip(CATEGORIES, shares.tolist(), strict=True)),
    )


def mean_angles(tables: ArrayLike, instrument: Instrument | None = None) -> np.ndarray:
    """Return the exact mean angle (...,) of many tables (..., items, options), in degrees.

    As `angle_distribution(table).mean`, but no profile at all may lie at the origin.
    """
    instrument = instrument or instruments.load("svo-slider")
    _boundaries(instrument)
    tables = distribution.checked_tables(tables, instrument)
    distinct, which = _angles(instrument)
    angles, (_, steps) = distinct[which], distribution.sums(instrument)
    if np.isnan(angles).any():
        raise UserError(
            f"instrument '{instrument.name}': a profile lies at the origin, at no angle"
        )
    flat = tables.reshape(-1, *tables.shape[-2:])
    return distribution.expectations(flat, angles, steps).reshape(tables.shape[:-2])


def options_by_angle(instrument: Instrument) -> np.ndarray | None:
    """Return int (items, options): each item's options, the one of the least angle first.

    Whatever is chosen on the other items, the angle rises in this order, up to the rounding of the
    coins (by less than 0.1 degrees). Options are ordered by their cross product with the direction
    of the least and of the greatest angle; where both agree, so does every angle in between. None
    where an item has no such order. Errors: as `angle_distribution`.
    """
    uniform = np.full(instrument.payoffs.shape[:2], 1 / instrument.payoffs.shape[1])
    ends = np.radians(angle_distribution(uniform, instrument).angles[[0, -1]])
    turns = instrument.payoffs @ np.array([-np.sin(ends), np.cos(ends)])  # v x p, v of length 1
    order = np.argsort(turns.sum(axis=-1), axis=1, kind="stable")
    steps = np.diff(np.take_along_axis(turns, order[..., None], axis=1), axis=1)
    rises = (steps >= -instrument.rounding - 1e-9).all()
    return order if rises and ends[1] - ends[0] < np.pi else None


@lru_cache(maxsize=8)
def _angles(instrument: Instrument) -> tuple[np.ndarray, np.ndarray]:
    """Return the distinct angles of the instrument's sums, rising, and the index of each sum's.

    Angles within 1e-9 degrees are one: rounding alone tells them apart.
    """
    points, steps = distribution.sums(instrument)
    angles = angle(*points.T / len(steps), instrument.origin)
    order = np.argsort(angles)
    new = ~(np.diff(angles[order], prepend=-np.inf) <= 1e-9)
    which = np.empty(len(angles), int)
    which[order] = np.cumsum(new) - 1
    return angles[order][new], which


def _boundaries(instrument: Instrument) -> tuple[float, float, float]:
    if instrument.boundaries is None:
        raise UserError(
            f"instrument '{instrument.name}' has no SVO angle: its file names no boundaries"
        )
    return instrument.boundaries


def check_angle(instrument: Instrument) -> None:
    """Raise UserError unless everything that can be chosen has an angle, and bounds of it."""
    _boundaries(instrument)
    if (instrument.payoffs[..., 0].min(axis=1) - instrument.origin[0]).sum() <= 0:
        raise UserError(
            f"instrument '{instrument.name}': bounds of the angle need mean payoffs to oneself "
            "above the origin"
        )


def checked_choices(choices: ArrayLike, instrument: Instrument) -> np.ndarray:
    """Return the choices, an int array (administrations, items) of options from 0, or -1.

    Errors: UserError, naming the place, for anything else.
    """
    items, options = instrument.items, instrument.options
    try:
        chosen = np.asarray(choices)
    except ValueError:  # rows of different lengths
        chosen = np.empty(0)
    if chosen.shape[1:] != (len(items),) or chosen.dtype.kind not in "iu":
        raise UserError(
            f"choices: expected whole numbers, -1 where missing, in the shape (administrations, "
            f"{len(items)}) for '{instrument.name}', found {chosen.dtype} in {chosen.shape}"
        )
    if chosen.size and (chosen.min() < -1 or chosen.max() >= options):
        row, column = np.argwhere((chosen < -1) | (chosen >= options))[0]
        raise UserError(
            f"choices: {chosen[row, column]} in administration {row}, item "
            f"{items[column]} is no option; options are 0 to {options - 1}, -1 missing"
        )
    return chosen


def _codes(angles: np.ndarray, boundaries: tuple[float, ...]) -> np.ndarray:
    """Return the place of each angle's category in CATEGORIES, -1 for NaN."""
    return np.where(np.isnan(angles), -1, np.digitize(angles, boundaries))


def _bounds(chosen: np.ndarray, instrument: Instrument) -> tuple[np.ndarray, np.ndarray]:
    """Return the least and the greatest angle, in degrees, over all completions of each row.

    Exact. Every completion lies to the right of the origin (checked), so the angle rises with the
    slope y / x, whose greatest value Dinkelbach's (1967) iteration finds: fill in the options that
    maximise y - slope x, take the slope they give, until it grows no more; the least likewise.
    """
    points = instrument.payoffs - instrument.origin
    if len(chosen):
        check_angle(instrument)
    parts = np.split(chosen, range(_CHUNK, len(chosen), _CHUNK))
    ends = [[_steepest(part, points, sign) for part in parts] for sign in (-1, 1)]
    low, high = (np.degrees(np.arctan(np.concatenate(slopes))) for slopes in ends)
    return low, high


def _steepest(chosen: np.ndarray, points: np.ndarray, sign: int) -> np.ndarray:
    """Return the greatest slope of each row's completions, the least where `sign` is -1."""
    filled = np.maximum(chosen, 0)
    slopes = np.full(len(chosen), -sign * np.inf)
    while True:
        x, y = points[np.arange(len(points)), filled].sum(axis=1).T
        if not (sign * (y / x - slopes) > 1e-14).any():
            return slopes
        slopes = y / x
        gains = sign * (points[..., 1] - slopes[:, None, None] * points[..., 0])
        filled = np.where(chosen < 0, gains.argmax(axis=2), chosen)


def _transitive(
    chosen: np.ndarray, incomplete: np.ndarray, instrument: Instrument
) -> pd.arrays.BooleanArray:
    """Return whether the preferences shown are free of cycles, NA where an item is missing.

    An option prefers the ideal end point of its item that is nearer, by Euclidean distance, to the
    other one; the exact middle prefers neither (Ackermann 2011).
    """
    if instrument.ends is None:
        return pd.arrays.BooleanArray(np.zeros(len(chosen), bool), np.ones(len(chosen), bool))
    payoffs = instrument.payoffs
    first, last = (np.linalg.norm(payoffs - payoffs[:, [k]], axis=2) for k in (0, -1))
    nearer = np.where(np.isclose(first, last, rtol=1e-9), 0, last - first)  # to the first end
    prefers = np.zeros((len(chosen), len(IDEALS), len(IDEALS)), bool)
    for item, ends in enumerate(instrument.ends):
        a, b = map(IDEALS.index, ends)
        prefers[:, a, b] |= nearer[item, chosen[:, item]] > 0
        prefers[:, b, a] |= nearer[item, chosen[:, item]] < 0
    for _ in range(2):  # paths of up to four steps, the longest cycle
        prefers |= prefers @ prefers
    cyclic = prefers.diagonal(axis1=1, axis2=2).any(axis=1)
    return pd.arrays.BooleanArray(~cyclic, incomplete.copy())
