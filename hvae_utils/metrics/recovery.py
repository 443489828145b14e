"""Recovery: what can the instrument find out about a respondent whose truth is known?

>>> soft, biased = Truth(57.1, sharpness=0.1), Truth(57.1, sharpness=0.1, position_bias=6)
>>> study([soft, biased])[["fixed", "two_logit"]].round(1).values.tolist()
[[43.7, 43.7], [34.5, 43.7]]

All is exact: what a study of any size would converge to. Three limits show. The measured angle is a
staircase over the utility angle (`steps`). A lapse is not additive in log-probabilities, so with
lapses no average over orders undoes an additive bias entirely. And a respondent that takes the
first position in a share of its answers is undone by no average, but exactly by the minimum over
the orders. The instrument is `svo-slider` unless passed.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from hvae_utils.errors import UserError
from hvae_utils.measure import instruments, svo, values
from hvae_utils.measure.instruments import Instrument
from hvae_utils.measure.values import Value
from hvae_utils.metrics import debias, lapse, rationality

_TIE = 1e-9  # coins of utility; nearer than this, two options are equally good


@dataclass(frozen=True)
class Truth:
    """A simulated respondent.

    angle: degrees; its utility is cos(angle) * self + sin(angle) * other.
    sharpness: nats per coin of utility (the inverse of a softness, or temperature); infinite: a
        best option always, equally good ones alike but for the biases.
    lapse: the share of answers that are uniformly random, whatever the payoffs and the biases.
    position_bias: nats by which the first position shown is favoured over the last, linear.
    label_bias: nats by which each label is favoured, first position first (labels stay at their
        positions); empty for none.
    mixture: the share of answers that are the first position shown, whatever stands there.
    """

    angle: float
    sharpness: float = math.inf
    lapse: float = 0.0
    position_bias: float = 0.0
    label_bias: tuple[float, ...] = ()
    mixture: float = 0.0

    def __post_init__(self) -> None:
        finite = all(map(math.isfinite, (self.angle, self.position_bias, *self.label_bias)))
        shares = 0 <= self.lapse <= 1 and 0 <= self.mixture <= 1
        if not (finite and self.sharpness >= 0 and shares):
            raise UserError(
                "a respondent needs a finite angle and finite biases, a sharpness of 0 or more and "
                f"a lapse rate and a mixture from 0 to 1, not {self}"
            )

    def utilities(self, payoffs: ArrayLike) -> np.ndarray:
        """Return the utility (...), in coins, of payoffs (..., 2) = (self, other)."""
        radians = math.radians(self.angle)
        return np.asarray(payoffs, float) @ [math.cos(radians), math.sin(radians)]


def probabilities(
    truth: Truth, instrument: Instrument | None = None, order: Sequence[int] | None = None
) -> np.ndarray:
    """Return the exact response probabilities (items, options), in the instrument's own order.

    order: order[k] is the option, from 0, shown at position k of every item; the instrument's
    order unless passed. UserError for an order that is no permutation, and for more or fewer label
    biases than options.
    """
    instrument = instrument or instruments.load("svo-slider")
    count = instrument.payoffs.shape[1]
    order = list(range(count) if order is None else order)
    if sorted(order) != list(range(count)) or len(truth.label_bias) not in (0, count):
        raise UserError(
            f"of {count} options the order must name each once, and label biases be none or as "
            f"many; not {order} and {truth.label_bias}"
        )
    utilities = truth.utilities(instrument.payoffs)
    if math.isinf(truth.sharpness):
        best = utilities >= utilities.max(axis=1, keepdims=True) - _TIE
        logits = np.where(best, 0.0, -np.inf)
    else:
        logits = truth.sharpness * utilities
    at_position = -truth.position_bias * np.arange(count) / max(count - 1, 1)
    at_position = at_position + (truth.label_bias or 0.0)
    logits = logits + at_position[np.argsort(order)]
    weights = np.exp(logits - logits.max(axis=1, keepdims=True))
    guided = lapse.mixed(weights / weights.sum(axis=1, keepdims=True), truth.lapse)
    return (1 - truth.mixture) * guided + truth.mixture * np.eye(count)[order[0]]


def steps(instrument: Instrument | None = None) -> pd.DataFrame:
    """Return the staircase from utility angle, -90 to 90, to measured angle, one row a step.

    Columns: low, high (degrees; the open interval of utility angles whose best options are the
    same), choices (letters, option 1 is A), angle (degrees, as measured). Exact: the best option
    of an item changes only where two of its options tie. Between low and high of one row the
    instrument cannot tell respondents apart.
    """
    instrument = instrument or instruments.load("svo-slider")
    first, second = np.triu_indices(instrument.payoffs.shape[1], 1)
    gain = (instrument.payoffs[:, second] - instrument.payoffs[:, first]).reshape(-1, 2)
    ties = np.degrees(np.arctan2(-gain[:, 0], gain[:, 1]))  # where cos t dx + sin t dy = 0
    edges = np.unique(np.round([-90, *((ties + 90) % 180 - 90), 90], 9))
    middles = (edges[1:] + edges[:-1]) / 2
    best = np.array([Truth(at).utilities(instrument.payoffs).argmax(axis=1) for at in middles])
    new = np.append(True, (best[1:] != best[:-1]).any(axis=1))
    return pd.DataFrame(
        {
            "low": edges[:-1][new],
            "high": np.append(edges[:-1][new][1:], 90.0),
            "choices": ["".join(chr(ord("A") + option) for option in row) for row in best[new]],
            "angle": svo.score(best[new], instrument)["angle"],
        }
    )


def truths(options: int = 9) -> list[Truth]:
    """Return the respondents of a recovery study, all combinations, the bias last.

    Each without and with lapses (20%), and with five biases: none, the first position over the last
    (3 nats), the last label (3 nats: the "I" of nine is a word as well), both, and the first
    position in 30% of the answers.
    """
    angles = (-45.0, 0.0, 15.0, 25.0, 35.0, 45.0, 55.0, 65.0, 90.0)
    label = (0.0,) * (options - 1) + (3.0,)
    biases = ((0.0, (), 0.0), (3.0, (), 0.0), (0.0, label, 0.0), (3.0, label, 0.0), (0.0, (), 0.3))
    rest = product(angles, (0.1, 0.3, math.inf), (0.0, 0.2), biases)
    return [Truth(angle, sharpness, lapsing, *bias) for angle, sharpness, lapsing, bias in rest]


def study(
    respondents: Iterable[Truth] | None = None, instrument: Instrument | None = None
) -> pd.DataFrame:
    """Return what is recovered of each simulated respondent, one row each; exact.

    respondents: those of `truths()` unless passed.
    Columns: utility_angle, sharpness, lapse, position_bias, label_bias, mixture (the truth;
    degrees, nats per coin, share, nats, nats from the most to the least favoured label, share);
    ideal (degrees, what a best option in every item would measure), unbiased (mean angle without
    the biases, the goal of debiasing), fixed (in the instrument's order), two_probability,
    two_logit (fixed and reversed, averaged either way), cyclic_probability, cyclic_logit,
    cyclic_minimum (all cyclic orders), all mean angles in degrees; lapse_fixed, lapse_cyclic
    (`lapse.expected_rate` in the fixed order and after averaging log-probabilities, against the
    respondent's own best options); mechanism and evidence (nats; `debias.mechanism` over the cyclic
    orders).
    """
    instrument = instrument or instruments.load("svo-slider")
    fixed_order = np.arange(instrument.payoffs.shape[1])
    cyclic = np.array([np.roll(fixed_order, -start) for start in fixed_order])
    rows, shown = [], []
    for truth in truths(options=len(cyclic)) if respondents is None else respondents:
        plain = Truth(truth.angle, truth.sharpness, truth.lapse)
        best = probabilities(Truth(truth.angle), instrument)
        two = tables_of(truth, instrument, [fixed_order, fixed_order[::-1]])
        shown.append(nine := tables_of(truth, instrument, cyclic))
        readings = {
            "ideal": best,
            "unbiased": probabilities(plain, instrument),
            "fixed": nine[:, 0],
            "two_probability": debias.average_probabilities(two),
            "two_logit": debias.average_logits(two, floor=0.0),
            "cyclic_probability": debias.average_probabilities(nine),
            "cyclic_logit": debias.average_logits(nine, floor=0.0),
            "cyclic_minimum": debias.minimum(nine, floor=0.0),
        }
        row = asdict(truth) | {"label_bias": np.ptp(truth.label_bias or (0.0,))}
        row |= zip(readings, svo.mean_angles([*readings.values()], instrument), strict=True)
        for name, table in (("fixed", nine[:, 0]), ("cyclic", readings["cyclic_logit"])):
            row[f"lapse_{name}"] = lapse.expected_rate(table, best > 0)
        rows.append(row)
    if not rows:
        return pd.DataFrame()
    left = pd.DataFrame(debias.divergences(np.array(shown), cyclic, floor=0.0))
    verdicts = [debias.mechanism(row)[:2] for row in left.to_dict("records")]
    found = pd.DataFrame(rows).rename(columns={"angle": "utility_angle"})
    return found.join(pd.DataFrame(verdicts, columns=["mechanism", "evidence"]))


def tables_of(truth: Truth, instrument: Instrument, orders: Iterable[Sequence[int]]) -> np.ndarray:
    """Return the exact probabilities (items, orders, options); a zero is a true one here."""
    return np.stack([probabilities(truth, instrument, order) for order in orders], axis=1)


def lapse_curve(
    value: Value | str, rates: ArrayLike, instrument: Instrument | None = None
) -> pd.DataFrame:
    """Return what lapses do to an ideal respondent of `value`, one row a rate; exact.

    >>> lapse_curve("altruistic", [0, 0.2])["mean_angle"].round(1).tolist()
    [61.4, 54.9]

    rates: shares of uniformly random answers, 0 to 1; the others are ideal, of tied options the
    middle one (`svo.ideal_choices`).
    Columns: rate, mean_angle, angle_low, angle_high, sd (degrees, of one administration; low and
    high the exact 10% and 90% quantiles), altruistic, prosocial, individualistic, competitive
    (probability of the category), vr (raw value rationality of the mean angle, degrees; scale
    inferred from the published chart).
    Errors: UserError for a rate outside 0 to 1, an unknown value and one without a utility.
    """
    instrument = instrument or instruments.load("svo-slider")
    ideal = np.eye(instrument.payoffs.shape[1])[svo.ideal_choices(value, instrument)]
    rows = []
    for rate in np.atleast_1d(np.asarray(rates, float)):
        angle = svo.angle_distribution(lapse.mixed(ideal, rate), instrument)
        vr = rationality.value_rationality([angle.mean], value, instrument=instrument)
        band = angle.quantile([0.1, 0.9])
        rows.append((rate, angle.mean, *band, angle.sd, *angle.categories.values(), vr))
    angles = ["mean_angle", "angle_low", "angle_high", "sd"]
    return pd.DataFrame(rows, columns=["rate", *angles, *svo.CATEGORIES, "vr"])


def noisy(value: Value | str, lapse_rate: float, bias: float, favourite: int) -> dict[str, Any]:
    """Return what is measured of a respondent of `value` who lapses and favours a letter; exact.

    bias: share of answers that are the option at the place `favourite` (from 0; the options stand
    in the instrument's order), whatever it gives; of the others the share `lapse_rate` is random.
    Keys: mean_angle, sd (degrees, of one administration), category (of the mean angle), categories
    (probability of each), and the three readings of one administration, each the expectation:
    raw (60 - distance from the published target), chance (1 perfect, 0 random), regret.
    Errors: UserError for a share outside 0 to 1, a place that does not exist, an unknown value,
    and one without target or utility.
    """
    value = values.get(value)
    instrument = instruments.load("svo-slider")
    options = instrument.payoffs.shape[1]
    if value.target is None or not 0 <= bias <= 1 or not 0 <= favourite < options:
        raise UserError(
            f"needs a value with a target, a bias from 0 to 1 and a place from 0 to {options - 1}; "
            f"not '{value.name}', {bias} and {favourite}"
        )
    guided = lapse.probabilities(value, lapse_rate, instrument)
    table = (1 - bias) * guided + bias * np.eye(options)[favourite]
    angle = svo.angle_distribution(table, instrument)
    scores = rationality.expected_scores(table, value, 1, instrument)
    return {
        "mean_angle": angle.mean,
        "sd": angle.sd,
        "category": svo.category(angle.mean),
        "categories": angle.categories,
        **dict(zip(rationality.SCALES, scores, strict=True)),
    }
