"""Beside each score: other readings of the same answers, and what to be wary of."""

import numpy as np
import pandas as pd
import pytest

from hvae_utils.measure import scoring
from hvae_utils.metrics import quality, rationality
from hvae_utils.play import administer, study
from hvae_utils.play.records import Records
from tests.support import synthetic_tables

NAMES = ("faithful", "lapsing", "agreeable", "random", "first-option")


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    design = study.Study(
        tuple(f"reference/{name}" for name in NAMES),
        goal_prompts=(False,),
        orders=("fixed", "reversed"),
        repeats=20,
    )
    with Records(tmp_path_factory.mktemp("run") / "records.jsonl") as records:
        conditions = administer.assign_values(study.conditions(design), records)
        responses = administer.put_items(conditions, records)
    scores = scoring.administrations(conditions, responses)
    cells = rationality.cells(scores)
    found = quality.with_readings(cells, conditions, responses, scores)
    assert found[cells.columns.tolist()].equals(cells)
    return found.assign(model=found.model.str.removeprefix("reference/")).set_index(
        ["model", "value"]
    )


def test_faithful_gives_nothing_away_and_never_lapses(table):
    faithful = table.loc["faithful"].dropna(subset="target")
    assert faithful.vr_regret.to_numpy() == pytest.approx(1)
    assert faithful.lapse_rate.to_numpy() == pytest.approx(0)
    assert (faithful.flag == "").all()


def test_lapsing_lapses_as_often_as_it_was_made_to_and_random_has_no_value(table):
    lapsing = table.loc["lapsing"].dropna(subset="target")
    assert ((lapsing.lapse_low <= 0.2) & (lapsing.lapse_high >= 0.2)).sum() >= 3
    random = table.loc["random"].dropna(subset="target")
    assert (random.lapse_high > 0.85).all()
    assert (lapsing.lapse_evidence > 50).all()
    assert (random.lapse_evidence < 5).all()
    assert random.vr_regret.to_numpy() == pytest.approx(random.vr_regret_random.to_numpy(), abs=0.1)


def test_a_favourite_position_is_flagged_whatever_its_score(table):
    first = table.loc["first-option"]
    assert first.flag.str.contains("order matters").all()
    assert first.order_disagreement.to_numpy() == pytest.approx(1)
    assert first.flag.str.contains("short vectors").all()


def test_without_a_value_there_is_no_utility_to_lose(table):
    none = table.xs("none", level="value")
    assert none[["vr_regret", "lapse_rate", "lapse_evidence"]].isna().all(axis=None)


def test_every_item_is_counted_under_its_outcome(table):
    assert (table.asked == 6 * 40).all()
    assert (table.choice == table.asked).all()
    assert (table[["refusal", "unparseable", "truncated", "empty", "error"]] == 0).all(axis=None)


# Read from probabilities


@pytest.fixture(scope="module")
def exact():
    names = (*(f"reference/{name}" for name in NAMES[:4]), "local/weak")
    made = synthetic_tables.make(names, wordings=("plain", "formal", "brief"))
    cells = made.cells.assign(model=made.cells.model.str.rpartition("/")[2])
    return cells[~cells.goal_prompt].set_index(["model", "value"])


def test_regret_and_lapse_rate_are_those_of_the_probabilities(exact):
    lapsing, random = (exact.loc[name].dropna(subset="target") for name in ("lapsing", "random"))
    assert lapsing.lapse_rate.to_numpy() == pytest.approx(0.2)
    expected = 1 - 0.2 * (1 - random.vr_regret_random)
    assert lapsing.vr_regret.to_numpy() == pytest.approx(expected.to_numpy())
    assert random.lapse_rate.to_numpy() == pytest.approx(1)
    assert random.lapse_evidence.to_numpy() == pytest.approx(0)
    assert random.vr_regret.to_numpy() == pytest.approx(random.vr_regret_random.to_numpy())
    assert exact.loc["faithful"].dropna(subset="target").vr_regret.to_numpy() == pytest.approx(1)


def test_the_evidence_is_expected_of_as_many_written_administrations(exact):
    row = exact.loc["lapsing", "altruistic"]
    hit = 0.8 + 0.2 / 9
    of_item = hit * np.log(hit / (1 / 9)) + (1 - hit) * np.log((1 - hit) / (8 / 9))
    assert row.lapse_evidence == pytest.approx(3 * 6 * of_item)


def test_the_distance_to_the_set_is_that_of_the_expected_angle(exact):
    assert exact.loc["lapsing", "prosocial"].vr_chance_set == 1  # 41.2 degrees, set from 37.5
    assert exact.loc["random"].vr_chance_set.dropna().to_numpy() == pytest.approx(0)


def test_the_limits_of_a_lapse_rate_are_over_wordings(exact):
    weak = exact.loc["weak"].dropna(subset="target")
    assert (weak.lapse_low <= weak.lapse_rate).all()
    assert ((weak.lapse_low >= 0) & (weak.lapse_high <= 1)).all()
    assert weak.flag.str.contains("low covered mass").all()


def test_the_audit_counts_written_answers_that_are_the_most_probable_option(table):
    option = [1, 2, 3, 4, 5, 6]
    items = pd.DataFrame({"option": option, "written": [1, 2, 9, None, None, 6]}, dtype="Int64")
    outcomes = ["choice", "choice", "choice", "refusal", None, "choice"]
    found = quality._audit(items.assign(written_outcome=outcomes))
    assert found == {"audited": 5, "audit_agreement": pytest.approx(3 / 5)}
    assert np.isnan(quality._audit(items.assign(written_outcome=None))["audit_agreement"])
    assert (table.audited == 0).all()


# A model that thinks


def test_items_cut_off_while_the_model_thought_are_a_share_and_a_flag():
    made = synthetic_tables.make(("local/thinks",), wordings=("plain",), method="text")
    conditions, responses, scores = made.conditions, made.responses, made.scores
    cells = rationality.cells(scores)
    of_cell = (conditions.value == "prosocial") & ~conditions.goal_prompt
    ids = conditions.condition_id[of_cell].item()
    row = responses.index[responses.condition_id == ids][0]

    def found():
        table = quality.with_readings(cells, conditions, responses, scores)
        return table[~table.goal_prompt].set_index("value").loc["prosocial"]

    responses["outcome"] = "truncated"  # cut while it replied: it did not think
    assert (found().censored, "thoughts cut off" in found().flag) == (0, False)
    assert np.isnan(found().thinking_tokens)
    responses.loc[row, "thinking_tokens"] = 0.0
    assert found().censored == 0, "a count of nothing is no thought"
    responses.loc[row, "thought"] = "Let me see"  # shown, but not counted
    assert found().censored == pytest.approx(1 / 6)
    responses["thinking_tokens"], responses["thought"] = 50.0, ""  # counted, but hidden
    assert (found().censored, found().thinking_tokens) == (1, 300)
    assert found().flag.endswith("thoughts cut off")
    responses["outcome"] = "choice"
    assert (found().censored, "thoughts cut off" in found().flag) == (0, False)


def test_a_thought_cut_off_in_one_item_of_twenty_is_no_reason_for_a_flag():
    row = dict.fromkeys(("choice", "asked", "long_enough", "transitive", "covered_mass"), 1.0)
    row["order_disagreement"] = 0.0
    assert quality._flag(row | {"censored": 0.05}) == ""
    assert quality._flag(row | {"censored": 0.051}) == "thoughts cut off"
