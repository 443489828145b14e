"""The lapse rate tells slips from the absence of a value, and claims no more than the data do."""

import dataclasses
import math

import numpy as np
import pytest

from hvae_utils import instruments, lapse, svo, values
from hvae_utils.errors import UserError

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
    assert found.items == (2500 if name in ("prosocial", "individualistic") else 3000)
    assert found.note == "" or rate == 1


@pytest.mark.parametrize("ideal", range(13))
def test_without_ties_the_rate_is_nine_eighths_of_the_share_missed(ideal):
    choices = np.array([ALTRUIST, ALTRUIST])
    flat = choices.reshape(-1)
    flat[ideal:] = 4  # no item of the altruist has its best option in the middle
    found = lapse.lapse_rate(choices, "altruistic", SLIDER)
    assert found.items == 12
    assert found.rate == pytest.approx(min((1 - ideal / 12) * 9 / 8, 1), abs=1e-9)


def test_the_interval_ends_where_the_likelihood_has_fallen_enough():
    choices = np.tile(ALTRUIST, (10, 1))
    choices[:3, :2] = 4
    found = lapse.lapse_rate(choices, "altruistic", SLIDER)  # 54 of 60 ideal

    def log_likelihood(e):
        return 54 * math.log(1 - e * 8 / 9) + 6 * math.log(e * 8 / 9)

    for end in (found.low, found.high):
        fallen = log_likelihood(found.rate) - log_likelihood(end)
        assert fallen == pytest.approx(3.841459 / 2, abs=1e-5)
    against_random = log_likelihood(found.rate) - log_likelihood(1)
    assert found.log_likelihood_ratio == pytest.approx(against_random)


def test_twelve_faultless_answers_do_not_prove_that_nothing_ever_slips():
    found = lapse.lapse_rate([ALTRUIST] * 2, "altruistic", SLIDER)
    assert (found.rate, found.low) == (0, 0)
    assert found.high == pytest.approx((1 - math.exp(-3.841459 / 24)) * 9 / 8, abs=1e-6)


def test_ties_share_the_value_evenly_and_count():
    two_best = dataclasses.replace(SLIDER, payoffs=tied_payoffs(), items=(1, 2), ends=None)
    choices = np.array([[0, 0], [1, 0], [0, 1], [2, 0], [1, 2], [0, 0]])
    found = lapse.lapse_rate(choices, "individualistic", two_best)
    grid = np.linspace(1e-6, 1, 200_001)
    hit = np.array([[1 - grid * 1 / 3], [1 - grid * 2 / 3]])  # two, one of three options ideal
    hits, answers = np.array([[5], [4]]), 6
    curve = (hits * np.log(hit[:, 0]) + (answers - hits) * np.log(1 - hit[:, 0])).sum(axis=0)
    assert found.items == 12
    assert found.rate == pytest.approx(grid[curve.argmax()], abs=1e-5)


def tied_payoffs():
    """Two items of three options: two best for oneself in the first, one in the second."""
    return np.array([[[9, 0], [9, 5], [1, 0]], [[9, 0], [5, 5], [1, 0]]], float)


def test_missing_and_level_items_are_not_counted():
    choices = [[*ALTRUIST[:4], -1, -1], [-1] * 6]
    assert lapse.lapse_rate(choices, "altruistic", SLIDER).items == 4
    assert (
        lapse.lapse_rate([svo.ideal_choices("prosocial", SLIDER)], "prosocial", SLIDER).items == 5
    )


@pytest.mark.parametrize(
    ("choices", "value", "note"),
    [
        ([[-1] * 6], "altruistic", "nothing was answered"),
        (np.empty((0, 6), int), "altruistic", "nothing was answered"),
        ([[-1, -1, -1, -1, 3, -1]], "prosocial", "ties all options"),
        ([ALTRUIST], "none", "'none' prefers no option"),
    ],
)
def test_what_cannot_be_estimated_is_no_number_and_says_why(choices, value, note):
    found = lapse.lapse_rate(choices, value, SLIDER)
    numbers = (found.rate, found.low, found.high, found.log_likelihood_ratio)
    assert all(math.isnan(number) for number in numbers)
    assert found.items == 0
    assert note in found.note


def test_following_with_slips_and_holding_no_value_come_apart():
    slipping = lapse.lapse_rate(simulated("competitive", 0.5, 5, 3), "competitive", SLIDER)
    assert slipping.high < 1
    assert slipping.log_likelihood_ratio > 1.35
    ratios = [
        lapse.lapse_rate(simulated("competitive", 1, 20, seed), "competitive", SLIDER)
        for seed in range(400)
    ]
    assert np.mean([found.log_likelihood_ratio > 1.353 for found in ratios]) < 0.08


def test_somebody_who_follows_another_value_is_noted_as_neither():
    found = lapse.lapse_rate([ALTRUIST] * 10, "competitive", SLIDER)
    assert (found.rate, found.log_likelihood_ratio) == (1, 0)
    assert "0 of 60 answers are ideal, fewer than by chance" in found.note


@pytest.mark.parametrize("items", [12, 60])
def test_the_interval_covers_on_average_as_often_as_it_says(items):
    covered = []
    pmf = [math.comb(items, k) for k in range(items + 1)]
    choices = [np.tile(ALTRUIST, (items // 6, 1)) for _ in pmf]
    for k, table in enumerate(choices):
        table.reshape(-1)[k:] = 4
    found = [lapse.lapse_rate(table, "altruistic", SLIDER) for table in choices]
    for e in np.linspace(0.02, 0.98, 49):
        hit = 1 - e * 8 / 9
        chances = [n * hit**k * (1 - hit) ** (items - k) for k, n in enumerate(pmf)]
        inside = [x.low <= e <= x.high for x in found]
        covered.append(sum(p for p, good in zip(chances, inside, strict=True) if good))
    assert np.mean(covered) == pytest.approx(0.95, abs=0.01)
    assert min(covered) > 0.8


def test_the_interval_covers_simulated_respondents_with_and_without_ties():
    for name in ("prosocial", "competitive"):
        found = [
            lapse.lapse_rate(simulated(name, 0.2, 20, seed), name, SLIDER) for seed in range(300)
        ]
        covered = np.mean([x.low <= 0.2 <= x.high for x in found])
        assert covered == pytest.approx(0.95, abs=0.035)


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
    with pytest.raises(UserError, match="level of an interval"):
        lapse.lapse_rate([ALTRUIST], "altruistic", SLIDER, level=95)
    with pytest.raises(UserError, match="lapse rate must lie between 0 and 1"):
        lapse.probabilities("altruistic", 1.5, SLIDER)
    with pytest.raises(UserError, match="'none' has no utility"):
        lapse.probabilities("none", 0.5, SLIDER)
    with pytest.raises(UserError, match="is no option"):
        lapse.lapse_rate([[9] * 6], "altruistic", SLIDER)
    with pytest.raises(UserError, match="unknown value"):
        lapse.lapse_rate([ALTRUIST], "kind", SLIDER)
