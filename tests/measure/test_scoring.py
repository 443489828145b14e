"""Choices reach the scorer in the right places, and what is missing stays missing."""

import numpy as np
import pandas as pd
import pytest

from hvae_utils.errors import UserError
from hvae_utils.measure import factors, instruments, scoring

SLIDER = instruments.load("svo-slider")
FACTORS = dict.fromkeys(factors.FACTORS, "x") | {"goal_prompt": False, "goal": None}
ALTRUIST, COMPETITOR = [1, 9, 1, 1, 9, 9], [9, 1, 9, 9, 1, 1]


def responses(**options):
    rows = [
        {"condition_id": name, "item": item, "option": option}
        for name, chosen in options.items()
        for item, option in enumerate(chosen, start=1)
    ]
    return pd.DataFrame(rows).astype({"option": "Int64"})


def conditions(*names):
    rows = [{**FACTORS, "condition_id": name, "instrument": "svo-slider"} for name in names]
    return pd.DataFrame(rows)


def test_rows_in_any_order_give_each_condition_its_own_angle():
    shuffled = responses(a=ALTRUIST, b=COMPETITOR).sample(frac=1, random_state=3)
    scores = scoring.administrations(conditions("b", "a"), shuffled)
    assert scores.condition_id.tolist() == ["b", "a"]
    assert scores.angle.tolist() == pytest.approx([-16.260, 61.390], abs=5e-4)


def test_a_missing_item_leaves_bounds_and_no_angle():
    answered = responses(a=[None, *ALTRUIST[1:]])
    scores = scoring.administrations(conditions("a"), answered).iloc[0]
    assert (scores.asked, scores.answered) == (6, 5)
    assert np.isnan(scores.angle)
    assert (scores.angle_low, scores.angle_high) == pytest.approx((51.3, 61.4), abs=0.05)


def test_an_administration_without_any_choice_could_be_anything():
    answered = responses(a=ALTRUIST, gone=[None] * 6)
    scores = scoring.administrations(conditions("a", "gone"), answered)
    gone = scores.set_index("condition_id").loc["gone"]
    assert gone.answered == 0
    assert (gone.angle_low, gone.angle_high) == pytest.approx((-16.26, 61.39), abs=0.005)


@pytest.mark.parametrize("names", [("a", "b"), ()])
def test_responses_of_another_study_are_refused(names):
    with pytest.raises(UserError, match="run 02_game_play again"):
        scoring.administrations(conditions(*names, "c"), responses(a=ALTRUIST, b=COMPETITOR))


def test_choices_are_counted_from_zero_and_missing_is_minus_one():
    found = scoring.choices(responses(a=[1, 9, None, 5, 2, 3]), pd.Series(["a"]), SLIDER)
    assert found.tolist() == [[0, 8, -1, 4, 1, 2]]


def test_shares_of_options_are_read_from_raw_probabilities_and_from_older_tables_alike():
    raw = pd.DataFrame([[0.3, 0.1, 0.0], [0.0, 0.0, 0.0], [np.nan] * 3], columns=["p1", "p2", "p3"])
    older = raw.assign(**{name: raw[name] / 0.4 for name in raw})
    for table in (raw, older):
        shares = scoring.option_shares(table, options=3)
        assert shares[0] == pytest.approx([0.75, 0.25, 0])
        assert np.isnan(shares[1:]).all()
