"""The lapse rate tells slips from the absence of a value, and claims no more than the data do."""

import dataclasses
import math

import numpy as np
import pytest
from scipy import stats

from hvae_utils.errors import UserError
from hvae_utils.measure import instruments, svo, values
from hvae_utils.metrics import lapse

FOUR = values.names()[:4]
SLIDER = instruments.load("svo-slider")
ALTRUIST = [0, 8, 0, 0, 8, 8]


def simulated(name, rate, administrations, seed):
    """Choices of a respondent who lapses, as the story tells it: slip or follow, then pick."""
    rng = np.random.default_rng(seed)
    free = {"prosocial": [4], "individualistic": [0]}.get(name, [])
    choices = np.tile(svo.ideal_choices(name, SLIDER), (administrations, 1))
    choices[:, free] = rng.integers(0, 9, (administrations, len(free)))
    slips = rng.random(choices.shape) < rate
    return np.where(slips, rng.integers(0, 9, choices.shape), choices)


@pytest.mark.parametrize("name", FOUR)
@pytest.mark.parametrize("rate", [0, 0.05, 0.2, 0.5, 1])
def test_the_lapse_rate_of_simulated_respondents_is_recovered(name, rate):
    found = lapse.lapse_rate(simulated(name, rate, 500, seed=17), name, SLIDER)
    assert found.rate == pytest.approx(rate, abs=0.04)
    assert found.low <= found.rate <= found.high
    assert found.high - found.low < 0.08


@pytest.mark.parametrize("ideal", range(13))
def test_without_ties_the_rate_is_nine_eighths_of_the_share_missed(ideal):
    choices = np.array([ALTRUIST, ALTRUIST])
    flat = choices.reshape(-1)
    flat[ideal:] = 4  # no item of the altruist has its best option in the middle
    found = lapse.lapse_rate(choices, "altruistic", SLIDER)
    assert found.rate == pytest.approx(min((1 - ideal / 12) * 9 / 8, 1), abs=1e-9)


def test_the_interval_is_the_exact_binomial_one_of_the_misses():
    choices = np.tile(ALTRUIST, (10, 1))
    choices[:3, :2] = 4
    found = lapse.lapse_rate(choices, "altruistic", SLIDER)  # 54 of 60 ideal
    exact = stats.binomtest(6, 60).proportion_ci(0.95, method="exact")
    ends = exact.low * 9 / 8, exact.high * 9 / 8
    assert (found.low, found.high) == pytest.approx(ends, abs=1e-9)

    def log_likelihood(e):
        return 54 * math.log(1 - e * 8 / 9) + 6 * math.log(e * 8 / 9)

    against_random = log_likelihood(found.rate) - log_likelihood(1)
    assert found.log_likelihood_ratio == pytest.approx(against_random)


def test_twelve_faultless_answers_do_not_prove_that_nothing_ever_slips():
    found = lapse.lapse_rate([ALTRUIST] * 2, "altruistic", SLIDER)
    assert (found.rate, found.low) == (0, 0)
    assert found.high == pytest.approx((1 - 0.025 ** (1 / 12)) * 9 / 8, abs=1e-9)


def test_ties_share_the_value_evenly_and_count():
    two_best = dataclasses.replace(SLIDER, payoffs=tied_payoffs(), items=(1, 2), ends=None)
    choices = np.array([[0, 0], [1, 0], [0, 1], [2, 0], [1, 2], [0, 0]])
    found = lapse.lapse_rate(choices, "individualistic", two_best)
    grid = np.linspace(1e-6, 1, 200_001)
    hit = np.array([[1 - grid * 1 / 3], [1 - grid * 2 / 3]])  # two, one of three options ideal
    hits, answers = np.array([[5], [4]]), 6
    curve = (hits * np.log(hit[:, 0]) + (answers - hits) * np.log(1 - hit[:, 0])).sum(axis=0)
    assert found.rate == pytest.approx(grid[curve.argmax()], abs=1e-5)
    # the chance of 3 misses or more, by every way to share out 0 to 2 between the items
    two_at_most = sum(
        stats.binom.pmf(one, 6, found.low / 3) * stats.binom.pmf(number - one, 6, found.low * 2 / 3)
        for number in range(3)
        for one in range(number + 1)
    )
    assert 1 - two_at_most == pytest.approx(0.025, abs=1e-8)
    assert found.high == 1  # at random, 3 or fewer are no rarity


def tied_payoffs():
    """Two items of three options: two best for oneself in the first, one in the second."""
    return np.array([[[9, 0], [9, 5], [1, 0]], [[9, 0], [5, 5], [1, 0]]], float)


def test_missing_and_level_items_are_not_counted():
    choices = [[*ALTRUIST[:4], -1, -1], [-1] * 6]
    complete = dataclasses.replace(SLIDER, payoffs=SLIDER.payoffs[:4], items=SLIDER.items[:4])
    assert lapse.lapse_rate(choices, "altruistic", SLIDER) == lapse.lapse_rate(
        [ALTRUIST[:4]], "altruistic", complete
    )


@pytest.mark.parametrize(
    ("choices", "value"),
    [
        ([[-1] * 6], "altruistic"),
        (np.empty((0, 6), int), "altruistic"),
        ([[-1, -1, -1, -1, 3, -1]], "prosocial"),
        ([ALTRUIST], "none"),
    ],
)
def test_what_cannot_be_estimated_is_no_number(choices, value):
    found = lapse.lapse_rate(choices, value, SLIDER)
    numbers = (found.rate, found.low, found.high, found.log_likelihood_ratio)
    assert all(math.isnan(number) for number in numbers)


def test_following_with_slips_and_holding_no_value_come_apart():
    slipping = lapse.lapse_rate(simulated("competitive", 0.5, 5, 3), "competitive", SLIDER)
    assert slipping.high < 1
    assert slipping.log_likelihood_ratio > 1.35
    ratios = [
        lapse.lapse_rate(simulated("competitive", 1, 20, seed), "competitive", SLIDER)
        for seed in range(400)
    ]
    assert np.mean([found.log_likelihood_ratio > 1.353 for found in ratios]) < 0.08


def test_a_respondent_of_another_value_has_a_rate_near_one():
    found = lapse.lapse_rate([ALTRUIST] * 10, "competitive", SLIDER)
    assert (found.rate, found.log_likelihood_ratio) == (1, 0)
    assert 0.8 < found.low < found.high == 1


@pytest.mark.parametrize("administrations", [1, 5, 10, 30])
@pytest.mark.parametrize("name", FOUR)
def test_the_interval_covers_every_rate_and_always_has_width(name, administrations):
    ideal = svo.ideal_choices(name, SLIDER)
    informative = 5 if name in ("prosocial", "individualistic") else 6
    free = {"prosocial": 4, "individualistic": 0}.get(name)
    items = informative * administrations
    found = []
    for misses in range(items + 1):
        choices = np.tile(ideal, (administrations, 1))
        told = [(row, k) for row in range(administrations) for k in range(6) if k != free]
        for place in told[:misses]:
            choices[place] = (choices[place] + 1) % 9
        found.append(lapse.lapse_rate(choices, name, SLIDER))
    low, high = np.array([(one.low, one.high) for one in found]).T
    rates = np.array([one.rate for one in found])
    assert ((low <= rates) & (rates <= high) & (high - low > 0.002)).all()
    for rate in (0, 0.02, 0.05, 0.1, 0.2, 0.5, 0.9, 1):
        chances = stats.binom.pmf(np.arange(items + 1), items, rate * 8 / 9)
        assert chances[(low <= rate) & (rate <= high)].sum() >= 0.95


def test_the_probabilities_of_a_lapsing_respondent_are_those_of_the_story():
    table = lapse.probabilities("prosocial", 0.1, SLIDER)
    assert table.sum(axis=1) == pytest.approx([1] * 6)
    assert table[0, 0] == pytest.approx(0.9 + 0.1 / 9)
    assert table[0, 1:] == pytest.approx([0.1 / 9] * 8)
    assert table[4] == pytest.approx([1 / 9] * 9)
    means = [
        svo.angle_distribution(lapse.probabilities(name, 0.2, SLIDER)).mean
        for name in ("altruistic", "competitive")
    ]
    assert means == pytest.approx([54.9, -9.7], abs=0.05)  # enumerated in an analysis of its own


def test_bad_levels_rates_and_choices_are_refused():
    with pytest.raises(UserError, match="lapse rate must lie between 0 and 1"):
        lapse.probabilities("altruistic", 1.5, SLIDER)
    with pytest.raises(UserError, match="'none' has no utility"):
        lapse.probabilities("none", 0.5, SLIDER)
    with pytest.raises(UserError, match="is no option"):
        lapse.lapse_rate([[9] * 6], "altruistic", SLIDER)
    with pytest.raises(UserError, match="unknown value"):
        lapse.lapse_rate([ALTRUIST], "kind", SLIDER)
