"""The utility that choices show, from the probabilities of the options.

>>> from hvae_utils.measure import instruments
>>> slider = instruments.load("svo-slider")
>>> tables = chances(Utility(0.4, 0.2, 0.1), slider.payoffs)[None]
>>> found = fit(tables, slider.payoffs)
>>> round(found.rho, 2), round(found.sigma, 2), round(found.precision, 2)
(0.4, 0.2, 0.1)

Two weights (`fit`): u = (1 - r) own + r other, with r = rho where one has at least as much as the
other, else sigma; an option is chosen with a probability proportional to exp(precision u) (Charness
& Rabin 2002, Quarterly Journal of Economics 117, 817-869; Bruhin, Fehr & Schunk 2019, Journal of
the European Economic Association 17, 1025-1069). No curvature: six items do not identify one.

One weight (`weigh`), which other games are predicted from: u = cos(angle) own + sin(angle) other,
and a lapse rate. Ideal answers to nine options leave a range of angles open, in which none fits
better; the middle of that range is taken, its ends are told, and predictions are means over it.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike

from hvae_utils.errors import UserError

MOST_PRECISE = 5.0  # per coin, of two weights: one coin more is as good as certain
WEIGHTS = (-3.0, 3.0)  # in which rho and sigma are looked for
_SLOW = 0.02  # precision at which the search begins
_SINGULAR = 1e12  # condition number of an information matrix that cannot be inverted
# The grid of one weight: nobody prefers to have less, so angles from -90 to 90 degrees.
_ANGLES = np.radians(np.arange(-90.0, 91.0))
_PRECISIONS = np.geomspace(0.005, 50, 33)  # per coin
_LAPSES = np.linspace(0, 1, 41)
# How many answers the tables count as: they are exact, so that only what fits as well as the best
# to a thousandth of a nat stays, and a range that nothing tells apart stays whole.
ANSWERS = 1000
_TAIL = 0.025  # of the weight that lies beyond each end of the range


@dataclass(frozen=True)
class Utility:
    """Weights on the other's coins and how sharply they decide.

    rho: weight of the other where one has at least as much, sigma: where one has less (one's own
    coins weigh 1 - r), NaN beyond WEIGHTS; precision: per coin, 0 for choices at random; nats: mean
    KL divergence of the tables from their fit, an item; nats_uniform: from uniform choices.
    """

    rho: float
    sigma: float
    precision: float
    nats: float = np.nan
    nats_uniform: float = np.nan


@dataclass(frozen=True, eq=False)
class Weighing:
    """One weight: angle (degrees; tan of it is the weight of the other's coin), low and high (the
    range that the tables leave open), precision (per coin), lapse (share, 0 to 1, of answers at
    random), nats and nats_uniform as in `Utility`.

    shares: float array (angles, precisions) of the grid, the share of answers that each pair
        decides; with the lapse they sum to 1.
    """

    angle: float
    low: float
    high: float
    precision: float
    lapse: float
    nats: float
    nats_uniform: float
    shares: np.ndarray

    def worth(self, payoffs: ArrayLike) -> np.ndarray:
        """Return the utility (...), in coins, of payoffs (..., 2) = (self, other)."""
        own, other = np.moveaxis(np.asarray(payoffs, float), -1, 0)
        return np.cos(np.radians(self.angle)) * own + np.sin(np.radians(self.angle)) * other

    def chances(self, payoffs: ArrayLike) -> np.ndarray:
        """Return the probability of each option, float (items, options): a mean over `shares`."""
        payoffs = np.asarray(payoffs, float)
        sharp = np.tensordot(self.shares, _grid(payoffs.tobytes(), payoffs.shape), axes=2)
        return sharp + self.lapse / sharp.shape[-1]


def chances(utility: Utility, payoffs: ArrayLike) -> np.ndarray:
    """Return the probability of each option (items, options) of payoffs (items, options, 2)."""
    own, other = np.moveaxis(np.asarray(payoffs, float), -1, 0)
    weight = np.where(own >= other, utility.rho, utility.sigma)
    return _softmax(utility.precision * ((1 - weight) * own + weight * other))


def fit(tables: ArrayLike, payoffs: ArrayLike) -> Utility:
    """Return the utility of two weights nearest to tables, by the mean KL divergence from them.

    tables: float array (tables, items, options), rows summing to 1: of one respondent in several
    wordings, or shares of choices, of which this is the maximum likelihood; payoffs: float array
    (items, options, 2), coins. rho and sigma are NaN beyond WEIGHTS, as where one's own
    coins have no weight at all. Errors: UserError for tables of another shape or with NaN.
    """
    from scipy.optimize import minimize  # slow to import

    tables, payoffs = _checked(tables, payoffs)
    mean, features = tables.mean(axis=0), _features(payoffs)

    def loss(scaled: np.ndarray) -> tuple[float, np.ndarray]:
        """Return the cross entropy in (precision, precision rho, precision sigma): it is convex."""
        logits = features @ scaled
        top = logits.max(axis=1)
        logs = top + np.log(np.exp(logits - top[:, None]).sum(axis=1))
        slope = ((_softmax(logits) - mean)[..., None] * features).sum(axis=(0, 1)) / len(mean)
        return float((logs - (mean * logits).sum(axis=1)).mean()), slope

    most = MOST_PRECISE * WEIGHTS[1]
    how = {
        "method": "L-BFGS-B",
        "bounds": [(0, MOST_PRECISE), (-most, most), (-most, most)],
        "options": {"maxiter": 1000, "ftol": 1e-14, "gtol": 1e-9},
    }
    best = minimize(loss, [_SLOW, 0.0, 0.0], jac=True, **how)
    precision, *scaled = best.x
    low, high = WEIGHTS
    rho, sigma = (
        float(one / precision) if low * precision < one < high * precision else np.nan
        for one in scaled
    )
    nats = best.fun - _entropy(tables)
    return Utility(rho, sigma, float(precision), nats, _from_uniform(tables))


def covariance(utility: Utility, payoffs: ArrayLike, administrations: float = 1) -> np.ndarray:
    """Return the covariance matrix (3, 3) of (rho, sigma, precision), from Fisher's information.

    administrations: how often each item was answered by one choice. NaN where the choices do not
    identify all three, being certain or at random.

    >>> from hvae_utils.measure import instruments
    >>> found = covariance(Utility(0.4, 0.2, 0.1), instruments.load("svo-slider").payoffs)
    >>> np.sqrt(np.diag(found))[:2].round(2).tolist()  # standard errors of rho and sigma
    [0.33, 0.56]
    """
    payoffs = np.asarray(payoffs, float)
    features, found = _features(payoffs), chances(utility, payoffs)
    rho, sigma, precision = utility.rho, utility.sigma, utility.precision
    chain = np.array([[0, 0, 1], [precision, 0, rho], [0, precision, sigma]])
    slopes = features @ chain  # of the logits, by (rho, sigma, precision)
    slopes = slopes - (found[..., None] * slopes).sum(axis=1, keepdims=True)
    information = np.einsum("io,ioj,iok->jk", found, slopes, slopes)
    if not np.isfinite(information).all() or np.linalg.cond(information) > _SINGULAR:
        return np.full((3, 3), np.nan)
    return np.linalg.inv(information * administrations)


def weigh(tables: ArrayLike, payoffs: ArrayLike) -> Weighing:
    """Return the one weight that tables show; arguments and errors as `fit`.

    The mean over a grid of angles, precisions and lapse rates, weighted by how well each explains
    the tables.
    """
    tables, payoffs = _checked(tables, payoffs)
    shapes = tables.shape, payoffs.shape
    return _weighed(np.ascontiguousarray(tables).tobytes(), payoffs.tobytes(), *shapes)


@lru_cache(maxsize=256)
def _weighed(
    tables: bytes, payoffs: bytes, shape: tuple[int, ...], of_payoffs: tuple[int, ...]
) -> Weighing:
    """Return `weigh` of the arrays' bytes: the same tables come again and again."""
    tables = np.frombuffer(tables).reshape(shape)
    mean, entropy = tables.mean(axis=0), _entropy(tables)
    sharp = _grid(payoffs, of_payoffs)
    nats = np.empty((*sharp.shape[:2], len(_LAPSES)))
    for place, lapse in enumerate(_LAPSES):
        mixed = np.maximum((1 - lapse) * sharp + lapse / mean.shape[1], 1e-300)
        nats[..., place] = -(mean * np.log(mixed)).sum(axis=-1).mean(axis=-1) - entropy
    weights = np.exp(-ANSWERS * (nats - nats.min()))
    weights /= weights.sum()
    by_angle = weights.sum(axis=(1, 2))
    angle = float(np.degrees(by_angle @ _ANGLES))
    low, high = np.degrees(np.interp([_TAIL, 1 - _TAIL], np.cumsum(by_angle), _ANGLES))
    return Weighing(
        angle=round(angle, 9) + 0.0,  # no -0.0
        low=float(min(low, angle)),
        high=float(max(high, angle)),
        precision=float(np.exp(weights.sum(axis=(0, 2)) @ np.log(_PRECISIONS))),
        lapse=float(weights.sum(axis=(0, 1)) @ _LAPSES),
        nats=float(nats.min()),
        nats_uniform=_from_uniform(tables),
        shares=weights @ (1 - _LAPSES),
    )


@lru_cache(maxsize=16)  # more than there are games; some 3 MB each
def _grid(payoffs: bytes, shape: tuple[int, ...]) -> np.ndarray:
    """Return the chances of each angle and precision, (angles, precisions, items, options)."""
    coins = np.frombuffer(payoffs).reshape(shape)
    directions = np.stack([np.cos(_ANGLES), np.sin(_ANGLES)], axis=-1)
    worth = np.einsum("ap,iop->aio", directions, coins)
    return _softmax(worth[:, None] * _PRECISIONS[:, None, None])


def _features(payoffs: np.ndarray) -> np.ndarray:
    """Return what precision, precision rho and precision sigma multiply, (items, options, 3)."""
    own, gap = payoffs[..., 0], payoffs[..., 1] - payoffs[..., 0]
    features = np.stack([own, np.where(gap <= 0, gap, 0), np.where(gap <= 0, 0, gap)], axis=-1)
    return features - features.mean(axis=1, keepdims=True)


def _checked(tables: ArrayLike, payoffs: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    tables, payoffs = np.asarray(tables, float), np.ascontiguousarray(payoffs, float)
    if tables.ndim != 3 or tables.shape[1:] != payoffs.shape[:2] or not len(tables):
        raise UserError(
            f"tables: expected (tables, items, options) = (…, {payoffs.shape[0]}, "
            f"{payoffs.shape[1]}), found {tables.shape}"
        )
    if np.isnan(tables).any():
        raise UserError("tables: an item without an answer shows no utility; leave the table out")
    return tables, payoffs


def _entropy(tables: np.ndarray) -> float:
    """Return the mean entropy of an item, in nats."""
    return float((tables * np.log(np.where(tables > 0, tables, 1))).sum(axis=-1).mean()) * -1


def _from_uniform(tables: np.ndarray) -> float:
    """Return the mean KL divergence from uniform choices, an item, in nats."""
    return float(np.log(tables.shape[2]) - _entropy(tables))


def _softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)
