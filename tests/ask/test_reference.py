"""Reference respondents do what their names say, through the same prompts and parser as a model."""

import asyncio
import dataclasses
import json

import numpy as np
import pytest

from hvae_utils.ask import prompts, reference, replies
from hvae_utils.ask.respondents import Request
from hvae_utils.errors import UserError
from hvae_utils.measure import instruments, scoring
from hvae_utils.play import administer, study
from hvae_utils.play.records import Held, Records

IDEAL = {"altruistic": 61.390, "prosocial": 45.0, "individualistic": 0.0, "competitive": -16.260}


@pytest.fixture(scope="module")
def scores(tmp_path_factory):
    names = tuple(f"reference/{name}" for name in reference.POLICIES)
    design = study.Study(
        models=names,
        inductions=("self_description", "definition", "label"),
        placements=("dialogue", "system"),
        protocols=("independent", "conversation"),
        wordings=("plain", "formal", "brief"),
    )
    with Records(tmp_path_factory.mktemp("run") / "records.jsonl") as records:
        assigned = administer.assign_values(study.conditions(design), records)
        return scoring.administrations(assigned, administer.put_items(assigned, records))


def of(scores, name):
    return scores[scores.model == f"reference/{name}"]


def test_every_reply_in_every_phrasing_is_understood(scores):
    assert (scores.answered == 6).all()


@pytest.mark.parametrize(("value", "angle"), IDEAL.items())
def test_faithful_is_ideal_under_every_induction_placement_protocol_and_wording(
    scores, value, angle
):
    faithful = of(scores, "faithful")
    angles = faithful[faithful.value == value].angle
    assert len(angles) == 3 * 2 * 2 * 3 * 2
    assert angles.to_numpy() == pytest.approx(angle, abs=5e-4)


def test_agreeable_is_prosocial_whatever_it_is_told(scores):
    assert of(scores, "agreeable").angle.to_numpy() == pytest.approx(45.0)


def test_first_option_is_called_prosocial_and_is_flagged_by_its_short_vector(scores):
    first = of(scores, "first-option")
    assert first.angle.to_numpy() == pytest.approx(30.47, abs=0.005)
    assert set(first.category) == {"prosocial"}
    assert (first.vector_length < 35).all()
    assert not first.transitive.any()


def test_random_has_the_mean_and_spread_of_random_profiles(scores):
    angles = of(scores, "random").angle
    assert angles.mean() == pytest.approx(22.703, abs=3 * 12.866 / np.sqrt(len(angles)))
    assert angles.std() == pytest.approx(12.866, rel=0.15)


def test_lapsing_is_near_its_value_and_short_of_the_extremes(scores):
    # published for a lapse rate of 0.2: mean angles 54.9 and -9.7
    lapsing = of(scores, "lapsing")
    means = lapsing.groupby("value").angle.mean()
    errors = 3 * lapsing.groupby("value").angle.sem()
    assert abs(means["altruistic"] - 54.9) < errors["altruistic"]
    assert abs(means["competitive"] + 9.7) < errors["competitive"]


def test_without_a_value_faithful_and_lapsing_answer_at_random(scores):
    for name in ("faithful", "lapsing"):
        free = of(scores, name).query("value == 'none'").angle
        assert 5 < free.std() < 25


@pytest.fixture(scope="module")
def exact():
    """Return one administration a model and value, read from probabilities, in one cyclic order."""
    names = tuple(f"reference/{name}" for name in reference.POLICIES)
    design = {"goal_prompts": (False,), "orders": ("cyclic",), "readout": "probabilities"}
    records = Held()
    assigned = administer.assign_values(study.conditions(study.Study(names, **design)), records)
    responses = administer.put_items(assigned, records)
    told = responses.merge(assigned[["condition_id", "model", "value"]], on="condition_id")
    return told, scoring.administrations(assigned, responses)


def test_probabilities_are_read_of_every_reference_respondent(exact):
    responses, scores = exact
    assert set(responses["method"]) == set(scores["method"]) == {"probabilities"}
    assert set(responses["outcome"]) == {"choice"}
    assert responses["covered_mass"].to_numpy() == pytest.approx(1)


@pytest.mark.parametrize(
    ("name", "angles", "within"),
    [
        ("faithful", IDEAL, 5e-4),
        ("agreeable", dict.fromkeys(IDEAL, 45.0), 5e-4),
        ("random", dict.fromkeys([*IDEAL, "none"], 22.703), 5e-4),
        ("lapsing", {"altruistic": 54.9, "competitive": -9.7, "none": 22.703}, 0.05),
    ],
)
def test_expected_angles_are_the_known_ones_in_every_order(exact, name, angles, within):
    scored = of(exact[1], name)
    for value, angle in angles.items():
        found = scored[scored["value"] == value]["angle"]
        assert len(found) == 9
        assert found.to_numpy() == pytest.approx(angle, abs=within)


def test_first_option_has_one_angle_an_order_whatever_it_is_told(exact):
    by_order = of(exact[1], "first-option").groupby("order")["angle"]
    assert by_order.std().to_numpy() == pytest.approx(0, abs=1e-9)
    assert by_order.mean().nunique() == 9
    assert by_order.mean()["cyclic-1"] == pytest.approx(30.47, abs=0.005)


@pytest.mark.parametrize(
    ("name", "ideal", "first"),
    [("faithful", 1, 0), ("lapsing", 0.8 + 0.2 / 9, 0.2 / 9), ("mixture", 0.7, 0.3)],
)
def test_a_respondent_lists_the_chances_of_its_policy(exact, name, ideal, first):
    """The altruist's ideal options are known, and in cyclic-5 option 5 comes first."""
    chosen = of(exact[0], name).query("value == 'altruistic'")
    shown = chosen[chosen["order"] == "cyclic-5"].sort_values("item")
    table = shown[[f"p{option}" for option in range(1, 10)]].to_numpy()
    ideals = [0, 8, 0, 0, 8, 8]
    assert table[np.arange(6), ideals] == pytest.approx(ideal)
    assert table[:, 4] == pytest.approx(first)


def test_first_option_puts_all_on_what_is_shown_first_and_random_the_same_on_all(exact):
    first = of(exact[0], "first-option")
    assert (first["option"] == first["order"].str[-1].astype(int)).all()
    random = of(exact[0], "random")
    table = random[[f"p{option}" for option in range(1, 10)]].to_numpy()
    assert table == pytest.approx(1 / 9)


REQUEST = Request(
    kind="item",
    model="reference/random",
    messages=({"role": "user", "content": "x"},),
    condition={"value": "none", "goal_prompt": False, "wording": "plain"},
    max_tokens=5,
    temperature=0.0,
    seed=1,
)


@pytest.mark.parametrize(
    "change",
    [
        {"messages": ({"role": "user", "content": "y"},)},
        {"model": "reference/lapsing"},
        {"kind": "goal"},
        {"condition": {"value": "prosocial"}},
        {"max_tokens": 6},
        {"temperature": 0.5},
        {"seed": 2},
        {"repeat": 2},
        {"attempt": 2},
        {"top_logprobs": 5},
    ],
)
def test_whatever_changes_the_answer_changes_the_key(change):
    assert dataclasses.replace(REQUEST, **change).key != REQUEST.key


def test_conditions_that_put_the_same_question_share_its_key():
    other_arm = {**REQUEST.condition, "goal_prompt": True, "wording": "formal"}
    assert dataclasses.replace(REQUEST, condition=other_arm).key == REQUEST.key


def test_the_same_request_gets_the_same_answer_in_any_order(scores):
    async def ask():
        async with reference.Reference("agreeable") as model:
            return [await model.answer(dataclasses.replace(REQUEST, kind="goal")) for _ in "ab"]

    first, second = asyncio.run(ask())
    assert first == second


SAMPLE = {
    "faithful": "85, 85 | I choose I: 100, 50 | I choose A: 50, 100 | A | I choose I: 50, 100",
    "lapsing": "A. | I. | B. | My answer is A. | I choose I: 50, 100",
    "agreeable": "(A) | I | I choose I: 85, 85 | Option A | 75, 75",
    "random": "**G** | I choose H: 98, 46 | A | I | Option H",
    "first-option": "Option A | A. | **A** | A. | Option A",
    "reciter": "(A) | Option I | A. | I choose A: 50, 100 | My answer is I.",
    "mixture": "A. | 100, 50 | (A) | I choose A: 50, 100 | A",
}


@pytest.mark.parametrize("name", reference.POLICIES)
def test_answers_change_only_together_with_the_identity(name):
    slider = instruments.load("svo-slider")

    async def answers():
        model = reference.Reference(name)
        for item in range(5):
            request = dataclasses.replace(
                REQUEST,
                model=model.name,
                messages=({"role": "user", "content": f"item {item}"},),
                condition={"value": "altruistic", "instrument": slider.name},
                max_tokens=24,
                presentation=prompts.present(slider, item),
            )
            yield (await model.answer(request)).text

    async def sample():
        return " | ".join([text async for text in answers()])

    assert reference.Reference(name).identity == "simulation 2"
    assert asyncio.run(sample()) == SAMPLE[name]


def test_an_unknown_reference_respondent_gets_the_nearest_name():
    with pytest.raises(UserError, match="Did you mean 'faithful'"):
        reference.Reference("faithfull")


def test_one_that_reasons_says_why_without_an_option_and_does_as_it_does_at_once():
    levels = {"deliberations": ("direct", "reasoned"), "values": ("competitive", "none")}
    design = study.Study(("reference/faithful",), **levels, readout="probabilities", chains=2)
    records = Held()
    assigned = administer.assign_values(study.conditions(design), records)
    responses = administer.put_items(assigned, records)
    at_once, reasoned = (
        responses[responses.condition_id.isin(assigned.condition_id[assigned.model == name])]
        for name in ("reference/faithful", "reference/faithful+reasoned")
    )
    chances = [f"p{k}" for k in range(1, 10)]
    assert reasoned[chances].to_numpy() == pytest.approx(at_once[chances].to_numpy(), nan_ok=True)
    assert set(reasoned.chains) == {2.0}
    competitive = reasoned.condition_id.isin(assigned.condition_id[assigned.value == "competitive"])
    assert reasoned.between_chains[competitive].isna().all(), "it never varies"
    assert reasoned.between_chains[~competitive].to_numpy() == pytest.approx(0.0)
    said = {record["text"] for record in records.new if record["kind"] == "reason"}
    assert len(said) == 2
    labels = prompts.LABELS
    assert {replies.parse(text, labels).outcome for text in said} == {"unparseable"}


def mean_points(model, value, instrument, induction="label"):
    """The expected (self, other), coins, of a respondent who was asked for probabilities."""
    design = {"goal_prompts": (False,), "readout": "probabilities", "inductions": (induction,)}
    conditions = study.conditions(study.Study((model,), (value,), instrument=instrument, **design))
    assigned = administer.assign_values(conditions, held := Held())
    responses = administer.put_items(assigned, held)
    items = instruments.load(instrument)
    table = responses[[f"p{k}" for k in range(1, items.options + 1)]].to_numpy()
    return (table[..., None] * items.payoffs).sum(axis=1), json.loads(assigned["prefix"][0])


def test_the_reciter_knows_the_published_items_and_nothing_else():
    slider = instruments.load("svo-slider")
    for value in IDEAL:
        known, _ = mean_points("reference/reciter", value, "svo-slider")
        faithful, _ = mean_points("reference/faithful", value, "svo-slider")
        assert known.tolist() == faithful.tolist()
    for form in ("svo-slider+swapped", "svo-slider+scaled-2", "svo-slider+renamed-points"):
        for value in IDEAL:
            found, _ = mean_points("reference/reciter", value, form)
            factor = instruments.load(form).payoffs.mean() / slider.payoffs.mean()
            assert found == pytest.approx(slider.payoffs.mean(axis=1) * factor)


@pytest.mark.parametrize("weight", [-0.5, 0.4, 0.95, "inf"])
def test_faithful_follows_a_graded_weight_and_says_no_value(weight):
    found, said = mean_points("reference/faithful", f"weight {weight}", "svo-slider", "objective")
    own, other = (0, 1) if weight == "inf" else (1, weight)
    payoffs = instruments.load("svo-slider").payoffs
    gained = payoffs @ [own, other]
    assert (found @ [own, other]) == pytest.approx(gained.max(axis=1), abs=1)  # level within a coin
    assert not any("weight" in turn["content"] for turn in said)


@pytest.mark.parametrize("value", IDEAL)
def test_told_an_objective_a_reference_respondent_names_no_value_either(value):
    for model in ("reference/faithful", "reference/agreeable"):
        _, said = mean_points(model, value, "svo-slider", "objective")
        assert len(said) == 2
        assert not any(word in turn["content"] for turn in said for word in IDEAL)


def test_faithful_spreads_evenly_over_equally_good_options_where_there_is_no_angle():
    payoffs = np.array([[[60.0, 0], [0, 60], [40, 10], [60, 5]]])
    game = instruments.Instrument("game", payoffs, (1,), origin=None)
    shown = prompts.present(game, 0, (3, 2, 1, 0), tuple("ABCD"))
    policy = reference.POLICIES["faithful"]
    assert policy("individualistic", game, shown).tolist() == [0.5, 0, 0, 0.5]
    assert policy("altruistic", game, shown).tolist() == [0, 0, 1, 0]
    assert policy("prosocial", game, shown).tolist() == [1, 0, 0, 0]
    assert policy("none", game, shown).tolist() == [0.25] * 4
