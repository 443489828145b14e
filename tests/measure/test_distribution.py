"""The exact distribution of the angle equals the enumeration of every profile."""

import dataclasses
import itertools
import math

import numpy as np
import pytest

from hvae_utils.errors import UserError
from hvae_utils.measure import distribution, instruments, svo

PRIMARY = instruments.load("svo-slider")
UNIFORM = np.full((6, 9), 1 / 9)


def drawn(seed, concentration=1.0, shape=(6, 9)):
    return np.random.default_rng(seed).dirichlet(np.full(shape[1], concentration), shape[0])


def certain(letters):
    return np.eye(9)[[ord(letter) - ord("A") for letter in letters]]


def without_the_unlikely(table):
    kept = np.where(table > 0.1, table, 0)
    return kept / kept.sum(axis=1, keepdims=True)


def every_profile(instrument):
    """Angle in degrees of every profile, in the order of itertools.product."""
    totals = np.zeros((1, 2))
    for item in instrument.payoffs:
        totals = (totals[:, None] + item).reshape(-1, 2)
    x, y = (totals / len(instrument.items) - instrument.origin).T
    return np.degrees(np.arctan2(y, x))


def cdf(distribution, at):
    return distribution.weights[distribution.angles <= at + 1e-9].sum()


def every_weight(table):
    weights = np.ones(1)
    for item in table:
        weights = np.outer(weights, item).ravel()
    return weights


@pytest.fixture(scope="module")
def angles():
    return every_profile(PRIMARY)


def assert_same(found, angles, weights, tolerance=1e-12):
    mean = math.fsum(weights * angles)
    assert found.mean == pytest.approx(mean, abs=tolerance)
    sd = math.sqrt(math.fsum(weights * (angles - mean) ** 2))
    assert found.sd == pytest.approx(sd, abs=tolerance)
    for name, low, high in (
        ("altruistic", 57.15, np.inf),
        ("prosocial", 22.45, 57.15),
        ("individualistic", -12.04, 22.45),
        ("competitive", -np.inf, -12.04),
    ):
        share = weights[(angles >= low) & (angles < high)].sum()
        assert found.categories[name] == pytest.approx(share, abs=tolerance)
    for at in [*np.linspace(angles.min() - 1, angles.max() + 1, 120), *angles[::50_021]]:
        assert cdf(found, at) == pytest.approx(weights[angles <= at + 1e-9].sum(), abs=tolerance)


@pytest.mark.parametrize(
    "table",
    [
        UNIFORM,
        drawn(1),
        drawn(2, 0.1),
        0.98 * certain("AIAAII") + 0.02 * UNIFORM,
        without_the_unlikely(drawn(3)),
    ],
    ids=["random", "any", "peaked", "lapsing altruist", "with zeros"],
)
def test_the_distribution_equals_the_enumeration_of_all_profiles(table, angles):
    assert_same(svo.angle_distribution(table), angles, every_weight(table))


def test_the_random_respondent_has_the_published_figures():
    found = svo.angle_distribution(UNIFORM)
    assert (found.mean, found.sd) == pytest.approx((22.703, 12.866), abs=5e-4)
    counts = {name: round(share * 9**6) for name, share in found.categories.items()}
    assert counts == {
        "altruistic": 260,
        "prosocial": 269_348,
        "individualistic": 261_605,
        "competitive": 228,
    }
    assert list(counts) == list(svo.CATEGORIES)


def test_the_slider_has_19742_different_sums_and_each_angle_stands_once():
    assert len(distribution.sums(PRIMARY)[0]) == 19_742
    found = svo.angle_distribution(UNIFORM)
    assert np.diff(found.angles).min() > 1e-6
    assert found.weights.sum() == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize(
    ("letters", "angle"),
    [("AIAAII", 61.390), ("AIIAEI", 45.0), ("EIIIAA", 0.0), ("IAIIAA", -16.260)],
)
def test_a_respondent_who_is_certain_has_one_angle(letters, angle):
    found = svo.angle_distribution(certain(letters))
    assert found.angles == pytest.approx([angle], abs=5e-4)
    assert found.sd == 0
    assert found.categories[svo.category(angle)] == 1
    assert found.quantile([0, 0.5, 1]) == pytest.approx([angle] * 3, abs=5e-4)


def test_a_quantile_is_the_least_angle_that_reaches_the_probability():
    table = certain("AIAAII")  # item 2 of an altruist: I or, as likely, A
    table[1] = 0.5 * np.eye(9)[0] + 0.5 * np.eye(9)[8]
    found = svo.angle_distribution(table)
    low, high = found.angles
    assert found.quantile([0, 0.1, 0.5]).tolist() == [low] * 3
    assert found.quantile([0.5 + 1e-9, 1]).tolist() == [high] * 2
    assert found.quantile(0.5) == low
    assert found.weights.tolist() == [0.5, 0.5]


def test_quantiles_agree_with_the_sorted_profiles(angles):
    table = drawn(4)
    order, found = np.argsort(angles, kind="stable"), svo.angle_distribution(table)
    reached = np.cumsum(every_weight(table)[order])
    for q in (0.001, 0.025, 0.31, 0.5, 0.77, 0.975, 0.9999):
        truth = angles[order][np.searchsorted(reached, q)]
        assert found.quantile(q) == pytest.approx(truth, abs=1e-9)


@pytest.mark.parametrize("q", [-0.01, 1.01, np.nan, [0.5, 2]])
def test_a_quantile_outside_0_to_1_is_refused(q):
    with pytest.raises(UserError, match="between 0 and 1"):
        svo.angle_distribution(UNIFORM).quantile(q)


def test_coins_need_not_be_whole_and_items_need_not_be_six():
    payoffs, origin = PRIMARY.payoffs[1:5, ::2] * np.sqrt(2) / 3, 50 * np.sqrt(2) / 3
    odd = dataclasses.replace(
        PRIMARY, payoffs=payoffs, items=(2, 3, 4, 5), ends=None, origin=(origin, origin)
    )
    table = drawn(5, shape=(4, 5))
    found = svo.angle_distribution(table, odd)
    assert_same(found, every_profile(odd), every_weight(table))
    whole = dataclasses.replace(odd, payoffs=PRIMARY.payoffs[1:5, ::2], origin=(50, 50))
    assert found.mean == pytest.approx(svo.angle_distribution(table, whole).mean, abs=1e-10)
    assert len(found.angles) == len(svo.angle_distribution(table, whole).angles)


def test_payoffs_of_another_origin_do_not_meet_the_cached_angles():
    moved = dataclasses.replace(PRIMARY, payoffs=PRIMARY.payoffs + 20, origin=(70, 70))
    stale = dataclasses.replace(PRIMARY, origin=(40, 40))
    truth = svo.angle_distribution(drawn(6)).mean
    assert svo.angle_distribution(drawn(6), moved).mean == pytest.approx(truth, abs=1e-10)
    assert abs(svo.angle_distribution(drawn(6), stale).mean - truth) > 1


def test_many_tables_have_the_mean_angles_of_each(monkeypatch):
    tables = np.stack([drawn(seed) for seed in range(6)]).reshape(2, 3, 6, 9)
    truth = [[svo.angle_distribution(table).mean for table in row] for row in tables]
    assert svo.mean_angles(tables) == pytest.approx(np.array(truth), abs=1e-11)
    monkeypatch.setattr(distribution, "_WEIGHTS", 50_000)  # two tables at once
    assert svo.mean_angles(tables) == pytest.approx(np.array(truth), abs=1e-11)
    assert svo.mean_angles(tables[0, 0]).shape == ()
    assert svo.mean_angles(tables[:, :0]).shape == (2, 0)


def spoilt(item, row):
    table = UNIFORM.copy()
    table[item] = row
    return table


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (spoilt(2, [np.nan] + [1 / 8] * 8), "item 3 holds a NaN or a negative number"),
        (spoilt(5, [np.inf] + [0] * 8), "item 6 holds a NaN or a negative number"),
        (spoilt(0, [-0.1, 0.3] + [0.8 / 7] * 7), "item 1 holds a NaN or a negative number"),
        (spoilt(4, [0] * 9), "item 5 .* sums to 0, not to 1"),
        (spoilt(1, [0.1] * 9), "item 2 .* sums to 0.9, not to 1"),
        (np.full((9, 6), 1 / 6), r"in the shape .* \(6, 9\) .* found \(9, 6\)"),
        (np.full(9, 1 / 9), r"found \(9,\)"),
        (np.empty((0, 9)), r"found \(0, 9\)"),
        ([], r"found \(0,\)"),
        (UNIFORM[None], "expected one table"),
        ([["a"] * 9] * 6, "expected numbers"),
        ([[1], [0, 1]], "expected numbers"),
    ],
)
def test_a_bad_table_is_refused_with_its_item_named(table, message):
    with pytest.raises(UserError, match=message):
        svo.angle_distribution(table)


def test_among_many_tables_the_bad_one_is_named():
    tables = np.stack([UNIFORM, UNIFORM, spoilt(3, [0] * 9)])
    with pytest.raises(UserError, match=r"table 2, item 4 .* sums to 0"):
        svo.mean_angles(tables)


def test_rounded_probabilities_are_scaled_and_leave_the_given_table_alone():
    table = np.round(drawn(7), 7)
    given = table.copy()
    truth = svo.angle_distribution(table / table.sum(axis=1, keepdims=True))
    assert svo.angle_distribution(table).mean == pytest.approx(truth.mean, abs=1e-12)
    assert (table == given).all()


@pytest.mark.parametrize("function", [svo.angle_distribution, svo.mean_angles])
def test_an_instrument_without_an_angle_is_refused(function):
    secondary = instruments.load("svo-slider-secondary")
    with pytest.raises(UserError, match="no SVO angle"):
        function(np.full((9, 9), 1 / 9), secondary)


def test_a_profile_at_the_origin_has_no_angle_and_is_refused_only_if_it_can_occur():
    payoffs = np.array([[[50.0, 50], [80, 50]], [[50, 50], [60, 90]]])
    tiny = dataclasses.replace(PRIMARY, payoffs=payoffs, items=(1, 2), ends=None)
    assert svo.angle_distribution([[0, 1], [0.5, 0.5]], tiny).mean == pytest.approx(22.5)
    with pytest.raises(UserError, match="at the origin"):
        svo.angle_distribution([[0.5, 0.5], [0.5, 0.5]], tiny)
    with pytest.raises(UserError, match="at the origin"):
        svo.mean_angles([[0, 1], [0.5, 0.5]], tiny)


def test_the_order_of_the_items_does_not_matter():
    table = drawn(8)
    turned = list(itertools.chain(range(3, 6), range(3)))
    other = dataclasses.replace(PRIMARY, payoffs=PRIMARY.payoffs[turned])
    assert svo.angle_distribution(table[turned], other).mean == pytest.approx(
        svo.angle_distribution(table).mean, abs=1e-11
    )
