"""The utility that choices show: recovered from simulated ones, and no further than they tell."""

import math

import numpy as np
import pytest

from hvae_utils.errors import UserError
from hvae_utils.measure import instruments
from hvae_utils.metrics.transfer import utility
from hvae_utils.metrics.transfer.utility import Utility
from tests.support.played import softmax

SLIDER = instruments.load("svo-slider").payoffs
FIFTEEN = np.concatenate([SLIDER, instruments.load("svo-slider-secondary").payoffs])
TRUTH = Utility(rho=0.4, sigma=0.2, precision=0.1)
ITEMS = pytest.mark.parametrize("payoffs", [SLIDER, FIFTEEN], ids=["six items", "fifteen items"])


def by_hand(rho, sigma, precision, payoffs):
    """The probabilities of Charness and Rabin's utility, option by option."""
    table = []
    for options in payoffs.tolist():
        weights = [rho if own >= other else sigma for own, other in options]
        worth = [(1 - r) * o[0] + r * o[1] for r, o in zip(weights, options, strict=True)]
        powers = [math.exp(precision * (one - max(worth))) for one in worth]
        table.append([power / sum(powers) for power in powers])
    return np.array(table)


def even_weight(angle, payoffs):
    """What options are worth to somebody whose weights lie at this angle (degrees)."""
    return payoffs @ [math.cos(math.radians(angle)), math.sin(math.radians(angle))]


@ITEMS
@pytest.mark.parametrize(("rho", "sigma"), [(0.4, 0.2), (0.6, -0.3), (0, 0), (0.5, 0.5), (-1, -1)])
def test_the_probabilities_of_a_utility_give_it_back(payoffs, rho, sigma):
    table = by_hand(rho, sigma, 0.08, payoffs)
    assert utility.chances(Utility(rho, sigma, 0.08), payoffs) == pytest.approx(table)
    found = utility.fit([table, table], payoffs)
    assert (found.rho, found.sigma, found.precision) == pytest.approx((rho, sigma, 0.08), abs=1e-3)
    assert found.nats == pytest.approx(0, abs=1e-6)
    assert found.nats_uniform == pytest.approx((table * np.log(table * 9)).sum(axis=1).mean())


@ITEMS
def test_two_standard_errors_hold_the_truth_of_19_in_20_respondents(payoffs):
    """Of 200 respondents between 92 and 98% by chance: 0.95 +- 2 sqrt(0.95 0.05 / 200)."""
    times, table = 50, by_hand(0.4, 0.2, 0.1, payoffs)
    errors = np.sqrt(np.diag(utility.covariance(TRUTH, payoffs, times)))[:2]
    inside = []
    for seed in range(200):
        rng = np.random.default_rng(seed)
        drawn = np.array([rng.multinomial(times, row) for row in table]) / times
        found = utility.fit(drawn[None], payoffs)
        inside.append(np.abs([found.rho - 0.4, found.sigma - 0.2]) <= 2 * errors)
    rho, sigma = np.mean(inside, axis=0)
    assert 0.92 <= rho <= 0.98
    assert 0.92 <= sigma <= 0.98


@pytest.mark.parametrize(
    ("payoffs", "rho", "sigma", "together"),
    [(SLIDER, 0.33, 0.56, -0.59), (FIFTEEN, 0.22, 0.44, -0.54)],
)
def test_the_errors_of_one_administration_are_the_computed_ones(payoffs, rho, sigma, together):
    found = utility.covariance(TRUTH, payoffs)
    errors = np.sqrt(np.diag(found))
    assert errors[:2] == pytest.approx([rho, sigma], abs=0.005)
    assert found[0, 1] / errors[0] / errors[1] == pytest.approx(together, abs=0.005)
    assert utility.covariance(TRUTH, payoffs, 4) == pytest.approx(found / 4)


def test_the_information_is_the_curvature_of_the_likelihood():
    """The second differences of the expected log likelihood, from probabilities by hand."""
    truth, step = np.array([0.4, 0.2, 0.1]), np.diag([1e-3, 1e-3, 1e-4])
    table = by_hand(*truth, SLIDER)

    def likelihood(at):
        return (table * np.log(by_hand(*at, SLIDER))).sum()

    curvature = [
        [
            sum(a * b * likelihood(truth + a * x + b * y) for a in (1, -1) for b in (1, -1))
            / (4 * x.sum() * y.sum())
            for y in step
        ]
        for x in step
    ]
    assert np.linalg.inv(utility.covariance(TRUTH, SLIDER)) == pytest.approx(
        -np.array(curvature), rel=1e-3, abs=1e-2
    )


def test_what_choices_do_not_tell_is_no_number():
    at_random = utility.fit(np.full((1, 6, 9), 1 / 9), SLIDER)
    assert at_random.precision == pytest.approx(0, abs=1e-6)
    assert at_random.nats_uniform == pytest.approx(0, abs=1e-12)
    giving = utility.fit(softmax(SLIDER[..., 1] * 0.1)[None], SLIDER)  # own coins weigh nothing
    assert (giving.rho, giving.sigma) == pytest.approx((1, 1), abs=1e-3)
    spiteful = utility.fit(softmax(-SLIDER[..., 1] * 0.1)[None], SLIDER)  # no ratio to own coins
    assert np.isnan([spiteful.rho, spiteful.sigma]).all()
    assert np.isnan(utility.covariance(Utility(0.4, 0.2, 0), SLIDER)).all()
    assert np.isnan(utility.covariance(Utility(0.4, 0.2, 1e4), SLIDER)).all()


@pytest.mark.parametrize("angle", [-45, -20, 0, 14, 45, 63, 90])
def test_one_weight_is_found_through_noise_and_lapses(angle):
    table = 0.7 * softmax(0.1 * even_weight(angle, SLIDER)) + 0.3 / 9
    found = utility.weigh(table[None], SLIDER)
    assert found.angle == pytest.approx(angle, abs=4)  # at 90 the middle of a range that ends there
    assert found.low - 1 <= angle <= found.high + 1
    assert found.lapse == pytest.approx(0.3, abs=0.05)
    assert found.precision == pytest.approx(0.1, rel=0.25)
    assert found.chances(SLIDER) == pytest.approx(table, abs=0.02)
    assert found.shares.sum() + found.lapse == pytest.approx(1)


@pytest.mark.parametrize("inside", [-40, 35, 80])
def test_a_range_that_ideal_answers_leave_open_is_told(inside):
    """All angles that prefer the same nine options are as good; the grid here is a fine one."""
    angles = np.arange(-90, 90, 0.1)
    ideal = even_weight(inside, SLIDER).argmax(axis=1)
    alike = [(even_weight(angle, SLIDER).argmax(axis=1) == ideal).all() for angle in angles]
    low, high = angles[alike][[0, -1]]
    found = utility.weigh(np.eye(9)[ideal][None], SLIDER)
    assert low - 1 <= found.low < found.high <= high + 1
    # At its very ends only the sharpest choices are those, so they weigh less.
    assert found.high - found.low >= 0.75 * (high - low)
    assert found.angle == pytest.approx((low + high) / 2, abs=5)
    assert (found.chances(SLIDER).argmax(axis=1) == ideal).all()


@pytest.mark.parametrize("measure", [utility.fit, utility.weigh])
def test_tables_that_are_none_are_refused(measure):
    for wrong in (np.full((6, 9), 1 / 9), np.full((1, 6, 8), 1 / 8), np.empty((0, 6, 9))):
        with pytest.raises(UserError, match="tables: expected"):
            measure(wrong, SLIDER)
    with pytest.raises(UserError, match="an item without an answer shows no utility"):
        measure(np.full((1, 6, 9), np.nan), SLIDER)
