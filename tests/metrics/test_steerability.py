"""Steerability is a slope, its verdict an equivalence test, and what cannot be said is not said."""

import dataclasses
import itertools

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from hvae_utils.errors import UserError
from hvae_utils.measure import instruments, values
from hvae_utils.metrics import information, lapse, steerability
from tests.support import synthetic_tables

TOLD = ("altruistic", "prosocial", "individualistic", "competitive")
TARGETS = np.array([values.get(name).target for name in TOLD])
SXX = ((TARGETS - TARGETS.mean()) ** 2).sum()


def scores_of(angles, told=TOLD, model="m", goal_prompt=False, **columns):
    """Return scores of angles (values, wordings)."""
    rows = [
        (name, f"wording {place}", angle)
        for name, row in zip(told, angles, strict=True)
        for place, angle in enumerate(row)
    ]
    table = pd.DataFrame(rows, columns=["value", "wording", "angle"])
    return table.assign(model=model, goal_prompt=goal_prompt, **columns)


def drawn(rng, wordings, beta=0.0, sd=4.0, by_wording=5.0, slopes=0.0):
    """Return angles (values, wordings) of a respondent whose steerability is beta."""
    slope = beta + rng.normal(0, slopes, wordings)
    shift = rng.normal(0, by_wording, wordings)
    return 22.7 + shift + np.outer(TARGETS, slope) + rng.normal(0, sd, (4, wordings))


def only(angles, margin=0.10, **columns):
    (row,) = steerability.table(scores_of(angles, **columns), margin).to_dict("records")
    return row


# The slope and its interval


def test_the_slope_and_its_interval_are_those_of_the_additive_table():
    angles = drawn(np.random.default_rng(1), 5, beta=0.4)
    row = only(angles)
    table = scores_of(angles)
    one = np.ones((20, 1))
    value, wording = (pd.get_dummies(table[name]).to_numpy(float) for name in ("value", "wording"))
    design = np.hstack([one, value[:, 1:], wording[:, 1:]])
    left = np.linalg.lstsq(design, table["angle"], rcond=None)[1][0]
    slope = np.mean([stats.linregress(TARGETS, one).slope for one in angles.T])
    error = np.sqrt(left / 12 / SXX / 5)
    assert row["steerability"] == pytest.approx(slope)
    assert row["residual_sd"] == pytest.approx(np.sqrt(left / 12))
    assert row["low"] == pytest.approx(slope - stats.t.ppf(0.975, 12) * error)
    assert row["high_90"] == pytest.approx(slope + stats.t.ppf(0.95, 12) * error)
    assert (row["values"], row["wordings"], row["note"]) == (4, 5, "")


@pytest.mark.parametrize("wordings", [4, 9])
def test_the_interval_holds_the_truth_as_often_as_it_says(wordings):
    rng = np.random.default_rng(wordings)
    fits = [steerability.fit(drawn(rng, wordings, 0.3), TARGETS) for _ in range(1000)]
    assert 0.935 <= np.mean([low <= 0.3 <= high for low, high in map(_interval, fits)]) <= 0.972
    uneven = [steerability.fit(drawn(rng, 9, 0.3, 1.0, slopes=0.1), TARGETS) for _ in range(1000)]
    assert np.mean([low <= 0.3 <= high for low, high in map(_interval, uneven)]) >= 0.93


def _interval(fit):
    return fit.interval()


def test_slopes_that_differ_between_wordings_have_their_own_spread():
    slopes = np.array([0.1, 0.9, 0.2, 0.8, 0.5])
    row = only(np.outer(TARGETS, slopes) + np.random.default_rng(2).normal(0, 0.5, (4, 5)))
    half = stats.t.ppf(0.975, 4) * slopes.std(ddof=1) / np.sqrt(5)
    assert row["high"] - row["low"] == pytest.approx(2 * half, rel=0.05)
    assert row["residual_sd"] == pytest.approx(slopes.std(ddof=1) * np.sqrt(SXX), rel=0.05)
    assert "the slopes differ between wordings" in row["note"]


def test_the_reference_respondents_have_their_exact_steerability_and_information():
    names = synthetic_tables.RESPONDENTS[:5]
    tables = synthetic_tables.make(names, wordings=("plain", "formal", "brief"))
    found = tables.steerability.query("~goal_prompt").set_index("model")
    found.index = found.index.str.removeprefix("reference/")
    truth = {"faithful": 0.9999, "lapsing": 0.8308, "agreeable": 0, "random": 0, "first-option": 0}
    assert found["steerability"].to_dict() == pytest.approx(truth, abs=1e-4)
    assert found["bits"].round(3).tolist() == [2.0, 1.769, 0, 0, 0]
    assert found["identification"].round(3).tolist() == [1.0, 0.947, 0.25, 0.25, 0.25]
    acts, not_ = steerability.ACTS, steerability.ACTS_NOT
    assert found["verdict"].tolist() == [acts, acts, not_, not_, not_]
    assert found["p"].iloc[2] == 1
    assert found["p"].iloc[0] <= 1e-4


# The verdict


def test_the_verdict_is_an_equivalence_test_with_a_margin():
    angles = drawn(np.random.default_rng(3), 9, 0.0, 2.0)
    row = only(angles)
    assert (row["verdict"], row["p"] > 0.05) == (steerability.ACTS_NOT, True)
    assert max(-row["low_90"], row["high_90"]) < 0.10
    assert only(angles, margin=0.01)["verdict"] == steerability.UNDECIDED
    away = only(drawn(np.random.default_rng(3), 9, -0.5, 2.0))
    assert (away["verdict"], away["note"]) == (steerability.ACTS_NOT, "moves the wrong way")


def test_undecided_says_how_many_wordings_would_decide():
    angles = drawn(np.random.default_rng(6), 4, 0.0, 8.0)
    row = only(angles)
    assert row["verdict"] == steerability.UNDECIDED
    sizes = range(5, 200)
    error = row["residual_sd"] / np.sqrt(SXX)
    room = [0.1 - stats.t.ppf(0.95, 3 * (k - 1)) * error / np.sqrt(k) for k in sizes]
    decided = [k for k, left in zip(sizes, room, strict=True) if abs(row["steerability"]) < left]
    assert row["wordings_needed"] == decided[0]
    assert np.isnan(only(drawn(np.random.default_rng(3), 9, 0.0, 2.0))["wordings_needed"])


def test_equivalence_is_found_wrongly_in_a_twentieth_of_studies_at_the_margin():
    rng = np.random.default_rng(4)
    found = [steerability.fit(drawn(rng, 8, 0.1), TARGETS).verdict(0.1) for _ in range(1500)]
    assert 0.035 <= np.mean([one == steerability.ACTS_NOT for one in found]) <= 0.065
    assert np.mean([one == steerability.ACTS for one in found]) <= 0.035


# Permutations


def test_p_is_the_share_of_all_labellings_within_wordings():
    angles = drawn(np.random.default_rng(5), 2, 0.05)
    off = TARGETS - TARGETS.mean()
    orders = [off[list(order)] for order in itertools.permutations(range(4))]
    sums = [abs(a @ angles[:, 0] + b @ angles[:, 1]) for a in orders for b in orders]
    share = np.mean(np.array(sums) >= abs(off @ angles.sum(axis=1)) - 1e-9)
    assert steerability.permutation_p(angles, TARGETS) == pytest.approx(share)


def test_p_is_uniform_without_an_effect_whatever_wordings_do():
    rng = np.random.default_rng(6)
    found = [
        steerability.permutation_p(drawn(rng, 3, 0, 4, by_wording=20), TARGETS) for _ in range(300)
    ]
    assert 0.03 <= np.mean(np.array(found) <= 0.05) <= 0.08


# What cannot be estimated


def test_one_wording_gives_a_slope_no_verdict_and_the_number_that_would_do():
    row = only(np.outer(TARGETS, [0.5]))
    assert row["steerability"] == pytest.approx(0.5)
    assert row["verdict"] == steerability.NOT_ESTIMABLE
    assert np.isnan([row["low"], row["high"], row["residual_sd"], row["p"]]).all()
    assert row["wordings_needed"] == 15
    assert "one wording: no interval; 15 would do" in row["note"]


def test_targets_that_are_all_the_same_leave_nowhere_to_move(monkeypatch):
    alike = {
        name: dataclasses.replace(value, target=45.0, target_set=(45.0, 45.0))
        for name, value in values.load().items()
    }
    monkeypatch.setattr(values, "load", lambda: alike)
    row = only(drawn(np.random.default_rng(7), 5))
    assert np.isnan(row["steerability"])
    assert row["verdict"] == steerability.NOT_ESTIMABLE
    assert row["note"] == "every assigned value has the target 45: nowhere to move"


@pytest.mark.parametrize("told", [("altruistic",), ("none",), ("none", "altruistic")])
def test_fewer_than_two_values_with_a_target_are_said(told):
    row = only(np.zeros((len(told), 5)), told=told)
    assert row["verdict"] == steerability.NOT_ESTIMABLE
    assert "a slope needs two" in row["note"]


def test_a_value_without_a_target_changes_nothing():
    angles = drawn(np.random.default_rng(8), 5)
    both = only(np.vstack([angles, np.full(5, 99.0)]), told=(*TOLD, "none"))
    assert both["steerability"] == only(angles)["steerability"]


def test_probabilities_for_some_wordings_only_give_no_number():
    table = scores_of(drawn(np.random.default_rng(9), 4), method="probabilities")
    table.loc[table["wording"] == "wording 0", "method"] = "text"
    (row,) = steerability.table(table).to_dict("records")
    assert np.isnan([row["steerability"], row["low"], row["p"]]).all()
    assert "probabilities for some administrations only" in row["note"]
    assert steerability.by_wording(table).empty


def test_a_wording_with_a_missing_angle_is_left_out_and_counted():
    angles = drawn(np.random.default_rng(10), 5)
    broken = np.column_stack([angles, [np.nan, 1, 2, 3]])
    row = only(broken)
    assert (row["wordings"], row["note"]) == (
        *(5, "left out: 1 of 6 wordings, where a value is not scored"),
    )
    assert row["steerability"] == only(angles)["steerability"]
    nothing = only(np.full((4, 3), np.nan))
    assert (nothing["verdict"], nothing["wordings"]) == (steerability.NOT_ESTIMABLE, 0)


def test_a_margin_out_of_range_and_a_missing_column_are_refused():
    table = scores_of(np.zeros((4, 3)))
    for margin in (0, 1, -0.1):
        with pytest.raises(UserError, match="margin"):
            steerability.table(table, margin)
    with pytest.raises(UserError, match="'wording' is missing"):
        steerability.table(table.drop(columns="wording"))
    assert steerability.table(table[:0]).empty


# The goal prompt


def test_the_goal_prompts_difference_is_paired_by_wording():
    rng = np.random.default_rng(11)
    without, with_goal = drawn(rng, 6, 0.1), drawn(rng, 7, 0.4)
    table = pd.concat([scores_of(without), scores_of(with_goal, goal_prompt=True)])
    (row,) = steerability.of_goal_prompt(table).to_dict("records")
    off = (TARGETS - TARGETS.mean()) / SXX
    gaps = off @ with_goal[:, :6] - off @ without
    exact = stats.ttest_1samp(gaps, 0)
    assert (row["wordings"], row["difference"]) == (6, pytest.approx(gaps.mean()))
    assert row["low"] == pytest.approx(exact.confidence_interval().low)
    assert row["p"] == pytest.approx(2 / 2**6)
    one_arm = steerability.of_goal_prompt(scores_of(without)).iloc[0]
    assert (one_arm["wordings"], one_arm["note"]) == (0, "no wording with both scores")


# How a model deliberates


def thinking(levels, goal_prompt=False):
    """Return the scores of one model; levels: what it is called then -> angles."""
    tables = [scores_of(angles, model=name, goal_prompt=goal_prompt) for name, angles in levels]
    return pd.concat(tables, ignore_index=True)


def test_thinking_first_is_the_difference_of_two_known_slopes_paired_by_wording():
    exact = synthetic_tables.make(
        ("reference/lapsing", "reference/faithful"), wordings=("plain", "formal", "brief")
    ).scores
    exact = exact[~exact["goal_prompt"]]
    names = {"reference/lapsing": "local/x", "reference/faithful": "local/x+reasoned"}
    (row,) = steerability.of_deliberation(exact.replace({"model": names})).to_dict("records")
    head = ("model", "goal_prompt", "deliberation", "against", "wordings")
    assert [row[name] for name in head] == ["local/x", False, "reasoned", "direct", 3]
    assert row["difference"] == pytest.approx(0.9999 - 0.8308, abs=1e-4)
    assert row["low"] == row["high"] == row["difference"], "all wordings agree"


def test_the_interval_of_thinking_first_is_that_of_the_paired_slopes():
    rng = np.random.default_rng(13)
    direct, reasoned = drawn(rng, 6, 0.831), drawn(rng, 8, 1.0)
    found = steerability.of_deliberation(thinking([("m", direct), ("m+reasoned", reasoned)]))
    off = (TARGETS - TARGETS.mean()) / SXX
    exact = stats.ttest_1samp(off @ reasoned[:, :6] - off @ direct, 0)
    (row,) = found.to_dict("records")
    assert (row["wordings"], row["p"]) == (6, pytest.approx(exact.pvalue, abs=0.06))
    limits = exact.confidence_interval()
    assert (row["low"], row["high"]) == pytest.approx((limits.low, limits.high))


def test_the_interval_of_thinking_first_holds_the_truth_as_often_as_it_says():
    rng, held = np.random.default_rng(14), []
    for _ in range(200):
        shift = rng.normal(0, 20, 9)  # what a wording does to both cancels
        angles = [drawn(rng, 9, beta, by_wording=0) + shift for beta in (0.831, 1.0)]
        (row,) = steerability.of_deliberation(
            thinking(zip(("m", "m+reasoned"), angles, strict=True))
        ).to_dict("records")
        held.append(row["low"] <= 0.169 <= row["high"])
    assert 0.92 <= np.mean(held) <= 0.98


def test_every_level_is_compared_with_direct_or_else_with_the_first():
    angles = drawn(np.random.default_rng(15), 4)
    names = ("a/m+low", "a/m+high", "a/m", "b/m+off", "b/m+on", "c/m+x", "c/m")
    table = thinking([(name, angles) for name in names])
    found = steerability.of_deliberation(pd.concat([table, table.assign(goal_prompt=True)]))
    pairs = found[["model", "deliberation", "against"]].drop_duplicates()
    assert pairs.to_numpy().tolist() == [
        *(["a/m", "low", "direct"], ["a/m", "high", "direct"], ["b/m", "on", "off"]),
    ]
    assert len(found) == 2 * len(pairs)
    assert (found["difference"] == 0).all()


def test_one_way_to_deliberate_gives_an_empty_table_and_a_lost_pair_says_why():
    angles = drawn(np.random.default_rng(16), 4)
    none = steerability.of_deliberation(scores_of(angles, model="m+reasoned"))
    assert none.empty
    assert list(none)[:4] == ["model", "goal_prompt", "deliberation", "against"]
    lost = thinking([("m", angles), ("m+reasoned", np.full((4, 4), np.nan))])
    (row,) = steerability.of_deliberation(lost).to_dict("records")
    assert np.isnan([row["difference"], row["low"], row["p"]]).all()
    assert (row["wordings"], row["note"]) == (0, "no wording with both scores")


# Information


def by_hand(tables):
    """Return (bits, identification) by going through every profile of a small instrument."""
    tables, bits, named = np.asarray(tables), 0.0, 0.0
    items, options = tables.shape[1:]
    for profile in itertools.product(range(options), repeat=items):
        shares = np.array([np.prod(table[range(items), profile]) for table in tables])
        bits += sum(p * np.log2(p / shares.mean()) for p in shares if p > 0) / len(tables)
        named += shares.max() / len(tables)
    return bits, named


def test_bits_and_identification_are_those_of_every_profile():
    tables = np.random.default_rng(12).dirichlet([0.5] * 3, (4, 4))
    assert information.of_tables(tables) == pytest.approx(by_hand(tables))


@pytest.mark.parametrize(("rate", "bits"), [(0, 2.0), (0.2, 1.769), (0.5, 1.199), (0.8, 0.376)])
def test_lapses_cost_as_many_bits_as_enumerated_elsewhere(rate, bits):
    slider = instruments.load("svo-slider")
    tables = [lapse.probabilities(name, rate, slider) for name in TOLD]
    assert information.of_tables(tables)[0] == pytest.approx(bits, abs=5e-4)


def test_soft_choices_carry_as_many_bits_as_enumerated_elsewhere():
    payoffs = instruments.load("svo-slider").payoffs  # 0.1 nats a coin along the value's direction
    length = {name: np.linalg.norm(values.get(name).utility) for name in TOLD}
    weights = [np.exp(0.1 * values.get(n).utilities(payoffs) / length[n]) for n in TOLD]
    tables = [one / one.sum(axis=1, keepdims=True) for one in weights]
    assert information.of_tables(tables)[0] == pytest.approx(1.359, abs=5e-4)


def test_a_missing_probability_leaves_out_its_wording_and_none_gives_no_number():
    tables = synthetic_tables.make(("reference/lapsing",), wordings=("plain", "formal"))
    responses = tables.responses.copy()
    of_plain = tables.scores.query("wording == 'plain' and value == 'altruistic'")
    responses.loc[responses["condition_id"].isin(of_plain["condition_id"]), "p3"] = np.nan
    found = information.of_scores(tables.scores, responses)
    assert found["bits"].to_numpy() == pytest.approx(1.769, abs=5e-4)
    nothing = information.of_scores(tables.scores, responses.assign(p3=np.nan))
    assert nothing[["bits", "identification"]].isna().all(axis=None)
    written = information.of_scores(tables.scores, tables.responses.assign(method="text"))
    assert written["bits"].isna().all()
