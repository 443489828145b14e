"""How a model is asked is found out by its answer to a question whose answer is known."""

from dataclasses import replace

import pytest

from hvae_utils.ask import models
from hvae_utils.ask.respondents import Answer
from hvae_utils.play import engine, route
from hvae_utils.play.sources import Sources

ROW = {"model": "openai/x", "value": "prosocial", "repeat": 2, "seed": 1, "temperature": 0.7}
ROOM = models.thinks("reference/random")[1]
SURE, SMALL = (("C", -0.01), ("A", -5.0)), (("I", -1.98), ("C", -2.41), ("A", -2.51))
HIDDEN_TOKEN = (("1", -0.01), ("2", -4.9))
ONE_HOT = (("C", 0.0), ("A", -9999.0))


def said(text="C", finish="stop", listed=None, tokens=1, **more):
    return Answer(
        text=text, finish_reason=finish, top_logprobs=listed, completion_tokens=tokens, **more
    )


def thought(tokens=900, **more):
    return said(**{"thinking_tokens": tokens, "tokens": tokens + 1, **more})


NOTHING = said("", "length", thinking_tokens=1, thought="", cause="thought for 1 of 1 tokens")
SILENT = said("", "length", cause="the reply reached the cap of 1 tokens")


def found(*answers, sources=None, **row):
    """Return the route of a model that answers so, and the requests that found it."""
    dialogue, asked, record = route.find(ROW | row, sources or Sources()), [], None
    left = list(answers)
    while True:
        try:
            question = dialogue.send(record)
        except StopIteration as end:
            assert left == [], "not all that could be asked was asked"
            return end.value, asked
        asked.append(engine.request_for(question, "x"))
        record = engine.record_of(asked[-1], left.pop(0))


@pytest.mark.parametrize(
    ("answers", "method", "thinks", "why"),
    [
        ([said(listed=SURE)], "probabilities", "none", ""),
        ([said("I", "length", SMALL)], "probabilities", "none", ""),  # small, and lists its own
        ([said()], "text", "none", "no alternatives are listed"),
        ([said("Sure", "length"), said("Sure, C", tokens=3)], "text", "none", "no alternatives"),
        ([said(listed=HIDDEN_TOKEN)], "text", "none", "does not begin the reply"),
        ([NOTHING, thought(thought="C is asked for.")], "text", "visible", "no alternatives"),
        ([NOTHING, thought()], "text", "hidden", "no alternatives"),
        ([NOTHING, thought(listed=SURE)], "probabilities", "hidden", ""),
        ([NOTHING, thought(listed=HIDDEN_TOKEN)], "text", "hidden", "does not begin the reply"),
        ([SILENT, said(tokens=300)], "text", "hidden", "no alternatives"),  # and does not tell
        ([SILENT, said(tokens=None)], "text", "hidden", "no alternatives"),
        ([said("\n", "length"), said("\nC", tokens=2)], "text", "none", "no alternatives"),
        ([Answer(error="400 raise max_tokens"), thought()], "text", "hidden", "no alternatives"),
        (
            [said(listed=(*SURE, *SURE), flags=("repeated entries", "sum above one"))],
            *("text", "none", "not believed: repeated entries, sum above one"),
        ),
        ([said("X", "length", (("X", -0.1),)), said("X")], "text", "none", "no alternatives"),
        (
            [said("1", "length", HIDDEN_TOKEN), said("1 then C", listed=HIDDEN_TOKEN)],
            *("text", "none", "the letter C is asked for and not among the likely first tokens"),
        ),
    ],
)
def test_a_list_is_exact_only_if_it_is_the_replys_own_and_holds_the_known_answer(
    answers, method, thinks, why
):
    seen, asked = found(*answers)
    assert (seen.method, seen.thinks, seen.fault) == (method, thinks, "")
    assert why in seen.reason
    assert bool(seen.reason) == (method == "text")
    assert seen.thinking_tokens == (0 if thinks == "none" else ROOM)
    assert [request.max_tokens for request in asked] == [1] * len(answers)
    assert [request.thinking_tokens for request in asked] == [0, ROOM][: len(answers)]
    assert {(r.temperature, r.repeat, r.seed, r.top_logprobs) for r in asked} == {(0, 1, 2, 20)}


def test_a_table_with_one_certain_token_at_temperature_0_is_asked_for_at_1():
    one_hot = said(listed=ONE_HOT, flags=("one-hot",))
    warm, asked = found(one_hot, said("A", listed=SURE))
    assert (warm.method, warm.temperature) == ("probabilities", 1.0)
    assert [request.temperature for request in asked] == [0.0, 1.0]
    still, _ = found(one_hot, one_hot)
    assert (still.method, still.temperature) == ("text", 0.0)
    assert still.reason == "probabilities are not believed: one-hot"


def test_a_route_is_found_once_and_is_the_same_for_a_model_that_reasons_in_a_turn_of_its_own():
    sources = Sources()
    direct, _ = found(said(), sources=sources)
    again, asked = found(sources=sources, model="openai/x+reasoned")
    assert (direct, asked) == (again, [])


@pytest.mark.parametrize(("level", "room"), [("off", 0), ("on", ROOM), ("low", ROOM)])
def test_a_level_of_thinking_has_a_route_of_its_own_and_room_where_a_thought_is_asked_for(
    level, room
):
    sources = Sources()
    found(said(), sources=sources)
    seen, asked = found(said(), sources=sources, model=f"openai/x+{level}")
    assert seen.thinking_tokens == room
    assert [(r.model, r.thinking) for r in asked] == [("openai/x", level)]


def test_an_error_is_no_route_and_is_asked_again_with_the_next_condition():
    sources, lost = Sources(), Answer(error="timeout")
    for _ in range(2):
        seen, _ = found(lost, lost, sources=sources)
        assert seen.fault == "the probe was not answered: timeout"
    assert found(said(), sources=sources)[0].fault == ""


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (
            thought(51, text="", finish="length", cause="thought for 51 of 51 tokens"),
            "openai/x thought for 51 of 51 tokens and gave no answer; raise thinking_tokens",
        ),
        (
            said("", "length", tokens=51, thought="C is", cause="thinking never ended"),
            "openai/x gave no answer: thinking never ended; raise thinking_tokens",
        ),
        (
            thought(text="", cause="a thought and no reply"),
            "openai/x gave no answer: a thought and no reply",
        ),
        (
            thought(text="", cause="thinking never ended"),
            "openai/x gave no answer: thinking never ended",
        ),
    ],
)
def test_too_little_room_for_a_thought_is_a_sentence(answer, sentence):
    seen, asked = found(NOTHING, answer, thinking_tokens=50)
    assert seen.fault == sentence
    assert [request.thinking_tokens for request in asked] == [0, 50]


def test_the_key_of_the_probe_is_that_of_recorded_runs():
    row = {"model": "local/smollm2-135m-instruct", "seed": 20230524, "temperature": 0.0}
    (asked,) = found(said(), **row)[1]
    weights = "0c1d3326cd9793cfb7296113c063dd5c24e2bd734b48ec1a3d01b7158eca9387"
    assert replace(asked, identity=weights).key == "551f2ec50e416b20dc40"
