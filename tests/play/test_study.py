"""Factors become conditions: every combination once, nothing asked that can make no difference."""

import dataclasses

import pytest

from hvae_utils.errors import UserError, unknown
from hvae_utils.play import study

TWO = ("reference/faithful", "reference/random")


@pytest.mark.parametrize(
    "written", ["altruistic,none", "[altruistic, none]", '["altruistic","none"]']
)
def test_a_list_may_be_written_as_text_as_papermill_gives_it(written):
    one = study.Study(models="reference/random", values=written, goal_prompts="[false, true]")
    assert one == study.Study(models=["reference/random"], values=["altruistic", "none"])


def test_only_a_near_name_is_suggested():
    assert "Did you mean" not in str(unknown("server", "nope", ["openai", "ollama"]))
    assert "Did you mean 'openai'" in str(unknown("server", "openia", ["openai", "ollama"]))
    assert str(unknown("run", "x", [])) == "unknown run 'x'; there is none to choose from"


def test_every_combination_of_factors_is_one_condition():
    design = study.Study(
        models=TWO,
        values=("altruistic", "competitive"),
        inductions=("self_description", "definition", "label"),
        placements=("system", "dialogue"),
        protocols=("independent", "conversation"),
        wordings=("plain", "formal"),
        repeats=3,
    )
    planned = study.conditions(design)
    assert len(planned) == 2 * 2 * 2 * 3 * 2 * 2 * 2 * 3
    assert planned.condition_id.is_unique
    assert not planned.drop(columns="condition_id").duplicated().any()


def test_without_a_value_there_is_no_induction_to_vary():
    design = study.Study(
        models=TWO, values=("none",), inductions=("definition", "label"), placements=("system",)
    )
    planned = study.conditions(design)
    assert len(planned) == 4  # two models, two goal arms
    assert set(planned.induction) == set(planned.placement) == {"none"}


@pytest.mark.parametrize(("temperature", "administrations"), [(0.0, 1), (0.7, 5)])
def test_a_greedy_chat_model_is_not_asked_for_copies(temperature, administrations):
    design = study.Study(
        models=("ollama/llama3.2", "reference/random"),
        values=("none",),
        goal_prompts=(False,),
        repeats=5,
        temperature=temperature,
    )
    counts = study.conditions(design).groupby("model").size()
    assert counts["ollama/llama3.2"] == administrations
    assert counts["reference/random"] == 5


def test_a_condition_keeps_its_id_when_other_factors_join_the_study():
    small = study.conditions(study.Study(models=TWO[:1]))
    large = study.conditions(study.Study(models=TWO, wordings=("plain", "brief"), repeats=4))
    assert set(small.condition_id) < set(large.condition_id)


NINE = ("plain", *(f"wording {k}" for k in range(2, 10)))


@pytest.fixture
def nine_wordings(monkeypatch):
    """Let nine names stand for wordings, whatever packs there are."""
    plain = study.prompts.load("plain")
    monkeypatch.setattr(study.prompts, "names", lambda: [*NINE])
    monkeypatch.setattr(study.prompts, "load", lambda name: plain)


@pytest.mark.usefixtures("nine_wordings")
def test_in_a_latin_design_every_wording_has_one_order_and_every_order_one_wording():
    planned = study.conditions(study.Study(models=TWO, wordings=NINE, orders=("latin",)))
    assert len(planned) == 2 * 5 * 2 * 9
    shown = planned.drop_duplicates(["wording", "order"])
    assert [*zip(shown["wording"], shown["order"], strict=True)] == [
        (name, f"cyclic-{k}") for k, name in enumerate(NINE, start=1)
    ]


@pytest.mark.usefixtures("nine_wordings")
def test_a_tenth_of_a_models_conditions_is_audited_in_every_value_and_both_arms():
    design = {"wordings": NINE, "orders": ("latin",), "readout": "probabilities"}
    planned = study.conditions(study.Study(models=TWO, **design))
    for _, of_model in planned.groupby("model"):
        audited = of_model[of_model["audited"]]
        assert 0.08 <= len(audited) / len(of_model) <= 0.12
        assert set(audited["value"]) == set(planned["value"])
        assert set(audited["goal_prompt"]) == {False, True}
        assert audited["wording"].is_unique
    assert not study.conditions(study.Study(models=TWO))["audited"].any()


@pytest.mark.parametrize("change", [{"margin": 0.2}, {"contrasts": ["models"]}])
def test_what_was_planned_is_fixed_by_the_numbers_of_the_conditions(change):
    plain, changed = (study.conditions(study.Study(models=TWO, **given)) for given in ({}, change))
    assert not set(plain["condition_id"]) & set(changed["condition_id"])
    assert plain.loc[0, ["margin", "contrasts"]].tolist() == [0.1, "steerability+goal_prompt"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"values": ["altruist"]}, "unknown value 'altruist'.*Did you mean 'altruistic'"),
        ({"inductions": ["definitions"]}, "unknown induction.*Did you mean 'definition'"),
        ({"placements": ["sytem"]}, "unknown placement.*Did you mean 'system'"),
        ({"protocols": ["conversations"]}, "unknown protocol.*Did you mean 'conversation'"),
        ({"wordings": ["plane"]}, "unknown wording.*Did you mean 'plain'"),
        ({"models": ["reference/fathful"]}, "Did you mean 'reference/faithful'"),
        ({"instrument": "svo-slidr"}, "Did you mean 'svo-slider'"),
        ({"goal_prompts": ["yes"]}, "unknown goal_prompt 'yes'"),
        ({"models": []}, "models is empty"),
        ({"models": '["reference/radom"]'}, "unknown model 'reference/radom'.*'reference/random'"),
        ({"values": "[none"}, "the list cannot be read; write a,b or"),
        ({"repeats": 10**5000}, "repeats is a number of thousands of digits"),
        ({"values": ["none", "none"]}, "names none more than once"),
        ({"labels": ["A-I", "A-I"]}, "names A-I more than once"),
        ({"orders": ["fixed", "fixed"]}, "names fixed more than once"),
        ({"repeats": 0}, "repeats is 0"),
        ({"repeats": 2.5}, "whole number"),
        ({"temperature": 3}, "temperature is 3"),
        ({"temperature": float("nan")}, "temperature is nan"),
        ({"seed": -1}, "seed is -1"),
        ({"margin": 0}, "margin is 0; it must lie between 0 and 1"),
        ({"margin": 1.5}, "margin is 1.5"),
        ({"contrasts": ["steerabilty"]}, "Did you mean 'steerability'"),
        ({"contrasts": []}, "contrasts is empty"),
        ({"repeats": True}, "repeats is True"),
        ({"deliberations": ["lo"]}, "unknown deliberation 'lo'.*Did you mean 'low'"),
        ({"models": ["openai/gpt-5+low"]}, "name 'openai/gpt-5' and set deliberations to low"),
        ({"chains": 0}, "chains is 0; it must be a whole number from 1 to 100"),
        ({"chains": 101}, "chains is 101"),
        ({"thinking_tokens": -1}, "thinking_tokens is -1"),
        ({"thinking_tokens": 1_000_001}, "whole number from 0 to 1000000"),
        ({"replies": "constraint"}, "unknown kind of replies.*Did you mean 'constrained'"),
    ],
)
def test_a_mistake_in_a_study_is_one_sentence_with_the_choices(change, said):
    with pytest.raises(UserError, match=said) as fault:
        study.Study(**{"models": TWO, **change})
    assert "\n" not in str(fault.value)


def test_the_goal_prompt_may_be_asked_in_some_wordings_only_whose_orders_are_far_apart():
    asked = {"models": ["reference/faithful"], "wordings": study.prompts.WORDINGS}
    asked["orders"] = ["latin"]
    every, few = (study.conditions(study.Study(**asked, goal_wordings=n)) for n in (0, 3))
    with_goal = few[few["goal_prompt"]]
    assert list(with_goal["wording"].unique()) == ["plain", "casual", "direct"]
    assert list(with_goal["order"].unique()) == ["cyclic-1", "cyclic-4", "cyclic-7"]
    assert len(every) - len(few) == 5 * 6
    assert set(few["condition_id"]) < set(every["condition_id"])
    with pytest.raises(UserError, match="goal_wordings"):
        study.Study(**asked, goal_wordings=-1)


THINKERS = {"models": ("openai/gpt-5", "reference/random"), "values": ("none",)}


def test_each_way_to_deliberate_is_a_respondent_of_its_own_and_references_have_two():
    levels = ("direct", "reasoned", "off", "low")
    planned = study.conditions(study.Study(**THINKERS, goal_prompts=(False,), deliberations=levels))
    told = planned[["model", "deliberation", "chains"]].to_numpy().tolist()
    assert told == [
        ["openai/gpt-5", "direct", 0],
        ["openai/gpt-5+reasoned", "reasoned", 1],
        ["openai/gpt-5+off", "off", 0],
        ["openai/gpt-5+low", "low", 0],
        ["reference/random", "direct", 0],
        ["reference/random+reasoned", "reasoned", 1],
    ]


def test_one_chain_comes_before_words_and_as_many_as_wanted_before_probabilities():
    asked = {**THINKERS, "deliberations": ("direct", "reasoned"), "chains": 4}
    for readout, chains in (("text", 1), ("probabilities", 4)):
        planned = study.conditions(study.Study(**asked, readout=readout))
        assert planned.groupby("deliberation").chains.unique().map(list).to_dict() == {
            "direct": [0],
            "reasoned": [chains],
        }


def test_a_greedy_model_that_reasons_reasons_otherwise_in_each_repeat():
    asked = {**THINKERS, "goal_prompts": (False,), "repeats": 5}
    planned = study.conditions(study.Study(**asked, deliberations=("direct", "reasoned")))
    counts = planned.groupby("model").size()
    assert counts["openai/gpt-5"] == 1
    assert counts["openai/gpt-5+reasoned"] == 5


def test_conditions_of_before_keep_their_numbers():
    planned = study.conditions(study.Study(("reference/faithful",), ("altruistic",), (False,)))
    assert planned["condition_id"].tolist() == ["846a11e43681"]
    for change in ({"replies": "constrained"}, {"thinking_tokens": 50}):
        other = study.Study(("reference/faithful",), ("altruistic",), (False,), **change)
        assert study.conditions(other)["condition_id"].tolist() != planned["condition_id"].tolist()


RULED = {"models": ("reference/faithful",), "goal_prompts": (False,), "inductions": ("objective",)}


def test_graded_weights_are_told_by_their_objective_and_by_nothing_else():
    design = study.Study(**RULED, values=("weight 0.50", "weight inf", "prosocial", "none"))
    planned = study.conditions(design)
    assert [*planned["value"]] == ["weight 0.5", "weight inf", "prosocial", "none"]
    assert [*planned["induction"]] == ["objective"] * 3 + ["none"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"values": ("weight 11",)}, "from -1 to 10, or inf .*, not '11'"),
        ({"values": ("weight one",)}, "must be a number .*, not 'one'"),
        ({"values": ("weight 1", "weight 1.0")}, "values names weight 1 more than once"),
        ({"values": ("weight 1",), "inductions": ("objective", "label")}, "no word to hold"),
        ({"values": ("weight 1",), "inductions": ("definition",)}, "no word to hold"),
    ],
)
def test_a_mistake_with_a_graded_weight_is_one_sentence(change, said):
    with pytest.raises(UserError, match=said) as fault:
        study.Study(**RULED | change)
    assert "\n" not in str(fault.value)


def test_the_workbooks_study_compares_values_and_no_graded_weights():
    told = RULED | {"values": ["weight 0.5"]}
    with pytest.raises(UserError, match=r"set weights to 0\.5 instead"):
        study.of_parameters(told)


def test_a_value_without_an_objective_cannot_be_told_one(monkeypatch):
    bare = dataclasses.replace(study.values.get("prosocial"), objective="")
    monkeypatch.setattr(study.values, "load", lambda: {"prosocial": bare})
    with pytest.raises(UserError, match="'prosocial' has no objective"):
        study.Study(**RULED, values=("prosocial",))
