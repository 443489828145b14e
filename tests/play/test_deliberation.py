"""Models that think, on their own or in a turn of its own, asked over a real connection."""

import json
import math
from itertools import count

import numpy as np
import pandas as pd
import pytest

from hvae_utils.ask import prompts
from hvae_utils.measure import factors
from hvae_utils.play import administer, study
from hvae_utils.play.records import Held
from hvae_utils.play.route import PROBE
from tests.support.fake_endpoint import completion, serve

PLAIN = prompts.load("plain")
THOUGHT = "Option A is selfish. I choose B. So, my answer is"
THINKS = 3000  # tokens


def play(monkeypatch, reply, records=None, **factors):
    """Play a study of one model that is served so; return conditions, responses, what was sent."""
    given = {"values": ("prosocial",), "goal_prompts": (False,), "temperature": 0.0, **factors}
    planned = study.conditions(study.Study(("openai/fake",), **given))
    records = Held() if records is None else records
    with serve(reply) as (url, received):
        monkeypatch.setenv("OPENAI_BASE_URL", url)
        assigned = administer.assign_values(planned, records)
        return assigned, administer.put_items(assigned, records), received


def is_probe(sent):
    return sent["messages"][-1]["content"] == PROBE


def is_item(sent):
    """Return whether an option is asked for, at once or after a chain of thought."""
    last, question = sent["messages"][-1]["content"], PLAIN.say("question", kind="letter")
    return last.endswith(question)


def visible(sent):
    """Return what a model says for all to see: a letter to an item, words to anything else."""
    if is_probe(sent):
        return "C"
    return "ABCDEFGHI"[len(sent["messages"][-1]["content"]) % 9] if is_item(sent) else "My words."


def listing(**chances):
    """Return the log-probabilities of one token, the most probable of these."""
    ranked = sorted(chances, key=chances.get, reverse=True)
    pairs = [{"token": token, "logprob": math.log(chances[token])} for token in ranked]
    return {"content": [{**pairs[0], "top_logprobs": pairs}]}


# ---- models that think on their own -------------------------------------------------------------


def in_tags(text):
    return {"content": f"<think>\n{THOUGHT}\n</think>\n\n{text}" if text else f"<think>\n{THOUGHT}"}


def in_parts(text):
    parts = [{"type": "thinking", "thinking": [{"type": "text", "text": THOUGHT}]}]
    return {"content": [*parts, {"type": "text", "text": text}] if text else parts}


def in_channels(text):
    begun = f"<|channel|>analysis<|message|>{THOUGHT}"
    final = f"<|end|><|start|>assistant<|channel|>final<|message|>{text}"
    return {"content": begun + (final if text else "")}


FORMS = {
    "tags": in_tags,
    "reasoning_content": lambda text: {"content": text, "reasoning_content": THOUGHT},
    "reasoning": lambda text: {"content": text, "reasoning": THOUGHT},
    "parts": in_parts,
    "channels": in_channels,
    "hidden": lambda text: {"content": text},
}


def thinking(form):
    """Return a server whose model thinks so many tokens before it says a word."""

    def reply(sent):
        room = sent.get("max_tokens") or sent["max_completion_tokens"]
        text = visible(sent) if room > THINKS else ""
        body = completion(None, finish_reason="stop" if text else "length")
        body["choices"][0]["message"] |= FORMS[form](text)
        spent = THINKS + 2 if text else room
        details = {"reasoning_tokens": THINKS if text else room}
        body["usage"] |= {"completion_tokens": spent, "completion_tokens_details": details}
        return 200, body

    return reply


OWN = ["thought", "thinking_tokens", "key", "latency_s", "completion_tokens"]


@pytest.mark.parametrize("form", FORMS)
def test_a_model_that_thinks_gives_the_table_of_its_twin_that_does_not(monkeypatch, form):
    asked = {"goal_prompts": (False, True)}
    said, table, _ = play(monkeypatch, lambda sent: (200, completion(visible(sent))), **asked)
    thought, twin, received = play(monkeypatch, thinking(form), **asked)
    pd.testing.assert_frame_equal(twin.drop(columns=OWN), table.drop(columns=OWN))
    assert set(table["outcome"]) == {"choice"}
    pd.testing.assert_frame_equal(thought, said)
    assert twin["thinking_tokens"].tolist() == [THINKS] * 12
    assert set(twin["thought"]) == ({""} if form == "hidden" else {THOUGHT})
    assert not any(THOUGHT in json.dumps(sent["messages"]) for sent in received)
    room = [sent.get("max_tokens") for sent in received if not is_probe(sent)]
    assert min(room) > 8192


@pytest.mark.parametrize("form", FORMS)
def test_too_little_room_for_the_thought_is_named_in_every_row(monkeypatch, form):
    assigned, responses, received = play(monkeypatch, thinking(form), thinking_tokens=24)
    assert responses["evidence"].str.contains("raise thinking_tokens").all()
    assert responses["evidence"].str.contains("thought for 25 of 25 tokens").all()
    assert assigned["prefix"].isna().all()
    assert len(received) == 2, "nothing more is asked once that is known"


@pytest.mark.parametrize("form", FORMS)
def test_a_thought_that_is_cut_off_is_no_reply_and_no_words_to_quote(monkeypatch, form):
    def shorter(sent):  # it answers the probe, and then thinks longer than it may
        if is_probe(sent):
            return 200, completion("C")
        return thinking(form)({**sent, "max_tokens": min(sent["max_tokens"], 24)})

    for value in ("none", "prosocial"):
        assigned, responses, _ = play(monkeypatch, shorter, values=(value,))
        assert responses["evidence"].str.contains("thought for 24 of ").all()
        if value == "none":
            assert set(responses["outcome"]) == {"truncated"}
            assert (responses["thinking_tokens"] > 0).all()
        else:
            assert assigned["not_assigned"].str.contains("thought for 24 of ").all()
            assert assigned["description"].isna().all()
            assert set(responses["outcome"]) == {"error"}


@pytest.mark.parametrize(
    ("level", "told"), [("direct", None), ("low", "low"), ("xhigh", "xhigh"), ("reasoned", None)]
)
def test_what_is_told_about_thinking_reaches_the_wire_in_every_request(monkeypatch, level, told):
    said, table, received = play(
        monkeypatch, lambda sent: (200, completion(visible(sent))), deliberations=(level,)
    )
    assert {sent.get("reasoning_effort") for sent in received} == {told}
    assert set(said["model"]) == {factors.respondent("openai/fake", level)}
    assert set(table["outcome"]) == {"choice"}


# ---- a thought in a turn of its own -------------------------------------------------------------

TABLES = (  # after each chain: the probabilities of A, B and C
    {"A": 0.7, "B": 0.2, "C": 0.1},
    {"A": 0.1, "B": 0.8, "C": 0.1},
    {"A": 0.1, "B": 0.5, "C": 0.4},
)


def reasoning(tables=TABLES):
    """Return a server whose model lists what its chain of thought makes of the options."""
    seeds: dict[int, int] = {}

    def reply(sent):
        last = sent["messages"][-1]["content"]
        if is_probe(sent):
            return 200, completion("C", logprobs=listing(C=0.9, A=0.1))
        if last.endswith(PLAIN.say("reason")):
            chain = seeds.setdefault(sent["seed"], len(seeds)) % len(tables)
            return 200, completion(f"Chain {chain}.")
        if last == PLAIN.say("question", kind="letter"):
            chances = tables[int(sent["messages"][-2]["content"][6])]
            best = max(chances, key=chances.get)
            return 200, completion(best, logprobs=listing(**chances))
        if is_item(sent):
            return 200, completion("A", logprobs=listing(A=0.9, B=0.1))
        return 200, completion("My words.")

    return reply


REASONED = {"deliberations": ("reasoned",), "readout": "probabilities"}


def test_the_probabilities_after_several_chains_are_averaged_and_the_share_between_is_told(
    monkeypatch,
):
    _, responses, received = play(monkeypatch, reasoning(), **REASONED)
    chances = np.array([list(table.values()) for table in TABLES])
    assert responses[["p1", "p2", "p3"]].to_numpy() == pytest.approx(
        np.tile([0.3, 0.5, 0.2], (6, 1))
    )
    # B / (W + B), by hand: W = (0.46 + 0.34 + 0.58) / 3, B = 0.12 + 0.09 + 0.03
    assert responses["between_chains"].tolist() == pytest.approx([0.24 / (0.46 + 0.24)] * 6)
    assert administer.between_chains(chances) == pytest.approx(0.24 / 0.7)
    assert responses["chains"].tolist() == [3.0] * 6
    assert set(responses["method"]) == {"probabilities"}
    assert set(responses["label"]) == {"B"}
    assert responses["covered_mass"].tolist() == pytest.approx([1.0] * 6)
    thoughts = [sent for sent in received if sent["messages"][-1]["content"].count("few sentences")]
    assert {(sent["max_tokens"], sent["temperature"]) for sent in thoughts} == {(200, 1.0)}
    assert len({sent["seed"] for sent in thoughts}) == 3
    assert "logprobs" not in thoughts[0]


def test_one_chain_has_no_share_between_and_a_direct_respondent_has_no_chains(monkeypatch):
    _, one, _ = play(monkeypatch, reasoning(), **REASONED, chains=1)
    assert one["chains"].tolist() == [1.0] * 6
    assert one["between_chains"].isna().all()
    _, direct, _ = play(monkeypatch, reasoning(), readout="probabilities")
    assert direct["chains"].isna().all()
    assert set(direct["label"]) == {"A"}


def test_the_turns_of_a_model_that_reasons(monkeypatch):
    _, _, received = play(monkeypatch, reasoning(), **REASONED)
    (readout,) = [s for s in received if s["messages"][-2:-1] == [assistant("Chain 1.")]][:1]
    *before, item, _, question = readout["messages"]
    assert [message["role"] for message in before] == ["user", "assistant"] * 2
    assert item["content"].endswith(PLAIN.say("reason"))
    assert PLAIN.say("question", kind="letter") not in item["content"]
    assert question["content"] == PLAIN.say("question", kind="letter")
    assert (readout["max_tokens"], readout["temperature"]) == (1, 0.0)


def assistant(text):
    return {"role": "assistant", "content": text}


def test_both_ways_to_deliberate_share_what_was_said_before_the_items(monkeypatch):
    records = Held()
    levels = {"deliberations": ("direct", "reasoned"), "goal_prompts": (True,)}
    assigned, responses, _ = play(monkeypatch, reasoning(), records, **levels)
    kinds = [record["kind"] for record in records.new]
    assert {kind: kinds.count(kind) for kind in ("describe", "adopt", "goal", "probe")} == {
        **{"describe": 1, "adopt": 1, "goal": 1},
        "probe": 1,
    }
    assert assigned["prefix"].nunique() == 1
    assert {record["model"] for record in records.new} == {"openai/fake"}
    assert assigned["model"].tolist() == ["openai/fake", "openai/fake+reasoned"]
    assert len(responses) == 12


def test_a_reply_in_words_comes_after_one_chain_and_each_repeat_has_its_own(monkeypatch):
    records = Held()
    asked = {"deliberations": ("reasoned",), "repeats": 2, "values": ("none",)}
    _, responses, _ = play(monkeypatch, reasoning(), records, **asked)
    chains = [record["text"] for record in records.new if record["kind"] == "reason"]
    assert chains.count("Chain 0.") == chains.count("Chain 1.") == 6
    assert responses["label"].tolist() == ["A"] * 6 + ["B"] * 6
    assert set(responses["method"]) == {"text"}
    assert responses["attempts"].tolist() == [1] * 12


def test_in_one_dialogue_the_chain_stays_before_its_answer(monkeypatch):
    asked = {"deliberations": ("reasoned",), "values": ("none",), "protocols": ("conversation",)}
    _, responses, received = play(monkeypatch, reasoning(), **asked)
    assert set(responses["outcome"]) == {"choice"}
    assert [message["role"] for message in received[-1]["messages"]] == (
        ["user", "assistant", "user", "assistant"] * 6
    )[:-1]


@pytest.mark.parametrize("lost", ["reason", "question"])
def test_a_chain_that_did_not_arrive_loses_the_item_and_is_asked_again(monkeypatch, lost):
    counted, records, well = count(), Held(), reasoning()

    def failing(sent):
        asks = sent["messages"][-1]["content"].endswith(PLAIN.sentences["reason"])
        question = sent["messages"][-1]["content"] == PLAIN.say("question", kind="letter")
        if (asks if lost == "reason" else question) and next(counted) < 1:
            return 422, {"error": {"message": "not now"}}
        return well(sent)

    _, responses, _ = play(monkeypatch, failing, records, **REASONED)
    assert (responses["outcome"] == "error").sum() == 1
    assert responses.loc[responses["outcome"] == "error", "p1"].isna().all()
    _, again, _ = play(monkeypatch, well, records, **REASONED)
    assert set(again["outcome"]) == {"choice"}
    assert again["chains"].tolist() == [3.0] * 6


# ---- lists that are not believed, replies that are held to labels --------------------------------


def test_a_table_that_is_not_believed_is_no_measurement_and_stays_in_the_record(monkeypatch):
    def above_one(sent):
        table = {"A": 0.9, "B": 0.9} if is_item(sent) else {"C": 0.9, "A": 0.1}
        return 200, completion(max(table, key=table.get), logprobs=listing(**table))

    records = Held()
    _, responses, _ = play(monkeypatch, above_one, records, readout="probabilities")
    assert set(responses["method"]) == {"probabilities"}
    assert set(responses["outcome"]) == {"unparseable"}
    assert set(responses["evidence"]) == {"probabilities are not believed: sum above one"}
    assert set(responses["flags"]) == {"sum above one"}
    assert responses[["p1", "p2", "covered_mass"]].isna().all(axis=None)
    assert [r["top_logprobs"][0][0] for r in records.new if r["kind"] == "readout"] == ["A"] * 6


def test_replies_can_be_held_to_the_labels_that_are_shown(monkeypatch):
    records = Held()
    held = {"replies": "constrained", "labels": ("1-9",), "values": ("none",)}
    play(monkeypatch, lambda sent: (200, completion("1")), records, **held)
    assert {tuple(r["choices"]) for r in records.new if r["kind"] == "item"} == {tuple("123456789")}
    assert {tuple(r["choices"]) for r in records.new if r["kind"] == "probe"} == {()}
