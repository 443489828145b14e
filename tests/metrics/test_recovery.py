"""What a known truth looks like through the instrument: a staircase, noise, and biases undone."""

import math

import numpy as np
import pytest

from hvae_utils.errors import UserError
from hvae_utils.measure import instruments, svo
from hvae_utils.metrics import debias, lapse, recovery
from hvae_utils.metrics.recovery import Truth

PRIMARY = instruments.load("svo-slider")
OWN = list(range(9))


def letters(text):
    return [ord(letter) - ord("A") for letter in text]


def mean_angle(truth, order=None):
    return svo.angle_distribution(recovery.probabilities(truth, PRIMARY, order)).mean


# The staircase


@pytest.mark.parametrize(
    ("utility_angle", "angle"),
    [
        (0.1, 7.8),
        (24.8, 36.1),
        (26.6, 37.1),
        (42.7, 37.1),
        (45.1, 49.0),
        (68.8, 61.4),
        (90, 61.4),
        (-45, -16.3),
    ],
)
def test_a_linear_utility_maps_to_the_published_angle(utility_angle, angle):
    best = Truth(utility_angle).utilities(PRIMARY.payoffs).argmax(axis=1)
    assert svo.score([best], PRIMARY).angle[0] == pytest.approx(angle, abs=0.05)
    assert mean_angle(Truth(utility_angle)) == pytest.approx(angle, abs=0.05)
    stairs = recovery.steps()
    step = stairs[(stairs.low < utility_angle) & (utility_angle <= stairs.high)]
    assert step.angle.item() == pytest.approx(angle, abs=0.05)


def test_the_staircase_is_whole_and_rises():
    stairs = recovery.steps()
    assert (stairs.low.iloc[0], stairs.high.iloc[-1]) == (-90, 90)
    assert (stairs.low[1:].to_numpy() == stairs.high[:-1].to_numpy()).all()
    assert (stairs.angle.diff()[1:] > 0).all()
    flat = stairs[stairs.choices == "AIIAAI"].iloc[0]
    assert (flat.low, flat.high) == pytest.approx((26.565, 42.709), abs=0.001)


def test_the_staircase_agrees_with_a_fine_grid():
    stairs = recovery.steps()
    for angle in np.arange(-89.95, 90, 0.35):
        step = stairs[(stairs.low < angle) & (angle < stairs.high)].iloc[0]
        best = Truth(angle).utilities(PRIMARY.payoffs).argmax(axis=1)
        assert letters(step.choices) == best.tolist()


def test_equally_good_options_are_chosen_alike():
    table = recovery.probabilities(Truth(0))
    np.testing.assert_allclose(table[0], 1 / 9)
    assert table[1].tolist() == [0] * 8 + [1]
    assert mean_angle(Truth(0)) == pytest.approx(0.02, abs=0.005)


# Probabilities


@pytest.mark.parametrize("order", [None, OWN[::-1], [3, 1, 4, 0, 5, 8, 2, 6, 7]])
def test_a_truth_without_bias_answers_the_same_in_every_order(order):
    truth = Truth(50, 0.2, 0.1)
    np.testing.assert_allclose(
        recovery.probabilities(truth, order=order), recovery.probabilities(truth), atol=1e-15
    )


def test_biases_are_what_they_are_said_to_be_in_nats():
    order = [3, 1, 4, 0, 5, 8, 2, 6, 7]
    labels = (0, 0.5, 0, 0, -1, 0, 0, 0, 2)
    plain = recovery.probabilities(Truth(40, 0.1))
    biased = recovery.probabilities(Truth(40, 0.1, 0, 3, labels), order=order)
    gain = np.log(biased / plain)[:, order]
    gain -= gain[:, :1]
    expected = [labels[k] - 3 * k / 8 for k in range(9)]
    np.testing.assert_allclose(gain, np.tile(expected, (6, 1)), atol=1e-12)


def test_without_sharpness_only_biases_are_left_and_lapses_are_uniform():
    np.testing.assert_allclose(recovery.probabilities(Truth(30, 0)), 1 / 9)
    np.testing.assert_allclose(recovery.probabilities(Truth(30, 5, 1, 9)), 1 / 9)
    assert mean_angle(Truth(30, 0)) == pytest.approx(22.703, abs=0.0005)


# Debiasing


@pytest.mark.parametrize("angle", [-45, 0, 26, 45, 70, 90])
@pytest.mark.parametrize("sharpness", [0.1, 0.3, 1, math.inf])
def test_averaging_log_probabilities_returns_the_truth_without_lapses(angle, sharpness):
    goal = mean_angle(Truth(angle, sharpness))
    orders = {"two": [OWN, OWN[::-1]], "cyclic": [np.roll(OWN, -k) for k in OWN]}
    linear = Truth(angle, sharpness, 0, 3)
    uneven = Truth(angle, sharpness, 0, 1, (0, 0, 1, 0, 0, 0, -2, 0, 3))
    for truth, name in ((linear, "two"), (linear, "cyclic"), (uneven, "cyclic")):
        shown = recovery.tables_of(truth, PRIMARY, orders[name])
        logit = debias.average_logits(shown, floor=0.0)
        assert svo.angle_distribution(logit).mean == pytest.approx(goal, abs=1e-6)


def test_averaging_probabilities_does_not_return_it():
    truth = Truth(90, 0.1, 0, 3)
    shown = recovery.tables_of(truth, PRIMARY, [OWN, OWN[::-1]])
    averaged = debias.average_probabilities(shown)
    assert mean_angle(Truth(90, 0.1)) - svo.angle_distribution(averaged).mean > 2


def test_lapses_keep_a_bias_from_being_averaged_away_entirely():
    table = recovery.study([Truth(90, 0.1, 0.2, 3)])
    assert 1 < table.unbiased.item() - table.two_logit.item() < 5


def test_a_mixture_takes_the_first_position_in_its_share_whatever_stands_there():
    order = [3, 1, 4, 0, 5, 8, 2, 6, 7]
    table = recovery.probabilities(Truth(40, 0.1, 0.2, mixture=0.3), order=order)
    expected = 0.7 * recovery.probabilities(Truth(40, 0.1, 0.2))
    expected[:, 3] += 0.3
    np.testing.assert_allclose(table, expected, atol=1e-15)


@pytest.mark.parametrize("angle", [-45, 0, 45, 90])
@pytest.mark.parametrize("lapse_rate", [0, 0.2])
def test_the_minimum_returns_the_truth_of_a_mixture_with_lapses_too(angle, lapse_rate):
    row = recovery.study([Truth(angle, 0.1, lapse_rate, mixture=0.3)]).iloc[0]
    assert row.cyclic_minimum == pytest.approx(row.unbiased, abs=1e-9)
    assert abs(row.cyclic_logit - row.unbiased) > 0.5
    assert abs(row.cyclic_probability - row.unbiased) > 3


def test_the_study_says_which_mechanism_made_the_answers_and_when_neither_shows():
    soft = [
        Truth(57, 0.1),
        Truth(57, 0.1, 0, 3),
        Truth(57, 0.1, 0.2, 3),
        Truth(57, 0.1, mixture=0.3),
    ]
    table = recovery.study([*soft, Truth(57, math.inf, 0, 3)])
    assert table.mechanism.tolist() == ["neither", "additive", "additive", "mixture", "neither"]
    assert (table.evidence[1:4] > debias.CLEAR).all()


# The study


def test_a_study_is_one_row_a_truth_and_its_columns_are_what_they_say():
    chosen = [Truth(65, 0.3, 0.1, 3, (0,) * 8 + (2,)), Truth(-45)]
    table = recovery.study(chosen)
    assert len(table) == 2
    assert table.utility_angle.tolist() == [65, -45]
    assert table.label_bias.tolist() == [2, 0]
    assert table.ideal.tolist() == pytest.approx([53.890, -16.260], abs=0.0005)
    assert table.unbiased[0] == pytest.approx(mean_angle(Truth(65, 0.3, 0.1)), abs=1e-9)
    assert table.fixed[0] == pytest.approx(mean_angle(chosen[0]), abs=1e-9)
    sharp = table.iloc[1][["unbiased", "fixed", "two_probability", "cyclic_logit"]]
    assert sharp.to_numpy(float) == pytest.approx(-16.260, abs=0.0005)


def test_the_exact_mean_is_that_of_drawn_administrations():
    truth = Truth(55, 0.2, 0.1, 3)
    table, rng = recovery.probabilities(truth), np.random.default_rng(8)
    drawn = np.column_stack([rng.choice(9, size=20_000, p=row) for row in table])
    angles = svo.score(drawn, PRIMARY).angle
    assert angles.mean() == pytest.approx(recovery.study([truth]).fixed.item(), abs=0.5)


def test_the_standard_study_covers_every_combination():
    chosen = recovery.truths()
    assert len(chosen) == len(set(chosen)) == 9 * 3 * 2 * 5
    assert recovery.study([]).empty


@pytest.mark.parametrize("angle", [-45, 0, 45, 80])
@pytest.mark.parametrize("rate", [0, 0.2, 0.7, 1])
def test_the_lapse_rate_of_a_sharp_respondent_is_recovered(angle, rate):
    best = recovery.probabilities(Truth(angle)) > 0
    found = lapse.expected_rate(recovery.probabilities(Truth(angle, math.inf, rate)), best)
    assert found == pytest.approx(rate, abs=1e-9)


def test_a_soft_respondent_that_never_lapses_seems_to_lapse():
    assert recovery.study([Truth(45, 0.3)]).lapse_fixed.item() > 0.4


def test_a_lapse_rate_needs_an_item_that_does_not_tie():
    assert math.isnan(lapse.expected_rate(np.full((1, 3), 1 / 3), np.ones((1, 3), bool)))


# Lapse curves


@pytest.mark.parametrize(
    ("value", "share", "mean"), [("altruistic", 0.51, 54.9), ("competitive", 0.51, -9.7)]
)
def test_one_lapse_in_five_undoes_the_corners(value, share, mean):
    curve = recovery.lapse_curve(value, [0.2]).iloc[0]
    assert curve[value] == pytest.approx(share, abs=0.005)
    assert curve.mean_angle == pytest.approx(mean, abs=0.05)


@pytest.mark.parametrize(
    ("value", "ideal", "vr_random"),
    [
        ("altruistic", 61.390, 21.31),
        ("prosocial", 45.0, 37.70),
        ("individualistic", 0.0, 37.30),
        ("competitive", -16.260, 21.04),
    ],
)
def test_a_lapse_curve_runs_from_the_ideal_to_the_random_respondent(value, ideal, vr_random):
    curve = recovery.lapse_curve(value, np.linspace(0, 1, 11))
    first, last = curve.iloc[0], curve.iloc[-1]
    assert (first.mean_angle, first.sd, first[value]) == pytest.approx((ideal, 0, 1), abs=0.0005)
    assert first.vr == pytest.approx(60, abs=0.0005)
    assert (last.mean_angle, last.sd) == pytest.approx((22.703, 12.866), abs=0.0005)
    assert last.vr == pytest.approx(vr_random, abs=0.006)
    np.testing.assert_allclose(curve[list(svo.CATEGORIES)].sum(axis=1), 1)
    assert (curve.vr.diff()[1:] < 0).all()


# What makes no sense


@pytest.mark.parametrize(
    "wrong",
    [
        {"angle": math.nan},
        {"angle": 0, "sharpness": -1},
        {"angle": 0, "sharpness": math.nan},
        {"angle": 0, "lapse": 1.1},
        {"angle": 0, "lapse": math.nan},
        {"angle": 0, "position_bias": math.inf},
        {"angle": 0, "label_bias": (math.nan,)},
        {"angle": 0, "mixture": -0.1},
    ],
)
def test_an_impossible_respondent_is_refused(wrong):
    with pytest.raises(UserError):
        Truth(**wrong)


def test_impossible_questions_are_refused():
    with pytest.raises(UserError, match="order"):
        recovery.probabilities(Truth(0), order=[0] * 9)
    with pytest.raises(UserError, match="label"):
        recovery.probabilities(Truth(0, label_bias=(1.0, 2.0)))
    with pytest.raises(UserError, match="lapse rate"):
        recovery.lapse_curve("altruistic", [1.5])
    with pytest.raises(UserError, match="no utility"):
        recovery.lapse_curve("none", [0.1])
