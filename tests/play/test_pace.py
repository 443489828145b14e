"""Time of the embedded model: what is read is counted once, what is written by the token."""

import asyncio

import pytest

from hvae_utils.ask.respondents import Answer, Request, Respondent
from hvae_utils.play import estimate, pace, watch
from hvae_utils.play.records import Held
from tests.support.fake_endpoint import completion, serve

READ, WRITTEN = 1000.0, 50.0  # characters and tokens a second, of the simulated server


class Slow(Respondent):
    """A respondent that takes as long as its prompt and its reply are long."""

    name = "local/slow"

    def __init__(self):
        self.now = 0.0

    async def answer(self, request: Request) -> Answer:
        read = sum(len(message["content"]) for message in request.messages)
        self.now += read / READ + request.max_tokens / WRITTEN
        return Answer(text="x", completion_tokens=request.max_tokens)


def asked(*texts):
    return Request("item", "m", tuple({"content": text} for text in texts), {}, 1, 0.0, 1)


def test_a_beginning_that_prompts_share_is_read_once():
    shared = "You decide how many coins you get. "
    requests = [asked(shared, "Item 1"), asked(shared, "Item 2"), asked(shared + "Item 2 again")]
    assert pace.new_characters(requests) == len(shared) + len("Item 1") + len("2") + len(" again")
    assert pace.new_characters([]) == 0


def test_the_pace_of_a_server_is_found(monkeypatch):
    slow = Slow()
    monkeypatch.setattr(pace.time, "perf_counter", lambda: slow.now)
    monkeypatch.setattr(pace.models, "respondent", lambda *_: slow)
    found = pace.measured(slow.name)
    assert found.read == pytest.approx(READ, rel=0.01)
    assert found.written == pytest.approx(WRITTEN, rel=0.02)
    assert found.seconds(2000, 100) == pytest.approx(4, rel=0.02)


def test_a_model_that_cannot_be_asked_has_no_pace(tmp_path, monkeypatch):
    monkeypatch.setenv("HVAE_CACHE", str(tmp_path))
    assert pace.measured("local/smollm2-135m-instruct") is None


class Proactor(asyncio.SelectorEventLoop):
    """A loop that watches no sockets, as the usual one of Windows."""

    def add_reader(self, *_):
        raise NotImplementedError

    add_writer = add_reader


def test_models_are_asked_where_the_usual_loop_watches_no_sockets(monkeypatch):
    monkeypatch.setattr(asyncio, "new_event_loop", Proactor)
    monkeypatch.setattr(asyncio.events, "new_event_loop", Proactor)
    events = []
    with serve(lambda sent: (200, completion("A"))) as (url, _):
        monkeypatch.setenv("OPENAI_BASE_URL", url)
        found = pace.measured("openai/fake")
        assert watch.ask([{"model": "openai/fake", "value": "none"}], events.append).join(30)
    assert found is not None
    assert found.read > 0
    assert events[-1].kind == "done"


def test_an_estimate_takes_the_pace_it_is_told():
    parameters = {
        "models": ["local/smollm2-135m-instruct", "reference/random"], "values": ["prosocial"],
        "goal_prompts": [False], "wordings": ["plain"], "isomorphs": [], "probe_values": [],
        "reask": True, "inductions": ["label"],
    }  # fmt: skip
    planned = estimate.designs(parameters)
    told = estimate.estimate(planned, Held(), measure=lambda name: pace.Pace(1000.0, 10.0))
    local, random, _ = told.to_dict("records")
    requests = list(estimate.unanswered(local["model"], planned, Held(), estimate.typical))
    expected = pace.new_characters(requests) / 1000 + local["completion_tokens"] / 10
    assert local["seconds"] == pytest.approx(expected)
    assert random["rate"] == estimate.RATES["reference"]
