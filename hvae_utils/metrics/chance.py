"""Chance: how far from a target a respondent ends up whose answers are drawn from probabilities.

Above all the uniform random respondent, who holds no value and yet looks neutral. The distribution
of the mean angle of several administrations is exact, not simulated: that of one administration
of the six primary items (`svo.angle_distribution`), then convolution. Distances are in degrees, to
a point or to the nearest point of a set. This module must never draw a random number and must
never know a value by name.

Public names: intervals, distance, reachable, greatest_distance, checked_target, random_distance,
random_share, p_value, uniform, expected_distance.
"""

from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike

from hvae_utils.errors import UserError
from hvae_utils.measure import distribution, instruments, svo

_INSTRUMENT = "svo-slider"  # the angles of targets are those of its items
_STEP = 0.01  # degrees, the grid of mean angles up to ten administrations
_STEEPEST = 3.0  # nats a degree: weights tilted by more lie on the last angle alone
_PUBLISHED_DIGITS = 0.005  # degrees: published targets are rounded to two decimals


def intervals(target: ArrayLike) -> tuple[tuple[float, float], ...]:
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


def distance(angles: ArrayLike, target: ArrayLike) -> np.ndarray:
    """Return how far angles are from the nearest point of the target, degrees; 0 inside it.

    NaN where the angle is NaN. Errors: as `intervals`.
    """
    ends = np.array(intervals(target))
    angles = np.asarray(angles, float)[..., None]
    return np.maximum(np.maximum(ends[:, 0] - angles, angles - ends[:, 1]), 0).min(axis=-1)


@lru_cache
def reachable() -> tuple[float, float]:
    """Return the least and the greatest angle (degrees) that any profile of choices has."""
    angles = _random_angles().angles
    return float(angles[0]), float(angles[-1])


def greatest_distance(target: ArrayLike) -> float:
    """Return how far (degrees) any profile of choices can end up from the target.

    Two scores that each are a constant less a distance differ by at most this, either way.
    NaN for a NaN target. Errors: as `checked_target`.
    """
    return np.nan if _is_nan(target) else float(distance(reachable(), checked_target(target)).max())


def checked_target(target: ArrayLike) -> tuple[tuple[float, float], ...]:
    """Return `intervals(target)`; UserError as there, and where nobody can reach an angle of it."""
    found, (low, high) = intervals(target), reachable()
    for ends in found:
        if ends[0] < low - _PUBLISHED_DIGITS or ends[1] > high + _PUBLISHED_DIGITS:
            said = f"{ends[0]:g}" if ends[0] == ends[1] else f"[{ends[0]:g}, {ends[1]:g}]"
            raise UserError(
                f"target {said}: no respondent can get there; the reachable angles are "
                f"{low:.2f} to {high:.2f} degrees"
            )
    return found


def random_distance(target: ArrayLike, administrations: int) -> float:
    """Return the expected distance from the target of uniform random respondents, in degrees.

    The distance is that of the mean angle of so many administrations. Exact up to a grid: each
    angle is split between its two neighbours on a grid that has the ends of the target as points,
    which keeps its mean and, for one administration, its distance; the distribution of the sum is
    the power of the grid's transform. The grid (0.01 degrees up to 10 administrations, then
    coarser with the square root) adds less than 1e-4 degrees. NaN for a NaN target.
    Errors: UserError unless administrations is a whole number above 0; as `checked_target`.
    """
    if _is_nan(target):
        return np.nan
    return _mean_distance(_random_angles(), checked_target(target), _counted(administrations))


def random_share(target: ArrayLike, administrations: int, distance: float) -> float:
    """Return P(a uniform random respondent's mean angle is at most `distance` from the target).

    The chance, without any assumption about the respondent under test, that somebody who holds no
    value comes at least as close with as many administrations. Degrees; NaN if either is NaN.
    Exact up to the grid of `random_distance`. Errors: as there.
    """
    if _is_nan(target) or np.isnan(distance):
        return np.nan
    aim, administrations = checked_target(target), _counted(administrations)
    tilt = _tilt(_random_angles(), aim, distance)
    distances, chances, step = _distances(_random_angles(), aim, administrations, tilt)
    return float(min(chances[distances <= distance + step / 2].sum(), 1))


def p_value(share: float) -> float:
    """Return a share as it is written: at least 1e-12, six significant digits, NaN as it is.

    Below that the last bits of a processor's arithmetic would show, and nobody needs them.
    """
    return float(f"{max(share, 1e-12):.6g}")


def uniform() -> np.ndarray:
    """Return the response probabilities (items, options) of the uniform random respondent."""
    shape = instruments.load(_INSTRUMENT).payoffs.shape[:2]
    return np.full(shape, 1 / shape[1])


def expected_distance(
    probabilities: ArrayLike, target: ArrayLike, administrations: int = 1
) -> float:
    """Return the expected distance from the target of a respondent, degrees, as `random_distance`.

    probabilities: float array (items, options) for the six primary items, rows sum to 1; every
    item of every administration is drawn from them on its own.
    Errors: as `svo.angle_distribution` and `random_distance`.
    """
    if _is_nan(target):
        return np.nan
    angle, administrations = _angles(probabilities), _counted(administrations)
    return _mean_distance(angle, checked_target(target), administrations)


def _is_nan(target: ArrayLike) -> bool:
    return isinstance(target, float | np.floating) and bool(np.isnan(target))


def _random_angles() -> svo.AngleDistribution:
    return _angles(uniform())


def _angles(probabilities: ArrayLike) -> svo.AngleDistribution:
    """Return the distribution of the angle; worked out once for the same table."""
    instrument = instruments.load(_INSTRUMENT)
    table = distribution.checked_tables(probabilities, instrument)
    return _angles_of(table.tobytes(), table.shape)


@lru_cache(maxsize=64)
def _angles_of(table: bytes, shape: tuple[int, ...]) -> svo.AngleDistribution:
    table = np.frombuffer(table).reshape(shape)
    return svo.angle_distribution(table, instruments.load(_INSTRUMENT))


def _counted(administrations: int) -> int:
    if not isinstance(administrations, int | np.integer) or administrations < 1:
        raise UserError(f"administrations must be a whole number above 0, not {administrations!r}")
    return int(administrations)


@lru_cache(maxsize=128)
def _mean_distance(
    angle: svo.AngleDistribution,
    target: tuple[tuple[float, float], ...],
    administrations: int,
) -> float:
    distances, chances, _ = _distances(angle, target, administrations)
    return float(chances @ distances)


def _tilt(
    angle: svo.AngleDistribution, target: tuple[tuple[float, float], ...], distance: float
) -> float:
    """Return the rate t (nats a degree) at which weights x exp(t angle) have their mean near by.

    Near by: on the nearest angle that is `distance` from the target; 0 where the mean is closer.
    Found on whole degrees, to 0.05, so that few rates are ever in use.
    """
    ends = np.add(target, (-distance, distance))
    if ((ends[:, 0] <= angle.mean) & (angle.mean <= ends[:, 1])).any():
        return 0.0
    near = ends.flat[np.abs(ends - angle.mean).argmin()]
    degrees, weights = _whole_degrees(angle)
    rates = np.arange(-_STEEPEST, _STEEPEST, 0.05)[:, None]
    powers = rates * degrees
    tilted = weights * np.exp(powers - powers.max(axis=1, keepdims=True))
    means = tilted @ degrees / tilted.sum(axis=1)
    return float(rates[np.abs(means - near).argmin(), 0])


@lru_cache(maxsize=8)
def _whole_degrees(angle: svo.AngleDistribution) -> tuple[np.ndarray, np.ndarray]:
    degrees, which = np.unique(np.round(angle.angles), return_inverse=True)
    return degrees, np.bincount(which, angle.weights)


@lru_cache(maxsize=64)
def _distances(
    angle: svo.AngleDistribution,
    target: tuple[tuple[float, float], ...],
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
