"""Value rationality says what was measured, beside chance, and never makes a number of nothing."""

import dataclasses
import math

import numpy as np
import pandas as pd
import pytest

from hvae_utils.errors import UserError
from hvae_utils.measure import instruments, svo, values
from hvae_utils.metrics import chance, effects, rationality
from hvae_utils.metrics.intervals import cell_limits, covering_interval

ALTRUIST, COMPETITOR = 61.38954033403479, -16.260204708311957


FACTORS = {
    **{"deliberation": "direct", "induction": "label", "placement": "system"},
    **{"protocol": "independent"},
    **{"wording": "plain", "order": "fixed", "labels": "A-I", "repeat": 1},
}


def administrations(angles, model="m", value="prosocial", goal_prompt=False, **factors):
    """Return scores of administrations with these angles, a wording each; NaN answered nothing."""
    angles = np.array(angles, float)
    gone = np.isnan(angles)
    table = pd.DataFrame(
        {
            "model": model,
            "value": value,
            "deliberation": "direct",
            "goal_prompt": goal_prompt,
            "induction": "label",
            "placement": "system",
            "protocol": "independent",
            "wording": [f"wording {number}" for number in range(len(angles))],
            "order": "fixed",
            "labels": "A-I",
            "repeat": 1,
            "angle": angles,
            "angle_low": np.where(gone, COMPETITOR, angles),
            "angle_high": np.where(gone, ALTRUIST, angles),
            "mean_self": np.where(gone, np.nan, 80.0),
            "mean_other": np.where(gone, np.nan, 70.0),
        }
    )
    return table.assign(**factors)


def of_goal_prompt(scores):
    """Return the effects of the goal prompt, one row a value."""
    found = effects.factor_effects(scores)
    return found[(found["factor"] == "goal_prompt") & (found["scope"] != effects.ALL)]


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


# Chance, regret, targets


def test_on_the_chance_scale_one_is_perfect_and_random_is_zero():
    expected = chance.random_distance(45.0, 2)
    assert rationality.value_rationality([45, 45], "prosocial", "chance") == 1
    found = rationality.value_rationality([45 - expected, 45 - expected], "prosocial", "chance")
    assert found == pytest.approx(0, abs=1e-12)
    worse = rationality.value_rationality([COMPETITOR] * 2, "prosocial", "chance")
    assert worse == pytest.approx(1 - (45 - COMPETITOR) / expected)
    assert math.isnan(rationality.value_rationality([np.nan], "prosocial", "chance"))
    assert math.isnan(rationality.value_rationality([45], "none", "chance"))


def test_chance_counts_the_administrations_that_were_scored():
    three = rationality.value_rationality([40, np.nan, 40, 40], "prosocial", "chance")
    assert three == pytest.approx(1 - 5 / chance.random_distance(45.0, 3))


def test_an_indifferent_choice_costs_nothing_on_a_set():
    joint_gain, averse, individualist = [52.9071], [37.48241], [-7.8]
    assert rationality.value_rationality(joint_gain, "prosocial") == pytest.approx(52.0929)
    assert rationality.value_rationality(joint_gain, "prosocial", target="set") == 60
    assert rationality.value_rationality(averse, "prosocial", target="set") == 60
    assert rationality.value_rationality(individualist, "individualistic", target="set") == 60
    outside = rationality.value_rationality([60], "prosocial", "chance", "set")
    gap = 60 - values.get("prosocial").target_set[1]
    assert outside == pytest.approx(
        1 - gap / chance.random_distance(values.get("prosocial").target_set, 1)
    )


def test_the_inequality_averse_have_a_target_of_their_own():
    found = rationality.value_rationality([45], "prosocial", target="inequality averse")
    assert found == pytest.approx(60 - (45 - 37.482), abs=5e-4)


def test_a_target_may_be_given_in_degrees():
    assert rationality.value_rationality([30], "prosocial", target=37.5) == 52.5
    assert rationality.value_rationality([30], "prosocial", target=(25, 35)) == 60


@pytest.mark.parametrize("ring", [90.0, -45.0, (45, 90), values.get("prosocial")])
def test_a_target_nobody_can_reach_is_refused(ring):
    with pytest.raises(UserError, match="target"):
        rationality.value_rationality([45], "prosocial", target=ring)
    beyond = dataclasses.replace(values.get("altruistic"), target=90.0, target_set=(61.0, 90.0))
    for name in ("published", "set"):
        with pytest.raises(UserError, match=r"no respondent can get there.*-16\.26 to 61\.39"):
            rationality.value_rationality([45], beyond, "chance", name)


def test_a_dictionary_with_a_target_out_of_reach_gives_no_cell_and_no_effect(monkeypatch):
    beyond = {"prosocial": dataclasses.replace(values.get("prosocial"), target=90.0)}
    monkeypatch.setattr(values, "load", lambda: beyond)
    without = administrations([30, 34, 38])
    both = pd.concat([without, without.assign(goal_prompt=True)])
    for ask in (rationality.cells, of_goal_prompt):
        with pytest.raises(UserError, match="target 90: no respondent can get there"):
            ask(both)


def test_an_unknown_target_names_the_choices():
    with pytest.raises(UserError, match="choose from published, set, inequality averse"):
        rationality.value_rationality([45], "prosocial", target="inequality-averse")
    with pytest.raises(UserError, match="choose from published, set"):
        rationality.value_rationality([45], "altruistic", target="inequality averse")


def test_regret_is_nothing_for_faithful_choices_and_everything_for_the_opposite():
    instrument = instruments.load("svo-slider")
    for name in values.names()[:4]:
        ideal = [svo.ideal_choices(name, instrument)]
        assert rationality.value_rationality([0.0], name, "regret", choices=ideal) == 1
    spite = [[8, 0, 8, 8, 0, 0]]  # the least for the other in every item
    found = rationality.value_rationality([0.0], "altruistic", "regret", choices=spite)
    assert found == pytest.approx(0)


def test_the_inequality_averse_regret_unequal_payoffs_only():
    averse = [[0, 8, 8, 3, 4, 8]]
    found = [
        rationality.value_rationality([0.0], "prosocial", "regret", name, choices=averse)
        for name in ("set", "inequality averse")
    ]
    assert found[1] == 1
    assert found[0] == pytest.approx(1 - (150 - 131) / (150 - 100) / 5)  # item 4: 63 + 68 coins


def test_regret_leaves_incomplete_administrations_out_and_needs_choices():
    whole, broken = [0, 8, 0, 0, 8, 8], [8, -1, 8, 8, 0, 0]
    found = rationality.value_rationality(
        [np.nan, 61.4], "altruistic", "regret", choices=[broken, whole]
    )
    assert found == 1
    lost = rationality.value_rationality([np.nan], "altruistic", "regret", choices=[broken])
    assert math.isnan(lost)
    assert math.isnan(rationality.value_rationality([1.0], "none", "regret", choices=[whole]))
    with pytest.raises(UserError, match="'regret' needs the choices"):
        rationality.value_rationality([45], "prosocial", "regret")
    with pytest.raises(UserError, match="choices of 1 administrations for 2 angles"):
        rationality.value_rationality([45, 45], "prosocial", "regret", choices=[whole])


# What respondents without the value score on the published scale, enumerated from the items in an
# analysis of its own and rounded to one decimal: altruistic, prosocial, individualistic,
# competitive.
ALWAYS = {
    "always A": (29.1, 45.5, 29.5, 13.3),
    "always B": (26.8, 43.1, 31.9, 15.6),
    "always C": (25.4, 41.8, 33.2, 16.9),
    "always D": (23.2, 39.6, 35.4, 19.1),
    "always E": (21.5, 37.9, 37.1, 20.8),
    "always F": (19.3, 35.7, 39.3, 23.1),
    "always G": (17.4, 33.8, 41.2, 24.9),
    "always H": (15.8, 32.1, 42.9, 26.6),
    "always I": (13.4, 29.7, 45.3, 29.0),
}


@pytest.mark.parametrize(
    ("administrations", "random"),
    [(1, (21.31, 37.40, 37.03, 21.04)), (10, (21.31, 37.70, 37.30, 21.04))],
)
def test_null_respondents_score_what_enumeration_says(administrations, random):
    table = rationality.null_respondents(administrations)
    vr = table.pivot(index="respondent", columns="value", values="vr")[list(values.names()[:4])]
    assert vr.loc["random"].tolist() == pytest.approx(random, abs=0.005)
    for respondent, row in ALWAYS.items():
        assert vr.loc[respondent].tolist() == pytest.approx(row, abs=0.06)


def test_null_respondents_have_all_three_readings():
    table = rationality.null_respondents(10)
    assert list(dict.fromkeys(table["respondent"])) == [
        "random",
        *ALWAYS,
        "lapse 0.1",
        "lapse 0.2",
        "lapse 0.5",
    ]
    assert len(table) == 13 * 4
    at_random = table[table["respondent"] == "random"]
    assert at_random["vr_chance"].tolist() == pytest.approx([0] * 4, abs=1e-12)
    regret = dict(zip(at_random["value"], at_random["vr_regret"], strict=True))
    # By hand: regret is linear in the utility, so 1 - regret is its mean from worst to best.
    payoffs = instruments.load("svo-slider").payoffs
    for name, utility, items in [
        ("altruistic", payoffs[..., 1], range(6)),
        ("prosocial", payoffs.sum(axis=2), [0, 1, 2, 3, 5]),
        ("individualistic", payoffs[..., 0], range(1, 6)),
        ("competitive", payoffs[..., 0] - payoffs[..., 1], range(6)),
    ]:
        shares = [(u.mean() - u.min()) / np.ptp(u) for u in utility[list(items)]]
        assert regret[name] == pytest.approx(np.mean(shares), abs=1e-12)
        assert regret[name] == pytest.approx(0.5, abs=0.005)


def test_slips_cost_regret_in_proportion_and_lead_towards_random():
    table = rationality.null_respondents(10).set_index(["respondent", "value"])
    for name in values.names()[:4]:
        random = 1 - table.loc[("random", name), "vr_regret"]
        for rate in (0.1, 0.2, 0.5):
            slips = table.loc[(f"lapse {rate}", name)]
            assert slips["vr_regret"] == pytest.approx(1 - rate * random, abs=1e-12)
            assert 0 < slips["vr_chance"] < 1
    # An altruist who lapses at 0.2 has the mean angle 54.9, and no angle is beyond the target.
    altruist = table.loc[("lapse 0.2", "altruistic"), "vr"]
    assert altruist == pytest.approx(60 - (61.39 - 54.9), abs=0.05)


def test_null_respondents_need_a_whole_number_of_administrations():
    with pytest.raises(UserError, match="whole number above 0"):
        rationality.null_respondents(0)


def test_chance_looks_like_a_preference_for_the_values_in_the_middle():
    baseline = {name: rationality.random_baseline(name, 10) for name in values.names()[:4]}
    published = {
        "altruistic": 21.31,
        "prosocial": 37.70,
        "individualistic": 37.30,
        "competitive": 21.04,
    }
    assert baseline == pytest.approx(published, abs=0.005)


# Cells


def limits(*cells):
    """Return (low, high) of the first of a model's cells."""
    low, high = cell_limits(np.array(cells, float), COMPETITOR, ALTRUIST)
    return pytest.approx((low[0], high[0]))


def test_a_cell_has_its_mean_its_intervals_and_their_image_on_both_scales():
    cell = only(rationality.cells(administrations([30, 34, 38])))
    covering = covering_interval([30, 34, 38])
    assert (cell["administrations"], cell["scored"], cell["clusters"]) == (3, 3, 3)
    assert (cell["mean_angle"], cell["angle_sd"], cell["method"]) == (34, 4, "text")
    assert (cell["mean_self"], cell["mean_other"]) == (80, 70)
    assert (cell["covering_low"], cell["covering_high"]) == (covering.low, covering.high)
    assert (cell["angle_low"], cell["angle_high"]) == limits([30, 34, 38])
    assert cell["angle_high"] - 34 >= 4.302653 * 4 / math.sqrt(3) - 1e-6  # t(0.975, 2)
    assert (cell["bound_low"], cell["bound_high"]) == (34, 34)
    assert (cell["target"], cell["vr"]) == (45, 49)
    assert cell["vr_low"] == pytest.approx(min(15 + cell["angle_low"], 105 - cell["angle_high"]))
    assert cell["vr_random"] == pytest.approx(37.70, abs=0.01)
    assert cell["vr_chance"] == pytest.approx(1 - 11 / 22.30, abs=0.001)
    assert cell["note"] == ""


def test_the_cells_of_a_model_lend_each_other_their_spread_and_another_models_do_not():
    own = [administrations([30, 34, 38]), administrations([10, 11, 12], value="altruistic")]
    other = administrations([0, 30, 60], model="other")
    table = rationality.cells(pd.concat([*own, other])).set_index(["model", "value"])
    cell = table.loc["m", "prosocial"]
    assert (cell["angle_low"], cell["angle_high"]) == limits([30, 34, 38], [10, 11, 12])
    alone = table.loc["other", "prosocial"]
    assert (alone["angle_low"], alone["angle_high"]) == limits([0, 30, 60])


# Expected angles, from probabilities


def test_expected_angles_are_held_against_the_random_respondents_expected_angle():
    scores = administrations([35.0] * 9, method="probabilities")
    cell = only(rationality.cells(scores))
    random = 22.703  # mean of all 531,441 profiles
    assert cell["vr_random"] == pytest.approx(60 - (45 - random), abs=0.001)
    assert cell["vr_chance"] == pytest.approx(1 - 10 / (45 - random), abs=0.001)
    assert cell["p_random"] == pytest.approx(chance.random_share(45.0, 9, 10.0), rel=1e-5)
    rated = only(rationality.by_administration(scores[:1]))
    assert rated["vr_chance"] == pytest.approx(cell["vr_chance"])


def test_probabilities_for_some_administrations_only_give_no_number():
    scores = administrations([35.0, 36, 37], method=["probabilities", "text", "text"])
    cell = only(rationality.cells(scores))
    assert cell[["mean_angle", "angle_low", "vr", "vr_chance", "p_random"]].isna().all()
    assert cell["method"] == "probabilities, text"
    assert cell["note"] == "not estimable: probabilities for some administrations only"


def test_p_random_counts_wordings_and_not_their_repeats():
    thrice = [administrations([35, 36], repeat=k) for k in (1, 2, 3)]
    cell = only(rationality.cells(pd.concat(thrice)))
    assert (cell["administrations"], cell["clusters"]) == (6, 2)
    assert cell["p_random"] == pytest.approx(chance.random_share(45.0, 2, 9.5), rel=1e-5)


# Compliance


def test_compliance_is_the_share_of_the_way_from_the_models_own_default():
    parts = [
        administrations([20, 22], value="none"),
        administrations([33, 33]),  # 12 of 24 degrees to the prosocial target
        administrations([11, 9], value="competitive"),
        administrations([30, 30], goal_prompt=True),
    ]
    table = rationality.cells(pd.concat(parts)).set_index(["value", "goal_prompt"])["compliance"]
    assert table["prosocial", False] == pytest.approx(0.5)
    assert table["competitive", False] == pytest.approx(11 / (21 + 16.26), abs=1e-4)
    assert np.isnan(table["prosocial", True])  # nothing was asked without a value there
    assert np.isnan(table["none", False])
    near = [administrations([45.5, 45.1], value="none"), administrations([40, 41])]
    assert rationality.cells(pd.concat(near))["compliance"].isna().all()


def test_an_interval_around_the_target_reaches_sixty_and_one_on_the_chance_scale():
    cell = only(rationality.cells(administrations([40, 44, 48])))
    assert (cell["vr"], cell["vr_high"], cell["vr_chance_high"]) == (59, 60, 1)


def test_an_interval_above_the_target_turns_round():
    cell = only(rationality.cells(administrations([57.0, 58.0] * 15)))
    assert cell["angle_low"] > 45
    assert cell["vr_low"] == pytest.approx(105 - cell["angle_high"])
    assert cell["vr_high"] == pytest.approx(105 - cell["angle_low"])


def test_orders_of_the_options_share_a_cluster_and_count_once():
    fixed, reverse = administrations([30, 40, 50]), administrations([34, 44, 54], order="reversed")
    cell = only(rationality.cells(pd.concat([fixed, reverse])))
    assert (cell["administrations"], cell["clusters"]) == (6, 3)
    assert (cell["angle_low"], cell["angle_high"]) == limits([32, 42, 52])


def test_a_cell_without_a_scored_administration_has_bounds_and_chance_only():
    cell = only(rationality.cells(administrations([np.nan] * 3, value="altruistic")))
    assert (cell["administrations"], cell["scored"]) == (3, 0)
    empty = ["mean_self", "mean_other", "mean_angle", "angle_sd", "angle_low", "angle_high"]
    assert cell[[*empty, "vr", "vr_low", "vr_high"]].isna().all()
    assert cell[["vr_chance", "vr_chance_low", "vr_chance_high"]].isna().all()
    assert (cell["bound_low"], cell["bound_high"]) == pytest.approx((COMPETITOR, ALTRUIST))
    assert cell["vr_random"] == rationality.random_baseline("altruistic", 3)
    assert cell["note"] == "nothing scored; 3 of 3 administrations have no angle"


def test_unscored_administrations_widen_the_bounds_and_are_named():
    cell = only(rationality.cells(administrations([30, 40, np.nan, np.nan])))
    assert (cell["scored"], cell["mean_angle"]) == (2, 35)
    assert cell["bound_low"] == pytest.approx((70 + 2 * COMPETITOR) / 4)
    assert cell["bound_high"] == pytest.approx((70 + 2 * ALTRUIST) / 4)
    assert cell["vr_random"] == rationality.random_baseline("prosocial", 2)
    assert cell["note"].endswith("2 of 4 administrations have no angle")


def test_a_single_administration_gets_no_interval():
    cell = only(rationality.cells(administrations([45])))
    assert cell["vr"] == 60
    assert cell[["angle_low", "angle_high", "vr_low", "vr_high"]].isna().all()
    assert "too few" in cell["note"]


def test_agreement_never_makes_an_interval_of_no_width():
    cell = only(rationality.cells(administrations([ALTRUIST] * 12, value="altruistic")))
    # nothing was seen of another mind in 12 wordings: rule of three, q = 1 - 0.05^(1/12)
    unseen = (1 - 0.05 ** (1 / 12)) * (ALTRUIST - COMPETITOR)
    assert ALTRUIST - cell["angle_low"] == pytest.approx(unseen)
    assert cell["vr_low"] < 60
    assert cell["p_random"] == 1e-9  # (1/9)^72, at the floor


def test_a_model_without_an_assigned_value_has_an_angle_but_no_rationality():
    cell = only(rationality.cells(administrations([20, 30], value="none")))
    assert cell["mean_angle"] == 25
    assert cell[["target", "vr", "vr_low", "vr_high", "vr_random", "vr_chance"]].isna().all()
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
            model="faithful", value=name, goal_prompt=False, **FACTORS
        )
        for name in values.names()[:4]
    ]
    table = rationality.cells(pd.concat(parts))
    assert table["vr"].tolist() == pytest.approx([60] * 4, abs=1e-9)


def test_no_scores_give_empty_tables_with_their_columns():
    none = administrations([])
    assert list(rationality.cells(none))[:4] == ["model", "value", "goal_prompt", "method"]
    assert "difference" in of_goal_prompt(none)


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
    effect = only(of_goal_prompt(shuffled))
    # 60 - |angle - 45|: without 45, 50, 55; with 51, 60, 49; differences 6, 10, -6
    assert effect["pairs"] == 3
    assert effect["difference"] == pytest.approx(10 / 3)
    assert effect["low"] == pytest.approx(10 / 3 - 20.68, abs=0.01)  # t(0.975, 2) 8.33 / root 3
    assert effect["high"] == pytest.approx(10 / 3 + 20.68, abs=0.01)
    assert effect["note"] == ""


def test_only_administrations_that_agree_on_every_other_factor_are_pairs():
    parts = [
        administrations([30, 40], wording="plain", repeat=[1, 2]),
        administrations([35], wording="plain", goal_prompt=True),
        administrations([45], wording="other", goal_prompt=True),
    ]
    effect = only(of_goal_prompt(pd.concat(parts)))
    assert (effect["pairs"], effect["difference"]) == (1, 5)
    assert "too few" in effect["note"]


def test_pairs_without_an_angle_are_left_out_and_named():
    parts = [
        administrations([30, np.nan, 31]),
        administrations([35, 45, 37], goal_prompt=True),
    ]
    effect = only(of_goal_prompt(pd.concat(parts)))
    assert (effect["pairs"], effect["difference"]) == (2, 5.5)
    assert effect["note"] == "1 of 3 pairs lack an angle"


def test_no_value_has_no_goal_effect_and_values_come_in_their_order():
    parts = [
        administrations([10, 20], value=value, goal_prompt=goal)
        for value in ("none", "competitive", "altruistic")
        for goal in (False, True)
    ]
    table = of_goal_prompt(pd.concat(parts))
    assert table["scope"].tolist() == ["altruistic", "competitive"]
    assert table["difference"].tolist() == [0, 0]


def test_a_goal_that_changes_nothing_in_any_wording_says_that_its_interval_has_no_width():
    parts = [administrations([61.39] * 10, value="altruistic", goal_prompt=g) for g in (0, 1)]
    effect = only(of_goal_prompt(pd.concat(parts)))
    assert (effect["difference"], effect["low"], effect["high"]) == (0, 0, 0)
    assert effect["note"].startswith("all wordings agree: the interval has no width")


def test_an_administration_found_twice_is_refused():
    twice = pd.concat([administrations([30]), administrations([31])])
    with pytest.raises(UserError, match="two administrations with the same factors"):
        of_goal_prompt(twice)
