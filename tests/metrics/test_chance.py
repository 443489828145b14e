"""Chance is counted, not drawn: whoever answers at random is as far off as all profiles say."""

import dataclasses
import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hvae_utils.errors import UserError
from hvae_utils.measure import instruments, svo, values
from hvae_utils.metrics import chance

ALTRUIST, COMPETITOR = 61.38954033403479, -16.260204708311957
SETS = [values.get(name).target_set for name in ("prosocial", "individualistic")]


@pytest.fixture(scope="module")
def random_angles():
    payoffs = instruments.load("svo-slider").payoffs
    profiles = np.array(list(itertools.product(range(9), repeat=6)))
    points = payoffs[np.arange(6), profiles].mean(axis=1) - 50
    return np.degrees(np.arctan2(points[:, 1], points[:, 0]))


@pytest.mark.parametrize("target", [ALTRUIST, 45, 37.48, 22.7, 0, COMPETITOR])
def test_one_random_respondent_is_as_far_off_as_the_mean_of_all_profiles(random_angles, target):
    truth = np.abs(random_angles - target).mean()
    assert chance.random_distance(target, 1) == pytest.approx(truth, abs=1e-6)


@pytest.mark.parametrize(
    ("target", "one", "ten"),
    [
        (ALTRUIST, 38.687, 38.687),
        (45, 22.597, 22.297),
        (0, 22.975, 22.703),
        (COMPETITOR, 38.963, 38.963),
    ],
)
def test_random_respondents_are_as_far_off_as_published(target, one, ten):
    assert chance.random_distance(target, 1) == pytest.approx(one, abs=0.005)
    assert chance.random_distance(target, 10) == pytest.approx(ten, abs=0.005)


@pytest.mark.parametrize(("target", "n"), [(22.7, 2), (30, 3), (25, 10), (24, 200)])
def test_the_mean_of_some_random_respondents_agrees_with_simulation(random_angles, target, n):
    rng = np.random.default_rng(20)
    means = np.zeros(200_000)
    for _ in range(n):
        means += rng.choice(random_angles, len(means)) / n
    sample = np.abs(means - target)
    tolerance = 5 * sample.std() / np.sqrt(len(sample))
    assert chance.random_distance(target, n) == pytest.approx(sample.mean(), abs=tolerance)


def test_two_random_respondents_agree_with_every_pair_of_profiles(random_angles):
    found, counts = np.unique(random_angles.round(2), return_counts=True)
    pairs = np.abs((found[:, None] + found) / 2 - 22.7)
    truth = counts @ pairs @ counts / counts.sum() ** 2
    assert chance.random_distance(22.7, 2) == pytest.approx(truth, abs=2e-3)


def test_a_million_random_respondents_leave_only_the_distance_of_the_mean(random_angles):
    distance = chance.random_distance(45, 1_000_000)
    assert distance == pytest.approx(45 - random_angles.mean(), abs=1e-3)
    spread = random_angles.std() / 1000
    at_mean = chance.random_distance(float(random_angles.mean()), 1_000_000)
    assert at_mean == pytest.approx(spread * math.sqrt(2 / math.pi), rel=0.01)


@settings(deadline=None)  # the time of the first grid is no matter of this test
@given(target=st.floats(COMPETITOR, ALTRUIST), n=st.integers(1, 40))
def test_more_random_administrations_never_move_further_from_a_target(target, n):
    fewer, more = (chance.random_distance(target, k) for k in (n, n + 1))
    assert abs(22.703 - target) - 1e-3 <= more <= fewer + 1e-4


@pytest.mark.parametrize("n", [0, -1, 2.5, "ten"])
def test_chance_needs_a_whole_number_of_administrations(n):
    with pytest.raises(UserError, match="whole number above 0"):
        chance.random_distance(45, n)


def test_the_share_of_random_respondents_that_come_as_close_is_exact(random_angles):
    # all 531,441 profiles, counted one by one for a single administration
    angles = random_angles
    for target, distance in [(45.0, 14.53), (0.0, 7.8), (61.39, 4.0), (-16.26, 0.0)]:
        counted = np.mean(np.abs(angles - target) <= distance)
        assert chance.random_share(target, 1, distance) == pytest.approx(counted, abs=1e-3)


def test_the_share_for_several_administrations_agrees_with_drawing_them(random_angles):
    rng = np.random.default_rng(7)
    drawn = rng.choice(random_angles, (200_000, 6)).mean(axis=1)
    for target, distance in [(45.0, 14.53), (0.0, 20.0), (22.7, 3.0)]:
        counted = np.mean(np.abs(drawn - target) <= distance)
        assert chance.random_share(target, 6, distance) == pytest.approx(counted, abs=0.005)


def test_a_respondent_without_a_value_is_rarely_counted_as_beyond_chance(random_angles):
    rng = np.random.default_rng(11)
    angles = rng.choice(random_angles, (400, 5))
    p = [chance.random_share(45.0, 5, abs(mean - 45.0)) for mean in angles.mean(axis=1)]
    assert 0.02 < np.mean(np.array(p) < 0.05) < 0.09


# Sets


def to_interval(angles, low, high):
    return np.where(angles < low, low - angles, np.where(angles > high, angles - high, 0.0))


@pytest.mark.parametrize("target", [*SETS, (30.0, 61.0)])
def test_one_random_respondent_is_as_far_from_a_set_as_all_profiles_are(random_angles, target):
    truth = to_interval(random_angles, *target).mean()
    assert chance.random_distance(target, 1) == pytest.approx(truth, abs=1e-9)


@pytest.mark.parametrize(("target", "n"), [(SETS[0], 10), (SETS[1], 3), ((20.0, 26.0), 7)])
def test_the_distance_of_a_mean_from_a_set_agrees_with_simulation(random_angles, target, n):
    rng = np.random.default_rng(5)
    sample = to_interval(rng.choice(random_angles, (200_000, n)).mean(axis=1), *target)
    tolerance = 5 * sample.std() / np.sqrt(len(sample))
    assert chance.random_distance(target, n) == pytest.approx(sample.mean(), abs=tolerance)


def test_a_point_is_a_set_without_width():
    assert chance.random_distance((45.0, 45.0), 4) == chance.random_distance(45.0, 4)
    assert chance.distance([44, 47, np.nan], 45).tolist()[:2] == [1, 2]
    assert math.isnan(chance.distance(np.nan, (10, 20)))


def test_the_share_inside_a_set_is_counted_with_its_ends(random_angles):
    low, high = SETS[0]
    inside = np.mean((random_angles >= low - 1e-9) & (random_angles <= high + 1e-9))
    assert chance.random_share(SETS[0], 1, 0.0) == pytest.approx(inside, abs=1e-4)


@pytest.mark.parametrize("target", [61.38954, -16.2602])
def test_a_share_is_never_below_zero_or_above_one(target):
    shares = [chance.random_share(target, 20, distance) for distance in np.arange(0, 80, 0.5)]
    assert min(shares) >= 0
    assert max(shares) <= 1


def test_without_a_target_there_is_no_distance():
    assert math.isnan(chance.random_distance(math.nan, 3))
    assert math.isnan(chance.random_share(math.nan, 3, 1.0))
    assert math.isnan(chance.expected_distance(chance.uniform(), math.nan, 3))


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ((50, 40), "low to high"),
        ((40, 45, 50), "an interval of degrees"),
        ([], "an interval of degrees"),
        ((0, math.inf), "an interval of degrees"),
        ("everywhere", "an interval of degrees"),
    ],
)
def test_a_target_that_is_no_interval_is_refused(target, message):
    with pytest.raises(UserError, match=message):
        chance.random_distance(target, 1)


def test_what_nobody_can_reach_is_no_target():
    assert chance.reachable() == pytest.approx((COMPETITOR, ALTRUIST), abs=1e-9)
    assert chance.checked_target(61.39) == (61.39, 61.39)  # as published, two decimals
    for beyond in (90, -45, (45, 70), (-20, -15)):
        with pytest.raises(UserError, match=r"no respondent can get there.*-16\.26 to 61\.39"):
            chance.checked_target(beyond)
        for ask in (
            lambda target: chance.random_distance(target, 1),
            lambda target: chance.random_share(target, 1, 5.0),
            lambda target: chance.expected_distance(chance.uniform(), target),
        ):
            with pytest.raises(UserError, match="no respondent can get there"):
                ask(beyond)


# Respondents that answer from probabilities


def test_a_constant_answer_is_as_far_off_on_average_as_it_is_once():
    always_a = np.eye(9)[[0] * 6]
    for n in (1, 10):
        assert chance.expected_distance(always_a, 45, n) == pytest.approx(45 - 30.4655, abs=1e-4)
        assert chance.expected_distance(always_a, (30, 31), n) == pytest.approx(0, abs=1e-9)


def test_the_uniform_respondent_is_the_random_one():
    found = chance.expected_distance(chance.uniform(), SETS[1], 6)
    assert found == pytest.approx(chance.random_distance(SETS[1], 6), abs=1e-12)


def test_any_probabilities_agree_with_simulation():
    rng = np.random.default_rng(9)
    table = rng.dirichlet(np.full(9, 0.3), 6)
    payoffs = instruments.load("svo-slider").payoffs
    drawn = np.stack([rng.choice(9, (100_000, 4), p=row) for row in table], axis=-1)
    points = payoffs[np.arange(6), drawn].mean(axis=2) - 50
    means = np.degrees(np.arctan2(points[..., 1], points[..., 0])).mean(axis=1)
    sample = np.abs(means - 25)
    tolerance = 5 * sample.std() / np.sqrt(len(sample))
    assert chance.expected_distance(table, 25, 4) == pytest.approx(sample.mean(), abs=tolerance)


@pytest.mark.parametrize("spoil", [np.full((6, 9), 0.2), np.full((5, 9), 1 / 9), -np.eye(9)[:6]])
def test_a_table_of_no_probabilities_is_refused(spoil):
    with pytest.raises(UserError, match="probabilities"):
        chance.expected_distance(spoil, 45, 1)


@pytest.mark.parametrize(("target", "off"), [(61.39, 8.0), (-16.26, 9.0), (45.0, 0.5)])
def test_a_tail_has_no_rounding_of_the_transform_in_it(target, off):
    angle = svo.angle_distribution(chance.uniform())
    position = (angle.angles - target) / 0.01
    lower = np.floor(position).astype(int)
    first, share = lower.min(), position - lower
    one = np.bincount(lower - first, angle.weights * (1 - share), lower.max() - first + 2)
    one += np.bincount(lower + 1 - first, angle.weights * share, len(one))
    two = np.convolve(one, one)  # terms above 0 only, so nothing cancels
    away = np.abs(0.01 * (np.arange(len(two)) + 2 * first) / 2)
    expected = two[away <= off + 0.0025].sum()
    assert chance.random_share(target, 2, off) == pytest.approx(expected, rel=1e-7)


def test_a_p_value_is_written_the_same_on_any_machine():
    assert chance.p_value(6.255e-17) == chance.p_value(0.0) == 1e-9
    assert chance.p_value(0.123456789) == 0.123457
    assert np.isnan(chance.p_value(np.nan))


def test_chance_belongs_to_the_instrument_whatever_its_items_and_options():
    slider = instruments.load("svo-slider")
    payoffs = slider.payoffs[:4, ::2] * [1.0, 0.9]
    small = dataclasses.replace(slider, payoffs=payoffs, items=slider.items[:4], ends=None)
    profiles = np.array(list(itertools.product(range(5), repeat=4)))
    x, y = (payoffs[np.arange(4), profiles].mean(axis=1) - 50).T
    angles = np.degrees(np.arctan2(y, x))
    assert chance.uniform(small).shape == (4, 5)
    assert chance.reachable(small) == pytest.approx((angles.min(), angles.max()))
    away = np.abs(angles - 20)
    assert chance.random_distance(20, 1, small) == pytest.approx(away.mean(), abs=1e-6)
    assert chance.random_share(20, 1, 7.0, small) == pytest.approx((away <= 7).mean(), abs=2e-3)
