"""Sums of independent items: every pair of coins a table of probabilities can add up to.

The distribution of the payoffs' sums, and with it that of the SVO angle, follows exactly from the
probabilities of each item's options where items are answered independently. Item by item, each pair
of sums so far is carried to the pair it becomes under each option; equal pairs are merged, so the
531,441 profiles of the six primary items end in 19,742 pairs.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike

from hvae_utils.errors import UserError
from hvae_utils.measure.instruments import Instrument

_OFF = 1e-6  # how far from 1 the probabilities of an item may sum: printed and rounded tables
_SAME = 9  # decimals of a coin to which two sums are one pair
_MOST = 4_000_000  # pairs of sums; more would not fit into the memory of a small machine
_WEIGHTS = 1 << 20  # held at once when many tables are averaged, to keep memory flat
_ROUNDING = 1e-12  # probability: what adding up some ten thousand weights may be off by


@dataclass(frozen=True, eq=False)
class AngleDistribution:
    """The exact distribution of the SVO angle of one administration.

    angles: float array (angles,), degrees, rising, each angle that can occur once.
    weights: float array (angles,), the probability of each, summing to 1.
    mean, sd: degrees; of the angle, not the angle of the mean payoffs.
    categories: the probability of each of `svo.CATEGORIES`, in their order.
    """

    angles: np.ndarray
    weights: np.ndarray
    mean: float
    sd: float
    categories: dict[str, float]

    def quantile(self, q: ArrayLike) -> np.ndarray | float:
        """Return the least angle (degrees) with P(angle <= it) >= q: the left-continuous inverse.

        q: probabilities, with 1e-12 allowed for rounding, so the median of two equally likely
        angles is the lower one. Errors: UserError for a q outside 0 to 1.
        """
        q = np.asarray(q, float)
        if not ((q >= 0) & (q <= 1)).all():
            raise UserError(f"quantile: q must lie between 0 and 1, not {q[()]}")
        at = np.searchsorted(np.cumsum(self.weights), q - _ROUNDING)
        last = len(self.angles) - 1
        return self.angles[np.where(q == 1, last, np.minimum(at, last))]


def checked_tables(probabilities: ArrayLike, instrument: Instrument) -> np.ndarray:
    """Return tables (..., items, options) as floats, each item's probabilities summing to 1.

    Sums off by at most 1e-6 are scaled away. Errors: UserError for another shape, and for a NaN, a
    negative and another sum, naming item (published number) and, of several, the table.
    """
    shape = instrument.payoffs.shape[:2]
    try:
        tables = np.asarray(probabilities, float)
    except (TypeError, ValueError):
        tables = np.empty(0)
    if tables.shape[-2:] != shape:
        raise UserError(
            f"probabilities: expected numbers in the shape (items, options) = {shape} for "
            f"'{instrument.name}', found {tables.shape}"
        )
    totals = tables.sum(axis=-1)
    proper = (tables >= 0).all(axis=-1) & (np.abs(totals - 1) <= _OFF)
    if not proper.all():
        *table, item = np.argwhere(~proper)[0]
        place = f"table {', '.join(map(str, table))}, " if table else ""
        raise UserError(
            f"probabilities: {place}item {instrument.items[item]} holds a NaN or a negative "
            f"number, or sums to {totals[(*table, item)]:.6g}, not to 1"
        )
    return tables / totals[..., None]


@lru_cache(maxsize=8)
def sums(instrument: Instrument) -> tuple[np.ndarray, list[np.ndarray]]:
    """Return what an instrument's items can add up to, and how.

    Float array (pairs, 2), every distinct (sum self, sum other) in coins; an int array (pairs
    before, options) an item: the pair each pair becomes. UserError where memory would not do.
    """
    points, steps = np.zeros((1, 2)), []
    for item in instrument.payoffs:
        if len(points) * len(item) > _MOST:
            raise UserError(
                f"an instrument's items add up to more than {_MOST:,} different sums; use fewer "
                "items or rounder coins"
            )
        reached = (points[:, None] + item).reshape(-1, 2)
        # As complex numbers, because sorting those is much faster than sorting rows.
        keys = np.round(reached, _SAME) @ np.array([1, 1j])
        _, first, step = np.unique(keys, return_index=True, return_inverse=True)
        points = reached[first]
        steps.append(step.reshape(-1, len(item)))
    return points, steps


def weights(table: np.ndarray, steps: Sequence[np.ndarray]) -> np.ndarray:
    """Return float (pairs,): the probability of each of the sums' points.

    table: float array (items, options), rows summing to 1.
    """
    chances = np.ones(1)
    for item, step in zip(table, steps, strict=True):
        chances = np.bincount(step.T.ravel(), np.outer(item, chances).ravel())
    return chances


def expectations(tables: np.ndarray, of: np.ndarray, steps: Sequence[np.ndarray]) -> np.ndarray:
    """Return float (tables,): the mean of a number that each of the sums' points has.

    tables: float array (tables, items, options), rows summing to 1; of: float array (pairs,).
    From the last item backwards, because there are far fewer pairs before an item than after it:
    what a pair of sums so far has is the mean of what it becomes.
    """
    size = max(1, _WEIGHTS // len(of))
    found = [np.empty(0)]
    for part in np.split(tables, range(size, len(tables), size)):
        means = of[:, None]
        for item, step in reversed([*enumerate(steps)]):
            means = sum(means[becomes] * part[:, item, k] for k, becomes in enumerate(step.T))
        found.append(means[0])
    return np.concatenate(found)
