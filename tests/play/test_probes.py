"""Beside the main study: who recites is found, and why a prosocial is prosocial is asked."""

import pytest

from hvae_utils import instruments, isomorphs, probes
from hvae_utils.records import Records, read

SLIDER = instruments.load("svo-slider")
NAMES = [one.name for one in isomorphs.everyone(SLIDER).values()]
IDEAL = {"altruistic": 61.390, "prosocial": 45.0, "individualistic": 0.0, "competitive": -16.260}


@pytest.fixture
def records(tmp_path):
    with Records(tmp_path / "records.jsonl") as opened:
        yield opened


def test_who_acts_on_the_payoffs_keeps_its_angle_in_every_dress(records):
    found = probes.angles(records, NAMES, ["reference/faithful"], list(IDEAL), "plain")
    assert len(found) == len(NAMES) * 4
    assert (found.angle - found.value.map(IDEAL)).abs().max() < 5e-3


def test_the_dress_is_seen_by_the_respondent(records):
    name = "svo-slider+scaled-0.5+swapped+renamed-tokens"
    probes.angles(records, [name], ["reference/faithful"], ["none"], "plain")
    (second,) = [record for record in read(records.path) if record["item"] == 2]
    text = second["messages"][-1]["content"]
    assert "A: 7.5, 42.5" in text
    assert "the first number is the other person's tokens" in text
    assert "Each token is worth one reward" in text
    assert "coin" not in text.lower()


def test_the_motive_of_a_joint_gain_maximiser_is_joint_gain(records):
    models = ["reference/agreeable", "reference/first-option"]
    found = probes.motives(records, models, ["prosocial"], "plain").set_index("model")
    assert found.loc["reference/agreeable", "index"] > 0.5
    assert len(found) == 2


def test_without_a_value_to_probe_nothing_is_asked(records):
    assert probes.angles(records, NAMES, ["reference/random"], [], "plain").empty
    assert probes.motives(records, ["reference/random"], [], "plain").empty
    assert len(records) == 0
