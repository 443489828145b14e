"""Chance: how far from a target a respondent ends up whose answers are drawn from probabilities.

>>> round(random_distance(45, 3), 1), round(random_share(45, 3, 10), 2)
(22.3, 0.05)

The mean angle of three administrations of a uniform random respondent, who holds no value, is 22.3
degrees from the prosocial target on average, and within 10 degrees of it once in 20 times.

The distribution of the mean angle of several administrations is exact, not simulated: that of one
(`svo.angle_distribution`), then convolution. Distances are in degrees, to a point or to the nearest
point of a set. The instrument is `svo-slider` unless passed.

Public names: random_distance, random_share, expected_distance, uniform, p_value, reachable,
greatest_distance, distance, intervals, checked_target, ROUNDED.
"""

from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike

from hvae_utils.errors import UserError
from hvae_utils.measure import distribution, instruments, svo
from hvae_utils.measure.instruments import Instrument

ROUNDED = 0.005  # degrees: published targets are rounded to two decimals
_STEP = 0.01  # degrees, the grid of mean angles up to ten administrations
_STEEPEST = 3.0  # nats a degree: weights tilted by more lie on the last angle alone

Intervals = tuple[tuple[float, float], ...]


def random_distance(
    target: ArrayLike, administrations: int, instrument: Instrument | None = None
) -> float:
    """Return the expected distance from the target of uniform random respondents, in degrees.

    The distance is that of the mean angle of so many administrations. Exact up to a grid: each
    angle is split between its two neighbours on a grid that has the ends of the target as points,
    which keeps its mean and, for one administration, its distance; the distribution of the sum is
    the power of the grid's transform. The grid (0.01 degrees up to 10 administrations, then
    coarser with the square root) adds less than 1e-4 degrees. NaN for a NaN target.
    Errors: UserError unless administrations is a whole number above 0; as `checked_target`.
    """
    return expected_distance(uniform(instrument), target, administrations, instrument)


def expected_distance(
    probabilities: ArrayLike,
    target: ArrayLike,
    administrations: int = 1,
    instrument: Instrument | None = None,
) -> float:
    """Return the expected distance from the target of a respondent, degrees, as `random_distance`.

    probabilities: float array (items, options), rows sum to 1; every item of every administration
    is drawn from them on its own. Errors: as `svo.angle_distribution` and `random_distance`.
    """
    if _is_nan(target):
        return np.nan
    aim, administrations = checked_target(target, instrument), _counted(administrations)
    distances, chances, _ = _distances(_angles(probabilities, instrument), aim, administrations)
    return float(chances @ distances)


def random_share(
    target: ArrayLike,
    administrations: int,
    distance: float,
    instrument: Instrument | None = None,
) -> float:
    """Return P(a uniform random respondent's mean angle is at most `distance` from the target).

    The chance that a respondent without a value comes at least as close with as many
    administrations. Degrees; NaN if either is NaN. Exact up to the grid of `random_distance`, also
    far out in a tail. Errors: as there.
    """
    if _is_nan(target) or np.isnan(distance):
        return np.nan
    aim, administrations = checked_target(target, instrument), _counted(administrations)
    angle = _angles(uniform(instrument), instrument)
    tilt = _tilt(angle, aim, distance)
    distances, chances, step = _distances(angle, aim, administrations, tilt)
    return float(min(chances[distances <= distance + step / 2].sum(), 1))


def p_value(share: float) -> float:
    """Return a share as it is written: at least 1e-12, six significant digits, NaN as it is.

    Below that the last bits of a processor's arithmetic would show.
    """
    return float(f"{max(share, 1e-12):.6g}")


def uniform(instrument: Instrument | None = None) -> np.ndarray:
    """Return the response probabilities (items, options) of the uniform random respondent."""
    shape = (instrument or instruments.load("svo-slider")).payoffs.shape[:2]
    return np.full(shape, 1 / shape[1])


@lru_cache
def reachable(instrument: Instrument | None = None) -> tuple[float, float]:
    """Return the least and the greatest angle (degrees) that any profile of choices has."""
    angles = _angles(uniform(instrument), instrument).angles
    return float(angles[0]), float(angles[-1])


def greatest_distance(target: ArrayLike, instrument: Instrument | None = None) -> float:
    """Return how far (degrees) any profile of choices can end up from the target.

    Hence the upper bound for the difference of two value-rationality scores with this target.
    NaN for a NaN target. Errors: as `checked_target`.
    """
    if _is_nan(target):
        return np.nan
    return float(distance(reachable(instrument), checked_target(target, instrument)).max())


def distance(angles: ArrayLike, target: ArrayLike) -> np.ndarray:
    """Return how far angles are from the nearest point of the target, degrees; 0 inside it.

    >>> distance([40, 50], (20, 45)).tolist()
    [0.0, 5.0]

    NaN where the angle is NaN. Errors: as `intervals`.
    """
    ends = np.array(intervals(target))
    angles = np.asarray(angles, float)[..., None]
    return np.maximum(np.maximum(ends[:, 0] - angles, angles - ends[:, 1]), 0).min(axis=-1)


def intervals(target: ArrayLike) -> Intervals:
    """Return a target as closed intervals (low, high), degrees, sorted.

    target: an angle, an interval (low, high), or several of them, (n, 2). UserError for another
    shape, for an end that is no finite number and for an interval that does not run upwards.
    """
    try:
        ends = np.asarray(target, float)
    except (TypeError, ValueError):
        ends = np.empty(0)
    ends = np.repeat(ends, 2).reshape(1, 2) if ends.ndim == 0 else np.atleast_2d(ends)
    if ends.ndim != 2 or ends.shape[1] != 2 or not len(ends) or not np.isfinite(ends).all():
        raise UserError(f"a target must be degrees, an interval or intervals, not {target!r}")
    if (ends[:, 0] > ends[:, 1]).any():
        raise UserError(f"a target interval must run from low to high, not {target!r}")
    return tuple(sorted((float(low), float(high)) for low, high in ends))


def checked_target(target: ArrayLike, instrument: Instrument | None = None) -> Intervals:
    """Return `intervals(target)`; UserError as there, and where nobody can reach an angle of it."""
    aim, (least, greatest) = intervals(target), reachable(instrument)
    for low, high in aim:
        if low < least - ROUNDED or high > greatest + ROUNDED:
            shown = f"{low:g}" if low == high else f"[{low:g}, {high:g}]"
            raise UserError(
                f"target {shown}: no respondent can get there; the reachable angles are "
                f"{least:.2f} to {greatest:.2f} degrees"
            )
    return aim


def _is_nan(target: ArrayLike) -> bool:
    return isinstance(target, float | np.floating) and bool(np.isnan(target))


def _angles(probabilities: ArrayLike, instrument: Instrument | None) -> svo.AngleDistribution:
    """Return the distribution of the angle; worked out once for the same table."""
    instrument = instrument or instruments.load("svo-slider")
    return _angles_of(distribution.checked_tables(probabilities, instrument).tobytes(), instrument)


@lru_cache(maxsize=64)
def _angles_of(table: bytes, instrument: Instrument) -> svo.AngleDistribution:
    shape = instrument.payoffs.shape[:2]
    return svo.angle_distribution(np.frombuffer(table).reshape(shape), instrument)


def _counted(administrations: int) -> int:
    if not isinstance(administrations, int | np.integer) or administrations < 1:
        raise UserError(f"administrations must be a whole number above 0, not {administrations!r}")
    return int(administrations)


def _tilt(angle: svo.AngleDistribution, target: Intervals, distance: float) -> float:
    """Return the rate t (nats a degree) at which weights x exp(t angle) have their mean near by.

    Near by: on the nearest angle that is `distance` from the target; 0 where the mean is closer.
    Found on whole degrees, to 0.05, so that few rates are ever in use.
    """
    ends = np.add(target, (-distance, distance))
    if ((ends[:, 0] <= angle.mean) & (angle.mean <= ends[:, 1])).any():
        return 0.0
    near = ends.flat[np.abs(ends - angle.mean).argmin()]
    degrees, which = np.unique(np.round(angle.angles), return_inverse=True)
    rates = np.arange(-_STEEPEST, _STEEPEST, 0.05)[:, None]
    powers = rates * degrees
    tilted = np.bincount(which, angle.weights) * np.exp(powers - powers.max(axis=1, keepdims=True))
    means = tilted @ degrees / tilted.sum(axis=1)
    return float(rates[np.abs(means - near).argmin(), 0])


@lru_cache(maxsize=64)
def _distances(
    angle: svo.AngleDistribution,
    target: Intervals,
    administrations: int,
    tilt: float = 0.0,
) -> tuple[np.ndarray, np.ndarray, float]:
    """Return the distances of the grid of mean angles from the target, their P, and its step.

    angle: the distribution of the angle of one administration. The transform leaves an error of
    1e-16 of the greatest chance everywhere; where a tail is wanted it is therefore made of weights
    x exp(tilt angle), which have their greatest chance there, and the tilt is taken out of its
    result (the sum of tilted draws is the tilted sum).
    """
    low, high = target[0]
    step = _STEP * max(1.0, np.sqrt(administrations / 10))
    if high > low:  # both ends on the grid
        step = (high - low) / np.ceil((high - low) / step)
    position = (angle.angles - low) / step
    lower = np.floor(position).astype(int)
    upper_share = position - lower
    points = np.concatenate([lower, lower + 1])
    weights = np.concatenate([angle.weights * (1 - upper_share), angle.weights * upper_share])
    powers = tilt * step * points
    weights = weights * np.exp(powers - powers.max())
    total = weights.sum()
    weights = weights / total
    mean = weights @ points
    spread = np.sqrt(max(weights @ points**2 - mean**2, 0) + 1)
    # The sum is kept modulo `size`: 12 standard deviations to either side, or all there is.
    size = 1 << int(np.ceil(np.log2(24 * spread * np.sqrt(administrations))))
    grid = np.bincount(points % size, weights, size)
    chances = np.fft.irfft(np.fft.rfft(grid) ** administrations, size)
    centre = round(administrations * mean)
    sums = centre + (np.arange(size) - centre + size // 2) % size - size // 2
    if tilt:
        back = administrations * (np.log(total) + powers.max()) - tilt * step * sums
        chances = np.clip(chances, 0, None) * np.exp(np.minimum(back, 700))
    step = step / administrations
    return distance(low + sums * step, target), chances, step
