"""Beside the main study: memorised items are found, and why a prosocial is prosocial is asked."""

import threading
import time

import pytest

from hvae_utils.play import probes
from hvae_utils.play.records import read
from tests.support.fake_endpoint import completion, serve

CHANGES = (
    *("scaled-0.5", "scaled-10", "shifted-20", "swapped", "renamed-points", "renamed-tokens"),
    "permuted-4-3-6-5-1-2",
    "scaled-0.5+shifted-20+swapped+renamed-points+permuted-4-3-6-5-1-2",
)
NAMES = [f"svo-slider+{change}" for change in CHANGES]
IDEAL = {"altruistic": 61.390, "prosocial": 45.0, "individualistic": 0.0, "competitive": -16.260}


@pytest.fixture
def records(tmp_path):
    return tmp_path / "records.jsonl"


def test_who_acts_on_the_payoffs_keeps_its_angle_in_every_isomorphic_instrument(records):
    isomorphs = [name for name in NAMES if name != "svo-slider"]
    angles, _ = probes.administer(records, isomorphs, ["reference/faithful"], list(IDEAL), "plain")
    assert len(angles) == (1 + len(isomorphs)) * 4
    assert (angles.angle - angles.value.map(IDEAL)).abs().max() < 5e-3


def test_the_isomorphic_items_are_seen_by_the_respondent(records):
    name = "svo-slider+scaled-0.5+swapped+renamed-tokens"
    probes.administer(records, [name], ["reference/faithful"], ["none"], "plain")
    texts = [line["messages"][-1]["content"] for line in read(records) if line["item"] == 2]
    (text,) = [text for text in texts if "token" in text]
    assert "A: 7.5, 42.5" in text
    assert "the first number is the other person's tokens" in text
    assert "Each token is worth one reward" in text
    assert "coin" not in text.lower()


def test_the_motive_of_a_joint_gain_maximiser_is_joint_gain(records):
    models = ["reference/agreeable", "reference/first-option"]
    _, motives = probes.administer(records, [], models, ["prosocial"], "plain")
    assert motives.set_index("model").loc["reference/agreeable", "index"] > 0.5
    assert len(motives) == 2


def test_who_answers_at_random_is_scored_by_its_expectation_in_every_instrument(records):
    angles, motives = probes.administer(records, NAMES[:1], ["reference/random"], ["none"], "plain")
    assert set(angles["method"]) == {"probabilities"}
    assert angles["angle"].to_numpy() == pytest.approx(22.703, abs=5e-4)
    distances = [f"d_{name}" for name in ("individualist", "altruist")]
    assert motives[distances].to_numpy() == pytest.approx(0.5)
    assert {line["kind"] for line in read(records)} == {"probe", "readout"}


def test_without_a_value_to_probe_nothing_is_asked(records):
    angles, motives = probes.administer(records, NAMES[1:], ["reference/random"], [], "plain")
    assert angles.empty
    assert motives.empty
    assert not records.exists()


@pytest.mark.parametrize(("reask", "reminded"), [(True, True), (False, False)])
def test_the_probes_obey_reask_and_concurrency(tmp_path, monkeypatch, reask, reminded):
    lock, now, most = threading.Lock(), [], []

    def mute(seen):
        with lock:
            now.append(1)
            most.append(len(now))
        time.sleep(0.005)
        with lock:
            now.pop()
        return 200, completion("I would rather not.")

    with serve(mute) as (url, asked):
        monkeypatch.setenv("OPENAI_BASE_URL", url)
        path = tmp_path / "records.jsonl"
        how = {"concurrency": 1, "reask": reask}
        models, values = ["openai/x"], "none"
        dressed, _ = probes.administer(path, "svo-slider+swapped", models, values, "plain", **how)
    assert list(dressed.instrument) == ["svo-slider", "svo-slider+swapped"]
    assert max(most) == 1
    items = 6 + 6 + 9
    found_out = 2  # that it lists nothing and thinks nothing
    assert len(asked) == found_out + items * (2 if reminded else 1)
    reminders = [body for body in asked if len(body["messages"]) > 2]
    assert bool(reminders) == reminded
