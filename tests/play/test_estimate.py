"""What a study will take is known before anybody is asked, and is what it then takes."""

import json
from collections import Counter

import pytest

from hvae_utils import __main__ as cli
from hvae_utils import paths
from hvae_utils.ask import models
from hvae_utils.errors import UserError
from hvae_utils.play import administer, budget, check, engine, estimate
from hvae_utils.play.records import Held, Records, read
from tests.play.test_administer import Scripted

MODEL = "openai/scripted"
PARAMETERS = {
    "models": [MODEL],
    "values": ["altruistic", "none"],
    "goal_prompts": [False, True],
    "wordings": ["plain"],
    "orders": ["fixed", "reversed"],
    "repeats": 3,
    "temperature": 1.0,
    "reask": True,
    "isomorphs": ["svo-slider+swapped"],
    "probe_values": ["prosocial"],
}


def play_all(planned, path, reply, monkeypatch):
    """Play designs with a respondent that answers by `reply`; return the keys it was asked."""
    model = Scripted(reply, probe=reply)
    model.identity = models.identity(MODEL)
    monkeypatch.setattr(engine.models, "respondent", lambda name, *limits: model)
    monkeypatch.setattr(check, "told", lambda name: check.Capability(name, ""))
    with Records(path) as records:
        check.capabilities(planned[0].conditions, records)
        for design in planned:
            assigned = administer.assign_values(design.conditions, records)
            administer.put_items(assigned, records, design.reask)
    return [request.key for request in (*model.probed, *model.asked)]


@pytest.mark.parametrize("reply", [estimate.typical, estimate.stubborn])
@pytest.mark.parametrize("readout", ["text", "probabilities"])
def test_a_rehearsal_names_exactly_the_requests_of_the_run(tmp_path, monkeypatch, readout, reply):
    planned = estimate.designs({**PARAMETERS, "readout": readout})
    expected = [r.key for r in estimate.unanswered(MODEL, planned, Held(), reply)]
    asked = play_all(planned, tmp_path / "records.jsonl", reply, monkeypatch)
    assert sorted(asked) == sorted(expected)


def test_the_number_of_requests_is_what_counting_by_hand_gives():
    planned = estimate.designs(PARAMETERS)
    (row, _) = estimate.estimate(planned, Held()).to_dict("records")
    study_items = 2 * 2 * 2 * 3 * 6  # values, goal arms, orders, repeats, items
    assigned = 3 * 2 + 2 * 3  # describe and adopt a repeat; goals with and without value
    probes = (6 + 6 + 9) + 2  # primary, swapped, secondary; describe and adopt
    assert row["requests"] == study_items + assigned + probes + 2  # how is it asked? a system turn?
    assert row["requests_most"] == 2 * (study_items + 21) + assigned + 2 + 3
    assert row["completion_most"] == (
        24 * 2 * (study_items + 21) + 96 * (3 + 1) + 48 * (3 + 1) + 64 * 6 + 1 + (1 + 8192) + 4
    )
    assert row["thinking_tokens"] == 0


def test_probabilities_and_their_audit_are_counted():
    """Of 24 conditions number 1, 12 and 23 are audited; the probe is asked once."""
    asked = {"readout": "probabilities", "isomorphs": [], "probe_values": [], "reask": False}
    planned = estimate.designs({**PARAMETERS, **asked})
    kinds = Counter(
        one.kind for one in estimate.unanswered(MODEL, planned, Held(), estimate.typical)
    )
    assert kinds == {
        "readout": 24 * 6,
        "item": 3 * 6,
        "probe": 1,
        "check": 1,
        "describe": 3,
        "adopt": 3,
        "goal": 6,
    }
    (row, _) = estimate.estimate(planned, Held()).to_dict("records")
    assert row["requests"] == row["requests_most"] == kinds.total()
    first = estimate.unanswered(MODEL, planned, Held(), None)
    assert Counter(one.kind for one in first) == {"probe": 1}


THINKS = "openai/gpt-6.1-sol"  # as data/models.toml says; that its thoughts are hidden, too


def counted(model, deliberations=("direct",), **parameters):
    """Return the row of an estimate, and the requests by kind with their room for a thought."""
    given = {**PARAMETERS, "models": [model], "deliberations": deliberations, **parameters}
    planned = estimate.designs({**given, "isomorphs": [], "probe_values": [], "reask": False})
    (row, _) = estimate.estimate(planned, Held()).to_dict("records")
    requests = list(estimate.unanswered(model, planned, Held(), estimate.typical))
    return row, Counter((one.kind, one.thinking_tokens) for one in requests)


def test_each_reply_of_a_model_that_thinks_costs_a_thought_and_at_most_its_room():
    row, requests = counted(THINKS)
    assert requests.pop(("probe", 0)) == 1  # nothing to see of it: it is asked once more
    assert {room for _, room in requests} == {8192}
    thinking = requests.total()
    assert row["thinking_tokens"] == 600 * thinking
    assert row["completion_tokens"] == (
        600 * thinking + 1 + 1 + 2 + 2 * 24 * 6 + 3 * 96 + 3 * 30 + 6 * 30
    )  # two probes, a check, items, and what assigns a value
    plain, _ = counted("openai/gpt-5.1")
    assert plain["thinking_tokens"] == 0
    assert row["completion_most"] == plain["completion_most"] + 8192 * (thinking - 1)
    assert row["requests"] == plain["requests"] + 1
    row, requests = counted(THINKS, thinking_tokens=300)
    assert row["thinking_tokens"] == 300 * thinking, "a thought has no more than its room"
    said = "\n".join(estimate.shown(estimate.estimate(designs_of(THINKS), Held())))
    assert f"thoughts of 600 tokens before a reply (assumed): {THINKS} " in said


def designs_of(model):
    return estimate.designs({**PARAMETERS, "models": [model]})


def test_what_the_study_tells_a_model_about_thinking_goes_before_what_its_owner_says():
    told, _ = counted("openai/gpt-5.1", ("low",))
    assert told["thinking_tokens"] > 0
    silent, requests = counted(THINKS, ("off",))
    assert silent["thinking_tokens"] == 0
    assert {room for _, room in requests} == {0}


def test_levels_of_one_model_are_one_row_and_ask_nothing_twice():
    direct, _ = counted(MODEL, readout="probabilities")
    both, kinds = counted(MODEL, ("direct", "reasoned"), readout="probabilities", chains=2)
    items = 2 * 2 * 2 * 3 * 6
    assert both["model"] == MODEL
    assert kinds[("reason", 0)] == 2 * items
    assert both["requests"] == direct["requests"] + 4 * items + 3 * 6  # its audit
    low, _ = counted(MODEL, ("direct", "low"), readout="probabilities")
    assert low["rate"] == direct["rate"]


def test_the_most_that_can_come_holds_every_chain_of_thought():
    row, requests = counted(MODEL, ("reasoned",), readout="probabilities", chains=3)
    assert requests["reason", 0] == 3 * 24 * 6
    words = 3 * 6 * 24  # of the audit
    assigned = 96 * 3 + 48 * 3 + 64 * 6
    assert row["completion_most"] == (200 + 1) * 3 * 24 * 6 + words + assigned + 1 + 4
    assert row["prompt_most"] > row["prompt_tokens"], "longer chains are read again"


def test_the_default_profile_takes_what_its_design_says(capsys):
    """Nine wordings and three of them with the goal prompt, five assignments, six items.

    Of the 60 conditions, 6 are audited.
    """
    assert cli.main(["estimate", "--set", "models=reference/lapsing", "--json"]) == 0
    row, *yardsticks, _ = json.loads(capsys.readouterr().out)
    readouts, audit = (9 + 3) * 5 * 6, 6 * 6
    assigned = 9 * 4 * 2 + 3 * 5  # describe and adopt, and a goal, `none` included
    beside = 6 + 6 + 9  # swapped, ten times the stakes, secondary; the primary items are shared
    items = 24 + 9 + 8 + 9 + 5 + 8 + 9 + 6  # of the games; the slider is answered
    games = 2 * (4 * items + 4 * (1 + 6) + 7 * (1 + 6))  # then a rule, and a weight, and six items
    probe = 1  # are alternatives listed?
    assert row["requests"] == readouts + audit + assigned + beside + games + probe
    assert {one["model"] for one in yardsticks} == {
        f"reference/{name}" for name in ("faithful", "reciter", "random")
    }


def test_what_a_run_has_answered_is_left_out(tmp_path, monkeypatch):
    planned = estimate.designs(PARAMETERS)
    path = tmp_path / "records.jsonl"
    whole = len(play_all(planned, path, estimate.typical, monkeypatch))
    (row, total) = estimate.estimate(planned, Records(path)).to_dict("records")
    assert row["requests"] == row["completion_most"] == total["seconds"] == 0
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:50]))
    (row, _) = estimate.estimate(planned, Records(path)).to_dict("records")
    assert row["requests"] == whole - 50
    assert len(list(read(path))) == 50


def test_money_and_time_follow_from_tokens_price_and_rate(monkeypatch):
    price = budget.Price(input=10.0, output=100.0, batch=0.5, source="a page")
    monkeypatch.setattr(budget, "price_of", lambda name: price if name == MODEL else None)
    planned = estimate.designs({**PARAMETERS, "models": [MODEL, "openai/other"]})
    one, other, both = estimate.estimate(planned, Held(), rate=2.0).to_dict("records")
    cost = (10 * one["prompt_tokens"] + 100 * one["completion_tokens"]) / 1e6
    assert one["cost"] == pytest.approx(cost, rel=1e-3)
    assert one["cost_batch"] == pytest.approx(cost / 2, rel=1e-3)
    assert one["cost"] < one["cost_most"]
    assert one["seconds"] == one["requests"] / 2
    assert other["cost"] != other["cost"]  # no price is NaN and not 0
    assert both["cost"] == one["cost"]
    assert both["requests"] == 2 * one["requests"]
    said = "\n".join(estimate.shown(estimate.estimate(planned, Held())))
    assert "none in the sum: openai/other" in said
    assert "Time, one model after the other: 10 a second for openai/" in said
    assert "Per item: " in said
    assert "no price" in said


@pytest.mark.parametrize(
    ("name", "base_url", "rate"),
    [
        ("reference/random", "", 500),
        ("ollama/llama3", "", 5),
        ("vllm/llama3", "", 5),
        ("openai/llama3", "http://localhost:8000/v1", 5),
        ("openai/llama3", "https://models.example/v1", 10),
        ("openai/gpt-4", "", 10),
    ],
)
def test_the_assumed_rate_depends_on_where_the_model_is(name, base_url, rate, monkeypatch):
    monkeypatch.setenv("OPENAI_BASE_URL", base_url)
    planned = estimate.designs({**PARAMETERS, "models": [name], "isomorphs": [], "repeats": 1})
    (row, _) = estimate.estimate(planned, Held()).to_dict("records")
    assert row["rate"] == rate
    assert row["seconds"] == row["requests"] / rate


def test_a_prompt_is_counted_by_its_length_with_the_marks_of_its_turns():
    prompt = ({"role": "user", "content": "x" * 33}, {"role": "assistant", "content": "é\ud83d"})
    marks = len("<|user|>\n\n<|assistant|>\n\n")
    assert budget.tokens_of(prompt) == pytest.approx((33 + 2 + 1 + marks) / 3.3)
    assert budget.tokens_of(()) == 0


def test_weights_need_not_be_there_for_an_estimate(tmp_path, monkeypatch):
    monkeypatch.setenv("HVAE_CACHE", str(tmp_path))
    planned = estimate.designs({**PARAMETERS, "models": ["local/smollm2-135m-instruct"]})
    table = estimate.estimate(planned, Held())
    assert table.requests[0] > 0
    assert table.rate[0] == 3


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('currency = "USD"\n["h/m"]\ninput = "cheap"\noutput = 1', "input of h/m is 'cheap'"),
        ('currency = "USD"\n["h/m"]\ninput = 1', "output of h/m is None"),
        ('currency = "USD"\n["h/m"]\ninput = -1\noutput = 1', "input of h/m is -1"),
        ('currency = "USD"\n["h/m"]\ninput = nan\noutput = 1', "input of h/m is nan"),
        ('currency = "USD"\n["h/m"]\ninput = 1\noutput = 1\nbach = 1', "Did you mean 'batch'"),
        ("currency = 3", "currency must be a text"),
        ('currency = "USD"\nprice = 3', "price: must be a table of input"),
        ("currency = ", r"prices\.toml: "),
    ],
)
def test_a_price_file_that_is_wrong_is_a_sentence(tmp_path, text, message):
    path = tmp_path / "prices.toml"
    path.write_text(text)
    with pytest.raises(UserError, match=message):
        budget.prices(path)


def test_every_price_of_the_project_has_a_source_and_a_date():
    money, table = budget.prices(paths.DATA / "prices.toml")
    assert money == "USD"
    assert all(price.source and price.date.startswith("20") for price in table.values())


def test_a_price_belongs_to_its_host_and_this_machine_is_free(monkeypatch):
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    assert budget.price_of("openai/gpt-4").output == budget.price_of("paper/gpt-4").output == 60
    monkeypatch.setenv("OPENAI_BASE_URL", "https://models.example/v1")
    assert budget.price_of("openai/gpt-4") is None
    assert budget.price_of("ollama/gpt-4").of(1e6, 1e6) == 0
    assert budget.price_of("reference/random").of(1e6, 1e6) == 0


def test_the_command_needs_no_key_and_speaks_to_people_and_machines(capsys, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    study = ["--profile", "paper", "--set", "models=paper/gpt-4,paper/koala-13b"]
    study += ["--set", "repeats=1", "--set", "values=none"]
    assert cli.main(["estimate", *study]) == 0
    assert "paper/koala-13b" in capsys.readouterr().out
    assert cli.main(["estimate", *study, "--json", "--rate", "5"]) == 0
    gpt, koala, total = json.loads(capsys.readouterr().out)
    assert gpt["requests"] == 15  # six items in two arms, one goal; how is it asked? a system turn?
    assert gpt["seconds"] == pytest.approx(15 / 5)
    assert koala["cost"] is None
    assert total["model"] == "all"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--profile", "papr"], "unknown profile 'papr'"),
        (["--set", "models=openai"], "names no model"),
        (["--set", "models=paper/gpt4"], "Did you mean 'paper/gpt-4'"),
        (["--profile", "smoke", "--rate", "0"], "rate is 0"),
        (["--profile", "smoke", "--rate", "fast"], "invalid float value"),
        (["--profile", "smoke", "--run-id", "never-begun"], "has no records"),
    ],
)
def test_a_mistake_is_one_line(arguments, message, capsys):
    assert cli.main(["estimate", *arguments]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line


def test_a_budget_that_is_none_stops_before_anything_runs(capsys, tmp_path):
    for text in ("", "-3 USD", "12 bananas"):
        given_budget = ["--budget", text] if not text.startswith("-") else [f"--budget={text}"]
        command = ["reproduce", "--profile", "smoke", "--runs", str(tmp_path), *given_budget]
        assert cli.main(command) == 2
        assert "'500 requests'" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
