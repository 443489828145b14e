"""What a respondent makes of a value's word, against what it can do when it is told what to do."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from hvae_utils.errors import UserError
from hvae_utils.metrics.transfer import competence, games
from hvae_utils.play import administer, study
from hvae_utils.play.records import Held

WORDINGS = ("plain", "formal", "brief", "casual")


def ratings(word, objective, wordings=WORDINGS, induction="label"):
    """Ratings of one respondent and value on the slider, under its word and its objective."""
    rows = [
        {"model": "m", "value": "prosocial", "induction": name, "wording": wording, "vr": vr}
        for name, of in ((induction, word), ("objective", objective))
        for wording, vr in zip(wordings, of, strict=False)
    ]
    return pd.DataFrame(rows).assign(instrument="svo-slider")


def compared(*args, **how):
    (row,) = competence.table(ratings(*args, **how)).to_dict("records")
    return row


def test_the_ratio_says_how_much_of_what_it_can_do_the_word_brings_out():
    row = compared([0.3, 0.5, 0.4, 0.4], [0.8, 0.8, 0.7, 0.9])
    assert (row["vr_word"], row["vr_objective"], row["ratio"]) == pytest.approx((0.4, 0.8, 0.5))
    assert row["low"] < 0.5 < row["high"]
    assert (row["wordings"], row["note"]) == (4, "")


@pytest.mark.parametrize("seed", range(5))
def test_the_interval_holds_the_ratios_that_a_paired_t_test_does_not_reject(seed):
    rng = np.random.default_rng(seed)
    objective = rng.normal(0.7, 0.1, 4)
    word = 0.5 * objective + rng.normal(0, 0.1, 4)
    row = compared(word, objective)
    tried = np.linspace(-3, 4, 70_001)
    kept = [r for r in tried[::50] if stats.ttest_1samp(word - r * objective, 0).pvalue > 0.05]
    assert row["low"] == pytest.approx(min(kept), abs=0.01)
    assert row["high"] == pytest.approx(max(kept), abs=0.01)


@pytest.mark.parametrize(
    "objective", [[0, 0, 0, 0], [0.1, -0.1, 0.2, -0.1], [-0.5, -0.4, -0.6, -0.5], [1e-16] * 4]
)
def test_who_cannot_follow_the_rule_has_not_refused_the_value(objective):
    row = compared([0.1, 0.0, 0.2, 0.1], objective)
    assert np.isnan([row["ratio"], row["low"], row["high"]]).all()
    assert row["note"] == "cannot follow the explicit objective"


def test_only_wordings_with_both_are_compared_and_one_has_no_interval():
    row = compared([0.4, np.nan, 0.9], [0.8, 0.8, np.nan])
    assert (row["ratio"], row["wordings"]) == (pytest.approx(0.5), 1)
    assert np.isnan([row["low"], row["high"]]).all()
    assert "an interval needs two" in row["note"]
    none = compared([np.nan, 0.5], [0.8, np.nan])
    assert np.isnan(none["ratio"])
    assert "no wording with both" in none["note"]


def test_several_inductions_are_averaged_and_other_games_left_out():
    twice = pd.concat(
        [ratings([0.2] * 4, [0.8] * 4), ratings([0.4] * 4, [], induction="definition")]
    )
    elsewhere = ratings([1.0] * 4, [0.1] * 4).assign(instrument="triple-dominance")
    untold = ratings([0.9] * 4, []).assign(value="altruistic")
    (row,) = competence.table(pd.concat([twice, elsewhere, untold])).to_dict("records")
    assert (row["vr_word"], row["vr_objective"]) == pytest.approx((0.3, 0.8))
    assert row["ratio"] == pytest.approx(0.375)
    assert competence.table(untold).empty


def test_a_table_that_is_none_is_one_sentence():
    with pytest.raises(UserError, match="the column 'vr' is missing"):
        competence.table(ratings([1], [1]).drop(columns="vr"))


def test_reference_respondents_can_what_they_do():
    design = {
        "models": [f"reference/{name}" for name in ("faithful", "lapsing", "agreeable", "random")],
        "values": ("altruistic", "competitive"),
        "goal_prompts": (False,),
        "wordings": WORDINGS,
        "orders": ("latin",),
        "readout": "probabilities",
    }
    played, held = [], Held()
    for induction in ("label", "objective"):
        conditions = study.conditions(study.Study(**design, inductions=(induction,)))
        responses = administer.put_items(administer.assign_values(conditions, held), held)
        said = ["condition_id", "model", "value", "induction", "wording", "instrument"]
        played.append(responses.merge(conditions[said].assign(part="games")))
    table = competence.table(games.ratings(pd.concat(played))).set_index(["model", "value"])
    for value in ("altruistic", "competitive"):
        for name in ("faithful", "lapsing"):
            assert table.loc[(f"reference/{name}", value), "ratio"] == pytest.approx(1)
        assert table.loc[("reference/random", value), "note"] == competence.CANNOT
    # a prosocial choice is worse than chance for whoever wants the lead
    assert table.loc[("reference/agreeable", "competitive"), "vr_objective"] < 0
    assert table.loc[("reference/agreeable", "competitive"), "note"] == competence.CANNOT
    assert table.loc[("reference/lapsing", "altruistic"), "vr_word"] == pytest.approx(0.8)
