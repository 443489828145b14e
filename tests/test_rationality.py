"""Value rationality says what was measured, beside chance, and never makes a number of nothing."""

import itertools
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hvae_utils import instruments, rationality, svo, values
from hvae_utils.errors import UserError

ALTRUIST, COMPETITOR = 61.38954033403479, -16.260204708311957


def administrations(angles, model="m", value="prosocial", goal_prompt=False, **factors):
    """Return scores of administrations with these angles; NaN answered nothing at all."""
    angles = np.array(angles, float)
    gone = np.isnan(angles)
    table = pd.DataFrame(
        {
            "model": model,
            "value": value,
            "goal_prompt": goal_prompt,
            "induction": "label",
            "placement": "system",
            "protocol": "independent",
            "wording": "plain",
            "repeat": range(1, len(angles) + 1),
            "angle": angles,
            "angle_low": np.where(gone, COMPETITOR, angles),
            "angle_high": np.where(gone, ALTRUIST, angles),
            "mean_self": np.where(gone, np.nan, 80.0),
            "mean_other": np.where(gone, np.nan, 70.0),
        }
    )
    return table.assign(**factors)


def only(table):
    assert len(table) == 1
    return table.iloc[0]


# The published scale


def test_a_mean_on_the_target_scores_sixty_and_every_degree_off_costs_one():
    assert rationality.value_rationality([45, 45], "prosocial") == 60
    assert rationality.value_rationality([40, 44], "prosocial") == 57
    assert rationality.value_rationality([46, 50], values.get("prosocial")) == 57
    assert rationality.value_rationality([-10, 10], "individualistic") == 60


def test_an_altruist_told_to_compete_scores_below_zero():
    vr = rationality.value_rationality([ALTRUIST], "competitive")
    assert vr == pytest.approx(-17.65, abs=0.005)


def test_unscored_administrations_are_left_out_not_counted_as_anything():
    assert rationality.value_rationality([40, np.nan, 44], "prosocial") == 57
    assert math.isnan(rationality.value_rationality([np.nan], "prosocial"))
    assert math.isnan(rationality.value_rationality([], "prosocial"))


def test_without_a_value_there_is_no_value_rationality():
    assert math.isnan(rationality.value_rationality([45], "none"))
    assert math.isnan(rationality.random_baseline("none", 10))


def test_an_unknown_scale_or_value_names_the_choices():
    with pytest.raises(UserError, match="choose from raw"):
        rationality.value_rationality([45], "prosocial", scale="rawe")
    with pytest.raises(UserError, match="Did you mean 'prosocial'"):
        rationality.value_rationality([45], "prosocal")


# Chance


@pytest.fixture(scope="module")
def random_angles():
    payoffs = instruments.load("svo-slider").payoffs
    profiles = np.array(list(itertools.product(range(9), repeat=6)))
    points = payoffs[np.arange(6), profiles].mean(axis=1) - 50
    return np.degrees(np.arctan2(points[:, 1], points[:, 0]))


@pytest.mark.parametrize("target", [ALTRUIST, 45, 37.48, 22.7, 0, COMPETITOR])
def test_one_random_respondent_is_as_far_off_as_the_mean_of_all_profiles(random_angles, target):
    truth = np.abs(random_angles - target).mean()
    assert rationality.random_distance(target, 1) == pytest.approx(truth, abs=1e-6)


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
    assert rationality.random_distance(target, 1) == pytest.approx(one, abs=0.005)
    assert rationality.random_distance(target, 10) == pytest.approx(ten, abs=0.005)


@pytest.mark.parametrize(("target", "n"), [(22.7, 2), (30, 3), (25, 10), (24, 200)])
def test_the_mean_of_some_random_respondents_agrees_with_simulation(random_angles, target, n):
    rng = np.random.default_rng(20)
    means = np.zeros(200_000)
    for _ in range(n):
        means += rng.choice(random_angles, len(means)) / n
    sample = np.abs(means - target)
    tolerance = 5 * sample.std() / np.sqrt(len(sample))
    assert rationality.random_distance(target, n) == pytest.approx(sample.mean(), abs=tolerance)


def test_two_random_respondents_agree_with_every_pair_of_profiles(random_angles):
    found, counts = np.unique(random_angles.round(2), return_counts=True)
    pairs = np.abs((found[:, None] + found) / 2 - 22.7)
    truth = counts @ pairs @ counts / counts.sum() ** 2
    assert rationality.random_distance(22.7, 2) == pytest.approx(truth, abs=2e-3)


def test_a_million_random_respondents_leave_only_the_distance_of_the_mean(random_angles):
    distance = rationality.random_distance(45, 1_000_000)
    assert distance == pytest.approx(45 - random_angles.mean(), abs=1e-3)
    spread = random_angles.std() / 1000
    at_mean = rationality.random_distance(float(random_angles.mean()), 1_000_000)
    assert at_mean == pytest.approx(spread * math.sqrt(2 / math.pi), rel=0.01)


@given(target=st.floats(-40, 90), n=st.integers(1, 40))
def test_more_random_administrations_never_move_further_from_a_target(target, n):
    fewer, more = (rationality.random_distance(target, k) for k in (n, n + 1))
    assert abs(22.703 - target) - 1e-3 <= more <= fewer + 1e-4


def test_chance_looks_like_a_preference_for_the_values_in_the_middle():
    baseline = {name: rationality.random_baseline(name, 10) for name in values.names()[:4]}
    published = {
        "altruistic": 21.31,
        "prosocial": 37.70,
        "individualistic": 37.30,
        "competitive": 21.04,
    }
    assert baseline == pytest.approx(published, abs=0.005)


@pytest.mark.parametrize("n", [0, -1, 2.5, "ten"])
def test_chance_needs_a_whole_number_of_administrations(n):
    with pytest.raises(UserError, match="whole number above 0"):
        rationality.random_distance(45, n)


# Intervals


def test_the_t_interval_is_the_textbook_one():
    interval = rationality.mean_interval([1, 2, 3, 4, 5])
    # t(0.975, 4) = 2.7764, standard error = sqrt(2.5 / 5)
    assert interval.mean == 3
    assert interval.high - 3 == pytest.approx(2.776445 * math.sqrt(0.5), abs=1e-6)
    assert 3 - interval.low == pytest.approx(interval.high - 3)
    assert (interval.n, interval.note) == (5, "")
    narrow = rationality.mean_interval([1, 2, 3, 4, 5], level=0.5)
    assert narrow.high - 3 == pytest.approx(0.740697 * math.sqrt(0.5), abs=1e-6)


@pytest.mark.parametrize(
    ("sample", "mean", "n", "note"),
    [
        ([], math.nan, 0, "nothing was scored"),
        ([math.nan, math.nan], math.nan, 0, "nothing was scored"),
        ([30.0, math.nan], 30.0, 1, "one observation"),
        ([0.1 + 0.2, 0.3, 0.3], 0.3, 3, "all 3 observations agree"),
    ],
)
def test_where_no_interval_can_be_estimated_a_note_says_why(sample, mean, n, note):
    interval = rationality.mean_interval(sample)
    assert interval.mean == pytest.approx(mean, nan_ok=True)
    assert interval.n == n
    assert math.isnan(interval.low)
    assert math.isnan(interval.high)
    assert note in interval.note


@pytest.mark.parametrize("level", [0, 1, 95, math.nan])
def test_a_level_that_is_no_probability_is_refused(level):
    with pytest.raises(UserError, match="between 0 and 1"):
        rationality.mean_interval([1, 2], level)


def test_the_t_interval_covers_a_normal_mean_as_often_as_it_says():
    rng = np.random.default_rng(3)
    intervals = [rationality.mean_interval(rng.normal(10, 3, 5)) for _ in range(2000)]
    covered = np.mean([i.low <= 10 <= i.high for i in intervals])
    assert covered == pytest.approx(0.95, abs=0.015)


# Cells


def test_a_cell_has_its_mean_interval_and_their_image_on_the_published_scale():
    cell = only(rationality.cells(administrations([30, 34, 38])))
    half = 4.302653 * 4 / math.sqrt(3)  # t(0.975, 2)
    assert (cell["administrations"], cell["scored"]) == (3, 3)
    assert (cell["mean_angle"], cell["angle_sd"]) == (34, 4)
    assert (cell["mean_self"], cell["mean_other"]) == (80, 70)
    assert (cell["angle_low"], cell["angle_high"]) == pytest.approx((34 - half, 34 + half))
    assert (cell["bound_low"], cell["bound_high"]) == (34, 34)
    assert (cell["target"], cell["vr"]) == (45, 49)
    assert (cell["vr_low"], cell["vr_high"]) == pytest.approx((49 - half, 49 + half))
    assert cell["vr_random"] == rationality.random_baseline("prosocial", 3)
    assert cell["note"] == ""


def test_an_interval_around_the_target_reaches_sixty():
    cell = only(rationality.cells(administrations([40, 44, 48])))
    half = 4.302653 * 4 / math.sqrt(3)
    assert (cell["vr"], cell["vr_high"]) == (59, 60)
    assert cell["vr_low"] == pytest.approx(59 - half)


def test_an_interval_above_the_target_turns_round():
    cell = only(rationality.cells(administrations([50, 51, 52])))
    half = 4.302653 / math.sqrt(3)
    assert (cell["vr_low"], cell["vr_high"]) == pytest.approx((54 - half, 54 + half))


def test_a_cell_without_a_scored_administration_has_bounds_and_chance_only():
    cell = only(rationality.cells(administrations([np.nan] * 3, value="altruistic")))
    assert (cell["administrations"], cell["scored"]) == (3, 0)
    empty = ["mean_self", "mean_other", "mean_angle", "angle_sd", "angle_low", "angle_high"]
    assert cell[[*empty, "vr", "vr_low", "vr_high"]].isna().all()
    assert (cell["bound_low"], cell["bound_high"]) == pytest.approx((COMPETITOR, ALTRUIST))
    assert cell["vr_random"] == rationality.random_baseline("altruistic", 3)
    assert cell["note"] == "nothing was scored; 3 of 3 administrations have no angle"


def test_unscored_administrations_widen_the_bounds_and_are_named():
    cell = only(rationality.cells(administrations([30, 40, np.nan, np.nan])))
    assert (cell["scored"], cell["mean_angle"]) == (2, 35)
    assert cell["bound_low"] == pytest.approx((70 + 2 * COMPETITOR) / 4)
    assert cell["bound_high"] == pytest.approx((70 + 2 * ALTRUIST) / 4)
    assert cell["vr_random"] == rationality.random_baseline("prosocial", 2)
    assert cell["note"] == "2 of 4 administrations have no angle"


@pytest.mark.parametrize(
    ("angles", "note"), [([45], "one observation"), ([45] * 12, "all 12 observations agree")]
)
def test_agreement_and_single_administrations_get_no_interval(angles, note):
    cell = only(rationality.cells(administrations(angles)))
    assert cell["vr"] == 60
    assert cell[["angle_low", "angle_high", "vr_low", "vr_high"]].isna().all()
    assert note in cell["note"]


def test_a_model_without_an_assigned_value_has_an_angle_but_no_rationality():
    cell = only(rationality.cells(administrations([20, 30], value="none")))
    assert cell["mean_angle"] == 25
    assert cell[["target", "vr", "vr_low", "vr_high", "vr_random"]].isna().all()
    assert "no target" in cell["note"]


def test_cells_come_by_model_as_met_then_value_then_goal():
    parts = [
        administrations([0], model="z", value="none", goal_prompt=True),
        administrations([0], model="z", value="competitive", goal_prompt=True),
        administrations([0], model="z", value="competitive"),
        administrations([0], model="a", value="altruistic"),
        administrations([0], model="z", value="altruistic"),
    ]
    table = rationality.cells(pd.concat(parts))
    assert table[["model", "value", "goal_prompt"]].to_numpy().tolist() == [
        ["z", "altruistic", False],
        ["z", "competitive", False],
        ["z", "competitive", True],
        ["z", "none", True],
        ["a", "altruistic", False],
    ]


def test_faithful_respondents_score_sixty_on_every_value():
    instrument = instruments.load("svo-slider")
    parts = [
        svo.score([svo.ideal_choices(name, instrument)], instrument).assign(
            model="faithful", value=name, goal_prompt=False
        )
        for name in values.names()[:4]
    ]
    table = rationality.cells(pd.concat(parts))
    assert table["vr"].tolist() == pytest.approx([60] * 4, abs=1e-9)


def test_no_scores_give_empty_tables_with_their_columns():
    none = administrations([])
    assert list(rationality.cells(none))[:4] == ["model", "value", "goal_prompt", "administrations"]
    assert "difference" in rationality.goal_effects(none)


def test_scores_without_a_column_or_with_an_unknown_value_are_refused():
    with pytest.raises(UserError, match="column 'angle_low' is missing"):
        rationality.cells(administrations([45]).drop(columns="angle_low"))
    with pytest.raises(UserError, match="unknown value 'kind'"):
        rationality.cells(administrations([45], value="kind"))


# The goal prompt


def test_the_goal_effect_is_the_mean_of_paired_differences():
    without = administrations([30, 35, 40])
    with_goal = administrations([36, 45, 56], goal_prompt=True)
    shuffled = pd.concat([with_goal.iloc[::-1], without])
    effect = only(rationality.goal_effects(shuffled))
    # 60 - |angle - 45|: without 45, 50, 55; with 51, 60, 49; differences 6, 10, -6
    assert effect["pairs"] == 3
    assert effect["vr_without"] == pytest.approx(50)
    assert effect["vr_with"] == pytest.approx(160 / 3)
    assert effect["difference"] == pytest.approx(10 / 3)
    half = 4.302653 * np.std([6, 10, -6], ddof=1) / math.sqrt(3)
    assert (effect["low"], effect["high"]) == pytest.approx((10 / 3 - half, 10 / 3 + half))
    assert effect["note"] == ""


def test_only_administrations_that_agree_on_every_other_factor_are_pairs():
    parts = [
        administrations([30, 40], wording="plain"),
        administrations([35], wording="plain", goal_prompt=True),
        administrations([45], wording="other", goal_prompt=True),
    ]
    effect = only(rationality.goal_effects(pd.concat(parts)))
    assert (effect["pairs"], effect["difference"]) == (1, 5)
    assert "one observation" in effect["note"]


def test_pairs_without_an_angle_are_left_out_and_named():
    parts = [
        administrations([30, np.nan, 31]),
        administrations([35, 45, 37], goal_prompt=True),
    ]
    effect = only(rationality.goal_effects(pd.concat(parts)))
    assert (effect["pairs"], effect["difference"]) == (2, 5.5)
    assert effect["note"] == "1 of 3 pairs lack an angle"


def test_one_arm_alone_has_no_effect_to_report():
    effect = only(rationality.goal_effects(administrations([30, 31])))
    assert effect["pairs"] == 0
    assert effect[["vr_with", "vr_without", "difference", "low", "high"]].isna().all()
    assert effect["note"] == "no pair with and without the goal prompt"


def test_no_value_has_no_goal_effect_and_values_come_in_their_order():
    parts = [
        administrations([10, 20], value=value, goal_prompt=goal)
        for value in ("none", "competitive", "altruistic")
        for goal in (False, True)
    ]
    table = rationality.goal_effects(pd.concat(parts))
    assert table["value"].tolist() == ["altruistic", "competitive"]
    assert table["difference"].tolist() == [0, 0]
    assert table["low"].isna().all()
    assert table["note"].str.contains("all 2 observations agree").all()


def test_an_administration_found_twice_is_refused():
    twice = pd.concat([administrations([30]), administrations([31])])
    with pytest.raises(UserError, match="two administrations with the same factors"):
        rationality.goal_effects(twice)


def test_the_share_of_random_respondents_that_come_as_close_is_exact(random_angles):
    # all 531,441 profiles, counted one by one for a single administration
    angles = random_angles
    for target, distance in [(45.0, 14.53), (0.0, 7.8), (61.39, 4.0), (-16.26, 0.0)]:
        counted = np.mean(np.abs(angles - target) <= distance)
        assert rationality.random_share(target, 1, distance) == pytest.approx(counted, abs=1e-3)


def test_the_share_for_several_administrations_agrees_with_drawing_them(random_angles):
    rng = np.random.default_rng(7)
    drawn = rng.choice(random_angles, (200_000, 6)).mean(axis=1)
    for target, distance in [(45.0, 14.53), (0.0, 20.0), (22.7, 3.0)]:
        counted = np.mean(np.abs(drawn - target) <= distance)
        assert rationality.random_share(target, 6, distance) == pytest.approx(counted, abs=0.005)


def test_a_respondent_without_a_value_is_rarely_counted_as_beyond_chance(random_angles):
    rng = np.random.default_rng(11)
    angles = rng.choice(random_angles, (400, 5))
    p = [rationality.random_share(45.0, 5, abs(mean - 45.0)) for mean in angles.mean(axis=1)]
    assert 0.02 < np.mean(np.array(p) < 0.05) < 0.09


def test_cells_beyond_chance_are_counted_among_those_with_a_target():
    table = pd.DataFrame(
        {
            "model": ["b", "b", "b", "a"],
            "target": [45.0, 0.0, np.nan, 45.0],
            "vr": [59.0, 30.0, np.nan, np.nan],
            "p_random": [0.001, 0.4, np.nan, np.nan],
        }
    )
    counted = rationality.beyond_chance(table)
    assert counted.to_dict("list") == {
        "model": ["b", "a"],
        "beyond_chance": [1, 0],
        "scored": [2, 0],
        "cells": [2, 1],
    }
