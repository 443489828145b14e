"""Models are told apart only where they differ, and called alike only where that was shown."""

import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from hvae_utils.errors import UserError
from hvae_utils.measure import instruments, svo, values
from hvae_utils.metrics import comparison, rationality


def every_sign(differences):
    """Return p by flipping every difference either way, one assignment at a time."""
    differences = np.array(differences, float)
    signs = np.array(list(itertools.product([1, -1], repeat=len(differences))))
    means = np.abs(signs @ differences)
    return np.mean(means >= abs(differences.sum()) - 1e-9)


def scored(**models):
    rows = [(model, place, x) for model, xs in models.items() for place, x in enumerate(xs)]
    return pd.DataFrame(rows, columns=["model", "wording", "score"])


@settings(deadline=None)
@given(st.lists(st.integers(-9, 9), min_size=1, max_size=8))
def test_p_is_the_share_of_all_signs_at_least_as_extreme(differences):
    found = comparison.compare(differences, np.zeros(len(differences)))
    assert found.p == pytest.approx(every_sign(differences))


def test_the_interval_is_t_with_a_wording_less_of_freedom():
    differences = np.random.default_rng(2).normal(3, 4, 9)
    found = comparison.compare(differences + 50, np.full(9, 50.0))
    exact = stats.ttest_1samp(differences, 0).confidence_interval()
    assert (found.low, found.high) == pytest.approx((exact.low, exact.high))


def test_with_many_wordings_p_is_drawn_the_same_each_time_and_near_the_exact_one():
    differences = np.random.default_rng(3).normal(0.5, 1, 18)
    found = comparison.compare(differences, np.zeros(18))
    assert found == comparison.compare(differences, np.zeros(18))
    assert found.p == pytest.approx(every_sign(differences), abs=0.005)


@pytest.mark.parametrize("spread", [0, 2, 4, 8])
def test_a_model_that_wordings_move_is_found_different_by_mistake_in_a_twentieth(spread):
    rng = np.random.default_rng(7)
    # two models that do not differ: each wording has an effect of its own on each, and noise
    gaps = rng.normal(0, spread, (2, 1500, 9)) + rng.normal(0, 1, (2, 1500, 9))
    found = [comparison.compare(*pair) for pair in zip(*gaps, strict=True)]
    assert 0.035 <= np.mean([pair.p <= 0.05 for pair in found]) <= 0.065
    assert 0.035 <= np.mean([not pair.low <= 0 <= pair.high for pair in found]) <= 0.065


def test_what_cannot_be_compared_is_said():
    same = comparison.compare([3.0] * 8, [3.0] * 8)
    assert (same.p, same.low, same.high) == (1, 0, 0)
    assert same.note == "all wordings agree: the interval has no width"
    one = comparison.compare([1.0], [2.0])
    assert np.isnan([one.low, one.high]).all()
    gaps = comparison.compare([1, np.nan, 3], [np.nan, 2, np.nan])
    assert gaps.wordings == 0
    assert np.isnan([gaps.difference, gaps.p]).all()
    with pytest.raises(UserError, match="3 scores against 2"):
        comparison.compare([1, 2, 3], [1, 2])
    with pytest.raises(UserError, match="finite"):
        comparison.compare([1, np.inf], [1, 2])


def test_the_corrected_p_is_that_of_the_greatest_t_when_signs_flip_together():
    rng = np.random.default_rng(5)
    table = scored(**{name: rng.normal(place, 2, 7) for place, name in enumerate("abc")})
    found = comparison.compare_models(table)
    wide = table.pivot(index="wording", columns="model", values="score")
    pairs = [wide[a] - wide[b] for a, b in zip(found["model_a"], found["model_b"], strict=True)]
    signs = np.array(list(itertools.product([1, -1], repeat=7)))
    t = np.array([abs(stats.ttest_1samp((signs * d.to_numpy()).T, 0).statistic) for d in pairs])
    seen = np.array([abs(stats.ttest_1samp(d, 0).statistic) for d in pairs])
    first, *rest = np.argsort(-seen)
    of_first = np.mean(t.max(axis=0) >= seen[first] - 1e-9)
    of_next = np.mean(t[rest].max(axis=0) >= seen[rest[0]] - 1e-9)
    assert found["p_adjusted"][first] == pytest.approx(of_first)
    assert found["p_adjusted"][rest[0]] == pytest.approx(max(of_first, of_next))
    assert (found["p_adjusted"] >= found["p"]).all()


def test_models_are_separated_only_where_the_corrected_p_allows_it():
    rng = np.random.default_rng(8)
    base = rng.normal(30, 5, 12)
    table = scored(good=base + 10, alike=base + 9 + rng.normal(0, 2, 12), poor=base - 15)
    found = comparison.compare_models(table).set_index(["model_a", "model_b"])["verdict"]
    assert found.to_dict() == {
        ("good", "alike"): "not separated",
        ("good", "poor"): "a higher",
        ("alike", "poor"): "a higher",
    }
    assert comparison.compare_models(table.iloc[::-1])["verdict"].tolist().count("b higher") == 2


def test_alike_needs_an_equivalence_test_with_a_margin():
    noise = np.random.default_rng(9).normal(0, 0.02, (2, 9))
    table = scored(one=0.5 + noise[0], other=0.52 + noise[1])
    (row,) = comparison.compare_models(table, margin=0.1).to_dict("records")
    gaps = noise[0] - 0.02 - noise[1]
    p = max(stats.ttest_1samp(gaps, end, alternative=side).pvalue for end, side in _SIDES)
    assert row["p_within"] == pytest.approx(p, rel=1e-4)
    assert row["verdict"] == "alike within the margin"
    assert comparison.compare_models(table)["verdict"][0] != "alike within the margin"
    for margin in (0, -1, np.inf):
        with pytest.raises(UserError, match="margin"):
            comparison.compare_models(table, margin)


_SIDES = ((-0.1, "greater"), (0.1, "less"))


def test_too_few_common_wordings_are_no_evidence_that_models_are_alike():
    table = scored(one=[50.0, 52, 51, 55, 51], other=[10.0, 11, 12, 13, 14], third=[np.nan] * 5)
    found = comparison.compare_models(table)
    assert set(found["verdict"]) == {"too few wordings"}
    assert found["wordings"].tolist() == [5, 0, 0]
    assert comparison.compare_models(table[:5]).empty
    assert "verdict" in comparison.compare_models(table[:0])


def test_a_table_that_cannot_be_paired_is_refused():
    table = scored(one=[1.0, 2.0], other=[1.0, 2.0])
    with pytest.raises(UserError, match="'score' is missing"):
        comparison.compare_models(table.drop(columns="score"))
    with pytest.raises(UserError, match="twice"):
        comparison.compare_models(pd.concat([table, table[:1]]))


# Null respondents


def asked(probabilities, studies, wordings=9, seed=5):
    """Return tables of `against_nulls` of one respondent's drawn choices."""
    slider, rng = instruments.load("svo-slider"), np.random.default_rng(seed)
    told = [value for value in values.load().values() if value.target is not None]
    rows = [(value.name, place) for value in told for place in range(wordings)]
    frame = pd.DataFrame(rows, columns=["value", "wording"]).assign(model="m")
    up_to, target = np.cumsum(probabilities, axis=1), np.array([v.target for v in told])
    for _ in range(studies):
        chosen = (rng.random((len(rows), 6, 1)) > up_to).sum(axis=2)
        angles = svo.score(chosen, slider)["angle"].to_numpy()
        yield frame.assign(score=60 - np.abs(angles - target.repeat(wordings)))


def test_a_random_respondent_is_told_from_the_random_one_as_seldom_as_it_should():
    studies = asked(np.full((6, 9), 1 / 9), 120)
    found = [comparison.against_nulls(table).iloc[0] for table in studies]
    assert np.mean([row["p"] <= 0.05 for row in found]) <= 0.1
    assert np.mean([row["low"] <= 0 <= row["high"] for row in found]) >= 0.9


def test_constant_letters_are_compared_by_their_exact_scores():
    (table,) = asked(np.eye(9)[[0] * 6], 1)
    found = comparison.against_nulls(table, ["random", "always A", "always B"])
    assert found["model_b"].tolist() == ["null: random", "null: always A", "null: always B"]
    always_a = found.set_index("model_b").loc["null: always A"]
    assert always_a["difference"] == pytest.approx(0, abs=1e-9)
    assert always_a["verdict"] == "not separated"


def test_a_faithful_model_is_above_chance_and_a_value_without_target_is_no_evidence():
    told = [(name, k) for name in (*values.names()[:4], "none") for k in range(7)]
    rows = [("faithful", place, name, 60.0) for name, place in told]
    table = pd.DataFrame(rows, columns=["model", "wording", "value", "score"])
    (row,) = comparison.against_nulls(table).to_dict("records")
    assert (row["wordings"], row["verdict"]) == (7, "a higher")
    # one test of a random respondent is 38.687, 22.597, 22.975, 38.963 degrees off on average
    assert row["difference"] == pytest.approx((38.687 + 22.597 + 22.975 + 38.963) / 4, abs=0.005)
    with pytest.raises(UserError, match="unknown null respondent 'always Z'"):
        comparison.against_nulls(table, ["always Z"])
    with pytest.raises(UserError, match="'value' is missing"):
        comparison.against_nulls(table.drop(columns="value"))


def test_expected_angles_are_compared_with_the_nulls_expected_angle():
    told = [(name, place) for name in values.names()[:4] for place in range(7)]
    table = pd.DataFrame(told, columns=["value", "wording"])
    table = table.assign(model="random", angle=22.703, method="probabilities")
    rated = rationality.by_administration(table).rename(columns={"vr": "score"})
    (row,) = comparison.against_nulls(rated).to_dict("records")
    assert row["difference"] == pytest.approx(0, abs=0.001)
