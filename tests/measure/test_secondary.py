"""Inequality aversion and joint gain are told apart as published, pitfalls included."""

from collections import Counter
from fractions import Fraction

import numpy as np
import pytest

from hvae_utils.errors import UserError
from hvae_utils.measure import instruments, published, secondary

SECONDARY = instruments.load("svo-slider-secondary")
MIDDLE = 4


def ideal(name, free=MIDDLE):
    """Return the 0-based choices of an ideal respondent; `free` where it is indifferent."""
    return (published.secondary_ideals()[name] - 1).fillna(free).astype(int).tolist()


def one(choices):
    return secondary.score([choices]).iloc[0]


@pytest.mark.parametrize(
    ("name", "utility"),
    [
        ("inequality", lambda mine, other: -abs(mine - other)),
        ("joint_gain", lambda mine, other: mine + other),
        ("individualist", lambda mine, other: mine),
        ("altruist", lambda mine, other: other),
    ],
)
def test_the_published_ideals_are_what_the_utilities_choose_on_the_secondary_items(name, utility):
    ideals = published.secondary_ideals()[name]
    assert tuple(ideals.index) == SECONDARY.items
    for item, payoffs in zip(SECONDARY.items, SECONDARY.payoffs.tolist(), strict=True):
        gains = [utility(*payoff) for payoff in payoffs]
        if max(gains) - min(gains) <= SECONDARY.rounding:
            assert np.isnan(ideals[item])
            assert item in (8, 11, 13)
        else:
            assert [k for k, gain in enumerate(gains, start=1) if gain == max(gains)] == [
                ideals[item]
            ]


def test_the_two_kinds_of_prosocial_lie_at_the_two_ends_of_the_index():
    averse, joint = one(ideal("inequality")), one(ideal("joint_gain"))
    assert (averse["d_inequality"], averse["index"]) == (0, 0)
    assert (joint["d_joint_gain"], joint["index"]) == (0, 1)
    assert averse["note"] == joint["note"] == ""


@pytest.mark.parametrize("name", ["individualist", "altruist"])
def test_who_is_no_prosocial_gets_no_index_and_the_reason(name):
    scored = one(ideal(name))
    assert scored[f"d_{name}"] == 0
    assert np.isnan(scored["index"])
    assert "individualist or the altruist" in scored["note"]


def test_always_the_middle_option_looks_averse_to_inequality():
    scored = one([MIDDLE] * 9)
    assert scored["d_joint_gain"] == 0.5
    assert scored["index"] == 0.25


def test_items_of_constant_sum_do_not_count_for_joint_gain():
    choices = ideal("joint_gain")
    for item in (8, 11, 13):
        choices[item - 7] = 0
    assert one(choices)["d_joint_gain"] == 0
    choices[0] = 7
    assert one(choices)["d_joint_gain"] == pytest.approx(1 / 8 / 6)


def test_a_respondent_halfway_between_the_two_motives_has_the_index_one_half():
    even = one([-1, -1, -1, -1, -1, -1, -1, 1, -1])
    assert (even["d_inequality"], even["d_joint_gain"], even["index"]) == (1 / 8, 1 / 8, 0.5)


def test_a_missing_item_is_left_out_and_said():
    choices = ideal("inequality")
    choices[3] = -1
    scored = one(choices)
    assert (scored["index"], scored["note"]) == (0, "1 of 9 items missing")


@pytest.mark.parametrize("choices", [[-1] * 9, [-1, 4, -1, -1, 4, -1, 4, -1, -1]])
def test_without_an_item_that_tells_joint_gain_apart_there_is_no_index(choices):
    scored = one(choices)
    assert np.isnan(scored["d_joint_gain"])
    assert np.isnan(scored["index"])
    assert scored["note"].startswith("no index")


def random_shares():
    """Return, exactly, P(index) of a random respondent, and the share below 0.5 among these."""
    ideals = published.secondary_ideals()
    sums = Counter({(0, 0, 0): 1})
    for _, (averse, joint, selfish, _) in ideals.iterrows():
        added = Counter()
        for (a, j, s), ways in sums.items():
            for k in range(1, 10):
                gain = 0 if np.isnan(joint) else abs(k - int(joint))
                added[a + abs(k - int(averse)), j + gain, s + abs(k - int(selfish))] += ways
        sums = added
    qualify, averse_looking = 0, 0
    for (a, j, s), ways in sums.items():
        averse, joint = Fraction(a, 72), Fraction(j, 48)
        if max(averse, joint) <= min(Fraction(s, 72), 1 - Fraction(s, 72)):
            qualify += ways
            averse_looking += ways * (averse < joint)
    return qualify / sums.total(), averse_looking / qualify


def test_random_respondents_get_an_index_and_look_averse_to_inequality():
    exact, below = random_shares()
    assert exact == pytest.approx(0.28997, abs=5e-6)
    assert below == pytest.approx(0.8823, abs=5e-5)
    choices = np.random.default_rng(3).integers(0, 9, (40_000, 9))
    index = secondary.score(choices)["index"]
    assert index.notna().mean() == pytest.approx(exact, abs=0.01)
    assert (index.dropna() < 0.5).mean() == pytest.approx(below, abs=0.012)


@pytest.mark.parametrize(
    "choices", [[0] * 9, [[0] * 6], [[0] * 8 + [9]], [[-2] * 9], [[0.5] * 9], [[0], [0, 1]]]
)
def test_choices_that_are_none_are_refused(choices):
    with pytest.raises(UserError, match="choices"):
        secondary.score(choices)


def test_probabilities_give_the_mean_distance_of_the_answers_they_stand_for():
    rng = np.random.default_rng(8)
    table = rng.dirichlet(np.ones(9), 9)
    drawn = np.stack([rng.choice(9, 20_000, p=row) for row in table], axis=1)
    distances = [f"d_{name}" for name in published.secondary_ideals()]
    exact = secondary.expected(table[None])[distances].iloc[0]
    sampled = secondary.score(drawn)[distances].mean()
    assert exact.to_numpy() == pytest.approx(sampled.to_numpy(), abs=0.003)


def test_no_administration_gives_an_empty_table():
    assert secondary.score(np.empty((0, 9), int)).empty
