"""How sure a mean over few clusters is: confidence intervals that cover in small samples.

>>> ten_alike = covering_interval([61.39] * 10)
>>> round(ten_alike.mean, 1), round(ten_alike.low, 1), round(ten_alike.high, 1)
(61.4, 41.3, 61.4)

A cluster is what varies at random: one wording with one goal draw (`factors.clusters`); the items
are fixed. The covering interval is the t interval, which is far too short where clusters agree,
held between two bounds that need nothing but the range; `docs/intervals.md` has the simulation.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from hvae_utils.errors import UserError
from hvae_utils.measure import svo
from hvae_utils.metrics import chance

LEVEL = 0.95  # of every interval that is not passed one
_FEW = 5  # clusters; with fewer the covering interval covers, but says little
_MOST = 100_000  # clusters that are ever recommended
_HALVINGS = 32  # of a bracket at most as wide as the range: an error below 1e-9 of it


@dataclass(frozen=True)
class Interval:
    """A mean with its confidence interval, in the units of the sample.

    n: observations used, or clusters where there are any; low and high are NaN, and note says
    why, when not estimable.
    """

    mean: float
    low: float
    high: float
    n: int
    note: str = ""


def covering_interval(
    angles: ArrayLike,
    clusters: ArrayLike | None = None,
    low: float | None = None,
    high: float | None = None,
) -> Interval:
    """Return the mean of the cluster means and a 95% interval that covers in small samples too.

    >>> covering_interval([30, 31, 34], ["plain", "plain", "formal"]).note
    'only 2 clusters: wide'

    angles: degrees, NaN (unscored) left out; clusters: one identifier an angle, each angle its
    own cluster where None; low, high: the ends of the range the angles can lie in, those of the
    primary items unless passed. Clusters count equally, however many angles they hold. In every
    scenario of `docs/intervals.md` nominal 95% covers at least 93%. Fewer than two clusters give
    NaN limits and a note; two to four give wide limits and a note.
    Errors: UserError for an angle outside the range, or clusters that do not match the angles.
    """
    least, greatest = chance.reachable()
    low, high = least if low is None else low, greatest if high is None else high
    means = cluster_means(angles, clusters)
    angles = np.asarray(angles, float)
    if (outside := angles[(angles < low - chance.ROUNDED) | (angles > high + chance.ROUNDED)]).size:
        place = f"{outside[0]:.6g} lies outside the range {low:.2f} to {high:.2f}"
        raise UserError(f"angles: {place}; give the range of this instrument as low and high")
    count, unit = len(means), "observation" if clusters is None else "cluster"
    if not count:
        return Interval(np.nan, np.nan, np.nan, 0, "nothing scored")
    mean = float(means.mean())
    if count < 2:
        note = f"too few {unit}s ({count}): an interval needs two"
        return Interval(mean, np.nan, np.nan, count, note)
    (lower,), (upper,) = covering_limits(np.clip(means, low, high)[None], LEVEL, low, high)
    note = f"only {count} {unit}s: wide" if count < _FEW else ""
    return Interval(mean, float(lower), float(upper), count, note)


def recommend_administrations(half_width: float, spread: float | None = None) -> int:
    """Return how many clusters make the covering interval about +-half_width degrees, or less.

    >>> recommend_administrations(10)
    16

    spread: standard deviation of the cluster means in degrees; that of a uniform random
    respondent, 12.9, unless passed.
    The formula is sqrt(t^2 spread^2 / K + (q (high - low) / 2)^2) with q = 1 - 0.05^(1/K):
    sampling, and what K clusters that agree leave open. In the simulation of `docs/intervals.md`
    it is near the mean half width and mostly above it.
    Errors: UserError for a half width not above 0 or out of reach, and a spread below 0.
    """
    from scipy.special import stdtrit  # slow to import

    low, high = chance.reachable()
    spread = svo.angle_distribution(chance.uniform()).sd if spread is None else spread
    if not 0 < half_width < np.inf or not 0 <= spread < np.inf:
        raise UserError(
            f"half_width must be above 0 and spread not below 0 degrees, not {half_width}, {spread}"
        )

    sizes = np.arange(2, _MOST)
    sampling = stdtrit(sizes - 1, (1 + LEVEL) / 2) * spread / np.sqrt(sizes)
    halves = np.hypot(sampling, (1 - (1 - LEVEL) ** (1 / sizes)) * (high - low) / 2)
    if halves[-1] > half_width:
        raise UserError(f"half_width: {half_width} degrees need more than {_MOST} clusters")
    return int(sizes[halves <= half_width][0])


def cluster_means(angles: ArrayLike, clusters: ArrayLike | None = None) -> np.ndarray:
    """Return the mean of each cluster's angles (degrees), NaN angles left out.

    A cluster without any angle is left out. Errors: UserError where identifiers are missing or do
    not match the angles, or an angle is infinite.
    """
    angles = np.asarray(angles, float).ravel()
    if np.isinf(angles).any():
        raise UserError("angles: must be finite, or NaN where nothing was scored")
    if clusters is None:
        return angles[~np.isnan(angles)]
    clusters = pd.Series(list(clusters), dtype=object)
    if len(clusters) != len(angles) or clusters.isna().any():
        raise UserError(f"clusters: {len(angles)} angles need as many identifiers, none missing")
    return pd.Series(angles).groupby(clusters, sort=False).mean().dropna().to_numpy()


def covering_limits(
    samples: ArrayLike, level: float, low: float, high: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return lower and upper limits, one each a sample, of the covering interval.

    samples: float array (samples, K), K >= 2, within low to high. Each t limit, but not further
    from the mean than the bounded-mean limit at `level` and not nearer than the one at
    2 * level - 1. Near an end of the range only one side can be missed, so a one-sided limit is
    enough there. Equal means at an end get the rule of three, exactly:
    mean - (1 - (1 - level)^(1/K)) * (mean - low).
    """
    lower, upper = t_limits(samples, level)
    least, greatest = bounded_mean_limits(samples, (level, 2 * level - 1), low, high)
    return np.clip(lower, *least), np.clip(upper, *greatest[::-1])


def t_limits(samples: ArrayLike, level: float) -> tuple[np.ndarray, np.ndarray]:
    """Return lower and upper limits of the t interval, one each a sample (samples, K)."""
    from scipy.special import stdtrit  # slow to import

    samples = np.asarray(samples, float)
    size, mean = samples.shape[1], samples.mean(axis=1)
    half = stdtrit(size - 1, (1 + level) / 2) * samples.std(axis=1, ddof=1) / np.sqrt(size)
    return mean - half, mean + half


def bounded_mean_limits(
    samples: ArrayLike, levels: tuple[float, ...], low: float, high: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return lower and upper limits (levels, samples) of the bounded-mean interval.

    samples: float array (samples, K) within low to high. Upper limit: the quantile (1 + level) / 2
    of the weighted mean of the sample and of one more observation at `high`, weights drawn evenly
    from all that sum to 1; lower limit: the mirror image with `low` (Gaffke 2005;
    Learned-Miller & Thomas 2019, arXiv 1905.06208, who conjecture that it covers for every
    distribution within the range; for a mixture of the two ends it is Clopper-Pearson). Nothing
    is drawn: the quantile is exact to 1e-9 of the range.
    """
    samples, tails = np.asarray(samples, float), (1 - np.array(levels)) / 2
    with_low, with_high = (np.insert(samples, 0, end, axis=1) for end in (low, high))
    values = np.vstack([*[with_low] * len(tails), *[with_high] * len(tails)])
    quantiles = _quantiles(values, np.repeat([*tails, *(1 - tails)], len(samples)))
    lower, upper = quantiles.reshape(2, len(tails), len(samples))
    return lower, upper


def _quantiles(values: np.ndarray, q: np.ndarray) -> np.ndarray:
    """Return quantile q (rows,) of sum w_i values_i, w even on the simplex, by bisection."""
    values = np.sort(values, axis=1)
    below, above = values[:, 0], values[:, -1]
    for _ in range(_HALVINGS):
        middle = (below + above) / 2
        short = _shares(values, middle) < q
        below, above = np.where(short, middle, below), np.where(short, above, middle)
    return (below + above) / 2


def _shares(values: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Return P(sum w_i values_i <= x) for each row, w even on the simplex.

    values: float array (rows, n + 1), sorted along the rows; x (rows,) within each row's values.
    The density is the B-spline with the values as knots (Curry & Schoenberg 1966), so the share is
    a spline of degree n with coefficients 0 up to the first value and 1 from there on. De Boor's
    recursion only ever averages, so ties and many values do no harm.
    """
    degree = values.shape[1] - 1
    padding = [np.repeat(values[:, [end]], degree, axis=1) for end in (0, -1)]
    knots = np.hstack([padding[0], values, padding[1]])
    before = np.clip((values[:, :-1] <= x[:, None]).sum(axis=1) - 1, 0, degree - 1)
    near = np.take_along_axis(knots, before[:, None] + np.arange(1, 2 * degree + 1), axis=1)
    share = (before[:, None] + np.arange(degree + 1) >= degree).astype(float)
    for step in range(degree):
        lower, upper = near[:, step:degree], near[:, degree : 2 * degree - step]
        width = upper - lower
        rise = np.divide(x[:, None] - lower, width, out=np.ones_like(width), where=width > 0)
        share = share[:, :-1] + rise * (share[:, 1:] - share[:, :-1])
    return share[:, 0]
