"""Regret is what a choice gives away of the value's utility; a missing choice leaves bounds."""

import itertools
import math

import numpy as np
import pytest

from hvae_utils.errors import UserError
from hvae_utils.measure import choices, instruments, svo, values

FOUR = values.names()[:4]
SLIDER = instruments.load("svo-slider")


def by_hand(profile, utility, items):
    """The mean regret of one profile of options, in plain Python."""
    total = 0.0
    for item in items:
        utilities = [utility(*option) for option in SLIDER.payoffs[item].tolist()]
        lost = max(utilities) - utilities[profile[item]]
        total += lost / (max(utilities) - min(utilities))
    return total / len(items)


@pytest.mark.parametrize(
    ("name", "utility", "items"),
    [
        ("altruistic", lambda mine, other: other, range(6)),
        ("prosocial", lambda mine, other: mine + other, (0, 1, 2, 3, 5)),
        ("individualistic", lambda mine, other: mine, (1, 2, 3, 4, 5)),
        ("competitive", lambda mine, other: mine - other, range(6)),
    ],
)
def test_regret_is_the_share_of_utility_given_away(name, utility, items):
    profiles = np.random.default_rng(1).integers(0, 9, (50, 6))
    found = choices.regret_of(profiles, values.get(name), SLIDER)
    assert found == pytest.approx([by_hand(p, utility, items) for p in profiles])


def test_the_best_choices_cost_nothing_and_the_worst_everything():
    for name in FOUR:
        ideal = svo.ideal_choices(name, SLIDER)
        assert choices.regret_of([ideal], values.get(name), SLIDER)[0] == 0
        table = choices.regrets(values.get(name), SLIDER)
        assert np.nanmin(table) == 0
        assert np.nanmax(table) == 1


def test_an_item_without_a_difference_is_left_out():
    level = np.isnan(choices.regrets(values.get("prosocial"), SLIDER)).all(axis=1)
    assert level.tolist() == [False] * 4 + [True, False]
    ideal = svo.ideal_choices("prosocial", SLIDER)
    for option in (-1, 0, 8):  # not even a missing answer on item 5 costs anything
        ideal[4] = option
        assert choices.regret_of([ideal], values.get("prosocial"), SLIDER)[0] == 0


def test_an_administration_with_an_item_missing_has_no_regret():
    chosen = np.array([[0, -1, 3, 0, -1, 8]])
    assert math.isnan(choices.regret_of(chosen, values.get("altruistic"), SLIDER)[0])


@pytest.mark.parametrize("name", FOUR)
def test_a_random_respondent_regrets_about_half_of_everything(name):
    profiles = np.array(list(itertools.product(range(9), repeat=6)))
    truth = choices.regret_of(profiles, values.get(name), SLIDER).mean()
    found = choices.expected_regret(np.full((6, 9), 1 / 9), values.get(name), SLIDER)
    assert found == pytest.approx(truth, abs=1e-12)
    assert found == pytest.approx(0.5, abs=0.005)


def test_certain_answers_are_expected_to_regret_what_they_do():
    profiles = np.random.default_rng(3).integers(0, 9, (4, 6))
    found = choices.expected_regret(np.eye(9)[profiles], values.get("altruistic"), SLIDER)
    truth = choices.regret_of(profiles, values.get("altruistic"), SLIDER)
    assert found == pytest.approx(truth)


def test_choices_or_values_that_are_none_are_refused():
    with pytest.raises(UserError, match="no option"):
        choices.regret_of([[9, 0, 0, 0, 0, 0]], values.get("altruistic"), SLIDER)
    with pytest.raises(UserError, match="shape"):
        choices.regret_of([[0, 0, 0]], values.get("altruistic"), SLIDER)
    with pytest.raises(UserError, match="'none' has no utility"):
        choices.regrets(values.get("none"), SLIDER)
    with pytest.raises(UserError, match="probabilities"):
        choices.expected_regret(np.ones((6, 9)), values.get("altruistic"), SLIDER)


def test_a_measure_that_cannot_tell_the_options_apart_is_refused():
    level = instruments.Instrument("level", np.full((1, 3, 2), 50.0), (1,), (50, 50), None)
    with pytest.raises(UserError, match="tells no option of 'level' from another"):
        choices.regrets(values.get("altruistic"), level)
