"""Choices reach the scorer in the right places, and what is missing stays missing."""

import itertools

import numpy as np
import pandas as pd
import pytest

from hvae_utils.errors import UserError
from hvae_utils.measure import factors, instruments, scoring, svo

SLIDER = instruments.load("svo-slider")
FACTORS = dict.fromkeys(factors.FACTORS, "x") | {"goal_prompt": False, "goal": None}
ALTRUIST, COMPETITOR = [1, 9, 1, 1, 9, 9], [9, 1, 9, 9, 1, 1]


def responses(**options):
    rows = [
        {"condition_id": name, "item": item, "option": option, "method": "text"}
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


def probable(**tables):
    """Return responses read from probabilities; a table: (items, options), NaN where missing."""
    rows = [
        {"condition_id": name, "item": item, "option": None, "method": "probabilities"}
        | {f"p{k}": p for k, p in enumerate(row, start=1)}
        for name, table in tables.items()
        for item, row in enumerate(table, start=1)
    ]
    return pd.DataFrame(rows).astype({"option": "Int64"})


def every_profile():
    """Yield the choices of all profiles that mix two options an item, and their angles."""
    for picks in itertools.product((1, 6), repeat=6):
        x, y = SLIDER.payoffs[np.arange(6), list(picks)].mean(axis=0) - 50
        yield picks, np.degrees(np.arctan2(y, x)), np.hypot(x, y)


def test_probabilities_give_the_exact_expectation_over_all_profiles():
    table = np.zeros((6, 9))
    table[:, 1], table[:, 6] = np.linspace(0.1, 0.6, 6), 1 - np.linspace(0.1, 0.6, 6)
    chances = [np.prod(table[np.arange(6), list(picks)]) for picks, _, _ in every_profile()]
    angles, lengths = np.array([found[1:] for found in every_profile()]).T
    mean = np.average(angles, weights=chances)
    row = scoring.administrations(conditions("a"), probable(a=0.4 * table)).iloc[0]
    assert row["method"] == "probabilities"
    assert row["angle"] == pytest.approx(mean)
    assert row["angle_sd"] == pytest.approx(
        np.sqrt(np.average((angles - mean) ** 2, weights=chances))
    )
    assert row["vector_length"] == pytest.approx(np.average(lengths, weights=chances))
    prosocial = (angles >= 22.45) & (angles < 57.15)
    assert row["p_prosocial"] == pytest.approx(np.average(prosocial, weights=chances))
    assert sum(row[scoring.PROBABILITIES]) == pytest.approx(1)
    assert row["mean_self"] == pytest.approx((table * SLIDER.payoffs[..., 0]).sum() / 6)
    assert row["transitive"] is pd.NA


def test_certain_probabilities_score_as_the_choices_they_are():
    certain = np.eye(9)[np.array(ALTRUIST) - 1]
    text = scoring.administrations(conditions("a"), responses(a=ALTRUIST)).iloc[0]
    exact = scoring.administrations(conditions("a"), probable(a=certain)).iloc[0]
    assert exact["angle_sd"] == 0
    assert np.isnan(text["angle_sd"])
    same = ["category", "answered", "asked", *scoring.PROBABILITIES]
    assert exact[same].tolist() == text[same].tolist()
    numbers = ["angle", "mean_self", "mean_other", "vector_length", "angle_low", "angle_high"]
    assert exact[numbers].tolist() == pytest.approx(text[numbers].tolist())


def test_what_is_missing_among_probabilities_leaves_bounds_of_the_expected_angle():
    uniform = np.full((6, 9), 1 / 9)
    uniform[0] = np.nan
    found = scoring.administrations(conditions("a", "b"), probable(a=uniform, b=0 * uniform))
    row, nothing = found.iloc[0], found.iloc[1]
    assert (row["answered"], nothing["answered"]) == (5, 0)
    assert found[["angle", "angle_sd", "p_prosocial", "mean_self"]].isna().all(axis=None)
    ends = []
    for option in range(9):
        filled = np.full((6, 9), 1 / 9)
        filled[0] = np.eye(9)[option]
        ends.append(svo.angle_distribution(filled).mean)
    assert (row["angle_low"], row["angle_high"]) == pytest.approx((min(ends), max(ends)))
    assert (nothing["angle_low"], nothing["angle_high"]) == pytest.approx((-16.26, 61.39), abs=5e-3)


def test_text_and_probabilities_in_one_run_are_told_apart():
    both = pd.concat([responses(a=ALTRUIST), probable(b=np.full((6, 9), 0.1))])
    found = scoring.administrations(conditions("a", "b"), both).set_index("condition_id")
    assert found["method"].tolist() == ["text", "probabilities"]
    assert found["angle"].tolist() == pytest.approx([61.390, 22.703], abs=5e-4)
    assert found.loc["a", "p_altruistic"] == 1


def test_shares_of_options_are_read_from_raw_probabilities_and_from_older_tables_alike():
    raw = pd.DataFrame([[0.3, 0.1, 0.0], [0.0, 0.0, 0.0], [np.nan] * 3], columns=["p1", "p2", "p3"])
    older = raw.assign(**{name: raw[name] / 0.4 for name in raw})
    for table in (raw, older):
        shares = scoring.option_shares(table, options=3)
        assert shares[0] == pytest.approx([0.75, 0.25, 0])
        assert np.isnan(shares[1:]).all()
