"""How sure a mean over few wordings is: confidence intervals that cover in small samples.

>>> low, high = cell_limits([[45.0] * 9], 0, 60)  # nine wordings agree, yet 28% may be otherwise
>>> low.round(1).tolist(), high.round(1).tolist()
([32.3], [49.2])

The default of a cell, `cell_limits`, is the widest of three intervals over the cells of one model:
t with one variance for all, t with the cells' variances drawn towards each other, and the rule of
three. It assumes that a model's cells share a frequency of misreadings. `covering_interval` assumes
nothing but the range and is several times as wide; `t_interval` serves differences between paired
wordings. All speak of wordings like these, the clusters; `docs/intervals.md` has the simulation.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from hvae_utils.errors import UserError
from hvae_utils.metrics import chance

LEVEL = 0.95  # of every interval that is not passed one
_FEW = 5  # clusters; with fewer the covering interval covers, but says little
_HALVINGS = 32  # of a bracket at most as wide as the range: an error below 1e-9 of it
_SAME = 1e-9  # degrees; means this close agree


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


def cell_limits(cells: ArrayLike, low: float, high: float) -> tuple[np.ndarray, np.ndarray]:
    """Return lower and upper 95% limits of the mean of each cell of one model.

    cells: float array (cells, wordings), mean angles within low to high, NaN where a wording was
    not scored; limits need two wordings, else NaN. The least and greatest limit of
    E: t with one variance pooled over the cells, its degrees of freedom from `_freedom`;
    M: moderated t, each variance drawn towards a prior fitted to all (Smyth 2004, Stat. Appl.
    Genet. Mol. Biol. 3(1), section 6; variances of 0 are raised to 1e-5 of the median), with no
    more degrees of freedom than E;
    R: the rule of three pooled over all wordings of all cells: a share 1 - 0.05^(1 / their number)
    of another mind may go unseen, so the mean may lie by that share nearer to an end of the range.
    """
    from scipy.special import stdtrit  # slow to import

    cells = np.asarray(cells, float)
    counts = (~np.isnan(cells)).sum(axis=1)
    lower, upper = np.full((2, len(cells)), np.nan)
    own = counts > 1
    if not own.any():
        return lower, upper
    scored, counts = cells[own], counts[own]
    mean, variances = np.nanmean(scored, axis=1), np.nanvar(scored, axis=1, ddof=1)
    variances = np.where(variances > _SAME**2, variances, 0.0)
    pooled, most = (counts - 1) @ variances / (counts - 1).sum(), _freedom(scored)
    moderated, gained = _moderated(variances, counts - 1.0)
    each = np.minimum(counts - 1 + gained, most)
    half = np.maximum(
        stdtrit(most, (1 + LEVEL) / 2) * np.sqrt(pooled / counts),
        stdtrit(each, (1 + LEVEL) / 2) * np.sqrt(moderated / counts),
    )
    unseen = 1 - (1 - LEVEL) ** (1 / counts.sum())
    lower[own] = np.clip(np.minimum(mean - half, mean - unseen * (mean - low)), low, high)
    upper[own] = np.clip(np.maximum(mean + half, mean + unseen * (high - mean)), low, high)
    return lower, upper


def t_interval(means: ArrayLike) -> Interval:
    """Return the mean of cluster means (NaN left out) and its 95% t interval.

    >>> found = t_interval([3, 9, 4.5, 7])
    >>> round(found.low, 1), round(found.high, 1)
    (1.6, 10.1)
    """
    means = cluster_means(means)
    if not len(means):
        return Interval(np.nan, np.nan, np.nan, 0, "nothing scored")
    if len(means) < 2:
        note = "too few wordings (1): an interval needs two"
        return Interval(float(means.mean()), np.nan, np.nan, 1, note)
    (low,), (high,) = t_limits(means[None], LEVEL)
    note = "all wordings agree: the interval has no width" if np.ptp(means) <= _SAME else ""
    return Interval(float(means.mean()), float(low), float(high), len(means), note)


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
    scenario of `docs/intervals.md` nominal 95% covers at least 95%. Fewer than two clusters give
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


def _freedom(cells: np.ndarray) -> float:
    """Return the degrees of freedom of the variance pooled over cells (cells, wordings).

    All, where each cell's wordings differ by themselves; as few as one cell has, where a wording
    shifts all cells alike. In between (sum of l)^2 / (sum of l^2) per degree of a cell, where l are
    the variances of the shift that cells share and of each other contrast of cells, from the mean
    squares of the two-way table (Satterthwaite 1946; Box 1954).
    """
    counts = (~np.isnan(cells)).sum(axis=1)
    every, least = float((counts - 1).sum()), float(counts.max() - 1)
    whole = cells[:, ~np.isnan(cells).any(axis=0)]
    count, wordings = whole.shape
    if count < 2 or wordings < 2:
        return every
    left = whole - whole.mean(axis=1, keepdims=True)
    shift = left.mean(axis=0)
    shared = count * (shift @ shift)
    others = ((left - shift) ** 2).sum() / (count - 1)
    if shared + others <= _SAME**2:
        return every
    share = (shared + (count - 1) * others) ** 2 / (shared**2 + (count - 1) * others**2)
    return float(np.clip(every * share / count, least, every))


def _moderated(variances: np.ndarray, freedom: np.ndarray) -> tuple[np.ndarray, float]:
    """Return variances drawn towards their prior (Smyth 2004), and the degrees of freedom gained.

    log variance is the prior's log scale plus log F; its mean and its spread beyond that of the
    chi-squared give the prior's scale and degrees of freedom (infinite: all are alike).
    """
    from scipy.special import digamma, polygamma  # slow to import

    middle = np.median(variances)
    raised = np.maximum(variances, 1e-5 * (middle if middle > 0 else 1.0))
    if len(variances) < 2 or not variances.any():
        return variances, 0.0
    logs = np.log(raised) - digamma(freedom / 2) + np.log(freedom / 2)
    beyond = logs.var(ddof=1) - polygamma(1, freedom / 2).mean()
    if beyond <= 0:
        return np.full(len(variances), np.exp(logs.mean())), np.inf
    prior = 2 * _trigamma_inverse(float(beyond))
    scale = np.exp(logs.mean() + digamma(prior / 2) - np.log(prior / 2))
    return (prior * scale + freedom * variances) / (prior + freedom), prior


def _trigamma_inverse(y: float) -> float:
    """Return x with trigamma(x) = y, y above 0, by Newton's method (Smyth 2004, appendix)."""
    from scipy.special import polygamma

    x = 0.5 + 1 / y
    for _ in range(50):
        found = polygamma(1, x)
        step = found * (1 - found / y) / polygamma(2, x)
        x += step
        if abs(step) < 1e-8 * x:
            break
    return float(x)


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
