"""The slider as a task of inspect_ai: it asks what a run asks, and its numbers are a run's."""

import doctest

import pytest

pytest.importorskip("inspect_ai")

from inspect_ai._util.error import PrerequisiteError

from hvae_utils import __main__ as cli
from hvae_utils.extras import inspect_task
from hvae_utils.measure import scoring
from hvae_utils.play import administer, engine, study
from hvae_utils.play.records import Held
from tests.support import inspected


def metrics(log):
    (score,) = log.results.scores
    return {name: metric.value for name, metric in score.metrics.items()}


@pytest.fixture(scope="module")
def faithful(tmp_path_factory):
    """Return the log of a model that acts on its value, in both arms, and what it was asked."""
    told = []
    folder = tmp_path_factory.mktemp("faithful")
    return inspected.evaluated(folder, told=told, goal_prompts=[False, True]), told


def test_a_model_that_acts_on_its_value_has_a_steerability_of_one(faithful):
    found = metrics(faithful[0])
    assert found["steerability"] == found["steerability_with_goal_prompt"] == 1.0
    assert found["steerability_low"] == found["steerability_high"] == 1.0  # all wordings agree
    assert found["angle_altruistic"] == pytest.approx(61.39, abs=0.01)
    assert found["angle_competitive_with_goal_prompt"] == pytest.approx(-16.26, abs=0.01)
    assert found["value_rationality_altruistic"] == pytest.approx(60, abs=0.01)
    assert found["value_rationality_chance_competitive"] == pytest.approx(1, abs=0.001)
    shares = {name: share for name, share in found.items() if name.startswith("share_")}
    assert shares.pop("share_choice") == 1
    assert {*shares} == {f"share_{name}" for name in scoring.OUTCOMES if name != "choice"}
    assert not any(shares.values())


def test_a_model_that_always_answers_alike_has_none(tmp_path):
    found = metrics(inspected.evaluated(tmp_path, inspected.agreeable))
    assert found["steerability"] == 0
    assert found["angle_competitive"] == found["angle_altruistic"] == pytest.approx(61.39, abs=0.01)


def test_what_cannot_be_estimated_is_no_number(tmp_path):
    found = metrics(inspected.evaluated(tmp_path, inspected.silent, wordings=["plain"]))
    assert {name for name in found if not name.startswith("share_")} == set()
    assert found["share_choice"] == 0
    assert sum(found.values()) == pytest.approx(1)


def test_a_sample_is_a_condition_and_its_score_holds_the_items(faithful):
    log, _ = faithful
    assert len(log.samples) == 2 * 2 * 2  # values, wordings, arms
    sample = log.samples[0]
    assert sample.metadata["value"] == "altruistic"
    assert {"wording", "order", "labels", "goal_prompt", "repeat"} <= sample.metadata.keys()
    score = sample.scores[inspect_task.SCORER]
    assert score.value["answered"] == 6
    items = score.metadata["items"]
    assert [item["item"] for item in items] == [1, 2, 3, 4, 5, 6]
    assert (items[0]["self"], items[0]["other"]) == (85, 85)
    assert score.answer.split() == [item["label"] for item in items]


def test_it_asks_to_the_word_what_a_run_asks_and_no_more(faithful, monkeypatch):
    log, told = faithful
    asked = []

    class Listening(engine.Respondent):
        name, identity = "inspect/mockllm/model", "anyone"

        async def answer(self, request):
            asked.append(request)
            texts = [_Said(message["content"]) for message in request.messages]
            item = inspected.OPTION.search(texts[-1].text)
            known = "C" if "letter C" in texts[-1].text else "All right."
            return engine.Answer(text=inspected.faithful(texts) if item else known)

    monkeypatch.setattr(engine.models, "respondent", lambda *_: Listening())
    arguments = log.eval.metadata[inspect_task.STORE]
    design = inspect_task.designed(["inspect/mockllm/model"], arguments)
    held = Held()
    assigned = administer.assign_values(study.conditions(design), held)
    responses = administer.put_items(assigned, held)
    assert set(responses["outcome"]) == {"choice"}
    here = sorted(
        ([(m["role"], m["content"]) for m in request.messages], request.max_tokens, request.seed)
        for request in asked
    )
    there = sorted(
        ([(m.role, m.text) for m in messages], config.max_tokens, config.seed)
        for messages, config in told
    )
    assert there == here


class _Said:
    def __init__(self, text):
        self.text = text


def test_epochs_count_as_repeats_in_the_metrics(faithful):
    log, _ = faithful
    twice = [
        inspect_task.SampleScore(
            score=sample.scores[inspect_task.SCORER],
            sample_id=sample.id,
            sample_metadata={**sample.metadata},
        )
        for sample in (*log.samples, *log.samples)
    ]
    scores, _ = inspect_task._tables(twice)
    assert len(scores) == 2 * len(log.samples)
    assert inspect_task.steerability()(twice)["steerability"] == 1.0


def test_a_level_that_does_not_exist_is_named_with_its_choices():
    wanted = r"unknown value 'altruist'.*Did you mean 'altruistic'"
    with pytest.raises(PrerequisiteError, match=wanted):
        inspect_task.hvae_svo_slider(values="altruist")


def test_inspect_eval_finds_the_task_by_the_name_of_the_package():
    from inspect_ai._util.registry import registry_info

    assert registry_info(inspect_task.hvae_svo_slider).name == "hvae_utils/hvae_svo_slider"


def test_the_examples_of_the_module_are_right():
    assert doctest.testmod(inspect_task).attempted > 0
    assert doctest.testmod(inspect_task).failed == 0


def test_the_task_file_is_printed_or_written_once(tmp_path, capsys):
    assert cli.main(["inspect-task"]) == 0
    text = capsys.readouterr().out
    path = tmp_path / "slider.py"
    assert cli.main(["inspect-task", str(path)]) == 0
    assert path.read_text(encoding="utf-8") == text
    names = {}
    exec(compile(text, str(path), "exec"), names)
    task = names["hvae_svo_slider"](values=["none"], wordings=["plain"])
    assert [sample.metadata["value"] for sample in task.dataset] == ["none"]
    assert cli.main(["inspect-task", str(path)]) == 2
    assert "is there already" in capsys.readouterr().err
