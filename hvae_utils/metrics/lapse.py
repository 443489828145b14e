"""Lapses: does a respondent follow the value and slip, or hold no value at all?

>>> from hvae_utils.measure import instruments
>>> slider = instruments.load("svo-slider")
>>> five_of_six_ideal = lapse_rate([[0, 8, 0, 0, 8, 4]], "altruistic", slider)
>>> round(five_of_six_ideal.rate, 2), round(five_of_six_ideal.high, 2)
(0.19, 0.72)

With probability 1 - e an answer is one of the value's ideal options, tied ones equally often; with
probability e it is any option, uniformly at random. Answered items count as independent; an item on
which the value ties all options says nothing about e and is left out.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from hvae_utils.errors import UserError
from hvae_utils.measure import choices, svo, values
from hvae_utils.measure.instruments import Instrument
from hvae_utils.measure.values import Value
from hvae_utils.metrics.intervals import LEVEL

_TINY = 1e-12  # where the likelihood's slope is taken next to 0 and 1


@dataclass(frozen=True)
class Lapse:
    """How often answers were random rather than guided by the value.

    rate: the maximum-likelihood e, 0 to 1; low, high: its exact interval. NaN where not estimable.
    log_likelihood_ratio: nats, of the data at `rate` against e = 1, a respondent without a value;
        0 or more. As e = 1 is the end of the range, a random respondent exceeds 1.35 in about 5%
        of cases (half a chi-squared with one degree of freedom).
    """

    rate: float
    low: float
    high: float
    log_likelihood_ratio: float


_NOT_ESTIMABLE = Lapse(np.nan, np.nan, np.nan, np.nan)


def lapse_rate(choices: ArrayLike, value: Value | str, instrument: Instrument) -> Lapse:
    """Return the lapse rate of a cell, with an exact 95% interval.

    choices: int array (administrations, items), 0-based, -1 missing. The interval is that of
    Clopper & Pearson (1934, Biometrika 26, 404-413) for the number of answers that are not ideal,
    a sum of binomials where items have unequally many ideal options; `docs/intervals.md` has its
    coverage. Misses more frequent than any lapse rate makes likely count as the most that e = 1
    does: then low is near 1, and the model does not fit. A value without a utility, and choices
    without an informative item, give NaN.
    Errors: UserError for choices that are no such array, and an unknown value.
    """
    value, chosen = values.get(value), svo.checked_choices(choices, instrument)
    if value.utility is None:
        return _NOT_ESTIMABLE
    ideal, answered = value.ideal_options(instrument.payoffs, instrument.rounding), chosen >= 0
    hits = answered & ideal[np.arange(len(ideal)), chosen]
    counts = _informative(hits.sum(axis=0), answered.sum(axis=0), ideal)
    if not len(counts):
        return _NOT_ESTIMABLE
    rate = _most_likely(counts)
    ratio = _log_likelihood(rate, counts) - _log_likelihood(1.0, counts)
    return Lapse(rate, *_interval(counts), max(ratio, 0.0))


def expected_rate(table: np.ndarray, ideal: np.ndarray) -> float:
    """Return the lapse rate that answers with these probabilities converge to.

    table: response probabilities (items, options); ideal: bool (items, options). NaN when every
    item ties.
    """
    return expected(table, ideal)[0]


def expected(table: np.ndarray, ideal: np.ndarray) -> tuple[float, float]:
    """Return `expected_rate`, and the expected log-likelihood ratio (nats) of one administration.

    Arguments as there; the ratio is that of `Lapse`, per administration. NaN when every item ties.
    """
    counts = _informative((table * ideal).sum(axis=1), np.ones(len(table)), ideal)
    if not len(counts):
        return np.nan, np.nan
    rate = _most_likely(counts)
    return rate, max(_log_likelihood(rate, counts) - _log_likelihood(1.0, counts), 0.0)


def probabilities(value: Value | str, rate: float, instrument: Instrument) -> np.ndarray:
    """Return the response probabilities (items, options) of a respondent with this lapse rate.

    Errors: UserError for a rate outside 0 to 1, an unknown value and one without a utility.
    """
    ideal = choices.best(value, instrument)
    return mixed(ideal / ideal.sum(axis=1, keepdims=True), rate)


def mixed(table: np.ndarray, rate: float) -> np.ndarray:
    """Return probabilities (items, options), of which the share `rate` is uniformly random."""
    if not 0 <= rate <= 1:
        raise UserError(f"a lapse rate must lie between 0 and 1, not {rate}")
    return (1 - rate) * table + rate / table.shape[-1]


def _informative(hits: np.ndarray, answers: np.ndarray, ideal: np.ndarray) -> np.ndarray:
    """Return one row (ideal answers, answers, share of ideal options) an item that tells."""
    rows = np.column_stack([hits, answers, ideal.mean(axis=1)])
    return rows[~ideal.all(axis=1) & (answers > 0)]


def _log_likelihood(rate: float, counts: np.ndarray) -> float:
    """Return the log-likelihood in nats, up to a constant that does not depend on the rate."""
    from scipy.special import xlogy  # slow to import; 0 log 0 is 0

    hits, answers, share = counts.T
    hit = 1 - rate * (1 - share)  # P(an ideal option)
    return float((xlogy(hits, hit) + xlogy(answers - hits, 1 - hit)).sum())


def _most_likely(counts: np.ndarray) -> float:
    """Return the rate of greatest likelihood: the log-likelihood is concave, its slope falls."""
    from scipy.optimize import brentq

    hits, answers, share = counts.T

    def slope(rate: float) -> float:
        hit = 1 - rate * (1 - share)
        return float((((answers - hits) / (1 - hit) - hits / hit) * (1 - share)).sum())

    if slope(_TINY) <= 0:
        return 0.0
    if slope(1.0) >= 0:
        return 1.0
    return float(brentq(slope, _TINY, 1.0, xtol=1e-14))


def _interval(counts: np.ndarray) -> tuple[float, float]:
    """Return the rates at which as few, and as many, misses have the probability of a tail."""
    from scipy.optimize import brentq

    tail, misses = (1 - LEVEL) / 2, int((counts[:, 1] - counts[:, 0]).sum())
    upwards = _misses(1.0, counts)[::-1].cumsum()[::-1]  # P(as many or more) if all is random
    most = int(np.flatnonzero(upwards >= tail)[-1])  # that e = 1 does not make unlikely
    least = min(misses, most)

    def few(rate: float) -> float:  # falls with the rate
        return _misses(rate, counts)[: misses + 1].sum() - tail

    def many(rate: float) -> float:  # rises with the rate
        return _misses(rate, counts)[least:].sum() - tail

    low = brentq(many, 0.0, 1.0, xtol=1e-12) if least else 0.0
    high = 1.0 if few(1.0) >= 0 else brentq(few, 0.0, 1.0, xtol=1e-12)
    return float(low), float(high)


def _misses(rate: float, counts: np.ndarray) -> np.ndarray:
    """Return the probability of each number of answers that are not ideal, 0 to all."""
    from scipy.special import bdtr

    chances = np.ones(1)
    for share in np.unique(counts[:, 2]):
        answers = int(counts[counts[:, 2] == share, 1].sum())
        up_to = bdtr(np.arange(answers + 1.0), answers, rate * (1 - share))
        chances = np.convolve(chances, np.diff(up_to, prepend=0.0))
    return chances
