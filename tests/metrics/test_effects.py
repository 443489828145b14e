"""Effects of a study's factors are recovered from designs whose truth is known."""

import itertools

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from hvae_utils.errors import UserError
from hvae_utils.measure import values
from hvae_utils.metrics import effects

TOLD = ("altruistic", "prosocial", "individualistic", "competitive")
TARGET = {name: values.get(name).target for name in TOLD}
LEVELS = {
    "induction": ("self_description", "definition", "label"),
    "placement": ("dialogue", "system"),
    "goal_prompt": (False, True),
    "protocol": ("independent",),
    "wording": ("plain", "formal", "brief"),
    "order": ("fixed", "reversed"),
    "labels": ("A-I",),
}
TRUTH = {
    ("induction", "definition"): 4.0,
    ("induction", "label"): -6.0,
    ("placement", "system"): 2.5,
    ("goal_prompt", True): 3.0,
    ("wording", "formal"): -1.0,
    ("wording", "brief"): 1.5,
    ("order", "reversed"): 0.0,
}


def simulated(truth=TRUTH, noise=0.0, seed=1, repeats=3, levels=LEVELS, told=TOLD, by_wording=0.0):
    """Return the scores of a full design in which vr is 30 plus the effects plus noise.

    by_wording: SD of what each wording makes of each placement.
    """
    rng = np.random.default_rng(seed)
    shift = {}
    rows = []
    for value, *chosen in itertools.product(told, *levels.values(), range(1, repeats + 1)):
        row = dict(zip((*levels, "repeat"), chosen, strict=True))
        unit = row["wording"], row["placement"]
        shift.setdefault(unit, rng.normal(0, by_wording) if by_wording else 0)
        vr = 30 + sum(truth.get(item, 0) for item in row.items()) + shift[unit]
        angle = values.get(value).target - (60 - vr - (rng.normal(0, noise) if noise else 0))
        one = {"model": "simulated", "deliberation": "direct", "value": value, "angle": angle}
        rows.append(one | row)
    return pd.DataFrame(rows)


def overall(scores, **chosen):
    """Return the rows for all values together that fit, by (factor, level)."""
    found = effects.factor_effects(scores, **chosen)
    return found[found["scope"] == effects.ALL].set_index(["factor", "level"])


def test_without_noise_every_effect_is_recovered_exactly():
    found = overall(simulated())
    assert len(found) == len(TRUTH)
    for (factor, level), effect in TRUTH.items():
        row = found.loc[(factor, str(level))]
        assert row["difference"] == pytest.approx(effect, abs=1e-9)
        if factor != "wording":
            assert (row["low"], row["high"]) == pytest.approx((effect, effect))
            assert np.isnan(row["dz"])
            assert row["note"].startswith("all wordings agree: the interval has no width")


def test_the_interval_is_t_over_the_wordings():
    scores = simulated(noise=3, repeats=1)
    row = overall(scores).loc[("placement", "system")]
    rated = scores.assign(vr=60 - np.abs(scores["angle"] - scores["value"].map(TARGET)))
    means = rated.pivot_table("vr", "wording", "placement")
    exact = stats.ttest_1samp(means["system"] - means["dialogue"], 0).confidence_interval()
    assert (row["low"], row["high"]) == pytest.approx((exact.low, exact.high))
    assert row["clusters"] == 3


def test_what_wordings_do_to_an_effect_is_not_mistaken_for_precision():
    few = {"induction": ("label",), "goal_prompt": (True,), "wording": tuple("abcd")}
    few["order"] = ("fixed",)
    held = []
    for seed in range(100, 140):
        scores = simulated(
            {}, 0.1, seed, 1, LEVELS | few, ("prosocial", "competitive"), by_wording=5
        )
        row = overall(scores).loc[("placement", "system")]
        held.append(row["low"] <= 0 <= row["high"])
    assert np.mean(held) > 0.85


def test_in_a_latin_square_neither_wording_nor_order_has_an_effect_of_its_own():
    scores = simulated(noise=1, levels=LEVELS | {"order": ("fixed",)})
    own = {"plain": "cyclic-1", "formal": "cyclic-2", "brief": "cyclic-3"}
    found = effects.factor_effects(scores.assign(order=scores["wording"].map(own)))
    assert set(found["factor"]) == {"induction", "placement", "goal_prompt"}


def test_no_effect_has_an_interval_around_zero():
    found = pd.concat([overall(simulated({}, 4, seed, repeats=1)) for seed in range(4)])
    found = found.drop("wording", level="factor")
    assert np.mean((found["low"] < 0) & (found["high"] > 0)) > 0.88
    assert found["eta_squared"].mean() < 0.01


def test_references_follow_the_rule_and_not_the_order_of_rows():
    backwards = simulated()[::-1]
    found = overall(backwards)
    assert found.loc[("induction", "label"), "reference"] == "self_description"
    assert found.loc[("goal_prompt", "True"), "reference"] == "False"
    assert found.loc[("wording", "formal"), "reference"] == "brief"
    only = backwards[backwards["induction"] != "self_description"]
    assert overall(only).loc[("induction", "definition"), "reference"] == "label"


def test_a_factor_that_was_not_varied_has_no_row():
    factors = set(effects.factor_effects(simulated())["factor"])
    assert factors == set(LEVELS) - {"protocol", "labels"}


def test_clusters_are_wordings_and_repeats_of_one_prompt_are_none():
    found = effects.factor_effects(simulated(noise=1)).set_index(["scope", "factor", "level"])
    for scope in (effects.ALL, "prosocial"):
        assert found.loc[(scope, "order", "reversed"), "clusters"] == 3
        wording = found.loc[(scope, "wording", "formal")]
        assert wording["clusters"] == 1
        assert np.isnan([wording["low"], wording["high"]]).all()
        assert np.isfinite(wording["difference"])
    assert found.loc[(effects.ALL, "order", "reversed"), "pairs"] == 4 * 3 * 2 * 2 * 3 * 3


def test_an_effect_on_one_value_shows_in_its_own_scope():
    scores = simulated()
    helped = (scores["value"] == "competitive") & scores["goal_prompt"]
    scores.loc[helped, "angle"] += 8  # towards the target, which lies above
    found = effects.factor_effects(scores).set_index(["scope", "factor", "level"])["difference"]
    assert found["competitive", "goal_prompt", "True"] == pytest.approx(11)
    assert found["altruistic", "goal_prompt", "True"] == pytest.approx(3)
    assert found[effects.ALL, "goal_prompt", "True"] == pytest.approx(5)


def test_eta_squared_is_the_share_of_the_sums_of_squares():
    two = LEVELS | {"induction": ("label",), "wording": ("plain",), "order": ("fixed",)}
    truth = {("placement", "system"): 4.0, ("goal_prompt", True): 2.0}
    found = overall(simulated(truth, levels=two))["eta_squared"]
    # squares of an effect d at two levels: n d^2 / 4, hence 16 to 4
    assert found["placement", "system"] == pytest.approx(0.8)
    assert found["goal_prompt", "True"] == pytest.approx(0.2)


def test_dz_is_the_mean_over_the_spread_of_pairs():
    scores = simulated({("placement", "system"): 3.0}, noise=2, seed=8, repeats=20)
    found = overall(scores).loc[("placement", "system"), "dz"]
    assert found == pytest.approx(3 / (2 * np.sqrt(2)), abs=0.08)


def test_missing_angles_leave_pairs_out_and_are_counted():
    scores = simulated(levels=LEVELS | {"order": ("fixed",)})
    scores.loc[scores.index[:5], "angle"] = np.nan
    found = overall(scores)
    row = found.loc[("placement", "system")]
    asked = 4 * 3 * 2 * 3 * 3
    assert row["difference"] == pytest.approx(2.5)
    assert row["pairs"] == asked - 5
    assert f"5 of {asked} pairs lack an angle" in row["note"]


def test_administrations_without_a_partner_change_nothing_but_the_note():
    scores = simulated()
    gone = (scores["placement"] == "dialogue") & (scores["induction"] == "label")
    row = overall(scores[~gone]).loc[("placement", "system")]
    assert row["difference"] == pytest.approx(2.5)
    assert "144 of 432 administrations have no partner" in row["note"]


def test_factors_varied_only_together_cannot_be_told_apart():
    scores = simulated()
    both = scores[(scores["placement"] == "system") == scores["goal_prompt"]]
    row = overall(both).loc[("placement", "system")]
    assert row["pairs"] == 0
    assert np.isnan(row["difference"])
    assert "no scored administrations differ in placement alone" in row["note"]


def test_one_cluster_gives_a_difference_and_no_interval():
    one = LEVELS | {"wording": ("plain",)}
    row = overall(simulated(noise=3, repeats=1, levels=one)).loc[("placement", "system")]
    assert np.isfinite([row["difference"], row["dz"]]).all()
    assert np.isnan([row["low"], row["high"]]).all()
    assert row["note"] == "too few wordings (1): an interval needs two"


def test_models_are_kept_apart_and_values_without_a_target_left_out():
    scores = simulated()
    twin = scores.assign(model="twin")
    nobody = scores[scores["value"] == "prosocial"].assign(
        value="none", induction="none", placement="none"
    )
    nobody = nobody.drop_duplicates(["goal_prompt", "wording", "order", "repeat"])
    found = effects.factor_effects(pd.concat([scores, nobody, twin]))
    pd.testing.assert_frame_equal(
        found[found["model"] == "simulated"].drop(columns="model").reset_index(drop=True),
        found[found["model"] == "twin"].drop(columns="model").reset_index(drop=True),
    )
    assert set(found["scope"]) == {effects.ALL, *TOLD}
    assert "none" not in {*found["level"], *found["reference"]}


def test_bad_tables_are_refused_and_an_empty_one_has_no_rows():
    scores = simulated()
    with pytest.raises(UserError, match="column 'labels' is missing"):
        effects.factor_effects(scores.drop(columns="labels"))
    with pytest.raises(UserError, match="two administrations with the same factors"):
        effects.factor_effects(pd.concat([scores, scores[:1]]))
    with pytest.raises(UserError, match="unknown value"):
        effects.factor_effects(scores[:1].assign(value="kind"))
    assert list(effects.factor_effects(scores[:0]).columns) == list(effects._COLUMNS)
