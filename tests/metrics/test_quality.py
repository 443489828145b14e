"""Beside each score: other readings of the same answers, and what to be wary of."""

import pytest

from hvae_utils.measure import scoring
from hvae_utils.metrics import quality, rationality
from hvae_utils.play import administer, study
from hvae_utils.play.records import Records

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
