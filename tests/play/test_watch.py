"""Watching one administration: every step is told, nothing is kept, whatever goes wrong is said."""

import threading
import time

import numpy as np
import pandas as pd
import pytest

from hvae_utils.ask import local
from hvae_utils.ask.reference import Reference
from hvae_utils.ask.respondents import Answer
from hvae_utils.errors import UserError
from hvae_utils.measure import instruments, own_values, svo, values
from hvae_utils.play import administer, watch
from hvae_utils.play.records import Records
from tests.support.fake_endpoint import completion, serve


def heard(seconds=30, **choice):
    events = []
    running = watch.ask([{"model": "reference/faithful", **choice}], events.append)
    assert running.join(seconds)
    return events


def items(events):
    return [event for event in events if event.kind == "item"]


@pytest.mark.parametrize("order", ["fixed", "reversed", "shuffled"])
@pytest.mark.parametrize("value", svo.CATEGORIES)
def test_a_faithful_respondent_ends_at_the_ideal_angle_however_options_are_shown(value, order):
    events = heard(value=value, order=order)
    assert events[-1].kind == "done"
    assert items(events)[-1].angle == pytest.approx(values.get(value).target)


def test_the_range_of_angles_narrows_and_the_last_item_leaves_one():
    found = items(heard(value="prosocial"))
    lows, highs = [e.low for e in found], [e.high for e in found]
    assert lows == sorted(lows)
    assert highs == sorted(highs, reverse=True)
    assert lows[-1] == highs[-1] == found[-1].angle
    assert all(np.isnan(e.angle) for e in found[:-1])


def test_probabilities_are_in_the_instruments_order():
    found = items(heard(value="altruistic", order="reversed"))
    ideal = svo.ideal_choices("altruistic", instruments.load("svo-slider"))
    assert [int(np.argmax(e.chances)) for e in found] == ideal.tolist()
    assert [e.option - 1 for e in found] == ideal.tolist()


def test_where_probabilities_are_read_the_expected_angle_is_told_and_nothing_is_audited():
    events = heard(model="reference/random", value="altruistic", readout="probabilities")
    assert sum(e.kind == "asked" for e in events) == 2 + 1 + 6  # assigned; alternatives?; items
    assert items(events)[-1].angle == pytest.approx(22.703, abs=5e-4)
    assert np.isnan(items(events)[0].angle)


def test_a_chain_of_thought_is_a_step_like_others():
    events = heard(value="altruistic", deliberation="reasoned")
    assert sum(e.kind == "asked" for e in events) == 1 + 2 + 6 * 2  # each item: thought, answer
    assert "few sentences" in events[6].messages[-1]["content"]
    assert "both numbers" in events[7].reply
    assert events[8].messages[-2]["content"] == events[7].reply
    assert items(events)[-1].angle == pytest.approx(values.get("altruistic").target)
    assert "reasoned" in watch.factors()["deliberation"]


def test_a_thought_is_told_beside_the_reply_and_why_there_is_none(monkeypatch):
    async def thinks(self, request):
        return Answer(text="", thought="Hm.", cause="a thought and no reply", finish_reason="stop")

    monkeypatch.setattr(Reference, "answer", thinks)
    replied = next(event for event in heard(value="none") if event.kind == "replied")
    assert (replied.thought, replied.note) == ("Hm.", "a thought and no reply")


def test_messages_are_told_before_their_reply():
    kinds = [e.kind for e in heard(value="altruistic") if e.kind in ("asked", "replied")]
    assert kinds == ["asked", "replied"] * (1 + 2 + 6)  # how it is asked; the value; items


@pytest.mark.parametrize(
    "factors",
    [
        {"order": "shuffled"},
        {"placement": "system", "induction": "definition"},
        {"goal_prompt": True, "wording": "formal"},
        {"instrument": "svo-slider+swapped", "labels": "P-X"},
        {"protocol": "conversation"},
    ],
)
def test_what_is_watched_is_what_a_study_of_that_condition_asks_and_reads(tmp_path, factors):
    row = watch.condition("reference/lapsing", "altruistic", **factors)
    with Records(tmp_path / "records.jsonl") as records:
        responses = administer.put_items(
            administer.assign_values(pd.DataFrame([row]), records), records
        )
        put = [records.get(key)["messages"] for key in responses["key"]]
        count = len(records)
    events = heard(model="reference/lapsing", value="altruistic", **factors)
    asked = [[*map(dict, e.messages)] for e in events if e.kind == "asked"]
    assert len(asked) == count
    assert asked[-6:] == [[*map(dict, messages)] for messages in put]
    assert [e.option for e in items(events)] == responses["option"].tolist()
    assert [e.note for e in items(events)] == responses["evidence"].tolist()


def test_a_factor_that_does_not_exist_is_a_sentence():
    with pytest.raises(UserError, match="unknown factor 'placings'"):
        watch.condition("reference/faithful", "none", placing="system")


def test_without_a_value_only_the_items_are_asked():
    events = heard(value="none")
    assert sum(e.kind == "asked" for e in events) == 1 + 6
    assert all(len(e.messages) == 1 for e in events if e.kind == "asked")


def test_a_value_of_ones_own_is_put_in_its_own_words_and_followed():
    mine = own_values.from_weight("thrifty", "Likes {braces} & half of it.", 0.5)
    events = heard(value=mine, induction="definition")
    assert "Likes {braces} & half of it." in events[2].messages[0]["content"]
    assert items(events)[-1].angle == pytest.approx(mine.target)


def test_a_reply_without_a_choice_is_asked_once_more_and_leaves_the_range_wide(monkeypatch):
    with serve(lambda sent: (200, completion("I would rather not say."))) as (url, received):
        monkeypatch.setenv("OPENAI_BASE_URL", url)
        events = heard(model="openai/fake", value="none")
    assert len(received) == 2 + 12  # how it is asked: with one token, then with room for a thought
    assert items(events)[-1].low < -16
    assert items(events)[-1].high > 61
    assert np.isnan(items(events)[-1].angle)
    assert np.isnan(items(events)[0].chances).all()


def test_a_model_that_is_not_there_says_so(monkeypatch):
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
    events = heard(model="openai/gone", value="altruistic", seconds=60)
    assert events[-1].kind == "error"
    assert "gone" in events[-1].note


@pytest.mark.parametrize(
    "choice", [{"value": "altruistc"}, {"value": "none", "model": "refrence/x"}]
)
def test_an_unknown_name_is_refused_before_anything_is_asked(choice):
    with pytest.raises(UserError):
        heard(**choice)


def test_stop_ends_a_model_that_never_answers_and_the_caller_never_waits(monkeypatch):
    stopped = threading.Event()

    def silent(sent):
        stopped.wait(60)
        return 200, completion("A")

    with serve(silent) as (url, _):
        monkeypatch.setenv("OPENAI_BASE_URL", url)
        events = []
        running = watch.ask([{"model": "openai/slow", "value": "none"}], events.append)
        while not events:
            time.sleep(0.01)
        running.stop()
        running.stop()
        assert running.join(30)
        stopped.set()
    assert [event.kind for event in events] == ["asked", "stopped"]


def test_a_mistake_of_ours_is_an_event_and_no_silent_thread(monkeypatch):
    async def broken(setting, report):
        raise ZeroDivisionError("oh")

    monkeypatch.setattr(watch, "decide", broken)
    assert "ZeroDivisionError" in heard(value="none")[-1].note


def test_a_process_that_dies_is_a_sentence(monkeypatch):
    monkeypatch.setattr(watch, "_in_process", _dies)
    monkeypatch.setattr(watch.models, "require", lambda names: None)
    events = heard(model="local/smollm2-135m-instruct", value="none", seconds=60)
    assert events[-1].kind == "error"
    assert "ended unexpectedly" in events[-1].note


def _dies(settings, sender):
    """Stand for native code that takes its process with it."""
    raise SystemExit(1)


@pytest.mark.skipif(
    not local.known()["smollm2-135m-instruct"].cached.is_file(),
    reason="the weights are not here; run: hvae models fetch smollm2-135m-instruct",
)
def test_the_embedded_model_is_asked_elsewhere_and_stops_at_once():
    events = []
    choice = {"model": "local/smollm2-135m-instruct", "value": "none"}
    running = watch.ask([choice], events.append)
    deadline = time.monotonic() + 100
    while not any(e.kind in ("item", "error") for e in events) and time.monotonic() < deadline:
        time.sleep(0.05)
    running.stop()
    assert running.join(10)
    assert items(events)
    assert events[-1].kind == "stopped"


@pytest.mark.parametrize("weight", [-1, 0, 0.5, 1, 3])
def test_a_weight_and_its_point_on_the_ring_are_the_same_value(weight):
    by_weight = own_values.from_weight("x", "Some words.", weight)
    by_point = own_values.from_point("x", "Some words.", np.degrees(np.arctan(weight)))
    assert by_weight.target == pytest.approx(by_point.target)


@pytest.mark.parametrize(
    ("weight", "value"), [(0, "individualistic"), (1, "prosocial"), (-1, "competitive")]
)
def test_the_weights_of_known_values_lead_to_their_angles(weight, value):
    found = own_values.from_weight("x", "Some words.", weight)
    assert found.target == pytest.approx(values.get(value).target)


def test_numbers_are_read_with_point_comma_and_minus_sign():
    read = [own_values.number(text, "n", -10, 10) for text in ("0.5", " 0,5 ", "−1")]
    assert read == [0.5, 0.5, -1.0]
