"""The engine asks what is needed, once; whatever stops it, the answers stay."""

import asyncio
import contextlib
import dataclasses
import signal
import sys
import threading
from collections import Counter

import numpy as np
import pandas as pd
import pytest

from hvae_utils.ask.respondents import FILTERED, PROBED, Answer
from hvae_utils.errors import BudgetReached, EndpointError, UserError
from hvae_utils.measure import scoring
from hvae_utils.play import administer, engine, study
from hvae_utils.play.records import Records, read
from hvae_utils.run import runner

MODEL = "openai/scripted"


def says_the_letter(request):
    """Answer the question that finds out how a model is asked; list nothing."""
    return Answer(text=PROBED, finish_reason="stop", completion_tokens=1)


def lists_the_letter(request):
    """Answer it with alternatives: this model is read by probabilities."""
    return Answer(text=PROBED, finish_reason="length", top_logprobs=((PROBED, -0.2), ("I", -2.0)))


class Scripted:
    """A respondent that answers as the test says and remembers what it was asked.

    probe: answers the questions that find out how it is asked, which are remembered apart.
    """

    def __init__(self, reply, concurrency=4, prefix_reuse=False, probe=says_the_letter):
        self.name, self.identity, self.concurrency = MODEL, "scripted", concurrency
        self.prefix_reuse = prefix_reuse
        self.reply, self.asked, self.now, self.most = reply, [], 0, 0
        self.probe, self.probed = probe, []

    async def __aenter__(self):
        return self

    async def __aexit__(self, *exc):
        return None

    async def answer(self, request):
        probe = request.kind == "probe"
        (self.probed if probe else self.asked).append(request)
        self.now += 1
        self.most = max(self.most, self.now)
        await asyncio.sleep(0.001)
        self.now -= 1
        said = (self.probe if probe else self.reply)(request)
        return said if isinstance(said, Answer) else Answer(text=said, finish_reason="stop")


def always(label):
    return lambda request: label if request.kind == "item" else f"my {request.kind}"


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Return a function that plays a study of one scripted respondent."""

    def play_it(respondent, reask=True, concurrency=0, budget=None, **factors):
        monkeypatch.setattr(engine.models, "respondent", lambda name, *limits: respondent)
        given = {"values": ("altruistic",), "temperature": 1.0, **factors}
        planned = study.conditions(study.Study(models=(MODEL,), **given))
        with Records(tmp_path / "records.jsonl") as records:
            assigned = administer.assign_values(planned, records, concurrency, budget)
            return assigned, administer.put_items(assigned, records, reask, concurrency, budget)

    play_it.path = tmp_path / "records.jsonl"
    return play_it


def roles(messages):
    return [message["role"] for message in messages]


def test_the_model_describes_adopts_states_its_goal_and_is_quoted_in_every_item(run):
    model = Scripted(always("C"))
    assigned, responses = run(model, goal_prompts=(True,))
    assert [request.kind for request in model.asked] == ["describe", "adopt", "goal"] + ["item"] * 6
    assert assigned.goal[0] == "my goal"
    assert assigned.description[0] == "my describe"
    for request in model.asked[3:]:
        assert roles(request.messages) == ["user", "assistant"] * 3 + ["user"]
        assert "my goal" in request.messages[-1]["content"]
    assert responses.option.tolist() == [3] * 6
    assert responses.loc[0, ["self", "other"]].tolist() == [85, 68]


def test_both_goal_arms_share_one_self_description_and_adoption(run):
    model = Scripted(always("C"))
    run(model, goal_prompts=(False, True))
    kinds = [request.kind for request in model.asked]
    assert (kinds.count("describe"), kinds.count("adopt"), kinds.count("goal")) == (1, 1, 1)
    assert kinds.count("item") == 12


def test_a_run_whose_folder_is_removed_asks_nothing_more(run):
    def reply(request):
        if len(model.asked) == 5:
            run.path.unlink()
        return "C"

    model = Scripted(reply, concurrency=1)
    with pytest.raises(UserError, match=r"records\.jsonl was removed"):
        run(model, values=("none",), goal_prompts=(False,))
    assert len(model.asked) == 5
    assert not run.path.exists()


def test_every_repeat_is_described_afresh(run):
    model = Scripted(always("C"))
    run(model, goal_prompts=(False,), repeats=3)
    described = [request for request in model.asked if request.kind == "describe"]
    assert len({request.key for request in described}) == 3
    assert len({request.seed for request in described}) == 3


def test_in_the_system_turn_the_description_is_quoted_and_nobody_adopts(run):
    model = Scripted(always("C"))
    run(model, goal_prompts=(False,), placements=("system",))
    items = [request for request in model.asked if request.kind == "item"]
    assert roles(items[0].messages) == ["system", "user"]
    assert "my describe" in items[0].messages[0]["content"]
    assert "adopt" not in {request.kind for request in model.asked}


def test_without_a_value_nothing_stands_before_the_item(run):
    model = Scripted(always("C"))
    run(model, goal_prompts=(False,), values=("none",))
    assert [roles(request.messages) for request in model.asked] == [["user"]] * 6


def test_independent_items_do_not_see_each_other_and_a_conversation_does(run):
    model = Scripted(always("C"))
    run(model, goal_prompts=(False,), values=("none",), protocols=("independent", "conversation"))
    lengths = [len(request.messages) for request in model.asked]
    shared_first_item = [1]
    assert sorted(lengths) == shared_first_item + [1] * 5 + [3, 5, 7, 9, 11]


def test_one_reminder_is_a_second_recorded_attempt(run):
    def undecided(request):
        if request.kind != "item":
            return "well"
        return "They all look alike" if request.attempt == 1 else "D"

    model = Scripted(undecided)
    _, responses = run(model, goal_prompts=(False,), values=("none",), protocols=("conversation",))
    assert responses.attempts.tolist() == [2] * 6
    assert set(responses.first_outcome) == {"unparseable"}
    assert responses.label.tolist() == ["D"] * 6
    kept = [record["text"] for record in read(run.path)]
    assert kept.count("D") == kept.count("They all look alike") == 6
    assert roles(model.asked[1].messages) == ["user", "assistant", "user"]
    assert len(model.asked[-1].messages) == 6 * 4 - 1  # the whole dialogue, reminders included


def test_a_respondent_that_never_chooses_leaves_missing_items_and_all_its_words(run):
    model = Scripted(always("I cannot take part in this."))
    _, responses = run(model, goal_prompts=(False,), values=("none",))
    assert set(responses.outcome) == {"refusal"}
    assert responses.option.isna().all()
    assert responses["self"].isna().all()
    assert len(model.asked) == 12
    _, again = run(model, reask=False, goal_prompts=(False,), values=("none",))
    assert again.attempts.tolist() == [1] * 6
    assert len(model.asked) == 12


def test_a_second_run_asks_nothing_that_is_answered(run):
    first = Scripted(always("C"))
    _, before = run(first)
    second = Scripted(always("E"))
    _, after = run(second)
    assert second.asked == []
    assert after.equals(before)


def test_a_run_that_was_stopped_continues_where_it_was(run):
    whole = Scripted(always("C"))
    _, expected = run(whole)
    lines = run.path.read_bytes().splitlines(keepends=True)
    run.path.write_bytes(b"".join(lines[:9]))
    rest = Scripted(always("C"))
    _, responses = run(rest)
    assert len(rest.asked) == len(whole.asked) - 8, "the first line is the probe's"
    ignored = ["latency_s"]
    assert responses.drop(columns=ignored).equals(expected.drop(columns=ignored))


def test_an_endpoint_that_fails_midway_stops_the_run_and_says_what_is_safe(run):
    def failing(request):
        if len(model.asked) > 8:
            raise EndpointError("openai/scripted: cannot reach it")
        return always("B")(request)

    model = Scripted(failing, concurrency=1)
    with pytest.raises(EndpointError, match="cannot reach it; 9 records are safe"):
        run(model)
    assert len(list(read(run.path))) == 8 + 1


def test_a_transport_error_is_an_outcome_and_is_asked_again_next_time(run):
    model = Scripted(lambda request: Answer(error="timeout") if request.kind == "item" else "well")
    _, responses = run(model, goal_prompts=(False,))
    assert set(responses.outcome) == {"error"}
    assert responses.attempts.tolist() == [1] * 6
    second = Scripted(always("A"))
    _, responses = run(second, goal_prompts=(False,))
    assert len(second.asked) == 6
    assert set(responses.outcome) == {"choice"}


@pytest.mark.parametrize("concurrency", [1, 3, 8])
def test_no_more_requests_are_in_flight_than_allowed(run, concurrency):
    model = Scripted(always("C"), concurrency=5)
    run(model, concurrency=concurrency, repeats=10)
    assert model.most == concurrency


def test_each_record_says_what_was_asked_and_what_came_back(run):
    run(Scripted(always("C")), goal_prompts=(False,))
    last = list(read(run.path))[-1]
    assert last["messages"][-1]["content"].count("\n") > 8
    assert (last["kind"], last["item"], last["attempt"], last["text"]) == ("item", 6, 1, "C")
    assert (last["order"], last["labels"]) == (list(range(9)), list("ABCDEFGHI"))


def test_probabilities_are_read_from_the_first_token_in_the_instruments_order(run):
    pairs = (("B", -0.1054), (" b", -5.0), ("The", -2.4))

    def sure(request):
        if request.kind != "item":
            return "well"
        return Answer(text="B", finish_reason="stop", top_logprobs=pairs)

    _, responses = run(Scripted(sure), goal_prompts=(False,))
    assert responses.p2.to_numpy() == pytest.approx(np.exp(-0.1054) + np.exp(-5.0))
    assert responses.p1.to_numpy() == pytest.approx(0.0)
    assert responses.covered_mass.to_numpy() == pytest.approx(0.9, abs=0.01)


def test_play_works_inside_a_running_event_loop_as_in_a_notebook(run):
    async def notebook():
        return run(Scripted(always("C")))

    _, responses = asyncio.run(notebook())
    assert set(responses.outcome) == {"choice"}


def test_probabilities_are_those_of_the_first_question_not_of_the_reminder(run):
    def hesitant(request):
        if request.kind != "item":
            return "well"
        first = request.attempt == 1
        said, listed = ("Hm", (("A", -0.1),)) if first else ("D", (("D", -0.1),))
        return Answer(text=said, finish_reason="stop", top_logprobs=listed, prompt_tokens=10)

    _, responses = run(Scripted(hesitant), goal_prompts=(False,))
    assert set(responses.label) == {"D"}
    assert responses.p1.to_numpy() == pytest.approx(np.exp(-0.1))
    assert responses.prompt_tokens.tolist() == [20] * 6


def test_an_empty_reply_is_named_in_the_dialogue_because_endpoints_refuse_empty_turns(run):
    model = Scripted(lambda request: "" if request.kind == "item" else "well")
    _, responses = run(model, goal_prompts=(False,), values=("none",), protocols=("conversation",))
    assert set(responses.outcome) == {"empty"}
    for request in model.asked:
        assert all(message["content"] for message in request.messages)


def test_a_dialogue_that_broke_off_is_not_continued(run):
    def broken(request):
        return Answer(error="timeout") if "item" in request.kind and len(model.asked) == 3 else "C"

    model = Scripted(broken, concurrency=1)
    _, responses = run(model, goal_prompts=(False,), values=("none",), protocols=("conversation",))
    assert responses.outcome.tolist() == ["choice"] * 2 + ["error"] * 4
    assert responses.attempts.tolist() == [1, 1, 1, 0, 0, 0]
    assert len(model.asked) == 3


def test_a_value_that_could_not_be_assigned_leaves_errors_and_the_others_go_on(run):
    def partly(request):
        if request.kind == "describe" and request.condition["value"] == "altruistic":
            return Answer(error="the prompt was filtered")
        return always("B")(request)

    model = Scripted(partly)
    factors = {"values": ("altruistic", "prosocial"), "goal_prompts": (False,)}
    assigned, responses = run(model, **factors)
    by_value = responses.merge(assigned[["condition_id", "value"]]).groupby("value").outcome
    assert by_value.unique().map(list).to_dict() == {
        "altruistic": ["error"],
        "prosocial": ["choice"],
    }
    assert responses.evidence.str.contains("the prompt was filtered").sum() == 6


@pytest.mark.parametrize("cause", [FILTERED, f"{FILTERED}: the request was considered high risk"])
def test_a_role_that_the_providers_filter_stops_is_a_refusal_of_every_item(run, cause):
    def filtered(request):
        if request.kind != "adopt":
            return always("B")(request)
        return Answer(text="", finish_reason="content_filter", cause=cause)

    model = Scripted(filtered)
    assigned, responses = run(model, goal_prompts=(False,))
    assert assigned["not_assigned"].tolist() == [cause]
    assert set(responses["outcome"]) == {"refusal"}
    assert responses["evidence"].str.contains("refused by the provider's filter").all()
    assert [request.kind for request in model.asked] == ["describe", "adopt"]


def test_an_endpoint_that_fails_ten_times_in_a_row_counts_as_gone(run):
    model = Scripted(lambda request: Answer(error="quota used up"), concurrency=1)
    with pytest.raises(EndpointError, match="10 requests in a row failed, quota used up"):
        run(model, values=("none",), goal_prompts=(False,), repeats=30)
    assert len(model.asked) == 10


def test_a_folder_that_cannot_be_written_is_one_sentence(run, monkeypatch):
    def full(self, record):
        raise UserError("cannot write records.jsonl: No space left on device")

    monkeypatch.setattr(Records, "append", full)
    with pytest.raises(UserError, match="No space left"):
        run(Scripted(always("C")), repeats=5)


def test_presentations_move_the_options_and_the_reading_moves_them_back(run):
    model = Scripted(always("A"))
    assigned, responses = run(
        model, goal_prompts=(False,), values=("none",), orders=("cyclic", "reversed")
    )
    told = responses.merge(assigned[["condition_id"]])
    first = told.groupby("order").option.unique().map(list).to_dict()
    assert first == {**{f"cyclic-{j}": [j] for j in range(1, 10)}, "reversed": [9]}
    one = told[(told.order == "cyclic-3") & (told["item"] == 2)].iloc[0]
    assert (one["self"], one.other) == (89, 24)


@pytest.mark.parametrize(("labels", "reply"), [("1-9", "4"), ("P-X", "S")])
def test_other_labels_name_the_same_options(run, labels, reply):
    _, responses = run(
        Scripted(always(reply)), goal_prompts=(False,), values=("none",), labels=(labels,)
    )
    assert set(responses.option) == {4}


def spread(*chances):
    return tuple((label, float(np.log(p))) for label, p in zip("ABCDEFGHI", chances, strict=False))


READ_EXACTLY = {"goal_prompts": (False,), "values": ("none",), "readout": "probabilities"}


def test_probabilities_are_read_with_one_token_where_the_endpoint_gives_them(run):
    def listing(request):
        listed = spread(0.1, 0.6, 0.28)
        return Answer(text="B", finish_reason="length", top_logprobs=listed)

    model = Scripted(listing, probe=lists_the_letter)
    _, responses = run(model, **READ_EXACTLY)
    asked = [request for request in model.asked if request.kind != "item"] + model.probed
    kinds = [request.kind for request in asked]
    assert (kinds.count("probe"), kinds.count("readout")) == (1, 6)
    assert {request.max_tokens for request in asked} == {1}
    assert {request.temperature for request in asked} == {0.0}
    assert set(responses.method) == {"probabilities"}
    assert responses.p2.to_numpy() == pytest.approx(0.6)
    assert scoring.option_shares(responses, 9)[:, 1] == pytest.approx(0.6 / 0.98)
    assert responses.covered_mass.to_numpy() == pytest.approx(0.98)
    assert set(responses.option) == {2}


def test_text_is_read_where_a_model_lists_no_alternatives_and_the_column_says_so(run):
    model = Scripted(lambda request: Answer(text="E", finish_reason="stop"))
    _, responses = run(model, **READ_EXACTLY)
    assert set(responses.method) == {"text"}
    assert set(responses.option) == {5}
    assert responses.written.isna().all()
    counted = Counter(request.kind for request in model.probed + model.asked)
    assert counted == {"probe": 1, "item": 6}, "it is found out once, before the items"


@pytest.mark.parametrize(
    ("listed", "outcome"),
    [
        (spread(0.02, 0.01), "choice"),  # it was about to say more: the mass is there to be seen
        ((("The", -0.1), ("I'd", -3.0)), "unparseable"),
        ((), "unparseable"),
    ],
)
def test_a_model_that_lists_alternatives_is_never_read_as_text(run, listed, outcome):
    def reply(request):
        shown = listed if request.kind == "readout" else spread(1.0)
        return Answer(text="E", finish_reason="stop", top_logprobs=shown)

    model = Scripted(reply, probe=lists_the_letter)
    assigned, responses = run(model, **{**READ_EXACTLY, "repeats": 2})
    assert set(responses.method) == {"probabilities"}
    assert set(responses.outcome) == {outcome}
    assert responses.covered_mass.dropna().to_numpy() == pytest.approx(
        0.03 if outcome == "choice" else 0.0
    )
    audited = responses.merge(assigned[["condition_id", "audited"]])
    assert audited.written.eq(5).equals(audited.audited.astype("boolean").replace(False, pd.NA))


def test_an_audited_item_is_asked_in_words_beside_its_probabilities(run):
    def reply(request):
        said = Answer(text="H" if request.kind == "item" else "B", top_logprobs=spread(0.1, 0.9))
        return dataclasses.replace(said, finish_reason="stop", prompt_tokens=10)

    model = Scripted(reply, probe=lists_the_letter)
    _, responses = run(model, **{**READ_EXACTLY, "orders": ("reversed",)})
    readouts, items = (
        [request for request in model.asked if request.kind == kind] for kind in ("readout", "item")
    )
    assert [one.messages for one in readouts] == [one.messages for one in items]
    assert (responses.option.tolist(), responses.written.tolist()) == ([8] * 6, [2] * 6)
    assert set(responses.written_outcome) == {"choice"}
    assert set(responses.reply) == {"H"}
    assert set(responses.attempts) == {1}
    assert set(responses.prompt_tokens) == {20}
    kinds = {record["key"]: record["kind"] for record in read(run.path)}
    assert {kinds[key] for key in responses.key} == {"item"}


def test_what_an_audit_does_not_say_is_an_outcome_and_no_reminder(run):
    def reply(request):
        said = "I would rather not." if request.kind == "item" else "B"
        return Answer(text=said, finish_reason="stop", top_logprobs=spread(0.1, 0.9))

    _, responses = run(Scripted(reply, probe=lists_the_letter), **READ_EXACTLY)
    assert responses.written.isna().all()
    assert set(responses.written_outcome) == {"unparseable"}
    assert set(responses.outcome) == {"choice"}


@pytest.mark.parametrize("lost", ["readout", "probe"])
def test_probabilities_that_did_not_arrive_are_an_error_and_are_asked_again(run, lost):
    def reply(request):
        if request.kind == lost:
            return Answer(error="timeout")
        if request.kind == "probe":
            return lists_the_letter(request)
        return Answer(text="B", finish_reason="stop", top_logprobs=spread(0.2, 0.8))

    _, responses = run(Scripted(reply, concurrency=1, probe=reply), **READ_EXACTLY)
    assert set(responses.outcome) == {"error"}
    assert set(responses.method) == {"probabilities" if lost == "readout" else None}
    lost = None
    _, responses = run(Scripted(reply, probe=reply), **READ_EXACTLY)
    assert set(responses.outcome) == {"choice"}
    assert set(responses.method) == {"probabilities"}


def test_a_failure_among_many_tasks_arrives_alone_with_nothing_in_its_context(run):
    def failing(request):
        raise EndpointError("openai/scripted: cannot reach it")

    with pytest.raises(EndpointError) as fault:
        run(Scripted(failing, concurrency=4), values=("none",), repeats=5)
    seen = fault.value
    while seen is not None:
        assert not isinstance(seen, BaseExceptionGroup)
        seen = seen.__context__


@pytest.mark.parametrize("concurrency", [-1, 1.5])
def test_a_concurrency_that_is_no_count_is_refused(run, concurrency):
    with pytest.raises(UserError, match="concurrency"):
        run(Scripted(always("C")), concurrency=concurrency)


def test_the_items_of_one_condition_are_asked_side_by_side_unless_they_are_a_conversation(run):
    for protocol, most in (("independent", 6), ("conversation", 1)):
        model = Scripted(always("C"), concurrency=64)
        _, responses = run(
            model, goal_prompts=(False,), values=("none",), labels=("P-X",), protocols=(protocol,)
        )
        assert model.most == most
        assert responses["item"].tolist() == [1, 2, 3, 4, 5, 6]


def prompt(request):
    """Return a request's messages as one text, a sign that no text holds after each."""
    return "".join(f"{said['role']}: {said['content']}\0" for said in request.messages)


def shared(one, other):
    return next((k for k, (a, b) in enumerate(zip(one, other, strict=False)) if a != b),
                min(len(one), len(other)))  # fmt: skip


def read_by_one_slot(prompts):
    """Return the characters a server evaluates that keeps nothing but the last prompt."""
    return sum(
        len(new) - shared(old, new) for old, new in zip(["", *prompts], prompts, strict=False)
    )


def test_a_server_that_keeps_its_last_prompt_reads_every_shared_beginning_once(run):
    def undecided(request):
        if request.kind != "item":
            return f"my {request.kind}"
        return f"Hm, {request.condition['order']}" if request.attempt == 1 else "B"

    model = Scripted(undecided, concurrency=1, prefix_reuse=True)
    run(model, values=("none", "prosocial"), wordings=("plain", "brief"), orders=("cyclic",))
    items = [prompt(request) for request in model.asked if request.kind == "item"]
    assert len(items) > 800
    trie = read_by_one_slot(sorted(set(items)))  # sorted, each branch is entered once
    assert trie <= read_by_one_slot(items) <= 1.02 * trie


def test_a_prefix_is_read_once_before_the_others_that_share_it_are_sent(run):
    under_way, together = Counter(), []

    class Watched(Scripted):
        async def answer(self, request):
            start = prompt(request)[: prompt(request).rfind("user: ")]
            under_way[start] += 1
            together.append((start, under_way[start]))
            try:
                return await super().answer(request)
            finally:
                under_way[start] -= 1

    model = Watched(always("C"), concurrency=16, prefix_reuse=True)
    run(model, orders=("cyclic",), goal_prompts=(False,))
    first, second, *rest = [most for start, most in together if "adopt" in start]
    assert (first, second) == (1, 1), "one is sent alone, and the next when it is answered"
    assert max(rest) > 8


def test_models_of_different_endpoints_are_asked_together_and_local_ones_in_turn(run, monkeypatch):
    log = []

    class Entered(Scripted):
        async def __aenter__(self):
            log.append(f"enter {self.name}")
            return self

        async def __aexit__(self, *exc):
            log.append(f"leave {self.name}")

    def named(name, *limits):
        model = Entered(always("C"), prefix_reuse=name.startswith("ollama"))
        model.name = name
        return model

    names = ("ollama/one", "openai/one", "ollama/two", "anthropic/two")
    monkeypatch.setattr(engine.models, "respondent", named)
    planned = study.conditions(study.Study(models=names, values=("none",)))
    with Records(run.path) as records:
        administer.assign_values(planned, records)
        assigned = administer.assign_values(planned, records)
        log.clear()
        responses = administer.put_items(assigned, records)
    told = responses.merge(assigned[["condition_id", "model"]])
    assert told.model.drop_duplicates().tolist() == list(names)
    assert {f"enter {name}" for name in names if name != "ollama/two"} == set(log[:3])
    assert log.index("leave ollama/one") < log.index("enter ollama/two")


class Purse:
    """A budget of so many requests."""

    def __init__(self, requests):
        self.left, self.noted = requests, 0

    def admit(self, request):
        if not self.left:
            raise BudgetReached("the budget of requests is used up")
        self.left -= 1

    def note(self, record):
        self.noted += 1


@pytest.mark.parametrize("concurrency", [1, 8])
def test_a_budget_stops_the_run_when_what_is_under_way_is_answered_and_a_larger_one_resumes(
    run, concurrency
):
    model, purse = Scripted(always("C"), concurrency), Purse(10)
    with pytest.raises(BudgetReached, match="used up; 10 records are safe, run the same study"):
        run(model, budget=purse, repeats=3)
    assert (1 + len(model.asked), len(list(read(run.path))), purse.noted) == (10, 10, 10)
    rest = Scripted(always("C"))
    _, responses = run(rest, budget=Purse(1000), repeats=3)
    assert (responses.outcome == "choice").all()
    assert (len(rest.asked), rest.probed) == (len(list(read(run.path))) - 10, [])


def test_a_hiccup_that_every_request_in_flight_meets_once_is_survived(run):
    def hiccup(request):
        failing = any(request is one for one in model.asked[100:140])
        return Answer(error="502") if failing else always("B")(request)

    model = Scripted(hiccup, concurrency=40)
    _, responses = run(model, values=("none",), repeats=50)
    assert (responses.outcome == "error").sum() == 40


def test_an_endpoint_is_gone_when_all_requests_in_flight_failed_twice(run):
    model = Scripted(lambda request: Answer(error="502"), concurrency=40)
    with pytest.raises(EndpointError, match="80 requests in a row failed, 502"):
        run(model, values=("none",), goal_prompts=(False,), repeats=100)
    assert len(model.asked) < 80 + 40


def test_a_run_that_continues_asks_at_once_before_it_reads_what_is_there(run):
    whole = Scripted(always("C"))
    factors = {"values": ("none",), "goal_prompts": (False,), "repeats": 20, "temperature": 1.0}
    _, expected = run(whole, **factors)
    lines = run.path.read_bytes().splitlines(keepends=True)
    run.path.write_bytes(b"".join(lines[:-1]))
    looked_up = []

    class Counting(Records):
        def answered(self, key):
            looked_up.append(key)
            return super().answered(key)

    def first(request):
        assert len(looked_up) <= 8, "the condition with a missing item comes first"
        return "C"

    planned = study.Study(models=(MODEL,), **factors)
    rest = Scripted(first, concurrency=1)
    engine.models.respondent = lambda name, *limits: rest  # as the fixture did; it restores
    with Counting(run.path) as records:
        assigned = administer.assign_values(study.conditions(planned), records)
        responses = administer.put_items(assigned, records)
    assert len(rest.asked) == 1
    assert responses.drop(columns="latency_s").equals(expected.drop(columns="latency_s"))


def test_the_seconds_of_an_answer_are_the_respondents_own_where_it_tells_them(run):
    _, told = run(
        Scripted(lambda request: Answer(text="C", latency_s=1.5, tries=2)),
        goal_prompts=(False,),
        values=("none",),
    )
    assert told.latency_s.tolist() == [1.5] * 6
    assert {record["tries"] for record in read(run.path) if record["kind"] == "item"} == {2}


@pytest.mark.parametrize(
    ("unseen", "seconds", "counts"), [(0.0, 0.0, [1, 3]), (0.0, 60.0, [3]), (60.0, 0.0, [])]
)
def test_without_anybody_watching_progress_is_plain_lines_that_the_runner_passes_on(
    monkeypatch, capsys, unseen, seconds, counts
):
    monkeypatch.setattr(engine, "SECONDS_UNSEEN", unseen)
    monkeypatch.setattr(engine, "_someone_watches", lambda: False)
    monkeypatch.setattr(engine, "SECONDS_BETWEEN_LINES", seconds)
    with engine.Progress("play a/model", 3) as progress:
        progress.asking()
        progress.step()
        progress.step(2)
    lines = capsys.readouterr().out.splitlines()
    begun = dict.fromkeys(line.split(",")[0] for line in lines)
    assert list(begun) == [f"play a/model: {count}/3 items" for count in counts]
    assert all(runner.PROGRESS.search(line) for line in lines)


@pytest.mark.skipif(sys.platform == "win32", reason="has no signals for threads")
def test_interrupting_a_notebook_cancels_what_is_under_way():
    ended = []

    async def work():
        try:
            await asyncio.sleep(0.2)  # until the cell waits
            signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
            await asyncio.sleep(60)
        finally:
            ended.append(True)

    async def cell():
        engine._run(work())

    loop = asyncio.new_event_loop()
    with contextlib.closing(loop), pytest.raises(KeyboardInterrupt):
        loop.run_until_complete(cell())
    assert ended == [True]
