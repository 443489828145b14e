"""Chance: how far from a target a respondent ends up whose answers are drawn from probabilities.

>>> round(random_distance(45, 3), 1), round(random_share(45, 3, 10), 2)
(22.3, 0.05)

The distribution of the mean angle of several administrations is exact: that of one
(`svo.angle_distribution`), then convolution. Distances are in degrees, to a point or to the nearest
point of an interval. The instrument is `svo-slider` unless passed.
"""

from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike

from hvae_utils.errors import UserError
from hvae_utils.measure import distribution, instruments, svo
from hvae_utils.measure.instruments import Instrument

ROUNDED = 0.005  # degrees: published targets are rounded to two decimals
_STEP = 0.01  # degrees, the grid of mean angles up to ten administrations


def random_distance(
    target: ArrayLike, administrations: int, instrument: Instrument | None = None
) -> float:
    """Return the expected distance from the target of uniform random respondents, in degrees.

    Of the mean angle of so many administrations. Exact up to a grid that has the ends of the target
    as points: each angle is split between its two neighbours, and the distribution of the sum is
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
    distances, chances, _ = _distances(probabilities, target, administrations, instrument)
    return float(chances @ distances)


def random_share(
    target: ArrayLike,
    administrations: int,
    distance: float,
    instrument: Instrument | None = None,
) -> float:
    """Return P(a uniform random respondent's mean angle is at most `distance` from the target).

    Degrees; NaN if either is NaN. As exact as `random_distance`. Errors: as there.
    """
    if _is_nan(target) or np.isnan(distance):
        return np.nan
    distances, chances, step = _distances(uniform(instrument), target, administrations, instrument)
    return float(np.clip(chances[distances <= distance + step / 2].sum(), 0, 1))


def p_value(share: float) -> float:
    """Return a share as it is written: at least 1e-9, six significant digits, NaN as it is."""
    return float(f"{max(share, 1e-9):.6g}")


def uniform(instrument: Instrument | None = None) -> np.ndarray:
    """Return the response probabilities (items, options) of the uniform random respondent."""
    shape = (instrument or instruments.load("svo-slider")).payoffs.shape[:2]
    return np.full(shape, 1 / shape[1])


def random_angle(instrument: Instrument | None = None) -> float:
    """Return the mean angle (degrees) of the uniform random respondent, exactly.

    >>> round(random_angle(), 3)
    22.703
    """
    return _angles(uniform(instrument), instrument).mean


@lru_cache
def reachable(instrument: Instrument | None = None) -> tuple[float, float]:
    """Return the least and the greatest angle (degrees) that any profile of choices has."""
    angles = _angles(uniform(instrument), instrument).angles
    return float(angles[0]), float(angles[-1])


def distance(angles: ArrayLike, target: ArrayLike) -> np.ndarray:
    """Return how far angles are from the nearest point of the target, degrees; 0 inside it.

    >>> distance([40, 50], (20, 45)).tolist()
    [0.0, 5.0]

    NaN where the angle is NaN. Errors: as `interval`.
    """
    (low, high), angles = interval(target), np.asarray(angles, float)
    return np.maximum(np.maximum(low - angles, angles - high), 0)


def interval(target: ArrayLike) -> tuple[float, float]:
    """Return a target, an angle or an interval (low, high), as (low, high) in degrees.

    UserError for another shape, an end that is no finite number, and one that runs downwards.
    """
    try:
        low, high = np.broadcast_to(np.asarray(target, float), 2).tolist()
    except (TypeError, ValueError):
        low = high = np.nan
    if not -np.inf < low <= high < np.inf:
        raise UserError(
            f"a target must be degrees, or an interval of degrees from low to high, not {target!r}"
        )
    return low, high


def checked_target(target: ArrayLike, instrument: Instrument | None = None) -> tuple[float, float]:
    """Return `interval(target)`; UserError as there, and where nobody can reach an end of it."""
    (low, high), (least, greatest) = interval(target), reachable(instrument)
    if low < least - ROUNDED or high > greatest + ROUNDED:
        shown = f"{low:g}" if low == high else f"[{low:g}, {high:g}]"
        raise UserError(
            f"target {shown}: no respondent can get there; the reachable angles are "
            f"{least:.2f} to {greatest:.2f} degrees"
        )
    return low, high


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


def _distances(
    probabilities: ArrayLike,
    target: ArrayLike,
    administrations: int,
    instrument: Instrument | None,
) -> tuple[np.ndarray, np.ndarray, float]:
    """Return the distances of the grid of mean angles from the target, their P, and its step."""
    if not isinstance(administrations, int | np.integer) or administrations < 1:
        raise UserError(f"administrations must be a whole number above 0, not {administrations!r}")
    aim = checked_target(target, instrument)
    return _distances_of(_angles(probabilities, instrument), aim, int(administrations))


@lru_cache(maxsize=64)
def _distances_of(
    angle: svo.AngleDistribution, target: tuple[float, float], administrations: int
) -> tuple[np.ndarray, np.ndarray, float]:
    low, high = target
    step = _STEP * max(1.0, np.sqrt(administrations / 10))
    if high > low:  # both ends on the grid
        step = (high - low) / np.ceil((high - low) / step)
    position = (angle.angles - low) / step
    lower = np.floor(position).astype(int)
    upper_share = position - lower
    points = np.concatenate([lower, lower + 1])
    weights = np.concatenate([angle.weights * (1 - upper_share), angle.weights * upper_share])
    mean = weights @ points
    spread = np.sqrt(max(weights @ points**2 - mean**2, 0) + 1)
    # The sum is kept modulo `size`: 12 standard deviations to either side, or all there is.
    size = 1 << int(np.ceil(np.log2(24 * spread * np.sqrt(administrations))))
    grid = np.bincount(points % size, weights, size)
    chances = np.fft.irfft(np.fft.rfft(grid) ** administrations, size)
    centre = round(administrations * mean)
    sums = centre + (np.arange(size) - centre + size // 2) % size - size // 2
    step = step / administrations
    return distance(low + sums * step, target), chances, step
